//! From a configuration to a running gate.
//!
//! `serve`, `config check`, the demo and the tests all come through here, so that what is checked
//! is what starts. [`Prepared`] has read and checked everything that can be checked without
//! listening or writing; [`Prepared::start`] opens the ledger and the sockets.

mod rotation;
mod schedule;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use rotation::{Place, Rotating, Rotation, greeting};
use schedule::Sweeping;

use crate::asked::Rules;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::console::{self, Console};
use crate::crowd::Crowd;
use crate::facts::FactStore;
use crate::folder::{self, FolderError, Signature};
use crate::gate::{Gate, MailError, Shares, Worker};
use crate::identity::{Clients, ClientsError, Identity, KeyError, Role, Tickets};
use crate::ledger::{Health, Ledger, OpenError, Progress};
use crate::listener::{self, ListenError, Readiness, Ready, Server, Tls, TlsError};
use crate::media;
use crate::metrics::{self, Follower, LookedAt, Metrics};
use crate::policy::{LoadError, Policies};
use crate::reload::{InForce, Keeper, Keeping};
use crate::respond::Cors;
use crate::sweep::{self, SweepError};
use crate::telemetry::Spans;
use crate::upstream::{
    Accounts, AccountsError, Collector, Decryption, Documents, HttpsCourier, ProviderClient,
    Upstream,
};
use crate::webhook::{
    Keys, Origin, Outbox, OutboxError, OutboxSettings, SharedKey, Target, WebhookSettings,
    WebhookSettingsError, Webhooks,
};

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policy folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The policies in it.
    #[error(transparent)]
    Policies(#[from] LoadError),
    /// An issuer maps a claim to a role that no policy knows.
    #[error(
        "configuration key `issuer.roles` of `{issuer}`: the policies have no role `{role}`; they \
         have {known}"
    )]
    UnknownRole {
        /// The issuer's short name.
        issuer: String,
        /// The role.
        role: String,
        /// All roles there are.
        known: String,
    },
    /// An issuer's keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The machine clients.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// A client is to show a certificate, and nobody is asked for one.
    #[error(
        "a client in `{}` has a `certificate`; say in configuration key `clients.ca_file` who may \
         sign it",
        file.display()
    )]
    NoAuthorities {
        /// The clients file.
        file: PathBuf,
    },
    /// The mail server for codes.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// An account.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// The sockets.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A webhook.
    #[error(transparent)]
    Webhook(#[from] WebhookSettingsError),
    /// The file in which callbacks wait.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// A URL of a webhook.
    #[error("configuration key `webhooks.hook` of `{hook}`: {problem}")]
    WebhookUrl {
        /// Its name.
        hook: String,
        /// What is wrong.
        problem: String,
    },
    /// The daily sweep.
    #[error(transparent)]
    Retention(#[from] SweepError),
    /// The collector of spans.
    #[error("configuration key `traces.endpoint`: {0}")]
    Traces(String),
    /// No key for links can be derived.
    #[error("cannot derive a key from the ledger's key file")]
    NoKey,
}

/// Everything that was read and found good.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    clock: Clock,
    policies: Policies,
    read_from: Option<Signature>,
    identity: Identity,
    accounts: Arc<Accounts>,
    documents: Documents,
    tls: Arc<Tls>,
    console_tls: Option<Arc<Tls>>,
}

impl Prepared {
    /// Reads and checks what a configuration names.
    ///
    /// # Errors
    /// [`StartError`] names the file or key and what to do.
    pub fn new(config: Config, clock: Clock) -> Result<Self, StartError> {
        // Looked at before it is read: a change between the two is seen as one.
        let read_from = folder::signature(&config.policies.directory).ok();
        let policies = load(&config)?;
        let identity = Identity::new(&config.issuers, &config.limits, clock.clone())?;
        if let Some(clients) = &config.clients {
            identity.put_clients(load_clients(clients, policies.roles())?);
        }
        Ok(Self {
            read_from,
            identity,
            accounts: Arc::new(Accounts::new(&config.accounts)?),
            documents: Documents::new(&config.issuers, &config.upstream)?,
            tls: Arc::new(Tls::of(greeting(&config, &Place::listen(&config))?)),
            console_tls: match Place::console(&config) {
                Some(place) => Some(Arc::new(Tls::of(greeting(&config, &place)?))),
                None => None,
            },
            policies,
            config,
            clock,
        })
    }

    /// What was loaded, for `config check` to tell.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Opens the ledger and the sockets.
    ///
    /// # Errors
    /// [`StartError`] if the ledger or an address cannot be used.
    pub fn start(self) -> Result<Running, StartError> {
        let Self { config, clock, policies, read_from, identity, accounts, documents, .. } = self;
        let (tls, console_tls) = (self.tls, self.console_tls);
        let whole = Arc::new(config.clone());
        let metrics = Arc::new(Metrics::default());
        metrics.policies_in_force(policies.digest().as_str(), clock.now().as_second());
        let courier = Box::new(HttpsCourier::new(config.ledger.ca_file.as_deref())?);
        let ledger = Ledger::open(&config.ledger, clock.clone(), &policies, courier)?
            .counting(metrics.disclosed());
        let gate = Arc::new(Gate {
            rules: Rules {
                names: config.listen.names.clone(),
                header_bytes_max: config.limits.header_bytes_max.as_usize(),
                header_count_max: config.limits.header_count_max.as_usize(),
            },
            facts: FactStore::new(&config.facts, clock.clone()),
            identity: identity.counting(metrics.over_limit()),
            clock: clock.clone(),
            policies: InForce::new(policies),
            tickets: tickets(&ledger, &config.links)?,
            cors: Cors::new(&config.cors.origins),
            flex: config.flex.clone(),
            exposed_cards: metrics.exposed_cards(),
            webhooks: Arc::new(webhooks(&config, &ledger, &clock)?),
            shares: shares(&config, &ledger)?,
            ledger,
            accounts,
            crowd: Crowd::new(&config.limits, Arc::clone(&metrics), clock.clone()),
            metrics: Arc::clone(&metrics),
            spans: spans(&config.traces)?,
        });
        let looked_at = config.clone();
        let keeper = Keeper {
            in_force: gate.policies.clone(),
            directory: config.policies.directory.clone(),
            read_from,
            every: Some(config.policies.watch_seconds.duration()).filter(|every| !every.is_zero()),
            load: move || load(&looked_at).map_err(|error| error.to_string()),
            ledger: gate.ledger.clone(),
            metrics: Arc::clone(&metrics),
            clock,
        };
        let keys = KeyKeeper::start(Arc::clone(&gate), documents).map_err(ListenError::Worker)?;
        let settings = listener::Settings {
            listen: config.listen,
            operations: config.operations,
            limits: config.limits.clone(),
            tls: Arc::clone(&tls),
        };
        // The gate holds the metrics: they may not hold the gate, or it would never be let go.
        let (watched, followed) = (Arc::downgrade(&gate), gate.ledger.progress());
        metrics.look_at(move |seen| {
            if let Some(gate) = watched.upgrade() {
                look(&gate, &followed, seen);
            }
        });
        let watched = Arc::clone(&gate);
        let readiness = Readiness::new(move || ready(&watched));
        let decryption = Decryption::new(&config.decryption, &config.limits);
        let server = Server::start(&settings, readiness, metrics, || Worker {
            gate: Arc::clone(&gate),
            upstream: Upstream::new(config.upstream.clone(), &config.limits, decryption.clone()),
        })?;
        let provider = provider(&whole)?;
        let form_key = gate.ledger.derived_key("console").ok_or(StartError::NoKey)?;
        let policies = keeper.start().map_err(ListenError::Worker)?;
        let console = config.console.clone().zip(console_tls.clone()).map(|(console, tls)| {
            let settings = console::Settings {
                console,
                policies: config.policies.directory.clone(),
                reloader: policies.reloader(),
                limits: config.limits.clone(),
                ledger: config.ledger.clone(),
                tls,
                drain_time: whole.listen.drain_seconds.duration(),
                form_key,
                provider,
            };
            let upstream =
                Upstream::new(config.upstream.clone(), &config.limits, decryption.clone());
            Console::start(settings, Arc::clone(&gate), upstream)
        });
        let console = console.transpose()?;
        let sweeping = Sweeping::start(&gate, &whole, decryption).map_err(ListenError::Worker)?;
        let documents = keys.documents.clone();
        let rotation =
            Rotation { gate: Arc::clone(&gate), config: whole, tls, console_tls, documents };
        rotation.note_expiry(&rotation.config);
        let every = config.policies.watch_seconds.duration();
        let rotating = rotation.clone().start(every).map_err(ListenError::Worker)?;
        Ok(Running { server, console, gate, keys, policies, rotation, rotating, sweeping })
    }
}

/// A running gate.
#[derive(Debug)]
pub struct Running {
    server: Server,
    console: Option<Console>,
    gate: Arc<Gate>,
    keys: KeyKeeper,
    policies: Keeping,
    rotation: Rotation,
    rotating: Rotating,
    sweeping: Sweeping,
}

/// The issuer at which people sign in at the console, and how it is reached.
fn provider(config: &Config) -> Result<Option<(config::Issuer, ProviderClient)>, StartError> {
    let named = config.console.as_ref().and_then(|console| console.login.issuer.as_ref());
    let issuer = config.issuers.iter().find(|issuer| Some(&issuer.name) == named);
    let provider = issuer.map(|issuer| Ok((issuer.clone(), ProviderClient::new(issuer)?)));
    provider.transpose()
}

/// Where requests are sent as spans.
fn spans(traces: &config::Traces) -> Result<Option<Spans>, StartError> {
    let Some(endpoint) = &traces.endpoint else { return Ok(None) };
    let collector = Collector::new(HttpsCourier::new(traces.ca_file.as_deref())?);
    let spans = Spans::start(traces, endpoint, collector);
    spans.map(Some).map_err(|error| StartError::Traces(error.to_string()))
}

/// Tickets under a key that all gates of the ledger have.
fn tickets(ledger: &Ledger, links: &config::Links) -> Result<Tickets, StartError> {
    let key = ledger.derived_key("tickets");
    let tickets = key.and_then(|key| Tickets::new(&key, links.life_seconds.duration()));
    tickets.ok_or(StartError::NoKey)
}

/// Shares under keys that all gates of the ledger have.
fn shares(config: &Config, ledger: &Ledger) -> Result<Shares, StartError> {
    let key = ledger.derived_key("shares").ok_or(StartError::NoKey)?;
    let names = &config.listen.names;
    let host = config.shares.host.clone().or_else(|| names.first().cloned()).unwrap_or_default();
    let certificates = config.clients.as_ref().is_some_and(|clients| clients.ca_file.is_some());
    Ok(Shares::new(&key, &config.shares, &host, certificates)?)
}

/// What is configured of each webhook.
fn hooks(config: &Config) -> Result<Vec<WebhookSettings>, StartError> {
    let settings = config.webhooks.hooks.iter().map(|hook| {
        let wrong = |problem: String| StartError::WebhookUrl { hook: hook.name.clone(), problem };
        let origins = hook.origins.iter().map(|origin| Origin::parse(origin));
        let origins =
            origins.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
        let target = hook.forward_to.as_deref().map(Target::parse).transpose();
        let (shared, tokens): (Vec<_>, Vec<_>) = hook.keys.iter().partition(|key| key.id.is_some());
        let shared = shared.into_iter().map(|key| SharedKey {
            id: key.id.clone().unwrap_or_default(),
            secret: key.secret.clone(),
        });
        Ok(WebhookSettings {
            name: hook.name.clone(),
            account: hook.account,
            public_origins: origins,
            keys: Keys {
                auth_tokens: tokens.into_iter().map(|key| key.secret.clone()).collect(),
                shared: shared.collect(),
            },
            target: target.map_err(|error| wrong(error.to_string()))?,
            relay_key: hook.forward_key.clone(),
            serves: |path| media::Target::parse(path, None).is_ok(),
        })
    });
    settings.collect()
}

/// The webhooks, and the threads that pass callbacks on.
fn webhooks(config: &Config, ledger: &Ledger, clock: &Clock) -> Result<Webhooks, StartError> {
    let config::Webhooks { outbox, give_up_hours, ca_file, .. } = &config.webhooks;
    let default = config.ledger.directory.join("webhooks.sqlite");
    let path = outbox.clone().unwrap_or(default);
    let courier = Arc::new(HttpsCourier::new(ca_file.as_deref())?);
    let mut sealed = OutboxSettings::new(ledger.derived_key("webhooks").ok_or(StartError::NoKey)?);
    sealed.give_up_after = Duration::from_secs(give_up_hours.get() * 3600);
    let outbox = Outbox::open(&path, &sealed, clock.clone(), courier)?;
    Ok(Webhooks::new(hooks(config)?, Arc::new(outbox))?)
}

/// Loads the policies that a configuration names, and checks what else names their words.
fn load(config: &Config) -> Result<Policies, StartError> {
    let policies = Policies::load(&folder::read(&config.policies.directory)?)?;
    check_roles(config, policies.roles())?;
    if config.retention.schedule.is_some() {
        sweep::check(&config.retention, &policies)?;
    }
    Ok(policies)
}

/// That who comes in gets roles that the policies know.
fn check_roles(config: &Config, known: &BTreeSet<Role>) -> Result<(), StartError> {
    let flex = config.flex.iter().map(|flex| ("flex", &flex.roles));
    let issuers = config.issuers.iter().map(|issuer| (issuer.name.as_str(), &issuer.roles));
    for (name, roles) in issuers.chain(flex) {
        if let Some(role) = roles.values().find(|role| !known.contains(&Role::new(role))) {
            let known: Vec<&str> = known.iter().map(Role::as_str).collect();
            return Err(StartError::UnknownRole {
                issuer: name.to_owned(),
                role: role.clone(),
                known: known.join(", "),
            });
        }
    }
    Ok(())
}

/// Reads the clients file, and checks that it goes with the configuration.
fn load_clients(named: &config::Clients, roles: &BTreeSet<Role>) -> Result<Clients, StartError> {
    let clients = Clients::load(&named.file, roles)?;
    match named.ca_file.is_none() && clients.want_certificates() {
        true => Err(StartError::NoAuthorities { file: named.file.clone() }),
        false => Ok(clients),
    }
}

/// What is only looked at when somebody asks for the metrics.
fn look(gate: &Gate, followed: &[Arc<Progress>], seen: &LookedAt) {
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    seen.open.set(i64::from(gate.ledger.health() == Health::Open));
    for progress in followed {
        let follower = Follower { follower: progress.name() };
        seen.followed.get_or_create(&follower).set(gauge(progress.next()));
        let stuck = i64::from(progress.problem().is_some());
        seen.stuck.get_or_create(&follower).set(stuck);
    }
    if let Ok(stats) = gate.webhooks.outbox().stats() {
        seen.waiting.set(gauge(stats.waiting));
        seen.dead.set(gauge(stats.dead));
        seen.oldest.set(gauge(stats.oldest.as_secs()));
    }
    seen.credential_refused.clear();
    for (account, refused) in gate.accounts.refused() {
        let account = metrics::Account { account: account.to_string() };
        let refusals = seen.credential_refused.get_or_create(&account);
        refusals.set(refusals.get().max(i64::from(refused)));
    }
    seen.keys_usable.clear();
    for (issuer, usable) in gate.identity.keys_usable() {
        let issuer = metrics::Issuer { issuer };
        seen.keys_usable.get_or_create(&issuer).set(i64::from(usable));
    }
}

/// Whether a disclosure could be made now. What another gate could do no better is a remark: to
/// take this one out of balance would not help.
fn ready(gate: &Gate) -> Ready {
    let mut ready = Ready::default();
    if let Health::Closed(reason) = gate.ledger.health() {
        ready.against.push(format!("the ledger is closed: {reason}"));
    }
    let keys = gate.identity.keys_usable();
    let lack = |(issuer, _): &(String, bool)| format!("there are no keys of issuer `{issuer}`");
    let lacking: Vec<String> = keys.iter().filter(|(_, usable)| !usable).map(lack).collect();
    match lacking.len() == keys.len() && !gate.identity.has_clients() {
        true => ready.against.extend(lacking),
        false => ready.remarks.extend(lacking),
    }
    if gate.metrics.refuses_policies() {
        let remark = "the policy folder cannot be used; the last good policies stay in force";
        ready.remarks.push(remark.to_owned());
    }
    let refused = gate.accounts.refused().into_iter().filter(|(_, refused)| *refused);
    let remark = |account| format!("Twilio does not accept the credential of account {account}");
    ready.remarks.extend(refused.map(|(account, _)| remark(account)));
    ready
}

impl Running {
    /// Loads the clients file now. One that cannot be used leaves the clients as they are.
    ///
    /// # Errors
    /// [`StartError`] names the file, the line and the remedy.
    pub fn reload_clients(&self) -> Result<(), StartError> {
        self.rotation.reload_clients()
    }

    /// Loads the policy folder now. What comes of it is in the log, the metrics and the ledger.
    pub fn reload(&self) {
        self.rotation.reload();
        self.policies.reload();
    }

    /// The sockets.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The console, if there is one.
    #[must_use]
    pub fn console(&self) -> Option<&Console> {
        self.console.as_ref()
    }

    /// The ledger's state.
    #[must_use]
    pub fn health(&self) -> Health {
        self.gate.ledger.health()
    }

    /// Tells of each statement that this gate has learned of: the place after the last one.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.gate.ledger.changes()
    }

    /// Lets streams end, closes the ledger with a stop entry, and returns when all is written.
    pub fn stop(self) {
        if let Some(console) = self.console {
            console.stop();
        }
        self.server.stop();
        self.keys.stop();
        self.policies.stop();
        self.rotating.stop();
        self.sweeping.stop();
        if let Some(spans) = &self.gate.spans {
            spans.stop();
        }
        self.gate.ledger.close();
    }
}

/// The thread that keeps the issuers' keys fresh.
#[derive(Debug)]
struct KeyKeeper {
    stop: watch::Sender<bool>,
    /// Where keys are fetched; another in its place has the keeping begin again.
    documents: watch::Sender<Arc<Documents>>,
    thread: JoinHandle<()>,
}

impl KeyKeeper {
    fn start(gate: Arc<Gate>, documents: Documents) -> std::io::Result<Self> {
        let (stop, mut stopping) = watch::channel(false);
        let (documents, mut newest) = watch::channel(Arc::new(documents));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let keep = async move {
            loop {
                let documents = Arc::clone(&newest.borrow_and_update());
                tokio::select! {
                    () = gate.identity.keep_keys(&*documents) => {}
                    Ok(()) = newest.changed() => {}
                    _ = stopping.wait_for(|stop| *stop) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("keys".to_owned());
        let thread = thread.spawn(move || runtime.block_on(keep))?;
        Ok(Self { stop, documents, thread })
    }

    fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.thread.join();
    }
}
