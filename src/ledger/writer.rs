//! The one thread that writes the ledger.
//!
//! It takes whatever waits, seals it into the chain, appends it in one transaction and answers
//! everybody at once, so that one sync serves all who came while the last one ran. Outcomes do not
//! wake it under load; they are written with the next batch, at most [`LAZY`] later.
//!
//! The first error of any kind closes the ledger: everybody who waits and everybody who comes is
//! refused, the handle is thrown away (after a failed sync the kernel may have dropped what was
//! not written, so a retry on it could lie), and every [`RETRY`] the file is opened afresh, held
//! against the last entry that was confirmed, and has to prove a write. Entries of the failed
//! batch that turn up after all get the outcome that nothing was released.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::AppendError;
use super::entry::{self, Ending, EntryId, Served};
use super::sqlite::{Append, Last, OpenError, Store, WriteLock};
use crate::clock::Clock;
use crate::policy::PolicyDigest;

/// LIMIT: entries that may wait. At a kilobyte each this is 64 MB; one more is refused.
const QUEUE_MAX: usize = 65_536;

/// LIMIT: entries of one transaction. A longer one would make everybody wait for the slowest.
const BATCH_MAX: usize = 1_024;

/// LIMIT: bytes of an entry, so that it fits every reader of tiled logs.
const ENTRY_BYTES_MAX: usize = 16 * 1024;

/// How long an outcome may wait for company.
const LAZY: Duration = Duration::from_millis(200);

/// How long a batch that is smaller than the last one waits for more. A sync takes about as long.
const GATHER: Duration = Duration::from_micros(300);

/// How often a closed ledger is tried again.
const RETRY: Duration = Duration::from_millis(500);

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

/// An entry on its way.
#[derive(Debug)]
pub(super) struct Item {
    id: EntryId,
    text: entry::Open,
    clear: Option<Vec<u8>>,
    /// Who waits for it; nobody waits for an outcome.
    answer: Option<oneshot::Sender<Answer>>,
    /// For an outcome, the intent it ends.
    of: Option<EntryId>,
}

impl Item {
    pub(super) fn awaited(
        id: EntryId,
        text: entry::Open,
        clear: Vec<u8>,
        answer: oneshot::Sender<Answer>,
    ) -> Self {
        Self { id, text, clear: Some(clear), answer: Some(answer), of: None }
    }

    /// An entry without clear text, whose durability is waited for.
    pub(super) fn noted(id: EntryId, text: entry::Open, answer: oneshot::Sender<Answer>) -> Self {
        Self { id, text, clear: None, answer: Some(answer), of: None }
    }

    pub(super) fn outcome(id: EntryId, of: EntryId, text: entry::Open) -> Self {
        Self { id, text, clear: None, answer: None, of: Some(of) }
    }
}

/// The handle on the thread.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    items: Vec<Item>,
    awaited: usize,
    closed: Option<String>,
    stopping: bool,
    /// True while the writer sleeps until it is woken, by anything.
    asleep: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    pub(super) fn start(
        path: &Path,
        clock: Clock,
        digest: &PolicyDigest,
    ) -> Result<Self, OpenError> {
        let lock = WriteLock::take(path)?;
        let store = Store::open(path, true)?;
        let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let chain = Chain::after(store.last().map_err(sqlite)?);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                items: Vec::new(),
                awaited: 0,
                closed: None,
                stopping: false,
                asleep: false,
            }),
            wake: Condvar::new(),
        });
        let mut run = Run {
            path: path.to_owned(),
            clock,
            chain,
            store: Some(store),
            shared: Arc::clone(&shared),
            gathered: 0,
            failed: HashSet::new(),
        };
        run.recover(digest).map_err(sqlite)?;
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            let _lock = lock;
            run.serve();
        });
        let thread = thread.map_err(|error| OpenError::Unusable {
            path: path.to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Queues an entry that somebody waits for.
    pub(super) fn push(&self, item: Item) -> Result<(), AppendError> {
        if item.text.len() + 128 > ENTRY_BYTES_MAX {
            return Err(AppendError::TooLong);
        }
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
        state.items.push(item);
        state.awaited += 1;
        let first = state.awaited == 1;
        drop(state);
        if first {
            self.shared.wake.notify_one();
        }
        Ok(())
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

/// What is left of an item once its text is sealed.
struct Waiting {
    id: EntryId,
    answer: Option<oneshot::Sender<Answer>>,
    of: Option<EntryId>,
}

/// Where the next entry belongs.
#[derive(Clone, Debug)]
struct Chain {
    /// This process among all that ever wrote here.
    writer: String,
    /// How many entries it has written.
    count: u64,
    last: Option<Last>,
}

impl Chain {
    fn after(last: Option<Last>) -> Self {
        Self { writer: uuid::Uuid::new_v4().simple().to_string(), count: 0, last }
    }

    fn next_seq(&self) -> i64 {
        self.last.as_ref().map_or(0, |last| last.seq + 1)
    }

    /// Closes an entry and moves on.
    fn seal(&mut self, open: entry::Open) -> Last {
        let head = |last: &Last| last.leaf.iter().take(16).map(|b| format!("{b:02x}")).collect();
        let previous: String = self.last.as_ref().map(head).unwrap_or_default();
        let bytes = entry::seal(open, &self.writer, self.count, &previous);
        let sealed = Last { seq: self.next_seq(), leaf: leaf(&bytes), bytes };
        self.count += 1;
        // The chain needs the hash, not the text.
        let Last { seq, leaf, .. } = sealed;
        self.last = Some(Last { seq, leaf, bytes: Vec::new() });
        sealed
    }
}

/// The hash of an entry as a leaf of an RFC 6962 tree.
pub(super) fn leaf(bytes: &[u8]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(&[0]);
    context.update(bytes);
    context.finish().as_ref().try_into().unwrap_or([0; 32])
}

/// What recovery reads of an entry.
#[derive(Deserialize)]
struct Skeleton {
    id: String,
    #[serde(default)]
    of: Option<String>,
    t: String,
}

struct Run {
    path: PathBuf,
    clock: Clock,
    chain: Chain,
    /// `None` after an error, until a fresh one has proven a write.
    store: Option<Store>,
    shared: Arc<Shared>,
    /// How many waited for the last batch.
    gathered: usize,
    /// Intents whose batch failed. Outcomes of theirs are not written unless they turn up.
    failed: HashSet<EntryId>,
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
            while state.items.is_empty() && !state.stopping {
                state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.asleep = false;
            if state.awaited == 0 && !state.stopping {
                state = wait(shared, state, LAZY);
            }
        }
        // Whoever the last sync answered is likely to be back soon. A moment's wait for them makes
        // one sync of many; who comes alone waits once at the most, since their batch is small.
        if (1..self.gathered).contains(&state.awaited) && !state.stopping {
            state = wait(shared, state, GATHER);
        }
        let size = state.items.len().min(BATCH_MAX);
        let batch: Vec<Item> = state.items.drain(..size).collect();
        self.gathered = batch.iter().filter(|item| item.answer.is_some()).count();
        state.awaited -= self.gathered;
        (batch, state.stopping && state.items.is_empty())
    }

    fn write(&mut self, batch: Vec<Item>) {
        let mut chain = self.chain.clone();
        let mut sealed = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for item in batch {
            if item.of.is_some_and(|of| self.failed.contains(&of)) {
                continue;
            }
            sealed.push((chain.seal(item.text), item.clear));
            waiting.push(Waiting { id: item.id, answer: item.answer, of: item.of });
        }
        let appends: Vec<Append<'_>> = sealed
            .iter()
            .map(|(entry, clear)| Append {
                seq: entry.seq,
                bytes: &entry.bytes,
                leaf: &entry.leaf,
                clear: clear.as_deref(),
            })
            .collect();
        let written = match &mut self.store {
            Some(store) if !store.is_in_place() => {
                Err("the ledger file was removed or replaced".to_owned())
            }
            Some(store) => store.append(&appends).map_err(|error| error.to_string()),
            None => Err("the ledger is closed".to_owned()),
        };
        match written {
            Ok(()) => {
                self.chain = chain;
                for Waiting { answer, .. } in waiting {
                    if let Some(answer) = answer {
                        // Who no longer waits has dropped the pledge, which writes the outcome.
                        let _ = answer.send(Answer::Durable);
                    }
                }
            }
            Err(reason) => {
                drop(appends);
                let batch = waiting.into_iter().zip(sealed).map(|(waiting, (entry, clear))| Item {
                    id: waiting.id,
                    text: entry::unseal(entry.bytes),
                    clear,
                    answer: waiting.answer,
                    of: waiting.of,
                });
                self.fail(&reason, batch.collect());
            }
        }
    }

    /// Closes the ledger: who waits is refused, and so is whoever comes. Outcomes stay queued,
    /// because what they tell has happened.
    fn fail(&mut self, reason: &str, batch: Vec<Item>) {
        tracing::error!(reason, "the ledger is closed; nothing is disclosed");
        self.store = None;
        let mut state = self.shared.lock();
        state.closed = Some(reason.to_owned());
        state.awaited = 0;
        let queued = std::mem::take(&mut state.items);
        let mut refused = Vec::new();
        for mut item in batch.into_iter().chain(queued) {
            match item.answer.take() {
                Some(answer) => refused.push((item.id, answer)),
                None => state.items.push(item),
            }
        }
        drop(state);
        for (id, answer) in refused {
            self.failed.insert(id);
            let _ = answer.send(Answer::Failed(AppendError::Closed(reason.to_owned())));
        }
    }

    /// Tries to open the ledger again and to prove a write.
    fn reopen(&mut self) {
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
        let mut store = Store::open(&self.path, false).map_err(|error| full(&error))?;
        let sqlite = |error: rusqlite::Error| error.to_string();
        if let Some(confirmed) = &self.chain.last {
            let found = store.at(confirmed.seq).map_err(sqlite)?;
            if found.is_none_or(|found| found.leaf != confirmed.leaf) {
                return Err("the file does not hold the last entry that was confirmed; put the \
                            ledger back"
                    .to_owned());
            }
        }
        // What failed may have been written after all: a failed commit is not a no.
        let (mut turned_up, mut intents) = (HashSet::new(), Vec::new());
        let each = |_, bytes: &[u8]| {
            if let Ok(found) = serde_json::from_slice::<Skeleton>(bytes)
                && let Ok(id) = found.id.parse::<EntryId>()
            {
                turned_up.insert(id);
                if found.t == "intent" {
                    intents.push(id);
                }
            }
        };
        store.each_from(self.chain.next_seq(), each).map_err(sqlite)?;
        let mut chain = self.chain.clone();
        if !turned_up.is_empty() {
            chain.last = store.last().map_err(sqlite)?;
            chain.count += turned_up.len() as u64;
            self.shared.lock().items.retain(|item| !turned_up.contains(&item.id));
        }
        let now = self.clock.now();
        let reason = self.shared.lock().closed.clone();
        let served = Served { status: None, bytes: 0, first: 0, ending: Ending::NotReleased };
        let mut sealed: Vec<Last> = intents
            .iter()
            .map(|of| chain.seal(entry::outcome(EntryId::new(now), now, *of, &served)))
            .collect();
        let resume = entry::event(EntryId::new(now), now, "resume", None, reason.as_deref());
        sealed.push(chain.seal(resume));
        store.append(&appends(&sealed)).map_err(sqlite)?;
        self.chain = chain;
        self.store = Some(store);
        Ok(())
    }

    /// Closes what an earlier process left open, and says that this one has started.
    fn recover(&mut self, digest: &PolicyDigest) -> rusqlite::Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let mut open: Vec<EntryId> = Vec::new();
        let mut ended: HashSet<EntryId> = HashSet::new();
        store.each_from(store.closed_up_to()?, |seq, bytes| {
            let Ok(found) = serde_json::from_slice::<Skeleton>(bytes) else {
                tracing::error!(seq, "an entry of the ledger cannot be read");
                return;
            };
            match (found.t.as_str(), found.id.parse(), found.of.map(|of| of.parse())) {
                ("intent", Ok(id), _) => open.push(id),
                ("outcome", _, Some(Ok(of))) => {
                    ended.insert(of);
                }
                _ => {}
            }
        })?;
        let now = self.clock.now();
        let served = Served { status: None, bytes: 0, first: 0, ending: Ending::Unknown };
        let chain = &mut self.chain;
        let mut sealed: Vec<Last> = open
            .iter()
            .filter(|id| !ended.contains(id))
            .map(|of| chain.seal(entry::outcome(EntryId::new(now), now, *of, &served)))
            .collect();
        if !sealed.is_empty() {
            tracing::warn!(count = sealed.len(), "closed intents of an earlier run as `unknown`");
        }
        let id = EntryId::new(now);
        sealed.push(chain.seal(entry::event(id, now, "start", Some(digest.as_str()), None)));
        store.append(&appends(&sealed))?;
        store.set_closed_up_to(chain.next_seq() - 1)
    }

    fn stop(&mut self) {
        let now = self.clock.now();
        let event = entry::event(EntryId::new(now), now, "stop", None, None);
        let sealed = [self.chain.seal(event)];
        if let Some(store) = &mut self.store
            && let Err(error) = store.append(&appends(&sealed))
        {
            tracing::error!(%error, "cannot write the stop entry");
        }
        self.shared.lock().closed = Some("the gate has stopped".to_owned());
    }
}

fn appends(sealed: &[Last]) -> Vec<Append<'_>> {
    let mut appends = Vec::with_capacity(sealed.len());
    for Last { seq, leaf, bytes } in sealed {
        appends.push(Append { seq: *seq, bytes, leaf, clear: None });
    }
    appends
}

fn wait<'a>(
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
    time: Duration,
) -> MutexGuard<'a, State> {
    shared.wake.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
}

/// An error with its causes in one line.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
