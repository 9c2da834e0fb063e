//! A share is decided again at each use, and a stream that runs is cut when it gives nothing more.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use noticegate::standin::{Fault, Misbehaviour};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::ledger::run;
use crate::support::policies::{change, derive};
use crate::support::process::{Process, noticegate, within_a_second, world_of_processes};
use crate::support::shares::{
    Link, bodiless, copy, copy_with, post, program, text, to_supplier, why,
};
use crate::support::world::{CALL, NUMBER, RECORDING, Store, of_kind};
use crate::support::{World, WorldSettings};

/// Large enough that no buffer between the ends holds it.
const LARGE: u64 = 64 << 20;

/// It gives nothing more, for this reason; upstream saw nothing of the sound.
async fn gives_nothing(world: &World, link: &Link, reason: &str) -> Value {
    let before = world.media_requests().len();
    let answer = world.send(program(&link.path)).await;
    assert_eq!(answer.status, 410, "{}", text(&answer));
    assert_eq!(why(&answer), reason);
    assert_eq!(world.media_requests().len(), before, "upstream saw nothing");
    let entries = world.read_entries();
    let refusal = of_kind(&entries, "refusal").last().copied().unwrap().clone();
    assert_eq!(refusal["share"], link.id);
    assert_eq!(refusal["recipient"], link.made["recipient"]["class"]);
    answer.json()
}

#[tokio::test]
async fn what_was_taken_back_gives_nothing() {
    let mut world = World::new().await;
    let link = world.link(&copy()).await;
    assert_eq!(world.send(program(&link.path)).await.status, 200);
    let path = format!("/shares/{}", link.id);
    assert_eq!(world.as_petra("DELETE", &path).await.status, 204);
    assert_eq!(world.as_petra("DELETE", &path).await.status, 204, "who says it twice has said it");
    gives_nothing(&world, &link, "share-revoked").await;
    let shown = world.as_petra("GET", &path).await.json();
    assert_eq!(shown["state"], "revoked");
    let entries = world.entries().await;
    let ends = of_kind(&entries, "share-end");
    assert_eq!(ends.len(), 1);
    assert_eq!((&ends[0]["share"], &ends[0]["actor"]), (&link.id.into(), &"test|petra".into()));
}

#[tokio::test]
async fn it_expires_at_its_second() {
    let mut world = World::new().await;
    let link = world.link(&copy_with(&json!({"expires_in_seconds": 600}))).await;
    let end: jiff::Timestamp = link.made["expires_at"].as_str().unwrap().parse().unwrap();
    world.clock.set(end - jiff::SignedDuration::from_secs(1));
    assert_eq!(world.send(program(&link.path)).await.status, 200);
    world.clock.set(end);
    gives_nothing(&world, &link, "share-expired").await;
    gives_nothing(&world, &link, "share-expired").await;
    assert_eq!(world.as_petra("GET", "/shares").await.json()["shares"][0]["state"], "expired");
    let entries = world.entries().await;
    let ends = of_kind(&entries, "share-end");
    assert_eq!((ends.len(), &ends[0]["reason"]), (1, &"expired".into()), "it is said once");
}

#[tokio::test]
async fn consent_objection_and_time_are_as_they_are_now() {
    let settings = WorldSettings { law: true, ..WorldSettings::default() };
    let world = World::with(settings).await;
    let made = world.share(&world.carla(), &to_supplier()).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let link = Link::of(made.json());
    let said = |state: &str, at: &str| {
        let mut consent = json!({"state": state, "at": at});
        if state == "given" {
            consent["form"] = "spoke".into();
        }
        json!({"about": [CALL], "participant": {"number": NUMBER}, "consent": consent})
    };
    world.state(&[said("withdrawn", "2026-11-20T00:00:00Z")]);
    let told = gives_nothing(&world, &link, "share-not-permitted").await;
    assert!(!told.to_string().contains("withdr"), "nothing of the facts is told outside: {told}");
    world.state(&[said("given", "2026-11-21T00:00:00Z")]);
    assert_eq!(world.send(program(&link.path)).await.status, 200, "permitted again");
    let lifted = |lifted: bool, at: &str| {
        let said = json!({"at": at, "lifted": lifted, "purposes": ["complaint-handling"]});
        json!({"participant": {"number": NUMBER}, "objection": said})
    };
    world.state(&[lifted(false, "2026-11-21T00:00:00Z")]);
    gives_nothing(&world, &link, "share-not-permitted").await;
    world.state(&[lifted(true, "2026-11-22T00:00:00Z")]);
    assert_eq!(world.send(program(&link.path)).await.status, 200);
}

/// A recording's time is over while the link still lives.
#[tokio::test]
async fn a_recording_whose_time_is_over_goes_to_nobody() {
    let recordings = vec![crate::support::recording(RECORDING, "2026-03-02T09:15:02Z")];
    let world = World::with(WorldSettings { recordings, ..WorldSettings::default() }).await;
    world.clock.set("2027-03-01T00:00:00Z".parse().unwrap());
    let order = copy_with(&json!({"expires_in_seconds": 2_592_000}));
    let link = world.link(&order).await;
    assert_eq!(world.send(program(&link.path)).await.status, 200);
    world.clock.set("2027-03-02T10:00:00Z".parse().unwrap());
    let told = gives_nothing(&world, &link, "share-not-permitted").await;
    assert_eq!(told["quote"], "We delete a recording 12 months after the call.");
}

#[tokio::test]
async fn a_maker_who_is_a_client_that_was_disabled_shares_no_more() {
    let prepared = World::prepare(&WorldSettings {
        config: "[clients]\nfile = \"clients.toml\"".to_owned(),
        ..WorldSettings::default()
    })
    .await;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"robot-secret");
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let file = |enabled: bool| {
        let text = format!(
            "[[client]]\nid = \"letters\"\nname = \"Letters\"\nroles = [\"privacy-officer\"]\n\
             enabled = {enabled}\n\
             secrets = [{{ hash = \"sha256:{digest}\", created = \"2026-11-23T12:00:00Z\" }}]\n"
        );
        std::fs::write(prepared.folder.join("clients.toml"), text).unwrap();
    };
    file(true);
    let folder = prepared.folder.clone();
    let world = prepared.started();
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode("letters:robot-secret");
    let mut request = post("", &copy(), &[]);
    request.headers_mut().insert("authorization", format!("Basic {pair}").parse().unwrap());
    let made = world.client.send_full(request).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let link = Link::of(made.json());
    assert_eq!(world.send(program(&link.path)).await.status, 200);
    let text = std::fs::read_to_string(folder.join("clients.toml")).unwrap();
    std::fs::write(folder.join("clients.toml"), text.replace("enabled = true", "enabled = false"))
        .unwrap();
    world.running().reload_clients().unwrap();
    gives_nothing(&world, &link, "share-maker").await;
}

#[tokio::test]
async fn what_rests_on_an_erased_person_gives_nothing() {
    let world = World::new().await;
    let link = world.link(&copy_with(&json!({"recipient": {"class": "data-subject"}}))).await;
    assert_eq!(world.send(program(&link.path)).await.status, 200);
    run(&world.folder, &["erase", "--caller", "test|petra", "--reason", "request 9", "--yes"])
        .done();
    gives_nothing(&world, &link, "share-erased").await;
}

#[tokio::test]
async fn a_recording_that_is_gone_is_told_to_be() {
    let settings = WorldSettings {
        config: "[facts]\nage_max_seconds = 10".to_owned(),
        ..WorldSettings::default()
    };
    let world = World::with(settings).await;
    let link = world.link(&copy()).await;
    world.standin.misbehave(Misbehaviour {
        path_contains: format!("{RECORDING}.json"),
        fault: Fault::Status { status: 404, retry_after: None },
        times: None,
    });
    world.clock.set(world.clock.now() + jiff::SignedDuration::from_secs(11));
    gives_nothing(&world, &link, "share-recording-gone").await;
}

/// Reads the first piece of a stream.
async fn first_piece(client: &Client, link: &Link) -> Incoming {
    let answer = client.start(bodiless(program(&link.path))).await;
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert!(!first.into_data().unwrap().is_empty());
    body
}

/// Reads on until it is cut; returns how much came.
async fn is_cut(mut body: Incoming) -> u64 {
    let cut = async {
        let mut bytes = 0;
        loop {
            match body.frame().await {
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(_)) => return bytes,
                None => panic!("it ended as if it were whole, after {bytes} bytes"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), cut).await.expect("it is cut")
}

fn stalls() -> Misbehaviour {
    Misbehaviour {
        path_contains: format!("{RECORDING}.wav"),
        fault: Fault::StallAfter { bytes: 2_000_000 },
        times: None,
    }
}

/// A world with a large recording whose sound stands still in the middle, two gates and a link.
async fn two_gates(order: &Value) -> (World, [Process; 2], [Client; 2], Link) {
    let recent = noticegate::clock::Clock::system().now() - jiff::SignedDuration::from_hours(48);
    let large = noticegate::standin::SampleRecording {
        audio: noticegate::standin::SampleAudio::Zeros { length: LARGE },
        ..crate::support::recording(RECORDING, &recent.to_string())
    };
    let settings = WorldSettings { store: Store::Database, ..WorldSettings::default() };
    let world = World::prepare(&WorldSettings {
        recordings: vec![large],
        config: "[log]\nformat = \"json\"".to_owned(),
        ..settings
    })
    .await;
    world.clock.set(noticegate::clock::Clock::system().now());
    world.standin.misbehave(stalls());
    let configs = [world.folder.join("noticegate.toml"), world.another("second")];
    let gates = configs.map(|config| Process::configured(&config, &[]));
    let clients =
        gates.each_ref().map(|gate| Client::new(gate.address, world.authority.certificate()));
    let token = world.token("mia", &["privacy-officer", "complaints-handler"]);
    let made = clients[0].send_full(post(&token, order, &[])).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let link = Link::of(made.json());
    (world, gates, clients, link)
}

async fn streams(clients: &[Client; 2], link: &Link) -> [Incoming; 2] {
    [first_piece(&clients[0], link).await, first_piece(&clients[1], link).await]
}

/// Returns when all are.
async fn all_are_cut(bodies: [Incoming; 2]) -> Instant {
    let [one, other] = bodies;
    let cut = futures_util::future::join(is_cut(one), is_cut(other)).await;
    assert!(cut.0 < LARGE && cut.1 < LARGE);
    Instant::now()
}

fn endings(world: &World) -> Vec<String> {
    let entries = world.read_entries();
    let ends = of_kind(&entries, "outcome").into_iter();
    ends.map(|outcome| outcome["ending"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_at_every_gate_are_cut_when_a_share_is_taken_back() {
    within_a_second(async || {
        let (world, gates, clients, link) = two_gates(&copy()).await;
        let bodies = streams(&clients, &link).await;
        let mia = world.token("mia", &["privacy-officer"]);
        let bearer = format!("Bearer {mia}");
        let path = format!("/shares/{}", link.id);
        let revoke = Client::get(&path).method("DELETE").header("authorization", bearer);
        let since = Instant::now();
        assert_eq!(clients[0].send(bodiless(revoke)).await.status, 204);
        let took = all_are_cut(bodies).await - since;
        for client in &clients {
            let answer = client.send(bodiless(program(&link.path))).await;
            assert_eq!((answer.status, why(&answer).as_str()), (410, "share-revoked"));
        }
        for gate in gates {
            assert!(!gate.log().contains(link.token()), "no log holds a link");
            assert!(gate.terminate());
        }
        assert_eq!(endings(&world), ["revoked"; 2]);
        took
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_at_every_gate_are_cut_when_consent_is_withdrawn() {
    within_a_second(async || {
        let (world, gates, clients, link) = two_gates(&to_supplier()).await;
        let bodies = streams(&clients, &link).await;
        let no = json!({"state": "withdrawn", "at": world.clock.now()});
        world.state(&[json!({"participant": {"number": NUMBER}, "consent": no})]);
        let since = Instant::now();
        let took = all_are_cut(bodies).await - since;
        for client in &clients {
            let answer = client.send(bodiless(program(&link.path))).await;
            assert_eq!((answer.status, why(&answer).as_str()), (410, "share-not-permitted"));
        }
        assert!(gates.into_iter().all(Process::terminate));
        assert_eq!(endings(&world), ["revoked"; 2]);
        took
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_cut_by_policies_that_permit_them_no_more() {
    within_a_second(async || {
        let (world, gates, clients, link) = two_gates(&copy()).await;
        let bodies = streams(&clients, &link).await;
        let policies = world.folder.join("policies");
        let (from, to) =
            ("needs = [\"identity-check\"]", "needs = [\"identity-check\", \"approval\"]");
        change(&policies, "notices/2026-03-01/clauses.toml", from, to);
        derive(&policies);
        // What is under way to be put in force is not what is measured.
        gates.iter().for_each(Process::hang_up);
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while of_kind(&world.read_entries(), "policies").len() < 2 {
            looks.tick().await;
        }
        let since = Instant::now();
        let took = all_are_cut(bodies).await - since;
        let answer = clients[1].send(bodiless(program(&link.path))).await;
        assert_eq!((answer.status, why(&answer).as_str()), (410, "share-not-permitted"));
        assert_eq!(answer.json()["clause"], "copy-sent");
        assert!(gates.into_iter().all(Process::terminate));
        assert_eq!(endings(&world), ["revoked"; 2]);
        took
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_cut_when_the_share_expires() {
    within_a_second(async || {
        let world = World::with(WorldSettings {
            recordings: vec![noticegate::standin::SampleRecording {
                audio: noticegate::standin::SampleAudio::Zeros { length: LARGE },
                ..crate::support::recording(RECORDING, "2026-11-03T09:15:02Z")
            }],
            ..WorldSettings::default()
        })
        .await;
        world.standin.misbehave(stalls());
        let link = world.link(&copy_with(&json!({"expires_in_seconds": 600}))).await;
        let body = first_piece(&world.client, &link).await;
        world.clock.set(link.made["expires_at"].as_str().unwrap().parse().unwrap());
        let since = Instant::now();
        is_cut(body).await;
        let took = since.elapsed();
        assert_eq!(of_kind(&world.read_entries(), "share-end")[0]["reason"], "expired");
        took
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_used_up_runs_on_where_it_was_begun() {
    let settings = WorldSettings { store: Store::Database, ..WorldSettings::default() };
    let world = world_of_processes(settings).await;
    world.clock.set(noticegate::clock::Clock::system().now());
    let gate = Process::start(&world.folder, &[]);
    let client = Client::new(gate.address, world.authority.certificate());
    let order = copy_with(&json!({"uses": 1}));
    let link = Link::of(client.send_full(post(&world.petra(), &order, &[])).await.json());
    for range in ["bytes=0-9", "bytes=10-19", "bytes=0-"] {
        let request = program(&link.path).header("range", range);
        assert_eq!(client.send(bodiless(request)).await.status, 206, "its own session");
    }
    let config = world.folder.join("noticegate.toml");
    let shown = noticegate(
        &config,
        &["ledger", "query", "--field", &format!("share={}", link.id), "--count"],
    );
    assert_eq!(shown.out.trim(), "4", "one share, three disclosures: {shown:?}");
    assert!(gate.terminate());
}
