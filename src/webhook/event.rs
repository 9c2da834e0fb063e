//! What a verified callback tells about a recording, a transcription or a call.
//!
//! The callback's account must be the configured one; SIDs must be SIDs. Anything else that cannot
//! be read is left out, because Twilio may add words and parameters at any time and the callback is
//! still the application's to get. Numbers of people are kept as [`Private`], which does not print;
//! the text of a transcription is not kept at all.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;

use super::form::{Form, Repeated};
use super::signature::Content;
use crate::media::{AccountSid, CallSid, MediaSid, SidKind};
use crate::words::words;

/// LIMIT: events of one JSON body. Twilio sends them in batches of some dozens at most.
pub const EVENTS_MAX: usize = 512;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The account, which is the configured one.
    pub account: AccountSid,
    /// The recording, if one is named.
    pub recording: Option<MediaSid>,
    /// The call, if one is named.
    pub call: Option<CallSid>,
    /// What happened to it.
    pub kind: Kind,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `recordingStatusCallback`.
    Recording(Box<RecordingEvent>),
    /// A `transcribeCallback`, or an event of a transcription in real time.
    Transcription(TranscriptionEvent),
    /// A call's `StatusCallback`.
    Call(Box<CallEvent>),
    /// A conference's `StatusCallback`.
    Conference(ConferenceEvent),
    /// Something else that is signed.
    Other,
}

words! {
    /// `RecordingStatus`.
    RecordingStatus {
        /// It is being made.
        InProgress = "in-progress",
        /// It is held up.
        Paused = "paused",
        /// It was ended.
        Stopped = "stopped",
        /// It is being prepared.
        Processing = "processing",
        /// It can be fetched.
        Completed = "completed",
        /// There is none: too short or silent.
        Absent = "absent",
        /// It was lost.
        Failed = "failed",
    }
}

/// What is told about a recording. Empty and unreadable parameters are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingEvent {
    /// `RecordingStatus`.
    pub status: Option<RecordingStatus>,
    /// `RecordingDuration`, in seconds.
    pub duration_seconds: Option<u32>,
    /// `RecordingChannels`.
    pub channels: Option<u8>,
    /// `RecordingStartTime`.
    pub started_at: Option<Timestamp>,
    /// `RecordingSource`, such as `RecordVerb`.
    pub source: Option<String>,
    /// `RecordingTrack`: `inbound`, `outbound` or `both`.
    pub track: Option<String>,
    /// `ConferenceSid`: `CF` and 32 lower-case hexadecimal digits.
    pub conference: Option<String>,
    /// `EncryptionDetails`, JSON as text.
    pub encryption: Option<Private>,
    /// `ErrorCode`; `None` for 0, too.
    pub error_code: Option<u32>,
}

/// What is told about a transcription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptionEvent {
    /// `TranscriptionSid`: `TR` or `GT` and 32 lower-case hexadecimal digits.
    pub transcription: Option<String>,
    /// `TranscriptionStatus`, such as `completed`.
    pub status: Option<String>,
}

/// What is told about a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallEvent {
    /// `CallStatus`, such as `completed`.
    pub status: Option<String>,
    /// `Direction`, such as `inbound` or `outbound-api`.
    pub direction: Option<String>,
    /// `From`.
    pub from: Option<Private>,
    /// `To`.
    pub to: Option<Private>,
    /// `ParentCallSid`.
    pub parent: Option<CallSid>,
}

/// What is told about a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceEvent {
    /// `ConferenceSid`.
    pub conference: MediaSid,
    /// True if the call of the event has joined it (`participant-join`).
    pub has_joined: bool,
}

/// A text about people that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Private(String);

impl Private {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Private(not shown)")
    }
}

/// Why no event is made of a callback that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A form without an account.
    #[error("the callback names no `AccountSid`")]
    NoAccount,
    /// Another account.
    #[error(
        "the callback is of another account; give that account a webhook of its own in the \
         configuration"
    )]
    OtherAccount,
    /// A parameter twice.
    #[error(transparent)]
    Repeated(#[from] Repeated),
    /// A SID that is none.
    #[error("parameter `{0}` is not a SID of its kind")]
    NotASid(&'static str),
    /// JSON that is none.
    #[error("the body is not JSON")]
    NotJson,
    /// More than [`EVENTS_MAX`].
    #[error("the body holds more than {EVENTS_MAX} events")]
    TooMany,
}

/// The events of a verified callback. JSON that does not name an account is taken as the configured
/// account's, whose key has signed it.
///
/// # Errors
/// [`EventError`] if it is not this account's, or cannot be read one way only.
pub(super) fn read(content: &Content<'_>, account: AccountSid) -> Result<Vec<Event>, EventError> {
    match content {
        Content::Query(form) | Content::Form(form) => {
            if form.only("AccountSid")?.is_none() {
                return Err(EventError::NoAccount);
            }
            Ok(vec![read_form(form, account)?])
        }
        Content::Json(text) => {
            let json: Value = serde_json::from_str(text).map_err(|_| EventError::NotJson)?;
            match json {
                Value::Array(events) if events.len() > EVENTS_MAX => Err(EventError::TooMany),
                Value::Array(events) => {
                    events.iter().map(|event| read_form(&flatten(event), account)).collect()
                }
                event => Ok(vec![read_form(&flatten(&event), account)?]),
            }
        }
    }
}

/// The parameters of a JSON event: its own plain members, and those of its `data`.
fn flatten(event: &Value) -> Form {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let inner = event.get("data").map(members).unwrap_or_default();
    let all = members(event).into_iter().chain(inner);
    all.filter_map(|(name, value)| {
        // JSON's own names are spelt in three ways; the account is looked for in all of them.
        let is_account = matches!(name.as_str(), "accountSid" | "account_sid");
        let name = if is_account { "AccountSid".to_owned() } else { name };
        match value {
            Value::String(text) => Some((name, text)),
            Value::Number(number) => Some((name, number.to_string())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    })
    .collect()
}

fn read_form(form: &Form, account: AccountSid) -> Result<Event, EventError> {
    // JSON may name the account outside and inside; each must be ours.
    let is_ours = |text: &str| text.parse::<AccountSid>() == Ok(account);
    if form.pairs().iter().any(|(name, value)| name == "AccountSid" && !is_ours(value)) {
        return Err(EventError::OtherAccount);
    }
    let text = |name| -> Result<Option<&str>, EventError> {
        Ok(form.only(name)?.filter(|value| !value.is_empty()))
    };
    let kind = if form.only("TranscriptionSid")?.is_some()
        || form.only("TranscriptionStatus")?.is_some()
    {
        Kind::Transcription(TranscriptionEvent {
            transcription: text("TranscriptionSid")?
                .map(|value| checked("TranscriptionSid", value, &["TR", "GT"]))
                .transpose()?,
            status: text("TranscriptionStatus")?.map(str::to_owned),
        })
    } else if form.only("RecordingStatus")?.is_some() {
        Kind::Recording(Box::new(read_recording(form)?))
    } else if form.only("CallStatus")?.is_some() {
        Kind::Call(Box::new(CallEvent {
            status: text("CallStatus")?.map(str::to_owned),
            direction: text("Direction")?.map(str::to_owned),
            from: text("From")?.map(|number| Private(number.to_owned())),
            to: text("To")?.map(|number| Private(number.to_owned())),
            parent: sid(form, "ParentCallSid")?,
        }))
    } else if let Some(event) = text("StatusCallbackEvent")?
        && let Some(conference) = sid::<MediaSid>(form, "ConferenceSid")?
    {
        if conference.kind() != SidKind::Conference {
            return Err(EventError::NotASid("ConferenceSid"));
        }
        let has_joined = event == "participant-join";
        Kind::Conference(ConferenceEvent { conference, has_joined })
    } else {
        Kind::Other
    };
    let (recording, call) = (sid::<MediaSid>(form, "RecordingSid")?, sid(form, "CallSid")?);
    if recording.is_some_and(|recording| recording.kind() != SidKind::Recording) {
        return Err(EventError::NotASid("RecordingSid"));
    }
    Ok(Event { account, recording, call, kind })
}

fn read_recording(form: &Form) -> Result<RecordingEvent, EventError> {
    let text = |name| -> Result<Option<&str>, EventError> {
        Ok(form.only(name)?.filter(|value| !value.is_empty()))
    };
    Ok(RecordingEvent {
        status: text("RecordingStatus")?.and_then(RecordingStatus::read),
        duration_seconds: text("RecordingDuration")?.and_then(|value| value.parse().ok()),
        channels: text("RecordingChannels")?.and_then(|value| value.parse().ok()),
        started_at: text("RecordingStartTime")?
            .and_then(|value| rfc2822::parse(value).ok())
            .map(|time| time.timestamp()),
        source: text("RecordingSource")?.map(str::to_owned),
        track: text("RecordingTrack")?.map(str::to_owned),
        conference: text("ConferenceSid")?
            .map(|value| checked("ConferenceSid", value, &["CF"]))
            .transpose()?,
        encryption: text("EncryptionDetails")?.map(|value| Private(value.to_owned())),
        error_code: text("ErrorCode")?
            .and_then(|value| value.parse().ok())
            .filter(|code| *code != 0),
    })
}

fn sid<T: std::str::FromStr>(form: &Form, name: &'static str) -> Result<Option<T>, EventError> {
    let value = form.only(name)?.filter(|value| !value.is_empty());
    value.map(|value| value.parse().map_err(|_| EventError::NotASid(name))).transpose()
}

/// A SID of a kind that has no type of its own.
fn checked(name: &'static str, value: &str, prefixes: &[&str]) -> Result<String, EventError> {
    let digits = prefixes.iter().find_map(|prefix| value.strip_prefix(prefix));
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match digits {
        Some(digits) if digits.len() == 32 && digits.bytes().all(lower_hex) => Ok(value.to_owned()),
        _ => Err(EventError::NotASid(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "ACaa0d1c2e3f405162738495a6b7c8d9e0";
    const RECORDING: &str = "REfedcba9876543210fedcba9876543210";
    const CALL: &str = "CA0123456789abcdef0123456789abcdef";

    fn form(more: &str) -> Result<Event, EventError> {
        let text = format!("AccountSid={ACCOUNT}&{more}");
        let form = Form::read(text.as_bytes()).unwrap();
        read(&Content::Form(form), ACCOUNT.parse().unwrap()).map(|mut events| events.remove(0))
    }

    fn json(text: &str) -> Result<Vec<Event>, EventError> {
        read(&Content::Json(text), ACCOUNT.parse().unwrap())
    }

    #[test]
    fn a_recording_tells_all_it_knows() {
        let event = form(&format!(
            "CallSid={CALL}&RecordingSid={RECORDING}&RecordingStatus=completed&RecordingDuration=12\
             &RecordingChannels=2&RecordingStartTime=Tue%2C+03+Nov+2026+09%3A15%3A02+%2B0000\
             &RecordingSource=RecordVerb&RecordingTrack=both&ErrorCode=0\
             &ConferenceSid=CF0123456789abcdef0123456789abcdef&EncryptionDetails=%7B%22iv%22%3A1%7D"
        ))
        .unwrap();
        assert_eq!(event.recording, RECORDING.parse().ok());
        assert_eq!(event.call, CALL.parse().ok());
        let Kind::Recording(recording) = event.kind else { panic!("{event:?}") };
        let expected = RecordingEvent {
            status: Some(RecordingStatus::Completed),
            duration_seconds: Some(12),
            channels: Some(2),
            started_at: "2026-11-03T09:15:02Z".parse().ok(),
            source: Some("RecordVerb".to_owned()),
            track: Some("both".to_owned()),
            conference: Some("CF0123456789abcdef0123456789abcdef".to_owned()),
            encryption: Some(Private("{\"iv\":1}".to_owned())),
            error_code: None,
        };
        assert_eq!(*recording, expected);
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_empty_is_absent() {
        let event = form(
            "RecordingStatus=new-word&RecordingDuration=-1&RecordingChannels=&CallSid=\
             &RecordingStartTime=yesterday&ErrorCode=16104",
        )
        .unwrap();
        let expected = RecordingEvent { error_code: Some(16104), ..RecordingEvent::default() };
        assert_eq!(event.kind, Kind::Recording(Box::new(expected)));
        assert_eq!(event.call, None);
    }

    #[test]
    fn a_transcription_and_a_call_are_told_apart() {
        let sid = "TR0123456789abcdef0123456789abcdef";
        let event = form(&format!(
            "TranscriptionSid={sid}&TranscriptionStatus=completed&CallStatus=completed\
             &RecordingSid={RECORDING}&TranscriptionText=my+card+is+4111&From=%2B15550100"
        ))
        .unwrap();
        let Kind::Transcription(told) = &event.kind else { panic!("{event:?}") };
        assert_eq!(told.transcription.as_deref(), Some(sid));
        assert_eq!(event.recording, RECORDING.parse().ok());
        assert!(!format!("{event:?}").contains("4111"));

        let event = form(&format!(
            "CallSid={CALL}&CallStatus=completed&From=%2B15550100&To=%2B15550101&Direction=inbound\
             &ParentCallSid={CALL}&RecordingUrl=https%3A%2F%2Fapi.twilio.com%2F&RecordingSid={RECORDING}"
        ))
        .unwrap();
        let Kind::Call(told) = &event.kind else { panic!("{event:?}") };
        assert_eq!(told.from.as_ref().map(Private::text), Some("+15550100"));
        assert_eq!(told.parent, CALL.parse().ok());
        assert_eq!(event.recording, RECORDING.parse().ok());
        assert!(!format!("{event:?}").contains("5550"), "{event:?}");
        assert_eq!(form("X=1").unwrap().kind, Kind::Other);
    }

    #[test]
    fn a_conference_tells_who_has_joined_it() {
        const CONFERENCE: &str = "CF0123456789abcdef0123456789abcdef";
        let told = |event: &str| {
            let event = form(&format!(
                "ConferenceSid={CONFERENCE}&CallSid={CALL}&StatusCallbackEvent={event}"
            ));
            (event.as_ref().unwrap().call, event.unwrap().kind)
        };
        for (event, has_joined) in [("participant-join", true), ("participant-leave", false)] {
            let conference = CONFERENCE.parse().unwrap();
            let expected = Kind::Conference(ConferenceEvent { conference, has_joined });
            assert_eq!(told(event), (CALL.parse().ok(), expected));
        }
        let bad = form(&format!("ConferenceSid={CALL}&StatusCallbackEvent=conference-end"));
        assert_eq!(bad, Err(EventError::NotASid("ConferenceSid")));
    }

    #[test]
    fn only_the_configured_account_is_heard() {
        let other = ACCOUNT.replace('e', "f");
        let read_text = |text: &str| {
            let form = Form::read(text.as_bytes()).unwrap();
            read(&Content::Query(form), ACCOUNT.parse().unwrap())
        };
        assert_eq!(read_text("CallStatus=completed"), Err(EventError::NoAccount));
        for account in [&other, &ACCOUNT.to_uppercase(), "", "AC"] {
            let text = format!("AccountSid={account}");
            assert_eq!(read_text(&text), Err(EventError::OtherAccount), "{account}");
        }
        let twice = format!("AccountSid={ACCOUNT}&AccountSid={other}");
        assert_eq!(read_text(&twice), Err(EventError::Repeated(Repeated("AccountSid"))));
        for text in [
            format!(r#"{{"account_sid":"{other}"}}"#),
            format!(r#"{{"AccountSid":"{ACCOUNT}","data":{{"accountSid":"{other}"}}}}"#),
            format!(r#"[{{}},{{"data":{{"AccountSid":"{other}"}}}}]"#),
        ] {
            assert_eq!(json(&text), Err(EventError::OtherAccount), "{text}");
        }
    }

    #[test]
    fn a_parameter_that_is_told_twice_or_is_no_sid_is_refused() {
        let twice = form(&format!("RecordingSid={RECORDING}&RecordingSid={RECORDING}"));
        assert_eq!(twice, Err(EventError::Repeated(Repeated("RecordingSid"))));
        for name in ["RecordingSid", "CallSid"] {
            let bad = form(&format!("{name}={}", "RE".to_owned() + &"g".repeat(32)));
            assert_eq!(bad, Err(EventError::NotASid(name)));
        }
        let bad = form("TranscriptionSid=TR1");
        assert_eq!(bad, Err(EventError::NotASid("TranscriptionSid")));
    }

    #[test]
    fn json_tells_by_its_members_and_those_of_its_data() {
        let events = json(&format!(
            r#"[{{"type":"x","data":{{"RecordingSid":"{RECORDING}","RecordingStatus":"absent",
                "RecordingDuration":3}}}}, {{"CallSid":"{CALL}"}}, 7]"#
        ))
        .unwrap();
        let [first, second, third] = events.as_slice() else { panic!("{events:?}") };
        let Kind::Recording(told) = &first.kind else { panic!("{first:?}") };
        assert_eq!((told.status, told.duration_seconds), (Some(RecordingStatus::Absent), Some(3)));
        assert_eq!(second.call, CALL.parse().ok());
        assert_eq!(third.kind, Kind::Other);
        assert_eq!(json("{"), Err(EventError::NotJson));
        let many = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(json(&many(EVENTS_MAX)).map(|events| events.len()), Ok(EVENTS_MAX));
        assert_eq!(json(&many(EVENTS_MAX + 1)), Err(EventError::TooMany));
    }
}
