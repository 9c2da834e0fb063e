//! Time as an argument.
//!
//! Every room that needs to know what time it is takes a [`Clock`]. `serve` hands out the
//! system's; tests hand out one they move by hand, so that "one second before, at, and after" is
//! a statement and not a race. No other file may ask the operating system for the time of day:
//! `clippy.toml` bans it. Timeouts are another thing (they are tokio's, which tests can pause).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Where "now" comes from.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// Microseconds since the epoch, moved only by [`Clock::set`].
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The operating system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::set`] moves it. Copies share the hand.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_microsecond()))))
    }

    /// The present, to the microsecond.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that asks the operating system"
            )]
            Source::System => {
                let now = Timestamp::now();
                Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
            }
            Source::Manual(hand) => {
                Timestamp::from_microsecond(hand.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Moves a manual clock; the system's clock cannot be moved and stays as it is.
    pub fn set(&self, to: Timestamp) {
        if let Source::Manual(hand) = &self.0 {
            hand.store(to.as_microsecond(), Ordering::SeqCst);
        }
    }
}
