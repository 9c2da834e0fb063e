//! Whether a worker still does anything: its runtime beats twice a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How often it beats.
const BEAT: Duration = Duration::from_millis(500);

/// One worker's.
#[derive(Debug)]
pub(super) struct Pulse {
    born: Instant,
    /// Milliseconds from birth to the last beat.
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { born: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl Pulse {
    /// Beats for as long as the runtime turns.
    pub(super) async fn beat(&self) {
        loop {
            let age = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.last.store(age, Ordering::Relaxed);
            tokio::time::sleep(BEAT).await;
        }
    }

    /// How long ago the last beat was.
    pub(super) fn age(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_runtime_that_does_not_turn_has_no_pulse() {
        let long = Duration::from_secs(20);
        let born = Instant::now().checked_sub(long).unwrap();
        let pulse = Pulse { born, last: AtomicU64::new(0) };
        assert!(pulse.age() >= long);
        assert!(pulse.beat().now_or_never().is_none());
        assert!(pulse.age() < long / 2);
    }
}
