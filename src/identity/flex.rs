//! Agents of Twilio Flex, whose player asks for a recording with a token of Flex's own.
//!
//! Flex Insights' player calls a `url_provider` with `Authorization: Basic`, the user `token` and the
//! Flex token as the password. The token is encrypted for Twilio alone, so Twilio is asked whether
//! it is valid (as Twilio's own flex-token-validator does) and who its bearer is; what their Flex
//! roles mean here is configured.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::basic::Pair;
use super::{Caller, Proof, Role, Stranger};
use crate::config;

/// LIMIT: how long a validated token counts where Twilio does not say.
const LIFE: SignedDuration = SignedDuration::from_mins(5);

/// What Twilio answers about a token.
#[derive(Deserialize)]
struct Validation {
    valid: bool,
    identity: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    expiration: Option<String>,
}

/// The Flex token of a request, if it has one.
#[must_use]
pub fn flex_token(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, pair) = value.split_once(' ')?;
    let pair = Pair::read_long(pair).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let token = pair.secret();
    let is_flex = pair.id() == "token" && !token.is_empty() && token.bytes().all(plain);
    is_flex.then(|| token.to_owned())
}

/// Who bears a token, by what Twilio answered about it.
///
/// # Errors
/// [`Stranger::Flex`] if it is not valid, has expired, or names nobody.
pub fn flex_caller(
    answer: &[u8],
    settings: &config::Flex,
    now: Timestamp,
) -> Result<Arc<Caller>, Stranger> {
    let told: Validation = serde_json::from_slice(answer).map_err(|_| Stranger::Flex)?;
    let expires_at = match &told.expiration {
        None => now.checked_add(LIFE).unwrap_or(now),
        Some(text) => text.parse::<Timestamp>().map_err(|_| Stranger::Flex)?,
    };
    let identity = told.identity.filter(|identity| {
        !identity.is_empty() && identity.len() <= 256 && !identity.contains(char::is_control)
    });
    let (true, Some(identity)) = (told.valid && now < expires_at, identity) else {
        return Err(Stranger::Flex);
    };
    let roles = told.roles.iter().filter_map(|role| settings.roles.get(role));
    let mut roles: Vec<Role> = roles.map(|role| Role::new(role)).collect();
    roles.sort();
    roles.dedup();
    Ok(Arc::new(Caller {
        id: format!("flex|{identity}"),
        roles: roles.into(),
        on_behalf_of: None,
        bound_purpose: None,
        default_purpose: settings.default_purpose.clone(),
        proof: Proof { issuer: "flex".to_owned(), key_id: None, token_id: None, expires_at },
    }))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderValue;

    use super::*;

    fn headers(pair: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(pair));
        [(AUTHORIZATION, HeaderValue::try_from(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn only_the_player_s_own_form_is_a_flex_token() {
        assert_eq!(flex_token(&headers("token:a.b-c_d")), Some("a.b-c_d".to_owned()));
        for other in ["Token:a", "token:", "token:a b", "token", "AC1:a", "token:a\"b"] {
            assert_eq!(flex_token(&headers(other)), None, "{other}");
        }
        let mut two = headers("token:a");
        two.append(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(flex_token(&two), None);
        assert_eq!(flex_token(&HeaderMap::new()), None);
    }

    #[test]
    fn who_is_told_valid_has_the_roles_that_are_configured() {
        let settings = config::Flex {
            roles: [("wfo.quality_manager".to_owned(), "quality-analyst".to_owned())].into(),
            default_purpose: None,
        };
        let now = Timestamp::UNIX_EPOCH;
        let of = |text: &str| flex_caller(text.as_bytes(), &settings, now);
        let ana = of(r#"{"valid":true,"identity":"ana","roles":["agent","wfo.quality_manager"]}"#);
        let ana = ana.unwrap();
        assert_eq!(
            (ana.id.as_str(), &*ana.roles),
            ("flex|ana", &[Role::new("quality-analyst")][..])
        );
        for bad in [
            r#"{"valid":false,"identity":"ana"}"#,
            r#"{"valid":true}"#,
            r#"{"valid":true,"identity":""}"#,
            r#"{"valid":true,"identity":"ana","expiration":"1970-01-01T00:00:00Z"}"#,
            r#"{"valid":true,"identity":"ana","expiration":"soon"}"#,
            r#"{"identity":"ana"}"#,
            "",
        ] {
            assert_eq!(of(bad), Err(Stranger::Flex), "{bad}");
        }
    }
}
