//! `noticegate share`: makes links that give recordings to others, tells of them, and ends them.

mod create;

use std::collections::HashSet;

use serde_json::{Value, json};

use create::Create;

use super::ledger::{actor, failed, load};
use super::{ConfigPath, Exit, Format, complain, say};
use crate::clock::Clock;
use crate::ledger::{Clerk, ShareKey};
use crate::policy::{Policies, PolicySources, Question, Verdict};
use crate::share::{self, EndReason, ShareId};

/// Give recordings to others by links, and take them back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate share create RE0123456789abcdef0123456789abcdef --role privacy-officer \\\n    \
--recipient data-subject --country GB --purpose rights-request --identity-check 'passport seen'\n  \
noticegate share list\n  noticegate share revoke 019aa000-0000-7000-8000-000000000001 --reason 'sent by mistake'")]
pub(super) struct Share {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Create(Box<Create>),
    List(List),
    Show(Show),
    Revoke(Revoke),
}

impl Share {
    pub(super) fn run(&self) -> Exit {
        let done = match &self.command {
            What::Create(command) => command.run(),
            What::List(command) => command.run(),
            What::Show(command) => command.run(),
            What::Revoke(command) => command.run(),
        };
        match done {
            Ok(exit) | Err(exit) => exit,
        }
    }
}

/// Tell which links are out, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate share list\n  noticegate share list --all --format json\n  \
noticegate share list --review-due     # emergencies that nobody has looked at in time")]
struct List {
    #[command(flatten)]
    path: ConfigPath,
    /// Those that give nothing any more, too
    #[arg(long)]
    all: bool,
    /// Only those of this maker
    #[arg(long, value_name = "ID")]
    made_by: Option<String>,
    /// Only those that somebody had to look at by now
    #[arg(long)]
    review_due: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl List {
    fn run(&self) -> Result<Exit, Exit> {
        let now = Clock::system().now();
        let mut clerk = open(&self.path)?;
        let key = self.made_by.as_deref().map_or(ShareKey::All, ShareKey::Maker);
        let (shares, _) = clerk.shares(key).map_err(|error| failed(&error))?;
        let shown = shares.iter().filter(|share| {
            let is_due = share.terms.review_due.is_some_and(|due| due <= now);
            (self.all || self.review_due || share.word(now) == "live")
                && (is_due || !self.review_due)
        });
        for share in shown {
            let told = share.tell(now);
            match self.format {
                Format::Json => say(told),
                Format::Human => say(line(&told)),
            }
        }
        Ok(Exit::Done)
    }
}

/// Tell everything about one link but the link itself
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate share show 019aa000-0000-7000-8000-000000000001\n\n\
Its uses are found by: noticegate ledger query --field share=019aa000-...")]
struct Show {
    #[command(flatten)]
    path: ConfigPath,
    /// The share
    id: ShareId,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Show {
    fn run(&self) -> Result<Exit, Exit> {
        let told = find(&mut open(&self.path)?, self.id)?.tell(Clock::system().now());
        match self.format {
            Format::Json => say(told),
            Format::Human => say(human(&told)),
        }
        Ok(Exit::Done)
    }
}

/// Take a link back; streams that run by it are cut within a second
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate share revoke 019aa000-0000-7000-8000-000000000001 --reason 'sent by mistake'")]
struct Revoke {
    #[command(flatten)]
    path: ConfigPath,
    /// The share; may be repeated
    #[arg(required = true)]
    ids: Vec<ShareId>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who does it; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Revoke {
    fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let by = actor(self.by.as_ref());
        let clerk = Clerk::open(&config.ledger, Clock::system(), by);
        let mut clerk = clerk.map_err(|error| failed(&error))?;
        for id in self.ids.iter().collect::<HashSet<_>>() {
            let share = find(&mut clerk, *id)?;
            if share.end.is_some() {
                say(format_args!("{id} has ended before"));
                continue;
            }
            let ended = clerk.end_share(&share, EndReason::Revoked, self.reason.as_deref());
            let place = ended.map_err(|error| failed(&error))?;
            say(format_args!("{id} gives nothing any more (entry {place})"));
        }
        Ok(Exit::Done)
    }
}

/// Tells which shares that are out a policy folder would stop; returns how many.
pub(super) fn stopped_by(
    sources: &PolicySources,
    path: &ConfigPath,
    format: Format,
) -> Result<usize, Exit> {
    // What is wrong with the folder has been told.
    let Ok(policies) = Policies::load(sources) else { return Ok(0) };
    let now = Clock::system().now();
    let (shares, _) = open(path)?.shares(ShareKey::All).map_err(|error| failed(&error))?;
    let mut stopped = 0;
    for share in shares.iter().filter(|share| share.word(now) == "live") {
        let question = Question { now, ..share.question.clone() };
        let Verdict::Refuse(refusal) = policies.decide(question) else { continue };
        stopped += 1;
        match format {
            Format::Json => say(json!({"share": share.tell(now), "stopped": refusal.code(),
                "why": refusal.to_string()})),
            Format::Human => {
                say(format_args!("share would stop: {}\n  {refusal}", line(&share.tell(now))));
            }
        }
    }
    Ok(stopped)
}

fn open(path: &ConfigPath) -> Result<Clerk, Exit> {
    let config = load(path)?;
    let clerk = Clerk::open(&config.ledger, Clock::system(), actor(None));
    clerk.map_err(|error| failed(&error))
}

fn find(clerk: &mut Clerk, id: ShareId) -> Result<share::Share, Exit> {
    let (found, _) = clerk.shares(ShareKey::Id(id)).map_err(|error| failed(&error))?;
    found.into_iter().next().ok_or_else(|| invalid("there is no such share"))
}

/// A share in one line.
fn line(told: &Value) -> String {
    let text = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let number = |key: &str| told.get(key).and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{}  {:<8}  {}  to {} for {}, by {}, until {}, {} of {} uses left",
        text("/id"),
        text("/state"),
        text("/recording"),
        text("/recipient/class"),
        text("/purpose"),
        text("/made_by"),
        text("/expires_at"),
        number("uses_left"),
        number("uses"),
    )
}

/// A share, a key a line.
fn human(told: &Value) -> String {
    let mut lines = Vec::new();
    for (key, value) in told.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Object(map) => {
                let pairs = map.iter().map(|(key, value)| match value.as_str() {
                    Some(text) => format!("{key} {text}"),
                    None => format!("{key} {value}"),
                });
                pairs.collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        lines.push(format!("{:<16}{value}", key.replace('_', " ")));
    }
    lines.join("\n")
}

/// A sentence as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told<'a>(&'a str);

fn invalid(problem: &str) -> Exit {
    complain(&Told(problem));
    Exit::Invalid
}
