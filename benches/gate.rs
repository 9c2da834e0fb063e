//! What the parts of a request cost by themselves: path, token, decision. The ledger's part is in
//! `ledger.rs`.
//!
//! `cargo bench --bench gate` measures, `cargo bench --bench gate -- --test` runs everything once.
//! `benches/compare` measures the whole gate beside nginx. Only the public API is used here, so
//! that what is measured is what the gate calls.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use criterion::{BatchSize, Criterion};
use http::header::{AUTHORIZATION, HeaderMap};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use noticegate::clock::Clock;
use noticegate::config::{self, Count};
use noticegate::facts::Facts;
use noticegate::folder;
use noticegate::identity::{Caller, Identity, Proof, Role};
use noticegate::media::{Direction, Target};
use noticegate::policy::{Action, Policies, Question, Stated, Verdict};
use serde_json::json;

const PATH: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Recordings/\
                    RE0123456789abcdef0123456789abcdef.mp3";

/// The allocator of `main.rs`: a decision is mostly allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    path(&mut criterion);
    token(&mut criterion);
    decision(&mut criterion);
    criterion.final_summary();
}

fn path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path");
    let encoded = PATH.replace("/RE", "%2FRE");
    let capitals = PATH.replace("mp3", "MP3");
    assert!(Target::parse(PATH, Some("RequestedChannels=2")).is_ok());
    group.bench_function("served", |bencher| bencher.iter(|| Target::parse(black_box(PATH), None)));
    group.bench_function("served, with a query", |bencher| {
        bencher.iter(|| Target::parse(black_box(PATH), Some("RequestedChannels=2")));
    });
    for (name, text) in [("percent-encoded", &encoded), ("other letter case", &capitals)] {
        assert!(Target::parse(text, None).is_err());
        group.bench_function(format!("refused, {name}"), |bencher| {
            bencher.iter(|| Target::parse(black_box(text), None));
        });
    }
}

fn token(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let (issuer, headers) = issuer(folder.path(), clock.now());
    let mut group = criterion.benchmark_group("token");
    for (name, tokens_max) in [("ES256, cold", 0), ("ES256, remembered", 100)] {
        let limits = config::Limits { tokens_max: Count::of(tokens_max), ..Default::default() };
        let identity =
            Identity::new(std::slice::from_ref(&issuer), &limits, clock.clone()).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| at_once(identity.identify(&headers, None)).unwrap());
        });
    }
}

/// An issuer with its key in a file, and headers with a token that it signed.
fn issuer(folder: &Path, now: Timestamp) -> (config::Issuer, HeaderMap) {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    public.common.key_id = Some("bench".to_owned());
    let set = serde_json::to_vec(&JwkSet { keys: vec![public] }).unwrap();
    let keys = folder.join("jwks.json");
    File::create(&keys).unwrap().write_all(&set).unwrap();
    let settings = toml::toml! {
        name = "staff"
        issuer = "https://issuer.example"
        audiences = ["noticegate"]
        algorithms = ["ES256"]
        roles = { quality-analyst = "quality-analyst" }
    };
    let issuer: config::Issuer = settings.try_into().unwrap();
    let issuer = config::Issuer { jwks_file: Some(keys), ..issuer };
    let seconds = now.as_second();
    let claims = json!({
        "iss": "https://issuer.example", "aud": "noticegate", "sub": "ana",
        "nbf": seconds, "exp": seconds + 3600, "roles": ["quality-analyst"], "jti": "1",
    });
    let header = Header { kid: Some("bench".to_owned()), ..Header::new(Algorithm::ES256) };
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    (issuer, headers)
}

fn decision(criterion: &mut Criterion) {
    let policies = sample_policies();
    let mut group = criterion.benchmark_group("decision");
    let cases = [
        ("allowed", "quality-analyst", "quality-monitoring"),
        ("forbidden", "quality-analyst", "marketing"),
        ("not permitted", "quality-analyst", "rights-request"),
    ];
    for (name, role, purpose) in cases {
        let question = question(role, purpose);
        let is_allowed = matches!(policies.decide(question.clone()), Verdict::Permit(_));
        assert_eq!(is_allowed, name == "allowed");
        group.bench_function(name, |bencher| {
            let decide = |question| policies.decide(question);
            bencher.iter_batched(|| question.clone(), decide, BatchSize::SmallInput);
        });
    }
    // All policies instead of those that can apply, and the schema checks what was built.
    let question = question("quality-analyst", "quality-monitoring");
    let purpose = question.purpose.clone().unwrap();
    group.bench_function("allowed, unsliced and checked", |bencher| {
        bencher.iter(|| policies.decide_unsliced(&question, &purpose));
    });
}

fn sample_policies() -> Arc<Policies> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    Arc::new(Policies::load(&folder::read(&folder).unwrap()).unwrap())
}

/// A question about a call of three weeks before, under the notice of 2026-03-01.
fn question(role: &str, purpose: &str) -> Question {
    let now: Timestamp = "2026-11-03T12:00:00Z".parse().unwrap();
    let started_at = now - SignedDuration::from_hours(21 * 24);
    let media = Target::parse(PATH, None).unwrap().media;
    let facts = Facts {
        as_of: now,
        call: "CA0123456789abcdef0123456789abcdef".parse().ok(),
        duration_seconds: 281,
        channels: 2,
        direction: Some(Direction::Inbound),
        ..Facts::bare(media.account, media.sid().unwrap(), started_at)
    };
    let caller = Caller {
        id: "staff|ana".to_owned(),
        roles: Arc::new([Role::new(role)]),
        on_behalf_of: None,
        bound_purpose: None,
        default_purpose: None,
        proof: Proof {
            issuer: "https://issuer.example".to_owned(),
            key_id: Some("bench".to_owned()),
            token_id: Some("1".to_owned()),
            expires_at: now,
        },
    };
    Question {
        caller: Arc::new(caller),
        action: Action::Access,
        media,
        purpose: purpose.parse().ok(),
        stated: Stated::default(),
        facts: Arc::new(facts),
        now,
    }
}

/// Polls a future that never has to wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("it waits for something"),
    }
}
