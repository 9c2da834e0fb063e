//! An upstream that says exactly the bytes a story writes.
//!
//! It serves the Recording and Call resources properly, so that decisions can be made, and answers
//! each request for media with a script. It keeps what it was asked, counts what it could write,
//! and knows when the gate has hung up.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use noticegate::certs::Issued;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::world::{ACCOUNT, CALL, RECORDING, World, WorldSettings};

/// A write that waits this long is one that the gate does not take.
const BLOCKED_AFTER: Duration = Duration::from_millis(400);

/// What floods are made of; a prime, so that no shift by a buffer's size goes unseen.
const BLOCK_BYTES: usize = 65_521;

/// One thing it does on a connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Say(Bytes),
    /// Sends so many bytes of [`flood`], as fast as they are taken.
    Flood(usize),
    /// Says goodbye in TLS and closes.
    Close,
    /// Closes without TLS's goodbye, as a cut cable or an attacker would.
    HangUp,
    /// Says nothing more until the gate hangs up.
    Stall,
    /// Waits for [`RawUpstream::go_on`].
    Wait,
}

/// Bytes to say.
pub fn say(bytes: impl AsRef<[u8]>) -> Step {
    Step::Say(Bytes::copy_from_slice(bytes.as_ref()))
}

/// A sound 200 for WAV with a body.
pub fn sound(body: &str) -> Vec<Step> {
    let length = body.len();
    vec![say(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\nContent-Length: {length}\r\n\r\n{body}"
    ))]
}

/// The first bytes of what [`Step::Flood`] sends.
pub fn flood(length: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..BLOCK_BYTES as u64).map(noticegate::standin::pattern_byte).collect();
    block.iter().copied().cycle().take(length).collect()
}

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The heads of all requests, metadata too, in order, each with its connection's number.
    pub heads: Vec<(usize, String)>,
    /// Bytes of floods that were written.
    pub flooded: usize,
    /// True while a flood is not taken.
    pub blocked: bool,
    /// Stalls and floods in which the gate hung up.
    pub left: usize,
}

impl Progress {
    /// Requests for media.
    pub fn media(&self) -> Vec<&str> {
        let heads = self.heads.iter().map(|(_, head)| head.as_str());
        heads.filter(|head| !is_metadata(head)).collect()
    }

    /// The connections on which media was asked for.
    pub fn media_connections(&self) -> Vec<usize> {
        let media = self.heads.iter().filter(|(_, head)| !is_metadata(head));
        media.map(|(connection, _)| *connection).collect()
    }
}

fn is_metadata(head: &str) -> bool {
    head.starts_with("GET ") && head.lines().next().unwrap().contains(".json ")
}

struct Shared {
    tls: Mutex<Option<Arc<ServerConfig>>>,
    /// What media requests get: one script each, and the last for all that follow.
    media: Mutex<VecDeque<Vec<Step>>>,
    /// What metadata requests get instead of the proper resource.
    metadata: Mutex<Option<Vec<Step>>>,
    go_on: Notify,
    progress: watch::Sender<Progress>,
}

/// See the head of this file. Dropping it closes everything.
pub struct RawUpstream {
    port: u16,
    listener: Option<TcpListener>,
    shared: Arc<Shared>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl RawUpstream {
    /// Takes a port, so that a configuration can name it. Who connects waits for
    /// [`RawUpstream::serve`].
    pub async fn bind() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let shared = Shared {
            tls: Mutex::new(None),
            media: Mutex::new(VecDeque::from([sound("RIFF")])),
            metadata: Mutex::new(None),
            go_on: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
        };
        let port = listener.local_addr().unwrap().port();
        Self { port, listener: Some(listener), shared: Arc::new(shared), task: None }
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Starts answering, under this certificate.
    pub fn serve(&mut self, certificate: &Issued) {
        self.present(certificate);
        let listener = self.listener.take().expect("it serves once");
        self.task = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// A running world whose account lives here.
    pub async fn world(settings: WorldSettings) -> (World, Self) {
        let mut raw = Self::bind().await;
        let settings = WorldSettings { upstream: Some(raw.authority()), ..settings };
        let world = World::prepare(&settings).await;
        raw.serve(&world.authority.issue(&["localhost"]).unwrap());
        (world.started(), raw)
    }

    /// Shows another certificate from the next connection on.
    pub fn present(&self, certificate: &Issued) {
        let chain = CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let mut tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        *self.shared.tls.lock().unwrap() = Some(Arc::new(tls));
    }

    /// What every media request gets from now on.
    pub fn media(&self, script: Vec<Step>) {
        self.media_in_turn([script]);
    }

    /// What the next media requests get, one script each; the last stays.
    pub fn media_in_turn(&self, scripts: impl IntoIterator<Item = Vec<Step>>) {
        *self.shared.media.lock().unwrap() = scripts.into_iter().collect();
    }

    /// What every metadata request gets from now on.
    pub fn metadata(&self, script: Vec<Step>) {
        *self.shared.metadata.lock().unwrap() = Some(script);
    }

    /// Ends a [`Step::Wait`], the present one or the next.
    pub fn go_on(&self) {
        self.shared.go_on.notify_one();
    }

    /// What has happened so far.
    pub fn progress(&self) -> Progress {
        self.shared.progress.borrow().clone()
    }

    /// Forgets what has happened so far.
    pub fn forget(&self) {
        self.shared.progress.send_replace(Progress::default());
    }

    /// Waits until something has happened.
    pub async fn until(&self, happened: impl FnMut(&Progress) -> bool) -> Progress {
        let mut progress = self.shared.progress.subscribe();
        // LIMIT: a story that waits this long has failed.
        let waited = timeout(Duration::from_secs(20), progress.wait_for(happened)).await;
        waited.expect("it never happened").unwrap().clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Ok((tcp, _)) = listener.accept().await else { return };
        let tls = shared.tls.lock().unwrap().clone().expect("a certificate is set");
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // A gate that does not like the certificate leaves here.
            if let Ok(tls) = TlsAcceptor::from(tls).accept(tcp).await {
                Connection { shared, tls, number }.converse().await;
            }
        });
    }
}

struct Connection {
    shared: Arc<Shared>,
    tls: TlsStream<TcpStream>,
    number: usize,
}

impl Connection {
    async fn converse(mut self) {
        while let Some(head) = self.read_head().await {
            let note = (self.number, head.clone());
            self.shared.progress.send_modify(|progress| progress.heads.push(note));
            for step in self.script(&head) {
                if !self.perform(step).await {
                    return;
                }
            }
        }
    }

    async fn read_head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.tls.read_u8().await.ok()?);
        }
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    fn script(&self, head: &str) -> Vec<Step> {
        if is_metadata(head) {
            let script = self.shared.metadata.lock().unwrap().clone();
            return script.unwrap_or_else(|| vec![resource(head)]);
        }
        let mut scripts = self.shared.media.lock().unwrap();
        match scripts.len() {
            1 => scripts.front().cloned().unwrap(),
            _ => scripts.pop_front().expect("a script for media"),
        }
    }

    /// False if the connection is over.
    async fn perform(&mut self, step: Step) -> bool {
        match step {
            Step::Say(bytes) => {
                self.tls.write_all(&bytes).await.is_ok() && self.tls.flush().await.is_ok()
            }
            Step::Flood(length) => self.flood(length).await,
            Step::Close => {
                // The gate may have gone first.
                let _ = self.tls.shutdown().await;
                false
            }
            Step::HangUp => false,
            Step::Wait => {
                self.shared.go_on.notified().await;
                true
            }
            Step::Stall => {
                while self.tls.read_u8().await.is_ok() {}
                self.shared.progress.send_modify(|progress| progress.left += 1);
                false
            }
        }
    }

    async fn flood(&mut self, length: usize) -> bool {
        let block = flood(BLOCK_BYTES);
        let mut sent = 0;
        while sent < length {
            let from = sent % BLOCK_BYTES;
            let until = BLOCK_BYTES.min(from + length - sent);
            let mut write = pin!(self.tls.write(&block[from..until]));
            let written = match timeout(BLOCKED_AFTER, &mut write).await {
                Ok(written) => written,
                Err(_) => {
                    self.shared.progress.send_modify(|progress| progress.blocked = true);
                    write.await
                }
            };
            let Ok(written) = written else {
                self.shared.progress.send_modify(|progress| progress.left += 1);
                return false;
            };
            sent += written;
            self.shared.progress.send_modify(|progress| {
                progress.flooded += written;
                progress.blocked = false;
            });
        }
        self.tls.flush().await.is_ok()
    }
}

/// The resources that facts are read from, as Twilio writes them.
fn resource(head: &str) -> Step {
    let json = if head.contains("/Recordings/") {
        json!({
            "account_sid": ACCOUNT, "sid": RECORDING, "call_sid": CALL, "channels": 2,
            "start_time": "Tue, 03 Nov 2026 09:15:02 +0000", "duration": "4",
            "status": "completed", "encryption_details": null,
            "media_url": "https://media.upstream.example/signed?secret=1",
        })
    } else {
        json!({"account_sid": ACCOUNT, "sid": CALL, "direction": "inbound"})
    };
    let json = json.to_string();
    let length = json.len();
    say(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n\
         {json}"
    ))
}
