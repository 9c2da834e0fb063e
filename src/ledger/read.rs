//! Reading the ledger, beside a gate that writes it or without one.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use serde_json::Value;

use crate::media::RecordingSid;

/// LIMIT: entries that one query answers with.
const ROWS_MAX: usize = 10_000;

/// A ledger that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// SQLite reports an error.
    #[error("cannot read the ledger `{}`", path.display())]
    Sqlite {
        /// The ledger.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// An entry is not what an entry is.
    #[error("entry {seq} of the ledger cannot be read")]
    Entry {
        /// Its place.
        seq: i64,
    },
}

/// One entry as it stands in the ledger.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place, counted from 0.
    pub seq: i64,
    /// The exact bytes that were hashed.
    pub bytes: Vec<u8>,
    /// The same, read.
    pub entry: Value,
    /// The clear text of its personal groups, if it has not been erased.
    pub clear: Option<Value>,
}

/// Which entries to show.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only those about this recording.
    pub recording: Option<RecordingSid>,
    /// Only those of this kind: `intent`, `outcome`, `refusal`, ...
    pub kind: Option<String>,
    /// How many, newest first.
    pub limit: usize,
}

/// A ledger opened for reading.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

impl Reader {
    /// Opens a ledger that exists.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let sqlite = |source| ReadError::Sqlite { path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(sqlite)?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// The newest entries that fit, newest first.
    ///
    /// # Errors
    /// [`ReadError`] if the file or an entry cannot be read.
    pub fn query(&self, query: &Query) -> Result<Vec<Row>, ReadError> {
        let sql = "SELECT seq, bytes, clear FROM entry ORDER BY seq DESC";
        let mut statement = self.connection.prepare(sql).map_err(|e| self.sqlite(e))?;
        let mut rows = statement.query([]).map_err(|e| self.sqlite(e))?;
        let limit = query.limit.min(ROWS_MAX);
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.sqlite(e))? {
            if found.len() >= limit {
                break;
            }
            let row = self.read(row)?;
            if query.fits(&row.entry) {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// One entry by its place.
    ///
    /// # Errors
    /// [`ReadError`] if the file or the entry cannot be read.
    pub fn at(&self, seq: i64) -> Result<Option<Row>, ReadError> {
        let sql = "SELECT seq, bytes, clear FROM entry WHERE seq = ?1";
        let row = self.connection.query_row(sql, [seq], |row| Ok(self.read(row))).optional();
        row.map_err(|e| self.sqlite(e))?.transpose()
    }

    /// One entry by its name, and for an intent its outcome behind it.
    ///
    /// # Errors
    /// [`ReadError`] if the file or an entry cannot be read.
    pub fn named(&self, id: &str) -> Result<Vec<Row>, ReadError> {
        // The name is compared with two keys of the text; `instr` spares reading the others.
        let sql = "SELECT seq, bytes, clear FROM entry
                   WHERE instr(bytes, CAST(?1 AS BLOB)) > 0 ORDER BY seq";
        let mut statement = self.connection.prepare(sql).map_err(|e| self.sqlite(e))?;
        let mut rows = statement.query([id]).map_err(|e| self.sqlite(e))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.sqlite(e))? {
            let row = self.read(row)?;
            let says = |key: &str| row.entry.get(key).and_then(Value::as_str) == Some(id);
            if says("id") || says("of") {
                found.push(row);
            }
        }
        Ok(found)
    }

    fn read(&self, row: &rusqlite::Row<'_>) -> Result<Row, ReadError> {
        let sqlite = |e| self.sqlite(e);
        let seq: i64 = row.get(0).map_err(sqlite)?;
        let bytes: Vec<u8> = row.get(1).map_err(sqlite)?;
        let clear: Option<Vec<u8>> = row.get(2).map_err(sqlite)?;
        let unreadable = |_| ReadError::Entry { seq };
        let entry = serde_json::from_slice(&bytes).map_err(unreadable)?;
        let clear = clear.map(|c| serde_json::from_slice(&c)).transpose().map_err(unreadable)?;
        Ok(Row { seq, bytes, entry, clear })
    }

    fn sqlite(&self, source: rusqlite::Error) -> ReadError {
        ReadError::Sqlite { path: self.path.clone(), source }
    }
}

impl Query {
    fn fits(&self, entry: &Value) -> bool {
        let recording = |sid: &RecordingSid| {
            entry.pointer("/media/recording").and_then(Value::as_str) == Some(&sid.to_string())
        };
        let kind = |kind: &String| entry.get("t").and_then(Value::as_str) == Some(kind);
        self.recording.as_ref().is_none_or(recording) && self.kind.as_ref().is_none_or(kind)
    }
}
