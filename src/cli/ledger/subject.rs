//! `noticegate ledger subject`: the accounting of disclosures for one person, and what is held of them.

use std::path::PathBuf;

use jiff::Timestamp;

use super::query::unfit;
use super::{actor, ask, failed, load, open, write_whole};
use crate::cli::policies::count;
use crate::cli::register::{told_human, told_json};
use crate::cli::{ConfigPath, Exit, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::facts::{Hold, Key, Said, Who};
use crate::ledger::{
    Accounting, AccountingHead, Archive, Clerk, Shape, Told, check_order, disclosures as found,
    e164, time,
};

/// Account for what was disclosed of one person's calls, and tell what is held of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger subject '+1 404 555 0123'\n  \
noticegate ledger subject +14045550123 --form page --out accounting.html\n  \
noticegate ledger subject +14045550123 --full --since 2020-11-23 --form csv --out full.csv\n  \
noticegate ledger subject name:account-12 --form held\n\n\
The copy for the person names no employee, and of a hold only that it lies. --full has everybody's ids, as 45 CFR 164.528 asks for.\n\
Each accounting is an entry of the ledger.")]
pub(super) struct Subject {
    #[command(flatten)]
    path: ConfigPath,
    /// The telephone number of the person, or `name:` with the name that you gave them
    person: String,
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
    /// text for a terminal, page to print, csv of the disclosures for a spreadsheet; held for what is held of them alone,
    /// one JSON value a line
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
    Held,
}

impl Subject {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let who = match self.person.strip_prefix("name:") {
            Some(name) => Who::Name(name.to_owned()),
            None => Who::Number(e164(&self.person).map_err(unfit)?),
        };
        let now = Clock::system().now();
        let at = |text: &Option<String>| text.as_deref().map(|text| time(text, now)).transpose();
        let since = at(&self.since).map_err(unfit)?;
        let until = at(&self.until).map_err(unfit)?;
        check_order(since, until).map_err(unfit)?;
        let config = load(&self.path)?;
        let mut review = open(&config)?;
        // Of who has no number, no disclosure tells: calls are known by their numbers.
        let person = match &who {
            Who::Number(number) => ask(review.person(number))?,
            Who::Name(_) => None,
        };
        let held = self.held(&config, &who)?;
        let lines = match person {
            Some(person) => ask(found(&mut review, person, since, until))?,
            None => Vec::new(),
        };
        let clock = Clock::system();
        let now = clock.now();
        let made_by = actor(self.by.as_ref());
        let clerk = Clerk::open(&config.ledger, clock, made_by.clone());
        let mut clerk = clerk.map_err(|error| failed(&error))?;
        let told = if self.form == Form::Held { held.len() } else { lines.len() };
        let entry = clerk.accounted(person, told as u64);
        let entry = entry.map_err(|error| failed(&error))?;
        let first = ask(review.from(0, 1))?.first().and_then(|row| {
            row.entry.get("at").and_then(|at| at.as_str()).and_then(|at| at.parse().ok())
        });
        let organisation = self.organisation.clone().or(config.listen.names.first().cloned());
        let head = AccountingHead {
            person: match &who {
                Who::Number(number) => number.clone(),
                Who::Name(name) => name.clone(),
            },
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
        let disclosures = usize::try_from(accounting.disclosures()).unwrap_or(0);
        let text = match self.form {
            Form::Text => format!("{}\n{}", accounting.to_text(), Self::held_text(&held)),
            Form::Held => {
                let held = held.iter().filter(|told| !told.recorded.erased);
                held.map(|told| format!("{}\n", told_json(told, true))).collect()
            }
            Form::Page => accounting.holding(Self::held_lines(&held)).to_html(),
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
                    count(disclosures, "disclosure"),
                    out.display()
                ));
            }
            None => say(text.trim_end()),
        }
        Ok(Exit::Done)
    }

    /// Everything that was stated of the person, in all their calls and in single ones.
    fn held(&self, config: &Config, who: &Who) -> Result<Vec<Told>, Exit> {
        let keys = [Key::Person(who.clone()), Key::Mentioned(who.clone())];
        let told = Archive::open(&config.ledger).map_err(|error| failed(&error))?.statements(&keys);
        let mut told = told.map_err(|error| failed(&error))?;
        if !self.full {
            told.iter_mut().for_each(for_the_person);
        }
        Ok(told)
    }

    fn held_text(held: &[Told]) -> String {
        let mut text = String::from("What is held\n============\n");
        for line in Self::held_lines(held) {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn held_lines(held: &[Told]) -> Vec<String> {
        let (erased, held): (Vec<&Told>, Vec<&Told>) =
            held.iter().partition(|told| told.recorded.erased);
        let erased = (!erased.is_empty()).then(|| {
            format!(
                "{} erased: what was said is kept without a name, so that a refusal stays one.",
                count(erased.len(), "statement")
            )
        });
        let nothing =
            held.is_empty().then(|| "Nothing is held of this person beside that.".to_owned());
        let held = held.into_iter().map(|told| told_human(told, true).trim_start().to_owned());
        nothing.into_iter().chain(erased).chain(held).collect()
    }
}

/// Leaves out who put it on record, and what a hold is for.
fn for_the_person(told: &mut Told) {
    told.actor = "an employee".to_owned();
    if let Said::Hold(hold) = &mut told.recorded.statement.said {
        let not_told = || "not told".to_owned();
        *hold = Hold {
            case: not_told(),
            id: hold.id.clone(),
            lifted: hold.lifted,
            people: Vec::new(),
            purposes: Vec::new(),
            reason: not_told(),
        };
    }
}
