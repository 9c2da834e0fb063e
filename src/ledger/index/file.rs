//! The index file: its tables, and what happens when it is not what it should be.
//!
//! The file can always be made anew from the ledger, so that a file of another version is not
//! migrated but deleted. The one thing it must not delete is a database of something else, such
//! as the ledger itself after a slip in the settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::postings::Slot;
use super::{Field, Index, IndexError};

/// "ngix" in ASCII: marks the file as an index of ours.
const APPLICATION_ID: i32 = 0x6e67_6978;

/// The version of the tables and of what stands in them.
const VERSION: i32 = 2;

/// LIMIT: how long a change may wait for another process.
const BUSY: Duration = Duration::from_secs(5);

/// LIMIT: statements that a connection keeps prepared, some 3 MB: all that this module has for a
/// hundred chunks. Others are prepared anew each time, which takes some 10 microseconds.
const STATEMENTS: usize = 1_000;

/// The fields that only the index itself uses: the hour of an entry, and disclosures.
const HOUR: &str = ".hour";
const LISTENED: &str = ".listened";

const TABLES: &str = "
    CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO state VALUES ('position', 0), ('floor', 0);
    CREATE TABLE field (slot INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE chunk (chunk INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL);
    CREATE TABLE document (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, id BLOB NOT NULL,
        caller TEXT, recording TEXT, purpose TEXT, form TEXT, share TEXT,
        outcome INTEGER, ended INTEGER, bytes INTEGER, first INTEGER, length INTEGER, ending TEXT
    );
    CREATE INDEX document_id ON document (id);";

/// What was found at the path of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An index, which goes on where it was.
    Index,
    /// Nothing: it was made.
    Nothing,
    /// Something unusable: it was deleted and made anew. With the reason.
    Unusable(String),
}

/// What is wrong with a file that was opened.
enum Fault {
    /// It can be deleted.
    Unusable(String),
    /// It cannot.
    Error(IndexError),
}

pub(super) fn open(path: &Path) -> Result<(Index, Found), IndexError> {
    if !path.exists() {
        return Ok((make(path)?, Found::Nothing));
    }
    match connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, true) {
        Ok(index) => Ok((index, Found::Index)),
        Err(Fault::Unusable(why)) => Ok((remake(path)?, Found::Unusable(why))),
        Err(Fault::Error(error)) => Err(error),
    }
}

pub(super) fn open_read(path: &Path) -> Result<Index, IndexError> {
    if !path.exists() {
        return Err(IndexError::Missing { path: path.to_owned() });
    }
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, false).map_err(|fault| match fault {
        Fault::Unusable(_) => IndexError::Missing { path: path.to_owned() },
        Fault::Error(error) => error,
    })
}

pub(super) fn remake(path: &Path) -> Result<Index, IndexError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let name = PathBuf::from(name);
        match std::fs::remove_file(&name) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(IndexError::Delete { path: name, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    make(path)
}

fn make(path: &Path) -> Result<Index, IndexError> {
    let located = |source| IndexError::Sqlite { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = Connection::open_with_flags(path, flags).map_err(located)?;
    // The marks come last: a crash leaves a file that is made anew.
    let made = connection.busy_timeout(BUSY).and_then(|()| {
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; {TABLES}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT"
        ))
    });
    made.map_err(located)?;
    drop(connection);
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, true).map_err(|fault| match fault {
        Fault::Unusable(_) => IndexError::Missing { path: path.to_owned() },
        Fault::Error(error) => error,
    })
}

/// Opens a file that is there, checks its marks and learns its fields.
fn connect(path: &Path, flags: OpenFlags, writes: bool) -> Result<Index, Fault> {
    let sort = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Fault::Unusable(source.to_string())
        }
        _ => Fault::Error(IndexError::Sqlite { path: path.to_owned(), source }),
    };
    let connection = Connection::open_with_flags(path, flags).map_err(sort)?;
    connection.busy_timeout(BUSY).map_err(sort)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    let (id, version): (i32, i32) =
        pragma("application_id").and_then(|id| Ok((id, pragma("user_version")?))).map_err(sort)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sort)?;
    match (id, version) {
        (APPLICATION_ID, VERSION) => {}
        (APPLICATION_ID, _) => {
            return Err(Fault::Unusable(format!("it is of version {version}, not {VERSION}")));
        }
        (0, _) if tables == 0 => return Err(Fault::Unusable("it is empty".to_owned())),
        _ => return Err(Fault::Error(IndexError::Foreign { path: path.to_owned() })),
    }
    // secure_delete: what is forgotten must be overwritten. A checkpoint writes
    // each changed page once, so that it waits for 64 MiB of them. The cache holds what a batch touches: the newest chunk.
    let settings = "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;
        PRAGMA wal_autocheckpoint = 16000; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY";
    connection.execute_batch(settings).map_err(sort)?;
    if writes {
        for name in names() {
            connection
                .execute("INSERT OR IGNORE INTO field (name) VALUES (?)", [name])
                .map_err(broken(path))?;
        }
    }
    learn(path, connection)
}

/// The fields of a file by their names.
fn learn(path: &Path, connection: Connection) -> Result<Index, Fault> {
    let mut slots = Vec::new();
    for name in names() {
        let slot = connection
            .query_row("SELECT slot FROM field WHERE name = ?", [name], |row| row.get(0))
            .map_err(broken(path))?;
        slots.push(slot);
    }
    let (listened, hour): (Option<Slot>, Option<Slot>) = (slots.pop(), slots.pop());
    connection
        .query_row("SELECT value FROM state WHERE name = 'position'", [], |row| {
            row.get::<_, i64>(0)
        })
        .map_err(broken(path))?;
    let (hour, listened) = (hour.unwrap_or_default(), listened.unwrap_or_default());
    Ok(Index { path: path.to_owned(), connection, slots, hour, listened })
}

fn names() -> impl Iterator<Item = &'static str> {
    Field::ALL.iter().map(|field| field.as_str()).chain([HOUR, LISTENED])
}

/// A file with the right marks whose tables fail is damaged, unless it is only in use or the disk
/// fails.
fn broken(path: &Path) -> impl Fn(rusqlite::Error) -> Fault {
    |source| match source.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull,
        ) => Fault::Error(IndexError::Sqlite { path: path.to_owned(), source }),
        _ => Fault::Unusable(source.to_string()),
    }
}
