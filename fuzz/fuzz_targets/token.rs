//! An `Authorization` header: no text is a caller, whatever it looks like.
//!
//! The seeds hold soundly signed tokens too, so that the fuzzer gets behind the signature. All of
//! them have expired by this target's clock, and nobody has the key any more.

#![no_main]

use std::sync::LazyLock;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use noticegate::clock::Clock;
use noticegate::config::{Issuer, Limits};
use noticegate::identity::Identity;
use tokio::runtime::{Builder, Runtime};

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let issuer: Issuer = serde_json::from_value(serde_json::json!({
        "name": "fuzz",
        "issuer": "https://issuer.fuzz.example",
        "audiences": ["noticegate"],
        "jwks_file": concat!(env!("CARGO_MANIFEST_DIR"), "/issuer/jwks.json"),
        "algorithms": ["ES256", "RS256", "EdDSA"],
        "roles": { "analyst": "quality-analyst" },
        "purpose_claim": "purpose",
    }))
    .expect("an issuer");
    let clock = Clock::manual(Timestamp::from_second(4_102_444_800).expect("the year 2100"));
    Identity::new(&[issuer], &Limits::default(), clock).expect("usable keys")
});

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|text: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(text) else { return };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    if let Ok(caller) = RUNTIME.block_on(IDENTITY.identify(&headers, None)) {
        panic!("identified as {caller:?}");
    }
});
