//! Media answers: the same for the API and for the CDN.
//!
//! In: a file and the request's head. Out: 200, 206, 304 or 416 with `ETag`, `Last-Modified` and
//! `Accept-Ranges`. Twilio does not document these headers; S3, which serves its media, sends
//! them. Synthesis runs off the async threads.

use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use jiff::Timestamp;

use super::answer::Answer;
use super::library::{HeldRecording, Rendered};
use super::misbehaviour::Faults;
use super::objects::Object;
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

/// A file about to be served.
pub(super) struct File {
    rendered: Rendered,
    content_type: String,
    modified: Timestamp,
    headers: Vec<(&'static str, String)>,
}

impl File {
    /// A voice recording, synthesised now if need be.
    pub(super) async fn recording(
        held: Arc<HeldRecording>,
        format: MediaFormat,
        channels: u8,
    ) -> Result<Self, MediaFailure> {
        let modified = held.ended_at();
        let rendered = tokio::task::spawn_blocking(move || held.render(format, channels))
            .await
            .map_err(|_| MediaFailure::Rendering)?
            .map_err(|_| MediaFailure::Rendering)?;
        let content_type = format.content_type().to_owned();
        Ok(Self { rendered, content_type, modified, headers: Vec::new() })
    }

    /// Any other file.
    pub(super) fn object(object: &Object) -> Self {
        Self {
            rendered: object.rendered.clone(),
            content_type: object.content_type.clone(),
            modified: object.modified,
            headers: object.headers.clone(),
        }
    }

    /// Makes the answer to a GET or HEAD of it.
    pub(super) fn answer(self, head: &Parts, faults: &Faults) -> Result<Answer, MediaFailure> {
        let etag = match faults.etag_serial {
            Some(serial) => format!("\"{}\"", serial.simple()),
            None => self.rendered.etag.clone(),
        };
        let validators = Validators { etag: &etag, modified_seconds: self.modified.as_second() };
        let selection = if faults.ignore_range || head.method == Method::HEAD {
            Selection::Whole
        } else {
            select(&head.headers, self.rendered.length, validators)
        };
        let mut answer = if is_current(&head.headers, validators) {
            Answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            body_of(self.rendered, selection)?.with_text(CONTENT_TYPE, &self.content_type)
        };
        for (name, value) in &self.headers {
            answer = answer.with_text(HeaderName::from_static(name), value);
        }
        let modified = self.modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        Ok(answer
            .with_text(ETAG, &etag)
            .with_text(LAST_MODIFIED, &modified)
            .with(ACCEPT_RANGES, HeaderValue::from_static("bytes")))
    }
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
