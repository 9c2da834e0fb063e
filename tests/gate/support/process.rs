//! The gate as a process of its own, so that it can be killed, starved and traced.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use noticegate::clock::Clock;
use noticegate::standin::{SampleAudio, SampleRecording};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::client::Client;
use super::world::{RECORDING, World, WorldSettings, bodiless, of_kind, path, recording};
use super::{leaks, tokens};

pub struct Process {
    pub child: Child,
    pub address: SocketAddr,
    pub operations: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// What a command said before it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// What it printed as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `noticegate` with these words and a configuration. One that never ends is ended.
pub fn noticegate(config: &Path, words: &[&str]) -> Said {
    let output = Command::new("timeout")
        .args(["30", env!("CARGO_BIN_EXE_noticegate")])
        .args(words)
        .arg("--config")
        .arg(config)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    leaks::search("what a command shows", &[&output.stdout[..], &output.stderr[..]].concat());
    Said { code, out: text(&output.stdout), err: text(&output.stderr) }
}

impl Process {
    /// Runs `noticegate serve` with a configuration; `wrap` may put another program before it.
    pub fn start(folder: &Path, wrap: &[&str]) -> Self {
        Self::configured(&folder.join("noticegate.toml"), wrap)
    }

    /// The same, with this configuration.
    pub fn configured(config: &Path, wrap: &[&str]) -> Self {
        let binary = env!("CARGO_BIN_EXE_noticegate");
        let serve = [binary, "serve", "--config", config.to_str().unwrap()];
        let words: Vec<&str> = wrap.iter().copied().chain(serve).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run `{}` ({error}); `tests/run` installs what is missing", words[0])
            });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        let keep = move |line: &str| {
            let mut log = kept.lock().unwrap();
            log.push_str(line);
            log.push('\n');
        };
        let started = lines.by_ref().map(Result::unwrap).find_map(|line| {
            keep(&line);
            let line: Value = serde_json::from_str(&line).ok()?;
            (line["message"] == "serving").then_some(line)
        });
        let started = started.unwrap_or_else(|| {
            panic!("the gate does not say that it serves: {}", log.lock().unwrap())
        });
        // What else it logs is read, so that it never blocks on a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| keep(&line)));
        let address = |key: &str| started[key].as_str().unwrap().parse().unwrap();
        Self { child, address: address("address"), operations: address("operations"), log }
    }

    /// What it has logged so far; it is searched, here and at the end, for what no log may hold.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap().clone();
        leaks::search("the log", log.as_bytes());
        log
    }

    /// True if it has ended by a crash of its own.
    pub fn has_crashed(mut self) -> bool {
        self.child.wait().unwrap().signal() == Some(6)
    }

    /// SIGKILL, to whatever runs in its place.
    pub fn kill(self) {
        drop(self);
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().success()
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// What `/readyz` says.
    pub async fn ready(&self) -> (u16, String) {
        self.get("/readyz").await
    }

    /// What the operations listener says.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let tcp = tokio::net::TcpStream::connect(self.operations).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.unwrap();
        tokio::spawn(connection);
        let request = Client::get(path).body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(text.to_vec()).unwrap())
    }

    /// Waits until `/readyz` has this status.
    pub async fn until_ready_is(&self, status: u16) -> String {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1_000 {
            looks.tick().await;
            let (found, text) = self.ready().await;
            if found == status {
                return text;
            }
        }
        panic!("/readyz never answered {status}");
    }
}

impl Drop for Process {
    /// The gate may run under another program, and must not outlive a test that fails.
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.log();
        }
    }
}

/// What clients have seen: for each answer its status, its entry, and whether a byte of a
/// recording came with it.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    pub entry: String,
    pub bytes: usize,
}

/// Clients that ask on keep-alive connections until the gate is gone or they are stopped.
pub struct Load {
    seen: mpsc::UnboundedReceiver<Seen>,
    count: Arc<AtomicUsize>,
    more: Arc<Notify>,
    enough: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub fn start(
        client: &Client,
        clients: usize,
        request: impl Fn() -> http::Request<Empty<Bytes>> + Clone + Send + Sync + 'static,
    ) -> Self {
        let (sender, seen) = mpsc::unbounded_channel();
        let (count, more) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let enough = Arc::new(AtomicBool::new(false));
        let tasks = (0..clients)
            .map(|_| {
                let (client, request) = (client.clone(), request.clone());
                let (sender, count, more) = (sender.clone(), Arc::clone(&count), Arc::clone(&more));
                let enough = Arc::clone(&enough);
                tokio::spawn(async move {
                    let io = TokioIo::new(client.connect(&["http/1.1"]).await);
                    let Ok((mut http, connection)) =
                        hyper::client::conn::http1::handshake(io).await
                    else {
                        return;
                    };
                    tokio::spawn(connection);
                    while !enough.load(Ordering::SeqCst) && http.ready().await.is_ok() {
                        let Ok(response) = http.send_request(request()).await else { return };
                        let entry = response.headers().get("noticegate-entry");
                        let entry = entry.map(|e| e.to_str().unwrap().to_owned());
                        let status = response.status().as_u16();
                        let mut body = response.into_body();
                        let mut bytes = 0;
                        while let Some(Ok(frame)) = body.frame().await {
                            bytes += frame.data_ref().map_or(0, Bytes::len);
                        }
                        let entry = entry.unwrap_or_default();
                        let _ = sender.send(Seen { status, entry, bytes });
                        count.fetch_add(1, Ordering::SeqCst);
                        more.notify_waiters();
                    }
                })
            })
            .collect();
        Self { seen, count, more, enough, tasks }
    }

    /// Waits until so many answers have come.
    pub async fn until(&self, answers: usize) {
        loop {
            let more = self.more.notified();
            if self.count.load(Ordering::SeqCst) >= answers {
                return;
            }
            more.await;
        }
    }

    /// Everything that was seen, after the gate is gone.
    pub async fn finish(mut self) -> Vec<Seen> {
        for task in self.tasks {
            let _ = task.await;
        }
        let mut all = Vec::new();
        while let Ok(seen) = self.seen.try_recv() {
            all.push(seen);
        }
        all
    }

    /// How many answers have come.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Has each client take its last answer.
    pub async fn drain(self) -> Vec<Seen> {
        self.enough.store(true, Ordering::SeqCst);
        self.finish().await
    }

    /// Ends the clients themselves.
    pub async fn stop(self) -> Vec<Seen> {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.finish().await
    }
}

/// The intents in a ledger.
pub fn intents(entries: &[Value]) -> HashSet<String> {
    of_kind(entries, "intent").iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect()
}

/// Those answers that disclosed something and whose intent is not in the ledger.
pub fn unrecorded<'a>(seen: &'a [Seen], entries: &[Value]) -> Vec<&'a Seen> {
    let intents = intents(entries);
    let disclosed = |seen: &&Seen| seen.status == 200 || seen.bytes > 0 && seen.status < 300;
    seen.iter().filter(disclosed).filter(|seen| !intents.contains(&seen.entry)).collect()
}

/// Asserts that every intent has an outcome, and one that counts: what another gate has closed as
/// `unknown` may get a better one later. Returns the endings that count, by intent.
pub fn endings(entries: &[Value]) -> HashMap<String, String> {
    let intents = intents(entries);
    let mut endings: HashMap<String, String> = HashMap::new();
    for outcome in of_kind(entries, "outcome") {
        let [of, ending] = ["of", "ending"].map(|key| outcome[key].as_str().unwrap().to_owned());
        assert!(intents.contains(&of), "no outcome without its intent");
        let before = endings.insert(of, ending);
        assert!(before.is_none_or(|before| before == "unknown"), "{outcome} is one too many");
    }
    assert_eq!(endings.len(), intents.len(), "every intent has an outcome");
    endings
}

/// Asserts that `ledger verify` holds with nothing open; returns its report.
pub fn assert_holds(config: &Path) -> Value {
    let said = noticegate(config, &["ledger", "verify", "--people", "--format", "json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let report = said.json();
    assert_eq!((&report["holds"], &report["open"]), (&true.into(), &0.into()), "{report}");
    report
}

/// Waits until no intent of a world is open. A server may need a moment to notice that a gate is
/// gone, and the others look for it now and then.
pub async fn until_nothing_is_open(world: &World) -> Vec<Value> {
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..200 {
        looks.tick().await;
        let entries = world.read_entries();
        let outcomes = of_kind(&entries, "outcome");
        let ended: HashSet<&str> = outcomes.iter().filter_map(|o| o["of"].as_str()).collect();
        if intents(&entries).iter().all(|id| ended.contains(id.as_str())) {
            return entries;
        }
    }
    panic!("intents stay open");
}

/// A world for gates that run as processes, with the clock on the wall.
pub async fn world_of_processes(settings: WorldSettings) -> World {
    world_of_sounds(20_000, settings).await
}

/// The same, with a recording of so many bytes.
pub async fn world_of_sounds(length: u64, settings: WorldSettings) -> World {
    // Three weeks ago.
    let started = Clock::system().now() - SignedDuration::from_hours(24 * 21);
    let recent = SampleRecording {
        audio: SampleAudio::Zeros { length },
        ..recording(RECORDING, &started.to_string())
    };
    let config = format!("[log]\nformat = \"json\"\n{}", settings.config);
    World::prepare(&WorldSettings { config, recordings: vec![recent], ..settings }).await
}

/// Within a second a stream is cut that is permitted no more. A machine that is busy with other
/// stories may now and then need longer for anything, so it is then tried again; that it is cut in the
/// end holds each time.
pub async fn within_a_second(mut attempt: impl AsyncFnMut() -> Duration) {
    let mut took = Vec::new();
    while took.len() < 4 {
        let one = attempt().await;
        if one < Duration::from_secs(1) {
            return;
        }
        took.push(one);
    }
    panic!("each time it took longer than a second: {took:?}");
}

/// Ana's clients, listening to the sample recording at a gate.
pub fn load(world: &World, process: &Process, clients: usize) -> Load {
    let client = Client::new(process.address, world.authority.certificate());
    Load::start(&client, clients, listening(world))
}

/// Ana asks once, on a connection of its own.
pub async fn one(world: &World, process: &Process) -> Seen {
    let client = Client::new(process.address, world.authority.certificate());
    let answer = client.send(listening(world)()).await;
    let entry = answer.header("noticegate-entry").unwrap_or_default().to_owned();
    Seen { status: answer.status, entry, bytes: answer.body.len() }
}

/// Ana's request for the sample recording.
pub fn listening(
    world: &World,
) -> impl Fn() -> http::Request<Empty<Bytes>> + Clone + Send + Sync + 'static {
    let claims = tokens::claims(Clock::system().now(), "ana", &["quality-analyst"]);
    let token = world.key.sign(&claims);
    move || {
        let request = Client::get(&path(".wav")).header("noticegate-purpose", "quality-monitoring");
        bodiless(request.header("authorization", format!("Bearer {token}")))
    }
}
