//! Keeping the policies in force up to what lies in the policy folder.
//!
//! A thread looks at the folder now and then, and at once when it is told to (SIGHUP). A changed
//! folder is loaded as a whole when two looks in a row found it the same, so that files which are
//! still being written are not read half. Good policies are put on record and then in force, for
//! every question asked from then on; bad ones leave the last good ones in force, and the log, a
//! metric and the ledger say so.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::folder::{self, Signature};
use crate::ledger::Ledger;
use crate::metrics::{Metrics, Reload};
use crate::policy::Policies;

/// How often policies that could not be put on record are tried again, if the folder is not looked
/// at anyway.
const RETRY: Duration = Duration::from_secs(2);

/// The policies in force. Reading never waits for a reload.
#[derive(Clone, Debug)]
pub struct InForce(Arc<RwLock<Arc<Policies>>>);

impl InForce {
    /// Puts the first policies in force.
    #[must_use]
    pub fn new(policies: Policies) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(policies))))
    }

    /// The policies by which a question that is asked now is decided.
    #[must_use]
    pub fn now(&self) -> Arc<Policies> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns those that were in force, so that they are not taken apart while others wait.
    fn replace(&self, policies: Policies) -> Arc<Policies> {
        let mut in_force = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *in_force, Arc::new(policies))
    }
}

/// What the keeper works with.
pub struct Keeper<L> {
    /// The policies in force.
    pub in_force: InForce,
    /// The policy folder.
    pub directory: PathBuf,
    /// What it was when the policies in force were read from it.
    pub read_from: Option<Signature>,
    /// How often to look at it; `None` only when told.
    pub every: Option<Duration>,
    /// Loads it, with every check that `serve` makes when it starts.
    pub load: L,
    /// Where it is put on record.
    pub ledger: Ledger,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
}

/// The running thread.
#[derive(Debug)]
pub struct Keeping {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
enum Order {
    Reload,
    /// The same, and tells when it is done.
    ReloadThen(Sender<()>),
    Stop,
}

/// Has the folder loaded, for who has put something there.
#[derive(Clone, Debug)]
pub struct Reloader(Sender<Order>);

impl Reloader {
    /// Has the folder loaded now and waits for it; false if that takes longer.
    #[must_use]
    pub fn reload(&self, longest: Duration) -> bool {
        let (done, told) = channel();
        self.0.send(Order::ReloadThen(done)).is_ok() && told.recv_timeout(longest).is_ok()
    }
}

impl Keeping {
    /// Has the folder loaded now, whether it seems changed or not.
    pub fn reload(&self) {
        // A thread that has ended cannot reload; its end was logged.
        let _ = self.orders.send(Order::Reload);
    }

    /// What has the folder loaded.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader(self.orders.clone())
    }

    /// Ends the thread.
    pub fn stop(self) {
        let _ = self.orders.send(Order::Stop);
        let _ = self.thread.join();
    }
}

impl<L> Keeper<L>
where
    L: Fn() -> Result<Policies, String> + Send + 'static,
{
    /// Starts to look.
    ///
    /// # Errors
    /// The operating system's, if there can be no thread.
    pub fn start(self) -> std::io::Result<Keeping> {
        let (orders, taken) = channel();
        let thread = std::thread::Builder::new().name("policies".to_owned());
        let thread = thread.spawn(move || self.keep(&taken))?;
        Ok(Keeping { orders, thread })
    }

    fn keep(&self, orders: &Receiver<Order>) {
        let look = || folder::signature(&self.directory).ok();
        // What the policies in force, or refused, were read from.
        let mut settled = self.read_from.clone();
        let mut last = settled.clone();
        // Good policies that could not be put on record are tried again, told or not.
        let mut waiting = false;
        loop {
            let order = match self.every.or(waiting.then_some(RETRY)) {
                Some(every) => orders.recv_timeout(every),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(Order::Reload | Order::ReloadThen(_)) => {
                    last = look();
                    waiting = !self.reload();
                    if !waiting {
                        settled.clone_from(&last);
                    }
                    if let Ok(Order::ReloadThen(done)) = order {
                        // Whoever has stopped waiting need not know.
                        let _ = done.send(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = look();
                    let quiet = now == last;
                    if quiet && (waiting || changed(now.as_ref(), settled.as_ref())) {
                        waiting = !self.reload();
                        if !waiting {
                            settled.clone_from(&now);
                        }
                    }
                    last = now;
                }
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Loads the folder; false if it has to be tried again.
    fn reload(&self) -> bool {
        let before = self.in_force.now();
        match (self.load)() {
            Ok(policies) if policies.digest() == before.digest() => {
                self.metrics.reloaded(Reload::Unchanged);
                tracing::info!("the policy folder holds what is in force already");
                true
            }
            Ok(policies) => self.put_in_force(&before, policies),
            Err(error) => {
                self.metrics.reloaded(Reload::Refused);
                tracing::error!(
                    %error,
                    "the policy folder cannot be used; the policies in force stay in force"
                );
                if let Err(error) = self.ledger.policies_refused(before.digest(), &error) {
                    tracing::error!(%error, "this could not be recorded");
                }
                true
            }
        }
    }

    fn put_in_force(&self, before: &Policies, policies: Policies) -> bool {
        let digest = policies.digest().clone();
        // What decides is on record before it decides.
        if let Err(error) = self.ledger.policies_in_force(&policies, before.digest()) {
            tracing::error!(%error, "new policies wait until they can be recorded");
            return false;
        }
        let before = self.in_force.replace(policies);
        self.metrics.reloaded(Reload::Loaded);
        self.metrics.policies_in_force(digest.as_str(), self.clock.now().as_second());
        tracing::info!(%digest, "new policies are in force");
        drop(before);
        true
    }
}

/// True if the folder is not what it was; one that cannot be looked at is not loaded.
fn changed(now: Option<&Signature>, settled: Option<&Signature>) -> bool {
    now.is_some() && now != settled
}
