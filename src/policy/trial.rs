//! Trying permits at their best: one that is refused even then is dead.
//!
//! Each use that a permit grants is decided for a recording made the moment its notice took effect,
//! with every consent and circumstance there can be, on whatever call the permit allows. If a
//! prohibition or guardrail still refuses, the two sentences contradict each other, or the
//! guardrail makes the sentence untrue.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::draft::file;
use super::{Ground, Policies, Question, Reason, Stated, Verdict};
use crate::facts::{Consent, Facts, Labels, Register};
use crate::identity::{Caller, Proof, Role};
use crate::media::{
    AccountSid, Action, Artefact, AudioFormat, Direction, Form, MediaRef, RecordingSid,
};
use crate::notice::{
    Circumstance, Clause, ConsentForm, Effect, Kind, Notice, Problem, Rule, Selectors,
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
    Facts::bare(AccountSid::ZERO, RecordingSid::ZERO, started_at)
}

/// The reference that an action on a recording goes through.
pub(super) fn media(action: Action, facts: &Facts) -> MediaRef {
    let form = match action {
        Action::Describe => Form::Metadata,
        Action::Access | Action::Share | Action::Delete => {
            Form::Audio { format: AudioFormat::Unnamed, channels: None }
        }
    };
    MediaRef { account: facts.account, recording: facts.recording, form }
}

impl Policies {
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
                for of in uses(rule) {
                    let Some(dead) = self.dead(notice, rule, &of) else { continue };
                    if told.insert((clause.id.clone(), dead.policy.clone())) {
                        problems.push(contradiction(notice, clause, &of, &dead));
                    }
                }
            }
        }
        problems
    }

    /// What refuses this use whatever the call.
    fn dead(&self, notice: &Notice, rule: &Rule, of: &Use<'_>) -> Option<Arc<super::Citation>> {
        let mut refused_by = None;
        let held = circumstances(false);
        // A hold allows some uses and stops deletion: both are tried.
        let free: Vec<Circumstance> =
            held.iter().copied().filter(|c| *c != Circumstance::Hold).collect();
        let countries = self.countries(notice, &rule.about);
        for (direction, labels) in self.calls(&rule.about) {
            let tried = countries.iter().flat_map(|country| [(country, &held), (country, &free)]);
            for (country, circumstances_held) in tried {
                let mut facts = bare_facts(notice.header.effective);
                facts.encrypted = true;
                facts.consent = Consent::Given;
                facts.direction = direction;
                facts.artefact = of.artefact;
                facts.register = Register {
                    labels: labels.clone(),
                    consent_form: Some(ConsentForm::Wrote),
                    circumstances: circumstances_held.clone(),
                    ..Register::default()
                };
                let question = Question {
                    caller: caller([Role::new(of.role)]),
                    action: of.action,
                    media: media(of.action, &facts),
                    purpose: Some(of.purpose.clone()),
                    stated: Stated {
                        circumstances: circumstances(true),
                        recipient: of.recipient.map(str::to_owned),
                        country: country.clone(),
                    },
                    facts: Arc::new(facts),
                    now: notice.header.effective,
                };
                match self.decide(question) {
                    Verdict::Permit(_) => return None,
                    // Another reason is the permit's own: it asks for a hold, say.
                    Verdict::Refuse(refusal) if refusal.reason == Reason::Forbidden => {
                        let first = refusal.decision.citations.into_iter().next();
                        refused_by = refused_by.or(first);
                    }
                    Verdict::Refuse(_) => {}
                }
            }
        }
        refused_by
    }

    /// The calls that a permit is about, as far as they differ in what can be selected.
    pub(super) fn calls(
        &self,
        about: &Selectors,
    ) -> impl Iterator<Item = (Option<Direction>, Labels)> + use<> {
        let vocabulary = &self.vocabulary;
        let or_all = |list: &[String], all: Vec<String>| -> Vec<Option<String>> {
            match list.is_empty() {
                // One that the vocabulary does not have is not known.
                true => all.into_iter().map(Some).chain([None]).collect(),
                false => list.iter().cloned().map(Some).collect(),
            }
        };
        let lines = or_all(&about.lines, vocabulary.lines.keys().cloned().collect());
        let departments =
            or_all(&about.departments, vocabulary.departments.keys().cloned().collect());
        let call_types = or_all(&about.call_types, vocabulary.call_types.keys().cloned().collect());
        let labels: Vec<Vec<String>> = match about.labels.is_empty() {
            true => vec![Vec::new()],
            false => about.labels.iter().map(|label| vec![label.clone()]).collect(),
        };
        let directions = match about.directions.is_empty() {
            true => Direction::ALL.to_vec(),
            false => about.directions.clone(),
        };
        let mut found = Vec::new();
        for direction in &directions {
            for line in &lines {
                for department in &departments {
                    for call_type in &call_types {
                        for labels in &labels {
                            found.push((
                                Some(*direction),
                                Labels {
                                    line: line.clone(),
                                    department: department.clone(),
                                    call_type: call_type.clone(),
                                    labels: Some(labels.clone()),
                                },
                            ));
                        }
                    }
                }
                if found.len() > CALLS_MAX {
                    break;
                }
            }
        }
        found.into_iter().take(CALLS_MAX)
    }

    /// The countries that a permit or any clause beside it names.
    fn countries(&self, notice: &Notice, about: &Selectors) -> Vec<Option<String>> {
        if !about.actions.contains(&Action::Share) {
            return vec![None];
        }
        if let Some(first) = about.countries.first() {
            return vec![Some(first.clone())];
        }
        named(std::iter::once(notice))
    }

    /// The countries that any clause names, and none.
    pub(super) fn countries_named(&self) -> Vec<Option<String>> {
        named(self.notices.all().iter())
    }
}

fn named<'a>(notices: impl Iterator<Item = &'a Notice>) -> Vec<Option<String>> {
    let clauses = notices.flat_map(|notice| &notice.clauses);
    let named = clauses.flat_map(|clause| match &clause.effect {
        Effect::Rule(rule) => {
            rule.about.countries.iter().chain(&rule.only.countries).cloned().collect()
        }
        Effect::Inform { .. } | Effect::Undecided => Vec::new(),
    });
    let named: BTreeSet<String> = named.collect();
    named.into_iter().map(Some).chain([None]).collect()
}

pub(super) fn circumstances(of_request: bool) -> Vec<Circumstance> {
    let all = Circumstance::ALL.iter().copied();
    all.filter(|circumstance| circumstance.is_of_request() == of_request).collect()
}

/// A use that a permit states.
struct Use<'a> {
    role: &'a str,
    purpose: &'a Purpose,
    action: Action,
    artefact: Artefact,
    recipient: Option<&'a str>,
}

/// Every use that a permit states.
fn uses(rule: &Rule) -> Vec<Use<'_>> {
    let Selectors { actions, artefacts, purposes, recipients, .. } = &rule.about;
    let mut found = Vec::new();
    for role in &rule.roles {
        for purpose in purposes {
            for action in actions {
                let to: Vec<Option<&str>> = match action {
                    Action::Share => recipients.iter().map(|id| Some(id.as_str())).collect(),
                    Action::Access | Action::Describe | Action::Delete => vec![None],
                };
                for artefact in artefacts {
                    found.extend(to.iter().map(|recipient| Use {
                        role,
                        purpose,
                        action: *action,
                        artefact: *artefact,
                        recipient: *recipient,
                    }));
                }
            }
        }
    }
    found
}

fn contradiction(
    notice: &Notice,
    clause: &Clause,
    of: &Use<'_>,
    dead: &super::Citation,
) -> Problem {
    let to = of.recipient.map(|id| format!(" to `{id}`")).unwrap_or_default();
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
