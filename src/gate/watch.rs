//! Streams that run, decided about again: what is no longer permitted is cut off within a second.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Gate;
use crate::policy::Question;

/// How often a running stream is decided about again. A withdrawal, a lifted promise, the end of a
/// period or other policies end it that much later at the most; a statement that this gate knows
/// ends it at once.
const AGAIN: Duration = Duration::from_millis(500);

impl Gate {
    /// Returns when what was permitted is permitted no more.
    pub(super) fn revoked(
        self: &Arc<Self>,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let gate = Arc::clone(self);
        Box::pin(async move {
            let mut question = question;
            let mut changes = gate.ledger.changes();
            loop {
                // Whichever comes first; a ledger that is closed tells nothing, but time goes on.
                let _ = tokio::time::timeout(AGAIN, changes.changed()).await;
                if !gate.still_permits(&mut question).await {
                    return;
                }
            }
        })
    }

    async fn still_permits(&self, question: &mut Question) -> bool {
        let policies = self.policies.now();
        let (purpose, reading) = (question.purpose.as_ref(), policies.reading());
        let facts = &question.facts;
        match self.facts.refresh(facts, purpose, &reading, &self.ledger).await {
            Ok(facts) => *question = question.clone().knowing(facts),
            // What cannot be read now is read at the next look.
            Err(error) => tracing::warn!(%error, "a running stream could not be looked at"),
        }
        question.now = self.clock.now();
        policies.judge(question).1.is_ok()
    }
}
