//! The listener that plays the media CDN: S3 behind pre-signed URLs.
//!
//! In: the head of a request and its faults. Out: an [`Answer`]: the media, the next redirect of
//! a chain, or S3's error. It takes no credentials: an `Authorization` header is an error, as it
//! is on S3, which is how a proxy that forwards one is caught.

use http::header::{AUTHORIZATION, CONTENT_RANGE};
use http::request::Parts;
use http::{Method, StatusCode};

use super::answer::{Answer, s3_error};
use super::media::{File, MediaFailure};
use super::misbehaviour::Faults;
use super::route::{CdnRoute, parameter};
use super::seen::path_and_query;
use super::server::Shared;
use super::settings::RecordingStatus;
use super::signature::{EXPIRES_SECONDS, Signature};

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
    let file = match find(shared, path, query).await {
        Some(Ok(file)) => file,
        Some(Err(_)) => return status_error(500),
        None => return s3_error(StatusCode::NOT_FOUND, "NoSuchKey", "The key does not exist."),
    };
    match file.answer(head, faults) {
        Ok(answer) => answer,
        Err(MediaFailure::Rendering) => status_error(500),
        Err(MediaFailure::Range { length }) => {
            let message = "The requested range is not satisfiable";
            s3_error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message)
                .with_text(CONTENT_RANGE, &format!("bytes */{length}"))
        }
    }
}

async fn find(
    shared: &Shared,
    path: &str,
    query: Option<&str>,
) -> Option<Result<File, MediaFailure>> {
    let route = CdnRoute::read(path)?;
    let Some((sid, format)) = route.recording() else {
        let object = shared.library.object(route.account, route.key)?;
        return Some(Ok(File::object(&object)));
    };
    let held = shared.library.find(route.account, sid)?;
    if held.recording.status != RecordingStatus::Completed {
        return None;
    }
    let channels = held.channels_for(number(query, "x-channels")).ok()?;
    Some(File::recording(held, format, channels).await)
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
    let channels: Option<u8> = number(query, "x-channels");
    let expires = parameter(query, "X-Amz-Expires").and_then(|seconds| seconds.parse().ok());
    let url = Presigned { path, channels, hops: hops.saturating_sub(1), expires };
    Answer::redirect(302, &url.on(shared))
}

/// A URL on the CDN in the making.
#[derive(Clone, Copy)]
pub(super) struct Presigned<'a> {
    /// `/{AC}/` and the key.
    pub(super) path: &'a str,
    /// For a voice recording.
    pub(super) channels: Option<u8>,
    /// Further redirects until the file.
    pub(super) hops: u8,
    /// For how many seconds it claims to be valid.
    pub(super) expires: Option<u32>,
}

impl Presigned<'_> {
    /// The URL itself.
    pub(super) fn on(self, shared: &Shared) -> String {
        let mut extra = Vec::new();
        if let Some(channels) = self.channels {
            extra.push(format!("x-channels={channels}"));
        }
        if self.hops > 0 {
            extra.push(format!("x-hops={}", self.hops));
        }
        let expires = self.expires.unwrap_or(EXPIRES_SECONDS);
        format!("{}{}", shared.cdn_origin, shared.signer.sign(self.path, expires, &extra))
    }
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
