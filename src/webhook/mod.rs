//! Webhooks: Twilio's callbacks, verified, understood, and passed on to the application.
//!
//! A callback comes in by `/webhooks/{name}`. Its signature is verified (`signature.rs`, on a body
//! read by `form.rs`), what it tells becomes events (`event.rs`), its URLs of media are pointed at
//! the gate (`rewrite.rs`), it is signed anew for the application (`relay.rs`), and stored
//! (`outbox.rs`, `rows.rs`) before Twilio gets its answer. From there it is delivered (`delivery.rs`)
//! until it succeeds. [`Webhooks::receive`] is the whole of it. Callbacks whose answer Twilio acts
//! on (TwiML) cannot be passed on this way: the application answers after Twilio has gone.

mod delivery;
mod event;
mod form;
mod outbox;
mod relay;
mod rewrite;
mod rows;
mod signature;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, Method};

pub use delivery::{Answer, Courier, Delivery, NoAnswer, PAUSE_MAX, RETRY_AFTER_MAX, Verb};
pub use event::{
    CallEvent, ConferenceEvent, EVENTS_MAX, Event, EventError, Kind, Private, RecordingEvent,
    RecordingStatus, TranscriptionEvent,
};
pub use form::{FORM_BYTES_MAX, FORM_PAIRS_MAX, Form, FormError, Repeated};
pub use outbox::{GIVE_UP_AFTER_MAX, Outbox, OutboxSettings, OutboxStats, WAITING_MAX};
pub use relay::{NotATarget, RelayError, Target};
pub use rewrite::NotJson;
pub use rows::{Dead, OutboxError};
pub use signature::{
    Algorithm, BODY_BYTES_MAX, Content, Keys, NotAnOrigin, Origin, Request, SharedKey,
    SignatureError, TARGET_BYTES_MAX, Verified, body_hash, sign, verify,
};

use crate::media::AccountSid;
use crate::secret::Secret;
use relay::{Relay, Relayed};
use rewrite::Rewriter;

/// One webhook as it is configured.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Its name in the path.
    pub name: String,
    /// The account whose callbacks it takes.
    pub account: AccountSid,
    /// The origins by which Twilio may call it. The first is the one that media are pointed at.
    pub public_origins: Vec<Origin>,
    /// The keys that Twilio signs with.
    pub keys: Keys,
    /// Where callbacks are passed on to, if anywhere.
    pub target: Option<Target>,
    /// What signs what is passed on; the first auth token if there is none.
    pub relay_key: Option<Secret>,
    /// Whether the gate answers for the path of a URL of Twilio's.
    pub serves: fn(&str) -> bool,
}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookSettingsError {
    /// Two of one name.
    #[error("webhook `{0}` is configured twice; give each a name of its own")]
    Twice(String),
    /// Nothing to verify with.
    #[error("webhook `{0}` has no key that is not empty; name the account's auth token")]
    NoKey(String),
    /// Nothing to verify for.
    #[error("webhook `{0}` has no public origin; name the one that Twilio calls")]
    NoOrigin(String),
    /// A target, and nothing to sign for it with.
    #[error("webhook `{0}` has a target but nothing to sign with; name a relay key")]
    NoRelayKey(String),
}

/// A callback as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The webhook's name, from the path.
    pub name: &'a str,
    /// The method.
    pub method: &'a Method,
    /// Path and query as they were sent.
    pub path_and_query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// A callback that Twilio may be told was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What it tells. Twilio may send it again, and then it tells the same again.
    pub events: Vec<Event>,
    /// Whether it was stored to be passed on: not if there is no target, or it was stored before.
    pub stored: bool,
    /// Parameters that held a pre-signed URL, which the application does not get.
    pub blanked: Vec<String>,
}

/// Why a callback is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// No webhook of this name.
    #[error("there is no webhook of this name")]
    Unknown,
    /// Not Twilio's.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Twilio's, but not for this webhook, or not to be understood.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Twilio's, but not to be passed on.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The gate's own disk; Twilio is to try again.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// All webhooks of a gate. They can be exchanged while callbacks come.
#[derive(Debug)]
pub struct Webhooks {
    hooks: RwLock<Arc<HashMap<String, Hook>>>,
    outbox: Arc<Outbox>,
}

#[derive(Debug)]
struct Hook {
    account: AccountSid,
    origins: Vec<Origin>,
    keys: Keys,
    onward: Option<Onward>,
}

#[derive(Debug)]
struct Onward {
    target: Target,
    rewriter: Rewriter,
    key: Secret,
}

impl Webhooks {
    /// The webhooks of a configuration.
    ///
    /// # Errors
    /// [`WebhookSettingsError`] names the webhook that cannot work.
    pub fn new(
        settings: Vec<WebhookSettings>,
        outbox: Arc<Outbox>,
    ) -> Result<Self, WebhookSettingsError> {
        Ok(Self { hooks: RwLock::new(Arc::new(read_hooks(settings)?)), outbox })
    }

    /// Puts others in their place, for every callback that comes from now on. What waits is passed on
    /// as it was signed.
    ///
    /// # Errors
    /// [`WebhookSettingsError`] as for [`Webhooks::new`]; then they stay as they are.
    pub fn replace(&self, settings: Vec<WebhookSettings>) -> Result<(), WebhookSettingsError> {
        let hooks = Arc::new(read_hooks(settings)?);
        *self.hooks.write().unwrap_or_else(PoisonError::into_inner) = hooks;
        Ok(())
    }

    /// Takes a callback. When it returns, what is to be passed on is on disk: it blocks until then,
    /// some milliseconds, so call it where blocking is allowed.
    ///
    /// # Errors
    /// [`WebhookError`]; then nothing was stored and nothing must be learned.
    pub fn receive(&self, received: Received<'_>) -> Result<Accepted, WebhookError> {
        let Received { name, method, path_and_query, headers, body } = received;
        let hooks = Arc::clone(&self.hooks.read().unwrap_or_else(PoisonError::into_inner));
        let hook = hooks.get(name).ok_or(WebhookError::Unknown)?;
        let request = Request { method, path_and_query, headers, body };
        let verified = verify(request, &hook.origins, &hook.keys)?;
        let content = verified.content();
        let events = event::read(content, hook.account)?;
        let Some(Onward { target, rewriter, key }) = &hook.onward else {
            return Ok(Accepted { events, stored: false, blanked: Vec::new() });
        };
        let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
        let relay = Relay { webhook: name, headers, query, content };
        let Relayed { event, delivery, blanked } = relay.make(target, rewriter, key)?;
        let stored = self.outbox.store(name, &event, &delivery)?;
        Ok(Accepted { events, stored, blanked })
    }

    /// What waits, for metrics.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}

fn read_hooks(
    settings: Vec<WebhookSettings>,
) -> Result<HashMap<String, Hook>, WebhookSettingsError> {
    let mut hooks = HashMap::new();
    for hook in settings {
        let name = hook.name.clone();
        let hook = Hook::new(hook)?;
        if hooks.insert(name.clone(), hook).is_some() {
            return Err(WebhookSettingsError::Twice(name));
        }
    }
    Ok(hooks)
}

impl Hook {
    fn new(settings: WebhookSettings) -> Result<Self, WebhookSettingsError> {
        let WebhookSettings { name, account, public_origins, keys, target, relay_key, serves } =
            settings;
        let shared = keys.shared.iter().map(|key| &key.secret);
        if keys.auth_tokens.iter().chain(shared).all(Secret::is_empty) {
            return Err(WebhookSettingsError::NoKey(name));
        }
        let Some(gate) = public_origins.first() else {
            return Err(WebhookSettingsError::NoOrigin(name));
        };
        let onward = match target {
            None => None,
            Some(target) => {
                let key = relay_key.or_else(|| keys.auth_tokens.first().cloned());
                let key = key.filter(|key| !key.is_empty());
                let key = key.ok_or(WebhookSettingsError::NoRelayKey(name))?;
                Some(Onward { target, rewriter: Rewriter::new(gate.as_str(), serves), key })
            }
        };
        Ok(Self { account, origins: public_origins, keys, onward })
    }
}
