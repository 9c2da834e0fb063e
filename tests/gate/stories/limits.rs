//! Every limit on callers holds: at the limit all is served, one past it is refused in the gate's
//! own words, nothing of it comes to Twilio, and the others do not notice. Those of a request's
//! head are told in `promise_5_parse_never_forward.rs`, of tokens in `tokens.rs`, of upstream in
//! `hostile_upstream.rs`.

use std::time::Duration;

use jiff::SignedDuration;
use noticegate::standin::{SampleAudio, SampleRecording};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::frames::{
    CONTINUATION, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, SETTINGS, block, frame, request,
};
use crate::support::process::{Process, listening, one, world_of_sounds};
use crate::support::raw_upstream::{RawUpstream, Step, say};
use crate::support::world::{bodiless, of_kind};
use crate::support::{Client, RECORDING, World, WorldSettings, path, recording};

/// LIMIT: what has not happened after this time does not happen.
const LONG: Duration = Duration::from_secs(20);

const ENHANCE_YOUR_CALM: u32 = 11;
const REFUSED_STREAM: u32 = 7;

fn limited(limits: &str) -> WorldSettings {
    WorldSettings { config: format!("[limits]\n{limits}"), ..WorldSettings::default() }
}

/// A world whose Twilio answers only when it is told to.
async fn waiting(limits: &str) -> (World, RawUpstream) {
    let (world, raw) = RawUpstream::world(limited(limits)).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\nContent-Length: 4\r\n\r\n";
    raw.media(vec![Step::Wait, say(format!("{head}RIFF"))]);
    (world, raw)
}

/// Sends it in the background.
fn sent(world: &World, request: http::request::Builder, to: &mut JoinSet<crate::support::Answer>) {
    let (client, request) = (world.client.clone(), bodiless(request));
    to.spawn(async move { client.send(request).await });
}

/// The fields of Ana's request over HTTP/2.
fn ana(world: &World) -> Vec<(Vec<u8>, Vec<u8>)> {
    let token = format!("Bearer {}", world.token("ana", &["quality-analyst"]));
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", &path(".wav")),
        ("authorization", &token),
        ("noticegate-purpose", "quality-monitoring"),
    ];
    fields.map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).to_vec()
}

fn borrowed(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    fields.iter().map(|(name, value)| (&name[..], &value[..])).collect()
}

/// True if the gate closes this connection without a word.
async fn is_closed(mut tcp: TcpStream) -> bool {
    let mut bytes = [0; 1];
    matches!(timeout(LONG, tcp.read(&mut bytes)).await.expect("it stays open"), Ok(0) | Err(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_more_of_an_address_is_closed_before_its_handshake() {
    let world =
        World::with(limited("connections_per_address_max = 2\nhandshake_timeout_ms = 60000")).await;
    let first = world.client.connect(&["http/1.1"]).await;
    let _second = world.client.connect(&["h2"]).await;
    let address = world.client.address();
    assert!(is_closed(TcpStream::connect(address).await.unwrap()).await);
    assert_eq!(
        world
            .metric("noticegate_limits_reached_total{limit=\"connections_per_address_max\"}")
            .await,
        1.0
    );
    drop(first);
    // As soon as the gate has noticed, there is room again.
    let again = async { while world.client.try_connect(&["http/1.1"]).await.is_err() {} };
    timeout(LONG, again).await.expect("there is room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_more_than_the_gate_takes_waits() {
    let world = World::with(limited("connections_max = 2")).await;
    let first = world.client.connect(&["h2"]).await;
    let mut second = Frames(world.client.connect(&["h2"]).await);
    let client = world.client.clone();
    let mut third = tokio::spawn(async move { client.connect(&["h2"]).await });
    second
        .send(&[crate::support::frames::PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .await
        .unwrap();
    for _ in 0..20 {
        assert!(second.lives().await);
    }
    assert!(!third.is_finished(), "it waits in the kernel");
    drop(first);
    timeout(LONG, &mut third).await.expect("it is its turn").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_more_than_the_gate_takes_is_told_to_come_back() {
    let (mut world, raw) = waiting("requests_max = 2").await;
    let mut running = JoinSet::new();
    sent(&world, world.ana(&path(".wav")), &mut running);
    sent(&world, world.who("tom", "team-lead", "quality-monitoring", &path(".wav")), &mut running);
    raw.until(|progress| progress.media().len() == 2).await;
    assert_eq!(world.metric("noticegate_requests_running").await, 2.0);
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.json()["reason"], "limit");
    assert!(answer.header("noticegate-entry").is_none(), "nobody looked at it");
    raw.go_on();
    assert_eq!(running.join_next().await.unwrap().unwrap().status, 200);
    sent(&world, world.ana(&path(".wav")), &mut running);
    raw.until(|progress| progress.media().len() == 3).await;
    for _ in 0..2 {
        raw.go_on();
        assert_eq!(running.join_next().await.unwrap().unwrap().status, 200);
    }
    let reached = world.metric("noticegate_limits_reached_total{limit=\"requests_max\"}").await;
    assert_eq!(reached, 1.0);
    assert_eq!(world.metric("noticegate_requests_running").await, 0.0);
    let entries = world.entries().await;
    assert_eq!((of_kind(&entries, "intent").len(), of_kind(&entries, "refusal").len()), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_more_of_a_caller_is_refused_and_others_are_served() {
    let (mut world, raw) = waiting("streams_per_caller_max = 2").await;
    let mut running = JoinSet::new();
    for _ in 0..2 {
        sent(&world, world.ana(&path(".wav")), &mut running);
    }
    raw.until(|progress| progress.media().len() == 2).await;
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert!(answer.json()["message"].as_str().unwrap().contains("too many requests under way"));
    sent(&world, world.who("tom", "team-lead", "quality-monitoring", &path(".wav")), &mut running);
    raw.until(|progress| progress.media().len() == 3).await;
    for _ in 0..3 {
        raw.go_on();
        assert_eq!(running.join_next().await.unwrap().unwrap().status, 200);
    }
    let entries = world.entries().await;
    assert_eq!((of_kind(&entries, "intent").len(), of_kind(&entries, "refusal").len()), (3, 0));
}

#[tokio::test]
async fn a_caller_who_asks_too_often_waits_and_nobody_else_does() {
    let mut world = World::with(limited("requests_per_caller_per_second = 3")).await;
    let tom = || world.who("tom", "team-lead", "quality-monitoring", &path(".wav"));
    for _ in 0..3 {
        assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    }
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert_eq!(answer.json()["reason"], "limit");
    assert_eq!(world.send(tom()).await.status, 200);
    world.clock.set(world.clock.now() + SignedDuration::from_secs(1));
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(world.media_requests().len(), 5);
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 5);
}

#[tokio::test]
async fn an_address_that_asks_too_often_waits_whoever_asks() {
    let mut world = World::with(limited("requests_per_address_per_second = 3")).await;
    for _ in 0..2 {
        assert_eq!(world.send(Client::get(&path(".wav"))).await.status, 401);
    }
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    for request in [Client::get(&path(".wav")), world.ana(&path(".wav"))] {
        let answer = world.send(request).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    }
    world.clock.set(world.clock.now() + SignedDuration::from_secs(1));
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let entries = world.entries().await;
    assert_eq!((of_kind(&entries, "intent").len(), of_kind(&entries, "refusal").len()), (2, 2));
}

#[tokio::test]
async fn header_lines_are_counted_in_http2_too() {
    let world = World::with(limited("header_count_max = 12")).await;
    let with = |count: usize| {
        let uri = format!("https://localhost{}", path(".wav"));
        let base = world.ana(&uri);
        let more = count - base.headers_ref().unwrap().len();
        (0..more).fold(base, |request, n| request.header(format!("x-{n}"), "a"))
    };
    assert_eq!(world.client.send_h2(bodiless(with(12))).await.status, 200);
    let answer = world.client.send_h2(bodiless(with(13))).await;
    assert_eq!(answer.status, 431);
    assert_eq!(answer.json()["message"], "the request's headers are too large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_more_of_a_connection_is_refused() {
    let (world, raw) = waiting("streams_max = 2").await;
    let fields = ana(&world);
    let mut frames = Frames::connect(&world.client).await;
    let settings = frames.until(|frame| frame.kind == SETTINGS).await.unwrap();
    // SETTINGS_MAX_CONCURRENT_STREAMS is 3.
    assert!(settings.payload.chunks(6).any(|one| one == [0, 3, 0, 0, 0, 2]), "it says so");
    frames.send(&frame(SETTINGS, 1, 0, &[])).await.unwrap();
    for stream in [1, 3, 5] {
        frames.send(&request(stream, &borrowed(&fields))).await.unwrap();
    }
    let reset = timeout(LONG, frames.until(|frame| frame.kind == RST_STREAM)).await.unwrap();
    let reset = reset.unwrap();
    assert_eq!((reset.stream, reset.code()), (5, REFUSED_STREAM));
    raw.until(|progress| progress.media().len() == 2).await;
    for _ in 0..2 {
        raw.go_on();
        let ended = |frame: &crate::support::frames::Frame| frame.flags & END_STREAM != 0;
        assert!(timeout(LONG, frames.until(ended)).await.unwrap().is_some());
    }
    assert_eq!(raw.progress().media().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_back_more_than_is_answered_is_hung_up_on() {
    let (mut world, raw) = waiting("resets_max = 2").await;
    let fields = ana(&world);
    let mut frames = Frames::connect(&world.client).await;
    let limit = "noticegate_limits_reached_total{limit=\"resets_max\"}";
    for (sent, stream) in [1, 3, 5].into_iter().enumerate() {
        assert!(frames.lives().await, "at the limit all is well");
        assert_eq!(world.metric(limit).await, 0.0);
        frames.send(&request(stream, &borrowed(&fields))).await.unwrap();
        raw.until(|progress| progress.media().len() == sent + 1).await;
        frames.send(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).await.unwrap();
    }
    let closed = async { while frames.next().await.is_some() {} };
    timeout(LONG, closed).await.expect("the gate hangs up");
    assert_eq!(world.metric(limit).await, 1.0);
    // Others are served, and what was taken back is on record.
    let mut running = JoinSet::new();
    sent(&world, world.ana(&path(".wav")), &mut running);
    raw.until(|progress| progress.media().len() == 4).await;
    // Those that nobody waits for any more may take the word first.
    let answer = loop {
        raw.go_on();
        if let Ok(answer) = timeout(Duration::from_millis(50), running.join_next()).await {
            break answer.unwrap().unwrap();
        }
    };
    assert_eq!(answer.status, 200);
    let entries = world.entries().await;
    let outcomes = of_kind(&entries, "outcome");
    let ends: Vec<&str> = outcomes.iter().map(|o| o["ending"].as_str().unwrap()).collect();
    assert_eq!(ends.len(), 4);
    assert_eq!(ends.iter().filter(|end| **end == "complete").count(), 1, "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rapid_reset_ends_the_connection_and_nothing_else() {
    let world = World::new().await;
    let fields = ana(&world);
    let mut frames = Frames::connect(&world.client).await;
    let flood: Vec<u8> = (0..5_000_u32)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            [request(stream, &borrowed(&fields)), reset].concat()
        })
        .collect();
    // The gate may have closed before all of it is written.
    let _ = timeout(LONG, frames.send(&flood)).await.expect("it is taken or refused");
    let goodbye = timeout(LONG, frames.until(|frame| frame.kind == GOAWAY)).await.unwrap();
    assert!(goodbye.is_none_or(|frame| frame.code() == ENHANCE_YOUR_CALM));
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert!(world.media_requests().len() < 200, "few of them came to Twilio");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_never_end_end_the_connection() {
    let mut world = World::new().await;
    for piece in [vec![], vec![0_u8; 16], block(&[(b"x-padding", &[b'a'; 8_000])])] {
        let mut frames = Frames::connect(&world.client).await;
        let head = block(&borrowed(&ana(&world)));
        frames.send(&frame(HEADERS, END_STREAM, 1, &head)).await.unwrap();
        let mut sent = 0;
        // LIMIT: a gate that takes this many takes any number.
        while sent < 20_000 && frames.send(&frame(CONTINUATION, 0, 1, &piece)).await.is_ok() {
            sent += 1;
        }
        assert!(sent < 20_000, "{} bytes each", piece.len());
    }
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_not_waited_for() {
    let world = World::with(limited("handshake_timeout_ms = 200\nheader_timeout_ms = 300")).await;
    let address = world.client.address();
    assert!(is_closed(TcpStream::connect(address).await.unwrap()).await, "no handshake");
    for said in ["", "GET / HTTP/1.1\r\nHost: localh"] {
        let mut tls = world.client.connect(&["http/1.1"]).await;
        tls.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(LONG, tls.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "half a head: {said}");
    }
    // Pings are no requests, and half a head is none either.
    for half in [false, true] {
        let mut frames = Frames::connect(&world.client).await;
        if half {
            let head = block(&borrowed(&ana(&world)));
            frames.send(&frame(HEADERS, END_STREAM, 1, &head)).await.unwrap();
        }
        let closed = async {
            while frames.next().await.is_some() {
                if !half && !frames.lives().await {
                    break;
                }
            }
        };
        assert!(timeout(LONG, closed).await.is_ok(), "half a head: {half}");
    }
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
}

/// A recording that fits into no buffer.
fn long(length: u64) -> Vec<SampleRecording> {
    let audio = SampleAudio::Zeros { length };
    vec![SampleRecording { audio, ..recording(RECORDING, "2026-11-03T09:15:02Z") }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_loses_the_connection_and_the_entry_says_how_far_it_came() {
    const LENGTH: u64 = 64 << 20;
    let settings = WorldSettings { recordings: long(LENGTH), ..limited("write_timeout_ms = 300") };
    let mut world = World::with(settings).await;
    let response = world.client.start(bodiless(world.ana(&path(".wav")))).await;
    assert_eq!(response.status(), 200);
    let ended = async {
        while world.metric("noticegate_outcomes_total{ending=\"caller-left\"}").await < 1.0 {}
    };
    timeout(LONG, ended).await.expect("the gate gives up");
    let entries = world.entries().await;
    let outcome = of_kind(&entries, "outcome")[0];
    assert_eq!(outcome["ending"], "caller-left");
    let bytes = outcome["bytes"].as_u64().unwrap();
    assert!(0 < bytes && bytes < LENGTH, "{bytes}");
    drop(response);
}

/// Kilobytes of memory that a process holds.
fn resident(process: &Process) -> u64 {
    let status = format!("/proc/{}/status", process.child.id());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_slow_callers_and_a_hundred_idle_ones_cost_little_memory() {
    const EACH: usize = 100;
    let account = "concurrent_requests_max = 1000".to_owned();
    let world = world_of_sounds(24 << 20, WorldSettings { account, ..limited("") }).await;
    let gate = Process::start(&world.folder, &[]);
    let client = Client::new(gate.address, world.authority.certificate());
    // What is warm after the first ones is not counted.
    for _ in 0..5 {
        let mut body = client.start(listening(&world)()).await.into_body();
        use http_body_util::BodyExt;
        assert!(body.frame().await.unwrap().is_ok());
    }
    let before = resident(&gate);
    let (mut slow, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..EACH {
        idle.push(client.connect(&["h2"]).await);
        let response = client.start(listening(&world)()).await;
        assert_eq!(response.status(), 200);
        slow.push(response);
    }
    // All of them are as full as they get when one that reads has had 24 megabytes.
    let seen = one(&world, &gate).await;
    assert_eq!((seen.status, seen.bytes), (200, 24 << 20));
    let grown = resident(&gate).saturating_sub(before);
    let each = grown / EACH as u64;
    assert!(each < 1_024, "{each} KiB for a slow caller and an idle one");
    drop((slow, idle));
    assert!(gate.terminate());
}
