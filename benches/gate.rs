//! What the parts of a request cost by themselves: path, token, decision, ledger.
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
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use http::header::{AUTHORIZATION, HeaderMap};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use noticegate::clock::Clock;
use noticegate::config::{self, Count, Millis};
use noticegate::facts::Facts;
use noticegate::folder;
use noticegate::identity::{Caller, Identity, Proof, Role};
use noticegate::ledger::{Ask, Courier, Ledger};
use noticegate::media::{Direction, Target};
use noticegate::policy::{Action, Permit, Policies, Question, Stated, Verdict};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const PATH: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Recordings/\
                    RE0123456789abcdef0123456789abcdef.mp3";

/// Bytes that one disclosure adds to the ledger: an intent with its clear text, and an outcome.
const LINE_BYTES: usize = 1_500;

/// The allocator of `main.rs`: a decision is mostly allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    path(&mut criterion);
    token(&mut criterion);
    decision(&mut criterion);
    ledger(&mut criterion);
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
    let folder = folder_on_disk();
    let clock = Clock::system();
    let (issuer, headers) = issuer(folder.path(), clock.now());
    let mut group = criterion.benchmark_group("token");
    for (name, tokens_max) in [("ES256, cold", 0), ("ES256, remembered", 100)] {
        let limits = config::Limits { tokens_max: Count::of(tokens_max), ..Default::default() };
        let identity =
            Identity::new(std::slice::from_ref(&issuer), &limits, clock.clone()).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| at_once(identity.identify(&headers)).unwrap());
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
        ..Facts::bare(media.account, media.recording, started_at)
    };
    let caller = Caller {
        id: "staff|ana".to_owned(),
        roles: Arc::new([Role::new(role)]),
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

/// From a permit to a durable intent. Dropping the receipt queues an outcome, so that every append
/// stands for two entries, as it does in the gate; the plain file takes the bytes of both at once.
/// No checkpoint leaves this machine.
#[derive(Debug)]
struct Nobody;

impl Courier for Nobody {
    fn post(&self, _: &str, _: Vec<u8>) -> Result<(u16, Vec<u8>), String> {
        Err("there is nobody".to_owned())
    }
}

fn ledger(criterion: &mut Criterion) {
    let folder = folder_on_disk();
    let policies = sample_policies();
    let settings = config::Ledger {
        path: Some(folder.path().join("ledger.sqlite")),
        directory: folder.path().join("ledger.d"),
        key_file: folder.path().join("ledger.key"),
        origin: "bench/ledger".to_owned(),
        timeout_ms: Millis::of(60_000),
        stranger_entries_per_second: Count::of(0),
        ..config::Ledger::default()
    };
    let ledger = Ledger::open(&settings, Clock::system(), &policies, Box::new(Nobody)).unwrap();
    let plain = PlainFile::create(&folder.path().join("plain"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("ledger");
    for writers in [1, 64] {
        group.bench_function(format!("intent to durable, {writers} writers"), |bencher| {
            bencher.iter_custom(|count| {
                let permits = (0..count).map(|_| permit(&policies)).collect();
                let ledger = ledger.clone();
                runtime.block_on(timed(writers, permits, move |permit| {
                    let (_intent, pledge) = ledger.intend(permit, &ask()).unwrap();
                    async move { drop(pledge.durable().await.unwrap()) }
                }))
            });
        });
        group.bench_function(format!("plain file, {writers} writers"), |bencher| {
            bencher.iter_custom(|count| {
                let plain = plain.clone();
                let lines = vec![(); usize::try_from(count).unwrap()];
                runtime.block_on(timed(writers, lines, move |()| plain.append()))
            });
        });
    }
    group.finish();
    ledger.close();
}

fn permit(policies: &Policies) -> Permit {
    match policies.decide(question("quality-analyst", "quality-monitoring")) {
        Verdict::Permit(permit) => permit,
        Verdict::Refuse(refusal) => unreachable!("{refusal:?}"),
    }
}

fn ask() -> Ask {
    Ask {
        method: "GET",
        range: None,
        address: [192, 0, 2, 7].into(),
        agent: Some("twilio-python/9.8.1 (Linux x86_64) Python/3.13.5".to_owned()),
        reference: None,
        reason: None,
    }
}

/// How long all appends take when so many writers share them, each waiting for one before the next.
async fn timed<T, F>(
    writers: usize,
    mut items: Vec<T>,
    append: impl Fn(T) -> F + Clone + Send + 'static,
) -> Duration
where
    T: Send + 'static,
    F: Future<Output = ()> + Send,
{
    let share = items.len().div_ceil(writers);
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    while !items.is_empty() {
        let items = items.split_off(items.len().saturating_sub(share));
        let append = append.clone();
        tasks.spawn(async move {
            for item in items {
                append(item).await;
            }
        });
    }
    tasks.join_all().await;
    started.elapsed()
}

/// The floor: one thread that writes whatever waits to a file, syncs it once, and answers all.
#[derive(Clone)]
struct PlainFile(mpsc::Sender<oneshot::Sender<()>>);

impl PlainFile {
    fn create(path: &Path) -> Self {
        let mut file = File::create(path).unwrap();
        let (sender, waiting) = mpsc::channel::<oneshot::Sender<()>>();
        std::thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
                file.write_all(&vec![b'x'; LINE_BYTES * batch.len()]).unwrap();
                file.sync_data().unwrap();
                for answer in batch {
                    // Nobody stops waiting here.
                    let _ = answer.send(());
                }
            }
        });
        Self(sender)
    }

    fn append(&self) -> impl Future<Output = ()> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).unwrap();
        async move { answered.await.unwrap() }
    }
}

/// A folder beside the build's own files: `/tmp` is often memory, where a sync costs nothing.
fn folder_on_disk() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Polls a future that never has to wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("it waits for something"),
    }
}
