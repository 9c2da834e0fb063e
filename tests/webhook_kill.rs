//! A gate that is killed loses nothing that Twilio was told it has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop at once and say where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use noticegate::clock::Clock;
use noticegate::webhook::{Answer, Courier, Delivery, NoAnswer, Outbox, OutboxSettings, Verb};

const WATCHDOG: Duration = Duration::from_secs(30);
const FOLDER: &str = "NOTICEGATE_TEST_OUTBOX";
const FIRST: &str = "NOTICEGATE_TEST_FIRST";

/// An application whose memory is a file: a line for each delivery. Every third call fails.
#[derive(Debug)]
struct Remembering {
    file: File,
    calls: AtomicU64,
    fails: bool,
}

impl Remembering {
    fn at(folder: &Path, fails: bool) -> Arc<Self> {
        let file =
            File::options().create(true).append(true).open(folder.join("delivered")).unwrap();
        Arc::new(Self { file, calls: AtomicU64::new(0), fails })
    }
}

impl Courier for Remembering {
    fn deliver(&self, delivery: &Delivery) -> Result<Answer, NoAnswer> {
        if self.fails && self.calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(3) {
            return Err(NoAnswer::Unreachable);
        }
        let line = format!("{} {}\n", delivery.body, delivery.idempotency_token);
        (&self.file).write_all(line.as_bytes()).unwrap();
        Ok(Answer { status: 200, retry_after: None })
    }
}

fn event(number: u64) -> [u8; 32] {
    let mut event = [0; 32];
    event[..8].copy_from_slice(&number.to_le_bytes());
    event
}

fn delivery(number: u64) -> Delivery {
    Delivery {
        verb: Verb::Post,
        url: "https://app.example/".to_owned(),
        content_type: None,
        body: number.to_string(),
        signature: String::new(),
        idempotency_token: format!("t{number}"),
    }
}

fn open(folder: &Path, clock: Clock, fails: bool) -> Outbox {
    let settings = OutboxSettings::new([7; 32]);
    Outbox::open(&folder.join("outbox"), &settings, clock, Remembering::at(folder, fails)).unwrap()
}

/// The process that is killed: it stores for as long as it lives and says what is stored.
#[test]
#[ignore = "run by the others, as a process of its own"]
fn child() {
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let outbox = open(&folder, Clock::system(), true);
    for number in first..first + 1_000_000 {
        assert!(outbox.store("hook", &event(number), &delivery(number)).unwrap());
        println!("\nack {number}");
    }
}

/// Runs the child until it has said so much, kills it, and returns what it has said.
fn run(folder: &Path, first: u64, crash: Option<&str>, acks: usize) -> Vec<u64> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).env(FIRST, first.to_string());
    if let Some(crash) = crash {
        command.env("NOTICEGATE_CRASH_AT", crash);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok);
    let told = told.filter_map(|line| line.strip_prefix("ack ").and_then(|n| n.parse().ok()));
    let mut said = Vec::new();
    for number in told {
        said.push(number);
        if said.len() == acks {
            // SIGKILL; what it says in the meantime counts, too.
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    said
}

/// Delivers what is left, and says how often each came, having checked that its token never changed.
fn delivered(folder: &Path) -> BTreeMap<u64, usize> {
    let clock = Clock::system();
    let clock = Clock::manual(clock.now() + SignedDuration::from_hours(2));
    let outbox = open(folder, clock, false);
    let began = Instant::now();
    while outbox.stats().unwrap().waiting > 0 {
        assert!(began.elapsed() < WATCHDOG, "{:?}", outbox.stats());
        std::thread::yield_now();
    }
    assert_eq!(outbox.stats().unwrap().dead, 0);
    let mut times = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("delivered")).unwrap().lines() {
        let (number, token) = line.split_once(' ').unwrap();
        assert_eq!(token, format!("t{number}"));
        *times.entry(number.parse().unwrap()).or_default() += 1;
    }
    for number in times.keys() {
        let again = outbox.store("hook", &event(*number), &delivery(*number)).unwrap();
        assert!(!again, "{number} is known, whatever happened");
    }
    times
}

#[test]
fn killed_at_any_time_it_delivers_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..12 {
        let acks = 1 + usize::try_from(round).unwrap() * 7 % 40;
        acknowledged.extend(run(folder.path(), round * 10_000_000, None, acks));
    }
    let times = delivered(folder.path());
    let lost: Vec<_> = acknowledged.iter().filter(|number| !times.contains_key(number)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let twice = times.values().filter(|times| **times > 1).count();
    println!("{} acknowledged in 12 lives, none lost, {twice} delivered again", acknowledged.len());
}

#[test]
fn killed_at_each_step_it_delivers_all_that_was_acknowledged() {
    for step in ["outbox-written", "outbox-durable", "outbox-delivered", "outbox-deleted"] {
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged = BTreeSet::new();
        for (round, times) in [1, 2, 5].into_iter().enumerate() {
            let first = u64::try_from(round).unwrap() * 10_000_000;
            let crash = format!("{step}:{times}");
            acknowledged.extend(run(folder.path(), first, Some(&crash), usize::MAX));
        }
        let times = delivered(folder.path());
        for number in &acknowledged {
            assert!(times.contains_key(number), "{step} {number}");
        }
        let unsaid = times.keys().filter(|number| !acknowledged.contains(number)).count();
        match step {
            "outbox-written" => assert_eq!(unsaid, 0, "what was not committed was not stored"),
            "outbox-durable" => assert_eq!(unsaid, 3, "it is stored, and Twilio sends it again"),
            _ => {}
        }
        println!("{step}: {} acknowledged, none lost", acknowledged.len());
    }
}

#[test]
#[ignore = "a measurement"]
fn how_many_a_second() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let outbox = open(folder.path(), Clock::system(), false);
    let began = Instant::now();
    for number in 0..500 {
        outbox.store("hook", &event(number), &delivery(number)).unwrap();
    }
    println!("{:?} a store, with deliveries beside it", began.elapsed() / 500);
}
