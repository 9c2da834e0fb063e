//! Reading the ledger: questions of reviewers, beside a gate that writes or without one.
//!
//! The index finds, the store gives the entries, and the keys open what lies beside them. While a
//! gate runs, its index is read; without one, it is brought up to date here.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use super::commit::{person_of_name, person_of_number};
use super::follow::{self, Projection};
use super::index::{Field, Filter, Index, IndexError, Order, Query};
use super::keys::{KeyFileError, Keys, Sealing};
use super::people::{Opener, Sealed, as_value};
use super::search::{BARE_INDEX_FILE, INDEX_FILE, Searching};
use super::store::{Access, Leaf, Place, Store, StoreError, Stored};
use crate::config;
use crate::facts::Who;

/// LIMIT: how long a reader waits for a gate's index to have what the ledger has.
const WAIT: Duration = Duration::from_secs(3);

/// A question that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The folder of what is derived from the entries.
    #[error("the ledger's folder `{}`: {problem}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An entry is not what an entry is.
    #[error("entry {seq} of the ledger cannot be read; run `noticegate ledger verify`")]
    Entry {
        /// Its place.
        seq: u64,
    },
}

/// One entry as it stands in the ledger, with what belongs to it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place, counted from 0.
    pub seq: u64,
    /// The exact bytes that were hashed.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub leaf: Leaf,
    /// The same, read.
    pub entry: Value,
    /// Of an intent, its outcome.
    pub outcome: Option<Value>,
    /// What is known of people, as far as it opens: of who was erased, nothing. `None` without the
    /// key file, and beside an entry that tells of nobody.
    pub opened: Option<Value>,
    /// The participants by their numbers that tell nothing, and who each is, if that opens.
    pub subjects: Vec<(u64, Option<Who>)>,
}

/// The right to bring what is derived in a folder up to date; released when dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes it; `None` if somebody else has it.
    pub(super) fn take(folder: &Path) -> std::io::Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let file =
            File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl FolderLock {
    /// Takes it; waits a little for a command that brings the index up to date.
    pub(super) fn wait(folder: &Path) -> std::io::Result<Option<Self>> {
        let began = Instant::now();
        loop {
            match Self::take(folder)? {
                None if began.elapsed() < WAIT => std::thread::sleep(Duration::from_millis(50)),
                taken => return Ok(taken),
            }
        }
    }
}

/// A ledger opened for questions.
#[derive(Debug)]
pub struct Review {
    store: Box<dyn Store>,
    index: Index,
    opener: Option<Opener>,
    sealing: Option<Arc<Sealing>>,
}

impl Review {
    /// Opens it. Without the key file everything can be asked but what tells of people.
    ///
    /// # Errors
    /// [`ReviewError`] if the ledger cannot be read.
    pub fn open(settings: &config::Ledger, progress: impl FnMut(u64)) -> Result<Self, ReviewError> {
        let mut store = Place::of(settings).open(Access::Read)?;
        let sealing = match settings.key_file.exists() {
            true => Some(Arc::new(Keys::read(&settings.key_file)?.sealing)),
            false => None,
        };
        let folder = &settings.directory;
        let fail = |problem: String| ReviewError::Folder { folder: folder.clone(), problem };
        // What is found without the key file has a file of its own: it lacks what tells of people.
        let file = folder.join(if sealing.is_some() { INDEX_FILE } else { BARE_INDEX_FILE });
        match FolderLock::take(folder) {
            // No gate is there to do it. The lock is held no longer than this.
            Ok(Some(_lock)) => {
                let opener = sealing.clone().map(Opener::new);
                let mut searching = Searching::open(&file, opener)?;
                follow::catch_up(&mut searching, &mut *store, progress).map_err(fail)?;
            }
            Ok(None) => {}
            // Who may only look finds what is there.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(fail(error.to_string())),
        }
        let file = if file.exists() { file } else { folder.join(INDEX_FILE) };
        let next = store.last()?.map_or(0, |(seq, _)| seq + 1);
        let index = Index::open_read(&file)?;
        wait_for(&index, next)?;
        let opener = sealing.clone().map(Opener::new);
        Ok(Self { store, index, opener, sealing })
    }

    /// Makes ready for the next questions, of whoever asks them: waits until the index has what the
    /// ledger has now, and forgets the keys of people, who may have been erased since.
    ///
    /// # Errors
    /// [`ReviewError`], after which it must be opened anew.
    pub fn refresh(&mut self) -> Result<(), ReviewError> {
        if !self.store.is_in_place() {
            let problem = "it was removed or replaced".to_owned();
            return Err(StoreError::Unusable { name: self.store.name(), problem }.into());
        }
        if let Some(opener) = &mut self.opener {
            opener.forget();
        }
        let next = self.next_place()?;
        wait_for(&self.index, next)
    }

    /// The index, for what only counts.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Entries that match, a page at a time, and what to ask the next page with.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub fn find(
        &mut self,
        query: &Query,
        after: Option<u64>,
        limit: usize,
        order: Order,
    ) -> Result<(Vec<Row>, Option<u64>), ReviewError> {
        let page = self.index.find(query, after, limit, order)?;
        Ok((self.rows(&page.seqs)?, page.next))
    }

    /// These entries, in this order; of an intent with its outcome.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub fn rows(&mut self, places: &[u64]) -> Result<Vec<Row>, ReviewError> {
        let outcomes = self.index.outcomes_of(places)?;
        let all: Vec<u64> =
            places.iter().copied().chain(outcomes.iter().flatten().copied()).collect();
        let stored = self.store.at(&all)?;
        self.prepare(&stored)?;
        let by_place = |place: u64| {
            stored
                .binary_search_by_key(&place, |stored| stored.seq)
                .ok()
                .and_then(|i| stored.get(i))
        };
        let mut rows = Vec::with_capacity(places.len());
        for (place, outcome) in places.iter().zip(outcomes) {
            let Some(stored) = by_place(*place) else { continue };
            let outcome = outcome.and_then(by_place);
            rows.push(self.row(stored, outcome)?);
        }
        Ok(rows)
    }

    /// These entries as they lie in the store, in ascending order of places.
    pub(super) fn stored(&mut self, places: &[u64]) -> Result<Vec<Stored>, ReviewError> {
        Ok(self.store.at(places)?)
    }

    /// One entry by its name.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub fn named(&mut self, id: Uuid) -> Result<Option<Row>, ReviewError> {
        match self.index.seq_of(id.as_bytes())? {
            Some(seq) => Ok(self.rows(&[seq])?.pop()),
            None => Ok(None),
        }
    }

    /// Entries from a place on, in order, without their outcomes.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub fn from(&mut self, place: u64, limit: usize) -> Result<Vec<Row>, ReviewError> {
        let stored = self.store.read(place, limit)?;
        self.prepare(&stored)?;
        stored.iter().map(|stored| self.row(stored, None)).collect()
    }

    /// The place after the last entry.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub fn next_place(&mut self) -> Result<u64, ReviewError> {
        Ok(self.store.last()?.map_or(0, |(seq, _)| seq + 1))
    }

    /// The person with this telephone number in E.164 form; `None` if no entry tells of them, or
    /// they were erased.
    ///
    /// # Errors
    /// [`ReviewError`] without the key file: nobody can be found by a number then.
    pub fn person(&mut self, number: &str) -> Result<Option<u64>, ReviewError> {
        self.somebody(&person_of_number(number))
    }

    /// The same, of a participant by number or name.
    ///
    /// # Errors
    /// [`ReviewError`], as for [`Review::person`].
    pub fn participant(&mut self, who: &Who) -> Result<Option<u64>, ReviewError> {
        match who {
            Who::Number(number) => self.person(number),
            Who::Name(name) => self.somebody(&person_of_name(name)),
        }
    }

    fn somebody(&mut self, person: &str) -> Result<Option<u64>, ReviewError> {
        let Some(sealing) = &self.sealing else {
            let problem = "a number can only be searched for with the key file".to_owned();
            return Err(StoreError::Unusable { name: self.store.name(), problem }.into());
        };
        let blind = sealing.blind(person);
        Ok(self.store.find_person(&blind)?.map(|person| person.person))
    }

    /// The policy texts of a digest, if the ledger has kept them.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub fn policy_set(&mut self, digest: &str) -> Result<Option<Vec<u8>>, ReviewError> {
        Ok(self.store.policy_set(digest)?)
    }

    /// The digest of the policies that the newest entry which names one names.
    ///
    /// # Errors
    /// [`ReviewError`].
    pub fn policies_in_force(&mut self) -> Result<Option<String>, ReviewError> {
        let kinds = ["start", "policies"].map(str::to_owned).to_vec();
        let all = vec![Filter { field: Field::Kind, any: kinds, not: false }];
        let query = Query { all, ..Query::default() };
        let (rows, _) = self.find(&query, None, 1, Order::NewestFirst)?;
        let digest = rows.first().and_then(|row| row.entry.get("policies")?.as_str());
        Ok(digest.map(str::to_owned))
    }

    fn prepare(&mut self, stored: &[Stored]) -> Result<(), ReviewError> {
        if let Some(opener) = &mut self.opener {
            let sealed: Vec<Sealed> =
                stored.iter().filter_map(|s| s.clear.as_deref()).filter_map(Sealed::read).collect();
            opener.prepare(&mut *self.store, sealed.iter())?;
        }
        Ok(())
    }

    fn row(&self, stored: &Stored, outcome: Option<&Stored>) -> Result<Row, ReviewError> {
        let read = |stored: &Stored| -> Result<Value, ReviewError> {
            let seq = stored.seq;
            serde_json::from_slice(&stored.bytes).map_err(|_| ReviewError::Entry { seq })
        };
        let entry = read(stored)?;
        let sealed = stored.clear.as_deref().and_then(Sealed::read);
        let id = entry.get("id").and_then(Value::as_str).unwrap_or_default();
        let opener = self.opener.as_ref().zip(sealed.as_ref());
        let opened = opener.map(|(opener, sealed)| as_value(&opener.groups(id, sealed)));
        let subjects = opener.map(|(opener, sealed)| opener.subjects(id, sealed));
        let subjects = subjects
            .unwrap_or_default()
            .into_iter()
            .map(|(person, who)| (person, who.and_then(|who| serde_json::from_value(who).ok())));
        let subjects = subjects.collect();
        Ok(Row {
            seq: stored.seq,
            bytes: stored.bytes.clone(),
            leaf: stored.leaf,
            outcome: outcome.map(read).transpose()?,
            entry,
            opened,
            subjects,
        })
    }
}

/// Makes the index anew, in a folder that no gate uses.
///
/// # Errors
/// [`ReviewError`] if a gate uses it, or the ledger cannot be read.
pub fn rebuild(
    settings: &config::Ledger,
    progress: impl FnMut(u64, u64),
) -> Result<u64, ReviewError> {
    let folder = &settings.directory;
    let fail = |problem: String| ReviewError::Folder { folder: folder.clone(), problem };
    let lock = FolderLock::take(folder).map_err(|error| fail(error.to_string()))?;
    if lock.is_none() {
        return Err(fail("a gate uses it; stop the gate first".to_owned()));
    }
    let mut store = Place::of(settings).open(Access::Read)?;
    let keys = Keys::read(&settings.key_file)?;
    let next = store.last()?.map_or(0, |(seq, _)| seq + 1);
    let opener = Opener::new(Arc::new(keys.sealing));
    let mut searching = Searching::remake(&folder.join(INDEX_FILE), Some(opener))?;
    let mut progress = progress;
    follow::catch_up(&mut searching, &mut *store, |done| progress(done, next)).map_err(fail)?;
    searching.next().map_err(fail)
}

/// Waits a little until the gate's index has what the ledger had when it was asked.
fn wait_for(index: &Index, next: u64) -> Result<(), ReviewError> {
    let began = Instant::now();
    while index.position()? < next && began.elapsed() < WAIT {
        std::thread::sleep(Duration::from_millis(20));
    }
    if index.position()? < next {
        tracing::warn!("the newest entries are not in the search index yet");
    }
    Ok(())
}
