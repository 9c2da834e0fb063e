//! How pages say things: sizes, shares, people, the names of purposes and clauses.

use maud::{Markup, html};
use serde_json::Value;

use crate::facts::Who;
use crate::ledger::{Row, Session, happened};
use crate::notice::{Plain, Vocabulary};
use crate::policy::Policies;

/// The words of the policies, and whether people are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saying<'a> {
    /// In whose words.
    pub(super) policies: &'a Policies,
    /// True if the visitor may read who people are.
    pub(super) shows: bool,
}

impl<'a> Saying<'a> {
    fn vocabulary(self) -> &'a Vocabulary {
        self.policies.vocabulary()
    }

    /// A purpose as it reads in a sentence.
    pub(super) fn purpose(self, id: &str) -> String {
        let known = id.parse().ok().map(|purpose| Plain(self.vocabulary()).purpose(&purpose));
        known.unwrap_or_else(|| id.to_owned())
    }

    /// A recipient as it reads in a sentence.
    pub(super) fn recipient(self, id: &str) -> String {
        Plain(self.vocabulary()).recipient(id)
    }

    /// The words of a clause in its notice.
    pub(super) fn quote(self, notice: &str, clause: &str) -> Option<&'a str> {
        let notice = self.policies.notices().version(&notice.parse().ok()?)?;
        let clause = notice.clauses.iter().find(|known| known.id == clause)?;
        Some(&clause.quote)
    }

    /// The organisation's own line of a number.
    fn line(self, who: &Who) -> Option<&'a str> {
        let Who::Number(number) = who else { return None };
        let line = self.vocabulary().line_of(number)?;
        Some(self.vocabulary().lines.get(line).map_or(line, |line| line.name.as_str()))
    }

    /// True if it is a person as far as anybody knows, and no line of the organisation.
    pub(super) fn is_person(self, who: Option<&Who>) -> bool {
        who.is_none_or(|who| self.line(who).is_none())
    }

    /// What happened, by a decision's entry, in a sentence; of other entries as the command line says it.
    pub(super) fn sentence(self, row: &Row) -> String {
        let text =
            |pointer: &str| row.entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let caller = match text("/caller/id") {
            "" => "A stranger",
            caller => caller,
        };
        let media = match text("/media/recording") {
            "" => "something".to_owned(),
            sid => format!("{sid} ({})", text("/media/form")),
        };
        let purpose = match text("/purpose") {
            "" => "without a purpose".to_owned(),
            purpose => format!("for {}", self.purpose(purpose)),
        };
        let recipient = match text("/recipient") {
            "" => String::new(),
            recipient => format!(" with {}", self.recipient(recipient)),
        };
        match (text("/t"), text("/action")) {
            ("intent", "describe") => format!("{caller} looked up {media} {purpose}"),
            ("intent", _) => format!("{caller} asked for {media} and got it, {purpose}"),
            ("share", _) => format!("{caller} shared {media}{recipient} {purpose}"),
            ("refusal", action) => {
                format!("{caller} was refused to {action} {media}{recipient} {purpose}")
            }
            _ => happened(row),
        }
    }

    /// Somebody: shown to who may know, else so that they can be told from others on the call.
    pub(super) fn who(self, who: Option<&Who>) -> String {
        match who {
            None => "somebody who was erased".to_owned(),
            Some(who) => match (self.line(who), who) {
                (Some(line), _) => format!("{line}, ours"),
                (None, Who::Number(number)) if self.shows => number.clone(),
                (None, Who::Name(name)) if self.shows => name.clone(),
                (None, Who::Number(number)) => {
                    let end = number.get(number.len().saturating_sub(2)..).unwrap_or_default();
                    format!("a number ending in {end}")
                }
                (None, Who::Name(_)) => "somebody with a name".to_owned(),
            },
        }
    }
}

/// A number of bytes, as people read it.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if size < 1_000.0 {
            let is_whole = unit == "bytes" || size >= 100.0;
            return if is_whole {
                format!("{size:.0} {unit}")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1_000.0;
    }
    format!("{size:.1} TB")
}

/// A number with a comma before each three digits.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many things, by a word that only takes an `s`.
pub(super) fn count(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", number(count), if count == 1 { "" } else { "s" })
}

/// How much was heard, in words.
pub(super) fn heard(session: &Session) -> String {
    match (session.form.as_str(), session.share_heard) {
        ("metadata", _) => "looked up".to_owned(),
        (_, Some(share)) => format!("{:.0} %", share.clamp(0.0, 1.0) * 100.0),
        (_, None) if session.bytes == 0 => "nothing".to_owned(),
        (_, None) => "some of it".to_owned(),
    }
}

/// The parts of a file that were handed over, as a bar; nothing if its length is not known.
#[expect(clippy::cast_precision_loss, reason = "a bar has a thousand places")]
pub(super) fn bar(parts: &[(u64, u64)], length: Option<u64>, says: &str) -> Option<Markup> {
    let length = length.filter(|length| *length > 0)? as f64;
    let place = |at: u64| (at as f64 / length * 1_000.0).clamp(0.0, 1_000.0);
    Some(html! {
        svg.meter viewBox="0 0 1000 12" preserveAspectRatio="none" role="img" aria-label=(says) {
            rect width="1000" height="12" {}
            @for (from, to) in parts {
                @let (from, to) = (place(*from), place(*to));
                rect.part x=(format!("{from:.1}")) width=(format!("{:.1}", (to - from).max(2.0))) height="12" {}
            }
        }
    })
}

/// An ending as a tag: how it looks, and what it says.
pub(super) fn ending(word: &str) -> (&'static str, &str) {
    match word {
        "complete" => ("good", "complete"),
        "caller-left" => ("", "stopped listening"),
        "revoked" => ("warn", "cut: no longer permitted"),
        "unknown" => ("warn", "unknown: the gate crashed"),
        "not-released" => ("", "nothing released"),
        other => ("bad", other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_read_them() {
        assert_eq!(
            [number(0), number(999), number(1_000), number(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [bytes(0), bytes(999), bytes(1_500), bytes(123_456), bytes(5_000_000_000_000)],
            ["0 bytes", "999 bytes", "1.5 kB", "123 kB", "5.0 TB"]
        );
        assert_eq!([count(1, "entry"), count(2, "request")], ["1 entry", "2 requests"]);
    }
}
