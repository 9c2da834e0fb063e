//! Statements in words, with numbers in full only when they are asked for.

use serde_json::{Value, json};

use crate::facts::Who;
use crate::ledger::Told;
use crate::notice::without_numbers;

/// A person as they are shown.
pub(super) fn who(who: &Who, in_full: bool) -> String {
    match who {
        Who::Number(number) if in_full => number.clone(),
        Who::Number(number) => masked(number),
        Who::Name(name) if in_full => format!("name:{name}"),
        Who::Name(name) => format!("name:{}", without_numbers(name)),
    }
}

/// `+1…23`: enough to tell the people on a call from each other.
fn masked(number: &str) -> String {
    let start = number.get(..2).unwrap_or_default();
    let end = number.len().checked_sub(2).and_then(|at| number.get(at..)).unwrap_or_default();
    format!("{start}…{end}")
}

/// A statement with its entry, in a line.
pub(in crate::cli) fn told_human(told: &Told, in_full: bool) -> String {
    let statement = &told.recorded.statement;
    let person = match (&statement.participant, told.recorded.erased) {
        (Some(person), _) => format!(" of {}", who(person, in_full)),
        (None, true) => " of somebody who was erased".to_owned(),
        (None, false) => String::new(),
    };
    let about: Vec<String> = statement.about.iter().map(ToString::to_string).collect();
    let about = if about.is_empty() { String::new() } else { format!(", in {}", about.join(", ")) };
    let line = statement.line.as_ref().map(|line| format!(" on line {line}")).unwrap_or_default();
    format!(
        "{:>6}  {}  by {}: {}{person}{line}{}{about}",
        told.recorded.seq,
        told.at.strftime("%FT%TZ"),
        told.actor,
        statement.kind(),
        statement.in_words()
    )
}

/// The same as a value.
pub(in crate::cli) fn told_json(told: &Told, in_full: bool) -> Value {
    let mut statement = serde_json::to_value(&told.recorded.statement).unwrap_or_default();
    if let (Some(person), Some(shown)) =
        (&told.recorded.statement.participant, statement.get_mut("participant"))
    {
        *shown = as_json(person, in_full);
    }
    json!({
        "entry": told.recorded.seq,
        "id": told.id,
        "recorded_at": told.at,
        "by": told.actor,
        "erased": told.recorded.erased,
        "statement": statement,
    })
}

/// A person as a value.
pub(super) fn as_json(person: &Who, in_full: bool) -> Value {
    match person {
        Who::Number(number) if in_full => json!({ "number": number }),
        Who::Number(number) => json!({ "number": masked(number) }),
        Who::Name(name) if in_full => json!({ "name": name }),
        Who::Name(name) => json!({ "name": without_numbers(name) }),
    }
}
