//! Acting: one deletion after another, each on record before and after.

use std::sync::Arc;
use std::time::Instant;

use super::look::is_gone;
use super::{Acting, Fate, Found, Run, SILENT_MAX, Step, SweepError, refused};
use crate::crash;
use crate::facts::{Facts, FactsError};
use crate::ledger::{self, ClerkError, Deletion, DeletionAnswer, DeletionEnding, OpenDeletion};
use crate::media::{MediaRef, MediaSid, Parameter, Product, Query, SidKind};
use crate::policy::{Retention, Verdict};
use crate::upstream::{Site, UpstreamError};

/// LIMIT: how often a deletion is decided about, because each time something was said of the
/// recording before it was on record. Then the next sweep may try.
const DECISIONS_MAX: usize = 4;

/// What was decided about a deletion.
enum Decided {
    Recorded(Box<Deletion>),
    Not(Fate),
}

impl Run<'_> {
    /// Looks up at Twilio what earlier sweeps left without an answer, and puts it on record.
    pub(super) fn resolve(&mut self) -> Result<(), SweepError> {
        let Some(acting) = &mut self.acting else { return Ok(()) };
        for open in ledger::unanswered(&mut acting.review)? {
            let media = open.media();
            let Some(site) = self.sweep.accounts.of(media.account) else { continue };
            if self.close(&site, open, None)?.is_some() {
                self.totals.resolved += 1;
            }
        }
        Ok(())
    }

    /// Deletes what was found to be due.
    pub(super) fn delete_all(
        &mut self,
        due: Vec<MediaRef>,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), SweepError> {
        for media in due {
            let found = self.delete_whole(media)?;
            self.found(&found, tell);
        }
        Ok(())
    }

    /// Deletes a recording after everything that was made from it.
    fn delete_whole(&mut self, media: MediaRef) -> Result<Found, SweepError> {
        let mut found = Found {
            media: Some(media),
            account: media.account,
            due: None,
            clauses: Vec::new(),
            fate: Fate::NotDue,
            parts: Vec::new(),
        };
        let Some(site) = self.sweep.accounts.of(media.account) else { return Ok(found) };
        // Nothing that was made from it goes while the recording itself is held.
        let facts = match self.judged(&site, media, media)? {
            Ok((facts, retention)) => {
                (found.due, found.clauses) = (retention.due, retention.clauses);
                facts
            }
            Err(fate) => return Ok(Found { fate, ..found }),
        };
        if let (Verdict::Refuse(refusal), _) = self.decide(media, &facts) {
            let fate = refused(&refusal.decision.citations, &refusal.reason);
            return Ok(Found { fate, ..found });
        }
        match self.wait(self.made_from(&site, media))? {
            Ok(parts) => {
                for part in parts {
                    let fate = self.delete_one(&site, part, media)?;
                    found.parts.push((part, fate));
                }
            }
            Err(error) => {
                let fate = Fate::failed(format!("what was made from it is not told: {error}"));
                return Ok(Found { fate, ..found });
            }
        }
        found.fate = match found.parts.iter().all(|(_, fate)| fate.is_gone()) {
            true => self.delete_one(&site, media, media)?,
            false => Fate::Partial,
        };
        Ok(found)
    }

    /// Everything that was made from a voice recording and can be deleted.
    async fn made_from(
        &self,
        site: &Site,
        media: MediaRef,
    ) -> Result<Vec<MediaRef>, UpstreamError> {
        let recording = media.sid().filter(|sid| sid.kind() == SidKind::Recording);
        let Some(recording) = recording else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for list in MediaRef::lists_of_derived(media.account, recording) {
            self.whole_list(site, list, Query::default(), &mut found).await?;
        }
        let source = recording.to_string();
        let of_intelligence = MediaRef::deletable_lists(media.account)
            .filter(|list| list.row().product == Product::Intelligence);
        for list in of_intelligence {
            let query = Query::of(&[(Parameter::SourceSid, &source)]);
            let query = query.map_err(|_| UpstreamError::Unusable("it cannot be asked for"))?;
            self.whole_list(site, list, query, &mut found).await?;
        }
        Ok(found)
    }

    async fn whole_list(
        &self,
        site: &Site,
        list: MediaRef,
        first: Query,
        into: &mut Vec<MediaRef>,
    ) -> Result<(), UpstreamError> {
        let mut query = Some(first);
        while let Some(asked) = query.take() {
            let listed = self.sweep.upstream.list(site, list, &asked).await?;
            into.extend(listed.items().map(|(item, _)| item));
            query = listed.next()?.filter(|next| *next != asked);
        }
        Ok(())
    }

    /// The facts of a thing, if its owner's time is over; else its fate.
    fn judged(
        &mut self,
        site: &Site,
        media: MediaRef,
        owner: MediaRef,
    ) -> Result<Result<(Arc<Facts>, Retention), Fate>, SweepError> {
        let fate = |error| match error {
            FactsError::NoSuchRecording => Fate::Gone,
            other => Fate::failed(other),
        };
        let owned = match self.wait(self.gather(site, owner, None))? {
            Ok(facts) => facts,
            Err(error) => return Ok(Err(fate(error))),
        };
        if media == owner && is_gone(&owned) {
            return Ok(Err(Fate::Gone));
        }
        let now = self.sweep.clock.now();
        let retention = self.sweep.policies.retention(&owned, now);
        if !retention.is_over(now) {
            return Ok(Err(Fate::NotDue));
        }
        let facts = match media == owner {
            true => Ok(owned),
            false => self.wait(self.gather(site, media, None))?,
        };
        Ok(facts.map(|facts| (facts, retention)).map_err(fate))
    }

    fn decide(&self, media: MediaRef, facts: &Arc<Facts>) -> (Verdict, Arc<Facts>) {
        let question = self.question(media, Arc::clone(facts));
        (self.sweep.policies.decide(question), Arc::clone(facts))
    }

    /// Deletes one thing, for which the time of its owner has to be over.
    fn delete_one(
        &mut self,
        site: &Site,
        media: MediaRef,
        owner: MediaRef,
    ) -> Result<Fate, SweepError> {
        let deletion = match self.record(site, media, owner)? {
            Decided::Recorded(deletion) => deletion,
            Decided::Not(fate) => return Ok(fate),
        };
        crash::at("deletion");
        let (open, answer) = self.wait(self.sweep.upstream.delete_recorded(site, *deletion))?;
        crash::at("delete-answered");
        let status = answer.as_ref().ok().copied();
        if let Some(acting) = &mut self.acting {
            acting.silent = if status.is_some() { 0 } else { acting.silent + 1 };
            if acting.silent > SILENT_MAX {
                return Err(SweepError::Silent);
            }
        }
        let closed = self.close(site, open, status)?;
        crash::at("deleted");
        self.forget(media)?;
        Ok(match (closed, status, answer) {
            (Some(DeletionEnding::Gone), Some(404 | 410), _) => Fate::Gone,
            (Some(DeletionEnding::Gone), ..) => Fate::Deleted,
            (Some(DeletionEnding::NotProven), ..) => Fate::NotProven,
            (_, status, Ok(_)) => {
                let problem = "Twilio did not delete it".to_owned();
                Fate::Failed { status, problem }
            }
            (_, _, Err(error)) => Fate::failed(error),
        })
    }

    /// Decides and puts on record, as often as something is stated in between.
    fn record(
        &mut self,
        site: &Site,
        media: MediaRef,
        owner: MediaRef,
    ) -> Result<Decided, SweepError> {
        self.pace()?;
        for _ in 0..DECISIONS_MAX {
            let (facts, retention) = match self.judged(site, media, owner)? {
                Ok(judged) => judged,
                Err(fate) => return Ok(Decided::Not(fate)),
            };
            if self.was_deleted(facts.recording, &media)? {
                return Ok(Decided::Not(self.look_again(site, &media)?));
            }
            let permit = match self.decide(media, &facts).0 {
                Verdict::Permit(permit) => permit,
                Verdict::Refuse(refusal) => {
                    let fate = refused(&refusal.decision.citations, &refusal.reason);
                    return Ok(Decided::Not(fate));
                }
            };
            crash::at("delete-decided");
            let Some(Acting { clerk, .. }) = &mut self.acting else { break };
            let (policies, register) = (&self.sweep.policies, &self.sweep.register);
            if let Some(deletion) = clerk.delete(permit, &retention, policies, register)? {
                return Ok(Decided::Recorded(Box::new(deletion)));
            }
        }
        let problem = "what is known of it changes all the time; the next sweep tries again";
        Ok(Decided::Not(Fate::failed(problem)))
    }

    /// Whether Twilio has said to an earlier sweep that it is gone: then it is not asked again.
    fn was_deleted(&mut self, recording: MediaSid, media: &MediaRef) -> Result<bool, SweepError> {
        let Some(acting) = &mut self.acting else { return Ok(false) };
        Ok(ledger::was_deleted(&mut acting.review, recording, media)?)
    }

    fn look_again(&self, site: &Site, media: &MediaRef) -> Result<Fate, SweepError> {
        Ok(match self.wait(self.sweep.upstream.absence(site, media))? {
            Ok(Some(_)) => Fate::Gone,
            Ok(None) => Fate::NotProven,
            Err(error) => Fate::failed(error),
        })
    }

    /// Asks Twilio whether it is gone, and puts the answer on record; `None` if there is none yet.
    fn close(
        &mut self,
        site: &Site,
        open: OpenDeletion,
        status: Option<u16>,
    ) -> Result<Option<DeletionEnding>, SweepError> {
        let media = open.media();
        let said_gone = status.is_some_and(|status| matches!(status, 204 | 404 | 410));
        let asks = said_gone || status.is_none();
        let proof = match asks {
            true => self.wait(self.sweep.upstream.absence(site, &media))?,
            false => Ok(None),
        };
        let (proof, ending) = match proof {
            Ok(Some(proof)) => (Some(proof), DeletionEnding::Gone),
            _ if said_gone => (None, DeletionEnding::NotProven),
            Ok(None) => (None, DeletionEnding::Failed),
            Err(error) => {
                tracing::warn!(%media, %error, "nobody knows whether it was deleted");
                return Ok(None);
            }
        };
        let answer = DeletionAnswer { status, proof, ending };
        let Some(Acting { clerk, .. }) = &mut self.acting else { return Ok(None) };
        clerk.deleted(open, &answer).map_err(|error: ClerkError| SweepError::Clerk(error))?;
        Ok(Some(ending))
    }

    /// What is known of it is known no more.
    fn forget(&self, media: MediaRef) -> Result<(), SweepError> {
        let Some(subject) = media.subject() else { return Ok(()) };
        self.wait(async {
            self.sweep.facts.forget(subject).await;
            self.sweep.facts.forget(subject.even_deleted()).await;
        })
    }

    /// Waits until the next deletion may come.
    fn pace(&mut self) -> Result<(), SweepError> {
        let Some(Acting { last, pause, .. }) = &self.acting else { return Ok(()) };
        let rest =
            last.map_or(std::time::Duration::ZERO, |last| pause.saturating_sub(last.elapsed()));
        if !rest.is_zero() {
            self.wait(async { tokio::time::sleep(rest).await })?;
        }
        if let Some(acting) = &mut self.acting {
            acting.last = Some(Instant::now());
        }
        Ok(())
    }
}
