//! A ledger in the hands of its keeper and of its enemies: commands on it, copies of it, changes
//! behind its back. The sample has a few hundred entries of all kinds; it is made once for all
//! tests of a run, and each works on a copy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use noticegate::clock::Clock;
use noticegate::standin::{SampleAudio, SampleRecording};
use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::client::Client;
use super::world::{ACCOUNT, World, WorldSettings, copy_folder, recording};

/// How many recordings the sample's callers ask for.
pub const RECORDINGS: usize = 8;
/// How many requests they send. Most give an intent and an outcome.
pub const REQUESTS: usize = 260;
/// A word that only some references hold.
pub const REFERENCE: &str = "CASE-7731";
/// Words that only some reasons hold.
pub const REASON: &str = "customer complained about the zeppelin tariff";
/// Part of the user agent of everybody.
pub const AGENT: &str = "Quokkaphone/7";

/// The SID of one of the sample's recordings.
pub fn recording_sid(which: usize) -> String {
    format!("RE{:032x}", 0xfeed_0000_u64 + which as u64)
}

/// The path of one of the sample's recordings with an extension.
pub fn path_of(which: usize, extension: &str) -> String {
    let sid = recording_sid(which);
    format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}{extension}")
}

/// The telephone number that called in one of the sample's recordings.
pub fn number(which: usize) -> String {
    format!("+1404555{:04}", 7_100 + which)
}

/// The sample's recordings, of three weeks ago by the clock on the wall.
pub fn recordings() -> Vec<SampleRecording> {
    let started = Clock::system().now() - SignedDuration::from_hours(24 * 21);
    let one = |which: usize| SampleRecording {
        call_sid: Some(format!("CA{:032x}", 0xfeed_0000_u64 + which as u64)),
        audio: SampleAudio::Zeros { length: 9_000 },
        from: number(which),
        ..recording(&recording_sid(which), &started.to_string())
    };
    (0..RECORDINGS).map(one).collect()
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// What it printed, after it has done its work.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }

    /// Each line that it printed, as JSON.
    #[track_caller]
    pub fn lines(self) -> Vec<Value> {
        self.done().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs `noticegate ledger …` on the configuration in a folder.
pub fn run(folder: &Path, words: &[&str]) -> Ran {
    noticegate(folder, &[&["ledger"], words].concat())
}

/// Runs `noticegate …` on the configuration in a folder.
pub fn noticegate(folder: &Path, words: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_noticegate"))
        .args(words)
        .arg("--config")
        .arg(folder.join("noticegate.toml"))
        .env("USER", "keeper")
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What `ledger verify` said.
#[derive(Debug)]
pub struct Verified {
    pub code: i32,
    pub report: Value,
    /// The places and problems, in its order.
    pub flaws: Vec<(Option<u64>, String)>,
}

/// Runs `ledger verify` on the configuration in a folder.
#[track_caller]
pub fn verify(folder: &Path, more: &[&str]) -> Verified {
    let ran = run(folder, &[&["verify", "--format", "json"], more].concat());
    let report: Value = serde_json::from_str(ran.out.trim())
        .unwrap_or_else(|_| panic!("verify reports: {} {} {}", ran.code, ran.out, ran.err));
    assert_eq!(report["holds"] == true, ran.code == 0, "{report}");
    let flaw = |flaw: &Value| (flaw["seq"].as_u64(), flaw["problem"].as_str().unwrap().to_owned());
    let flaws = report["flaws"].as_array().unwrap().iter().map(flaw).collect();
    Verified { code: ran.code, report, flaws }
}

/// Adds lines to the `[ledger]` table of the configuration in a folder.
pub fn configure(folder: &Path, lines: &str) {
    let path = folder.join("noticegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("[ledger]\n"));
    std::fs::write(path, text.replacen("[ledger]\n", &format!("[ledger]\n{lines}\n"), 1)).unwrap();
}

/// The hash of an entry as a leaf of the tree (RFC 6962).
pub fn leaf(bytes: &[u8]) -> [u8; 32] {
    let hash = digest(&SHA256, &[&[0], bytes].concat());
    hash.as_ref().try_into().unwrap()
}

/// Looks every few milliseconds until it is so; `None` after some seconds.
pub async fn until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while began.elapsed() < Duration::from_secs(20) {
        looks.tick().await;
        if let Some(found) = look() {
            return Some(found);
        }
    }
    None
}

/// A ledger that no gate uses, with the configuration that names it, in a folder of its own.
pub struct Ledger {
    pub folder: PathBuf,
    _temporary: tempfile::TempDir,
}

static SAMPLE: OnceCell<PathBuf> = OnceCell::const_new();

impl Ledger {
    /// A copy of the sample.
    pub async fn sample() -> Self {
        Self::of(SAMPLE.get_or_init(make_sample).await)
    }

    /// A copy of a folder with a configuration and its ledger.
    pub fn of(folder: &Path) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let copy = Self { folder: temporary.path().to_owned(), _temporary: temporary };
        copy_folder(folder, &copy.folder);
        let config = copy.folder.join("noticegate.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let (from, to) = (folder.display().to_string(), copy.folder.display().to_string());
        std::fs::write(config, text.replace(&from, &to)).unwrap();
        copy
    }

    /// A copy of this one as it is now.
    pub fn copy(&self) -> Self {
        Self::of(&self.folder)
    }

    pub fn run(&self, words: &[&str]) -> Ran {
        run(&self.folder, words)
    }

    #[track_caller]
    pub fn verify(&self, more: &[&str]) -> Verified {
        verify(&self.folder, more)
    }

    /// The file of the entries.
    pub fn file(&self) -> PathBuf {
        self.folder.join("ledger.sqlite")
    }

    /// The folder of what is derived from them.
    pub fn derived(&self) -> PathBuf {
        self.folder.join("ledger.sqlite.d")
    }

    /// The file, opened as an enemy opens it.
    pub fn sql(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    /// All entries, by their places.
    pub fn entries(&self) -> Vec<(u64, Value)> {
        let sql = self.sql();
        let mut statement = sql.prepare("SELECT seq, bytes FROM entry ORDER BY seq").unwrap();
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?));
        let rows = statement.query_map([], read).unwrap().map(Result::unwrap);
        rows.map(|(seq, bytes)| (seq, serde_json::from_slice(&bytes).unwrap())).collect()
    }

    /// The last place.
    pub fn last(&self) -> u64 {
        self.sql().query_row("SELECT max(seq) FROM entry", [], |row| row.get(0)).unwrap()
    }

    /// What a world needs to run a gate on this ledger.
    pub fn settings(&self) -> WorldSettings {
        WorldSettings {
            folder: Some(self.folder.clone()),
            recordings: recordings(),
            ..WorldSettings::default()
        }
    }
}

/// Four gates after another, with a keeper's entries between them.
async fn make_sample() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ledger-sample");
    let _ = std::fs::remove_dir_all(&folder);
    let mut at = Clock::system().now() - SignedDuration::from_hours(24 * 12);
    let mut asked = 0;
    for gate in 1..=4 {
        let settings = WorldSettings {
            folder: Some(folder.clone()),
            recordings: recordings(),
            config: "[log]\nformat = \"json\"".to_owned(),
            ..WorldSettings::default()
        };
        let world = World::prepare(&settings).await;
        world.clock.set(at);
        let mut world = world.started();
        at = ask(&world, asked..gate * REQUESTS / 4, at).await;
        asked = gate * REQUESTS / 4;
        world.stop().await;
    }
    let by = ["--by", "the keeper"];
    let review = ["review", "5", "6", "--verdict", "appropriate", "--note", "looked at the zebra"];
    run(&folder, &[&review[..], &by].concat()).done();
    run(&folder, &[&["subject", &number(1)][..], &by].concat()).done();
    // One more gate, so that these are signed too.
    let settings = WorldSettings { folder: Some(folder.clone()), ..WorldSettings::default() };
    let world = World::prepare(&settings).await;
    world.clock.set(at);
    world.started().stop().await;
    folder
}

/// Sends some of the sample's requests, one after another on one connection; the clock moves an
/// hour with each.
async fn ask(world: &World, which: std::ops::Range<usize>, mut at: Timestamp) -> Timestamp {
    let io = TokioIo::new(world.client.connect(&["http/1.1"]).await);
    let (mut http, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    for request in which {
        http.ready().await.unwrap();
        let response = http.send_request(sample_request(world, request)).await.unwrap();
        response.into_body().collect().await.unwrap();
        at += SignedDuration::from_mins(60);
        world.clock.set(at);
    }
    at
}

fn sample_request(world: &World, which: usize) -> Request<Empty<bytes::Bytes>> {
    let extension = [".wav", ".mp3", ".wav", ".json"][which % 4];
    let path = path_of(which % RECORDINGS, extension);
    let request = match which % 13 {
        3 => world.who("ben", "team-lead", "quality-monitoring", &path),
        5 => world.who("cleo", "trainer", "staff-training", &path),
        7 => world.who("ana", "quality-analyst", "marketing", &path),
        9 => world.who("dora", "privacy-officer", "rights-request", &path),
        11 => Client::get(&path).header("authorization", "Bearer not-a-token"),
        _ => world.ana(&path),
    };
    let request = request.header("user-agent", AGENT);
    let request = match which % 5 {
        1 => request.header("range", format!("bytes={}-{}", which, which + 999)),
        2 => request.header("noticegate-reference", REFERENCE),
        4 => request.header("noticegate-reason", REASON),
        _ => request,
    };
    request.body(Empty::new()).unwrap()
}
