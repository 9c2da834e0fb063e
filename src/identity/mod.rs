//! Who is asking: a request's proof becomes a [`Caller`], or a [`Stranger`] with the reason.
//!
//! In comes the header block, out comes a caller with roles of the policy vocabulary. The proof is
//! a bearer token (RFC 6750) signed by a configured issuer (`token.rs` reads it, `keys.rs` holds
//! the issuers' keys). A verified token is remembered under the SHA-256 of its text, never longer
//! than it lives and never across a change of the issuer's keys. This room decides nothing about
//! recordings and never logs a token.

mod keys;
mod token;

pub use keys::{KeyError, KeySource};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap};
use jiff::Timestamp;

use crate::clock::Clock;
use crate::config;
use crate::purpose::Purpose;
use keys::IssuerKeys;

/// A caller who proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Unique over all issuers: the issuer's short name, `|`, and its subject.
    pub id: String,
    /// Roles of the vocabulary, sorted, without doubles. May be empty.
    pub roles: Arc<[Role]>,
    /// The purpose the token was issued for; a request may not name another.
    pub bound_purpose: Option<Purpose>,
    /// The purpose when the request names none.
    pub default_purpose: Option<Purpose>,
    /// What proved it.
    pub proof: Proof,
}

/// What proved who the caller is, in a form that proves nothing to who reads it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The `iss` claim.
    pub issuer: String,
    /// The key that verified it, if the issuer names its keys.
    pub key_id: Option<String>,
    /// The token's own id (`jti`), if it has one.
    pub token_id: Option<String>,
    /// When it stops being valid.
    pub expires_at: Timestamp,
}

/// A role of the policy vocabulary, such as `quality-analyst`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role(Arc<str>);

impl Role {
    /// Takes a role's name; whether the vocabulary has it is checked when `serve` starts.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a request has no caller. All but [`Stranger::KeysUnavailable`] are the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// No `Authorization` header.
    #[error("a bearer token is needed")]
    NoToken,
    /// More than one `Authorization` header.
    #[error("more than one Authorization header")]
    TwoTokens,
    /// A scheme other than `Bearer`.
    #[error("only bearer tokens are accepted")]
    OtherScheme,
    /// Not three base64url parts of sound JSON, or too long.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// An algorithm that the issuer is not allowed.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// An `iss` that is not configured.
    #[error("the token's issuer is not known here")]
    UnknownIssuer,
    /// No key of the issuer fits.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature is not valid")]
    BadSignature,
    /// `aud` names somebody else.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It lives longer than the issuer is allowed to say.
    #[error("the token's lifetime is longer than is accepted")]
    LivesTooLong,
    /// The issuer's keys cannot be had. Not the caller's fault.
    #[error("the issuer's keys cannot be had at the moment")]
    KeysUnavailable,
}

/// The issuers and what was verified of late.
#[derive(Debug)]
pub struct Identity {
    clock: Clock,
    issuers: Vec<Issuer>,
    token_bytes_max: usize,
    verified: moka::sync::Cache<[u8; 32], Arc<Verified>>,
}

/// One configured issuer.
#[derive(Debug)]
struct Issuer {
    settings: config::Issuer,
    roles: BTreeMap<String, Role>,
    keys: IssuerKeys,
}

#[derive(Debug)]
struct Verified {
    caller: Arc<Caller>,
    issuer: usize,
    /// The issuer's keys when it was verified; other keys make it void.
    generation: u64,
    /// From here on it is not valid, leeway included.
    until: Timestamp,
    /// When it was verified; it is verified afresh after the issuer's refresh interval.
    at: Timestamp,
}

/// Frees the memory of a verified token when it is of no more use. Whether a remembered token
/// still holds is decided by the gate's own clock, in [`Identity::still_holds`].
struct ForAsLongAsItLives;

impl moka::Expiry<[u8; 32], Arc<Verified>> for ForAsLongAsItLives {
    fn expire_after_create(
        &self,
        _: &[u8; 32],
        verified: &Arc<Verified>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        let left = verified.until.duration_since(verified.at);
        Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
    }
}

impl Identity {
    /// Sets up the issuers. Keys from files are read here; keys from URLs are fetched by
    /// [`Identity::keep_keys`], which must run beside.
    ///
    /// # Errors
    /// [`KeyError`] if a key file cannot be read or holds no usable key.
    pub fn new(
        issuers: &[config::Issuer],
        limits: &config::Limits,
        clock: Clock,
    ) -> Result<Self, KeyError> {
        let issuers = issuers.iter().map(|settings| {
            let roles = settings.roles.iter().map(|(k, v)| (k.clone(), Role::new(v))).collect();
            Ok(Issuer {
                keys: IssuerKeys::new(settings, &clock)?,
                roles,
                settings: settings.clone(),
            })
        });
        Ok(Self {
            issuers: issuers.collect::<Result<_, KeyError>>()?,
            token_bytes_max: limits.token_bytes_max.as_usize(),
            verified: moka::sync::Cache::builder()
                .max_capacity(limits.tokens_max.get())
                .expire_after(ForAsLongAsItLives)
                .build(),
            clock,
        })
    }

    /// Proves who sent these headers.
    ///
    /// # Errors
    /// [`Stranger`] with the first thing that is wrong.
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Stranger> {
        let token = bearer_token(headers, self.token_bytes_max)?;
        let digest = sha256(token.as_bytes());
        if let Some(verified) = self.verified.get(&digest) {
            if self.still_holds(&verified) {
                return Ok(Arc::clone(&verified.caller));
            }
            self.verified.invalidate(&digest);
        }
        let verified = Arc::new(self.verify(token).await?);
        let caller = Arc::clone(&verified.caller);
        self.verified.insert(digest, verified);
        Ok(caller)
    }

    /// Keeps the keys of every issuer that has a URL, until it is dropped.
    pub async fn keep_keys(&self, source: &impl KeySource) {
        let with_url = self.issuers.iter().filter(|issuer| issuer.settings.jwks_url.is_some());
        let mut keepers: Vec<_> = with_url
            .map(|issuer| Box::pin(issuer.keys.keep(&issuer.settings, &self.clock, source)))
            .collect();
        // A slow issuer holds up nobody else's keys.
        std::future::poll_fn(|cx| {
            for keeper in &mut keepers {
                // A keeper never ends.
                let _ = keeper.as_mut().poll(cx);
            }
            Poll::Pending
        })
        .await
    }

    fn still_holds(&self, verified: &Verified) -> bool {
        let now = self.clock.now();
        self.issuers.get(verified.issuer).is_some_and(|issuer| {
            let age = now.duration_since(verified.at);
            now < verified.until
                && !age.is_negative()
                && age.unsigned_abs() < issuer.settings.token_cache_max()
                && issuer.keys.generation_if_usable(&issuer.settings, now)
                    == Some(verified.generation)
        })
    }

    async fn verify(&self, text: &str) -> Result<Verified, Stranger> {
        let token = token::Token::read(text)?;
        let (index, issuer) = self
            .issuers
            .iter()
            .enumerate()
            .find(|(_, issuer)| issuer.settings.issuer == token.claimed_issuer)
            .ok_or(Stranger::UnknownIssuer)?;
        let algorithm = token::allowed(&token.header, &issuer.settings)?;
        let key_id = token.header.kid.as_deref();
        let (key, generation) =
            issuer.keys.find(key_id, algorithm, &issuer.settings, &self.clock).await?;
        let claims = token.verify(&key, algorithm, &issuer.settings)?;
        let now = self.clock.now();
        let (expires_at, until) = claims.check_times(&issuer.settings, now)?;
        let caller = Caller {
            id: format!("{}|{}", issuer.settings.name, claims.subject(&issuer.settings)?),
            roles: claims.roles(&issuer.settings, &issuer.roles)?,
            bound_purpose: claims.purpose(&issuer.settings)?,
            default_purpose: issuer.settings.default_purpose.clone(),
            proof: Proof {
                issuer: issuer.settings.issuer.clone(),
                key_id: token.header.kid.clone(),
                token_id: claims.token_id(),
                expires_at,
            },
        };
        Ok(Verified { caller: Arc::new(caller), issuer: index, generation, until, at: now })
    }
}

fn bearer_token(headers: &HeaderMap, bytes_max: usize) -> Result<&str, Stranger> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Stranger::NoToken)?;
    if values.next().is_some() {
        return Err(Stranger::TwoTokens);
    }
    let text = value.to_str().map_err(|_| Stranger::Malformed("not ASCII"))?;
    let (scheme, token) = text.split_once(' ').ok_or(Stranger::OtherScheme)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Stranger::OtherScheme);
    }
    // LIMIT: a longer token is refused before anything in it is looked at.
    if token.len() > bytes_max {
        return Err(Stranger::Malformed("longer than the configured limit"));
    }
    Ok(token)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    // Copied, with no value to fall back to: two tokens must never share a key of the cache.
    let mut key = [0; 32];
    key.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    key
}
