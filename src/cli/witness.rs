//! `noticegate witness`: cosigns checkpoints of ledgers that only grew (C2SP tlog-witness).

use std::net::SocketAddr;
use std::path::PathBuf;

use super::serve::{Order, Signals};
use super::{Exit, complain, say};
use crate::clock::Clock;
use crate::config;
use crate::telemetry;
use crate::witness::{self, Settings};

/// Run a witness: cosign checkpoints of ledgers that only grew
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate witness --name witness.example.org --key witness.key --memory /var/lib/witness \\\n    \
--listen 0.0.0.0:8444 --certificate witness.pem --tls-key witness-tls.key \\\n    \
--log 'gate.example.com/ledger+0123abcd+BASE64'\n\n\
Run it on another machine, by another administrator. The key file is made when it is missing; the\n\
verifier key that the witness prints goes into the gate's [[ledger.witness]]. The gate's own\n\
verifier key is in `noticegate ledger key`. What it remembers must not be lost: keep --memory in\n\
the backup.")]
pub(super) struct Witness {
    /// The witness's name, by which its signatures are known
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Its signing key; made when it is missing
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The folder where it remembers what it has cosigned
    #[arg(long, value_name = "FOLDER")]
    memory: PathBuf,
    /// Address and port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8444")]
    listen: SocketAddr,
    /// Certificate chain, PEM, leaf first
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    tls_key: PathBuf,
    /// The verifier key of a ledger; may be repeated
    #[arg(long = "log", value_name = "VKEY", required = true)]
    logs: Vec<String>,
}

impl Witness {
    pub(super) fn run(&self) -> Exit {
        telemetry::start(&config::Log::default());
        let settings = Settings {
            name: self.name.clone(),
            key: self.key.clone(),
            memory: self.memory.clone(),
            listen: self.listen,
            certificate: self.certificate.clone(),
            tls_key: self.tls_key.clone(),
            logs: self.logs.clone(),
        };
        let mut signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => {
                complain(&error);
                return Exit::Failed;
            }
        };
        let running = match witness::start(&settings, Clock::system()) {
            Ok(running) => running,
            Err(error) => {
                complain(&error);
                return Exit::Invalid;
            }
        };
        say(format_args!("verifier key: {}", running.verifier()));
        tracing::info!(address = %running.address(), "witnessing");
        while signals.next() == Order::Reload {}
        running.stop();
        Exit::Done
    }
}
