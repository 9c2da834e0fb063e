//! Importing a table of statements: checked as a whole, and on record as a whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

use serde_json::json;

use super::{Writing, archive, policies};
use crate::cli::ledger::{bar, failed};
use crate::cli::policies::count;
use crate::cli::{Exit, Format, say};
use crate::clock::Clock;
use crate::facts::csv::{self, Kind, LineProblem};
use crate::facts::{Key, Said, Statement, Who};
use crate::ledger::Stated;

/// Which rows a table may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables {
    /// The first is what a row says that does not say what it is.
    pub(super) kinds: &'static [Kind],
}

impl Tables {
    /// Of people.
    pub(super) const CONSENTS: Self = Self { kinds: &[Kind::Consent, Kind::Objection] };
    /// Of calls.
    pub(super) const CALLS: Self =
        Self { kinds: &[Kind::Labels, Kind::Payment, Kind::Party, Kind::Case, Kind::Hold] };
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    #[command(flatten)]
    writing: Writing,
    /// The table, CSV in UTF-8; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check and report, and record nothing
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) fn run(&self, tables: Tables) -> Result<Exit, Exit> {
        let config = self.writing.config()?;
        let policies = policies(&config)?;
        let text = self.text()?;
        let now = Clock::system().now();
        let check = |statement: &Statement| statement.check(policies.vocabulary(), now);
        let lines = match csv::read(&text, tables.kinds, check) {
            Ok(lines) => lines,
            Err(problems) => return Ok(self.report(&problems)),
        };
        let statements: Vec<Statement> = lines.into_iter().map(|line| line.statement).collect();
        let bar = bar("Comparing");
        bar.set_length(statements.len() as u64);
        let each = |compared: u64| {
            bar.set_position(compared);
            // What is left is one transaction, of which nobody knows how far it is.
            if compared == statements.len() as u64 {
                bar.set_prefix("Recording");
            }
        };
        let stated = match self.dry_run {
            true => {
                let new = archive(&config)?.unknown(&statements, each);
                let new = new.map_err(|error| failed(&error))?;
                Stated { first: None, new: new.len() as u64 }
            }
            false => {
                let mut clerk = self.writing.clerk(&config)?;
                clerk.state_unknown(&statements, each).map_err(|error| failed(&error))?
            }
        };
        bar.finish_and_clear();
        self.summary(&statements, stated);
        Ok(Exit::Done)
    }

    /// LIMIT: one byte more than a table may have is enough to refuse it.
    fn text(&self) -> Result<Vec<u8>, Exit> {
        let limit = csv::BYTES_MAX as u64 + 1;
        let mut text = Vec::new();
        let read = match self.file.as_os_str() == "-" {
            true => std::io::stdin().lock().take(limit).read_to_end(&mut text),
            false => std::fs::File::open(&self.file)
                .and_then(|file| file.take(limit).read_to_end(&mut text)),
        };
        match read {
            Ok(_) => Ok(text),
            Err(source) => Err(super::invalid(&Unreadable { path: self.file.clone(), source })),
        }
    }

    fn report(&self, problems: &[LineProblem]) -> Exit {
        for problem in problems {
            match self.writing.common.format {
                Format::Human => say(problem),
                Format::Json => say(serde_json::to_string(problem).unwrap_or_default()),
            }
        }
        let lines: BTreeSet<u64> = problems.iter().map(|problem| problem.line).collect();
        match self.writing.common.format {
            Format::Human => say(format_args!(
                "{} in {}; nothing was imported.",
                count(problems.len(), "problem"),
                count(lines.len(), "line")
            )),
            Format::Json => say(json!({ "summary": {
                "problems": problems.len(), "lines": lines.len(), "new": 0,
            }})),
        }
        Exit::Invalid
    }

    fn summary(&self, statements: &[Statement], stated: Stated) {
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        let mut people: BTreeSet<&Who> = BTreeSet::new();
        let mut calls: BTreeSet<String> = BTreeSet::new();
        for statement in statements {
            let kind = match &statement.said {
                Said::Consent(record) => format!("consent {}", record.state.as_str()),
                _ => statement.kind().to_owned(),
            };
            *kinds.entry(kind).or_default() += 1;
            people.extend(&statement.participant);
            let about = statement.keys().into_iter().filter_map(|key| match key {
                Key::Media(sid) => Some(sid.to_string()),
                _ => None,
            });
            calls.extend(about);
        }
        let Stated { first, new } = stated;
        let known = (statements.len() as u64).saturating_sub(new);
        if self.writing.common.format == Format::Json {
            return say(json!({ "summary": {
                "rows": statements.len(),
                "kinds": kinds,
                "people": people.len(),
                "calls": calls.len(),
                "new": new,
                "known": known,
                "entry": first,
                "dry_run": self.dry_run,
            }}));
        }
        let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        say(format_args!(
            "{}: {}; {}, {}.",
            count(statements.len(), "row"),
            if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") },
            number(people.len(), "person", "people"),
            number(calls.len(), "call or recording", "calls or recordings"),
        ));
        let fate = match (self.dry_run, first) {
            (true, _) => format!("{new} would be recorded; leave --dry-run away to do it."),
            (false, Some(first)) => {
                let last = first.saturating_add(new).saturating_sub(1);
                format!("{new} recorded, as entries {first} to {last}.")
            }
            (false, None) => "Nothing was recorded.".to_owned(),
        };
        say(format_args!("{known} were on record already. {fate}"));
    }
}

fn number(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`", path.display())]
struct Unreadable {
    path: PathBuf,
    source: std::io::Error,
}
