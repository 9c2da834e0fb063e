//! Signing in and out with a browser: at the organisation's provider, or by a token that the gate
//! accepts anyway. Each of it, and each try that fails, is on record.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, SET_COOKIE};
use maud::{Markup, html};
use serde::Deserialize;

use super::super::Desk;
use super::super::form::Form;
use super::super::problem::Problem;
use super::super::provider::{Answer, SignInError, SignedIn};
use super::super::sessions::{Cookie, Name, Proof, SignOut, Whose};
use super::super::visitor::{FormToken, Visitor, asked};
use super::layout::bare;
use crate::identity::Stranger;
use crate::ledger::{Ask, Signed};

/// Where the provider sends people back to.
pub(in super::super) const SIGNED_IN_PATH: &str = "/login/callback";

/// LIMIT: bytes of where somebody wanted to go.
const TO_BYTES_MAX: usize = 2_048;

pub(super) fn router() -> Router<Desk> {
    Router::new()
        .route("/login", get(show).post(by_token))
        .route("/login/start", get(start))
        .route(SIGNED_IN_PATH, get(come_back))
        .route("/logout", post(sign_out))
}

/// Where somebody wanted to go before they had to sign in.
#[derive(Debug, Default, Deserialize)]
struct To {
    #[serde(default)]
    to: String,
}

/// The way to sign in that leads back to what was asked for.
pub(super) fn way_in(parts: &Parts) -> String {
    match parts.uri.path_and_query().map(|path| own_path(path.as_str())) {
        None | Some("/") => "/login".to_owned(),
        Some(path) => format!("/login?to={}", encoded(path)),
    }
}

fn start_path(to: &str) -> String {
    format!("/login/start?to={}", encoded(to))
}

fn encoded(path: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC)
}

/// The path, if it leads to a page of this console; else the start page. A browser reads `//` and
/// `/\` as another host.
fn own_path(to: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let is_own = to.starts_with('/')
        && !to.starts_with("//")
        && !["/login", "/logout", "/api/"].iter().any(|start| to.starts_with(start))
        && to.len() <= TO_BYTES_MAX
        && to.bytes().all(is_plain)
        && to.parse::<http::uri::PathAndQuery>().is_ok();
    if is_own { to } else { "/" }
}

/// The name of the browser that is about to sign in: the one it has, or a new one.
fn begun(headers: &HeaderMap) -> Result<Name, Problem> {
    Cookie::Begun.of(headers).or_else(Name::random).ok_or_else(Problem::ours)
}

async fn show(
    State(desk): State<Desk>,
    Query(To { to }): Query<To>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    form(&desk, &headers, own_path(&to), None)
}

/// The page, with what went wrong before.
fn form(
    desk: &Desk,
    headers: &HeaderMap,
    to: &str,
    wrong: Option<&str>,
) -> Result<Response, Problem> {
    let name = begun(headers)?;
    let token = desk.sessions.form_token(Whose::Begun(name.hash()));
    let settings = &desk.settings.login;
    let body = html! {
        h1 { "Sign in" }
        @if let Some(wrong) = wrong {
            div.note.bad role="alert" { p { "You are not signed in: " (wrong) "." } }
        }
        @if desk.provider.is_some() {
            div.sheet.narrow {
                h2 { "With your organisation's account" }
                p { a.button.main href=(start_path(to)) { "Sign in" } }
            }
        }
        @if settings.tokens { (token_form(&token, to)) }
        @if desk.provider.is_none() && !settings.tokens {
            p { "Nobody can sign in here: whoever runs the gate has configured no provider." }
        }
        p.soft { "Signing in, signing out and what you look at are on record." }
    };
    let mut response = bare("Sign in", &html! {}, &body).into_response();
    if wrong.is_some() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    put(&mut response, Cookie::Begun.set(&name))?;
    Ok(response)
}

fn token_form(token: &str, to: &str) -> Markup {
    html! {
        form.sheet.narrow method="post" action="/login" {
            h2 { "With a token" }
            p { "Paste a token that the gate accepts, from your identity provider or from "
                code { "noticegate token" } ". The session ends when the token does." }
            input type="hidden" name="csrf" value=(token);
            input type="hidden" name="to" value=(to);
            label { "Token"
                textarea.code name="token" required autocomplete="off" autocapitalize="off" spellcheck="false" {} }
            p { button.main { "Sign in with the token" } }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenForm {
    token: String,
    #[serde(default)]
    to: String,
}

async fn by_token(State(desk): State<Desk>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let (ask, what) = asked(&parts)?;
    if !desk.settings.login.tokens {
        return Err(Problem::not_found());
    }
    let sent = parts.extensions.get::<FormToken>().map_or("", |token| token.0.as_str());
    let begun = Cookie::Begun.of(&parts.headers);
    let is_ours =
        begun.is_some_and(|name| desk.sessions.is_form_token(Whose::Begun(name.hash()), sent));
    if !is_ours {
        return Err(Problem::not_our_form());
    }
    let headers = parts.headers.clone();
    let request = Request::from_parts(parts, body);
    let Form(TokenForm { token, to }) = Form::<TokenForm>::from_request(request, &desk).await?;
    let to = own_path(&to);
    let proof = HeaderValue::try_from(format!("Bearer {}", token.trim()));
    let known = match &proof {
        Ok(proof) => {
            let proof = HeaderMap::from_iter([(AUTHORIZATION, proof.clone())]);
            desk.gate.identity.identify(&proof, None).await
        }
        Err(_) => Err(Stranger::Malformed("not ASCII")),
    };
    let (proof, known) = match (proof, known) {
        (Ok(mut proof), Ok(known)) => {
            proof.set_sensitive(true);
            (proof, known)
        }
        (_, known) => {
            let why = known.err().map_or_else(String::new, |stranger| stranger.to_string());
            return failed(&desk, &headers, to, &why, &what, &ask).await;
        }
    };
    let caller = known.caller;
    let until = caller.proof.expires_at;
    let mut response = Redirect::to(to).into_response();
    begin(&desk, &headers, Proof::Token(proof), &caller, until, (&what, &ask), &mut response)
        .await?;
    Ok(response)
}

/// Sends a browser to the provider. It is known again by a cookie that only it has.
async fn start(
    State(desk): State<Desk>,
    Query(To { to }): Query<To>,
    request: Request,
) -> Result<Response, Problem> {
    let provider = desk.provider.as_ref().ok_or_else(Problem::not_found)?;
    let (parts, _) = request.into_parts();
    let host = crate::asked::host(&parts, &desk.settings.names).map_err(|_| Problem::host())?;
    let redirect = format!("https://{host}{SIGNED_IN_PATH}");
    let name = Name::random().ok_or_else(Problem::ours)?;
    match provider.begin(&name, redirect, own_path(&to)).await {
        Ok(url) => {
            let mut response = Redirect::to(&url).into_response();
            put(&mut response, Cookie::Begun.set(&name))?;
            Ok(response)
        }
        Err(error) => form(&desk, &parts.headers, own_path(&to), Some(&error.to_string())),
    }
}

/// Where the provider sends a browser back to, with its answer.
async fn come_back(
    State(desk): State<Desk>,
    answer: Result<Query<Answer>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let provider = desk.provider.as_ref().ok_or_else(Problem::not_found)?;
    let (parts, _) = request.into_parts();
    let (ask, what) = asked(&parts)?;
    let headers = &parts.headers;
    let ended = match answer {
        Ok(Query(answer)) => provider.end(Cookie::Begun.of(headers).as_ref(), answer).await,
        Err(_) => Err(SignInError::State),
    };
    let SignedIn { claims, sign_out, to } = match ended {
        Ok(signed_in) => signed_in,
        Err(error) => {
            return failed(&desk, headers, "/", &error.to_string(), &what, &ask).await;
        }
    };
    let until = desk.sessions.longest();
    let caller = match desk.gate.identity.by_claims(provider.name(), claims, until) {
        Ok(caller) => caller,
        Err(stranger) => {
            return failed(&desk, headers, &to, &stranger.to_string(), &what, &ask).await;
        }
    };
    // A browser says of a redirect that it comes from the provider's site, and the guard would
    // refuse it. A page that goes on by itself is our own.
    let on = html! { meta http-equiv="refresh" content=(format!("0;url={to}")); };
    let body = html! {
        h1 { "You are signed in" }
        p { a.button.main href=(to) { "Go on" } }
    };
    let mut response = bare("Signed in", &on, &body).into_response();
    let proof = Proof::Provider(Arc::clone(&caller), sign_out);
    begin(&desk, headers, proof, &caller, until, (&what, &ask), &mut response).await?;
    Ok(response)
}

/// Puts a try that failed on record, and says why.
async fn failed(
    desk: &Desk,
    headers: &HeaderMap,
    to: &str,
    why: &str,
    what: &str,
    ask: &Ask,
) -> Result<Response, Problem> {
    if desk.gate.ledger.has_room_for_stranger() {
        let sent = desk.gate.ledger.sent_away(why, what, ask).await;
        sent.map_err(|error| Problem::ledger(&error))?;
    }
    form(desk, headers, to, Some(why))
}

/// Begins a session, once that is on record; one that the browser had before ends.
async fn begin(
    desk: &Desk,
    headers: &HeaderMap,
    proof: Proof,
    caller: &crate::identity::Caller,
    until: jiff::Timestamp,
    (what, ask): (&str, &Ask),
    response: &mut Response,
) -> Result<(), Problem> {
    let signed = desk.gate.ledger.signed(Signed::In, &caller.id, what, ask).await;
    signed.map_err(|error| Problem::ledger(&error))?;
    if let Some(before) = Cookie::Session.of(headers) {
        desk.sessions.end(&before);
    }
    let name = desk.sessions.begin(proof, until).ok_or_else(Problem::ours)?;
    put(response, Cookie::Session.set(&name))?;
    put(response, Cookie::Begun.forget())
}

fn put(response: &mut Response, cookie: Option<HeaderValue>) -> Result<(), Problem> {
    let cookie = cookie.ok_or_else(Problem::ours)?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn sign_out(
    State(desk): State<Desk>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Problem> {
    let ledger = &desk.gate.ledger;
    let signed =
        ledger.signed(Signed::Out, &visitor.caller.id, "POST /logout", visitor.ask()).await;
    signed.map_err(|error| Problem::ledger(&error))?;
    let ended = Cookie::Session.of(&headers).and_then(|name| desk.sessions.end(&name));
    let elsewhere = match ended {
        Some(Proof::Provider(_, SignOut(url))) => url,
        Some(Proof::Token(_)) | None => None,
    };
    let body = html! {
        h1 { "You are signed out" }
        @if let Some(url) = elsewhere {
            p { "You may still be signed in with your organisation's account in this browser." }
            p { a.button href=(url) { "Sign out there, too" } }
        }
        p { a.button.main href="/login" { "Sign in again" } }
    };
    let mut response = bare("Signed out", &html! {}, &body).into_response();
    put(&mut response, Cookie::Session.forget())?;
    Ok(response)
}
