//! The published notice: its versions, its words, its clauses, and what is wrong with them.
//!
//! Pure. It takes the text of a notice as it was published and what a person wrote about it, and
//! answers: which version governs a recording; does this quote stand in that version word for
//! word (`text.rs`); what does each clause mean (`clause.rs`, read by `read.rs` against the closed
//! lists of `vocabulary.rs`), said in one sentence (`plain.rs`); does every sentence of the notice
//! have its clause (`coverage.rs`); do clauses contradict each other (`conflict.rs`). What the
//! clauses mean in Cedar is `policy`'s matter.

mod clause;
mod conflict;
mod coverage;
mod nearest;
mod period;
mod plain;
mod problem;
mod read;
mod text;
mod vocabulary;

pub use clause::{
    Basis, Circumstance, Clause, ConsentForm, Effect, Exception, Kind, Need, PeriodStart, Rule,
    Selectors,
};
pub use conflict::conflicts;
pub use coverage::{Class, Coverage, Covered};
pub use nearest::{nearest, word_diff};
pub use period::{NotAPeriod, Period, Unit, in_words};
pub use plain::Plain;
pub(crate) use plain::need as need_in_words;
pub(crate) use problem::likely;
pub use problem::{Note, Problem};
pub use read::{Aside, ClauseFile, NoticeHeader};
pub use text::{Markup, NoticeText, QUOTE_BYTES_MIN, QuoteError, Sentence};
pub use vocabulary::{Line, PurposeWord, RecipientWord, Vocabulary, Word};
pub(crate) use vocabulary::{Lines, VOCABULARY_FILE, bad_toml, without_numbers};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;

/// The name of one version of the notice: the name of its folder, such as `2026-03-01`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoticeVersion(Arc<str>);

/// The text cannot name a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a notice version is 1 to 32 lower-case letters, digits, dots and hyphens")]
pub struct NotAVersion;

impl NoticeVersion {
    /// The name of a version that takes effect on a day.
    #[must_use]
    pub fn of_day(day: jiff::civil::Date) -> Self {
        Self(day.to_string().into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NoticeVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
        let dots_only = text.bytes().all(|b| b == b'.');
        if (1..=32).contains(&text.len()) && text.bytes().all(plain) && !dots_only {
            Ok(Self(text.into()))
        } else {
            Err(NotAVersion)
        }
    }
}

impl serde::Serialize for NoticeVersion {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for NoticeVersion {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for NoticeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One published version.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its name.
    pub version: NoticeVersion,
    /// Its header.
    pub header: NoticeHeader,
    /// Its words.
    pub text: NoticeText,
    /// What they mean.
    pub clauses: Vec<Clause>,
    /// The sentences that promise nothing.
    pub asides: Vec<Aside>,
}

/// All versions, by the moment each took effect.
#[derive(Clone, Debug, Default)]
pub struct Notices(Vec<Notice>);

/// Two versions of a notice took effect at the same moment, so neither can be said to govern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("notices {0} and {1} take effect at the same moment; one of them must be later")]
pub struct SameMoment(pub NoticeVersion, pub NoticeVersion);

impl Notices {
    /// Puts the versions in order.
    ///
    /// # Errors
    /// [`SameMoment`] if two of them take effect together.
    pub fn new(mut notices: Vec<Notice>) -> Result<Self, SameMoment> {
        notices.sort_by_key(|notice| notice.header.effective);
        for pair in notices.windows(2) {
            if let [a, b] = pair
                && a.header.effective == b.header.effective
            {
                return Err(SameMoment(a.version.clone(), b.version.clone()));
            }
        }
        Ok(Self(notices))
    }

    /// The versions, oldest first.
    #[must_use]
    pub fn all(&self) -> &[Notice] {
        &self.0
    }

    /// The version of a name.
    #[must_use]
    pub fn version(&self, version: &NoticeVersion) -> Option<&Notice> {
        self.0.iter().find(|notice| notice.version == *version)
    }

    /// The version in force when a recording was made; `None` before the first one. A later one
    /// that everybody on the call has accepted, and that is in force by now, takes its place.
    #[must_use]
    pub fn governing(&self, made: Made<'_>, now: Timestamp) -> Option<&Notice> {
        let at_the_time =
            self.0.iter().rev().find(|notice| notice.header.effective <= made.recorded_at)?;
        let accepted = made.accepted.and_then(|version| self.version(version));
        let later = accepted.filter(|notice| {
            notice.header.effective > at_the_time.header.effective && notice.header.effective <= now
        });
        Some(later.unwrap_or(at_the_time))
    }

    /// The governing version and every later one that is in force by now. Their prohibitions all
    /// hold: a later notice may take away, but it may not give.
    pub fn narrowing(&self, made: Made<'_>, now: Timestamp) -> impl Iterator<Item = &Notice> {
        let governing = self.governing(made, now).map(|notice| notice.header.effective);
        self.0.iter().filter(move |notice| {
            governing.is_some_and(|from| notice.header.effective >= from)
                && notice.header.effective <= now
        })
    }
}

/// What of a recording fixes its notice.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// When it was made.
    pub recorded_at: Timestamp,
    /// The later notice that everybody on the call has accepted.
    pub accepted: Option<&'a NoticeVersion>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(version: &str, effective: &str) -> Notice {
        let text = "We record calls.";
        Notice {
            version: version.parse().unwrap(),
            header: NoticeHeader {
                title: String::new(),
                published: String::new(),
                effective: effective.parse().unwrap(),
                announced: None,
                text: String::new(),
                sha256: String::new(),
            },
            text: NoticeText::new(text, Markup::Plain),
            clauses: Vec::new(),
            asides: Vec::new(),
        }
    }

    #[test]
    fn the_notice_in_force_at_the_recording_governs_and_later_ones_narrow() {
        let notices = Notices::new(vec![
            notice("b", "2026-03-01T00:00:00Z"),
            notice("a", "2025-01-01T00:00:00Z"),
            notice("c", "2027-01-01T00:00:00Z"),
        ])
        .unwrap();
        let at = |t: &str| t.parse::<Timestamp>().unwrap();
        let made = |t: &str| Made { recorded_at: at(t), accepted: None };
        let governing = |t: &str| {
            notices.governing(made(t), at("2026-12-01T00:00:00Z")).map(|n| n.version.as_str())
        };
        assert_eq!(governing("2024-12-31T23:59:59Z"), None);
        assert_eq!(governing("2025-01-01T00:00:00Z"), Some("a"));
        assert_eq!(governing("2026-02-28T23:59:59Z"), Some("a"));
        assert_eq!(governing("2026-03-01T00:00:00Z"), Some("b"));
        let narrowing = |recorded: &str, now: &str| {
            let names = notices.narrowing(made(recorded), at(now)).map(|n| n.version.to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(narrowing("2025-06-01T00:00:00Z", "2026-02-01T00:00:00Z"), "a");
        assert_eq!(narrowing("2025-06-01T00:00:00Z", "2026-03-01T00:00:00Z"), "a b");
        assert_eq!(narrowing("2026-06-01T00:00:00Z", "2026-12-31T23:59:59Z"), "b");
        assert_eq!(narrowing("2024-06-01T00:00:00Z", "2026-12-31T23:59:59Z"), "");
    }

    #[test]
    fn a_later_notice_gives_more_where_everybody_accepted_it() {
        let notices = Notices::new(vec![
            notice("a", "2025-01-01T00:00:00Z"),
            notice("b", "2026-03-01T00:00:00Z"),
        ])
        .unwrap();
        let governing = |recorded: &str, accepted: &str, now: &str| {
            let accepted: NoticeVersion = accepted.parse().unwrap();
            let made = Made { recorded_at: recorded.parse().unwrap(), accepted: Some(&accepted) };
            notices.governing(made, now.parse().unwrap()).map(|n| n.version.to_string())
        };
        let (old, new) = ("2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z");
        assert_eq!(governing(old, "b", new).as_deref(), Some("b"));
        // Not before it is in force, never an older one, and not where nothing was promised.
        assert_eq!(governing(old, "b", "2026-02-01T00:00:00Z").as_deref(), Some("a"));
        assert_eq!(governing(new, "a", new).as_deref(), Some("b"));
        assert_eq!(governing(old, "c", new).as_deref(), Some("a"));
        assert_eq!(governing("2024-06-01T00:00:00Z", "b", new), None);
    }

    #[test]
    fn two_notices_of_one_moment_are_refused() {
        let twins =
            vec![notice("a", "2026-03-01T00:00:00Z"), notice("b", "2026-03-01T01:00:00+01:00")];
        assert!(Notices::new(twins).is_err());
    }

    #[test]
    fn versions_are_plain_names() {
        assert!("2026-03-01".parse::<NoticeVersion>().is_ok());
        for bad in ["", ".", "..", "a/b", "A", "a b", &"1".repeat(33)] {
            assert_eq!(bad.parse::<NoticeVersion>(), Err(NotAVersion), "{bad}");
        }
    }
}
