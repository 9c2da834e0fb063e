//! `noticegate config`: looks at a configuration without starting anything.

use super::{ConfigPath, Exit, complain, say};
use crate::clock::Clock;
use crate::config;
use crate::serve::Prepared;

/// Check a configuration, or print one that explains every key
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate config check --config noticegate.toml")]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read the configuration and all it names, as `serve` would
    #[command(after_help = "Example:\n  noticegate config check --config noticegate.toml")]
    Check(ConfigPath),
    /// Print an example with every key explained
    #[command(after_help = "Example:\n  noticegate config example > noticegate.toml")]
    Example,
}

impl Config {
    pub(super) fn run(&self) -> Exit {
        match &self.command {
            Command::Check(path) => check(path),
            Command::Example => {
                say(include_str!("../../noticegate.example.toml").trim_end());
                Exit::Done
            }
        }
    }
}

fn check(path: &ConfigPath) -> Exit {
    let config = match config::Config::load(&path.config) {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            return Exit::Invalid;
        }
    };
    match Prepared::new(config, Clock::system()) {
        Ok(prepared) => {
            let policies = prepared.policies();
            say(format_args!(
                "`{}` is sound: {} policies under {} notices, digest {}",
                path.config.display(),
                policies.count(),
                policies.notices().all().len(),
                policies.digest(),
            ));
            Exit::Done
        }
        Err(error) => {
            complain(&error);
            Exit::Invalid
        }
    }
}
