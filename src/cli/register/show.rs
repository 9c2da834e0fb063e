//! `noticegate consent show`: what is true now of a call, a recording or a person, and everything that
//! was ever said of it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::lookup::{Known, look_up};
use super::tell::{as_json, told_human, told_json, who};
use super::{Common, Showing, archive, failed, load, moment, person, policies};
use crate::cli::{Exit, Format, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::facts::{
    Base, Ends, Key, Numbers, Participant, Reading, Recorded, Said, Who, fold, participants,
};
use crate::ledger::Told;
use crate::media::{AccountSid, MediaSid};
use crate::policy::Policies;
use crate::purpose::Purpose;

/// Show what a person, or everybody on a call, has agreed to, and since when that is known
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate consent show RE0123456789abcdef0123456789abcdef\n  \
noticegate consent show '+1 404 555 0123'\n  noticegate consent show name:account-12 --format json\n  \
noticegate consent show RE0123456789abcdef0123456789abcdef --as-of 2026-11-03T09:15:00Z\n\n\
Of a call or recording, Twilio is asked who was on it and when; --stated leaves that out. --as-of tells\n\
what was known at that time.")]
pub(super) struct Show {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    showing: Showing,
    /// A recording or call by its SID, a telephone number, `name:` with another name, or `-` for one
    /// of the last two on standard input
    what: String,
    /// What was known at this time; now, if it is left out
    #[arg(long, value_parser = moment, value_name = "TIME")]
    as_of: Option<Timestamp>,
    /// Ask the ledger alone, and not Twilio
    #[arg(long)]
    stated: bool,
    /// The account of the call or recording, if several are served
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
}

/// What is shown.
struct View {
    participants: Vec<Participant>,
    objections: Vec<Purpose>,
    history: Vec<Told>,
}

impl Show {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.common.path)?;
        let policies = policies(&config)?;
        let now = self.as_of.unwrap_or_else(|| Clock::system().now());
        let view = match self.what.parse::<MediaSid>() {
            Ok(sid) if self.stated => self.of_stated(&config, &policies, sid, now)?,
            Ok(sid) => {
                let Known { facts, told } = look_up(&config, &policies, sid, self.account)?;
                let ends = facts.basis.ends.as_deref();
                let base = Base { started_at: facts.started_at, ends, medium: None };
                view(&base, told, None, &policies.reading(), now)
            }
            Err(_) => of_person(&config, &policies, &person(&self.what)?, now)?,
        };
        match self.common.format {
            Format::Human => self.tell(&view, now),
            Format::Json => say(self.as_json(&view, now)),
        }
        Ok(Exit::Done)
    }

    /// Of a call of which nobody knows who was on it but by what was stated. It counts as one that
    /// starts now.
    fn of_stated(
        &self,
        config: &Config,
        policies: &Policies,
        sid: MediaSid,
        now: Timestamp,
    ) -> Result<View, Exit> {
        let mut archive = archive(config)?;
        let mut keys = vec![Key::Media(sid)];
        let of_call = archive.statements(&keys).map_err(|error| failed(&error))?;
        for Told { recorded: Recorded { statement, .. }, .. } in &of_call {
            keys.extend(statement.participant.clone().map(Key::Person));
            if let Said::Labels(filing) = &statement.said {
                keys.extend(filing.line.clone().map(Key::Line));
            }
            if let Some(Who::Number(number)) = &statement.participant {
                let line = policies.vocabulary().line_of(number);
                keys.extend(line.map(|line| Key::Line(line.to_owned())));
            }
        }
        let told = archive.statements(&keys).map_err(|error| failed(&error))?;
        let base = Base { started_at: now, ends: None, medium: None };
        Ok(view(&base, told, None, &policies.reading(), now))
    }

    fn tell(&self, view: &View, now: Timestamp) {
        let in_full = self.showing.show_numbers;
        say(format_args!("As it was known at {}:", now.strftime("%FT%TZ")));
        if view.participants.is_empty() {
            say("nobody is known.");
        }
        for one in &view.participants {
            let name = one.who.as_ref().map(|person| who(person, in_full));
            let agent = if one.agent { ", an agent" } else { "" };
            let minor = if one.minor == Some(true) { ", a minor" } else { "" };
            say(format_args!("{}{agent}{minor}", name.as_deref().unwrap_or("somebody unknown")));
            let mut states: Vec<(String, Vec<&str>)> = Vec::new();
            for (purpose, consent, form) in &one.consents {
                let form = form.map(|form| format!(" ({})", form.as_str())).unwrap_or_default();
                let state = format!("{}{form}", consent.as_str());
                match states.iter_mut().find(|(known, _)| *known == state) {
                    Some((_, purposes)) => purposes.push(purpose.as_str()),
                    None => states.push((state, vec![purpose.as_str()])),
                }
            }
            let all = one.consents.len();
            for (state, purposes) in states {
                let purposes = match purposes.len() == all {
                    true => "every purpose".to_owned(),
                    false => purposes.join(", "),
                };
                say(format_args!("  {state}: {purposes}"));
            }
        }
        if !view.objections.is_empty() {
            let list: Vec<&str> = view.objections.iter().map(Purpose::as_str).collect();
            say(format_args!("Somebody objects to: {}", list.join(", ")));
        }
        let history = if view.history.is_empty() { "Nothing was stated." } else { "Stated:" };
        say(history);
        for told in &view.history {
            say(told_human(told, in_full));
        }
    }

    fn as_json(&self, view: &View, now: Timestamp) -> Value {
        let in_full = self.showing.show_numbers;
        let people = view.participants.iter().map(|one| {
            let consents = one.consents.iter().map(|(purpose, consent, form)| {
                json!({ "purpose": purpose, "consent": consent, "form": form })
            });
            json!({
                "participant": one.who.as_ref().map(|person| as_json(person, in_full)),
                "agent": one.agent,
                "minor": one.minor,
                "consents": consents.collect::<Vec<_>>(),
            })
        });
        let people: Vec<Value> = people.collect();
        let history: Vec<Value> =
            view.history.iter().map(|told| told_json(told, in_full)).collect();
        json!({
            "as_of": now,
            "participants": people,
            "objections": view.objections,
            "history": history,
        })
    }
}

/// Of a person in calls that start now.
fn of_person(
    config: &Config,
    policies: &Policies,
    who: &Who,
    now: Timestamp,
) -> Result<View, Exit> {
    let keys = [Key::Person(who.clone()), Key::Mentioned(who.clone())];
    let mut told = archive(config)?.statements(&keys).map_err(|error| failed(&error))?;
    // Whoever was erased is not found again by the name they had.
    told.retain(|told| !told.recorded.erased);
    let ends = Ends { numbers: Numbers::default(), all: true, ..Ends::default() };
    let base = Base { started_at: now, ends: Some(&ends), medium: None };
    let reading = policies.reading();
    // What was said in single calls is part of the history, and holds in those calls alone.
    let of_all: Vec<Told> =
        told.iter().filter(|told| told.recorded.statement.about.is_empty()).cloned().collect();
    Ok(View { history: before(told, now), ..view(&base, of_all, Some(who), &reading, now) })
}

fn view(
    base: &Base<'_>,
    told: Vec<Told>,
    also: Option<&Who>,
    reading: &Reading<'_>,
    now: Timestamp,
) -> View {
    let history = before(told, now);
    let said: Vec<Recorded> = history.iter().map(|told| told.recorded.clone()).collect();
    let participants = participants(base, &said, also, reading, now);
    let objections = fold(base, &said, None, reading, now).register.objections;
    View { participants, objections, history }
}

/// What was on record then.
fn before(told: Vec<Told>, now: Timestamp) -> Vec<Told> {
    told.into_iter().filter(|told| told.at <= now).collect()
}
