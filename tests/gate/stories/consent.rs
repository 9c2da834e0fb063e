//! What is stated about a call decides, at once and everywhere: who was on it and where, what they
//! agreed to and took back, cases, holds, payments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use noticegate::standin::Fault;
use noticegate::standin::Misbehaviour;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::ledger::run;
use crate::support::postgres::{Line, Server};
use crate::support::process::{Process, within_a_second, world_of_processes};
use crate::support::world::{CALL, NOW, NUMBER, RECORDING, Store, of_kind, path, recording};
use crate::support::{World, WorldSettings};

/// The organisation's own end of the sample call.
const LINE: &str = "+14045550188";

async fn world() -> World {
    World::with(WorldSettings { law: true, ..WorldSettings::default() }).await
}

/// It is refused, for this reason, on record, and nobody asked upstream for the sound.
async fn refused(world: &World, request: http::request::Builder, why: &str) {
    let before = world.media_requests().len();
    refused_unheard(world, request, why).await;
    assert_eq!(world.media_requests().len(), before, "upstream saw nothing");
}

/// The same, of a gate that may not have heard yet why: then upstream is asked while the store
/// turns the intent away, and what it answers is thrown away unopened.
async fn refused_unheard(world: &World, request: http::request::Builder, why: &str) {
    let answer = world.send(request).await;
    assert_eq!(answer.status, 403, "{why}");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains(why), "{text}");
    let entries = world.read_entries();
    let refusal = of_kind(&entries, "refusal").last().copied().unwrap().clone();
    assert_eq!(refusal["id"], answer.header("noticegate-entry").unwrap());
}

fn party(number: &str, more: &Value) -> Value {
    json!({"about": [CALL], "participant": {"number": number}, "party": more})
}

fn consent(number: &str, more: &Value) -> Value {
    let mut consent = json!({"state": "given", "form": "spoke", "at": "2026-11-03T09:15:05Z"});
    consent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    if consent["state"] != "given" {
        consent.as_object_mut().unwrap().remove("form");
    }
    json!({"about": [CALL], "participant": {"number": number}, "consent": consent})
}

fn withdrawn(number: &str) -> Value {
    consent(number, &json!({"state": "withdrawn", "at": NOW}))
}

const ALL_PARTY: &str = "demands everybody's consent";

#[tokio::test]
async fn a_number_says_georgia_an_address_says_california_and_everybody_must_agree() {
    let mut world = world().await;
    let wav = || path(".wav");
    assert_eq!(world.send(world.ana(&wav())).await.status, 200, "Georgia asks for one consent");
    world.state(&[party(NUMBER, &json!({"address": "US-CA"}))]);
    refused(&world, world.ana(&wav()), ALL_PARTY).await;
    world.state(&[consent(NUMBER, &json!({}))]);
    refused(&world, world.ana(&wav()), ALL_PARTY).await;
    world.state(&[consent(LINE, &json!({"form": "contract"}))]);
    assert_eq!(world.send(world.ana(&wav())).await.status, 200, "now everybody has agreed");
    let entries = world.entries().await;
    let laws: Vec<&Value> =
        of_kind(&entries, "intent").iter().map(|intent| &intent["facts"]["law"]).collect();
    assert_eq!(*laws[0], json!({"place": "US-GA", "rule": "one-party"}));
    assert_eq!(*laws[1], json!({"place": "US-CA", "rule": "all-party"}));
    let text = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains(NUMBER), "a number stands in no entry");
}

#[tokio::test]
async fn somebody_who_may_be_anywhere_must_agree_too() {
    for from in ["anonymous", "+18005550100", "sip:ana@example.com", "+442079460018"] {
        let recordings = vec![noticegate::standin::SampleRecording {
            from: from.to_owned(),
            ..recording(RECORDING, "2026-11-03T09:15:02Z")
        }];
        let settings = WorldSettings { law: true, recordings, ..WorldSettings::default() };
        let world = World::with(settings).await;
        refused(&world, world.ana(&path(".wav")), ALL_PARTY).await;
    }
    // A call that Twilio has forgotten.
    let world = world().await;
    world.standin.misbehave(Misbehaviour {
        path_contains: format!("{CALL}.json"),
        fault: Fault::Status { status: 404, retry_after: None },
        times: None,
    });
    refused(&world, world.ana(&path(".wav")), ALL_PARTY).await;
}

#[tokio::test]
async fn what_a_line_plays_is_consent_of_those_who_stay_on_it_from_that_day() {
    let world = world().await;
    let trainer = || world.who("tom", "trainer", "staff-training", &path(".wav"));
    let announce = |since: &str, more: Value| {
        let mut said = json!({"id": "greeting-3", "text": "This call is recorded to train our staff.",
            "since": since, "consents": true, "agents_agreed": true});
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"line": "support", "announcement": said})
    };
    refused(&world, trainer(), "consent").await;
    world.state(&[announce("2026-11-04T00:00:00Z", json!({}))]);
    refused(&world, trainer(), "consent").await;
    world.state(&[announce("2026-11-01T00:00:00Z", json!({"purposes": ["quality-monitoring"]}))]);
    refused(&world, trainer(), "consent").await;
    world.state(&[announce("2026-11-01T00:00:00Z", json!({}))]);
    assert_eq!(world.send(trainer()).await.status, 200);
    // Who says no all the same has said no.
    world.state(&[consent(NUMBER, &json!({"state": "refused"}))]);
    refused(&world, trainer(), "somebody's does not hold").await;
}

#[tokio::test]
async fn consent_is_for_its_purposes_and_its_time() {
    let world = world().await;
    let trainer = || world.who("tom", "trainer", "staff-training", &path(".wav"));
    let agent = consent(LINE, &json!({"form": "contract"}));
    let for_quality = json!({"purposes": ["quality-monitoring"]});
    world.state(&[agent, consent(NUMBER, &for_quality)]);
    refused(&world, trainer(), "consent").await;
    let until = json!({"purposes": ["staff-training"], "until": "2026-11-23T12:00:10Z",
        "at": "2026-11-03T09:15:06Z"});
    world.state(&[consent(NUMBER, &until)]);
    let end: jiff::Timestamp = "2026-11-23T12:00:10Z".parse().unwrap();
    assert!(world.clock.now() < end, "{}", world.clock.now());
    let second = jiff::SignedDuration::from_secs(1);
    world.clock.set(end - second);
    assert_eq!(world.send(trainer()).await.status, 200, "one second before its end");
    world.clock.set(end);
    refused(&world, trainer(), "consent").await;
    world.clock.set(end + second);
    refused(&world, trainer(), "consent").await;
}

#[tokio::test]
async fn a_withdrawal_is_known_to_the_very_next_request() {
    let mut world = world().await;
    for round in 0..5 {
        assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
        let at: jiff::Timestamp = NOW.parse().unwrap();
        let at = at + jiff::SignedDuration::from_millis(round * 2);
        let no = json!({"state": "withdrawn", "at": at});
        world.state_unheard(&[json!({"participant": {"number": NUMBER}, "consent": no})]);
        refused_unheard(&world, world.ana(&path(".wav")), "withdrew").await;
        let again = json!({"at": at + jiff::SignedDuration::from_millis(1)});
        world.state(&[consent(NUMBER, &again)]);
        world.clock.set(at + jiff::SignedDuration::from_millis(2));
    }
    let reads = world
        .standin
        .seen()
        .into_iter()
        .filter(|seen| seen.path_and_query.ends_with(&format!("{RECORDING}.json")));
    assert_eq!(reads.count(), 1, "what Twilio says was asked for once");
    world.entries().await;
}

/// In the ledger's own order, no intent that did not know of the withdrawal stands behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_facts_never_outlive_a_withdrawal() {
    let world = Arc::new(world().await);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    for round in 1..=8i64 {
        let on = Arc::new(AtomicBool::new(true));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (world, on) = (Arc::clone(&world), Arc::clone(&on));
                tokio::spawn(async move {
                    let mut statuses = Vec::new();
                    while on.load(Ordering::SeqCst) || statuses.last() != Some(&403) {
                        statuses.push(world.send(world.ana(&path(".wav"))).await.status);
                    }
                    statuses
                })
            })
            .collect();
        let before = world.read_entries().len();
        while of_kind(&world.read_entries()[before..], "intent").len() < 5 {
            tokio::task::yield_now().await;
        }
        let at: jiff::Timestamp = NOW.parse().unwrap();
        let at = at + jiff::SignedDuration::from_millis(round * 10);
        let no = consent(NUMBER, &json!({"state": "withdrawn", "at": at}));
        world.clock.set(at);
        let place = world.state_unheard(&[no]);
        on.store(false, Ordering::SeqCst);
        for caller in callers {
            let statuses = caller.await.unwrap();
            let first = statuses.iter().position(|status| *status == 403).unwrap();
            assert!(statuses[first..].iter().all(|status| *status == 403), "{statuses:?}");
            assert!(statuses[..first].iter().all(|status| *status == 200), "{statuses:?}");
        }
        let entries = world.read_entries();
        let place = usize::try_from(place).unwrap();
        assert_eq!(entries[place]["t"], "statement");
        let after = of_kind(&entries[place..], "intent");
        assert!(after.is_empty(), "{} disclosures behind the withdrawal", after.len());
        let yes = json!({"at": at + jiff::SignedDuration::from_millis(1)});
        world.state(&[consent(NUMBER, &yes)]);
        world.clock.set(at + jiff::SignedDuration::from_millis(2));
    }
}

/// Reads the first piece of a stream that then stands still.
async fn first_piece(world: &World, client: &Client) -> hyper::body::Incoming {
    let request = world.ana(&path(".wav")).body(http_body_util::Empty::new()).unwrap();
    let answer = client.start(request).await;
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert!(!first.into_data().unwrap().is_empty());
    body
}

async fn is_cut(mut body: hyper::body::Incoming) {
    let cut = async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return,
                None => panic!("it ended as if it were whole"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), cut).await.expect("it is cut");
}

fn stalls() -> Misbehaviour {
    Misbehaviour {
        path_contains: format!("{RECORDING}.wav"),
        fault: Fault::StallAfter { bytes: 1_000 },
        times: None,
    }
}

/// How all streams ended, each after the first piece.
fn all_revoked(entries: &[Value], streams: usize) {
    let outcomes = of_kind(entries, "outcome");
    let of_streams: Vec<&&Value> =
        outcomes.iter().filter(|outcome| outcome["bytes"] != 0).collect();
    assert_eq!(of_streams.len(), streams);
    for outcome in of_streams {
        assert_eq!((&outcome["ending"], &outcome["bytes"]), (&"revoked".into(), &1_000.into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_runs_is_cut_within_a_second_when_consent_is_withdrawn() {
    within_a_second(async || {
        let mut world = world().await;
        world.standin.misbehave(stalls());
        let body = first_piece(&world, &world.client).await;
        let other = first_piece(&world, &world.client).await;
        // What does not concern it leaves it alone.
        world.state(&[
            json!({"about": ["CA0000000000000000000000000000ffff"], "labels": {"line": "sales"}}),
        ]);
        let started = Instant::now();
        world.state(&[withdrawn(NUMBER)]);
        is_cut(body).await;
        is_cut(other).await;
        let took = started.elapsed();
        all_revoked(&world.entries().await, 2);
        took
    })
    .await;
}

/// A world in a database, on the system's time, whose sound stands still.
async fn still_world() -> World {
    let settings = WorldSettings { law: true, store: Store::Database, ..WorldSettings::default() };
    let world = world_of_processes(settings).await;
    world.clock.set(noticegate::clock::Clock::system().now());
    world.standin.misbehave(stalls());
    world
}

/// Somebody takes their consent back, by another process.
fn withdraw(world: &World) {
    let no = json!({"state": "withdrawn", "at": world.clock.now()});
    world.state(&[json!({"participant": {"number": NUMBER}, "consent": no})]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gate_that_shares_the_ledger_cuts_its_streams_within_a_second() {
    within_a_second(async || {
        let world = still_world().await;
        let configs = [world.folder.join("noticegate.toml"), world.another("second")];
        let gates = configs.map(|config| Process::configured(&config, &[]));
        let clients =
            gates.each_ref().map(|gate| Client::new(gate.address, world.authority.certificate()));
        let mut bodies = Vec::new();
        for client in &clients {
            bodies.push(first_piece(&world, client).await);
        }
        withdraw(&world);
        let stated = Instant::now();
        for body in bodies {
            is_cut(body).await;
        }
        let took = stated.elapsed();
        for client in &clients {
            let request = world.ana(&path(".wav")).body(http_body_util::Empty::new()).unwrap();
            assert_eq!(client.send(request).await.status, 403);
        }
        assert!(gates.into_iter().all(Process::terminate));
        all_revoked(&world.read_entries(), 2);
        took
    })
    .await;
}

/// It cannot hear who objects, so it supposes that somebody did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_cannot_hear_who_objects_cuts_its_streams_within_a_second() {
    within_a_second(async || {
        let world = still_world().await;
        let line = Line::to(Server::shared());
        let far = Process::configured(&world.far(&line), &[]);
        let near = Process::start(&world.folder, &[]);
        let [there, here] =
            [&far, &near].map(|gate| Client::new(gate.address, world.authority.certificate()));
        let stream = first_piece(&world, &there).await;
        let mut other = first_piece(&world, &here).await;
        // What is sent on it is never answered, and nobody is told that it is so.
        line.mute();
        let muted = Instant::now();
        is_cut(stream).await;
        let took = muted.elapsed();
        // Who can hear lets it run: nobody objected.
        let next = tokio::time::timeout(Duration::from_millis(300), other.frame()).await;
        assert!(next.is_err(), "the other gate's stream still stands open");
        line.cut();
        line.mend();
        far.until_ready_is(200).await;
        assert!(far.terminate());
        withdraw(&world);
        is_cut(other).await;
        assert!(near.terminate());
        let entries = world.read_entries();
        assert!(of_kind(&entries, "outcome").iter().any(|outcome| outcome["ending"] == "revoked"));
        took
    })
    .await;
}

#[tokio::test]
async fn an_objection_is_to_a_purpose_and_can_be_taken_back() {
    let world = world().await;
    let object = |at: &str, lifted: bool| {
        let said = json!({"at": at, "lifted": lifted, "purposes": ["quality-monitoring"]});
        json!({"participant": {"number": NUMBER}, "objection": said})
    };
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    world.state(&[object("2026-11-10T00:00:00Z", false)]);
    refused(&world, world.ana(&path(".wav")), "objected").await;
    let case = || {
        world
            .who("carla", "complaints-handler", "complaint-handling", &path(".wav"))
            .header("noticegate-reference", "C-1")
    };
    assert_eq!(world.send(case()).await.status, 200, "to this purpose alone");
    world.state(&[object("2026-11-11T00:00:00Z", true)]);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
}

#[tokio::test]
async fn a_case_opens_what_needs_one_and_closes_it() {
    let world = world().await;
    let counsel = || world.who("lea", "legal-counsel", "legal-claims", &path(".wav"));
    let case = |open: bool, at: &str| json!({"about": [RECORDING], "case": {"id": "claim-7", "open": open, "at": at}});
    refused(&world, counsel(), "case").await;
    world.state(&[case(true, "2026-11-10T00:00:00Z")]);
    assert_eq!(world.send(counsel()).await.status, 200);
    world.state(&[case(false, "2026-11-11T00:00:00Z")]);
    refused(&world, counsel(), "case").await;
}

#[tokio::test]
async fn a_payment_without_a_pause_is_heard_by_nobody() {
    let world = world().await;
    let payment = |more: Value| json!({"about": [CALL], "payment": more});
    world.state(&[payment(json!({"taken": true}))]);
    refused(&world, world.ana(&path(".wav")), "a card may have been recorded").await;
    world.state(&[payment(json!({"taken": true, "pauses": [{"start_ms": 5, "end_ms": 9}]}))]);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    world.state(&[json!({"about": [CALL], "labels": {"labels": ["payment"]}})]);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200, "it is known to be paused");
    world.state(&[payment(json!({"taken": false}))]);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
}

#[tokio::test]
async fn a_hold_stops_deletion_and_gets_those_it_names_past_the_time() {
    let recordings = vec![recording(RECORDING, "2026-03-02T09:15:02Z")];
    let settings = WorldSettings { law: true, recordings, ..WorldSettings::default() };
    let world = World::with(settings).await;
    let counsel = |who: &str| world.who(who, "legal-counsel", "legal-claims", &path(".wav"));
    let delete = || {
        let request = world.who("olga", "retention-operator", "record-keeping", &path(""));
        request.method("DELETE")
    };
    let hold = |lifted: bool| {
        json!({"about": [CALL], "hold": {"id": "hold-7", "case": "claim-7", "lifted": lifted,
            "people": ["test|lea"], "purposes": ["legal-claims"], "reason": "Jo Bloggs sues us"}})
    };
    let open = json!({"about": [CALL], "case": {"id": "claim-7", "open": true,
        "at": "2026-11-10T00:00:00Z"}});
    world.state(&[open, hold(false)]);
    refused(&world, delete(), "a legal hold lies on this recording").await;
    assert_eq!(world.send(counsel("lea")).await.status, 200);
    // After its time, only who is named may, and for that alone.
    world.clock.set("2027-03-03T00:00:00Z".parse().unwrap());
    refused(&world, counsel("max"), "12 months").await;
    let issued = counsel("lea");
    assert_eq!(world.send(issued).await.status, 200);
    refused(&world, world.ana(&path(".wav")), "12 months").await;
    refused(&world, delete(), "a legal hold lies on this recording").await;
    world.state(&[hold(true)]);
    refused(&world, counsel("lea"), "12 months").await;
    assert_eq!(world.send(delete()).await.status, 204);
    let entries = world.read_entries();
    let text = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("Bloggs"), "what was said in words is sealed");
}

#[tokio::test]
async fn a_child_needs_a_guardian_and_an_erased_refusal_stays_one() {
    let world = world().await;
    let trainer = || world.who("tom", "trainer", "staff-training", &path(".wav"));
    world.state(&[
        party(NUMBER, &json!({"minor": true})),
        consent(NUMBER, &json!({})),
        consent(LINE, &json!({"form": "contract"})),
    ]);
    refused(&world, trainer(), "consent").await;
    world.state(&[consent(NUMBER, &json!({"guardian": true, "at": "2026-11-03T09:15:09Z"}))]);
    assert_eq!(world.send(trainer()).await.status, 200);
    world.state(&[withdrawn(NUMBER)]);
    refused(&world, trainer(), "somebody's does not hold").await;
    run(&world.folder, &["erase", "--number", NUMBER, "--reason", "request 1", "--yes"]).done();
    refused(&world, trainer(), "somebody's does not hold").await;
}
