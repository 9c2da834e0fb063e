//! The columns of the tabular forms, in their order: a column may be added at the end, none is ever
//! renamed or moved.
//!
//! | column | of | meaning |
//! |---|---|---|
//! | `seq`, `id`, `at`, `kind` | all | place, name, time (UTC) and kind of the entry |
//! | `decision` | intent, refusal | `permitted` or `refused` |
//! | `caller`, `roles` | | who asked, or who acted in an entry about the record itself |
//! | `recipient`, `share` | intent | to whom outside it went, by which share |
//! | `action` ... `form` | | what was asked for |
//! | `purpose`, `circumstances` | | why |
//! | `notice`, `clauses`, `policies` | | the governing notice, clauses cited (`notice/clause`), policy digest |
//! | `reason`, `detail` | refusal, events | why it was refused, what happened |
//! | `method`, `range` | | how it was asked for |
//! | `status` ... `ended_at` | intent, outcome | how it ended; without `ending`, it counts as disclosed |
//! | `address` ... `numbers` | | personal groups, if they may be shown |
//! | `leaf` | all | SHA-256 leaf of the entry, in hexadecimal |
//! | `of` | outcome | the intent, where an outcome is a row of its own |
//!
//! Lists are joined with blanks; the JSONL form has them exactly. What an entry does not hold is
//! an empty cell.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use super::{Record, hex, text};

/// Of which type a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Time,
}

/// What stands in a cell; of the type of its column.
#[derive(Debug)]
pub(super) enum Cell<'a> {
    Empty,
    Text(Cow<'a, str>),
    Number(i64),
    Time(Timestamp),
}

/// One column: its name, its type, and where its cells come from.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) of: Type,
    pub(super) read: for<'a> fn(&Record<'a>) -> Cell<'a>,
}

const fn column(name: &'static str, of: Type, read: for<'a> fn(&Record<'a>) -> Cell<'a>) -> Column {
    Column { name, of, read }
}

pub(super) const COLUMNS: &[Column] = &[
    column("seq", Type::Number, |r| i64::try_from(r.seq).map_or(Cell::Empty, Cell::Number)),
    column("id", Type::Text, |r| at(r.entry, "/id")),
    column("at", Type::Time, |r| time(Some(r.entry))),
    column("kind", Type::Text, |r| at(r.entry, "/t")),
    column("decision", Type::Text, |r| match kind(r.entry) {
        Some("intent" | "deletion" | "share") => Cell::Text("permitted".into()),
        Some("refusal") => Cell::Text("refused".into()),
        _ => Cell::Empty,
    }),
    column("caller", Type::Text, |r| first(r.entry, &["/caller/id", "/actor/id", "/actor"])),
    column("roles", Type::Text, |r| first(r.entry, &["/caller/roles", "/actor/roles"])),
    column("recipient", Type::Text, |r| at(r.entry, "/recipient")),
    column("share", Type::Text, |r| at(r.entry, "/share")),
    column("action", Type::Text, |r| at(r.entry, "/action")),
    column("account", Type::Text, |r| at(r.entry, "/media/account")),
    column("recording", Type::Text, |r| at(r.entry, "/media/recording")),
    column("call", Type::Text, |r| at(r.entry, "/facts/call")),
    column("artefact", Type::Text, |r| at(r.entry, "/facts/artefact")),
    column("form", Type::Text, |r| at(r.entry, "/media/form")),
    column("purpose", Type::Text, |r| at(r.entry, "/purpose")),
    column("circumstances", Type::Text, |r| at(r.entry, "/circumstances")),
    column("notice", Type::Text, |r| at(r.entry, "/decision/notice")),
    column("clauses", Type::Text, |r| cell(joined(r.entry.pointer("/decision/cited"), clause))),
    column("policies", Type::Text, |r| first(r.entry, &["/decision/policies", "/policies"])),
    column("reason", Type::Text, |r| at(r.entry, "/reason")),
    column("detail", Type::Text, |r| cell(text(r.entry.get("detail")))),
    column("method", Type::Text, |r| at(r.entry, "/method")),
    column("range", Type::Text, |r| at(r.entry, "/range")),
    column("status", Type::Number, |r| number(outcome(r), "status")),
    column("bytes", Type::Number, |r| number(outcome(r), "bytes")),
    column("first", Type::Number, |r| match (outcome(r), number(outcome(r), "first")) {
        // The entry has no such key when it is 0.
        (Some(_), Cell::Empty) => Cell::Number(0),
        (_, cell) => cell,
    }),
    column("length", Type::Number, |r| number(outcome(r), "length")),
    column("ending", Type::Text, |r| cell(text(outcome(r).and_then(|o| o.get("ending"))))),
    column("ended_at", Type::Time, |r| time(outcome(r))),
    column("address", Type::Text, |r| opened(r, "/net/address")),
    column("agent", Type::Text, |r| opened(r, "/net/agent")),
    column("said_reason", Type::Text, |r| opened(r, "/said/reason")),
    column("said_reference", Type::Text, |r| opened(r, "/said/reference")),
    column("numbers", Type::Text, |r| {
        let subjects = r.opened.and_then(|opened| opened.get("subject"));
        cell(joined(subjects, |subject| text(subject.get("number"))))
    }),
    column("leaf", Type::Text, |r| Cell::Text(hex(r.leaf).into())),
    column("of", Type::Text, |r| at(r.entry, "/of")),
];

/// The names of the columns.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|column| column.name)
}

/// The cells of a record as text.
pub(super) fn texts<'a>(record: &Record<'a>) -> impl Iterator<Item = Cow<'a, str>> {
    COLUMNS.iter().map(|column| match (column.read)(record) {
        Cell::Empty => "".into(),
        Cell::Text(text) => text,
        Cell::Number(number) => number.to_string().into(),
        Cell::Time(time) => time.to_string().into(),
    })
}

pub(super) fn kind(entry: &Value) -> Option<&str> {
    entry.get("t").and_then(Value::as_str)
}

/// The time of an entry, if it has a readable one.
pub(super) fn moment(entry: &Value) -> Option<Timestamp> {
    entry.get("at").and_then(Value::as_str)?.parse().ok()
}

/// What tells how a disclosure ended: an intent's outcome, or an outcome itself.
fn outcome<'a>(record: &Record<'a>) -> Option<&'a Value> {
    record.outcome.or_else(|| (kind(record.entry) == Some("outcome")).then_some(record.entry))
}

fn cell(text: Option<Cow<'_, str>>) -> Cell<'_> {
    text.map_or(Cell::Empty, Cell::Text)
}

fn at<'a>(entry: &'a Value, pointer: &str) -> Cell<'a> {
    first(entry, &[pointer])
}

fn first<'a>(entry: &'a Value, pointers: &[&str]) -> Cell<'a> {
    let found = pointers.iter().find_map(|pointer| entry.pointer(pointer));
    match found {
        Some(Value::Array(_)) => cell(joined(found, |item| text(Some(item)))),
        _ => cell(text(found)),
    }
}

fn opened<'a>(record: &Record<'a>, pointer: &str) -> Cell<'a> {
    record.opened.map_or(Cell::Empty, |opened| at(opened, pointer))
}

fn time<'a>(entry: Option<&Value>) -> Cell<'a> {
    entry.and_then(moment).map_or(Cell::Empty, Cell::Time)
}

fn number<'a>(entry: Option<&Value>, key: &str) -> Cell<'a> {
    let number = entry.and_then(|entry| entry.get(key)).and_then(Value::as_i64);
    number.map_or(Cell::Empty, Cell::Number)
}

/// A clause as policies name it: its notice and its name. A guardrail has neither.
pub(super) fn clause(cited: &Value) -> Option<Cow<'_, str>> {
    match (text(cited.get("notice")), text(cited.get("clause"))) {
        (Some(notice), Some(clause)) => Some(format!("{notice}/{clause}").into()),
        _ => text(cited.get("policy")),
    }
}

/// The items of a list, each once, with blanks between them.
fn joined<'a>(
    list: Option<&'a Value>,
    item: impl Fn(&'a Value) -> Option<Cow<'a, str>>,
) -> Option<Cow<'a, str>> {
    let mut items: Vec<Cow<'a, str>> = Vec::new();
    for text in list?.as_array()?.iter().filter_map(item) {
        if !items.contains(&text) {
            items.push(text);
        }
    }
    match items.len() {
        0 => None,
        1 => items.pop(),
        _ => Some(items.join(" ").into()),
    }
}
