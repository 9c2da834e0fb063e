//! Where entries lie: one interface, two stores.
//!
//! A store gives entries their places, keeps their bytes, and keeps beside them the few things
//! that may change: sealed clear text, the keys of people, who writes. It knows nothing of what an
//! entry says. Calls block; they are made by threads that may wait.
//!
//! [`Sqlite`] is one file for one gate; [`Postgres`] serves many gates at once.

mod postgres;
mod sqlite;

pub use postgres::Postgres;
pub use sqlite::{GateLock, Sqlite};

use std::fmt::Debug;
use std::path::PathBuf;

use crate::config;
use crate::secret::Secret;

/// The hash of an entry as a leaf of an RFC 6962 tree.
pub type Leaf = [u8; 32];

/// Entries are pruned in steps of this many: the width of a tile (C2SP tlog-tiles).
pub(super) const TILE_LEAVES: u64 = 256;

/// A name that tells nothing without the ledger's secret.
pub type Blind = [u8; 32];

/// A store that cannot do what it was asked to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be used as it is.
    #[error("the ledger `{name}`: {problem}")]
    Unusable {
        /// The file, or the database's host and name.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// SQLite reports an error.
    #[error("the ledger `{}`", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// PostgreSQL reports an error, or cannot be reached.
    #[error("the ledger in PostgreSQL `{name}`")]
    Postgres {
        /// The database's host and name.
        name: String,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To look.
    Read,
    /// To write to a ledger that exists.
    Write,
    /// To write; the ledger is made, or brought to this version, if it is missing or older.
    Create,
}

/// Where a ledger lies.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a file.
    Sqlite(PathBuf),
    /// In a database.
    Postgres {
        /// The connection string.
        url: Secret,
        /// The authorities that may sign the server's certificate.
        ca_file: Option<PathBuf>,
    },
}

impl Place {
    /// The place that a configuration names.
    #[must_use]
    pub fn of(settings: &config::Ledger) -> Self {
        match &settings.postgres {
            Some(postgres) => {
                Self::Postgres { url: postgres.url.clone(), ca_file: postgres.ca_file.clone() }
            }
            None => Self::Sqlite(settings.path.clone().unwrap_or_default()),
        }
    }

    /// Brings the tables to this version; returns what was applied. A file has one version.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be done.
    pub fn migrate(&self) -> Result<Vec<&'static str>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(Vec::new()),
            Self::Postgres { url, ca_file } => Postgres::migrate(url.expose(), ca_file.as_deref()),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened, or is not a ledger of this version.
    pub fn open(&self, access: Access) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => Box::new(Sqlite::open(path, access)?),
            Self::Postgres { url, ca_file } => {
                let (url, ca_file) = (url.expose(), ca_file.as_deref());
                if access == Access::Create {
                    Postgres::migrate(url, ca_file)?;
                }
                Box::new(Postgres::connect(url, ca_file)?)
            }
        })
    }
}

/// An entry to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// The exact bytes.
    pub bytes: &'a [u8],
    /// Their hash.
    pub leaf: &'a Leaf,
    /// What lies beside it, sealed.
    pub clear: Option<&'a [u8]>,
}

/// An entry as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place, counted from 0 without gaps.
    pub seq: u64,
    /// The exact bytes that were hashed.
    pub bytes: Vec<u8>,
    /// The hash that was stored with them.
    pub leaf: Leaf,
    /// What lies beside it, sealed, if it has not been erased.
    pub clear: Option<Vec<u8>>,
}

/// A gate that wrote and is gone without a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadWriter {
    /// Its name, `w` of its entries.
    pub writer: String,
    /// No intent of it before this place is open.
    pub floor: u64,
}

/// A person's key in the store: theirs for good, until they are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonKey {
    /// The number by which sealed text names them. It tells nothing.
    pub person: u64,
    /// The wrapped key; `None` once it is erased.
    pub key: Option<Vec<u8>>,
}

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// How many entries it covers.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// Who sweeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leading {
    /// This handle, until it is dropped.
    Own,
    /// Somebody else, in words.
    Other(String),
}

/// What both stores can do.
pub trait Store: Send + Debug {
    /// The file, or the database's host and name: for messages.
    fn name(&self) -> String;

    /// Appends all of them in this order, without a gap or a stranger between them, in one
    /// transaction. Returns the place of the first when they are durable.
    fn append(&mut self, entries: &[Append<'_>]) -> Result<u64, StoreError> {
        self.append_knowing(entries, &[], None)?.ok_or_else(|| StoreError::Unusable {
            name: self.name(),
            problem: "it did not take an entry; its tables are damaged".to_owned(),
        })
    }

    /// Appends as [`Self::append`] does, unless a statement stands at this place or after it:
    /// then nothing is appended, and there is no place. `named` are the names under which
    /// entries (by their index) are statements.
    fn append_knowing(
        &mut self,
        entries: &[Append<'_>],
        named: &[(usize, &str)],
        known: Option<u64>,
    ) -> Result<Option<u64>, StoreError>;

    /// The place after the last statement; 0 if there is none.
    fn stated(&mut self) -> Result<u64, StoreError>;

    /// The names of statements from a place on, with their places.
    fn stated_since(&mut self, from: u64) -> Result<Vec<(String, u64)>, StoreError>;

    /// The statements under these names, in the order of their places. They outlive pruning.
    fn statements(&mut self, names: &[&str]) -> Result<Vec<Stored>, StoreError>;

    /// False if what was opened is no longer what its name leads to (a file that was replaced).
    fn is_in_place(&self) -> bool;

    /// The place and hash of the last entry; `None` in an empty ledger.
    fn last(&mut self) -> Result<Option<(u64, Leaf)>, StoreError>;

    /// The lowest place whose entry is still there; those before it were pruned.
    fn first(&mut self) -> Result<u64, StoreError>;

    /// Up to `limit` entries from a place on, in order.
    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError>;

    /// The entries at these places, in ascending order of places; what is not there is left out.
    fn at(&mut self, places: &[u64]) -> Result<Vec<Stored>, StoreError>;

    /// Up to `limit` hashes from a place on, in order, also of entries that were pruned.
    fn leaves(&mut self, from: u64, limit: usize) -> Result<Vec<Leaf>, StoreError>;

    /// Makes this handle the only one through which this writer can append: whatever an earlier
    /// handle of it still had under way has ended, or can no longer come, when this returns. False
    /// if the writer has been retired, and must go on under a new name.
    fn claim(&mut self, writer: &str) -> Result<bool, StoreError>;

    /// No intent of this writer before this place is open.
    fn set_floor(&mut self, writer: &str, floor: u64) -> Result<(), StoreError>;

    /// This writer, dead or alive, has left nothing open.
    fn retire(&mut self, writer: &str) -> Result<(), StoreError>;

    /// Claimed writers that are neither retired nor alive. The caller's own is never among them.
    fn dead_writers(&mut self) -> Result<Vec<DeadWriter>, StoreError>;

    /// The people of these blind names, in their order; who is not there yet is made with the
    /// wrapped key beside the name. Durable.
    fn people(&mut self, names: &[(Blind, Vec<u8>)]) -> Result<Vec<PersonKey>, StoreError>;

    /// The person of a blind name, if there is one.
    fn find_person(&mut self, blind: &Blind) -> Result<Option<PersonKey>, StoreError>;

    /// The keys of these people, in ascending order; who is not there is left out.
    fn person_keys(&mut self, people: &[u64]) -> Result<Vec<PersonKey>, StoreError>;

    /// Does what has to be done now and then so that appends need not: beside the handle that
    /// appends, and without holding it up.
    fn tidy(&mut self) -> Result<(), StoreError>;

    /// Whether this handle may destroy anything: the role of a gate may not.
    fn may_destroy(&mut self) -> Result<bool, StoreError>;

    /// Destroys a person's key and their blind name.
    fn erase_person(&mut self, person: u64) -> Result<(), StoreError>;

    /// Destroys what lies beside these entries.
    fn erase_clear(&mut self, places: &[u64]) -> Result<(), StoreError>;

    /// A set of policy texts by its digest.
    fn policy_set(&mut self, digest: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a set of policy texts. One that is there already stays. Durable.
    fn put_policy_set(&mut self, digest: &str, texts: &[u8]) -> Result<(), StoreError>;

    /// A value that belongs to the ledger as a whole, such as the key that verifies it.
    fn property(&mut self, name: &str) -> Result<Option<String>, StoreError>;

    /// Sets such a value, unless it is set; returns what it is then. Durable.
    fn put_property(&mut self, name: &str, value: &str) -> Result<String, StoreError>;

    /// True if this handle is the one among all gates that signs checkpoints. It stays so until
    /// the handle is dropped.
    fn lead(&mut self) -> Result<bool, StoreError>;

    /// Makes this handle the one among all processes that deletes at Twilio what must go, unless
    /// somebody else is.
    fn lead_sweep(&mut self) -> Result<Leading, StoreError>;

    /// The newest checkpoint.
    fn last_checkpoint(&mut self) -> Result<Option<Checkpointed>, StoreError>;

    /// Checkpoints of more than this size, smallest first, up to `limit`.
    fn checkpoints(&mut self, beyond: u64, limit: usize) -> Result<Vec<Checkpointed>, StoreError>;

    /// Keeps a checkpoint; one of the same size is replaced (it has gained cosignatures).
    fn put_checkpoint(&mut self, checkpoint: &Checkpointed) -> Result<(), StoreError>;

    /// Drops the checkpoint of this size. Whoever holds it elsewhere can still hold it against the
    /// entries.
    fn forget_checkpoint(&mut self, size: u64) -> Result<(), StoreError>;

    /// Drops the entries before a place, and keeps their hashes. The place is a multiple of
    /// 256 and not beyond the last entry.
    fn prune(&mut self, before: u64) -> Result<(), StoreError>;
}
