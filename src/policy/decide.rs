//! The decision: one function that cannot fail, only refuse.

use std::sync::Arc;

use cedar_policy::{Authorizer, Decision as Answer, PolicySet, Response};
use jiff::{SignedDuration, Timestamp};

use super::slice::{Filed, Key};
use super::{Action, Citation, Ground, Policies, PolicyDigest};
use crate::facts::{Facts, FactsError, Labels};
use crate::identity::Caller;
use crate::media::MediaRef;
use crate::notice::{Circumstance, NoticeVersion};
use crate::purpose::Purpose;

/// LIMIT: how far Twilio's clock may be ahead of ours. A recording from further in the future has
/// a time that cannot be believed.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(300);

/// What is to be decided, complete with its facts.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// What they want to do.
    pub action: Action,
    /// With what.
    pub media: MediaRef,
    /// Why, if they said so.
    pub purpose: Option<Purpose>,
    /// What else the request states.
    pub stated: Stated,
    /// What is known of it.
    pub facts: Arc<Facts>,
    /// When.
    pub now: Timestamp,
}

impl Question {
    /// The same question on these facts, which also say whether a legal hold names the caller.
    #[must_use]
    pub fn knowing(mut self, facts: Arc<Facts>) -> Self {
        let circumstances = &mut self.stated.circumstances;
        circumstances.retain(|one| *one != Circumstance::HoldParty);
        let is_named = facts.is_held_for(self.caller.whose_right(), self.purpose.as_ref());
        circumstances.extend(is_named.then_some(Circumstance::HoldParty));
        self.facts = facts;
        self
    }
}

/// What a request states beside its purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// What is known to hold of the request.
    pub circumstances: Vec<Circumstance>,
    /// To whom it shares.
    pub recipient: Option<String>,
    /// In which country they are (ISO 3166-1 alpha-2).
    pub country: Option<String>,
}

/// On what grounds a question was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The policies that were in force.
    pub policy_digest: PolicyDigest,
    /// The notice that governs the recording, if there is one.
    pub notice: Option<NoticeVersion>,
    /// The policies that decided: all satisfied permits, or all satisfied forbids.
    pub citations: Vec<Arc<Citation>>,
    /// What the call was filed under.
    pub labels: Labels,
}

/// The answer. There is no third case and no error: what goes wrong inside is a refusal.
#[derive(Debug)]
pub enum Verdict {
    /// Cedar allows it, without an evaluation error, by at least one clause.
    Permit(Permit),
    /// Anything else.
    Refuse(Refusal),
}

/// Proof of a Cedar Allow. Only [`Policies::decide`] makes one; it cannot be copied, and a ledger
/// entry takes it by value.
///
/// ```compile_fail,E0451
/// # use noticegate::policy::{Decision, Permit, Question};
/// fn forge(question: Question, decision: Decision) -> Permit {
///     Permit { question, decision }
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use noticegate::policy::Permit;
/// fn copy(permit: &Permit) -> Permit {
///     Permit::clone(permit)
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is not recorded permits nothing"]
pub struct Permit {
    question: Question,
    decision: Decision,
}

impl Permit {
    /// What was asked.
    #[must_use]
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Why it is permitted.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }
}

/// A question that was refused, and why.
#[derive(Debug)]
pub struct Refusal {
    /// What was asked.
    pub question: Question,
    /// The grounds.
    pub decision: Decision,
    /// What is missing or forbidden.
    pub reason: Reason,
    /// Why the clause that forbids applies, beyond its words.
    pub because: Option<String>,
}

/// Why a question was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody said why.
    NoPurpose,
    /// The caller's token was issued for another purpose.
    PurposeNotOfToken,
    /// The vocabulary has no such purpose.
    UnknownPurpose,
    /// No clause gives this caller's roles any use of recordings made under this notice: to them
    /// the recording does not exist.
    NotForCaller,
    /// No notice was in force when the recording was made.
    NoNotice,
    /// A clause or a guardrail forbids it; the decision's citations name them.
    Forbidden,
    /// No clause permits it; if one comes near, this is it.
    NotPermitted(Option<Near>),
    /// It cannot be decided; the answer to doubt is no.
    Undecidable(Undecidable),
}

impl Reason {
    /// True if it is about the request alone, whatever it asks for.
    #[must_use]
    pub fn is_of_request(&self) -> bool {
        matches!(self, Self::NoPurpose | Self::PurposeNotOfToken | Self::UnknownPurpose)
    }
}

/// The clause that comes nearest to permitting what was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The clause.
    pub citation: Arc<Citation>,
    /// Where it falls short.
    pub gap: Gap,
}

/// Where a clause falls short of permitting a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// It is for this role and purpose, but these conditions of it do not hold; each says what it
    /// asks for and what is so.
    Conditions(Vec<String>),
    /// It is for this purpose, but for other roles.
    Role,
    /// It is for this role, but for other purposes.
    Purpose,
}

/// Why nothing can be decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// A fact is missing.
    #[error("{0}")]
    Facts(FactsError),
    /// Twilio says the recording starts in the future.
    #[error("the recording's start time lies in the future")]
    InTheFuture,
    /// The request could not be put to Cedar.
    #[error("the request does not fit the schema of the policies")]
    BadRequest,
    /// A share names a recipient that the vocabulary does not have.
    #[error("the recipient is not in the organisation's list of recipients")]
    UnknownRecipient,
    /// A policy failed to evaluate. Cedar would skip it, even a forbid.
    #[error("a policy could not be evaluated")]
    PolicyError,
    /// Cedar allowed it by a policy that cites no clause. Loading makes this impossible.
    #[error("the permitting policy cites no clause")]
    NoClause,
}

impl Policies {
    /// Decides. Never fails: whatever goes wrong is a refusal.
    pub fn decide(&self, question: Question) -> Verdict {
        let (decision, answer) = self.judge(&question);
        match answer {
            Ok(()) => Verdict::Permit(Permit { question, decision }),
            Err(reason) => {
                let mut refusal = Refusal { question, decision, reason, because: None };
                match &refusal.reason {
                    Reason::Forbidden => refusal.because = self.said_of_forbid(&refusal),
                    Reason::NotPermitted(_) => {
                        let key = self.key_of(&refusal);
                        let near = key.and_then(|key| self.nearest(&refusal.question, &key));
                        refusal.reason = Reason::NotPermitted(near);
                    }
                    _ => {}
                }
                Verdict::Refuse(refusal)
            }
        }
    }

    /// What [`Policies::decide`] decides, without saying what comes near: for judging many
    /// decisions of the past.
    pub fn judge(&self, question: &Question) -> (Decision, Result<(), Reason>) {
        let governing = self.notices.governing(question.facts.made(), question.now);
        let mut decision = Decision {
            policy_digest: self.digest.clone(),
            notice: governing.map(|notice| notice.version.clone()),
            citations: Vec::new(),
            labels: self.labels(&question.facts),
        };
        let answer = self.answer(question, &mut decision);
        (decision, answer)
    }

    /// A refusal for want of a decision, when there are no facts to decide on.
    #[must_use]
    pub fn undecided(&self) -> Decision {
        Decision {
            policy_digest: self.digest.clone(),
            notice: None,
            citations: Vec::new(),
            labels: Labels::default(),
        }
    }

    fn answer(&self, question: &Question, decision: &mut Decision) -> Result<(), Reason> {
        let horizon = question.now.checked_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX);
        if question.facts.started_at > horizon {
            return Err(Reason::Undecidable(Undecidable::InTheFuture));
        }
        let notice = decision.notice.clone().ok_or(Reason::NoNotice)?;
        if !self.slices.index.knows_any(&notice, &question.caller.roles) {
            return Err(Reason::NotForCaller);
        }
        let purpose = question.purpose.as_ref().ok_or(Reason::NoPurpose)?;
        if question.caller.bound_purpose.as_ref().is_some_and(|bound| bound != purpose) {
            return Err(Reason::PurposeNotOfToken);
        }
        if !self.vocabulary.purposes.contains_key(purpose) {
            return Err(Reason::UnknownPurpose);
        }
        let unknown = |id: &String| !self.vocabulary.recipients.contains_key(id);
        if question.stated.recipient.as_ref().is_some_and(unknown) {
            return Err(Reason::Undecidable(Undecidable::UnknownRecipient));
        }
        let key = self.key(question, notice, purpose, &decision.labels);
        let response = self.evaluate(question, purpose, &self.slices.get(&key))?;
        let cited = response.diagnostics().reason().map(|id| self.slices.index.citation(id));
        decision.citations = cited.flatten().collect();
        decision.citations.sort_by(|a, b| a.policy.cmp(&b.policy));
        // Doubt refuses: Cedar skips a policy that fails to evaluate, so an Allow beside an error
        // may lack the forbid that would have spoken.
        if let Some(error) = response.diagnostics().errors().next() {
            tracing::error!(%error, "a policy failed to evaluate; everything it touches is refused");
            return Err(Reason::Undecidable(Undecidable::PolicyError));
        }
        let by_clause = |c: &Arc<Citation>| matches!(c.ground, Ground::Clause { .. });
        match response.decision() {
            Answer::Allow if decision.citations.iter().any(by_clause) => Ok(()),
            Answer::Allow => Err(Reason::Undecidable(Undecidable::NoClause)),
            Answer::Deny if decision.citations.is_empty() => Err(Reason::NotPermitted(None)),
            Answer::Deny => Err(Reason::Forbidden),
        }
    }

    /// What picks the slice for a question.
    pub(super) fn key(
        &self,
        question: &Question,
        notice: NoticeVersion,
        purpose: &Purpose,
        labels: &Labels,
    ) -> Key {
        Key {
            filed: Filed {
                notice,
                action: question.action,
                purpose: purpose.clone(),
                roles: Arc::clone(&question.caller.roles),
            },
            artefact: question.facts.artefact,
            direction: question.facts.direction,
            line: labels.line.clone(),
            department: labels.department.clone(),
            call_type: labels.call_type.clone(),
        }
    }

    fn evaluate(
        &self,
        question: &Question,
        purpose: &Purpose,
        policies: &PolicySet,
    ) -> Result<Response, Reason> {
        let unfit = |_| Reason::Undecidable(Undecidable::BadRequest);
        let request = self.names.request(question, purpose, None).map_err(unfit)?;
        let entities = self.names.entities(question, self).map_err(unfit)?;
        Ok(Authorizer::new().is_authorized(&request, policies, &entities))
    }

    /// Decides on the full set, with the schema checking what was built. It must agree with
    /// [`Policies::decide`]; tests hold it to that.
    ///
    /// # Errors
    /// What the schema objects to, or the first policy that failed to evaluate.
    pub fn decide_unsliced(&self, question: &Question, purpose: &Purpose) -> Result<bool, String> {
        let schema = Some(self.schema());
        let request = self.names.request(question, purpose, schema).map_err(|e| e.to_string())?;
        let entities = self.names.build(question, self, schema);
        let entities = entities.map_err(|e| e.to_string())?;
        let response = Authorizer::new().is_authorized(&request, self.all(), &entities);
        match response.diagnostics().errors().next() {
            Some(error) => Err(error.to_string()),
            None => Ok(response.decision() == Answer::Allow),
        }
    }
}
