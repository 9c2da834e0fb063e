//! The console: where people of the organisation review, and where their programs state facts.
//!
//! A listener of its own (`server.rs`), apart from that of media, with one thread. Every request is
//! kept to the configured names and every answer has the headers of `guard.rs`; who asks is found as
//! for media (`visitor.rs`), and what they may is decided by `administration.cedar`. Each look at
//! what tells of people, each statement and each refusal is on record before it is answered. Errors
//! are told in our own words (`problem.rs`). The steps of a draft of the notice are in `drafting.rs`.
//! The JSON API is in `api/`, the pages are in `pages/`; no recording is served here.

mod api;
mod body;
mod drafting;
mod form;
mod guard;
mod pages;
mod problem;
mod provider;
mod reading;
mod server;
mod sessions;
mod visitor;

pub use server::{Console, Settings};

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;

use crate::config;
use crate::gate::Gate;
use crate::policy::{Policies, Section};
use crate::upstream::{ProviderClient, Upstream};
use drafting::Drafting;
use problem::Problem;
use provider::Provider;
use sessions::Sessions;

/// What changes between two versions, by the digest of the policies and the versions' names.
type Compared = moka::sync::Cache<(String, String, String), Arc<Vec<Section>>>;

/// LIMIT: pairs of versions that are kept.
const COMPARED_MAX: u64 = 16;

/// What every answer at the console is made from.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Inside>);

#[derive(Debug)]
pub(crate) struct Inside {
    /// The gate beside it: its policies, its ledger, its facts.
    pub(crate) gate: Arc<Gate>,
    /// This listener's own connections to Twilio.
    pub(crate) upstream: Upstream,
    /// Where the ledger is, for who reads it beside the gate.
    pub(crate) ledger: config::Ledger,
    /// Names, limits.
    pub(crate) settings: config::Console,
    /// One retry with a key at a time, so that two cannot both find nothing stated yet.
    pub(crate) retries: tokio::sync::Mutex<()>,
    /// Who is signed in with a browser.
    sessions: Sessions,
    /// The ledger, opened for questions.
    readers: reading::Readers,
    /// Where people sign in, if there is such a place.
    provider: Option<Provider>,
    /// What changes from one version of the notice to another: it takes a while to decide.
    pub(crate) compared: Compared,
    /// Drafts of the notice, and where they go.
    pub(crate) drafting: Drafting,
}

impl Deref for Desk {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.0
    }
}

impl Desk {
    fn new(
        gate: Arc<Gate>,
        upstream: Upstream,
        ledger: config::Ledger,
        settings: config::Console,
        form_key: &[u8],
        provider: Option<(config::Issuer, ProviderClient)>,
        drafting: Drafting,
    ) -> Self {
        let retries = tokio::sync::Mutex::new(());
        let sessions = Sessions::new(settings.login.clone(), gate.clock.clone(), form_key);
        let readers = reading::Readers::default();
        let provider = provider.map(|(issuer, http)| {
            Provider::new(issuer, settings.login.clone(), http, gate.clock.clone())
        });
        let compared = Compared::new(COMPARED_MAX);
        Self(Arc::new(Inside {
            gate,
            upstream,
            ledger,
            settings,
            retries,
            sessions,
            provider,
            readers,
            compared,
            drafting,
        }))
    }

    /// The policies in force.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.gate.policies.now()
    }

    /// Does what waits for the disk on a thread that may wait.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let desk = self.clone();
        let done = tokio::task::spawn_blocking(move || act(&desk)).await;
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer of the console was not finished");
            Err(Problem::ours())
        })
    }
}

/// Everything that is served.
fn router(desk: &Desk) -> Router {
    let all = Router::new()
        .merge(api::router())
        .merge(pages::router())
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() });
    guard::around(all, desk).with_state(desk.clone())
}
