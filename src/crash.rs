//! Named steps at which a test can end the process.
//!
//! `NOTICEGATE_CRASH_AT=durable:3` aborts a development build when it comes to the step `durable`
//! for the third time, as a crash would: nothing is flushed, nothing is closed. In a release build
//! there are no such steps.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// Comes to a step.
#[cfg(debug_assertions)]
pub fn at(step: &str) {
    static ASKED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| {
        let asked = std::env::var("NOTICEGATE_CRASH_AT").ok()?;
        let (step, times) = asked.split_once(':').unwrap_or((&asked, "1"));
        Some((step.to_owned(), AtomicU64::new(times.parse().ok()?)))
    });
    if let Some((asked, left)) = asked
        && asked == step
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}

/// Comes to a step.
#[cfg(not(debug_assertions))]
pub fn at(_step: &str) {}
