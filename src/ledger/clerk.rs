//! What people do to the ledger at a command line: each of it is an entry.
//!
//! A clerk writes beside running gates, under a name of its own. It never writes intents, so that
//! no disclosure is left open should it die (of deletions at Twilio, `deletion.rs` tells). What is
//! destroyed is on record before it is destroyed; who sees an entry and not its effect does it once
//! more.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::chain::Chain;
use super::commit::{Clear, person_of_caller, person_of_name, person_of_number};
use super::entry::{self, EntryId, Event};
use super::keys::{Keys, Sealing};
use super::people::{Opener, Sealer};
use super::register;
use super::store::{Access, Append, Place, Store, StoreError, TILE_LEAVES};
use super::{AppendError, KeyFileError, OpenError, Verdict, keys_of};
use crate::clock::Clock;
use crate::config;
use crate::facts::{Key, Recorded, RegisterName, Statement};

/// Somebody at work on the ledger.
#[derive(Debug)]
pub struct Clerk {
    pub(super) store: Box<dyn Store>,
    pub(super) sealing: Arc<Sealing>,
    pub(super) clock: Clock,
    pub(super) actor: String,
    /// The chain of its deletions.
    pub(super) chain: Option<Chain>,
    /// The digest of the policies that are known to be kept.
    pub(super) kept: Option<String>,
}

/// Something that was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClerkError {
    /// The ledger cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The ledger cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// Nothing can be committed to without randomness.
    #[error("the random generator failed")]
    NoRandomness,
    /// There is nothing to do it to.
    #[error("{0}")]
    Nothing(&'static str),
    /// Somebody else does it.
    #[error("another sweep is under way: {0}; wait for it, or end it")]
    Busy(String),
}

/// What is to be pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prunable {
    /// The lowest place that is there now.
    pub first: u64,
    /// The lowest place that would be left.
    pub before: u64,
}

/// Whom an erasure is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Person {
    /// A participant, by a telephone number in E.164 form.
    Number(String),
    /// A participant, or a recipient of shares, by another name that the organisation gave them.
    Name(String),
    /// A caller, by their id.
    Caller(String),
}

impl Clerk {
    /// Opens a ledger that exists, for somebody with this name.
    ///
    /// # Errors
    /// [`ClerkError`] if it cannot be written, or the key file is another ledger's.
    pub fn open(
        settings: &config::Ledger,
        clock: Clock,
        actor: String,
    ) -> Result<Self, ClerkError> {
        let mut store = Place::of(settings).open(Access::Write)?;
        let keys: Keys = keys_of(&mut *store, &settings.key_file, &settings.origin)?;
        Ok(Self { store, sealing: Arc::new(keys.sealing), clock, actor, chain: None, kept: None })
    }

    /// Records that entries were taken out of the ledger; returns the place of that entry.
    ///
    /// # Errors
    /// [`ClerkError`], after which what was taken out must not be used.
    pub fn exported(
        &mut self,
        what: &str,
        entries: u64,
        sha256: Option<&str>,
    ) -> Result<u64, ClerkError> {
        let event = Event {
            t: "export",
            detail: Some(what),
            entries: Some(entries),
            sha256,
            ..Event::default()
        };
        self.write(event, &Clear::default())
    }

    /// Records an accounting for a person; returns the place of that entry.
    ///
    /// # Errors
    /// [`ClerkError`], after which it must not be handed over.
    pub fn accounted(&mut self, person: Option<u64>, lines: u64) -> Result<u64, ClerkError> {
        let event = Event { t: "accounting", person, entries: Some(lines), ..Event::default() };
        self.write(event, &Clear::default())
    }

    /// Records that somebody has looked at entries and what they found.
    ///
    /// # Errors
    /// [`ClerkError`].
    pub fn reviewed(
        &mut self,
        of: &[u64],
        verdict: Verdict,
        note: Option<&str>,
    ) -> Result<u64, ClerkError> {
        if self.store.at(of)?.len() < of.len() {
            return Err(ClerkError::Nothing("there is no such entry; nothing was recorded"));
        }
        let mut clear = Clear::default();
        let commitments = clear.note(&person_of_caller(&self.actor), note);
        let c = commitments.map_err(|_| ClerkError::NoRandomness)?;
        let event =
            Event { t: "review", of, reason: Some(verdict.as_str()), c, ..Event::default() };
        self.write(event, &clear)
    }

    /// Records what somebody states, all of it or nothing; returns the place of the first entry.
    ///
    /// # Errors
    /// [`ClerkError`], after which nothing of it is on record.
    pub fn state(&mut self, statements: &[Statement]) -> Result<u64, ClerkError> {
        let now = self.clock.now();
        let mut texts = Vec::with_capacity(statements.len());
        let mut clears = Vec::with_capacity(statements.len());
        let mut names = Vec::with_capacity(statements.len());
        for statement in statements {
            let id = EntryId::new(now);
            let made = register::statement(id, now, &self.actor, statement);
            let (text, clear) = made.map_err(|error| match error {
                AppendError::NoRandomness => ClerkError::NoRandomness,
                _ => ClerkError::Nothing("a statement is too long to be recorded"),
            })?;
            texts.push(text);
            clears.push((id, clear));
            let keys = statement.keys();
            let of_one = keys.iter().map(|key| register::name(&self.sealing, key));
            names.push(of_one.collect::<Vec<RegisterName>>());
        }
        let mut sealer = Sealer::new(Arc::clone(&self.sealing));
        let clears =
            sealer.seal(&mut *self.store, clears.iter().map(|(id, clear)| (*id, clear)))?;
        let mut chain = Chain::after(self.store.last()?);
        let sealed: Vec<_> = texts.into_iter().map(|text| chain.seal(text)).collect();
        let appends: Vec<Append<'_>> = sealed
            .iter()
            .zip(&clears)
            .map(|((bytes, leaf), clear)| Append { bytes, leaf, clear: clear.as_deref() })
            .collect();
        let named = (0..).zip(&names);
        let named: Vec<(usize, &str)> = named
            .flat_map(|(index, names)| names.iter().map(move |name| (index, &**name)))
            .collect();
        let appended = self.store.append_knowing(&appends, &named, None)?;
        appended.ok_or(ClerkError::Nothing("the ledger did not take it"))
    }

    /// Everything that was stated under these keys, in its order.
    ///
    /// # Errors
    /// [`ClerkError`] if it cannot be read.
    pub fn statements(&mut self, keys: &[Key]) -> Result<Vec<Recorded>, ClerkError> {
        let names: Vec<RegisterName> =
            keys.iter().map(|key| register::name(&self.sealing, key)).collect();
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let found = self.store.statements(&names)?;
        let mut opener = Opener::new(Arc::clone(&self.sealing));
        Ok(register::recorded_of(register::open(&mut *self.store, &mut opener, &found)?))
    }

    /// Destroys the key of everything that is known of a person; returns the place of the entry.
    ///
    /// # Errors
    /// [`ClerkError::Nothing`] if nobody has this name; [`ClerkError`] if it could not be done.
    pub fn erase_person(&mut self, person: &Person, reason: &str) -> Result<u64, ClerkError> {
        self.check_may_destroy()?;
        let name = match person {
            Person::Number(number) => person_of_number(number),
            Person::Name(name) => person_of_name(name),
            Person::Caller(caller) => person_of_caller(caller),
        };
        let found = self.store.find_person(&self.sealing.blind(&name))?;
        let found = found.ok_or(ClerkError::Nothing("the ledger knows nothing of this person"))?;
        let event = Event {
            t: "redaction",
            person: Some(found.person),
            reason: Some(reason),
            ..Event::default()
        };
        let place = self.write(event, &Clear::default())?;
        self.store.erase_person(found.person)?;
        Ok(place)
    }

    /// Destroys what lies beside entries; returns the place of the entry.
    ///
    /// # Errors
    /// [`ClerkError`] if it could not be done.
    pub fn erase_entries(&mut self, of: &[u64], reason: &str) -> Result<u64, ClerkError> {
        self.check_may_destroy()?;
        if self.store.at(of)?.iter().filter(|stored| stored.clear.is_some()).count() < of.len() {
            return Err(ClerkError::Nothing(
                "not every one of these entries is there and tells of people; nothing was erased",
            ));
        }
        let event = Event { t: "redaction", of, reason: Some(reason), ..Event::default() };
        let place = self.write(event, &Clear::default())?;
        self.store.erase_clear(of)?;
        Ok(place)
    }

    /// What could be pruned: entries from before this time that a signed checkpoint covers, in
    /// whole tiles.
    ///
    /// # Errors
    /// [`ClerkError`].
    pub fn prunable(&mut self, older_than: Timestamp) -> Result<Prunable, ClerkError> {
        let first = self.store.first()?;
        let signed = self.store.last_checkpoint()?.map_or(0, |checkpoint| checkpoint.size);
        let last = self.store.last()?.map_or(0, |(seq, _)| seq);
        // Times rise with places but for the difference of gates' clocks; keep the first that is
        // young enough, whatever is around it.
        let (mut low, mut high) = (first, signed.min(last));
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.store.at(&[middle])?;
            let at = found.first().and_then(|stored| time_of(&stored.bytes));
            if at.is_some_and(|at| at < older_than) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let before = (low - low % TILE_LEAVES).max(first);
        Ok(Prunable { first, before })
    }

    /// Drops entries, and keeps their hashes; returns the place of the entry.
    ///
    /// # Errors
    /// [`ClerkError::Nothing`] if there is nothing to prune; [`ClerkError`] if it could not be
    /// done.
    pub fn prune(&mut self, prunable: Prunable, reason: &str) -> Result<u64, ClerkError> {
        self.check_may_destroy()?;
        let Prunable { first, before } = prunable;
        if before <= first {
            return Err(ClerkError::Nothing("no whole tile of entries is old enough"));
        }
        let event = Event {
            t: "prune",
            before: Some(before),
            entries: Some(before - first),
            reason: Some(reason),
            ..Event::default()
        };
        let place = self.write(event, &Clear::default())?;
        self.store.prune(before)?;
        Ok(place)
    }

    /// What cannot be done must not be on record as done.
    fn check_may_destroy(&mut self) -> Result<(), ClerkError> {
        match self.store.may_destroy()? {
            true => Ok(()),
            false => Err(ClerkError::Nothing(
                "permission denied: this database role may not destroy anything; use a login with \
                 the role `noticegate_clerk`",
            )),
        }
    }

    fn write(&mut self, event: Event<'_>, clear: &Clear) -> Result<u64, ClerkError> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let text = entry::event(id, now, Event { actor: Some(&self.actor), ..event });
        let mut sealer = Sealer::new(Arc::clone(&self.sealing));
        let clears = sealer.seal(&mut *self.store, [(id, clear)].into_iter())?;
        let (bytes, leaf) = Chain::after(self.store.last()?).seal(text);
        let clear = clears.first().and_then(Option::as_deref);
        Ok(self.store.append(&[Append { bytes: &bytes, leaf: &leaf, clear }])?)
    }
}

fn time_of(bytes: &[u8]) -> Option<Timestamp> {
    let entry: Value = serde_json::from_slice(bytes).ok()?;
    entry.get("at")?.as_str()?.parse().ok()
}
