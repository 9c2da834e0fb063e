//! What one connection does: requests that run, and requests that were taken back.
//!
//! HTTP/2 lets a caller open a stream and reset it at once, over and over (CVE-2023-44487), which
//! costs the caller nothing and the gate a decision each. A connection whose caller takes back
//! more than it lets be answered is closed. hyper and h2 count those streams that they had not
//! handed over yet; the others are counted here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// One connection's.
#[derive(Debug, Default)]
pub(super) struct Activity {
    running: AtomicUsize,
    /// Requests that were taken back, less those that were answered; never below zero.
    debt: AtomicI64,
    changed: Notify,
}

impl Activity {
    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        Running { of: Arc::clone(self), answered: false }
    }

    /// Returns when a request runs.
    pub(super) async fn busy(&self) {
        loop {
            let changed = self.changed.notified();
            if self.running.load(Ordering::SeqCst) > 0 {
                return;
            }
            changed.await;
        }
    }

    /// Returns when no request has run for this long.
    pub(super) async fn idle(&self, longest: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.running.load(Ordering::SeqCst) > 0 {
                changed.await;
            } else if timeout(longest, changed).await.is_err() {
                return;
            }
        }
    }

    /// Returns when more requests than this have been taken back.
    pub(super) async fn flooded(&self, most: u64) {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        loop {
            let changed = self.changed.notified();
            if self.debt.load(Ordering::SeqCst) > most {
                return;
            }
            changed.await;
        }
    }
}

/// A request, until its answer's last byte has been handed over.
#[derive(Debug)]
pub(super) struct Running {
    of: Arc<Activity>,
    answered: bool,
}

impl Running {
    /// It has an answer; what happens to that is no fault of the caller's.
    pub(super) fn answered(&mut self) {
        self.answered = true;
        let pay = |debt: i64| Some(debt.saturating_sub(1).max(0));
        let _ = self.of.debt.fetch_update(Ordering::SeqCst, Ordering::SeqCst, pay);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.answered {
            self.of.debt.fetch_add(1, Ordering::SeqCst);
        }
        self.of.running.fetch_sub(1, Ordering::SeqCst);
        self.of.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn what_is_answered_pays_for_what_was_taken_back() {
        let activity = Arc::new(Activity::default());
        let flooded = || activity.flooded(2).now_or_never().is_some();
        for _ in 0..2 {
            drop(activity.begin());
        }
        assert!(!flooded());
        activity.begin().answered();
        drop(activity.begin());
        assert!(!flooded(), "one was paid for");
        drop(activity.begin());
        assert!(flooded());
    }

    #[tokio::test]
    async fn a_connection_is_idle_when_nothing_runs() {
        let activity = Arc::new(Activity::default());
        let longest = Duration::from_millis(10);
        let running = activity.begin();
        assert!(timeout(longest * 5, activity.idle(longest)).await.is_err());
        drop(running);
        assert!(timeout(longest * 500, activity.idle(longest)).await.is_ok());
    }
}
