//! The samples beside voice recordings: what else an account of the stand-in can hold.
//!
//! In: values written by `demo` or by a test. Out: nothing; these are plain values, each with a
//! default, so that a test names only what it is about. Times are when a thing was made; bytes are
//! served as they stand, from the CDN. Texts and numbers in samples must be invented.

use bytes::Bytes;
use jiff::Timestamp;

use super::envelope::SampleEncryption;

/// An API key: a second pair of credentials for an account.
#[derive(Clone, Default)]
pub struct SampleApiKey {
    /// `SK` and 32 hex digits: the user name.
    pub sid: String,
    /// The password that goes with it.
    pub secret: String,
}

/// The written words of a voice recording.
#[derive(Clone, Default)]
pub struct SampleTranscription {
    /// `TR` and 32 hex digits.
    pub sid: String,
    /// The recording it was made from, `RE...`.
    pub recording_sid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How much of the recording it covers.
    pub duration_seconds: u32,
    /// What was said.
    pub text: String,
}

/// What an add-on made of a voice recording.
#[derive(Clone, Default)]
pub struct SampleAddOnResult {
    /// `XR` and 32 hex digits.
    pub sid: String,
    /// The recording it was made from, `RE...`.
    pub recording_sid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its parts.
    pub payloads: Vec<SamplePayload>,
}

/// A part of an add-on's result.
#[derive(Clone, Default)]
pub struct SamplePayload {
    /// `XH` and 32 hex digits.
    pub sid: String,
    /// What the add-on calls it.
    pub label: String,
    /// The type of its bytes.
    pub content_type: String,
    /// The result itself.
    pub bytes: Bytes,
}

/// Which way a message went, in Twilio's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageDirection {
    /// To the account.
    #[default]
    Inbound,
    /// Sent over the API.
    OutboundApi,
    /// Sent as the answer to an inbound one.
    OutboundReply,
}

impl MessageDirection {
    /// As it is spelled in the Message JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundReply => "outbound-reply",
        }
    }
}

/// A message with its media.
#[derive(Clone, Default)]
pub struct SampleMessage {
    /// `SM` or `MM` and 32 hex digits.
    pub sid: String,
    /// Which way it went.
    pub direction: MessageDirection,
    /// The sender's number.
    pub from: String,
    /// The receiver's number.
    pub to: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Its text.
    pub body: String,
    /// Its pictures and sounds.
    pub media: Vec<SampleMedia>,
}

/// A picture or sound of a message.
#[derive(Clone, Default)]
pub struct SampleMedia {
    /// `ME` and 32 hex digits.
    pub sid: String,
    /// The type of its bytes.
    pub content_type: String,
    /// The picture or sound itself.
    pub bytes: Bytes,
}

/// The states of a video recording, a composition or a live recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoStatus {
    /// Not there yet.
    Processing,
    /// Media is there.
    #[default]
    Completed,
    /// Media is gone, metadata is not.
    Deleted,
    /// It never came to anything.
    Failed,
}

impl VideoStatus {
    /// As it is spelled in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
        }
    }
}

/// What a recorded track of a room carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrackKind {
    /// Sound: OPUS in Matroska (`mka`).
    #[default]
    Audio,
    /// Pictures: VP8 in Matroska (`mkv`).
    Video,
}

/// One recorded track of a video room.
#[derive(Clone, Default)]
pub struct SampleVideo {
    /// `RT` and 32 hex digits.
    pub sid: String,
    /// The room, `RM...`.
    pub room_sid: String,
    /// The participant, `PA...`.
    pub participant_sid: String,
    /// The track, `MT...`.
    pub track_sid: String,
    /// What it carries.
    pub kind: TrackKind,
    /// Only `Completed` has media.
    pub status: VideoStatus,
    /// When it began.
    pub created_at: Timestamp,
    /// How long it is.
    pub duration_seconds: u32,
    /// The track itself, in plain.
    pub bytes: Bytes,
    /// The key it is encrypted to, as S3's client-side encryption (version 1) does it.
    pub encryption: Option<SampleEncryption>,
}

/// A file mixed from the tracks of a room.
#[derive(Clone, Default)]
pub struct SampleComposition {
    /// `CJ` and 32 hex digits.
    pub sid: String,
    /// The room, `RM...`.
    pub room_sid: String,
    /// Only `Completed` has media.
    pub status: VideoStatus,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// How long it is.
    pub duration_seconds: u32,
    /// The MP4 itself, in plain.
    pub bytes: Bytes,
    /// The key it is encrypted to, as S3's client-side encryption (version 1) does it.
    pub encryption: Option<SampleEncryption>,
}

/// A video room.
#[derive(Clone, Default)]
pub struct SampleRoom {
    /// `RM` and 32 hex digits.
    pub sid: String,
    /// The name its maker gave it.
    pub unique_name: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// How long it was open.
    pub duration_seconds: u32,
    /// The identifiers (`video_transcriptions_...`) of the transcriptions made while it was.
    pub transcriptions: Vec<String>,
}

/// A recording of Twilio Live (`media.twilio.com`).
#[derive(Clone, Default)]
pub struct SampleLiveRecording {
    /// `KV` and 32 hex digits.
    pub sid: String,
    /// The media processor, `ZX...`.
    pub processor_sid: String,
    /// The room, `RM...`.
    pub source_sid: String,
    /// Only `Completed` has media.
    pub status: VideoStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// How long it is.
    pub duration_seconds: u32,
    /// The MP4 itself.
    pub bytes: Bytes,
    /// What was written along with it, as JSON.
    pub timed_metadata: Bytes,
}

/// A file of a conversation, kept by the media content service (`mcs`).
#[derive(Clone, Default)]
pub struct SampleServiceMedia {
    /// `ME` and 32 hex digits.
    pub sid: String,
    /// The chat service, `IS...`.
    pub service_sid: String,
    /// The conversation, `CH...`.
    pub channel_sid: String,
    /// The message, `IM...`.
    pub message_sid: String,
    /// Who sent it.
    pub author: String,
    /// What its sender called it.
    pub filename: String,
    /// The type of its bytes.
    pub content_type: String,
    /// When it was sent.
    pub created_at: Timestamp,
    /// The file itself.
    pub bytes: Bytes,
}

/// A transcript of Conversational Intelligence.
#[derive(Clone, Default)]
pub struct SampleTranscript {
    /// `GT` and 32 hex digits.
    pub sid: String,
    /// The intelligence service, `GA...`.
    pub service_sid: String,
    /// The recording it was made from, `RE...`.
    pub recording_sid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How long the recording is.
    pub duration_seconds: u32,
    /// What was said, in order.
    pub sentences: Vec<SampleSentence>,
    /// What language operators made of it.
    pub operators: Vec<SampleOperatorResult>,
    /// The recording as it was made.
    pub audio: Bytes,
    /// The recording with the personal parts silenced.
    pub redacted_audio: Bytes,
    /// The key the encrypted variants are encrypted to; without one there are none.
    pub encryption: Option<SampleEncryption>,
}

/// One sentence of a transcript.
#[derive(Clone, Default)]
pub struct SampleSentence {
    /// `GX` and 32 hex digits.
    pub sid: String,
    /// 1 or 2.
    pub channel: u8,
    /// What was said.
    pub text: String,
    /// The same with the personal parts replaced.
    pub redacted_text: String,
}

/// A text that a language operator generated.
#[derive(Clone, Default)]
pub struct SampleOperatorResult {
    /// `LY` and 32 hex digits.
    pub sid: String,
    /// The operator's name.
    pub name: String,
    /// What it wrote.
    pub text: String,
    /// The same with the personal parts replaced.
    pub redacted_text: String,
}

/// A Flex token that `iam.twilio.com` finds valid.
#[derive(Clone, Default)]
pub struct SampleToken {
    /// The token as the browser holds it.
    pub token: String,
    /// Whose it is.
    pub identity: String,
    /// The Flex roles, such as `admin`, `supervisor` and `agent`.
    pub roles: Vec<String>,
    /// The worker, `WK...`.
    pub worker_sid: Option<String>,
    /// Until when it is said to be valid; the stand-in has no clock and does not look.
    pub expires_at: Timestamp,
}
