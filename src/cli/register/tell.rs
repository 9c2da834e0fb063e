//! Statements in words, with numbers in full only when they are asked for.

use serde_json::{Value, json};

use crate::facts::{ConsentRecord, Hold, Objection, Party, Payment, Said, Statement, Who};
use crate::ledger::Told;
use crate::notice::without_numbers;
use crate::purpose::Purpose;

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
        said(statement)
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

fn said(statement: &Statement) -> String {
    match &statement.said {
        Said::Consent(record) => consent(record),
        Said::Objection(Objection { at, lifted, purposes }) => {
            let what = if *lifted { "taken back" } else { "made" };
            format!(" {what} at {at} to {}", list(purposes))
        }
        Said::Party(Party { address, agent, minor, stated, .. }) => {
            let place = |what: &str, place: &Option<crate::law::Place>| {
                place.map(|place| format!(", {what} {place}")).unwrap_or_default()
            };
            let is = |what: &str, is: Option<bool>| match is {
                Some(true) => format!(", {what}"),
                Some(false) => format!(", no {what}"),
                None => String::new(),
            };
            format!(
                "{}{}{}{}",
                is("agent", *agent),
                is("minor", *minor),
                place("registered in", address),
                place("said to be in", stated)
            )
        }
        Said::Announcement(announcement) => {
            let until = announcement.until.map(|until| format!(" until {until}"));
            let consents = if announcement.consents { ", staying on is consent" } else { "" };
            format!(
                " {} heard since {}{}{consents}",
                announcement.id,
                announcement.since,
                until.unwrap_or_default()
            )
        }
        Said::Labels(filing) => {
            let one = |what: &str, value: &Option<String>| {
                value.as_ref().map(|value| format!(", {what} {value}")).unwrap_or_default()
            };
            let labels = filing.labels.as_ref().map(|labels| match labels.is_empty() {
                true => ", no labels".to_owned(),
                false => format!(", labels {}", labels.join(", ")),
            });
            format!(
                "{}{}{}{}",
                one("line", &filing.line),
                one("department", &filing.department),
                one("type", &filing.call_type),
                labels.unwrap_or_default()
            )
        }
        Said::Payment(Payment { pauses, taken }) => match (taken, pauses.len()) {
            (false, _) => " not taken".to_owned(),
            (true, 0) => " taken, without a pause of the recording".to_owned(),
            (true, pauses) => format!(" taken, recording paused {pauses} times"),
        },
        Said::Case(case) => {
            let what = if case.open { "opened" } else { "closed" };
            format!(" {} {what} at {}", case.id, case.at)
        }
        Said::Hold(Hold { case, id, lifted, people, purposes, reason }) => {
            let what = if *lifted { "lifted" } else { "placed" };
            let people = match people.is_empty() {
                true => String::new(),
                false => format!(", for {} and {}", people.join(", "), list(purposes)),
            };
            format!(" {id} {what} for case {case}: {reason}{people}")
        }
        Said::Call(call) => format!(", {} ends without a number", call.unnumbered),
    }
}

fn consent(record: &ConsentRecord) -> String {
    let form = record.form.map(|form| format!(" ({})", form.as_str())).unwrap_or_default();
    let until = record.until.map(|until| format!(" until {until}")).unwrap_or_default();
    let guardian = if record.guardian { " by a guardian" } else { "" };
    let purposes = match record.purposes.is_empty() {
        true => "every purpose".to_owned(),
        false => list(&record.purposes),
    };
    format!(" {}{form}{guardian} at {}{until} for {purposes}", record.state.as_str(), record.at)
}

fn list(purposes: &[Purpose]) -> String {
    purposes.iter().map(Purpose::as_str).collect::<Vec<_>>().join(", ")
}
