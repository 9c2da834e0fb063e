//! From a verified callback to the request that the application gets.
//!
//! The application's own validator must accept it: the signature is over the target's URL as it is
//! configured here, with the incoming query appended to its own, and over the rewritten parameters;
//! for JSON `bodySHA256` is made anew. Pure.

use aws_lc_rs::digest::{Context, SHA256};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Uri};

use super::delivery::{Delivery, Verb};
use super::form::{Form, FormError};
use super::rewrite::{NotJson, Rewriter, Rewritten};
use super::signature::{Algorithm, BODY_HASH, Content, body_hash, is_body_hash, sign};
use crate::secret::Secret;

/// The header by which Twilio marks what it sends again.
const TOKEN_HEADER: &str = "i-twilio-idempotency-token";

/// LIMIT: the bytes of that header. Twilio's are UUIDs; a longer one is not taken for a name.
const TOKEN_BYTES_MAX: usize = 256;

const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

/// The URL of an application, as the application sees it. It may hold secrets: it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Scheme, authority and path.
    base: String,
    query: String,
}

/// The text is not a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the target is not an absolute http or https URL without user, fragment and `bodySHA256`; write \
     it as the application sees it"
)]
pub struct NotATarget;

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`NotATarget`].
    pub fn parse(text: &str) -> Result<Self, NotATarget> {
        let uri: Uri = text.parse().map_err(|_| NotATarget)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().ok_or(NotATarget)?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let query = uri.query().unwrap_or_default();
        if !is_http
            || !is_plain
            || authority.host().is_empty()
            || authority.as_str().contains('@')
            || query.split('&').any(is_body_hash)
        {
            return Err(NotATarget);
        }
        let scheme = uri.scheme_str().unwrap_or_default();
        let base = format!("{scheme}://{authority}{}", uri.path());
        Ok(Self { base, query: query.to_owned() })
    }

    /// The URL with more behind its own query.
    fn with_query(&self, more: &str) -> String {
        let parts = [self.query.as_str(), more].into_iter().filter(|part| !part.is_empty());
        let query = parts.collect::<Vec<_>>().join("&");
        if query.is_empty() { self.base.clone() } else { format!("{}?{query}", self.base) }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target(not shown)")
    }
}

/// Why a callback cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The query beside a body cannot be read.
    #[error(transparent)]
    Query(#[from] FormError),
    /// The body is not JSON.
    #[error(transparent)]
    Json(#[from] NotJson),
}

/// A callback to pass on.
pub(super) struct Relay<'a> {
    pub(super) webhook: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The incoming query.
    pub(super) query: &'a str,
    pub(super) content: &'a Content<'a>,
}

/// What is passed on, and which event it is.
pub(super) struct Relayed {
    pub(super) event: [u8; 32],
    pub(super) delivery: Delivery,
    pub(super) blanked: Vec<String>,
}

impl Relay<'_> {
    /// Makes the application's request.
    pub(super) fn make(
        &self,
        target: &Target,
        rewriter: &Rewriter,
        key: &Secret,
    ) -> Result<Relayed, RelayError> {
        // A digest of what came in fits nothing that goes out.
        let kept: Vec<&str> = self.query.split('&').filter(|pair| !is_body_hash(pair)).collect();
        let Rewritten { value: query, mut blanked } = rewriter.query(&kept.join("&"))?;
        let (verb, url, form, body) = match self.content {
            Content::Query(_) => {
                (Verb::Get, target.with_query(&query), Form::default(), String::new())
            }
            Content::Form(form) => {
                let rewritten = rewriter.form(form);
                blanked.extend(rewritten.blanked);
                let body = rewritten.value.write();
                (Verb::Post, target.with_query(&query), rewritten.value, body)
            }
            Content::Json(text) => {
                let rewritten = rewriter.json(text)?;
                blanked.extend(rewritten.blanked);
                let hash = format!("{BODY_HASH}={}", body_hash(rewritten.value.as_bytes()));
                let query = if query.is_empty() { hash } else { format!("{query}&{hash}") };
                (Verb::Post, target.with_query(&query), Form::default(), rewritten.value)
            }
        };
        let (event, idempotency_token) = self.identity();
        let signature = sign(&url, form.pairs(), key, Algorithm::HmacSha1);
        let content_type = (verb == Verb::Post).then(|| self.content_type());
        let delivery = Delivery { verb, url, content_type, body, signature, idempotency_token };
        Ok(Relayed { event, delivery, blanked })
    }

    fn content_type(&self) -> String {
        let sent = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        sent.unwrap_or(FORM).to_owned()
    }

    /// The event, and the token that names it to the application: Twilio's, or one made of the
    /// event.
    fn identity(&self) -> ([u8; 32], String) {
        let token = self.token();
        let mut digest = Context::new(&SHA256);
        // Lengths before texts: no two events give the same bytes.
        let mut add = |text: &[u8]| {
            digest.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(text);
        };
        add(self.webhook.as_bytes());
        if let Some(token) = token {
            add(b"token");
            add(token.as_bytes());
        } else {
            add(b"body");
            add(self.query.as_bytes());
            match self.content {
                Content::Query(_) => {}
                Content::Form(form) => {
                    let mut pairs = form.pairs().to_vec();
                    pairs.sort_unstable();
                    add(pairs.into_iter().collect::<Form>().write().as_bytes());
                }
                Content::Json(text) => add(text.as_bytes()),
            }
        }
        let mut event = [0; 32];
        for (to, byte) in event.iter_mut().zip(digest.finish().as_ref()) {
            *to = *byte;
        }
        let made = || event.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        (event, token.map_or_else(made, str::to_owned))
    }

    fn token(&self) -> Option<&str> {
        let mut tokens = self.headers.get_all(TOKEN_HEADER).iter();
        let token = tokens.next()?.to_str().ok()?;
        let is_one = tokens.next().is_none();
        (is_one && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token)
    }
}
