//! `noticegate diff`: what a new notice, or another policy folder, changes.

use std::path::Path;

use serde_json::json;

use super::policies::{PolicyFolder, tell};
use super::{Exit, Format, complain, say};
use crate::folder;
use crate::policy::{
    CompareError, Policies, PolicySources, Section, Side, compare, compare_notices,
};

/// Tell in plain sentences what changes from one notice, or one policy folder, to another
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate diff 2025-02-01 2026-03-01     # two notices of one folder\n  \
noticegate diff policies ../draft/policies  # two folders, by their latest notices\n\n\
Exit status: 0 nothing changes, 1 something does, 3 invalid input")]
pub(super) struct Diff {
    #[command(flatten)]
    folder: PolicyFolder,
    /// The notice or folder that is compared
    old: String,
    /// The one it is compared with
    new: String,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Diff {
    pub(super) fn run(&self) -> Exit {
        match self.diff() {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn diff(&self) -> Result<Exit, Exit> {
        let sections = match (folder_of(&self.old), folder_of(&self.new)) {
            (Some(old), Some(new)) => folders(&old, &new)?,
            (None, None) => self.notices()?,
            _ => {
                say("noticegate: name two notices of the folder, or two folders");
                return Err(Exit::Invalid);
            }
        };
        let mut changes = 0;
        for Section { title, changes: found } in sections {
            changes += found.len();
            match self.format {
                Format::Json => {
                    for change in found {
                        say(json!({ "for": title, "change": change }));
                    }
                }
                Format::Human => {
                    say(format_args!("{title}:"));
                    if found.is_empty() {
                        say("  nothing changes");
                    }
                    for change in found {
                        say(format_args!("  {}", change.sentence));
                    }
                }
            }
        }
        Ok(if changes == 0 { Exit::Done } else { Exit::Failed })
    }

    fn notices(&self) -> Result<Vec<Section>, Exit> {
        let sources = self.folder.read()?;
        compare_notices(&sources, &self.old, &self.new).map_err(|error| {
            match error {
                CompareError::NoSuchNotice { .. } => say(format_args!("noticegate: {error}")),
                CompareError::Load(error) => {
                    tell(&self.folder.policies, &error.problems, Format::Human);
                }
            }
            Exit::Invalid
        })
    }
}

fn folders(old: &Path, new: &Path) -> Result<Vec<Section>, Exit> {
    let read = |path: &Path| {
        let sources = folder::read(path).map_err(|error| {
            complain(&error);
            Exit::Invalid
        })?;
        load(path, &sources)
    };
    let (old, new) = (read(old)?, read(new)?);
    let latest = |policies| Side::latest(policies).ok_or(Exit::Invalid);
    let changes = compare(latest(&old)?, latest(&new)?);
    let title = "For recordings made under the latest notice".to_owned();
    Ok(vec![Section { title, changes }])
}

fn load(path: &Path, sources: &PolicySources) -> Result<Policies, Exit> {
    Policies::load(sources).map_err(|error| {
        tell(path, &error.problems, Format::Human);
        Exit::Invalid
    })
}

fn folder_of(name: &str) -> Option<std::path::PathBuf> {
    let path = Path::new(name);
    path.join("vocabulary.toml").is_file().then(|| path.to_owned())
}
