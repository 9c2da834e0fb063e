//! Twilio's Recording and Call resources, read strictly into what decisions need.
//!
//! TRUST: the JSON comes from upstream. What a decision rests on must be there and well-formed,
//! otherwise there are no facts and the gate refuses; keys it does not need are not looked at, so
//! that Twilio may add some. Telephone numbers are not kept.

use jiff::{Timestamp, fmt::rfc2822};
use serde::Deserialize;

use crate::media::{AccountSid, CallSid, Direction, RecordingSid};

use super::{FactsError, Numbers, RecordingStatus};

/// What is kept of a Recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub(super) started_at: Timestamp,
    pub(super) duration_seconds: u32,
    pub(super) channels: u8,
    pub(super) status: RecordingStatus,
    pub(super) encrypted: bool,
    pub(super) call: Option<CallSid>,
}

#[derive(Deserialize)]
struct RecordingJson {
    account_sid: AccountSid,
    sid: RecordingSid,
    #[serde(default)]
    call_sid: Option<CallSid>,
    start_time: Option<String>,
    duration: Option<Number>,
    channels: Option<u8>,
    status: String,
    #[serde(default)]
    encryption_details: Option<serde::de::IgnoredAny>,
}

/// Twilio writes durations as text, and in some variants as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Plain(i64),
}

#[derive(Deserialize)]
struct CallJson {
    account_sid: AccountSid,
    sid: CallSid,
    direction: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
}

impl Recording {
    /// Reads the Recording resource that was asked for.
    ///
    /// # Errors
    /// [`FactsError`] if it is another recording's, or lacks what a decision rests on.
    pub fn read(
        json: &[u8],
        account: AccountSid,
        recording: RecordingSid,
    ) -> Result<Self, FactsError> {
        let json: RecordingJson = serde_json::from_slice(json)
            .map_err(|_| FactsError::Malformed { what: "Recording" })?;
        if json.account_sid != account || json.sid != recording {
            return Err(FactsError::NotTheSame { what: "Recording" });
        }
        let status = RecordingStatus::read(&json.status)
            .ok_or(FactsError::Missing { fact: "recording status" })?;
        // Until a recording is completed Twilio says -1 or nothing for its duration; it has no
        // media then, and counting from its start can only make it older than it is.
        let duration_seconds = match json.duration {
            Some(Number::Plain(n)) => u32::try_from(n).ok(),
            Some(Number::Text(text)) => text.parse().ok(),
            None => None,
        };
        let duration_seconds = match (duration_seconds, status) {
            (Some(seconds), _) => seconds,
            (None, RecordingStatus::Completed) => {
                return Err(FactsError::Missing { fact: "recording duration" });
            }
            (None, _) => 0,
        };
        let started_at = json.start_time.as_deref().and_then(|t| rfc2822::parse(t).ok());
        let started_at = started_at.ok_or(FactsError::Missing { fact: "recording start time" })?;
        Ok(Self {
            started_at: started_at.timestamp(),
            duration_seconds,
            channels: json.channels.unwrap_or(1),
            status,
            encrypted: json.encryption_details.is_some(),
            call: json.call_sid,
        })
    }
}

/// What is kept of a Call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallLegs {
    pub(super) direction: Option<Direction>,
    pub(super) numbers: Numbers,
}

impl CallLegs {
    /// Reads the Call resource that was asked for.
    ///
    /// # Errors
    /// [`FactsError`] if it is another call's, or not a Call.
    pub fn read(json: &[u8], account: AccountSid, call: CallSid) -> Result<Self, FactsError> {
        let json: CallJson =
            serde_json::from_slice(json).map_err(|_| FactsError::Malformed { what: "Call" })?;
        if json.account_sid != account || json.sid != call {
            return Err(FactsError::NotTheSame { what: "Call" });
        }
        let direction = match json.direction.as_str() {
            // Seen from a trunk, originating calls come from the telephone network and terminating
            // ones end in it (Twilio's Elastic SIP Trunking pages).
            "inbound" | "trunking-originating" => Some(Direction::Inbound),
            "outbound-api" | "outbound-dial" | "trunking-terminating" => Some(Direction::Outbound),
            // A direction we do not know is unknown, never a guess.
            _ => None,
        };
        let numbers = [json.from, json.to].into_iter().flatten();
        let numbers = Numbers::new(numbers.filter(|number| number.starts_with('+')).collect());
        Ok(Self { direction, numbers })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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

    fn read(json: &Value) -> Result<Recording, FactsError> {
        let (account, recording) = (AC.parse().unwrap(), RE.parse().unwrap());
        Recording::read(json.to_string().as_bytes(), account, recording)
    }

    #[test]
    fn a_completed_recording_is_read_in_either_spelling_of_its_duration() {
        let recording = read(&sample()).unwrap();
        assert_eq!(recording.started_at, "2026-11-03T09:15:02Z".parse().unwrap());
        assert_eq!((recording.duration_seconds, recording.channels), (281, 2));
        assert!(!recording.encrypted);
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
        assert!(Recording::read(b"<xml/>", AC.parse().unwrap(), RE.parse().unwrap()).is_err());
    }

    #[test]
    fn an_unknown_direction_stays_unknown() {
        let call: CallSid = "CA0123456789abcdef0123456789abcdef".parse().unwrap();
        let read = |direction: &str| {
            let json = json!({"account_sid": AC, "sid": call, "direction": direction}).to_string();
            CallLegs::read(json.as_bytes(), AC.parse().unwrap(), call).unwrap().direction
        };
        assert_eq!(read("inbound"), Some(Direction::Inbound));
        assert_eq!(read("outbound-dial"), Some(Direction::Outbound));
        assert_eq!(read("sideways"), None);
    }
}
