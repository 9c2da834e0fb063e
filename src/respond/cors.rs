//! Pages of other origins: which may read answers (Fetch standard, CORS protocol).
//!
//! Only origins that the operator names, each by itself; nothing of an upstream's own headers is
//! copied, and cookies never count. What a page may read is still decided by who it proves to be.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::common;
use crate::stream::ReplyBody;

const METHODS: &str = "GET, HEAD, POST, DELETE";

const ASKED: &str = "Authorization, Accept, Content-Type, Idempotency-Key, If-Match, \
                     If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, \
                     Noticegate-Purpose, Noticegate-Reason, Noticegate-Reference, Range";

const EXPOSED: &str = "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified, \
                       Noticegate-Entry, Retry-After";

/// How long a browser keeps what a preflight told, in seconds.
const MAX_AGE: &str = "600";

/// The origins whose pages may read answers.
#[derive(Clone, Debug, Default)]
pub struct Cors(Vec<String>);

impl Cors {
    /// Those that are configured.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        Self(origins.to_vec())
    }

    /// The origin of the page that asks, if it is one of them.
    #[must_use]
    pub fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let (origin, None) = (origins.next()?, origins.next()) else { return None };
        self.0.iter().any(|own| own.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// The answer to a preflight of one of the origins.
    #[must_use]
    pub fn preflight(&self, parts: &Parts) -> Option<Response<ReplyBody>> {
        let asks = parts.method == Method::OPTIONS
            && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let origin = self.origin(&parts.headers).filter(|_| asks)?;
        let mut response = Response::new(ReplyBody::text(bytes::Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        common(headers, None);
        for (name, text) in [
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, ASKED),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ] {
            headers.insert(name, HeaderValue::from_static(text));
        }
        self.mark(Some(origin), headers);
        Some(response)
    }

    /// Says who may read an answer.
    pub fn mark(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // Answers are never stored, but what lies between may not know that.
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}
