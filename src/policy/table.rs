//! `decisions.out`: what the notices permit, as a table that a lawyer can read.
//!
//! For each notice and each use of which one of its permits speaks: what is decided for a recording
//! made when the notice took effect, by consent, at every age at which something can change; once
//! with nothing else known, once at its best, once at its best under a legal hold. The table is
//! golden: a change of it is a change of what is permitted.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::trial::{Use, bare_facts};
use super::{Citation, DerivedFile, Ground, Policies, Question, Reason, Stated, Verdict};
use crate::facts::Consent;
use crate::notice::{Circumstance, Effect, Notice, Selectors};

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
             # By consent, and:\n\
             #   nothing known  of the call, and the request states nothing\n\
             #   at best        it is a call that the clauses allow, to a country that they \
             allow, and all\n\
             #                  that a clause can ask for is so, but for a legal hold if it can \
             do without\n\
             #   under a hold   the same, and a legal hold lies on the recording and names the caller\n",
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
                for of in self.uses(&notice.version, role, purpose) {
                    let lines = self.use_lines(notice, &of, &ages);
                    let to = of.recipient.as_ref().map(|id| format!(" to {id}"));
                    let name = format!(
                        "{} {}{}",
                        of.action.as_str(),
                        of.artefact.as_str(),
                        to.unwrap_or_default()
                    );
                    match groups.iter_mut().find(|(_, known)| *known == lines) {
                        _ if lines.is_empty() => {}
                        Some((names, _)) => names.push(name),
                        None => groups.push((vec![name], lines)),
                    }
                }
                for (names, lines) in groups {
                    let names = names.join(", ");
                    let _ = write!(out, "\n  {role} | {purpose} | {names}\n{lines}");
                }
            }
        }
        let _ = writeln!(out, "\n  every other use: refused");
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

    /// The lines of one use; empty if it is not permitted even at its best.
    fn use_lines(&self, notice: &Notice, of: &Use, ages: &[(String, i64)]) -> String {
        let made = notice.header.effective;
        let Ok(best) = self.at_best(of, &Selectors::default(), made, made) else {
            return String::new();
        };
        let mut held = best.clone();
        let register = &mut Arc::make_mut(&mut held.facts).register;
        if !register.circumstances.contains(&Circumstance::Hold) {
            register.circumstances.push(Circumstance::Hold);
        }
        if !held.stated.circumstances.contains(&Circumstance::HoldParty) {
            held.stated.circumstances.push(Circumstance::HoldParty);
        }
        let plain = of.question(bare_facts(made), Stated::default(), made);
        let rows = [("nothing known", plain), ("at best", best), ("under a hold", held)];
        let rows = rows.map(|(name, question)| {
            let by_consent = CONSENTS.map(|consent| {
                let cells = ages.iter().map(|(_, age)| self.cell(&question, consent, *age));
                (consent.as_str(), cells.collect::<Vec<String>>())
            });
            (name, alike(by_consent))
        });
        let mut out = String::new();
        let width = ages.iter().map(|(age, _)| age.len()).max().unwrap_or(0);
        for (names, by_consent) in alike(rows) {
            for (consents, cells) in by_consent {
                let consents = match consents.len() == CONSENTS.len() {
                    true => "whatever the consent".to_owned(),
                    false => consents.join(" / "),
                };
                let _ = writeln!(out, "    {} | {consents}", names.join(" / "));
                let mut before: Option<&String> = None;
                for ((age, _), cell) in ages.iter().zip(&cells) {
                    // An age at which the same is decided as at the one before is left out.
                    if before.replace(cell) != Some(cell) {
                        let _ = writeln!(out, "      {age:width$}  {cell}");
                    }
                }
            }
        }
        out
    }

    /// What is decided with this consent and at this age.
    fn cell(&self, question: &Question, consent: Consent, age: i64) -> String {
        let mut question = question.clone();
        let facts = Arc::make_mut(&mut question.facts);
        facts.consent = consent;
        facts.register.consent_form =
            facts.register.consent_form.filter(|_| consent == Consent::Given);
        let later = facts.started_at.checked_add(SignedDuration::from_secs(age));
        question.now = later.unwrap_or(Timestamp::MAX);
        word(&self.decide(question))
    }
}

/// Puts what is alike under its names together.
fn alike<T: PartialEq>(
    rows: impl IntoIterator<Item = (&'static str, T)>,
) -> Vec<(Vec<&'static str>, T)> {
    let mut found: Vec<(Vec<&'static str>, T)> = Vec::new();
    for (name, row) in rows {
        match found.iter_mut().find(|(_, known)| *known == row) {
            Some((names, _)) => names.push(name),
            None => found.push((vec![name], row)),
        }
    }
    found
}

/// A decision in one word and its clauses.
fn word(verdict: &Verdict) -> String {
    let names = |citations: &[Arc<Citation>]| {
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

fn name(citation: &Citation) -> String {
    match &citation.ground {
        Ground::Clause { clause, notice, .. } => format!("{notice}/{clause}"),
        Ground::Guardrail { .. } => citation.policy.clone(),
    }
}
