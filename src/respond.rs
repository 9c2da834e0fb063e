//! Answers: the only place where a refusal or a failure becomes HTTP.
//!
//! Every header that a caller sees is set here; nothing of an upstream's answer is copied. An
//! error is `application/problem+json` (RFC 9457) that is also Twilio's error object, so that
//! Twilio's SDKs raise it as their own; where a caller asks for XML on a path without `.json`, it
//! is Twilio's XML. The member `type` is left out on purpose: with it, twilio-python would take
//! the error for another kind.

mod cors;
mod share;

pub use cors::Cors;
pub use share::{SharePage, share_json, share_page, share_sound};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
    LOCATION, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use serde::Serialize;

use crate::asked::BadRequest;
use crate::crowd::{Crowded, Limit};
use crate::facts::FactsError;
use crate::identity::{Stranger, Unadmitted};
use crate::ledger::{Ending, EntryId, OpenDisclosure};
use crate::media::{Confusion, TargetError};
use crate::policy::{Ground, Reason, Refusal};
use crate::stream::{ReplyBody, Revoked};
use crate::upstream::{NoSite, Opened, Outline, UpstreamError};
use crate::webhook::WebhookError;

/// The header that names the ledger entry of an answer.
pub const ENTRY_HEADER: HeaderName = HeaderName::from_static("noticegate-entry");

/// An error as it is told to the caller.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    status: StatusCode,
    code: u32,
    message: String,
    reason: &'static str,
    clause: Option<(String, String, String)>,
    retry_after: Option<u32>,
    challenge: Option<String>,
    basic: bool,
    closes: bool,
    /// The methods of which one would have done.
    allowed: &'static str,
}

/// The JSON form. Twilio's four members come first.
#[derive(Serialize)]
struct Json<'a> {
    code: u32,
    message: &'a str,
    more_info: String,
    status: u16,
    title: &'a str,
    detail: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    clause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryId>,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: u32,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, reason, message: message.into(), ..Self::default() }
    }

    fn retry_after(self, seconds: Option<u32>) -> Self {
        Self { retry_after: seconds, ..self }
    }

    /// Nobody proved who they are; `basic` says whether a client's id and secret would be proof.
    #[must_use]
    pub fn stranger(stranger: Stranger, basic: bool) -> Self {
        if matches!(stranger, Stranger::KeysUnavailable | Stranger::FlexUnavailable) {
            let problem = Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                20503,
                "keys-unavailable",
                stranger.to_string(),
            );
            return problem.retry_after(Some(10));
        }
        // RFC 6750, 3.1: without any token there is no error to name.
        let challenge = match stranger.is_of_token() {
            false => r#"Bearer realm="noticegate""#.to_owned(),
            true => format!(
                r#"Bearer realm="noticegate", error="invalid_token", error_description="{stranger}""#
            ),
        };
        let problem = Self::new(StatusCode::UNAUTHORIZED, 20003, "stranger", stranger.to_string());
        Self { challenge: Some(challenge), basic, ..problem }
    }

    /// A client goes beyond what was agreed with it.
    #[must_use]
    pub fn unadmitted(why: Unadmitted) -> Self {
        match why {
            Unadmitted::TooMany { retry_after } => {
                let message = "This client asks more often than it may";
                let status = StatusCode::TOO_MANY_REQUESTS;
                Self::new(status, 20429, "too-many-requests", message)
                    .retry_after(Some(retry_after))
            }
            Unadmitted::Purpose => Self::new(
                StatusCode::FORBIDDEN,
                20403,
                "purpose-not-of-client",
                "The purpose is not among those that this client may name",
            ),
        }
    }

    /// There are too many, all in all or of this one.
    #[must_use]
    pub fn crowded(crowded: &Crowded) -> Self {
        let (status, code, message) = match crowded.limit {
            Limit::Requests => (
                StatusCode::SERVICE_UNAVAILABLE,
                20503,
                "Too many requests are under way; ask again in a moment",
            ),
            Limit::Streams => (
                StatusCode::TOO_MANY_REQUESTS,
                20429,
                "This caller has too many requests under way; ask again when some have ended",
            ),
            _ => (
                StatusCode::TOO_MANY_REQUESTS,
                20429,
                "This caller, or its address, asks more often than it may",
            ),
        };
        Self::new(status, code, "limit", message).retry_after(Some(crowded.retry_after.max(1)))
    }

    /// The request's form is wrong.
    #[must_use]
    pub fn bad_request(bad: &BadRequest) -> Self {
        let (status, code) = match bad {
            BadRequest::Method | BadRequest::NotDeleted | BadRequest::ShareMethod => {
                (StatusCode::METHOD_NOT_ALLOWED, 20004)
            }
            BadRequest::Misdirected => (StatusCode::MISDIRECTED_REQUEST, 20001),
            BadRequest::HeadersTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, 20001),
            BadRequest::Target(TargetError::NotServed) => (StatusCode::NOT_FOUND, 20404),
            BadRequest::Target(TargetError::Confusing(Confusion::TooLong)) => {
                (StatusCode::URI_TOO_LONG, 20001)
            }
            BadRequest::Host
            | BadRequest::Body
            | BadRequest::Target(_)
            | BadRequest::Condition(_)
            | BadRequest::Purpose
            | BadRequest::Order(_)
            | BadRequest::Key
            | BadRequest::Page
            | BadRequest::Stated => (StatusCode::BAD_REQUEST, 20001),
            BadRequest::BodyTooLong => (StatusCode::PAYLOAD_TOO_LARGE, 20001),
        };
        // What follows a request that could be read in two ways is not read at all.
        let closes = matches!(
            bad,
            BadRequest::Host | BadRequest::Body | BadRequest::BodyTooLong | BadRequest::Misdirected
        );
        let allowed = match bad {
            BadRequest::NotDeleted => "GET, HEAD",
            BadRequest::ShareMethod => "GET, HEAD, POST, DELETE",
            _ => "GET, HEAD, DELETE",
        };
        Self { closes, allowed, ..Self::new(status, code, "bad-request", bad.to_string()) }
    }

    /// The policies say no.
    #[must_use]
    pub fn refusal(refusal: &Refusal) -> Self {
        let reason = refusal.code();
        match &refusal.reason {
            Reason::NotForCaller => Self::not_found(),
            Reason::Undecidable(_) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, 20503, reason, refusal.to_string()).retry_after(Some(30))
            }
            _ => {
                let clause = refusal.citation().and_then(|citation| match &citation.ground {
                    Ground::Clause { clause, quote, notice } => {
                        Some((clause.clone(), quote.clone(), notice.to_string()))
                    }
                    Ground::Guardrail { .. } => None,
                });
                Self {
                    clause,
                    ..Self::new(StatusCode::FORBIDDEN, 20403, reason, refusal.to_string())
                }
            }
        }
    }

    /// There is no such thing, or the caller may not know of it: the same words for both.
    #[must_use]
    pub fn not_found() -> Self {
        let message = "The requested resource was not found";
        Self::new(StatusCode::NOT_FOUND, 20404, "not-found", message)
    }

    /// The facts for a decision cannot be had.
    #[must_use]
    pub fn facts(error: &FactsError) -> Self {
        match error {
            FactsError::NoSuchRecording => Self::not_found(),
            FactsError::Busy { retry_after } => Self::busy(*retry_after),
            other => {
                let message =
                    format!("This cannot be decided at the moment, so it is refused: {other}.");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, 20503, "undecidable", message).retry_after(Some(5))
            }
        }
    }

    /// The ledger takes no entry.
    #[must_use]
    pub fn ledger() -> Self {
        let message = "The record of disclosures cannot be written at the moment, so nothing is \
                       disclosed.";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, 20503, "ledger-closed", message).retry_after(Some(5))
    }

    /// A callback's body that is too long or too slow.
    #[must_use]
    pub fn callback_body() -> Self {
        let message = "The callback's body is too long, or did not come in time";
        Self { closes: true, ..Self::new(StatusCode::BAD_REQUEST, 20001, "bad-request", message) }
    }

    /// A callback that is not taken.
    #[must_use]
    pub fn callback(error: &WebhookError) -> Self {
        let (status, code) = match error {
            WebhookError::Unknown => return Self::not_found(),
            WebhookError::Signature(_) => (StatusCode::FORBIDDEN, 20403),
            WebhookError::Event(_) | WebhookError::Relay(_) => (StatusCode::BAD_REQUEST, 20001),
            WebhookError::Outbox(_) => (StatusCode::SERVICE_UNAVAILABLE, 20503),
        };
        Self::new(status, code, "callback", error.to_string())
    }

    fn busy(retry_after: Option<u32>) -> Self {
        let message = "Too many requests for this account are under way";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, 20429, "busy", message).retry_after(Some(retry_after.unwrap_or(1)))
    }

    /// The request means no account that is served.
    #[must_use]
    pub fn no_site(no: NoSite) -> Self {
        match no {
            NoSite::Unknown => Self::not_found(),
            NoSite::OfClient => {
                Self::new(StatusCode::NOT_FOUND, 20404, "not-found", no.to_string())
            }
            NoSite::Ambiguous => {
                Self::new(StatusCode::BAD_REQUEST, 20001, "bad-request", no.to_string())
            }
        }
    }

    /// Upstream gave nothing.
    #[must_use]
    pub fn upstream(error: &UpstreamError) -> Self {
        match error {
            UpstreamError::NotFound | UpstreamError::NoAccount => Self::not_found(),
            UpstreamError::Gone => {
                Self::new(StatusCode::GONE, 20410, "gone", "The requested resource is gone")
            }
            UpstreamError::Busy { retry_after } => Self::busy(*retry_after),
            UpstreamError::Rejected { status, code } => {
                let message = match code {
                    16109 => "MP3 is not available for an encrypted recording; ask for .wav",
                    16113 => "Cannot download a dual-channel presentation of a mono recording",
                    20001 => "Twilio does not take a parameter of this request",
                    20009 | 20409 => "The resource is in a state that does not allow this",
                    _ => "Twilio refuses this request; `more_info` says what its code means",
                };
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST);
                Self::new(status, *code, "rejected", message)
            }
            UpstreamError::TimedOut(_) => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                20503,
                "upstream",
                "Twilio took too long to answer",
            ),
            UpstreamError::NoKey => {
                let message = "The file is encrypted with a key that this gate does not hold, and \
                               handing it on encrypted is not permitted";
                Self::new(StatusCode::FORBIDDEN, 20403, "no-key", message)
            }
            UpstreamError::Sealed(_) => {
                let message = "The recording is encrypted and cannot be opened";
                Self::new(StatusCode::BAD_GATEWAY, 20500, "sealed", message)
            }
            UpstreamError::Credential
            | UpstreamError::Status(_)
            | UpstreamError::Unreachable(_)
            | UpstreamError::Redirect(_)
            | UpstreamError::Unusable(_) => {
                let message = "Twilio's answer cannot be used";
                Self::new(StatusCode::BAD_GATEWAY, 20500, "upstream", message)
            }
        }
    }

    /// The status, for logs.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The reason in one word, for counting.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The answer, in the form that the caller understands.
    #[must_use]
    pub fn into_response(self, caller: CallerForm, entry: Option<EntryId>) -> Response<ReplyBody> {
        let CallerForm { errors, outline, version } = caller;
        let (content_type, text) = match errors {
            ErrorForm::Json => ("application/problem+json", self.json(entry)),
            ErrorForm::Xml => ("application/xml", self.xml()),
        };
        let length = text.len();
        let text = match outline {
            Outline::Whole => Bytes::from(text),
            Outline::HeadOnly => Bytes::new(),
        };
        let mut response = Response::new(ReplyBody::text(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        common(headers, entry);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge.and_then(|c| HeaderValue::try_from(c).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.basic {
            let challenge = HeaderValue::from_static(r#"Basic realm="noticegate""#);
            headers.append(WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static(self.allowed));
        }
        if self.closes && version != Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn json(&self, entry: Option<EntryId>) -> Vec<u8> {
        let clause = self.clause.as_ref();
        let json = Json {
            code: self.code,
            message: &self.message,
            more_info: self.more_info(),
            status: self.status.as_u16(),
            title: self.status.canonical_reason().unwrap_or("Error"),
            detail: &self.message,
            reason: self.reason,
            clause: clause.map(|(clause, _, _)| clause.as_str()),
            quote: clause.map(|(_, quote, _)| quote.as_str()),
            notice: clause.map(|(_, _, notice)| notice.as_str()),
            entry,
        };
        serde_json::to_vec(&json).unwrap_or_default()
    }

    fn xml(&self) -> Vec<u8> {
        let message = self.message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException>\
             <Code>{}</Code><Message>{message}</Message><MoreInfo>{}</MoreInfo>\
             <Status>{}</Status></RestException></TwilioResponse>",
            self.code,
            self.more_info(),
            self.status.as_u16(),
        )
        .into_bytes()
    }

    fn more_info(&self) -> String {
        format!("https://www.twilio.com/docs/errors/{}", self.code)
    }
}

/// What the caller's request says about the form of an answer.
#[derive(Clone, Copy, Debug)]
pub struct CallerForm {
    /// The form of errors.
    pub errors: ErrorForm,
    /// Whether a body is wanted.
    pub outline: Outline,
    /// The version of HTTP.
    pub version: Version,
}

impl CallerForm {
    /// Reads it off a request, sound or not.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        Self {
            errors: ErrorForm::wanted(parts.uri.path(), &parts.headers),
            outline: match parts.method {
                Method::HEAD => Outline::HeadOnly,
                _ => Outline::Whole,
            },
            version: parts.version,
        }
    }
}

/// The two forms of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorForm {
    /// Problem and Twilio's JSON in one.
    Json,
    /// Twilio's XML.
    Xml,
}

impl ErrorForm {
    /// XML only where Twilio would send it (a path without `.json`) to a caller that names XML and
    /// neither JSON nor HTML (browsers name XML too, and people read JSON more easily).
    #[must_use]
    fn wanted(path: &str, headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
        let names = |kind: &str| accept.contains(kind);
        let xml = names("application/xml") || names("text/xml");
        match xml && !names("json") && !names("text/html") && !path.ends_with(".json") {
            true => Self::Xml,
            false => Self::Json,
        }
    }
}

/// Hands an opened answer to the caller, or says why there is none, and pays with the disclosure.
#[must_use]
pub fn disclose(
    mut disclosure: OpenDisclosure,
    answer: Result<Opened, UpstreamError>,
    caller: CallerForm,
    revoked: Option<Revoked>,
) -> Response<ReplyBody> {
    let entry = disclosure.id();
    let opened = match answer {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(entry = %entry, %error, "upstream gave nothing to disclose");
            let problem = Problem::upstream(&error);
            disclosure.answer(problem.status(), 0, None);
            disclosure.close(Ending::UpstreamError);
            return problem.into_response(caller, Some(entry));
        }
    };
    let first = opened.range.and_then(|range| range.part).map_or(0, |(first, _)| first);
    let whole = match opened.range {
        Some(range) => range.total,
        None => opened.length,
    };
    disclosure.answer(opened.status, first, whole.filter(|_| matches!(opened.status, 200 | 206)));
    let mut response = head(&opened, Some(entry));
    *response.body_mut() = ReplyBody::disclosure(opened.body, disclosure, revoked);
    response
}

/// Tells Twilio that a callback was taken.
#[must_use]
pub fn callback_taken() -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::text(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    common(response.headers_mut(), None);
    response
}

/// Hands a page of a list to the caller, and pays with a disclosure for each of its items.
#[must_use]
pub fn disclose_page(
    mut disclosures: Vec<(OpenDisclosure, u64)>,
    opened: Opened,
) -> Response<ReplyBody> {
    for (disclosure, bytes) in &mut disclosures {
        disclosure.answer(opened.status, 0, Some(*bytes));
    }
    let mut response = head(&opened, None);
    *response.body_mut() = ReplyBody::page(opened.body, disclosures);
    response
}

fn head(opened: &Opened, entry: Option<EntryId>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::text(Bytes::new()));
    *response.status_mut() = StatusCode::from_u16(opened.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    common(headers, entry);
    describe(headers, opened);
    response
}

fn common(headers: &mut HeaderMap, entry: Option<EntryId>) {
    // What was decided for this caller now is nobody else's, and not even theirs later.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let https = HeaderValue::from_static("max-age=31536000");
    headers.insert(STRICT_TRANSPORT_SECURITY, https);
    if let Some(entry) = entry.and_then(|entry| HeaderValue::try_from(entry.to_string()).ok()) {
        headers.insert(ENTRY_HEADER, entry);
    }
}

fn describe(headers: &mut HeaderMap, opened: &Opened) {
    let mut insert = |name: HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    };
    insert(CONTENT_LENGTH, opened.length.map(|length| length.to_string()));
    insert(ETAG, opened.tag.as_ref().map(ToString::to_string));
    insert(LAST_MODIFIED, opened.modified.map(|date| date.to_string()));
    insert(ACCEPT_RANGES, opened.ranges.then(|| "bytes".to_owned()));
    // `*/*` would say nothing, and is not of the header's form.
    let range = opened.range.filter(|range| range.part.or(range.total.map(|t| (t, t))).is_some());
    insert(CONTENT_RANGE, range.map(|range| range.to_string()));
    insert(LOCATION, opened.location.clone());
    if matches!(opened.status, 200 | 206 | 300..=303 | 305..400) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(opened.content_type));
    }
    for (name, value) in &opened.envelope {
        headers.insert(name, value.clone());
    }
    if opened.is_file {
        // A file is somebody else's, and its URL may hold a ticket.
        let closed = HeaderValue::from_static("default-src 'none'; media-src 'self'; sandbox");
        headers.insert(CONTENT_SECURITY_POLICY, closed);
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
}
