//! Twilio's identifiers: two letters that name the kind, and 32 hexadecimal digits.
//!
//! Twilio's OpenAPI documents allow upper-case digits in the pattern, but Twilio itself writes
//! lower-case. Here only the lower-case spelling parses, so that one object has one name: in the
//! policy, in the ledger and upstream. The digits are kept as a number, so a SID can hold nothing
//! but a SID.

use std::fmt;
use std::str::FromStr;

use crate::words::words;

/// The text is not a SID of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SID: expected {prefix} and 32 lower-case hexadecimal digits")]
pub struct NotASid {
    prefix: &'static str,
}

fn digits(text: &str) -> Option<u128> {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let sound = text.len() == 32 && text.bytes().all(lower_hex);
    if sound { u128::from_str_radix(text, 16).ok() } else { None }
}

words! {
    /// What a SID names: its first two letters.
    SidKind {
        /// An add-on's result.
        AddOnResult = "XR",
        /// The payload of an add-on's result.
        AddOnPayload = "XH",
        /// A call.
        Call = "CA",
        /// A composition of a video room.
        Composition = "CJ",
        /// A conference.
        Conference = "CF",
        /// A recording of a live stream.
        LiveRecording = "KV",
        /// A file of a message, or of a conversation.
        Media = "ME",
        /// A text message.
        Message = "SM",
        /// A message with files.
        MultimediaMessage = "MM",
        /// An operator of Conversational Intelligence.
        Operator = "LY",
        /// A voice recording.
        Recording = "RE",
        /// A video room.
        Room = "RM",
        /// A transcription of a video room: a type id with a UUID, not a SID.
        RoomTranscription = "video_extension_",
        /// A service of Conversations or Chat.
        Service = "IS",
        /// A transcript of Conversational Intelligence.
        Transcript = "GT",
        /// A transcription of a voice recording.
        Transcription = "TR",
        /// A track that was recorded in a video room.
        VideoRecording = "RT",
    }
}

/// The name of anything Twilio serves that holds, or is derived from, a communication.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaSid {
    kind: SidKind,
    digits: u128,
}

impl MediaSid {
    /// The recording of all zeros, which Twilio gives to nothing.
    pub const ZERO: Self = Self { kind: SidKind::Recording, digits: 0 };

    /// What it names.
    #[must_use]
    pub fn kind(self) -> SidKind {
        self.kind
    }
}

impl FromStr for MediaSid {
    type Err = NotASid;

    fn from_str(text: &str) -> Result<Self, NotASid> {
        let read = || {
            if let Some(uuid) = text.strip_prefix(SidKind::RoomTranscription.as_str()) {
                let digits = uuid.parse::<uuid::Uuid>().ok()?.as_u128();
                let own = Self { kind: SidKind::RoomTranscription, digits };
                return (own.to_string() == text).then_some(own);
            }
            let (kind, rest) = text.split_at_checked(2)?;
            Some(Self { kind: SidKind::read(kind)?, digits: digits(rest)? })
        };
        read().ok_or(NotASid { prefix: "two letters that Twilio gives to media, such as `RE`," })
    }
}

impl fmt::Display for MediaSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str();
        match self.kind {
            SidKind::RoomTranscription => {
                write!(f, "{kind}{}", uuid::Uuid::from_u128(self.digits).hyphenated())
            }
            _ => write!(f, "{kind}{:032x}", self.digits),
        }
    }
}

macro_rules! text_form {
    ($name:ident) => {
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

text_form!(MediaSid);

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
                let read = text.strip_prefix($prefix).and_then(digits);
                read.map(Self).ok_or(NotASid { prefix: concat!("`", $prefix, "`") })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:032x}"), self.0)
            }
        }

        text_form!($name);
    };
}

sid!(
    /// A Twilio account or subaccount, `AC...`.
    AccountSid,
    "AC"
);
sid!(
    /// A call, `CA...`. For a recording it is always the parent leg.
    CallSid,
    "CA"
);

impl From<CallSid> for MediaSid {
    fn from(call: CallSid) -> Self {
        Self { kind: SidKind::Call, digits: call.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_has_one_spelling() {
        for text in [
            "RE00ff00ff00ff00ff00ff00ff00ff00ff",
            "video_extension_2c70be23-4788-423d-9351-df6705efa035",
        ] {
            assert_eq!(text.parse::<MediaSid>().unwrap().to_string(), text);
        }
        for bad in [
            "RE00FF00ff00ff00ff00ff00ff00ff00ff",
            "re00ff00ff00ff00ff00ff00ff00ff00ff",
            "RE00ff00ff00ff00ff00ff00ff00ff00f",
            "RE00ff00ff00ff00ff00ff00ff00ff00ff0",
            "RE+0ff00ff00ff00ff00ff00ff00ff00ff",
            "AC00ff00ff00ff00ff00ff00ff00ff00ff",
            "",
            "R",
            "\u{e9}RE",
            "video_extension_2C70be23-4788-423d-9351-df6705efa035",
            "video_extension_2c70be234788423d9351df6705efa035",
        ] {
            assert!(bad.parse::<MediaSid>().is_err(), "{bad}");
        }
    }
}
