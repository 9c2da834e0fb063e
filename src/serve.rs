//! From a configuration to a running gate.
//!
//! `serve`, `config check`, the demo and the tests all come through here, so that what is checked
//! is what starts. [`Prepared`] has read and checked everything that can be checked without
//! listening or writing; [`Prepared::start`] opens the ledger and the sockets.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::asked::Rules;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::facts::FactStore;
use crate::folder::{self, FolderError, Signature};
use crate::gate::{Gate, Worker};
use crate::identity::{Clients, ClientsError, Identity, KeyError, Role, Tickets};
use crate::ledger::{Health, Ledger, OpenError};
use crate::listener::{self, Authorities, ListenError, Readiness, Server, TlsError};
use crate::metrics::{Follower, Metrics};
use crate::policy::{LoadError, Policies};
use crate::reload::{InForce, Keeper, Keeping};
use crate::upstream::{Accounts, AccountsError, Documents, HttpsCourier, Upstream};

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
    tls: rustls::ServerConfig,
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
            tls: tls(&config)?,
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
        let Self { config, clock, policies, read_from, identity, accounts, documents, tls } = self;
        let metrics = Arc::new(Metrics::default());
        metrics.policies_in_force(policies.digest().as_str(), clock.now().as_second());
        let courier = Box::new(HttpsCourier::new(config.ledger.ca_file.as_deref())?);
        let ledger = Ledger::open(&config.ledger, clock.clone(), &policies, courier)?;
        let gate = Arc::new(Gate {
            rules: Rules {
                names: config.listen.names.clone(),
                header_bytes_max: config.limits.header_bytes_max.as_usize(),
            },
            facts: FactStore::new(&config.facts, clock.clone()),
            identity: identity.counting(metrics.over_limit()),
            clock: clock.clone(),
            policies: InForce::new(policies),
            tickets: tickets(&ledger, &config.links)?,
            ledger,
            accounts,
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
            tls: Arc::new(tls),
        };
        let (watched, followed) = (gate.ledger.clone(), gate.ledger.progress());
        metrics.look_at_ledger(move |ledger| {
            ledger.open.set(i64::from(watched.health() == Health::Open));
            for progress in &followed {
                let follower = Follower { follower: progress.name() };
                let taken = i64::try_from(progress.next()).unwrap_or(i64::MAX);
                ledger.followed.get_or_create(&follower).set(taken);
                let stuck = i64::from(progress.problem().is_some());
                ledger.stuck.get_or_create(&follower).set(stuck);
            }
        });
        let watched = gate.ledger.clone();
        let readiness = Readiness::new(move || match watched.health() {
            Health::Open => Ok(()),
            Health::Closed(reason) => Err(format!("the ledger is closed: {reason}")),
        });
        let server = Server::start(&settings, readiness, metrics, || Worker {
            gate: Arc::clone(&gate),
            upstream: Upstream::new(config.upstream.clone(), &config.limits),
        })?;
        let policies = keeper.start().map_err(ListenError::Worker)?;
        Ok(Running { server, gate, keys, policies, clients: config.clients })
    }
}

/// A running gate.
#[derive(Debug)]
pub struct Running {
    server: Server,
    gate: Arc<Gate>,
    keys: KeyKeeper,
    policies: Keeping,
    clients: Option<config::Clients>,
}

/// Tickets under a key that all gates of the ledger have.
fn tickets(ledger: &Ledger, links: &config::Links) -> Result<Tickets, StartError> {
    let key = ledger.derived_key("tickets");
    let tickets = key.and_then(|key| Tickets::new(&key, links.life_seconds.duration()));
    tickets.ok_or(StartError::NoKey)
}

/// Loads the policies that a configuration names, and checks what else names their words.
fn load(config: &Config) -> Result<Policies, StartError> {
    let policies = Policies::load(&folder::read(&config.policies.directory)?)?;
    for issuer in &config.issuers {
        for role in issuer.roles.values() {
            if !policies.roles().contains(&Role::new(role)) {
                let known: Vec<&str> = policies.roles().iter().map(Role::as_str).collect();
                return Err(StartError::UnknownRole {
                    issuer: issuer.name.clone(),
                    role: role.clone(),
                    known: known.join(", "),
                });
            }
        }
    }
    Ok(policies)
}

/// Reads the clients file, and checks that it goes with the configuration.
fn load_clients(named: &config::Clients, roles: &BTreeSet<Role>) -> Result<Clients, StartError> {
    let clients = Clients::load(&named.file, roles)?;
    match named.ca_file.is_none() && clients.want_certificates() {
        true => Err(StartError::NoAuthorities { file: named.file.clone() }),
        false => Ok(clients),
    }
}

fn tls(config: &Config) -> Result<rustls::ServerConfig, TlsError> {
    let (certificate, key) = (&config.listen.certificate, &config.listen.key);
    let clients = config.clients.as_ref();
    match clients.and_then(|clients| Some((clients.ca_file.as_deref()?, clients.required))) {
        Some((file, required)) => {
            let authorities = Authorities { file, required };
            listener::server_config_for_clients(certificate, key, authorities)
        }
        None => listener::server_config(certificate, key),
    }
}

impl Running {
    /// Loads the clients file now. One that cannot be used leaves the clients as they are.
    ///
    /// # Errors
    /// [`StartError`] names the file, the line and the remedy.
    pub fn reload_clients(&self) -> Result<(), StartError> {
        if let Some(named) = &self.clients {
            let clients = load_clients(named, self.gate.policies.now().roles())?;
            self.gate.identity.put_clients(clients);
        }
        Ok(())
    }

    /// Loads the policy folder now. What comes of it is in the log, the metrics and the ledger.
    pub fn reload(&self) {
        match self.reload_clients() {
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "the clients stay as they are"),
        }
        self.policies.reload();
    }

    /// The sockets.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The ledger's state.
    #[must_use]
    pub fn health(&self) -> Health {
        self.gate.ledger.health()
    }

    /// Lets streams end, closes the ledger with a stop entry, and returns when all is written.
    pub fn stop(self) {
        self.server.stop();
        self.keys.stop();
        self.policies.stop();
        self.gate.ledger.close();
    }
}

/// The thread that keeps the issuers' keys fresh.
#[derive(Debug)]
struct KeyKeeper {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl KeyKeeper {
    fn start(gate: Arc<Gate>, documents: Documents) -> std::io::Result<Self> {
        let (stop, mut stopping) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let keep = async move {
            tokio::select! {
                () = gate.identity.keep_keys(&documents) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        };
        let thread = std::thread::Builder::new().name("keys".to_owned());
        let thread = thread.spawn(move || runtime.block_on(keep))?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.thread.join();
    }
}
