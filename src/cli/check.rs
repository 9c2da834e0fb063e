//! `noticegate check`: everything that is wrong with a policy folder, and what each sentence of its
//! notices became.

use jiff::tz::TimeZone;
use serde_json::json;

use super::policies::{PolicyFolder, count, tell};
use super::{ConfigPath, Exit, Format, say, share};
use crate::clock::Clock;
use crate::notice::{Class, Coverage, Plain, Problem};
use crate::policy::{Draft, Policies};

/// Find everything that is wrong with a policy folder, and show what each sentence became
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate check\n  noticegate check --sentences          # every sentence and what it became\n  \
noticegate check --deny-warnings --format json\n  \
noticegate check --policies draft --shares  # and the links that it would stop\n\n\
Exit status: 0 nothing is wrong, 1 only warnings and --deny-warnings, 3 the folder cannot be used")]
pub(super) struct Check {
    #[command(flatten)]
    folder: PolicyFolder,
    /// Tell which shares that are out these policies would stop, by the ledger of --config
    #[arg(long)]
    shares: bool,
    #[command(flatten)]
    path: ConfigPath,
    /// Show every sentence of the notices, what it became, and each clause in plain words
    #[arg(long)]
    sentences: bool,
    /// Fail on warnings, too
    #[arg(long)]
    deny_warnings: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Check {
    pub(super) fn run(&self) -> Exit {
        let sources = match self.folder.read() {
            Ok(sources) => sources,
            Err(exit) => return exit,
        };
        let draft = Draft::read(&sources);
        let mut problems = match Policies::load(&sources) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems,
        };
        problems.extend(overdue(&draft, Clock::system().now()));
        if self.format == Format::Human {
            self.tell_coverage(&draft);
        } else {
            tell_coverage_json(&draft);
        }
        let errors = tell(&self.folder.policies, &problems, self.format);
        let stopped = match self.shares {
            true => match share::stopped_by(&sources, &self.path, self.format) {
                Ok(stopped) => stopped,
                Err(exit) => return exit,
            },
            false => 0,
        };
        let warnings = problems.len() - errors + stopped;
        if self.format == Format::Human {
            say(match (errors, warnings) {
                (0, 0) => "nothing is wrong".to_owned(),
                _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
            });
        }
        match (errors, warnings) {
            (0, 1..) if self.deny_warnings => Exit::Failed,
            (0, _) => Exit::Done,
            _ => Exit::Invalid,
        }
    }

    fn tell_coverage(&self, draft: &Draft) {
        for notice in draft.notices().all() {
            let coverage = Coverage::of(notice, draft.vocabulary());
            let classes = [
                (Class::Rule, "rule"),
                (Class::Information, "information"),
                (Class::Undecided, "undecided"),
                (Class::Aside, "aside"),
                (Class::Uncovered, "uncovered"),
                (Class::NotAboutRecordings, "not about recordings"),
            ];
            let counts = classes.into_iter().filter_map(|(class, word)| {
                let number = coverage.count(class);
                (number > 0).then(|| format!("{number} {word}"))
            });
            say(format_args!(
                "notice {}: {}% of what it says about recordings is covered ({}: {})",
                notice.version,
                coverage.percent(),
                count(coverage.sentences.len(), "sentence"),
                counts.collect::<Vec<_>>().join(", "),
            ));
            if !self.sentences {
                continue;
            }
            for covered in &coverage.sentences {
                let text = notice.text.get(covered.sentence.range.clone());
                say(format_args!(
                    "\n  {}:{}  {}\n    \"{text}\"",
                    notice.header.text,
                    covered.sentence.line,
                    covered.class.as_str()
                ));
                for id in &covered.clauses {
                    if let Some(clause) = notice.clauses.iter().find(|c| c.id == *id) {
                        let plain = Plain(draft.vocabulary()).clause(clause);
                        say(format_args!("    {id}: {plain}"));
                    }
                }
            }
            say("");
        }
    }
}

fn tell_coverage_json(draft: &Draft) {
    for notice in draft.notices().all() {
        let coverage = Coverage::of(notice, draft.vocabulary());
        let sentences = coverage.sentences.iter().map(|covered| {
            json!({
                "line": covered.sentence.line,
                "text": notice.text.get(covered.sentence.range.clone()),
                "class": covered.class,
                "clauses": covered.clauses,
            })
        });
        say(json!({
            "notice": notice.version.as_str(),
            "covered_percent": coverage.percent(),
            "sentences": sentences.collect::<Vec<_>>(),
        }));
    }
}

/// Clauses that somebody wanted to look at again by now.
fn overdue(draft: &Draft, now: jiff::Timestamp) -> Vec<Problem> {
    let today = TimeZone::UTC.to_datetime(now).date();
    let notices = draft.notices().all().iter();
    let clauses = notices.flat_map(|notice| {
        let file = format!("notices/{}/clauses.toml", notice.version);
        notice.clauses.iter().map(move |clause| (file.clone(), clause))
    });
    let late = clauses.filter_map(|(file, clause)| {
        let review = clause.review.filter(|day| *day < today)?;
        let message = format!("clause `{}` was to be looked at again by {review}", clause.id);
        let problem = Problem::new(&file, Some(clause.line), message).warning();
        Some(problem.help("look at it, then set `review` to the next day"))
    });
    late.chain(draft.law().past_review(today)).collect()
}
