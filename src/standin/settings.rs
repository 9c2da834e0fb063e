//! What the stand-in is told to be: addresses, accounts, and the recordings in them.
//!
//! In: values written by `demo` or by a test. Out: nothing; these are plain values.
//! Telephone numbers in samples must be fictitious (`+1 404 555 01xx`), tokens must be invented.
//! [`StandInAccount`] has no `Debug`, so that a token cannot reach a log by accident.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::envelope::SampleEncryption;
use super::samples::{
    SampleAddOnResult, SampleApiKey, SampleComposition, SampleLiveRecording, SampleMessage,
    SampleRoom, SampleServiceMedia, SampleToken, SampleTranscript, SampleTranscription,
    SampleVideo,
};

/// All that [`StandIn::start`](super::StandIn::start) needs.
pub struct StandInSettings {
    /// Where the listener that plays api.twilio.com binds; port 0 picks a free one.
    pub address: SocketAddr,
    /// Where the listener that plays the media CDN binds; port 0 picks a free one.
    pub cdn_address: SocketAddr,
    /// TLS for both listeners. The caller sets ALPN to `http/1.1`: nothing else is spoken.
    pub tls: Arc<rustls::ServerConfig>,
    /// The name in URLs the stand-in makes for itself, without a port.
    pub host: String,
    /// The accounts it knows.
    pub accounts: Vec<StandInAccount>,
    /// What Twilio leaves open.
    pub ways: Ways,
}

/// What differs between regions, and what Twilio does not document. The default is the likeliest.
#[derive(Clone)]
pub struct Ways {
    /// The origin in the URLs of video resources.
    pub video_origin: String,
    /// The origin in the URLs of Conversational Intelligence.
    pub intelligence_origin: String,
    /// The origin in the URLs of the media content service.
    pub mcs_origin: String,
    /// The origin in the URLs of live recordings.
    pub live_origin: String,
    /// The redirect that answers a request for a message's media: users see 302 and 307.
    pub message_redirect: u16,
    /// The status and the code of a refusal to delete a recording that is not completed.
    pub undeletable: (u16, u32),
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            video_origin: "https://video.twilio.com".to_owned(),
            intelligence_origin: "https://intelligence.twilio.com".to_owned(),
            mcs_origin: "https://mcs.us1.twilio.com".to_owned(),
            live_origin: "https://media.twilio.com".to_owned(),
            message_redirect: 307,
            undeletable: (409, 20009),
        }
    }
}

/// One Twilio account and what it holds at the start.
#[derive(Default)]
pub struct StandInAccount {
    /// `AC` and 32 hex digits.
    pub sid: String,
    /// The password that goes with the SID.
    pub auth_token: String,
    /// Other credentials that are as good.
    pub api_keys: Vec<SampleApiKey>,
    /// Voice recordings.
    pub recordings: Vec<SampleRecording>,
    /// Transcriptions of voice recordings.
    pub transcriptions: Vec<SampleTranscription>,
    /// Add-on results of voice recordings.
    pub add_on_results: Vec<SampleAddOnResult>,
    /// Messages with their media.
    pub messages: Vec<SampleMessage>,
    /// Recorded tracks of video rooms.
    pub videos: Vec<SampleVideo>,
    /// Compositions of such tracks.
    pub compositions: Vec<SampleComposition>,
    /// The rooms themselves.
    pub rooms: Vec<SampleRoom>,
    /// Recordings of Twilio Live.
    pub live_recordings: Vec<SampleLiveRecording>,
    /// Files of conversations.
    pub service_media: Vec<SampleServiceMedia>,
    /// Transcripts of Conversational Intelligence.
    pub transcripts: Vec<SampleTranscript>,
    /// Flex tokens that are valid.
    pub tokens: Vec<SampleToken>,
}

/// One recording and the call it belongs to.
#[derive(Clone, Default)]
pub struct SampleRecording {
    /// `RE` and 32 hex digits.
    pub sid: String,
    /// The parent call, `CA` and 32 hex digits.
    pub call_sid: Option<String>,
    /// The conference it was made of, `CF` and 32 hex digits.
    pub conference_sid: Option<String>,
    /// Who began the call.
    pub direction: Direction,
    /// When the recording began.
    pub started_at: Timestamp,
    /// How long it is.
    pub duration_seconds: u32,
    /// 1 (mixed) or 2 (caller left, agent right).
    pub channels: u8,
    /// Only `Completed` has media.
    pub status: RecordingStatus,
    /// Where the bytes come from.
    pub audio: SampleAudio,
    /// The calling number.
    pub from: String,
    /// The called number.
    pub to: String,
    /// The key it is encrypted to. Its one file is then the WAV as it was recorded, encrypted in
    /// memory as a whole; there is no MP3 and no other number of channels.
    pub encryption: Option<SampleEncryption>,
}

/// The direction of a call, in Twilio's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Somebody called a Twilio number.
    #[default]
    Inbound,
    /// The account placed the call over the API.
    OutboundApi,
    /// A `<Dial>` placed the call.
    OutboundDial,
}

impl Direction {
    /// As it is spelled in the Call JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
        }
    }
}

/// The states of a recording that a test can meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordingStatus {
    /// The call has just ended; media is 404 for some seconds.
    Processing,
    /// Media is there.
    #[default]
    Completed,
    /// Nothing was stored: the call was silent.
    Absent,
    /// Media is gone; metadata only shows with `IncludeSoftDeleted=true`.
    Deleted,
}

impl RecordingStatus {
    /// As it is spelled in the Recording JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Absent => "absent",
            Self::Deleted => "deleted",
        }
    }
}

/// Where the bytes of a recording come from.
#[derive(Clone, Default)]
pub enum SampleAudio {
    /// A synthesised talk between two voices, made on first use and then kept.
    #[default]
    Conversation,
    /// These bytes, for either number of channels.
    Bytes {
        /// Served as `.wav` and without extension.
        wav: Bytes,
        /// Served as `.mp3`.
        mp3: Bytes,
    },
    /// So many bytes of [`pattern_byte`](super::pattern_byte), made while they are sent and never
    /// held in memory as a whole.
    Zeros {
        /// How many bytes, the same for both formats.
        length: u64,
    },
}

/// The two formats in which Twilio serves a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaFormat {
    /// `.wav` or no extension.
    Wav,
    /// `.mp3`.
    Mp3,
}

impl MediaFormat {
    /// Twilio's content type for it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/x-wav",
            Self::Mp3 => "audio/mpeg",
        }
    }

    /// The extension in a URL, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
        }
    }
}
