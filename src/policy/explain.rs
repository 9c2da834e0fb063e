//! Saying why: the sentence that refuses, or the one that comes nearest to permitting, and what is
//! missing.

use std::fmt;
use std::sync::Arc;

use cedar_policy::pst::{
    self, ActionConstraint, PolicyID, PrincipalConstraint, ResourceConstraint, SmolStr,
};
use cedar_policy::{Authorizer, Decision as Answer, Policy, PolicySet};

use super::condition::{Condition, Doubt};
use super::decide::{Gap, Near};
use super::slice::Key;
use super::{Citation, Ground, Policies, Question, Reason, Refusal, Verdict};
use crate::facts::{Consent, Facts};
use crate::media::Action;
use crate::notice::{Need, NoticeVersion, Period, PeriodStart, Plain, in_words, need_in_words};

/// A decision with everything that can be said about it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Whether it is permitted.
    pub permitted: bool,
    /// Why, in a sentence or two.
    pub sentence: String,
    /// One word for the reason of a refusal.
    pub reason: Option<&'static str>,
    /// The notice that governs the recording.
    pub notice: Option<NoticeVersion>,
    /// The policies that decided.
    pub citations: Vec<Arc<Citation>>,
    /// For a refusal, the clause that comes nearest to permitting, and what of it is missing.
    pub nearest: Option<(Arc<Citation>, Vec<String>)>,
}

impl Policies {
    /// Decides a question and says why. Also where a clause forbids, it tells which other comes
    /// nearest to permitting.
    #[must_use]
    pub fn explain(&self, question: Question) -> Explained {
        let told = |near: Near| {
            let missing = match near.gap {
                Gap::Conditions(unmet) => unmet,
                Gap::Role => vec!["it is for other roles".to_owned()],
                Gap::Purpose => vec!["it is for other purposes".to_owned()],
            };
            (near.citation, missing)
        };
        match self.decide(question) {
            Verdict::Permit(permit) => {
                let decision = permit.decision();
                let clauses = decision.citations.iter().filter_map(|c| match &c.ground {
                    Ground::Clause { quote, notice, .. } => {
                        Some(format!("the privacy notice {notice} says \"{quote}\""))
                    }
                    Ground::Guardrail { .. } => None,
                });
                Explained {
                    permitted: true,
                    sentence: clauses.collect::<Vec<_>>().join("; "),
                    reason: None,
                    notice: decision.notice.clone(),
                    citations: decision.citations.clone(),
                    nearest: None,
                }
            }
            Verdict::Refuse(refusal) => {
                let nearest = match &refusal.reason {
                    Reason::NotPermitted(near) => near.clone(),
                    _ => {
                        self.key_of(&refusal).and_then(|key| self.nearest(&refusal.question, &key))
                    }
                };
                Explained {
                    permitted: false,
                    sentence: refusal.to_string(),
                    reason: Some(refusal.code()),
                    nearest: nearest.map(told),
                    notice: refusal.decision.notice,
                    citations: refusal.decision.citations,
                }
            }
        }
    }

    /// The permit that comes nearest to what was asked under the governing notice: the one for
    /// this role and purpose of which the fewest conditions fail, else one for this purpose, else
    /// one for this role.
    pub(super) fn nearest(&self, question: &Question, key: &Key) -> Option<Near> {
        let index = &self.slices.index;
        let unmet = index.filed(&key.filed).filter_map(|(permit, citation)| {
            let unmet = self.unmet(question, key, &permit.terms.when);
            Some(Near { citation: citation?, gap: Gap::Conditions(unmet) })
        });
        let fewest = |near: &Near| match &near.gap {
            Gap::Conditions(unmet) => unmet.len(),
            Gap::Role | Gap::Purpose => usize::MAX,
        };
        let first = |gap: Gap| {
            move |(_, citation): (_, Option<Arc<Citation>>)| {
                Some(Near { citation: citation?, gap: gap.clone() })
            }
        };
        unmet
            .min_by_key(fewest)
            .or_else(|| index.of_purpose(&key.filed).find_map(first(Gap::Role)))
            .or_else(|| index.of_roles(&key.filed).find_map(first(Gap::Purpose)))
    }

    /// The key of a question that was refused, if it came so far.
    pub(super) fn key_of(&self, refusal: &Refusal) -> Option<Key> {
        let Refusal { question, decision, .. } = refusal;
        let (notice, purpose) = (decision.notice.clone()?, question.purpose.as_ref()?);
        Some(self.key(question, notice, purpose, &decision.labels))
    }

    /// What the conditions that do not hold ask for, each with what is so.
    fn unmet(&self, question: &Question, key: &Key, all: &[Condition]) -> Vec<String> {
        let failing = all.iter().filter(|condition| !self.holds(question, key, condition));
        failing.map(|condition| self.say_unmet(question, condition)).collect()
    }

    /// Whether one condition is known to hold; what the key leaves open is Cedar's to say.
    fn holds(&self, question: &Question, key: &Key, condition: &Condition) -> bool {
        if let Some(settled) = condition.settled(key, Doubt::Fails) {
            return settled;
        }
        let holds = || {
            let when = pst::Clause::When(condition.expr(Doubt::Fails).ok()?);
            let template = pst::Template::new(
                PolicyID(SmolStr::from("condition")),
                pst::Effect::Permit,
                PrincipalConstraint::Any,
                ActionConstraint::Any,
                ResourceConstraint::Any,
            );
            let template = template.try_with_clauses(vec![when]).ok()?;
            let policy = Policy::from_pst(pst::Policy::Static(template.try_into().ok()?)).ok()?;
            let set = PolicySet::from_policies([policy]).ok()?;
            let request = self.names.request(question, &key.filed.purpose, None).ok()?;
            let entities = self.names.entities(question, self).ok()?;
            Some(Authorizer::new().is_authorized(&request, &set, &entities).decision())
        };
        holds() == Some(Answer::Allow)
    }

    fn say_unmet(&self, question: &Question, condition: &Condition) -> String {
        let plain = Plain(&self.vocabulary);
        let facts = &question.facts;
        let labels = self.labels(facts);
        let texts = |list: &[String]| list.join(" or ");
        let but = |asked: String, known: Option<&str>| match known {
            Some(known) => format!("it holds for {asked}; this is {known}"),
            None => format!("it holds for {asked}; of this one it is not known"),
        };
        match condition {
            Condition::GovernedBy(version) => {
                format!("it holds for recordings of notice {version}")
            }
            Condition::Purposes(list) => {
                let names: Vec<String> = list.iter().map(|p| plain.purpose(p)).collect();
                format!("it is for {}", names.join(" or "))
            }
            Condition::Actions(list) => {
                let words: Vec<&str> = list.iter().map(|action| action.as_str()).collect();
                format!("it is to {}", words.join(" or "))
            }
            Condition::Artefacts(list) => {
                let words: Vec<&str> = list.iter().map(|artefact| artefact.as_str()).collect();
                format!("it is about {}; this is {}", words.join(" or "), facts.artefact.as_str())
            }
            Condition::Directions(list) => {
                let words: Vec<&str> = list.iter().map(|d| d.as_str()).collect();
                let asked = format!("{} calls", words.join(" or "));
                but(asked, facts.direction.map(|direction| direction.as_str()))
            }
            Condition::Lines(list) => but(format!("line {}", texts(list)), labels.line.as_deref()),
            Condition::Departments(list) => {
                but(format!("department {}", texts(list)), labels.department.as_deref())
            }
            Condition::CallTypes(list) => {
                but(format!("call type {}", texts(list)), labels.call_type.as_deref())
            }
            // Whoever is refused does not learn from it what the call was about.
            Condition::Labels(list) => {
                let known = labels.labels.map(|_| "none of these");
                but(format!("label {}", texts(list)), known)
            }
            Condition::Recipients(list) => {
                but(format!("recipient {}", texts(list)), question.stated.recipient.as_deref())
            }
            Condition::Countries(list) => {
                but(format!("country {}", texts(list)), question.stated.country.as_deref())
            }
            Condition::Roles(list) => {
                let names: Vec<String> = list.iter().map(|role| plain.role(role)).collect();
                format!("it is for {}", names.join(" or "))
            }
            Condition::Need(need) => say_need(*need, facts),
            Condition::Within(period, clock) | Condition::Past(period, clock) => {
                say_period("it holds until", *period, *clock, question)
            }
        }
    }

    /// Why a clause forbids, beyond its words: the period that has passed, what it asks for and
    /// does not find, and what nobody knows.
    pub(super) fn said_of_forbid(&self, refusal: &Refusal) -> Option<String> {
        let question = &refusal.question;
        let key = self.key_of(refusal)?;
        let forbid = self.slices.index.forbid(&refusal.citation()?.policy)?;
        let applies = forbid.terms.when.iter().filter_map(|condition| match condition {
            Condition::Past(period, clock) => {
                Some(say_period("its use ends", *period, *clock, question))
            }
            _ if self.holds(question, &key, condition) => None,
            // It applies, but does not hold: nobody knows, and doubt refuses.
            _ => Some(say_doubt(condition)),
        });
        let mut said: Vec<String> = applies.collect();
        said.extend(self.unmet(question, &key, &forbid.terms.musts));
        let said = said.join("; and ");
        let mut chars = said.chars();
        Some(chars.next()?.to_uppercase().chain(chars).collect())
    }
}

/// A period, and how long ago it began.
fn say_period(says: &str, period: Period, clock: PeriodStart, question: &Question) -> String {
    let facts = &question.facts;
    match (clock, facts.case_age_seconds(question.now)) {
        (PeriodStart::CallEnd, _) => format!(
            "{says} {period} after the call; this call is {} old",
            in_words(facts.age_seconds(question.now))
        ),
        (PeriodStart::CaseEnd, Some(age)) => {
            format!("{says} {period} after the case is closed; that was {} ago", in_words(age))
        }
        (PeriodStart::CaseEnd, None) => {
            format!("{says} {period} after the case is closed; no case is known")
        }
    }
}

/// What nobody knows of a condition that holds only by doubt.
fn say_doubt(condition: &Condition) -> String {
    let what = match condition {
        Condition::Directions(_) => "the direction of this call",
        Condition::Lines(_) => "the line of this call",
        Condition::Departments(_) => "the department of this call",
        Condition::CallTypes(_) => "the type of this call",
        Condition::Labels(_) => "the labels of this call",
        Condition::Countries(_) => "the recipient's country",
        _ => "whether it applies",
    };
    format!("nobody knows {what}, and doubt refuses")
}

fn say_need(need: Need, facts: &Facts) -> String {
    let asked = need_in_words(need);
    match need {
        Need::Consent | Need::ExplicitConsent | Need::WrittenConsent => {
            match (facts.consent, facts.register.consent_form) {
                (Consent::Unknown, _) => {
                    format!("it asks that {asked}, and nobody knows that they did")
                }
                (Consent::Given, None) => {
                    format!("it asks that {asked}, and nobody knows in which form they did")
                }
                (Consent::Given, Some(form)) => {
                    format!("it asks that {asked}, and they did so by `{}`", form.as_str())
                }
                (Consent::Refused | Consent::Withdrawn | Consent::Expired, _) => {
                    format!("it asks that {asked}, and somebody's does not hold")
                }
            }
        }
        Need::NoObjection => format!("it asks that {asked}, and somebody did"),
        Need::Encrypted => format!("it asks that {asked}, and it is not"),
        Need::Reference => {
            format!("it asks that {asked}: name it in a `Noticegate-Reference` header")
        }
        Need::Reason => format!("it asks that {asked}: say it in a `Noticegate-Reason` header"),
        _ => format!("it asks that {asked}, and nobody knows that it is so"),
    }
}

impl Refusal {
    /// The citation to show: the clause that refuses or comes nearest, else a guardrail.
    #[must_use]
    pub fn citation(&self) -> Option<&Citation> {
        if let Reason::NotPermitted(Some(near)) = &self.reason {
            return Some(&near.citation);
        }
        let mut cited = self.decision.citations.iter();
        let clause = cited.clone().find(|c| matches!(c.ground, Ground::Clause { .. }));
        clause.or_else(|| cited.next()).map(|citation| &**citation)
    }

    /// One word for the reason, as the ledger and the metrics write it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.reason.code()
    }
}

impl Reason {
    /// One word for the reason, as the ledger and the metrics write it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPurpose => "no-purpose",
            Self::PurposeNotOfToken => "purpose-not-of-token",
            Self::UnknownPurpose => "unknown-purpose",
            Self::NotForCaller => "not-for-caller",
            Self::NoNotice => "no-notice",
            Self::Forbidden => "forbidden",
            Self::NotPermitted(_) => "not-permitted",
            Self::Undecidable(_) => "undecidable",
        }
    }
}

/// One or two sentences for the caller: what refuses, in whose words, and what would help.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let purpose = self.question.purpose.as_ref().map_or("", |purpose| purpose.as_str());
        match &self.reason {
            Reason::NoPurpose => f.write_str(
                "No purpose was given. Say why in a `Noticegate-Purpose` header or a `purpose` \
                 query parameter.",
            ),
            Reason::PurposeNotOfToken => {
                write!(f, "Your token was issued for another purpose than `{purpose}`.")
            }
            Reason::UnknownPurpose => {
                write!(f, "The purpose `{purpose}` is not in the organisation's list of purposes.")
            }
            // What the caller may not know of is not described to them.
            Reason::NotForCaller => f.write_str("The requested resource was not found"),
            Reason::NoNotice => f.write_str(
                "No privacy notice was in force when this recording was made, so nothing was \
                 promised about its use and nothing is permitted.",
            ),
            Reason::Forbidden => self.write_forbidden(f, purpose),
            Reason::NotPermitted(near) => {
                write_not_permitted(f, near.as_ref(), self.question.action, purpose)
            }
            Reason::Undecidable(why) => {
                write!(f, "This cannot be decided at the moment, so it is refused: {why}.")
            }
        }
    }
}

impl Refusal {
    fn write_forbidden(&self, f: &mut fmt::Formatter<'_>, purpose: &str) -> fmt::Result {
        match self.citation().map(|citation| &citation.ground) {
            Some(Ground::Clause { quote, notice, .. }) => {
                write!(
                    f,
                    "The privacy notice {notice} does not allow `{}` for `{purpose}` here: \
                     \"{quote}\"",
                    self.question.action.as_str()
                )?;
                match &self.because {
                    Some(said) => write!(f, " {said}."),
                    None => Ok(()),
                }
            }
            Some(Ground::Guardrail { reason }) => {
                write!(f, "A standing rule refuses this: {reason}.")
            }
            None => f.write_str("A standing rule refuses this."),
        }
    }
}

fn write_not_permitted(
    f: &mut fmt::Formatter<'_>,
    near: Option<&Near>,
    action: Action,
    purpose: &str,
) -> fmt::Result {
    let to_do = match action {
        Action::Access => "use",
        Action::Describe => "see what is known of",
        Action::Share => "share",
        Action::Delete => "delete",
    };
    let Some(Near { citation, gap }) = near else {
        return write!(
            f,
            "No sentence of the privacy notice allows your role to {to_do} recordings for \
             `{purpose}`."
        );
    };
    let Ground::Clause { quote, notice, .. } = &citation.ground else {
        return f.write_str("No sentence of the privacy notice allows this.");
    };
    let gap = match gap {
        Gap::Conditions(unmet) if !unmet.is_empty() => format!("but {}", unmet.join("; and ")),
        Gap::Conditions(_) => "and a condition of it is not met".to_owned(),
        Gap::Role => "and your role is not one of those it means".to_owned(),
        Gap::Purpose => "which is another purpose".to_owned(),
    };
    write!(
        f,
        "The privacy notice {notice} does not allow your role to {to_do} this recording for \
         `{purpose}`. The nearest it says is \"{quote}\", {gap}."
    )
}
