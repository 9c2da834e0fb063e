//! `noticegate case`: complaints, disputes and claims, from which some periods count.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Common, Writing, archive, failed, load, moment, told_human, told_json, wrong};
use crate::cli::{Exit, Format, say};
use crate::clock::Clock;
use crate::facts::{Case as Record, Key, Said, Statement};
use crate::media::MediaSid;

/// Open, close and show complaints, disputes and claims about calls
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  noticegate case open C-2026-114 --about CA0123456789abcdef0123456789abcdef\n  noticegate case show C-2026-114"
)]
pub(in crate::cli) struct Case {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Open(Open),
    Close(Close),
    Show(Show),
}

impl Case {
    pub(in crate::cli) fn run(&self) -> Exit {
        let done = match &self.command {
            Command::Open(command) => command.run(),
            Command::Close(command) => command.run(),
            Command::Show(command) => command.run(),
        };
        match done {
            Ok(exit) | Err(exit) => exit,
        }
    }
}

/// Open a case about calls
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate case open C-2026-114 --about CA0123456789abcdef0123456789abcdef")]
struct Open {
    #[command(flatten)]
    writing: Writing,
    /// The name of the case; write no name of a person
    case: String,
    /// The call or recording; may be repeated
    #[arg(long, value_name = "SID", required = true)]
    about: Vec<MediaSid>,
    /// When; now, if it is left out
    #[arg(long, value_parser = moment, value_name = "TIME")]
    at: Option<Timestamp>,
}

impl Open {
    fn run(&self) -> Result<Exit, Exit> {
        let at = self.at.unwrap_or_else(|| Clock::system().now());
        let statement = said(&self.case, self.about.clone(), at, true);
        self.writing.state(&self.writing.config()?, &[statement])
    }
}

fn said(id: &str, about: Vec<MediaSid>, at: Timestamp, open: bool) -> Statement {
    let said = Said::Case(Record { at, id: id.to_owned(), open });
    Statement { about, line: None, participant: None, said }
}

/// Close a case, for every call it is about
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate case close C-2026-114 --at 2026-11-03T09:15:00Z\n\n\
Periods that count from the end of a case count from then.")]
struct Close {
    #[command(flatten)]
    writing: Writing,
    /// The name of the case
    case: String,
    /// When; now, if it is left out
    #[arg(long, value_parser = moment, value_name = "TIME")]
    at: Option<Timestamp>,
}

impl Close {
    fn run(&self) -> Result<Exit, Exit> {
        let config = self.writing.config()?;
        let told = archive(&config)?.statements(&[Key::Case(self.case.clone())]);
        let told = told.map_err(|error| failed(&error))?;
        let about: BTreeSet<MediaSid> =
            told.into_iter().flat_map(|told| told.recorded.statement.about).collect();
        if about.is_empty() {
            return Err(wrong(format!("there is no case `{}`", self.case)));
        }
        let at = self.at.unwrap_or_else(|| Clock::system().now());
        let about: Vec<MediaSid> = about.into_iter().collect();
        // LIMIT: a statement is about 200 calls at most.
        let each = about.chunks(200).map(|about| said(&self.case, about.to_vec(), at, false));
        self.writing.state(&config, &each.collect::<Vec<_>>())
    }
}

/// Show what was stated of a case
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate case show C-2026-114")]
struct Show {
    #[command(flatten)]
    common: Common,
    /// The name of the case
    case: String,
}

impl Show {
    fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.common.path)?;
        let told = archive(&config)?.statements(&[Key::Case(self.case.clone())]);
        let told = told.map_err(|error| failed(&error))?;
        for told in &told {
            match self.common.format {
                Format::Human => say(told_human(told, false)),
                Format::Json => say(told_json(told, false)),
            }
        }
        if told.is_empty() && self.common.format == Format::Human {
            say(format_args!("There is no case `{}`.", self.case));
        }
        Ok(if told.is_empty() { Exit::Failed } else { Exit::Done })
    }
}
