//! Statements as a table: what spreadsheets and other systems hand over, and what is handed out.
//!
//! One reader for every kind of statement: a column belongs to some kinds, and a row says one thing.
//! A table is read as a whole or not at all, and everything that is wrong with it is told at once,
//! each with its line, its column, and what would be right. What is written here can be read here,
//! and says the same. Pure: texts in, statements out. Cells are read in `csv/cell.rs`.
//!
//! TRUST: the text comes from anybody. A problem never repeats a telephone number.

mod cell;
mod row;
mod write;

use std::fmt;

use csv::ByteRecord;
use serde::Serialize;

use super::statement::{Statement, Unfit};
use crate::notice::likely;
use crate::words::words;

pub use cell::number;
pub use write::write;

/// LIMIT: rows of one table, which becomes one transaction. While PostgreSQL takes it, a second or two,
/// the gates' own entries wait, and they wait for two seconds at the most. Split what is larger.
pub const ROWS_MAX: usize = 25_000;

/// LIMIT: bytes of one table.
pub const BYTES_MAX: usize = 64 << 20;

/// Characters with which a formula of a spreadsheet may start, and the apostrophe. A cell that starts
/// with one of them is written with an apostrophe before it; one apostrophe is taken away from the
/// start of any cell that is read.
const MARKED: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠', '\''];

words! {
    /// What a row says.
    Kind {
        /// Consent of a person.
        Consent = "consent",
        /// An objection of a person.
        Objection = "objection",
        /// Who took part in a call.
        Party = "party",
        /// What a call is filed under.
        Labels = "labels",
        /// Whether a payment card was read out.
        Payment = "payment",
        /// A complaint, dispute or claim.
        Case = "case",
        /// A legal hold.
        Hold = "hold",
    }
}

words! {
    /// A column.
    Column {
        /// What the row says; the first of what is taken, if it is left out.
        Kind = "kind",
        /// The calls, conferences, rooms or recordings it is about.
        About = "about",
        /// The person, by number.
        Number = "number",
        /// The person, by another name.
        Name = "name",
        /// When.
        At = "at",
        /// What holds from then on.
        State = "state",
        /// How consent was given.
        Form = "form",
        /// For what.
        Purposes = "purposes",
        /// Of what data.
        Data = "data",
        /// When it runs out.
        Until = "until",
        /// Whether a guardian gave it.
        Guardian = "guardian",
        /// Under which law it was asked for.
        Jurisdiction = "jurisdiction",
        /// In which language.
        Language = "language",
        /// The leg of the call.
        Leg = "leg",
        /// The version of the notice.
        Notice = "notice",
        /// How it can be withdrawn.
        WithdrawBy = "withdraw_by",
        /// The announcement that was heard.
        Announcement = "announcement",
        /// Whether it was heard to its end.
        AnnouncementComplete = "announcement_complete",
        /// Milliseconds of it.
        AnnouncementMs = "announcement_ms",
        /// Its hash.
        AnnouncementSha256 = "announcement_sha256",
        /// The document that proves it.
        ProofDocument = "proof_document",
        /// The hash of the document.
        ProofSha256 = "proof_sha256",
        /// The recording in which it can be heard.
        ProofRecording = "proof_recording",
        /// Milliseconds into it.
        ProofOffsetMs = "proof_offset_ms",
        /// Where somebody is registered.
        Address = "address",
        /// Where they said they are.
        Stated = "stated",
        /// Whether they spoke for the organisation.
        Agent = "agent",
        /// Whether they are a minor.
        Minor = "minor",
        /// The organisation's line.
        Line = "line",
        /// The part of the organisation.
        Department = "department",
        /// The type of the call.
        CallType = "call_type",
        /// All labels of the call.
        Labels = "labels",
        /// Whether payment was taken.
        Taken = "taken",
        /// When recording paused.
        Pauses = "pauses",
        /// A case, by its name.
        Case = "case",
        /// A hold, by its name.
        Hold = "hold",
        /// Why.
        Reason = "reason",
        /// Who may use what is held.
        People = "people",
    }
}

impl Kind {
    /// The columns that such a row may fill, beside `kind`.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        use Column as C;
        match self {
            Self::Consent => &[
                C::About,
                C::Number,
                C::Name,
                C::At,
                C::State,
                C::Form,
                C::Purposes,
                C::Data,
                C::Until,
                C::Guardian,
                C::Jurisdiction,
                C::Language,
                C::Leg,
                C::Notice,
                C::WithdrawBy,
                C::Announcement,
                C::AnnouncementComplete,
                C::AnnouncementMs,
                C::AnnouncementSha256,
                C::ProofDocument,
                C::ProofSha256,
                C::ProofRecording,
                C::ProofOffsetMs,
            ],
            Self::Objection => &[C::About, C::Number, C::Name, C::At, C::State, C::Purposes],
            Self::Party => {
                &[C::About, C::Number, C::Name, C::Leg, C::Address, C::Stated, C::Agent, C::Minor]
            }
            Self::Labels => &[C::About, C::Line, C::Department, C::CallType, C::Labels],
            Self::Payment => &[C::About, C::Taken, C::Pauses],
            Self::Case => &[C::About, C::Case, C::At, C::State],
            Self::Hold => &[
                C::About,
                C::Number,
                C::Name,
                C::State,
                C::Purposes,
                C::Case,
                C::Hold,
                C::Reason,
                C::People,
            ],
        }
    }
}

/// A statement, and the line of the table in which its row starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1; the header is a line, too.
    pub line: u64,
    /// What the row says.
    pub statement: Statement,
}

/// Something that is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineProblem {
    /// The line in which the row starts.
    pub line: u64,
    /// The column, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<&'static str>,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub help: String,
}

impl LineProblem {
    fn new(line: u64, column: Option<Column>, problem: &str, help: impl Into<String>) -> Self {
        let problem = cell::hidden(problem);
        Self { line, column: column.map(Column::as_str), problem, help: help.into() }
    }

    /// What does not fit, in the column that says it.
    fn unfit(line: u64, unfit: &Unfit) -> Self {
        let Unfit::Value { key, problem } = unfit else {
            let help = "fill in what is missing, and leave the rest empty";
            return Self::new(line, None, &unfit.to_string(), help);
        };
        let named = key.replace('.', "_");
        let column = match named.as_str() {
            "participant" => Some(Column::Name),
            "id" => None,
            "announcement_id" => Some(Column::Announcement),
            other => Column::read(other),
        };
        Self::new(line, column, "this does not fit", cell::hidden(problem))
    }
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = self.column {
            write!(f, ", {column}")?;
        }
        write!(f, ": {}; {}", self.problem, self.help)
    }
}

/// Reads a table of statements of these kinds; what a row says is the first of them, if no column
/// says what it is. `check` has a last word on each.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn read(
    text: &[u8],
    kinds: &[Kind],
    check: impl Fn(&Statement) -> Result<(), Unfit>,
) -> Result<Vec<Line>, Vec<LineProblem>> {
    let whole = |problem: &str, help: &str| vec![LineProblem::new(1, None, problem, help)];
    if text.len() > BYTES_MAX {
        return Err(whole("the table is longer than 64 MiB", "split it"));
    }
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Err(whole("the file is UTF-16", "save it as `CSV UTF-8`"));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut records = Records::of(text);
    let Some((line, header)) = records.next().transpose().map_err(|problem| vec![problem])? else {
        return Err(whole("the table is empty", "its first line names the columns"));
    };
    let columns = columns(line, &header, kinds)?;
    let mut table = row::Table::new(&columns, kinds);
    let mut lines = Vec::new();
    for (count, record) in records.enumerate() {
        if count >= ROWS_MAX {
            let line = record.map_or(0, |(line, _)| line);
            let problem = "a table has at most 25,000 rows; split it";
            table.problems.push(LineProblem::new(line, None, problem, "split it"));
            break;
        }
        match record {
            Err(problem) => table.problems.push(problem),
            Ok((line, record)) => {
                let Some(statement) = table.read(line, &record) else { continue };
                match check(&statement) {
                    Ok(()) => lines.push(Line { line, statement }),
                    Err(unfit) => table.problems.push(LineProblem::unfit(line, &unfit)),
                }
            }
        }
    }
    match table.problems.is_empty() {
        true => Ok(lines),
        false => Err(table.problems),
    }
}

/// The columns that the header names.
fn columns(
    line: u64,
    header: &ByteRecord,
    kinds: &[Kind],
) -> Result<Vec<Column>, Vec<LineProblem>> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let taken = |column: &Column| {
        *column == Column::Kind || kinds.iter().any(|kind| kind.columns().contains(column))
    };
    for cell in header {
        let text = String::from_utf8_lossy(cell);
        let name = text.trim().to_lowercase().replace([' ', '-'], "_");
        let mut wrong = |problem: &str, help: String| {
            problems.push(LineProblem::new(line, None, problem, help));
        };
        match Column::read(&name).filter(taken) {
            Some(column) if found.contains(&column) => {
                wrong(&format!("two columns are called `{name}`"), "keep one".to_owned());
            }
            Some(column) => found.push(column),
            None => {
                let known = Column::ALL.iter().filter(|column| taken(column));
                let known: Vec<&str> = known.map(|column| column.as_str()).collect();
                let help = match likely(&name, known.iter().copied()) {
                    Some(likely) => format!("did you mean `{likely}`?"),
                    None => format!("the columns are {}", known.join(", ")),
                };
                let shown: String = text.trim().chars().take(40).collect();
                wrong(&format!("there is no column `{shown}`"), help);
            }
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// The records of a table with the lines in which they start; rows of empty cells are left out.
struct Records<'a> {
    text: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
    /// So far was counted, and this line it is.
    counted: (usize, u64),
}

impl<'a> Records<'a> {
    fn of(text: &'a [u8]) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter(text))
            .from_reader(text);
        Self { text, reader, record: ByteRecord::new(), counted: (0, 1) }
    }

    /// The line in which the record starts. The reader's own count is one behind after CRLF.
    fn line(&mut self) -> u64 {
        let offset = self.record.position().map_or(0, csv::Position::byte);
        let mut start = usize::try_from(offset).unwrap_or(self.text.len());
        while self.text.get(start).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            start += 1;
        }
        let (from, mut line) = self.counted;
        for at in from..start {
            let ends = match self.text.get(at) {
                Some(b'\n') => true,
                Some(b'\r') => self.text.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            line += u64::from(ends);
        }
        self.counted = (start.max(from), line);
        line
    }
}

impl Iterator for Records<'_> {
    type Item = Result<(u64, ByteRecord), LineProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.reader.read_byte_record(&mut self.record) {
                Ok(false) => return None,
                Ok(true) => {
                    let line = self.line();
                    if self.record.iter().any(|cell| !cell.trim_ascii().is_empty()) {
                        return Some(Ok((line, self.record.clone())));
                    }
                }
                // Out of memory there is nothing that could fail.
                Err(error) => {
                    let problem = format!("the table cannot be read: {error}");
                    let help = "save it as `CSV UTF-8`";
                    return Some(Err(LineProblem::new(self.counted.1, None, &problem, help)));
                }
            }
        }
    }
}

/// What stands between cells: the first of these in the header, whose names hold none of them.
/// Spreadsheets of some countries write semicolons.
fn delimiter(text: &[u8]) -> u8 {
    let header = text.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
    let found = header.and_then(|line| line.iter().find(|byte| b",;\t".contains(byte)));
    found.copied().unwrap_or(b',')
}

#[cfg(test)]
mod tests;
