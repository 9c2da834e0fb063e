//! Twilio's URL grammar: text from a caller becomes a [`MediaRef`] or is refused.
//!
//! This room is pure. It takes the path and the query of a request and gives back the one
//! reference they spell, or a [`TargetError`] that says what is wrong with them. The upstream
//! request is later built from the reference alone ([`MediaRef::upstream_path`]), so nothing a
//! caller wrote travels on. The grammar accepts one spelling for each object and no other: what
//! two parsers could read differently (encoded or doubled slashes, dot segments, parameters,
//! letter case) is refused before anything else happens. Read `target.rs` next.

mod conditions;
mod kind;
mod sid;
mod target;

pub use conditions::{BadCondition, ByteRange, Conditions, EntityTag, HttpDate, Tags, Validator};
pub use kind::{Action, Artefact, Direction};
pub use sid::{AccountSid, CallSid, NotASid, RecordingSid};
pub use target::{Confusion, PATH_BYTES_MAX, Target, TargetError};

use std::fmt;

/// One thing Twilio serves that holds or is derived from a communication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaRef {
    /// The account in the path. The gate checks that the recording really belongs to it.
    pub account: AccountSid,
    /// The voice recording.
    pub recording: RecordingSid,
    /// What is asked of it.
    pub form: Form,
}

/// The forms in which a voice recording is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The sound itself.
    Audio {
        /// The container asked for.
        format: AudioFormat,
        /// `RequestedChannels`; absent means as recorded.
        channels: Option<Channels>,
    },
    /// The Recording resource as JSON.
    Metadata,
}

/// The container of the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioFormat {
    /// No extension: Twilio answers with WAV.
    Unnamed,
    /// `.wav`
    Wav,
    /// `.mp3`
    Mp3,
}

/// Twilio's `RequestedChannels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// Both voices mixed.
    Mono,
    /// One voice a channel.
    Dual,
}

impl MediaRef {
    /// The path and query to ask Twilio for, built from the reference and nothing else.
    #[must_use]
    pub fn upstream_path(&self) -> String {
        let query = match self.form {
            Form::Audio { channels: Some(channels), .. } => channels.query(),
            Form::Audio { channels: None, .. } | Form::Metadata => "",
        };
        format!("{self}{query}")
    }

    /// One word for the form, as the ledger writes it.
    #[must_use]
    pub fn form_name(&self) -> &'static str {
        match self.form {
            Form::Audio { format: AudioFormat::Unnamed | AudioFormat::Wav, .. } => "wav",
            Form::Audio { format: AudioFormat::Mp3, .. } => "mp3",
            Form::Metadata => "metadata",
        }
    }
}

/// The path in its one spelling, without a query.
impl fmt::Display for MediaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, recording, form } = self;
        let extension = match form {
            Form::Audio { format: AudioFormat::Unnamed, .. } => "",
            Form::Audio { format: AudioFormat::Wav, .. } => ".wav",
            Form::Audio { format: AudioFormat::Mp3, .. } => ".mp3",
            Form::Metadata => ".json",
        };
        write!(f, "/2010-04-01/Accounts/{account}/Recordings/{recording}{extension}")
    }
}

/// A resource of Twilio's that the gate reads for itself to learn facts; no caller can name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetadataRef {
    /// The Recording resource.
    Recording(AccountSid, RecordingSid),
    /// The Call resource of a recording's parent leg.
    Call(AccountSid, CallSid),
}

impl MetadataRef {
    /// The account whose credential reads it.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        match *self {
            Self::Recording(account, _) | Self::Call(account, _) => account,
        }
    }

    /// The path to ask Twilio for.
    #[must_use]
    pub fn upstream_path(&self) -> String {
        match *self {
            Self::Recording(account, recording) => {
                MediaRef { account, recording, form: Form::Metadata }.to_string()
            }
            Self::Call(account, call) => {
                format!("/2010-04-01/Accounts/{account}/Calls/{call}.json")
            }
        }
    }
}

impl Channels {
    fn query(self) -> &'static str {
        match self {
            Self::Mono => "?RequestedChannels=1",
            Self::Dual => "?RequestedChannels=2",
        }
    }
}
