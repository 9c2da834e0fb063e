//! Clauses of one notice that contradict each other about periods.
//!
//! What a prohibition takes away from a permit is found by trying (`policy`); here are the cases
//! that a trial cannot tell from intent: two periods for the same recordings, a permission that
//! outlives them, and a change that came sooner than people were promised.

use super::clause::{Clause, Effect, Kind, Rule, Selectors};
use super::problem::Problem;
use super::vocabulary::Vocabulary;
use super::{Notice, Period};
use crate::purpose::Purpose;

/// Contradictions within a notice, and between it and the one before it.
#[must_use]
pub fn conflicts(
    file: &str,
    notice: &Notice,
    before: Option<&Notice>,
    vocabulary: &Vocabulary,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let rules: Vec<(&Clause, &Rule, Period)> = notice
        .clauses
        .iter()
        .filter_map(|clause| match &clause.effect {
            Effect::Rule(rule) => Some((clause, &**rule, rule.period?)),
            Effect::Inform { .. } | Effect::Undecided => None,
        })
        .collect();
    let keeps = || rules.iter().filter(|(_, rule, _)| rule.kind == Kind::Keep);
    for (short, a, shorter) in keeps() {
        for (long, b, longer) in &rules {
            if long.id == short.id || a.clock != b.clock || longer.seconds() <= shorter.seconds() {
                continue;
            }
            let lost = covers(&a.about, &b.about, vocabulary);
            let mut except = a.except.iter();
            let excepted = except.any(|e| {
                // What one period excepts may have another; a permission has to be within the
                // exception itself.
                let within = b.kind == Kind::Keep
                    || e.needs.iter().all(|need| b.needs.contains(need))
                        && (e.roles.is_empty() || b.roles.iter().all(|r| e.roles.contains(r)));
                covers(&e.about, &b.about, vocabulary) && within
            });
            if lost && !excepted {
                let problem = Problem::new(
                    file,
                    Some(long.line),
                    format!(
                        "`{}` speaks of {longer}, but `{}` ends the same use after {shorter}",
                        long.id, short.id
                    ),
                );
                problems.push(
                    problem
                        .note(format!("`{}` says", long.id), &long.quote)
                        .note(format!("`{}` says", short.id), &short.quote)
                        .help(format!(
                            "if the longer period is right where `{}` speaks of it, write \
                             `except = [{{ … }}]` with its selectors in `{}`; else shorten it",
                            long.id, short.id
                        )),
                );
            }
        }
    }
    problems.extend(before.and_then(|before| too_soon(file, notice, before)));
    problems
}

/// The notice before this one said how long before a change people are told.
fn too_soon(file: &str, notice: &Notice, before: &Notice) -> Option<Problem> {
    let (clause, period) = before.clauses.iter().find_map(|clause| match clause.effect {
        Effect::Inform { notice_period: Some(period) } => Some((clause, period)),
        Effect::Inform { notice_period: None } | Effect::Rule(_) | Effect::Undecided => None,
    })?;
    let promised = format!("notice {} promised {period} before a change", before.version);
    let Some(announced) = notice.header.announced else {
        let message = format!("{promised}, and nothing says when people were told of this one");
        let problem = Problem::new(file, None, message).note("the promise", &clause.quote);
        return Some(problem.help("add `announced = \"…\"`, the day they were told"));
    };
    let effective = jiff::tz::TimeZone::UTC.to_datetime(notice.header.effective).date();
    let earliest = period.after(announced)?;
    (effective < earliest).then(|| {
        let message = format!(
            "{promised}, but this one was announced on {announced} and takes effect on {effective}"
        );
        Problem::new(file, None, message)
            .note("the promise", &clause.quote)
            .help(format!("let it take effect on {earliest} or later"))
    })
}

/// True if everything that `b` is about is in `a`, too.
fn covers(a: &Selectors, b: &Selectors, vocabulary: &Vocabulary) -> bool {
    fn within<T: PartialEq>(a: &[T], b: &[T]) -> bool {
        a.is_empty() || (!b.is_empty() && b.iter().all(|value| a.contains(value)))
    }
    let purposes = expand(&a.purposes, vocabulary);
    within(&a.actions, &b.actions)
        && within(&a.artefacts, &b.artefacts)
        && within(&purposes, &b.purposes)
        && within(&a.directions, &b.directions)
        && within(&a.lines, &b.lines)
        && within(&a.departments, &b.departments)
        && within(&a.call_types, &b.call_types)
        && within(&a.labels, &b.labels)
        && within(&a.recipients, &b.recipients)
        && within(&a.countries, &b.countries)
}

fn expand(purposes: &[Purpose], vocabulary: &Vocabulary) -> Vec<Purpose> {
    purposes.iter().flat_map(|purpose| vocabulary.covered_by(purpose)).collect()
}
