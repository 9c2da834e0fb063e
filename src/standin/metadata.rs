//! The JSON of recordings and calls, key by key in the order Twilio writes them.
//!
//! In: a sample recording. Out: the Recording and Call objects of the 2010-04-01 API, or the
//! same with a test's patch merged in. Times are RFC 2822, durations and prices are strings,
//! as Twilio has them. It must never invent a key that Twilio does not send.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::library::HeldRecording;
use super::route::Within;
use super::settings::{Direction, RecordingStatus, SampleRecording};

/// A call rings this long before its recording begins, and ends a moment after it.
const RINGING: SignedDuration = SignedDuration::from_secs(4);
/// Twilio asks 0.0025 USD for each minute begun; this is that in hundred-thousandths.
const PRICE_PER_MINUTE: u64 = 250;
/// Twilio's error code for "absent: only silence was recorded".
const ABSENT_SILENT: u32 = 16102;

/// The Recording object, in the variant of the list it is asked for in. Those of a call and of a
/// conference have neither links nor a media URL.
pub(super) fn recording(
    account: &str,
    within: Within<'_>,
    held: &HeldRecording,
    origin: &str,
) -> Value {
    let sample = &held.recording;
    let base = format!("/2010-04-01/Accounts/{account}");
    let path = match within {
        Within::Account => format!("{base}/Recordings/{}", sample.sid),
        Within::Call(of) => format!("{base}/Calls/{of}/Recordings/{}", sample.sid),
        Within::Conference(of) => format!("{base}/Conferences/{of}/Recordings/{}", sample.sid),
    };
    let stored = matches!(sample.status, RecordingStatus::Completed | RecordingStatus::Deleted);
    let duration = if stored { sample.duration_seconds.to_string() } else { "-1".to_owned() };
    let price = stored.then(|| match within {
        Within::Call(_) => price_number(sample.duration_seconds),
        Within::Account | Within::Conference(_) => price(sample.duration_seconds).into(),
    });
    let mut json = json!({
        "account_sid": account,
        "api_version": "2010-04-01",
        "call_sid": sample.call_sid,
        "conference_sid": sample.conference_sid,
        "channels": sample.channels,
        "date_created": rfc_2822(sample.started_at),
        "date_updated": rfc_2822(held.ended_at()),
        "start_time": rfc_2822(sample.started_at),
        "price": price,
        "price_unit": "USD",
        "duration": duration,
        "sid": sample.sid,
        "source": source(sample),
        "status": sample.status.as_str(),
        "error_code": (sample.status == RecordingStatus::Absent).then_some(ABSENT_SILENT),
        "uri": format!("{path}.json"),
    });
    let details = held.envelope().map_or(Value::Null, |envelope| envelope.details.clone());
    let rest = match within {
        Within::Account => json!({
            "subresource_uris": {
                "add_on_results": format!("{path}/AddOnResults.json"),
                "transcriptions": format!("{path}/Transcriptions.json"),
            },
            "encryption_details": details,
            "media_url": format!("{origin}{path}"),
        }),
        Within::Call(_) => json!({ "encryption_details": details, "track": "both" }),
        Within::Conference(_) => json!({ "encryption_details": details }),
    };
    if let (Value::Object(json), Value::Object(rest)) = (&mut json, rest) {
        json.extend(rest);
    }
    json
}

/// The Call object, as far as one of its recordings tells.
pub(super) fn call(account: &str, call_sid: &str, held: &HeldRecording) -> Value {
    let sample = &held.recording;
    let started = sample.started_at.checked_sub(RINGING).unwrap_or(sample.started_at);
    let ended = held.ended_at();
    let duration = ended.as_second().saturating_sub(started.as_second());
    let path = format!("/2010-04-01/Accounts/{account}/Calls/{call_sid}");
    let forwarded = (sample.direction == Direction::Inbound).then_some(&sample.to);
    json!({
        "sid": call_sid,
        "account_sid": account,
        "parent_call_sid": null,
        "from": sample.from,
        "from_formatted": formatted(&sample.from),
        "to": sample.to,
        "to_formatted": formatted(&sample.to),
        "phone_number_sid": "PN00112233445566778899aabbccddeeff",
        "status": "completed",
        "direction": sample.direction.as_str(),
        "start_time": rfc_2822(started),
        "end_time": rfc_2822(ended),
        "date_created": rfc_2822(started),
        "date_updated": rfc_2822(ended),
        "duration": duration.to_string(),
        "price": price(sample.duration_seconds),
        "price_unit": "USD",
        "answered_by": null,
        "api_version": "2010-04-01",
        "forwarded_from": forwarded,
        "group_sid": null,
        "caller_name": "",
        "queue_time": "0",
        "trunk_sid": null,
        "uri": format!("{path}.json"),
        "subresource_uris": { "recordings": format!("{path}/Recordings.json") },
    })
}

/// One exchange of a call with its application: here it was told of the recording.
pub(super) fn call_event(account: &str, held: &HeldRecording, origin: &str) -> Value {
    let sample = &held.recording;
    let url = format!("{origin}/2010-04-01/Accounts/{account}/Recordings/{}", sample.sid);
    json!({
        "request": {
            "url": "https://example.com/recorded",
            "method": "POST",
            "parameters": {
                "account_sid": account,
                "call_sid": sample.call_sid,
                "from": sample.from,
                "to": sample.to,
                "recording_sid": sample.sid,
                "recording_url": url,
            },
        },
        "response": {
            "response_code": 200,
            "content_type": "text/xml",
            "response_body": "<Response/>",
            "date_created": rfc_2822(held.ended_at()),
        },
    })
}

/// Merges a patch in as RFC 7396 says: null deletes, objects merge, all else replaces. Keys that
/// stay keep their place.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let (Value::Object(into), Value::Object(changes)) = (&mut *target, patch) else {
        *target = patch.clone();
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            into.shift_remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

fn source(sample: &SampleRecording) -> &'static str {
    match sample.direction {
        _ if sample.conference_sid.is_some() => "Conference",
        Direction::Inbound | Direction::OutboundDial => "DialVerb",
        Direction::OutboundApi => "OutboundAPI",
    }
}

/// The same as a number, as some schemas have it.
pub(super) fn price_number(duration_seconds: u32) -> Value {
    price(duration_seconds).parse::<f64>().map_or(Value::Null, Value::from)
}

pub(super) fn price(duration_seconds: u32) -> String {
    let minutes = u64::from(duration_seconds.div_ceil(60).max(1));
    let amount = minutes.saturating_mul(PRICE_PER_MINUTE);
    format!("-{}.{:05}", amount / 100_000, amount % 100_000)
}

/// A time as the 2010-04-01 API writes it.
pub(super) fn rfc_2822(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A time as the newer products write it.
pub(super) fn iso_8601(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `+14045550123` as `(404) 555-0123`; numbers of other countries as they are.
fn formatted(number: &str) -> String {
    let Some(national) = number.strip_prefix("+1").filter(|rest| rest.len() == 10) else {
        return number.to_owned();
    };
    match (national.get(..3), national.get(3..6), national.get(6..)) {
        (Some(area), Some(exchange), Some(line)) => format!("({area}) {exchange}-{line}"),
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::library::Library;
    use super::super::settings::StandInAccount;
    use super::*;
    use std::sync::Arc;

    fn held(status: RecordingStatus) -> Arc<HeldRecording> {
        let sample = SampleRecording {
            sid: "REfedcba9876543210fedcba9876543210".to_owned(),
            call_sid: Some("CA0123456789abcdef0123456789abcdef".to_owned()),
            direction: Direction::Inbound,
            started_at: "2026-11-03T09:15:02Z".parse().unwrap(),
            duration_seconds: 281,
            channels: 2,
            status,
            from: "+14045550123".to_owned(),
            to: "+14045550188".to_owned(),
            ..SampleRecording::default()
        };
        let sid = sample.sid.clone();
        let account = StandInAccount {
            sid: "AC1".to_owned(),
            auth_token: "x".to_owned(),
            recordings: vec![sample],
            ..StandInAccount::default()
        };
        Library::new(vec![account]).find("AC1", &sid).unwrap()
    }

    fn keys(value: &Value) -> String {
        value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_recording_has_twilios_keys_in_twilios_order() {
        let json = recording(
            "AC1",
            Within::Account,
            &held(RecordingStatus::Completed),
            "https://localhost:1",
        );
        assert_eq!(
            keys(&json),
            "account_sid api_version call_sid conference_sid channels date_created date_updated \
             start_time price price_unit duration sid source status error_code uri \
             subresource_uris encryption_details media_url"
        );
        assert_eq!(json["date_created"], "Tue, 03 Nov 2026 09:15:02 +0000");
        assert_eq!(json["duration"], "281");
        assert_eq!(json["price"], "-0.01250");
    }

    #[test]
    fn under_a_call_a_recording_has_a_track_and_no_media_url() {
        let held = held(RecordingStatus::Completed);
        let json = recording("AC1", Within::Call("CA1"), &held, "https://localhost:1");
        assert_eq!(json["track"], "both");
        assert_eq!(json["price"], json!(-0.0125));
        assert!(json["uri"].as_str().unwrap().starts_with("/2010-04-01/Accounts/AC1/Calls/CA1/"));
        let json = recording("AC1", Within::Conference("CF1"), &held, "https://localhost:1");
        for key in ["media_url", "subresource_uris", "track"] {
            assert!(json.get(key).is_none(), "{key}");
        }
    }

    #[test]
    fn a_call_has_twilios_keys_in_twilios_order() {
        let json = call("AC1", "CA1", &held(RecordingStatus::Completed));
        assert_eq!(
            keys(&json),
            "sid account_sid parent_call_sid from from_formatted to to_formatted \
             phone_number_sid status direction start_time end_time date_created date_updated \
             duration price price_unit answered_by api_version forwarded_from group_sid \
             caller_name queue_time trunk_sid uri subresource_uris"
        );
        assert_eq!(json["from_formatted"], "(404) 555-0123");
        assert_eq!(json["duration"], "285");
    }

    #[test]
    fn an_absent_recording_has_an_error_code_and_no_price() {
        let json = recording("AC1", Within::Account, &held(RecordingStatus::Absent), "");
        assert_eq!(json["error_code"], 16102);
        assert!(json["price"].is_null());
    }

    #[test]
    fn a_patch_replaces_deletes_and_keeps_the_order() {
        let mut json = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": 4});
        merge(&mut json, &json!({"a": null, "b": {"c": 9}, "f": 5}));
        assert_eq!(json.to_string(), r#"{"b":{"c":9,"d":3},"e":4,"f":5}"#);
    }
}
