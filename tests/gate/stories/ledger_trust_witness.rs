//! Checkpoints leave the house: to a file, to an address, and to a witness that cosigns only what
//! goes on from what it has seen. None of them can hold up a disclosure.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use noticegate::clock::Clock;
use signed_note::{Note, StandardVerifier, Verifier, VerifierList};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::ledger::{Ledger, configure, path_of, run, until, verify};
use crate::support::process::Process;
use crate::support::{Client, World, WorldSettings};

/// What the ledger of a gate calls itself.
const ORIGIN: &str = "localhost/ledger";

/// The size that a checkpoint signs, by a reader that is not ours.
fn signed(note: &str, vkey: &str) -> u64 {
    let log: Box<dyn Verifier> = Box::new(StandardVerifier::new(vkey).unwrap());
    let note = Note::from_bytes(note.as_bytes()).unwrap();
    let (by, _) = note.verify(&VerifierList::new(vec![log])).unwrap();
    assert_eq!(by.len(), 1);
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(checkpoint.origin(), ORIGIN);
    checkpoint.size()
}

/// How many lines sign a checkpoint.
fn signatures(note: &str) -> usize {
    note.lines().filter(|line| line.starts_with("\u{2014} ")).count()
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// A world whose gate runs as a process on a copy of the sample.
async fn world_on(ledger: &Ledger) -> World {
    let config = "[log]\nformat = \"json\"".to_owned();
    World::prepare(&WorldSettings { config, ..ledger.settings() }).await
}

/// Starts its gate, and has its client ask there.
fn start(world: &mut World) -> Process {
    let process = Process::start(&world.folder, &[]);
    world.client = Client::new(process.address, world.authority.certificate());
    world.clock.set(Clock::system().now());
    process
}

async fn disclose(world: &World) {
    assert_eq!(world.send(world.ana(&path_of(0, ".wav"))).await.status, 200);
}

/// A server that keeps the bodies it is sent.
async fn keeper_of_bodies(world: &World) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let (certificate, key) = (world.folder.join("gate.pem"), world.folder.join("gate.key"));
    let mut tls = noticegate::listener::server_config(&certificate, &key).unwrap();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, bodies) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&bodies);
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|request: http::Request<Incoming>| {
                    let kept = Arc::clone(&kept);
                    async move {
                        assert_eq!(request.uri().path(), "/checkpoints");
                        let body = request.into_body().collect().await?.to_bytes();
                        kept.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
                        Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::new())))
                    }
                });
                let io = TokioIo::new(stream);
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
            });
        }
    });
    (address, bodies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_disclosure_is_soon_under_a_checkpoint_here_and_elsewhere() {
    let ledger = Ledger::sample().await;
    let mut world = world_on(&ledger).await;
    let (address, bodies) = keeper_of_bodies(&world).await;
    let elsewhere = world.folder.join("elsewhere");
    configure(
        &world.folder,
        &format!(
            "ca_file = \"ca.pem\"\ncheckpoint_file = \"{}\"\n\
             checkpoint_url = \"https://localhost:{}/checkpoints\"",
            elsewhere.display(),
            address.port()
        ),
    );
    let vkey = ledger.run(&["key"]).done().trim().to_owned();
    let process = start(&mut world);
    for _ in 0..3 {
        disclose(&world).await;
        let size = ledger.last() + 1;
        let covers = |note: &String| signed(note, &vkey) >= size;
        let here = ledger.derived().join("checkpoint");
        let began = std::time::Instant::now();
        until(|| read(&here).filter(covers)).await.expect("a checkpoint in the folder");
        until(|| read(&elsewhere).filter(covers)).await.expect("a checkpoint in the file");
        until(|| bodies.lock().unwrap().iter().any(covers).then_some(())).await.expect("sent");
        // One a second is promised; the rest is for a busy machine.
        assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
    }
    assert!(process.terminate());
    let last = read(&elsewhere).unwrap();
    assert_eq!(signed(&last, &vkey), ledger.last() + 1, "the end is signed and sent, too");
    assert_eq!(bodies.lock().unwrap().last(), Some(&last));
    // Each that was ever sent can be held against the ledger.
    for (which, body) in bodies.lock().unwrap().iter().enumerate() {
        let kept = ledger.folder.join(format!("sent-{which}"));
        std::fs::write(&kept, body).unwrap();
        let against = verify(&ledger.folder, &["--against", kept.to_str().unwrap()]);
        assert_eq!(against.code, 0, "{}", against.report);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_for_checkpoints_that_fail_hold_nothing_up() {
    let ledger = Ledger::sample().await;
    let mut world = world_on(&ledger).await;
    configure(
        &world.folder,
        "ca_file = \"ca.pem\"\ncheckpoint_file = \"gate.pem/no folder\"\n\
         checkpoint_url = \"https://localhost:1/checkpoints\"",
    );
    let vkey = ledger.run(&["key"]).done().trim().to_owned();
    let process = start(&mut world);
    disclose(&world).await;
    let (size, here) = (ledger.last() + 1, ledger.derived().join("checkpoint"));
    until(|| read(&here).filter(|note| signed(note, &vkey) >= size)).await.expect("signed here");
    disclose(&world).await;
    let log = until(|| {
        let log = process.log();
        let told = log.matches("a checkpoint could not be sent").count();
        (told >= 2).then_some(log)
    });
    let log = log.await.expect("both are logged");
    assert!(log.contains("gate.pem/no folder") && log.contains("localhost:1/"), "{log}");
    assert_eq!(process.ready().await.0, 200);
    assert!(process.terminate());
    assert_eq!(ledger.verify(&[]).report["signed"], ledger.last() + 1);
}

/// A `noticegate witness` process.
struct Witness {
    child: Child,
    address: SocketAddr,
    vkey: String,
}

impl Witness {
    fn start(folder: &Path, log: &str, listen: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_noticegate"))
            .args(["witness", "--name", "witness.example", "--key", "witness.skey"])
            .args(["--memory", "witness.d", "--listen", listen, "--log", log])
            .args(["--certificate", "witness.pem", "--tls-key", "witness.key"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let vkey = first.trim().strip_prefix("verifier key: ").expect("it says its key").to_owned();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("witnessing"));
        let line = line.expect("it says where it listens");
        let address = line.split("address=").nth(1).unwrap();
        let address = address.split_whitespace().next().unwrap().parse().unwrap();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, address, vkey }
    }

    /// What it serves as the latest that it cosigned.
    async fn latest(&self, world: &World) -> (u16, String) {
        let hash = digest(&SHA256, ORIGIN.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let client = Client::new(self.address, world.authority.certificate());
        let request = Client::get(&format!("/{hash}/checkpoint"));
        let answer = client.send(request.body(Empty::new()).unwrap()).await;
        (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_cosigns_what_goes_on_and_refuses_what_was_rewritten() {
    let ledger = Ledger::sample().await;
    let older = ledger.copy();
    let mut world = world_on(&ledger).await;
    let issued = world.authority.issue(&["localhost"]).unwrap();
    std::fs::write(world.folder.join("witness.pem"), &issued.certificate).unwrap();
    std::fs::write(world.folder.join("witness.key"), &issued.key).unwrap();
    let vkey = ledger.run(&["key"]).done().trim().to_owned();
    let witness = Witness::start(&world.folder, &vkey, "127.0.0.1:0");
    assert_eq!(witness.latest(&world).await.0, 404, "it has cosigned nothing yet");
    configure(&world.folder, "ca_file = \"ca.pem\"");
    let config = world.folder.join("noticegate.toml");
    let table = format!(
        "\n[[ledger.witness]]\nurl = \"https://localhost:{}\"\nkey = \"{}\"\n",
        witness.address.port(),
        witness.vkey
    );
    std::fs::write(&config, read(&config).unwrap() + &table).unwrap();

    let process = start(&mut world);
    let here = ledger.derived().join("checkpoint");
    disclose(&world).await;
    let size = ledger.last() + 1;
    let cosigned = |note: &String| signatures(note) == 2 && signed(note, &vkey) >= size;
    let note = until(|| read(&here).filter(cosigned)).await.expect("cosigned");
    let theirs = note.lines().last().unwrap().to_owned();
    assert!(theirs.starts_with("\u{2014} witness.example "), "{theirs}");
    let size = signed(&note, &vkey);
    let stored = || -> Option<String> {
        let query = "SELECT note FROM checkpoint WHERE size = ?1";
        ledger.sql().query_row(query, [size], |row| row.get(0)).ok()
    };
    until(|| stored().filter(|note| signatures(note) == 2)).await.expect("kept in the store");
    let (status, latest) = witness.latest(&world).await;
    assert!(status == 200 && signed(&latest, &vkey) >= size && latest.contains("witness.example"));

    // While it is away, nothing waits for it.
    let address = witness.address.to_string();
    drop(witness);
    disclose(&world).await;
    let alone = ledger.last() + 1;
    let covers = |note: &String| signed(note, &vkey) >= alone;
    let note = until(|| read(&here).filter(covers)).await.expect("signed on without it");
    assert_eq!(signatures(&note), 1);
    assert_eq!(process.ready().await.0, 200);
    // And when it is back, it remembers, and goes on. A gate that starts asks it at once; one
    // that runs leaves it alone for a quarter of a minute first.
    let witness = Witness::start(&world.folder, &vkey, &address);
    assert_eq!(witness.latest(&world).await.1, latest, "a restart keeps its memory");
    assert!(process.terminate());
    let process = start(&mut world);
    disclose(&world).await;
    let back = ledger.last() + 1;
    let cosigned = |note: &String| signatures(note) == 2 && signed(note, &vkey) >= back;
    until(|| read(&here).filter(cosigned)).await.expect("cosigned again");
    assert!(process.terminate());
    let known = signed(&witness.latest(&world).await.1, &vkey);

    // An older copy, with all that told of the newer one taken away.
    std::fs::remove_dir_all(ledger.derived()).unwrap();
    std::fs::copy(older.file(), ledger.file()).unwrap();
    let process = start(&mut world);
    disclose(&world).await;
    let conflict = format!("it has cosigned {known} entries");
    until(|| process.log().contains(&conflict).then_some(())).await.expect("a conflict is logged");
    assert!(process.terminate());
    // Grown longer than what was cosigned, it is another history all the same.
    while ledger.last() < known + 5 {
        run(&world.folder, &["review", "5", "--verdict", "escalate"]).done();
    }
    let process = start(&mut world);
    disclose(&world).await;
    let other = "it answered with status 422";
    until(|| process.log().contains(other).then_some(())).await.expect("a rewrite is logged");
    assert!(process.terminate());
    assert_eq!(signed(&witness.latest(&world).await.1, &vkey), known, "it cosigned none of it");
    assert_eq!(signatures(&read(&here).unwrap()), 1);
}
