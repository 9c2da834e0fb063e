//! Looking: an account's list, page by page, and what is due of it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::{Fate, Found, Run, Step, SweepError, refused};
use crate::facts::{Facts, FactsError, RecordingStatus};
use crate::media::{MediaRef, MetadataRef, Parameter, Product, Query};
use crate::upstream::{Listed, Metadata, Site, UpstreamError};

/// LIMIT: things whose facts are asked for at once; each may cost two requests at Twilio, of which
/// callers need some.
const AT_ONCE: usize = 8;

/// The largest page that each of Twilio's products gives.
fn page_size(product: Product) -> &'static str {
    match product {
        Product::Api | Product::Intelligence => "1000",
        _ => "100",
    }
}

/// Something that was found, and its facts.
pub(super) type Gathered = (MediaRef, Result<Arc<Facts>, FactsError>);

impl Run<'_> {
    /// Looks through a list; returns what is due. When only looking, that is told, too.
    pub(super) fn look(
        &mut self,
        list: MediaRef,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<Vec<MediaRef>, SweepError> {
        let Some(site) = self.sweep.accounts.of(list.account) else { return Ok(Vec::new()) };
        let mut due = Vec::new();
        let mut query = self.first_page(&list);
        while let Some(asked) = query.take() {
            let page = self.wait(async {
                let listed = self.sweep.upstream.list(&site, list, &asked).await?;
                let next = listed.next()?;
                Ok::<_, UpstreamError>((self.gather_page(&site, &listed).await, next))
            })?;
            match page {
                Ok((items, next)) => {
                    for gathered in items {
                        if self.is_full(&due) {
                            return Ok(due);
                        }
                        due.extend(self.judge(gathered, tell));
                    }
                    query = next.filter(|next| *next != asked);
                }
                Err(error) => {
                    let problem = format!("{list} cannot be read: {error}");
                    self.found(&nothing(list, Fate::failed(problem)), tell);
                }
            }
            tell(Step::Looked(self.totals.looked));
        }
        Ok(due)
    }

    /// True if no more is to be deleted.
    fn is_full(&self, due: &[MediaRef]) -> bool {
        let told = ["due", "deleted", "gone", "partial", "failed", "not-proven"];
        let done: u64 = told.iter().filter_map(|fate| self.totals.fates.get(fate)).sum();
        let waiting = if self.order.delete { due.len() as u64 } else { 0 };
        self.order.limit.is_some_and(|limit| done + waiting >= limit)
    }

    /// Of voice recordings, which are made when people speak, the young ones need not be listed.
    fn first_page(&self, list: &MediaRef) -> Option<Query> {
        let size = (Parameter::PageSize, page_size(list.row().product));
        let shortest = self.sweep.policies.shortest_keep()?;
        let day = SignedDuration::from_hours(24);
        let young = self.sweep.clock.now().checked_sub(shortest.saturating_sub(day)).ok()?;
        let young = TimeZone::UTC.to_datetime(young).date().to_string();
        let by_day = list.to_string().ends_with("/Recordings.json");
        let before = by_day.then_some((Parameter::DateCreatedBefore, young.as_str()));
        let pairs: Vec<(Parameter, &str)> = [size].into_iter().chain(before).collect();
        Query::of(&pairs).ok()
    }

    async fn gather_page(&self, site: &Site, listed: &Listed) -> Vec<Gathered> {
        let gathering = listed.items().map(|(item, json)| async move {
            // What the item says itself need not be read again.
            let own = item.subject().filter(|subject| Some(subject.sid()) == item.sid());
            (item, self.gather(site, item, own.map(|own| (own, json))).await)
        });
        let gathering: Vec<_> = gathering.collect();
        futures_util::stream::iter(gathering).buffered(AT_ONCE).collect().await
    }

    /// The facts of a thing; `known` is what has been read of it already.
    pub(super) async fn gather(
        &self,
        site: &Site,
        media: MediaRef,
        known: Option<(MetadataRef, Bytes)>,
    ) -> Result<Arc<Facts>, FactsError> {
        let sweep = self.sweep;
        let subject = media.subject().ok_or(FactsError::NoSuchRecording)?;
        let source = Metadata { upstream: &sweep.upstream, site, known };
        let purpose = Some(&sweep.config.retention.purpose);
        let (artefact, reading) = (media.row().artefact, sweep.policies.reading());
        let sources = (&source, &sweep.register);
        sweep.facts.gather(subject, artefact, purpose, &reading, sources).await
    }

    /// Judges what was found; returns it if it is to be deleted.
    fn judge(
        &mut self,
        (media, facts): Gathered,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Option<MediaRef> {
        self.totals.looked += 1;
        let (found, is_due) = match facts {
            Ok(facts) => self.fate(media, &facts),
            Err(error) => {
                let error = match error {
                    // It was on the list a moment ago.
                    FactsError::NoSuchRecording => {
                        "Twilio does not know what it was made from".into()
                    }
                    error => error.to_string(),
                };
                (Found { media: Some(media), ..nothing(media, Fate::failed(error)) }, false)
            }
        };
        match is_due && self.order.delete {
            // What becomes of it is told when it has become of it.
            true => return Some(media),
            false => self.found(&found, tell),
        }
        None
    }

    /// What would become of it, and whether it is due.
    fn fate(&self, media: MediaRef, facts: &Arc<Facts>) -> (Found, bool) {
        let policies = &self.sweep.policies;
        if is_gone(facts) {
            return (nothing_left(media), false);
        }
        let retention = policies.retention(facts, self.sweep.clock.now());
        let mut found = Found {
            due: retention.due,
            clauses: retention.clauses.clone(),
            media: Some(media),
            ..nothing(media, Fate::NotDue)
        };
        if !retention.is_over(self.sweep.clock.now()) {
            return (found, false);
        }
        let (decision, answer) = policies.judge(&self.question(media, Arc::clone(facts)));
        let is_due = answer.is_ok();
        found.fate = match answer {
            Ok(()) => Fate::Due,
            Err(reason) => refused(&decision.citations, &reason),
        };
        (found, is_due)
    }
}

/// Nothing is there to be deleted: it was deleted, or nothing was ever recorded.
pub(super) fn is_gone(facts: &Facts) -> bool {
    matches!(facts.status, RecordingStatus::Deleted | RecordingStatus::Absent)
}

fn nothing(of: MediaRef, fate: Fate) -> Found {
    let (account, clauses, parts) = (of.account, Vec::new(), Vec::new());
    Found { media: None, account, due: None, clauses, fate, parts }
}

/// What is not there any more is not worth a word.
fn nothing_left(media: MediaRef) -> Found {
    Found { media: Some(media), ..nothing(media, Fate::NotDue) }
}
