//! `noticegate ledger review`, `prune`, `rebuild` and `migrate`: keeping the ledger.

use jiff::SignedDuration;

use super::{actor, bar, failed, load};
use crate::cli::{ConfigPath, Exit, say};
use crate::clock::Clock;
use crate::ledger::{self, Clerk};

/// Record that entries were looked at, and what was found
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate ledger review 41 42 --verdict appropriate --note 'CASE-1234 was open'")]
pub(super) struct Review {
    #[command(flatten)]
    path: ConfigPath,
    /// The entries, by number
    #[arg(required = true, value_name = "ENTRY")]
    entries: Vec<u64>,
    /// What was found
    #[arg(long, value_enum)]
    verdict: Verdict,
    /// A note; it is sealed, and only committed to in the entry
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who looked; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// What a review finds.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Verdict {
    Appropriate,
    NeedsExplanation,
    Inappropriate,
    Escalate,
}

impl From<Verdict> for ledger::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Appropriate => Self::Appropriate,
            Verdict::NeedsExplanation => Self::NeedsExplanation,
            Verdict::Inappropriate => Self::Inappropriate,
            Verdict::Escalate => Self::Escalate,
        }
    }
}

impl Review {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let clerk = Clerk::open(&config.ledger, Clock::system(), actor(self.by.as_ref()));
        let mut clerk = clerk.map_err(|error| failed(&error))?;
        let place = clerk.reviewed(&self.entries, self.verdict.into(), self.note.as_deref());
        let place = place.map_err(|error| failed(&error))?;
        say(format_args!("On record as entry {place}."));
        Ok(Exit::Done)
    }
}

/// Drop entries that are older than `ledger.keep_days`; their hashes stay, so that all proofs hold
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger prune\n  noticegate ledger prune --reason 'retention, six years' --yes\n\n\
Without --yes it only tells what would be dropped. Whole tiles of 256 entries go, and only those \n\
that a signed checkpoint covers.")]
pub(super) struct Prune {
    #[command(flatten)]
    path: ConfigPath,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "retention")]
    reason: String,
    /// Who does it; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Do it
    #[arg(long)]
    yes: bool,
}

impl Prune {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let clock = Clock::system();
        let days = i64::try_from(config.ledger.keep_days.get()).unwrap_or(i64::MAX / 24);
        let kept = SignedDuration::from_hours(days.saturating_mul(24));
        let older_than = clock.now().checked_sub(kept).unwrap_or(jiff::Timestamp::MIN);
        let clerk = Clerk::open(&config.ledger, clock, actor(self.by.as_ref()));
        let mut clerk = clerk.map_err(|error| failed(&error))?;
        let prunable = clerk.prunable(older_than).map_err(|error| failed(&error))?;
        let count = prunable.before - prunable.first;
        let day = older_than.strftime("%F");
        if count == 0 {
            say(format_args!("No whole tile of 256 entries is from before {day}."));
            return Ok(Exit::Done);
        }
        if !self.yes {
            say(format_args!(
                "{count} entries, {} to {}, are from before {day}. Add --yes to drop them.",
                prunable.first,
                prunable.before - 1
            ));
            return Ok(Exit::Done);
        }
        let place = clerk.prune(prunable, &self.reason).map_err(|error| failed(&error))?;
        say(format_args!("Dropped {count} entries; on record as entry {place}."));
        Ok(Exit::Done)
    }
}

/// Make the search index anew from the entries
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate ledger rebuild\n\n\
The gate that uses the same folder must not run. Nothing is lost: all of it is made of entries.")]
pub(super) struct Rebuild {
    #[command(flatten)]
    path: ConfigPath,
}

impl Rebuild {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let bar = bar("Indexing");
        let rebuilt = ledger::rebuild(&config.ledger, |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let entries = rebuilt.map_err(|error| failed(&error))?;
        say(format_args!("The search index holds {entries} entries."));
        Ok(Exit::Done)
    }
}

/// Bring the ledger's tables to this version; `serve` does it too, if it may
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate ledger migrate --config /etc/noticegate/owner.toml\n\n\
For PostgreSQL, run it with a role that may make tables; gates then need only the role\n\
`noticegate_gate` (see docs/OPERATIONS.md).")]
pub(super) struct Migrate {
    #[command(flatten)]
    path: ConfigPath,
}

impl Migrate {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let (name, applied) = ledger::migrate(&config.ledger).map_err(|error| failed(&error))?;
        for script in applied {
            say(format_args!("Applied: {script}"));
        }
        say(format_args!("The tables of {name} are of this version."));
        Ok(Exit::Done)
    }
}
