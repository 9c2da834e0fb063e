//! Transcripts of Conversational Intelligence.
//!
//! In: a route of intelligence.twilio.com. Out: JSON, with pre-signed URLs in it where it leads to
//! audio or to encrypted text, an empty 204, or Twilio's error. What is not said to be unredacted
//! must be redacted. Only here are there entity tags and rate limits on JSON.

use aws_lc_rs::digest;
use http::HeaderName;
use http::header::ETAG;
use serde_json::{Value, json};

use super::answer::Answer;
use super::api::{Asked, Reply};
use super::metadata::iso_8601;
use super::objects::transcript_key;
use super::page::{Links, Listing};
use super::route::Transcript;
use super::samples::{SampleOperatorResult, SampleTranscript};
use super::voice::PAGE_SIZE_MAX;

/// LIMIT: the largest page of sentences, says Twilio.
const SENTENCES_MAX: usize = 5000;
/// A sentence of a sample takes this long.
const SENTENCE_SECONDS: f64 = 2.5;
const CONFIDENCE: &str = "0.95";

const RATE_LIMIT: [(&str, &str); 3] = [
    ("x-rate-limit-limit", "100"),
    ("x-rate-limit-remaining", "99"),
    ("x-rate-limit-config", "Transcripts"),
];

/// Answers for transcripts.
pub(super) fn answer(asked: &Asked<'_>, what: Transcript<'_>) -> Reply {
    let mut answer = plain_answer(asked, what)?;
    for (name, value) in RATE_LIMIT {
        answer = answer.with_text(HeaderName::from_static(name), value);
    }
    if asked.is_delete() {
        return Ok(answer);
    }
    let tag = etag(&answer);
    Ok(answer.with_text(ETAG, &tag))
}

fn etag(answer: &Answer) -> String {
    let text = match &answer.source {
        super::body::Source::Held(bytes) => bytes.as_ref(),
        super::body::Source::Pattern => &[],
    };
    let hash = digest::digest(&digest::SHA256, text);
    let hex: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn plain_answer(asked: &Asked<'_>, what: Transcript<'_>) -> Reply {
    let links = Links::Absolute(&asked.shared.ways.intelligence_origin);
    let found = |sid: &str| find(asked, sid).ok_or_else(|| asked.not_found());
    match what {
        Transcript::List => {
            let source = asked.query.get("SourceSid");
            let items = asked
                .kept(&asked.holding.samples.transcripts, |one| &one.sid)
                .filter(|one| source.is_none_or(|sid| one.recording_sid == sid))
                .map(|one| (one.sid.clone(), describe(asked, one)))
                .collect();
            asked.list(Listing { key: "transcripts", items, most: PAGE_SIZE_MAX, links })
        }
        Transcript::One(sid) => asked.one(find(asked, sid), sid, |one| describe(asked, one)),
        Transcript::Media(sid) => {
            let one = found(sid)?;
            let key = transcript_key(sid, redacted(asked)?, "audio.wav");
            Ok(asked.json(json!({
                "account_sid": asked.account,
                "service_sid": one.service_sid,
                "sid": sid,
                "media_url": asked.presigned(&key, None),
                "url": format!("{}/Media", url(asked, sid)),
            })))
        }
        Transcript::Sentences(sid) => {
            let words = asked.flag("WordTimestamps", false)?;
            let all = sentences(found(sid)?, redacted(asked)?, words);
            let items = identified(all, "sid");
            asked.list(Listing { key: "sentences", items, most: SENTENCES_MAX, links })
        }
        Transcript::OperatorResults(sid) => {
            let (one, redacted) = (found(sid)?, redacted(asked)?);
            let all = one.operators.iter().map(|result| operator(asked, one, result, redacted));
            let items = identified(Value::Array(all.collect()), "operator_sid");
            asked.list(Listing { key: "operator_results", items, most: PAGE_SIZE_MAX, links })
        }
        Transcript::OperatorResult(sid, of) => {
            let (one, redacted) = (found(sid)?, redacted(asked)?);
            let result = one.operators.iter().find(|result| result.sid == of);
            let result = result.ok_or_else(|| asked.not_found())?;
            Ok(asked.json(operator(asked, one, result, redacted)))
        }
        Transcript::EncryptedSentences(sid) => {
            encrypted(asked, found(sid)?)?;
            let key = transcript_key(sid, redacted(asked)?, "Sentences");
            Ok(asked.json(json!({
                "location": asked.presigned(&key, None),
                "transcript_sid": sid,
                "url": format!("{}/Sentences/Encrypted", url(asked, sid)),
            })))
        }
        Transcript::EncryptedOperatorResults(sid) => {
            let (one, redacted) = (found(sid)?, redacted(asked)?);
            encrypted(asked, one)?;
            let key = |result: &SampleOperatorResult| transcript_key(sid, redacted, &result.sid);
            let all = one.operators.iter().map(|result| asked.presigned(&key(result), None));
            Ok(asked.json(json!({
                "locations": all.collect::<Vec<_>>(),
                "transcript_sid": sid,
                "url": format!("{}/OperatorResults/Encrypted", url(asked, sid)),
            })))
        }
    }
}

fn redacted(asked: &Asked<'_>) -> Result<bool, super::answer::TwilioError> {
    asked.flag("Redacted", true)
}

fn encrypted(asked: &Asked<'_>, one: &SampleTranscript) -> Result<(), super::answer::TwilioError> {
    one.encryption.as_ref().map(|_| ()).ok_or_else(|| asked.not_found())
}

fn find<'a>(asked: &'a Asked<'_>, sid: &str) -> Option<&'a SampleTranscript> {
    asked.kept(&asked.holding.samples.transcripts, |one| &one.sid).find(|one| one.sid == sid)
}

fn url(asked: &Asked<'_>, sid: &str) -> String {
    format!("{}/v2/Transcripts/{sid}", asked.shared.ways.intelligence_origin)
}

fn identified(all: Value, key: &str) -> Vec<(String, Value)> {
    let all = match all {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    let id = |one: &Value| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    all.into_iter().map(|one| (id(&one), one)).collect()
}

fn describe(asked: &Asked<'_>, one: &SampleTranscript) -> Value {
    let url = url(asked, &one.sid);
    let made = iso_8601(one.created_at);
    let key = one.encryption.as_ref().map(|to| &to.public_key_sid);
    json!({
        "account_sid": asked.account,
        "service_sid": one.service_sid,
        "sid": one.sid,
        "date_created": made,
        "date_updated": made,
        "status": "completed",
        "channel": {
            "media_properties": { "source_sid": one.recording_sid, "media_url": null },
            "participants": [],
        },
        "data_logging": false,
        "language_code": "en-US",
        "media_start_time": made,
        "duration": one.duration_seconds,
        "customer_key": null,
        "url": url,
        "redaction": true,
        "encryption_credential_sid": key,
        "links": {
            "sentences": format!("{url}/Sentences"),
            "encrypted_sentences": format!("{url}/Sentences/Encrypted"),
            "media": format!("{url}/Media"),
            "operator_results": format!("{url}/OperatorResults"),
            "encrypted_operator_results": format!("{url}/OperatorResults/Encrypted"),
        },
    })
}

/// The sentences of a transcript, an array.
pub(super) fn sentences(one: &SampleTranscript, redacted: bool, word_timestamps: bool) -> Value {
    let all = (0_u32..).zip(&one.sentences).map(|(index, sentence)| {
        let text = if redacted { &sentence.redacted_text } else { &sentence.text };
        let start = f64::from(index) * SENTENCE_SECONDS;
        let (from, to) = (format!("{start:.2}"), format!("{:.2}", start + SENTENCE_SECONDS));
        let words: Vec<Value> = text
            .split_whitespace()
            .map(|word| json!({ "word": word, "start_time": from, "end_time": to }))
            .collect();
        json!({
            "media_channel": sentence.channel,
            "sentence_index": index,
            "start_time": from,
            "end_time": to,
            "transcript": text,
            "sid": sentence.sid,
            "confidence": CONFIDENCE,
            "words": word_timestamps.then_some(words),
        })
    });
    Value::Array(all.collect())
}

/// What an operator wrote.
pub(super) fn operator_text(result: &SampleOperatorResult, redacted: bool) -> &str {
    if redacted { &result.redacted_text } else { &result.text }
}

fn operator(
    asked: &Asked<'_>,
    one: &SampleTranscript,
    result: &SampleOperatorResult,
    redacted: bool,
) -> Value {
    json!({
        "operator_type": "text-generation",
        "name": result.name,
        "operator_sid": result.sid,
        "extract_match": null,
        "match_probability": null,
        "normalized_result": null,
        "utterance_results": [],
        "utterance_match": null,
        "predicted_label": null,
        "predicted_probability": null,
        "label_probabilities": {},
        "extract_results": {},
        "text_generation_results": {
            "format": "text",
            "result": operator_text(result, redacted),
        },
        "json_results": null,
        "transcript_sid": one.sid,
        "url": format!("{}/OperatorResults/{}", url(asked, &one.sid), result.sid),
    })
}
