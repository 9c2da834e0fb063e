//! What a change of the policies changes, in plain sentences.
//!
//! Nothing is read off the clauses: each use is decided on both sides, at its best and with one
//! thing missing at a time, so that what is told is what would happen, prohibitions and guardrails
//! included.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::slice::Filed;
use super::terms::Condition;
use super::trial::{bare_facts, caller, circumstances, media};
use super::{Policies, Question, Stated, Verdict};
use crate::facts::{Consent, Labels};
use crate::identity::Role;
use crate::media::{Action, Artefact, Direction};
use crate::notice::{
    Circumstance, ConsentForm, Effect, Need, NoticeVersion, Plain, Selectors, need_in_words,
};
use crate::purpose::Purpose;

/// One side of a comparison: policies, and a recording they are asked about.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The policies.
    pub policies: &'a Policies,
    /// When the recording was made, and from when on it is asked for.
    pub made: Timestamp,
}

/// What somebody loses or gains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Change {
    /// The role.
    pub role: String,
    /// True if something is lost.
    pub loses: bool,
    /// For which purpose.
    pub purpose: String,
    /// The change in one sentence.
    pub sentence: String,
}

/// A use of recordings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    role: String,
    purpose: Purpose,
    recipient: Option<String>,
    action: Action,
    artefact: Artefact,
}

/// How far a use is permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reach {
    /// The seconds after which it ends, with their name; `None` if it does not.
    until: Option<(i64, String)>,
    /// What it needs.
    needs: BTreeSet<String>,
    /// The kinds of calls, and of not knowing their kind, for which it is permitted.
    calls: BTreeSet<String>,
}

/// What changes from one side to the other, by role and purpose.
#[must_use]
pub fn compare(old: Side<'_>, new: Side<'_>) -> Vec<Change> {
    let mut ends = old.ends();
    ends.extend(new.ends());
    let (mut before, mut after) = (old.reaches(&ends), new.reaches(&ends));
    // What is told alike of several actions and artefacts is told once.
    let mut told: BTreeMap<(String, bool, Purpose, String), Vec<String>> = BTreeMap::new();
    let uses: BTreeSet<Use> = before.keys().chain(after.keys()).cloned().collect();
    for of in uses {
        let what = format!("{} {}", of.action.as_str(), of.artefact.as_str());
        for (loses, said) in differences(before.remove(&of), after.remove(&of)) {
            let plain = Plain(new.policies.vocabulary());
            let to = of.recipient.as_ref().map(|id| format!(", to {}", plain.recipient(id)));
            let said = format!("{}{said}", to.unwrap_or_default());
            let key = (of.role.clone(), loses, of.purpose.clone(), said);
            told.entry(key).or_default().push(what.clone());
        }
    }
    let change =
        |((role, loses, purpose, said), what): ((String, bool, Purpose, String), Vec<String>)| {
            let plain = Plain(new.policies.vocabulary());
            let word = if loses { "lose" } else { "gain" };
            let sentence = format!(
                "{} {word}: {}{said} ({})",
                plain.role(&role),
                plain.purpose(&purpose),
                what.join(", ")
            );
            Change { role, loses, purpose: purpose.to_string(), sentence }
        };
    told.into_iter().map(change).collect()
}

/// The differences of one use: whether each is a loss, and what is said of it.
fn differences(before: Option<Reach>, after: Option<Reach>) -> Vec<(bool, String)> {
    let (before, after) = match (before, after) {
        (None, None) => return Vec::new(),
        (Some(_), None) => return vec![(true, String::new())],
        (None, Some(reach)) => {
            let until = reach.until.map(|(_, name)| format!(", until {name} after the call"));
            let needs = reach.needs.iter().cloned().collect::<Vec<_>>().join(" and ");
            let needs = if needs.is_empty() { needs } else { format!(", if {needs}") };
            return vec![(false, format!("{}{needs}", until.unwrap_or_default()))];
        }
        (Some(before), Some(after)) => (before, after),
    };
    let mut found = Vec::new();
    match (&before.until, &after.until) {
        (None, Some((_, name))) => found.push((true, format!(" after {name} (until now, no end)"))),
        (Some((_, name)), None) => found.push((false, format!(" after {name}, with no end"))),
        (Some((a, from)), Some((b, to))) if a > b => {
            found.push((true, format!(" after {to} (until now, after {from})")));
        }
        (Some((a, from)), Some((b, to))) if a < b => {
            found.push((false, format!(" until {to} (until now, {from})")));
        }
        _ => {}
    }
    for need in after.needs.difference(&before.needs) {
        found.push((true, format!(" unless {need}")));
    }
    for need in before.needs.difference(&after.needs) {
        found.push((false, format!(" also where it is not known that {need}")));
    }
    for calls in before.calls.difference(&after.calls) {
        found.push((true, format!(" of {calls}")));
    }
    for calls in after.calls.difference(&before.calls) {
        found.push((false, format!(" of {calls}")));
    }
    found
}

impl Side<'_> {
    /// Every moment at which a period of some clause ends.
    fn ends(&self) -> BTreeMap<i64, String> {
        let notices = self.policies.notices().all().iter();
        let clauses = notices.flat_map(|notice| &notice.clauses);
        let periods = clauses.filter_map(|clause| match &clause.effect {
            Effect::Rule(rule) => rule.period,
            Effect::Inform { .. } | Effect::Undecided => None,
        });
        periods.map(|period| (i64::from(period.seconds()), period.to_string())).collect()
    }

    /// How far each use is permitted that is permitted at all.
    fn reaches(&self, ends: &BTreeMap<i64, String>) -> BTreeMap<Use, Reach> {
        let mut found = BTreeMap::new();
        let policies = self.policies;
        let governing = policies.notices.all().iter().rfind(|n| n.header.effective <= self.made);
        let Some(governing) = governing.map(|notice| notice.version.clone()) else {
            return found;
        };
        for role in policies.roles() {
            for purpose in policies.purposes() {
                for action in Action::ALL {
                    for of in self.uses(&governing, role, purpose, *action) {
                        if let Some(reach) = self.reach(&of, ends) {
                            found.insert(of, reach);
                        }
                    }
                }
            }
        }
        found
    }

    /// The artefacts and recipients that some permit for this names.
    fn uses(
        &self,
        notice: &NoticeVersion,
        role: &Role,
        purpose: &Purpose,
        action: Action,
    ) -> Vec<Use> {
        let key = Filed {
            notice: notice.clone(),
            action,
            purpose: purpose.clone(),
            roles: [role.clone()].into(),
        };
        let (mut artefacts, mut recipients) = (BTreeSet::new(), BTreeSet::new());
        for (permit, _) in self.policies.slices.index.filed(&key) {
            for condition in &permit.terms.when {
                match condition {
                    Condition::Artefacts(list) => artefacts.extend(list.iter().copied()),
                    Condition::Recipients(list) => recipients.extend(list.iter().cloned()),
                    _ => {}
                }
            }
        }
        let recipients: Vec<Option<String>> = match action {
            Action::Share => recipients.into_iter().map(Some).collect(),
            Action::Access | Action::Describe | Action::Delete => vec![None],
        };
        let each = artefacts.into_iter().flat_map(|artefact| {
            recipients.iter().map(move |recipient| Use {
                role: role.as_str().to_owned(),
                purpose: purpose.clone(),
                recipient: recipient.clone(),
                action,
                artefact,
            })
        });
        each.collect()
    }

    /// How far one use is permitted; `None` if it is not.
    fn reach(&self, of: &Use, ends: &BTreeMap<i64, String>) -> Option<Reach> {
        let best = self.best(of)?;
        let permits = |change: &dyn Fn(&mut Question)| {
            let mut question = best.clone();
            change(&mut question);
            self.permits(question)
        };
        let until = ends.iter().find(|(age, _)| {
            let age = SignedDuration::from_secs(**age);
            let later = self.made.checked_add(age).unwrap_or(Timestamp::MAX);
            !permits(&|question| question.now = later.max(question.now))
        });
        let mut needs = BTreeSet::new();
        if !permits(&|question| facts(question).consent = Consent::Unknown) {
            let form = !permits(&|question| {
                facts(question).register.consent_form = Some(ConsentForm::StayedOn);
            });
            let need = if form { Need::ExplicitConsent } else { Need::Consent };
            needs.insert(need_in_words(need).to_owned());
        }
        if !permits(&|question| facts(question).encrypted = false) {
            needs.insert(need_in_words(Need::Encrypted).to_owned());
        }
        for circumstance in Circumstance::ALL {
            let without = |question: &mut Question| {
                question.stated.circumstances.retain(|c| c != circumstance);
                facts(question).register.circumstances.retain(|c| c != circumstance);
            };
            if !permits(&without)
                && let Some(need) = Need::read(circumstance.as_str())
            {
                needs.insert(need_in_words(need).to_owned());
            }
        }
        let mut calls = BTreeSet::new();
        let vocabulary = self.policies.vocabulary();
        for direction in Direction::ALL {
            if permits(&|question| facts(question).direction = Some(*direction)) {
                calls.insert(format!("{} calls", direction.as_str()));
            }
        }
        if permits(&|question| facts(question).direction = None) {
            calls.insert("calls of unknown direction".to_owned());
        }
        type Set = fn(&mut Labels, Option<String>);
        let dimensions: [(&str, Vec<&String>, Set); 4] = [
            ("line", vocabulary.lines.keys().collect(), |l, id| l.line = id),
            ("department", vocabulary.departments.keys().collect(), |l, id| l.department = id),
            ("call type", vocabulary.call_types.keys().collect(), |l, id| l.call_type = id),
            ("label", vocabulary.labels.keys().collect(), |l, id| {
                l.labels = id.map(|id| vec![id]);
            }),
        ];
        for (name, ids, set) in dimensions {
            for id in ids {
                let with = |question: &mut Question| {
                    set(&mut facts(question).register.labels, Some(id.clone()));
                };
                if permits(&with) {
                    calls.insert(format!("calls of {name} `{id}`"));
                }
            }
            if permits(&|question| set(&mut facts(question).register.labels, None)) {
                calls.insert(format!("calls of unknown {name}"));
            }
        }
        Some(Reach { until: until.map(|(age, name)| (*age, name.clone())), needs, calls })
    }

    /// A question about this use that is permitted, as far as one can be found.
    fn best(&self, of: &Use) -> Option<Question> {
        let held = circumstances(false);
        let free: Vec<Circumstance> =
            held.iter().copied().filter(|c| *c != Circumstance::Hold).collect();
        let countries = self.policies.countries_named();
        let calls: Vec<_> = self.policies.calls(&Selectors::default()).collect();
        for (direction, labels) in calls {
            for country in &countries {
                for held in [&free, &held] {
                    let mut facts = bare_facts(self.made);
                    facts.artefact = of.artefact;
                    facts.direction = direction;
                    facts.consent = Consent::Given;
                    facts.encrypted = true;
                    facts.register.labels = labels.clone();
                    facts.register.consent_form = Some(ConsentForm::Wrote);
                    facts.register.circumstances.clone_from(held);
                    let question = Question {
                        caller: caller([Role::new(&of.role)]),
                        action: of.action,
                        media: media(of.action, &facts),
                        purpose: Some(of.purpose.clone()),
                        stated: Stated {
                            circumstances: circumstances(true),
                            recipient: of.recipient.clone(),
                            country: country.clone(),
                        },
                        facts: Arc::new(facts),
                        now: self.made.checked_add(SignedDuration::from_secs(1)).ok()?,
                    };
                    if self.permits(question.clone()) {
                        return Some(question);
                    }
                }
            }
        }
        None
    }

    fn permits(&self, question: Question) -> bool {
        matches!(self.policies.decide(question), Verdict::Permit(_))
    }
}

fn facts(question: &mut Question) -> &mut crate::facts::Facts {
    Arc::make_mut(&mut question.facts)
}
