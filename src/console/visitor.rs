//! Who is at the console, and what they may.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use http::Method;
use http::header::USER_AGENT;

use super::Desk;
use super::problem::Problem;
use crate::identity::{Caller, Peer};
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
}

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

impl FromRequestParts<Desk> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().cloned().ok_or_else(Problem::ours)?;
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
        let identity = &desk.gate.identity;
        match identity.identify(&parts.headers, peer.certificate.as_deref()).await {
            Ok(known) => {
                identity.admit(&known, None).map_err(Problem::unadmitted)?;
                Ok(Self { caller: known.caller, ask, what })
            }
            Err(stranger) => {
                let ledger = &desk.gate.ledger;
                let problem = Problem::stranger(stranger);
                if !ledger.has_room_for_stranger() {
                    return Err(problem);
                }
                let sent = ledger.sent_away(&stranger.to_string(), &what, &ask).await;
                let entry = sent.map_err(|error| Problem::ledger(&error))?;
                Err(problem.recorded(entry))
            }
        }
    }
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
