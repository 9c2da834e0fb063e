//! Numbers for a monitoring system, as Prometheus reads them.
//!
//! They count; they name no caller, recording or number. The operations listener serves them at
//! `/metrics`, in OpenMetrics to who asks for it and in Prometheus' own text to everybody else.
//! `docs/OPERATIONS.md` says what each means, and `ops/alerts.yml` when to look.

mod classic;

pub use classic::CLASSIC_TYPE;

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::words::words;

type Words = Vec<(&'static str, &'static str)>;
type Labelled<M> = Family<Words, M>;

/// From a request to the head of its answer, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 15.0];

/// The gate's metrics.
pub struct Metrics {
    registry: Registry,
    reloads: Labelled<Counter>,
    in_force: Family<InForce, Gauge>,
    refused_policies: Gauge,
    loaded_at: Gauge,
    over_limit: Counter,
    exposed_cards: Counter,
    not_stated: Counter,
    connections: Gauge,
    handshakes_failed: Counter,
    running: Gauge,
    answers: Family<Status, Counter>,
    seconds: Histogram,
    refusals: Labelled<Counter>,
    limits: Labelled<Counter>,
    disclosed: Disclosed,
    rotations: Labelled<Counter>,
    rotation_failed: Labelled<Gauge>,
    certificate_expires: Gauge,
    ledger: LookedAt,
    /// Brings what is only looked at up to date.
    look: OnceLock<Look>,
}

type Look = Box<dyn Fn(&LookedAt) + Send + Sync>;

/// What the ledger counts of the disclosures that have ended.
#[derive(Clone, Debug, Default)]
pub struct Disclosed {
    outcomes: Labelled<Counter>,
    bytes: Counter<u64, AtomicU64>,
}

impl Disclosed {
    /// One has ended like this, after so many bytes.
    pub fn ended(&self, ending: &'static str, bytes: u64) {
        self.outcomes.get_or_create(&vec![("ending", ending)]).inc();
        self.bytes.inc_by(bytes);
    }
}

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
    /// 1 while Twilio does not accept an account's credential.
    pub credential_refused: Family<Account, Gauge>,
    /// 1 while tokens of an issuer can be verified.
    pub keys_usable: Family<Issuer, Gauge>,
}

/// What follows behind the entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Follower {
    /// `checkpoints` or `search index`.
    pub follower: &'static str,
}

/// An account, by its SID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Account {
    /// The SID.
    pub account: String,
}

/// An issuer, by its short name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Issuer {
    /// The name.
    pub issuer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InForce {
    digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: u32,
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

/// Registers metrics under names without the program's, which comes before all of them.
struct Register<'a>(&'a mut Registry);

impl Register<'_> {
    fn made<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.has(name, help, &M::default())
    }

    fn has<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: &M) -> M {
        self.0.register(name, help, metric.clone());
        metric.clone()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("noticegate");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Which noticegate this is", build);
        let mut of = Register(&mut registry);
        let disclosed = Disclosed {
            outcomes: of.made("outcomes", "Disclosures that have ended, by how"),
            bytes: of.made("disclosed_bytes", "Bytes of recordings handed to callers"),
        };
        let seconds = Histogram::new(SECONDS);
        let reloads: Labelled<Counter> =
            of.made("policy_reloads", "Reloads of the policy folder, by how they ended");
        for how in Reload::ALL {
            drop(reloads.get_or_create(&vec![("result", how.as_str())]));
        }
        of.has("answer_seconds", "From a request to the head of its answer", &seconds);
        Self {
            reloads,
            in_force: of.made("policies_in_force", "1 for the digest of the policies in force"),
            refused_policies: of
                .made("policies_refused", "1 while the policy folder holds what cannot be used"),
            loaded_at: of.made(
                "policies_loaded_timestamp_seconds",
                "When the policies in force were loaded",
            ),
            over_limit: of.made(
                "client_requests_over_limit",
                "Requests of machine clients that asked more often than they may",
            ),
            exposed_cards: of.made(
                "exposed_card_refusals",
                "Refusals because a payment card may have been recorded: look at the log",
            ),
            not_stated: of.made(
                "callback_statements_unusable",
                "Callbacks in whose URL something was stated that could not be used: look at the log",
            ),
            connections: of.made("connections", "Callers' connections that are open"),
            handshakes_failed: of.made("handshakes_failed", "TLS handshakes that came to nothing"),
            running: of.made("requests_running", "Requests that are being answered"),
            answers: of.made("answers", "Answers to callers, by status"),
            refusals: of.made("refusals", "Answers that disclose nothing, by the reason"),
            limits: of.made("limits_reached", "How often somebody reached a limit, by its key"),
            rotations: of.made("rotations", "How often files were read anew, by what and how"),
            rotation_failed: of.made(
                "rotation_failed",
                "1 while files that were read anew cannot be used, by what they are for",
            ),
            certificate_expires: of.made(
                "certificate_expires_timestamp_seconds",
                "When the listener's certificate stops being valid",
            ),
            ledger: LookedAt {
                open: of
                    .made("ledger_open", "1 while entries can be written; 0: nothing is disclosed"),
                followed: of.made(
                    "ledger_followed_entries",
                    "Entries that each follower of the ledger has taken",
                ),
                stuck: of.made(
                    "ledger_follower_stuck",
                    "1 while a follower of the ledger cannot go on: look at the log",
                ),
                waiting: of.made(
                    "webhooks_waiting",
                    "Callbacks that wait until the application takes them",
                ),
                dead: of.made("webhooks_dead", "Callbacks that were given up"),
                oldest: of.made(
                    "webhooks_oldest_seconds",
                    "How long the oldest waiting callback has waited",
                ),
                credential_refused: of.made(
                    "upstream_credential_refused",
                    "1 while Twilio does not accept an account's credential",
                ),
                keys_usable: of.made(
                    "issuer_keys_usable",
                    "1 while there are keys with which an issuer's tokens can be verified",
                ),
            },
            disclosed,
            seconds,
            look: OnceLock::new(),
            registry,
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Counts one more in a gauge until it is dropped.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    fn one(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
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
        self.refused_policies.set(i64::from(how == Reload::Refused));
    }

    /// True while the policy folder cannot be used.
    #[must_use]
    pub fn refuses_policies(&self) -> bool {
        self.refused_policies.get() == 1
    }

    /// Files for this were read anew; what cannot be used leaves what is in place.
    pub fn rotated(&self, what: &'static str, is_good: bool) {
        let result = if is_good { "loaded" } else { "refused" };
        self.rotations.get_or_create(&vec![("what", what), ("result", result)]).inc();
        self.rotation_failed.get_or_create(&vec![("what", what)]).set(i64::from(!is_good));
    }

    /// The listener's certificate is valid until this second.
    pub fn certificate_expires(&self, at: i64) {
        self.certificate_expires.set(at);
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

    /// Where callbacks are counted whose URL stated something that could not be used.
    #[must_use]
    pub fn not_stated(&self) -> &Counter {
        &self.not_stated
    }

    /// Where the ledger counts disclosures that have ended.
    #[must_use]
    pub fn disclosed(&self) -> Disclosed {
        self.disclosed.clone()
    }

    /// A connection, until the value is dropped.
    #[must_use]
    pub fn connection(&self) -> Counted {
        Counted::one(&self.connections)
    }

    /// A handshake came to nothing.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// A request, until the value is dropped.
    #[must_use]
    pub fn running(&self) -> Counted {
        Counted::one(&self.running)
    }

    /// A request was answered with this status, after this time.
    pub fn answered(&self, status: u16, after: Duration) {
        self.answers.get_or_create(&Status { status: status.into() }).inc();
        self.seconds.observe(after.as_secs_f64());
    }

    /// An answer discloses nothing, for this reason.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&vec![("reason", reason)]).inc();
    }

    /// There is a limit with this key, which nobody has reached.
    pub fn has_limit(&self, key: &'static str) {
        drop(self.limits.get_or_create(&vec![("limit", key)]));
    }

    /// Somebody reached the limit with this key.
    pub fn at_limit(&self, key: &'static str) {
        self.limits.get_or_create(&vec![("limit", key)]).inc();
    }

    /// Has the ledger and the outbox looked at whenever somebody asks.
    pub fn look_at(&self, look: impl Fn(&LookedAt) + Send + Sync + 'static) {
        let _ = self.look.set(Box::new(look));
    }

    /// All of them, in OpenMetrics.
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

    /// All of them, in Prometheus' own text.
    #[must_use]
    pub fn classic_text(&self) -> String {
        classic::classic(&self.text())
    }
}

/// The media type of [`Metrics::text`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
