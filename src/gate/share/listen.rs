//! Sound by a link: decided again, recorded, counted as a listening session, served.
//!
//! Each request is a disclosure with an intent of its own. The first of a client's within the time
//! of a session begins a session: its intent is what counts as a use, and the store takes it only
//! if nobody has used or ended the share since its decision looked. Whoever was overtaken looks
//! again; so however many come at once, at however many gates, there are as many sessions as the
//! share has uses.

use std::sync::Arc;

use http::Response;
use http::header::USER_AGENT;
use tokio::sync::OwnedMutexGuard;

use super::super::watch::Link;
use super::super::{Worker, ask};
use super::page::Visitor;
use super::visit::{Behind, Visit};
use super::{DECISIONS_MAX, No, Not};
use crate::asked::{Asked, Verb};
use crate::ledger::Ask;
use crate::media::{Conditions, Query, Target};
use crate::policy::Verdict;
use crate::respond::{self, Problem};
use crate::share::{Share, Using};
use crate::stream::ReplyBody;

impl Worker {
    /// Hands over sound by a link.
    pub(super) async fn listen(
        &self,
        visit: &Visit<'_>,
        found: (Share, u64),
        conditions: Conditions,
    ) -> Result<Response<ReplyBody>, Not> {
        let (mut share, mut seen) = found;
        if visit.behind == Behind::Download && !share.terms.download {
            let record = self.refused_visit(visit, &share, "share-listen-only");
            return Err(Not::problem(Problem::no_such_link(), record));
        }
        let mut turn: Option<OwnedMutexGuard<()>> = None;
        for _ in 0..DECISIONS_MAX {
            let visitor = self.visitor(visit, &share);
            let in_session = self.check_share(visit, &share, &visitor)?;
            if !self.has_passed(visit, &share, &visitor).await? {
                let record = self.refused_visit(visit, &share, "share-secret");
                return Err(Not::problem(Problem::share_secret(visit.is_program()), record));
            }
            let opens = !in_session && visit.verb == Verb::Get;
            if opens && turn.is_none() {
                // One after the other; what the one before did is known to the next.
                turn = Some(self.gate.shares.turns.wait(&visit.digest).await);
            } else {
                let going = Going { visit, share: &share, visitor, seen, opens };
                match self.hand_over(going, &conditions, &mut turn).await {
                    Err(not) if not.is_stale() => {}
                    done => return done,
                }
            }
            let (again, place) = self.find(&visit.digest).await?;
            share = again.ok_or_else(|| Not::problem(Problem::no_such_link(), None))?;
            seen = place;
        }
        Err(Not::problem(Problem::share_contended(), None))
    }

    async fn hand_over(
        &self,
        going: Going<'_>,
        conditions: &Conditions,
        turn: &mut Option<OwnedMutexGuard<()>>,
    ) -> Result<Response<ReplyBody>, Not> {
        let Going { visit, share, ref visitor, seen, opens } = going;
        let (mut known, facts) = self.facts_of(visit, share).await?;
        known.asked.conditions = conditions.clone();
        let media = share.question.media;
        let no = |no| visit.no(share, no);
        let lock = self.unlock(&known, media, &facts).map_err(no)?;
        let question = || {
            let who = (Arc::clone(&known.caller), &share.question.stated);
            self.share_question(who, (media, known.purpose()), Arc::clone(&facts), &lock)
        };
        let permit = match self.gate.policies.now().decide(question()) {
            Verdict::Permit(permit) => permit,
            Verdict::Refuse(refusal) => {
                return Err(self.refused_share(visit, share, &known, refusal));
            }
        };
        let using = Using {
            share: share.id,
            token: visit.digest.clone(),
            session: (visit.verb == Verb::Get).then(|| visitor.session.clone()),
            opens,
            seen,
        };
        let asking = Ask { method: visit.method, ..ask(&known.asked, known.address) };
        let intended = self.gate.ledger.intend_use(permit, &asking, &using);
        let (intent, pledge) = intended.map_err(|error| no(No::Ledger(error)))?;
        // No link that leads past this decision goes out with sound.
        let ticket = |_: &_| String::new();
        let mut wanted = known.wanted(&ticket, &lock);
        wanted.portion = share.terms.portion;
        let fetched = async { Ok(self.upstream.ask(&known.site, &intent, &wanted).await) };
        let durable = async {
            let receipt = pledge.durable().await;
            // It counts, or has failed: the next one need not wait for Twilio.
            drop(turn.take());
            receipt
        };
        let (sealed, receipt) =
            tokio::try_join!(fetched, durable).map_err(|error| no(No::Ledger(error)))?;
        let (disclosure, answer) = sealed.open(receipt);
        let link = Link::of(share, seen);
        let revoked = self.gate.revoked(question(), Some(link));
        let mut response = respond::disclose(disclosure, answer, known.form, Some(revoked));
        respond::share_sound(&mut response, saved_as(visit, share).as_deref());
        Ok(response)
    }
}

/// One try to hand something over.
struct Going<'a> {
    visit: &'a Visit<'a>,
    share: &'a Share,
    visitor: Visitor,
    seen: u64,
    opens: bool,
}

impl Visit<'_> {
    /// The request, as one for what is shared.
    pub(super) fn asked(&self, share: &Share) -> Asked {
        let question = &share.question;
        let agent = self.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Asked {
            target: Target {
                media: question.media,
                account: Some(question.media.account),
                query: Query::default(),
                purpose: None,
                ticket: None,
            },
            purpose: question.purpose.clone(),
            verb: self.verb,
            conditions: Conditions::default(),
            host: self.host.split(':').next().unwrap_or_default().to_ascii_lowercase(),
            origin: format!("https://{}", self.host),
            agent: agent.map(str::to_owned),
            reference: None,
            reason: None,
        }
    }
}

/// Under which name it is saved, if it may be.
fn saved_as(visit: &Visit<'_>, share: &Share) -> Option<String> {
    let saves = share.terms.download && visit.behind != Behind::Listen;
    saves.then(|| format!("recording.{}", share.question.media.row().form))
}
