//! Credentials that change while the gate runs.
//!
//! Accounts, their credentials and keys, the webhooks and the clients are read anew when one of
//! their files changes, and at once when the gate is told to (SIGHUP). What cannot be used leaves
//! what is in place, and the log says why; everything else in the configuration takes a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::{StartError, load_clients};
use crate::config::Config;
use crate::gate::Gate;
use crate::upstream::Accounts;

/// What is kept fresh.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    pub(super) gate: Arc<Gate>,
    /// The configuration, and the file it came from.
    pub(super) config: Arc<Config>,
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
    /// Reads everything anew.
    pub(super) fn reload(&self) {
        if let Err(error) = self.reload_clients() {
            tracing::error!(%error, "the clients stay as they are");
        }
        match self.reload_accounts() {
            Ok(()) => {}
            Err(problem) => tracing::error!(problem, "the accounts stay as they are"),
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

    fn reload_accounts(&self) -> Result<(), String> {
        let Some(source) = &self.config.source else { return Ok(()) };
        let config = Config::load(source).map_err(|error| error.to_string())?;
        let accounts = Accounts::new(&config.accounts).map_err(|error| error.to_string())?;
        let hooks = super::hooks(&config).map_err(|error| error.to_string())?;
        self.gate.webhooks.replace(hooks).map_err(|error| error.to_string())?;
        self.gate.accounts.replace(&accounts);
        tracing::info!(accounts = config.accounts.len(), "the accounts were read anew");
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
        let clients = config.clients.as_ref().map(|clients| clients.file.clone());
        secrets.chain(keys).chain(clients).chain(config.source.clone()).collect()
    }
}

impl Rotating {
    /// Ends the thread.
    pub(super) fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

fn seen(files: &[PathBuf]) -> Seen {
    let of = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(|path| of(path)).collect()
}
