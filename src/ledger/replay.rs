//! What a draft of the policies would have decided: past decisions, made again.

use std::collections::BTreeMap;

use super::index::{Field, Filter, Order, Query};
use super::recall::{RecallError, Recalled, recall};
use super::review::{Review, ReviewError};
use super::store::Stored;
use crate::policy::{Decision, Ground, Policies, Reason};

/// How many decisions are read at once.
const STEP: usize = 8_192;

/// LIMIT: examples of each kind of change.
const EXAMPLES_MAX: usize = 5;

/// How a decision would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// It was permitted and would be refused.
    Lost,
    /// It was refused and would be permitted.
    Gained,
}

/// What somebody in some role wanted for some purpose, and which clause speaks in the draft.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// How it would change.
    pub shift: Shift,
    /// The clause or guardrail by which the draft decides, or the word for its reason.
    pub by: String,
    /// The caller's roles.
    pub roles: String,
    /// The purpose; empty if none was named.
    pub purpose: String,
}

/// What a replay found.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Decisions that were made again.
    pub decisions: u64,
    /// Those that would be the same.
    pub same: u64,
    /// Refusals that could not be made again: nobody was proven, or there were no facts.
    pub undecided: u64,
    /// What would change, and how often.
    pub groups: BTreeMap<Group, u64>,
    /// The places of a few entries of each kind of change.
    pub examples: BTreeMap<Shift, Vec<u64>>,
}

/// Makes every decision that a query finds again, by these policies.
///
/// # Errors
/// [`ReviewError`] if the ledger cannot be read.
pub fn replay(
    review: &mut Review,
    query: &Query,
    policies: &Policies,
    mut progress: impl FnMut(u64),
) -> Result<Replayed, ReviewError> {
    let decided = ["permit", "refuse"].map(str::to_owned).to_vec();
    let mut query = query.clone();
    query.all.push(Filter { field: Field::Decision, any: decided, not: false });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut replayed = Replayed::default();
    let mut after = None;
    loop {
        let page = review.index().find(&query, after, STEP, Order::OldestFirst)?;
        let entries = review.stored(&page.seqs)?;
        let share = entries.len().div_ceil(threads).max(1);
        let parts: Vec<Replayed> = std::thread::scope(|scope| {
            let judge = |part| scope.spawn(move || judge_all(part, policies));
            let threads: Vec<_> = entries.chunks(share).map(judge).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        parts.into_iter().for_each(|part| replayed.add(part));
        progress(replayed.decisions + replayed.undecided);
        after = page.next;
        if after.is_none() {
            return Ok(replayed);
        }
    }
}

fn judge_all(entries: &[Stored], policies: &Policies) -> Replayed {
    let mut replayed = Replayed::default();
    for stored in entries {
        match recall(&stored.bytes) {
            Ok(recalled) => {
                let (decision, answer) = policies.judge(&recalled.question);
                replayed.count(stored.seq, &recalled, &decision, &answer);
            }
            Err(RecallError::NoDecision | RecallError::Undecided | RecallError::Unknown) => {
                replayed.undecided += 1;
            }
        }
    }
    replayed
}

impl Replayed {
    fn count(
        &mut self,
        seq: u64,
        recalled: &Recalled,
        decision: &Decision,
        answer: &Result<(), Reason>,
    ) {
        self.decisions += 1;
        let shift = match (recalled.permitted, answer.is_ok()) {
            (true, false) => Shift::Lost,
            (false, true) => Shift::Gained,
            _ => {
                self.same += 1;
                return;
            }
        };
        let cited = decision.citations.first().map(|citation| match &citation.ground {
            Ground::Clause { clause, notice, .. } => format!("{clause} of {notice}"),
            Ground::Guardrail { .. } => citation.policy.clone(),
        });
        let reason = || answer.as_ref().err().map_or("", Reason::code).to_owned();
        let roles: Vec<&str> = recalled.question.caller.roles.iter().map(|r| r.as_str()).collect();
        let group = Group {
            shift,
            by: cited.unwrap_or_else(reason),
            roles: roles.join(", "),
            purpose: recalled
                .question
                .purpose
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        };
        *self.groups.entry(group).or_default() += 1;
        let examples = self.examples.entry(shift).or_default();
        if examples.len() < EXAMPLES_MAX {
            examples.push(seq);
        }
    }

    fn add(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.same += other.same;
        self.undecided += other.undecided;
        for (group, count) in other.groups {
            *self.groups.entry(group).or_default() += count;
        }
        for (shift, places) in other.examples {
            let examples = self.examples.entry(shift).or_default();
            examples.extend(places.into_iter().take(EXAMPLES_MAX - examples.len()));
        }
    }
}
