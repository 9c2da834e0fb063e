//! `noticegate ledger subject`: the accounting of disclosures for one person.

use std::path::PathBuf;

use jiff::Timestamp;

use super::query::{check_order, e164, time};
use super::{actor, ask, failed, load, open, write_whole};
use crate::cli::policies::count;
use crate::cli::{ConfigPath, Exit, say};
use crate::clock::Clock;
use crate::ledger::{Accounting, AccountingHead, Clerk, Shape, disclosures};

/// Account for what was disclosed of one person's calls: when, what, why, under which sentence
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger subject '+1 404 555 0123'\n  \
noticegate ledger subject +14045550123 --form page --out accounting.html\n  \
noticegate ledger subject +14045550123 --full --since 2020-11-23 --form csv --out full.csv\n\n\
The copy for the person names no employee. --full has everybody's ids, as 45 CFR 164.528 asks for.\n\
Each accounting is an entry of the ledger.")]
pub(super) struct Subject {
    #[command(flatten)]
    path: ConfigPath,
    /// The telephone number of the person
    number: String,
    /// Disclosures from this time on
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Disclosures before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// With callers, roles and ranges of bytes, not only what the person is given
    #[arg(long)]
    full: bool,
    /// Tell repeated disclosures as one: the first, their number and the last
    #[arg(long, requires = "full")]
    summary: bool,
    /// text for a terminal, csv for a spreadsheet, page to print
    #[arg(long, value_enum, default_value_t)]
    form: Form,
    /// The file; standard output, if it is left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Whose recordings they are, as it stands on the page; the first of `listen.names`, if it is
    /// left out
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Who makes it; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// The forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    #[default]
    Text,
    Csv,
    Page,
}

impl Subject {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let number = e164(&self.number)?;
        let since = self.since.as_deref().map(time).transpose()?;
        let until = self.until.as_deref().map(time).transpose()?;
        check_order(since, until)?;
        let config = load(&self.path)?;
        let mut review = open(&config)?;
        let person = ask(review.person(&number))?;
        let lines = match person {
            Some(person) => ask(disclosures(&mut review, person, since, until))?,
            None => Vec::new(),
        };
        let clock = Clock::system();
        let now = clock.now();
        let made_by = actor(self.by.as_ref());
        let clerk = Clerk::open(&config.ledger, clock, made_by.clone());
        let mut clerk = clerk.map_err(|error| failed(&error))?;
        let entry = clerk.accounted(person, lines.len() as u64);
        let entry = entry.map_err(|error| failed(&error))?;
        let first = ask(review.from(0, 1))?.first().and_then(|row| {
            row.entry.get("at").and_then(|at| at.as_str()).and_then(|at| at.parse().ok())
        });
        let organisation = self.organisation.clone().or(config.listen.names.first().cloned());
        let head = AccountingHead {
            person: number,
            from: since.or(first).unwrap_or(Timestamp::UNIX_EPOCH),
            to: until.unwrap_or(now),
            made_at: now,
            made_by,
            organisation: organisation.unwrap_or_default(),
            origin: config.ledger.origin.clone(),
            entry,
            policies: ask(review.policies_in_force())?.unwrap_or_default(),
        };
        let shape = match self.full {
            true => Shape::Full { summarised: self.summary },
            false => Shape::Subject,
        };
        let accounting = Accounting::new(head, shape, lines);
        let text = match self.form {
            Form::Text => accounting.to_text(),
            Form::Page => accounting.to_html(),
            Form::Csv => match accounting.to_csv() {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => return Err(failed(&error)),
            },
        };
        match &self.out {
            Some(out) => {
                write_whole(out, &text)?;
                say(format_args!(
                    "{} in `{}`; on record as entry {entry}.",
                    count(usize::try_from(accounting.disclosures()).unwrap_or(0), "disclosure"),
                    out.display()
                ));
            }
            None => say(text.trim_end()),
        }
        Ok(Exit::Done)
    }
}
