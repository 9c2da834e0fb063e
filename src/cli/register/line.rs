//! `noticegate line`: what everybody hears who calls one of the organisation's lines.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Common, Writing, archive, failed, load, moment, sha256, told_human, told_json, wrong};
use crate::cli::{Exit, Format, say};
use crate::facts::{Announcement, Key, Said, Statement};
use crate::purpose::Purpose;

/// Record what everybody hears who calls a line, and show it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate line show support")]
pub(in crate::cli) struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Announce(Announce),
    Show(Show),
}

impl Line {
    pub(in crate::cli) fn run(&self) -> Exit {
        let done = match &self.command {
            Command::Announce(command) => command.run(),
            Command::Show(command) => command.run(),
        };
        match done {
            Ok(exit) | Err(exit) => exit,
        }
    }
}

/// Assert that since a day every caller of a line hears an announcement
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate line announce support greeting-3 --text greeting-3.txt \\\n    \
--since 2026-11-01T00:00:00Z --consents --agents-agreed\n  \
noticegate line announce support greeting-3 --text greeting-3.txt \\\n    \
--since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z\n\n\
The text is in the entry with its SHA-256. What is said once more of the same announcement replaces\n\
what was said of it before.")]
struct Announce {
    #[command(flatten)]
    writing: Writing,
    /// The line, by the vocabulary's id
    line: String,
    /// The name of the announcement
    announcement: String,
    /// The file with its words, UTF-8
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Calls that start from this time on hear it
    #[arg(long, value_parser = moment, value_name = "TIME")]
    since: Timestamp,
    /// Calls that start from this time on do not hear it any more
    #[arg(long, value_parser = moment, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Who stays on the line after it consents, because it says so
    #[arg(long)]
    consents: bool,
    /// Those who answer the line agreed by their contracts
    #[arg(long)]
    agents_agreed: bool,
    /// For what staying on is consent; may be repeated; for everything, if it is left out
    #[arg(long = "purpose", value_name = "PURPOSE", requires = "consents")]
    purposes: Vec<Purpose>,
}

impl Announce {
    fn run(&self) -> Result<Exit, Exit> {
        let text = std::fs::read_to_string(&self.text).map_err(|error| {
            wrong(format!("cannot read `{}` as UTF-8: {error}", self.text.display()))
        })?;
        let text = text.trim().to_owned();
        let said = Said::Announcement(Announcement {
            agents_agreed: self.agents_agreed,
            consents: self.consents,
            id: self.announcement.clone(),
            purposes: self.purposes.clone(),
            sha256: Some(sha256(text.as_bytes())),
            since: self.since,
            text,
            until: self.until,
        });
        let line = Some(self.line.clone());
        let statement = Statement { about: Vec::new(), line, participant: None, said };
        self.writing.state(&self.writing.config()?, &[statement])
    }
}

/// Show what was asserted of a line
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate line show support --format json")]
struct Show {
    #[command(flatten)]
    common: Common,
    /// The line, by the vocabulary's id
    line: String,
}

impl Show {
    fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.common.path)?;
        let told = archive(&config)?.statements(&[Key::Line(self.line.clone())]);
        let told = told.map_err(|error| failed(&error))?;
        for told in &told {
            match self.common.format {
                Format::Human => say(told_human(told, false)),
                Format::Json => say(told_json(told, false)),
            }
        }
        if told.is_empty() && self.common.format == Format::Human {
            say("Nothing was asserted of this line.");
        }
        Ok(Exit::Done)
    }
}
