//! The register: statements among the entries, found by name, for decisions to read.
//!
//! A statement is an entry like any other, and beside it the store keeps the names under which it
//! is found. One thread of each gate reads statements for whoever decides, and looks four times a
//! second whether other processes have stated anything ([`News`]). For new requests that is for
//! speed alone: no intent becomes an entry behind a statement that its decision did not know, because
//! the store itself refuses to append it (`writer.rs`). A stream that runs has nothing else to be cut
//! by, so it does not outlast the looking ([`Register::hears`]).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::{oneshot, watch};

use super::AppendError;
use super::commit::{Clear, Commitments, person_of_caller, person_of_name, person_of_number};
use super::entry::{self, EntryId};
use super::keys::Sealing;
use super::people::{Opener, Sealed, as_value};
use super::share::{self, OnRecord};
use super::store::{Access, Place, Store, StoreError, Stored};
use super::writer::full;
use crate::facts::{Basis, FactsError, Key, Recorded, RegisterName, Said, Statement, Who};
use crate::media::MediaSid;

/// How often it is looked what others have stated.
const LOOK: Duration = Duration::from_millis(250);

/// Who looked longer ago than this is asked to look now.
const FRESH: Duration = Duration::from_millis(400);

/// How long is waited for that. With [`FRESH`] and the time between two questions it stays below the
/// second within which a running stream must be cut.
const LOOK_NOW: Duration = Duration::from_millis(250);

/// LIMIT: names of which it is kept when something was last said under them. Facts that are older
/// than what was forgotten are read again.
const NAMES_MAX: usize = 200_000;

/// The name under which a key is kept: of a person it tells nothing.
pub(super) fn name(sealing: &Sealing, key: &Key) -> RegisterName {
    let blind = |kind: &str, who: &Who| {
        let person = match who {
            Who::Number(number) => person_of_number(number),
            Who::Name(name) => person_of_name(name),
        };
        format!("{kind}:{}", URL_SAFE_NO_PAD.encode(sealing.blind(&person)))
    };
    match key {
        Key::Media(sid) => sid.to_string(),
        Key::Line(line) => format!("line:{line}"),
        Key::Person(who) => blind("person", who),
        Key::Mentioned(who) => blind("of", who),
        Key::Case(id) => format!("case:{id}"),
        Key::Hold(id) => format!("hold:{id}"),
        Key::Holds => "holds".to_owned(),
    }
    .into()
}

/// The name under which what an actor stated with a key of their own is found again.
pub(super) fn once(sealing: &Sealing, actor: &str, key: &str) -> RegisterName {
    let blind = sealing.blind(&format!("once:{actor}\n{key}"));
    format!("once:{}", URL_SAFE_NO_PAD.encode(blind)).into()
}

/// A statement with its entry: when it was recorded, and who stated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The entry's name.
    pub id: EntryId,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who stated it, by their id.
    pub actor: String,
    /// What was stated.
    pub recorded: Recorded,
}

/// Statements without their entries.
pub(super) fn recorded_of(told: Vec<Told>) -> Vec<Recorded> {
    told.into_iter().map(|told| told.recorded).collect()
}

/// The name under which the shares are kept that somebody made.
pub(super) fn name_of_maker(sealing: &Sealing, maker: &str) -> RegisterName {
    let maker = sealing.blind(&person_of_caller(maker));
    format!("shares-of:{}", URL_SAFE_NO_PAD.encode(maker)).into()
}

/// What was stated lately, as far as this gate knows.
#[derive(Debug)]
pub(super) struct News {
    /// The place after the last statement that is known.
    head: AtomicU64,
    changed: Mutex<Changed>,
    tell: watch::Sender<u64>,
    /// When it was last seen what the store has.
    looked: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct Changed {
    /// When something was last said under a name.
    names: HashMap<RegisterName, u64>,
    /// Of what was said before this place, nothing is known.
    floor: u64,
}

impl News {
    pub(super) fn new(head: u64) -> Self {
        let changed = Changed { names: HashMap::new(), floor: head };
        let (tell, _) = watch::channel(head);
        let looked = Mutex::new(Instant::now());
        Self { head: AtomicU64::new(head), changed: Mutex::new(changed), tell, looked }
    }

    fn lock(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place after the last statement that is known.
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Learns of statements. `head` is the place after the last of them.
    pub(super) fn take(&self, said: impl IntoIterator<Item = (RegisterName, u64)>, head: u64) {
        let mut changed = self.lock();
        for (name, place) in said {
            let last = changed.names.entry(name).or_default();
            *last = place.max(*last);
        }
        if changed.names.len() > NAMES_MAX {
            *changed = Changed { names: HashMap::new(), floor: head };
        }
        self.head.fetch_max(head, Ordering::AcqRel);
        drop(changed);
        self.tell.send_replace(self.head());
    }

    /// Learns of what a store has and this gate does not know.
    pub(super) fn look(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let began = Instant::now();
        let (head, stated) = (self.head(), store.stated()?);
        if stated > head {
            let said = store.stated_since(head)?;
            let head = said.iter().map(|(_, place)| place + 1).max().unwrap_or(stated).max(stated);
            self.take(said.into_iter().map(|(name, place)| (name.into(), place)), head);
        }
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = began;
        Ok(())
    }

    /// How long ago it was seen what the store has.
    fn age(&self) -> Duration {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// False if something was said under these names that facts on this basis do not know.
    pub(super) fn is_current(&self, basis: &Basis) -> bool {
        if basis.seen >= self.head() {
            return true;
        }
        let changed = self.lock();
        let later =
            |name: &RegisterName| changed.names.get(name).is_some_and(|at| *at >= basis.seen);
        basis.seen >= changed.floor && !basis.names.iter().any(later)
    }

    /// Tells of each change.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.tell.subscribe()
    }
}

/// What is asked of the thread.
enum Wanted {
    /// What was said under names.
    Names(Vec<RegisterName>, Answer),
    /// To look now.
    Look(oneshot::Sender<Result<(), String>>),
}

/// Reads entries as something.
type Open<T> = fn(&mut dyn Store, &mut Opener, &[Stored]) -> Result<Vec<T>, StoreError>;

/// As what it is read.
enum Answer {
    Statements(oneshot::Sender<Result<(Vec<Told>, u64), String>>),
    Shares(oneshot::Sender<Result<(Vec<OnRecord>, u64), String>>),
}

/// The handle on the thread.
#[derive(Debug)]
pub(super) struct Register {
    /// `None` once it is closed.
    running: Mutex<Option<(mpsc::Sender<Wanted>, JoinHandle<()>)>>,
}

impl Register {
    /// Starts it.
    pub(super) fn start(
        place: Place,
        sealing: Arc<Sealing>,
        news: Arc<News>,
    ) -> std::io::Result<Self> {
        let (wanted, asked) = mpsc::channel();
        let mut reader = Reader { place, store: None, opener: Opener::new(sealing), news };
        let thread = std::thread::Builder::new().name("register".to_owned());
        let thread = thread.spawn(move || reader.serve(&asked))?;
        Ok(Self { running: Mutex::new(Some((wanted, thread))) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<(mpsc::Sender<Wanted>, JoinHandle<()>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the thread, and lets go of the store.
    pub(super) fn close(&self) {
        let running = self.lock().take();
        if let Some((wanted, thread)) = running {
            drop(wanted);
            let _ = thread.join();
        }
    }

    /// Everything that was said under these names before the place that is answered with.
    pub(super) async fn statements(
        &self,
        names: Vec<RegisterName>,
    ) -> Result<(Vec<Recorded>, u64), FactsError> {
        let (told, seen) = self.told(names).await?;
        Ok((recorded_of(told), seen))
    }

    /// The same, with their entries.
    pub(super) async fn told(
        &self,
        names: Vec<RegisterName>,
    ) -> Result<(Vec<Told>, u64), FactsError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Wanted::Names(names, Answer::Statements(answer)))?;
        answered.await.map_err(|_| gone())?.map_err(FactsError::Register)
    }

    /// Everything that is on record about shares under these names before the place that is
    /// answered with.
    pub(super) async fn shares(
        &self,
        names: Vec<RegisterName>,
    ) -> Result<(Vec<OnRecord>, u64), FactsError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Wanted::Names(names, Answer::Shares(answer)))?;
        answered.await.map_err(|_| gone())?.map_err(FactsError::Register)
    }

    /// True if it is heard what others state: it was looked at lately, or can be now.
    pub(super) async fn hears(&self, news: &News) -> bool {
        if news.age() < FRESH {
            return true;
        }
        let (answer, answered) = oneshot::channel();
        if self.ask(Wanted::Look(answer)).is_err() {
            return false;
        }
        matches!(tokio::time::timeout(LOOK_NOW, answered).await, Ok(Ok(Ok(()))))
    }

    fn ask(&self, wanted: Wanted) -> Result<(), FactsError> {
        let running = self.lock();
        let (thread, _) = running.as_ref().ok_or_else(gone)?;
        thread.send(wanted).map_err(|_| gone())
    }
}

fn gone() -> FactsError {
    FactsError::Register("its thread has ended; restart the gate".to_owned())
}

impl Drop for Register {
    fn drop(&mut self) {
        self.close();
    }
}

struct Reader {
    place: Place,
    /// `None` until it is opened, and after an error.
    store: Option<Box<dyn Store>>,
    opener: Opener,
    news: Arc<News>,
}

impl Reader {
    fn serve(&mut self, asked: &mpsc::Receiver<Wanted>) {
        let mut next = Instant::now() + LOOK;
        loop {
            // Whatever else is asked for, it is looked when it is time.
            match asked.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Wanted::Names(names, Answer::Statements(answer))) => {
                    let read = self.on_store(|reader, store| reader.read(store, &names, open));
                    let _ = answer.send(read);
                }
                Ok(Wanted::Names(names, Answer::Shares(answer))) => {
                    let read =
                        self.on_store(|reader, store| reader.read(store, &names, share::open));
                    let _ = answer.send(read);
                }
                Ok(Wanted::Look(answer)) => {
                    let looked = if self.news.age() < FRESH { Ok(()) } else { self.look() };
                    let _ = answer.send(looked);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next {
                if let Err(error) = self.look() {
                    tracing::debug!(error, "the register cannot be read");
                }
                next = Instant::now() + LOOK;
            }
        }
    }

    fn look(&mut self) -> Result<(), String> {
        self.on_store(|reader, store| reader.news.look(store))
    }

    /// Does something with the store, which is opened for it if need be and closed by an error.
    fn on_store<T>(
        &mut self,
        act: impl FnOnce(&mut Self, &mut dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, String> {
        let mut store = match self.store.take() {
            Some(store) => store,
            None => self.place.open(Access::Read).map_err(|error| full(&error))?,
        };
        // A file that was replaced is not the ledger any more.
        if !store.is_in_place() {
            return Err("the ledger was removed or replaced".to_owned());
        }
        let done = act(self, &mut *store).map_err(|error| full(&error))?;
        self.store = Some(store);
        Ok(done)
    }

    fn read<T>(
        &mut self,
        store: &mut dyn Store,
        names: &[RegisterName],
        open: Open<T>,
    ) -> Result<(Vec<T>, u64), StoreError> {
        // First how far, then what: so nothing before that place can be missing.
        let stated = store.stated()?;
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let found = store.statements(&names)?;
        self.opener.forget();
        Ok((open(store, &mut self.opener, &found)?, stated))
    }
}

/// Reads statements out of their entries.
///
/// # Errors
/// [`StoreError`] if people's keys cannot be read, or an entry is no statement: then nothing may be
/// decided by what is left of them.
pub(super) fn open(
    store: &mut dyn Store,
    opener: &mut Opener,
    found: &[Stored],
) -> Result<Vec<Told>, StoreError> {
    let sealed: Vec<Option<Sealed>> =
        found.iter().map(|stored| stored.clear.as_deref().and_then(Sealed::read)).collect();
    opener.prepare(store, sealed.iter().flatten())?;
    let each = found.iter().zip(&sealed).map(|(stored, sealed)| {
        told(stored, sealed.as_ref(), opener).ok_or_else(|| StoreError::Unusable {
            name: store.name(),
            problem: format!("entry {} is no statement that can be read", stored.seq),
        })
    });
    each.collect()
}

/// What is read of an entry that is a statement.
#[derive(Deserialize)]
struct Skeleton {
    #[serde(default)]
    about: Vec<Value>,
    actor: String,
    at: Timestamp,
    c: Option<Value>,
    id: EntryId,
    line: Option<Value>,
    said: Map<String, Value>,
}

fn told(stored: &Stored, sealed: Option<&Sealed>, opener: &Opener) -> Option<Told> {
    let Skeleton { about, actor, at, c, id, line, said: mut form } =
        serde_json::from_slice(&stored.bytes).ok()?;
    let opened = sealed.map(|sealed| as_value(&opener.groups(&id.to_string(), sealed)));
    let opened = opened.unwrap_or_default();
    let has_participant = c.as_ref().is_some_and(|c| c.get("subject").is_some());
    let participant = opened.pointer("/subject/0").cloned();
    let erased = has_participant && participant.is_none();
    form.insert("about".to_owned(), about.into());
    if let Some(line) = line {
        form.insert("line".to_owned(), line);
    }
    if has_participant {
        let nobody = || json!({"name": "erased"});
        form.insert("participant".to_owned(), participant.unwrap_or_else(nobody));
    }
    if let Some(hold) = form.get_mut("hold").and_then(Value::as_object_mut) {
        let reason = opened.pointer("/said/reason").cloned().unwrap_or_else(|| "erased".into());
        hold.insert("reason".to_owned(), reason);
    }
    let mut statement: Statement = serde_json::from_value(form.into()).ok()?;
    if erased {
        statement.participant = None;
    }
    Some(Told { id, at, actor, recorded: Recorded { seq: stored.seq, statement, erased } })
}

// Field order is the canonical order of keys.
#[derive(Serialize)]
struct StatementForm<'a> {
    #[serde(skip_serializing_if = "<[MediaSid]>::is_empty")]
    about: &'a [MediaSid],
    actor: &'a str,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<Commitments>,
    id: EntryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    said: Value,
    t: &'a str,
    v: u8,
}

/// A statement, with everything that it is found by.
pub(super) fn statement(
    id: EntryId,
    at: Timestamp,
    actor: &str,
    statement: &Statement,
) -> Result<(entry::Open, Clear), AppendError> {
    let mut clear = Clear::default();
    let reason = match &statement.said {
        Said::Hold(hold) => Some(hold.reason.as_str()),
        _ => None,
    };
    let c = clear.statement(statement.participant.as_ref(), actor, reason)?;
    let form = StatementForm {
        about: &statement.about,
        actor,
        at,
        c,
        id,
        line: statement.line.as_deref(),
        said: said(statement),
        t: "statement",
        v: entry::VERSION,
    };
    Ok((entry::open(&form), clear))
}

/// A statement as it stands in its entry: without the person, and without words that may name one.
fn said(statement: &Statement) -> Value {
    let mut form = serde_json::to_value(statement).unwrap_or_default();
    if let Some(form) = form.as_object_mut() {
        for apart in ["about", "line", "participant"] {
            form.shift_remove(apart);
        }
        if let Some(hold) = form.get_mut("hold").and_then(Value::as_object_mut) {
            hold.shift_remove("reason");
        }
    }
    form
}
