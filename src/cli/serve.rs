//! `noticegate serve`: runs the gate until it is told to stop.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigPath, Exit, complain};
use crate::clock::Clock;
use crate::config::Config;
use crate::serve::{Prepared, Running};
use crate::telemetry;

/// Run the gate
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate serve --config /etc/noticegate/noticegate.toml\n\n\
SIGTERM or SIGINT stops it: running streams may end until listen.drain_seconds, then they are cut.\n\
SIGHUP loads the policy folder, certificates, keys, clients, accounts and issuers anew; their files\n\
are looked at every policies.watch_seconds, too.\n\
Under systemd with Type=notify it says when it is ready, reloads and stops, and feeds the watchdog.")]
pub(super) struct Serve {
    #[command(flatten)]
    path: ConfigPath,
}

impl Serve {
    pub(super) fn run(&self) -> Exit {
        let config = match Config::load(&self.path.config) {
            Ok(config) => config,
            Err(error) => {
                complain(&error);
                return Exit::Invalid;
            }
        };
        telemetry::start(&config.log);
        let prepared = match Prepared::new(config, Clock::system()) {
            Ok(prepared) => prepared,
            Err(error) => {
                complain(&error);
                return Exit::Invalid;
            }
        };
        let signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => {
                complain(&error);
                return Exit::Failed;
            }
        };
        let running = match prepared.start() {
            Ok(running) => running,
            Err(error) => {
                complain(&error);
                return Exit::Failed;
            }
        };
        let server = running.server();
        let operations = server.operations().map(|address| address.to_string());
        let console = running.console().map(|console| console.address().to_string());
        tracing::info!(address = %server.address(), operations, console, "serving");
        watch(&running, signals);
        tell(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        running.stop();
        Exit::Done
    }
}

/// Follows orders until the one to stop, and tells the supervisor how things are.
fn watch(running: &Running, mut signals: Signals) {
    let longest = sd_notify::watchdog_enabled();
    tell(&[NotifyState::Ready]);
    loop {
        // Twice within the time that the supervisor allows.
        match signals.within(longest.map(|longest| longest / 2)) {
            Some(Order::Stop) => return,
            Some(Order::Reload) => {
                // What a reload has come to is in log and metrics; it is over when it was ordered.
                if let Ok(now) = NotifyState::monotonic_usec_now() {
                    tell(&[NotifyState::Reloading, now]);
                }
                running.reload();
                tell(&[NotifyState::Ready]);
            }
            // A worker that hangs feeds no watchdog: the supervisor ends the process.
            None => match longest.is_none_or(|longest| running.server().is_alive(longest)) {
                true => tell(&[NotifyState::Watchdog]),
                false => tracing::error!("a worker hangs"),
            },
        }
    }
}

/// Without a supervisor nobody listens, and nothing depends on it.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor could not be told");
    }
}

/// SIGINT, SIGTERM and SIGHUP, caught from here on.
pub(super) struct Signals {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Reload,
    Stop,
}

impl Signals {
    /// Catches them. Before that, one of them would end the process as it stands.
    pub(super) fn catch() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let hang_up = signal(SignalKind::hangup())?;
        drop(_inside);
        Ok(Self { runtime, interrupt, terminate, hang_up })
    }

    /// Waits for the next one, but no longer than this.
    fn within(&mut self, longest: Option<Duration>) -> Option<Order> {
        let Some(longest) = longest else { return Some(self.next()) };
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => Some(Order::Stop),
                _ = self.terminate.recv() => Some(Order::Stop),
                _ = self.hang_up.recv() => Some(Order::Reload),
                () = tokio::time::sleep(longest) => None,
            }
        })
    }

    /// Waits for the next one.
    pub(super) fn next(&mut self) -> Order {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => Order::Stop,
                _ = self.terminate.recv() => Order::Stop,
                _ = self.hang_up.recv() => Order::Reload,
            }
        })
    }
}
