//! Takes away what may not be kept: the personal terms of some entries, or all entries before one.
//!
//! Deleted rows are overwritten in the file (`secure_delete`), chunks that held them are written
//! anew because of the copies that SQLite leaves, and the log beside the file is emptied.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::postings::{self, sql, unsql};
use super::{Field, Index, IndexError, View};

impl Index {
    /// Makes the personal terms ([`Field::is_personal`]) of entries vanish, also from the file.
    ///
    /// # Errors
    /// [`IndexError::Held`] if the log beside the file still has the bytes: call it again later.
    /// [`IndexError::Sqlite`] if nothing was forgotten.
    pub fn forget(&mut self, seqs: &[u64]) -> Result<(), IndexError> {
        let mut gone: BTreeMap<u64, RoaringBitmap> = BTreeMap::new();
        for seq in seqs {
            let (chunk, low) = postings::split(*seq);
            gone.entry(chunk).or_default().insert(u32::from(low));
        }
        self.write(|view| {
            for (chunk, gone) in gone {
                if !view.has_chunk(chunk)? {
                    continue;
                }
                for field in Field::ALL.iter().filter(|field| field.is_personal()) {
                    let slot = view.index.slot(*field);
                    postings::take_away_all(&view.tx, chunk, slot, &gone)?;
                }
                postings::rewrite(&view.tx, chunk)?;
            }
            Ok(())
        })?;
        self.empty_log()
    }

    /// Makes all entries before a place vanish.
    ///
    /// # Errors
    /// As [`Index::forget`].
    pub fn prune(&mut self, before: u64) -> Result<(), IndexError> {
        self.write(|view| {
            let floor = before.min(view.number("position")?);
            if floor > view.number("floor")? {
                view.drop_before(floor)?;
            }
            Ok(())
        })?;
        self.empty_log()
    }

    /// Writes the log into the file and empties it.
    fn empty_log(&self) -> Result<(), IndexError> {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: i64 = self
            .connection
            .query_row(checkpoint, [], |row| row.get(0))
            .map_err(|error| self.located(error.into()))?;
        if busy == 0 { Ok(()) } else { Err(IndexError::Held) }
    }
}

impl View<'_> {
    fn drop_before(&self, floor: u64) -> Result<(), IndexError> {
        let (chunk, low) = postings::split(floor);
        let mut statement = self.tx.prepare("DELETE FROM chunk WHERE chunk < ? RETURNING chunk")?;
        let dropped = statement.query_map([sql(chunk)], |row| row.get(0))?;
        for dropped in dropped.collect::<rusqlite::Result<Vec<i64>>>()? {
            postings::drop_table(&self.tx, unsql(dropped))?;
        }
        self.tx.execute("DELETE FROM document WHERE seq < ?", [sql(floor)])?;
        if low > 0 {
            let mut gone = RoaringBitmap::new();
            gone.insert_range(0..u32::from(low));
            let own = [self.index.hour, self.index.listened];
            for slot in self.index.slots.iter().chain(&own) {
                postings::take_away_all(&self.tx, chunk, *slot, &gone)?;
            }
            postings::rewrite(&self.tx, chunk)?;
        }
        self.set_number("floor", floor)
    }
}
