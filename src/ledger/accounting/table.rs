//! The accounting as a table.

use std::io;

use super::words;
use super::{Accounting, Item, Kind};
use crate::ledger::export::csv::Table;

/// The columns of the subject's copy.
const SUBJECT: &[&str] = &[
    "date",
    "what",
    "recording",
    "form",
    "call_started_at",
    "duration_seconds",
    "recipient",
    "recipient_address",
    "purpose",
    "notice_sentence",
    "notice",
    "clause",
    "note",
];

/// What the full accounting has beside them.
const FULL: &[&str] = &[
    "times",
    "last_date",
    "caller",
    "roles",
    "purpose_id",
    "kind",
    "bytes",
    "share_heard",
    "ending",
];

pub(super) fn write(accounting: &Accounting) -> io::Result<Vec<u8>> {
    let full = if accounting.is_full() { FULL } else { &[] };
    let mut table = Table::begin(Vec::new(), true, SUBJECT.iter().chain(full).copied())?;
    for item in &accounting.items {
        let mut cells = subject(accounting, item);
        if accounting.is_full() {
            cells.extend(rest(item));
        }
        table.row(cells)?;
    }
    table.finish()
}

fn subject(accounting: &Accounting, item: &Item) -> Vec<String> {
    let line = &item.line;
    let recipient = match &line.recipient {
        Some(name) => name.clone(),
        None => accounting.recipient(line),
    };
    let clause = line.clause.clone();
    let (quote, notice, id) = clause.map(|c| (c.quote, c.notice, c.id)).unwrap_or_default();
    vec![
        line.at.to_string(),
        words::done(item),
        line.what.recording.clone(),
        line.what.form.clone(),
        line.what.call_started_at.map(|at| at.to_string()).unwrap_or_default(),
        line.what.duration_seconds.map(|seconds| seconds.to_string()).unwrap_or_default(),
        recipient,
        line.recipient_address.clone().unwrap_or_default(),
        line.purpose_plain.clone(),
        quote,
        notice,
        id,
        words::ending(item).unwrap_or_default(),
    ]
}

fn rest(item: &Item) -> Vec<String> {
    let line = &item.line;
    let kind = match line.kind {
        Kind::Listened => "listened",
        Kind::Described => "described",
        Kind::Shared => "shared",
    };
    vec![
        item.times.to_string(),
        item.last.to_string(),
        line.caller.clone(),
        line.roles.join(" "),
        line.purpose.clone(),
        kind.to_owned(),
        item.bytes.to_string(),
        line.share_heard
            .filter(|share| share.is_finite())
            .map(|s| format!("{s:.3}"))
            .unwrap_or_default(),
        line.ending.clone(),
    ]
}
