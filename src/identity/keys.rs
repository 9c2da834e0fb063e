//! An issuer's keys: a JWK Set (RFC 7517) from a file or a URL.
//!
//! A set from a URL is fetched when it is due and when a token names a key that is not in it (the
//! issuer may have rotated), but never sooner than [`RETRY_SECONDS`] after the last try, so that
//! invented key ids cannot make the gate hammer the issuer. One keeper for each issuer fetches
//! ([`IssuerKeys::keep`]); callers ask it to and wait, so that a caller who hangs up takes no
//! fetch with them. When a set cannot be fetched, the last one stays in use for a configured time,
//! then tokens of this issuer are refused. A new set makes every remembered verification of the
//! issuer void.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use tokio::sync::{Notify, watch};

use super::Stranger;
use crate::clock::Clock;
use crate::config::{self, Algorithm};

/// LIMIT: how long after a try the next one may be made, whoever wants it.
const RETRY_SECONDS: i64 = 10;

/// How often a keeper looks whether its set is due.
const TICK: Duration = Duration::from_secs(5);

/// LIMIT: keys of one set. Issuers publish two or three.
const KEYS_MAX: usize = 64;

/// LIMIT: bytes of a key set, also where it is fetched.
const JWKS_BYTES_MAX: usize = 256 * 1024;

/// A key set that cannot be used at start.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the keys of issuer `{issuer}` from `{}`", path.display())]
    Read {
        /// The issuer's short name.
        issuer: String,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The set holds no key that the issuer's algorithms could use, or is not a key set.
    #[error("cannot use the keys of issuer `{issuer}`: {problem}")]
    Unusable {
        /// The issuer's short name.
        issuer: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Where key sets are fetched: an HTTPS client, in `serve`.
pub trait KeySource: Send + Sync {
    /// Fetches the key set of an issuer.
    ///
    /// # Errors
    /// One line that says why not; it goes to the log.
    fn fetch(&self, issuer: &config::Issuer) -> impl Future<Output = Result<Bytes, String>> + Send;
}

/// The keys of one issuer as they are now.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    current: RwLock<Arc<KeySet>>,
    /// When the last try ended; told to everybody who waits for one.
    tried: watch::Sender<Option<Timestamp>>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct KeySet {
    /// Rises with every set that differs from the one before; 0 means none was ever had.
    generation: u64,
    fetched_at: Timestamp,
    text: Bytes,
    keys: Vec<Key>,
}

/// A key set whose members are still anything.
#[derive(Deserialize)]
struct AnyKeys {
    keys: Vec<serde_json::Value>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl IssuerKeys {
    pub(super) fn new(issuer: &config::Issuer, clock: &Clock) -> Result<Self, KeyError> {
        let mut set = KeySet::default();
        if let Some(path) = &issuer.jwks_file {
            let text = std::fs::read(path).map_err(|source| KeyError::Read {
                issuer: issuer.name.clone(),
                path: path.clone(),
                source,
            })?;
            set = KeySet::read(Bytes::from(text), issuer, 1, clock.now())
                .map_err(|problem| KeyError::Unusable { issuer: issuer.name.clone(), problem })?;
        }
        Ok(Self {
            current: RwLock::new(Arc::new(set)),
            tried: watch::Sender::new(None),
            wanted: Notify::new(),
        })
    }

    /// The generation of the present keys; `None` if they are too old to be used.
    pub(super) fn generation_if_usable(
        &self,
        issuer: &config::Issuer,
        now: Timestamp,
    ) -> Option<u64> {
        let set = self.current();
        set.is_usable(issuer, now).then_some(set.generation)
    }

    /// True if two sets are the same to the byte.
    pub(super) fn has_text_of(&self, other: &Self) -> bool {
        self.current().text == other.current().text
    }

    /// The key that a token must be verified with.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        issuer: &config::Issuer,
        clock: &Clock,
    ) -> Result<(DecodingKey, u64), Stranger> {
        for may_wait in [true, false] {
            let mut tried = self.tried.subscribe();
            let set = self.current();
            let usable = set.is_usable(issuer, clock.now());
            if usable && let Some(key) = set.find(id, algorithm) {
                return Ok((key.clone(), set.generation));
            }
            if may_wait && issuer.jwks_url.is_some() && self.may_try(clock.now()) {
                self.wanted.notify_one();
                // The keeper lives as long as the gate; without one there is nothing to wait for.
                let _ = tried.changed().await;
            } else if !usable {
                return Err(Stranger::KeysUnavailable);
            }
        }
        Err(Stranger::UnknownKey)
    }

    /// Keeps the set fresh, for ever: when it is due, and when somebody wants a key it lacks.
    pub(super) async fn keep(
        &self,
        issuer: &config::Issuer,
        clock: &Clock,
        source: &impl KeySource,
    ) {
        // Whoever waits for a keeper that was replaced waits for this one.
        let mut wanted = true;
        loop {
            let (set, now) = (self.current(), clock.now());
            let age = now.duration_since(set.fetched_at).unsigned_abs();
            let due = set.generation == 0 || age >= issuer.refresh_seconds.duration();
            if (due || wanted) && self.may_try(now) {
                self.fetch(issuer, clock, source).await;
            }
            wanted = tokio::time::timeout(TICK, self.wanted.notified()).await.is_ok();
        }
    }

    fn may_try(&self, now: Timestamp) -> bool {
        let last = *self.tried.borrow();
        last.is_none_or(|last| now.duration_since(last).as_secs().abs() >= RETRY_SECONDS)
    }

    async fn fetch(&self, issuer: &config::Issuer, clock: &Clock, source: &impl KeySource) {
        let before = self.current();
        let asked_at = clock.now();
        let read = match source.fetch(issuer).await {
            Ok(text) => {
                KeySet::read(text, issuer, before.generation + 1, asked_at).map_err(str::to_owned)
            }
            Err(problem) => Err(problem),
        };
        match read {
            Ok(mut set) => {
                if set.text == before.text {
                    set.generation = before.generation;
                } else {
                    tracing::info!(issuer = issuer.name, keys = set.keys.len(), "new keys");
                }
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
            }
            Err(problem) => {
                tracing::warn!(issuer = issuer.name, problem, "cannot fetch the issuer's keys");
            }
        }
        self.tried.send_replace(Some(clock.now()));
    }

    fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KeySet {
    fn read(
        text: Bytes,
        issuer: &config::Issuer,
        generation: u64,
        fetched_at: Timestamp,
    ) -> Result<Self, &'static str> {
        if text.len() > JWKS_BYTES_MAX {
            return Err("the key set is larger than 256 KiB");
        }
        let set: AnyKeys = serde_json::from_slice(&text).map_err(|_| "not a JWK Set")?;
        if set.keys.len() > KEYS_MAX {
            return Err("the key set has more than 64 keys");
        }
        // RFC 7517, 5: what cannot be read as a key is passed over.
        let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<Key> = jwks.filter_map(|jwk: Jwk| Key::read(&jwk, issuer)).collect();
        if keys.is_empty() {
            return Err("no key in the set fits the issuer's algorithms");
        }
        Ok(Self { generation, fetched_at, text, keys })
    }

    fn is_usable(&self, issuer: &config::Issuer, now: Timestamp) -> bool {
        let age_max = issuer.refresh_seconds.duration() + issuer.stale_seconds.duration();
        let age = now.duration_since(self.fetched_at);
        // A file is as fresh as the process; only what can be fetched again can be stale.
        self.generation > 0 && (issuer.jwks_file.is_some() || age.unsigned_abs() < age_max)
    }

    /// A token that names no key is verified only if there is one key it could mean.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |key: &&Key| {
            key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id)
        };
        let mut found = self.keys.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(key), None) => Some(&key.key),
            _ => None,
        }
    }
}

impl Key {
    /// A key of the set that may verify tokens of this issuer; others are passed over, since
    /// issuers publish keys for several uses side by side.
    fn read(jwk: &Jwk, issuer: &config::Issuer) -> Option<Self> {
        let common = &jwk.common;
        let for_signatures =
            common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
        let may_verify =
            common.key_operations.as_ref().is_none_or(|ops| ops.contains(&KeyOperations::Verify));
        if !for_signatures || !may_verify {
            return None;
        }
        let said = common.key_algorithm.map(|algorithm| format!("{algorithm:?}"));
        let fits = |algorithm: &&Algorithm| {
            suits(**algorithm, &jwk.algorithm)
                && said.as_ref().is_none_or(|said| said == algorithm.as_str())
        };
        let algorithms: Vec<Algorithm> = issuer.algorithms.iter().filter(fits).copied().collect();
        if algorithms.is_empty() {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { id: common.key_id.clone(), algorithms, key })
    }
}

/// Which kind of key an algorithm takes. A shared secret (`oct`) suits none.
fn suits(algorithm: Algorithm, parameters: &AlgorithmParameters) -> bool {
    use Algorithm as A;
    match (algorithm, parameters) {
        (A::ES256, AlgorithmParameters::EllipticCurve(p)) => p.curve == EllipticCurve::P256,
        (A::ES384, AlgorithmParameters::EllipticCurve(p)) => p.curve == EllipticCurve::P384,
        (A::EdDSA, AlgorithmParameters::OctetKeyPair(p)) => p.curve == EllipticCurve::Ed25519,
        (
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512,
            AlgorithmParameters::RSA(_),
        ) => true,
        _ => false,
    }
}
