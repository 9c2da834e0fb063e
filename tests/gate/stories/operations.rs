//! What an operator sees: numbers that other people's programs read, readiness with its reasons,
//! logs and spans with the numbers of request, trace and entry and nothing of anybody.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::operations::ask;
use crate::support::process::{Process, listening, world_of_processes};
use crate::support::programs::judge;
use crate::support::raw_upstream::{RawUpstream, say};
use crate::support::world::{NUMBER, UPSTREAM_SECRET, bodiless, of_kind};
use crate::support::{Client, World, WorldSettings, path};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const LONG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_the_metrics_and_they_count_what_happened() {
    let world = World::new().await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let marketing = world.who("ana", "quality-analyst", "marketing", &path(".wav"));
    assert_eq!(world.send(marketing).await.status, 403);
    assert_eq!(world.send(Client::get(&path(".wav"))).await.status, 401);
    // A handshake that comes to nothing.
    let mut tcp = tokio::net::TcpStream::connect(world.client.address()).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _ = tcp.read_to_end(&mut Vec::new()).await;
    let bytes = world.send(world.ana(&path(".mp3"))).await.body.len();
    assert!(bytes > 0);
    for (sample, value) in [
        ("noticegate_answers_total{status=\"200\"}", 2.0),
        ("noticegate_answers_total{status=\"403\"}", 1.0),
        ("noticegate_answers_total{status=\"401\"}", 1.0),
        ("noticegate_refusals_total{reason=\"stranger\"}", 1.0),
        ("noticegate_refusals_total{reason=\"forbidden\"}", 1.0),
        ("noticegate_outcomes_total{ending=\"complete\"}", 2.0),
        ("noticegate_handshakes_failed_total", 1.0),
        ("noticegate_answer_seconds_count", 4.0),
        ("noticegate_ledger_open", 1.0),
        (
            "noticegate_upstream_credential_refused{account=\"AC00000000000000000000000000000001\"}",
            0.0,
        ),
        ("noticegate_issuer_keys_usable{issuer=\"test\"}", 1.0),
        ("noticegate_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(world.metric(sample).await, value, "{sample}");
    }
    assert!(world.metric("noticegate_disclosed_bytes_total").await > bytes as f64);
    let expires = world.metric("noticegate_certificate_expires_timestamp_seconds").await;
    assert!(expires > world.clock.now().as_second() as f64);
    let address = world.running().server().operations().unwrap();
    let (status, of_type, classic) = ask(address, "/metrics", "*/*").await;
    assert_eq!((status, &of_type[..]), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let (content, said) = judge(&["promtool", "check", "metrics"], &classic);
    assert!(content, "{said}");
    assert_eq!(said, "", "promtool has a remark");
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (_, of_type, open) = ask(address, "/metrics", accept).await;
    assert!(of_type.starts_with("application/openmetrics-text"));
    assert!(open.ends_with("# EOF\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_says_what_is_wrong_and_whether_that_stops_the_gate() {
    // An issuer whose keys are nowhere: nobody can prove anything.
    let nowhere = Some("https://localhost:1/jwks.json".to_owned());
    let world = World::with(WorldSettings { jwks_url: nowhere, ..WorldSettings::default() }).await;
    let (status, text) = world.operations("/readyz").await;
    assert_eq!((status, &text[..]), (503, "not ready: there are no keys of issuer `test`\n"));
    assert_eq!(world.metric("noticegate_issuer_keys_usable{issuer=\"test\"}").await, 0.0);

    let (world, raw) = RawUpstream::world(WorldSettings::default()).await;
    assert_eq!(world.operations("/readyz").await, (200, "ready\n".to_owned()));
    // What another gate could do no better is told, and this one stays in balance.
    raw.metadata(vec![say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")]);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 503);
    std::fs::write(world.folder.join("policies/guardrails.cedar"), "permit everything").unwrap();
    world.running().reload();
    let all = async {
        loop {
            let (status, text) = world.operations("/readyz").await;
            assert_eq!(status, 200, "{text}");
            if text.contains("policy folder") {
                return text;
            }
        }
    };
    let text = timeout(LONG, all).await.unwrap();
    assert_eq!(
        text,
        "ready\nlook at: the policy folder cannot be used; the last good policies stay in force\n\
         look at: Twilio does not accept the credential of account \
         AC00000000000000000000000000000001\n"
    );
    let sample =
        "noticegate_upstream_credential_refused{account=\"AC00000000000000000000000000000001\"}";
    assert_eq!(world.metric(sample).await, 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_for_each_answer_names_request_trace_and_entry_and_nobody() {
    let world = world_of_processes(WorldSettings {
        config: "requests = true".to_owned(),
        ..WorldSettings::default()
    })
    .await;
    let gate = Process::start(&world.folder, &[]);
    let client = Client::new(gate.address, world.authority.certificate());
    let mut request = listening(&world)();
    request.headers_mut().insert("traceparent", TRACEPARENT.parse().unwrap());
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200);
    let traced = answer.header("traceresponse").unwrap().to_owned();
    assert!(traced.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{traced}");
    let untraced = client.send(bodiless(Client::get(&path(".wav")))).await;
    assert_eq!((untraced.status, untraced.header("traceresponse")), (401, None));
    let seen = world.standin.seen();
    let traced_upstream =
        seen.iter().flat_map(|seen| &seen.headers).any(|(n, _)| n.contains("trace"));
    assert!(!traced_upstream, "Twilio learns nothing of a caller's trace");

    let lines = async {
        loop {
            let log = gate.log();
            let lines: Vec<Value> =
                log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            let lines: Vec<Value> =
                lines.into_iter().filter(|line| line["message"] == "answered").collect();
            if lines.len() == 2 {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    };
    let lines = timeout(LONG, lines).await.unwrap();
    let told =
        |line: &Value| (line["status"].clone(), line["entry"].clone(), line["method"].clone());
    assert_eq!(told(&lines[0]), (200.into(), answer.entry().into(), "GET".into()));
    assert_eq!(told(&lines[1]), (401.into(), untraced.entry().into(), "GET".into()));
    let numbers = |line: &Value| {
        ["request", "trace"].map(|key| line["span"][key].as_str().unwrap().to_owned())
    };
    let [request, trace] = numbers(&lines[0]);
    assert_eq!(traced, format!("00-{trace}-{request}-01"));
    assert_ne!(numbers(&lines[1])[1], trace, "another request, another trace");
    let log = gate.log();
    for secret in ["/2010-04-01", "Bearer", "eyJ", NUMBER, UPSTREAM_SECRET, "quality-analyst"] {
        assert!(!log.contains(secret), "{secret}");
    }
    assert!(gate.terminate());
}

/// Takes what a gate sends as spans, until something is in it.
async fn received(collector: &TcpListener, wanted: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (mut tcp, _) = collector.accept().await.unwrap();
        let mut text = Vec::new();
        let length = loop {
            let byte = tcp.read_u8().await.unwrap();
            text.push(byte);
            if text.ends_with(b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&text).to_lowercase();
                assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
                assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                break length.unwrap().parse::<usize>().unwrap();
            }
        };
        let mut body = vec![0; length];
        tcp.read_exact(&mut body).await.unwrap();
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        all.extend(body);
        if holds(&all, wanted) {
            return all;
        }
    }
}

fn holds(all: &[u8], wanted: &[u8]) -> bool {
    all.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_come_to_a_collector_as_spans_that_name_nobody() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap());
    let config = format!("[traces]\nendpoint = \"{endpoint}\"\nsample_percent = 0");
    let mut world = World::with(WorldSettings { config, ..WorldSettings::default() }).await;
    // Nobody asked for this one to be kept.
    let unkept = world.send(world.ana(&path(".wav"))).await;
    let traced = world.ana(&path(".wav")).header("traceparent", TRACEPARENT);
    let answer = world.send(traced).await;
    let traceresponse = answer.header("traceresponse").unwrap().to_owned();
    let entry = answer.entry().to_owned();
    // A gate that stops sends what waits.
    let (all, ()) = tokio::join!(timeout(LONG, received(&collector, entry.as_bytes())), async {
        world.stop().await
    },);
    let all = all.expect("the span comes");
    let groups: Vec<&str> = traceresponse.split('-').collect();
    let trace = u128::from_str_radix(groups[1], 16).unwrap().to_be_bytes();
    let span = u64::from_str_radix(groups[2], 16).unwrap().to_be_bytes();
    let parent = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
    for wanted in [&trace[..], &span, &parent, b"noticegate.entry", b"http.response.status_code"] {
        assert!(holds(&all, wanted), "{wanted:?}");
    }
    for not in [unkept.entry(), "/2010-04-01", "ana", "quality", NUMBER, UPSTREAM_SECRET] {
        assert!(!holds(&all, not.as_bytes()), "{not}");
    }
    assert_eq!(of_kind(&world.read_entries(), "intent").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_costs_no_request() {
    let config = "[traces]\nendpoint = \"http://127.0.0.1:1/v1/traces\"".to_owned();
    let mut world = World::with(WorldSettings { config, ..WorldSettings::default() }).await;
    for _ in 0..3 {
        assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    }
    assert_eq!(of_kind(&world.entries().await, "outcome").len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_hears_of_start_reload_life_and_end() {
    let world = world_of_processes(WorldSettings::default()).await;
    let socket = world.folder.join("notify");
    let heard = UnixDatagram::bind(&socket).unwrap();
    heard.set_read_timeout(Some(LONG)).unwrap();
    let variable = format!("NOTIFY_SOCKET={}", socket.display());
    let gate = Process::start(&world.folder, &["env", &variable, "WATCHDOG_USEC=1000000"]);
    let next = || {
        let mut text = [0; 512];
        let length = heard.recv(&mut text).expect("it says something");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let until = |wanted: &str| {
        for _ in 0..20 {
            let said = next();
            if said.starts_with(wanted) {
                return said;
            }
            assert_eq!(said.trim(), "WATCHDOG=1", "before {wanted}");
        }
        panic!("{wanted} never comes");
    };
    until("READY=1");
    until("WATCHDOG=1");
    gate.hang_up();
    assert!(until("RELOADING=1").contains("MONOTONIC_USEC="));
    until("READY=1");
    until("WATCHDOG=1");
    assert!(gate.terminate());
    until("STOPPING=1");
}
