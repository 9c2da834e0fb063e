//! The accounting of disclosures for one person: what was done with recordings of their calls.
//!
//! Two shapes. The subject's copy answers GDPR Article 15: dates, purposes, recipients or their
//! category, and the sentence of the notice. It names no employee (CJEU C-579/21): callers, roles
//! and who made it are not in it. The full accounting has the columns of 45 CFR 164.528(b)(2) and
//! the callers' ids. Each can be had as text, as a table and as a page to print.
//!
//! Lines come from the ledger's reader, which also leaves out what was not disclosed
//! (`not-released`). A disclosure that a crash cut off counts and says so. What the words are is in
//! `words.rs`.

mod html;
mod table;
mod text;
mod words;

use std::collections::HashMap;

use jiff::Timestamp;

/// For whom an accounting is, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number as it was given.
    pub person: String,
    /// From when on it covers disclosures.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// When it was made.
    pub made_at: Timestamp,
    /// Who made it. The subject's copy does not tell.
    pub made_by: String,
    /// Whose recordings they are.
    pub organisation: String,
    /// The ledger in which this accounting is an entry.
    pub origin: String,
    /// The number of that entry.
    pub entry: u64,
    /// The digest of the policies in force.
    pub policies: String,
}

/// One disclosure; a session of listening is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Who outside the organisation received it.
    pub recipient: Option<String>,
    /// Their address, if it is known.
    pub recipient_address: Option<String>,
    /// The id of who asked.
    pub caller: String,
    /// The roles they had.
    pub roles: Vec<String>,
    /// What was disclosed.
    pub what: What,
    /// The word for the purpose.
    pub purpose: String,
    /// The purpose in plain words.
    pub purpose_plain: String,
    /// The sentence of the notice on which it rests.
    pub clause: Option<Clause>,
    /// What was done.
    pub kind: Kind,
    /// Bytes handed over.
    pub bytes: u64,
    /// How much of the sound was handed over, from 0 to 1, if that can be told.
    pub share_heard: Option<f64>,
    /// How it ended, as the ledger's word for it.
    pub ending: String,
}

/// What was disclosed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct What {
    /// The recording.
    pub recording: String,
    /// When its call began, if that is known.
    pub call_started_at: Option<Timestamp>,
    /// How long it is, in seconds, if that is known.
    pub duration_seconds: Option<u32>,
    /// In which form: `wav`, `mp3`, `metadata`.
    pub form: String,
}

/// A sentence of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its name.
    pub id: String,
    /// Its words.
    pub quote: String,
    /// The version of the notice.
    pub notice: String,
    /// The title of the notice.
    pub title: String,
}

/// What was done with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Its sound was handed over.
    Listened,
    /// What is known about it was.
    Described,
    /// It was given to a recipient.
    Shared,
}

/// For whose eyes it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The subject's copy, without names of employees.
    Subject,
    /// The full accounting.
    Full {
        /// Whether repeated disclosures to one recipient for one purpose are told as the first,
        /// their number and the last (45 CFR 164.528(b)(3)).
        summarised: bool,
    },
}

/// An accounting, ready to be written in one of its forms.
#[derive(Clone, Debug)]
pub struct Accounting {
    head: Head,
    shape: Shape,
    items: Vec<Item>,
    /// What is held of the person, a sentence each; `None` if that is not told.
    held: Option<Vec<String>>,
}

/// One disclosure, or several that are told as one.
#[derive(Clone, Debug)]
struct Item {
    /// The first.
    line: Line,
    last: Timestamp,
    times: u64,
    bytes: u64,
    /// How many of them are not known to have ended.
    unknown: u64,
}

impl Accounting {
    /// Puts the lines in order of time, and together where that is wanted.
    pub fn new(head: Head, shape: Shape, lines: impl IntoIterator<Item = Line>) -> Self {
        let mut lines: Vec<Line> = lines.into_iter().collect();
        lines.sort_by_key(|line| line.at);
        let items = match shape {
            Shape::Full { summarised: true } => summarise(lines),
            Shape::Subject | Shape::Full { summarised: false } => {
                lines.into_iter().map(Item::of).collect()
            }
        };
        Self { head, shape, items, held: None }
    }

    /// Tells on the page what is held of the person, too.
    #[must_use]
    pub fn holding(mut self, held: Vec<String>) -> Self {
        self.held = Some(held);
        self
    }

    /// How many disclosures it accounts for.
    #[must_use]
    pub fn disclosures(&self) -> u64 {
        self.items.iter().map(|item| item.times).sum()
    }

    /// For a terminal: at most 100 columns, no control characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::write(self)
    }

    /// As a table for spreadsheets (RFC 4180), with the apostrophes of the ledger's CSV export.
    ///
    /// # Errors
    /// An I/O error if memory cannot take it.
    pub fn to_csv(&self) -> std::io::Result<Vec<u8>> {
        table::write(self)
    }

    /// As one page of HTML that needs nothing else and prints on A4 and Letter.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::write(self)
    }

    /// What a Content-Security-Policy must name for the style of that page.
    #[must_use]
    pub fn style_source() -> String {
        html::style_source()
    }
}

impl Item {
    fn of(line: Line) -> Self {
        let unknown = u64::from(line.ending == "unknown");
        Self { last: line.at, times: 1, bytes: line.bytes, unknown, line }
    }

    fn add(&mut self, line: &Line) {
        self.last = line.at;
        self.times += 1;
        self.bytes = self.bytes.saturating_add(line.bytes);
        self.unknown += u64::from(line.ending == "unknown");
    }
}

/// Puts together what the same caller had, or gave to the same recipient, in the same way for the
/// same purpose.
fn summarise(lines: Vec<Line>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut places = HashMap::new();
    for line in lines {
        let key = (
            line.recipient.clone(),
            line.recipient_address.clone(),
            line.caller.clone(),
            line.purpose.clone(),
            line.kind,
        );
        let place = *places.entry(key).or_insert(items.len());
        match items.get_mut(place) {
            Some(item) => item.add(&line),
            None => items.push(Item::of(line)),
        }
    }
    items
}

#[cfg(test)]
mod tests;
