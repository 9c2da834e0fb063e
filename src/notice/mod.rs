//! The published notice: its versions, its words, and whether a quote stands in them.
//!
//! Pure. It takes the text of a notice as it was published and the header that a person wrote for
//! it, and answers two questions: which version governs a recording, and does this quote stand in
//! that version word for word. What the sentences mean in Cedar is `policy`'s matter.

mod text;

pub use text::{NoticeText, QUOTE_BYTES_MIN, QuoteError};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

/// The name of one version of the notice: the name of its folder, such as `2026-03-01`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoticeVersion(Arc<str>);

/// The text cannot name a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a notice version is 1 to 32 lower-case letters, digits, dots and hyphens")]
pub struct NotAVersion;

impl NoticeVersion {
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

impl fmt::Display for NoticeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `clauses.toml` says of the whole notice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeHeader {
    /// The title as published.
    pub title: String,
    /// Where it was published.
    pub published: String,
    /// From which moment it governs new recordings (RFC 3339, with an offset).
    pub effective: Timestamp,
    /// The file that holds its text.
    pub text: String,
    /// SHA-256 of that file, in lower-case hex: the text cannot change unnoticed.
    pub sha256: String,
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

    /// The version in force when a recording was made; `None` before the first one.
    #[must_use]
    pub fn governing(&self, recorded_at: Timestamp) -> Option<&Notice> {
        self.0.iter().rev().find(|notice| notice.header.effective <= recorded_at)
    }

    /// The governing version and every later one that is in force by now. Their prohibitions all
    /// hold: a later notice may take away, but it may not give.
    pub fn narrowing(
        &self,
        recorded_at: Timestamp,
        now: Timestamp,
    ) -> impl Iterator<Item = &Notice> {
        let governing = self.governing(recorded_at).map(|notice| notice.header.effective);
        self.0.iter().filter(move |notice| {
            governing.is_some_and(|from| notice.header.effective >= from)
                && notice.header.effective <= now
        })
    }
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
                text: String::new(),
                sha256: String::new(),
            },
            text: NoticeText::new(text),
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
        let governing = |t: &str| notices.governing(at(t)).map(|n| n.version.as_str());
        assert_eq!(governing("2024-12-31T23:59:59Z"), None);
        assert_eq!(governing("2025-01-01T00:00:00Z"), Some("a"));
        assert_eq!(governing("2026-02-28T23:59:59Z"), Some("a"));
        assert_eq!(governing("2026-03-01T00:00:00Z"), Some("b"));
        let narrowing = |recorded: &str, now: &str| {
            let names = notices.narrowing(at(recorded), at(now)).map(|n| n.version.to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(narrowing("2025-06-01T00:00:00Z", "2026-02-01T00:00:00Z"), "a");
        assert_eq!(narrowing("2025-06-01T00:00:00Z", "2026-03-01T00:00:00Z"), "a b");
        assert_eq!(narrowing("2026-06-01T00:00:00Z", "2026-12-31T23:59:59Z"), "b");
        assert_eq!(narrowing("2024-06-01T00:00:00Z", "2026-12-31T23:59:59Z"), "");
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
