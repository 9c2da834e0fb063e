//! Answers about shares, and the page behind a link.
//!
//! A link is a secret: no answer here lets a browser tell another site where it came from, no page
//! may be framed or run anything but its own script, and nothing is kept or indexed.

use bytes::Bytes;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};

use super::{CallerForm, Problem, common};
use crate::ledger::EntryId;
use crate::share::{Stopped, style_and_script};
use crate::stream::ReplyBody;
use crate::upstream::Outline;

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// A page behind a link.
#[derive(Debug, Default)]
pub struct SharePage {
    /// The page.
    pub html: String,
    /// What the browser is to keep.
    pub cookies: Vec<String>,
    /// Where it goes on, after a form.
    pub see: Option<String>,
}

impl Problem {
    /// A link that gives nothing any more, and the sentence of the notice that stands against it.
    #[must_use]
    pub fn share_stopped(stopped: Stopped, clause: Option<(String, String, String)>) -> Self {
        let problem = Self::new(StatusCode::GONE, 20410, stopped.as_str(), stopped.sentence());
        Self { clause, ..problem }
    }

    /// A link that leads to nothing, and never did.
    #[must_use]
    pub fn no_such_link() -> Self {
        Self::new(StatusCode::NOT_FOUND, 20404, "no-such-link", "There is no such link.")
    }

    /// A password or code is needed; a program is told how to give it.
    #[must_use]
    pub fn share_secret(is_program: bool) -> Self {
        let message = "The link's password or code is needed: programs give it as the password of \
                       `Authorization: Basic`, with any user name.";
        let problem = Self::new(StatusCode::UNAUTHORIZED, 20003, "share-secret", message);
        let challenge = is_program.then(|| r#"Basic realm="share""#.to_owned());
        Self { challenge, ..problem }
    }

    /// Too many wrong passwords.
    #[must_use]
    pub fn share_guesses(seconds: u32) -> Self {
        let message = "Too many wrong passwords or codes were given for this link";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, 20429, "share-guesses", message).retry_after(Some(seconds))
    }

    /// Too many codes were mailed.
    #[must_use]
    pub fn share_mails(seconds: u32) -> Self {
        let message = "Too many codes were sent for this link; look for them in your mail";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, 20429, "share-mails", message).retry_after(Some(seconds))
    }

    /// A code cannot be mailed.
    #[must_use]
    pub fn share_mail() -> Self {
        let message = "The code could not be sent; try again in a minute";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, 20503, "share-mail", message).retry_after(Some(60))
    }

    /// A program that looks at links before people do asks for sound.
    #[must_use]
    pub fn share_preview() -> Self {
        let message = "Programs that preview links are given no sound";
        Self::new(StatusCode::FORBIDDEN, 20403, "share-preview", message)
    }

    /// A share to somebody outside needs a password or a code.
    #[must_use]
    pub fn share_unprotected() -> Self {
        let message = "A link for somebody outside the organisation needs a `password`, or the \
                       `binding` `code`";
        Self::new(StatusCode::FORBIDDEN, 20403, "share-unprotected", message)
    }

    /// A key that stands for another order.
    #[must_use]
    pub fn share_other_order() -> Self {
        let message = "This `Idempotency-Key` was used for another share; use a new one";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, 20001, "other-order", message)
    }

    /// A share that changes faster than it can be decided about.
    #[must_use]
    pub fn share_contended() -> Self {
        Self::busy(Some(1))
    }

    /// The clause that is named, if there is one: its words, and the notice's version.
    #[must_use]
    pub fn quoted(&self) -> Option<(&str, &str)> {
        let (_, quote, notice) = self.clause.as_ref()?;
        Some((quote, notice))
    }

    /// What is wrong, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.message
    }

    /// The answer to a browser: this page with the problem's status.
    #[must_use]
    pub fn into_page(
        self,
        page: SharePage,
        caller: CallerForm,
        entry: Option<EntryId>,
    ) -> Response<ReplyBody> {
        let status = self.status;
        let mut response = share_page(page, caller);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        common(headers, entry);
        if let Some(seconds) = self.retry_after {
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A page behind a link.
#[must_use]
pub fn share_page(page: SharePage, caller: CallerForm) -> Response<ReplyBody> {
    let SharePage { html, cookies, see } = page;
    let length = html.len();
    let html = match caller.outline {
        Outline::Whole => Bytes::from(html),
        Outline::HeadOnly => Bytes::new(),
    };
    let mut response = Response::new(ReplyBody::text(html));
    let headers = response.headers_mut();
    common(headers, None);
    closed(headers);
    let (style, script) = style_and_script();
    let policy = format!(
        "default-src 'none'; media-src 'self'; connect-src 'self'; style-src {style}; \
         script-src {script}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let text = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in [(CONTENT_SECURITY_POLICY, policy)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    for cookie in cookies {
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
    if let Some(see) = see.and_then(|see| HeaderValue::try_from(see).ok()) {
        headers.insert(LOCATION, see);
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
    response
}

/// What every answer behind a link says.
fn closed(headers: &mut HeaderMap) {
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(ROBOTS, HeaderValue::from_static("noindex, nofollow"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
}

/// Says of sound that goes out by a link whether it may be saved.
pub fn share_sound(response: &mut Response<ReplyBody>, saved_as: Option<&str>) {
    let headers = response.headers_mut();
    closed(headers);
    let own = HeaderValue::from_static("default-src 'none'; media-src 'self'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, own);
    let shown = match saved_as {
        Some(name) => format!("attachment; filename=\"{name}\""),
        None => "inline".to_owned(),
    };
    if let Ok(shown) = HeaderValue::try_from(shown) {
        headers.insert(CONTENT_DISPOSITION, shown);
    }
}

/// JSON about shares: of a new one with its place, of one or many without; nothing of one that was
/// ended.
#[must_use]
pub fn share_json(
    json: Option<&serde_json::Value>,
    made_at: Option<&str>,
    entry: Option<EntryId>,
) -> Response<ReplyBody> {
    let text = json.map(|json| serde_json::to_vec(json).unwrap_or_default());
    let mut response =
        Response::new(ReplyBody::text(Bytes::from(text.clone().unwrap_or_default())));
    *response.status_mut() = match (&text, made_at) {
        (None, _) => StatusCode::NO_CONTENT,
        (Some(_), Some(_)) => StatusCode::CREATED,
        (Some(_), None) => StatusCode::OK,
    };
    let headers = response.headers_mut();
    common(headers, entry);
    if let Some(text) = &text {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    }
    if let Some(place) = made_at.and_then(|place| HeaderValue::try_from(place).ok()) {
        headers.insert(LOCATION, place);
    }
    response
}
