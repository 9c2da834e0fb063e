//! What entries can be found by: the fields, each with the name that the index file knows it by.

use std::fmt;
use std::str::FromStr;

/// Makes the enum, its list and its names from one table, so that none can miss a field.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident = $name:literal),+ $(,)?) => {
        /// A field that entries can be filtered and counted by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $($(#[$doc])* $field),+
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$field),+];

            /// Its name in filters and in the index file; never changed once released.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$field => $name),+
                }
            }
        }
    };
}

fields! {
    /// The kind of entry: intent, outcome, refusal and so on.
    Kind = "kind",
    /// Permitted, refused or failed.
    Decision = "decision",
    /// Who asked.
    Caller = "caller",
    /// A role of the caller.
    Role = "role",
    /// Who gets it, if that is not the caller.
    Recipient = "recipient",
    /// The recording.
    Recording = "recording",
    /// The call it was made of.
    Call = "call",
    /// The account it belongs to.
    Account = "account",
    /// A person on the call. Personal: it can be forgotten.
    Person = "person",
    /// Why it was asked for.
    Purpose = "purpose",
    /// A clause of the notice that decided.
    Clause = "clause",
    /// The policies in force.
    Policy = "policy",
    /// The notice in force.
    Notice = "notice",
    /// The share link used.
    Share = "share",
    /// The network address of the caller. Personal: it can be forgotten.
    Address = "address",
    /// The reason of a refusal.
    Reason = "reason",
    /// How a disclosure ended; it stands at the intent.
    Ending = "ending",
    /// What was asked to be done.
    Action = "action",
    /// The form of the media: audio or metadata.
    Form = "form",
    /// Recording, transcription and so on.
    Artefact = "artefact",
    /// A word of free text. Personal: it can be forgotten.
    Word = "word",
    /// The gate that wrote the entry.
    Writer = "writer",
    /// The key that the caller proved themselves with.
    Key = "key",
    /// The country it was given to.
    Country = "country",
    /// What somebody found who looked at it; it stands at the entry that was looked at.
    Reviewed = "reviewed",
    /// Of a review, the place of an entry that was looked at.
    Of = "of",
    /// One of 256 parts into which what was permitted falls by chance, in two hexadecimal digits.
    Sample = "sample",
}

impl Field {
    /// Whether its values tell of a person, so that [`Index::forget`](super::Index::forget) takes
    /// them away.
    #[must_use]
    pub fn is_personal(self) -> bool {
        matches!(self, Self::Person | Self::Address | Self::Word)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no field's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no field `{name}`; the fields are {}", known())]
pub struct UnknownField {
    name: String,
}

fn known() -> String {
    let names: Vec<&str> = Field::ALL.iter().map(|field| field.as_str()).collect();
    names.join(", ")
}

/// LIMIT: bytes of an unknown name that its error repeats.
const ECHO_BYTES_MAX: usize = 60;

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(name: &str) -> Result<Self, UnknownField> {
        let found = Self::ALL.iter().copied().find(|field| field.as_str() == name);
        found.ok_or_else(|| UnknownField {
            name: super::words::cut(name, ECHO_BYTES_MAX).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_by_its_name() {
        for field in Field::ALL {
            assert_eq!(field.as_str().parse(), Ok(*field));
        }
    }

    #[test]
    fn an_unknown_name_is_told_all_known_ones() {
        let error = "colour".parse::<Field>().unwrap_err().to_string();
        assert!(error.contains("`colour`"), "{error}");
        for field in Field::ALL {
            assert!(error.contains(field.as_str()), "{error}");
        }
        let long = "\u{e9}".repeat(4_000).parse::<Field>().unwrap_err().to_string();
        assert!(long.len() < 500, "{long}");
    }
}
