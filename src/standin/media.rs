//! Media answers: the same for the API and for the CDN.
//!
//! In: a recording, a format, a number of channels, and the request's head. Out: 200, 206, 304
//! or 416 with `ETag`, `Last-Modified` and `Accept-Ranges`. Twilio does not document these
//! headers; S3, which serves its media, sends them. Synthesis runs off the async threads.

use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};

use super::answer::Answer;
use super::library::{HeldRecording, Rendered};
use super::range::{Selection, Validators, is_current, select};
use super::settings::MediaFormat;

/// Why there is no media answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaFailure {
    /// The synthesis failed or was stopped.
    Rendering,
    /// The range lies outside an object of this length.
    Range { length: u64 },
}

/// Makes the answer to a GET or HEAD of media that is there.
pub(super) async fn answer(
    head: &Parts,
    held: Arc<HeldRecording>,
    format: MediaFormat,
    channels: u8,
    ignore_range: bool,
) -> Result<Answer, MediaFailure> {
    let ended_at = held.ended_at();
    let rendered = tokio::task::spawn_blocking(move || held.render(format, channels))
        .await
        .map_err(|_| MediaFailure::Rendering)?
        .map_err(|_| MediaFailure::Rendering)?;
    let etag = rendered.etag.clone();
    let validators = Validators { etag: &etag, modified_seconds: ended_at.as_second() };
    let selection = if ignore_range || head.method == Method::HEAD {
        Selection::Whole
    } else {
        select(&head.headers, rendered.length, validators)
    };
    let answer = if is_current(&head.headers, validators) {
        Answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        body_of(rendered, selection)?
            .with(CONTENT_TYPE, HeaderValue::from_static(format.content_type()))
    };
    let modified = ended_at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Ok(answer
        .with_text(ETAG, &etag)
        .with_text(LAST_MODIFIED, &modified)
        .with(ACCEPT_RANGES, HeaderValue::from_static("bytes")))
}

fn body_of(rendered: Rendered, selection: Selection) -> Result<Answer, MediaFailure> {
    let length = rendered.length;
    let (status, start, end, content_range) = match selection {
        Selection::Unsatisfiable => return Err(MediaFailure::Range { length }),
        Selection::Whole => (StatusCode::OK, 0, length, None),
        Selection::Part { first, last } => {
            let range = format!("bytes {first}-{last}/{length}");
            (StatusCode::PARTIAL_CONTENT, first, last.saturating_add(1), Some(range))
        }
    };
    let answer = Answer { source: rendered.source, start, end, ..Answer::empty(status) };
    Ok(match content_range {
        Some(range) => answer.with_text(CONTENT_RANGE, &range),
        None => answer,
    })
}
