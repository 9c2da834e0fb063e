//! From `clauses.toml` to typed clauses, with everything that is wrong on the way.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::clause::{Basis, Clause, Effect, Exception, Kind, Need, PeriodStart, Rule, Selectors};
use super::period::Period;
use super::problem::{Problem, likely};
use super::vocabulary::{Lines, Vocabulary, bad_toml};
use crate::media::{Action, Artefact, Direction};
use crate::purpose::Purpose;

/// LIMIT: clauses of one notice.
const CLAUSES_MAX: usize = 20_000;

/// What `clauses.toml` says.
#[derive(Clone, Debug, Default)]
pub struct ClauseFile {
    /// What it says of the whole notice; `None` if it cannot be read.
    pub header: Option<NoticeHeader>,
    /// Its clauses.
    pub clauses: Vec<Clause>,
    /// The sentences that promise nothing.
    pub asides: Vec<Aside>,
}

/// What `clauses.toml` says of the whole notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeHeader {
    /// The title as published.
    pub title: String,
    /// Where it was published.
    pub published: String,
    /// From which moment it governs new recordings (RFC 3339, with an offset).
    pub effective: Timestamp,
    /// The day people were told of it.
    pub announced: Option<Date>,
    /// The file that holds its text.
    pub text: String,
    /// SHA-256 of that file, in lower-case hex: the text cannot change unnoticed.
    pub sha256: String,
}

/// A sentence that speaks of recordings and promises nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Its words, verbatim in the notice.
    pub quote: String,
    /// The line on which the quote starts.
    pub quote_line: usize,
}

type Words = Vec<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    published: String,
    effective: Spanned<String>,
    announced: Option<Spanned<String>>,
    text: String,
    sha256: String,
    #[serde(default)]
    clause: Vec<ClauseTable>,
    #[serde(default)]
    aside: Vec<AsideTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsideTable {
    quote: Spanned<String>,
    reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ClauseTable {
    id: Spanned<String>,
    quote: Spanned<String>,
    effect: Spanned<String>,
    roles: Option<Words>,
    actions: Option<Words>,
    artefacts: Option<Words>,
    purposes: Option<Words>,
    directions: Option<Words>,
    lines: Option<Words>,
    departments: Option<Words>,
    call_types: Option<Words>,
    labels: Option<Words>,
    recipients: Option<Words>,
    countries: Option<Words>,
    needs: Option<Words>,
    until: Option<Spanned<String>>,
    period: Option<Spanned<String>>,
    clock: Option<Spanned<String>>,
    only: Option<SelectorTable>,
    #[serde(default)]
    except: Vec<SelectorTable>,
    basis: Option<Spanned<String>>,
    notice_period: Option<Spanned<String>>,
    review: Option<Spanned<String>>,
    /// For colleagues alone.
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SelectorTable {
    roles: Option<Words>,
    actions: Option<Words>,
    artefacts: Option<Words>,
    purposes: Option<Words>,
    directions: Option<Words>,
    lines: Option<Words>,
    departments: Option<Words>,
    call_types: Option<Words>,
    labels: Option<Words>,
    recipients: Option<Words>,
    countries: Option<Words>,
    needs: Option<Words>,
}

impl ClauseFile {
    /// Reads `clauses.toml`. What is wrong is added to `problems`; what is right is returned.
    #[must_use]
    pub fn read(
        file: &str,
        text: &str,
        vocabulary: &Vocabulary,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let table: File = match toml::from_str(text) {
            Ok(table) => table,
            Err(error) => {
                problems.push(bad_toml(file, text, &error));
                return Self::default();
            }
        };
        let mut reading =
            Reading { file, lines: Lines::of(text), vocabulary, problems, clause_line: 1 };
        let header = reading.header(&table);
        if table.clause.len() > CLAUSES_MAX {
            reading.problems.push(Problem::new(file, None, "there are more than 20,000 clauses"));
            return Self { header, ..Self::default() };
        }
        let mut ids = BTreeSet::new();
        let mut clauses = Vec::new();
        for table in table.clause {
            let (id, at) = (table.id.get_ref().clone(), table.id.span());
            if !ids.insert(id.clone()) {
                reading.add(&at, format!("there are two clauses `{id}`"));
            }
            clauses.extend(reading.clause(&table));
        }
        let asides = table.aside.into_iter().map(|aside| reading.aside(&aside)).collect();
        Self { header, clauses, asides }
    }
}

struct Reading<'a> {
    file: &'a str,
    lines: Lines,
    vocabulary: &'a Vocabulary,
    problems: &'a mut Vec<Problem>,
    /// The line of the clause that is being read.
    clause_line: usize,
}

impl Reading<'_> {
    fn header(&mut self, table: &File) -> Option<NoticeHeader> {
        let effective: Option<Timestamp> = table.effective.get_ref().parse().ok();
        match effective {
            None => self.add(
                &table.effective.span(),
                "`effective` must be a moment with an offset, such as `2026-03-01T00:00:00+00:00`",
            ),
            // Decisions of one second share what was built for them.
            Some(moment) if moment.subsec_nanosecond() != 0 => {
                self.add(&table.effective.span(), "`effective` must be a whole second");
            }
            Some(_) => {}
        }
        let announced = table.announced.as_ref().and_then(|day| self.day("announced", day));
        let from = effective.map(|moment| TimeZone::UTC.to_datetime(moment).date());
        if let (Some(announced), Some(from), Some(text)) = (announced, from, &table.announced)
            && announced > from
        {
            self.add(&text.span(), "people were told of it only after it took effect");
        }
        Some(NoticeHeader {
            title: table.title.clone(),
            published: table.published.clone(),
            effective: effective?,
            announced,
            text: table.text.clone(),
            sha256: table.sha256.clone(),
        })
    }

    fn aside(&mut self, table: &AsideTable) -> Aside {
        if table.reason.get_ref().trim().is_empty() {
            self.add(&table.reason.span(), "say why this sentence needs no clause");
        }
        Aside {
            quote: table.quote.get_ref().clone(),
            quote_line: self.lines.at(table.quote.span().start),
        }
    }

    fn clause(&mut self, table: &ClauseTable) -> Option<Clause> {
        let id = table.id.get_ref().clone();
        // Clause ids have the grammar that all ids of the folder have.
        if id.parse::<Purpose>().is_err() {
            let message =
                format!("the clause id `{id}` must be lower-case words joined by hyphens");
            self.add(&table.id.span(), message);
        }
        self.clause_line = self.lines.at(table.id.span().start);
        let known: Vec<&str> =
            Kind::ALL.iter().map(|kind| kind.as_str()).chain(["inform", "undecided"]).collect();
        if !known.contains(&table.effect.get_ref().as_str()) {
            self.unknown("effect", &table.effect, &known);
            return None;
        }
        self.unfit(table);
        let effect = match table.effect.get_ref().as_str() {
            "inform" => {
                let period = table.notice_period.as_ref().and_then(|p| self.period(p));
                Effect::Inform { notice_period: period }
            }
            "undecided" => Effect::Undecided,
            word => match Kind::read(word) {
                Some(kind) => Effect::Rule(Box::new(self.rule(kind, table))),
                None => return None,
            },
        };
        let basis = table.basis.as_ref().and_then(|basis| {
            let read = Basis::read(basis.get_ref());
            if read.is_none() {
                self.unknown("basis", basis, &words_of(Basis::ALL, Basis::as_str));
            }
            read
        });
        let mut clause = Clause {
            line: self.lines.at(table.id.span().start),
            quote: table.quote.get_ref().clone(),
            quote_line: self.lines.at(table.quote.span().start),
            effect,
            basis,
            review: table.review.as_ref().and_then(|day| self.day("review", day)),
            id,
        };
        if let (Some(need), Effect::Rule(rule)) = (basis.and_then(Basis::need), &mut clause.effect)
            && !rule.needs.contains(&need)
        {
            rule.needs.push(need);
        }
        Some(clause)
    }

    /// Keys that say nothing beside this effect, and keys that it cannot do without.
    fn unfit(&mut self, table: &ClauseTable) {
        let effect = table.effect.get_ref().as_str();
        let (permit, keep) = (effect == "permit", effect == "keep");
        let require = effect == "require";
        let rule = Kind::read(effect).is_some();
        let about = [
            table.actions.is_some(),
            table.artefacts.is_some(),
            table.purposes.is_some(),
            table.directions.is_some(),
            table.lines.is_some(),
            table.departments.is_some(),
            table.call_types.is_some(),
            table.labels.is_some(),
            table.recipients.is_some(),
            table.countries.is_some(),
        ];
        let given = [
            ("roles", table.roles.is_some(), permit, "in a prohibition, name them in `except`"),
            ("needs", table.needs.is_some(), permit || require, "`require` says what must hold"),
            ("until", table.until.is_some(), permit, "`period` is the word in a `keep`"),
            ("period", table.period.is_some(), keep, "`until` is the word in a `permit`"),
            ("clock", table.clock.is_some(), keep || permit, "it says when a period begins"),
            ("only", table.only.is_some(), require, "a closed list is a `require`"),
            ("except", !table.except.is_empty(), rule && !permit, "it belongs to a prohibition"),
            ("basis", table.basis.is_some(), permit, "it is why something is permitted"),
            (
                "notice-period",
                table.notice_period.is_some(),
                effect == "inform",
                "it is an `inform`",
            ),
            ("selectors", about.contains(&true), rule, "this effect makes no rule"),
        ];
        for (key, is_given, fits, help) in given {
            if is_given && !fits {
                let message =
                    format!("`{key}` says nothing in a clause with the effect `{effect}`");
                self.problem(&table.effect.span(), message, help);
            }
        }
        let missing = [
            (permit && table.roles.is_none(), "roles"),
            (permit && table.purposes.is_none(), "purposes"),
            (keep && table.period.is_none(), "period"),
            (permit && table.clock.is_some() && table.until.is_none(), "until"),
            (require && table.needs.is_none() && table.only.is_none(), "needs` or `only"),
        ];
        for (is_missing, key) in missing {
            if is_missing {
                let message = format!("a clause with the effect `{effect}` needs `{key}`");
                self.add(&table.id.span(), message);
            }
        }
        if effect == "forbid" && !about.contains(&true) {
            let message = "this forbids every use of every recording";
            self.problem(&table.id.span(), message, "say which: purposes, actions, recipients, …");
        }
    }

    fn rule(&mut self, kind: Kind, table: &ClauseTable) -> Rule {
        let mut about = Selectors {
            actions: self.actions(table.actions.as_ref()),
            artefacts: self.artefacts(table.artefacts.as_ref()),
            purposes: self.purposes(table.purposes.as_ref()),
            directions: self.directions(table.directions.as_ref()),
            lines: self.ids("line", table.lines.as_ref()),
            departments: self.ids("department", table.departments.as_ref()),
            call_types: self.ids("call-type", table.call_types.as_ref()),
            labels: self.ids("label", table.labels.as_ref()),
            recipients: self.ids("recipient", table.recipients.as_ref()),
            countries: self.countries(table.countries.as_ref()),
        };
        let only = table.only.as_ref().map(|only| self.selectors(only)).unwrap_or_default();
        let except: Vec<Exception> = table.except.iter().map(|e| self.exception(e)).collect();
        if except.contains(&Exception::default()) {
            self.add(
                &table.id.span(),
                "an exception that names nothing would lift the whole clause",
            );
        }
        self.no_roles_or_needs(table);
        let names_sharing = |s: &Selectors| !s.recipients.is_empty() || !s.countries.is_empty();
        let within = names_sharing(&only) || except.iter().any(|e| names_sharing(&e.about));
        let sharing = names_sharing(&about) || within;
        if table.actions.is_none() {
            // Narrowed in silence, the clause would say nothing about every other use.
            if within && !names_sharing(&about) {
                self.problem(
                    &table.id.span(),
                    "`recipients` and `countries` in `only` and `except` are about sharing alone",
                    "write `actions = [\"share\"]`, and a clause of its own for the other uses",
                );
            }
            about.actions = match (kind, sharing) {
                (_, true) => vec![Action::Share],
                (Kind::Permit, false) => vec![Action::Access, Action::Describe],
                (Kind::Forbid | Kind::Keep | Kind::Require, false) => Action::USES.to_vec(),
            };
        } else if sharing && about.actions.iter().any(|action| *action != Action::Share) {
            self.problem(
                &table.id.span(),
                "`recipients` and `countries` are about sharing alone",
                "give sharing a clause of its own, with `actions = [\"share\"]`",
            );
        }
        if kind == Kind::Permit {
            if about.actions.contains(&Action::Share) && about.recipients.is_empty() {
                let message = "a permit to share must say with which `recipients`";
                self.add(&table.id.span(), message);
            }
            if table.artefacts.is_none() {
                about.artefacts = vec![Artefact::Audio];
            }
        }
        let period = table.until.as_ref().or(table.period.as_ref());
        let mut clock = PeriodStart::CallEnd;
        if let Some(word) = &table.clock {
            match PeriodStart::read(word.get_ref()) {
                Some(read) => clock = read,
                None => {
                    self.unknown("clock", word, &words_of(PeriodStart::ALL, PeriodStart::as_str));
                }
            }
        }
        Rule {
            kind,
            roles: self.ids("role", table.roles.as_ref()),
            about,
            needs: self.needs(table.needs.as_ref()),
            only,
            period: period.and_then(|period| self.period(period)),
            clock,
            except,
        }
    }

    /// A closed list of nothing would forbid everything; one of roles or needs would be another way to say `except` and `needs`.
    fn no_roles_or_needs(&mut self, table: &ClauseTable) {
        let Some(only) = &table.only else { return };
        if *only == SelectorTable::default() {
            self.add(&table.id.span(), "`only` names nothing");
        }
        for (key, words) in [("roles", &only.roles), ("needs", &only.needs)] {
            if words.is_some() {
                let message = format!("`only` takes no `{key}`");
                let help = match key {
                    "roles" => "forbid it, with `except = [{ roles = […] }]`",
                    _ => "write `needs` beside `only`",
                };
                self.problem(&table.id.span(), message, help);
            }
        }
    }

    fn exception(&mut self, table: &SelectorTable) -> Exception {
        Exception {
            roles: self.ids("role", table.roles.as_ref()),
            about: self.selectors(table),
            needs: self.needs(table.needs.as_ref()),
        }
    }

    fn selectors(&mut self, table: &SelectorTable) -> Selectors {
        Selectors {
            actions: self.actions(table.actions.as_ref()),
            artefacts: self.artefacts(table.artefacts.as_ref()),
            purposes: self.purposes(table.purposes.as_ref()),
            directions: self.directions(table.directions.as_ref()),
            lines: self.ids("line", table.lines.as_ref()),
            departments: self.ids("department", table.departments.as_ref()),
            call_types: self.ids("call-type", table.call_types.as_ref()),
            labels: self.ids("label", table.labels.as_ref()),
            recipients: self.ids("recipient", table.recipients.as_ref()),
            countries: self.countries(table.countries.as_ref()),
        }
    }

    fn actions(&mut self, words: Option<&Words>) -> Vec<Action> {
        self.list("action", words, Action::read, &words_of(Action::ALL, Action::as_str))
    }

    fn artefacts(&mut self, words: Option<&Words>) -> Vec<Artefact> {
        self.list("artefact", words, Artefact::read, &words_of(Artefact::ALL, Artefact::as_str))
    }

    fn directions(&mut self, words: Option<&Words>) -> Vec<Direction> {
        self.list("direction", words, Direction::read, &words_of(Direction::ALL, Direction::as_str))
    }

    fn needs(&mut self, words: Option<&Words>) -> Vec<Need> {
        self.list("need", words, Need::read, &words_of(Need::ALL, Need::as_str))
    }

    fn purposes(&mut self, words: Option<&Words>) -> Vec<Purpose> {
        let vocabulary = self.vocabulary;
        let known: Vec<&str> = vocabulary.purposes.keys().map(Purpose::as_str).collect();
        let read = |word: &str| {
            let purpose: Purpose = word.parse().ok()?;
            vocabulary.purposes.contains_key(&purpose).then_some(purpose)
        };
        self.list("purpose", words, read, &known)
    }

    fn ids(&mut self, kind: &'static str, words: Option<&Words>) -> Vec<String> {
        let vocabulary = self.vocabulary;
        let keys: Vec<&str> = match kind {
            "role" => vocabulary.roles.keys().map(String::as_str).collect(),
            "line" => vocabulary.lines.keys().map(String::as_str).collect(),
            "department" => vocabulary.departments.keys().map(String::as_str).collect(),
            "call-type" => vocabulary.call_types.keys().map(String::as_str).collect(),
            "label" => vocabulary.labels.keys().map(String::as_str).collect(),
            _ => vocabulary.recipients.keys().map(String::as_str).collect(),
        };
        self.list(kind, words, |word| keys.contains(&word).then(|| word.to_owned()), &keys)
    }

    fn countries(&mut self, words: Option<&Words>) -> Vec<String> {
        let read = |word: &str| {
            let plain = word.len() == 2 && word.bytes().all(|b| b.is_ascii_uppercase());
            plain.then(|| word.to_owned())
        };
        self.list("country (two capital letters)", words, read, &[])
    }

    fn list<T: PartialEq>(
        &mut self,
        kind: &str,
        words: Option<&Words>,
        read: impl Fn(&str) -> Option<T>,
        known: &[&str],
    ) -> Vec<T> {
        let mut found = Vec::new();
        for word in words.into_iter().flatten() {
            match read(word.get_ref()) {
                Some(value) if found.contains(&value) => {
                    self.add(&word.span(), format!("`{}` stands twice", word.get_ref()));
                }
                Some(value) => found.push(value),
                None => self.unknown(kind, word, known),
            }
        }
        if let Some(first) = words
            && first.is_empty()
        {
            let message = format!("an empty list, where a {kind} should be");
            let problem = Problem::new(self.file, Some(self.clause_line), message);
            self.problems.push(problem.help("name one, or leave the key out"));
        }
        found
    }

    fn period(&mut self, text: &Spanned<String>) -> Option<Period> {
        match text.get_ref().parse() {
            Ok(period) => Some(period),
            Err(error) => {
                let error: super::period::NotAPeriod = error;
                self.add(&text.span(), format!("`{}`: {error}", text.get_ref()));
                None
            }
        }
    }

    fn day(&mut self, key: &str, text: &Spanned<String>) -> Option<Date> {
        let day = text.get_ref().parse().ok();
        if day.is_none() {
            self.add(&text.span(), format!("`{key}` must be a day, such as `2027-03-01`"));
        }
        day
    }

    fn unknown(&mut self, kind: &str, word: &Spanned<String>, known: &[&str]) {
        let mut problem = Problem::new(
            self.file,
            Some(self.lines.at(word.span().start)),
            format!("there is no {kind} `{}`", word.get_ref()),
        );
        problem.help = match likely(word.get_ref(), known.iter().copied()) {
            Some(likely) => Some(format!("did you mean `{likely}`?")),
            None if known.is_empty() || known.len() > 20 => None,
            None => Some(format!("there are {}", known.join(", "))),
        };
        self.problems.push(problem);
    }

    fn problem(&mut self, at: &Range<usize>, message: impl std::fmt::Display, help: &str) {
        self.add(at, message);
        if let Some(problem) = self.problems.last_mut() {
            problem.help = Some(help.to_owned());
        }
    }

    fn add(&mut self, at: &Range<usize>, message: impl std::fmt::Display) {
        let line = self.lines.at(at.start);
        self.problems.push(Problem::new(self.file, Some(line), message));
    }
}

fn words_of<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|value| word(*value)).collect()
}
