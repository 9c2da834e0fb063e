//! Plaintexts that are kept for a while, so that a browser that asks for one range after the other
//! does not have the recording fetched and decrypted each time.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::Plaintext;

/// What a cache counts in. Its weights have 32 bits, which are too few for bytes.
const WEIGHT_BYTES: u64 = 1024;

/// Plaintexts by name. Copies share one.
#[derive(Clone, Debug)]
pub struct Plaintexts(Cache<String, Plaintext>);

impl Plaintexts {
    /// An empty cache that keeps at most `bytes_max` of plaintext, in memory and files together,
    /// each for `age_max` from when it was made, whether it is asked for or not.
    #[must_use]
    pub fn new(bytes_max: u64, age_max: Duration) -> Self {
        let cache = Cache::builder()
            .weigher(|_: &String, plaintext: &Plaintext| weight(plaintext))
            .max_capacity(bytes_max / WEIGHT_BYTES)
            .time_to_live(age_max);
        Self(cache.build())
    }

    /// The plaintext of this name, or what `make` gives. Whoever asks while it is being made waits
    /// for it; if the one who makes it goes away, one who waits begins anew. A plaintext that is
    /// larger than the whole cache is handed out and not kept.
    ///
    /// # Errors
    /// What `make` fails with, for all who waited; it is not kept.
    pub async fn get_or_make<F, E>(&self, name: &str, make: F) -> Result<Plaintext, Arc<E>>
    where
        F: Future<Output = Result<Plaintext, E>>,
        E: Send + Sync + 'static,
    {
        self.0.try_get_with_by_ref(name, make).await
    }

    /// Lets go of what is too old or too much. The cache does so by itself only while it is used: a
    /// gate at rest should call this now and then.
    pub async fn sweep(&self) {
        self.0.run_pending_tasks().await;
    }
}

fn weight(plaintext: &Plaintext) -> u32 {
    let weight = plaintext.len().div_ceil(WEIGHT_BYTES).max(1);
    u32::try_from(weight).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::task::Context;
    use std::time::Instant;

    use super::super::content::Whole;
    use super::super::spill::Spill;
    use super::super::tests::{all, noise, settings};
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn plaintext(length: usize) -> Plaintext {
        let mut spill = Spill::new(&settings(1000));
        spill.append(&noise(length)).unwrap();
        spill.open(Whole::without_a_check()).unwrap()
    }

    async fn make(length: usize, made: &Cell<u32>) -> Result<Plaintext, Infallible> {
        tokio::task::yield_now().await;
        made.set(made.get() + 1);
        Ok(plaintext(length))
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_or_later_gets_the_one_that_was_made() {
        let (cache, made) = (Plaintexts::new(1 << 20, HOUR), Cell::new(0));
        let ask = || cache.get_or_make("one", make(10, &made));
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        assert_eq!(made.get(), 1);
        for plaintext in [a, b, c, ask().await] {
            assert_eq!(all(&plaintext.unwrap()), noise(10));
        }
        assert_eq!(made.get(), 1);
        assert_eq!(cache.get_or_make("other", make(11, &made)).await.unwrap().len(), 11);
        assert_eq!(made.get(), 2);
    }

    #[tokio::test]
    async fn an_error_is_told_to_all_who_wait_and_not_kept() {
        let (cache, made) = (Plaintexts::new(1 << 20, HOUR), Cell::new(0));
        let fail = || async {
            tokio::task::yield_now().await;
            made.set(made.get() + 1);
            Err::<Plaintext, _>("no")
        };
        let (a, b) =
            tokio::join!(cache.get_or_make("one", fail()), cache.get_or_make("one", fail()));
        assert_eq!((*a.unwrap_err(), *b.unwrap_err(), made.get()), ("no", "no", 1));
        let better = cache.get_or_make("one", make(10, &made)).await;
        assert_eq!((better.unwrap().len(), made.get()), (10, 2));
    }

    #[tokio::test]
    async fn if_the_one_who_makes_it_goes_away_another_begins_anew() {
        let (cache, made) = (Plaintexts::new(1 << 20, HOUR), Cell::new(0));
        let mut goes = Box::pin(cache.get_or_make("one", std::future::pending::<Made>()));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(goes.as_mut().poll(&mut context).is_pending());
        let mut waits = Box::pin(cache.get_or_make("one", make(10, &made)));
        assert!(waits.as_mut().poll(&mut context).is_pending());
        assert_eq!(made.get(), 0);
        drop(goes);
        assert_eq!((waits.await.unwrap().len(), made.get()), (10, 1));
    }

    type Made = Result<Plaintext, Infallible>;

    #[tokio::test]
    async fn all_plaintexts_together_are_no_more_than_the_limit() {
        let (cache, made) = (Plaintexts::new(100 * 1024, HOUR), Cell::new(0));
        for name in 0..20 {
            cache.get_or_make(&name.to_string(), make(30 * 1024, &made)).await.unwrap();
            cache.sweep().await;
            let kept: u64 = cache.0.iter().map(|(_, plaintext)| plaintext.len()).sum();
            assert!(kept <= 100 * 1024, "{kept} bytes are kept");
        }
        assert_eq!(cache.0.weighted_size(), 90);
    }

    #[tokio::test]
    async fn a_plaintext_larger_than_the_cache_is_handed_out_and_not_kept() {
        let (cache, made) = (Plaintexts::new(1024, HOUR), Cell::new(0));
        for times in 1..3 {
            let plaintext = cache.get_or_make("one", make(1025, &made)).await.unwrap();
            assert_eq!((plaintext.len(), made.get()), (1025, times));
            cache.sweep().await;
        }
        assert_eq!(weight(&plaintext(0)), 1, "even nothing takes a place");
        assert_eq!(weight(&plaintext(1024)), 1);
        assert_eq!(weight(&plaintext(1025)), 2);
    }

    #[tokio::test]
    async fn a_plaintext_grows_old_even_if_it_is_asked_for_all_the_time() {
        let age_max = Duration::from_millis(30);
        let (cache, made) = (Plaintexts::new(1 << 20, age_max), Cell::new(0));
        let begun = Instant::now();
        while made.get() < 2 {
            cache.get_or_make("one", make(10, &made)).await.unwrap();
            assert!(begun.elapsed() < HOUR / 60, "it is kept for ever");
        }
        assert!(begun.elapsed() >= age_max);
        cache.sweep().await;
        assert!(cache.0.entry_count() <= 1);
    }
}
