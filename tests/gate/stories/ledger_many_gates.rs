//! Many gates on one ledger: each goes on whatever becomes of the others, and together they leave one
//! true record.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::Client;
use crate::support::policies::{change, derive};
use crate::support::postgres::{Line, Server};
use crate::support::process::{
    Process, Said, Seen, assert_holds, endings, intents, listening, load, noticegate, one,
    unrecorded, until_nothing_is_open, world_of_processes, world_of_sounds,
};
use crate::support::world::{Store, of_kind};
use crate::support::{World, WorldSettings};

/// How soon another gate closes what one that is gone left open; each looks every two seconds.
const CLOSED_WITHIN: Duration = Duration::from_secs(8);

async fn world() -> World {
    world_of_processes(WorldSettings { store: Store::Database, ..WorldSettings::default() }).await
}

/// Looks again and again, for as long as a gate may take that looks around.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    while started.elapsed() < CLOSED_WITHIN {
        looks.tick().await;
        if let Some(found) = look() {
            return found;
        }
    }
    panic!("{what} never came");
}

/// How an intent has ended so far, oldest first.
fn ends(entries: &[Value], intent: &str) -> Vec<String> {
    let outcomes = of_kind(entries, "outcome").into_iter();
    let own = outcomes.filter(|outcome| outcome["of"] == intent);
    own.map(|outcome| outcome["ending"].as_str().unwrap().to_owned()).collect()
}

/// The intents that have ended in some way.
fn ended(entries: &[Value]) -> HashSet<String> {
    let outcomes = of_kind(entries, "outcome").into_iter();
    outcomes.map(|outcome| outcome["of"].as_str().unwrap().to_owned()).collect()
}

/// Who wrote the entry of this name.
fn writer<'a>(entries: &'a [Value], id: &str) -> &'a str {
    entries.iter().find(|entry| entry["id"] == id).unwrap()["w"].as_str().unwrap()
}

fn checkpoints(world: &World) -> u64 {
    let database = world.url.as_ref().unwrap().rsplit('/').next().unwrap();
    let sql = "SELECT coalesce(max(size), 0) FROM noticegate.checkpoint";
    Server::shared().sql(database, sql).parse().unwrap()
}

fn count(config: &Path, more: &[&str]) -> u64 {
    let said = noticegate(config, &[&["ledger", "query", "--count"], more].concat());
    assert_eq!(said.code, 0, "{said:?}");
    said.out.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_killed_harms_no_other_and_leaves_nothing_open() {
    let world = world().await;
    let configs = [world.folder.join("noticegate.toml"), world.another("second")];
    let mut gates = configs.each_ref().map(|config| Some(Process::configured(config, &[])));
    let mut seen: Vec<Seen> = Vec::new();
    // The first one signs; when it is gone, the second; and then the first again.
    for round in 0..4 {
        let (dies, stays) = (round % 2, 1 - round % 2);
        let [first, second] =
            [dies, stays].map(|which| load(&world, gates[which].as_ref().unwrap(), 3));
        first.until(30).await;
        second.until(30).await;
        gates[dies].take().unwrap().kill();
        let (signed, before) = (checkpoints(&world), second.count());
        let lost = first.finish().await;
        second.until(before + 30).await;
        // Nothing of the dead one stays open while the other is at work.
        let open = &intents(&world.read_entries()) - &ended(&world.read_entries());
        until("the end of all that was open", || {
            open.is_subset(&ended(&world.read_entries())).then_some(())
        })
        .await;
        until("another checkpoint", || (checkpoints(&world) > signed).then_some(())).await;
        let living = second.drain().await;
        assert!(living.iter().all(|seen| seen.status == 200), "unharmed in round {round}");
        seen.extend(lost);
        seen.extend(living);
        gates[dies] = Some(Process::configured(&configs[dies], &[]));
    }
    for gate in gates.iter_mut() {
        assert!(gate.take().unwrap().terminate());
    }
    let entries = world.read_entries();
    assert_eq!(unrecorded(&seen, &entries).len(), 0);
    let endings = endings(&entries);
    for seen in seen.iter().filter(|seen| seen.status == 200 && seen.bytes > 0) {
        assert!(["complete", "unknown"].contains(&endings[&seen.entry].as_str()));
    }
    assert!(endings.values().any(|ending| ending == "unknown"), "a kill leaves intents open");
    // Each folder tells the same, and holds what the other has signed.
    for (config, other) in [(&configs[0], "second.d"), (&configs[1], "noticegate.d")] {
        let report = assert_holds(config);
        assert_eq!(report["entries"].as_u64(), Some(entries.len() as u64));
        assert_eq!(report["writers"].as_u64(), Some(6));
        let other = world.folder.join(other).join("checkpoint");
        let against = ["ledger", "verify", "--against", other.to_str().unwrap()];
        assert_eq!(noticegate(config, &against).code, 0);
        assert_eq!(count(config, &["--kind", "intent"]), intents(&entries).len() as u64);
        let unknown = endings.values().filter(|ending| *ending == "unknown").count();
        assert_eq!(
            count(config, &["--field", "ending=unknown", "--kind", "intent"]),
            unknown as u64
        );
    }
}

/// A large recording that a caller has begun to read.
async fn begin(world: &World, gate: &Process) -> (String, http::Response<hyper::body::Incoming>) {
    let client = Client::new(gate.address, world.authority.certificate());
    let response = client.start(listening(world)()).await;
    assert_eq!(response.status(), 200);
    (response.headers()["noticegate-entry"].to_str().unwrap().to_owned(), response)
}

/// To the others, a gate without a connection is gone. It is not, and knows better how its
/// disclosures ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_was_cut_off_comes_back_under_a_new_name_and_tells_how_it_was() {
    let settings = WorldSettings { store: Store::Database, ..WorldSettings::default() };
    // More than the buffers between them hold.
    let world = world_of_sounds(64 << 20, settings).await;
    let line = Line::to(Server::shared());
    let config = world.far(&line);
    let far = Process::configured(&config, &[]);
    let near = Process::start(&world.folder, &[]);

    let (streaming, response) = begin(&world, &far).await;
    // What is committed and never answered, too.
    line.mute();
    let known = intents(&world.read_entries());
    let asking = load(&world, &far, 1);
    let silent = until("the intent without an answer", || {
        (&intents(&world.read_entries()) - &known).into_iter().next()
    })
    .await;
    line.cut();
    asking.until(1).await;
    let refused = asking.stop().await;
    assert_eq!((refused[0].status, refused[0].entry.as_str()), (503, ""));
    until("the end by the other gate", || {
        let entries = world.read_entries();
        let closed = |intent: &str| ends(&entries, intent) == ["unknown"];
        (closed(&streaming) && closed(&silent)).then_some(())
    })
    .await;
    assert_eq!(one(&world, &far).await.status, 503);
    assert_eq!(one(&world, &near).await.status, 200);
    assert!(far.ready().await.1.contains("ledger"));

    line.mend();
    far.until_ready_is(200).await;
    let again = one(&world, &far).await;
    assert_eq!(again.status, 200);
    drop(response);
    let entries = until("how it was", || {
        let entries = world.read_entries();
        let (one, other) = (ends(&entries, &streaming), ends(&entries, &silent));
        (one == ["unknown", "caller-left"] && other == ["unknown", "not-released"])
            .then_some(entries)
    })
    .await;
    assert_ne!(writer(&entries, &again.entry), writer(&entries, &streaming));
    assert_eq!(of_kind(&entries, "resume").len(), 1);
    assert!(far.terminate() && near.terminate());
    endings(&world.read_entries());
    for config in [config, world.folder.join("noticegate.toml")] {
        assert_holds(&config);
        for (ending, times) in [("unknown", 0), ("caller-left", 1), ("not-released", 1)] {
            let ending = format!("ending={ending}");
            assert_eq!(
                count(&config, &["--kind", "intent", "--field", &ending]),
                times,
                "{ending}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_are_loaded_in_one_gate_are_on_record_as_of_that_one() {
    let world = world().await;
    let one_gate = Process::start(&world.folder, &[]);
    let other_gate = Process::configured(&world.another("second"), &[]);
    let meaning = "notices/2026-03-01/clauses.toml";
    let (from, to) = ("purposes = [\"quality-monitoring\"]\n", "needs = [\"reference\"]\n");
    let policies = world.folder.join("policies");
    change(&policies, meaning, from, &format!("{from}{to}"));
    derive(&policies);
    one_gate.hang_up();
    until("the new policies", || {
        (of_kind(&world.read_entries(), "policies").len() == 1).then_some(())
    })
    .await;
    assert_eq!(one(&world, &one_gate).await.status, 403);
    assert_eq!(one(&world, &other_gate).await.status, 200, "it was not told");
    assert!(one_gate.terminate() && other_gate.terminate());
    let entries = world.read_entries();
    let (new, starts) = (of_kind(&entries, "policies")[0], of_kind(&entries, "start"));
    let (intent, refusal) = (of_kind(&entries, "intent")[0], of_kind(&entries, "refusal")[0]);
    assert_eq!((&new["w"], &refusal["w"]), (&starts[0]["w"], &starts[0]["w"]));
    assert_eq!(refusal["decision"]["policies"], new["policies"]);
    assert_eq!(intent["w"], starts[1]["w"]);
    assert_eq!(intent["decision"]["policies"], starts[1]["policies"]);
    assert_holds(&world.folder.join("noticegate.toml"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gates_need_two_folders_and_one_key_file() {
    let world = world().await;
    let first = Process::start(&world.folder, &[]);
    let refused = |config: &Path, words: &[&str]| {
        let Said { code, err, .. } = noticegate(config, &["serve"]);
        assert!(code != 0 && code != 124, "it does not start: {code} {err}");
        assert!(words.iter().all(|word| err.contains(word)), "{err}");
    };
    refused(&world.folder.join("noticegate.toml"), &["noticegate.d", "another gate"]);
    let second = world.another("second");
    let text = std::fs::read_to_string(&second).unwrap();
    std::fs::write(&second, text.replace("ledger.key", "other.key")).unwrap();
    refused(&second, &["other.key"]);
    // Another ledger's.
    let elsewhere = self::world().await;
    assert!(Process::start(&elsewhere.folder, &[]).terminate());
    let other = world.folder.join("other.key");
    std::fs::copy(elsewhere.folder.join("ledger.key"), &other).unwrap();
    refused(&second, &["other.key", "begun with another key file"]);
    assert_eq!(one(&world, &first).await.status, 200, "the first one goes on");
    assert!(first.terminate());
    assert_eq!(of_kind(&until_nothing_is_open(&world).await, "start").len(), 1);
    assert_holds(&world.folder.join("noticegate.toml"));
}
