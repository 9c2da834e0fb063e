//! A policy folder as its authors wrote it: vocabulary, notices and clauses, read and derived,
//! with everything that is wrong so far. Nothing of it may decide yet; see `load.rs`.

use std::sync::Arc;

use super::administration;
use super::derive::{self, Derived};
use super::{LawSource, NoticeSource, PolicySources, text_digest};
use crate::law::Law;
use crate::notice::{
    ClauseFile, Effect, Markup, Notice, NoticeText, NoticeVersion, Notices, Problem, QuoteError,
    Vocabulary, nearest, word_diff,
};

/// What was read and derived.
#[derive(Debug)]
pub struct Draft {
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) notices: Notices,
    pub(super) law: Arc<Law>,
    /// For each notice, in the order of `notices`.
    pub(super) derived: Vec<Vec<Derived>>,
    /// True if somebody may administer something, so that a schema for that is derived.
    administers: bool,
    pub(super) problems: Vec<Problem>,
}

/// A derived file: its place in the folder, and what it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedFile {
    /// Relative to the policy folder.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The law of each place. A folder in memory may have none: then every place is unknown, and the
/// strictest rule holds everywhere.
fn read_law(source: &LawSource, problems: &mut Vec<Problem>) -> Law {
    if *source == LawSource::default() {
        return Law::default();
    }
    let LawSource { consent, area_codes, overrides } = source;
    Law::read(consent, area_codes, overrides.as_deref()).unwrap_or_else(|wrong| {
        problems.extend(wrong);
        Law::default()
    })
}

impl Draft {
    /// Reads the folder's texts.
    #[must_use]
    pub fn read(sources: &PolicySources) -> Self {
        super::load::on_large_stack(|| Self::read_here(sources)).unwrap_or_else(|| Self {
            vocabulary: Arc::default(),
            notices: Notices::default(),
            law: Arc::default(),
            derived: Vec::new(),
            administers: false,
            problems: vec![Problem::new("policies", None, "the reading thread failed")],
        })
    }

    pub(super) fn read_here(sources: &PolicySources) -> Self {
        let mut problems = Vec::new();
        let administers = !sources.administration.is_empty();
        let vocabulary = Vocabulary::read(&sources.vocabulary, &mut problems);
        let law = Arc::new(read_law(&sources.law, &mut problems));
        if vocabulary.purposes.is_empty() && vocabulary.roles.is_empty() {
            // Without its words every clause would seem wrong.
            let (notices, derived) = (Notices::default(), Vec::new());
            let vocabulary = Arc::new(vocabulary);
            return Self { vocabulary, notices, law, derived, administers, problems };
        }
        let notices: Vec<Notice> = sources
            .notices
            .iter()
            .filter_map(|source| read_notice(source, &vocabulary, &mut problems))
            .collect();
        if sources.notices.is_empty() {
            let message = "there is no notice; without one nothing can be permitted";
            problems.push(Problem::new("notices", None, message));
        }
        let notices = Notices::new(notices).unwrap_or_else(|error| {
            problems.push(Problem::new("notices", None, error));
            Notices::default()
        });
        let mut derived = Vec::new();
        for notice in notices.all() {
            match derive::derive(notice, &vocabulary) {
                Ok(policies) => derived.push(policies),
                Err(error) => {
                    problems.push(Problem::new(&file(notice, "clauses.toml"), None, error));
                    derived.push(Vec::new());
                }
            }
        }
        Self { vocabulary: Arc::new(vocabulary), notices, law, derived, administers, problems }
    }

    /// What is wrong so far.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The closed lists.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The law of each place.
    #[must_use]
    pub fn law(&self) -> &Law {
        &self.law
    }

    /// The versions, oldest first.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// The derived files, byte for byte.
    ///
    /// # Errors
    /// What is wrong, if something is: a broken folder derives nothing.
    pub fn derive(&self) -> Result<Vec<DerivedFile>, Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems.clone());
        }
        let schema = derive::schema_text(&self.vocabulary);
        let mut files = vec![DerivedFile { path: "schema.cedarschema".to_owned(), text: schema }];
        if self.administers {
            let text = administration::schema_text(&self.vocabulary);
            files.push(DerivedFile { path: administration::SCHEMA_FILE.to_owned(), text });
        }
        for (notice, derived) in self.notices.all().iter().zip(&self.derived) {
            let path = file(notice, "clauses.cedar");
            match derive::clauses_text(notice, derived, &self.vocabulary) {
                Ok(text) => files.push(DerivedFile { path, text }),
                Err(error) => return Err(vec![Problem::new(&path, None, error)]),
            }
        }
        Ok(files)
    }
}

/// The path of one of a notice's files.
pub(super) fn file(notice: &Notice, name: &str) -> String {
    format!("notices/{}/{name}", notice.version)
}

fn read_notice(
    source: &NoticeSource,
    vocabulary: &Vocabulary,
    problems: &mut Vec<Problem>,
) -> Option<Notice> {
    let folder = format!("notices/{}", source.version);
    let path = format!("{folder}/clauses.toml");
    let version: NoticeVersion = source
        .version
        .parse()
        .map_err(|error| problems.push(Problem::new(&folder, None, error)))
        .ok()?;
    let ClauseFile { header, clauses, asides } =
        ClauseFile::read(&path, &source.meaning, vocabulary, problems);
    let header = header?;
    let digest = text_digest(&source.text);
    if digest != header.sha256 {
        let message = format!("the text in `{}` is not the one that was published", header.text);
        problems.push(Problem::new(&path, None, message).help(format!(
            "a changed notice is a new version in a folder of its own; while you are still \
             writing this one, set `sha256 = \"{digest}\"`"
        )));
    }
    let Some(markup) = Markup::of(&header.text) else {
        let message = format!("`{}` must end in .md, .html or .txt", header.text);
        problems.push(Problem::new(&path, None, message));
        return None;
    };
    let text = NoticeText::new(&source.text, markup);
    let page = format!("{folder}/{}", header.text);
    for clause in &clauses {
        let of = format!("clause `{}`", clause.id);
        check_quote(&text, &page, &path, (&clause.quote, clause.quote_line), &of, problems);
        if clause.effect == Effect::Undecided {
            let message = format!("{of} is undecided: it permits nothing");
            let problem = Problem::new(&path, Some(clause.line), message);
            problems.push(problem.note("the notice says", &clause.quote).help(
                "write what it means: a purpose that the vocabulary has, a period with a number",
            ));
        }
    }
    for aside in &asides {
        let quote = (aside.quote.as_str(), aside.quote_line);
        check_quote(&text, &page, &path, quote, "an aside", problems);
    }
    Some(Notice { version, header, text, clauses, asides })
}

/// Looks a quote up; where it is not, says what comes nearest.
fn check_quote(
    text: &NoticeText,
    page: &str,
    path: &str,
    (quote, line): (&str, usize),
    of: &str,
    problems: &mut Vec<Problem>,
) {
    let Err(error) = text.find(quote) else { return };
    let mut problem = Problem::new(path, Some(line), format!("{of}: {error}")).note("quote", quote);
    if error != QuoteError::TooShort
        && let Some((line, passage)) = nearest(text, quote)
    {
        problem = problem
            .note(format!("nearest in {page}:{line}"), passage)
            .note("from the notice to the quote", word_diff(passage, quote))
            .help("quote the notice as it was published, or take the clause out");
    } else if error == QuoteError::NotInText {
        problem = problem.help(format!("nothing in {page} comes near; take the clause out"));
    }
    problems.push(problem);
}
