//! `noticegate diff`: what a new notice, or another policy folder, changes.

use std::path::Path;

use jiff::SignedDuration;
use serde_json::json;

use super::policies::{PolicyFolder, tell};
use super::{Exit, Format, complain, say};
use crate::folder;
use crate::policy::{Change, Policies, PolicySources, Side, compare};

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
        for (title, found) in sections {
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

    fn notices(&self) -> Result<Vec<(String, Vec<Change>)>, Exit> {
        let sources = self.folder.read()?;
        let only = |versions: &[&String]| {
            let mut some = sources.clone();
            some.notices.retain(|notice| versions.contains(&&notice.version));
            if some.notices.len() != versions.len() {
                let known: Vec<&str> =
                    sources.notices.iter().map(|notice| notice.version.as_str()).collect();
                say(format_args!("noticegate: there are the notices {}", known.join(", ")));
                return Err(Exit::Invalid);
            }
            load(&self.folder.policies, &some)
        };
        let (old, new) = (only(&[&self.old])?, only(&[&self.new])?);
        let (before, after) = (latest(&old)?, latest(&new)?);
        let mut sections = vec![(
            format!("For recordings made under notice {}", self.new),
            compare(before, after),
        )];
        if before.made < after.made {
            let both = only(&[&self.old, &self.new])?;
            let just_before = after.made.checked_sub(SignedDuration::from_secs(1));
            let made = just_before.unwrap_or(before.made);
            sections.push((
                format!("For older recordings, once notice {} holds", self.new),
                compare(before, Side { policies: &both, made }),
            ));
        }
        Ok(sections)
    }
}

fn folders(old: &Path, new: &Path) -> Result<Vec<(String, Vec<Change>)>, Exit> {
    let read = |path: &Path| {
        let sources = folder::read(path).map_err(|error| {
            complain(&error);
            Exit::Invalid
        })?;
        load(path, &sources)
    };
    let (old, new) = (read(old)?, read(new)?);
    let changes = compare(latest(&old)?, latest(&new)?);
    Ok(vec![("For recordings made under the latest notice".to_owned(), changes)])
}

fn load(path: &Path, sources: &PolicySources) -> Result<Policies, Exit> {
    Policies::load(sources).map_err(|error| {
        tell(path, &error.problems, Format::Human);
        Exit::Invalid
    })
}

/// The policies, asked about a recording made the second their latest notice took effect.
fn latest(policies: &Policies) -> Result<Side<'_>, Exit> {
    let latest = policies.notices().all().last().ok_or(Exit::Invalid)?;
    Ok(Side { policies, made: latest.header.effective })
}

fn folder_of(name: &str) -> Option<std::path::PathBuf> {
    let path = Path::new(name);
    path.join("vocabulary.toml").is_file().then(|| path.to_owned())
}
