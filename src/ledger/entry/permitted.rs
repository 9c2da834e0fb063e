//! The forms of what is permitted: intents, deletions, and what came of those.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    AppendError, Ask, CallerForm, CitationForm, DecisionForm, EntryId, FactsForm, MediaForm, Open,
    VERSION, open, words,
};
use crate::ledger::commit::{Clear, Commitments, commit, person_of_caller};
use crate::ledger::deletion::{Absence, DeletionAnswer};
use crate::media::{MediaRef, MediaSid};
use crate::policy::{Permit, Retention};
use crate::purpose::Purpose;
use crate::share::{Issue, ShareId, Terms, Using};

// Field order below is the canonical order of keys. A missing value has no key.

#[derive(Serialize)]
struct IntentForm<'a> {
    action: &'a str,
    /// Of a deletion, who had it done.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    at: Timestamp,
    #[serde(skip_serializing_if = "Commitments::is_empty")]
    c: Commitments,
    caller: CallerForm<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    circumstances: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    decision: DecisionForm<'a>,
    /// Of a deletion, since when its time is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    /// And by which clauses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ended_by: Vec<CitationForm<'a>>,
    facts: FactsForm<'a>,
    id: EntryId,
    media: MediaForm,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<ShareId>,
    t: &'a str,
    /// Of a share, what it gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<&'a Terms>,
    /// Of a disclosure by a share, to whose listening session it belongs.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    used: Option<UseForm<'a>>,
    v: u8,
}

#[derive(Serialize)]
struct UseForm<'a> {
    /// True if it began with this.
    opens: bool,
    session: &'a str,
}

#[derive(Serialize)]
struct ShareEndForm<'a> {
    actor: &'a str,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<Commitments>,
    id: EntryId,
    reason: &'a str,
    share: ShareId,
    t: &'a str,
    v: u8,
}

#[derive(Serialize)]
struct DeletedForm<'a> {
    actor: &'a str,
    at: Timestamp,
    ending: &'a str,
    id: EntryId,
    media: MediaForm,
    of: EntryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    t: &'a str,
    v: u8,
}

/// Why something is deleted that nobody asked for over HTTP.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Sweeping<'a> {
    /// Who has it done.
    pub(in crate::ledger) actor: &'a str,
    /// Why its time is over.
    pub(in crate::ledger) retention: &'a Retention,
}

pub(in crate::ledger) fn intent(
    id: EntryId,
    permit: &Permit,
    ask: &Ask,
    using: Option<&Using>,
) -> Result<(Open, Clear), AppendError> {
    let question = permit.question();
    let numbers = &question.facts.numbers;
    let (c, clear) = commit(ask, Some(&question.caller.id), numbers, question.now)?;
    let form = IntentForm {
        method: ask.method,
        range: ask.range.as_deref(),
        share: using.map(|using| using.share),
        used: using.and_then(|using| {
            let session = using.session.as_deref()?;
            Some(UseForm { opens: using.opens, session })
        }),
        ..IntentForm::of(id, permit, c)
    };
    Ok((open(&form), clear))
}

/// A share that was permitted to be made.
pub(in crate::ledger) fn share(
    id: EntryId,
    permit: &Permit,
    ask: &Ask,
    issue: &Issue,
) -> Result<(Open, Clear), AppendError> {
    let question = permit.question();
    let (facts, maker) = (&question.facts, &question.caller.id);
    let (c, mut clear) = commit(ask, Some(maker), &facts.numbers, question.now)?;
    let c = c.with_share(clear.share(maker, &issue.private)?);
    let form = IntentForm {
        method: ask.method,
        share: Some(issue.id),
        t: "share",
        terms: Some(&issue.terms),
        ..IntentForm::of(id, permit, c)
    };
    Ok((open(&form), clear))
}

/// The end of a share.
pub(in crate::ledger) fn share_end(
    id: EntryId,
    at: Timestamp,
    share: ShareId,
    (actor, reason, note): (&str, &str, Option<&str>),
) -> Result<(Open, Clear), AppendError> {
    let mut clear = Clear::default();
    let c = clear.note(&person_of_caller(actor), note)?;
    let form = ShareEndForm { actor, at, c, id, reason, share, t: "share-end", v: VERSION };
    Ok((open(&form), clear))
}

/// A deletion that nobody asked for over HTTP.
pub(in crate::ledger) fn deletion(
    id: EntryId,
    permit: &Permit,
    sweeping: &Sweeping<'_>,
) -> Result<(Open, Clear), AppendError> {
    let mut clear = Clear::default();
    let c = clear.subjects(&permit.question().facts.numbers)?;
    let Retention { due, clauses } = sweeping.retention;
    let form = IntentForm {
        actor: Some(sweeping.actor),
        due: *due,
        ended_by: clauses.iter().map(|clause| CitationForm::of(clause)).collect(),
        method: "DELETE",
        t: "deletion",
        ..IntentForm::of(id, permit, c)
    };
    Ok((open(&form), clear))
}

/// What came of a deletion.
pub(in crate::ledger) fn deleted(
    id: EntryId,
    at: Timestamp,
    (of, recording, media): (EntryId, Option<MediaSid>, &MediaRef),
    (actor, answer): (&str, &DeletionAnswer),
) -> Open {
    open(&DeletedForm {
        actor,
        at,
        ending: answer.ending.as_str(),
        id,
        media: MediaForm::of(media, recording),
        of,
        proof: answer.proof.map(Absence::as_str),
        status: answer.status,
        t: "deleted",
        v: VERSION,
    })
}

impl<'a> IntentForm<'a> {
    fn of(id: EntryId, permit: &'a Permit, c: Commitments) -> Self {
        let question = permit.question();
        let (facts, stated) = (&question.facts, &question.stated);
        Self {
            action: question.action.as_str(),
            actor: None,
            at: question.now,
            c,
            caller: CallerForm::of(&question.caller),
            circumstances: words(&stated.circumstances),
            country: stated.country.as_deref(),
            decision: DecisionForm::of(permit.decision()),
            due: None,
            ended_by: Vec::new(),
            facts: FactsForm::of(facts),
            id,
            media: MediaForm::of(&question.media, Some(facts.recording)),
            method: "GET",
            purpose: question.purpose.as_ref().map(Purpose::as_str),
            range: None,
            recipient: stated.recipient.as_deref(),
            share: None,
            t: "intent",
            terms: None,
            used: None,
            v: VERSION,
        }
    }
}
