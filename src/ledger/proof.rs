//! The values by which a program shows that it may go on.
//!
//! Each is made only here, cannot be copied, and is taken by value by the next step. Dropping one
//! on the way (a caller who hangs up, an error, a bug) writes an outcome that says nothing was
//! released, so that no intent is left without an end while the process lives.

use std::time::Duration;

use tokio::sync::oneshot;

use super::entry::{Ending, EntryId, Served};
use super::writer::Answer;
use super::{AppendError, Ledger};
use crate::crash;
use crate::media::MediaRef;
use crate::policy::Permit;

/// Proof that an intent is on its way to the ledger. The upstream may be asked with it, but what
/// it answers stays sealed.
#[derive(Debug)]
pub struct Intent {
    id: EntryId,
    permit: Permit,
}

impl Intent {
    pub(super) fn new(id: EntryId, permit: Permit) -> Self {
        Self { id, permit }
    }

    /// The intent's entry.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// What may be fetched.
    #[must_use]
    pub fn media(&self) -> MediaRef {
        self.permit.question().media
    }
}

/// The promise of a [`Receipt`].
#[derive(Debug)]
#[must_use = "the receipt has to be waited for"]
pub struct Pledge {
    id: EntryId,
    answered: oneshot::Receiver<Answer>,
    timeout: Duration,
    guard: Guard,
}

impl Pledge {
    pub(super) fn new(
        id: EntryId,
        answered: oneshot::Receiver<Answer>,
        timeout: Duration,
        ledger: Ledger,
    ) -> Self {
        Self { id, answered, timeout, guard: Guard { id, ledger: Some(ledger) } }
    }

    /// Waits until the entry is durable.
    ///
    /// # Errors
    /// [`AppendError`]. Should the entry become durable later all the same, its outcome will say
    /// that nothing was released.
    pub async fn durable(mut self) -> Result<Receipt, AppendError> {
        match tokio::time::timeout(self.timeout, &mut self.answered).await {
            Ok(Ok(Answer::Durable)) => {
                crash::at("received");
                Ok(Receipt { id: self.id, guard: self.guard })
            }
            Ok(Ok(Answer::Failed(error))) => {
                // The writer knows that this one failed and will close it, should it turn up.
                self.guard.ledger = None;
                Err(error)
            }
            Ok(Err(_)) => {
                self.guard.ledger = None;
                Err(AppendError::Closed("the writer has stopped".to_owned()))
            }
            Err(_) => Err(AppendError::TooSlow),
        }
    }
}

/// Proof that an intent is durable. It is spent, once, on opening what the upstream answered to
/// that very intent.
///
/// ```
/// # use noticegate::ledger::{OpenDisclosure, Receipt};
/// # use noticegate::upstream::{Opened, Sealed, UpstreamError};
/// fn spend(sealed: Sealed, receipt: Receipt) -> (OpenDisclosure, Result<Opened, UpstreamError>) {
///     sealed.open(receipt)
/// }
/// ```
///
/// Spending it twice does not compile:
///
/// ```compile_fail,E0382
/// # use noticegate::ledger::{OpenDisclosure, Receipt};
/// # use noticegate::upstream::{Opened, Sealed, UpstreamError};
/// fn twice(one: Sealed, two: Sealed, receipt: Receipt) {
///     one.open(receipt);
///     two.open(receipt);
/// }
/// ```
///
/// Nor does making one:
///
/// ```compile_fail,E0451
/// # use noticegate::ledger::{EntryId, Receipt};
/// fn forge(id: EntryId) -> Receipt {
///     Receipt { id, guard: todo!() }
/// }
/// ```
///
/// Nor opening an answer without one:
///
/// ```compile_fail,E0061
/// # use noticegate::ledger::{OpenDisclosure, Receipt};
/// # use noticegate::upstream::{Opened, Sealed, UpstreamError};
/// fn unpaid(sealed: Sealed) -> (OpenDisclosure, Result<Opened, UpstreamError>) {
///     sealed.open()
/// }
/// ```
#[derive(Debug)]
#[must_use = "a receipt that is not spent discloses nothing"]
pub struct Receipt {
    id: EntryId,
    guard: Guard,
}

impl Receipt {
    /// The entry it stands for.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Spends the receipt. From here on what is handed over is counted.
    pub(crate) fn spend(mut self) -> OpenDisclosure {
        OpenDisclosure {
            id: self.id,
            served: Served::not(Ending::CallerLeft),
            ledger: self.guard.ledger.take(),
        }
    }
}

/// A disclosure that is under way. It writes its outcome when it is closed or dropped.
#[derive(Debug)]
#[must_use = "a disclosure has to be closed"]
pub struct OpenDisclosure {
    id: EntryId,
    served: Served,
    ledger: Option<Ledger>,
}

impl OpenDisclosure {
    /// The intent's entry, to quote to the caller.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Notes what the caller is sent, before it is sent.
    pub fn answer(&mut self, status: u16, first: u64, length: Option<u64>) {
        self.served = Served { status: Some(status), first, length, ..self.served };
    }

    /// Counts bytes that are handed to the caller's connection.
    pub fn count(&mut self, bytes: u64) {
        self.served.bytes += bytes;
    }

    /// How many bytes have been handed over.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.served.bytes
    }

    /// Ends it.
    pub fn close(mut self, ending: Ending) {
        self.served.ending = ending;
    }
}

impl Drop for OpenDisclosure {
    /// Dropped without a word, the caller has left: nobody else can end the stream early.
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            ledger.conclude(self.id, &self.served);
        }
    }
}

/// Writes "nothing was released" if it is dropped with its ledger.
#[derive(Debug)]
struct Guard {
    id: EntryId,
    ledger: Option<Ledger>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            ledger.conclude(self.id, &Served::not(Ending::NotReleased));
        }
    }
}
