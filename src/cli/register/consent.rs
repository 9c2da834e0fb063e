//! `noticegate consent`: what people agreed to, refused, took back and objected to.

use jiff::Timestamp;

use super::export::Export;
use super::show::Show;
use super::table::{Import, Tables};
use super::{Writing, moment, person};
use crate::cli::Exit;
use crate::clock::Clock;
use crate::facts::{Consent as State, ConsentRecord, Heard, Objection, Proof, Said, Statement};
use crate::law::Place;
use crate::media::{CallSid, MediaSid};
use crate::notice::{ConsentForm, NoticeVersion};
use crate::purpose::Purpose;

/// Record, show, import and export what people agreed to
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  noticegate consent import consents.csv --dry-run\n  noticegate consent show RE0123456789abcdef0123456789abcdef"
)]
pub(in crate::cli) struct Consent {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Set(Box<Set>),
    Object(Object),
    Show(Show),
    /// Import a table of consents and objections; begin with --dry-run
    #[command(after_help = IMPORT)]
    Import(Import),
    /// Hand out consents and objections as a table, or of one call as a vCon
    #[command(after_help = EXPORT)]
    Export(Export),
}

const EXPORT: &str = "\
Examples:\n  noticegate consent export --all --out consents.csv\n  \
noticegate consent export '+1 404 555 0123'\n  \
noticegate consent export RE0123456789abcdef0123456789abcdef --form vcon --out call.vcon\n\n\
A table can be imported again. Telephone numbers are in it in full: keep it as you keep the ledger's\n\
key. Each export is an entry of the ledger, with its SHA-256, before it is handed out.";

const IMPORT: &str = "\
Examples:\n  noticegate consent import consents.csv --dry-run\n  noticegate consent import consents.csv\n  \
crm-export | noticegate consent import - --format json\n\n\
The columns are those of docs/FACTS.md, in any order: number or name, at and state are needed, form\n\
where consent is given. Every line that is wrong is told, and then nothing is imported. What is on\n\
record already is not recorded again.";

impl Consent {
    pub(in crate::cli) fn run(&self) -> Exit {
        let done = match &self.command {
            Command::Set(command) => command.run(),
            Command::Object(command) => command.run(),
            Command::Show(command) => command.run(),
            Command::Import(command) => command.run(Tables::CONSENTS),
            Command::Export(command) => command.run(Tables::CONSENTS),
        };
        match done {
            Ok(exit) | Err(exit) => exit,
        }
    }
}

/// Record that a person gave, refused or withdrew consent
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate consent set '+1 404 555 0123' withdrawn\n  \
noticegate consent set name:account-12 given --form wrote --purpose staff-training --document 'form 7'\n  \
pass-number | noticegate consent set - refused --about CA0123456789abcdef0123456789abcdef\n\n\
Without --about it is about all of the person's calls: consent from then on, a refusal or withdrawal\n\
for every use from now on. A refusal stops streams that run within a second.")]
struct Set {
    #[command(flatten)]
    writing: Writing,
    /// A telephone number, `name:` with another name, or `-` for one of these on standard input
    person: String,
    /// given, refused or withdrawn
    #[arg(value_parser = state)]
    state: State,
    /// The call, conference, room or recording; may be repeated
    #[arg(long, value_name = "SID")]
    about: Vec<MediaSid>,
    /// How it was given: stayed-on, pressed-key, spoke, wrote or contract
    #[arg(long, value_parser = form)]
    form: Option<ConsentForm>,
    /// For what; may be repeated; for everything, if it is left out
    #[arg(long = "purpose", value_name = "PURPOSE")]
    purposes: Vec<Purpose>,
    /// When; now, if it is left out
    #[arg(long, value_parser = moment, value_name = "TIME")]
    at: Option<Timestamp>,
    /// When it runs out
    #[arg(long, value_parser = moment, value_name = "TIME")]
    until: Option<Timestamp>,
    /// What data it covers; may be repeated
    #[arg(long, value_name = "DATA")]
    data: Vec<String>,
    /// A guardian gave it for a minor
    #[arg(long)]
    guardian: bool,
    /// Under which law it was asked for, such as US-CA
    #[arg(long, value_name = "PLACE")]
    jurisdiction: Option<Place>,
    /// In which language
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// The leg of the call on which it was given
    #[arg(long, value_name = "SID")]
    leg: Option<CallSid>,
    /// The version of the notice that was shown or accepted
    #[arg(long, value_name = "VERSION")]
    notice: Option<NoticeVersion>,
    /// How it can be withdrawn
    #[arg(long, value_name = "TEXT")]
    withdraw_by: Option<String>,
    #[command(flatten)]
    heard: HeardArgs,
    #[command(flatten)]
    proof: ProofArgs,
}

#[derive(Debug, clap::Args)]
struct HeardArgs {
    /// The announcement that was heard before
    #[arg(long, value_name = "NAME")]
    announcement: Option<String>,
    /// It was not heard to its end
    #[arg(long, requires = "announcement")]
    in_part: bool,
    /// Milliseconds of it that were heard
    #[arg(long, requires = "announcement", value_name = "MS")]
    announcement_ms: Option<u32>,
    /// SHA-256 of its words or its sound
    #[arg(long, requires = "announcement", value_name = "HASH")]
    announcement_sha256: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ProofArgs {
    /// The document that proves it, by its name where it is kept
    #[arg(long, value_name = "NAME")]
    document: Option<String>,
    /// SHA-256 of the document
    #[arg(long, requires = "document", value_name = "HASH")]
    document_sha256: Option<String>,
    /// The recording in which it can be heard
    #[arg(long, value_name = "SID")]
    proof_recording: Option<MediaSid>,
    /// Milliseconds into the recording
    #[arg(long, value_name = "MS")]
    proof_offset_ms: Option<u32>,
}

fn state(text: &str) -> Result<State, String> {
    let said = [State::Given, State::Refused, State::Withdrawn];
    let found = said.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| "it is given, refused or withdrawn".to_owned())
}

fn form(text: &str) -> Result<ConsentForm, String> {
    ConsentForm::read(text)
        .ok_or_else(|| "it is stayed-on, pressed-key, spoke, wrote or contract".to_owned())
}

impl Set {
    fn run(&self) -> Result<Exit, Exit> {
        let participant = Some(person(&self.person)?);
        let at = self.at.unwrap_or_else(|| Clock::system().now());
        let HeardArgs { announcement, in_part, announcement_ms, announcement_sha256 } = &self.heard;
        let ProofArgs { document, document_sha256, proof_recording, proof_offset_ms } = &self.proof;
        let proof = Proof {
            document: document.clone(),
            offset_ms: *proof_offset_ms,
            recording: *proof_recording,
            sha256: document_sha256.clone(),
        };
        let record = ConsentRecord {
            announcement: announcement.clone().map(|id| Heard {
                complete: !in_part,
                id,
                ms: *announcement_ms,
                sha256: announcement_sha256.clone(),
            }),
            data: self.data.clone(),
            form: self.form,
            guardian: self.guardian,
            jurisdiction: self.jurisdiction,
            language: self.language.clone(),
            leg: self.leg,
            notice: self.notice.clone(),
            proof: (proof != Proof::default()).then_some(proof),
            purposes: self.purposes.clone(),
            until: self.until,
            withdraw_by: self.withdraw_by.clone(),
            ..ConsentRecord::new(self.state, at)
        };
        let said = Said::Consent(Box::new(record));
        let statement = Statement { about: self.about.clone(), line: None, participant, said };
        self.writing.state(&self.writing.config()?, &[statement])
    }
}

/// Record that a person objects to purposes, or takes that back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate consent object '+1 404 555 0123' --purpose marketing\n  \
noticegate consent object name:account-12 --purpose marketing --lift")]
struct Object {
    #[command(flatten)]
    writing: Writing,
    /// A telephone number, `name:` with another name, or `-` for one of these on standard input
    person: String,
    /// To what; may be repeated
    #[arg(long = "purpose", value_name = "PURPOSE", required = true)]
    purposes: Vec<Purpose>,
    /// The call or recording; all of the person's, if it is left out
    #[arg(long, value_name = "SID")]
    about: Vec<MediaSid>,
    /// When; now, if it is left out
    #[arg(long, value_parser = moment, value_name = "TIME")]
    at: Option<Timestamp>,
    /// They take it back
    #[arg(long)]
    lift: bool,
}

impl Object {
    fn run(&self) -> Result<Exit, Exit> {
        let participant = Some(person(&self.person)?);
        let at = self.at.unwrap_or_else(|| Clock::system().now());
        let objection = Objection { at, lifted: self.lift, purposes: self.purposes.clone() };
        let said = Said::Objection(objection);
        let statement = Statement { about: self.about.clone(), line: None, participant, said };
        self.writing.state(&self.writing.config()?, &[statement])
    }
}
