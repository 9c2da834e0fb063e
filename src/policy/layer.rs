//! Which layer of the rules decided: a sentence of the notice, a guardrail, the law of a place, a
//! consent, a legal hold, or that too little is known.
//!
//! Nothing is read off a policy's name: the question is decided again with the consent given, the
//! hold lifted, the law's demand gone. Where that takes the refusal's grounds away, that decided.

use std::sync::Arc;

use super::{Ground, Policies, Question, Reason};
use crate::facts::{Consent, Facts, LawOfCall};
use crate::notice::{Circumstance, ConsentForm};
use crate::words::words;

words! {
    /// What of the rules decided.
    Layer {
        /// A sentence of the notice.
        Notice = "notice",
        /// No sentence of the notice permits it.
        Silence = "silence",
        /// A guardrail.
        Guardrail = "guardrail",
        /// The law of a place where somebody on the call may be.
        Law = "law",
        /// Somebody's consent or objection.
        Consent = "consent",
        /// A legal hold.
        Hold = "hold",
        /// Too little is known, so that it cannot be decided.
        Doubt = "doubt",
    }
}

impl Layer {
    /// As a page says it.
    #[must_use]
    pub fn plain(self) -> &'static str {
        match self {
            Self::Notice => "a sentence of the notice",
            Self::Silence => "no sentence of the notice permits it",
            Self::Guardrail => "a guardrail, which no notice can lift",
            Self::Law => "the law of a place where somebody on the call may be",
            Self::Consent => "the consent or objection of somebody on the call",
            Self::Hold => "a legal hold",
            Self::Doubt => "too little is known to decide it, and doubt refuses",
        }
    }
}

impl Policies {
    /// Which layer decides a question.
    #[must_use]
    pub fn layer(&self, question: &Question) -> Layer {
        let (decision, answer) = self.judge(question);
        let Err(reason) = answer else { return Layer::Notice };
        if matches!(reason, Reason::Undecidable(_)) {
            return Layer::Doubt;
        }
        let lifted = |change: &dyn Fn(&mut Facts)| {
            let mut other = question.clone();
            change(Arc::make_mut(&mut other.facts));
            let (again, answer) = self.judge(&other);
            // Other grounds may refuse still; those that refused have to be gone.
            answer.is_ok()
                || (!decision.citations.is_empty()
                    && decision.citations.iter().all(|cited| !again.citations.contains(cited)))
        };
        if lifted(&|facts| facts.register.law = Some(LawOfCall::NONE)) {
            return Layer::Law;
        }
        let consents = |facts: &mut Facts| {
            facts.consent = Consent::Given;
            facts.register.consent_form = Some(ConsentForm::Wrote);
            facts.register.objections.clear();
        };
        if lifted(&consents) {
            return Layer::Consent;
        }
        let is_hold = |circumstance: &Circumstance| *circumstance == Circumstance::Hold;
        if lifted(&|facts| facts.register.circumstances.retain(|one| !is_hold(one))) {
            return Layer::Hold;
        }
        let guarded =
            |cited: &Arc<super::Citation>| matches!(cited.ground, Ground::Guardrail { .. });
        match decision.citations.is_empty() {
            true => Layer::Silence,
            false if decision.citations.iter().all(guarded) => Layer::Guardrail,
            false => Layer::Notice,
        }
    }
}
