//! The outbox on disk: one SQLite file, worked by one gate.
//!
//! WAL with `synchronous=FULL` syncs the log on every commit, and the settings are read back. A row
//! is sealed with AES-256-GCM and bound to its event; of a delivered one only the event's blind name
//! stays, for as long as Twilio may send it again.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::delivery::Delivery;
use crate::crash;

/// "ngob" in ASCII: marks the file as an outbox of ours.
const APPLICATION_ID: i32 = 0x6e67_6f62;

/// The version of the tables.
const SCHEMA_VERSION: i32 = 1;

/// LIMIT: how long a commit may wait for another process that copies the file.
const BUSY: Duration = Duration::from_secs(2);

/// LIMIT: how long an event is remembered, in microseconds: seven days. Twilio's own retries end
/// within one.
const REMEMBERED_MICROS: i64 = 7 * 24 * 3600 * 1_000_000;

const TABLES: &str = "
    CREATE TABLE delivery (
        id INTEGER PRIMARY KEY AUTOINCREMENT, webhook TEXT NOT NULL, event BLOB NOT NULL,
        sealed BLOB NOT NULL, stored_at INTEGER NOT NULL, due_at INTEGER NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0, dead TEXT
    ) STRICT;
    CREATE INDEX due ON delivery (webhook, due_at) WHERE dead IS NULL;
    CREATE INDEX oldest ON delivery (stored_at) WHERE dead IS NULL;
    CREATE INDEX dead ON delivery (id) WHERE dead IS NOT NULL;
    CREATE TABLE seen (event BLOB PRIMARY KEY, seen_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX seen_at ON seen (seen_at);
    CREATE TABLE property (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
";

/// What a key check seals.
const CHECK: &[u8] = b"noticegate outbox";

/// An outbox that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// SQLite failed.
    #[error("the outbox `{}`", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// It is not what it should be.
    #[error("the outbox `{}`: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// As many deliveries wait as may.
    #[error("{waiting} callbacks wait for their applications, and no more are taken")]
    Full {
        /// How many.
        waiting: u64,
    },
    /// The cipher or the random generator failed.
    #[error("a callback could not be sealed")]
    Seal,
}

/// A row that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: i64,
    pub(super) event: Vec<u8>,
    pub(super) sealed: Vec<u8>,
    /// Microseconds since the epoch, as are all times here.
    pub(super) stored_at: i64,
    pub(super) due_at: i64,
    pub(super) tries: u32,
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Its number.
    pub id: i64,
    /// The webhook it came by.
    pub webhook: String,
    /// How often it was tried.
    pub tries: u32,
    /// Why the last try failed.
    pub reason: String,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Rows {
    path: PathBuf,
    connection: Connection,
    sealing: Sealing,
    _lock: File,
}

impl Rows {
    pub(super) fn open(path: &Path, key: &[u8; 32]) -> Result<Self, OutboxError> {
        let lock = lock(path)?;
        let sqlite = |source| OutboxError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(sqlite)?;
        connection.busy_timeout(BUSY).map_err(sqlite)?;
        set_up(&connection, path)?;
        let sealing = Sealing::new(key).ok_or(OutboxError::Seal)?;
        let rows = Self { path: path.to_owned(), connection, sealing, _lock: lock };
        rows.check_key()?;
        Ok(rows)
    }

    /// Stores a delivery unless its event was seen in the last seven days; says whether it did.
    /// Durable when it returns.
    pub(super) fn store(
        &mut self,
        webhook: &str,
        event: &[u8; 32],
        delivery: &Delivery,
        now: i64,
    ) -> Result<bool, OutboxError> {
        let event = self.sealing.blind(event);
        let plain = serde_json::to_vec(delivery).map_err(|_| OutboxError::Seal)?;
        let sealed = self.sealing.seal(&event, &plain).ok_or(OutboxError::Seal)?;
        let run = |connection: &mut Connection| -> rusqlite::Result<bool> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = "DELETE FROM seen WHERE seen_at <= ?1";
            transaction.prepare_cached(sql)?.execute([now.saturating_sub(REMEMBERED_MICROS)])?;
            let sql = "INSERT INTO seen (event, seen_at) VALUES (?1, ?2)
                       ON CONFLICT (event) DO NOTHING";
            if transaction.prepare_cached(sql)?.execute(params![event, now])? == 0 {
                return Ok(false);
            }
            let sql = "INSERT INTO delivery (webhook, event, sealed, stored_at, due_at)
                       VALUES (?1, ?2, ?3, ?4, ?4)";
            transaction.prepare_cached(sql)?.execute(params![webhook, event, sealed, now])?;
            crash::at("outbox-written");
            // CRASH HERE: nothing of it is on disk, Twilio got no answer and sends it again.
            transaction.commit()?;
            crash::at("outbox-durable");
            // CRASH HERE: it is durable. Twilio may send it again: then it is known.
            Ok(true)
        };
        run(&mut self.connection).map_err(|source| self.error(source))
    }

    pub(super) fn open_delivery(&self, row: &Waiting) -> Option<Delivery> {
        let plain = self.sealing.open(&row.event, &row.sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    /// The row of a webhook that is due first, without those that are under way.
    pub(super) fn first(
        &self,
        webhook: &str,
        under_way: &[i64],
    ) -> Result<Option<Waiting>, OutboxError> {
        let run = || -> rusqlite::Result<Option<Waiting>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT id, event, sealed, stored_at, due_at, tries FROM delivery
                 WHERE dead IS NULL AND webhook = ?1 ORDER BY due_at",
            )?;
            let mut rows = statement.query([webhook])?;
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                if !under_way.contains(&id) {
                    return Ok(Some(Waiting {
                        id,
                        event: row.get(1)?,
                        sealed: row.get(2)?,
                        stored_at: row.get(3)?,
                        due_at: row.get(4)?,
                        tries: row.get(5)?,
                    }));
                }
            }
            Ok(None)
        };
        run().map_err(|source| self.error(source))
    }

    /// Deletes what was delivered. The event stays known.
    pub(super) fn delete(&self, id: i64) -> Result<(), OutboxError> {
        self.execute("DELETE FROM delivery WHERE id = ?1", [id])
    }

    pub(super) fn put_off(&self, id: i64, tries: u32, due_at: i64) -> Result<(), OutboxError> {
        let sql = "UPDATE delivery SET tries = ?2, due_at = ?3 WHERE id = ?1";
        self.execute(sql, params![id, tries, due_at])
    }

    pub(super) fn give_up(&self, id: i64, tries: u32, reason: &str) -> Result<(), OutboxError> {
        let sql = "UPDATE delivery SET tries = ?2, dead = ?3 WHERE id = ?1";
        self.execute(sql, params![id, tries, reason])
    }

    /// How many wait, and how many are dead.
    pub(super) fn count(&self) -> Result<(u64, u64), OutboxError> {
        let count =
            |sql| -> rusqlite::Result<u64> { self.connection.query_row(sql, [], |row| row.get(0)) };
        let run = || {
            Ok((
                count("SELECT count(*) FROM delivery WHERE dead IS NULL")?,
                count("SELECT count(*) FROM delivery WHERE dead IS NOT NULL")?,
            ))
        };
        run().map_err(|source| self.error(source))
    }

    /// When the oldest that waits was stored.
    pub(super) fn oldest(&self) -> Result<Option<i64>, OutboxError> {
        let sql = "SELECT min(stored_at) FROM delivery WHERE dead IS NULL";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|source| self.error(source))
    }

    /// The webhooks with rows that wait.
    pub(super) fn webhooks(&self) -> Result<Vec<String>, OutboxError> {
        self.select("SELECT DISTINCT webhook FROM delivery WHERE dead IS NULL", |row| row.get(0))
    }

    pub(super) fn dead(&self) -> Result<Vec<Dead>, OutboxError> {
        let sql =
            "SELECT id, webhook, tries, dead FROM delivery WHERE dead IS NOT NULL ORDER BY id";
        self.select(sql, |row| {
            let (id, webhook) = (row.get(0)?, row.get(1)?);
            Ok(Dead { id, webhook, tries: row.get(2)?, reason: row.get(3)? })
        })
    }

    fn select<T>(
        &self,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, OutboxError> {
        let run = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare_cached(sql)?.query_map([], read)?.collect()
        };
        run().map_err(|source| self.error(source))
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), OutboxError> {
        let run = || self.connection.prepare_cached(sql)?.execute(values);
        run().map(drop).map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> OutboxError {
        OutboxError::Sqlite { path: self.path.clone(), source }
    }

    /// With another key every row would be lost; better not to start.
    fn check_key(&self) -> Result<(), OutboxError> {
        let sql = "SELECT value FROM property WHERE name = 'check'";
        let known: Option<Vec<u8>> = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))?;
        let Some(known) = known else {
            let sealed = self.sealing.seal(b"check", CHECK).ok_or(OutboxError::Seal)?;
            return self.execute("INSERT INTO property VALUES ('check', ?1)", [sealed]);
        };
        match self.sealing.open(b"check", &known) {
            Some(plain) if plain == CHECK => Ok(()),
            _ => Err(unusable(
                &self.path,
                "it was sealed with another key; give that key, or name another file",
            )),
        }
    }
}

/// Derived from the caller's key: what seals, and what blinds events.
struct Sealing {
    seal: RandomizedNonceKey,
    blind: hmac::Key,
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealing(not shown)")
    }
}

impl Sealing {
    fn new(secret: &[u8; 32]) -> Option<Self> {
        let source = Salt::new(HKDF_SHA256, b"noticegate outbox").extract(secret);
        let derive = |label: &'static [u8]| -> Option<[u8; 32]> {
            let mut key = [0u8; 32];
            source.expand(&[label], HKDF_SHA256).ok()?.fill(&mut key).ok()?;
            Some(key)
        };
        Some(Self {
            seal: RandomizedNonceKey::new(&AES_256_GCM, &derive(b"seal")?).ok()?,
            blind: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"blind")?),
        })
    }

    /// A digest of few possible bodies could be guessed; this cannot without the key.
    fn blind(&self, event: &[u8; 32]) -> Vec<u8> {
        hmac::sign(&self.blind, event).as_ref().to_vec()
    }

    /// The nonce, then the text, then the tag.
    fn seal(&self, about: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let mut text = plain.to_vec();
        let nonce = self.seal.seal_in_place_append_tag(Aad::from(about), &mut text).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend(text);
        Some(sealed)
    }

    fn open(&self, about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.seal.open_in_place(nonce, Aad::from(about), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

fn unusable(path: &Path, problem: impl Into<String>) -> OutboxError {
    OutboxError::Unusable { path: path.to_owned(), problem: problem.into() }
}

/// Two gates at one file would deliver everything twice.
fn lock(path: &Path) -> Result<File, OutboxError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(|error| {
        unusable(path, format!("its folder must exist and be writable ({error})"))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(unusable(path, "another process works on it; each gate needs an outbox of its own"))
        }
        Err(TryLockError::Error(error)) => Err(unusable(path, error.to_string())),
    }
}

fn set_up(connection: &Connection, path: &Path) -> Result<(), OutboxError> {
    let sqlite = |source| OutboxError::Sqlite { path: path.to_owned(), source };
    let number = |pragma: &str| -> Result<i64, OutboxError> {
        connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(sqlite)
    };
    let sql = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(sqlite)?;
    let is_ours = number("application_id")? == i64::from(APPLICATION_ID)
        && number("user_version")? == i64::from(SCHEMA_VERSION);
    if tables > 0 && !is_ours {
        return Err(unusable(path, "it is not an outbox of this version; name another file"));
    }
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sqlite)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
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
             COMMIT;"
        );
        connection.execute_batch(&create).map_err(sqlite)?;
    }
    Ok(())
}
