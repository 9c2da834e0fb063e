//! What the commands about a policy folder share: where it is, and how its problems are told.

use std::path::{Path, PathBuf};

use super::{Exit, Format, complain, say};
use crate::folder;
use crate::notice::{Problem, without_numbers};
use crate::policy::{Policies, PolicySources};

/// Where the policies are.
#[derive(Debug, clap::Args)]
pub(super) struct PolicyFolder {
    /// The policy folder
    #[arg(long, value_name = "FOLDER", default_value = "policies", env = "NOTICEGATE_POLICIES")]
    pub(super) policies: PathBuf,
}

impl PolicyFolder {
    /// Reads the texts in it.
    pub(super) fn read(&self) -> Result<PolicySources, Exit> {
        folder::read(&self.policies).map_err(|error| {
            complain(&error);
            Exit::Invalid
        })
    }

    /// Loads it, or tells everything that is wrong with it.
    pub(super) fn load(&self) -> Result<Policies, Exit> {
        let sources = self.read()?;
        Policies::load(&sources).map_err(|error| {
            tell(&self.policies, &error.problems, Format::Human);
            Exit::Invalid
        })
    }
}

/// Tells problems, each with the line it is about; returns how many are errors.
pub(super) fn tell(folder: &Path, problems: &[Problem], format: Format) -> usize {
    for problem in problems {
        match format {
            Format::Human => say(human(folder, problem)),
            Format::Json => say(serde_json::to_string(problem).unwrap_or_default()),
        }
    }
    problems.iter().filter(|problem| !problem.warning).count()
}

fn human(folder: &Path, problem: &Problem) -> String {
    use std::fmt::Write;
    let word = if problem.warning { "warning" } else { "error" };
    let mut out = format!("{word}: {}\n", problem.message);
    let path = folder.join(&problem.file);
    let source = std::fs::read_to_string(&path).unwrap_or_default();
    // A line of the vocabulary may hold a telephone number.
    let shown =
        |line: usize| Some((line, without_numbers(source.lines().nth(line.checked_sub(1)?)?)));
    let at = problem.line.and_then(shown);
    let width = problem.line.map_or(1, |line| line.to_string().len());
    // Writing to a String cannot fail.
    let _ = match at {
        Some((line, text)) => writeln!(
            out,
            "{:width$}--> {}:{line}\n{:width$} |\n{line} | {text}\n{:width$} |",
            "",
            path.display(),
            "",
            "",
        ),
        None => writeln!(out, "{:width$}--> {}", "", path.display()),
    };
    for note in &problem.notes {
        let _ = writeln!(out, "{:width$} = {}: {}", "", note.label, note.text);
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "{:width$} = help: {help}", "");
    }
    out
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
