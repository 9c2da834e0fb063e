//! No credential, token, telephone number or pre-signed URL in a log, an answer or the ledger:
//! a gate at its most talkative, asked in every way, and then searched.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use noticegate::clock::Clock;
use noticegate::standin::{Fault, Misbehaviour, RedirectTarget};

use crate::support::client::Answer;
use crate::support::leaks;
use crate::support::process::{Process, one, world_of_processes};
use crate::support::raw_upstream::{RawUpstream, Step, say};
use crate::support::twilio;
use crate::support::world::{NUMBER, UPSTREAM_SECRET, bodiless};
use crate::support::{ACCOUNT, Client, RECORDING, World, WorldSettings, path, recording, tokens};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_is_logged_answered_or_recorded() {
    let now = Clock::system().now();
    let started = now - SignedDuration::from_hours(24 * 21);
    let world = World::prepare(&WorldSettings {
        config: "[log]\nformat = \"json\"\nlevel = \"trace\"\n[upstream]\nretries_max = 0"
            .to_owned(),
        recordings: vec![recording(RECORDING, &started.to_string())],
        ..WorldSettings::default()
    })
    .await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_noticegate"))
        .args(["serve", "--config"])
        .arg(world.folder.join("noticegate.toml"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = child.stderr.take().unwrap();
    let mut text = String::new();
    let mut byte = [0u8; 1];
    // The first line says where it serves.
    while !(text.ends_with('\n') && text.contains("serving")) {
        assert_eq!(log.read(&mut byte).unwrap(), 1, "the gate serves: {text}");
        text.push(char::from(byte[0]));
    }
    let line = text.lines().last().unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let address = line["address"].as_str().unwrap().parse().unwrap();
    let reader = std::thread::spawn(move || {
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        rest
    });
    let client = Client::new(address, world.authority.certificate());
    let good = world.key.sign(&tokens::claims(now, "ana", &["quality-analyst"]));
    let forged = format!("{}x", &good[..good.len() - 1]);
    let mut answers: Vec<Answer> = Vec::new();
    let faults = [
        None,
        Some(Fault::Redirect { to: RedirectTarget::OwnCdn { hops: 2 }, status: 307 }),
        Some(Fault::Redirect {
            to: RedirectTarget::Url("https://evil.example/x?sig=LEAK".to_owned()),
            status: 302,
        }),
        Some(Fault::Status { status: 401, retry_after: None }),
        Some(Fault::Status { status: 500, retry_after: None }),
        Some(Fault::ContentType("text/html".to_owned())),
    ];
    for fault in faults {
        world.standin.behave();
        if let Some(fault) = fault {
            let path_contains = format!("{RECORDING}.mp3");
            world.standin.misbehave(Misbehaviour { path_contains, fault, times: None });
        }
        for token in [&good, &forged] {
            for purpose in ["quality-monitoring", "marketing"] {
                for extension in [".mp3", ".json"] {
                    let request = Client::get(&path(extension))
                        .header("authorization", format!("Bearer {token}"))
                        .header("cookie", "session=CALLERSECRET")
                        .header("noticegate-purpose", purpose);
                    answers.push(client.send(bodiless(request)).await);
                }
            }
        }
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    text.push_str(&reader.join().unwrap());
    assert!(text.lines().count() > 10, "it was talkative");
    let basic = STANDARD.encode(format!("{ACCOUNT}:{UPSTREAM_SECRET}"));
    let token_parts: Vec<&str> = good.split('.').collect();
    let words = [
        UPSTREAM_SECRET,
        &basic,
        token_parts[2],
        token_parts[1],
        "CALLERSECRET",
        NUMBER,
        "X-Amz-Signature",
        "sig=LEAK",
        "x-amz",
    ];
    let mut ledger = std::fs::read(&world.ledger).unwrap();
    let wal = format!("{}-wal", world.ledger.display());
    ledger.extend(std::fs::read(wal).unwrap_or_default());
    for word in words {
        assert!(!text.contains(word), "the log holds `{word}`");
        assert!(!contains(&ledger, word.as_bytes()), "the ledger holds `{word}`");
        for answer in &answers {
            assert!(!format!("{:?}", answer.headers).contains(word), "a header holds `{word}`");
            assert!(!contains(&answer.body, word.as_bytes()), "a body holds `{word}`");
        }
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// The search that every client of this suite makes can find something.
#[tokio::test]
#[should_panic(expected = "holds a pre-signed URL of the stand-in")]
async fn an_answer_with_a_pre_signed_url_is_noticed() {
    let world = World::with(twilio::settings(twilio::each_their_own)).await;
    let client = Client::new(world.standin.address(), world.authority.certificate());
    let basic = STANDARD.encode(format!("{ACCOUNT}:{UPSTREAM_SECRET}"));
    let request = Client::get(&twilio::path("/v1/Recordings/{RT}/Media"));
    client.send(bodiless(request.header("authorization", format!("Basic {basic}")))).await;
}

#[tokio::test]
#[should_panic(expected = "holds the upstream credential")]
async fn raw_bytes_with_the_credential_are_noticed() {
    let mut upstream = RawUpstream::bind().await;
    let world = World::prepare(&WorldSettings::default()).await;
    upstream.serve(&world.authority.issue(&["localhost"]).unwrap());
    let basic = STANDARD.encode(format!("{ACCOUNT}:{UPSTREAM_SECRET}"));
    upstream.media(vec![say(format!("HTTP/1.1 200 OK\r\nx: {basic}\r\n\r\n")), Step::Close]);
    let port = upstream.authority().split(':').next_back().unwrap().parse().unwrap();
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    let client = Client::new(address, world.authority.certificate());
    client.raw(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
}

/// What gates in this process log is searched at the finest level, and the stand-in's is not.
#[test]
fn a_log_in_this_process_with_the_secret_is_noticed() {
    static LOGGED: leaks::Logged = Mutex::new(None);
    let log = |say: fn()| {
        tracing::subscriber::with_default(leaks::searching(&LOGGED), say);
        LOGGED.lock().unwrap().take()
    };
    assert_eq!(log(|| tracing::trace!(target: "noticegate::gate", "nothing")), None);
    let found = log(|| tracing::trace!(target: "noticegate::gate", host = UPSTREAM_SECRET));
    assert_eq!(found, Some("the upstream secret"));
    let found = log(|| tracing::warn!(target: "hyper", "to /x?X-Amz-Signature=0"));
    assert_eq!(found, Some("a pre-signed URL"));
    let of_another = || tracing::trace!(target: "noticegate::standin", host = UPSTREAM_SECRET);
    assert_eq!(log(of_another), None);
}

/// A caller's name stands in the ledger; if it were the secret, it would show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "the ledger holds the upstream secret")]
async fn a_ledger_with_the_secret_is_noticed() {
    let mut world = World::new().await;
    let request =
        world.who(UPSTREAM_SECRET, "quality-analyst", "quality-monitoring", &path(".wav"));
    assert_eq!(world.send(request).await.status, 200);
    world.stop().await;
}

/// A host that upstream redirects to is logged; if it were the secret, it would show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "the log holds the upstream secret")]
async fn a_log_with_the_secret_is_noticed() {
    let world = world_of_processes(WorldSettings::default()).await;
    let process = Process::start(&world.folder, &[]);
    let to = RedirectTarget::Url(format!("https://{UPSTREAM_SECRET}.example/"));
    let fault = Fault::Redirect { to, status: 302 };
    let path_contains = RECORDING.to_owned();
    world.standin.misbehave(Misbehaviour { path_contains, fault, times: None });
    assert_eq!(one(&world, &process).await.status, 502);
    process.terminate();
}
