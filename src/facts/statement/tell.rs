//! Statements in words.

use super::{ConsentRecord, Hold, Objection, Party, Payment, Said, Statement};
use crate::purpose::Purpose;

impl Statement {
    /// What is said, in words that name nobody who is on the call: as they follow its kind.
    #[must_use]
    pub fn in_words(&self) -> String {
        said(&self.said)
    }
}

fn said(said: &Said) -> String {
    match said {
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
