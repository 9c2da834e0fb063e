//! The SQLite store: one file, appended to by one gate.
//!
//! WAL with `synchronous=FULL` syncs the log on every commit. The settings are read back when the
//! file is opened, because SQLite ignores a pragma that it does not like. `bytes` and `leaf` are
//! never changed; `clear` beside them may be erased.

mod lock;

pub use lock::GateLock;

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params, params_from_iter,
};

use crate::crash;

use super::{
    Access, Append, Blind, Checkpointed, DeadWriter, Leading, Leaf, PersonKey, Store, StoreError,
    Stored, TILE_LEAVES,
};

/// "ngle" in ASCII: marks the file as a ledger of ours.
const APPLICATION_ID: i32 = 0x6e67_6c65;

/// The version of the tables.
const SCHEMA_VERSION: i32 = 3;

/// LIMIT: how long a commit may wait for another process that writes or copies the file.
const BUSY: Duration = Duration::from_secs(2);

/// Pages of the log after which an append folds it into the file, which makes everybody wait. It is
/// folded beside the appends ([`Store::tidy`]) long before; 200 MB of log are what a disk must
/// have room for if that cannot keep up.
const LOG_PAGES: i32 = 50_000;

/// The version that knew no statements.
const BEFORE_STATEMENTS: i64 = 2;

const TABLES: &str = "
    CREATE TABLE entry (
        seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL, leaf BLOB NOT NULL, clear BLOB
    ) STRICT;
    CREATE TABLE pruned (
        chunk INTEGER PRIMARY KEY, leaves BLOB NOT NULL CHECK (length(leaves) = 8192)
    ) STRICT;
    CREATE TABLE writer (
        name TEXT PRIMARY KEY, floor INTEGER NOT NULL, retired INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE person (
        id INTEGER PRIMARY KEY AUTOINCREMENT, blind BLOB UNIQUE, key BLOB
    ) STRICT;
    CREATE TABLE policy_set (digest TEXT PRIMARY KEY, texts BLOB NOT NULL) STRICT;
    CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
    CREATE TABLE property (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
";

/// The tables of statements, which version 3 brought.
const STATEMENT_TABLES: &str = "
    CREATE TABLE statement (
        name TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (name, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX statement_seq ON statement (seq);
    CREATE TABLE kept (
        seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL, leaf BLOB NOT NULL, clear BLOB
    ) STRICT;
";

/// An open file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    connection: Connection,
    /// Device and inode of the file that was opened, to notice when it is another one.
    identity: (u64, u64),
    /// The writer that was claimed.
    writer: Option<String>,
    /// Held while this handle leads the sweep.
    sweep: Option<File>,
}

fn unusable(path: &Path, problem: impl Into<String>) -> StoreError {
    StoreError::Unusable { name: path.display().to_string(), problem: problem.into() }
}

impl Sqlite {
    /// Opens the file.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened, or is not a ledger of this version.
    pub fn open(path: &Path, access: Access) -> Result<Self, StoreError> {
        let sqlite = |source| StoreError::Sqlite { path: path.to_owned(), source };
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags |= match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Access::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
        if access != Access::Create && !path.exists() {
            return Err(unusable(path, "there is no such file"));
        }
        let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        connection.busy_timeout(BUSY).map_err(sqlite)?;
        match set_up(&connection, path, access) {
            // Who may only look cannot make the files beside it. Where there are none, nobody
            // writes, and it can be read as it lies.
            Err(StoreError::Sqlite { .. }) if access == Access::Read && !has_log(path) => {
                connection = open_as_it_lies(path).map_err(sqlite)?;
                set_up(&connection, path, access)?;
            }
            done => done?,
        }
        let identity = identity(path).map_err(|error| unusable(path, error.to_string()))?;
        Ok(Self { path: path.to_owned(), connection, identity, writer: None, sweep: None })
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), source }
    }

    fn try_append(
        &mut self,
        entries: &[Append<'_>],
        named: &[(usize, &str)],
        known: Option<u64>,
    ) -> rusqlite::Result<Option<u64>> {
        // Immediate: the last place must not change between the look and the insert.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(known) = known
            && stated(&transaction)? > known
        {
            return Ok(None);
        }
        let first = next_place(&transaction)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO entry (seq, bytes, leaf, clear) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (place, Append { bytes, leaf, clear }) in (first..).zip(entries) {
                insert.execute(params![place, bytes, leaf.as_slice(), clear])?;
            }
            let mut name = transaction.prepare_cached(
                "INSERT INTO statement (name, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?;
            for (index, of) in named {
                name.execute(params![of, number(first).saturating_add(number(*index))])?;
            }
        }
        crash::at("written");
        // CRASH HERE: nothing of the batch is on disk, or a torn tail of the log that SQLite cuts
        // off when it opens the file. Nothing was disclosed.
        transaction.commit()?;
        // CRASH HERE: the whole batch is durable. Intents in it may have been disclosed; those
        // without an outcome are closed as `unknown`.
        Ok(Some(first))
    }

    fn select<T>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = i64>,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let run = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let values = values.into_iter().map(Value::Integer);
            statement.query_map(params_from_iter(values), read)?.collect()
        };
        run().map_err(|error| self.error(error))
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.connection.execute(sql, values).map_err(|error| self.error(error))
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.connection.query_row(sql, values, read).optional().map_err(|error| self.error(error))
    }

    fn try_people(&mut self, names: &[(Blind, Vec<u8>)]) -> rusqlite::Result<Vec<PersonKey>> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut people = Vec::with_capacity(names.len());
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO person (blind, key) VALUES (?1, ?2) ON CONFLICT (blind) DO NOTHING",
            )?;
            let mut find =
                transaction.prepare_cached("SELECT id, key FROM person WHERE blind = ?1")?;
            for (blind, fresh) in names {
                insert.execute(params![blind.as_slice(), fresh])?;
                people.push(find.query_row([blind.as_slice()], read_person)?);
            }
        }
        transaction.commit()?;
        Ok(people)
    }

    fn try_prune(&mut self, before: u64) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut read = transaction
                .prepare("SELECT leaf FROM entry WHERE seq >= ?1 AND seq < ?2 ORDER BY seq")?;
            let mut keep =
                transaction.prepare("INSERT INTO pruned (chunk, leaves) VALUES (?1, ?2)")?;
            for chunk in first_place(&transaction)? / TILE_LEAVES..before / TILE_LEAVES {
                let range = [chunk * TILE_LEAVES, (chunk + 1) * TILE_LEAVES];
                let rows = read.query_map(range, |row| row.get::<_, Leaf>(0))?;
                let leaves: Vec<Leaf> = rows.collect::<Result<_, _>>()?;
                keep.execute(params![chunk, leaves.concat()])?;
            }
        }
        // What was stated holds for as long as there is something it is about.
        let keep = "INSERT INTO kept SELECT seq, bytes, leaf, clear FROM entry
                    WHERE seq < ?1 AND seq IN (SELECT seq FROM statement WHERE seq < ?1)";
        transaction.execute(keep, [before])?;
        transaction.execute("DELETE FROM entry WHERE seq < ?1", [before])?;
        transaction.commit()
    }
}

impl Store for Sqlite {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn append_knowing(
        &mut self,
        entries: &[Append<'_>],
        named: &[(usize, &str)],
        known: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        self.try_append(entries, named, known).map_err(|error| self.error(error))
    }

    fn stated(&mut self) -> Result<u64, StoreError> {
        stated(&self.connection).map_err(|error| self.error(error))
    }

    fn stated_since(&mut self, from: u64) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT name, seq FROM statement WHERE seq >= ?1 ORDER BY seq";
        self.select(sql, [number(from)], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn statements(&mut self, names: &[&str]) -> Result<Vec<Stored>, StoreError> {
        let mut places = Vec::new();
        for name in names {
            let run = || -> rusqlite::Result<Vec<u64>> {
                let sql = "SELECT seq FROM statement WHERE name = ?1";
                let mut statement = self.connection.prepare_cached(sql)?;
                statement.query_map([name], |row| row.get(0))?.collect()
            };
            places.extend(run().map_err(|error| self.error(error))?);
        }
        self.at(&places)
    }

    fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    fn last(&mut self) -> Result<Option<(u64, Leaf)>, StoreError> {
        let sql = "SELECT seq, leaf FROM entry ORDER BY seq DESC LIMIT 1";
        self.one(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn first(&mut self) -> Result<u64, StoreError> {
        first_place(&self.connection).map_err(|error| self.error(error))
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let sql = "SELECT seq, bytes, leaf, clear FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
        self.select(sql, [number(from), number(limit)], read_stored)
    }

    fn at(&mut self, places: &[u64]) -> Result<Vec<Stored>, StoreError> {
        let sql = "SELECT seq, bytes, leaf, clear FROM entry WHERE seq = ?1
                   UNION ALL SELECT seq, bytes, leaf, clear FROM kept WHERE seq = ?1";
        let mut places = places.to_vec();
        places.sort_unstable();
        places.dedup();
        let mut found = Vec::with_capacity(places.len());
        for place in places {
            found.extend(self.select(sql, [number(place)], read_stored)?);
        }
        Ok(found)
    }

    fn leaves(&mut self, from: u64, limit: usize) -> Result<Vec<Leaf>, StoreError> {
        let first = self.first()?;
        let mut leaves = Vec::new();
        let (mut chunk, mut skip) = (from / TILE_LEAVES, from % TILE_LEAVES);
        while chunk.saturating_mul(TILE_LEAVES) < first && leaves.len() < limit {
            let sql = "SELECT leaves FROM pruned WHERE chunk = ?1";
            let kept: Option<Vec<u8>> = self.one(sql, [number(chunk)], |row| row.get(0))?;
            let kept = kept.ok_or_else(|| unusable(&self.path, "kept hashes are missing"))?;
            let (hashes, _) = kept.as_chunks::<32>();
            leaves.extend(hashes.iter().skip(usize::try_from(skip).unwrap_or(0)));
            (chunk, skip) = (chunk + 1, 0);
        }
        leaves.truncate(limit);
        let sql = "SELECT leaf FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
        let rest = [number(from.max(first)), number(limit - leaves.len())];
        leaves.extend(self.select(sql, rest, |row| row.get::<_, Leaf>(0))?);
        Ok(leaves)
    }

    fn claim(&mut self, writer: &str) -> Result<bool, StoreError> {
        // The file's lock keeps other gates out, and a handle that was dropped has ended what it
        // had under way.
        let sql = "INSERT INTO writer (name, floor, retired)
                   SELECT ?1, coalesce(max(seq) + 1, 0), 0 FROM entry WHERE true
                   ON CONFLICT (name) DO NOTHING";
        self.execute(sql, [writer])?;
        self.writer = Some(writer.to_owned());
        let sql = "SELECT retired FROM writer WHERE name = ?1";
        Ok(self.one(sql, [writer], |row| row.get(0))? == Some(false))
    }

    fn set_floor(&mut self, writer: &str, floor: u64) -> Result<(), StoreError> {
        self.execute("UPDATE writer SET floor = ?2 WHERE name = ?1", params![writer, floor])?;
        Ok(())
    }

    fn retire(&mut self, writer: &str) -> Result<(), StoreError> {
        self.execute("UPDATE writer SET retired = 1 WHERE name = ?1", [writer])?;
        Ok(())
    }

    fn dead_writers(&mut self) -> Result<Vec<DeadWriter>, StoreError> {
        let sql = "SELECT name, floor FROM writer WHERE retired = 0";
        let read = |row: &Row<'_>| Ok(DeadWriter { writer: row.get(0)?, floor: row.get(1)? });
        let mut found = self.select(sql, [], read)?;
        found.retain(|dead| Some(&dead.writer) != self.writer.as_ref());
        Ok(found)
    }

    fn people(&mut self, names: &[(Blind, Vec<u8>)]) -> Result<Vec<PersonKey>, StoreError> {
        self.try_people(names).map_err(|error| self.error(error))
    }

    fn find_person(&mut self, blind: &Blind) -> Result<Option<PersonKey>, StoreError> {
        self.one("SELECT id, key FROM person WHERE blind = ?1", [blind.as_slice()], read_person)
    }

    fn person_keys(&mut self, people: &[u64]) -> Result<Vec<PersonKey>, StoreError> {
        let mut people = people.to_vec();
        people.sort_unstable();
        people.dedup();
        let mut found = Vec::with_capacity(people.len());
        for person in people {
            let sql = "SELECT id, key FROM person WHERE id = ?1";
            found.extend(self.one(sql, [number(person)], read_person)?);
        }
        Ok(found)
    }

    fn erase_person(&mut self, person: u64) -> Result<(), StoreError> {
        let sql = "UPDATE person SET blind = NULL, key = NULL WHERE id = ?1";
        self.execute(sql, [number(person)])?;
        self.fold_log();
        Ok(())
    }

    fn erase_clear(&mut self, places: &[u64]) -> Result<(), StoreError> {
        for place in places {
            self.execute("UPDATE entry SET clear = NULL WHERE seq = ?1", [number(*place)])?;
            self.execute("UPDATE kept SET clear = NULL WHERE seq = ?1", [number(*place)])?;
        }
        self.fold_log();
        Ok(())
    }

    fn policy_set(&mut self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT texts FROM policy_set WHERE digest = ?1", [digest], |row| row.get(0))
    }

    fn put_policy_set(&mut self, digest: &str, texts: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO policy_set (digest, texts) VALUES (?1, ?2)
                   ON CONFLICT (digest) DO NOTHING";
        self.execute(sql, params![digest, texts])?;
        Ok(())
    }

    fn property(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        self.one("SELECT value FROM property WHERE name = ?1", [name], |row| row.get(0))
    }

    fn put_property(&mut self, name: &str, value: &str) -> Result<String, StoreError> {
        let sql = "INSERT INTO property (name, value) VALUES (?1, ?2)
                   ON CONFLICT (name) DO NOTHING";
        self.execute(sql, [name, value])?;
        Ok(self.property(name)?.unwrap_or_default())
    }

    fn lead(&mut self) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn lead_sweep(&mut self) -> Result<Leading, StoreError> {
        let (file, leading) = lock::sweep(&self.path)?;
        self.sweep = file.or(self.sweep.take());
        Ok(leading)
    }

    fn last_checkpoint(&mut self) -> Result<Option<Checkpointed>, StoreError> {
        let sql = "SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1";
        self.one(sql, [], read_checkpoint)
    }

    fn checkpoints(&mut self, beyond: u64, limit: usize) -> Result<Vec<Checkpointed>, StoreError> {
        let sql = "SELECT size, note FROM checkpoint WHERE size > ?1 ORDER BY size LIMIT ?2";
        self.select(sql, [number(beyond), number(limit)], read_checkpoint)
    }

    fn put_checkpoint(&mut self, checkpoint: &Checkpointed) -> Result<(), StoreError> {
        let sql = "INSERT INTO checkpoint (size, note) VALUES (?1, ?2)
                   ON CONFLICT (size) DO UPDATE SET note = excluded.note";
        self.execute(sql, params![checkpoint.size, checkpoint.note])?;
        Ok(())
    }

    fn forget_checkpoint(&mut self, size: u64) -> Result<(), StoreError> {
        self.execute("DELETE FROM checkpoint WHERE size = ?1", [size])?;
        Ok(())
    }

    fn tidy(&mut self) -> Result<(), StoreError> {
        // Passive: it copies what it can without waiting for anybody.
        self.one("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map(drop)
    }

    fn may_destroy(&mut self) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn prune(&mut self, before: u64) -> Result<(), StoreError> {
        let last = self.last()?.map_or(0, |(place, _)| place);
        if !before.is_multiple_of(TILE_LEAVES) || before > last {
            let problem = format!(
                "it cannot be pruned up to entry {before}, only in steps of {TILE_LEAVES} and not \
                 beyond its last entry, {last}"
            );
            return Err(unusable(&self.path, problem));
        }
        self.try_prune(before).map_err(|error| self.error(error))?;
        self.fold_log();
        Ok(())
    }
}

impl Sqlite {
    /// What was overwritten must not live on in the log. While somebody reads, it does until the
    /// next time.
    fn fold_log(&self) {
        let folded = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = folded {
            tracing::warn!(%error, "the ledger's log could not be folded into the file");
        }
    }
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).exists()
}

fn open_as_it_lies(path: &Path) -> rusqlite::Result<Connection> {
    let name = path.to_string_lossy();
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)
}

/// SQLite counts in signed numbers; a place or size beyond them cannot be reached.
fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

fn first_place(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(max(chunk) + 1, 0) FROM pruned WHERE chunk < 1 << 50";
    let chunks: u64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(chunks.saturating_mul(TILE_LEAVES))
}

fn stated(connection: &Connection) -> rusqlite::Result<u64> {
    let mut last = connection.prepare_cached("SELECT coalesce(max(seq) + 1, 0) FROM statement")?;
    last.query_row([], |row| row.get(0))
}

fn next_place(connection: &Connection) -> rusqlite::Result<u64> {
    let mut last = connection.prepare_cached("SELECT max(seq) FROM entry")?;
    match last.query_row([], |row| row.get::<_, Option<u64>>(0))? {
        Some(last) => Ok(last + 1),
        None => first_place(connection),
    }
}

fn read_stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored { seq: row.get(0)?, bytes: row.get(1)?, leaf: row.get(2)?, clear: row.get(3)? })
}

fn read_person(row: &Row<'_>) -> rusqlite::Result<PersonKey> {
    Ok(PersonKey { person: row.get(0)?, key: row.get(1)? })
}

fn read_checkpoint(row: &Row<'_>) -> rusqlite::Result<Checkpointed> {
    Ok(Checkpointed { size: row.get(0)?, note: row.get(1)? })
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn set_up(connection: &Connection, path: &Path, access: Access) -> Result<(), StoreError> {
    let sqlite = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let number = |pragma: &str| -> Result<i64, StoreError> {
        connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(sqlite)
    };
    let id = number("application_id")?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;
    if (tables > 0 && id != i64::from(APPLICATION_ID)) || (tables == 0 && access != Access::Create)
    {
        return Err(unusable(path, "it is not a ledger, but another file"));
    }
    let version = number("user_version")?;
    let is_older = tables > 0 && version == BEFORE_STATEMENTS;
    if is_older && access == Access::Read {
        let problem = "it was written by an older noticegate; run `noticegate ledger migrate`";
        return Err(unusable(path, problem));
    }
    if tables > 0 && !is_older && version != i64::from(SCHEMA_VERSION) {
        return Err(unusable(
            path,
            "it was written by another version of noticegate: name another file, and keep this one",
        ));
    }
    if access == Access::Read {
        return Ok(());
    }
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sqlite)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES).map_err(sqlite)?;
    // What is erased must not stay in free pages.
    connection.pragma_update(None, "secure_delete", "ON").map_err(sqlite)?;
    if mode != "wal" || number("synchronous")? != 2 {
        let problem = "SQLite would not use WAL with full synchronisation here";
        return Err(unusable(path, problem));
    }
    if tables == 0 {
        let create = format!(
            "BEGIN IMMEDIATE;
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {SCHEMA_VERSION};
             {TABLES}
             {STATEMENT_TABLES}
             COMMIT;"
        );
        connection.execute_batch(&create).map_err(sqlite)?;
    }
    if is_older {
        let bring = format!(
            "BEGIN IMMEDIATE; PRAGMA user_version = {SCHEMA_VERSION}; {STATEMENT_TABLES} COMMIT;"
        );
        connection.execute_batch(&bring).map_err(sqlite)?;
    }
    Ok(())
}
