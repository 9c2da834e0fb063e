//! What a change of the policies changes, in plain sentences.
//!
//! Nothing is read off the clauses: each use is decided on both sides, at its best and with one
//! thing missing at a time, so that what is told is what would happen, prohibitions and guardrails
//! included.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::trial::Use;
use super::{Policies, Question, Verdict};
use crate::facts::{Consent, Facts, Labels};
use crate::media::{Action, Direction};
use crate::notice::{Circumstance, ConsentForm, Effect, Need, Plain, Selectors, need_in_words};
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

/// How far a use is permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reach {
    /// The seconds after which it ends, with their name; `None` if it does not.
    until: Option<(i64, String)>,
    /// The same under a legal hold.
    until_held: Option<(i64, String)>,
    /// What it needs.
    needs: BTreeSet<String>,
    /// The kinds of calls, and of not knowing their kind, for which it is permitted; and the
    /// countries of recipients.
    kinds: BTreeSet<String>,
}

/// What both sides are asked about.
struct Asked {
    /// Every moment at which a period of some clause ends.
    ends: BTreeMap<i64, String>,
    /// Every country that some clause names, none, and one that nobody names.
    countries: BTreeSet<Option<String>>,
}

/// A code that ISO 3166-1 leaves to its users: no clause's country.
const ELSEWHERE: &str = "XZ";

/// What changes from one side to the other, by role and purpose.
#[must_use]
pub fn compare(old: Side<'_>, new: Side<'_>) -> Vec<Change> {
    let countries = |side: Side<'_>| side.policies.countries(&Selectors::default());
    let asked = Asked {
        ends: old.ends().into_iter().chain(new.ends()).collect(),
        countries: countries(old)
            .into_iter()
            .chain(countries(new))
            .chain([Some(ELSEWHERE.to_owned())])
            .collect(),
    };
    let (mut before, mut after) = (old.reaches(&asked), new.reaches(&asked));
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
    found.extend(ending(before.until.as_ref(), after.until.as_ref(), ""));
    // Told only where a hold makes a difference.
    if (&before.until, &after.until) != (&before.until_held, &after.until_held) {
        let held = (before.until_held.as_ref(), after.until_held.as_ref());
        found.extend(ending(held.0, held.1, " under a legal hold"));
    }
    for need in after.needs.difference(&before.needs) {
        found.push((true, format!(" unless {need}")));
    }
    for need in before.needs.difference(&after.needs) {
        found.push((false, format!(" also where it is not known that {need}")));
    }
    for kind in before.kinds.difference(&after.kinds) {
        found.push((true, format!(" {kind}")));
    }
    for kind in after.kinds.difference(&before.kinds) {
        found.push((false, format!(" {kind}")));
    }
    found
}

/// What is said of an end that moved.
fn ending(
    before: Option<&(i64, String)>,
    after: Option<&(i64, String)>,
    held: &str,
) -> Option<(bool, String)> {
    match (before, after) {
        (None, Some((_, name))) => Some((true, format!("{held} after {name} (until now, no end)"))),
        (Some((_, name)), None) => Some((false, format!("{held} after {name}, with no end"))),
        (Some((a, from)), Some((b, to))) if a > b => {
            Some((true, format!("{held} after {to} (until now, after {from})")))
        }
        (Some((a, from)), Some((b, to))) if a < b => {
            Some((false, format!("{held} until {to} (until now, {from})")))
        }
        _ => None,
    }
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
    fn reaches(&self, asked: &Asked) -> BTreeMap<Use, Reach> {
        let mut found = BTreeMap::new();
        let policies = self.policies;
        let governing = policies.notices.all().iter().rfind(|n| n.header.effective <= self.made);
        let Some(governing) = governing.map(|notice| notice.version.clone()) else {
            return found;
        };
        for role in policies.roles() {
            for purpose in policies.purposes() {
                for of in policies.uses(&governing, role, purpose) {
                    if let Some(reach) = self.reach(&of, asked) {
                        found.insert(of, reach);
                    }
                }
            }
        }
        found
    }

    /// How far one use is permitted; `None` if it is not.
    fn reach(&self, of: &Use, asked: &Asked) -> Option<Reach> {
        // A second later, so that a notice that takes effect in between holds.
        let now = self.made.checked_add(SignedDuration::from_secs(1)).ok()?;
        let best = self.policies.at_best(of, &Selectors::default(), self.made, now).ok()?;
        let permits = |change: &dyn Fn(&mut Question)| {
            let mut question = best.clone();
            change(&mut question);
            matches!(self.policies.decide(question), Verdict::Permit(_))
        };
        let end = |held: bool| {
            let ends = asked.ends.iter().find(|(age, _)| {
                let age = SignedDuration::from_secs(**age);
                let later = self.made.checked_add(age).unwrap_or(Timestamp::MAX);
                !permits(&|question| {
                    question.now = later.max(question.now);
                    let known = &mut facts(question).register.circumstances;
                    if held && !known.contains(&Circumstance::Hold) {
                        known.push(Circumstance::Hold);
                    }
                })
            });
            ends.map(|(age, name)| (*age, name.clone()))
        };
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
        let mut kinds = BTreeSet::new();
        let vocabulary = self.policies.vocabulary();
        for direction in Direction::ALL {
            if permits(&|question| facts(question).direction = Some(*direction)) {
                kinds.insert(format!("of {} calls", direction.as_str()));
            }
        }
        if permits(&|question| facts(question).direction = None) {
            kinds.insert("of calls of unknown direction".to_owned());
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
                    kinds.insert(format!("of calls of {name} `{id}`"));
                }
            }
            if permits(&|question| set(&mut facts(question).register.labels, None)) {
                kinds.insert(format!("of calls of unknown {name}"));
            }
        }
        for country in asked.countries.iter().filter(|_| of.action == Action::Share) {
            if permits(&|question| question.stated.country.clone_from(country)) {
                kinds.insert(match country.as_deref() {
                    Some(ELSEWHERE) => "in any other country".to_owned(),
                    Some(code) => format!("in {code}"),
                    None => "in a country that is not known".to_owned(),
                });
            }
        }
        Some(Reach { until: end(false), until_held: end(true), needs, kinds })
    }
}

fn facts(question: &mut Question) -> &mut Facts {
    Arc::make_mut(&mut question.facts)
}
