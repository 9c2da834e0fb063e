//! The gate as a process of its own, so that it can be killed, starved and traced.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::client::Client;
use super::world::of_kind;

pub struct Process {
    pub child: Child,
    pub address: SocketAddr,
    pub operations: SocketAddr,
}

impl Process {
    /// Runs `noticegate serve` with a configuration; `wrap` may put another program before it.
    pub fn start(folder: &Path, wrap: &[&str]) -> Self {
        let binary = env!("CARGO_BIN_EXE_noticegate");
        let config = folder.join("noticegate.toml");
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
        let started = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let line: Value = serde_json::from_str(&line).ok()?;
            (line["message"] == "serving").then_some(line)
        });
        let started = started.expect("the gate says that it serves");
        // What else it logs is read, so that it never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = |key: &str| started[key].as_str().unwrap().parse().unwrap();
        Self { child, address: address("address"), operations: address("operations") }
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
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
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
        let tasks = (0..clients)
            .map(|_| {
                let (client, request) = (client.clone(), request.clone());
                let (sender, count, more) = (sender.clone(), Arc::clone(&count), Arc::clone(&more));
                tokio::spawn(async move {
                    let io = TokioIo::new(client.connect(&["http/1.1"]).await);
                    let Ok((mut http, connection)) =
                        hyper::client::conn::http1::handshake(io).await
                    else {
                        return;
                    };
                    tokio::spawn(connection);
                    while http.ready().await.is_ok() {
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
        Self { seen, count, more, tasks }
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
