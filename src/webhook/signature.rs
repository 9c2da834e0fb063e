//! `X-Twilio-Signature`: verified on what comes in, made anew for what is passed on.
//!
//! Twilio signs the URL as it is configured there, followed by the decoded parameters of a form in
//! the order of their names ("Security", Twilio's documentation of webhooks). The gate does not
//! see that URL, only its path and query, so the origins it is known by are tried in turn, each with
//! and without a port, as Twilio's own libraries do. A JSON body is not part of the text; its digest
//! is, as the query parameter `bodySHA256`. Pure: no clock, no settings, no disk.
//!
//! The scheme has no marks between names and values, so one signature stands for every way to cut
//! the same text. That is Twilio's; what keeps it harmless is TLS and that events are read strictly.

use std::collections::BTreeSet;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Uri};

use super::form::{FORM_BYTES_MAX, Form, FormError, read_pair};
use crate::secret::Secret;

/// The header with the signature.
const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// The header that names a shared key and its algorithm.
const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// The query parameter with the digest of a JSON body.
pub(super) const BODY_HASH: &str = "bodySHA256";

/// LIMIT: the bytes of a body. A form has the same limit.
pub const BODY_BYTES_MAX: usize = FORM_BYTES_MAX;

/// LIMIT: the bytes of a path and query. A GET callback has all its parameters here; servers seldom
/// take more than 8 KiB, and Twilio not more than 4 KiB.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;

/// A scheme, a host and perhaps a port under which the gate is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    without_port: String,
    with_port: String,
    configured: String,
}

/// The text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an origin; write it as `https://rec.example.com`, without a path")]
pub struct NotAnOrigin;

impl Origin {
    /// Reads `https://host` or `https://host:port`; a final `/` is let pass.
    ///
    /// # Errors
    /// [`NotAnOrigin`] if there is a path, a user or another scheme.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        let uri: Uri = text.parse().map_err(|_| NotAnOrigin)?;
        let scheme = uri.scheme_str().ok_or(NotAnOrigin)?;
        let default = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(NotAnOrigin),
        };
        let authority = uri.authority().ok_or(NotAnOrigin)?;
        let host = authority.host();
        let configured = format!("{scheme}://{authority}");
        let is_whole = text.strip_suffix('/').unwrap_or(text).eq_ignore_ascii_case(&configured);
        if host.is_empty() || authority.as_str().contains('@') || !is_whole {
            return Err(NotAnOrigin);
        }
        let port = authority.port_u16().unwrap_or(default);
        let without_port = format!("{scheme}://{host}");
        Ok(Self { with_port: format!("{without_port}:{port}"), without_port, configured })
    }

    /// The origin as it was configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.configured
    }
}

/// How a text is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `HMAC_SHA1`: auth tokens, and shared keys that say so.
    HmacSha1,
    /// `HMAC_SHA256`: shared keys.
    HmacSha256,
}

impl Algorithm {
    /// Twilio's Python library takes any letter case; so does this.
    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "HMAC_SHA1" => Some(Self::HmacSha1),
            "HMAC_SHA256" => Some(Self::HmacSha256),
            _ => None,
        }
    }

    fn key(self, secret: &Secret) -> hmac::Key {
        let algorithm = match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => hmac::HMAC_SHA256,
        };
        hmac::Key::new(algorithm, secret.expose().as_bytes())
    }
}

/// A key of Twilio's "webhook shared keys".
#[derive(Clone, Debug)]
pub struct SharedKey {
    /// What the header calls it.
    pub id: String,
    /// The key.
    pub secret: Secret,
}

/// The keys that Twilio may have signed with.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The account's auth tokens: one, or two while they are changed.
    pub auth_tokens: Vec<Secret>,
    /// Shared keys.
    pub shared: Vec<SharedKey>,
}

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// GET or POST.
    pub method: &'a Method,
    /// The path and the query, percent-encoded as they were sent.
    pub path_and_query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// What a signature has vouched for. Made by [`verify`] alone.
#[derive(Debug)]
pub struct Verified<'a> {
    content: Content<'a>,
}

/// Where a callback's parameters are.
#[derive(Debug)]
pub enum Content<'a> {
    /// A GET: in the query.
    Query(Form),
    /// A POST: in the body.
    Form(Form),
    /// A POST of JSON. Not yet read: only that it is text is sure.
    Json(&'a str),
}

impl<'a> Verified<'a> {
    /// What was signed.
    #[must_use]
    pub fn content(&self) -> &Content<'a> {
        &self.content
    }
}

/// Why a request is not taken for Twilio's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Nothing to verify.
    #[error("there is no X-Twilio-Signature header; only Twilio may call this address")]
    Missing,
    /// A header that decides about the signature is there twice.
    #[error("header `{0}` is given more than once")]
    RepeatedHeader(&'static str),
    /// The signature is not base64 in its one spelling.
    #[error("the X-Twilio-Signature header is not base64")]
    NotBase64,
    /// The header that names the shared key cannot be read.
    #[error(
        "the X-Twilio-Webhooks-Signature-Settings header is not `key=<id>,algorithm=<algorithm>`"
    )]
    Settings,
    /// A shared key that is not configured.
    #[error("signed with a shared key that is not configured; add it to the webhook's shared keys")]
    UnknownKey,
    /// An algorithm other than the two.
    #[error("signed with an unknown algorithm; known are HMAC_SHA1 and HMAC_SHA256")]
    UnknownAlgorithm,
    /// No auth token is configured.
    #[error("signed with the account's auth token, and none is configured; name it")]
    NoAuthToken,
    /// More than [`BODY_BYTES_MAX`].
    #[error("the body is longer than {BODY_BYTES_MAX} bytes")]
    BodyTooLong,
    /// More than [`TARGET_BYTES_MAX`], or not a path.
    #[error("the path and query are longer than {TARGET_BYTES_MAX} bytes or not a path")]
    Target,
    /// Neither GET nor POST.
    #[error("the method is neither GET nor POST")]
    Method,
    /// Neither a form nor JSON, or not in UTF-8.
    #[error("the content type is neither a form nor JSON in UTF-8")]
    ContentType,
    /// A GET with a body, which no signature covers.
    #[error("a GET must not have a body: it is not signed")]
    BodyOfGet,
    /// A form that cannot be read.
    #[error(transparent)]
    Form(#[from] FormError),
    /// JSON without its digest in the query, or with two.
    #[error("a JSON body needs one `bodySHA256` in the query: nothing else signs it")]
    NoBodyHash,
    /// The digest is another body's.
    #[error("the body is not the one whose `bodySHA256` was signed")]
    BodyHash,
    /// JSON that is not text.
    #[error("the JSON body is not UTF-8")]
    NotUtf8,
    /// No key and no origin gives this signature.
    #[error(
        "the signature fits neither the keys nor the public origins; check that the auth token is \
         the account's primary one and that the URL at Twilio begins with a public origin"
    )]
    Mismatch,
}

/// Verifies the signature of a request, for any of the origins and keys.
///
/// # Errors
/// [`SignatureError`]: whatever is unclear is not Twilio's.
pub fn verify<'a>(
    request: Request<'a>,
    origins: &[Origin],
    keys: &Keys,
) -> Result<Verified<'a>, SignatureError> {
    let Request { path_and_query, headers, body, .. } = request;
    if body.len() > BODY_BYTES_MAX {
        return Err(SignatureError::BodyTooLong);
    }
    let is_plain = path_and_query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path_and_query.len() > TARGET_BYTES_MAX || !path_and_query.starts_with('/') || !is_plain {
        return Err(SignatureError::Target);
    }
    let signature = only(headers, SIGNATURE_HEADER)?.ok_or(SignatureError::Missing)?;
    let signature = STANDARD.decode(signature).map_err(|_| SignatureError::NotBase64)?;
    let keys = usable_keys(headers, keys)?;
    let content = read_content(request)?;
    let signed_pairs = match &content {
        Content::Form(form) => form.pairs(),
        Content::Query(_) | Content::Json(_) => &[],
    };
    let tail = format!("{path_and_query}{}", concatenated(signed_pairs));
    let is_signed = origins
        .iter()
        .flat_map(|origin| [&origin.without_port, &origin.with_port])
        .any(|origin| keys.iter().any(|key| fits(key, origin, &tail, &signature)));
    if is_signed { Ok(Verified { content }) } else { Err(SignatureError::Mismatch) }
}

/// The signature of a URL and the parameters of a form, as a header's value.
#[must_use]
pub fn sign(url: &str, params: &[(String, String)], key: &Secret, algorithm: Algorithm) -> String {
    let text = format!("{url}{}", concatenated(params));
    STANDARD.encode(hmac::sign(&algorithm.key(key), text.as_bytes()))
}

/// The digest of a JSON body, as `bodySHA256` gives it.
#[must_use]
pub fn body_hash(body: &[u8]) -> String {
    digest(&SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names in the order of their bytes; of a repeated name each value once, in order, with the name.
fn concatenated(params: &[(String, String)]) -> String {
    let unique: BTreeSet<(&str, &str)> =
        params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    unique.into_iter().flat_map(|(name, value)| [name, value]).collect()
}

/// `hmac::verify` compares in constant time.
fn fits(key: &hmac::Key, origin: &str, tail: &str, signature: &[u8]) -> bool {
    let text = format!("{origin}{tail}");
    hmac::verify(key, text.as_bytes(), signature).is_ok()
}

/// The value of a header that may be there once. What is not visible ASCII reads as the empty text,
/// which no such header may be.
fn only<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap_or_default());
    values.next().map_or(Ok(value), |_| Err(SignatureError::RepeatedHeader(name)))
}

/// INVARIANT: with the settings header there, be it empty, no auth token is tried.
fn usable_keys(headers: &HeaderMap, keys: &Keys) -> Result<Vec<hmac::Key>, SignatureError> {
    let Some(settings) = only(headers, SETTINGS_HEADER)? else {
        // Everybody can sign with an empty key.
        let tokens = keys.auth_tokens.iter().filter(|token| !token.is_empty());
        let tokens: Vec<_> = tokens.map(|token| Algorithm::HmacSha1.key(token)).collect();
        return if tokens.is_empty() { Err(SignatureError::NoAuthToken) } else { Ok(tokens) };
    };
    let id = setting(settings, "key")?;
    let algorithm = Algorithm::read(setting(settings, "algorithm")?);
    let algorithm = algorithm.ok_or(SignatureError::UnknownAlgorithm)?;
    let is_meant = |key: &&SharedKey| key.id == id && !key.secret.is_empty();
    let found: Vec<_> =
        keys.shared.iter().filter(is_meant).map(|key| algorithm.key(&key.secret)).collect();
    if found.is_empty() { Err(SignatureError::UnknownKey) } else { Ok(found) }
}

/// One of `name=value,name=value`; there must be exactly one of that name, and not empty.
fn setting<'h>(settings: &'h str, name: &str) -> Result<&'h str, SignatureError> {
    let mut found = settings.split(',').filter_map(|part| {
        let (known, value) = part.split_once('=')?;
        (known.trim() == name).then(|| value.trim())
    });
    match (found.next(), found.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value),
        _ => Err(SignatureError::Settings),
    }
}

fn read_content(request: Request<'_>) -> Result<Content<'_>, SignatureError> {
    let Request { method, path_and_query, headers, body } = request;
    let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
    if method == Method::GET {
        if !body.is_empty() {
            return Err(SignatureError::BodyOfGet);
        }
        return Ok(Content::Query(Form::read(query.as_bytes())?));
    }
    if method != Method::POST {
        return Err(SignatureError::Method);
    }
    match only(headers, CONTENT_TYPE.as_str())?.map(read_type) {
        Some(Some(Type::Form)) => Ok(Content::Form(Form::read(body)?)),
        Some(Some(Type::Json)) => {
            let signed = signed_body_hash(query).ok_or(SignatureError::NoBodyHash)?;
            verify_slices_are_equal(signed.as_bytes(), body_hash(body).as_bytes())
                .map_err(|_| SignatureError::BodyHash)?;
            str::from_utf8(body).map(Content::Json).map_err(|_| SignatureError::NotUtf8)
        }
        None if body.is_empty() => Ok(Content::Form(Form::default())),
        Some(None) | None => Err(SignatureError::ContentType),
    }
}

enum Type {
    Form,
    Json,
}

fn read_type(text: &str) -> Option<Type> {
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media_type = parts.next()?;
    let mut charsets = parts.filter_map(|part| part.strip_prefix("charset=").map(str::to_owned));
    if !charsets.all(|charset| charset.trim_matches('"') == "utf-8") {
        return None;
    }
    match media_type.as_str() {
        "application/x-www-form-urlencoded" => Some(Type::Form),
        "application/json" => Some(Type::Json),
        other if other.starts_with("application/") && other.ends_with("+json") => Some(Type::Json),
        _ => None,
    }
}

fn signed_body_hash(query: &str) -> Option<String> {
    let mut hashes = query.split('&').filter(|pair| is_body_hash(pair));
    match (hashes.next(), hashes.next()) {
        (Some(pair), None) => read_pair(pair).ok().map(|(_, hash)| hash),
        _ => None,
    }
}

/// Whether a pair of a query is `bodySHA256`.
pub(super) fn is_body_hash(pair: &str) -> bool {
    read_pair(pair).is_ok_and(|(name, _)| name == BODY_HASH)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const ORIGIN: &str = "https://rec.example.com";
    const VECTORS: &str = include_str!("../../tests/vectors/twilio/signature.json");
    const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

    /// A request that can be changed.
    #[derive(Clone)]
    struct Sent {
        method: Method,
        target: String,
        headers: HeaderMap,
        body: Vec<u8>,
        origin: String,
        keys: Keys,
    }

    impl Sent {
        fn verify(&self) -> Result<(), SignatureError> {
            let Self { method, target, headers, body, origin, keys } = self;
            let request = Request { method, path_and_query: target, headers, body };
            verify(request, &[Origin::parse(origin).unwrap()], keys).map(|_| ())
        }

        fn header(mut self, name: &'static str, value: &str) -> Self {
            self.headers.insert(name, HeaderValue::from_str(value).unwrap());
            self
        }

        fn with(&self, change: impl FnOnce(&mut Self)) -> Result<(), SignatureError> {
            let mut changed = self.clone();
            change(&mut changed);
            changed.verify()
        }
    }

    fn vectors() -> Vec<Value> {
        serde_json::from_str(VECTORS).unwrap()
    }

    fn sent(vector: &Value) -> Sent {
        let text = |name: &str| vector[name].as_str().unwrap_or_default();
        let token = text("auth_token");
        let mut keys = Keys { auth_tokens: vec![Secret::new(token)], shared: vec![] };
        let target = text("url").strip_prefix(ORIGIN).unwrap();
        let target = target.strip_prefix(":443").unwrap_or(target).to_owned();
        let mut sent = Sent {
            method: if text("form_body").is_empty() && text("json_body").is_empty() {
                Method::GET
            } else {
                Method::POST
            },
            target,
            headers: HeaderMap::new(),
            body: format!("{}{}", text("form_body"), text("json_body")).into_bytes(),
            origin: ORIGIN.to_owned(),
            keys: Keys::default(),
        };
        if let Some(settings) = vector["headers"]["X-Twilio-Webhooks-Signature-Settings"].as_str() {
            let shared =
                SharedKey { id: "webhooks_sharedkey_01abc".to_owned(), secret: Secret::new(token) };
            keys = Keys { auth_tokens: vec![], shared: vec![shared] };
            sent = sent.header(SETTINGS_HEADER, settings);
        }
        sent.keys = keys;
        let kind = if text("json_body").is_empty() { FORM } else { "application/json" };
        sent.header("content-type", kind).header(SIGNATURE_HEADER, text("signature"))
    }

    fn form_vector() -> Sent {
        sent(&vectors()[0])
    }

    fn signed(target: &str, body: &str) -> Sent {
        let key = Secret::new("12345");
        let form = Form::read(body.as_bytes()).unwrap();
        let url = format!("{ORIGIN}{target}");
        let signature = sign(&url, form.pairs(), &key, Algorithm::HmacSha1);
        Sent {
            method: Method::POST,
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            origin: ORIGIN.to_owned(),
            keys: Keys { auth_tokens: vec![key], shared: vec![] },
        }
        .header("content-type", FORM)
        .header(SIGNATURE_HEADER, &signature)
    }

    #[test]
    fn every_vector_verifies_and_its_text_is_ours() {
        assert_eq!(vectors().len(), 5);
        for vector in vectors() {
            assert_eq!(sent(&vector).verify(), Ok(()), "{}", vector["name"]);
            let params: Vec<(String, String)> = vector["params"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect();
            let url = vector["url"].as_str().unwrap();
            let text = format!("{url}{}", concatenated(&params));
            assert_eq!(text, vector["string_to_sign"], "{}", vector["name"]);
            let algorithm = match vector.get("headers") {
                Some(_) => Algorithm::HmacSha256,
                None => Algorithm::HmacSha1,
            };
            let key = Secret::new(vector["auth_token"].as_str().unwrap());
            assert_eq!(sign(url, &params, &key, algorithm), vector["signature"]);
        }
        let json = &vectors()[3];
        let body = json["json_body"].as_str().unwrap();
        assert_eq!(body_hash(body.as_bytes()), json["body_sha256_hex"]);
    }

    #[test]
    fn the_example_of_twilios_own_tests_verifies() {
        let params = [
            ("Digits", "1234"),
            ("To", "+18005551212"),
            ("From", "+12349013030"),
            ("Caller", "+12349013030"),
            ("CallSid", "CA1234567890ABCDE"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let signature = sign(url, &params, &Secret::new("12345"), Algorithm::HmacSha1);
        assert_eq!(signature, "0/KCTR6DLpKmkAf8muzZqo1nDgQ=");
    }

    #[test]
    fn one_changed_byte_of_anything_signed_is_refused() {
        for vector in vectors() {
            let sent = sent(&vector);
            for at in 0..sent.target.len() {
                let changed = sent.with(|sent| {
                    let mut bytes = sent.target.clone().into_bytes();
                    bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
                    sent.target = String::from_utf8(bytes).unwrap();
                });
                assert!(changed.is_err(), "{} target {at}", vector["name"]);
            }
            for at in 0..sent.body.len() {
                for flip in [0x01, 0x20, 0x80] {
                    let changed = sent.with(|sent| sent.body[at] ^= flip);
                    // The case of an escape's digits is not part of its value.
                    let is_escape = at > 0 && sent.body[..at].ends_with(b"%")
                        || at > 1 && sent.body[..at - 1].ends_with(b"%");
                    assert!(
                        changed.is_err() || (is_escape && flip == 0x20),
                        "{} body {at} {flip:x}",
                        vector["name"]
                    );
                }
            }
            let signature = vector["signature"].as_str().unwrap();
            for at in 0..signature.len() {
                let mut bytes = signature.as_bytes().to_vec();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(bytes).unwrap();
                assert!(sent.clone().header(SIGNATURE_HEADER, &changed).verify().is_err(), "{at}");
            }
            assert!(sent.with(|sent| sent.origin = "http://rec.example.com".to_owned()).is_err());
            assert!(sent.with(|sent| sent.origin = "https://rec.example.org".to_owned()).is_err());
            assert!(sent.with(|sent| sent.keys = Keys::default()).is_err());
        }
        let sent = form_vector();
        assert!(sent.with(|sent| sent.body.extend(b"&x=1")).is_err());
        assert!(sent.with(|sent| sent.body.clear()).is_err());
        assert_eq!(sent.with(|sent| sent.target.push_str("&a=1")), Err(SignatureError::Mismatch));
    }

    #[test]
    fn what_cannot_be_verified_says_what_is_wrong() {
        let sent = form_vector();
        let header = |name, value: &str| sent.clone().header(name, value).verify();
        let missing = sent.with(|sent| drop(sent.headers.remove(SIGNATURE_HEADER)));
        assert_eq!(missing, Err(SignatureError::Missing));
        for name in [SIGNATURE_HEADER, "content-type"] {
            let twice = sent.with(|sent| {
                let value = sent.headers[name].clone();
                sent.headers.append(name, value);
            });
            assert_eq!(twice, Err(SignatureError::RepeatedHeader(name)));
        }
        for bad in
            ["UeC4oIxo1s648XHTvWXSPd7J03U", "UeC4oIxo1s648XHTvWXSPd7J03V=", "%", "a b", "a,b"]
        {
            assert_eq!(header(SIGNATURE_HEADER, bad), Err(SignatureError::NotBase64), "{bad}");
        }
        for short in ["", "AAAA"] {
            assert_eq!(header(SIGNATURE_HEADER, short), Err(SignatureError::Mismatch));
        }
        let long = sent.with(|sent| sent.body.resize(BODY_BYTES_MAX + 1, b'a'));
        assert_eq!(long, Err(SignatureError::BodyTooLong));
        let not_utf8 = sent.with(|sent| sent.body.extend(b"&a=%ff"));
        assert_eq!(not_utf8, Err(SignatureError::Form(FormError::NotUtf8)));
        for kind in ["text/plain", "multipart/form-data", "", "application/json; charset=latin1"] {
            assert_eq!(header("content-type", kind), Err(SignatureError::ContentType), "{kind}");
        }
        assert_eq!(header("content-type", "application/json"), Err(SignatureError::NoBodyHash));
        let put = sent.with(|sent| sent.method = Method::PUT);
        assert_eq!(put, Err(SignatureError::Method));
        let get = sent.with(|sent| sent.method = Method::GET);
        assert_eq!(get, Err(SignatureError::BodyOfGet));
        for target in ["", "x", "/a#b", "/a b", "/é", &format!("/{}", "a".repeat(TARGET_BYTES_MAX))]
        {
            let bad = sent.with(|sent| sent.target = target.to_owned());
            assert_eq!(bad, Err(SignatureError::Target), "{target}");
        }
    }

    #[test]
    fn a_json_body_needs_its_digest_once() {
        let sent = sent(&vectors()[3]);
        let other = sent.with(|sent| sent.body.push(b' '));
        assert_eq!(other, Err(SignatureError::BodyHash));
        let hash = body_hash(b"{}");
        let json = |target: &str, body: &[u8]| {
            let mut sent =
                signed(target, "").header("content-type", "application/cloudevents+json");
            sent.body = body.to_vec();
            sent.verify()
        };
        assert_eq!(json(&format!("/j?bodySHA256={hash}"), b"{}"), Ok(()));
        let upper = hash.to_uppercase();
        assert_eq!(json(&format!("/j?bodySHA256={upper}"), b"{}"), Err(SignatureError::BodyHash));
        for target in ["/j", "/j?bodysha256=1", &format!("/j?bodySHA256={hash}&bodySHA256={hash}")]
        {
            assert_eq!(json(target, b"{}"), Err(SignatureError::NoBodyHash), "{target}");
        }
        let hash = body_hash(b"\xff");
        assert_eq!(json(&format!("/j?bodySHA256={hash}"), b"\xff"), Err(SignatureError::NotUtf8));
    }

    #[test]
    fn a_shared_keys_header_never_falls_back_to_the_auth_token() {
        let sent = form_vector();
        for (settings, error) in [
            ("", SignatureError::Settings),
            ("key=a", SignatureError::Settings),
            ("algorithm=HMAC_SHA1", SignatureError::Settings),
            ("key=,algorithm=HMAC_SHA1", SignatureError::Settings),
            ("key=a,key=b,algorithm=HMAC_SHA1", SignatureError::Settings),
            ("key=a,algorithm=HMAC_SHA1,algorithm=HMAC_SHA1", SignatureError::Settings),
            ("key=a;algorithm=HMAC_SHA1", SignatureError::Settings),
            ("key=a,algorithm=none", SignatureError::UnknownAlgorithm),
            ("key=a,algorithm=HMAC_MD5", SignatureError::UnknownAlgorithm),
            ("key=a,algorithm=HMAC_SHA1", SignatureError::UnknownKey),
        ] {
            let verified = sent.clone().header(SETTINGS_HEADER, settings).verify();
            assert_eq!(verified, Err(error), "{settings}");
        }
        let shared = SharedKey { id: "a".to_owned(), secret: Secret::new("") };
        let empty = sent.with(|sent| {
            sent.keys.shared.push(shared);
            let value = HeaderValue::from_static("key=a,algorithm=HMAC_SHA1");
            sent.headers.insert(SETTINGS_HEADER, value);
        });
        assert_eq!(empty, Err(SignatureError::UnknownKey));
    }

    #[test]
    fn a_shared_key_signs_by_either_algorithm_and_only_by_the_one_it_names() {
        let token = Secret::new("k");
        for (algorithm, name, other) in [
            (Algorithm::HmacSha1, "HMAC_SHA1", "HMAC_SHA256"),
            (Algorithm::HmacSha256, "hmac_sha256", "HMAC_SHA1"),
        ] {
            let mut sent = signed("/x", "a=1");
            let form = Form::read(b"a=1").unwrap();
            let signature = sign("https://rec.example.com/x", form.pairs(), &token, algorithm);
            sent = sent.header(SIGNATURE_HEADER, &signature);
            sent.keys.shared = vec![SharedKey { id: "b".to_owned(), secret: token.clone() }];
            let with = |name: &str| {
                sent.clone().header(SETTINGS_HEADER, &format!("key=b, algorithm={name}")).verify()
            };
            assert_eq!(with(name), Ok(()));
            assert_eq!(with(other), Err(SignatureError::Mismatch));
            assert_eq!(sent.verify(), Err(SignatureError::Mismatch), "by no auth token");
        }
    }

    #[test]
    fn while_tokens_change_both_verify_and_an_empty_one_never_does() {
        let sent = signed("/x", "a=1");
        let old = sent.keys.auth_tokens[0].clone();
        let both = sent.with(|sent| sent.keys.auth_tokens = vec![Secret::new("new"), old]);
        assert_eq!(both, Ok(()));
        let form = Form::read(b"a=1").unwrap();
        let empty = Secret::new("");
        let by_nobody =
            sign("https://rec.example.com/x", form.pairs(), &empty, Algorithm::HmacSha1);
        let mut sent = sent.header(SIGNATURE_HEADER, &by_nobody);
        sent.keys.auth_tokens = vec![empty];
        assert_eq!(sent.verify(), Err(SignatureError::NoAuthToken));
        sent.keys.auth_tokens.push(Secret::new("x"));
        assert_eq!(sent.verify(), Err(SignatureError::Mismatch));
    }

    #[test]
    fn an_origin_is_tried_with_and_without_its_port() {
        for (origin, signed_for, is_known) in [
            ("https://a.example", "https://a.example:443", true),
            ("https://a.example/", "https://a.example", true),
            ("https://a.example:8443", "https://a.example:8443", true),
            ("https://a.example:8443", "https://a.example", true),
            ("http://a.example", "http://a.example:80", true),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example", "http://a.example", false),
        ] {
            let key = Secret::new("12345");
            let signature = sign(&format!("{signed_for}/x"), &[], &key, Algorithm::HmacSha1);
            let mut sent = signed("/x", "").header(SIGNATURE_HEADER, &signature);
            sent.origin = origin.to_owned();
            assert_eq!(sent.verify().is_ok(), is_known, "{origin} {signed_for}");
        }
        for bad in [
            "",
            "/",
            "a.example",
            "ftp://a.example",
            "https://a.example/x",
            "https://u@a.example",
            "https://a.example?x",
            "https://",
        ] {
            assert_eq!(Origin::parse(bad), Err(NotAnOrigin), "{bad}");
        }
    }

    #[test]
    fn a_repeated_parameter_counts_each_value_once_in_order() {
        let form = Form::read(b"b=2&a=z&a=y&a=z&B=1").unwrap();
        assert_eq!(concatenated(form.pairs()), "B1ayazb2");
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_and_what_is_changed_does_not(
            pairs in prop::collection::vec((".{1,6}", ".{0,12}"), 0..12),
            path in "/[a-z0-9/%?=&.~-]{0,30}",
            extra in ".{1,6}",
        ) {
            let form: Form = pairs.into_iter().collect();
            let sent = signed(&path, &form.write());
            prop_assert_eq!(sent.verify(), Ok(()));
            let more: Form =
                form.pairs().iter().cloned().chain([(extra.clone(), extra)]).collect();
            if concatenated(more.pairs()) != concatenated(form.pairs()) {
                let changed = sent.with(|sent| sent.body = more.write().into_bytes());
                prop_assert_eq!(changed, Err(SignatureError::Mismatch));
            }
        }

        #[test]
        fn anything_may_come_in(
            target in ".{0,40}",
            body in prop::collection::vec(any::<u8>(), 0..60),
            headers in prop::collection::vec((0..3usize, prop::collection::vec(any::<u8>(), 0..40)), 0..4),
            is_post in any::<bool>(),
        ) {
            let mut sent = signed("/", "");
            sent.target = target;
            sent.body = body;
            sent.method = if is_post { Method::POST } else { Method::GET };
            for (which, value) in headers {
                let name = [SIGNATURE_HEADER, SETTINGS_HEADER, "content-type"][which];
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    sent.headers.insert(name, value);
                }
            }
            let _ = sent.verify();
        }
    }
}
