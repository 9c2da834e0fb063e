//! The one thread that writes a gate's entries.
//!
//! It takes whatever waits, seals it into the chain, appends it in one transaction and answers
//! everybody at once, so that one sync serves all who came while the last one ran. Outcomes do not
//! wake it under load; they are written with the next batch, at most [`LAZY`] later.
//!
//! The first error of any kind closes the ledger: everybody who waits and everybody who comes is
//! refused, the handle is thrown away (after a failed sync the kernel may have dropped what was
//! not written, so a retry on it could lie), and every [`RETRY`] the store is opened afresh, held
//! against the last entry that was confirmed, and has to prove a write (`recovery.rs`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::AppendError;
use super::chain::Chain;
use super::commit::Clear;
use super::entry::{self, EntryId, Event};
use super::people::Sealer;
use super::register::News;
use super::store::{Append, GateLock, Leaf, Place, Store, StoreError};
use crate::clock::Clock;
use crate::crash;
use crate::facts::{Basis, RegisterName};

/// LIMIT: entries that may wait. At a kilobyte each this is 64 MB; one more is refused.
const QUEUE_MAX: usize = 65_536;

/// LIMIT: entries of one transaction. A longer one would make everybody wait for the slowest.
pub(super) const BATCH_MAX: usize = 1_024;

/// LIMIT: bytes of an entry, so that it fits every reader of tiled logs.
const ENTRY_BYTES_MAX: usize = 16 * 1024;

/// How long an outcome may wait for company.
const LAZY: Duration = Duration::from_millis(200);

/// How long a batch that is smaller than the last one waits for more. A sync takes about as long.
const GATHER: Duration = Duration::from_micros(300);

/// How often a closed ledger is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How often it is looked for gates that are gone.
const LOOK: Duration = Duration::from_secs(2);

/// Whether the ledger takes entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The last write was durable.
    Open,
    /// It does not, and why.
    Closed(String),
}

/// What a writer tells who waits.
#[derive(Debug)]
pub(super) enum Answer {
    Durable,
    Failed(AppendError),
}

/// What an entry begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A disclosure.
    Intent,
    /// The disclosure of this intent.
    Outcome(EntryId),
    /// Neither.
    Other,
}

/// An entry on its way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: EntryId,
    pub(super) kind: Kind,
    pub(super) text: entry::Open,
    pub(super) clear: Clear,
    /// Who waits for it; nobody waits for an outcome.
    pub(super) answer: Option<oneshot::Sender<Answer>>,
    /// Policy texts that are kept before the entry that names their digest.
    pub(super) policies: Option<PolicyTexts>,
    /// What the decision behind it rests on.
    pub(super) bases: Vec<Basis>,
    /// The names under which a statement is found.
    pub(super) names: Vec<RegisterName>,
    /// True if the next item belongs to the same transaction.
    pub(super) joined: bool,
}

/// A set of policies as it is kept, by its digest.
#[derive(Clone, Debug)]
pub(super) struct PolicyTexts {
    pub(super) digest: String,
    pub(super) texts: Vec<u8>,
    /// What is read in another way than the law table, in words.
    pub(super) readings: String,
}

impl Item {
    pub(super) fn new(id: EntryId, kind: Kind, text: entry::Open, clear: Clear) -> Self {
        Self {
            id,
            kind,
            text,
            clear,
            answer: None,
            policies: None,
            bases: Vec::new(),
            names: Vec::new(),
            joined: false,
        }
    }
}

/// The handle on the thread.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) items: Vec<Item>,
    pub(super) awaited: usize,
    pub(super) closed: Option<String>,
    stopping: bool,
    /// True while the writer sleeps until it is woken, by anything.
    asleep: bool,
    /// Somebody was erased.
    forget_people: bool,
    /// This gate is the one that signs checkpoints.
    leads: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a writer starts with.
pub(super) struct Start {
    pub(super) place: Place,
    pub(super) store: Box<dyn Store>,
    /// Held for as long as the thread lives.
    pub(super) lock: Option<GateLock>,
    pub(super) clock: Clock,
    pub(super) sealer: Sealer,
    pub(super) policies: PolicyTexts,
    pub(super) news: Arc<News>,
}

impl Writer {
    /// Says on record that this gate has started, closes what gates that are gone left open, and
    /// starts the thread.
    pub(super) fn start(start: Start) -> Result<Self, StoreError> {
        let Start { place, mut store, lock, clock, sealer, policies, news } = start;
        let chain = Chain::after(store.last()?);
        let shared = Arc::new(Shared { state: Mutex::new(State::default()), wake: Condvar::new() });
        let name = store.name();
        let mut run = Run {
            place,
            clock,
            chain,
            sealer,
            store: Some(store),
            shared: Arc::clone(&shared),
            gathered: 0,
            open: HashMap::new(),
            confirmed: None,
            failed: HashSet::new(),
            looked: Instant::now(),
            floor: 0,
            news,
        };
        run.begin(&policies)?;
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            let _lock = lock;
            let _ended = Ended(Arc::clone(&run.shared));
            run.serve();
        });
        let thread =
            thread.map_err(|error| StoreError::Unusable { name, problem: error.to_string() })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Queues an entry and waits for nothing; the receiver tells when it is durable.
    pub(super) fn push(&self, item: Item) -> Result<oneshot::Receiver<Answer>, AppendError> {
        self.push_together(vec![item])
    }

    /// Queues entries that become durable together or not at all; the receiver tells when.
    pub(super) fn push_together(
        &self,
        mut items: Vec<Item>,
    ) -> Result<oneshot::Receiver<Answer>, AppendError> {
        if items.iter().any(|item| item.text.len() + 192 > ENTRY_BYTES_MAX) {
            return Err(AppendError::TooLong);
        }
        let (answer, answered) = oneshot::channel();
        items.iter_mut().for_each(|item| item.joined = true);
        let Some(last) = items.last_mut() else {
            let _ = answer.send(Answer::Durable);
            return Ok(answered);
        };
        last.joined = false;
        last.answer = Some(answer);
        let mut state = self.shared.lock();
        if let Some(reason) = &state.closed {
            return Err(AppendError::Closed(reason.clone()));
        }
        if state.stopping {
            return Err(AppendError::Closed("the gate is stopping".to_owned()));
        }
        if state.items.len() >= QUEUE_MAX {
            return Err(AppendError::QueueFull);
        }
        state.items.append(&mut items);
        state.awaited += 1;
        let first = state.awaited == 1;
        drop(state);
        if first {
            self.shared.wake.notify_one();
        }
        Ok(answered)
    }

    /// Queues an outcome. It is kept even while the ledger is closed, as long as there is room;
    /// one that is lost is closed as `unknown` by the next start.
    pub(super) fn push_outcome(&self, item: Item) {
        let mut state = self.shared.lock();
        if state.items.len() >= QUEUE_MAX {
            tracing::error!(entry = %item.id, "no room for an outcome; it will be `unknown`");
            return;
        }
        state.items.push(item);
        let asleep = state.asleep;
        drop(state);
        if asleep {
            self.shared.wake.notify_one();
        }
    }

    pub(super) fn health(&self) -> Health {
        match &self.shared.lock().closed {
            None => Health::Open,
            Some(reason) => Health::Closed(reason.clone()),
        }
    }

    /// True if this gate signs checkpoints.
    pub(super) fn leads(&self) -> bool {
        self.shared.lock().leads
    }

    /// Somebody was erased: who comes again is a new person.
    pub(super) fn forget_people(&self) {
        self.shared.lock().forget_people = true;
    }

    pub(super) fn close(&self) {
        self.shared.lock().stopping = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Closes the ledger when its thread ends, however it ends: who comes must not wait for nobody.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed.get_or_insert_with(|| "its thread has ended; restart the gate".to_owned());
        state.leads = state.leads && state.stopping;
        // Who waits is told by the drop of what would have answered.
        state.items.clear();
    }
}

pub(super) struct Run {
    pub(super) place: Place,
    pub(super) clock: Clock,
    pub(super) chain: Chain,
    sealer: Sealer,
    /// `None` after an error, until a fresh one has proven a write.
    pub(super) store: Option<Box<dyn Store>>,
    pub(super) shared: Arc<Shared>,
    /// How many waited for the last batch.
    gathered: usize,
    /// Intents of this gate without an outcome, and their places.
    pub(super) open: HashMap<EntryId, u64>,
    /// The last entry of this gate that is durable.
    pub(super) confirmed: Option<(u64, Leaf)>,
    /// Intents whose batch failed. Outcomes of theirs are not written unless they turn up.
    failed: HashSet<EntryId>,
    looked: Instant,
    /// Before this place nothing is open, as the store has it.
    floor: u64,
    /// What was stated lately.
    news: Arc<News>,
}

impl Run {
    fn serve(&mut self) {
        loop {
            let (batch, stopping) = self.take_batch();
            if !batch.is_empty() {
                self.write(batch);
            }
            if self.store.is_none() {
                self.reopen();
            } else if self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                if let Err(error) = self.look_around() {
                    self.fail(&full(&error), Vec::new());
                }
            }
            if stopping {
                self.stop();
                return;
            }
        }
    }

    /// Waits for work. Entries that somebody waits for are taken at once, outcomes after a while.
    fn take_batch(&mut self) -> (Vec<Item>, bool) {
        let shared = &Arc::clone(&self.shared);
        let mut state = shared.lock();
        if self.store.is_none() {
            state = wait(shared, state, RETRY);
            return (Vec::new(), state.stopping);
        }
        // Under load nothing wakes this thread but entries that somebody waits for: outcomes come
        // silently and are found at the next look. Only when a whole pause has passed without
        // anything does it sleep so that an outcome has to wake it.
        if state.awaited == 0 && !state.stopping {
            state = wait(shared, state, LAZY);
        }
        if state.items.is_empty() && !state.stopping {
            state.asleep = true;
            state = wait(shared, state, LOOK);
            state.asleep = false;
            if state.awaited == 0 && !state.items.is_empty() && !state.stopping {
                state = wait(shared, state, LAZY);
            }
        }
        // Whoever the last sync answered is likely to be back soon. A moment's wait for them makes
        // one sync of many; who comes alone waits once at the most, since their batch is small.
        if (1..self.gathered).contains(&state.awaited) && !state.stopping {
            state = wait(shared, state, GATHER);
        }
        let mut size = state.items.len().min(BATCH_MAX);
        // What belongs together is not torn apart.
        while size > 0 && state.items.get(size - 1).is_some_and(|last| last.joined) {
            size += 1;
        }
        let batch: Vec<Item> = state.items.drain(..size).collect();
        self.gathered = batch.iter().filter(|item| item.answer.is_some()).count();
        state.awaited -= self.gathered;
        if std::mem::take(&mut state.forget_people) {
            self.sealer.forget();
        }
        (batch, state.stopping && state.items.is_empty())
    }

    fn write(&mut self, batch: Vec<Item>) {
        let mut batch: Vec<Item> = batch
            .into_iter()
            .filter(|item| !matches!(item.kind, Kind::Outcome(of) if self.failed.contains(&of)))
            .collect();
        loop {
            batch = self.without_stale(batch);
            if batch.is_empty() {
                return;
            }
            match self.append(&batch) {
                Ok(Some(first)) => return self.confirm(first, batch),
                // Another process has stated something: then for some of them, perhaps, too.
                Ok(None) => {}
                Err(reason) => return self.fail(&reason, batch),
            }
        }
    }

    /// Refuses what was decided without knowing what was said since.
    fn without_stale(&self, batch: Vec<Item>) -> Vec<Item> {
        // What is said in this very batch is unknown to all of it. Of entries that rest on what
        // they say themselves (the uses of a share), the first goes before the others.
        let rests = |item: &Item| !item.bases.is_empty();
        let mut said: HashSet<RegisterName> = batch
            .iter()
            .filter(|item| !rests(item))
            .flat_map(|item| item.names.iter().cloned())
            .collect();
        let (mut stale, mut fresh) = (Vec::new(), Vec::new());
        for item in batch {
            let is_stale = item.bases.iter().any(|basis| {
                !self.news.is_current(basis) || basis.names.iter().any(|name| said.contains(name))
            });
            match is_stale {
                true => stale.push(item),
                false => {
                    said.extend(item.names.iter().cloned());
                    fresh.push(item);
                }
            }
        }
        for answer in stale.into_iter().filter_map(|item| item.answer) {
            let _ = answer.send(Answer::Failed(AppendError::Stale));
        }
        fresh
    }

    /// Makes them durable; returns the place of the first, or none if there are statements that
    /// this gate did not know and does now.
    fn append(&mut self, batch: &[Item]) -> Result<Option<u64>, String> {
        let store = self.store.as_mut().ok_or("the ledger is closed")?;
        if !store.is_in_place() {
            return Err(match self.place {
                Place::Sqlite(_) => "the ledger file was removed or replaced".to_owned(),
                Place::Postgres { .. } => format!("the connection to `{}` was lost", store.name()),
            });
        }
        for PolicyTexts { digest, texts, .. } in
            batch.iter().filter_map(|item| item.policies.as_ref())
        {
            store.put_policy_set(digest, texts).map_err(|error| full(&error))?;
        }
        let clears = batch.iter().map(|item| (item.id, &item.clear));
        let clears = self.sealer.seal(&mut **store, clears).map_err(|error| full(&error))?;
        let mut chain = self.chain.clone();
        let sealed: Vec<(Vec<u8>, Leaf)> =
            batch.iter().map(|item| chain.seal(item.text.clone())).collect();
        let appends: Vec<Append<'_>> = sealed
            .iter()
            .zip(&clears)
            .map(|((bytes, leaf), clear)| Append { bytes, leaf, clear: clear.as_deref() })
            .collect();
        let named: Vec<(usize, &str)> = (0..)
            .zip(batch)
            .flat_map(|(index, item)| item.names.iter().map(move |name| (index, &**name)))
            .collect();
        // Only what rests on statements has to know them all.
        let rests = batch.iter().any(|item| !item.bases.is_empty());
        let known = rests.then(|| self.news.head());
        crash::at("appending");
        let appended = store.append_knowing(&appends, &named, known);
        let Some(first) = appended.map_err(|error| full(&error))? else {
            self.news.look(&mut **store).map_err(|error| full(&error))?;
            if Some(self.news.head()) == known {
                return Err("its counters contradict each other".to_owned());
            }
            return Ok(None);
        };
        crash::at("durable");
        if let Some((_, leaf)) = sealed.last() {
            self.confirmed = Some((first + sealed.len() as u64 - 1, *leaf));
        }
        self.chain = chain;
        let said = (first..)
            .zip(batch)
            .flat_map(|(place, item)| item.names.iter().map(move |name| (Arc::clone(name), place)));
        let said: Vec<(RegisterName, u64)> = said.collect();
        if let Some(head) = said.iter().map(|(_, place)| place + 1).max() {
            // Without a check there may be statements of others before these.
            match known {
                Some(_) => self.news.take(said, head),
                None => self.news.look(&mut **store).map_err(|error| full(&error))?,
            }
        }
        Ok(Some(first))
    }

    fn confirm(&mut self, first: u64, batch: Vec<Item>) {
        for (place, Item { id, kind, answer, .. }) in (first..).zip(batch) {
            match kind {
                Kind::Intent => _ = self.open.insert(id, place),
                Kind::Outcome(of) => _ = self.open.remove(&of),
                Kind::Other => {}
            }
            if let Some(answer) = answer {
                // Who no longer waits has dropped the pledge, which writes the outcome.
                let _ = answer.send(Answer::Durable);
            }
        }
        crash::at("answered");
    }

    /// Closes the ledger: who waits is refused, and so is whoever comes. Outcomes stay queued,
    /// because what they tell has happened.
    fn fail(&mut self, reason: &str, batch: Vec<Item>) {
        tracing::error!(reason, "the ledger is closed; nothing is disclosed");
        self.store = None;
        let mut refused = Vec::new();
        let mut kept = Vec::new();
        for mut item in batch {
            match item.answer.take() {
                Some(answer) => refused.push((item.id, answer)),
                None if matches!(item.kind, Kind::Outcome(_)) => kept.push(item),
                None => {}
            }
        }
        let mut state = self.shared.lock();
        state.closed = Some(reason.to_owned());
        state.leads = false;
        state.awaited = 0;
        for mut item in std::mem::take(&mut state.items) {
            match item.answer.take() {
                Some(answer) => refused.push((item.id, answer)),
                None if matches!(item.kind, Kind::Outcome(_)) => kept.push(item),
                None => {}
            }
        }
        state.items = kept;
        drop(state);
        for (id, answer) in refused {
            self.failed.insert(id);
            let _ = answer.send(Answer::Failed(AppendError::Closed(reason.to_owned())));
        }
    }

    /// Looks whether this gate is the one that signs, and then for gates that are gone; and notes
    /// how far nothing is open.
    pub(super) fn look_around(&mut self) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let next = self.confirmed.map_or(0, |(seq, _)| seq + 1);
        let floor = self.open.values().min().copied().unwrap_or(next);
        if floor != self.floor {
            store.set_floor(self.chain.writer(), floor)?;
            self.floor = floor;
        }
        let leads = store.lead()?;
        self.shared.lock().leads = leads;
        if leads { self.close_for_the_dead() } else { Ok(()) }
    }

    fn stop(&mut self) {
        let now = self.clock.now();
        let stop = Event { t: "stop", ..Event::default() };
        let stop = entry::event(EntryId::new(now), now, stop);
        let stopped = self.append_own(vec![stop]).and_then(|()| {
            let Some(store) = &mut self.store else { return Ok(()) };
            if self.open.is_empty() { store.retire(self.chain.writer()) } else { Ok(()) }
        });
        if let Err(error) = stopped {
            tracing::error!(error = full(&error), "cannot write the stop entry");
        }
        self.shared.lock().closed = Some("the gate has stopped".to_owned());
    }
}

fn wait<'a>(
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
    time: Duration,
) -> MutexGuard<'a, State> {
    shared.wake.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
}

/// An error with its causes in one line.
pub(super) fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
