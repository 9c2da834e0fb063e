//! The ledger on its way out: one writer, four forms.
//!
//! [`Exporter`] takes entries one by one and writes them as they come; what it holds in memory does
//! not grow with their number. `jsonl.rs` keeps the exact bytes and is the form for verifiers;
//! `csv.rs` and `parquet.rs` write the columns of `columns.rs`; `ocsf.rs` speaks to a SIEM. Never:
//! personal groups that the caller did not open, or an end because an entry is of an unknown form.

mod columns;
pub(super) mod csv;
mod jsonl;
mod ocsf;
mod parquet;
mod whole;

pub use whole::{WholeError, export};

use std::io::{self, Write};

use serde_json::Value;

/// One entry on its way out, with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place in the ledger, counted from 0.
    pub seq: u64,
    /// Its leaf in the tree: SHA-256 of a zero byte followed by `bytes`.
    pub leaf: &'a [u8; 32],
    /// The exact entry.
    pub bytes: &'a [u8],
    /// The same, read.
    pub entry: &'a Value,
    /// For an intent: its outcome entry.
    pub outcome: Option<&'a Value>,
    /// Personal groups that could be opened and may be shown: `{"net": {"address", "agent"},
    /// "said": {"reason", "reference"}, "subject": [{"number"}]}`. `None` when redacted.
    pub opened: Option<&'a Value>,
}

/// In which form entries go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One object a line, with the exact bytes of the entry.
    Jsonl,
    /// A table for spreadsheets.
    Csv {
        /// Whether it starts with a byte order mark, by which Excel knows that it is UTF-8.
        mark: bool,
    },
    /// The same table, typed, for analysis.
    Parquet,
    /// Events of the Open Cybersecurity Schema Framework, one a line.
    Ocsf,
}

/// An export that broke off. What was written of it is not whole and should be deleted.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The target takes nothing more.
    #[error("cannot write the export: make room at its target and start it again")]
    Write(#[from] io::Error),
    /// The table cannot be written.
    #[error(
        "cannot write the Parquet file of the export: make room at its target and start it again"
    )]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

/// What an export holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records that were written.
    pub written: u64,
    /// Records that have no place in the form. Only OCSF leaves any out.
    pub left_out: u64,
}

/// Writes records to `W` as they come.
#[derive(Debug)]
pub struct Exporter<W: Write + Send> {
    to: To<W>,
    summary: Summary,
}

#[derive(Debug)]
enum To<W: Write + Send> {
    Jsonl(W),
    Csv(Box<csv::Table<W>>),
    Parquet(Box<parquet::Table<W>>),
    Ocsf(W),
}

impl<W: Write + Send> Exporter<W> {
    /// Begins an export: writes the heading, where the form has one.
    ///
    /// # Errors
    /// [`ExportError`] if the target cannot be written.
    pub fn begin(form: Form, to: W) -> Result<Self, ExportError> {
        let to = match form {
            Form::Jsonl => To::Jsonl(to),
            Form::Csv { mark } => To::Csv(Box::new(csv::Table::begin(to, mark, columns::names())?)),
            Form::Parquet => To::Parquet(Box::new(parquet::Table::begin(to)?)),
            Form::Ocsf => To::Ocsf(to),
        };
        Ok(Self { to, summary: Summary::default() })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// [`ExportError`] if the target cannot be written; the export is over then.
    pub fn record(&mut self, record: &Record<'_>) -> Result<(), ExportError> {
        let written = match &mut self.to {
            To::Jsonl(to) => jsonl::write(to, record).map(|()| true)?,
            To::Csv(table) => table.row(columns::texts(record)).map(|()| true)?,
            To::Parquet(table) => table.record(record).map(|()| true)?,
            To::Ocsf(to) => ocsf::write(to, record)?,
        };
        match written {
            true => self.summary.written += 1,
            false => self.summary.left_out += 1,
        }
        Ok(())
    }

    /// Ends the export and gives the target back. Without this call a Parquet file cannot be read.
    ///
    /// # Errors
    /// [`ExportError`] if the target cannot be written.
    pub fn finish(self) -> Result<(W, Summary), ExportError> {
        let mut to = match self.to {
            To::Jsonl(to) | To::Ocsf(to) => to,
            To::Csv(table) => table.finish()?,
            To::Parquet(table) => table.finish()?,
        };
        to.flush()?;
        Ok((to, self.summary))
    }
}

/// Bytes in lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The text of a value: of a string itself, of anything else its JSON, of nothing nothing.
fn text(value: Option<&Value>) -> Option<std::borrow::Cow<'_, str>> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.as_str().into()),
        other => Some(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests;
