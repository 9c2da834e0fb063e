//! The SQLite store: one table, appended to by one connection.
//!
//! WAL with `synchronous=FULL` syncs the log on every commit. The settings are read back when the
//! store is opened, because SQLite ignores a pragma that it does not like. What stands in `entry`
//! is never changed; `clear` beside it may be erased.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

/// "ngle" in ASCII: marks the file as a ledger of ours.
const APPLICATION_ID: i32 = 0x6e67_6c65;

/// The version of the tables.
const SCHEMA_VERSION: i32 = 1;

/// LIMIT: how long a commit may wait for another process that reads or copies the file.
const BUSY: Duration = Duration::from_secs(2);

/// A ledger that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder cannot be used.
    #[error("cannot open the ledger `{}`: {problem}", path.display())]
    Unusable {
        /// The ledger.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// SQLite reports an error.
    #[error("cannot open the ledger `{}`", path.display())]
    Sqlite {
        /// The ledger.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
}

/// An open store that may write.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
    /// Device and inode of the file that was opened, to notice when it is another one.
    identity: (u64, u64),
}

/// The last entry of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) seq: i64,
    pub(super) leaf: [u8; 32],
    pub(super) bytes: Vec<u8>,
}

/// One entry to be appended.
pub(super) struct Append<'a> {
    pub(super) seq: i64,
    pub(super) bytes: &'a [u8],
    pub(super) leaf: &'a [u8; 32],
    pub(super) clear: Option<&'a [u8]>,
}

/// Holds the right to write; released when dropped.
#[derive(Debug)]
pub(super) struct WriteLock {
    _file: File,
}

impl WriteLock {
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let unusable = |problem: String| OpenError::Unusable { path: path.to_owned(), problem };
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&name);
        let file = file.map_err(|error| {
            unusable(format!("its folder must exist and be writable ({error})"))
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(unusable("another process is writing to it".to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(unusable(error.to_string())),
        }
    }
}

impl Store {
    /// Opens the file; makes it if it is missing and that is allowed.
    pub(super) fn open(path: &Path, may_create: bool) -> Result<Self, OpenError> {
        let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if may_create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        connection.busy_timeout(BUSY).map_err(sqlite)?;
        set_up(&connection, path)?;
        let unusable = |problem: String| OpenError::Unusable { path: path.to_owned(), problem };
        let identity = identity(path).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { path: path.to_owned(), connection, identity })
    }

    /// True while the path still leads to the file that was opened.
    pub(super) fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    /// Appends all of them in one transaction. When it returns, they are durable.
    pub(super) fn append(&mut self, entries: &[Append<'_>]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO entry (seq, bytes, leaf, clear) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for Append { seq, bytes, leaf, clear } in entries {
                insert.execute(params![seq, bytes, leaf.as_slice(), clear])?;
            }
        }
        // CRASH HERE: nothing of the batch is on disk, or a torn tail of the log that SQLite cuts
        // off when it opens the file. Nothing was disclosed.
        transaction.commit()
        // CRASH HERE: the whole batch is durable. Intents in it may have been disclosed; the next
        // start closes those without an outcome as `unknown`.
    }

    /// The last entry; `None` in an empty ledger.
    pub(super) fn last(&self) -> rusqlite::Result<Option<Last>> {
        let query = "SELECT seq, leaf, bytes FROM entry ORDER BY seq DESC LIMIT 1";
        self.connection.query_row(query, [], read_last).optional()
    }

    /// The entry at a place.
    pub(super) fn at(&self, seq: i64) -> rusqlite::Result<Option<Last>> {
        let query = "SELECT seq, leaf, bytes FROM entry WHERE seq = ?1";
        self.connection.query_row(query, [seq], read_last).optional()
    }

    /// Calls back for each entry from a place on, in order.
    pub(super) fn each_from(
        &self,
        seq: i64,
        mut each: impl FnMut(i64, &[u8]),
    ) -> rusqlite::Result<()> {
        let query = "SELECT seq, bytes FROM entry WHERE seq >= ?1 ORDER BY seq";
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([seq])?;
        while let Some(row) = rows.next()? {
            each(row.get(0)?, row.get_ref(1)?.as_blob()?);
        }
        Ok(())
    }

    /// From where intents may still be open. A hint that saves reading the whole ledger: every
    /// intent before it was closed by an earlier start.
    pub(super) fn closed_up_to(&self) -> rusqlite::Result<i64> {
        let query = "SELECT value FROM meta WHERE key = 'closed_up_to'";
        Ok(self.connection.query_row(query, [], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    pub(super) fn set_closed_up_to(&self, seq: i64) -> rusqlite::Result<()> {
        let query = "INSERT INTO meta (key, value) VALUES ('closed_up_to', ?1)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.connection.execute(query, [seq]).map(|_| ())
    }
}

fn read_last(row: &rusqlite::Row<'_>) -> rusqlite::Result<Last> {
    Ok(Last { seq: row.get(0)?, leaf: row.get(1)?, bytes: row.get(2)? })
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn set_up(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let unusable =
        |problem: &str| OpenError::Unusable { path: path.to_owned(), problem: problem.to_owned() };
    let number = |pragma: &str| -> Result<i64, OpenError> {
        connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(sqlite)
    };
    let id = number("application_id")?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    if tables > 0 && id != i64::from(APPLICATION_ID) {
        return Err(unusable("it is an SQLite file of another program"));
    }
    if tables > 0 && number("user_version")? != i64::from(SCHEMA_VERSION) {
        return Err(unusable("it was written by another version of noticegate"));
    }
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sqlite)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000).map_err(sqlite)?;
    if mode != "wal" || number("synchronous")? != 2 {
        return Err(unusable("SQLite would not use WAL with full synchronisation here"));
    }
    if tables == 0 {
        let create = format!(
            "BEGIN IMMEDIATE;
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {SCHEMA_VERSION};
             CREATE TABLE entry (
                 seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL, leaf BLOB NOT NULL, clear BLOB
             ) STRICT;
             CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
             COMMIT;"
        );
        connection.execute_batch(&create).map_err(sqlite)?;
    }
    Ok(())
}
