//! What a request target asks for, on either listener.
//!
//! In: a path as sent. Out: a [`Route`] with the SIDs in it. The products' paths do not collide, so
//! one listener serves them all. Paths are compared byte for byte: an escaped, doubled or
//! differently cased spelling is unknown here, so that a proxy which forwards one is noticed.

use super::misbehaviour::Kind;
use super::settings::MediaFormat;

/// A request of the API, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Bytes of a voice recording.
    Media { account: &'a str, within: Within<'a>, sid: &'a str, format: MediaFormat },
    /// JSON of the 2010-04-01 API.
    Voice { account: &'a str, what: Voice<'a> },
    /// A message, its media, or the media's bytes.
    Message { account: &'a str, what: Message<'a> },
    /// video.twilio.com and media.twilio.com.
    Video(Video<'a>),
    /// The media content service of conversations.
    Service { service: &'a str, sid: &'a str, content: bool },
    /// Conversational Intelligence.
    Transcript(Transcript<'a>),
    /// iam.twilio.com: is this Flex token valid?
    ValidateToken { account: &'a str },
    /// Nothing we know.
    Unknown,
}

/// Where a voice recording is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within<'a> {
    Account,
    Call(&'a str),
    Conference(&'a str),
}

/// JSON of calls, recordings and what is derived from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice<'a> {
    Recordings(Within<'a>),
    Recording(Within<'a>, &'a str),
    Call(&'a str),
    CallEvents(&'a str),
    /// Of one recording, or of all.
    Transcriptions(Option<&'a str>),
    Transcription(Option<&'a str>, &'a str),
    AddOnResults {
        recording: &'a str,
    },
    AddOnResult {
        recording: &'a str,
        result: &'a str,
    },
    Payloads {
        recording: &'a str,
        result: &'a str,
    },
    Payload {
        recording: &'a str,
        result: &'a str,
        payload: &'a str,
    },
    PayloadData {
        recording: &'a str,
        result: &'a str,
        payload: &'a str,
    },
}

/// Messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    One(&'a str),
    MediaList(&'a str),
    Media { message: &'a str, sid: &'a str },
    Bytes { message: &'a str, sid: &'a str },
}

/// Video: tracks (of one room, or of all), compositions, rooms, and live recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Video<'a> {
    Recordings(Option<&'a str>),
    Recording(Option<&'a str>, &'a str),
    RecordingBytes(Option<&'a str>, &'a str),
    Compositions,
    Composition(&'a str),
    CompositionBytes(&'a str),
    /// `RecordingSettings` or `CompositionSettings`.
    Settings(&'a str),
    Room(&'a str),
    Transcriptions(&'a str),
    Transcription(&'a str, &'a str),
    LiveRecordings,
    LiveRecording(&'a str),
    LiveBytes(&'a str),
    LiveMetadata(&'a str),
}

/// Transcripts and what belongs to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transcript<'a> {
    List,
    One(&'a str),
    Media(&'a str),
    Sentences(&'a str),
    EncryptedSentences(&'a str),
    OperatorResults(&'a str),
    OperatorResult(&'a str, &'a str),
    EncryptedOperatorResults(&'a str),
}

impl<'a> Route<'a> {
    /// Reads a path of the API.
    pub(super) fn of_api(path: &'a str) -> Self {
        let Some(path) = path.strip_prefix('/') else {
            return Self::Unknown;
        };
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Self::Unknown;
        }
        match *parts.as_slice() {
            ["2010-04-01", "Accounts", account, ref within @ .., leaf] => {
                let (leaf, extension) = split_extension(leaf);
                match extension {
                    Some("json" | "xml") => resource(account, within, leaf),
                    None | Some("wav" | "mp3") => bytes(account, within, leaf, extension),
                    Some(_) => Self::Unknown,
                }
            }
            ["v1" | "v2", .., last] if last.contains('.') => Self::Unknown,
            ["v1", "Services", service, "Media", sid] => {
                Self::Service { service, sid, content: false }
            }
            ["v1", "Services", service, "Media", sid, "Content"] => {
                Self::Service { service, sid, content: true }
            }
            ["v1", "Accounts", account, "Tokens", "validate"] => Self::ValidateToken { account },
            ["v1", ref rest @ ..] => video(rest).map_or(Self::Unknown, Self::Video),
            ["v2", "Transcripts", ref rest @ ..] => {
                transcript(rest).map_or(Self::Unknown, Self::Transcript)
            }
            _ => Self::Unknown,
        }
    }

    /// What rules of misbehaviour call it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Media { .. }
            | Self::Voice { what: Voice::PayloadData { .. }, .. }
            | Self::Message { what: Message::Bytes { .. }, .. }
            | Self::Service { content: true, .. }
            | Self::Video(
                Video::RecordingBytes(..)
                | Video::CompositionBytes(_)
                | Video::LiveBytes(_)
                | Video::LiveMetadata(_),
            ) => Kind::Media,
            Self::Unknown => Kind::Unknown,
            _ => Kind::Metadata,
        }
    }

    /// The account in the path.
    pub(super) fn account(&self) -> Option<&'a str> {
        match self {
            Self::Media { account, .. }
            | Self::Voice { account, .. }
            | Self::Message { account, .. }
            | Self::ValidateToken { account } => Some(account),
            Self::Video(_) | Self::Service { .. } | Self::Transcript(_) | Self::Unknown => None,
        }
    }

    /// Whether Twilio lets it be deleted.
    pub(super) fn is_deletable(&self) -> bool {
        matches!(
            self,
            Self::Voice {
                what: Voice::Recording(..)
                    | Voice::Transcription(..)
                    | Voice::AddOnResult { .. }
                    | Voice::Payload { .. },
                ..
            } | Self::Message { what: Message::One(_) | Message::Media { .. }, .. }
                | Self::Video(
                    Video::Recording(..) | Video::Composition(_) | Video::LiveRecording(_)
                )
                | Self::Service { content: false, .. }
                | Self::Transcript(Transcript::One(_))
        )
    }
}

/// `.json` and `.xml` of the 2010-04-01 API; the leaf comes without its extension.
fn resource<'a>(account: &'a str, within: &[&'a str], leaf: &'a str) -> Route<'a> {
    let message = match *within {
        ["Messages"] => Some(Message::One(leaf)),
        ["Messages", message] if leaf == "Media" => Some(Message::MediaList(message)),
        ["Messages", message, "Media"] => Some(Message::Media { message, sid: leaf }),
        _ => None,
    };
    if let Some(what) = message {
        return Route::Message { account, what };
    }
    let what = match (within, leaf) {
        ([], "Recordings") => Voice::Recordings(Within::Account),
        (&["Calls", call], "Recordings") => Voice::Recordings(Within::Call(call)),
        (&["Conferences", of], "Recordings") => Voice::Recordings(Within::Conference(of)),
        (["Recordings"], sid) => Voice::Recording(Within::Account, sid),
        (&["Calls", call, "Recordings"], sid) => Voice::Recording(Within::Call(call), sid),
        (&["Conferences", of, "Recordings"], sid) => Voice::Recording(Within::Conference(of), sid),
        (["Calls"], sid) => Voice::Call(sid),
        (&["Calls", call], "Events") => Voice::CallEvents(call),
        ([], "Transcriptions") => Voice::Transcriptions(None),
        (["Transcriptions"], sid) => Voice::Transcription(None, sid),
        (&["Recordings", of], "Transcriptions") => Voice::Transcriptions(Some(of)),
        (&["Recordings", of, "Transcriptions"], sid) => Voice::Transcription(Some(of), sid),
        (&["Recordings", recording], "AddOnResults") => Voice::AddOnResults { recording },
        (&["Recordings", recording, "AddOnResults"], result) => {
            Voice::AddOnResult { recording, result }
        }
        (&["Recordings", recording, "AddOnResults", result], "Payloads") => {
            Voice::Payloads { recording, result }
        }
        (&["Recordings", recording, "AddOnResults", result, "Payloads"], payload) => {
            Voice::Payload { recording, result, payload }
        }
        (&["Recordings", recording, "AddOnResults", result, "Payloads", payload], "Data") => {
            Voice::PayloadData { recording, result, payload }
        }
        _ => return Route::Unknown,
    };
    Route::Voice { account, what }
}

/// Media of the 2010-04-01 API.
fn bytes<'a>(
    account: &'a str,
    within: &[&'a str],
    sid: &'a str,
    extension: Option<&str>,
) -> Route<'a> {
    if let (["Messages", message, "Media"], None) = (within, extension) {
        return Route::Message { account, what: Message::Bytes { message, sid } };
    }
    let within = match *within {
        ["Recordings"] => Within::Account,
        ["Calls", call, "Recordings"] => Within::Call(call),
        ["Conferences", conference, "Recordings"] => Within::Conference(conference),
        _ => return Route::Unknown,
    };
    let format = if extension == Some("mp3") { MediaFormat::Mp3 } else { MediaFormat::Wav };
    Route::Media { account, within, sid, format }
}

fn video<'a>(path: &[&'a str]) -> Option<Video<'a>> {
    Some(match *path {
        ["Recordings"] => Video::Recordings(None),
        ["Recordings", sid] => Video::Recording(None, sid),
        ["Recordings", sid, "Media"] => Video::RecordingBytes(None, sid),
        ["Rooms", room] => Video::Room(room),
        ["Rooms", room, "Recordings"] => Video::Recordings(Some(room)),
        ["Rooms", room, "Recordings", sid] => Video::Recording(Some(room), sid),
        ["Rooms", room, "Recordings", sid, "Media"] => Video::RecordingBytes(Some(room), sid),
        ["Rooms", room, "Transcriptions"] => Video::Transcriptions(room),
        ["Rooms", room, "Transcriptions", id] => Video::Transcription(room, id),
        ["Compositions"] => Video::Compositions,
        ["Compositions", sid] => Video::Composition(sid),
        ["Compositions", sid, "Media"] => Video::CompositionBytes(sid),
        [of @ ("RecordingSettings" | "CompositionSettings"), "Default"] => Video::Settings(of),
        ["MediaRecordings"] => Video::LiveRecordings,
        ["MediaRecordings", sid] => Video::LiveRecording(sid),
        ["MediaRecordings", sid, "Media"] => Video::LiveBytes(sid),
        ["MediaRecordings", sid, "TimedMetadata"] => Video::LiveMetadata(sid),
        _ => return None,
    })
}

fn transcript<'a>(path: &[&'a str]) -> Option<Transcript<'a>> {
    Some(match *path {
        [] => Transcript::List,
        [sid] => Transcript::One(sid),
        [sid, "Media"] => Transcript::Media(sid),
        [sid, "Sentences"] => Transcript::Sentences(sid),
        [sid, "Sentences", "Encrypted"] => Transcript::EncryptedSentences(sid),
        [sid, "OperatorResults"] => Transcript::OperatorResults(sid),
        [sid, "OperatorResults", "Encrypted"] => Transcript::EncryptedOperatorResults(sid),
        [sid, "OperatorResults", operator] => Transcript::OperatorResult(sid, operator),
        _ => return None,
    })
}

/// An object of the CDN: `/{AC}/` and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CdnRoute<'a> {
    pub(super) account: &'a str,
    pub(super) key: &'a str,
}

impl<'a> CdnRoute<'a> {
    /// Reads a path of the CDN.
    pub(super) fn read(path: &'a str) -> Option<Self> {
        let (account, key) = path.strip_prefix('/')?.split_once('/')?;
        Some(Self { account, key })
    }

    /// The voice recording the key names: `RE....wav` or `.mp3`.
    pub(super) fn recording(&self) -> Option<(&'a str, MediaFormat)> {
        match split_extension(self.key) {
            (sid, Some("wav")) if sid.starts_with("RE") => Some((sid, MediaFormat::Wav)),
            (sid, Some("mp3")) if sid.starts_with("RE") => Some((sid, MediaFormat::Mp3)),
            _ => None,
        }
    }
}

fn split_extension(leaf: &str) -> (&str, Option<&str>) {
    leaf.split_once('.').map_or((leaf, None), |(sid, extension)| (sid, Some(extension)))
}

/// The first value of a query parameter, as sent.
pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_between_media_and_metadata() {
        let base = "/2010-04-01/Accounts/AC1/Recordings/RE1";
        let (account, within, sid) = ("AC1", Within::Account, "RE1");
        let wav = Route::Media { account, within, sid, format: MediaFormat::Wav };
        assert_eq!(Route::of_api(base), wav);
        assert_eq!(Route::of_api(&format!("{base}.wav")), wav);
        let mp3 = Route::Media { account, within, sid, format: MediaFormat::Mp3 };
        assert_eq!(Route::of_api(&format!("{base}.mp3")), mp3);
        let json = Route::Voice { account, what: Voice::Recording(within, sid) };
        assert_eq!(Route::of_api(&format!("{base}.json")), json);
    }

    #[test]
    fn a_recording_is_found_under_its_call_and_its_conference_too() {
        let route = Route::of_api("/2010-04-01/Accounts/AC1/Calls/CA1/Recordings/RE1.mp3");
        let within = Within::Call("CA1");
        let (account, sid, format) = ("AC1", "RE1", MediaFormat::Mp3);
        assert_eq!(route, Route::Media { account, within, sid, format });
        let route = Route::of_api("/2010-04-01/Accounts/AC1/Conferences/CF1/Recordings.json");
        let what = Voice::Recordings(Within::Conference("CF1"));
        assert_eq!(route, Route::Voice { account, what });
    }

    #[test]
    fn other_spellings_are_unknown() {
        for path in [
            "/2010-04-01/Accounts/AC1/Recordings/RE1.MP3",
            "/2010-04-01/Accounts/AC1/Recordings/RE1.mp3.wav",
            "/2010-04-01/Accounts/AC1//Recordings/RE1.mp3",
            "/2010-04-01/Accounts/AC1/Recordings/RE1/",
            "/2010-04-01/Accounts/AC1/Recordings/",
            "/2010-04-01/Accounts/AC1/Calls/CA1",
            "/2010-04-01/Accounts/AC1/Messages/SM1/Media/ME1.wav",
            "/v1/Recordings/RT1.json",
            "/v1/recordings/RT1",
            "/v2/Transcripts/",
            "/v2/Transcripts/GT1/Sentences/Encrypted/x",
            "/",
            "",
        ] {
            assert_eq!(Route::of_api(path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn bytes_and_redirects_to_bytes_are_media() {
        for (path, kind) in [
            ("/2010-04-01/Accounts/AC1/Messages/SM1/Media/ME1", Kind::Media),
            ("/2010-04-01/Accounts/AC1/Messages/SM1/Media/ME1.json", Kind::Metadata),
            ("/v1/Rooms/RM1/Recordings/RT1/Media", Kind::Media),
            ("/v1/Rooms/RM1/Recordings/RT1", Kind::Metadata),
            ("/v1/Services/IS1/Media/ME1/Content", Kind::Media),
            ("/v2/Transcripts/GT1/Media", Kind::Metadata),
            ("/v1/Rooms", Kind::Unknown),
        ] {
            assert_eq!(Route::of_api(path).kind(), kind, "{path}");
        }
    }

    #[test]
    fn the_cdn_tells_voice_recordings_from_other_objects() {
        let route = CdnRoute::read("/AC1/RE1.mp3").unwrap();
        assert_eq!(route.recording(), Some(("RE1", MediaFormat::Mp3)));
        let route = CdnRoute::read("/AC1/GT1/redacted.wav").unwrap();
        assert_eq!((route.key, route.recording()), ("GT1/redacted.wav", None));
        assert_eq!(CdnRoute::read("/AC1"), None);
    }

    #[test]
    fn parameters_are_found_by_exact_name() {
        let query = Some("a=1&RequestedChannels=2&b");
        assert_eq!(parameter(query, "RequestedChannels"), Some("2"));
        assert_eq!(parameter(query, "requestedchannels"), None);
        assert_eq!(parameter(None, "a"), None);
    }
}
