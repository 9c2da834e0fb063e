//! How much one of many may take, so that nobody's hunger starves the others.
//!
//! Connections and requests of an address, streams and requests of a caller, requests of all. What
//! is taken is given back when its [`Place`] is dropped. Nothing here is in the ledger: what is
//! refused for this was not looked at. It is counted.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{Count, Limits};
use crate::identity::{Bucket, Rate};
use crate::metrics::Metrics;
use crate::words::words;

/// LIMIT: addresses and callers whose rates are remembered. Beyond it the one that was silent the
/// longest is forgotten, which lets it ask anew: memory is bounded before rates are.
const REMEMBERED_MAX: u64 = 100_000;

/// After this long without a request a bucket is full again, so that it can be forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

words! {
    /// A limit, by its key in `[limits]`.
    Limit {
        /// Connections of one address.
        Connections = "connections_per_address_max",
        /// Requests of all callers at once.
        Requests = "requests_max",
        /// Requests of one caller at once.
        Streams = "streams_per_caller_max",
        /// How often an address asks.
        AddressRate = "requests_per_address_per_second",
        /// How often a caller asks.
        CallerRate = "requests_per_caller_per_second",
        /// Requests of one connection that were taken back.
        Resets = "resets_max",
    }
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{}` is reached", limit.as_str())]
pub struct Crowded {
    /// Which.
    pub limit: Limit,
    /// In how many seconds it is worth asking again.
    pub retry_after: u32,
}

/// Who has taken how much.
pub struct Crowd {
    clock: Clock,
    limits: Limits,
    metrics: Arc<Metrics>,
    connections: Arc<Tally<IpAddr>>,
    requests: Arc<Tally<()>>,
    streams: Arc<Tally<String>>,
    addresses: Rates<IpAddr>,
    callers: Rates<String>,
}

impl fmt::Debug for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crowd").finish_non_exhaustive()
    }
}

impl Crowd {
    /// Nobody yet.
    #[must_use]
    pub fn new(limits: &Limits, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Limit::ALL.iter().for_each(|limit| metrics.has_limit(limit.as_str()));
        Self {
            connections: Arc::default(),
            requests: Arc::default(),
            streams: Arc::default(),
            addresses: Rates::new(limits.requests_per_address_per_second),
            callers: Rates::new(limits.requests_per_caller_per_second),
            limits: limits.clone(),
            metrics,
            clock,
        }
    }

    /// A connection from this address.
    ///
    /// # Errors
    /// [`Crowded`] if it has too many.
    pub fn connection(&self, address: IpAddr) -> Result<Place<IpAddr>, Crowded> {
        let most = self.limits.connections_per_address_max.get();
        let place = self.connections.enter(network(address), most);
        place.ok_or_else(|| self.full(Limit::Connections, 1))
    }

    /// A request from this address, whoever it may be.
    ///
    /// # Errors
    /// [`Crowded`] if there are too many, or too many from there.
    pub fn request(&self, address: IpAddr) -> Result<Place<()>, Crowded> {
        let place = self.requests.enter((), self.limits.requests_max.get());
        let place = place.ok_or_else(|| self.full(Limit::Requests, 1))?;
        let rated = self.addresses.take(&network(address), &self.clock);
        rated.map_err(|wait| self.full(Limit::AddressRate, wait))?;
        Ok(place)
    }

    /// A request of a caller who proved who they are.
    ///
    /// # Errors
    /// [`Crowded`] if too many of theirs run, or they ask too often.
    pub fn caller(&self, id: &str) -> Result<Place<String>, Crowded> {
        let most = self.limits.streams_per_caller_max.get();
        let place = self.streams.enter(id.to_owned(), most);
        let place = place.ok_or_else(|| self.full(Limit::Streams, 1))?;
        let rated = self.callers.take(&place.key, &self.clock);
        rated.map_err(|wait| self.full(Limit::CallerRate, wait))?;
        Ok(place)
    }

    /// A connection whose caller took too many requests back.
    pub fn resets(&self) {
        self.full(Limit::Resets, 0);
    }

    fn full(&self, limit: Limit, retry_after: u32) -> Crowded {
        self.metrics.at_limit(limit.as_str());
        Crowded { limit, retry_after }
    }
}

/// The network that one subscriber has: of IPv6 the first 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        four @ IpAddr::V4(_) => four,
    }
}

/// How many places each has.
#[derive(Debug)]
struct Tally<K>(Mutex<HashMap<K, u64>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone> Tally<K> {
    fn enter(self: &Arc<Self>, key: K, most: u64) -> Option<Place<K>> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&key) {
            Some(count) if *count >= most => return None,
            Some(count) => *count += 1,
            None => drop(taken.insert(key.clone(), 1)),
        }
        drop(taken);
        Some(Place { tally: Arc::clone(self), key })
    }
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    tally: Arc<Tally<K>>,
    key: K,
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            // Nobody is remembered who has nothing.
            _ => drop(taken.remove(&self.key)),
        }
    }
}

/// How often each may ask; `None` sets no limit.
struct Rates<K>(Option<(Rate, moka::sync::Cache<K, Arc<Bucket>>)>);

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Rates<K> {
    fn new(per_second: Count<0, 1_000_000>) -> Self {
        let per_second = i64::try_from(per_second.get()).unwrap_or(i64::MAX);
        let buckets = moka::sync::Cache::builder()
            .max_capacity(REMEMBERED_MAX)
            .time_to_idle(FORGOTTEN_AFTER)
            .build();
        // As many at once as in a second.
        let rate = Rate { per_second, burst: per_second };
        Self((per_second > 0).then_some((rate, buckets)))
    }

    fn take(&self, key: &K, clock: &Clock) -> Result<(), u32> {
        let Some((rate, buckets)) = &self.0 else { return Ok(()) };
        let bucket = match buckets.get(key) {
            Some(bucket) => bucket,
            None => buckets.get_with(key.clone(), Arc::default),
        };
        bucket.take(*rate, clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(limits: &Limits) -> Crowd {
        let clock = Clock::manual("2026-11-23T12:00:00Z".parse().unwrap());
        Crowd::new(limits, Arc::default(), clock)
    }

    #[test]
    fn a_place_that_is_given_back_can_be_taken_again() {
        let limits = Limits { streams_per_caller_max: Count::of(2), ..Limits::default() };
        let crowd = crowd(&limits);
        let first = crowd.caller("ana").unwrap();
        let second = crowd.caller("ana").unwrap();
        assert_eq!(crowd.caller("ana").unwrap_err().limit, Limit::Streams);
        assert!(crowd.caller("tom").is_ok(), "others are not touched");
        drop(first);
        let third = crowd.caller("ana").unwrap();
        drop((second, third));
        assert!(crowd.streams.0.lock().unwrap().is_empty(), "who has nothing is not remembered");
    }

    #[test]
    fn a_network_of_64_bits_is_one_subscriber() {
        let limits = Limits { connections_per_address_max: Count::of(1), ..Limits::default() };
        let crowd = crowd(&limits);
        let at = |text: &str| crowd.connection(text.parse().unwrap());
        let _first = at("2001:db8:0:1::1").unwrap();
        assert!(at("2001:db8:0:1:ffff::2").is_err());
        let _second = at("2001:db8:0:2::1").unwrap();
        let _third = at("192.0.2.1").unwrap();
        assert!(at("::ffff:192.0.2.1").is_err(), "the same address in another spelling");
        let _fourth = at("192.0.2.2").unwrap();
    }

    #[test]
    fn a_request_that_is_over_the_rate_gives_its_place_back() {
        let limits = Limits { requests_per_address_per_second: Count::of(1), ..Limits::default() };
        let crowd = crowd(&limits);
        let address = "192.0.2.1".parse().unwrap();
        drop(crowd.request(address).unwrap());
        let over = crowd.request(address).unwrap_err();
        assert_eq!((over.limit, over.retry_after), (Limit::AddressRate, 1));
        assert!(crowd.requests.0.lock().unwrap().is_empty());
        assert!(crowd.request("192.0.2.2".parse().unwrap()).is_ok());
    }
}
