//! Callbacks: nothing verifies that was not signed with the key, and nothing that may come in ends
//! the program.
//!
//! The input is the path and query, the signature, the settings, the content type and the body,
//! with a line feed between them. Where the signature is `!`, the right one for the path and the
//! parameters is put in, so that inputs get past that check.

#![no_main]

use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use noticegate::secret::Secret;
use noticegate::webhook::{
    Algorithm, Content, Form, Keys, Origin, Request, SharedKey, sign, verify,
};

const ORIGIN: &str = "https://rec.example.com";

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(5, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let Ok(target) = str::from_utf8(part()) else { return };
    let (signature, settings, kind, body) = (part(), part(), part(), part());
    let token = Secret::new("12345");
    let shared = vec![SharedKey { id: "a".to_owned(), secret: Secret::new("67890") }];
    let keys = Keys { auth_tokens: vec![token.clone()], shared };
    let is_form = kind.starts_with(b"application/x-www-form");
    let is_signed = signature == b"!";
    let right = || {
        let form = if is_form { Form::read(body).unwrap_or_default() } else { Form::default() };
        sign(&format!("{ORIGIN}{target}"), form.pairs(), &token, Algorithm::HmacSha1).into_bytes()
    };
    let signature = if is_signed { right() } else { signature.to_vec() };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-twilio-signature", signature.as_slice()),
        ("x-twilio-webhooks-signature-settings", settings),
        ("content-type", kind),
    ] {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        if !value.is_empty() {
            headers.insert(name, value);
        }
    }
    let method = if kind.is_empty() { Method::GET } else { Method::POST };
    let origins = [Origin::parse(ORIGIN).expect("an origin")];
    let request = Request { method: &method, path_and_query: target, headers: &headers, body };
    let Ok(verified) = verify(request, &origins, &keys) else { return };
    assert!(is_signed, "nobody guesses a signature");
    assert!(settings.is_empty(), "a shared key's request is not verified with the auth token");
    match verified.content() {
        Content::Query(form) => {
            let query = target.split_once('?').map_or("", |(_, query)| query);
            assert_eq!(Form::read(query.as_bytes()).as_ref(), Ok(form));
            assert!(body.is_empty());
        }
        Content::Form(form) => assert_eq!(Form::read(body).as_ref(), Ok(form)),
        Content::Json(text) => assert_eq!(text.as_bytes(), body),
    }
});
