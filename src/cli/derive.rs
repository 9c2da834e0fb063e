//! `noticegate derive`: writes the derived files of a policy folder.

use super::policies::{PolicyFolder, count, tell};
use super::{Exit, Format, complain, say};
use crate::policy::{DerivedFile, Draft, Policies, PolicySources};

/// Write what the clauses and the vocabulary derive: schema, Cedar policies, table of decisions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate derive\n  noticegate derive --check   # in CI: exit status 1 if a file differs")]
pub(super) struct Derive {
    #[command(flatten)]
    folder: PolicyFolder,
    /// Write nothing; fail if a derived file is not what would be written
    #[arg(long)]
    check: bool,
}

impl Derive {
    pub(super) fn run(&self) -> Exit {
        match self.derive() {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn derive(&self) -> Result<Exit, Exit> {
        let mut sources = self.folder.read()?;
        let mut files = Draft::read(&sources).derive().map_err(|problems| {
            let errors = tell(&self.folder.policies, &problems, Format::Human);
            say(format_args!("nothing was derived: {}", count(errors, "error")));
            Exit::Invalid
        })?;
        replace(&mut sources, &files);
        // The table is made by deciding, so it needs a folder that can decide. One that cannot yet
        // (a sentence without its clause, say) gets its Cedar all the same, to work on.
        let loaded = Policies::load(&sources);
        if let Ok(policies) = &loaded {
            files.push(policies.table());
        }
        let mut differing = 0;
        for DerivedFile { path, text } in &files {
            let path = self.folder.policies.join(path);
            if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
                continue;
            }
            differing += 1;
            if self.check {
                say(format_args!("`{}` is not what is derived", path.display()));
                continue;
            }
            std::fs::write(&path, text).map_err(|error| {
                complain(&WriteError { path: path.clone(), source: error });
                Exit::Failed
            })?;
            say(format_args!("wrote `{}`", path.display()));
        }
        if let Err(error) = loaded {
            let errors = tell(&self.folder.policies, &error.problems, Format::Human);
            say(format_args!("the folder cannot be used yet: {}", count(errors, "error")));
            return Ok(Exit::Invalid);
        }
        Ok(match (self.check, differing) {
            (true, 1..) => {
                say("run `noticegate derive`, and read what changes");
                Exit::Failed
            }
            _ => {
                say(format_args!("{} up to date", count(files.len(), "derived file")));
                Exit::Done
            }
        })
    }
}

/// Puts the derived texts into the place of those that were read.
fn replace(sources: &mut PolicySources, files: &[DerivedFile]) {
    for DerivedFile { path, text } in files {
        let version = path.strip_prefix("notices/").and_then(|p| p.strip_suffix("/clauses.cedar"));
        match version {
            None if path.starts_with("administration") => {
                sources.administration_schema.clone_from(text);
            }
            None => sources.schema.clone_from(text),
            Some(version) => {
                for notice in sources.notices.iter_mut().filter(|n| n.version == version) {
                    notice.clauses.clone_from(text);
                }
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
struct WriteError {
    path: std::path::PathBuf,
    source: std::io::Error,
}
