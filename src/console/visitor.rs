//! Who is at the console, and what they may.
//!
//! Somebody proves who they are as at the media listener, or has a session. Where a browser proves
//! it by itself (a session's cookie, a certificate, a password that it remembers), a request that
//! changes anything must also hold what only a page of ours has: the field `csrf` of a form, or the
//! header `X-CSRF-Token`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use http::header::{AUTHORIZATION, HeaderName, USER_AGENT};
use http::{HeaderMap, Method};
use maud::{Markup, html};

use super::Desk;
use super::body::is_json;
use super::problem::Problem;
use super::sessions::{Cookie, Hash, Proof, Sessions, Whose as Form};
use crate::identity::{Caller, Peer, Stranger};
use crate::ledger::{Administered, Ask, EntryId};
use crate::policy::{AdminAction, AdminPermit, Whose};

/// Somebody who proved who they are. A request without one gets 401.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// Who.
    pub(crate) caller: Arc<Caller>,
    /// The request, as entries hold it.
    ask: Ask,
    /// Method and route, without anything that stands in the URL.
    what: String,
    /// How they proved it.
    means: Means,
    /// What forms of theirs must send back.
    form: String,
}

/// How a visitor proves who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// A header that a program, or nobody, puts there.
    Token,
    /// A certificate or a password, which a browser sends by itself.
    Browser,
    /// A session, which a browser sends by itself.
    Session(Hash),
}

/// The header by which scripts and programs that have a session send what a form has as `csrf`.
const FORM_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// The field `csrf` of a form, as the guard found it.
#[derive(Clone, Debug)]
pub(super) struct FormToken(pub(super) String);

/// Where the visitor of a request is put, for who writes the page around a problem.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(pub(super) Arc<std::sync::OnceLock<Visitor>>);

/// What is told of a session that ended.
const SESSION_OVER: &str = "the session has ended, or is none of this console";

impl Visitor {
    /// Decides whether they may do something. A refusal is on record when this returns.
    pub(crate) async fn may(
        &self,
        desk: &Desk,
        action: AdminAction,
        whose: Whose,
    ) -> Result<AdminPermit, Problem> {
        match desk.policies().may(&self.caller, action, whose) {
            Ok(permit) => Ok(permit),
            Err(refusal) => {
                let ledger = &desk.gate.ledger;
                let entry = ledger.not_administered(&refusal, &self.what, &self.ask).await;
                let entry = entry.map_err(|error| Problem::ledger(&error))?;
                Err(Problem::refused(&refusal).recorded(entry))
            }
        }
    }

    /// Puts on record what they are about to see.
    pub(crate) async fn sees(
        &self,
        desk: &Desk,
        permit: &AdminPermit,
        about: &About,
    ) -> Result<EntryId, Problem> {
        let what = match about.detail.is_empty() {
            true => self.what.clone(),
            false => format!("{} {}", self.what, about.detail),
        };
        let About { person, entries, of, .. } = about;
        let done = Administered { permit, what: &what, person: *person, entries: *entries, of };
        let recorded = desk.gate.ledger.administered(&done, &self.ask).await;
        recorded.map_err(|error| Problem::ledger(&error))
    }
}

/// What somebody is about to see or has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Which thing, in words that tell nothing of people: a SID, a name of a hold.
    pub(crate) detail: String,
    /// The person it is about, by the number that tells nothing.
    pub(crate) person: Option<u64>,
    /// How many things.
    pub(crate) entries: Option<u64>,
    /// Which entries, by place.
    pub(crate) of: Vec<u64>,
}

impl Visitor {
    /// The field that every form of theirs must have, or what it sends is refused.
    pub(crate) fn form_token(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.form); }
    }

    /// True if they have a session, which they can end.
    pub(super) fn has_session(&self) -> bool {
        matches!(self.means, Means::Session(_))
    }

    /// The request, as entries hold it.
    pub(super) fn ask(&self) -> &Ask {
        &self.ask
    }

    fn new(caller: Arc<Caller>, ask: Ask, what: String, means: Means, own: &Sessions) -> Self {
        let whose = match means {
            Means::Session(hash) => Form::Session(hash),
            Means::Token | Means::Browser => Form::Caller(&caller.id),
        };
        let form = own.form_token(whose);
        Self { caller, ask, what, means, form }
    }

    /// That what changes something was sent by a page of ours, where a browser could be made to
    /// send it by another.
    fn check_origin(&self, parts: &Parts) -> Result<(), Problem> {
        let is_at_risk = match self.means {
            _ if parts.method.is_safe() => false,
            Means::Token => false,
            Means::Session(_) => true,
            // Another method, and JSON, are what a browser lets no page of another site send. The
            // API takes nothing but JSON, and says so itself.
            Means::Browser => {
                let is_api = parts.uri.path().starts_with("/api/");
                parts.method == Method::POST && !is_api && !is_json(&parts.headers)
            }
        };
        if !is_at_risk {
            return Ok(());
        }
        let header = parts.headers.get(FORM_TOKEN).and_then(|value| value.to_str().ok());
        let field = || parts.extensions.get::<FormToken>().map(|token| token.0.as_str());
        let sent = header.or_else(field).unwrap_or_default();
        let same = aws_lc_rs::constant_time::verify_slices_are_equal;
        same(sent.as_bytes(), self.form.as_bytes()).map_err(|_| Problem::not_our_form())
    }
}

/// The request, as entries hold it, and its method and route.
pub(super) fn asked(parts: &Parts) -> Result<(Ask, String), Problem> {
    let peer = parts.extensions.get::<Peer>().ok_or_else(Problem::ours)?;
    let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let ask = Ask {
        method: method(&parts.method),
        range: None,
        address: peer.address.ip(),
        agent: agent.map(str::to_owned),
        reference: None,
        reason: None,
    };
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let what = format!("{} {route}", ask.method);
    Ok((ask, what))
}

impl FromRequestParts<Desk> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let (ask, what) = asked(parts)?;
        let visitor = match Cookie::Session.of(&parts.headers) {
            Some(name) if !parts.headers.contains_key(AUTHORIZATION) => {
                match desk.sessions.find(&name) {
                    Some(proof) => {
                        let means = Means::Session(name.hash());
                        let caller = of_session(desk, proof).await;
                        caller.map(|caller| Self::new(caller, ask, what, means, &desk.sessions))
                    }
                    None => Err(Problem::no_session(SESSION_OVER)),
                }
            }
            _ => identify(parts, desk, ask, what).await,
        }?;
        visitor.check_origin(parts)?;
        if let Some(seen) = parts.extensions.get::<Seen>() {
            let _ = seen.0.set(visitor.clone());
        }
        Ok(visitor)
    }
}

/// Who has a session, now.
async fn of_session(desk: &Desk, proof: Proof) -> Result<Arc<Caller>, Problem> {
    match proof {
        Proof::Provider(caller, _) => Ok(caller),
        Proof::Token(token) => {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, token)]);
            let known = desk.gate.identity.identify(&headers, None).await;
            known.map(|known| known.caller).map_err(|stranger| match stranger {
                Stranger::KeysUnavailable => Problem::stranger(stranger),
                _ => Problem::no_session(SESSION_OVER),
            })
        }
    }
}

/// Who proves it with this very request.
async fn identify(parts: &Parts, desk: &Desk, ask: Ask, what: String) -> Result<Visitor, Problem> {
    let certificate = parts.extensions.get::<Peer>().and_then(|peer| peer.certificate.clone());
    let identity = &desk.gate.identity;
    match identity.identify(&parts.headers, certificate.as_deref()).await {
        Ok(known) => {
            identity.admit(&known, None).map_err(Problem::unadmitted)?;
            let means = if is_bearer(&parts.headers) { Means::Token } else { Means::Browser };
            Ok(Visitor::new(known.caller, ask, what, means, &desk.sessions))
        }
        Err(stranger) => {
            let problem = match stranger {
                // A browser that was not asked yet is no attempt of anybody.
                Stranger::NoToken | Stranger::NoProof if asks_for_page(parts) => {
                    return Err(Problem::no_session(""));
                }
                _ => Problem::stranger(stranger),
            };
            let ledger = &desk.gate.ledger;
            if !ledger.has_room_for_stranger() {
                return Err(problem);
            }
            let sent = ledger.sent_away(&stranger.to_string(), &what, &ask).await;
            let entry = sent.map_err(|error| Problem::ledger(&error))?;
            Err(problem.recorded(entry))
        }
    }
}

fn is_bearer(headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scheme = value.and_then(|value| value.split(' ').next());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
}

/// True if a person looks at the answer in a browser.
pub(super) fn asks_for_page(parts: &Parts) -> bool {
    let accepts = parts.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
    !parts.uri.path().starts_with("/api/") && accepts.is_some_and(|all| all.contains("text/html"))
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        _ => "OTHER",
    }
}
