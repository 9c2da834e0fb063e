//! Twilio's resources, read strictly into what decisions need.
//!
//! TRUST: the JSON comes from upstream. What a decision rests on must be there and well-formed,
//! otherwise there are no facts and the gate refuses; keys it does not need are not looked at, so
//! that Twilio may add some. The api product writes times as RFC 2822 does, the others in ISO 8601.

use std::sync::Arc;

use jiff::{Timestamp, fmt::rfc2822};
use serde::Deserialize;
use serde_json::Value;

use crate::media::{AccountSid, Artefact, CallSid, Direction, MediaSid, MetadataRef, SidKind};

use super::fold::Ends;
use super::statement::is_e164;
use super::{FactsError, Numbers, RecordingStatus};

/// What one resource tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) started_at: Option<Timestamp>,
    pub(super) duration_seconds: u32,
    pub(super) channels: u8,
    pub(super) status: RecordingStatus,
    pub(super) encryption: Option<Arc<Value>>,
    pub(super) call: Option<CallSid>,
    pub(super) conference: Option<MediaSid>,
    pub(super) room: Option<MediaSid>,
    /// The recording that it was made from.
    pub(super) recording: Option<MediaSid>,
    /// Of a call, who called whom.
    ends: Option<Ends>,
    /// What it is, if that depends on the one.
    pub(super) artefact: Option<Artefact>,
}

/// The keys that are looked at; which of them a resource has depends on its kind.
#[derive(Deserialize)]
struct Json {
    account_sid: AccountSid,
    sid: MediaSid,
    call_sid: Option<CallSid>,
    conference_sid: Option<MediaSid>,
    recording_sid: Option<MediaSid>,
    room_sid: Option<MediaSid>,
    grouping_sids: Option<Grouping>,
    channel: Option<Value>,
    start_time: Option<String>,
    media_start_time: Option<String>,
    date_sent: Option<String>,
    date_created: Option<String>,
    duration: Option<Number>,
    channels: Option<u8>,
    status: Option<String>,
    encryption_details: Option<Value>,
    direction: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Grouping {
    room_sid: Option<MediaSid>,
}

/// Twilio writes durations as text, and in some variants as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Plain(i64),
}

/// The name of a resource, for errors.
fn name(kind: SidKind) -> &'static str {
    match kind {
        SidKind::Recording => "Recording",
        SidKind::Call => "Call",
        SidKind::Transcription => "Transcription",
        SidKind::Message | SidKind::MultimediaMessage => "Message",
        SidKind::Media => "Media",
        SidKind::Composition => "Composition",
        SidKind::Room => "Room",
        SidKind::Transcript => "Transcript",
        _ => "video Recording",
    }
}

/// Reads the resource that was asked for.
///
/// # Errors
/// [`FactsError`] if it is another one, or lacks what a decision rests on.
pub(super) fn read(json: &[u8], what: &MetadataRef) -> Result<Told, FactsError> {
    let kind = what.sid().kind();
    let resource = name(kind);
    let json: Json =
        serde_json::from_slice(json).map_err(|_| FactsError::Malformed { what: resource })?;
    if json.account_sid != what.account() || json.sid != what.sid() {
        return Err(FactsError::NotTheSame { what: resource });
    }
    let status = json.status(kind)?;
    let duration_seconds = json.duration(kind, status)?;
    let started_at = json.started_at(kind)?;
    let ends = [json.from.as_deref(), json.to.as_deref()];
    let ends = (kind == SidKind::Call).then(|| self::ends(json.direction.as_deref(), ends));
    let source = json.channel.as_ref().and_then(|channel| {
        channel.pointer("/media_properties/source_sid")?.as_str()?.parse::<MediaSid>().ok()
    });
    let artefact = match (kind, json.kind.as_deref()) {
        (SidKind::VideoRecording, Some("audio")) => Some(Artefact::Audio),
        (SidKind::VideoRecording, _) => Some(Artefact::Video),
        _ => None,
    };
    let own_call = json.sid.to_string().parse().ok();
    let own_room = Some(json.sid).filter(|_| kind == SidKind::Room);
    Ok(Told {
        started_at,
        duration_seconds,
        channels: json.channels.unwrap_or(1),
        status,
        encryption: json.encryption_details.filter(|details| !details.is_null()).map(Arc::new),
        call: json.call_sid.or(own_call),
        conference: json.conference_sid,
        room: json
            .room_sid
            .or(json.grouping_sids.and_then(|grouping| grouping.room_sid))
            .or(own_room),
        recording: json.recording_sid.or(source).filter(|sid| sid.kind() == SidKind::Recording),
        ends,
        artefact,
    })
}

impl Told {
    /// The ends of the call, if it is one.
    pub(super) fn ends(&self) -> Option<Ends> {
        self.ends.clone()
    }
}

/// The ends of a call, in Twilio's words. What is no number in E.164 form is none: a client, a SIP
/// address, a caller who withholds theirs.
#[must_use]
pub fn ends(direction: Option<&str>, each: [Option<&str>; 2]) -> Ends {
    let numbers: Vec<String> =
        each.into_iter().flatten().filter(|end| is_e164(end)).map(str::to_owned).collect();
    let unnumbered = u8::try_from(each.len().saturating_sub(numbers.len())).unwrap_or(2);
    Ends {
        direction: direction.and_then(self::direction),
        numbers: Numbers::new(numbers),
        unnumbered,
        all: true,
    }
}

impl Json {
    fn status(&self, kind: SidKind) -> Result<RecordingStatus, FactsError> {
        let known = self.status.as_deref().and_then(RecordingStatus::read);
        match kind {
            SidKind::Recording => known.ok_or(FactsError::Missing { fact: "recording status" }),
            // A message's states are about its sending; a file of it is there or not.
            SidKind::Message | SidKind::MultimediaMessage | SidKind::Media => {
                Ok(RecordingStatus::Completed)
            }
            _ => Ok(known.unwrap_or(RecordingStatus::Processing)),
        }
    }

    fn duration(&self, kind: SidKind, status: RecordingStatus) -> Result<u32, FactsError> {
        let seconds = match &self.duration {
            Some(Number::Plain(n)) => u32::try_from(*n).ok(),
            Some(Number::Text(text)) => text.parse().ok(),
            None => None,
        };
        match (seconds, kind, status) {
            (Some(seconds), _, _) => Ok(seconds),
            (None, SidKind::Recording, RecordingStatus::Completed) => {
                Err(FactsError::Missing { fact: "recording duration" })
            }
            // Until a recording is completed Twilio says -1 or nothing for its duration; it has no
            // media then, and counting from its start can only make it older than it is.
            (None, _, _) => Ok(0),
        }
    }

    /// When what was said was said. What is made from it later has a time of its own, which would
    /// put it under a later notice, and is not taken.
    fn started_at(&self, kind: SidKind) -> Result<Option<Timestamp>, FactsError> {
        let (text, fact) = match kind {
            SidKind::Recording => (&self.start_time, "recording start time"),
            SidKind::Call => (&self.start_time, "start time"),
            SidKind::Message | SidKind::MultimediaMessage if self.date_sent.is_some() => {
                (&self.date_sent, "time of the message")
            }
            SidKind::Message | SidKind::MultimediaMessage => {
                (&self.date_created, "time of the message")
            }
            SidKind::Transcript => (&self.media_start_time, "start of what was transcribed"),
            SidKind::Composition | SidKind::Transcription => return Ok(None),
            _ => (&self.date_created, "time at which it was made"),
        };
        let time = text.as_deref().and_then(time);
        match kind {
            // The recording that it was made from tells, if it is one; of a recording's call, only the
            // ends are asked for.
            SidKind::Transcript | SidKind::Call => Ok(time),
            _ => time.map(Some).ok_or(FactsError::Missing { fact }),
        }
    }
}

fn time(text: &str) -> Option<Timestamp> {
    let mail = || rfc2822::parse(text).ok().map(|time| time.timestamp());
    text.parse().ok().or_else(mail)
}

fn direction(word: &str) -> Option<Direction> {
    match word {
        // Seen from a trunk, originating calls come from the telephone network and terminating
        // ones end in it (Twilio's Elastic SIP Trunking pages).
        "inbound" | "trunking-originating" => Some(Direction::Inbound),
        "outbound-api"
        | "outbound-dial"
        | "trunking-terminating"
        | "outbound-call"
        | "outbound-reply" => Some(Direction::Outbound),
        // A direction we do not know is unknown, never a guess.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AC: &str = "AC00000000000000000000000000000001";
    const RE: &str = "RE0123456789abcdef0123456789abcdef";

    fn sample() -> Value {
        json!({
            "account_sid": AC, "sid": RE, "call_sid": "CA0123456789abcdef0123456789abcdef",
            "channels": 2, "start_time": "Tue, 03 Nov 2026 09:15:02 +0000", "duration": "281",
            "status": "completed", "encryption_details": null, "new_key": {"x": [1]},
        })
    }

    fn of(sid: &str) -> MetadataRef {
        MetadataRef::named(AC.parse().unwrap(), sid.parse().unwrap()).unwrap()
    }

    fn read(json: &Value) -> Result<Told, FactsError> {
        super::read(json.to_string().as_bytes(), &of(RE))
    }

    #[test]
    fn a_completed_recording_is_read_in_either_spelling_of_its_duration() {
        let recording = read(&sample()).unwrap();
        assert_eq!(recording.started_at, "2026-11-03T09:15:02Z".parse().ok());
        assert_eq!((recording.duration_seconds, recording.channels), (281, 2));
        assert!(recording.encryption.is_none());
        let mut number = sample();
        number["duration"] = json!(281);
        assert_eq!(read(&number).unwrap(), recording);
    }

    #[test]
    fn what_a_decision_rests_on_must_be_there() {
        for (key, value) in [
            ("start_time", json!(null)),
            ("start_time", json!("yesterday")),
            ("duration", json!(null)),
            ("duration", json!("-1")),
            ("duration", json!("soon")),
            ("status", json!("splendid")),
            ("status", json!(null)),
            ("sid", json!("RE0123456789abcdef0123456789abcde0")),
            ("account_sid", json!("AC00000000000000000000000000000002")),
        ] {
            let mut changed = sample();
            changed[key] = value.clone();
            assert!(read(&changed).is_err(), "{key} = {value}");
        }
        assert!(super::read(b"<xml/>", &of(RE)).is_err());
    }

    #[test]
    fn an_unknown_direction_stays_unknown() {
        let call = "CA0123456789abcdef0123456789abcdef";
        let read = |direction: &str| {
            let json = json!({"account_sid": AC, "sid": call, "direction": direction,
                "start_time": "Tue, 03 Nov 2026 09:15:02 +0000"});
            super::read(json.to_string().as_bytes(), &of(call)).unwrap().ends.unwrap().direction
        };
        assert_eq!(read("inbound"), Some(Direction::Inbound));
        assert_eq!(read("outbound-dial"), Some(Direction::Outbound));
        assert_eq!(read("sideways"), None);
    }

    #[test]
    fn what_was_made_later_does_not_say_when_it_was_said() {
        let transcript = "GT0123456789abcdef0123456789abcdef";
        let made_from = |source: &str| {
            let json = json!({"account_sid": AC, "sid": transcript, "status": "completed",
                "date_created": "2026-11-20T10:00:00Z",
                "channel": {"media_properties": {"source_sid": source}}});
            super::read(json.to_string().as_bytes(), &of(transcript)).unwrap()
        };
        assert_eq!(made_from(RE).recording, RE.parse().ok());
        assert_eq!(made_from("").recording, None);
        assert_eq!(made_from(RE).started_at, None);
    }
}
