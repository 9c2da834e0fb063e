//! A gate is exchanged for another while it is asked: two processes on one port and one ledger, of
//! which the first goes. No request is lost. What a stop cuts off is on record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::process::{
    Process, Seen, assert_holds, endings, listening, unrecorded, world_of_processes,
    world_of_sounds,
};
use crate::support::world::{Store, of_kind};
use crate::support::{Client, World, WorldSettings};

const LONG: Duration = Duration::from_secs(30);

/// One of several clients that never stop: some keep their connection for as long as it is kept,
/// some take a new one for each request. Nothing may be answered badly, cut, or not at all.
async fn insist(
    client: Client,
    keeps: bool,
    request: impl Fn() -> http::Request<http_body_util::Empty<bytes::Bytes>>,
    enough: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !enough.load(Ordering::SeqCst) {
        let io = TokioIo::new(client.try_connect(&["http/1.1"]).await.expect("a gate is there"));
        let (mut http, connection) =
            hyper::client::conn::http1::handshake(io).await.expect("it greets");
        tokio::spawn(connection);
        loop {
            let response = http.send_request(request()).await.expect("it is answered");
            let entry = response.headers().get("noticegate-entry").unwrap();
            let entry = entry.to_str().unwrap().to_owned();
            let closes = response.headers().get("connection").is_some_and(|c| c == "close");
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.expect("the whole of it comes");
            seen.push(Seen { status, entry, bytes: body.to_bytes().len() });
            count.fetch_add(1, Ordering::SeqCst);
            if closes || !keeps || enough.load(Ordering::SeqCst) {
                break;
            }
            http.ready().await.expect("who does not say that it closes stays open");
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_gate_takes_over_and_no_request_is_lost() {
    let world =
        world_of_processes(WorldSettings { store: Store::Database, ..WorldSettings::default() })
            .await;
    let file = world.folder.join("noticegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // Keep-alive connections are told that their next answer is the last one.
    let text = text.replace("drain_seconds = 1", "drain_seconds = 20");
    std::fs::write(&file, &text).unwrap();
    let first = Process::start(&world.folder, &[]);
    // The second one has the first one's port, and a folder and an operations port of its own.
    let port = format!("address = \"{}\"\nnames", first.address);
    let second = world.another("second");
    let other = std::fs::read_to_string(&second).unwrap();
    std::fs::write(&second, other.replacen("address = \"127.0.0.1:0\"\nnames", &port, 1)).unwrap();

    let client = Client::new(first.address, world.authority.certificate());
    let (enough, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for number in 0..6 {
        let (request, enough, count) = (listening(&world), Arc::clone(&enough), Arc::clone(&count));
        clients.spawn(insist(client.clone(), number % 2 == 0, request, enough, count));
    }
    let until = async |answers: usize| {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while count.load(Ordering::SeqCst) < answers {
            looks.tick().await;
        }
    };
    timeout(LONG, until(60)).await.unwrap();
    let second = Process::configured(&second, &[]);
    assert_eq!(second.address, first.address);
    let before = count.load(Ordering::SeqCst);
    timeout(LONG, until(before + 60)).await.unwrap();
    // The first one goes; while it does, it is out of balance and says why.
    let stopped = tokio::task::spawn_blocking(move || first.terminate());
    assert!(timeout(LONG, stopped).await.unwrap().unwrap());
    let before = count.load(Ordering::SeqCst);
    timeout(LONG, until(before + 60)).await.unwrap();
    enough.store(true, Ordering::SeqCst);
    let seen: Vec<Seen> = clients.join_all().await.into_iter().flatten().collect();
    assert!(seen.iter().all(|seen| seen.status == 200 && seen.bytes == 20_000));
    assert!(second.terminate());

    let entries = world.read_entries();
    assert!(unrecorded(&seen, &entries).is_empty());
    let ends = endings(&entries);
    assert!(seen.iter().all(|seen| ends[&seen.entry] == "complete"));
    assert_eq!((of_kind(&entries, "start").len(), of_kind(&entries, "stop").len()), (2, 2));
    assert_holds(&file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_streams_end_until_its_deadline_and_records_those_it_cuts() {
    const LENGTH: usize = 24 << 20;
    let world = world_of_sounds(LENGTH as u64, WorldSettings::default()).await;
    let file = world.folder.join("noticegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("drain_seconds = 1", "drain_seconds = 8")).unwrap();
    let gate = Process::start(&world.folder, &[]);
    let client = Client::new(gate.address, world.authority.certificate());
    let started = async |world: &World| client.start(listening(world)()).await;
    let (reads, waits) = (started(&world).await, started(&world).await);
    assert!(reads.status() == 200 && waits.status() == 200);
    let [whole, cut] = [&reads, &waits]
        .map(|response| response.headers()["noticegate-entry"].to_str().unwrap().to_owned());
    let reading =
        tokio::spawn(async move { reads.into_body().collect().await.unwrap().to_bytes().len() });
    // Most of the one is through; of the other nobody takes anything until the deadline.
    let stopped = tokio::task::spawn_blocking(move || gate.terminate());
    assert_eq!(reading.await.unwrap(), LENGTH, "a stream that is read comes to its end");
    assert!(timeout(LONG, stopped).await.unwrap().unwrap());
    let mut body = waits.into_body();
    let mut bytes = 0;
    let ended = loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes += frame.data_ref().unwrap().len(),
            Some(Err(_)) => break "cut",
            None => break "complete",
        }
    };
    assert_eq!(ended, "cut");
    assert!(bytes < LENGTH);
    let entries = world.read_entries();
    let ends = endings(&entries);
    assert_eq!(ends[&whole], "complete");
    assert_ne!(ends[&cut], "complete");
    let outcome = of_kind(&entries, "outcome").into_iter().find(|o| o["of"] == cut[..]).unwrap();
    assert!(outcome["bytes"].as_u64().unwrap() >= bytes as u64, "no byte that came is missing");
    assert_eq!(entries.last().unwrap()["t"], "stop");
}
