//! `noticegate ledger tail`: the last entries, and those to come.

use std::time::Duration;

use super::query::as_json;
use super::{ask, load, open};
use crate::cli::{ConfigPath, Exit, Format, try_say};
use crate::ledger::{Row, line};

/// How often it is looked for new entries.
const LOOK: Duration = Duration::from_millis(200);

/// Print the last entries, oldest first, and with -f those to come
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger tail\n  noticegate ledger tail -f --format json")]
pub(super) struct Tail {
    #[command(flatten)]
    path: ConfigPath,
    /// Go on with new entries as they are written
    #[arg(short, long)]
    follow: bool,
    /// How many of those that are there
    #[arg(short = 'n', long, default_value_t = 10, value_name = "COUNT")]
    lines: u64,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Tail {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let mut review = open(&config)?;
        let mut next = ask(review.next_place())?.saturating_sub(self.lines);
        loop {
            let rows = ask(review.from(next, 1_000))?;
            if !rows.iter().all(|row| self.print(row)) {
                return Ok(Exit::Done);
            }
            match rows.last() {
                Some(last) => next = last.seq + 1,
                None if self.follow => std::thread::sleep(LOOK),
                None => return Ok(Exit::Done),
            }
        }
    }

    /// False when nobody reads any more.
    fn print(&self, row: &Row) -> bool {
        match self.format {
            Format::Human => try_say(line(row)),
            Format::Json => try_say(as_json(row)),
        }
    }
}
