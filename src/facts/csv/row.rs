//! From a row to a statement, or to everything that is wrong with the row.

use std::collections::BTreeSet;
use std::str::FromStr;

use csv::ByteRecord;

use super::super::statement::{
    Case, ConsentRecord, Filing, Heard, Hold, Objection, Party, Pause, Payment, Proof, Said,
    Statement, Who,
};
use super::cell::{self, NO_MEMBER, Wrong};
use super::{Column, Kind, LineProblem};
use crate::facts::Consent;
use crate::law::Place;
use crate::media::MediaSid;
use crate::notice::{ConsentForm, likely};
use crate::purpose::Purpose;

/// A table under way.
pub(super) struct Table<'a> {
    columns: &'a [Column],
    kinds: &'a [Kind],
    /// Columns that are missing, which is told once.
    missed: BTreeSet<Column>,
    pub(super) problems: Vec<LineProblem>,
}

impl<'a> Table<'a> {
    pub(super) fn new(columns: &'a [Column], kinds: &'a [Kind]) -> Self {
        Self { columns, kinds, missed: BTreeSet::new(), problems: Vec::new() }
    }

    /// What a row says; none if something is wrong with it.
    pub(super) fn read(&mut self, line: u64, record: &ByteRecord) -> Option<Statement> {
        let before = self.problems.len();
        if record.len() != self.columns.len() {
            let (has, columns) = (record.len(), self.columns.len());
            let problem = format!("the row has {has} cells, and there are {columns} columns");
            let help = "put quotes around a cell that holds a separator, a quote or a line end";
            self.problems.push(LineProblem::new(line, None, &problem, help));
            return None;
        }
        let mut row = Row { table: self, line, record };
        let statement = row.statement();
        let statement = statement.filter(|_| self.problems.len() == before)?;
        match statement.check_form() {
            Ok(()) => Some(statement),
            Err(unfit) => {
                self.problems.push(LineProblem::unfit(line, &unfit));
                None
            }
        }
    }
}

struct Row<'t, 'a> {
    table: &'t mut Table<'a>,
    line: u64,
    record: &'t ByteRecord,
}

impl<'t> Row<'t, '_> {
    fn wrong(&mut self, column: Column, problem: &str, help: impl Into<String>) {
        let problem = LineProblem::new(self.line, Some(column), problem, help);
        self.table.problems.push(problem);
    }

    /// A cell as it stands; none if it is empty.
    fn text(&mut self, column: Column) -> Option<&'t str> {
        let index = self.table.columns.iter().position(|there| *there == column)?;
        match std::str::from_utf8(self.record.get(index)?) {
            Ok(cell) => {
                let cell = cell::unmarked(cell);
                Some(cell).filter(|cell| !cell.trim().is_empty())
            }
            Err(_) => {
                self.wrong(column, "this is no UTF-8", "save the table as `CSV UTF-8`");
                None
            }
        }
    }

    /// The same, without white space around it.
    fn word(&mut self, column: Column) -> Option<&'t str> {
        self.text(column).map(str::trim)
    }

    /// Something that every row of the kind has.
    fn needed(&mut self, column: Column, kind: Kind) -> Option<&'t str> {
        let before = self.table.problems.len();
        if let Some(word) = self.word(column) {
            return Some(word);
        }
        let (name, kind) = (column.as_str(), kind.as_str());
        if self.table.columns.contains(&column) {
            if self.table.problems.len() == before {
                self.wrong(column, &format!("every {kind} needs `{name}`"), "fill it in");
            }
        } else if self.table.missed.insert(column) {
            let problem = format!("there is no column `{name}`, which every {kind} needs");
            self.table.problems.push(LineProblem::new(1, None, &problem, "add it"));
        }
        None
    }

    fn take<T>(&mut self, column: Column, read: Result<T, Wrong>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err((problem, help)) => {
                self.wrong(column, problem, help);
                None
            }
        }
    }

    /// A value that says itself what it must look like.
    fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, column: Column) -> Option<T> {
        let word = self.word(column)?;
        self.take(column, value(word))
    }

    fn list<T: FromStr<Err: std::fmt::Display>>(&mut self, column: Column) -> Vec<T> {
        let Some(text) = self.text(column) else { return Vec::new() };
        let members = cell::list(text);
        members.iter().filter_map(|member| self.take(column, value(member))).collect()
    }

    fn closed<T: Copy>(
        &mut self,
        column: Column,
        word: &str,
        all: &[T],
        as_str: fn(T) -> &'static str,
    ) -> Option<T> {
        let known = || all.iter().map(|one| as_str(*one));
        if let Some(found) = all.iter().find(|one| as_str(**one).eq_ignore_ascii_case(word)) {
            return Some(*found);
        }
        let shown: String = word.chars().take(40).collect();
        let help = match likely(word, known()) {
            Some(likely) => format!("did you mean `{likely}`?"),
            None => format!("it is one of {}", known().collect::<Vec<_>>().join(", ")),
        };
        self.wrong(column, &format!("`{shown}` is not known here"), help);
        None
    }

    fn yes(&mut self, column: Column) -> Option<bool> {
        let word = self.word(column)?;
        self.take(column, cell::yes(word))
    }

    fn time(&mut self, column: Column) -> Option<jiff::Timestamp> {
        let word = self.word(column)?;
        self.take(column, cell::time(word))
    }

    fn needed_time(&mut self, column: Column, kind: Kind) -> Option<jiff::Timestamp> {
        let word = self.needed(column, kind)?;
        self.take(column, cell::time(word))
    }

    fn statement(&mut self) -> Option<Statement> {
        let kind = match self.word(Column::Kind) {
            None => *self.table.kinds.first()?,
            Some(word) => self.closed(Column::Kind, word, self.table.kinds, Kind::as_str)?,
        };
        for column in self.table.columns {
            let belongs = *column == Column::Kind || kind.columns().contains(column);
            if !belongs && self.text(*column).is_some() {
                let problem = format!("a {} has no `{}`", kind.as_str(), column.as_str());
                self.wrong(*column, &problem, "leave the cell empty");
            }
        }
        let about = self.list(Column::About);
        let participant = self.participant(kind);
        let said = match kind {
            Kind::Consent => self.consent().map(|record| Said::Consent(Box::new(record))),
            Kind::Objection => self.objection().map(Said::Objection),
            Kind::Party => Some(Said::Party(self.party())),
            Kind::Labels => Some(Said::Labels(self.filing())),
            Kind::Payment => self.payment().map(Said::Payment),
            Kind::Case => self.case().map(Said::Case),
            Kind::Hold => self.hold().map(Said::Hold),
        };
        Some(Statement { about, line: None, participant, said: said? })
    }

    fn participant(&mut self, kind: Kind) -> Option<Who> {
        let number = self.word(Column::Number);
        let name = self.text(Column::Name);
        let needs = matches!(kind, Kind::Consent | Kind::Objection | Kind::Party);
        match (number, name) {
            (Some(number), None) => {
                let read = cell::number(number);
                let problem = "this is no telephone number";
                let read = read.map_err(|help| (problem, help.to_owned()));
                self.take(Column::Number, read).map(Who::Number)
            }
            (None, Some(name)) => Some(Who::Name(name.to_owned())),
            (Some(_), Some(_)) => {
                let problem = "a person is named by a number or by a name";
                self.wrong(Column::Name, problem, "leave one of the cells empty");
                None
            }
            (None, None) => {
                if needs {
                    self.nobody(kind);
                }
                None
            }
        }
    }

    fn nobody(&mut self, kind: Kind) {
        let named = [Column::Number, Column::Name];
        match named.into_iter().find(|column| self.table.columns.contains(column)) {
            Some(column) => self.wrong(
                column,
                &format!("a {} is of somebody, and the row names nobody", kind.as_str()),
                "fill in `number` or `name`",
            ),
            None => {
                self.needed(Column::Number, kind);
            }
        }
    }

    fn consent(&mut self) -> Option<ConsentRecord> {
        let kind = Kind::Consent;
        let at = self.needed_time(Column::At, kind);
        let state = self.needed(Column::State, kind);
        let state =
            state.and_then(|w| self.closed(Column::State, w, Consent::ALL, Consent::as_str));
        let form = self.word(Column::Form);
        let form =
            form.and_then(|w| self.closed(Column::Form, w, ConsentForm::ALL, ConsentForm::as_str));
        let record = ConsentRecord {
            announcement: self.heard(),
            data: self.list(Column::Data),
            form,
            guardian: self.yes(Column::Guardian).unwrap_or(false),
            jurisdiction: self.parsed::<Place>(Column::Jurisdiction),
            language: self.word(Column::Language).map(str::to_owned),
            leg: self.parsed(Column::Leg),
            notice: self.parsed(Column::Notice),
            proof: self.proof(),
            purposes: self.list::<Purpose>(Column::Purposes),
            until: self.time(Column::Until),
            withdraw_by: self.text(Column::WithdrawBy).map(str::to_owned),
            ..ConsentRecord::new(state.unwrap_or(Consent::Unknown), at.unwrap_or_default())
        };
        (at.is_some() && state.is_some()).then_some(record)
    }

    fn heard(&mut self) -> Option<Heard> {
        let id = self.text(Column::Announcement);
        let complete = self.yes(Column::AnnouncementComplete);
        let ms = self.parsed(Column::AnnouncementMs);
        let sha256 = self.word(Column::AnnouncementSha256).map(str::to_lowercase);
        match (id, complete) {
            (Some(id), Some(complete)) => Some(Heard { complete, id: id.to_owned(), ms, sha256 }),
            (Some(_), None) => {
                let problem = "whether the announcement was heard to its end is not told";
                self.wrong(Column::AnnouncementComplete, problem, "write `yes` or `no`");
                None
            }
            (None, None) if ms.is_none() && sha256.is_none() => None,
            (None, _) => {
                let problem = "which announcement was heard is not told";
                self.wrong(Column::Announcement, problem, "write its name");
                None
            }
        }
    }

    fn proof(&mut self) -> Option<Proof> {
        let proof = Proof {
            document: self.text(Column::ProofDocument).map(str::to_owned),
            offset_ms: self.parsed(Column::ProofOffsetMs),
            recording: self.parsed::<MediaSid>(Column::ProofRecording),
            sha256: self.word(Column::ProofSha256).map(str::to_lowercase),
        };
        (proof != Proof::default()).then_some(proof)
    }

    fn objection(&mut self) -> Option<Objection> {
        let at = self.needed_time(Column::At, Kind::Objection)?;
        let lifted = self.lifted(["made", "lifted"])?;
        Some(Objection { at, lifted, purposes: self.list(Column::Purposes) })
    }

    /// Whether what was begun has ended; it has not, if nothing says so.
    fn lifted(&mut self, words: [&'static str; 2]) -> Option<bool> {
        let Some(word) = self.word(Column::State) else { return Some(false) };
        let [begun, ended] = words;
        let found = self.closed(Column::State, word, &[begun, ended], |word| word)?;
        Some(found == ended)
    }

    fn party(&mut self) -> Party {
        Party {
            address: self.parsed(Column::Address),
            agent: self.yes(Column::Agent),
            leg: self.parsed(Column::Leg),
            minor: self.yes(Column::Minor),
            stated: self.parsed(Column::Stated),
        }
    }

    fn filing(&mut self) -> Filing {
        let labels = self.text(Column::Labels).map(|text| match text.trim() == NO_MEMBER {
            true => Vec::new(),
            false => cell::list(text),
        });
        Filing {
            call_type: self.word(Column::CallType).map(str::to_owned),
            department: self.word(Column::Department).map(str::to_owned),
            labels,
            line: self.word(Column::Line).map(str::to_owned),
        }
    }

    fn payment(&mut self) -> Option<Payment> {
        let taken = self.needed(Column::Taken, Kind::Payment)?;
        let taken = self.take(Column::Taken, cell::yes(taken))?;
        let pauses = self.list(Column::Pauses);
        let pauses: Vec<Pause> = pauses.into_iter().map(|MarkedPause(pause)| pause).collect();
        Some(Payment { pauses, taken })
    }

    fn case(&mut self) -> Option<Case> {
        let at = self.needed_time(Column::At, Kind::Case);
        let id = self.needed(Column::Case, Kind::Case);
        let state = self.needed(Column::State, Kind::Case)?;
        let state = self.closed(Column::State, state, &["open", "closed"], |word| word)?;
        Some(Case { at: at?, id: id?.to_owned(), open: state == "open" })
    }

    fn hold(&mut self) -> Option<Hold> {
        let lifted = self.lifted(["placed", "lifted"]);
        let case = self.needed(Column::Case, Kind::Hold);
        let id = self.needed(Column::Hold, Kind::Hold);
        let reason = match self.text(Column::Reason) {
            Some(reason) => Some(reason),
            None => self.needed(Column::Reason, Kind::Hold),
        };
        Some(Hold {
            people: self.list(Column::People),
            purposes: self.list(Column::Purposes),
            lifted: lifted?,
            case: case?.to_owned(),
            id: id?.to_owned(),
            reason: reason?.to_owned(),
        })
    }
}

fn value<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|error: T::Err| ("this cannot be read", error.to_string()))
}

/// A pause as it is written: `1500-9000`, in milliseconds.
struct MarkedPause(Pause);

impl FromStr for MarkedPause {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let right = "write each pause as its start and end in milliseconds, such as `1500-9000`";
        let (start, end) = text.split_once('-').ok_or(right)?;
        let read = |text: &str| text.trim().parse().map_err(|_| right);
        Ok(Self(Pause { start_ms: read(start)?, end_ms: read(end)? }))
    }
}
