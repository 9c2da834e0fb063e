//! What an accounting says, in plain words; the forms only lay it out.

use jiff::Timestamp;

use super::{Accounting, Head, Item, Kind, Line, Shape};

impl Accounting {
    pub(super) fn title(&self) -> &'static str {
        match self.shape {
            Shape::Subject => "What was done with recordings of your calls",
            Shape::Full { .. } => "Accounting of disclosures",
        }
    }

    pub(super) fn is_full(&self) -> bool {
        matches!(self.shape, Shape::Full { .. })
    }

    /// Names and values at its top.
    pub(super) fn particulars(&self) -> Vec<(&'static str, String)> {
        let Head { person, from, to, made_at, made_by, origin, entry, policies, .. } = &self.head;
        let mut all = vec![
            ("Telephone number", person.clone()),
            ("Covers", format!("{} to {}", moment(*from), moment(*to))),
            ("Made", moment(*made_at)),
        ];
        if self.is_full() {
            all.push(("Made by", made_by.clone()));
        }
        all.push(("Number", format!("entry {entry} of {origin}")));
        if self.is_full() {
            all.push(("Policies", policies.clone()));
        }
        all
    }

    /// The result in a sentence or two.
    pub(super) fn summary(&self) -> String {
        let uncertain: u64 = self.items.iter().map(|item| item.unknown).sum();
        let happened = match self.disclosures() {
            0 => {
                return "Nothing was disclosed. In the time that this covers, no recording of a \
                        call with this number was listened to, looked up or given to anybody."
                    .to_owned();
            }
            1 => "was 1 disclosure of a recording of a call".to_owned(),
            n => format!("were {n} disclosures of recordings of calls"),
        };
        let doubt = match uncertain {
            0 => "",
            1 => " For one it is not known how much was handed over; it is counted in full.",
            _ => " For some it is not known how much was handed over; they are counted in full.",
        };
        format!("In the time that this covers, there {happened} with this number.{doubt}")
    }

    /// What a reader should know to read it.
    pub(super) fn notes(&self) -> Vec<&'static str> {
        let mut notes = vec![
            "Each disclosure is written to a record that cannot be changed unnoticed, before the \
             first byte of a recording leaves. Times are in UTC.",
        ];
        match self.shape {
            _ if self.items.is_empty() => {}
            Shape::Subject => notes.push(
                "Listening in one sitting is one line. Our staff are not named here; recipients \
                 outside the organisation are.",
            ),
            Shape::Full { summarised: false } => notes.push("Listening in one sitting is one line."),
            Shape::Full { summarised: true } => notes.push(
                "Repeated disclosures to the same recipient for the same purpose are one line: what \
                 is said of them is true of the first, with their number and the date of the last.",
            ),
        }
        notes
    }

    /// Who received it: by name outside the organisation, as a category within it.
    pub(super) fn recipient(&self, line: &Line) -> String {
        match (&line.recipient, &line.recipient_address) {
            (Some(name), Some(address)) => format!("{name}, {address}"),
            (Some(name), None) => name.clone(),
            (None, _) => format!("Staff of {}", self.head.organisation),
        }
    }
}

/// Who asked, for the full accounting: the id, and the roles.
pub(super) fn caller(line: &Line) -> String {
    match line.roles.as_slice() {
        [] => line.caller.clone(),
        roles => format!("{} ({})", line.caller, roles.join(", ")),
    }
}

/// What was done, in one line.
pub(super) fn done(item: &Item) -> String {
    let what = match item.line.kind {
        Kind::Listened => match item.line.share_heard.and_then(percent) {
            Some(share) if item.times == 1 => format!("Sound handed over ({share} of it)"),
            _ => "Sound handed over".to_owned(),
        },
        Kind::Described => "Details looked up, no sound".to_owned(),
        Kind::Shared => "Given to the recipient".to_owned(),
    };
    match item.times {
        1 => what,
        times => format!("{what}; {times} times, last on {}", moment(item.last)),
    }
}

/// Of which call.
pub(super) fn call(line: &Line) -> String {
    let mut said = match line.what.call_started_at {
        Some(at) => format!("Call of {}", moment(at)),
        None => "Call at a time that is not known".to_owned(),
    };
    if let Some(seconds) = line.what.duration_seconds {
        said.push_str(", ");
        said.push_str(&duration(seconds));
    }
    said
}

/// Which recording of it, and in which form.
pub(super) fn recording(line: &Line) -> String {
    match line.what.form.as_str() {
        "" | "metadata" => format!("Recording {}", line.what.recording),
        form => format!("Recording {}, {form}", line.what.recording),
    }
}

/// What is out of the ordinary in how it ended.
pub(super) fn ending(item: &Item) -> Option<String> {
    match (item.times, item.unknown, item.line.ending.as_str()) {
        (1, 0, "complete" | "") | (2.., 0, _) => None,
        (1, 1.., _) => Some(
            "Interrupted: how much was handed over is not known. Counted as disclosed in full."
                .to_owned(),
        ),
        (_, 1.., _) => Some(format!(
            "For {} of them how much was handed over is not known. Counted as disclosed in full.",
            item.unknown
        )),
        (_, 0, "caller-left") => Some("Ended early by the one who asked.".to_owned()),
        (_, 0, "upstream-cut" | "upstream-error") => Some("Broke off on the way.".to_owned()),
        (_, 0, other) => Some(format!("Ended otherwise: {other}.")),
    }
}

/// On which sentence it rests: the words, and where they stand.
pub(super) fn promise(line: &Line) -> Option<(&str, String)> {
    let clause = line.clause.as_ref()?;
    Some((&clause.quote, format!("{}, {}, {}", clause.title, clause.notice, clause.id)))
}

/// A time for people, to the minute.
pub(super) fn moment(at: Timestamp) -> String {
    format!("{}, {}", day(at), minute(at))
}

/// Its day.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%-d %B %Y").to_string()
}

/// Its time of day.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

fn duration(seconds: u32) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}\u{a0}s"),
        (0, m, s) => format!("{m}\u{a0}min\u{a0}{s}\u{a0}s"),
        (h, m, _) => format!("{h}\u{a0}h\u{a0}{m}\u{a0}min"),
    }
}

/// A share as a whole number of hundredths. `None` for what is no share.
pub(super) fn percent(share: f64) -> Option<String> {
    match share {
        _ if !share.is_finite() || share < 0.0 => None,
        _ if share > 0.0 && share < 0.01 => Some("less than 1\u{a0}%".to_owned()),
        // Rounded down: what was not handed over to the last second is not all of it.
        _ => Some(format!("{:.0}\u{a0}%", (share.min(1.0) * 100.0).floor())),
    }
}

/// Whether a character may be shown. Controls would command a terminal or are no HTML, and
/// directional ones would turn the words of others around.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
