//! New policies come into force without a restart, as a whole or not at all.

use std::path::Path;
use std::time::Duration;

use noticegate::ledger::Health;
use serde_json::Value;

use crate::support::policies::{change, derive};
use crate::support::process::Process;
use crate::support::world::of_kind;
use crate::support::{World, WorldSettings, path};

const MEANING: &str = "notices/2026-03-01/clauses.toml";

/// From now on, analysts have to name a case.
fn ask_for_a_reference(folder: &Path) {
    change(
        folder,
        MEANING,
        "purposes = [\"quality-monitoring\"]\n",
        "purposes = [\"quality-monitoring\"]\nneeds = [\"reference\"]\n",
    );
    derive(folder);
}

/// Waits until the ledger holds so many entries of a kind.
async fn until(world: &World, kind: &str, count: usize) -> Vec<Value> {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1_000 {
        looks.tick().await;
        let entries = world.read_entries();
        if of_kind(&entries, kind).len() >= count {
            return entries;
        }
    }
    panic!("no `{kind}` entry came");
}

#[tokio::test]
async fn a_changed_folder_decides_without_a_restart() {
    let settings = WorldSettings { watch_seconds: 1, ..WorldSettings::default() };
    let mut world = World::with(settings).await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    ask_for_a_reference(&world.folder.join("policies"));
    let entries = until(&world, "policies", 1).await;
    let change = of_kind(&entries, "policies")[0].clone();
    let started = of_kind(&entries, "start")[0].clone();
    assert_eq!(change["detail"], format!("before: {}", started["policies"].as_str().unwrap()));

    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(answer.status, 403);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Noticegate-Reference"), "what is missing is named: {message}");
    let named = world.ana(&path(".wav")).header("noticegate-reference", "QA-2026-17");
    assert_eq!(world.send(named).await.status, 200);
    assert_eq!(world.media_requests().len(), 2, "the refused one came to nobody");

    let entries = world.entries().await;
    let intents = of_kind(&entries, "intent");
    assert_eq!(intents[0]["decision"]["policies"], started["policies"]);
    assert_eq!(intents[1]["decision"]["policies"], change["policies"]);
    assert_eq!(intents[1]["circumstances"], serde_json::json!(["reference"]));
    assert_eq!(of_kind(&entries, "refusal")[0]["decision"]["policies"], change["policies"]);
}

#[tokio::test]
async fn a_broken_folder_leaves_the_last_good_policies_in_force() {
    let mut world = World::new().await;
    let folder = world.folder.join("policies");
    let sound = std::fs::read_to_string(folder.join(MEANING)).unwrap();
    change(&folder, MEANING, "check the quality of our service", "check the taste of our service");
    world.running().reload();
    let entries = until(&world, "policies-refused", 1).await;
    let refused = of_kind(&entries, "policies-refused")[0];
    assert!(refused["detail"].as_str().unwrap().contains("does not stand in the notice"));
    assert_eq!(refused["policies"], of_kind(&entries, "start")[0]["policies"]);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    // Nobody can slip in a role that the gate's own configuration would then not find.
    std::fs::write(folder.join(MEANING), &sound).unwrap();
    let vocabulary = std::fs::read_to_string(folder.join("vocabulary.toml")).unwrap();
    change(&folder, "vocabulary.toml", "[[role]]\nid = \"trainer\"", "[[role]]\nid = \"coach\"");
    world.running().reload();
    until(&world, "policies-refused", 2).await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    // Mended, it decides again.
    std::fs::write(folder.join("vocabulary.toml"), vocabulary).unwrap();
    ask_for_a_reference(&folder);
    world.running().reload();
    until(&world, "policies", 1).await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 403);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 2);
}

/// What decides is on record before it decides; what could not be recorded is tried again by
/// itself, also where the folder is not looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_policies_wait_until_they_can_be_recorded() {
    let mut world = World::new().await;
    let other = rusqlite::Connection::open(&world.ledger).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    ask_for_a_reference(&world.folder.join("policies"));
    world.running().reload();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1_000 {
        looks.tick().await;
        if world.running().health() != Health::Open {
            break;
        }
    }
    assert_ne!(world.running().health(), Health::Open);
    other.execute_batch("ROLLBACK").unwrap();
    until(&world, "policies", 1).await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 403);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "policies").len(), 1);
    assert!(of_kind(&entries, "intent").is_empty());
}

/// SIGHUP loads, and a monitoring system sees what came of it.
#[tokio::test]
async fn a_hang_up_loads_the_folder_and_the_metrics_tell() {
    let config = "[log]\nformat = \"json\"".to_owned();
    let settings = WorldSettings { config, ..WorldSettings::default() };
    let world = World::prepare(&settings).await;
    let process = Process::start(&world.folder, &[]);
    let metrics = async || process.get("/metrics").await.1;
    let digest = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("noticegate_policies_in_force{"));
        line.unwrap().to_owned()
    };
    let before = metrics().await;
    assert!(before.contains("noticegate_policies_refused 0"), "{before}");
    let until = async |line: &str| {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1_000 {
            looks.tick().await;
            let text = metrics().await;
            if text.lines().any(|found| found == line) {
                return text;
            }
        }
        panic!("the metrics never said `{line}`");
    };
    process.hang_up();
    until("noticegate_policy_reloads_total{result=\"unchanged\"} 1").await;
    let folder = world.folder.join("policies");
    change(&folder, "guardrails.cedar", "forbid (", "permit (");
    process.hang_up();
    let refused = until("noticegate_policy_reloads_total{result=\"refused\"} 1").await;
    assert!(refused.contains("noticegate_policies_refused 1"), "{refused}");
    assert_eq!(digest(&refused), digest(&before));
    assert_eq!(process.ready().await.0, 200, "the last good policies decide");
    change(&folder, "guardrails.cedar", "permit (", "forbid (");
    ask_for_a_reference(&folder);
    process.hang_up();
    let loaded = until("noticegate_policy_reloads_total{result=\"loaded\"} 1").await;
    assert!(loaded.contains("noticegate_policies_refused 0"), "{loaded}");
    assert_ne!(digest(&loaded), digest(&before));
    assert!(process.terminate());
    let entries = world.read_entries();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["t"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "policies-refused", "policies", "stop"]);
}
