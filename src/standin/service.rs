//! The media content service of conversations, and the validation of Flex tokens.
//!
//! Neither is in Twilio's OpenAPI documents; the members are those that Twilio's clients read.
//! In: an authentic request. Out: JSON with a pre-signed URL, a redirect to the file, an empty 204,
//! or Twilio's error. A token must be equal to one of the account's to be valid.

use aws_lc_rs::constant_time;
use serde_json::{Value, json};

use super::answer::Answer;
use super::api::{Asked, Reply};
use super::metadata::iso_8601;
use super::samples::{SampleServiceMedia, SampleToken};

/// Twilio's code for a token that is no token, or no more.
const INVALID_TOKEN: u32 = 20101;

/// Answers for a file of a conversation.
pub(super) fn media(asked: &Asked<'_>, service: &str, sid: &str, content: bool) -> Reply {
    let mut all = asked.kept(&asked.holding.samples.service_media, |media| &media.sid);
    let found = all.find(|media| media.service_sid == service && media.sid == sid);
    if content {
        found.ok_or_else(|| asked.not_found())?;
        return asked.bare_redirect(307, sid);
    }
    asked.one(found, sid, |media| describe(asked, media))
}

fn describe(asked: &Asked<'_>, media: &SampleServiceMedia) -> Value {
    let (origin, service) = (&asked.shared.ways.mcs_origin, &media.service_sid);
    let url = format!("{origin}/v1/Services/{service}/Media/{}", media.sid);
    let made = iso_8601(media.created_at);
    json!({
        "sid": media.sid,
        "service_sid": service,
        "account_sid": asked.account,
        "date_created": made,
        "date_upload_updated": made,
        "date_updated": made,
        "channel_sid": media.channel_sid,
        "message_sid": media.message_sid,
        "size": media.bytes.len(),
        "content_type": media.content_type,
        "filename": media.filename,
        "author": media.author,
        "category": "media",
        "url": url,
        "links": {
            "content": format!("{url}/Content"),
            "content_direct_temporary": asked.presigned(&media.sid, None),
        },
    })
}

/// Says whether a token is valid, and whose it is.
pub(super) fn token(asked: &Asked<'_>, body: &[u8]) -> Answer {
    let wanted: Option<String> = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|json| json.get("token")?.as_str().map(str::to_owned));
    let known = wanted.and_then(|wanted| {
        asked.holding.samples.tokens.iter().find(|sample| {
            let (held, wanted) = (sample.token.as_bytes(), wanted.as_bytes());
            constant_time::verify_slices_are_equal(held, wanted).is_ok()
        })
    });
    let valid = |token: &SampleToken| {
        json!({
            "valid": true,
            "code": 0,
            "message": null,
            "identity": token.identity,
            "realm_user_id": token.identity,
            "roles": token.roles,
            "worker_sid": token.worker_sid,
            "expiration": iso_8601(token.expires_at),
        })
    };
    asked.json(known.map_or_else(
        || {
            json!({
                "valid": false,
                "code": INVALID_TOKEN,
                "message": "Invalid Access Token",
                "identity": null,
                "realm_user_id": null,
                "roles": null,
                "worker_sid": null,
                "expiration": null,
            })
        },
        valid,
    ))
}
