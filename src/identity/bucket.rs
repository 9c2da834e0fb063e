//! How often a client may ask: a token bucket in one number.
//!
//! The number is the time at which the bucket will be full again (the generic cell rate algorithm
//! of ITU-T I.371). A request moves it on by the time that one token takes to flow in, and is over
//! the limit if that would be further ahead than the whole bucket takes.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// How often, and how often at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, over time.
    pub per_second: i64,
    /// Requests at once, after a silence.
    pub burst: i64,
}

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds since the epoch at which the bucket will be full.
#[derive(Debug)]
pub(crate) struct Bucket(AtomicI64);

impl Default for Bucket {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Bucket {
    /// Takes a token; if there is none, says in how many seconds there will be one.
    pub(crate) fn take(&self, rate: Rate, now: Timestamp) -> Result<(), u32> {
        let now = now.as_microsecond().saturating_mul(1_000);
        let each = SECOND / rate.per_second.max(1);
        let last = now.saturating_add(each.saturating_mul(rate.burst.max(1)));
        // No bucket is emptier than empty: what lies further ahead was written before the clock
        // was set back, and must not lock the client out until the clock is there again.
        let held = |full_at: i64| full_at.clamp(now, last);
        let next = |full_at: i64| Some(held(full_at).saturating_add(each)).filter(|n| *n <= last);
        let step = |full_at: i64| Some(next(full_at).unwrap_or(held(full_at)));
        let (Ok(before) | Err(before)) =
            self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
        if next(before).is_some() {
            return Ok(());
        }
        let wait = held(before).saturating_add(each).saturating_sub(last);
        Err(u32::try_from(wait.saturating_add(SECOND - 1) / SECOND).unwrap_or(u32::MAX).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_microsecond(1_795_435_200_000_000 + micros).unwrap()
    }

    #[test]
    fn a_burst_passes_and_one_more_does_not() {
        let (bucket, rate) = (Bucket::default(), Rate { per_second: 2, burst: 3 });
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, at(0)), Ok(()));
        }
        assert_eq!(bucket.take(rate, at(0)), Err(1));
        assert_eq!(bucket.take(rate, at(499_999)), Err(1));
        assert_eq!(bucket.take(rate, at(500_000)), Ok(()), "what was refused took nothing");
        assert_eq!(bucket.take(rate, at(500_000)), Err(1));
        // After a long silence the bucket is full and no fuller.
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, at(60_000_000)), Ok(()));
        }
        assert_eq!(bucket.take(rate, at(60_000_000)), Err(1));
    }

    #[test]
    fn a_clock_that_is_set_back_costs_no_more_than_one_token() {
        let (bucket, rate) = (Bucket::default(), Rate { per_second: 1, burst: 1 });
        assert_eq!(bucket.take(rate, at(3_600_000_000)), Ok(()));
        assert_eq!(bucket.take(rate, at(0)), Err(1));
        assert_eq!(bucket.take(rate, at(999_999)), Err(1));
        assert_eq!(bucket.take(rate, at(1_000_000)), Ok(()));
    }

    #[test]
    fn no_time_and_no_rate_overflows() {
        for rate in [Rate { per_second: 0, burst: 0 }, Rate { per_second: 1, burst: i64::MAX }] {
            for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
                assert_eq!(Bucket::default().take(rate, now), Ok(()));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            per_second in 1..50i64,
            burst in 1..50i64,
            steps in proptest::collection::vec(0..200_000i64, 1..400),
        ) {
            let (bucket, rate) = (Bucket::default(), Rate { per_second, burst });
            let (mut now, mut taken) = (0, 0);
            for step in steps {
                now += step;
                taken += i64::from(bucket.take(rate, at(now)).is_ok());
            }
            proptest::prop_assert!(taken <= burst + now * per_second / 1_000_000 + 1);
        }
    }
}
