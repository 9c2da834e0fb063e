//! What the ledger costs: durable appends beside a plain file, and a ledger of a million entries.
//!
//! `cargo bench --bench ledger` measures everything (some minutes), `-- --test` runs it once with
//! little, `-- --appends` and `-- --large` run one half. The rows of the first table are taken in turns, so that a neighbour's noise falls on all
//! of them. PostgreSQL is measured where `NOTICEGATE_BENCH_POSTGRES` names a database to fill.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "this is a program of its own that prints a table")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use noticegate::clock::Clock;
use noticegate::config::{self, Count, Millis};
use noticegate::facts::{Facts, Numbers};
use noticegate::folder;
use noticegate::identity::{Caller, Proof, Role};
use noticegate::ledger::store::{Access, Append, Place};
use noticegate::ledger::{
    self, Against, Ask, Courier, Field, Filter, Ledger, Order, Query, Review, Unit,
};
use noticegate::media::{Direction, Target};
use noticegate::policy::{Permit, Policies, Question, Stated, Verdict};
use noticegate::secret::Secret;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Bytes that one disclosure adds to the ledger: an intent with what is sealed, and an outcome.
const LINE_BYTES: usize = 2_000;

/// The allocator of `main.rs`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let policies = sample_policies();
    let what = |name: &str| std::env::args().any(|argument| argument == name);
    if !what("--large") {
        appends(&policies, quick);
    }
    if !what("--appends") {
        large(&policies, if quick { 2_000 } else { 500_000 });
    }
}

/// The stores by themselves with ready-made bytes, and the gate's ledger from a permit to a durable
/// intent: entry, commitments and sealing included, permits ready-made. Dropping the receipt queues an outcome, so
/// that every append stands for two entries, as it does in the gate; the plain file takes the bytes
/// of both at once.
fn appends(policies: &Arc<Policies>, quick: bool) {
    let rounds = if quick { 1 } else { 5 };
    let folder = folder_on_disk();
    let plain = GroupCommit::to_file(&folder.path().join("plain"));
    let store = GroupCommit::to_store(&in_file(folder.path(), "store"));
    let sqlite = open(&in_file(folder.path(), "appends"), policies);
    let postgres = std::env::var("NOTICEGATE_BENCH_POSTGRES").ok();
    let postgres = postgres.map(|url| open(&in_database(folder.path(), &url), policies));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("durable disclosures (an intent waited for, and its outcome)");
    println!(
        "{:>8} {:<16} {:>10} {:>9} {:>9}  to file",
        "writers", "store", "a second", "p50", "p99"
    );
    for (writers, each_writer) in [(1, 1_000), (16, 500), (64, 300), (256, 100)] {
        let each_writer = if quick { 10 } else { each_writer };
        let mut each: Vec<(&str, Vec<Duration>, Duration)> = Vec::new();
        for _ in 0..rounds {
            let mut add = |name, (latencies, took): (Vec<Duration>, Duration)| match each
                .iter_mut()
                .find(|(known, ..)| *known == name)
            {
                Some((_, all, total)) => {
                    all.extend(latencies);
                    *total += took;
                }
                None => each.push((name, latencies, took)),
            };
            for (name, floor) in [("plain file", &plain), ("SQLite store", &store)] {
                let floor = floor.clone();
                let nothing = || vec![(); each_writer];
                let append = move |()| floor.append();
                add(name, runtime.block_on(closed_loop(writers, nothing, append)));
            }
            for (name, ledger) in
                [("gate, SQLite", Some(&sqlite)), ("gate, PostgreSQL", postgres.as_ref())]
            {
                let Some(ledger) = ledger else { continue };
                let permits = || (0..each_writer).map(|_| permit(policies, question(0))).collect();
                let ledger = ledger.clone();
                let append = move |permit| {
                    let (_intent, pledge) = ledger.intend(permit, &ask(0)).unwrap();
                    async move { drop(pledge.durable().await.unwrap()) }
                };
                add(name, runtime.block_on(closed_loop(writers, permits, append)));
            }
        }
        let mut floor = None;
        for (name, mut latencies, took) in each {
            latencies.sort_unstable();
            let rate = latencies.len() as f64 / took.as_secs_f64();
            let floor = *floor.get_or_insert(rate);
            let at = |percent: usize| {
                latencies.get((latencies.len() - 1) * percent / 100).copied().unwrap_or_default()
            };
            println!(
                "{writers:>8} {name:<16} {rate:>10.0} {:>6.2} ms {:>6.2} ms  {:.2}x",
                at(50).as_secs_f64() * 1e3,
                at(99).as_secs_f64() * 1e3,
                rate / floor,
            );
        }
    }
    if postgres.is_none() {
        println!("{:>8} PostgreSQL   skipped: NOTICEGATE_BENCH_POSTGRES names no database", "");
    }
    sqlite.close();
    if let Some(postgres) = postgres {
        postgres.close();
    }
}

/// So many writers, each of which waits for one append before the next: how long each took, and
/// how long all of it.
async fn closed_loop<T, F>(
    writers: usize,
    items: impl Fn() -> Vec<T>,
    append: impl Fn(T) -> F + Clone + Send + 'static,
) -> (Vec<Duration>, Duration)
where
    T: Send + 'static,
    F: Future<Output = ()> + Send,
{
    let work: Vec<Vec<T>> = (0..writers).map(|_| items()).collect();
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for items in work {
        let append = append.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(items.len());
            for item in items {
                let began = Instant::now();
                append(item).await;
                latencies.push(began.elapsed());
            }
            latencies
        });
    }
    let latencies = tasks.join_all().await.concat();
    (latencies, started.elapsed())
}

/// A ledger of so many disclosures over a year: what it takes, and how fast it answers.
fn large(policies: &Arc<Policies>, disclosures: u64) {
    let folder = folder_on_disk();
    let settings = in_file(folder.path(), "large");
    let clock = Clock::manual(start());
    let began = Instant::now();
    fill(&settings, &clock, policies, disclosures);
    let entries = disclosures * 2;
    println!("\na ledger of {entries} entries, written in {:.1} s", began.elapsed().as_secs_f64());
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let file = settings.path.clone().unwrap();
    let index = settings.directory.join("index.sqlite");
    println!(
        "  bytes an entry: {} in the ledger, {} in the index",
        size(&file) / entries,
        size(&index) / entries
    );
    measure("verify", 1, || {
        let report = ledger::verify(&settings, &Against::default(), |_, _| {}).unwrap();
        assert!(report.flaws.is_empty(), "{:?}", report.flaws);
    });
    measure("rebuild the index", 1, || {
        ledger::rebuild(&settings, |_, _| {}).unwrap();
    });
    let mut review = Review::open(&settings, |_| {}).unwrap();
    questions(&mut review, disclosures);
    let took = measure("replay", 1, || {
        let replayed = ledger::replay(&mut review, &Query::default(), policies, |_| {}).unwrap();
        assert_eq!(replayed.same, replayed.decisions);
    });
    println!("    {:.0} decisions a second", disclosures as f64 / took.as_secs_f64());
}

fn fill(settings: &config::Ledger, clock: &Clock, policies: &Arc<Policies>, disclosures: u64) {
    let ledger = Ledger::open(settings, clock.clone(), policies, Box::new(Nobody)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let year = SignedDuration::from_hours(365 * 24).as_secs();
    runtime.block_on(async {
        for first in (0..disclosures).step_by(500) {
            let passed = year * first.cast_signed() / disclosures.cast_signed();
            clock.set(start() + SignedDuration::from_secs(passed));
            let mut pledges = Vec::new();
            for number in first..(first + 500).min(disclosures) {
                let asked = Question { now: clock.now(), ..question(number) };
                let (_, pledge) = ledger.intend(permit(policies, asked), &ask(number)).unwrap();
                pledges.push(pledge);
            }
            for pledge in pledges {
                drop(pledge.durable().await.unwrap());
            }
        }
    });
    ledger.close();
}

/// What the console asks for a page of the log: sessions with their entries, counts by value and over
/// time; of a month, and of everything.
fn page_of_the_log(review: &mut Review, month: Query) {
    let heard = Filter { field: Field::Kind, any: vec!["intent".to_owned()], not: false };
    for (name, query) in [
        ("a page of the log, of a month", month),
        ("a page of the log, of everything", Query::default()),
    ] {
        let counted = Query { all: vec![heard.clone()], ..query.clone() };
        measure(name, 9, || {
            review.refresh().unwrap();
            let page = review.index().sessions(&query, None, 50).unwrap();
            let places: Vec<u64> = page.sessions.iter().map(|session| session.first_seq).collect();
            review.rows(&places).unwrap();
            review.index().count(&counted).unwrap();
            for field in [
                Field::Caller,
                Field::Purpose,
                Field::Clause,
                Field::Recipient,
                Field::Form,
                Field::Ending,
            ] {
                review.index().facets(&counted, field, 8).unwrap();
            }
            review.index().histogram(&counted, Unit::Day, None).unwrap();
            review.index().histogram(&counted, Unit::Month, None).unwrap();
        });
    }
}

fn questions(review: &mut Review, disclosures: u64) {
    let is = |field, value: &str| Filter { field, any: vec![value.to_owned()], not: false };
    let all = |all: Vec<Filter>| Query { all, ..Query::default() };
    let words = |words: &str| Query { words: words.to_owned(), ..Query::default() };
    let month = Query {
        since: Some(start() + SignedDuration::from_hours(24 * 200)),
        until: Some(start() + SignedDuration::from_hours(24 * 230)),
        ..Query::default()
    };
    let person = review.person(&number(7)).unwrap().unwrap().to_string();
    let caller = || is(Field::Caller, "staff|u17");
    let pages = [
        ("newest page of 100", Query::default()),
        ("a month and a caller", Query { all: vec![caller()], ..month.clone() }),
        ("one recording", all(vec![is(Field::Recording, &recording(disclosures / 2))])),
        ("one person", all(vec![is(Field::Person, &person)])),
        (
            "a purpose and a clause",
            all(vec![
                is(Field::Purpose, "quality-monitoring"),
                is(Field::Clause, "2026-03-01#quality"),
            ]),
        ),
        ("an address", all(vec![is(Field::Address, "192.0.2.7")])),
        ("a rare word", words("CASE-1234")),
        (
            "two common words and a caller",
            Query { all: vec![caller()], words: "the customer".to_owned(), ..Query::default() },
        ),
    ];
    for (name, query) in &pages {
        measure(name, 9, || {
            review.find(query, None, 100, Order::NewestFirst).unwrap();
        });
    }
    page_of_the_log(review, month);
    measure("what was unusual in 30 of 120 days", 3, || {
        let since = start() + SignedDuration::from_hours(24 * 335);
        review.index().unusual(since).unwrap();
    });
    measure("count of a year and a caller", 9, || {
        review.index().count(&all(vec![caller()])).unwrap();
    });
    measure("counts by caller, a year", 9, || {
        review.index().facets(&Query::default(), Field::Caller, 20).unwrap();
    });
    measure("histogram by day, a year", 9, || {
        review.index().histogram(&Query::default(), Unit::Day, None).unwrap();
    });
    measure("50 sessions", 9, || {
        review.index().sessions(&Query::default(), None, 50).unwrap();
    });
}

/// Prints the median of so many times.
fn measure(name: &str, times: usize, mut run: impl FnMut()) -> Duration {
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    let median = took.get(times / 2).copied().unwrap_or_default();
    println!("  {name:<32} {:>10.2} ms", median.as_secs_f64() * 1e3);
    median
}

fn start() -> Timestamp {
    "2026-03-02T00:00:00Z".parse().unwrap()
}

fn sample_policies() -> Arc<Policies> {
    Arc::new(Policies::load(&folder::read(Path::new("policies")).unwrap()).unwrap())
}

/// A fifth of the recordings are asked for again and again, as in life.
/// A recording's SID; that of zeros stands for none.
fn recording(number: u64) -> String {
    let which = if number.is_multiple_of(5) { number % 1_000 } else { number / 2 };
    format!("RE{:032x}", which + 1)
}

fn number(number: u64) -> String {
    format!("+1404{:07}", number * 37 % 5_000_000)
}

fn question(number_of: u64) -> Question {
    let account = "AC00000000000000000000000000000001".parse().unwrap();
    let sid = recording(number_of);
    let path = format!("/2010-04-01/Accounts/{account}/Recordings/{sid}.mp3");
    let media = Target::parse(&path, None).unwrap().media;
    let now = start() + SignedDuration::from_hours(24);
    let mut facts = Facts::bare(account, media.sid().unwrap(), start());
    facts.call = "CA0123456789abcdef0123456789abcdef".parse().ok();
    facts.duration_seconds = 300;
    facts.direction = Some(Direction::Inbound);
    facts.numbers = Numbers::new(vec![number(number_of), "+14045550100".to_owned()]);
    let caller = Caller {
        id: format!("staff|u{}", number_of * 7 % 800),
        roles: [Role::new("quality-analyst")].into(),
        on_behalf_of: None,
        bound_purpose: None,
        default_purpose: None,
        proof: Proof {
            issuer: "https://issuer.example/".to_owned(),
            key_id: Some("key-1".to_owned()),
            token_id: None,
            expires_at: Timestamp::MAX,
        },
    };
    Question {
        caller: Arc::new(caller),
        action: media.row().action,
        media,
        purpose: "quality-monitoring".parse().ok(),
        stated: Stated::default(),
        facts: Arc::new(facts),
        now,
    }
}

fn permit(policies: &Policies, question: Question) -> Permit {
    match policies.decide(question) {
        Verdict::Permit(permit) => permit,
        Verdict::Refuse(refusal) => unreachable!("{refusal:?}"),
    }
}

fn ask(number: u64) -> Ask {
    Ask {
        method: "GET",
        range: None,
        address: [192, 0, 2, (number % 200) as u8].into(),
        agent: Some("twilio-python/9.8.1 (Linux x86_64) Python/3.13.5".to_owned()),
        reference: Some(format!("CASE-{}", number % 50_000)),
        reason: number.is_multiple_of(3).then(|| "the customer asked for it".to_owned()),
    }
}

fn in_file(folder: &Path, name: &str) -> config::Ledger {
    config::Ledger {
        path: Some(folder.join(format!("{name}.sqlite"))),
        directory: folder.join(format!("{name}.d")),
        key_file: folder.join(format!("{name}.key")),
        origin: "bench/ledger".to_owned(),
        timeout_ms: Millis::of(60_000),
        stranger_entries_per_second: Count::of(0),
        ..config::Ledger::default()
    }
}

fn in_database(folder: &Path, url: &str) -> config::Ledger {
    let postgres =
        config::Postgres { url_file: None, url_env: None, ca_file: None, url: Secret::new(url) };
    config::Ledger {
        path: None::<PathBuf>,
        postgres: Some(postgres),
        ..in_file(folder, "postgres")
    }
}

fn open(settings: &config::Ledger, policies: &Policies) -> Ledger {
    Ledger::open(settings, Clock::system(), policies, Box::new(Nobody)).unwrap()
}

/// No checkpoint leaves this machine.
#[derive(Debug)]
struct Nobody;

impl Courier for Nobody {
    fn post(&self, _: &str, _: Vec<u8>) -> Result<(u16, Vec<u8>), String> {
        Err("there is nobody".to_owned())
    }
}

/// One thread that makes whatever waits durable at once, ready-made, and answers all.
#[derive(Clone)]
struct GroupCommit(mpsc::Sender<oneshot::Sender<()>>);

impl GroupCommit {
    /// The floor: a plain file, synced once for all.
    fn to_file(path: &Path) -> Self {
        let mut file = File::create(path).unwrap();
        Self::start(move |count| {
            file.write_all(&vec![b'x'; LINE_BYTES * count]).unwrap();
            file.sync_data().unwrap();
        })
    }

    /// The store by itself: two entries for each, with what is sealed beside the first.
    fn to_store(settings: &config::Ledger) -> Self {
        let mut store = Place::of(settings).open(Access::Create).unwrap();
        let (intent, sealed, outcome) = (vec![b'x'; 1_100], vec![b'x'; 600], vec![b'x'; 300]);
        let leaf = [7; 32];
        // Beside it what a gate's follower does five times a second.
        let mut beside = Place::of(settings).open(Access::Write).unwrap();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(200));
                if beside.tidy().is_err() {
                    return;
                }
            }
        });
        Self::start(move |count| {
            let first = Append { bytes: &intent, leaf: &leaf, clear: Some(&sealed) };
            let second = Append { bytes: &outcome, leaf: &leaf, clear: None };
            let batch: Vec<_> = (0..count).flat_map(|_| [first, second]).collect();
            store.append(&batch).unwrap();
        })
    }

    fn start(mut commit: impl FnMut(usize) + Send + 'static) -> Self {
        let (sender, waiting) = mpsc::channel::<oneshot::Sender<()>>();
        std::thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
                commit(batch.len());
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
