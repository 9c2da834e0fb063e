//! What people tell the gate at a command line: consents, who was on a call, what it is filed under,
//! cases, holds, announcements. `consent.rs`, `call.rs`, `case.rs`, `hold.rs` and `line.rs` are the
//! commands; tables are read and written in `table.rs`, and `show.rs` tells what is known.
//!
//! Each statement is checked against the policies of the configuration before it becomes an entry,
//! and a running gate decides by it from then on. Numbers are shown in full only when asked for.

mod call;
mod case;
mod consent;
mod export;
mod hold;
mod line;
mod lookup;
mod show;
mod table;
mod tell;

use std::io::BufRead;

use jiff::Timestamp;
use serde_json::json;

use super::ledger::{actor, failed, load};
use super::policies::PolicyFolder;
use super::{ConfigPath, Exit, Format, complain, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::facts::{Statement, Who, csv};
use crate::ledger::{Archive, Clerk};
use crate::policy::Policies;

pub(super) use call::Call;
pub(super) use case::Case;
pub(super) use consent::Consent;
pub(super) use hold::Hold;
pub(super) use line::Line;
pub(super) use tell::{told_human, told_json};

/// What every command takes.
#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    path: ConfigPath,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What commands take that write.
#[derive(Debug, clap::Args)]
struct Writing {
    #[command(flatten)]
    common: Common,
    /// Who says so; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// How people are shown.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Showing {
    /// Show telephone numbers in full
    #[arg(long)]
    show_numbers: bool,
}

impl Writing {
    fn config(&self) -> Result<Config, Exit> {
        load(&self.common.path)
    }

    fn clerk(&self, config: &Config) -> Result<Clerk, Exit> {
        let clerk = Clerk::open(&config.ledger, Clock::system(), actor(self.by.as_ref()));
        clerk.map_err(|error| failed(&error))
    }

    /// Puts statements on record, all or none, after they were checked.
    fn state(&self, config: &Config, statements: &[Statement]) -> Result<Exit, Exit> {
        let policies = policies(config)?;
        let now = Clock::system().now();
        for statement in statements {
            statement.check(policies.vocabulary(), now).map_err(|unfit| invalid(&unfit))?;
        }
        let entry = self.clerk(config)?.state(statements).map_err(|error| failed(&error))?;
        match (self.common.format, statements.len()) {
            (Format::Json, count) => say(json!({ "entry": entry, "statements": count })),
            (Format::Human, 1) => say(format_args!("On record as entry {entry}.")),
            (Format::Human, count) => {
                let last = entry.saturating_add(count as u64).saturating_sub(1);
                say(format_args!("On record as entries {entry} to {last}."));
            }
        }
        Ok(Exit::Done)
    }
}

/// The policies of the configuration, for their words.
fn policies(config: &Config) -> Result<Policies, Exit> {
    PolicyFolder { policies: config.policies.directory.clone() }.load()
}

fn archive(config: &Config) -> Result<Archive, Exit> {
    Archive::open(&config.ledger).map_err(|error| failed(&error))
}

fn invalid(error: &dyn std::error::Error) -> Exit {
    complain(error);
    Exit::Invalid
}

/// Something that was written in another way than it is read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

fn wrong(problem: impl Into<String>) -> Exit {
    invalid(&Wrong(problem.into()))
}

/// The hash of what is handed out or announced, in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What people are named by at the command line.
const PERSON: &str = "a person is a telephone number such as `+1 404 555 0123`, `name:` with another name, or `-` for \
     one of these on standard input";

/// Reads whom a command is about.
pub(super) fn person(text: &str) -> Result<Who, Exit> {
    if text == "-" {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|error| failed(&error))?;
        let line = line.trim();
        return if line == "-" { Err(wrong(PERSON)) } else { person(line) };
    }
    if let Some(name) = text.strip_prefix("name:") {
        return Ok(Who::Name(name.to_owned()));
    }
    match csv::number(text) {
        Ok(number) => Ok(Who::Number(number)),
        // The number is not repeated.
        Err(help) if text.contains(|c: char| c.is_ascii_digit()) => Err(wrong(help)),
        Err(_) => Err(wrong(PERSON)),
    }
}

/// Reads a moment.
fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse::<Timestamp>()
        .map_err(|_| "write 2026-11-03T09:15:00Z or 2026-11-03T10:15:00+01:00".to_owned())
}

/// Yes or no, where nothing means that nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Answer {
    Yes,
    No,
}

impl Answer {
    fn is_yes(self) -> bool {
        self == Self::Yes
    }
}
