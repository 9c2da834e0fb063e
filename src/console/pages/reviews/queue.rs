//! The queues: each a question to the index, of which those are left that nobody has looked at.

use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::console::Desk;
use crate::console::problem::Problem;
use crate::ledger::{Oddity, Order, Queue, Review, Row, Unusual};

/// How far back queues go.
pub(super) const SPAN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// LIMIT: how long what is unusual is not worked out anew: it is one pass over a few months.
const UNUSUAL_AGE: SignedDuration = SignedDuration::from_secs(120);

/// What was unusual, when that was worked out.
pub(in crate::console) type Kept = Option<(Timestamp, Arc<Vec<Unusual>>)>;

/// The name of a queue, and what is in it.
pub(super) fn about(queue: Queue) -> (&'static str, &'static str) {
    match queue {
        Queue::Sampled => (
            "Sample",
            "One disclosure in 32, chosen by a hash of its id: the same ones whoever asks, and none that a caller can choose.",
        ),
        Queue::Escalated => (
            "Escalated",
            "What a reviewer wants explained or decided by somebody else, until it is found appropriate or inappropriate.",
        ),
        Queue::Emergencies => (
            "Emergencies",
            "To emergency services; where the vocabulary has no such recipient, for purposes of an emergency.",
        ),
        Queue::Refusals => ("Refusals", "Requests that were refused."),
        Queue::Abroad => (
            "Shares abroad",
            "Shares to another country than those of the organisation’s own lines, or to one that nobody knows.",
        ),
        Queue::Hours => (
            "Unusual hours",
            "Within an hour of a time of day at which the caller has had less than one in 200 of what they had in 90 days. Known from 50 disclosures on.",
        ),
        Queue::Volume => (
            "Unusual volume",
            "More than three times as many recordings in a day as on half of the caller’s days, and more than ten. Known from five days on.",
        ),
        Queue::First => (
            "First time",
            "The first disclosure to a caller in 90 days, and the first for a purpose.",
        ),
    }
}

/// What a queue has.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// How many nobody has looked at.
    pub(super) count: u64,
    /// The newest of them, and why each is there, if that is more than the queue says.
    pub(super) rows: Vec<(Row, Option<String>)>,
}

/// What waits in a queue, with its newest rows.
pub(super) fn waiting(
    desk: &Desk,
    review: &mut Review,
    queue: Queue,
    rows: usize,
) -> Result<Waiting, Problem> {
    let now = desk.gate.clock.now();
    let since = now.checked_sub(SPAN).unwrap_or(Timestamp::MIN);
    if let Some(oddity) = queue.oddity() {
        return odd(desk, review, oddity, rows);
    }
    let policies = desk.policies();
    let query = queue.query(&policies, since);
    let query = if queue == Queue::Escalated { query } else { query.unreviewed() };
    let count = review.index().count(&query)?;
    let found = match rows {
        0 => Vec::new(),
        rows => review.find(&query, None, rows, Order::NewestFirst)?.0,
    };
    Ok(Waiting { count, rows: found.into_iter().map(|row| (row, None)).collect() })
}

fn odd(desk: &Desk, review: &mut Review, oddity: Oddity, rows: usize) -> Result<Waiting, Problem> {
    let all = unusual(desk, review)?;
    let of_kind: Vec<&Unusual> = all.iter().filter(|one| one.oddity == oddity).collect();
    let places: Vec<u64> = of_kind.iter().map(|one| one.seq).collect();
    let reviewed = review.index().reviewed_among(&places)?;
    let left: Vec<&Unusual> =
        of_kind.into_iter().filter(|one| !reviewed.contains(&one.seq)).collect();
    let count = left.len() as u64;
    let mut found = Vec::new();
    for one in left.into_iter().take(rows) {
        let row = review.rows(&[one.seq])?.pop();
        found.extend(row.map(|row| (row, Some(one.says.clone()))));
    }
    Ok(Waiting { count, rows: found })
}

fn unusual(desk: &Desk, review: &Review) -> Result<Arc<Vec<Unusual>>, Problem> {
    let now = desk.gate.clock.now();
    let mut kept = desk.unusual().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, found)) = &*kept
        && now.duration_since(*at).abs() < UNUSUAL_AGE
    {
        return Ok(Arc::clone(found));
    }
    let since = now.checked_sub(SPAN).unwrap_or(Timestamp::MIN);
    let found = Arc::new(review.index().unusual(since)?);
    *kept = Some((now, Arc::clone(&found)));
    Ok(found)
}
