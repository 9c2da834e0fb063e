//! `noticegate ledger`: reads the record of disclosures, also while a gate writes it.

use serde_json::Value;

use super::{ConfigPath, Exit, Format, complain, say};
use crate::config::Config;
use crate::ledger::{Query, ReadError, Reader, Row};
use crate::media::RecordingSid;

/// Read the record of disclosures
#[derive(Debug, clap::Args)]
pub(super) struct Ledger {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List entries, newest first
    #[command(after_help = "\
Examples:\n  noticegate ledger query --limit 20\n  \
noticegate ledger query --recording RE0123456789abcdef0123456789abcdef --format json")]
    Query {
        #[command(flatten)]
        path: ConfigPath,
        /// Only entries about this recording
        #[arg(long, value_name = "SID")]
        recording: Option<RecordingSid>,
        /// Only entries of this kind: intent, outcome, refusal, start, stop, resume
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// How many entries
        #[arg(long, default_value_t = 50, value_name = "COUNT")]
        limit: usize,
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one entry with what belongs to it: by number, or by the id that an answer named
    #[command(after_help = "\
Examples:\n  noticegate ledger show 42\n  \
noticegate ledger show 019db0e2-7c11-7a3e-9c0e-2f6d5b3f1a77")]
    Show {
        #[command(flatten)]
        path: ConfigPath,
        /// Number or id
        entry: String,
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

impl Ledger {
    pub(super) fn run(&self) -> Exit {
        let (path, format) = match &self.command {
            Command::Query { path, format, .. } | Command::Show { path, format, .. } => {
                (path, *format)
            }
        };
        let config = match Config::load(&path.config) {
            Ok(config) => config,
            Err(error) => {
                complain(&error);
                return Exit::Invalid;
            }
        };
        match Reader::open(&config.ledger.path).and_then(|reader| self.read(&reader)) {
            Ok(rows) if rows.is_empty() && matches!(self.command, Command::Show { .. }) => {
                say("There is no such entry.");
                Exit::Failed
            }
            Ok(rows) => {
                self.print(&rows, format);
                Exit::Done
            }
            Err(error) => {
                complain(&error);
                Exit::Failed
            }
        }
    }

    fn read(&self, reader: &Reader) -> Result<Vec<Row>, ReadError> {
        match &self.command {
            Command::Query { recording, kind, limit, .. } => {
                reader.query(&Query { recording: *recording, kind: kind.clone(), limit: *limit })
            }
            Command::Show { entry, .. } => match entry.parse::<i64>() {
                Ok(seq) => Ok(reader.at(seq)?.into_iter().collect()),
                Err(_) => reader.named(entry),
            },
        }
    }

    fn print(&self, rows: &[Row], format: Format) {
        match (format, &self.command) {
            (Format::Json, _) => rows.iter().for_each(|row| {
                say(serde_json::json!({ "seq": row.seq, "entry": row.entry, "clear": row.clear }));
            }),
            (Format::Human, Command::Query { .. }) => rows.iter().for_each(|row| say(line(row))),
            (Format::Human, Command::Show { .. }) => rows.iter().for_each(|row| {
                say(format_args!("entry {}", row.seq));
                say(serde_json::to_string_pretty(&row.entry).unwrap_or_default());
                if let Some(clear) = &row.clear {
                    say("beside it, erasable:");
                    say(serde_json::to_string_pretty(clear).unwrap_or_default());
                }
            }),
        }
    }
}

/// One entry in one line: number, time, what happened.
fn line(row: &Row) -> String {
    let entry = &row.entry;
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let number = |pointer: &str| entry.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let time: String = text("/at").chars().take(19).collect();
    let asked = || {
        format!(
            "{} {} {} {} for {}",
            text("/caller/id"),
            text("/action"),
            text("/media/recording"),
            text("/media/form"),
            text("/purpose")
        )
    };
    let cited = || match text("/decision/cited/0/clause") {
        "-" => text("/decision/cited/0/policy").to_owned(),
        clause => format!("{} of {}", clause, text("/decision/cited/0/notice")),
    };
    let what = match text("/t") {
        "intent" => format!("permit   {} by clause {}", asked(), cited()),
        "refusal" => match text("/decision/cited/0/policy") {
            "-" => format!("refusal  {}: {}", asked(), text("/reason")),
            _ => format!("refusal  {}: {} by {}", asked(), text("/reason"), cited()),
        },
        "outcome" => format!(
            "outcome  {} after {} bytes, of {}",
            text("/ending"),
            number("/bytes"),
            text("/of")
        ),
        "start" => format!("start    with policies {}", text("/policies")),
        "policies" => format!("policies {} are in force", text("/policies")),
        "policies-refused" => {
            let why = text("/detail").lines().nth(1).unwrap_or("look at the whole entry").trim();
            format!("policies in the folder refused: {why}")
        }
        "resume" => format!("resume   after: {}", text("/detail")),
        other => other.to_owned(),
    };
    format!("{:>6}  {time}Z  {what}", row.seq)
}
