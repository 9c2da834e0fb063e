//! `noticegate ledger verify` and `prove`: is everything as it was written, and how others see it.

use std::path::PathBuf;

use serde_json::json;

use super::{bar, failed, load, write_whole};
use crate::cli::{ConfigPath, Exit, Format, say};
use crate::ledger::{self, Against};

/// Verify that every entry is what it was, in its place, and none is missing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger verify\n  \
noticegate ledger verify --people --against /mnt/auditor/checkpoint --key \"$(cat auditor.vkey)\"\n\n\
Exit status: 0 everything holds, 4 something was changed, 1 it cannot be read")]
pub(super) struct Verify {
    #[command(flatten)]
    path: ConfigPath,
    /// A checkpoint that was kept elsewhere; may be repeated
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// The key that verifies checkpoints, rather than the one in the ledger
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// Also open what lies beside entries and hold it against their commitments
    #[arg(long)]
    people: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Verify {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let against = Against {
            checkpoints: self.against.clone(),
            verifier: self.key.clone(),
            people: self.people,
        };
        let bar = bar("Verifying");
        let report = ledger::verify(&config.ledger, &against, |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let report = report.map_err(|error| failed(&error))?;
        let broken = !report.flaws.is_empty();
        if self.format == Format::Json {
            let flaws: Vec<_> = report
                .flaws
                .iter()
                .map(|flaw| json!({ "seq": flaw.seq, "problem": flaw.problem }))
                .collect();
            say(json!({
                "holds": !broken,
                "entries": report.entries,
                "pruned": report.pruned,
                "signed": report.signed,
                "checkpoints": report.checkpoints,
                "writers": report.writers,
                "open": report.open,
                "opened": report.opened,
                "erased": report.erased,
                "flaws": flaws,
            }));
        } else {
            for flaw in &report.flaws {
                match flaw.seq {
                    Some(seq) => say(format_args!("entry {seq}: {}", flaw.problem)),
                    None => say(&flaw.problem),
                }
            }
            let holds = if broken { "The ledger does NOT hold" } else { "The ledger holds" };
            say(format_args!(
                "{holds}: {} entries ({} of them pruned), {} signed, {} checkpoints, {} writers, \
                 {} intents open.",
                report.entries,
                report.pruned,
                report.signed,
                report.checkpoints,
                report.writers,
                report.open
            ));
            if report.signed < report.entries {
                say(format_args!(
                    "The last {} are not signed yet: only their writers' chains cover them.",
                    report.entries - report.signed
                ));
            }
            if self.people {
                say(format_args!(
                    "Beside them, {} groups are what was committed to; {} were erased.",
                    report.opened, report.erased
                ));
            }
        }
        Ok(if broken { Exit::Broken } else { Exit::Done })
    }
}

/// Write the proof that one entry is in the ledger, for others to verify
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate ledger prove 42 --out entry-42\n\n\
Writes entry-42.json (the exact bytes) and entry-42.tlog-proof (C2SP tlog-proof: place, hashes and\n\
signed checkpoint in one text).")]
pub(super) struct Prove {
    #[command(flatten)]
    path: ConfigPath,
    /// The entry, by number
    entry: u64,
    /// Where to, without ending; `entry-` and the number, if it is left out
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

impl Prove {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let (proof, bytes) =
            ledger::prove(&config.ledger, self.entry).map_err(|error| failed(&error))?;
        let out = self.out.clone().unwrap_or_else(|| format!("entry-{}", self.entry).into());
        let with = |ending: &str| {
            let mut path = out.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        };
        write_whole(&with(".tlog-proof"), &proof)?;
        say(with(".tlog-proof").display());
        if let Some(bytes) = bytes {
            write_whole(&with(".json"), &String::from_utf8_lossy(&bytes))?;
            say(with(".json").display());
        }
        Ok(Exit::Done)
    }
}

/// Print the key that verifies the ledger's checkpoints, for an auditor or a witness to keep
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate ledger key > auditor.vkey")]
pub(super) struct Key {
    #[command(flatten)]
    path: ConfigPath,
}

impl Key {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        match ledger::verifier(&config.ledger).map_err(|error| failed(&error))? {
            Some(key) => say(key),
            None => say("There is none before the first start."),
        }
        Ok(Exit::Done)
    }
}
