//! How often each clause of the notice allowed and refused, from the ledger's index.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::{Field, Filter, Query, Review, ReviewError};

/// Over how long it is counted.
pub(in crate::console::pages) const DAYS: i64 = 30;

/// LIMIT: clauses that are counted, those with the most decisions.
const CLAUSES_MAX: usize = 20_000;

/// How often clauses decided, by version and id.
#[derive(Debug, Default)]
pub(super) struct Counts(HashMap<String, (u64, u64)>);

impl Counts {
    /// Counts the days before now.
    pub(super) fn of(review: &Review, now: Timestamp) -> Result<Self, ReviewError> {
        let mut all: HashMap<String, (u64, u64)> = HashMap::new();
        for (decision, permits) in [("permit", true), ("refuse", false)] {
            let decided =
                Filter { field: Field::Decision, any: vec![decision.to_owned()], not: false };
            let query = Query { since: Some(since(now)), all: vec![decided], ..Query::default() };
            for (clause, count) in review.index().facets(&query, Field::Clause, CLAUSES_MAX)? {
                let both = all.entry(clause).or_default();
                if permits { both.0 += count } else { both.1 += count }
            }
        }
        Ok(Self(all))
    }

    /// How often a clause allowed and refused.
    pub(super) fn clause(&self, version: &str, clause: &str) -> (u64, u64) {
        self.0.get(&format!("{version}#{clause}")).copied().unwrap_or_default()
    }
}

/// The beginning of the days that are counted.
pub(in crate::console::pages) fn since(now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(Timestamp::MIN)
}
