//! `noticegate serve`: runs the gate until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigPath, Exit, complain};
use crate::clock::Clock;
use crate::config::Config;
use crate::serve::Prepared;
use crate::telemetry;

/// Run the gate
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate serve --config /etc/noticegate/noticegate.toml\n\n\
SIGTERM or SIGINT stops it: running streams may end until listen.drain_seconds, then they are cut.")]
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
        let running = match prepared.start() {
            Ok(running) => running,
            Err(error) => {
                complain(&error);
                return Exit::Failed;
            }
        };
        let server = running.server();
        let operations = server.operations().map(|address| address.to_string());
        tracing::info!(address = %server.address(), operations, "serving");
        let waited = wait_for_signal();
        tracing::info!("stopping");
        running.stop();
        match waited {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&error);
                Exit::Failed
            }
        }
    }
}

/// Waits for SIGINT or SIGTERM.
pub(super) fn wait_for_signal() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}
