//! The PostgreSQL store: one ledger for many gates.
//!
//! An append is one statement that takes the next places from a counter and puts the entries
//! there. The counter's lock is held until the commit, so entries become visible in the order of
//! their places, and what is rolled back leaves no gap. What stands in `entry` is never changed.
//!
//! A writer that lives holds a lock that its session alone can hold; the server lets go of it
//! after the last thing the session did has been committed or undone.
//!
//! LIMIT: erasing deletes rows. The server's files and log still hold them until it has vacuumed
//! and recycled them, and copies until they expire.

mod link;
mod schema;
mod target;

use std::collections::HashMap;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use tokio_postgres::Row;

use super::{
    Append, Blind, Checkpointed, DeadWriter, Leading, Leaf, PersonKey, Store, StoreError, Stored,
    TILE_LEAVES,
};
use link::Link;

/// LIMIT: how many entries one statement prunes. Well within the time that a statement may take.
const PRUNE: u64 = 16 * TILE_LEAVES;

/// The two-part advisory lock of the gate that signs. Locks of writers have one part.
const LEAD: &str = "SELECT pg_try_advisory_lock(1852271717, 2)";

/// The one of who sweeps.
const SWEEP: &str = "SELECT pg_try_advisory_lock(1852271717, 3)";

/// Who holds that, as far as this role may know.
const SWEEPER: &str = "
    SELECT coalesce('from ' || host(client_addr) || ' ', '') || 'as session ' || pid
        || coalesce(to_char(backend_start AT TIME ZONE 'UTC', '\" since \"YYYY-MM-DD HH24:MI:SS\"Z\"'), '')
    FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = 1852271717 AND objid = 3 AND objsubid = 2 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

const APPEND: &str = "
    WITH place AS (
        UPDATE noticegate.head
        SET next = next + $1, stated = CASE WHEN $5::bigint > 0 THEN next + $5 ELSE stated END
        WHERE $6::bigint IS NULL OR stated <= $6
        RETURNING next - $1 AS first
    ), given AS (
        SELECT first + ordinality - 1 AS seq, bytes, leaf, sealed
        FROM place, unnest($2::bytea[], $3::bytea[], $4::bytea[])
            WITH ORDINALITY AS batch (bytes, leaf, sealed, ordinality)
    ), beside AS (
        INSERT INTO noticegate.clear (seq, sealed)
        SELECT seq, sealed FROM given WHERE sealed IS NOT NULL
    ), named AS (
        INSERT INTO noticegate.statement (name, seq)
        SELECT DISTINCT name, first + index
        FROM place, unnest($7::text[], $8::bigint[]) AS each (name, index)
    ), put AS (
        INSERT INTO noticegate.entry (seq, bytes, leaf) SELECT seq, bytes, leaf FROM given
    )
    SELECT first FROM place";

/// The hashes of places from `$1` up to `$2`, and perhaps some around them.
const LEAVES: &str = "
    SELECT seq, leaf FROM noticegate.entry WHERE seq >= $1 AND seq < $2
    UNION ALL
    SELECT chunk * 256, leaves FROM noticegate.pruned
    WHERE chunk >= $1 / 256 AND chunk <= ($2 - 1) / 256
    ORDER BY 1";

/// Who holds a writer's lock or waits for it. `pg_locks` shows it in two halves.
macro_rules! holders {
    ($lock:literal) => {
        concat!(
            "FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND (classid::bigint << 32 | objid::bigint) = ",
            $lock
        )
    };
}

const END_HOLDERS: &str =
    concat!("SELECT pg_terminate_backend(pid) ", holders!("$1"), " AND pid <> pg_backend_pid()");

/// A new writer has nothing open before the end.
const CLAIM: &str = "
    INSERT INTO noticegate.writer (name, lock, floor, retired)
    SELECT $1, $2, next, false FROM noticegate.head
    ON CONFLICT (name) DO NOTHING";

/// A writer that has come back in another session is not retired from here.
const RETIRE: &str = concat!(
    "UPDATE noticegate.writer SET retired = true WHERE name = $1 AND NOT EXISTS (SELECT ",
    holders!("writer.lock"),
    " AND granted AND pid <> pg_backend_pid())"
);

const DEAD: &str = concat!(
    "SELECT name, floor FROM noticegate.writer WHERE NOT retired AND NOT EXISTS (SELECT ",
    holders!("writer.lock"),
    " AND granted) ORDER BY name"
);

/// In the order of their names, so that two gates that make the same people do not wait for each
/// other for ever.
const MAKE_PEOPLE: &str = "
    INSERT INTO noticegate.person (blind, key)
    SELECT DISTINCT ON (blind) blind, key FROM unnest($1::bytea[], $2::bytea[]) AS fresh (blind, key)
    ORDER BY blind
    ON CONFLICT (blind) DO NOTHING";

/// The check on `pruned` undoes the statement if an entry is missing.
const PRUNE_SOME: &str = "
    WITH gone AS (
        DELETE FROM noticegate.entry WHERE seq >= $1 AND seq < $2 RETURNING seq, bytes, leaf
    ), stated AS (
        SELECT DISTINCT seq FROM noticegate.statement WHERE seq >= $1 AND seq < $2
    ), held AS (
        INSERT INTO noticegate.kept (seq, bytes, leaf)
        SELECT seq, bytes, leaf FROM gone WHERE seq IN (SELECT seq FROM stated)
    ), beside AS (
        DELETE FROM noticegate.clear
        WHERE seq >= $1 AND seq < $2 AND seq NOT IN (SELECT seq FROM stated)
    )
    INSERT INTO noticegate.pruned (chunk, leaves)
    SELECT seq / 256, string_agg(leaf, ''::bytea ORDER BY seq) FROM gone GROUP BY 1";

/// Entries and what lies beside them, as the session may see it. A join could be planned as a walk
/// through all that lies beside entries.
macro_rules! stored {
    ($sealed:literal, $which:literal) => {
        concat!("SELECT seq, bytes, leaf, ", $sealed, " FROM (", $which, ") AS found ORDER BY seq")
    };
}

/// The statements that read entries.
#[derive(Debug)]
struct Readings {
    read: &'static str,
    at: &'static str,
}

const READINGS: Readings = Readings {
    read: stored!(
        "(SELECT sealed FROM noticegate.clear WHERE clear.seq = found.seq)",
        "SELECT * FROM noticegate.entry WHERE seq >= $1 ORDER BY seq LIMIT $2"
    ),
    at: stored!(
        "(SELECT sealed FROM noticegate.clear WHERE clear.seq = found.seq)",
        "SELECT seq, bytes, leaf FROM noticegate.entry WHERE seq = ANY ($1)
         UNION ALL SELECT seq, bytes, leaf FROM noticegate.kept WHERE seq = ANY ($1)"
    ),
};

/// For a role that may not see sealed text.
const READINGS_WITHOUT_CLEAR: Readings = Readings {
    read: stored!(
        "NULL::bytea",
        "SELECT * FROM noticegate.entry WHERE seq >= $1 ORDER BY seq LIMIT $2"
    ),
    at: stored!(
        "NULL::bytea",
        "SELECT seq, bytes, leaf FROM noticegate.entry WHERE seq = ANY ($1)
         UNION ALL SELECT seq, bytes, leaf FROM noticegate.kept WHERE seq = ANY ($1)"
    ),
};

/// A ledger in PostgreSQL.
///
/// Its methods block, so they must not be called where a tokio runtime runs, nor may it be dropped
/// there.
#[derive(Debug)]
pub struct Postgres {
    link: Link,
    readings: Readings,
    leads: bool,
}

impl Postgres {
    /// SQL that makes the roles `noticegate_gate`, `noticegate_reader`, `noticegate_sealed` and
    /// `noticegate_clerk`. The owner of the tables runs it, after each migration.
    pub const ROLES: &str = schema::ROLES;

    /// Connects to a ledger, by a connection string as libpq reads it. `ca_file` holds the
    /// authority's certificates in PEM, if it is not a public one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be reached safely, would lose what it acknowledges, or has
    /// other tables than this program knows. The password is in none of them.
    pub fn connect(url: &str, ca_file: Option<&Path>) -> Result<Self, StoreError> {
        let mut link = Link::open(url, ca_file)?;
        schema::check(&mut link)?;
        let sees_clear = "SELECT has_table_privilege('noticegate.clear', 'SELECT')";
        let sees_clear = link.value(sees_clear, &[])?.unwrap_or(false);
        let readings = if sees_clear { READINGS } else { READINGS_WITHOUT_CLEAR };
        Ok(Self { link, readings, leads: false })
    }

    /// Brings the tables up to date; returns the names of the scripts that ran. A role without the
    /// right to make tables may call it as long as there is nothing to do.
    ///
    /// # Errors
    /// [`StoreError`] as for [`Self::connect`], and if the role may not do what is to be done.
    pub fn migrate(url: &str, ca_file: Option<&Path>) -> Result<Vec<&'static str>, StoreError> {
        schema::migrate(&mut Link::open(url, ca_file)?)
    }

    fn stored(&self, row: &Row) -> Result<Stored, StoreError> {
        Ok(Stored {
            seq: self.link.number(row, 0)?,
            bytes: self.link.column(row, 1)?,
            leaf: self.leaf(row, 2)?,
            clear: self.link.column(row, 3)?,
        })
    }

    fn leaf(&self, row: &Row, at: usize) -> Result<Leaf, StoreError> {
        self.link.column::<Vec<u8>>(row, at)?.try_into().map_err(|_| {
            self.link.unusable("it holds a hash that is none; somebody has changed it".to_owned())
        })
    }

    fn person_key(&self, row: &Row) -> Result<PersonKey, StoreError> {
        Ok(PersonKey { person: self.link.number(row, 0)?, key: self.link.column(row, 1)? })
    }

    fn checkpoint(&self, row: &Row) -> Result<Checkpointed, StoreError> {
        Ok(Checkpointed { size: self.link.number(row, 0)?, note: self.link.column(row, 1)? })
    }

    fn known_people(&mut self, blind: &[&[u8]]) -> Result<HashMap<Vec<u8>, PersonKey>, StoreError> {
        let sql = "SELECT person, key, blind FROM noticegate.person WHERE blind = ANY ($1)";
        let rows = self.link.rows(sql, &[&blind])?;
        rows.iter().map(|row| Ok((self.link.column(row, 2)?, self.person_key(row)?))).collect()
    }
}

impl Store for Postgres {
    fn name(&self) -> String {
        self.link.name().to_owned()
    }

    fn append_knowing(
        &mut self,
        entries: &[Append<'_>],
        named: &[(usize, &str)],
        known: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let bytes: Vec<&[u8]> = entries.iter().map(|entry| entry.bytes).collect();
        let leaves: Vec<&[u8]> = entries.iter().map(|entry| entry.leaf.as_slice()).collect();
        let sealed: Vec<Option<&[u8]>> = entries.iter().map(|entry| entry.clear).collect();
        let (indices, names): (Vec<i64>, Vec<&str>) =
            named.iter().map(|(index, name)| (number(*index), *name)).unzip();
        let stated = indices.iter().max().map_or(0, |last| last.saturating_add(1));
        // CRASH HERE: the server has the whole statement or none of it. Without an answer nobody
        // knows which, until a new handle has claimed the writer and looked.
        let rows = self.link.rows(
            APPEND,
            &[
                &number(entries.len()),
                &bytes,
                &leaves,
                &sealed,
                &stated,
                &known.map(number),
                &names,
                &indices,
            ],
        )?;
        match rows.first() {
            Some(row) => self.link.number(row, 0).map(Some),
            None if known.is_some() => Ok(None),
            None => {
                Err(self.link.unusable("its counter in `noticegate.head` is missing".to_owned()))
            }
        }
    }

    fn stated(&mut self) -> Result<u64, StoreError> {
        let rows = self.link.rows("SELECT stated FROM noticegate.head", &[])?;
        let row = rows.first().ok_or_else(|| {
            self.link.unusable("its counter in `noticegate.head` is missing".to_owned())
        })?;
        self.link.number(row, 0)
    }

    fn stated_since(&mut self, from: u64) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT name, seq FROM noticegate.statement WHERE seq >= $1 ORDER BY seq";
        let rows = self.link.rows(sql, &[&number(from)])?;
        let each =
            rows.iter().map(|row| Ok((self.link.column(row, 0)?, self.link.number(row, 1)?)));
        each.collect()
    }

    fn statements(&mut self, names: &[&str]) -> Result<Vec<Stored>, StoreError> {
        let sql = "SELECT DISTINCT seq FROM noticegate.statement WHERE name = ANY ($1)";
        let rows = self.link.rows(sql, &[&names])?;
        let places = rows.iter().map(|row| self.link.number(row, 0));
        let places: Vec<u64> = places.collect::<Result<_, _>>()?;
        self.at(&places)
    }

    fn is_in_place(&self) -> bool {
        self.link.is_open()
    }

    fn last(&mut self) -> Result<Option<(u64, Leaf)>, StoreError> {
        let sql = "SELECT seq, leaf FROM noticegate.entry ORDER BY seq DESC LIMIT 1";
        let rows = self.link.rows(sql, &[])?;
        rows.first().map(|row| Ok((self.link.number(row, 0)?, self.leaf(row, 1)?))).transpose()
    }

    fn first(&mut self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(chunk) + 1, 0) FROM noticegate.pruned";
        let rows = self.link.rows(sql, &[])?;
        let chunks = rows.first().map_or(Ok(0), |row| self.link.number(row, 0))?;
        Ok(chunks.saturating_mul(TILE_LEAVES))
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let rows = self.link.rows(self.readings.read, &[&number(from), &number(limit)])?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    fn at(&mut self, places: &[u64]) -> Result<Vec<Stored>, StoreError> {
        let rows = self.link.rows(self.readings.at, &[&numbers(places)])?;
        rows.iter().map(|row| self.stored(row)).collect()
    }

    fn leaves(&mut self, from: u64, limit: usize) -> Result<Vec<Leaf>, StoreError> {
        let to = from.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
        let wanted = from..to;
        let mut found = Vec::new();
        for row in self.link.rows(LEAVES, &[&number(from), &number(to)])? {
            let start = self.link.number(&row, 0)?;
            let bytes: Vec<u8> = self.link.column(&row, 1)?;
            let (leaves, _) = bytes.as_chunks::<32>();
            let placed = (start..).zip(leaves).filter(|(place, _)| wanted.contains(place));
            found.extend(placed.map(|(_, leaf)| *leaf));
        }
        Ok(found)
    }

    fn claim(&mut self, writer: &str) -> Result<bool, StoreError> {
        let lock = lock(writer);
        if self.link.value("SELECT pg_try_advisory_lock($1)", &[&lock])? != Some(true) {
            self.link.execute(END_HOLDERS, &[&lock])?;
            self.link.execute("SELECT pg_advisory_lock($1)", &[&lock])?;
        }
        self.link.execute(CLAIM, &[&writer, &lock])?;
        let retired = "SELECT retired FROM noticegate.writer WHERE name = $1";
        Ok(self.link.value(retired, &[&writer])? == Some(false))
    }

    fn set_floor(&mut self, writer: &str, floor: u64) -> Result<(), StoreError> {
        let sql = "UPDATE noticegate.writer SET floor = $2 WHERE name = $1";
        self.link.execute(sql, &[&writer, &number(floor)]).map(drop)
    }

    fn retire(&mut self, writer: &str) -> Result<(), StoreError> {
        self.link.execute(RETIRE, &[&writer]).map(drop)
    }

    fn dead_writers(&mut self) -> Result<Vec<DeadWriter>, StoreError> {
        let rows = self.link.rows(DEAD, &[])?;
        let dead = |row| {
            let (writer, floor) = (self.link.column(row, 0)?, self.link.number(row, 1)?);
            Ok(DeadWriter { writer, floor })
        };
        rows.iter().map(dead).collect()
    }

    fn people(&mut self, names: &[(Blind, Vec<u8>)]) -> Result<Vec<PersonKey>, StoreError> {
        let blind: Vec<&[u8]> = names.iter().map(|(blind, _)| blind.as_slice()).collect();
        let mut known = self.known_people(&blind)?;
        if !blind.iter().all(|blind| known.contains_key(*blind)) {
            let fresh: Vec<&[u8]> = names.iter().map(|(_, fresh)| fresh.as_slice()).collect();
            self.link.execute(MAKE_PEOPLE, &[&blind, &fresh])?;
            known = self.known_people(&blind)?;
        }
        let people = blind.iter().map(|blind| known.get(*blind).cloned());
        people.collect::<Option<_>>().ok_or_else(|| {
            self.link.unusable("a person was erased while their name was recorded".to_owned())
        })
    }

    fn find_person(&mut self, blind: &Blind) -> Result<Option<PersonKey>, StoreError> {
        Ok(self.known_people(&[blind])?.into_values().next())
    }

    fn person_keys(&mut self, people: &[u64]) -> Result<Vec<PersonKey>, StoreError> {
        let sql = "SELECT person, key FROM noticegate.person WHERE person = ANY ($1)
                   ORDER BY person";
        let rows = self.link.rows(sql, &[&numbers(people)])?;
        rows.iter().map(|row| self.person_key(row)).collect()
    }

    fn erase_person(&mut self, person: u64) -> Result<(), StoreError> {
        let sql = "UPDATE noticegate.person SET blind = NULL, key = NULL WHERE person = $1";
        self.link.execute(sql, &[&number(person)]).map(drop)
    }

    fn erase_clear(&mut self, places: &[u64]) -> Result<(), StoreError> {
        let sql = "DELETE FROM noticegate.clear WHERE seq = ANY ($1)";
        self.link.execute(sql, &[&numbers(places)]).map(drop)
    }

    fn policy_set(&mut self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.link.value("SELECT texts FROM noticegate.policy_set WHERE digest = $1", &[&digest])
    }

    fn put_policy_set(&mut self, digest: &str, texts: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO noticegate.policy_set (digest, texts) VALUES ($1, $2)
                   ON CONFLICT (digest) DO NOTHING";
        self.link.execute(sql, &[&digest, &texts]).map(drop)
    }

    fn property(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        self.link.value("SELECT value FROM noticegate.property WHERE name = $1", &[&name])
    }

    fn put_property(&mut self, name: &str, value: &str) -> Result<String, StoreError> {
        let sql = "INSERT INTO noticegate.property (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO NOTHING";
        self.link.execute(sql, &[&name, &value])?;
        Ok(self.property(name)?.unwrap_or_default())
    }

    fn lead(&mut self) -> Result<bool, StoreError> {
        if !self.leads {
            self.leads = self.link.value(LEAD, &[])?.unwrap_or(false);
        }
        Ok(self.leads)
    }

    fn lead_sweep(&mut self) -> Result<Leading, StoreError> {
        if self.link.value(SWEEP, &[])?.unwrap_or(false) {
            return Ok(Leading::Own);
        }
        let who: Option<String> = self.link.value(SWEEPER, &[])?;
        Ok(Leading::Other(who.unwrap_or_else(|| "it has just ended".to_owned())))
    }

    fn last_checkpoint(&mut self) -> Result<Option<Checkpointed>, StoreError> {
        let sql = "SELECT size, note FROM noticegate.checkpoint ORDER BY size DESC LIMIT 1";
        let rows = self.link.rows(sql, &[])?;
        rows.first().map(|row| self.checkpoint(row)).transpose()
    }

    fn checkpoints(&mut self, beyond: u64, limit: usize) -> Result<Vec<Checkpointed>, StoreError> {
        let sql = "SELECT size, note FROM noticegate.checkpoint WHERE size > $1 ORDER BY size
                   LIMIT $2";
        let rows = self.link.rows(sql, &[&number(beyond), &number(limit)])?;
        rows.iter().map(|row| self.checkpoint(row)).collect()
    }

    fn put_checkpoint(&mut self, checkpoint: &Checkpointed) -> Result<(), StoreError> {
        let sql = "INSERT INTO noticegate.checkpoint (size, note) VALUES ($1, $2)
                   ON CONFLICT (size) DO UPDATE SET note = excluded.note";
        self.link.execute(sql, &[&number(checkpoint.size), &checkpoint.note]).map(drop)
    }

    fn forget_checkpoint(&mut self, size: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM noticegate.checkpoint WHERE size = $1";
        self.link.execute(sql, &[&number(size)]).map(drop)
    }

    fn tidy(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn may_destroy(&mut self) -> Result<bool, StoreError> {
        let sql = "SELECT has_table_privilege('noticegate.clear', 'DELETE')
                   AND has_table_privilege('noticegate.entry', 'DELETE')
                   AND has_column_privilege('noticegate.person', 'key', 'UPDATE')";
        Ok(self.link.value(sql, &[])?.unwrap_or(false))
    }

    fn prune(&mut self, before: u64) -> Result<(), StoreError> {
        let last = self.last()?.map_or(0, |(place, _)| place);
        if !before.is_multiple_of(TILE_LEAVES) || before > last {
            return Err(self.link.unusable(format!(
                "it cannot be pruned up to entry {before}, only in steps of {TILE_LEAVES} and not \
                 beyond its last entry, {last}"
            )));
        }
        let mut from = self.first()?;
        while from < before {
            let to = before.min(from.saturating_add(PRUNE));
            self.link.execute(PRUNE_SOME, &[&number(from), &number(to)])?;
            from = to;
        }
        Ok(())
    }
}

/// The lock that a writer's session holds.
fn lock(writer: &str) -> i64 {
    let hash = digest(&SHA256, format!("noticegate writer {writer}").as_bytes());
    hash.as_ref().first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}

/// PostgreSQL counts in signed numbers; a place or size beyond them cannot be reached.
fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

fn numbers(places: &[u64]) -> Vec<i64> {
    places.iter().copied().map(number).collect()
}
