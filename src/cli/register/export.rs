//! `noticegate consent export`: consents as a table that can be imported, or as vCons. It is on record
//! before anything is handed over.

use std::path::PathBuf;

use serde_json::Value;

use super::lookup::{Known, look_up};
use super::table::Tables;
use super::{Writing, archive, failed, person, policies, sha256, wrong};
use crate::cli::ledger::{bar, write_whole};
use crate::cli::policies::count;
use crate::cli::{Exit, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::facts::vcon::{Evidence, Vcon};
use crate::facts::{Base, Key, Recorded, Said, Statement, csv, participants};
use crate::ledger::Told;
use crate::media::{AccountSid, MediaSid};

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    #[command(flatten)]
    writing: Writing,
    /// A recording or call by its SID, a telephone number, `name:` with another name, or `-` for one
    /// of the last two on standard input
    #[arg(required_unless_present = "all")]
    what: Option<String>,
    /// Everything that was ever stated
    #[arg(long, conflicts_with = "what")]
    all: bool,
    /// csv for a table, vcon for one call or recording
    #[arg(long, value_enum, default_value_t)]
    form: Form,
    /// The account of the call or recording, if several are served
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// The file; standard output, if it is left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    #[default]
    Csv,
    Vcon,
}

/// What is handed out.
struct Made {
    text: String,
    rows: u64,
    /// In words, for the record. No person is named.
    what: String,
}

impl Export {
    pub(super) fn run(&self, tables: Tables) -> Result<Exit, Exit> {
        let config = self.writing.config()?;
        let Made { text, rows, what } = self.make(&config, tables)?;
        let mut clerk = self.writing.clerk(&config)?;
        let entry = clerk.exported(&what, rows, Some(&sha256(text.as_bytes())));
        let entry = entry.map_err(|error| failed(&error))?;
        match &self.out {
            Some(out) => {
                write_whole(out, &text)?;
                let rows = count(usize::try_from(rows).unwrap_or(0), "statement");
                say(format_args!("{rows} in `{}`; on record as entry {entry}.", out.display()));
            }
            None => say(text.trim_end()),
        }
        Ok(Exit::Done)
    }

    fn make(&self, config: &Config, tables: Tables) -> Result<Made, Exit> {
        let sid = self.what.as_deref().and_then(|what| what.parse::<MediaSid>().ok());
        if self.form == Form::Vcon {
            if !tables.kinds.contains(&csv::Kind::Consent) {
                return Err(wrong("a vCon tells of consent: use `noticegate consent export`"));
            }
            let sid =
                sid.ok_or_else(|| wrong("a vCon is of one recording or call: name its SID"))?;
            return self.vcon(config, sid);
        }
        let (told, of) = self.told(config, sid)?;
        let statements: Vec<&Statement> = told.iter().map(|one| &one.recorded.statement).collect();
        let (text, rows) = csv::write(statements, tables.kinds);
        let kinds: Vec<&str> = tables.kinds.iter().map(|kind| kind.as_str()).collect();
        Ok(Made { text, rows, what: format!("{} {of}, as csv", kinds.join(", ")) })
    }

    fn told(&self, config: &Config, sid: Option<MediaSid>) -> Result<(Vec<Told>, String), Exit> {
        let mut archive = archive(config)?;
        let (found, of) = match (sid, &self.what) {
            (Some(sid), _) => (archive.statements(&[Key::Media(sid)]), format!("of {sid}")),
            (None, Some(text)) => {
                let who = person(text)?;
                let keys = [Key::Person(who.clone()), Key::Mentioned(who)];
                (archive.statements(&keys), "of one person".to_owned())
            }
            (None, None) => {
                let bar = bar("Reading");
                let all = archive.all("", |read| bar.set_position(read));
                bar.finish_and_clear();
                (all, "of everybody".to_owned())
            }
        };
        Ok((found.map_err(|error| failed(&error))?, of))
    }

    fn vcon(&self, config: &Config, sid: MediaSid) -> Result<Made, Exit> {
        let policies = policies(config)?;
        let now = Clock::system().now();
        let Known { facts, told } = look_up(config, &policies, sid, self.account)?;
        let said: Vec<Recorded> = told.iter().map(|told| told.recorded.clone()).collect();
        let ends = facts.basis.ends.as_deref();
        let base = Base { started_at: facts.started_at, ends, medium: None };
        let participants = participants(&base, &said, None, &policies.reading(), now);
        let evidence = told.iter().filter_map(|told| {
            let Statement { participant, said, .. } = &told.recorded.statement;
            match (participant, said) {
                (Some(who), Said::Consent(record)) => {
                    Some(Evidence { who, record, entry: told.id.to_string(), recorded_at: told.at })
                }
                _ => None,
            }
        });
        let evidence: Vec<Evidence<'_>> = evidence.collect();
        let vcon = Vcon {
            uuid: id(now, &config.ledger.origin),
            now,
            ledger: &config.ledger.origin,
            facts: &facts,
            participants: &participants,
            evidence: &evidence,
            vocabulary: policies.vocabulary(),
        };
        let value = vcon.to_json();
        let rows = value.get("attachments").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        let text = serde_json::to_string_pretty(&value).unwrap_or_default();
        Ok(Made { text: format!("{text}\n"), rows, what: format!("consent of {sid}, as vcon") })
    }
}

/// A UUID of version 8 as the container's draft makes it: the time and chance of version 7, and in
/// its last 62 bits the hash of who makes it.
fn id(now: jiff::Timestamp, origin: &str) -> uuid::Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let seconds = uuid::Timestamp::from_unix(
        uuid::NoContext,
        millis / 1000,
        u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000,
    );
    let mut bytes = *uuid::Uuid::new_v7(seconds).as_bytes();
    let hash =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, origin.as_bytes());
    for (byte, of_hash) in bytes.iter_mut().skip(8).zip(hash.as_ref()) {
        *byte = *of_hash;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
