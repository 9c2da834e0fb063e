//! Streams that run, decided about again: what is no longer permitted is cut off within a second.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Gate;
use crate::identity::Caller;
use crate::ledger::ShareKey;
use crate::policy::Question;
use crate::share::{EndReason, Share};

/// How often it is looked whether the ledger can still be asked for what others stated.
const LOOK: Duration = Duration::from_millis(250);

/// After how many looks a running stream is decided about again. The end of a period or other
/// policies end it that much later at the most; a statement that this gate knows ends it at once.
const LOOKS: u32 = 2;

/// The link by which a stream runs.
pub(super) struct Link {
    share: Share,
    /// Up to which place the share is known.
    seen: u64,
}

impl Link {
    /// Of a share, as it is known up to a place.
    pub(super) fn of(share: &Share, seen: u64) -> Self {
        Self { share: share.clone(), seen }
    }
}

impl Gate {
    /// Returns when what was permitted is permitted no more.
    pub(super) fn revoked(
        self: &Arc<Self>,
        question: Question,
        link: Option<Link>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let gate = Arc::clone(self);
        Box::pin(async move {
            let (mut question, mut link) = (question, link);
            let mut changes = gate.ledger.changes();
            let mut looks = 0;
            loop {
                // Whichever comes first; a ledger that is closed tells nothing, but time goes on.
                let news = tokio::time::timeout(LOOK, changes.changed()).await;
                if !gate.ledger.hears().await {
                    tracing::warn!(
                        "a running stream is cut: the ledger cannot be asked who objects"
                    );
                    return;
                }
                looks += 1;
                if news.is_err() && looks < LOOKS {
                    continue;
                }
                looks = 0;
                if let Some(link) = &mut link
                    && !gate.still_gives(link, &mut question).await
                {
                    return;
                }
                if !gate.still_permits(&mut question).await {
                    return;
                }
            }
        })
    }

    /// Whether a share still gives what it gave, and by which right.
    async fn still_gives(&self, link: &mut Link, question: &mut Question) -> bool {
        let token = &link.share.terms.token;
        if !self.ledger.is_share_as_it_was(token, link.seen) {
            match self.ledger.shares(ShareKey::Link(token)).await {
                Ok((found, seen)) => match found.into_iter().next() {
                    Some(share) => (link.share, link.seen) = (share, seen),
                    None => return false,
                },
                // Something was said, and nobody can tell what: doubt refuses.
                Err(error) => {
                    tracing::warn!(%error, "a running stream is cut: its share cannot be read");
                    return false;
                }
            }
        }
        if link.share.state(self.clock.now()).is_err() {
            self.say_expired(&link.share).await;
            return false;
        }
        let maker = &link.share.question.caller;
        match self.identity.roles_now(&maker.id, &maker.roles) {
            None => false,
            Some(roles) if roles == question.caller.roles => true,
            Some(roles) => {
                let caller = Caller { roles, ..(*question.caller).clone() };
                question.caller = Arc::new(caller);
                true
            }
        }
    }

    /// Puts on record that the time of a share is over, the first time that it matters.
    pub(super) async fn say_expired(&self, share: &Share) {
        if share.expires_unsaid(self.clock.now()) {
            let said = self.ledger.end_share(share, "gate", EndReason::Expired, None);
            if let Err(error) = said.await {
                tracing::warn!(%error, "the end of a share could not be put on record");
            }
        }
    }

    async fn still_permits(&self, question: &mut Question) -> bool {
        let policies = self.policies.now();
        let (purpose, reading) = (question.purpose.as_ref(), policies.reading());
        let facts = &question.facts;
        match self.facts.refresh(facts, purpose, &reading, &self.ledger).await {
            Ok(facts) => *question = question.clone().knowing(facts),
            // Something was said, and nobody can tell what: doubt refuses.
            Err(error) => {
                tracing::warn!(%error, "a running stream is cut: what was stated cannot be read");
                return false;
            }
        }
        question.now = self.clock.now();
        policies.judge(question).1.is_ok()
    }
}
