//! What follows behind the entries.
//!
//! A projection is made of entries alone, knows how far it has come, and can be thrown away and
//! made again. Each has a thread of its own that reads what is new and hands it over in order; none
//! of them stands between an entry and its being durable.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::store::{Access, Place, Store, Stored};
use super::writer::full;

/// How often it is looked for new entries.
const TURN: Duration = Duration::from_millis(200);

/// How far behind a thread stands that can wait (a nice value, as of setpriority(2)).
const BEHIND: i32 = 10;

/// LIMIT: how long a follower may still take when the gate stops.
const LAST: Duration = Duration::from_secs(5);

/// How many entries are read at once.
const STEP: usize = 2_048;

/// Something that is made of entries.
pub(super) trait Projection: Debug + Send {
    /// What it is, in a word.
    fn name(&self) -> &'static str;

    /// The place of the next entry that it takes.
    fn next(&mut self) -> Result<u64, String>;

    /// Takes entries, from that place on. The store is there for what lies beside them.
    fn take(&mut self, entries: &[Stored], store: &mut dyn Store) -> Result<(), String>;

    /// Whether everything else goes first where processors are short.
    fn can_wait(&self) -> bool {
        false
    }

    /// There is nothing more to take for now; at the end, for good.
    fn settle(&mut self, _store: &mut dyn Store, _at_the_end: bool) -> Result<(), String> {
        Ok(())
    }
}

/// How far a projection has come.
#[derive(Debug)]
pub struct Progress {
    name: &'static str,
    next: AtomicU64,
    has_problem: AtomicBool,
    problem: Mutex<String>,
}

impl Progress {
    fn of(projection: &dyn Projection) -> Self {
        Self {
            name: projection.name(),
            next: AtomicU64::new(0),
            has_problem: AtomicBool::new(false),
            problem: Mutex::new(String::new()),
        }
    }

    /// What it is, in a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many entries it has taken.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Why it cannot go on, if it cannot.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_problem.load(Ordering::Relaxed).then(|| problem.clone())
    }

    fn set(&self, problem: Option<&str>) -> bool {
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = problem.is_some_and(|problem| problem != *known);
        problem.unwrap_or_default().clone_into(&mut known);
        self.has_problem.store(problem.is_some(), Ordering::Relaxed);
        is_new
    }
}

/// A projection and its thread.
#[derive(Debug)]
pub(super) struct Follower {
    stop: Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
    progress: Arc<Progress>,
}

impl Follower {
    /// Starts to follow.
    pub(super) fn start(place: Place, projection: Box<dyn Projection>) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let progress = Arc::new(Progress::of(&*projection));
        let mut follow = Follow { place, projection, store: None, progress: Arc::clone(&progress) };
        let thread = std::thread::Builder::new().name(follow.projection.name().to_owned());
        let ended = Ended(Arc::clone(&progress));
        let thread = thread.spawn(move || {
            let _ended = ended;
            follow.run(&stopped);
        })?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)), progress })
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Has it take what is there, and ends it.
    pub(super) fn stop(&self) {
        let _ = self.stop.send(());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Says that a follower has ended, should it end before it is told to.
struct Ended(Arc<Progress>);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set(Some("its thread has ended; restart the gate"));
        }
    }
}

struct Follow {
    place: Place,
    projection: Box<dyn Projection>,
    store: Option<Box<dyn Store>>,
    progress: Arc<Progress>,
}

impl Follow {
    fn run(&mut self, stopped: &Receiver<()>) {
        if self.projection.can_wait() {
            // Where processors are short, requests go first; refused, it runs as any thread.
            let thread = rustix::thread::gettid();
            let _ = rustix::process::setpriority_process(Some(thread), BEHIND);
        }
        loop {
            let at_the_end = match stopped.recv_timeout(TURN) {
                Err(RecvTimeoutError::Timeout) => false,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            };
            let (at_the_end, problem) = match self.catch_up(at_the_end, stopped) {
                Ok(at_the_end) => (at_the_end, None),
                Err(problem) => (at_the_end, Some(problem)),
            };
            if self.progress.set(problem.as_deref()) {
                let (name, error) = (self.projection.name(), problem.as_deref());
                tracing::error!(error, "the ledger's {name} cannot follow; it is tried again");
            }
            if problem.is_some() {
                self.store = None;
            }
            if at_the_end {
                return;
            }
        }
    }

    fn catch_up(&mut self, at_the_end: bool, stopped: &Receiver<()>) -> Result<bool, String> {
        if self.store.as_ref().is_none_or(|store| !store.is_in_place()) {
            self.store = Some(self.place.open(Access::Write).map_err(|error| full(&error))?);
        }
        let Some(store) = &mut self.store else { return Ok(at_the_end) };
        let began = Instant::now();
        let mut at_the_end = at_the_end;
        while take_step(&mut *self.projection, &mut **store, &self.progress)? {
            at_the_end = at_the_end || stopped.try_recv().is_ok();
            // A long way to go must not hold up the end; the next start goes on.
            if at_the_end && began.elapsed() >= LAST {
                break;
            }
        }
        self.projection.settle(&mut **store, at_the_end)?;
        Ok(at_the_end)
    }
}

/// Hands over some entries; true if there may be more.
fn take_step(
    projection: &mut dyn Projection,
    store: &mut dyn Store,
    progress: &Progress,
) -> Result<bool, String> {
    let next = projection.next()?;
    progress.next.store(next, Ordering::Relaxed);
    let entries = store.read(next, STEP).map_err(|error| full(&error))?;
    if entries.is_empty() {
        return Ok(false);
    }
    projection.take(&entries, store)?;
    progress.next.store(projection.next()?, Ordering::Relaxed);
    Ok(entries.len() == STEP)
}

/// Has a projection take everything that is there, and tells how far it has come now and then.
pub(super) fn catch_up(
    projection: &mut dyn Projection,
    store: &mut dyn Store,
    mut tell: impl FnMut(u64),
) -> Result<(), String> {
    let progress = Progress::of(projection);
    while take_step(projection, store, &progress)? {
        tell(progress.next());
    }
    tell(progress.next());
    Ok(())
}
