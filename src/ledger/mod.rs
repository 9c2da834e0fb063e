//! The durable record of disclosures, and the proof values that come of it.
//!
//! A [`Permit`] goes in by value and an [`Intent`] with a [`Pledge`] comes out: the entry is on its
//! way to the disk while the upstream is asked. The pledge becomes a [`Receipt`] when the entry is
//! durable, and only a receipt opens what the upstream answered. The [`OpenDisclosure`] made of it
//! counts what is handed over and writes the outcome when it ends, however it ends. Refusals are
//! entries too.
//!
//! The entry bytes in their order are the truth (`entry.rs`, `chain.rs`); one thread writes them in
//! batches (`writer.rs`, `recovery.rs`) to a store (`store/`); after any error nothing is disclosed
//! until a write has been proven again. What is known of people is committed to (`commit.rs`) and
//! sealed (`people.rs`, `keys.rs`). Everything else follows behind (`follow.rs`): the search index
//! (`index/`), the tree, its tiles and signed checkpoints (`tlog/`, `sign.rs`). Reading is apart
//! (`review.rs`, `verify.rs`, `export/`). Never: an update of an entry, a retry on a handle that
//! failed, a telephone number in the clear, a token.

pub mod accounting;
mod administered;
mod chain;
mod clerk;
mod commit;
mod cosign;
mod deletion;
mod describe;
mod entry;
mod evidence;
pub mod export;
mod follow;
pub mod index;
pub mod keys;
mod line;
mod outlets;
mod people;
mod proof;
mod question;
mod queue;
mod recall;
mod recovery;
mod register;
mod replay;
mod review;
mod search;
mod share;
mod sign;
pub mod store;
mod subject;
pub mod tlog;
mod told;
mod verify;
mod writer;

pub use accounting::{Accounting, Head as AccountingHead, Line as AccountingLine, Shape};
pub use administered::{Administered, Once, OnceError, Signed, Verdict};
pub use clerk::{Clerk, ClerkError, Person, Prunable};
pub use cosign::{CosignAnswer, Cosigning, WitnessSetUpError};
pub use deletion::{
    Absence, Deletion, DeletionAnswer, DeletionEnding, OpenDeletion, RegisterReader, unanswered,
    was_deleted,
};
pub use entry::{Ask, Ending, EntryId, Refused, Served};
pub use evidence::{EvidenceError, bundle, prove, prove_quickly};
pub use export::{ExportError, Exporter, Form, Record, Summary, WholeError, export};
pub use follow::Progress;
pub use index::{
    Bar, Field, Filter, Oddity, Order, Query, Session, SessionCursor, Unit, UnknownField, Unusual,
};
pub use keys::KeyFileError;
pub use line::{happened, line};
pub use outlets::Courier;
pub use proof::{Intent, OpenDisclosure, Pledge, Receipt};
pub use question::{Question, QuestionError, check_order, e164, time};
pub use queue::Queue;
pub use recall::{RecallError, Recalled, recall};
pub use register::Told;
pub use replay::{Group, Replayed, Shift, replay};
pub use review::{Review, ReviewError, Row, rebuild};
pub use share::ShareKey;
pub use store::{Place, StoreError};
pub use subject::disclosures;
pub use tlog::witness::REQUEST_BYTES_MAX as WITNESS_REQUEST_BYTES_MAX;
pub use told::{Archive, Stated};
pub use verify::{Against, Flaw, Report, verify};
pub use writer::Health;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::config;
use crate::facts::{Basis, FactsError, Key, Recorded, RegisterName, Registry, Statement};
use crate::metrics::Disclosed;
use crate::policy::{Permit, Policies, PolicyDigest};
use commit::Clear;
use entry::Event;
use follow::{Follower, Projection};
use keys::Keys;
use outlets::Outlets;
use people::{Opener, Sealer};
use register::{News, Register};
use review::FolderLock;
use search::{INDEX_FILE, Searching};
use sign::Signing;
use store::{Access, GateLock, Store};
use writer::{Answer, Item, Kind, PolicyTexts, Start, Writer};

/// A ledger that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// What is derived from the entries.
    #[error("the ledger's folder `{folder}`: {problem}")]
    Derived {
        /// The folder.
        folder: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

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
    /// Something was stated about the recording after the decision, which did not know it.
    #[error("what is known of the recording has changed since it was decided")]
    Stale,
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
    followers: Arc<Followers>,
    clock: Clock,
    timeout: Duration,
    strangers: Arc<Strangers>,
    sealing: Arc<keys::Sealing>,
    register: Arc<Register>,
    news: Arc<News>,
    disclosed: Disclosed,
}

/// What follows behind the entries, in a folder of this gate's own.
#[derive(Debug)]
struct Followers {
    each: Vec<Follower>,
    _lock: FolderLock,
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
    /// Opens the ledger, writes a start entry, and closes the intents that gates which are gone
    /// left open.
    ///
    /// # Errors
    /// [`OpenError`] if the store cannot be used, is in use by another gate, or is not a ledger.
    pub fn open(
        settings: &config::Ledger,
        clock: Clock,
        policies: &Policies,
        courier: Box<dyn Courier>,
    ) -> Result<Self, OpenError> {
        let place = Place::of(settings);
        let lock = match &place {
            Place::Sqlite(path) => Some(GateLock::take(path)?),
            Place::Postgres { .. } => None,
        };
        let folder = &settings.directory;
        let derived =
            |problem: String| OpenError::Derived { folder: folder.display().to_string(), problem };
        let folder_lock = FolderLock::wait(folder).map_err(|error| derived(error.to_string()))?;
        let folder_lock = folder_lock.ok_or_else(|| derived("another gate uses it".to_owned()))?;
        let mut store = place.open(Access::Create)?;
        let keys = keys_of(&mut *store, &settings.key_file, &settings.origin)?;
        let sealing = Arc::new(keys.sealing);
        let every = settings.checkpoint_seconds.duration();
        let outlets = Outlets::new(settings, courier).map_err(derived)?;
        let signing =
            Signing::open(&mut *store, folder, keys.signing, &settings.origin, every, outlets)?;
        let opener = Opener::new(Arc::clone(&sealing));
        let searching = Searching::open(&folder.join(INDEX_FILE), Some(opener))
            .map_err(|error| derived(writer::full(&error)))?;
        let news = Arc::new(News::new(store.stated()?));
        let register = Register::start(place.clone(), Arc::clone(&sealing), Arc::clone(&news));
        let register = register.map_err(|error| derived(error.to_string()))?;
        let start = Start {
            place: place.clone(),
            store,
            lock,
            clock: clock.clone(),
            sealer: Sealer::new(Arc::clone(&sealing)),
            policies: texts(policies),
            news: Arc::clone(&news),
        };
        let writer = Arc::new(Writer::start(start)?);
        let follow = |projection| Follower::start(place.clone(), projection);
        let signing: Box<dyn Projection> = Box::new(signing.asking(&writer));
        let searching: Box<dyn Projection> = Box::new(searching.telling(&writer));
        let followers = [signing, searching].into_iter().map(follow).collect::<Result<_, _>>();
        let followers = followers.map_err(|error| derived(error.to_string()))?;
        Ok(Self {
            writer,
            followers: Arc::new(Followers { each: followers, _lock: folder_lock }),
            clock,
            timeout: settings.timeout_ms.duration(),
            sealing,
            register: Arc::new(register),
            news,
            disclosed: Disclosed::default(),
            strangers: Arc::new(Strangers {
                per_second: settings.stranger_entries_per_second.get(),
                window: AtomicU64::new(0),
                unrecorded: AtomicU64::new(0),
            }),
        })
    }

    /// Counts the disclosures that end there.
    #[must_use]
    pub fn counting(self, disclosed: Disclosed) -> Self {
        Self { disclosed, ..self }
    }

    /// Sends the intent of a permitted disclosure to the disk.
    ///
    /// # Errors
    /// [`AppendError`] at once if the ledger is closed or its queue is full.
    pub fn intend(&self, permit: Permit, ask: &Ask) -> Result<(Intent, Pledge), AppendError> {
        let id = EntryId::new(permit.question().now);
        let (text, clear) = entry::intent(id, &permit, ask, None)?;
        let bases = vec![permit.question().facts.basis.clone()];
        let item = Item { bases, ..Item::new(id, Kind::Intent, text, clear) };
        let answered = self.writer.push(item)?;
        let pledge = Pledge::new(id, answered, self.timeout, self.clone());
        Ok((Intent::new(id, permit), pledge))
    }

    /// Records a refusal; returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`], after which the caller is told 503 and not the refusal.
    pub async fn refuse(&self, refused: &Refused, ask: &Ask) -> Result<EntryId, AppendError> {
        let id = EntryId::new(refused.at);
        let unrecorded = self.strangers.unrecorded.swap(0, Ordering::Relaxed);
        let (text, clear) = entry::refusal(id, refused, ask, unrecorded)?;
        let answered = self.writer.push(Item::new(id, Kind::Other, text, clear))?;
        self.durable(answered, self.timeout).await?;
        Ok(id)
    }

    async fn durable(
        &self,
        answered: tokio::sync::oneshot::Receiver<Answer>,
        timeout: Duration,
    ) -> Result<(), AppendError> {
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(Answer::Durable)) => Ok(()),
            Ok(Ok(Answer::Failed(error))) => Err(error),
            Ok(Err(_)) => Err(AppendError::Closed("the writer has stopped".to_owned())),
            Err(_) => Err(AppendError::TooSlow),
        }
    }

    /// Records what somebody states, all of it or nothing; returns when it is durable and decisions
    /// know it.
    ///
    /// # Errors
    /// [`AppendError`]. Should it become durable later all the same, decisions know it then.
    pub async fn state(
        &self,
        actor: &str,
        statements: &[Statement],
    ) -> Result<Vec<EntryId>, AppendError> {
        self.state_under(None, actor, statements).await
    }

    /// The same, found again under one more name.
    async fn state_under(
        &self,
        name: Option<RegisterName>,
        actor: &str,
        statements: &[Statement],
    ) -> Result<Vec<EntryId>, AppendError> {
        let now = self.clock.now();
        let mut items = Vec::with_capacity(statements.len());
        for statement in statements {
            let mut item = self.item(actor, statement, now)?;
            item.names.extend(name.clone());
            items.push(item);
        }
        let ids = items.iter().map(|item| item.id).collect();
        // LIMIT: many statements in one transaction take longer than one entry.
        let time = self.timeout.saturating_add(Duration::from_millis(items.len() as u64));
        self.durable(self.writer.push_together(items)?, time).await?;
        Ok(ids)
    }

    fn item(
        &self,
        actor: &str,
        statement: &Statement,
        now: jiff::Timestamp,
    ) -> Result<Item, AppendError> {
        let id = EntryId::new(now);
        let (text, clear) = register::statement(id, now, actor, statement)?;
        let keys = statement.keys();
        let names = keys.iter().map(|key| register::name(&self.sealing, key)).collect();
        Ok(Item { names, ..Item::new(id, Kind::Other, text, clear) })
    }

    /// What reads statements, for who decides beside the gate's requests.
    #[must_use]
    pub fn register(&self) -> RegisterReader {
        RegisterReader::sharing(&self.register, &self.news, &self.sealing)
    }

    /// Tells of each change of what is stated, by whichever process: the place after the last
    /// statement that is known here.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.news.watch()
    }

    /// True if it is heard what other processes state. If not, nobody can tell whether what runs is
    /// still permitted.
    pub async fn hears(&self) -> bool {
        self.register.hears(&self.news).await
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

    /// Keeps these policies and records that they are in force from now on; returns when both are
    /// durable. For a thread that may wait.
    ///
    /// # Errors
    /// [`AppendError`], after which they must not be put in force.
    pub fn policies_in_force(
        &self,
        policies: &Policies,
        before: &PolicyDigest,
    ) -> Result<EntryId, AppendError> {
        let detail = format!("before: {before}{}", readings(policies));
        let digest = Some(policies.digest().as_str());
        let event =
            Event { t: "policies", policies: digest, detail: Some(&detail), ..Event::default() };
        self.event(event, Some(texts(policies)))
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
        let detail = why.get(..why.floor_char_boundary(DETAIL_BYTES_MAX));
        let policies = Some(in_force.as_str());
        self.event(Event { t: "policies-refused", policies, detail, ..Event::default() }, None)
    }

    fn event(
        &self,
        event: Event<'_>,
        policies: Option<PolicyTexts>,
    ) -> Result<EntryId, AppendError> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let text = entry::event(id, now, event);
        let item = Item { policies, ..Item::new(id, Kind::Other, text, Clear::default()) };
        match self.writer.push(item)?.blocking_recv() {
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

    /// A key for another purpose, derived from the ledger's secret: the same at all its gates.
    /// `None` if it cannot be derived.
    #[must_use]
    pub fn derived_key(&self, label: &'static str) -> Option<[u8; 32]> {
        self.sealing.derived(label)
    }

    /// How far the checkpoints and the search index have come.
    #[must_use]
    pub fn progress(&self) -> Vec<Arc<Progress>> {
        self.followers.each.iter().map(|follower| Arc::clone(follower.progress())).collect()
    }

    /// Writes what waits and a stop entry, and has what follows catch up. Later entries are
    /// refused, and what was stated cannot be read any more.
    pub fn close(&self) {
        self.register.close();
        self.writer.close();
        self.followers.each.iter().for_each(Follower::stop);
    }

    /// Queues the outcome of an intent; it becomes durable with the next batch.
    fn conclude(&self, of: EntryId, served: &Served) {
        let now = self.clock.now();
        let id = EntryId::new(now);
        self.disclosed.ended(served.ending.as_str(), served.bytes);
        let text = entry::outcome(id, now, of, served);
        self.writer.push_outcome(Item::new(id, Kind::Outcome(of), text, Clear::default()));
    }
}

impl Registry for Ledger {
    fn name(&self, key: &Key) -> RegisterName {
        register::name(&self.sealing, key)
    }

    async fn statements(
        &self,
        names: Vec<RegisterName>,
    ) -> Result<(Vec<Recorded>, u64), FactsError> {
        self.register.statements(names).await
    }

    fn is_current(&self, basis: &Basis) -> bool {
        self.news.is_current(basis)
    }
}

/// The key that verifies a ledger's checkpoints, as an auditor or a witness keeps it; `None` before
/// the first start.
///
/// # Errors
/// [`StoreError`] if the ledger cannot be read.
pub fn verifier(settings: &config::Ledger) -> Result<Option<String>, StoreError> {
    Place::of(settings).open(Access::Read)?.property(VERIFIER)
}

/// Brings the tables of a ledger to this version; returns where it lies and what was applied.
///
/// # Errors
/// [`StoreError`] if it cannot be done.
pub fn migrate(settings: &config::Ledger) -> Result<(String, Vec<&'static str>), StoreError> {
    let place = Place::of(settings);
    let applied = place.migrate()?;
    Ok((place.open(Access::Create)?.name(), applied))
}

/// What the organisation's counsel reads in another way than the law table, in words.
fn readings(policies: &Policies) -> String {
    let each = policies.law().overrides().map(|of| {
        format!(
            "; the law of {} read as {} by telephone and {} by video, by {} on {}: {}",
            of.place,
            of.telephone.as_str(),
            of.video.as_str(),
            of.counsel,
            of.decided,
            of.reason
        )
    });
    let mut text: String = each.collect();
    text.truncate(text.floor_char_boundary(DETAIL_BYTES_MAX));
    text
}

/// A set of policies as the ledger keeps it.
fn texts(policies: &Policies) -> PolicyTexts {
    PolicyTexts {
        readings: readings(policies),
        digest: policies.digest().as_str().to_owned(),
        texts: serde_json::to_vec(policies.sources()).unwrap_or_default(),
    }
}

/// The name under which the ledger keeps the key that verifies its checkpoints.
const VERIFIER: &str = "verifier";

/// The secrets of this ledger; made for a new one. Those of another ledger are refused.
fn keys_of(store: &mut dyn Store, path: &Path, origin: &str) -> Result<Keys, OpenError> {
    let begun = store.property(VERIFIER)?;
    let keys = match &begun {
        Some(_) => Keys::read(path)?,
        None => Keys::read_or_make(path, origin)?,
    };
    let verifier = keys.signing.verifier().to_string();
    let begun = store.put_property(VERIFIER, &verifier)?;
    if begun == verifier {
        return Ok(keys);
    }
    let problem = format!(
        "it was begun with another key file or origin than `{}` and `{origin}`; its checkpoints \
         are verified with {begun}",
        path.display()
    );
    Err(StoreError::Unusable { name: store.name(), problem }.into())
}
