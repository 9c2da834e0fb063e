//! The listener that plays api.twilio.com.
//!
//! In: the head of a request and its faults. Out: an [`Answer`]: media or a redirect to it,
//! metadata, or Twilio's error. The order is Twilio's: credentials, then existence, then the
//! parameters. Media that is processing, absent or deleted must look just like unknown media.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_RANGE};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::Value;

use super::answer::{Answer, TwilioError};
use super::library::ChannelsError;
use super::media::{self, MediaFailure};
use super::metadata;
use super::misbehaviour::{Faults, RedirectTarget};
use super::route::{Route, parameter};
use super::server::Shared;
use super::settings::{MediaFormat, RecordingStatus};

/// Answers one request.
pub(super) async fn answer(shared: &Shared, head: &Parts, faults: &Faults) -> Answer {
    let path = head.uri.path();
    if let Some((status, retry_after)) = faults.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = TwilioError::of_status(status, path);
        return error.into_answer(path).retry_after(retry_after);
    }
    match decide(shared, head, faults).await {
        Ok(answer) => answer,
        Err(error) => error.into_answer(path),
    }
}

async fn decide(shared: &Shared, head: &Parts, faults: &Faults) -> Result<Answer, TwilioError> {
    let path = head.uri.path();
    let error = |status| TwilioError::of_status(status, path);
    let route = Route::of_api(path);
    if !is_authentic(shared, head, route.account()) {
        return Err(error(StatusCode::UNAUTHORIZED));
    }
    if head.method != Method::GET && head.method != Method::HEAD {
        return Err(TwilioError { code: 20004, ..error(StatusCode::METHOD_NOT_ALLOWED) });
    }
    let not_found = || error(StatusCode::NOT_FOUND);
    match route {
        Route::Unknown => Err(not_found()),
        Route::Media { account, sid, format } => {
            media_answer(shared, head, faults, Wanted { account, sid, format }).await
        }
        Route::Recording { account, sid } => {
            let held = shared.library.find(account, sid).ok_or_else(not_found)?;
            let shows_deleted = parameter(head.uri.query(), "IncludeSoftDeleted") == Some("true");
            if held.recording.status == RecordingStatus::Deleted && !shows_deleted {
                return Err(not_found());
            }
            Ok(json_answer(metadata::recording(account, &held, &shared.api_origin), faults))
        }
        Route::Call { account, sid } => {
            let held = shared.library.find_call(account, sid).ok_or_else(not_found)?;
            Ok(json_answer(metadata::call(account, sid, &held), faults))
        }
    }
}

struct Wanted<'a> {
    account: &'a str,
    sid: &'a str,
    format: MediaFormat,
}

async fn media_answer(
    shared: &Shared,
    head: &Parts,
    faults: &Faults,
    wanted: Wanted<'_>,
) -> Result<Answer, TwilioError> {
    let path = head.uri.path();
    let error = |status| TwilioError::of_status(status, path);
    let held = shared
        .library
        .find(wanted.account, wanted.sid)
        .filter(|held| held.recording.status == RecordingStatus::Completed)
        .ok_or_else(|| error(StatusCode::NOT_FOUND))?;
    let requested = parameter(head.uri.query(), "RequestedChannels");
    // A value that is no small number is as wrong as 3.
    let requested = requested.map(|value| value.parse().unwrap_or(0));
    let channels = held.channels_for(requested).map_err(channels_error)?;
    if let Some((to, status)) = &faults.redirect {
        let location = match to {
            RedirectTarget::Url(url) => url.clone(),
            RedirectTarget::OwnCdn { hops } => cdn_url(shared, &wanted, channels, *hops),
        };
        return Ok(Answer::redirect(*status, &location));
    }
    match media::answer(head, held, wanted.format, channels, faults.ignore_range).await {
        Ok(answer) => Ok(answer),
        Err(MediaFailure::Rendering) => Err(error(StatusCode::INTERNAL_SERVER_ERROR)),
        Err(MediaFailure::Range { length }) => {
            let answer = error(StatusCode::RANGE_NOT_SATISFIABLE).into_answer(path);
            Ok(answer.with_text(CONTENT_RANGE, &format!("bytes */{length}")))
        }
    }
}

fn channels_error(error: ChannelsError) -> TwilioError {
    let (code, message) = match error {
        ChannelsError::NoDual => {
            (16113, "Cannot download a dual-channel presentation of a mono recording")
        }
        ChannelsError::Malformed => (20001, "Parameter 'RequestedChannels' is not valid"),
    };
    TwilioError { status: StatusCode::BAD_REQUEST, code, message: message.to_owned() }
}

/// A pre-signed URL on the CDN that redirects `hops - 1` more times before it gives the media.
fn cdn_url(shared: &Shared, wanted: &Wanted<'_>, channels: u8, hops: u8) -> String {
    let path = format!("/{}/{}.{}", wanted.account, wanted.sid, wanted.format.extension());
    let mut extra = vec![format!("x-channels={channels}")];
    if hops > 1 {
        extra.push(format!("x-hops={}", hops.saturating_sub(1)));
    }
    format!("{}{}", shared.cdn_origin, shared.signer.sign(&path, &extra))
}

fn json_answer(mut json: Value, faults: &Faults) -> Answer {
    for patch in &faults.replace_json {
        metadata::merge(&mut json, patch);
    }
    let mut text = json.to_string();
    if faults.break_json {
        // The closing brace goes: what is left looks like JSON up to its last byte.
        text.pop();
    }
    Answer::text(StatusCode::OK, "application/json", text)
}

/// Basic credentials of a known account, and of the one in the path if there is one.
fn is_authentic(shared: &Shared, head: &Parts, account: Option<&str>) -> bool {
    let Some((user, password)) = basic_credentials(head) else {
        return false;
    };
    account.is_none_or(|account| account == user) && shared.library.is_token(&user, &password)
}

fn basic_credentials(head: &Parts) -> Option<(String, String)> {
    let value = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
