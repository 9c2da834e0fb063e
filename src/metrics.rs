//! Numbers for a monitoring system, in the OpenMetrics text form that Prometheus reads.
//!
//! They count; they name no caller, recording or number. The operations listener serves them at
//! `/metrics`.

use std::fmt;
use std::sync::OnceLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::words::words;

/// The gate's metrics.
pub struct Metrics {
    registry: Registry,
    reloads: Family<Vec<(&'static str, &'static str)>, Counter>,
    in_force: Family<InForce, Gauge>,
    refused: Gauge,
    loaded_at: Gauge,
    over_limit: Counter,
    exposed_cards: Counter,
    ledger: LookedAt,
    /// Brings what is only looked at up to date.
    look: OnceLock<Look>,
}

type Look = Box<dyn Fn(&LookedAt) + Send + Sync>;

/// What is looked at when somebody asks.
#[derive(Debug, Default)]
pub struct LookedAt {
    /// 1 while entries can be written.
    pub open: Gauge,
    /// How many entries each follower has taken.
    pub followed: Family<Follower, Gauge>,
    /// 1 while a follower cannot go on.
    pub stuck: Family<Follower, Gauge>,
    /// Callbacks that wait to be passed on.
    pub waiting: Gauge,
    /// Callbacks that were given up.
    pub dead: Gauge,
    /// Seconds for which the oldest callback has waited.
    pub oldest: Gauge,
}

/// What follows behind the entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Follower {
    /// `checkpoints` or `search index`.
    pub follower: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InForce {
    digest: String,
}

words! {
    /// How a reload of the policies ended.
    Reload {
        /// The folder's policies are in force.
        Loaded = "loaded",
        /// The folder holds what is in force already.
        Unchanged = "unchanged",
        /// The folder's policies cannot be used; the last good ones stay in force.
        Refused = "refused",
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("noticegate");
        let reloads = Family::default();
        let (in_force, refused, loaded_at) =
            (Family::default(), Gauge::default(), Gauge::default());
        registry.register(
            "policy_reloads",
            "Reloads of the policy folder, by how they ended",
            reloads.clone(),
        );
        registry.register(
            "policies_in_force",
            "1 for the digest of the policies in force",
            in_force.clone(),
        );
        registry.register(
            "policies_refused",
            "1 while the policy folder holds policies that cannot be used: look at the log",
            refused.clone(),
        );
        registry.register(
            "policies_loaded_timestamp_seconds",
            "When the policies in force were loaded",
            loaded_at.clone(),
        );
        let over_limit = Counter::default();
        registry.register(
            "client_requests_over_limit",
            "Requests of machine clients that asked more often than they may",
            over_limit.clone(),
        );
        let exposed_cards = Counter::default();
        registry.register(
            "exposed_card_refusals",
            "Refusals because a payment card may have been recorded: look at the log",
            exposed_cards.clone(),
        );
        let ledger = LookedAt::default();
        registry.register(
            "ledger_open",
            "1 while entries can be written; 0: nothing is disclosed",
            ledger.open.clone(),
        );
        registry.register(
            "ledger_followed_entries",
            "Entries that each follower of the ledger has taken",
            ledger.followed.clone(),
        );
        registry.register(
            "ledger_follower_stuck",
            "1 while a follower of the ledger cannot go on: look at the log",
            ledger.stuck.clone(),
        );
        registry.register(
            "webhooks_waiting",
            "Callbacks that wait until the application takes them",
            ledger.waiting.clone(),
        );
        registry.register("webhooks_dead", "Callbacks that were given up", ledger.dead.clone());
        registry.register(
            "webhooks_oldest_seconds",
            "How long the oldest waiting callback has waited",
            ledger.oldest.clone(),
        );
        let look = OnceLock::new();
        Self {
            registry,
            reloads,
            in_force,
            refused,
            loaded_at,
            over_limit,
            exposed_cards,
            ledger,
            look,
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// These policies are in force since this second.
    pub fn policies_in_force(&self, digest: &str, since: i64) {
        self.in_force.clear();
        self.in_force.get_or_create(&InForce { digest: digest.to_owned() }).set(1);
        self.loaded_at.set(since);
    }

    /// A reload has ended.
    pub fn reloaded(&self, how: Reload) {
        self.reloads.get_or_create(&vec![("result", how.as_str())]).inc();
        self.refused.set(i64::from(how == Reload::Refused));
    }

    /// Where requests over a client's limit are counted. They are no entries of the ledger.
    #[must_use]
    pub fn over_limit(&self) -> Counter {
        self.over_limit.clone()
    }

    /// Where refusals are counted because a payment card may have been recorded.
    #[must_use]
    pub fn exposed_cards(&self) -> Counter {
        self.exposed_cards.clone()
    }

    /// Has the ledger and the outbox looked at whenever somebody asks.
    pub fn look_at(&self, look: impl Fn(&LookedAt) + Send + Sync + 'static) {
        let _ = self.look.set(Box::new(look));
    }

    /// All of them, as a monitoring system reads them.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(look) = self.look.get() {
            look(&self.ledger);
        }
        let mut text = String::new();
        // Writing to a String cannot fail; should encoding do, an empty text is no metrics.
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

/// The media type of [`Metrics::text`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
