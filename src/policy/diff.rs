//! What a change of the policies changes, in plain sentences.
//!
//! Nothing is read off the clauses: each use is decided on both sides, at its best and with one
//! thing missing at a time, so that what is told is what would happen, prohibitions and guardrails
//! included.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::bearing::{Bearing, Dimension};
use super::trial::Use;
use super::{Policies, Question, Verdict};
use crate::facts::{Consent, Facts, Labels};
use crate::media::{Action, Direction};
use crate::notice::{
    Circumstance, ConsentForm, Need, NoticeVersion, Plain, Selectors, need_in_words,
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
    /// What it turns on.
    pub turns_on: TurnsOn,
}

/// What a change turns on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnsOn {
    /// The use itself: it was or becomes possible.
    Use,
    /// When it ends.
    Period,
    /// What it needs.
    Need,
    /// Which calls it is about.
    Calls,
    /// Where a recipient is.
    Country,
    /// Who it is given to: until now, nobody was permitted to give it to them.
    Recipient,
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
    /// The kinds of calls, and of not knowing their kind, for which it is permitted.
    kinds: BTreeSet<String>,
    /// The countries of recipients to whom it may be given.
    countries: BTreeSet<String>,
}

/// What both sides are asked about.
struct Asked<'a> {
    /// What bears on the use: what it does not speak of makes no difference.
    bearing: Bearing,
    /// Every country that some clause names, none, and one that nobody names.
    countries: &'a BTreeSet<Option<String>>,
}

/// A code that ISO 3166-1 leaves to its users: no clause's country.
const ELSEWHERE: &str = "XZ";

/// What changes from one side to the other, by role and purpose.
#[must_use]
pub fn compare(old: Side<'_>, new: Side<'_>) -> Vec<Change> {
    let countries = |side: Side<'_>| side.policies.countries(&Selectors::default());
    let countries: BTreeSet<Option<String>> = countries(old)
        .into_iter()
        .chain(countries(new))
        .chain([Some(ELSEWHERE.to_owned())])
        .collect();
    let (old_uses, new_uses) = (old.uses(), new.uses());
    let (before, after) = (old.policies.sources(), new.policies.sources());
    // What else a decision rests on.
    let alike = before.guardrails == after.guardrails && before.vocabulary == after.vocabulary;
    // To whom something could be given until now.
    let mut given: BTreeMap<String, bool> = BTreeMap::new();
    let mut was_given = |to: &String| {
        let mut of_them = old_uses.iter().filter(|of| of.recipient.as_ref() == Some(to));
        let given = given.entry(to.clone());
        *given.or_insert_with(|| of_them.any(|of| old.best(of).is_some()))
    };
    // What is told alike of several actions and artefacts is told once.
    type Said = (String, bool, Purpose, String, TurnsOn);
    let mut told: BTreeMap<Said, Vec<String>> = BTreeMap::new();
    for of in old_uses.union(&new_uses) {
        let (old_bearing, new_bearing) = (old.bearing(of), new.bearing(of));
        if alike && old_bearing.is_as(&new_bearing) {
            continue;
        }
        let asked = Asked { bearing: old_bearing.and(new_bearing), countries: &countries };
        let reach = |side: Side<'_>, uses: &BTreeSet<Use>| {
            uses.contains(of).then(|| side.reach(of, &asked)).flatten()
        };
        let (before, after) = (reach(old, &old_uses), reach(new, &new_uses));
        let what = format!("{} {}", of.action.as_str(), of.artefact.as_str());
        for (loses, said, turns_on) in differences(before, after) {
            let plain = Plain(new.policies.vocabulary());
            let to = of.recipient.as_ref().map(|id| format!(", to {}", plain.recipient(id)));
            let said = format!("{}{said}", to.unwrap_or_default());
            let is_new = !loses && of.recipient.as_ref().is_some_and(|to| !was_given(to));
            let turns_on = if is_new { TurnsOn::Recipient } else { turns_on };
            let key = (of.role.clone(), loses, of.purpose.clone(), said, turns_on);
            told.entry(key).or_default().push(what.clone());
        }
    }
    let change = |((role, loses, purpose, said, turns_on), what): (Said, Vec<String>)| {
        let plain = Plain(new.policies.vocabulary());
        let word = if loses { "lose" } else { "gain" };
        let sentence = format!(
            "{} {word}: {}{said} ({})",
            plain.role(&role),
            plain.purpose(&purpose),
            what.join(", ")
        );
        Change { role, loses, purpose: purpose.to_string(), sentence, turns_on }
    };
    told.into_iter().map(change).collect()
}

/// The differences of one use: whether each is a loss, what is said of it, and what it turns on.
fn differences(before: Option<Reach>, after: Option<Reach>) -> Vec<(bool, String, TurnsOn)> {
    let (before, after) = match (before, after) {
        (None, None) => return Vec::new(),
        (Some(_), None) => return vec![(true, String::new(), TurnsOn::Use)],
        (None, Some(reach)) => {
            let until = reach.until.map(|(_, name)| format!(", until {name} after the call"));
            let needs = reach.needs.iter().cloned().collect::<Vec<_>>().join(" and ");
            let needs = if needs.is_empty() { needs } else { format!(", if {needs}") };
            return vec![(false, format!("{}{needs}", until.unwrap_or_default()), TurnsOn::Use)];
        }
        (Some(before), Some(after)) => (before, after),
    };
    let mut found = Vec::new();
    let of_period = |(loses, said): (bool, String)| (loses, said, TurnsOn::Period);
    found.extend(ending(before.until.as_ref(), after.until.as_ref(), "").map(of_period));
    // Told only where a hold makes a difference.
    if (&before.until, &after.until) != (&before.until_held, &after.until_held) {
        let held = (before.until_held.as_ref(), after.until_held.as_ref());
        found.extend(ending(held.0, held.1, " under a legal hold").map(of_period));
    }
    for need in after.needs.difference(&before.needs) {
        found.push((true, format!(" unless {need}"), TurnsOn::Need));
    }
    for need in before.needs.difference(&after.needs) {
        found.push((false, format!(" also where it is not known that {need}"), TurnsOn::Need));
    }
    for (loses, one, other) in [(true, &before, &after), (false, &after, &before)] {
        for kind in one.kinds.difference(&other.kinds) {
            found.push((loses, format!(" {kind}"), TurnsOn::Calls));
        }
        for country in one.countries.difference(&other.countries) {
            found.push((loses, format!(" {country}"), TurnsOn::Country));
        }
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

impl<'a> Side<'a> {
    /// The policies, asked about a recording made the second their latest notice took effect.
    #[must_use]
    pub fn latest(policies: &'a Policies) -> Option<Self> {
        let latest = policies.notices().all().last()?;
        Some(Self { policies, made: latest.header.effective })
    }
}

impl Side<'_> {
    /// The notice that governs the recording.
    fn governing(&self) -> Option<&NoticeVersion> {
        let mut all = self.policies.notices.all().iter();
        all.rfind(|notice| notice.header.effective <= self.made).map(|notice| &notice.version)
    }

    /// The uses of which some permit speaks.
    fn uses(&self) -> BTreeSet<Use> {
        let Some(governing) = self.governing() else { return BTreeSet::new() };
        let policies = self.policies;
        let each = policies.roles().iter().flat_map(|role| {
            policies.purposes().flat_map(|purpose| policies.uses(governing, role, purpose))
        });
        each.collect()
    }

    /// What bears on a use.
    fn bearing(&self, of: &Use) -> Bearing {
        self.policies.bearing(of, self.governing(), self.made)
    }

    /// The question at its best; `None` if even that is refused.
    fn best(&self, of: &Use) -> Option<Question> {
        // A second later, so that a notice that takes effect in between holds.
        let now = self.made.checked_add(SignedDuration::from_secs(1)).ok()?;
        self.policies.at_best(of, &Selectors::default(), self.made, now).ok()
    }

    /// How far one use is permitted; `None` if it is not.
    fn reach(&self, of: &Use, asked: &Asked<'_>) -> Option<Reach> {
        let best = self.best(of)?;
        let bearing = &asked.bearing;
        let permits = |change: &dyn Fn(&mut Question)| {
            let mut question = best.clone();
            change(&mut question);
            matches!(self.policies.decide(question), Verdict::Permit(_))
        };
        let end = |held: bool| {
            let ends = bearing.periods.iter().find(|(age, _)| {
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
        if bearing.needs(Need::Encrypted) && !permits(&|question| facts(question).encrypted = false)
        {
            needs.insert(need_in_words(Need::Encrypted).to_owned());
        }
        for circumstance in Circumstance::ALL {
            let without = |question: &mut Question| {
                question.stated.circumstances.retain(|c| c != circumstance);
                facts(question).register.circumstances.retain(|c| c != circumstance);
            };
            if let Some(need) = Need::read(circumstance.as_str())
                && bearing.needs(need)
                && !permits(&without)
            {
                needs.insert(need_in_words(need).to_owned());
            }
        }
        let mut kinds = BTreeSet::new();
        let vocabulary = self.policies.vocabulary();
        let told_by = |dimension| bearing.tells_by(dimension);
        for direction in Direction::ALL.iter().filter(|_| told_by(Dimension::Direction)) {
            if permits(&|question| facts(question).direction = Some(*direction)) {
                kinds.insert(format!("of {} calls", direction.as_str()));
            }
        }
        if told_by(Dimension::Direction) && permits(&|question| facts(question).direction = None) {
            kinds.insert("of calls of unknown direction".to_owned());
        }
        type Set = fn(&mut Labels, Option<String>);
        let dimensions: [(&str, Dimension, Vec<&String>, Set); 4] = [
            ("line", Dimension::Line, vocabulary.lines.keys().collect(), |l, id| l.line = id),
            (
                "department",
                Dimension::Department,
                vocabulary.departments.keys().collect(),
                |l, id| {
                    l.department = id;
                },
            ),
            ("call type", Dimension::CallType, vocabulary.call_types.keys().collect(), |l, id| {
                l.call_type = id;
            }),
            ("label", Dimension::Label, vocabulary.labels.keys().collect(), |l, id| {
                l.labels = id.map(|id| vec![id]);
            }),
        ];
        // A line that is known fills in what else is known of its calls.
        let any = dimensions.iter().any(|(_, dimension, ..)| told_by(*dimension));
        let makes_a_difference =
            |dimension| told_by(dimension) || (any && dimension == Dimension::Line);
        for (name, dimension, ids, set) in dimensions {
            if !makes_a_difference(dimension) {
                continue;
            }
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
        let mut countries = BTreeSet::new();
        for country in asked.countries.iter().filter(|_| of.action == Action::Share) {
            if permits(&|question| question.stated.country.clone_from(country)) {
                countries.insert(match country.as_deref() {
                    Some(ELSEWHERE) => "in any other country".to_owned(),
                    Some(code) => format!("in {code}"),
                    None => "in a country that is not known".to_owned(),
                });
            }
        }
        Some(Reach { until: end(false), until_held: end(true), needs, kinds, countries })
    }
}

fn facts(question: &mut Question) -> &mut Facts {
    Arc::make_mut(&mut question.facts)
}
