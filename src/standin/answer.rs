//! Answers before they become HTTP: status, headers, and the bytes to send.
//!
//! In: what `api.rs`, `cdn.rs` and `media.rs` decided, and the faults of the request. Out: the
//! hyper response, spoiled as the faults say. Also the error bodies: Twilio's JSON and XML, and
//! S3's XML. An error body must never repeat a credential.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::body::{Ending, Source, StandInBody};
use super::misbehaviour::Faults;
use super::seen::Listener;

/// Headers api.twilio.com was seen to send with every answer. A proxy must not pass them on.
const TWILIO_HEADERS: [(&str, &str); 12] = [
    ("twilio-concurrent-requests", "1"),
    ("twilio-request-duration", "0.080"),
    ("x-api-domain", "api.twilio.com"),
    ("x-home-region", "us1"),
    ("x-powered-by", "AT-5000"),
    ("x-shenanigans", "none"),
    ("strict-transport-security", "max-age=31536000"),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-credentials", "true"),
    (
        "access-control-allow-headers",
        "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, \
         If-Unmodified-Since, Idempotency-Key",
    ),
    ("access-control-allow-methods", "GET, POST, DELETE, OPTIONS"),
    ("access-control-expose-headers", "ETag"),
];

/// An answer in the making.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) source: Source,
    /// The first byte of the source to send.
    pub(super) start: u64,
    /// The byte after the last.
    pub(super) end: u64,
}

impl Answer {
    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), source: Source::Pattern, start: 0, end: 0 }
    }

    /// An answer with a body of text.
    pub(super) fn text(status: StatusCode, content_type: &'static str, text: String) -> Self {
        let body = Bytes::from(text);
        let end = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let source = Source::Held(body);
        Self { source, end, ..Self::empty(status) }
            .with(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// A redirect. A location that is no header value is left out.
    pub(super) fn redirect(status: u16, location: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
        Self::empty(status).with_text(LOCATION, location)
    }

    /// Sets a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header from text, unless the text cannot be a header value.
    pub(super) fn with_text(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with(name, value),
            Err(_) => self,
        }
    }

    /// Sets `Retry-After` where there is one to set.
    pub(super) fn retry_after(self, seconds: Option<u32>) -> Self {
        match seconds {
            Some(seconds) => self.with(RETRY_AFTER, HeaderValue::from(seconds)),
            None => self,
        }
    }

    /// Adds what either server sends with everything it says.
    pub(super) fn signed_off_by(mut self, listener: Listener) -> Self {
        let request_id = uuid::Uuid::now_v7().simple().to_string();
        match listener {
            Listener::Api => {
                for (name, value) in TWILIO_HEADERS {
                    let name = HeaderName::from_static(name);
                    self.headers.insert(name, HeaderValue::from_static(value));
                }
                let name = HeaderName::from_static("twilio-request-id");
                self.with_text(name, &format!("RQ{request_id}"))
            }
            Listener::Cdn => self
                .with_text(HeaderName::from_static("x-amz-request-id"), &request_id)
                .with_text(HeaderName::from_static("server"), "AmazonS3"),
        }
    }

    /// The response to a request with this method, with the faults that touch head and body.
    pub(super) fn into_response(
        mut self,
        method: &Method,
        faults: &Faults,
    ) -> Response<StandInBody> {
        let length = self.end.saturating_sub(self.start);
        let bodiless = self.status == StatusCode::NOT_MODIFIED;
        if !faults.no_length && !bodiless {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        for (name, value) in &faults.headers {
            let name = HeaderName::try_from(name.as_str());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                self.headers.insert(name, value);
            }
        }
        let ending = match (faults.cut_after, faults.stall_after) {
            (Some(bytes), _) => Ending::CutAfter(bytes),
            (None, Some(bytes)) => Ending::StallAfter(bytes),
            (None, None) => Ending::Clean,
        };
        let body = if *method == Method::HEAD || bodiless {
            StandInBody::empty()
        } else {
            StandInBody::new(self.source, self.start, self.end, ending)
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// An error of api.twilio.com.
pub(super) struct TwilioError {
    pub(super) status: StatusCode,
    pub(super) code: u32,
    pub(super) message: String,
}

impl TwilioError {
    /// The error Twilio gives with this status: 20003 for 401, else 20000 and the status.
    pub(super) fn of_status(status: StatusCode, path: &str) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => 20003,
            other => 20_000_u32.saturating_add(u32::from(other.as_u16())),
        };
        let message = match status {
            StatusCode::UNAUTHORIZED => "Authenticate".to_owned(),
            StatusCode::NOT_FOUND => format!("The requested resource {path} was not found"),
            other => other.canonical_reason().unwrap_or("Error").to_owned(),
        };
        Self { status, code, message }
    }

    /// JSON for paths that end in `.json` and for all products but the oldest, else XML.
    pub(super) fn into_answer(self, path: &str) -> Answer {
        let Self { status, code, message } = self;
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        let is_json = path.ends_with(".json") || path.starts_with("/v");
        let answer = if is_json {
            let body = json!({
                "code": code,
                "message": message,
                "more_info": more_info,
                "status": status.as_u16(),
            });
            Answer::text(status, "application/json", body.to_string())
        } else {
            let body = format!(
                "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException>\
                 <Code>{code}</Code><Message>{}</Message><MoreInfo>{more_info}</MoreInfo>\
                 <Status>{}</Status></RestException></TwilioResponse>",
                escaped(&message),
                status.as_u16(),
            );
            Answer::text(status, "application/xml", body)
        };
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            return answer.with(http::header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

/// An error of S3.
pub(super) fn s3_error(status: StatusCode, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code>\
         <Message>{}</Message></Error>",
        escaped(code),
        escaped(message),
    );
    Answer::text(status, "application/xml", body)
}

/// Text as XML writes it, within elements and within attributes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(path: &str, status: StatusCode) -> String {
        let answer = TwilioError::of_status(status, path).into_answer(path);
        match answer.source {
            Source::Held(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Source::Pattern => String::new(),
        }
    }

    #[test]
    fn the_extension_picks_the_shape_of_an_error() {
        assert_eq!(
            body("/x.json", StatusCode::NOT_FOUND),
            r#"{"code":20404,"message":"The requested resource /x.json was not found","#.to_owned()
                + r#""more_info":"https://www.twilio.com/docs/errors/20404","status":404}"#
        );
        assert!(body("/x", StatusCode::TOO_MANY_REQUESTS).contains("<Code>20429</Code>"));
        assert!(body("/<x>", StatusCode::NOT_FOUND).contains("/&lt;x&gt; was"));
    }

    #[test]
    fn a_401_challenges_for_basic_credentials() {
        let error = TwilioError::of_status(StatusCode::UNAUTHORIZED, "/x.json");
        assert_eq!(error.code, 20003);
        let answer = error.into_answer("/x.json");
        assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"Twilio API\"");
    }
}
