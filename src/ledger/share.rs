//! Shares in the ledger: made, used, ended.
//!
//! Each of these is an entry that is found by the digest of the link, as statements are found by
//! their names. A share is a decision (`share`), a use is the intent of the disclosure that begins
//! a listening session, and an end is an entry of its own (`share-end`). No use becomes durable
//! behind another one, or behind an end, that its decision did not know: the store refuses to
//! append it. So the count is exact at however many gates, and a share that was ended gives
//! nothing from that very entry on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::chain::Chain;
use super::clerk::{Clerk, ClerkError};
use super::commit::Clear;
use super::entry::{self, EntryId};
use super::people::{Opener, Sealed, as_value};
use super::proof::{Intent, Pledge};
use super::recall::recall;
use super::register;
use super::store::{Append, Store, StoreError, Stored};
use super::writer::{Item, Kind};
use super::{AppendError, Ask, Ledger, texts};
use crate::facts::{Basis, FactsError, RegisterName};
use crate::policy::{Permit, Policies};
use crate::share::{
    End, EndReason, Issue, Private, Share, ShareId, Terms, TokenDigest, Use, Using,
};

/// By what shares are found.
#[derive(Clone, Copy, Debug)]
pub enum ShareKey<'a> {
    /// The link.
    Link(&'a TokenDigest),
    /// The name.
    Id(ShareId),
    /// Who made them.
    Maker(&'a str),
    /// All of them.
    All,
}

/// The names under which an entry of a share is found.
fn name_of_life(token: &TokenDigest) -> RegisterName {
    format!("share:{}", token.as_str()).into()
}

fn name_of_uses(token: &TokenDigest) -> RegisterName {
    format!("share-uses:{}", token.as_str()).into()
}

fn name_of_id(id: ShareId) -> RegisterName {
    format!("share-id:{id}").into()
}

const ALL: &str = "shares";

/// What one entry says of a share.
#[derive(Clone, Debug)]
pub(super) enum OnRecord {
    Made(Box<Share>),
    Used(ShareId, Use),
    Ended(ShareId, End),
}

#[derive(Deserialize)]
struct Skeleton {
    at: Timestamp,
    decision: Option<DecisionForm>,
    id: String,
    #[serde(default)]
    reason: String,
    share: ShareId,
    t: String,
    terms: Option<Terms>,
    #[serde(rename = "use")]
    used: Option<UseForm>,
}

#[derive(Deserialize)]
struct DecisionForm {
    #[serde(default)]
    cited: Vec<CitationForm>,
}

#[derive(Deserialize)]
struct CitationForm {
    clause: Option<String>,
    notice: Option<String>,
}

#[derive(Deserialize)]
struct UseForm {
    session: String,
}

/// Reads what entries say of shares.
///
/// # Errors
/// [`StoreError`] if people's keys cannot be read, or an entry says nothing of a share: then nothing
/// may be given by what is left of them.
pub(super) fn open(
    store: &mut dyn Store,
    opener: &mut Opener,
    found: &[Stored],
) -> Result<Vec<OnRecord>, StoreError> {
    let sealed: Vec<Option<Sealed>> =
        found.iter().map(|stored| stored.clear.as_deref().and_then(Sealed::read)).collect();
    opener.prepare(store, sealed.iter().flatten())?;
    let each = found.iter().zip(&sealed).map(|(stored, sealed)| {
        on_record(stored, sealed.as_ref(), opener).ok_or_else(|| StoreError::Unusable {
            name: store.name(),
            problem: format!("entry {} is not of a share that can be read", stored.seq),
        })
    });
    each.collect()
}

fn on_record(stored: &Stored, sealed: Option<&Sealed>, opener: &Opener) -> Option<OnRecord> {
    let entry: Skeleton = serde_json::from_slice(&stored.bytes).ok()?;
    let Skeleton { at, decision, id, reason, share, terms, used, .. } = entry;
    Some(match entry.t.as_str() {
        "share" => {
            let opened = sealed.map(|sealed| as_value(&opener.groups(&id, sealed)));
            let private = opened.as_ref().and_then(|opened| opened.get("share"));
            let private: Option<Private> =
                private.and_then(|private| serde_json::from_value(private.clone()).ok());
            let cited = decision?.cited.into_iter();
            OnRecord::Made(Box::new(Share {
                id: share,
                place: stored.seq,
                question: recall(&stored.bytes).ok()?.question,
                clause: cited.filter_map(|cited| cited.clause.zip(cited.notice)).next(),
                terms: terms?,
                private,
                uses: Vec::new(),
                end: None,
            }))
        }
        "intent" => OnRecord::Used(share, Use { session: used?.session, at }),
        "share-end" => OnRecord::Ended(share, End { at, reason: EndReason::read(&reason)? }),
        _ => return None,
    })
}

/// Puts together what is on record, newest share first.
fn gathered(all: Vec<OnRecord>) -> Vec<Share> {
    let mut shares: BTreeMap<ShareId, Share> = BTreeMap::new();
    let mut rest = Vec::new();
    for one in all {
        match one {
            OnRecord::Made(share) => _ = shares.insert(share.id, *share),
            other => rest.push(other),
        }
    }
    for one in rest {
        match one {
            OnRecord::Used(id, used) => {
                shares.entry(id).and_modify(|share| share.uses.push(used));
            }
            OnRecord::Ended(id, end) => {
                shares.entry(id).and_modify(|share| _ = share.end.get_or_insert(end));
            }
            OnRecord::Made(_) => {}
        }
    }
    let mut shares: Vec<Share> = shares.into_values().collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.place));
    shares
}

impl Ledger {
    fn name_of(&self, key: &ShareKey<'_>) -> RegisterName {
        match key {
            ShareKey::Link(token) => name_of_life(token),
            ShareKey::Id(id) => name_of_id(*id),
            ShareKey::Maker(maker) => register::name_of_maker(&self.sealing, maker),
            ShareKey::All => ALL.into(),
        }
    }

    /// The shares that are found by a key, newest first, with everything that is on record about
    /// them before the place that is answered with.
    ///
    /// # Errors
    /// [`FactsError::Register`] if it cannot be read.
    pub async fn shares(&self, key: ShareKey<'_>) -> Result<(Vec<Share>, u64), FactsError> {
        if let ShareKey::Link(token) = key {
            let names = vec![name_of_life(token), name_of_uses(token)];
            let (found, seen) = self.register.shares(names).await?;
            let mut found = gathered(found);
            found.retain(|share| share.terms.token.is(token));
            return Ok((found, seen));
        }
        let (made, _) = self.register.shares(vec![self.name_of(&key)]).await?;
        let names = made.iter().filter_map(|one| match one {
            OnRecord::Made(share) => Some(&share.terms.token),
            _ => None,
        });
        let names: Vec<RegisterName> =
            names.flat_map(|token| [name_of_life(token), name_of_uses(token)]).collect();
        let (found, seen) = self.register.shares(names).await?;
        Ok((gathered(found), seen))
    }

    /// Puts a permitted share on record; returns when it is durable. `seen` is up to where its link
    /// is known to be nobody's yet.
    ///
    /// # Errors
    /// [`AppendError`]; [`AppendError::Stale`] if somebody was faster.
    pub async fn share(
        &self,
        permit: Permit,
        ask: &Ask,
        issue: &Issue,
        seen: u64,
    ) -> Result<EntryId, AppendError> {
        let question = permit.question();
        let id = EntryId::new(question.now);
        let (text, clear) = entry::share(id, &permit, ask, issue)?;
        let life = name_of_life(&issue.terms.token);
        let own = Basis { names: [Arc::clone(&life)].into(), seen, ..Basis::default() };
        let maker = register::name_of_maker(&self.sealing, &question.caller.id);
        let item = Item {
            bases: vec![question.facts.basis.clone(), own],
            names: vec![life, name_of_id(issue.id), maker, ALL.into()],
            ..Item::new(id, Kind::Other, text, clear)
        };
        self.durable(self.writer.push(item)?, self.timeout).await?;
        Ok(id)
    }

    /// Sends the intent of a disclosure by a share to the disk. It does not become durable if the
    /// share was ended, or, where it begins a listening session, used since.
    ///
    /// # Errors
    /// [`AppendError`] at once if the ledger is closed or its queue is full.
    pub fn intend_use(
        &self,
        permit: Permit,
        ask: &Ask,
        using: &Using,
    ) -> Result<(Intent, Pledge), AppendError> {
        let id = EntryId::new(permit.question().now);
        let (text, clear) = entry::intent(id, &permit, ask, Some(using))?;
        let life = name_of_life(&using.token);
        let uses = using.opens.then(|| name_of_uses(&using.token));
        let names: Vec<RegisterName> = std::iter::once(life).chain(uses.clone()).collect();
        let own = Basis { names: names.into(), seen: using.seen, ..Basis::default() };
        let item = Item {
            bases: vec![permit.question().facts.basis.clone(), own],
            names: uses.into_iter().collect(),
            ..Item::new(id, Kind::Intent, text, clear)
        };
        let answered = self.writer.push(item)?;
        let pledge = Pledge::new(id, answered, self.timeout, self.clone());
        Ok((Intent::new(id, permit), pledge))
    }

    /// True if nothing that ends a share has been said since this place.
    #[must_use]
    pub fn is_share_as_it_was(&self, token: &TokenDigest, seen: u64) -> bool {
        let names = [name_of_life(token)].into();
        self.news.is_current(&Basis { names, seen, ..Basis::default() })
    }

    /// Ends a share; returns when it is durable and known here.
    ///
    /// # Errors
    /// [`AppendError`].
    pub async fn end_share(
        &self,
        share: &Share,
        actor: &str,
        reason: EndReason,
        note: Option<&str>,
    ) -> Result<EntryId, AppendError> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let (text, clear) = entry::share_end(id, now, share.id, (actor, reason.as_str(), note))?;
        let names = vec![name_of_life(&share.terms.token)];
        let item = Item { names, ..Item::new(id, Kind::Other, text, clear) };
        self.durable(self.writer.push(item)?, self.timeout).await?;
        Ok(id)
    }
}

impl Clerk {
    /// The shares that are found by a key, newest first, and up to which place that is known.
    ///
    /// # Errors
    /// [`ClerkError`] if they cannot be read.
    pub fn shares(&mut self, key: ShareKey<'_>) -> Result<(Vec<Share>, u64), ClerkError> {
        let seen = self.store.stated()?;
        let first = match key {
            ShareKey::Link(token) => name_of_life(token),
            ShareKey::Id(id) => name_of_id(id),
            ShareKey::Maker(maker) => register::name_of_maker(&self.sealing, maker),
            ShareKey::All => ALL.into(),
        };
        let made = self.read_shares(&[first])?;
        let names = made.iter().filter_map(|one| match one {
            OnRecord::Made(share) => Some(&share.terms.token),
            _ => None,
        });
        let names: Vec<RegisterName> =
            names.flat_map(|token| [name_of_life(token), name_of_uses(token)]).collect();
        Ok((gathered(self.read_shares(&names)?), seen))
    }

    fn read_shares(&mut self, names: &[RegisterName]) -> Result<Vec<OnRecord>, ClerkError> {
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let found = self.store.statements(&names)?;
        let mut opener = Opener::new(Arc::clone(&self.sealing));
        Ok(open(&mut *self.store, &mut opener, &found)?)
    }

    /// Puts a permitted share on record; `None` if something was stated since that its decision
    /// did not know. Then nothing is on record.
    ///
    /// # Errors
    /// [`ClerkError`], after which its link may not be told.
    pub fn share(
        &mut self,
        permit: &Permit,
        ask: &Ask,
        issue: &Issue,
        (policies, register): (&Policies, &super::RegisterReader),
    ) -> Result<Option<EntryId>, ClerkError> {
        let digest = policies.digest().as_str();
        self.store.put_policy_set(digest, &texts(policies).texts)?;
        let question = permit.question();
        let id = EntryId::new(question.now);
        let (text, clear) = entry::share(id, permit, ask, issue).map_err(|error| unfit(&error))?;
        let maker = register::name_of_maker(&self.sealing, &question.caller.id);
        let names = [
            name_of_life(&issue.terms.token),
            name_of_id(issue.id),
            maker,
            RegisterName::from(ALL),
        ];
        let basis = question.facts.basis.clone();
        let durable = self.put_named(id, &text, &clear, &names, Some((&basis, register)))?;
        Ok(durable.then_some(id))
    }

    /// Ends a share; returns the place of the entry.
    ///
    /// # Errors
    /// [`ClerkError`].
    pub fn end_share(
        &mut self,
        share: &Share,
        reason: EndReason,
        note: Option<&str>,
    ) -> Result<u64, ClerkError> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let told = (self.actor.as_str(), reason.as_str(), note);
        let (text, clear) =
            entry::share_end(id, now, share.id, told).map_err(|error| unfit(&error))?;
        let clear = self.seal_one(id, &clear)?;
        let (bytes, leaf) = Chain::after(self.store.last()?).seal(text);
        let append = Append { bytes: &bytes, leaf: &leaf, clear: clear.as_deref() };
        let name = name_of_life(&share.terms.token);
        let appended = self.store.append_knowing(&[append], &[(0, &name)], None)?;
        appended.ok_or(ClerkError::Nothing("the ledger did not take it"))
    }

    fn seal_one(&mut self, id: EntryId, clear: &Clear) -> Result<Option<Vec<u8>>, ClerkError> {
        let mut sealer = super::people::Sealer::new(Arc::clone(&self.sealing));
        let mut clears = sealer.seal(&mut *self.store, [(id, clear)].into_iter())?;
        Ok(clears.pop().flatten())
    }
}

fn unfit(error: &AppendError) -> ClerkError {
    match error {
        AppendError::NoRandomness => ClerkError::NoRandomness,
        _ => ClerkError::Nothing("a share is too long to be recorded"),
    }
}
