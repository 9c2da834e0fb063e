//! Tables for spreadsheets: RFC 4180 in UTF-8, safe to open.
//!
//! A spreadsheet computes a cell that starts like a formula. As OWASP advises ("CSV Injection"), a
//! cell that starts with `=`, `+`, `-`, `@`, one of their full-width forms, a tab, a line end or a
//! zero byte gets an apostrophe before it. So does one that starts with an apostrophe: a program
//! takes one apostrophe away from the start of any cell and has the value again.

use std::fmt;
use std::io::{self, Write};

/// Characters with which a formula may start, and the apostrophe.
const MARKED: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠', '\''];

/// The byte order mark in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A table under way.
pub(in crate::ledger) struct Table<W: Write> {
    to: csv::Writer<W>,
    cell: String,
}

impl<W: Write> fmt::Debug for Table<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

impl<W: Write> Table<W> {
    /// Writes the byte order mark, if there is to be one, and the names of the columns.
    pub(in crate::ledger) fn begin<'a>(
        mut to: W,
        mark: bool,
        names: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<Self> {
        if mark {
            to.write_all(MARK)?;
        }
        let to = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(to);
        let mut table = Self { to, cell: String::new() };
        table.row(names)?;
        Ok(table)
    }

    /// Writes one row. It has as many cells as there are names.
    pub(in crate::ledger) fn row<T: AsRef<str>>(
        &mut self,
        cells: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        for cell in cells {
            let cell = cell.as_ref();
            if cell.starts_with(MARKED) {
                self.cell.clear();
                self.cell.push('\'');
                self.cell.push_str(cell);
                self.to.write_field(&self.cell)?;
            } else {
                self.to.write_field(cell)?;
            }
        }
        self.to.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Writes what is held and gives the target back.
    pub(in crate::ledger) fn finish(self) -> io::Result<W> {
        self.to.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}
