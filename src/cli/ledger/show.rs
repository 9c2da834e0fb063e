//! `noticegate ledger show`: one entry with what belongs to it.

use uuid::Uuid;

use super::query::as_json;
use super::{ask, load, open};
use crate::cli::{ConfigPath, Exit, Format, complain, say};
use crate::ledger::{Review, Row};

/// Show one entry with what belongs to it: by number, or by the id that an answer named
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger show 42\n  \
noticegate ledger show 019db0e2-7c11-7a3e-9c0e-2f6d5b3f1a77")]
pub(super) struct Show {
    #[command(flatten)]
    path: ConfigPath,
    /// Number or id
    entry: String,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Show {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let mut review = open(&config)?;
        let row = find(&mut review, &self.entry)?;
        if self.format == Format::Json {
            say(as_json(&row));
            return Ok(Exit::Done);
        }
        say(format_args!("entry {}", row.seq));
        say(serde_json::to_string_pretty(&row.entry).unwrap_or_default());
        if let Some(outcome) = &row.outcome {
            say("its outcome:");
            say(serde_json::to_string_pretty(outcome).unwrap_or_default());
        }
        if let Some(opened) = &row.opened {
            say("beside it, sealed and erasable:");
            say(serde_json::to_string_pretty(opened).unwrap_or_default());
        }
        Ok(Exit::Done)
    }
}

/// An entry by its number or id.
pub(in crate::cli) fn find(review: &mut Review, entry: &str) -> Result<Row, Exit> {
    let row = match (entry.parse::<u64>(), entry.parse::<Uuid>()) {
        (Ok(seq), _) => ask(review.rows(&[seq]))?.pop(),
        (_, Ok(id)) => ask(review.named(id))?,
        _ => None,
    };
    row.ok_or_else(|| {
        complain(&NoSuchEntry(entry.to_owned()));
        Exit::Failed
    })
}

#[derive(Debug, thiserror::Error)]
#[error("there is no entry `{0}`; name one by its number or by its id")]
struct NoSuchEntry(String);
