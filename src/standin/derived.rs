//! What is made from voice recordings: transcriptions and add-on results.
//!
//! In: a route of the 2010-04-01 API. Out: JSON, the redirect to an add-on's result, an empty 204,
//! or Twilio's error. Whoever asks for a transcription by its own SID learns only from the answer
//! which recording it is of.

use serde_json::{Value, json};

use super::api::{Asked, Reply};
use super::metadata::{price_number, rfc_2822};
use super::page::{Links, Listing};
use super::route::Voice;
use super::samples::{SampleAddOnResult, SamplePayload, SampleTranscription};
use super::voice::PAGE_SIZE_MAX;

/// The add-on and its installation; only one is ever played.
const ADD_ON: &str = "XB00112233445566778899aabbccddeeff";
const CONFIGURATION: &str = "XE00112233445566778899aabbccddeeff";

/// Answers for transcriptions and add-on results; everything else is not found.
pub(super) fn answer(asked: &Asked<'_>, what: Voice<'_>) -> Reply {
    let list = |key, items| {
        asked.list(Listing { key, items, most: PAGE_SIZE_MAX, links: Links::Relative })
    };
    let account = &asked.account;
    match what {
        Voice::Transcriptions(of) => {
            let items = transcriptions(asked, of).map(|one| (one.sid.clone(), text(account, one)));
            list("transcriptions", items.collect())
        }
        Voice::Transcription(of, sid) => {
            let one = transcriptions(asked, of).find(|one| one.sid == sid);
            asked.one(one, sid, |one| text(account, one))
        }
        Voice::AddOnResults { recording } => {
            let items = results(asked, recording).map(|r| (r.sid.clone(), result(account, r)));
            list("add_on_results", items.collect())
        }
        Voice::AddOnResult { recording, result: sid } => {
            let one = results(asked, recording).find(|one| one.sid == sid);
            asked.one(one, sid, |one| result(account, one))
        }
        Voice::Payloads { recording, result } => {
            let of = results(asked, recording).find(|one| one.sid == result);
            let of = of.ok_or_else(|| asked.not_found())?;
            let items = asked.kept(&of.payloads, |part| &part.sid);
            let items = items.map(|part| (part.sid.clone(), payload(account, of, part)));
            list("payloads", items.collect())
        }
        Voice::Payload { recording, result, payload: sid } => {
            let one = part(asked, recording, result, sid);
            asked.one(one, sid, |(of, part)| payload(account, of, part))
        }
        Voice::PayloadData { recording, result, payload } => {
            part(asked, recording, result, payload).ok_or_else(|| asked.not_found())?;
            asked.redirect(307, payload)
        }
        _ => Err(asked.not_found()),
    }
}

fn transcriptions<'a>(
    asked: &'a Asked<'_>,
    of: Option<&'a str>,
) -> impl Iterator<Item = &'a SampleTranscription> {
    let all = asked.kept(&asked.holding.samples.transcriptions, |one| &one.sid);
    all.filter(move |one| of.is_none_or(|sid| one.recording_sid == sid))
}

fn results<'a>(
    asked: &'a Asked<'_>,
    recording: &'a str,
) -> impl Iterator<Item = &'a SampleAddOnResult> {
    let all = asked.kept(&asked.holding.samples.add_on_results, |one| &one.sid);
    all.filter(move |one| one.recording_sid == recording)
}

fn part<'a>(
    asked: &'a Asked<'_>,
    recording: &'a str,
    result: &str,
    sid: &str,
) -> Option<(&'a SampleAddOnResult, &'a SamplePayload)> {
    let of = results(asked, recording).find(|one| one.sid == result)?;
    let part = asked.kept(&of.payloads, |part| &part.sid).find(|part| part.sid == sid)?;
    Some((of, part))
}

fn text(account: &str, sample: &SampleTranscription) -> Value {
    json!({
        "account_sid": account,
        "api_version": "2010-04-01",
        "date_created": rfc_2822(sample.created_at),
        "date_updated": rfc_2822(sample.created_at),
        "duration": sample.duration_seconds.to_string(),
        "price": price_number(sample.duration_seconds),
        "price_unit": "USD",
        "recording_sid": sample.recording_sid,
        "sid": sample.sid,
        "status": "completed",
        "transcription_text": sample.text,
        "type": "fast",
        "uri": format!("/2010-04-01/Accounts/{account}/Transcriptions/{}.json", sample.sid),
    })
}

fn result_path(account: &str, of: &SampleAddOnResult) -> String {
    let recording = &of.recording_sid;
    format!("/2010-04-01/Accounts/{account}/Recordings/{recording}/AddOnResults/{}", of.sid)
}

fn result(account: &str, sample: &SampleAddOnResult) -> Value {
    json!({
        "sid": sample.sid,
        "account_sid": account,
        "reference_sid": sample.recording_sid,
        "status": "completed",
        "add_on_sid": ADD_ON,
        "add_on_configuration_sid": CONFIGURATION,
        "date_created": rfc_2822(sample.created_at),
        "date_updated": rfc_2822(sample.created_at),
        "date_completed": rfc_2822(sample.created_at),
        "subresource_uris": {
            "payloads": format!("{}/Payloads.json", result_path(account, sample)),
        },
    })
}

fn payload(account: &str, of: &SampleAddOnResult, part: &SamplePayload) -> Value {
    let path = format!("{}/Payloads/{}", result_path(account, of), part.sid);
    json!({
        "sid": part.sid,
        "reference_sid": of.recording_sid,
        "add_on_sid": ADD_ON,
        "add_on_configuration_sid": CONFIGURATION,
        "add_on_result_sid": of.sid,
        "account_sid": account,
        "label": part.label,
        "content_type": part.content_type,
        "date_created": rfc_2822(of.created_at),
        "date_updated": rfc_2822(of.created_at),
        "subresource_uris": { "data": format!("{path}/Data.json") },
    })
}
