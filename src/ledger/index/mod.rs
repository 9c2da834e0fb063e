//! The search index of the ledger: answers who heard what, when and why, at any size.
//!
//! Every entry is a document named by its place, everything it can be found by is a term, and
//! every term has the set of places that have it (`postings.rs`): filters are set algebra and
//! counts are sizes of sets. `take.rs` adds entries in order, a batch a transaction with the
//! position in it, so that a crash repeats and loses nothing. `search.rs` finds, `tally.rs`
//! counts, `sessions.rs` folds disclosures into listening sessions, `erase.rs` forgets.
//!
//! It is a projection and never the truth: whatever is wrong with the file, it is made anew from
//! the ledger (`file.rs`). Times are kept to the microsecond.

mod erase;
mod field;
mod file;
mod postings;
mod search;
mod sessions;
mod take;
mod tally;
#[cfg(test)]
mod tests;
mod unusual;
mod words;

pub use field::{Field, UnknownField};
pub use file::Found;
pub use search::{Filter, Order, Query};
pub use sessions::{Session, SessionCursor};
pub use tally::{Bar, Unit};
pub use unusual::{Oddity, Unusual};

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use postings::{Slot, sql, unsql};

/// An entry as the index takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its place in the ledger.
    pub seq: u64,
    /// Its id.
    pub id: [u8; 16],
    /// When it says that it was written. Entries of several gates are not in order of time.
    pub at: Timestamp,
    /// What it can be found by. At most 256 are taken, and 100 bytes of each.
    pub terms: Vec<(Field, String)>,
    /// Free text, found by its words.
    pub text: Vec<String>,
    /// What it means for listening sessions.
    pub event: Event,
}

/// What an entry means for listening sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The intent of a disclosure. Its caller, recording, purpose, form and share are terms too.
    Disclosure {
        /// Who listens.
        caller: String,
        /// To what.
        recording: String,
        /// Why.
        purpose: String,
        /// In which form.
        form: String,
        /// By which share link, if by any.
        share: Option<String>,
    },
    /// How a disclosure ended. Its ending becomes a term of the intent. Only the first outcome
    /// counts, unless its ending was `unknown`: then the next one does.
    Outcome {
        /// The id of the intent.
        of: [u8; 16],
        /// Bytes handed over.
        bytes: u64,
        /// Where in the file the first of them stands.
        first: u64,
        /// Bytes of the whole file, if known.
        length: Option<u64>,
        /// How it ended.
        ending: String,
    },
    /// Somebody looked at entries. What they found becomes a term of each of these.
    Review {
        /// The places of the entries.
        of: Vec<u64>,
        /// What was found.
        verdict: String,
    },
    /// Nothing.
    Other,
}

/// How a disclosure ended, as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The place of the outcome's entry.
    pub seq: u64,
    /// When it ended; of an `unknown` ending, when that was noticed.
    pub at: Timestamp,
    /// Bytes handed over.
    pub bytes: u64,
    /// Where in the file the first of them stands.
    pub first: u64,
    /// Bytes of the whole file, if known.
    pub length: Option<u64>,
    /// How it ended.
    pub ending: String,
}

/// The ending of a disclosure whose gate crashed.
const UNKNOWN: &str = "unknown";

/// An index that cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite reports an error. If it says that the file is malformed: [`Index::remake`] it.
    #[error("the search index `{}` failed", path.display())]
    Sqlite {
        /// The index.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// There is a database of something else at the path; it is left as it is.
    #[error("`{}` is not a search index but another database: name another path", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// For reading only, an index must be there and of this version.
    #[error("there is no search index of this version at `{}`: start the gate once", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The file cannot be deleted to make it anew.
    #[error("cannot delete the search index `{}`", path.display())]
    Delete {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Documents must be taken in order, from the position on.
    #[error("the index takes entry {expected} next, not {got}")]
    Gap {
        /// The position.
        expected: u64,
        /// The place of the document that was handed over.
        got: u64,
    },
    /// A prefix stands for too many words.
    #[error("`{prefix}*` stands for more than 2,000 words: write more of it")]
    TooBroad {
        /// The prefix without its `*`.
        prefix: String,
    },
    /// What was forgotten is found no more, but a reader of the old state keeps its bytes in the
    /// file's log.
    #[error("a reader holds the index: forget again when it has ended, to overwrite the bytes")]
    Held,
}

/// An error of SQLite before it is told which file it is about.
impl From<rusqlite::Error> for IndexError {
    fn from(source: rusqlite::Error) -> Self {
        let path = PathBuf::new();
        Self::Sqlite { path, source }
    }
}

/// An open index. One connection of a process takes entries; any number may read beside it.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    connection: Connection,
    /// The file's numbers of the fields, in the order of [`Field::ALL`], then its own two.
    slots: Vec<Slot>,
    hour: Slot,
    listened: Slot,
}

impl Index {
    /// Opens the index, or makes one. A file that is damaged or of another version is deleted and
    /// made anew; see [`Found`].
    ///
    /// # Errors
    /// [`IndexError::Foreign`] if the path is another program's database, or the file system's.
    pub fn open(path: &Path) -> Result<(Self, Found), IndexError> {
        file::open(path)
    }

    /// Opens the index for reading, while another process may take entries.
    ///
    /// # Errors
    /// [`IndexError::Missing`] if there is none.
    pub fn open_read(path: &Path) -> Result<Self, IndexError> {
        file::open_read(path)
    }

    /// Deletes the index, for which no process may have it open, and makes it anew.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn remake(path: &Path) -> Result<Self, IndexError> {
        file::remake(path)
    }

    /// The place of the entry to take next.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn position(&self) -> Result<u64, IndexError> {
        self.read(|tx| tx.number("position"))
    }

    /// The place of an entry.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn seq_of(&self, id: &[u8; 16]) -> Result<Option<u64>, IndexError> {
        self.read(|view| view.seq_of(id))
    }

    /// The id of an entry.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn id_at(&self, seq: u64) -> Result<Option<[u8; 16]>, IndexError> {
        self.read(|view| {
            view.document("SELECT id FROM document WHERE seq = ?", seq, |row| row.get(0))
        })
    }

    /// When an entry says that it was written.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn time_at(&self, seq: u64) -> Result<Option<Timestamp>, IndexError> {
        self.read(|view| Ok(view.micros_at(seq)?.map(time)))
    }

    /// How a disclosure ended, named by the place of its intent.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn outcome_of(&self, intent: u64) -> Result<Option<Outcome>, IndexError> {
        self.read(|view| Ok(view.outcome_of(intent)?.map(|(outcome, _)| outcome)))
    }

    /// The places of the outcomes of these entries, in their order; of what is no intent, none.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn outcomes_of(&self, seqs: &[u64]) -> Result<Vec<Option<u64>>, IndexError> {
        self.read(|view| {
            let outcome = |seq: &u64| Ok(view.outcome_of(*seq)?.map(|(outcome, _)| outcome.seq));
            seqs.iter().map(outcome).collect()
        })
    }

    /// Those of these entries that somebody has looked at.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn reviewed_among(&self, seqs: &[u64]) -> Result<HashSet<u64>, IndexError> {
        self.read(|view| {
            let mut reviewed: HashMap<u64, roaring::RoaringBitmap> = HashMap::new();
            let mut found = HashSet::new();
            for seq in seqs {
                let (chunk, low) = postings::split(*seq);
                let all = match reviewed.entry(chunk) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(match view.has_chunk(chunk)? {
                        true => {
                            postings::bits_of_field(&view.tx, chunk, self.slot(Field::Reviewed))?
                        }
                        false => roaring::RoaringBitmap::new(),
                    }),
                };
                if all.contains(u32::from(low)) {
                    found.insert(*seq);
                }
            }
            Ok(found)
        })
    }

    /// Asks one state of the index, however much is taken meanwhile.
    fn read<T>(
        &self,
        ask: impl FnOnce(&View<'_>) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let view = || -> Result<T, IndexError> {
            let tx = self.connection.unchecked_transaction()?;
            ask(&View { tx, index: self })
        };
        view().map_err(|error| self.located(error))
    }

    /// Changes the index in one transaction.
    fn write<T>(
        &self,
        change: impl FnOnce(&View<'_>) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let write = || -> Result<T, IndexError> {
            let immediate = TransactionBehavior::Immediate;
            let tx = Transaction::new_unchecked(&self.connection, immediate)?;
            let view = View { tx, index: self };
            let result = change(&view)?;
            view.tx.commit()?;
            Ok(result)
        };
        write().map_err(|error| self.located(error))
    }

    /// Says which file an error is about.
    fn located(&self, error: IndexError) -> IndexError {
        match error {
            IndexError::Sqlite { source, .. } => {
                IndexError::Sqlite { path: self.path.clone(), source }
            }
            other => other,
        }
    }

    fn slot(&self, field: Field) -> Slot {
        // Every field has one since the file was opened; 0 is nobody's.
        self.slots.get(field as usize).copied().unwrap_or_default()
    }
}

/// One state of the index.
struct View<'a> {
    tx: Transaction<'a>,
    index: &'a Index,
}

impl View<'_> {
    /// A number that the file keeps about itself.
    fn number(&self, name: &str) -> Result<u64, IndexError> {
        let mut statement = self.tx.prepare_cached("SELECT value FROM state WHERE name = ?")?;
        Ok(unsql(statement.query_row([name], |row| row.get(0))?))
    }

    fn set_number(&self, name: &str, value: u64) -> Result<(), IndexError> {
        let mut statement =
            self.tx.prepare_cached("UPDATE state SET value = ?2 WHERE name = ?1")?;
        statement.execute((name, sql(value)))?;
        Ok(())
    }

    /// What a statement says about one document.
    fn document<T>(
        &self,
        statement: &str,
        seq: u64,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, IndexError> {
        Ok(self.tx.prepare_cached(statement)?.query_row([sql(seq)], read).optional()?)
    }

    fn seq_of(&self, id: &[u8; 16]) -> Result<Option<u64>, IndexError> {
        let mut statement =
            self.tx.prepare_cached("SELECT seq FROM document WHERE id = ? ORDER BY seq LIMIT 1")?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?.map(unsql))
    }

    /// Whether there are entries in a chunk.
    fn has_chunk(&self, chunk: u64) -> Result<bool, IndexError> {
        Ok(self.document("SELECT 1 FROM chunk WHERE chunk = ?", chunk, |_| Ok(()))?.is_some())
    }

    fn disclosure_of(&self, id: &[u8; 16]) -> Result<Option<u64>, IndexError> {
        let mut statement = self.tx.prepare_cached(
            "SELECT seq FROM document WHERE id = ? AND caller IS NOT NULL ORDER BY seq LIMIT 1",
        )?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?.map(unsql))
    }

    fn micros_at(&self, seq: u64) -> Result<Option<i64>, IndexError> {
        self.document("SELECT at FROM document WHERE seq = ?", seq, |row| row.get(0))
    }

    /// The outcome of an intent, and when it ended in microseconds.
    fn outcome_of(&self, intent: u64) -> Result<Option<(Outcome, i64)>, IndexError> {
        self.document(
            "SELECT outcome, ended, bytes, first, length, ending FROM document
             WHERE seq = ? AND outcome IS NOT NULL",
            intent,
            |row| {
                let ended: i64 = row.get(1)?;
                let outcome = Outcome {
                    seq: unsql(row.get(0)?),
                    at: time(ended),
                    bytes: unsql(row.get(2)?),
                    first: unsql(row.get(3)?),
                    length: row.get::<_, Option<i64>>(4)?.map(unsql),
                    ending: row.get(5)?,
                };
                Ok((outcome, ended))
            },
        )
    }
}

/// A time as the file holds it, in microseconds.
fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}
