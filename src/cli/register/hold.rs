//! `noticegate hold`: legal holds, which stop deletion and not the limits on use.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Common, Showing, Writing, archive, failed, load, person, told_human, told_json, wrong,
};
use crate::cli::{Exit, Format, say};
use crate::config::Config;
use crate::facts::{Hold as Record, Key, Said, Statement, Who};
use crate::ledger::Told;
use crate::media::MediaSid;
use crate::purpose::Purpose;

/// Place, lift, list and show legal holds
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  noticegate hold list\n  noticegate hold lift H-7 --reason 'settled on 20 November'"
)]
pub(in crate::cli) struct Hold {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Place(Place),
    Lift(Lift),
    List(List),
    Show(Show),
}

impl Hold {
    pub(in crate::cli) fn run(&self) -> Exit {
        let done = match &self.command {
            Command::Place(command) => command.run(),
            Command::Lift(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Show(command) => command.run(),
        };
        match done {
            Ok(exit) | Err(exit) => exit,
        }
    }
}

/// Place a hold on calls, on recordings, or on all calls of a person
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate hold place H-7 --case C-2026-114 --reason 'claim announced on 3 November' \\\n    \
--about CA0123456789abcdef0123456789abcdef\n  \
noticegate hold place H-8 --case C-2026-115 --reason 'court order 7 O 12/26' \\\n    \
--person '+1 404 555 0123' --for 'okta|00u1' --purpose legal-claims\n\n\
What is held is not deleted. Only those named with --for may use it after its time, for the purposes\n\
named, if the guardrails let them. The reason is sealed under your name.")]
struct Place {
    #[command(flatten)]
    writing: Writing,
    /// The name of the hold; write no name of a person
    hold: String,
    /// The case it serves
    #[arg(long)]
    case: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    on: On,
    /// A caller who may use what is held after its time, by their id; may be repeated
    #[arg(long = "for", value_name = "CALLER", requires = "purposes")]
    people: Vec<String>,
    /// For what they may; may be repeated
    #[arg(long = "purpose", value_name = "PURPOSE", requires = "people", id = "purposes")]
    purposes: Vec<Purpose>,
}

/// On what.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct On {
    /// The call or recording; may be repeated
    #[arg(long, value_name = "SID")]
    about: Vec<MediaSid>,
    /// All calls of this person: a telephone number, `name:` with another name, or `-`
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
}

impl Place {
    fn run(&self) -> Result<Exit, Exit> {
        let participant = self.on.person.as_deref().map(person).transpose()?;
        let said = Said::Hold(Record {
            case: self.case.clone(),
            id: self.hold.clone(),
            lifted: false,
            people: self.people.clone(),
            purposes: self.purposes.clone(),
            reason: self.reason.clone(),
        });
        let statement = Statement { about: self.on.about.clone(), line: None, participant, said };
        self.writing.state(&self.writing.config()?, &[statement])
    }
}

/// Lift a hold from everything it lies on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate hold lift H-7 --reason 'settled on 20 November'")]
struct Lift {
    #[command(flatten)]
    writing: Writing,
    /// The name of the hold
    hold: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Lift {
    fn run(&self) -> Result<Exit, Exit> {
        let config = self.writing.config()?;
        let told = of_hold(&config, &self.hold)?;
        let mut lost = 0;
        let standing = standing(&told);
        let lifted = standing.into_iter().filter_map(|(told, hold)| {
            let Statement { about, participant, .. } = &told.recorded.statement;
            // Of an erased person's calls nobody knows which they are.
            if about.is_empty() && participant.is_none() {
                lost += 1;
                return None;
            }
            let said = Said::Hold(Record {
                lifted: true,
                people: Vec::new(),
                purposes: Vec::new(),
                reason: self.reason.clone(),
                ..hold.clone()
            });
            let (about, participant) = (about.clone(), participant.clone());
            Some(Statement { about, line: None, participant, said })
        });
        let lifted: Vec<Statement> = lifted.collect();
        match (lifted.is_empty(), lost) {
            (true, 0) => Err(wrong(format!("no hold `{}` stands", self.hold))),
            (true, _) => Err(wrong(format!(
                "hold `{}` lies on somebody who was erased, whose calls nobody knows",
                self.hold
            ))),
            (false, _) => self.writing.state(&config, &lifted),
        }
    }
}

fn of_hold(config: &Config, id: &str) -> Result<Vec<Told>, Exit> {
    let told = archive(config)?.statements(&[Key::Hold(id.to_owned())]);
    told.map_err(|error| failed(&error))
}

/// What a hold lies on: the last word on each thing that was said together.
fn standing(told: &[Told]) -> Vec<(&Told, &Record)> {
    type On<'a> = (&'a str, &'a [MediaSid], Option<&'a Who>, Option<u64>);
    let mut last: BTreeMap<On<'_>, (&Told, &Record)> = BTreeMap::new();
    for told in told {
        let Statement { about, participant, said, .. } = &told.recorded.statement;
        if let Said::Hold(hold) = said {
            // Those of erased people are each somebody's own.
            let own = told.recorded.erased.then_some(told.recorded.seq);
            last.insert((&hold.id, about, participant.as_ref(), own), (told, hold));
        }
    }
    last.into_values().filter(|(_, hold)| !hold.lifted).collect()
}

/// List the holds that stand
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  noticegate hold list\n  noticegate hold list --format json")]
struct List {
    #[command(flatten)]
    common: Common,
}

impl List {
    fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.common.path)?;
        let told = archive(&config)?.all("hold:", |_| {}).map_err(|error| failed(&error))?;
        // By its name: the case, since when, how many calls and people it lies on.
        let mut holds: BTreeMap<&str, (&str, jiff::Timestamp, usize, usize)> = BTreeMap::new();
        for (told, hold) in standing(&told) {
            let entry = holds.entry(&hold.id).or_insert((&hold.case, told.at, 0, 0));
            entry.1 = entry.1.min(told.at);
            entry.2 += told.recorded.statement.about.len();
            entry.3 += usize::from(told.recorded.statement.participant.is_some());
        }
        if holds.is_empty() && self.common.format == Format::Human {
            say("No hold stands.");
        }
        for (id, (case, since, calls, people)) in holds {
            match self.common.format {
                Format::Human => say(format_args!(
                    "{id}: for case {case} since {}, on {calls} calls or recordings and {people} people",
                    since.strftime("%FT%TZ")
                )),
                Format::Json => say(json!({
                    "hold": id, "case": case, "since": since, "calls": calls, "people": people,
                })),
            }
        }
        Ok(Exit::Done)
    }
}

/// Show everything that was stated of a hold
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate hold show H-7")]
struct Show {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    showing: Showing,
    /// The name of the hold
    hold: String,
}

impl Show {
    fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.common.path)?;
        let told = of_hold(&config, &self.hold)?;
        for told in &told {
            match self.common.format {
                Format::Human => say(told_human(told, self.showing.show_numbers)),
                Format::Json => say(told_json(told, self.showing.show_numbers)),
            }
        }
        if told.is_empty() && self.common.format == Format::Human {
            say(format_args!("There is no hold `{}`.", self.hold));
        }
        Ok(if told.is_empty() { Exit::Failed } else { Exit::Done })
    }
}
