//! `decisions.out`: what the notices permit, as a table that a lawyer can read.
//!
//! For each notice, role, purpose and action: what is decided for a recording made when the notice
//! took effect, by consent, at every age at which some period ends. Uses that nobody has are left
//! out and counted. The table is golden: a change of it is a change of what is permitted.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::slice::Filed;
use super::terms::Condition;
use super::trial::{bare_facts, caller, media};
use super::{DerivedFile, Ground, Policies, Question, Reason, Stated, Verdict};
use crate::facts::{Consent, Labels, Register};
use crate::identity::Role;
use crate::media::{Action, Artefact};
use crate::notice::{Circumstance, Effect, Notice};
use crate::purpose::Purpose;

/// The states that are shown; the others are refused by the guardrails or count as unknown.
const CONSENTS: [Consent; 3] = [Consent::Given, Consent::Unknown, Consent::Withdrawn];

impl Policies {
    /// The table of decisions.
    #[must_use]
    pub fn table(&self) -> DerivedFile {
        let mut out = String::from(
            "# Who may do what, until when, and the clause that decides.\n\
             # Derived by `noticegate derive`; a change of this file is a change of what is \
             permitted.\n#\n\
             # For each notice: recordings made the second it took effect, at each age at which \
             something changes.\n\
             #   +  permitted by these clauses\n\
             #   -  refused by these clauses and guardrails\n\
             #   .  refused because no clause permits it (and the one that comes nearest)\n\
             # By consent. Nothing else is known of the call and the request states nothing, but \
             for \"with all\":\n\
             # there, every circumstance holds that a clause can ask for, a legal hold among them.\n",
        );
        for notice in self.notices.all() {
            self.notice_table(notice, &mut out);
        }
        DerivedFile { path: "decisions.out".to_owned(), text: out }
    }

    fn notice_table(&self, notice: &Notice, out: &mut String) {
        let ages = self.ages(notice);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\nnotice {} (from {})", notice.version, notice.header.effective);
        for role in &self.roles {
            for purpose in self.purposes() {
                // What is decided alike shares one heading.
                let mut groups: Vec<(Vec<String>, String)> = Vec::new();
                for action in Action::ALL {
                    let (artefacts, recipients) = self.reach(notice, role, purpose, *action);
                    for artefact in artefacts {
                        let of = Use { notice, role, purpose, action: *action, artefact };
                        let lines = self.use_lines(&of, &recipients, &ages);
                        let name = format!("{} {}", action.as_str(), artefact.as_str());
                        match groups.iter_mut().find(|(_, known)| *known == lines) {
                            _ if lines.is_empty() => {}
                            Some((names, _)) => names.push(name),
                            None => groups.push((vec![name], lines)),
                        }
                    }
                }
                for (names, lines) in groups {
                    let names = names.join(", ");
                    let _ = write!(out, "\n  {role} | {purpose} | {names}\n{lines}");
                }
            }
        }
        let _ = writeln!(out, "\n  every other use: refused, whatever holds");
    }

    /// The artefacts and recipients that some permit for this names.
    fn reach(
        &self,
        notice: &Notice,
        role: &Role,
        purpose: &Purpose,
        action: Action,
    ) -> (BTreeSet<Artefact>, Vec<Option<String>>) {
        let key = Filed {
            notice: notice.version.clone(),
            action,
            purpose: purpose.clone(),
            roles: [role.clone()].into(),
        };
        let (mut artefacts, mut recipients) = (BTreeSet::new(), BTreeSet::new());
        for (permit, _) in self.slices.index.filed(&key) {
            for condition in &permit.terms.when {
                match condition {
                    Condition::Artefacts(list) => artefacts.extend(list.iter().copied()),
                    Condition::Recipients(list) => recipients.extend(list.iter().cloned()),
                    _ => {}
                }
            }
        }
        let recipients = match action {
            Action::Share => recipients.into_iter().map(Some).collect(),
            Action::Access | Action::Describe | Action::Delete => vec![None],
        };
        (artefacts, recipients)
    }

    /// The ages at which something can change: at first, when a period of this notice or of a
    /// later one ends, and when a later one takes effect.
    fn ages(&self, notice: &Notice) -> Vec<(String, i64)> {
        let from = notice.header.effective;
        let since = self.notices.all().iter().filter(|later| later.header.effective >= from);
        let mut ages = BTreeSet::from([(0, "at first".to_owned())]);
        for later in since {
            let age = later.header.effective.duration_since(from).as_secs();
            if age > 0 {
                ages.insert((age, format!("once notice {} holds", later.version)));
            }
            ages.extend(later.clauses.iter().filter_map(|clause| match &clause.effect {
                Effect::Rule(rule) => {
                    let period = rule.period?;
                    Some((i64::from(period.seconds()), format!("from {period} on")))
                }
                Effect::Inform { .. } | Effect::Undecided => None,
            }));
        }
        ages.into_iter().map(|(age, name)| (name, age)).collect()
    }

    /// The lines of one use; empty if it is never permitted.
    fn use_lines(
        &self,
        of: &Use<'_>,
        recipients: &[Option<String>],
        ages: &[(String, i64)],
    ) -> String {
        let mut rows: Vec<(String, Vec<String>, bool)> = Vec::new();
        for recipient in recipients {
            let to = recipient.as_ref().map(|id| format!(" to {id}")).unwrap_or_default();
            let mut of_consent = Vec::new();
            for (with_all, note) in [(false, ""), (true, ", with all")] {
                for consent in CONSENTS {
                    let cells = ages
                        .iter()
                        .map(|(_, age)| self.cell(of, recipient.as_ref(), consent, with_all, *age));
                    let label = format!("{}{note}", consent.as_str());
                    of_consent.push((label, cells.collect::<Vec<String>>()));
                }
            }
            for (label, cells) in merge(of_consent) {
                let permitted = cells.iter().any(|cell| cell.starts_with('+'));
                rows.push((format!("{to} | {label}"), cells, permitted));
            }
            // What is shared with nobody says nothing about this recipient.
            let useful =
                rows.iter().any(|(name, _, on)| *on && name.starts_with(&format!("{to} |")));
            if !useful {
                rows.retain(|(name, ..)| !name.starts_with(&format!("{to} |")));
            }
        }
        if !rows.iter().any(|(.., permitted)| *permitted) {
            return String::new();
        }
        let mut out = String::new();
        let width = ages.iter().map(|(age, _)| age.len()).max().unwrap_or(0);
        for (name, cells, _) in rows {
            let _ = writeln!(out, "    {}", name.trim_start_matches(" | ").trim());
            let mut before: Option<&String> = None;
            for ((age, _), cell) in ages.iter().zip(&cells) {
                // An age at which the same is decided as at the one before is left out.
                if before.replace(cell) != Some(cell) {
                    let _ = writeln!(out, "      {age:width$}  {cell}");
                }
            }
        }
        out
    }

    fn cell(
        &self,
        of: &Use<'_>,
        recipient: Option<&String>,
        consent: Consent,
        with_all: bool,
        age: i64,
    ) -> String {
        let made = of.notice.header.effective;
        let mut facts = bare_facts(made);
        facts.consent = consent;
        facts.artefact = of.artefact;
        let held = |of_request: bool| -> Vec<Circumstance> {
            let all = Circumstance::ALL.iter().copied().filter(|_| with_all);
            all.filter(|circumstance| circumstance.is_of_request() == of_request).collect()
        };
        if with_all {
            facts.encrypted = true;
            facts.register = Register {
                consent_form: (consent == Consent::Given)
                    .then_some(crate::notice::ConsentForm::Wrote),
                circumstances: held(false),
                labels: Labels { labels: Some(Vec::new()), ..Labels::default() },
                ..Register::default()
            };
        }
        let now = made.checked_add(SignedDuration::from_secs(age)).unwrap_or(Timestamp::MAX);
        let stated =
            Stated { circumstances: held(true), recipient: recipient.cloned(), country: None };
        let question = Question {
            caller: caller([of.role.clone()]),
            action: of.action,
            media: media(of.action, &facts),
            purpose: Some(of.purpose.clone()),
            stated,
            facts: Arc::new(facts),
            now,
        };
        word(&self.decide(question))
    }
}

struct Use<'a> {
    notice: &'a Notice,
    role: &'a Role,
    purpose: &'a Purpose,
    action: Action,
    artefact: Artefact,
}

/// A decision in one word and its clauses.
fn word(verdict: &Verdict) -> String {
    let names = |citations: &[Arc<super::Citation>]| {
        let names: BTreeSet<String> = citations.iter().map(|citation| name(citation)).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    match verdict {
        Verdict::Permit(permit) => format!("+ {}", names(&permit.decision().citations)),
        Verdict::Refuse(refusal) => match &refusal.reason {
            Reason::Forbidden => format!("- {}", names(&refusal.decision.citations)),
            Reason::NotPermitted(Some(near)) => format!(". ({})", name(&near.citation)),
            other => format!(". {}", other.code()),
        },
    }
}

fn name(citation: &super::Citation) -> String {
    match &citation.ground {
        Ground::Clause { clause, notice, .. } => format!("{notice}/{clause}"),
        Ground::Guardrail { .. } => citation.policy.clone(),
    }
}

/// Consents for which the same is decided share a row.
fn merge(rows: Vec<(String, Vec<String>)>) -> Vec<(String, Vec<String>)> {
    let mut merged: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    let all = rows.len();
    for (label, cells) in rows {
        match merged.iter_mut().find(|(_, known)| *known == cells) {
            Some((labels, _)) => labels.push(label),
            None => merged.push((vec![label], cells)),
        }
    }
    let said = |labels: Vec<String>| match labels.len() == all {
        true => "whatever the consent".to_owned(),
        false => labels.join(" / "),
    };
    merged.into_iter().map(|(labels, cells)| (said(labels), cells)).collect()
}
