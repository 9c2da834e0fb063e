//! Deletions at Twilio that nobody asked for over HTTP: what a sweep puts on record.
//!
//! A [`Deletion`] is made only here, by a durable `deletion` entry; the upstream takes it by value
//! to delete once, and gives back an [`OpenDeletion`], which a `deleted` entry closes with Twilio's
//! answer and the proof. No such entry becomes durable behind a statement that its decision did not
//! know. A deletion whose answer is on no record is found again ([`unanswered`]): it can be looked
//! up and closed, and never be sent a second time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain::Chain;
use super::clerk::{Clerk, ClerkError};
use super::commit::Clear;
use super::entry::{self, EntryId, Sweeping};
use super::index::{Field, Filter, Order, Query};
use super::keys::{Keys, Sealing};
use super::people::Sealer;
use super::recall::{media_of, recall};
use super::register::{self, News, Register};
use super::review::{Review, ReviewError, Row};
use super::store::{Access, Append, Leading, Place};
use super::{AppendError, OpenError, texts};
use crate::config;
use crate::facts::{Basis, FactsError, Key, Recorded, RegisterName, Registry};
use crate::media::{MediaRef, MediaSid};
use crate::policy::{Permit, Policies, Retention};
use crate::words::words;

/// LIMIT: how often an entry is tried while other processes state things about other calls.
const TRIES_MAX: usize = 16;

/// LIMIT: entries that are read at once.
const PAGE: usize = 1_000;

/// Proof that a deletion is on record, and on the disk. It is spent, once, on asking Twilio.
///
/// Making one does not compile:
///
/// ```compile_fail,E0451
/// # use noticegate::ledger::{Deletion, EntryId};
/// # use noticegate::policy::Permit;
/// fn forge(id: EntryId, permit: Permit) -> Deletion {
///     Deletion { id, permit }
/// }
/// ```
///
/// Nor does deleting twice on one record:
///
/// ```compile_fail,E0382
/// # use noticegate::ledger::Deletion;
/// # use noticegate::upstream::{Site, Upstream};
/// async fn twice(upstream: &Upstream, site: &Site, deletion: Deletion) {
///     upstream.delete_recorded(site, deletion).await;
///     upstream.delete_recorded(site, deletion).await;
/// }
/// ```
#[derive(Debug)]
#[must_use = "what is on record as a deletion has to be deleted"]
pub struct Deletion {
    id: EntryId,
    permit: Permit,
}

impl Deletion {
    /// What may be deleted.
    #[must_use]
    pub fn media(&self) -> MediaRef {
        self.permit.question().media
    }

    /// Spends it. From here on Twilio may have been asked.
    pub(crate) fn spend(self) -> OpenDeletion {
        let question = self.permit.question();
        OpenDeletion { id: self.id, media: question.media, recording: question.facts.recording }
    }
}

/// A deletion that Twilio may have been asked for. It is closed by an entry that says what came of
/// it; until then it is found by [`unanswered`].
#[derive(Debug)]
#[must_use = "what came of a deletion has to be put on record"]
pub struct OpenDeletion {
    id: EntryId,
    media: MediaRef,
    /// What its facts are about.
    recording: MediaSid,
}

impl OpenDeletion {
    /// What was to be deleted.
    #[must_use]
    pub fn media(&self) -> MediaRef {
        self.media
    }
}

words! {
    /// What Twilio says of a thing that is no more.
    Absence {
        /// It has no such thing.
        NotThere = "404",
        /// It has the thing's metadata, with this status.
        MarkedDeleted = "deleted",
    }
}

words! {
    /// What came of a deletion.
    DeletionEnding {
        /// It is gone, and Twilio was asked once more.
        Gone = "gone",
        /// Twilio said that it is gone, and did not say so when it was asked once more.
        NotProven = "not-proven",
        /// It is still there.
        Failed = "failed",
    }
}

/// What came of a deletion, as it is put on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletionAnswer {
    /// Twilio's status; `None` if nobody knows of an answer.
    pub status: Option<u16>,
    /// What it said when it was asked once more.
    pub proof: Option<Absence>,
    /// What that means.
    pub ending: DeletionEnding,
}

/// What was stated, read beside gates or as one of them. Clones share one reader.
#[derive(Clone, Debug)]
pub struct RegisterReader {
    register: Arc<Register>,
    news: Arc<News>,
    sealing: Arc<Sealing>,
}

impl RegisterReader {
    /// A reader of a ledger that exists.
    ///
    /// # Errors
    /// [`OpenError`] if the ledger or its key file cannot be read.
    pub fn open(settings: &config::Ledger) -> Result<Self, OpenError> {
        let place = Place::of(settings);
        let news = Arc::new(News::new(place.open(Access::Read)?.stated()?));
        let sealing = Arc::new(Keys::read(&settings.key_file)?.sealing);
        let register = Register::start(place, Arc::clone(&sealing), Arc::clone(&news));
        let register = register.map_err(|error| OpenError::Derived {
            folder: settings.directory.display().to_string(),
            problem: error.to_string(),
        })?;
        Ok(Self { register: Arc::new(register), news, sealing })
    }

    pub(super) fn sharing(
        register: &Arc<Register>,
        news: &Arc<News>,
        sealing: &Arc<Sealing>,
    ) -> Self {
        let (register, news) = (Arc::clone(register), Arc::clone(news));
        Self { register, news, sealing: Arc::clone(sealing) }
    }
}

impl Registry for RegisterReader {
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

impl Clerk {
    /// Becomes the one that sweeps, for as long as this clerk lives.
    ///
    /// # Errors
    /// [`ClerkError`]; [`ClerkError::Busy`] says who does already.
    pub fn lead_sweep(&mut self) -> Result<(), ClerkError> {
        match self.store.lead_sweep()? {
            Leading::Own => Ok(()),
            Leading::Other(who) => Err(ClerkError::Busy(who)),
        }
    }

    /// Puts a permitted deletion on record; `None` if something was stated since that its decision
    /// did not know. Then nothing is on record.
    ///
    /// # Errors
    /// [`ClerkError`], after which nothing may be deleted. Should the entry become durable all the
    /// same, it is found without an answer.
    pub fn delete(
        &mut self,
        permit: Permit,
        retention: &Retention,
        policies: &Policies,
        register: &RegisterReader,
    ) -> Result<Option<Deletion>, ClerkError> {
        let digest = policies.digest().as_str();
        if self.kept.as_deref() != Some(digest) {
            self.store.put_policy_set(digest, &texts(policies).texts)?;
            self.kept = Some(digest.to_owned());
        }
        let question = permit.question();
        let basis = question.facts.basis.clone();
        let id = EntryId::new(question.now);
        let sweeping = Sweeping { actor: &self.actor, retention };
        let made = entry::deletion(id, &permit, &sweeping);
        let (text, clear) = made.map_err(|error| match error {
            AppendError::NoRandomness => ClerkError::NoRandomness,
            _ => ClerkError::Nothing("a deletion is too long to be recorded"),
        })?;
        let durable = self.put_named(id, &text, &clear, &[], Some((&basis, register)))?;
        Ok(durable.then_some(Deletion { id, permit }))
    }

    /// Puts on record what came of a deletion.
    ///
    /// # Errors
    /// [`ClerkError`], after which it is found without an answer.
    #[expect(clippy::needless_pass_by_value, reason = "a deletion is closed once")]
    pub fn deleted(
        &mut self,
        deletion: OpenDeletion,
        answer: &DeletionAnswer,
    ) -> Result<(), ClerkError> {
        let OpenDeletion { id: of, media, recording } = deletion;
        let now = self.clock.now();
        let id = EntryId::new(now);
        let text = entry::deleted(id, now, (of, Some(recording), &media), (&self.actor, answer));
        self.put_named(id, &text, &Clear::default(), &[], None)?;
        Ok(())
    }

    /// Appends one entry to this clerk's chain, to be found by these names; false if the basis is
    /// not current.
    pub(super) fn put_named(
        &mut self,
        id: EntryId,
        text: &str,
        clear: &Clear,
        names: &[RegisterName],
        basis: Option<(&Basis, &RegisterReader)>,
    ) -> Result<bool, ClerkError> {
        let mut sealer = Sealer::new(Arc::clone(&self.sealing));
        let clears = sealer.seal(&mut *self.store, [(id, clear)].into_iter())?;
        let clear = clears.first().and_then(Option::as_deref);
        // After an error nobody knows whether the last entry is there: then a new chain is begun.
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => Chain::after(self.store.last()?),
        };
        let named: Vec<(usize, &str)> = names.iter().map(|name| (0, &**name)).collect();
        for _ in 0..TRIES_MAX {
            let known = match basis {
                None => None,
                Some((basis, register)) => {
                    register.news.look(&mut *self.store)?;
                    if !register.news.is_current(basis) {
                        self.chain = Some(chain);
                        return Ok(false);
                    }
                    Some(register.news.head())
                }
            };
            let mut next = chain.clone();
            let (bytes, leaf) = next.seal(text.to_owned());
            let append = Append { bytes: &bytes, leaf: &leaf, clear };
            if self.store.append_knowing(&[append], &named, known)?.is_some() {
                chain = next;
                self.chain = Some(chain);
                return Ok(true);
            }
        }
        Err(ClerkError::Nothing("others state more than can be kept up with; try again"))
    }
}

fn kinds(kinds: &[&str]) -> Filter {
    let any = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    Filter { field: Field::Kind, any, not: false }
}

/// The deletions of which no answer is on record, oldest first.
///
/// # Errors
/// [`ReviewError`] if the ledger cannot be read.
pub fn unanswered(review: &mut Review) -> Result<Vec<OpenDeletion>, ReviewError> {
    let only = |kind: &str| Query { all: vec![kinds(&[kind])], ..Query::default() };
    // Each deletion has one answer at the most.
    if review.index().count(&only("deletion"))? == review.index().count(&only("deleted"))? {
        return Ok(Vec::new());
    }
    let both = Query { all: vec![kinds(&["deletion", "deleted"])], ..Query::default() };
    let mut open: BTreeMap<EntryId, (MediaRef, MediaSid)> = BTreeMap::new();
    each(review, &both, |row| {
        let id = |key: &str| row.entry.get(key)?.as_str()?.parse::<EntryId>().ok();
        match recall(&row.bytes) {
            Ok(recalled) => {
                let question = recalled.question;
                open.extend(id("id").map(|id| (id, (question.media, question.facts.recording))));
            }
            Err(_) => {
                id("of").and_then(|of| open.remove(&of));
            }
        }
    })?;
    let open = open.into_iter();
    Ok(open.map(|(id, (media, recording))| OpenDeletion { id, media, recording }).collect())
}

/// Whether Twilio has answered to an earlier deletion of this that it is gone: `recording` is what
/// its facts are about.
///
/// # Errors
/// [`ReviewError`] if the ledger cannot be read.
pub fn was_deleted(
    review: &mut Review,
    recording: MediaSid,
    media: &MediaRef,
) -> Result<bool, ReviewError> {
    let recording =
        Filter { field: Field::Recording, any: vec![recording.to_string()], not: false };
    let query = Query { all: vec![kinds(&["deleted"]), recording], ..Query::default() };
    let mut found = false;
    each(review, &query, |row| {
        let status = row.entry.get("status").and_then(serde_json::Value::as_u64);
        let same = media_of(&row.bytes).is_some_and(|of| of.sid() == media.sid());
        found |= same && status.is_some_and(|status| matches!(status, 204 | 404 | 410));
    })?;
    Ok(found)
}

fn each(review: &mut Review, query: &Query, mut take: impl FnMut(&Row)) -> Result<(), ReviewError> {
    let mut after = None;
    loop {
        let (rows, next) = review.find(query, after, PAGE, Order::OldestFirst)?;
        rows.iter().for_each(&mut take);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
