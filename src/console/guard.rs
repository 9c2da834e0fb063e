//! Around every request: its host, where it comes from, its time; around every answer: headers that
//! let a browser do as little as possible with it.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use super::form;
use super::pages::{self, SIGNED_IN_PATH};
use super::problem::Problem;
use super::visitor::{FormToken, Seen, asks_for_page};
use super::{Desk, body};
use crate::asked;

/// Where a browser says that a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const HEADERS: [(HeaderName, &str); 8] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src \
         'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Puts the guard around routes.
pub(super) fn around(router: Router<Desk>, desk: &Desk) -> Router<Desk> {
    router.layer(middleware::from_fn_with_state(desk.clone(), guard))
}

async fn guard(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let longest = desk.settings.request_timeout_ms.duration();
    let page = asks_for_page(&parts).then(|| parts.clone());
    let seen = Seen::default();
    parts.extensions.insert(seen.clone());
    let answer = async {
        let body = body::whole(body, desk.settings.body_bytes_max.as_usize()).await?;
        asked::host(&parts, &desk.settings.names).map_err(|_| Problem::host())?;
        check_site(&parts)?;
        // What is no text is nothing of ours; the router would say so in words of its own.
        let path = percent_encoding::percent_decode_str(parts.uri.path());
        path.decode_utf8().map_err(|_| Problem::not_found())?;
        if body::is_form(&parts.headers)
            && let Some(token) = form::token(&body)
        {
            parts.extensions.insert(FormToken(token));
        }
        Ok(next.run(Request::from_parts(parts, body.into())).await)
    };
    let answer = tokio::time::timeout(longest, answer).await;
    let answer = answer.unwrap_or_else(|_| Err(Problem::too_slow()));
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some((parts, problem)) = page.zip(problem) {
        let headers = response.headers();
        response = pages::problem(&desk, seen.0.get(), &parts, &problem, headers);
    }
    for (name, value) in HEADERS {
        // Style and script say themselves how long they are kept.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A page of somebody else's must not use what this browser proves by itself: a session, a
/// certificate, a password that it remembers.
fn check_site(parts: &Parts) -> Result<(), Problem> {
    let site = parts.headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    let is_ours = site.is_none_or(|site| matches!(site, b"same-origin" | b"none"));
    // The provider sends people back to one page, which proves by itself where they began.
    let comes_back = parts.method == Method::GET && parts.uri.path() == SIGNED_IN_PATH;
    if is_ours || comes_back { Ok(()) } else { Err(Problem::cross_site()) }
}
