//! Twilio's identifiers: two letters that name the kind, and 32 hexadecimal digits.
//!
//! Twilio's OpenAPI documents allow upper-case digits in the pattern, but Twilio itself writes
//! lower-case. Here only the lower-case spelling parses, so that one object has one name: in the
//! policy, in the ledger and upstream. The digits are kept as a number, so a SID can hold nothing
//! but a SID.

use std::fmt;
use std::str::FromStr;

/// The text is not a SID of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SID: expected `{prefix}` and 32 lower-case hexadecimal digits")]
pub struct NotASid {
    prefix: &'static str,
}

fn parse_digits(text: &str, prefix: &'static str) -> Result<u128, NotASid> {
    let wrong = NotASid { prefix };
    let digits = text.strip_prefix(prefix).ok_or(wrong)?;
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if digits.len() != 32 || !digits.bytes().all(lower_hex) {
        return Err(wrong);
    }
    u128::from_str_radix(digits, 16).map_err(|_| wrong)
}

macro_rules! sid {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// The one of all zeros, which Twilio gives to nothing.
            pub const ZERO: Self = Self(0);
        }

        impl FromStr for $name {
            type Err = NotASid;

            fn from_str(text: &str) -> Result<Self, NotASid> {
                parse_digits(text, $prefix).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:032x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

sid!(
    /// A Twilio account or subaccount, `AC...`.
    AccountSid,
    "AC"
);
sid!(
    /// A voice recording, `RE...`.
    RecordingSid,
    "RE"
);
sid!(
    /// A call, `CA...`. For a recording it is always the parent leg.
    CallSid,
    "CA"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_has_one_spelling() {
        let text = "RE00ff00ff00ff00ff00ff00ff00ff00ff";
        assert_eq!(text.parse::<RecordingSid>().unwrap().to_string(), text);
        for bad in [
            "RE00FF00ff00ff00ff00ff00ff00ff00ff",
            "re00ff00ff00ff00ff00ff00ff00ff00ff",
            "RE00ff00ff00ff00ff00ff00ff00ff00f",
            "RE00ff00ff00ff00ff00ff00ff00ff00ff0",
            "RE+0ff00ff00ff00ff00ff00ff00ff00ff",
            "AC00ff00ff00ff00ff00ff00ff00ff00ff",
            "",
        ] {
            assert!(bad.parse::<RecordingSid>().is_err(), "{bad}");
        }
    }
}
