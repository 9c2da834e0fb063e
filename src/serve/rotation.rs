//! Credentials that change while the gate runs.
//!
//! The listeners' certificates and keys, accounts, their credentials and keys, the webhooks, issuers
//! and the clients are read anew when one of their files changes, and at once when the gate is told
//! to (SIGHUP). What cannot be used leaves what is in place, and the log says why; everything else
//! in the configuration takes a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::{StartError, check_roles, load_clients};
use crate::config::Config;
use crate::gate::Gate;
use crate::listener::{self, Authorities, Greeting, Tls, TlsError};
use crate::upstream::{Accounts, Documents};

/// What is kept fresh.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    pub(super) gate: Arc<Gate>,
    /// The configuration, and the file it came from.
    pub(super) config: Arc<Config>,
    /// What callers are greeted with.
    pub(super) tls: Arc<Tls>,
    /// What callers of the console are greeted with, if there is one.
    pub(super) console_tls: Option<Arc<Tls>>,
    /// Where issuers' keys are fetched.
    pub(super) documents: watch::Sender<Arc<Documents>>,
}

/// The thread that looks at the files.
#[derive(Debug)]
pub(super) struct Rotating {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// When each file was changed, and how long it is.
type Seen = Vec<Option<(SystemTime, u64)>>;

impl Rotation {
    /// Reads everything anew. What cannot be used leaves what is in place.
    pub(super) fn reload(&self) {
        let anew = match &self.config.source {
            Some(source) => Config::load(source).map_err(|error| error.to_string()),
            None => Ok((*self.config).clone()),
        };
        // A configuration that cannot be read still says where the certificate was.
        let named = anew.as_ref().unwrap_or(&self.config);
        self.told("certificates", self.reload_certificates(named));
        self.told("clients", self.reload_clients());
        let config = || anew.as_ref().map_err(Clone::clone);
        self.told("accounts", config().and_then(|config| self.reload_accounts(config)));
        self.told("issuers", config().and_then(|config| self.reload_issuers(config)));
    }

    fn told<E: ToString>(&self, what: &'static str, done: Result<(), E>) {
        self.gate.metrics.rotated(what, done.is_ok());
        if let Err(error) = done {
            let problem = error.to_string();
            tracing::error!(problem, "the {what} stay as they are");
        }
    }

    fn reload_certificates(&self, config: &Config) -> Result<(), TlsError> {
        let of_console = match (&self.console_tls, Place::console(config)) {
            (Some(tls), Some(place)) => Some((tls, greeting(config, &place)?)),
            _ => None,
        };
        self.tls.replace(greeting(config, &Place::listen(config))?);
        if let Some((tls, anew)) = of_console {
            tls.replace(anew);
        }
        self.note_expiry(config);
        Ok(())
    }

    /// Has the metrics tell how long the certificate is valid.
    pub(super) fn note_expiry(&self, config: &Config) {
        match listener::certificate_expires_at(&config.listen.certificate) {
            Ok(at) => self.gate.metrics.certificate_expires(at),
            Err(error) => tracing::warn!(%error, "nobody knows when the certificate expires"),
        }
    }

    /// Reads the clients file anew.
    pub(super) fn reload_clients(&self) -> Result<(), StartError> {
        if let Some(named) = &self.config.clients {
            let clients = load_clients(named, self.gate.policies.now().roles())?;
            self.gate.identity.put_clients(clients);
        }
        Ok(())
    }

    fn reload_accounts(&self, config: &Config) -> Result<(), String> {
        let accounts = Accounts::new(&config.accounts).map_err(|error| error.to_string())?;
        let hooks = super::hooks(config).map_err(|error| error.to_string())?;
        self.gate.webhooks.replace(hooks).map_err(|error| error.to_string())?;
        self.gate.accounts.replace(&accounts);
        tracing::info!(accounts = config.accounts.len(), "the accounts were read anew");
        Ok(())
    }

    fn reload_issuers(&self, config: &Config) -> Result<(), String> {
        let roles = check_roles(config, self.gate.policies.now().roles());
        roles.map_err(|error| error.to_string())?;
        let documents = Documents::new(&config.issuers, &config.upstream);
        let documents = documents.map_err(|error| error.to_string())?;
        let changed = self.gate.identity.put_issuers(&config.issuers);
        if changed.map_err(|error| error.to_string())? {
            // Whoever keeps keys fresh begins again with these.
            let _ = self.documents.send(Arc::new(documents));
            tracing::info!(issuers = config.issuers.len(), "the issuers were read anew");
        }
        Ok(())
    }

    /// Starts to look, unless that is never to be done.
    pub(super) fn start(self, every: Duration) -> std::io::Result<Rotating> {
        let (stop, stopping) = channel();
        let look = move || {
            let mut files = self.files();
            // They may have changed since they were read to start with, so they are read once more.
            let mut settled = Seen::new();
            let mut last = seen(&files);
            loop {
                let waited = match every.is_zero() {
                    true => stopping.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    false => stopping.recv_timeout(every),
                };
                match waited {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
                let now = seen(&files);
                // Twice the same: nobody is still writing.
                if now == last && now != settled {
                    self.reload();
                    let named = self.files();
                    // Files that were not looked at before are read once more, to miss no change.
                    settled = if named == files { now.clone() } else { Seen::new() };
                    files = named;
                }
                last = now;
            }
        };
        let thread = std::thread::Builder::new().name("credentials".to_owned()).spawn(look)?;
        Ok(Rotating { stop, thread })
    }

    /// The files that the configuration names now.
    fn files(&self) -> Vec<PathBuf> {
        let anew = self.config.source.as_deref().and_then(|source| Config::load(source).ok());
        let config = anew.as_ref().unwrap_or(&self.config);
        let secrets = config.accounts.iter().flat_map(|account| {
            let keys = account.encryption_keys.iter().map(|key| key.file.clone());
            keys.chain(account.secret_file.clone()).chain(account.ca_file.clone())
        });
        let keys = config.webhooks.hooks.iter().flat_map(|hook| {
            let keys = hook.keys.iter().filter_map(|key| key.file.clone());
            keys.chain(hook.forward_key_file.clone())
        });
        let clients = config.clients.iter();
        let clients = clients.flat_map(|c| [Some(c.file.clone()), c.ca_file.clone()]).flatten();
        let issuers = config.issuers.iter();
        let issuers = issuers.flat_map(|i| i.jwks_file.iter().chain(&i.ca_file)).cloned();
        let listen = [Some(Place::listen(config)), Place::console(config)];
        let listen = listen.into_iter().flatten();
        let listen = listen.flat_map(|place| [place.certificate, place.key].map(Path::to_owned));
        let files = secrets.chain(keys).chain(clients).chain(issuers).chain(listen);
        files.chain(config.source.clone()).collect()
    }
}

impl Rotating {
    /// Ends the thread.
    pub(super) fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// Where a listener's certificate and key lie.
pub(super) struct Place<'a> {
    certificate: &'a Path,
    key: &'a Path,
}

impl<'a> Place<'a> {
    /// Those of the media listener.
    pub(super) fn listen(config: &'a Config) -> Self {
        Self { certificate: &config.listen.certificate, key: &config.listen.key }
    }

    /// Those of the console: its own, or the media listener's.
    pub(super) fn console(config: &'a Config) -> Option<Self> {
        let console = config.console.as_ref()?;
        let own = console.certificate.as_deref().zip(console.key.as_deref());
        let own = own.map(|(certificate, key)| Self { certificate, key });
        Some(own.unwrap_or_else(|| Self::listen(config)))
    }
}

/// What callers are greeted with, and by whom their certificates may be signed.
pub(super) fn greeting(config: &Config, place: &Place<'_>) -> Result<Greeting, TlsError> {
    let Place { certificate, key } = place;
    let clients = config.clients.as_ref();
    match clients.and_then(|clients| Some((clients.ca_file.as_deref()?, clients.required))) {
        Some((file, required)) => {
            let authorities = Authorities { file, required };
            let tls = listener::server_config_for_clients(certificate, key, authorities)?;
            // It was read a moment ago; should it be gone now, it is like no other.
            let mut clients = std::fs::read(file).unwrap_or_default();
            clients.push(u8::from(required));
            Ok(Greeting::new(tls, clients))
        }
        None => Ok(Greeting::new(listener::server_config(certificate, key)?, Vec::new())),
    }
}

fn seen(files: &[PathBuf]) -> Seen {
    let of = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(|path| of(path)).collect()
}
