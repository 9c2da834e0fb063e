//! Errors as the console tells them: RFC 9457, with a stable code and never more than the caller may
//! know.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;

use crate::draft::{self, StepError};
use crate::facts::FactsError;
use crate::identity::{Stranger, Unadmitted};
use crate::ledger::{AppendError, EntryId};
use crate::policy::AdminRefusal;
use crate::respond::ENTRY_HEADER;

/// An error as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Box<Body>,
    challenge: Option<&'static str>,
    retry_after: Option<u32>,
    /// True if signing in is what helps.
    wants_session: bool,
}

/// What went wrong (RFC 9457).
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body {
    /// The HTTP status.
    status: u16,
    /// In a few words, the same for every problem with this code.
    title: &'static str,
    /// One word that does not change, for programs: `not-permitted`, `bad-value`.
    code: &'static str,
    /// What is wrong this time, and what would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Which of the statements it is about, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// The field that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The entry of the ledger that records this refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    entry: Option<EntryId>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        let body = Body { status: status.as_u16(), code, title, ..Body::default() };
        let body = Box::new(body);
        Self { status, body, challenge: None, retry_after: None, wants_session: false }
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What it is about, in a few words.
    pub(super) fn title(&self) -> &'static str {
        self.body.title
    }

    /// Its one word.
    pub(super) fn code(&self) -> &'static str {
        self.body.code
    }

    /// What is wrong this time.
    pub(super) fn detail(&self) -> Option<&str> {
        self.body.detail.as_deref().filter(|detail| !detail.is_empty())
    }

    /// The field it is about.
    pub(super) fn field(&self) -> Option<&str> {
        self.body.field.as_deref()
    }

    /// The entry that records it.
    pub(super) fn entry(&self) -> Option<EntryId> {
        self.body.entry
    }

    /// True if signing in is what helps.
    pub(super) fn wants_session(&self) -> bool {
        self.wants_session
    }

    /// Says what is wrong this time.
    pub(crate) fn saying(mut self, detail: impl Into<String>) -> Self {
        self.body.detail = Some(detail.into());
        self
    }

    /// Says which field it is about.
    pub(crate) fn about(mut self, field: impl Into<String>) -> Self {
        self.body.field = Some(field.into()).filter(|field: &String| !field.is_empty());
        self
    }

    /// Says in which part of the request its field stands.
    pub(crate) fn within(mut self, part: &str) -> Self {
        self.body.field = self.body.field.map(|field| format!("{part}.{field}"));
        self
    }

    /// Says which of several it is about.
    pub(crate) fn at(mut self, index: usize) -> Self {
        self.body.index = Some(index);
        self
    }

    /// Says which entry records it.
    pub(crate) fn recorded(mut self, entry: EntryId) -> Self {
        self.body.entry = Some(entry);
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here")
    }

    pub(crate) fn method() -> Self {
        let title = "this cannot be done with it";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title)
    }

    pub(crate) fn host() -> Self {
        let title = "this host is not served here";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", title)
    }

    pub(crate) fn cross_site() -> Self {
        let title = "pages of other sites may not use the console";
        Self::new(StatusCode::FORBIDDEN, "cross-site", title)
    }

    /// Nobody said who they are, or not any more.
    pub(crate) fn no_session(detail: impl Into<String>) -> Self {
        let title = "who asks has to prove who they are";
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "not-identified", title);
        problem.body.detail = Some(detail.into()).filter(|detail| !detail.is_empty());
        Self { challenge: Some("Bearer realm=\"noticegate\""), wants_session: true, ..problem }
    }

    /// A form without the token of its page.
    pub(crate) fn not_our_form() -> Self {
        let title = "this was not sent by a page of the console";
        Self::new(StatusCode::FORBIDDEN, "not-our-form", title).saying(
            "a form needs the field `csrf` of its page, and a script the header `X-CSRF-Token`; \
             load the page again and send it once more",
        )
    }

    pub(crate) fn too_slow() -> Self {
        let title = "the request took too long";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-slow", title);
        Self { retry_after: Some(1), ..problem }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, "bad-request", "this cannot be read");
        problem.saying(detail)
    }

    pub(crate) fn cut_off() -> Self {
        Self::bad_request("the body was cut off")
    }

    pub(crate) fn too_large() -> Self {
        let title = "the body is longer than it may be";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", title)
    }

    pub(crate) fn not_json() -> Self {
        let title = "the body must be `application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", title)
    }

    pub(crate) fn bad_value(detail: impl Into<String>) -> Self {
        let title = "a value cannot be meant";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-value", title).saying(detail)
    }

    pub(crate) fn key_reused() -> Self {
        let title = "this Idempotency-Key was used for something else";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", title)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        let title = "it is not as the request supposes";
        Self::new(StatusCode::CONFLICT, "conflict", title).saying(detail)
    }

    pub(crate) fn refused(refusal: &AdminRefusal) -> Self {
        let problem = Self::new(StatusCode::FORBIDDEN, "not-permitted", "you may not do this");
        problem.saying(&refusal.reason)
    }

    pub(crate) fn stranger(stranger: Stranger) -> Self {
        match stranger {
            Stranger::KeysUnavailable => {
                let title = "nobody can be identified at the moment";
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "keys-unavailable", title);
                Self { retry_after: Some(5), ..problem }.saying(stranger.to_string())
            }
            _ => {
                let title = "who asks has to prove who they are";
                let problem = Self::new(StatusCode::UNAUTHORIZED, "not-identified", title);
                let challenge = match stranger.is_of_token() {
                    true => "Bearer realm=\"noticegate\", error=\"invalid_token\"",
                    false => "Bearer realm=\"noticegate\"",
                };
                Self { challenge: Some(challenge), ..problem }.saying(stranger.to_string())
            }
        }
    }

    pub(crate) fn unadmitted(why: Unadmitted) -> Self {
        match why {
            Unadmitted::TooMany { retry_after } => {
                let title = "the client asks more often than it may";
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", title);
                Self { retry_after: Some(retry_after), ..problem }
            }
            Unadmitted::Purpose => {
                Self::new(StatusCode::FORBIDDEN, "not-permitted", "you may not do this")
            }
        }
    }

    /// Nothing is done or shown without its entry.
    pub(crate) fn ledger(error: &AppendError) -> Self {
        tracing::error!(%error, "nothing is done at the console without an entry");
        let title = "it cannot be put on record at the moment, so it was not done";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger-unavailable", title);
        Self { retry_after: Some(1), ..problem }
    }

    /// Something of ours does not work. What, is in the log.
    pub(crate) fn unreadable(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "the console cannot read the ledger");
        let title = "the ledger cannot be read at the moment";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger-unavailable", title);
        Self { retry_after: Some(1), ..problem }
    }

    pub(crate) fn step(error: StepError) -> Self {
        match error {
            StepError::NoReason => Self::bad_value(error.to_string()).about("reason"),
            _ => Self::conflict(error.to_string()),
        }
    }

    pub(crate) fn drafts(error: &draft::StoreError) -> Self {
        if matches!(error, draft::StoreError::NoSuchDraft) {
            return Self::not_found();
        }
        tracing::error!(%error, "the console cannot use the drafts");
        let title = "drafts cannot be read or kept at the moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "drafts-unavailable", title)
    }

    pub(crate) fn facts(error: &FactsError) -> Self {
        match error {
            FactsError::NoSuchRecording => Self::not_found().saying(error.to_string()),
            _ => {
                tracing::warn!(%error, "the console got no facts");
                let title = "what is known of it cannot be had at the moment";
                let problem =
                    Self::new(StatusCode::SERVICE_UNAVAILABLE, "facts-unavailable", title);
                Self { retry_after: Some(5), ..problem }
            }
        }
    }

    pub(crate) fn ours() -> Self {
        let title = "this was not finished; the log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self.body).unwrap_or_default();
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(entry) = self.body.entry
            && let Ok(value) = HeaderValue::from_str(&entry.to_string())
        {
            headers.insert(ENTRY_HEADER, value);
        }
        // For who writes the page that a browser shows instead.
        response.extensions_mut().insert(self);
        response
    }
}
