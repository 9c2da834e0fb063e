//! `noticegate test`: runs the policy tests of a folder.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::policies::{PolicyFolder, count, tell};
use super::{Exit, Format, complain, say};
use crate::folder;
use crate::notice::Problem;
use crate::policy::{Policies, PolicyTest};

/// Run the policy tests in `tests/*.toml`: each asks a question and says what must be decided
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate test\n  noticegate test --name copy            # only tests with `copy` in their name\n  \
noticegate test --export tests.json    # for `cedar run-tests --tests tests.json`\n\n\
Exit status: 0 all pass, 1 some fail, 3 the folder or a test cannot be used")]
pub(super) struct Test {
    #[command(flatten)]
    folder: PolicyFolder,
    /// Run only tests whose name holds this
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Write the tests in the form of the official `cedar run-tests` command, and run none
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Test {
    pub(super) fn run(&self) -> Exit {
        match self.test() {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn test(&self) -> Result<Exit, Exit> {
        let policies = self.folder.load()?;
        let files = folder::read_tests(&self.folder.policies).map_err(|error| {
            complain(&error);
            Exit::Invalid
        })?;
        let mut problems = Vec::new();
        let mut tests = Vec::new();
        for (file, text) in &files {
            tests.extend(PolicyTest::read(file, text, &policies, &mut problems));
        }
        if tell(&self.folder.policies, &problems, self.format) > 0 {
            return Err(Exit::Invalid);
        }
        if let Some(name) = &self.name {
            tests.retain(|test| test.name.contains(name));
        }
        if tests.is_empty() {
            say("there are no such tests; write some in `tests/*.toml`");
            return Err(Exit::Invalid);
        }
        match &self.export {
            Some(path) => export(&policies, tests, path),
            None => Ok(self.run_all(&policies, &tests)),
        }
    }

    fn run_all(&self, policies: &Policies, tests: &[PolicyTest]) -> Exit {
        let mut failed = 0;
        for test in tests {
            let wrong = test.run(policies).err();
            failed += usize::from(wrong.is_some());
            if self.format == Format::Json {
                let wrong = wrong.unwrap_or_default();
                say(json!({
                    "name": test.name, "file": test.file, "line": test.line,
                    "passed": wrong.is_empty(), "wrong": wrong,
                }));
            } else if let Some(wrong) = wrong {
                let mut problem =
                    Problem::new(&test.file, Some(test.line), format!("`{}` failed", test.name));
                for line in wrong {
                    problem = problem.note("came out", line);
                }
                tell(&self.folder.policies, &[problem], self.format);
            }
        }
        if self.format == Format::Human {
            say(format_args!("{} passed, {failed} failed", tests.len() - failed));
        }
        if failed == 0 { Exit::Done } else { Exit::Failed }
    }
}

fn export(policies: &Policies, tests: Vec<PolicyTest>, path: &PathBuf) -> Result<Exit, Exit> {
    let mut exported: Vec<Value> = Vec::new();
    let all = tests.len();
    for test in tests {
        match policies.exported(&test.name, test.question) {
            Ok(value) => exported.extend(value),
            Err(error) => {
                say(format_args!("`{}` cannot be exported: {error}", test.name));
                return Err(Exit::Failed);
            }
        }
    }
    let text = serde_json::to_string_pretty(&exported).unwrap_or_default();
    if let Err(error) = std::fs::write(path, text + "\n") {
        complain(&std::io::Error::other(format!("cannot write `{}`: {error}", path.display())));
        return Err(Exit::Failed);
    }
    say(format_args!(
        "wrote {} to `{}`; {} decided before Cedar is asked",
        count(exported.len(), "test"),
        path.display(),
        all - exported.len()
    ));
    Ok(Exit::Done)
}
