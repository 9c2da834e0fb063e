//! `noticegate ledger export`: entries for other tools, and bundles for others to verify.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::query::Selection;
use super::{actor, ask, bar, failed, load, open};
use crate::cli::{ConfigPath, Exit, complain, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::{self, Clerk, Form, Review};

/// Write entries for other tools, or all of them as a bundle that others can verify
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger export --form csv --since 2026-10-01 --out october.csv\n  \
noticegate ledger export --form parquet --purpose staff-training --out training.parquet\n  \
noticegate ledger export --form ocsf --since 1d > yesterday.jsonl\n  \
noticegate ledger export --bundle for-the-auditor\n\n\
What tells of people (addresses, notes, numbers) is left out without --people. Each export is an\n\
entry of the ledger, with the number of entries and the SHA-256 of the file.")]
pub(super) struct Export {
    #[command(flatten)]
    path: ConfigPath,
    #[command(flatten)]
    what: Selection,
    /// In which form
    #[arg(long, value_enum, default_value_t, conflicts_with = "bundle")]
    form: FormName,
    /// The file; standard output, if it is left out
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    out: Option<PathBuf>,
    /// A folder to be made, with all entries, their tree, the signed checkpoint and instructions
    #[arg(long, value_name = "FOLDER")]
    bundle: Option<PathBuf>,
    /// With what is known of people
    #[arg(long, conflicts_with = "bundle")]
    people: bool,
    /// Begin a CSV file with the mark by which spreadsheets know UTF-8
    #[arg(long)]
    mark: bool,
    /// Who takes it; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// The forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum FormName {
    /// One JSON object a line, with the exact bytes of each entry
    #[default]
    Jsonl,
    /// A table for spreadsheets
    Csv,
    /// The same table, typed
    Parquet,
    /// Events of the Open Cybersecurity Schema Framework
    Ocsf,
}

impl Export {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let clerk = Clerk::open(&config.ledger, Clock::system(), actor(self.by.as_ref()));
        let mut clerk = clerk.map_err(|error| failed(&error))?;
        match &self.bundle {
            Some(folder) => bundle(&config, &mut clerk, folder),
            None => self.export(&config, &mut clerk),
        }
    }

    fn export(&self, config: &Config, clerk: &mut Clerk) -> Result<Exit, Exit> {
        let mut review = open(config)?;
        // A file appears in its place whole or not at all; what is no file is written into.
        let out = self.out.as_deref().map(|out| out.canonicalize().unwrap_or_else(|_| out.into()));
        let part = out.as_deref().filter(|out| !out.exists() || out.is_file()).map(Part::beside);
        if let Some(folder) = out.as_deref().filter(|out| out.is_dir()) {
            return Err(wrong(Some(folder), &std::io::ErrorKind::IsADirectory.into()));
        }
        let file = match &part {
            Some(part) => part.create(),
            None => anonymous(),
        };
        let mut file = file.map_err(|error| wrong(self.out.as_deref(), &error))?;
        let written = self.write(&mut review, &mut file)?;
        let sha256 = digest(&mut file).map_err(|error| wrong(self.out.as_deref(), &error))?;
        let what = format!("{:?}{}", self.form, if self.people { " with people" } else { "" });
        let place = clerk.exported(&what.to_lowercase(), written, Some(&sha256));
        let place = place.map_err(|error| failed(&error))?;
        let handed_over = match (part, &out) {
            (Some(part), _) => part.put_in_place(),
            (None, Some(out)) => {
                File::options().write(true).open(out).and_then(|mut out| copy(&mut file, &mut out))
            }
            (None, None) => copy(&mut file, &mut std::io::stdout().lock()),
        };
        handed_over.map_err(|error| wrong(self.out.as_deref(), &error))?;
        if let Some(out) = &self.out {
            say(format_args!(
                "{written} entries in `{}`, SHA-256 {sha256}; on record as entry {place}.",
                out.display()
            ));
        }
        Ok(Exit::Done)
    }

    fn write(&self, review: &mut Review, file: &mut File) -> Result<u64, Exit> {
        let form = match self.form {
            FormName::Jsonl => Form::Jsonl,
            FormName::Csv => Form::Csv { mark: self.mark },
            FormName::Parquet => Form::Parquet,
            FormName::Ocsf => Form::Ocsf,
        };
        let query = self.what.query(review)?;
        let bar = bar("Exporting");
        if let Some(query) = &query {
            bar.set_length(ask(review.index().count(query).map_err(Into::into))?);
        }
        let to = std::io::BufWriter::new(file);
        let finished =
            ledger::export(review, query.as_ref(), (form, self.people), to, |more| bar.inc(more));
        bar.finish_and_clear();
        let (_, summary) = finished.map_err(|error| failed(&error))?;
        Ok(summary.written)
    }
}

fn bundle(config: &Config, clerk: &mut Clerk, folder: &Path) -> Result<Exit, Exit> {
    let bar = bar("Bundling");
    let written = ledger::bundle(&config.ledger, folder, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let entries = written.map_err(|error| failed(&error))?;
    let place = clerk.exported("bundle", entries, None).map_err(|error| failed(&error))?;
    say(format_args!(
        "{entries} entries in `{}`; README.txt there says how to verify them. On record as entry \
         {place}.",
        folder.display()
    ));
    Ok(Exit::Done)
}

/// A file beside its place, gone unless it is put there.
struct Part {
    part: PathBuf,
    place: PathBuf,
}

impl Part {
    fn beside(place: &Path) -> Self {
        let mut part = place.as_os_str().to_owned();
        part.push(".part");
        Self { part: part.into(), place: place.to_owned() }
    }

    /// Readable by its owner alone: it may tell of people.
    fn create(&self) -> std::io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        options.open(&self.part)
    }

    fn put_in_place(self) -> std::io::Result<()> {
        std::fs::rename(&self.part, &self.place)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After it was put in its place there is none.
        let _ = std::fs::remove_file(&self.part);
    }
}

fn copy(from: &mut File, to: &mut impl Write) -> std::io::Result<()> {
    from.rewind()?;
    std::io::copy(from, to)?;
    to.flush()
}

/// A file without a name, gone when it is closed.
fn anonymous() -> std::io::Result<File> {
    let path = std::env::temp_dir().join(format!("noticegate-{}", uuid::Uuid::new_v4().simple()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn digest(file: &mut File) -> std::io::Result<String> {
    file.flush()?;
    file.sync_all()?;
    file.rewind()?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => context.update(buffer.get(..length).unwrap_or_default()),
        }
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn wrong(path: Option<&Path>, error: &std::io::Error) -> Exit {
    let name = path.map_or("standard output".to_owned(), |path| path.display().to_string());
    complain(&Unwritable { name, problem: error.to_string() });
    Exit::Failed
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write the export to {name}: {problem}")]
struct Unwritable {
    name: String,
    problem: String,
}
