//! `noticegate ledger erase`: makes what is known of a person unreadable, for good.

use super::query::unfit;
use super::{actor, failed, load};
use crate::cli::{ConfigPath, Exit, say};
use crate::clock::Clock;
use crate::ledger::{Clerk, Person, e164};

/// Make what the ledger knows of a person unreadable, for good; entries and proofs stay whole
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger erase --number '+1 404 555 0123' --reason 'request 2026-114' --yes\n  \
noticegate ledger erase --caller 'okta|00u1' --reason 'left, six years ago' --yes\n  \
noticegate ledger erase --entry 41 --entry 42 --reason 'court order 7 O 12/26' --yes\n\n\
The person's key is destroyed: what is sealed under it opens nowhere any more, also not in copies of\n\
entries. Backups of the ledger itself hold the key until they expire. That it was done, by whom and\n\
why is an entry; write no name into the reason.")]
pub(super) struct Erase {
    #[command(flatten)]
    path: ConfigPath,
    #[command(flatten)]
    whom: Whom,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who does it; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Do it; without this, nothing is done
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The participant with this telephone number
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// The participant, or the recipient of shares, whom the organisation gave this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// This caller
    #[arg(long, value_name = "ID")]
    caller: Option<String>,
    /// What lies beside this entry, whoever it tells of; may be repeated
    #[arg(long = "entry", value_name = "NUMBER")]
    entries: Vec<u64>,
}

impl Erase {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let Whom { number, name, caller, .. } = &self.whom;
        let person = match (number, name, caller) {
            (Some(number), ..) => Some(Person::Number(e164(number).map_err(unfit)?)),
            (_, Some(name), _) => Some(Person::Name(name.clone())),
            (.., Some(caller)) => Some(Person::Caller(caller.clone())),
            (None, None, None) => None,
        };
        if !self.yes {
            say("This cannot be undone. Add --yes to do it.");
            return Ok(Exit::Refused);
        }
        let config = load(&self.path)?;
        let clerk = Clerk::open(&config.ledger, Clock::system(), actor(self.by.as_ref()));
        let mut clerk = clerk.map_err(|error| failed(&error))?;
        let done = match person {
            Some(person) => clerk.erase_person(&person, &self.reason),
            None => clerk.erase_entries(&self.whom.entries, &self.reason),
        };
        let place = done.map_err(|error| failed(&error))?;
        say(format_args!("Erased; on record as entry {place}."));
        Ok(Exit::Done)
    }
}
