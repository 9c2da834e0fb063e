//! The durable record of disclosures, and the proof values that come of it.
//!
//! A [`Permit`] goes in by value and an [`Intent`] with a [`Pledge`] comes out: the entry is on its
//! way to the disk while the upstream is asked. The pledge becomes a [`Receipt`] when the entry is
//! durable, and only a receipt opens what the upstream answered. The [`OpenDisclosure`] made of it
//! counts what is handed over and writes the outcome when it ends, however it ends. Refusals are
//! entries too.
//!
//! The entry bytes in their order are the truth (`entry.rs`); one thread writes them in batches
//! (`writer.rs`) to SQLite (`sqlite.rs`); after any error nothing is disclosed until a write has
//! been proven again. Reading is apart (`read.rs`). Never: an update or a retry on a handle that
//! failed, a telephone number, a token.

mod commit;
mod entry;
mod proof;
mod read;
mod sqlite;
mod writer;

pub use entry::{Ask, Ending, EntryId, Refused, Served};
pub use proof::{Intent, OpenDisclosure, Pledge, Receipt};
pub use read::{Query, ReadError, Reader, Row};
pub use sqlite::OpenError;
pub use writer::Health;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::config;
use crate::policy::{Permit, PolicyDigest};
use writer::{Answer, Item, Writer};

/// An entry that could not be made durable. Nothing may be disclosed on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The ledger stopped at an earlier error and has not proven a write since.
    #[error("the ledger is closed: {0}")]
    Closed(String),
    /// More entries wait than the writer may hold.
    #[error("the ledger's queue is full")]
    QueueFull,
    /// It took longer than it may.
    #[error("the ledger did not confirm the entry in time")]
    TooSlow,
    /// Nothing can be committed to without randomness.
    #[error("the random generator failed")]
    NoRandomness,
    /// An entry is larger than the ledger takes. A request's own limits make this impossible.
    #[error("the entry is longer than 16 KiB")]
    TooLong,
}

/// LIMIT: bytes of a detail that an entry keeps; the log has all of it.
const DETAIL_BYTES_MAX: usize = 2_000;

/// The ledger as the gate uses it. Clones share one writer.
#[derive(Clone, Debug)]
pub struct Ledger {
    writer: Arc<Writer>,
    clock: Clock,
    timeout: Duration,
    strangers: Arc<Strangers>,
}

/// How many refused strangers may still be recorded in this second, and how many were not.
#[derive(Debug)]
struct Strangers {
    per_second: u64,
    /// The second in the upper 40 bits, the count within it in the lower 24.
    window: AtomicU64,
    unrecorded: AtomicU64,
}

impl Ledger {
    /// Opens the ledger, closes the intents that a crash left open, and writes a start entry.
    ///
    /// # Errors
    /// [`OpenError`] if the file cannot be used, is in use by another gate, or is not a ledger.
    pub fn open(
        settings: &config::Ledger,
        clock: Clock,
        digest: &PolicyDigest,
    ) -> Result<Self, OpenError> {
        let writer = Writer::start(&settings.path, clock.clone(), digest)?;
        Ok(Self {
            writer: Arc::new(writer),
            clock,
            timeout: settings.timeout_ms.duration(),
            strangers: Arc::new(Strangers {
                per_second: settings.stranger_entries_per_second.get(),
                window: AtomicU64::new(0),
                unrecorded: AtomicU64::new(0),
            }),
        })
    }

    /// Sends the intent of a permitted disclosure to the disk.
    ///
    /// # Errors
    /// [`AppendError`] at once if the ledger is closed or its queue is full.
    pub fn intend(&self, permit: Permit, ask: &Ask) -> Result<(Intent, Pledge), AppendError> {
        let id = EntryId::new(self.clock.now());
        let (text, clear) = entry::intent(id, self.clock.now(), &permit, ask)?;
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.writer.push(Item::awaited(id, text, clear, answer))?;
        let pledge = Pledge::new(id, answered, self.timeout, self.clone());
        Ok((Intent::new(id, permit), pledge))
    }

    /// Records a refusal; returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`], after which the caller is told 503 and not the refusal.
    pub async fn refuse(&self, refused: &Refused, ask: &Ask) -> Result<EntryId, AppendError> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let unrecorded = self.strangers.unrecorded.swap(0, Ordering::Relaxed);
        let (text, clear) = entry::refusal(id, now, refused, ask, unrecorded)?;
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.writer.push(Item::awaited(id, text, clear, answer))?;
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(Answer::Durable)) => Ok(id),
            Ok(Ok(Answer::Failed(error))) => Err(error),
            Ok(Err(_)) => Err(AppendError::Closed("the writer has stopped".to_owned())),
            Err(_) => Err(AppendError::TooSlow),
        }
    }

    /// Whether a stranger's refusal may still be recorded in this second. Those that may not are
    /// counted, and the next refusal entry carries their number: a flood of bad tokens must not
    /// fill the disk, and must not go unseen.
    #[must_use]
    pub fn has_room_for_stranger(&self) -> bool {
        let second = u64::try_from(self.clock.now().as_second()).unwrap_or(0);
        let within = self.strangers.window.fetch_update(
            Ordering::Relaxed,
            Ordering::Relaxed,
            |window| match (window >> 24 == second, window & 0xff_ffff) {
                (true, count) if count >= self.strangers.per_second => None,
                (true, _) => Some(window + 1),
                (false, _) if self.strangers.per_second == 0 => None,
                (false, _) => Some((second << 24) | 1),
            },
        );
        if within.is_err() {
            self.strangers.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
        within.is_ok()
    }

    /// Records that other policies are in force from now on; returns when it is durable. For a
    /// thread that may wait.
    ///
    /// # Errors
    /// [`AppendError`], after which they must not be put in force.
    pub fn policies_in_force(
        &self,
        digest: &PolicyDigest,
        before: &PolicyDigest,
    ) -> Result<EntryId, AppendError> {
        self.event("policies", digest, &format!("before: {before}"))
    }

    /// Records that the policy folder cannot be used and these policies stay in force; returns
    /// when it is durable. For a thread that may wait.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn policies_refused(
        &self,
        in_force: &PolicyDigest,
        why: &str,
    ) -> Result<EntryId, AppendError> {
        let end = why.floor_char_boundary(DETAIL_BYTES_MAX);
        self.event("policies-refused", in_force, why.get(..end).unwrap_or_default())
    }

    fn event(
        &self,
        t: &str,
        policies: &PolicyDigest,
        detail: &str,
    ) -> Result<EntryId, AppendError> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let text = entry::event(id, now, t, Some(policies.as_str()), Some(detail));
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.writer.push(Item::noted(id, text, answer))?;
        match answered.blocking_recv() {
            Ok(Answer::Durable) => Ok(id),
            Ok(Answer::Failed(error)) => Err(error),
            Err(_) => Err(AppendError::Closed("the writer has stopped".to_owned())),
        }
    }

    /// Whether a disclosure could be recorded now.
    #[must_use]
    pub fn health(&self) -> Health {
        self.writer.health()
    }

    /// Writes what waits and a stop entry. Later entries are refused.
    pub fn close(&self) {
        self.writer.close();
    }

    /// Queues the outcome of an intent; it becomes durable with the next batch.
    fn conclude(&self, of: EntryId, served: &Served) {
        let now = self.clock.now();
        let id = EntryId::new(now);
        self.writer.push_outcome(Item::outcome(id, of, entry::outcome(id, now, of, served)));
    }
}
