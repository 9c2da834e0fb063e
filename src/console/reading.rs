//! Questions to the ledger, asked for pages: with what was opened for the one before.
//!
//! To open the ledger costs more than to ask it, so what was opened is kept and lent. Before each use
//! it is brought up to date, and forgets the keys of people, who may have been erased meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::problem::Problem;
use super::{Desk, pages};
use crate::ledger::index::IndexError;
use crate::ledger::{EvidenceError, QuestionError, Review, ReviewError};
use crate::policy::Policies;

/// LIMIT: policies of the past that are kept loaded. Most entries on a page have the same.
const PAST_MAX: usize = 8;

/// What was opened, and is lent to one question at a time.
#[derive(Debug, Default)]
pub(super) struct Readers {
    idle: Mutex<Vec<Review>>,
    past: Mutex<HashMap<String, Arc<Policies>>>,
    unusual: Mutex<pages::Kept>,
}

impl Drop for Readers {
    /// On a thread of its own: a connection to a database must not end where tasks run.
    fn drop(&mut self) {
        let idle = std::mem::take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !idle.is_empty() {
            let ended = std::thread::spawn(move || drop(idle)).join();
            if ended.is_err() {
                tracing::error!("a reader of the ledger ended badly");
            }
        }
    }
}

impl Desk {
    /// Asks the ledger, on a thread that may wait.
    pub(crate) async fn review<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Self, &mut Review) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.blocking(move |desk| {
            let mut review = desk.reader()?;
            let answer = ask(desk, &mut review);
            if answer.is_ok() {
                let mut idle = desk.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.push(review);
            }
            answer
        })
        .await
    }

    fn reader(&self) -> Result<Review, Problem> {
        let kept = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut review) = kept {
            match review.refresh() {
                Ok(()) => return Ok(review),
                Err(error) => tracing::debug!(%error, "the ledger is opened anew"),
            }
        }
        Ok(Review::open(&self.ledger, |_| {})?)
    }

    /// What was unusual for callers, as it was last worked out.
    pub(super) fn unusual(&self) -> &Mutex<pages::Kept> {
        &self.readers.unusual
    }

    /// The policies of a digest: those in force, or as the ledger has kept them.
    pub(crate) fn policies_of(
        &self,
        review: &mut Review,
        digest: &str,
    ) -> Result<Option<Arc<Policies>>, Problem> {
        let now = self.policies();
        if now.digest().as_str() == digest {
            return Ok(Some(now));
        }
        let past = || self.readers.past.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = past().get(digest) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(policies) = review.policies(digest)?.map(Arc::new) else { return Ok(None) };
        let mut past = past();
        if past.len() >= PAST_MAX {
            past.clear();
        }
        past.insert(digest.to_owned(), Arc::clone(&policies));
        Ok(Some(policies))
    }
}

impl From<ReviewError> for Problem {
    fn from(error: ReviewError) -> Self {
        match &error {
            ReviewError::Index(IndexError::TooBroad { .. }) => {
                Self::bad_value(error.to_string()).about("words")
            }
            _ => Self::unreadable(&error),
        }
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Review(error) => error.into(),
            EvidenceError::NotSigned(_) => Self::conflict(error.to_string()),
            EvidenceError::NotWhatWasSigned | EvidenceError::Make { .. } => {
                tracing::error!(%error, "an entry cannot be proven");
                Self::conflict(error.to_string())
            }
        }
    }
}

impl From<IndexError> for Problem {
    fn from(error: IndexError) -> Self {
        ReviewError::from(error).into()
    }
}

impl From<QuestionError> for Problem {
    fn from(error: QuestionError) -> Self {
        match error {
            QuestionError::Review(error) => error.into(),
            QuestionError::Number => Self::bad_value(error.to_string()).about("number"),
            QuestionError::Time(_) => Self::bad_value(error.to_string()).about("since"),
            QuestionError::Order { .. } => Self::bad_value(error.to_string()).about("until"),
            QuestionError::Pair(_) | QuestionError::Field(_) => {
                Self::bad_request(error.to_string())
            }
        }
    }
}
