//! An issuer's keys: a JWK Set (RFC 7517) from a file or a URL.
//!
//! A set from a URL is fetched when it is due and when a token names a key that is not in it (the
//! issuer may have rotated), but never more often than every [`RETRY_SECONDS`], so that invented
//! key ids cannot make the gate hammer the issuer. When it cannot be fetched, the last set stays
//! in use for a configured time, then tokens of this issuer are refused. A new set makes every
//! remembered verification of the issuer void.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse,
};

use super::Stranger;
use crate::clock::Clock;
use crate::config::{self, Algorithm};

/// LIMIT: how often a key set is asked for at the most when tokens name unknown keys.
const RETRY_SECONDS: i64 = 10;

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
    /// Holds the time of the last fetch; locked during one, so that there is one at a time.
    fetching: tokio::sync::Mutex<Option<Timestamp>>,
}

#[derive(Debug, Default)]
struct KeySet {
    /// Rises with every set that differs from the one before; 0 means none was ever had.
    generation: u64,
    fetched_at: Timestamp,
    text: Bytes,
    keys: Vec<Key>,
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
        Ok(Self { current: RwLock::new(Arc::new(set)), fetching: tokio::sync::Mutex::new(None) })
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

    /// The key that a token must be verified with.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        issuer: &config::Issuer,
        clock: &Clock,
        source: &impl KeySource,
    ) -> Result<(DecodingKey, u64), Stranger> {
        for may_fetch in [true, false] {
            let set = self.current();
            let usable = set.is_usable(issuer, clock.now());
            if usable && let Some(key) = set.find(id, algorithm) {
                return Ok((key.clone(), set.generation));
            }
            if may_fetch {
                self.fetch(issuer, clock, source).await;
            } else if !usable {
                return Err(Stranger::KeysUnavailable);
            }
        }
        Err(Stranger::UnknownKey)
    }

    pub(super) async fn refresh_if_due(
        &self,
        issuer: &config::Issuer,
        clock: &Clock,
        source: &impl KeySource,
    ) {
        let set = self.current();
        let age = clock.now().duration_since(set.fetched_at);
        if set.generation == 0 || age.unsigned_abs() >= issuer.refresh_seconds.duration() {
            self.fetch(issuer, clock, source).await;
        }
    }

    async fn fetch(&self, issuer: &config::Issuer, clock: &Clock, source: &impl KeySource) {
        if issuer.jwks_url.is_none() {
            return;
        }
        let mut last = self.fetching.lock().await;
        let now = clock.now();
        if last.is_some_and(|last| now.duration_since(last).as_secs().abs() < RETRY_SECONDS) {
            return;
        }
        *last = Some(now);
        let before = self.current();
        let read = match source.fetch(issuer).await {
            Ok(text) => {
                KeySet::read(text, issuer, before.generation + 1, now).map_err(str::to_owned)
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
        let set: JwkSet = serde_json::from_slice(&text).map_err(|_| "not a JWK Set")?;
        if set.keys.len() > KEYS_MAX {
            return Err("the key set has more than 64 keys");
        }
        let keys: Vec<Key> = set.keys.iter().filter_map(|jwk| Key::read(jwk, issuer)).collect();
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
