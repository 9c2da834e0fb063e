//! Who is asking: a request's proof becomes a [`Caller`], or a [`Stranger`] with the reason.
//!
//! In come the header block and the connection's certificate, out comes a caller with roles of the
//! policy vocabulary. The proof of a person or a service is a bearer token (RFC 6750) signed by a
//! configured issuer (`token.rs` reads it, `keys.rs` holds the issuers' keys); that of a machine
//! client is an id and a secret (RFC 7617), a certificate, or both (`client.rs`; `clients.rs` reads
//! the file). A verified token is remembered under the SHA-256 of its text, never longer than it
//! lives and never across a change of the issuer's keys; a client is looked up each time, so that
//! one that is disabled is refused at once. This room decides nothing about recordings and never
//! logs a token or a secret.

mod basic;
mod bucket;
mod certificate;
mod client;
mod clients;
mod flex;
mod keys;
mod provider;
mod ticket;
mod token;

pub(crate) use bucket::Bucket;
pub use bucket::Rate;
pub use certificate::{CertificateName, NotACertificateName, Peer, PeerCertificate};
pub use client::{Known, Unadmitted};
pub use clients::{Client, Clients, ClientsError, Digest, SECRETS_MAX, SecretHash, is_id};
pub use flex::{flex_caller, flex_token};
pub use keys::{KeyError, KeySource};
pub use ticket::Tickets;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap};
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;

use crate::clock::Clock;
use crate::config;
use crate::purpose::Purpose;
use keys::IssuerKeys;

/// A caller who proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Unique over all issuers: the issuer's short name, `|`, and its subject; of a machine client
    /// `client|` and its id.
    pub id: String,
    /// Roles of the vocabulary, sorted, without doubles. May be empty.
    pub roles: Arc<[Role]>,
    /// Whose right is used, if it is not the caller's own: who holds the link of a share uses the
    /// right of who made it.
    pub on_behalf_of: Option<String>,
    /// The purpose the token was issued for; a request may not name another.
    pub bound_purpose: Option<Purpose>,
    /// The purpose when the request names none.
    pub default_purpose: Option<Purpose>,
    /// What proved it.
    pub proof: Proof,
}

impl Caller {
    /// Whose right is used, by their id.
    #[must_use]
    pub fn whose_right(&self) -> &str {
        self.on_behalf_of.as_deref().unwrap_or(&self.id)
    }
}

/// What proved who the caller is, in a form that proves nothing to who reads it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The `iss` claim; `client` where a machine client proved itself.
    pub issuer: String,
    /// The key that verified it, if the issuer names its keys. Of a client the first hex digits of
    /// its secret's SHA-256, or `cert:` and those of its certificate's.
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
    /// A Flex token that Twilio does not call valid.
    #[error("the Flex token is not valid")]
    Flex,
    /// Twilio could not be asked about a Flex token. Not the caller's fault.
    #[error("Twilio cannot be asked about the Flex token at the moment")]
    FlexUnavailable,
    /// A ticket in the URL that is none of ours, is for something else, or has expired.
    #[error("the link has expired, or is not one that was given for this")]
    Ticket,
    /// The issuer's keys cannot be had. Not the caller's fault.
    #[error("the issuer's keys cannot be had at the moment")]
    KeysUnavailable,
    /// No proof at all, where clients may prove themselves, too.
    #[error("a bearer token, or a client's id and secret, is needed")]
    NoProof,
    /// A scheme other than `Bearer` and `Basic`, where clients may prove themselves.
    #[error("only bearer tokens, or a client's id and secret, are accepted")]
    UnknownScheme,
    /// Not an id and a secret in base64.
    #[error("the client's id and secret are malformed: {0}")]
    BadPair(&'static str),
    /// No such client, or not its secret. The two are not told apart.
    #[error("the client's id or secret is wrong")]
    WrongSecret,
    /// The client is switched off.
    #[error("the client is disabled")]
    Disabled,
    /// The client's time is over.
    #[error("the client has expired")]
    ClientExpired,
    /// The client has a certificate and a secret, and showed only the secret.
    #[error("the client's certificate is needed beside its secret")]
    NoCertificate,
    /// The client has a certificate and a secret, and showed only the certificate.
    #[error("the client's secret is needed beside its certificate")]
    NoSecret,
    /// No client has a name of the certificate.
    #[error("the certificate is no client's")]
    UnknownCertificate,
    /// Several clients have names of the certificate.
    #[error("the certificate is more than one client's")]
    AmbiguousCertificate,
    /// The certificate has expired since the connection was made.
    #[error("the certificate has expired")]
    CertificateExpired,
}

impl Stranger {
    /// True if a bearer token was shown and is at fault (RFC 6750, 3.1).
    #[must_use]
    pub fn is_of_token(self) -> bool {
        match self {
            Self::TwoTokens
            | Self::OtherScheme
            | Self::Malformed(_)
            | Self::Algorithm
            | Self::UnknownIssuer
            | Self::UnknownKey
            | Self::BadSignature
            | Self::WrongAudience
            | Self::Expired
            | Self::NotYetValid
            | Self::LivesTooLong
            | Self::KeysUnavailable => true,
            Self::Ticket
            | Self::Flex
            | Self::FlexUnavailable
            | Self::NoToken
            | Self::NoProof
            | Self::UnknownScheme
            | Self::BadPair(_)
            | Self::WrongSecret
            | Self::Disabled
            | Self::ClientExpired
            | Self::NoCertificate
            | Self::NoSecret
            | Self::UnknownCertificate
            | Self::AmbiguousCertificate
            | Self::CertificateExpired => false,
        }
    }
}

/// The issuers, what was verified of late, and the clients.
#[derive(Debug)]
pub struct Identity {
    clock: Clock,
    clients: RwLock<Option<Arc<Clients>>>,
    over_limit: Counter,
    issuers: RwLock<Arc<[Arc<Issuer>]>>,
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

impl Issuer {
    fn new(settings: &config::Issuer, clock: &Clock) -> Result<Self, KeyError> {
        let roles = settings.roles.iter().map(|(k, v)| (k.clone(), Role::new(v))).collect();
        Ok(Self { keys: IssuerKeys::new(settings, clock)?, roles, settings: settings.clone() })
    }

    /// True if another has the same settings and, in a file, the same keys.
    fn is_same(&self, other: &Self) -> bool {
        self.settings == other.settings
            && (self.settings.jwks_file.is_none() || self.keys.has_text_of(&other.keys))
    }
}

#[derive(Debug)]
struct Verified {
    caller: Arc<Caller>,
    /// Whose token it is; void when it is not among the issuers any more.
    issuer: Arc<Issuer>,
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
        let issuers = issuers.iter().map(|settings| Issuer::new(settings, &clock).map(Arc::new));
        Ok(Self {
            issuers: RwLock::new(issuers.collect::<Result<_, KeyError>>()?),
            token_bytes_max: limits.token_bytes_max.as_usize(),
            verified: moka::sync::Cache::builder()
                .max_capacity(limits.tokens_max.get())
                .expire_after(ForAsLongAsItLives)
                .build(),
            clients: RwLock::new(None),
            over_limit: Counter::default(),
            clock,
        })
    }

    /// Proves who sent these headers on a connection with this certificate. The header decides who
    /// asks; without one, the certificate does.
    ///
    /// # Errors
    /// [`Stranger`] with the first thing that is wrong.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        certificate: Option<&PeerCertificate>,
    ) -> Result<Known, Stranger> {
        let clients = self.clients();
        match (authorization(headers)?, clients) {
            (None, None) => Err(Stranger::NoToken),
            (None, Some(clients)) => {
                let certificate = certificate.ok_or(Stranger::NoProof)?;
                clients.by_certificate(certificate, self.clock.now())
            }
            (Some((scheme, token)), _) if scheme.eq_ignore_ascii_case("bearer") => {
                self.by_token(token).await.map(Known::by_token)
            }
            (Some((scheme, pair)), Some(clients)) if scheme.eq_ignore_ascii_case("basic") => {
                clients.by_secret(&basic::Pair::read(pair)?, certificate, self.clock.now())
            }
            (Some(_), Some(_)) => Err(Stranger::UnknownScheme),
            (Some(_), None) => Err(Stranger::OtherScheme),
        }
    }

    async fn by_token(&self, token: &str) -> Result<Arc<Caller>, Stranger> {
        // LIMIT: a longer token is refused before anything in it is looked at.
        if token.len() > self.token_bytes_max {
            return Err(Stranger::Malformed("longer than the configured limit"));
        }
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

    fn issuers(&self) -> Arc<[Arc<Issuer>]> {
        Arc::clone(&self.issuers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other issuers in the place of those there are. One that has not changed goes on with
    /// the keys it has; tokens of one that has are verified anew. Returns whether any changed, so
    /// that [`Identity::keep_keys`] has to begin again.
    ///
    /// # Errors
    /// [`KeyError`] if a key file cannot be used; then all stay as they are.
    pub fn put_issuers(&self, settings: &[config::Issuer]) -> Result<bool, KeyError> {
        let before = self.issuers();
        let same = |new: &Issuer| {
            let is_same = |old: &&Arc<Issuer>| old.is_same(new);
            before.iter().find(is_same).map(Arc::clone)
        };
        let issuers = settings.iter().map(|settings| {
            let new = Issuer::new(settings, &self.clock)?;
            Ok(same(&new).unwrap_or_else(|| Arc::new(new)))
        });
        let issuers = issuers.collect::<Result<Arc<[_]>, KeyError>>()?;
        let kept = |(old, new): (&Arc<Issuer>, &Arc<Issuer>)| Arc::ptr_eq(old, new);
        let changed = before.len() != issuers.len() || !before.iter().zip(&*issuers).all(kept);
        *self.issuers.write().unwrap_or_else(PoisonError::into_inner) = issuers;
        Ok(changed)
    }

    /// The issuers' short names, and whether there are keys to verify each one's tokens with.
    #[must_use]
    pub fn keys_usable(&self) -> Vec<(String, bool)> {
        let now = self.clock.now();
        let usable = |issuer: &Arc<Issuer>| {
            let Issuer { settings, keys, .. } = &**issuer;
            (settings.name.clone(), keys.generation_if_usable(settings, now).is_some())
        };
        self.issuers().iter().map(usable).collect()
    }

    /// Keeps the keys of every issuer that has a URL, until it is dropped.
    pub async fn keep_keys(&self, source: &impl KeySource) {
        let issuers = self.issuers();
        let with_url = issuers.iter().filter(|issuer| issuer.settings.jwks_url.is_some());
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
        let issuer = &verified.issuer;
        let age = now.duration_since(verified.at);
        now < verified.until
            && !age.is_negative()
            && age.unsigned_abs() < issuer.settings.token_cache_max()
            && issuer.keys.generation_if_usable(&issuer.settings, now) == Some(verified.generation)
            && self.issuers().iter().any(|known| Arc::ptr_eq(known, issuer))
    }

    async fn verify(&self, text: &str) -> Result<Verified, Stranger> {
        let token = token::Token::read(text)?;
        let issuers = self.issuers();
        let named = |issuer: &&Arc<Issuer>| issuer.settings.issuer == token.claimed_issuer;
        let issuer = issuers.iter().find(named).map(Arc::clone).ok_or(Stranger::UnknownIssuer)?;
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
            on_behalf_of: None,
            bound_purpose: claims.purpose(&issuer.settings)?,
            default_purpose: issuer.settings.default_purpose.clone(),
            proof: Proof {
                issuer: issuer.settings.issuer.clone(),
                key_id: token.header.kid.clone(),
                token_id: claims.token_id(),
                expires_at,
            },
        };
        Ok(Verified { caller: Arc::new(caller), issuer, generation, until, at: now })
    }
}

/// The scheme and the rest of the `Authorization` header, if there is one.
fn authorization(headers: &HeaderMap) -> Result<Option<(&str, &str)>, Stranger> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Stranger::TwoTokens);
    }
    let text = value.to_str().map_err(|_| Stranger::Malformed("not ASCII"))?;
    // What has no blank is no scheme that is known here.
    Ok(Some(text.split_once(' ').unwrap_or(("", text))))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    // Copied, with no value to fall back to: two tokens must never share a key of the cache.
    let mut key = [0; 32];
    key.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    key
}
