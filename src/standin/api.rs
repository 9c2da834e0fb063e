//! The listener that plays Twilio's hosts.
//!
//! In: the head of a request, its body and its faults. Out: an [`Answer`]: media or a redirect to
//! it, JSON, or Twilio's error. The order is Twilio's: credentials, then the method, then
//! existence, then the parameters. A path without an account is the account's whose credentials
//! came. Media that is processing, absent or deleted must look just like unknown media.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_RANGE};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, TwilioError};
use super::cdn::Presigned;
use super::library::Holding;
use super::media::{File, MediaFailure};
use super::misbehaviour::{Faults, RedirectTarget};
use super::page::Listing;
use super::query::Query;
use super::route::Route;
use super::server::Shared;
use super::{insight, message, metadata, service, video, voice, xml};

/// What the answer to a request can be.
pub(super) type Reply = Result<Answer, TwilioError>;

/// Answers one request.
pub(super) async fn answer(shared: &Shared, head: &Parts, body: &[u8], faults: &Faults) -> Answer {
    let path = head.uri.path();
    if let Some((status, retry_after)) = faults.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = TwilioError::of_status(status, path);
        return error.into_answer(path).retry_after(retry_after);
    }
    match decide(shared, head, body, faults).await {
        Ok(answer) => answer,
        Err(error) => error.into_answer(path),
    }
}

async fn decide(shared: &Shared, head: &Parts, body: &[u8], faults: &Faults) -> Reply {
    let path = head.uri.path();
    let error = |status| TwilioError::of_status(status, path);
    let route = Route::of_api(path);
    let asked = authenticate(shared, head, faults, route.account())
        .ok_or_else(|| error(StatusCode::UNAUTHORIZED))?;
    let method_fits = match (&head.method, route) {
        (&Method::POST, route) => matches!(route, Route::ValidateToken { .. }),
        (_, Route::ValidateToken { .. }) => false,
        (&Method::DELETE, route) => route.is_deletable() || route == Route::Unknown,
        (method, _) => *method == Method::GET || *method == Method::HEAD,
    };
    if !method_fits {
        return Err(TwilioError { code: 20004, ..error(StatusCode::METHOD_NOT_ALLOWED) });
    }
    match route {
        Route::Media { within, sid, format, .. } => voice::media(&asked, within, sid, format).await,
        Route::Voice { what, .. } => voice::answer(&asked, what),
        Route::Message { what, .. } => message::answer(&asked, what),
        Route::Video(what) => video::answer(&asked, what),
        Route::Service { service, sid, content } => service::media(&asked, service, sid, content),
        Route::Transcript(what) => insight::answer(&asked, what),
        Route::ValidateToken { .. } => Ok(service::token(&asked, body)),
        Route::Unknown => Err(asked.not_found()),
    }
}

/// An authentic request and all that is needed to answer it.
pub(super) struct Asked<'a> {
    pub(super) shared: &'a Shared,
    pub(super) head: &'a Parts,
    pub(super) faults: &'a Faults,
    pub(super) account: String,
    pub(super) holding: Holding,
    pub(super) query: Query,
}

impl Asked<'_> {
    /// The path as sent.
    pub(super) fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// Whether it is a wish to delete.
    pub(super) fn is_delete(&self) -> bool {
        self.head.method == Method::DELETE
    }

    /// Twilio's error of this status for this path.
    pub(super) fn error(&self, status: StatusCode) -> TwilioError {
        TwilioError::of_status(status, self.path())
    }

    /// The answer where there is nothing.
    pub(super) fn not_found(&self) -> TwilioError {
        self.error(StatusCode::NOT_FOUND)
    }

    /// The answer to a parameter nobody can make sense of.
    pub(super) fn bad_parameter(&self, name: &str) -> TwilioError {
        let message = format!("Parameter '{name}' is not valid");
        TwilioError { code: 20001, message, ..self.error(StatusCode::BAD_REQUEST) }
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, TwilioError> {
        match self.query.get(name) {
            None => Ok(default),
            Some("true" | "True") => Ok(true),
            Some("false" | "False") => Ok(false),
            Some(_) => Err(self.bad_parameter(name)),
        }
    }

    /// 200 and this JSON, or what a rule makes of it; as XML where the path asks for that.
    pub(super) fn json(&self, mut json: Value) -> Answer {
        for patch in &self.faults.replace_json {
            metadata::merge(&mut json, patch);
        }
        let (content_type, mut text) = if self.path().ends_with(".xml") {
            ("application/xml", xml::document(self.path(), &json))
        } else {
            ("application/json", json.to_string())
        };
        if self.faults.break_json {
            // The closing brace goes: what is left looks like JSON up to its last byte.
            text.pop();
        }
        Answer::text(StatusCode::OK, content_type, text)
    }

    /// One page of a list.
    pub(super) fn list(&self, listing: Listing<'_>) -> Reply {
        match listing.page(self.path(), &self.query) {
            Ok(page) => Ok(self.json(page)),
            Err(bad) => Err(self.bad_parameter(bad.0)),
        }
    }

    /// The samples of a list that were not deleted.
    pub(super) fn kept<'s, T>(
        &self,
        samples: &'s [T],
        sid: impl Fn(&T) -> &str,
    ) -> impl Iterator<Item = &'s T> {
        samples.iter().filter(move |sample| !self.holding.is_deleted(sid(sample)))
    }

    /// The answer to a GET or a DELETE of one sample that may be there.
    pub(super) fn one<T>(
        &self,
        sample: Option<T>,
        sid: &str,
        json: impl FnOnce(T) -> Value,
    ) -> Reply {
        let sample = sample.ok_or_else(|| self.not_found())?;
        if self.is_delete() {
            self.shared.library.delete(&self.account, sid);
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
        Ok(self.json(json(sample)))
    }

    /// A pre-signed URL of an object on the CDN.
    pub(super) fn presigned(&self, key: &str, expires: Option<u32>) -> String {
        let path = format!("/{}/{key}", self.account);
        Presigned { path: &path, channels: None, hops: 0, expires }.on(self.shared)
    }

    /// The redirect to an object that is there, with `redirect_to` in its body.
    pub(super) fn redirect(&self, status: u16, key: &str) -> Reply {
        let (location, status) = self.location(status, key)?;
        let body = json!({ "redirect_to": location }).to_string();
        let answer = Answer::text(status_of(status), "application/json", body);
        Ok(answer.with_text(http::header::LOCATION, &location))
    }

    /// The same without a body.
    pub(super) fn bare_redirect(&self, status: u16, key: &str) -> Reply {
        let (location, status) = self.location(status, key)?;
        Ok(Answer::redirect(status, &location))
    }

    fn location(&self, status: u16, key: &str) -> Result<(String, u16), TwilioError> {
        self.shared.library.object(&self.account, key).ok_or_else(|| self.not_found())?;
        let expires = match self.query.get("Ttl").map(str::parse) {
            None => None,
            Some(Ok(seconds)) => Some(seconds),
            Some(Err(_)) => return Err(self.bad_parameter("Ttl")),
        };
        let path = format!("/{}/{key}", self.account);
        let own = |hops: u8| {
            Presigned { path: &path, channels: None, hops: hops.saturating_sub(1), expires }
                .on(self.shared)
        };
        Ok(match &self.faults.redirect {
            None => (own(1), status),
            Some((RedirectTarget::OwnCdn { hops }, status)) => (own(*hops), *status),
            Some((RedirectTarget::Url(url), status)) => (url.clone(), *status),
        })
    }

    /// The bytes of a file.
    pub(super) fn file(&self, file: File) -> Reply {
        match file.answer(self.head, self.faults) {
            Ok(answer) => Ok(answer),
            Err(MediaFailure::Rendering) => Err(self.error(StatusCode::INTERNAL_SERVER_ERROR)),
            Err(MediaFailure::Range { length }) => {
                let answer = self.error(StatusCode::RANGE_NOT_SATISFIABLE).into_answer(self.path());
                Ok(answer.with_text(CONTENT_RANGE, &format!("bytes */{length}")))
            }
        }
    }
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND)
}

/// Basic credentials of a known account, and of the one in the path if there is one.
fn authenticate<'a>(
    shared: &'a Shared,
    head: &'a Parts,
    faults: &'a Faults,
    path_account: Option<&str>,
) -> Option<Asked<'a>> {
    let (user, password) = basic_credentials(head)?;
    let account = shared.library.authenticate(&user, &password)?;
    if path_account.is_some_and(|wanted| wanted != account) {
        return None;
    }
    let holding = shared.library.holding(&account)?;
    let query = Query::read(head.uri.query());
    Some(Asked { shared, head, faults, account, holding, query })
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
