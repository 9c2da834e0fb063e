//! The command line beside a world, and a naive reading of the ledger to hold its answers against.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use noticegate::standin::SampleRecording;
use serde_json::Value;

use super::world::NUMBER;
use super::world::of_kind;
use super::{ACCOUNT, World, WorldSettings, recording};

/// Recordings of a world with some history.
pub const AUTUMN: &str = "RE0000000000000000000000000000ab01";
pub const OTHER: &str = "RE0000000000000000000000000000ab02";
pub const OLD: &str = "RE0000000000000000000000000000ab03";
pub const MISSING: &str = "RE0000000000000000000000000000ab04";
/// A person who was on the call of `OTHER` alone.
pub const BRITISH: &str = "+447700900123";
/// What a caller wrote; it is sealed.
pub const NOTE: &str = "complaint about a bill";

/// What a command said.
#[derive(Debug)]
pub struct Told {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Told {
    /// One JSON value a line.
    pub fn json(&self) -> Vec<Value> {
        let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        self.out.lines().map(read).collect()
    }
}

/// A command on a world's configuration.
pub fn command(world: &World, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_noticegate"));
    command.args(words).env("NOTICEGATE_CONFIG", world.folder.join("noticegate.toml"));
    command.env("USER", "rita").current_dir(&world.folder);
    command
}

/// Runs it to its end.
pub fn tell(world: &World, words: &[&str]) -> Told {
    told(command(world, words))
}

pub fn told(mut command: Command) -> Told {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!err.contains("panicked"), "{err}");
    Told { code: output.status.code().unwrap_or(-1), out, err }
}

/// Runs a command that must succeed.
pub fn done(world: &World, words: &[&str]) -> String {
    let told = tell(world, words);
    assert_eq!(told.code, 0, "{words:?}: {}{}", told.out, told.err);
    told.out
}

/// The rows of a query, in its order.
pub fn rows(world: &World, words: &[&str]) -> Vec<Value> {
    let all = ["ledger", "query", "--format", "json", "--limit", "10000"];
    let told = tell(world, &[&all[..], words].concat());
    assert_eq!(told.code, 0, "{words:?}: {}", told.err);
    told.json()
}

/// The places of rows.
pub fn places(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect()
}

/// Waits, within bounds, for what a process is about to do.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_500 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}")
}

/// Waits until every disclosure has its outcome, and reads the ledger.
pub fn settled(world: &World) -> Vec<Value> {
    until("every intent gets its outcome", || {
        let entries = world.read_entries();
        let all = of_kind(&entries, "intent").len();
        (of_kind(&entries, "outcome").len() >= all).then_some(entries)
    })
}

/// The outcomes by the intents' ids.
pub fn outcomes(entries: &[Value]) -> HashMap<String, Value> {
    let of = |outcome: &&Value| (outcome["of"].as_str().unwrap().to_owned(), (*outcome).clone());
    of_kind(entries, "outcome").iter().map(of).collect()
}

/// A child that is gone when the test is.
pub struct Reaped(pub Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of a recording.
pub fn of(sid: &str, extension: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}{extension}")
}

fn call(sid: &str, from: &str, made: &str) -> SampleRecording {
    let call_sid = Some(sid.replace("RE", "CA"));
    SampleRecording { call_sid, from: from.to_owned(), ..recording(sid, made) }
}

/// The recordings of a world with some history.
pub fn recordings() -> Vec<SampleRecording> {
    vec![
        call(AUTUMN, NUMBER, "2026-09-03T09:15:02Z"),
        call(OTHER, BRITISH, "2026-10-01T09:15:02Z"),
        call(OLD, NUMBER, "2025-06-01T09:15:02Z"),
    ]
}

/// Four days in two months: many callers, roles, purposes, forms, ranges and refusals.
pub async fn busy() -> World {
    busy_with(WorldSettings::default()).await
}

pub async fn busy_with(settings: WorldSettings) -> World {
    let settings = WorldSettings { recordings: recordings(), ..settings };
    let world = World::prepare(&settings).await;
    let at = |time: &str| world.clock.set(time.parse().unwrap());
    at("2026-10-31T22:30:00Z");
    let world = world.started();
    history(&world).await;
    world
}

async fn history(world: &World) {
    let at = |time: &str| world.clock.set(time.parse().unwrap());
    let ana = |path: &str| world.ana(path);
    let seen = |answer: super::Answer| answer.status;
    assert_eq!(seen(world.send(ana(&of(AUTUMN, ".wav"))).await), 200);
    let head = ana(&of(AUTUMN, ".wav")).method("HEAD");
    assert_eq!(seen(world.send(head).await), 200);
    let part = ana(&of(AUTUMN, ".wav")).header("range", "bytes=0-99");
    assert_eq!(seen(world.send(part).await), 206);
    let wrong = world.who("ana", "quality-analyst", "marketing", &of(AUTUMN, ".wav"));
    assert_eq!(seen(world.send(wrong).await), 403);

    at("2026-11-01T09:10:00Z");
    let tom = world.who("tom", "team-lead", "quality-monitoring", &of(OTHER, ".mp3"));
    assert_eq!(seen(world.send(tom).await), 200);
    let cleo = || world.who("cleo", "complaints-handler", "complaint-handling", &of(OTHER, ".wav"));
    assert_eq!(seen(world.send(cleo()).await), 403);
    let named = cleo().header("noticegate-reference", "CASE-1234");
    let named = named.header("noticegate-reason", NOTE).header("user-agent", "Probe/7.1");
    assert_eq!(seen(world.send(named).await), 200);

    at("2026-11-02T23:59:59.5Z");
    let pia = world.who("pia", "privacy-officer", "rights-request", &of(AUTUMN, ".json"));
    assert_eq!(seen(world.send(pia).await), 200);
    assert_eq!(seen(world.send(ana(&of(OLD, ".wav"))).await), 403);
    assert_eq!(seen(world.send(ana(&of(MISSING, ".wav"))).await), 404);

    at("2026-11-23T12:00:00Z");
    let stranger = super::Client::get(&of(AUTUMN, ".wav"));
    assert_eq!(seen(world.send(stranger).await), 401);
    assert_eq!(seen(world.send(ana(&of(AUTUMN, ".mp3"))).await), 200);
    settled(world);
}

/// What is derived from a world's ledger.
pub fn derived(world: &World) -> PathBuf {
    PathBuf::from(format!("{}.d", world.ledger.display()))
}

/// The key file of a world's ledger.
pub fn key_file(world: &World) -> PathBuf {
    PathBuf::from(format!("{}.key", world.ledger.display()))
}
