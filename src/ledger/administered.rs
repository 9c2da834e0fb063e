//! What people do with the gate itself, through its console: each look at what tells of people and
//! each refusal is an entry (`console`, `console-refused`). What they state is an entry of its own.

use std::sync::Arc;

use super::commit::{Clear, commit, person_of_caller};
use super::entry::{self, Event};
use super::register::{self, Told};
use super::writer::{Item, Kind};
use super::{AppendError, Ask, DETAIL_BYTES_MAX, EntryId, Ledger};
use crate::facts::{FactsError, Key, Numbers, RegisterName, Statement};
use crate::policy::{AdminPermit, AdminRefusal};
use crate::words::words;

/// Something that was done, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Administered<'a> {
    /// By whom, and why they may.
    pub permit: &'a AdminPermit,
    /// What, in a few words that tell nothing of people: `GET /api/v1/holds`.
    pub what: &'a str,
    /// The person it was about, by the number that tells nothing.
    pub person: Option<u64>,
    /// How many things were shown.
    pub entries: Option<u64>,
    /// The entries it was about, by place.
    pub of: &'a [u64],
}

impl<'a> Administered<'a> {
    /// Something about no person and no entry.
    #[must_use]
    pub fn new(permit: &'a AdminPermit, what: &'a str) -> Self {
        Self { permit, what, person: None, entries: None, of: &[] }
    }
}

/// What people do to be at the console at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Somebody proved who they are, and has a session.
    In,
    /// They ended it.
    Out,
}

impl Signed {
    fn as_str(self) -> &'static str {
        match self {
            Self::In => "sign-in",
            Self::Out => "sign-out",
        }
    }
}

/// What came of stating things under a key of the caller's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once {
    /// They are stated now, by these entries.
    Stated(Vec<EntryId>),
    /// They were stated before, by these entries, and are not stated again.
    Before(Vec<EntryId>),
    /// Something else was stated under the key.
    Other,
}

/// Why it is not known whether something was stated before, or not stated.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// What was stated cannot be read.
    #[error(transparent)]
    Register(#[from] FactsError),
    /// It cannot be made durable.
    #[error(transparent)]
    Append(#[from] AppendError),
}

words! {
    /// What somebody found who looked at an entry.
    Verdict {
        /// It was as it should be.
        Appropriate = "appropriate",
        /// Whoever did it should say why.
        NeedsExplanation = "needs-explanation",
        /// It should not have been.
        Inappropriate = "inappropriate",
        /// Somebody else has to decide about it.
        Escalate = "escalate",
    }
}

impl Ledger {
    /// Records that somebody who may takes entries out of the ledger, and the SHA-256 of the file;
    /// returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`], after which nothing may be handed over.
    pub async fn exported(
        &self,
        done: &Administered<'_>,
        sha256: &str,
        ask: &Ask,
    ) -> Result<EntryId, AppendError> {
        let Administered { permit, what, person, entries, of } = *done;
        let event = Event {
            t: "export",
            action: Some(permit.action().as_str()),
            actor: Some(permit.caller()),
            cited: permit.cited(),
            detail: Some(what),
            entries,
            of,
            person,
            policies: Some(permit.policies().as_str()),
            sha256: Some(sha256),
            ..Event::default()
        };
        self.of_console(event, ask).await
    }

    /// Records that somebody looked at entries and what they found; returns when it is durable. The
    /// note is sealed.
    ///
    /// # Errors
    /// [`AppendError`].
    pub async fn reviewed(
        &self,
        permit: &AdminPermit,
        of: &[u64],
        verdict: Verdict,
        note: Option<&str>,
    ) -> Result<EntryId, AppendError> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let mut clear = Clear::default();
        let c = clear.note(&person_of_caller(permit.caller()), note)?;
        let event = Event {
            t: "review",
            actor: Some(permit.caller()),
            c,
            cited: permit.cited(),
            of,
            policies: Some(permit.policies().as_str()),
            reason: Some(verdict.as_str()),
            ..Event::default()
        };
        let text = entry::event(id, now, event);
        let answered = self.writer.push(Item::new(id, Kind::Other, text, clear))?;
        self.durable(answered, self.timeout).await?;
        Ok(id)
    }

    /// Records what somebody states, as [`Ledger::state`] does, unless they stated it before under
    /// the same key. The key itself is not kept. Of two at once at two gates both may be stated;
    /// whoever calls this lets one at a time through.
    ///
    /// # Errors
    /// [`OnceError`], after which it may be tried again with the same key.
    pub async fn state_once(
        &self,
        actor: &str,
        key: &str,
        statements: &[Statement],
    ) -> Result<Once, OnceError> {
        let name = register::once(&self.sealing, actor, key);
        let (mut told, _) = self.register.told(vec![Arc::clone(&name)]).await?;
        if told.is_empty() {
            let stated = self.state_under(Some(name), actor, statements).await?;
            return Ok(Once::Stated(stated));
        }
        told.sort_by_key(|told| told.recorded.seq);
        let same = told.iter().map(|told| &told.recorded.statement).eq(statements);
        Ok(match same {
            true => Once::Before(told.iter().map(|told| told.id).collect()),
            false => Once::Other,
        })
    }

    /// Everything that was stated under these keys, with its entries, in its order.
    ///
    /// # Errors
    /// [`FactsError::Register`] if it cannot be read.
    pub async fn told(&self, keys: &[Key]) -> Result<Vec<Told>, FactsError> {
        let names = keys.iter().map(|key| register::name(&self.sealing, key)).collect();
        self.told_under(names).await
    }

    /// Everything that was stated under these names, with its entries, in its order.
    ///
    /// # Errors
    /// [`FactsError::Register`] if it cannot be read.
    pub async fn told_under(&self, names: Vec<RegisterName>) -> Result<Vec<Told>, FactsError> {
        let (mut told, _) = self.register.told(names).await?;
        told.sort_by_key(|told| told.recorded.seq);
        told.dedup_by_key(|told| told.recorded.seq);
        Ok(told)
    }

    /// Records what somebody who may has done with the gate; returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`], after which nothing may be shown.
    pub async fn administered(
        &self,
        done: &Administered<'_>,
        ask: &Ask,
    ) -> Result<EntryId, AppendError> {
        let Administered { permit, what, person, entries, of } = *done;
        let event = Event {
            t: "console",
            action: Some(permit.action().as_str()),
            actor: Some(permit.caller()),
            cited: permit.cited(),
            detail: Some(what),
            entries,
            of,
            person,
            policies: Some(permit.policies().as_str()),
            ..Event::default()
        };
        self.of_console(event, ask).await
    }

    /// Records that somebody may not do something; returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`], after which the caller is told of that and not of the refusal.
    pub async fn not_administered(
        &self,
        refusal: &AdminRefusal,
        what: &str,
        ask: &Ask,
    ) -> Result<EntryId, AppendError> {
        let event = Event {
            t: "console-refused",
            action: Some(refusal.action.as_str()),
            actor: Some(&refusal.caller),
            cited: &refusal.cited,
            detail: Some(what),
            policies: Some(refusal.policies.as_str()),
            reason: Some(&refusal.reason),
            ..Event::default()
        };
        self.of_console(event, ask).await
    }

    /// Records that a stranger was sent away from the console; returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`].
    pub async fn sent_away(
        &self,
        why: &str,
        what: &str,
        ask: &Ask,
    ) -> Result<EntryId, AppendError> {
        let event = Event {
            t: "console-refused",
            detail: Some(what),
            reason: Some(why),
            ..Event::default()
        };
        self.of_console(event, ask).await
    }

    /// Records that somebody signs in or out; returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`], after which nobody is signed in.
    pub async fn signed(
        &self,
        signed: Signed,
        caller: &str,
        what: &str,
        ask: &Ask,
    ) -> Result<EntryId, AppendError> {
        let event = Event {
            t: "console",
            action: Some(signed.as_str()),
            actor: Some(caller),
            detail: Some(what),
            ..Event::default()
        };
        self.of_console(event, ask).await
    }

    async fn of_console(&self, event: Event<'_>, ask: &Ask) -> Result<EntryId, AppendError> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let (c, clear) = commit(ask, event.actor, &Numbers::default(), now)?;
        let cut = |text: &'_ str| text.floor_char_boundary(DETAIL_BYTES_MAX);
        let detail = event.detail.and_then(|detail| detail.get(..cut(detail)));
        let text = entry::event(id, now, Event { c: Some(c), detail, ..event });
        let answered = self.writer.push(Item::new(id, Kind::Other, text, clear))?;
        self.durable(answered, self.timeout).await?;
        Ok(id)
    }
}
