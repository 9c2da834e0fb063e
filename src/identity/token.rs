//! One JSON Web Token, read strictly (RFC 7519, with the advice of RFC 8725).
//!
//! The signature is `jsonwebtoken`'s matter; the times are checked here, because they are compared
//! with the gate's own clock. What a token must hold: `iss`, `aud`, `exp`, `nbf` and the subject
//! claim. What it may not: an algorithm outside its issuer's list, `crit`, another type, a value
//! of the wrong kind. Keys named or held by the token itself (`jku`, `x5u`, `jwk`, `x5c`) are
//! never looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Role, Stranger};
use crate::config;
use crate::purpose::Purpose;

/// LIMIT: the longest subject. It becomes part of an entity id and of every ledger entry.
const SUBJECT_BYTES_MAX: usize = 256;

/// A token whose outer form is sound; nothing in it is believed yet.
pub(super) struct Token<'a> {
    text: &'a str,
    pub(super) header: Header,
    pub(super) claimed_issuer: String,
}

/// The protected header's parts that matter. Doubled keys do not parse.
#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    pub(super) kid: Option<String>,
    typ: Option<String>,
    /// True if it is there, whatever it holds.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

fn is_there<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(from).map(|_| true)
}

#[derive(Deserialize)]
struct IssuerOnly {
    iss: String,
}

/// The claims of a token whose signature fits.
#[derive(Deserialize)]
pub(super) struct Claims {
    exp: f64,
    nbf: f64,
    jti: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(super) fn read(text: &'a str) -> Result<Self, Stranger> {
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Stranger::Malformed("not three parts"));
        };
        let header = decode(header)?;
        let claims = decode(claims)?;
        decode(signature)?;
        let header: Header =
            object(&header).ok_or(Stranger::Malformed("the header is not sound JSON"))?;
        if header.crit {
            return Err(Stranger::Malformed("critical extensions are not supported"));
        }
        // RFC 8725, 3.11: a token of another kind (an ID token's `typ` is `JWT` or absent) may not
        // pass for an access token. `at+jwt` is RFC 9068's.
        let of_a_known_type = header.typ.as_deref().is_none_or(|typ| {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            matches!(typ, "jwt" | "at+jwt")
        });
        if !of_a_known_type {
            return Err(Stranger::Malformed("of another type than JWT"));
        }
        let claimed: IssuerOnly =
            object(&claims).ok_or(Stranger::Malformed("no issuer in sound JSON"))?;
        Ok(Self { text, header, claimed_issuer: claimed.iss })
    }

    /// Verifies the signature, the issuer and the audience.
    pub(super) fn verify(
        &self,
        key: &DecodingKey,
        algorithm: config::Algorithm,
        issuer: &config::Issuer,
    ) -> Result<Claims, Stranger> {
        let mut validation = Validation::new(algorithm.into());
        validation.set_issuer(&[&issuer.issuer]);
        validation.set_audience(&issuer.audiences);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss"]);
        // The times are checked against our own clock, in `Claims::check_times`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let decoded = jsonwebtoken::decode::<Claims>(self.text, key, &validation);
        decoded.map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Stranger::BadSignature,
            ErrorKind::InvalidAudience => Stranger::WrongAudience,
            ErrorKind::InvalidIssuer => Stranger::UnknownIssuer,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidKeyFormat => Stranger::Algorithm,
            ErrorKind::MissingRequiredClaim(_) => {
                Stranger::Malformed("a required claim is missing")
            }
            _ => Stranger::Malformed("a claim is missing or of the wrong kind"),
        })
    }
}

/// The algorithm of a header, if the issuer may use it.
pub(super) fn allowed(
    header: &Header,
    issuer: &config::Issuer,
) -> Result<config::Algorithm, Stranger> {
    let named = issuer.algorithms.iter().find(|allowed| allowed.as_str() == header.alg);
    named.copied().ok_or(Stranger::Algorithm)
}

impl Claims {
    /// Claims that somebody else has verified, with their times.
    pub(super) fn verified(others: Map<String, Value>) -> Self {
        Self { exp: 0.0, nbf: 0.0, jti: None, others }
    }

    /// When the token expires as it says, and until when it is accepted.
    pub(super) fn check_times(
        &self,
        issuer: &config::Issuer,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), Stranger> {
        let leeway = SignedDuration::try_from(issuer.leeway_seconds.duration())
            .unwrap_or(SignedDuration::ZERO);
        let (expires_at, valid_from) = (numeric_date(self.exp)?, numeric_date(self.nbf)?);
        let until = expires_at.checked_add(leeway).unwrap_or(Timestamp::MAX);
        if now >= until {
            return Err(Stranger::Expired);
        }
        if now.checked_add(leeway).unwrap_or(Timestamp::MAX) < valid_from {
            return Err(Stranger::NotYetValid);
        }
        let lifetime = expires_at.duration_since(valid_from);
        if lifetime.is_negative()
            || lifetime.unsigned_abs() > issuer.lifetime_max_seconds.duration()
        {
            return Err(Stranger::LivesTooLong);
        }
        Ok((expires_at, until))
    }

    /// Who the token is about.
    pub(super) fn subject(&self, issuer: &config::Issuer) -> Result<&str, Stranger> {
        match self.others.get(&issuer.subject_claim) {
            Some(Value::String(subject))
                if (1..=SUBJECT_BYTES_MAX).contains(&subject.len())
                    && !subject.chars().any(char::is_control) =>
            {
                Ok(subject)
            }
            _ => Err(Stranger::Malformed("no usable subject")),
        }
    }

    /// The roles that the issuer's map gives; values that it does not list give nothing.
    pub(super) fn roles(
        &self,
        issuer: &config::Issuer,
        map: &BTreeMap<String, Role>,
    ) -> Result<Arc<[Role]>, Stranger> {
        let wrong = Stranger::Malformed("the roles claim is not a list of texts");
        // A claim may be named by a URL, which has dots of its own.
        let whole = self.others.get(&issuer.roles_claim);
        let claim = whole.or_else(|| {
            let mut steps = issuer.roles_claim.split('.');
            let first = steps.next().and_then(|step| self.others.get(step));
            steps.fold(first, |value, step| value.and_then(|v| v.get(step)))
        });
        let mut roles = Vec::new();
        match claim {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                roles.extend(text.split_whitespace().filter_map(|name| map.get(name)).cloned());
            }
            Some(Value::Array(items)) => {
                for item in items {
                    roles.extend(map.get(item.as_str().ok_or(wrong)?).cloned());
                }
            }
            Some(_) => return Err(wrong),
        }
        roles.sort_unstable();
        roles.dedup();
        Ok(roles.into())
    }

    /// The purpose the token is bound to, if the issuer sets one.
    pub(super) fn purpose(&self, issuer: &config::Issuer) -> Result<Option<Purpose>, Stranger> {
        let claim = issuer.purpose_claim.as_ref().and_then(|name| self.others.get(name));
        match claim {
            None => Ok(None),
            Some(value) => match value.as_str().map(str::parse) {
                Some(Ok(purpose)) => Ok(Some(purpose)),
                _ => Err(Stranger::Malformed("the purpose claim is not a purpose")),
            },
        }
    }

    /// The token's own id, if it is short enough to be recorded.
    pub(super) fn token_id(&self) -> Option<String> {
        self.jti.clone().filter(|id| id.len() <= 128)
    }
}

/// Reads a JSON object. serde would also read these structs from lists.
fn object<T: serde::de::DeserializeOwned>(json: &[u8]) -> Option<T> {
    let is_list = json.trim_ascii_start().starts_with(b"[");
    if is_list { None } else { serde_json::from_slice(json).ok() }
}

fn decode(part: &str) -> Result<Vec<u8>, Stranger> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Stranger::Malformed("a part is not base64url"))
}

/// Seconds since the epoch (RFC 7519, 2: fractions are allowed and make a token neither older nor
/// younger here).
fn numeric_date(seconds: f64) -> Result<Timestamp, Stranger> {
    let wrong = Stranger::Malformed("a time is out of range");
    // Year 1970 to about 9900; within it the cast is exact.
    if !(0.0..250_000_000_000.0).contains(&seconds) {
        return Err(wrong);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked just above")]
    let whole = seconds.floor() as i64;
    Timestamp::from_second(whole).map_err(|_| wrong)
}

impl config::Algorithm {
    /// The name in RFC 7518 and RFC 8037.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::EdDSA => "EdDSA",
        }
    }
}

impl From<config::Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: config::Algorithm) -> Self {
        match algorithm {
            config::Algorithm::ES256 => Self::ES256,
            config::Algorithm::ES384 => Self::ES384,
            config::Algorithm::RS256 => Self::RS256,
            config::Algorithm::RS384 => Self::RS384,
            config::Algorithm::RS512 => Self::RS512,
            config::Algorithm::PS256 => Self::PS256,
            config::Algorithm::PS384 => Self::PS384,
            config::Algorithm::PS512 => Self::PS512,
            config::Algorithm::EdDSA => Self::EdDSA,
        }
    }
}
