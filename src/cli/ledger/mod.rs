//! `noticegate ledger`: the record of disclosures, read beside a running gate or without one.

mod erase;
mod export;
mod keep;
pub(super) mod query;
pub(super) mod show;
mod subject;
mod tail;
mod verify;

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::{ConfigPath, Exit, complain};
use crate::config::{self, Config};
use crate::ledger::{Review, ReviewError};
use crate::telemetry;

/// Read, verify and keep the record of disclosures
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate ledger query --since 7d --decision refuse")]
pub(super) struct Ledger {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Query(Box<query::Query>),
    Show(show::Show),
    Tail(tail::Tail),
    Subject(subject::Subject),
    Export(Box<export::Export>),
    Verify(verify::Verify),
    Prove(verify::Prove),
    Key(verify::Key),
    Review(keep::Review),
    Erase(erase::Erase),
    Prune(keep::Prune),
    Rebuild(keep::Rebuild),
    Migrate(keep::Migrate),
}

impl Ledger {
    pub(super) fn run(&self) -> Exit {
        let done = match &self.command {
            Command::Query(command) => command.run(),
            Command::Show(command) => command.run(),
            Command::Tail(command) => command.run(),
            Command::Subject(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Prove(command) => command.run(),
            Command::Key(command) => command.run(),
            Command::Review(command) => command.run(),
            Command::Erase(command) => command.run(),
            Command::Prune(command) => command.run(),
            Command::Rebuild(command) => command.run(),
            Command::Migrate(command) => command.run(),
        };
        match done {
            Ok(exit) | Err(exit) => exit,
        }
    }
}

/// The configuration's ledger.
pub(super) fn load(path: &ConfigPath) -> Result<Config, Exit> {
    let config = Config::load(&path.config).map_err(|error| {
        complain(&error);
        Exit::Invalid
    })?;
    telemetry::start(&config::Log { level: config::LogLevel::Warn, ..config.log.clone() });
    Ok(config)
}

/// The ledger, opened for questions.
pub(super) fn open(config: &Config) -> Result<Review, Exit> {
    let bar = bar("Indexing");
    let review = Review::open(&config.ledger, |done| bar.set_position(done));
    bar.finish_and_clear();
    review.map_err(|error| failed(&error))
}

/// Tells an error, and ends the command.
pub(super) fn failed(error: &dyn std::error::Error) -> Exit {
    complain(error);
    Exit::Failed
}

pub(super) fn ask<T>(answer: Result<T, ReviewError>) -> Result<T, Exit> {
    answer.map_err(|error| failed(&error))
}

/// A bar on standard error, if that is a terminal.
pub(super) fn bar(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:40} {human_pos}/{human_len} {eta}");
    let bar = ProgressBar::new(0).with_prefix(what);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Who is at this command line, for the record.
pub(super) fn actor(named: Option<&String>) -> String {
    let user = || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    named.cloned().or_else(user).unwrap_or_else(|| "unknown".to_owned())
}

/// Writes a file that must be whole or not there.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), Exit> {
    std::fs::write(path, text).map_err(|source| {
        complain(&config::ConfigError::Read { what: "output", path: path.to_owned(), source });
        Exit::Failed
    })
}
