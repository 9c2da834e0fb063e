//! The listener that plays the media CDN: S3 behind pre-signed URLs.
//!
//! In: the head of a request and its faults. Out: an [`Answer`]: the media, the next redirect of
//! a chain, or S3's error. It takes no credentials: an `Authorization` header is an error, as it
//! is on S3, which is how a proxy that forwards one is caught.

use http::header::{AUTHORIZATION, CONTENT_RANGE};
use http::request::Parts;
use http::{Method, StatusCode};

use super::answer::{Answer, s3_error};
use super::media::{self, MediaFailure};
use super::misbehaviour::Faults;
use super::route::{Route, parameter};
use super::seen::path_and_query;
use super::server::Shared;
use super::settings::RecordingStatus;
use super::signature::Signature;

/// Answers one request.
pub(super) async fn answer(shared: &Shared, head: &Parts, faults: &Faults) -> Answer {
    if let Some((status, retry_after)) = faults.status {
        return status_error(status).retry_after(retry_after);
    }
    if let Some(refusal) = refuse(shared, head) {
        return refusal;
    }
    let path = head.uri.path();
    let query = head.uri.query();
    let hops: u8 = number(query, "x-hops").unwrap_or(0);
    if hops > 0 {
        return next_hop(shared, path, query, hops);
    }
    let missing = || s3_error(StatusCode::NOT_FOUND, "NoSuchKey", "The key does not exist.");
    let Route::Media { account, sid, format } = Route::of_cdn(path) else {
        return missing();
    };
    let held = shared.library.find(account, sid);
    let Some(held) = held.filter(|held| held.recording.status == RecordingStatus::Completed) else {
        return missing();
    };
    let Ok(channels) = held.channels_for(number(query, "x-channels")) else {
        return missing();
    };
    match media::answer(head, held, format, channels, faults.ignore_range).await {
        Ok(answer) => answer,
        Err(MediaFailure::Rendering) => status_error(500),
        Err(MediaFailure::Range { length }) => {
            let message = "The requested range is not satisfiable";
            s3_error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message)
                .with_text(CONTENT_RANGE, &format!("bytes */{length}"))
        }
    }
}

/// The answer to a request that has no right to be here.
fn refuse(shared: &Shared, head: &Parts) -> Option<Answer> {
    let signature = shared.signer.check(path_and_query(head));
    if signature == Signature::Missing {
        return Some(s3_error(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"));
    }
    if head.headers.contains_key(AUTHORIZATION) {
        let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query \
                       parameter, Signature query string parameter or the Authorization header \
                       should be specified";
        return Some(s3_error(StatusCode::BAD_REQUEST, "InvalidArgument", message));
    }
    // Only GET is in the signed text, so the signature of any other method is wrong.
    if signature == Signature::Wrong || head.method != Method::GET {
        let message = "The request signature we calculated does not match the signature you \
                       provided.";
        return Some(s3_error(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message));
    }
    None
}

fn next_hop(shared: &Shared, path: &str, query: Option<&str>, hops: u8) -> Answer {
    let channels: u8 = number(query, "x-channels").unwrap_or(1);
    let mut extra = vec![format!("x-channels={channels}")];
    if hops > 1 {
        extra.push(format!("x-hops={}", hops.saturating_sub(1)));
    }
    let location = format!("{}{}", shared.cdn_origin, shared.signer.sign(path, &extra));
    Answer::redirect(302, &location)
}

fn number(query: Option<&str>, name: &str) -> Option<u8> {
    parameter(query, name).and_then(|value| value.parse().ok())
}

fn status_error(status: u16) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = match status {
        StatusCode::SERVICE_UNAVAILABLE => "SlowDown",
        StatusCode::FORBIDDEN => "AccessDenied",
        StatusCode::NOT_FOUND => "NoSuchKey",
        _ => "InternalError",
    };
    s3_error(status, code, status.canonical_reason().unwrap_or("Error"))
}
