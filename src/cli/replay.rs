//! `noticegate replay`: what a draft of the policies would have decided.

use serde_json::json;

use super::ledger::query::Selection;
use super::ledger::{ask, bar, load, open};
use super::policies::PolicyFolder;
use super::{ConfigPath, Exit, Format, say};
use crate::ledger::{Replayed, Shift, replay};

/// Make past decisions again by a draft of the policies, and tell what would change
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate replay --policies draft --since 30d\n  \
noticegate replay --policies draft --since 2026-01-01 --purpose staff-training --format json\n\n\
Each decision is made as at its own time, from the facts in its entry.\n\n\
Exit status: 0 nothing would change, 2 something would, 3 invalid input")]
pub(super) struct Replay {
    #[command(flatten)]
    path: ConfigPath,
    #[command(flatten)]
    draft: PolicyFolder,
    #[command(flatten)]
    what: Box<Selection>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Replay {
    pub(super) fn run(&self) -> Exit {
        match self.replay() {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn replay(&self) -> Result<Exit, Exit> {
        let policies = self.draft.load()?;
        let config = load(&self.path)?;
        let mut review = open(&config)?;
        let replayed = match self.what.query(&mut review)? {
            Some(query) => {
                let bar = bar("Deciding");
                bar.set_length(ask(review.index().count(&query).map_err(Into::into))?);
                let done = replay(&mut review, &query, &policies, |done| bar.set_position(done));
                bar.finish_and_clear();
                ask(done)?
            }
            None => Replayed::default(),
        };
        match self.format {
            Format::Human => human(&replayed),
            Format::Json => as_json(&replayed),
        }
        Ok(if replayed.groups.is_empty() { Exit::Done } else { Exit::Refused })
    }
}

fn human(replayed: &Replayed) {
    let Replayed { decisions, same, undecided, groups, examples } = replayed;
    say(format_args!("{decisions} decisions made again, {same} are the same."));
    if *undecided > 0 {
        say(format_args!(
            "{undecided} refusals had no proven caller or no facts, and stay refused."
        ));
    }
    for (shift, title) in
        [(Shift::Lost, "Would be refused:"), (Shift::Gained, "Would be permitted:")]
    {
        let of_shift: Vec<_> = groups.iter().filter(|(group, _)| group.shift == shift).collect();
        if of_shift.is_empty() {
            continue;
        }
        say("");
        say(title);
        say(format_args!("{:>8}  {:<32} {:<28} by", "how many", "roles", "purpose"));
        for (group, count) in of_shift {
            let purpose = if group.purpose.is_empty() { "-" } else { &group.purpose };
            say(format_args!("{count:>8}  {:<32} {purpose:<28} {}", group.roles, group.by));
        }
        let places: Vec<String> =
            examples.get(&shift).into_iter().flatten().map(ToString::to_string).collect();
        if let Some((first, others)) = places.split_first() {
            let also = match others {
                [] => String::new(),
                others => format!("   (also {})", others.join(", ")),
            };
            say(format_args!("for example: noticegate explain {first}{also}"));
        }
    }
}

fn as_json(replayed: &Replayed) {
    let word = |shift| match shift {
        Shift::Lost => "lost",
        Shift::Gained => "gained",
    };
    let groups: Vec<_> = replayed
        .groups
        .iter()
        .map(|(group, count)| {
            json!({
                "shift": word(group.shift),
                "by": group.by,
                "roles": group.roles,
                "purpose": group.purpose,
                "count": count,
            })
        })
        .collect();
    let examples: serde_json::Map<_, _> = replayed
        .examples
        .iter()
        .map(|(shift, places)| (word(*shift).to_owned(), json!(places)))
        .collect();
    say(json!({
        "decisions": replayed.decisions,
        "same": replayed.same,
        "undecided": replayed.undecided,
        "groups": groups,
        "examples": examples,
    }));
}
