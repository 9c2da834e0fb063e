//! The closed lists of an organisation: purposes, roles, recipients, telephone lines and the rest.
//!
//! A word that is not in its list is an error wherever it is used. Purposes and recipients form
//! trees. A permit for a purpose brings the purposes below it, but stops at those that are marked:
//! a new kind of use has to be named. A prohibition brings all of them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::problem::{Problem, likely};
use crate::purpose::Purpose;

/// The file's name.
pub(crate) const VOCABULARY_FILE: &str = "vocabulary.toml";

/// The closed lists.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Why recordings are asked for, by id.
    pub purposes: BTreeMap<Purpose, PurposeWord>,
    /// What callers may be.
    pub roles: BTreeMap<String, Word>,
    /// Who may be given recordings.
    pub recipients: BTreeMap<String, RecipientWord>,
    /// Telephone lines of the organisation.
    pub lines: BTreeMap<String, Line>,
    /// Parts of the organisation.
    pub departments: BTreeMap<String, Word>,
    /// Kinds of calls.
    pub call_types: BTreeMap<String, Word>,
    /// What a call may be about or hold.
    pub labels: BTreeMap<String, Word>,
    /// The line of each number: asked for at every decision.
    line_of: HashMap<String, String>,
    /// Beginnings of words that tell a sentence about recordings.
    pub coverage_words: Vec<String>,
}

/// A word and its name in sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it reads in a sentence.
    pub name: String,
}

/// A purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeWord {
    /// As it reads after "for".
    pub name: String,
    /// Its id in the W3C's Data Privacy Vocabulary 2.3, or a `urn:` of one's own.
    pub iri: Option<String>,
    /// Where an id of one's own belongs in that vocabulary.
    pub broader: Vec<String>,
    /// The purposes above it.
    pub parents: Vec<Purpose>,
    /// True if a permit for a parent does not bring it.
    pub marked: bool,
}

/// A recipient, or a class of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientWord {
    /// As it reads in a sentence.
    pub name: String,
    /// Its id, as for purposes.
    pub iri: Option<String>,
    /// The class it belongs to.
    pub parent: Option<String>,
}

/// A telephone line, and what is known of every call on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As it reads in a sentence.
    pub name: String,
    /// Its numbers in E.164 form.
    pub numbers: Vec<String>,
    /// The part of the organisation that serves it.
    pub department: Option<String>,
    /// What its calls are.
    pub call_type: Option<String>,
    /// The labels of all its calls; `None` if they are not known.
    pub labels: Option<Vec<String>>,
}

/// What a file that names no words of its own looks for.
const ENGLISH: [&str; 14] = [
    "record",
    "call",
    "conversation",
    "transcri",
    "voice",
    "audio",
    "listen",
    "shar",
    "disclos",
    // What is kept or deleted is often only "them".
    "keep",
    "kept",
    "retain",
    "delet",
    "eras",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    purpose: Vec<PurposeTable>,
    #[serde(default)]
    role: Vec<WordTable>,
    #[serde(default)]
    recipient: Vec<RecipientTable>,
    #[serde(default)]
    line: Vec<LineTable>,
    #[serde(default)]
    department: Vec<WordTable>,
    #[serde(default)]
    call_type: Vec<WordTable>,
    #[serde(default)]
    label: Vec<WordTable>,
    coverage: Option<CoverageTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurposeTable {
    id: Spanned<String>,
    name: String,
    iri: Option<Spanned<String>>,
    #[serde(default)]
    broader: Vec<Spanned<String>>,
    #[serde(default)]
    parents: Vec<Spanned<String>>,
    #[serde(default)]
    marked: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordTable {
    id: Spanned<String>,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipientTable {
    id: Spanned<String>,
    name: String,
    iri: Option<Spanned<String>>,
    #[serde(default)]
    broader: Vec<Spanned<String>>,
    parent: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LineTable {
    id: Spanned<String>,
    name: String,
    numbers: Vec<Spanned<String>>,
    department: Option<Spanned<String>>,
    call_type: Option<Spanned<String>>,
    labels: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CoverageTable {
    words: Vec<String>,
}

impl Vocabulary {
    /// Reads `vocabulary.toml`. What is wrong is added to `problems`; what is right is returned.
    #[must_use]
    pub fn read(text: &str, problems: &mut Vec<Problem>) -> Self {
        let file: File = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                problems.push(bad_toml(VOCABULARY_FILE, text, &error));
                return Self::default();
            }
        };
        let mut reading = Reading { lines: Lines::of(text), problems };
        let mut found = Self {
            purposes: reading.purposes(file.purpose),
            roles: reading.words("role", file.role),
            recipients: reading.recipients(file.recipient),
            lines: BTreeMap::new(),
            line_of: HashMap::new(),
            departments: reading.words("department", file.department),
            call_types: reading.words("call-type", file.call_type),
            labels: reading.words("label", file.label),
            coverage_words: match file.coverage {
                Some(table) if table.words.iter().all(|word| word.trim().is_empty()) => {
                    let message =
                        "`coverage.words` names no word: nothing would be about recordings";
                    reading.problems.push(Problem::new(VOCABULARY_FILE, None, message));
                    Vec::new()
                }
                Some(table) => table.words.iter().map(|word| word.to_lowercase()).collect(),
                None => ENGLISH.map(str::to_owned).into(),
            },
        };
        found.lines = reading.lines(file.line, &found);
        let numbers = found.lines.iter().flat_map(|(id, line)| {
            line.numbers.iter().map(move |number| (number.clone(), id.clone()))
        });
        found.line_of = numbers.collect();
        for (kind, missing) in
            [("purpose", found.purposes.is_empty()), ("role", found.roles.is_empty())]
        {
            if missing {
                let message =
                    format!("there is no [[{kind}]]; without one nothing can be permitted");
                reading.problems.push(Problem::new(VOCABULARY_FILE, None, message));
            }
        }
        found
    }

    /// The purposes that a permit for this one grants: itself and all below it, up to those that
    /// are marked.
    #[must_use]
    pub fn granted_by(&self, purpose: &Purpose) -> Vec<Purpose> {
        self.below(purpose, |word| !word.marked)
    }

    /// The purposes that a prohibition of this one covers: itself and all below it.
    #[must_use]
    pub fn covered_by(&self, purpose: &Purpose) -> Vec<Purpose> {
        self.below(purpose, |_| true)
    }

    fn below(&self, purpose: &Purpose, enter: impl Fn(&PurposeWord) -> bool) -> Vec<Purpose> {
        let mut found = vec![purpose.clone()];
        let mut next = 0;
        while let Some(parent) = found.get(next).cloned() {
            next += 1;
            for (id, word) in &self.purposes {
                if word.parents.contains(&parent) && enter(word) && !found.contains(id) {
                    found.push(id.clone());
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// A recipient and all below it.
    #[must_use]
    pub fn recipients_of(&self, recipient: &str) -> Vec<String> {
        let mut found = vec![recipient.to_owned()];
        let mut next = 0;
        while let Some(parent) = found.get(next).cloned() {
            next += 1;
            for (id, word) in &self.recipients {
                if word.parent.as_ref() == Some(&parent) && !found.contains(id) {
                    found.push(id.clone());
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// The line to which a number belongs.
    #[must_use]
    pub fn line_of(&self, number: &str) -> Option<&str> {
        self.line_of.get(number).map(String::as_str)
    }
}

struct Reading<'a> {
    lines: Lines,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn words(&mut self, kind: &str, tables: Vec<WordTable>) -> BTreeMap<String, Word> {
        let mut found = BTreeMap::new();
        for WordTable { id, name } in tables {
            self.check_id(kind, &id);
            self.check_name(kind, &id, &name);
            let at = id.span();
            let id = id.into_inner();
            if found.insert(id.clone(), Word { name }).is_some() {
                self.twice(kind, &id, at);
            }
        }
        found
    }

    fn purposes(&mut self, tables: Vec<PurposeTable>) -> BTreeMap<Purpose, PurposeWord> {
        let ids: Vec<String> = tables.iter().map(|t| t.id.get_ref().clone()).collect();
        let mut found = BTreeMap::new();
        for table in tables {
            let PurposeTable { id, name, iri, broader, parents, marked } = table;
            self.check_id("purpose", &id);
            self.check_name("purpose", &id, &name);
            self.check_iris(iri.as_ref(), &broader);
            if id.get_ref() == "any" {
                self.add(id.span(), "`any` is no purpose; it stands for all of them");
            }
            for parent in &parents {
                self.check_known("purpose", parent, &ids);
            }
            let at = id.span();
            let Ok(purpose) = id.get_ref().parse::<Purpose>() else { continue };
            let word = PurposeWord {
                name,
                iri: iri.map(Spanned::into_inner),
                broader: broader.into_iter().map(Spanned::into_inner).collect(),
                parents: parents.iter().filter_map(|p| p.get_ref().parse().ok()).collect(),
                marked,
            };
            if found.insert(purpose, word).is_some() {
                self.twice("purpose", id.get_ref(), at);
            }
        }
        for start in found.keys() {
            let mut above: Vec<&Purpose> = Vec::new();
            let mut open = vec![start];
            while let Some(id) = open.pop() {
                for parent in found.get(id).into_iter().flat_map(|word| &word.parents) {
                    if !above.contains(&parent) {
                        above.push(parent);
                        open.push(parent);
                    }
                }
            }
            if above.contains(&start) {
                let message = format!("purpose `{start}` is above itself");
                let problem = Problem::new(VOCABULARY_FILE, None, message);
                self.problems.push(problem.help("take one of its `parents` out"));
            }
        }
        found
    }

    fn recipients(&mut self, tables: Vec<RecipientTable>) -> BTreeMap<String, RecipientWord> {
        let ids: Vec<String> = tables.iter().map(|t| t.id.get_ref().clone()).collect();
        let mut found: BTreeMap<String, RecipientWord> = BTreeMap::new();
        for table in tables {
            let RecipientTable { id, name, iri, broader, parent } = table;
            self.check_id("recipient", &id);
            self.check_name("recipient", &id, &name);
            self.check_iris(iri.as_ref(), &broader);
            if let Some(parent) = &parent {
                self.check_known("recipient", parent, &ids);
            }
            let at = id.span();
            let id = id.into_inner();
            let (iri, parent) = (iri.map(Spanned::into_inner), parent.map(Spanned::into_inner));
            if found.insert(id.clone(), RecipientWord { name, iri, parent }).is_some() {
                self.twice("recipient", &id, at);
            }
        }
        for start in found.keys() {
            let mut above = found.get(start).and_then(|word| word.parent.as_ref());
            // No chain is longer than the list, unless it goes round.
            for _ in 0..found.len() {
                if above == Some(start) {
                    let message = format!("recipient `{start}` is above itself");
                    let problem = Problem::new(VOCABULARY_FILE, None, message);
                    self.problems.push(problem.help("take its `parent` out"));
                    break;
                }
                above = above.and_then(|id| found.get(id)?.parent.as_ref());
            }
        }
        found
    }

    fn lines(&mut self, tables: Vec<LineTable>, known: &Vocabulary) -> BTreeMap<String, Line> {
        let mut found: BTreeMap<String, Line> = BTreeMap::new();
        let ids = |map: &BTreeMap<String, Word>| map.keys().cloned().collect::<Vec<_>>();
        let (departments, call_types) = (ids(&known.departments), ids(&known.call_types));
        let labels_known = ids(&known.labels);
        for table in tables {
            let LineTable { id, name, numbers, department, call_type, labels } = table;
            self.check_id("line", &id);
            self.check_name("line", &id, &name);
            for (index, number) in numbers.iter().enumerate() {
                if numbers.iter().take(index).any(|other| other.get_ref() == number.get_ref()) {
                    self.add(number.span(), "the number stands twice");
                }
                let digits = number.get_ref().strip_prefix('+').unwrap_or_default();
                let plain = digits.bytes().all(|b| b.is_ascii_digit());
                if !plain || !(7..=15).contains(&digits.len()) {
                    // E.164: at most 15 digits. The number itself stays out of the message.
                    let message = format!(
                        "a number of line `{}` is not `+` and 7 to 15 digits",
                        id.get_ref()
                    );
                    self.add(number.span(), message);
                }
                if found.values().any(|line| line.numbers.contains(number.get_ref())) {
                    self.add(number.span(), "the number belongs to another line, too");
                }
            }
            for (kind, word, words) in
                [("department", &department, &departments), ("call-type", &call_type, &call_types)]
            {
                if let Some(word) = word {
                    self.check_known(kind, word, words);
                }
            }
            for label in labels.iter().flatten() {
                self.check_known("label", label, &labels_known);
            }
            let at = id.span();
            let id = id.into_inner();
            let line = Line {
                name,
                numbers: numbers.into_iter().map(Spanned::into_inner).collect(),
                department: department.map(Spanned::into_inner),
                call_type: call_type.map(Spanned::into_inner),
                labels: labels.map(|l| l.into_iter().map(Spanned::into_inner).collect()),
            };
            if found.insert(id.clone(), line).is_some() {
                self.twice("line", &id, at);
            }
        }
        found
    }

    fn check_id(&mut self, kind: &str, id: &Spanned<String>) {
        // Purposes have the grammar that all ids here have.
        if id.get_ref().parse::<Purpose>().is_err() {
            let message = format!(
                "the {kind} id `{}` must be lower-case words joined by hyphens, 64 bytes at most",
                id.get_ref()
            );
            self.add(id.span(), message);
        }
    }

    fn check_name(&mut self, kind: &str, id: &Spanned<String>, name: &str) {
        // A name stands in comments of the derived files: nothing in it may turn a line around or
        // end it.
        let unseen = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        if name.trim().is_empty() || name.len() > 200 || name.contains(unseen) {
            let message = format!(
                "{kind} `{}` needs a name of 1 to 200 bytes that can all be seen",
                id.get_ref()
            );
            self.add(id.span(), message);
        }
    }

    fn check_iris(&mut self, iri: Option<&Spanned<String>>, broader: &[Spanned<String>]) {
        for iri in iri.into_iter().chain(broader) {
            let text = iri.get_ref();
            let own = text.starts_with("urn:") || text.starts_with("https://");
            if text.contains("//www.w3.org/ns/dpv") {
                self.add(iri.span(), "DPV 2.3 has its terms under https://w3id.org/dpv#");
            } else if !own || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
                self.add(iri.span(), format!("`{text}` is not an IRI (`https://…` or `urn:…`)"));
            }
        }
    }

    fn check_known(&mut self, kind: &str, word: &Spanned<String>, known: &[String]) {
        if !known.contains(word.get_ref()) {
            let message = format!("there is no {kind} `{}`", word.get_ref());
            let help = likely(word.get_ref(), known.iter().map(String::as_str));
            self.add(word.span(), message);
            if let (Some(help), Some(problem)) = (help, self.problems.last_mut()) {
                problem.help = Some(format!("did you mean `{help}`?"));
            }
        }
    }

    fn twice(&mut self, kind: &str, id: &str, at: Range<usize>) {
        self.add(at, format!("there are two of {kind} `{id}`"));
    }

    fn add(&mut self, at: Range<usize>, message: impl std::fmt::Display) {
        let line = self.lines.at(at.start);
        self.problems.push(Problem::new(VOCABULARY_FILE, Some(line), message));
    }
}

/// Where the lines of a text start, to tell the line of an offset.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(starts).collect())
    }

    /// The line of an offset; the first is 1.
    pub(crate) fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// A file that is no TOML, or has keys that nobody knows.
pub(crate) fn bad_toml(file: &str, text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map(|span| Lines::of(text).at(span.start));
    Problem::new(file, line, without_numbers(error.message()))
}

/// A text in which runs of seven digits and more, which may be telephone numbers, are left out.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        out.push_str(if digits.len() < 7 { &digits } else { "…" });
        digits.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}
