//! Trying uses at their best: with every consent and circumstance there can be, on whatever call
//! will do.
//!
//! A permit whose use is refused even then, for a recording made the moment its notice took effect,
//! is dead: a prohibition contradicts it, or a guardrail makes the sentence untrue. The table of
//! decisions and the comparison of policies start from the same question.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::condition::Condition;
use super::draft::file;
use super::slice::Filed;
use super::{Citation, Ground, Policies, Question, Reason, Stated, Verdict};
use crate::facts::{Consent, Facts, Labels, Register};
use crate::identity::{Caller, Proof, Role};
use crate::media::{AccountSid, Action, Artefact, Direction, Form, MediaRef, MediaSid};
use crate::notice::{
    Circumstance, Clause, ConsentForm, Effect, Kind, Notice, NoticeVersion, Problem, Rule,
    Selectors,
};
use crate::purpose::Purpose;

/// LIMIT: calls tried for one use. An organisation with more kinds of calls than that would have
/// to be told about a dead permit by its own tests.
const CALLS_MAX: usize = 2_000;

/// A caller of these roles, for questions that nobody asks over the network.
pub(super) fn caller(roles: impl IntoIterator<Item = Role>) -> Arc<Caller> {
    let mut roles: Vec<Role> = roles.into_iter().collect();
    roles.sort_unstable();
    roles.dedup();
    Arc::new(Caller {
        id: "test|caller".to_owned(),
        roles: roles.into(),
        on_behalf_of: None,
        bound_purpose: None,
        default_purpose: None,
        proof: Proof {
            issuer: String::new(),
            key_id: None,
            token_id: None,
            expires_at: Timestamp::MAX,
        },
    })
}

/// Facts of a recording of which only its start is known.
pub(super) fn bare_facts(started_at: Timestamp) -> Facts {
    Facts::bare(AccountSid::ZERO, MediaSid::ZERO, started_at)
}

/// The reference that an action on a recording goes through.
pub(super) fn media(action: Action, facts: &Facts) -> MediaRef {
    let form = match action {
        Action::Describe => Form::Metadata,
        Action::Access | Action::Share | Action::Delete => Form::Wav,
    };
    MediaRef::recording(facts.account, facts.recording, form)
}

/// A use of recordings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Use {
    pub(super) role: String,
    pub(super) purpose: Purpose,
    pub(super) recipient: Option<String>,
    pub(super) action: Action,
    pub(super) artefact: Artefact,
}

impl Use {
    /// The question whether this may be done, now, with what is known and stated.
    pub(super) fn question(&self, facts: Facts, stated: Stated, now: Timestamp) -> Question {
        Question {
            caller: caller([Role::new(&self.role)]),
            action: self.action,
            media: media(self.action, &facts),
            purpose: Some(self.purpose.clone()),
            stated: Stated { recipient: self.recipient.clone(), ..stated },
            facts: Arc::new(Facts { artefact: self.artefact, ..facts }),
            now,
        }
    }
}

/// All uses of these actions, artefacts and recipients by a role for a purpose.
fn uses_of<'a>(
    role: &'a str,
    purpose: &'a Purpose,
    action: Action,
    artefacts: impl IntoIterator<Item = Artefact>,
    recipients: impl Iterator<Item = &'a String>,
) -> Vec<Use> {
    let recipients: Vec<Option<String>> = match action {
        Action::Share => recipients.cloned().map(Some).collect(),
        Action::Access | Action::Describe | Action::Delete => vec![None],
    };
    let each = artefacts.into_iter().flat_map(|artefact| {
        recipients.iter().map(move |recipient| Use {
            role: role.to_owned(),
            purpose: purpose.clone(),
            recipient: recipient.clone(),
            action,
            artefact,
        })
    });
    each.collect()
}

impl Policies {
    /// The uses by a role for a purpose of which some permit of a notice speaks, in order.
    pub(super) fn uses(&self, notice: &NoticeVersion, role: &Role, purpose: &Purpose) -> Vec<Use> {
        let mut found = Vec::new();
        for action in Action::ALL {
            let filed = Filed {
                notice: notice.clone(),
                action: *action,
                purpose: purpose.clone(),
                roles: [role.clone()].into(),
            };
            let (mut artefacts, mut recipients) = (BTreeSet::new(), BTreeSet::new());
            for (permit, _) in self.slices.index.filed(&filed) {
                for condition in &permit.terms.when {
                    match condition {
                        Condition::Artefacts(list) => artefacts.extend(list.iter().copied()),
                        Condition::Recipients(list) => recipients.extend(list),
                        _ => {}
                    }
                }
            }
            let recipients = recipients.into_iter();
            found.extend(uses_of(role.as_str(), purpose, *action, artefacts, recipients));
        }
        found
    }

    /// A question about this use that is permitted: every consent and circumstance there can be,
    /// without a legal hold and decrypted if that will do, on some call that `about` selects.
    ///
    /// # Errors
    /// What forbids it even then, if a clause or guardrail does.
    pub(super) fn at_best(
        &self,
        of: &Use,
        about: &Selectors,
        made: Timestamp,
        now: Timestamp,
    ) -> Result<Question, Option<Arc<Citation>>> {
        let without = |all: &[Circumstance], one| -> Vec<Circumstance> {
            all.iter().copied().filter(|circumstance| *circumstance != one).collect()
        };
        // That a card was recorded makes nothing better.
        let held = without(&circumstances(false), Circumstance::CardExposed);
        // A hold allows some uses and stops deletion, and what stays encrypted may be let out or
        // held back: both are tried of each. Without a hold, none names anybody.
        let free = without(&held, Circumstance::Hold);
        let sealed = circumstances(true);
        let open = without(&sealed, Circumstance::StillEncrypted);
        let [sealed_free, open_free] =
            [&sealed, &open].map(|stated| without(stated, Circumstance::HoldParty));
        let ways = [(&free, &open_free), (&held, &open), (&free, &sealed_free), (&held, &sealed)];
        let countries = match of.action {
            Action::Share => self.countries(about),
            Action::Access | Action::Describe | Action::Delete => vec![None],
        };
        let mut forbidden_by = None;
        for (direction, labels) in self.calls(about) {
            let tried = countries.iter().flat_map(|country| ways.map(|way| (country, way)));
            for (country, (circumstances_held, circumstances_stated)) in tried {
                let mut facts = bare_facts(made);
                facts.encrypted = true;
                facts.consent = Consent::Given;
                facts.direction = Some(direction);
                facts.register = Register {
                    labels: labels.clone(),
                    consent_form: Some(ConsentForm::Wrote),
                    circumstances: circumstances_held.clone(),
                    ..facts.register
                };
                let stated = Stated {
                    circumstances: circumstances_stated.clone(),
                    recipient: None,
                    country: country.clone(),
                };
                let question = of.question(facts, stated, now);
                match self.decide(question.clone()) {
                    Verdict::Permit(_) => return Ok(question),
                    // Another reason is the permit's own: it asks for a hold, say.
                    Verdict::Refuse(refusal) if refusal.reason == Reason::Forbidden => {
                        let first = refusal.decision.citations.into_iter().next();
                        forbidden_by = forbidden_by.or(first);
                    }
                    Verdict::Refuse(_) => {}
                }
            }
        }
        Err(forbidden_by)
    }

    /// The permits that can never permit, with what refuses them.
    pub(super) fn dead_permits(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for notice in self.notices.all() {
            let mut told = BTreeSet::new();
            for clause in &notice.clauses {
                let Effect::Rule(rule) = &clause.effect else { continue };
                if rule.kind != Kind::Permit {
                    continue;
                }
                for of in stated_uses(rule) {
                    let made = notice.header.effective;
                    let Err(Some(dead)) = self.at_best(&of, &rule.about, made, made) else {
                        continue;
                    };
                    if told.insert((clause.id.clone(), dead.policy.clone())) {
                        problems.push(contradiction(notice, clause, &of, &dead));
                    }
                }
            }
        }
        problems
    }

    /// The calls that selectors are about, as far as they differ in what can be selected.
    fn calls(&self, about: &Selectors) -> impl Iterator<Item = (Direction, Labels)> + use<> {
        let vocabulary = &self.vocabulary;
        let or_all = |list: &[String], all: Vec<String>| -> Vec<Option<String>> {
            match list.is_empty() {
                // One that the vocabulary does not have is not known.
                true => all.into_iter().map(Some).chain([None]).collect(),
                false => list.iter().cloned().map(Some).collect(),
            }
        };
        let directions = match about.directions.is_empty() {
            true => Direction::ALL.to_vec(),
            false => about.directions.clone(),
        };
        let call_types = or_all(&about.call_types, vocabulary.call_types.keys().cloned().collect());
        let departments =
            or_all(&about.departments, vocabulary.departments.keys().cloned().collect());
        let lines = or_all(&about.lines, vocabulary.lines.keys().cloned().collect());
        let labels: Vec<Vec<String>> = match about.labels.is_empty() {
            true => vec![Vec::new()],
            false => about.labels.iter().map(|label| vec![label.clone()]).collect(),
        };
        let sizes =
            [directions.len(), labels.len(), call_types.len(), departments.len(), lines.len()];
        let all = sizes.iter().fold(1usize, |all, size| all.saturating_mul(*size));
        // Made one by one: most uses are permitted on the first.
        (0..all.min(CALLS_MAX)).filter_map(move |number| {
            let mut rest = number;
            let mut pick = |size: usize| {
                let index = rest % size;
                rest /= size;
                index
            };
            let direction = directions.get(pick(directions.len())).copied()?;
            let labels = labels.get(pick(labels.len())).cloned();
            let call_type = call_types.get(pick(call_types.len())).cloned()?;
            let department = departments.get(pick(departments.len())).cloned()?;
            let line = lines.get(pick(lines.len())).cloned()?;
            Some((direction, Labels { line, department, call_type, labels }))
        })
    }

    /// The countries of selectors, else those that any clause names, and none.
    pub(super) fn countries(&self, about: &Selectors) -> Vec<Option<String>> {
        if !about.countries.is_empty() {
            return about.countries.iter().cloned().map(Some).collect();
        }
        let clauses = self.notices.all().iter().flat_map(|notice| &notice.clauses);
        let named = clauses.flat_map(|clause| match &clause.effect {
            Effect::Rule(rule) => {
                rule.about.countries.iter().chain(&rule.only.countries).cloned().collect()
            }
            Effect::Inform { .. } | Effect::Undecided => Vec::new(),
        });
        let named: BTreeSet<String> = named.collect();
        named.into_iter().map(Some).chain([None]).collect()
    }
}

/// The circumstances of a request, or those of a recording.
fn circumstances(of_request: bool) -> Vec<Circumstance> {
    let all = Circumstance::ALL.iter().copied();
    all.filter(|circumstance| circumstance.is_of_request() == of_request).collect()
}

/// Every use that a permit states.
fn stated_uses(rule: &Rule) -> Vec<Use> {
    let Selectors { actions, artefacts, purposes, recipients, .. } = &rule.about;
    let mut found = Vec::new();
    for role in &rule.roles {
        for purpose in purposes {
            for action in actions {
                let artefacts = artefacts.iter().copied();
                found.extend(uses_of(role, purpose, *action, artefacts, recipients.iter()));
            }
        }
    }
    found
}

fn contradiction(notice: &Notice, clause: &Clause, of: &Use, dead: &Citation) -> Problem {
    let to = of.recipient.as_ref().map(|id| format!(" to `{id}`")).unwrap_or_default();
    let message = format!(
        "clause `{}` permits `{}`{to} for `{}`, but that is always refused by `{}`",
        clause.id,
        of.action.as_str(),
        of.purpose,
        dead.policy
    );
    let problem = Problem::new(&file(notice, "clauses.toml"), Some(clause.line), message)
        .note(format!("`{}` says", clause.id), &clause.quote);
    match &dead.ground {
        Ground::Clause { clause, quote, .. } => {
            problem.note(format!("`{clause}` says"), quote).help(format!(
                "the sentences contradict each other: narrow one of them, or write an `except` in \
                 `{clause}`"
            ))
        }
        Ground::Guardrail { reason } => problem
            .note("the guardrail says", reason)
            .help("the notice promises what a guardrail never allows: change one of them"),
    }
}
