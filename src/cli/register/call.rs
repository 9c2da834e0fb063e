//! `noticegate call`: who was on a call, what it is filed under, whether a card was read out.

use super::export::Export;
use super::table::{Import, Tables};
use super::{Answer, Writing, person};
use crate::cli::Exit;
use crate::facts::{Filing, Party, Pause, Payment, Said, Statement};
use crate::law::Place;
use crate::media::{CallSid, MediaSid};

/// Record who was on a call, what it is filed under, and payments on it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  noticegate call label --about CA0123456789abcdef0123456789abcdef --line support"
)]
pub(in crate::cli) struct Call {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Participant(Participant),
    Label(Label),
    Paid(Paid),
    /// Import a table of labels, payments, participants, cases and holds; begin with --dry-run
    #[command(after_help = IMPORT)]
    Import(Import),
    /// Hand out labels, payments, participants, cases and holds as a table
    #[command(after_help = "\
Examples:\n  noticegate call export CA0123456789abcdef0123456789abcdef\n  \
noticegate call export --all --out calls.csv\n\n\
It can be imported again. Each export is an entry of the ledger before it is handed out.")]
    Export(Export),
}

const IMPORT: &str = "\
Examples:\n  noticegate call import labels.csv --dry-run\n  noticegate call import labels.csv\n\n\
A row says what its column `kind` says: labels (also if there is no such column), payment, party, case\n\
or hold. The columns are those of docs/FACTS.md, in any order. Every line that is wrong is told, and\n\
then nothing is imported. What is on record already is not recorded again.";

impl Call {
    pub(in crate::cli) fn run(&self) -> Exit {
        let done = match &self.command {
            Command::Participant(command) => command.run(),
            Command::Label(command) => command.run(),
            Command::Paid(command) => command.run(),
            Command::Import(command) => command.run(Tables::CALLS),
            Command::Export(command) => command.run(Tables::CALLS),
        };
        match done {
            Ok(exit) | Err(exit) => exit,
        }
    }
}

/// Which calls.
#[derive(Debug, clap::Args)]
pub(super) struct About {
    /// The call, conference, room or recording; may be repeated
    #[arg(long = "about", value_name = "SID", required = true)]
    about: Vec<MediaSid>,
}

impl About {
    pub(super) fn says(&self, said: Said) -> Statement {
        Statement { about: self.about.clone(), line: None, participant: None, said }
    }
}

/// Record who was on a call, and where they are
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  \
noticegate call participant '+1 404 555 0123' --about CA0123456789abcdef0123456789abcdef --address US-CA\n  \
noticegate call participant name:client:ana --about CA0123456789abcdef0123456789abcdef --agent yes\n\n\
The strictest law of all places where somebody may be decides. What is left out stays as it was.")]
struct Participant {
    #[command(flatten)]
    writing: Writing,
    /// A telephone number, `name:` with another name, or `-` for one of these on standard input
    person: String,
    #[command(flatten)]
    about: About,
    /// Whether they spoke for the organisation
    #[arg(long, value_enum)]
    agent: Option<Answer>,
    /// Whether they are a minor
    #[arg(long, value_enum)]
    minor: Option<Answer>,
    /// Where they are registered to live or work, such as US-CA
    #[arg(long, value_name = "PLACE")]
    address: Option<Place>,
    /// Where they said they are
    #[arg(long = "said-to-be-in", value_name = "PLACE")]
    stated: Option<Place>,
    /// Their leg of the call
    #[arg(long, value_name = "SID")]
    leg: Option<CallSid>,
}

impl Participant {
    fn run(&self) -> Result<Exit, Exit> {
        let participant = Some(person(&self.person)?);
        let party = Party {
            address: self.address,
            agent: self.agent.map(Answer::is_yes),
            leg: self.leg,
            minor: self.minor.map(Answer::is_yes),
            stated: self.stated,
        };
        let statement = Statement { participant, ..self.about.says(Said::Party(party)) };
        self.writing.state(&self.writing.config()?, &[statement])
    }
}

/// Record what a call is filed under
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  \
noticegate call label --about CA0123456789abcdef0123456789abcdef --line support --type complaint\n  \
noticegate call label --about RE0123456789abcdef0123456789abcdef --label health --label payment\n\n\
What is left out stays as it was; labels are replaced as a whole.")]
struct Label {
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    filing: FilingArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct FilingArgs {
    /// The organisation's line
    #[arg(long)]
    line: Option<String>,
    /// The part of the organisation
    #[arg(long)]
    department: Option<String>,
    /// The type of the call
    #[arg(long = "type", value_name = "TYPE")]
    call_type: Option<String>,
    /// A label; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// It has no labels
    #[arg(long, conflicts_with = "labels")]
    no_labels: bool,
}

impl Label {
    fn run(&self) -> Result<Exit, Exit> {
        let FilingArgs { line, department, call_type, labels, no_labels } = &self.filing;
        let filing = Filing {
            call_type: call_type.clone(),
            department: department.clone(),
            labels: (*no_labels || !labels.is_empty()).then(|| labels.clone()),
            line: line.clone(),
        };
        let statement = self.about.says(Said::Labels(filing));
        self.writing.state(&self.writing.config()?, &[statement])
    }
}

/// Record whether a payment was taken on a call, and when its recording paused
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  \
noticegate call paid yes --about CA0123456789abcdef0123456789abcdef --pause 61500-94000\n  \
noticegate call paid no --about CA0123456789abcdef0123456789abcdef\n\n\
Where a payment was taken and no pause is known, nobody may listen: a card may have been recorded.")]
struct Paid {
    #[command(flatten)]
    writing: Writing,
    /// Whether payment was taken
    #[arg(value_enum)]
    taken: Answer,
    #[command(flatten)]
    about: About,
    /// A pause of the recording, from and to in milliseconds; may be repeated
    #[arg(long = "pause", value_name = "MS-MS", value_parser = pause)]
    pauses: Vec<Pause>,
}

fn pause(text: &str) -> Result<Pause, String> {
    let read = || {
        let (start, end) = text.split_once('-')?;
        Some(Pause { start_ms: start.parse().ok()?, end_ms: end.parse().ok()? })
    };
    read().ok_or_else(|| "write its start and end in milliseconds, such as 61500-94000".to_owned())
}

impl Paid {
    fn run(&self) -> Result<Exit, Exit> {
        let payment = Payment { pauses: self.pauses.clone(), taken: self.taken.is_yes() };
        let statement = self.about.says(Said::Payment(payment));
        self.writing.state(&self.writing.config()?, &[statement])
    }
}
