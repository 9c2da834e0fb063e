//! Which entries have a term: sets of places in rows of the index file.
//!
//! Places are kept in chunks of 65,536, and a row holds places of one term in one chunk. Values
//! stand in each chunk anew, so that appending touches only the pages of the newest chunk, and
//! dropping old entries is dropping whole chunks. Row 0 of a term is its tail, a plain list of
//! 16-bit places that grows by appending; a full tail is moved to a row of its own as a roaring
//! bitmap, and when a chunk is complete the rows of each such term become one.
//!
//! Each chunk is a table. SQLite overwrites a row that it deletes, but does not promise so for the
//! copies that splitting a page may leave; the pages of a dropped table are overwritten whole.

use roaring::RoaringBitmap;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::IndexError;

/// How many places a chunk holds: as many as a roaring container; in tests few, so that they cross
/// from one to the next.
pub(super) const CHUNK: u64 = if cfg!(test) { 64 } else { 1 << 16 };

/// LIMIT: bytes of a tail. Larger ones would be copied for each batch, and do not fit on a page of
/// the file together with their neighbours.
const TAIL_BYTES_MAX: u64 = if cfg!(test) { 12 } else { 800 };

/// The number by which this file knows a field.
pub(super) type Slot = i64;

/// The chunk of a place, and its place therein.
pub(super) fn split(seq: u64) -> (u64, u16) {
    (seq / CHUNK, u16::try_from(seq % CHUNK).unwrap_or(u16::MAX))
}

/// The place of an entry again.
pub(super) fn join(chunk: u64, low: u32) -> u64 {
    chunk.saturating_mul(CHUNK).saturating_add(u64::from(low))
}

/// A number as SQLite holds it; no ledger reaches what would be cut.
pub(super) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as it was before [`sql`].
pub(super) fn unsql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The places in one row.
fn read(part: i64, bytes: &[u8]) -> RoaringBitmap {
    if part == 0 {
        return lows(bytes).collect();
    }
    // What cannot be read is a damaged file: it finds nothing, and nothing outside of its chunk.
    let mut bits = RoaringBitmap::deserialize_from(bytes).unwrap_or_default();
    bits.remove_range(1 << 16..);
    bits
}

fn lows(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<2>().0.iter().map(|pair| u32::from(u16::from_le_bytes(*pair)))
}

fn row_part(row: &Row<'_>, from: usize) -> rusqlite::Result<RoaringBitmap> {
    Ok(read(row.get(from)?, row.get_ref(from + 1)?.as_blob()?))
}

/// The places of a term in a chunk.
pub(super) fn bits(
    connection: &Connection,
    chunk: u64,
    slot: Slot,
    value: &[u8],
) -> rusqlite::Result<RoaringBitmap> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT part, bits FROM posting_{chunk} WHERE field = ? AND value = ?"
    ))?;
    let mut rows = statement.query(params![slot, value])?;
    let mut found = RoaringBitmap::new();
    while let Some(row) = rows.next()? {
        found |= row_part(row, 0)?;
    }
    Ok(found)
}

/// The places of all terms of a field from one value to another, the last not included.
pub(super) fn bits_between(
    connection: &Connection,
    chunk: u64,
    slot: Slot,
    (from, to): (&[u8], &[u8]),
) -> rusqlite::Result<RoaringBitmap> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT part, bits FROM posting_{chunk} WHERE field = ? AND value >= ? AND value < ?"
    ))?;
    let mut rows = statement.query(params![slot, from, to])?;
    let mut found = RoaringBitmap::new();
    while let Some(row) = rows.next()? {
        match row.get(0)? {
            0 => found.extend(lows(row.get_ref(1)?.as_blob()?)),
            part => found |= read(part, row.get_ref(1)?.as_blob()?),
        }
    }
    Ok(found)
}

/// The places of all terms of a field.
pub(super) fn bits_of_field(
    connection: &Connection,
    chunk: u64,
    slot: Slot,
) -> rusqlite::Result<RoaringBitmap> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT part, bits FROM posting_{chunk} WHERE field = ?"))?;
    let mut rows = statement.query([slot])?;
    let mut found = RoaringBitmap::new();
    while let Some(row) = rows.next()? {
        found |= row_part(row, 0)?;
    }
    Ok(found)
}

/// Calls with each value of a field in a chunk, and how many of each of the places have it, named
/// by their number; a value can come more than once.
pub(super) fn tally(
    connection: &Connection,
    chunk: u64,
    slot: Slot,
    places: &[Places],
    mut each: impl FnMut(&[u8], usize, u64),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT value, part, bits FROM posting_{chunk} WHERE field = ?"
    ))?;
    let mut rows = statement.query([slot])?;
    while let Some(row) = rows.next()? {
        let value = row.get_ref(0)?.as_blob()?;
        let bytes = row.get_ref(2)?.as_blob()?;
        let part = row.get(1)?;
        let bits = (part != 0).then(|| read(part, bytes));
        for (number, places) in places.iter().enumerate() {
            let count = match &bits {
                None => places.count(bytes),
                Some(bits) => places.bits.intersection_len(bits),
            };
            if count > 0 {
                each(value, number, count);
            }
        }
    }
    Ok(())
}

/// Places of one chunk in a form that can be asked for one of them quickly.
pub(super) struct Places {
    pub(super) bits: RoaringBitmap,
    plain: Vec<bool>,
}

impl Places {
    pub(super) fn new(bits: RoaringBitmap) -> Self {
        let mut plain = vec![false; 1 << 16];
        for low in &bits {
            let place = usize::try_from(low).ok().and_then(|low| plain.get_mut(low));
            place.into_iter().for_each(|place| *place = true);
        }
        Self { bits, plain }
    }

    /// How many of a tail's places are among these.
    fn count(&self, tail: &[u8]) -> u64 {
        let has = |pair: &[u8; 2]| self.plain.get(usize::from(u16::from_le_bytes(*pair)));
        tail.as_chunks::<2>().0.iter().map(|pair| u64::from(has(pair) == Some(&true))).sum()
    }
}

/// Adds places to a term; they are not there yet.
pub(super) fn add(
    connection: &Connection,
    chunk: u64,
    (slot, value): (Slot, &[u8]),
    lows: &[u16],
) -> rusqlite::Result<()> {
    let bytes: Vec<u8> = lows.iter().flat_map(|low| low.to_le_bytes()).collect();
    if bytes.len() as u64 > TAIL_BYTES_MAX {
        return add_part(connection, chunk, (slot, value), &read(0, &bytes));
    }
    let mut statement = connection.prepare_cached(&format!(
        "INSERT INTO posting_{chunk} (field, value, part, bits) VALUES (?, ?, 0, ?)
         ON CONFLICT DO UPDATE SET bits = CAST(bits || excluded.bits AS BLOB)
         RETURNING length(bits)"
    ))?;
    let length: i64 = statement.query_row(params![slot, value, bytes], |row| row.get(0))?;
    if unsql(length) > TAIL_BYTES_MAX {
        let tail = connection
            .prepare_cached(&format!(
                "DELETE FROM posting_{chunk} WHERE field = ? AND value = ? AND part = 0
                 RETURNING part, bits"
            ))?
            .query_row(params![slot, value], |row| row_part(row, 0))?;
        add_part(connection, chunk, (slot, value), &tail)?;
    }
    Ok(())
}

fn add_part(
    connection: &Connection,
    chunk: u64,
    (slot, value): (Slot, &[u8]),
    bits: &RoaringBitmap,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "INSERT INTO posting_{chunk} (field, value, part, bits)
         SELECT ?1, ?2, 1 + coalesce(max(part), 0), ?3
         FROM posting_{chunk} WHERE field = ?1 AND value = ?2"
    ))?;
    statement.execute(params![slot, value, write(bits)]).map(drop)
}

fn write(bits: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bits.serialized_size());
    // Writing to a Vec cannot fail.
    let _ = bits.serialize_into(&mut bytes);
    bytes
}

/// Makes the table of a chunk.
pub(super) fn create(connection: &Connection, chunk: u64) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE posting_{chunk} (
             field INTEGER NOT NULL, value BLOB NOT NULL, part INTEGER NOT NULL,
             bits BLOB NOT NULL, PRIMARY KEY (field, value, part)
         ) WITHOUT ROWID"
    ))
}

/// Drops the table of a chunk.
pub(super) fn drop_table(connection: &Connection, chunk: u64) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS posting_{chunk}"))
}

/// Moves what is left of a chunk to a new table, so that the pages of the old one are overwritten.
pub(super) fn rewrite(connection: &Connection, chunk: u64) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("ALTER TABLE posting_{chunk} RENAME TO posting_old"))?;
    create(connection, chunk)?;
    connection.execute_batch(&format!(
        "INSERT INTO posting_{chunk} SELECT * FROM posting_old; DROP TABLE posting_old"
    ))
}

/// Makes the rows of each term in a chunk that takes no more entries into one.
pub(super) fn seal(connection: &Connection, chunk: u64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT field, value FROM posting_{chunk} WHERE part > 0 GROUP BY field, value"
    ))?;
    let terms = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let terms: Vec<(Slot, Vec<u8>)> = terms.collect::<rusqlite::Result<_>>()?;
    for (slot, value) in terms {
        let mut all = bits(connection, chunk, slot, &value)?;
        all.optimize();
        remove_term(connection, chunk, slot, &value)?;
        add_part(connection, chunk, (slot, &value), &all)?;
    }
    Ok(())
}

fn remove_term(
    connection: &Connection,
    chunk: u64,
    slot: Slot,
    value: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!("DELETE FROM posting_{chunk} WHERE field = ? AND value = ?"))?
        .execute(params![slot, value])
        .map(drop)
}

/// Takes places away from a term.
pub(super) fn take_away(
    connection: &Connection,
    chunk: u64,
    (slot, value): (Slot, &[u8]),
    gone: &RoaringBitmap,
) -> Result<(), IndexError> {
    let left = bits(connection, chunk, slot, value)? - gone;
    remove_term(connection, chunk, slot, value)?;
    let lows: Vec<u16> = left.iter().filter_map(|low| u16::try_from(low).ok()).collect();
    if !lows.is_empty() {
        add(connection, chunk, (slot, value), &lows)?;
    }
    Ok(())
}

/// Takes places away from all terms of a field in a chunk.
pub(super) fn take_away_all(
    connection: &Connection,
    chunk: u64,
    slot: Slot,
    gone: &RoaringBitmap,
) -> Result<(), IndexError> {
    let places = [Places::new(gone.clone())];
    let mut touched: Vec<Vec<u8>> = Vec::new();
    tally(connection, chunk, slot, &places, |value, _, _| touched.push(value.to_vec()))?;
    touched.dedup();
    for value in touched {
        take_away(connection, chunk, (slot, &value), gone)?;
    }
    Ok(())
}

/// Calls with the distinct values of a field in a chunk from one value to another, until it says
/// that it has enough.
pub(super) fn values_between(
    connection: &Connection,
    chunk: u64,
    slot: Slot,
    (from, to): (&[u8], &[u8]),
    mut each: impl FnMut(&[u8]) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT value FROM posting_{chunk} WHERE field = ? AND value >= ? AND value < ?"
    ))?;
    let mut rows = statement.query(params![slot, from, to])?;
    while let Some(row) = rows.next()? {
        let ValueRef::Blob(value) = row.get_ref(0)? else { continue };
        if !each(value) {
            break;
        }
    }
    Ok(())
}
