//! What the writer does after an error, and for gates that are gone.
//!
//! A commit that failed is not a no: its entries may be there all the same. Such intents get the
//! outcome that nothing was released. An intent whose gate is gone may have been disclosed; it gets
//! the outcome `unknown` and counts as disclosed.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::chain::Chain;
use super::entry::{self, Ending, EntryId, Event, Served};
use super::store::{Access, Append, Leaf, Store, StoreError, Stored};
use super::writer::{BATCH_MAX, PolicyTexts, Run, full};

/// How many entries are read at once.
const STEP: usize = 4_096;

/// What recovery reads of an entry.
#[derive(Deserialize)]
struct Skeleton {
    id: EntryId,
    #[serde(default)]
    of: Option<serde_json::Value>,
    t: String,
    w: String,
    wn: u64,
}

impl Skeleton {
    /// For an outcome, the intent that it ends.
    fn ends(&self) -> Option<EntryId> {
        self.of.as_ref().filter(|_| self.t == "outcome")?.as_str()?.parse().ok()
    }
}

impl Run {
    /// Says that this gate has started, and closes what gates that are gone left open.
    pub(super) fn begin(&mut self, policies: &PolicyTexts) -> Result<(), StoreError> {
        if let Some(store) = &mut self.store {
            store.claim(self.chain.writer())?;
            store.put_policy_set(&policies.digest, &policies.texts)?;
        }
        let now = self.clock.now();
        let digest = Some(policies.digest.as_str());
        let detail = policies.readings.strip_prefix("; ");
        let start = Event { t: "start", policies: digest, detail, ..Event::default() };
        self.append_own(vec![entry::event(EntryId::new(now), now, start)])?;
        self.look_around()
    }

    /// Appends entries that nobody waits for.
    pub(super) fn append_own(&mut self, texts: Vec<entry::Open>) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let mut chain = self.chain.clone();
        let mut texts = texts.into_iter().peekable();
        while texts.peek().is_some() {
            let sealed: Vec<(Vec<u8>, Leaf)> =
                texts.by_ref().take(BATCH_MAX).map(|text| chain.seal(text)).collect();
            let first = append(&mut **store, &sealed)?;
            if let Some((_, leaf)) = sealed.last() {
                self.confirmed = Some((first + sealed.len() as u64 - 1, *leaf));
            }
            self.chain = chain.clone();
        }
        Ok(())
    }

    /// Ends what gates that are gone left open.
    pub(super) fn close_for_the_dead(&mut self) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        for dead in store.dead_writers()? {
            let mut open = HashSet::new();
            let Some(store) = &mut self.store else { return Ok(()) };
            each_from(&mut **store, dead.floor, |_, found| {
                if found.t == "intent" && found.w == dead.writer {
                    open.insert(found.id);
                } else if let Some(of) = found.ends() {
                    open.remove(&of);
                }
            })?;
            if !open.is_empty() {
                let count = open.len();
                tracing::warn!(count, "closed intents of a gate that is gone as `unknown`");
            }
            let mut open: Vec<EntryId> = open.into_iter().collect();
            open.sort_unstable();
            let now = self.clock.now();
            let end =
                |of| entry::outcome(EntryId::new(now), now, of, &Served::not(Ending::Unknown));
            self.append_own(open.into_iter().map(end).collect())?;
            if let Some(store) = &mut self.store {
                store.retire(&dead.writer)?;
            }
        }
        Ok(())
    }

    /// Tries to open the ledger again and to prove a write.
    pub(super) fn reopen(&mut self) {
        match self.try_reopen() {
            Ok(()) => {
                self.shared.lock().closed = None;
                tracing::warn!("the ledger is open again");
            }
            Err(reason) => {
                self.store = None;
                let mut state = self.shared.lock();
                if state.closed.as_ref() != Some(&reason) {
                    tracing::error!(reason, "the ledger is still closed");
                    state.closed = Some(reason);
                }
            }
        }
    }

    fn try_reopen(&mut self) -> Result<(), String> {
        let mut store = self.place.open(Access::Write).map_err(|error| full(&error))?;
        let alive = store.claim(self.chain.writer()).map_err(|error| full(&error))?;
        self.hold_against(&mut *store)?;
        let turned_up = self.find_what_turned_up(&mut *store).map_err(|error| full(&error))?;
        if !alive {
            // While this gate could not be seen, another one has closed what it left open.
            self.chain = Chain::after(store.last().map_err(|error| full(&error))?);
            store.claim(self.chain.writer()).map_err(|error| full(&error))?;
            self.open.clear();
        }
        let now = self.clock.now();
        let not_released = Served::not(Ending::NotReleased);
        let mut texts: Vec<entry::Open> = turned_up
            .into_iter()
            .map(|of| entry::outcome(EntryId::new(now), now, of, &not_released))
            .collect();
        let reason = self.shared.lock().closed.clone();
        let resume = Event { t: "resume", detail: reason.as_deref(), ..Event::default() };
        texts.push(entry::event(EntryId::new(now), now, resume));
        self.store = Some(store);
        self.append_own(texts).map_err(|error| full(&error))?;
        self.look_around().map_err(|error| full(&error))
    }

    /// The store must hold the last entry that was confirmed.
    fn hold_against(&self, store: &mut dyn Store) -> Result<(), String> {
        let Some((seq, leaf)) = self.confirmed else { return Ok(()) };
        let found = store.leaves(seq, 1).map_err(|error| full(&error))?;
        if found.first() == Some(&leaf) {
            return Ok(());
        }
        Err("it does not hold the last entry that was confirmed; put the ledger back".to_owned())
    }

    /// Entries of failed batches that are there after all. Returns the intents among them, and
    /// takes outcomes that need not be written again out of the queue.
    fn find_what_turned_up(&mut self, store: &mut dyn Store) -> Result<Vec<EntryId>, StoreError> {
        let from = self.confirmed.map_or(0, |(seq, _)| seq + 1);
        let mut turned_up: HashMap<EntryId, bool> = HashMap::new();
        let mut last = None;
        let (writer, count) = (self.chain.writer().to_owned(), self.chain.count());
        each_from(store, from, |stored, found| {
            if found.w == writer && found.wn >= count {
                turned_up.insert(found.id, found.t == "intent");
                last = Some((stored.seq, stored.leaf));
            }
        })?;
        if let Some((seq, leaf)) = last {
            self.chain.advance(turned_up.len() as u64, &leaf);
            self.confirmed = Some((seq, leaf));
            self.shared.lock().items.retain(|item| !turned_up.contains_key(&item.id));
        }
        let mut intents: Vec<EntryId> =
            turned_up.into_iter().filter_map(|(id, is_intent)| is_intent.then_some(id)).collect();
        intents.sort_unstable();
        Ok(intents)
    }
}

fn append(store: &mut dyn Store, sealed: &[(Vec<u8>, Leaf)]) -> Result<u64, StoreError> {
    let appends: Vec<Append<'_>> =
        sealed.iter().map(|(bytes, leaf)| Append { bytes, leaf, clear: None }).collect();
    store.append(&appends)
}

/// Calls back for each entry from a place on.
fn each_from(
    store: &mut dyn Store,
    from: u64,
    mut each: impl FnMut(&Stored, &Skeleton),
) -> Result<(), StoreError> {
    let mut next = from;
    loop {
        let read = store.read(next, STEP)?;
        for stored in &read {
            match serde_json::from_slice(&stored.bytes) {
                Ok(found) => each(stored, &found),
                Err(_) => tracing::error!(seq = stored.seq, "an entry cannot be read"),
            }
        }
        match read.last() {
            Some(last) => next = last.seq + 1,
            None => return Ok(()),
        }
    }
}
