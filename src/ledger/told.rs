//! Statements with their entries: what somebody reads who asks what is known and since when, and what
//! is not stated again.
//!
//! Reading needs no more than to read: neither a gate nor a place in the chain.

use std::collections::HashSet;
use std::sync::Arc;

use super::clerk::{Clerk, ClerkError};
use super::keys::{Keys, Sealing};
use super::people::Opener;
use super::register::{self, Told};
use super::store::{Access, Place, Store, Stored};
use super::{OpenError, StoreError};
use crate::config;
use crate::facts::{Key, RegisterName, Statement};

/// How many statements are read at once.
const STEP: usize = 1_000;

/// Reads statements of a ledger that exists.
#[derive(Debug)]
pub struct Archive {
    store: Box<dyn Store>,
    sealing: Arc<Sealing>,
}

/// What became of statements that may have been on record already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The place of the first entry that was written; none if all were known.
    pub first: Option<u64>,
    /// How many were written.
    pub new: u64,
}

impl Archive {
    /// Opens it to read.
    ///
    /// # Errors
    /// [`OpenError`] if the ledger or its key file cannot be read.
    pub fn open(settings: &config::Ledger) -> Result<Self, OpenError> {
        let store = Place::of(settings).open(Access::Read)?;
        let sealing = Arc::new(Keys::read(&settings.key_file)?.sealing);
        Ok(Self { store, sealing })
    }

    /// Everything that was stated under these keys, in its order.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn statements(&mut self, keys: &[Key]) -> Result<Vec<Told>, StoreError> {
        let found = under(&mut *self.store, &self.sealing, keys)?;
        told(&mut *self.store, &self.sealing, &found)
    }

    /// Everything that was stated under these names, in its order: what facts rest on.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn named(&mut self, names: &[RegisterName]) -> Result<Vec<Told>, StoreError> {
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let found = self.store.statements(&names)?;
        told(&mut *self.store, &self.sealing, &found)
    }

    /// What of these is not on record yet, each once. `each` is told how many were compared.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn unknown(
        &mut self,
        statements: &[Statement],
        each: impl FnMut(u64),
    ) -> Result<Vec<Statement>, StoreError> {
        unknown(&mut *self.store, &self.sealing, statements, each)
    }

    /// Everything that was ever stated, or only what is found under a name that starts like this
    /// (`hold:`), in its order. `each` is told how many are read.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn all(
        &mut self,
        beginning: &str,
        mut each: impl FnMut(u64),
    ) -> Result<Vec<Told>, StoreError> {
        let names = self.store.stated_since(0)?;
        let named = names.into_iter().filter(|(name, _)| name.starts_with(beginning));
        let mut places: Vec<u64> = named.map(|(_, place)| place).collect();
        places.sort_unstable();
        places.dedup();
        let mut all = Vec::with_capacity(places.len());
        for places in places.chunks(STEP) {
            let found = self.store.at(places)?;
            all.extend(told(&mut *self.store, &self.sealing, &found)?);
            each(all.len() as u64);
        }
        Ok(all)
    }
}

impl Clerk {
    /// Records what of these is not on record yet, compared by what it says; all of it or nothing.
    /// `each` is told how many were compared. Two clerks who do the same at the same time may both
    /// record it, which says nothing else than one of them alone.
    ///
    /// # Errors
    /// [`ClerkError`], after which nothing of it is on record.
    pub fn state_unknown(
        &mut self,
        statements: &[Statement],
        each: impl FnMut(u64),
    ) -> Result<Stated, ClerkError> {
        let new = unknown(&mut *self.store, &self.sealing, statements, each)?;
        let first = if new.is_empty() { None } else { Some(self.state(&new)?) };
        Ok(Stated { first, new: new.len() as u64 })
    }
}

fn unknown(
    store: &mut dyn Store,
    sealing: &Arc<Sealing>,
    statements: &[Statement],
    mut each: impl FnMut(u64),
) -> Result<Vec<Statement>, StoreError> {
    let mut known = HashSet::new();
    let mut new = Vec::new();
    let mut compared = 0;
    for some in statements.chunks(STEP) {
        // Any of its keys finds the same statement; the first is its call's, if it is about one.
        let first = |one: &Statement| one.keys().into_iter().next();
        let keys: Vec<Key> = some.iter().filter_map(first).collect();
        let found = under(store, sealing, &keys)?;
        let mut opener = Opener::new(Arc::clone(sealing));
        let told = register::open(store, &mut opener, &found)?;
        known.extend(told.iter().map(|told| text(&told.recorded.statement)));
        new.extend(some.iter().filter(|one| known.insert(text(one))).cloned());
        compared += some.len() as u64;
        each(compared);
    }
    Ok(new)
}

/// What a statement says, to compare by.
fn text(statement: &Statement) -> String {
    serde_json::to_string(statement).unwrap_or_default()
}

fn under(
    store: &mut dyn Store,
    sealing: &Sealing,
    keys: &[Key],
) -> Result<Vec<Stored>, StoreError> {
    let mut names: Vec<RegisterName> =
        keys.iter().map(|key| register::name(sealing, key)).collect();
    names.sort_unstable();
    names.dedup();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    store.statements(&names)
}

fn told(
    store: &mut dyn Store,
    sealing: &Arc<Sealing>,
    found: &[Stored],
) -> Result<Vec<Told>, StoreError> {
    register::open(store, &mut Opener::new(Arc::clone(sealing)), found)
}
