//! Why a recording is asked for: one word of the organisation's closed list.
//!
//! A [`Purpose`] here is only well-formed; whether the vocabulary knows it, and whether the notice
//! permits it, is decided in `policy`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A purpose id such as `quality-monitoring`: lower-case words joined by hyphens.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize, serde::Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Purpose(Arc<str>);

/// LIMIT: the longest purpose id. W3C DPV's longest purpose name is under 50 characters.
pub const PURPOSE_BYTES_MAX: usize = 64;

/// The text is not a purpose id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a purpose is 1 to 64 lower-case letters, digits and single hyphens, such as `staff-training`"
)]
pub struct NotAPurpose;

impl Purpose {
    /// The purpose for which records are kept and deleted, unless the configuration names another.
    #[must_use]
    pub fn record_keeping() -> Self {
        Self("record-keeping".into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Purpose {
    type Err = NotAPurpose;

    fn from_str(text: &str) -> Result<Self, NotAPurpose> {
        let word = |w: &str| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if text.len() <= PURPOSE_BYTES_MAX && text.split('-').all(word) {
            Ok(Self(text.into()))
        } else {
            Err(NotAPurpose)
        }
    }
}

impl TryFrom<String> for Purpose {
    type Error = NotAPurpose;

    fn try_from(text: String) -> Result<Self, NotAPurpose> {
        text.parse()
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.0.to_string()
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_purposes() {
        assert!("quality-monitoring".parse::<Purpose>().is_ok());
        assert!("a".repeat(64).parse::<Purpose>().is_ok());
        let bad = ["", "-", "a-", "-a", "a--b", "A", "a b", "a_b", "ä", "a\0", &"a".repeat(65)];
        for text in bad {
            assert_eq!(text.parse::<Purpose>(), Err(NotAPurpose), "{text:?}");
        }
    }
}
