//! The count of uses is exact, however many come at once and at however many gates.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::WorldSettings;
use crate::support::client::{Client, collect};
use crate::support::process::{Process, assert_holds, world_of_processes};
use crate::support::shares::{Link, as_program, bodiless, copy_with, post, text, why};
use crate::support::world::{Store, of_kind};

/// How many come at once, half of them at each gate.
const AT_ONCE: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_uses_of_a_three_use_link_at_two_gates_are_three_sessions() {
    let settings = WorldSettings { store: Store::Database, ..WorldSettings::default() };
    let world = world_of_processes(settings).await;
    world.clock.set(noticegate::clock::Clock::system().now());
    let configs = [world.folder.join("noticegate.toml"), world.another("second")];
    let gates = configs.each_ref().map(|config| Process::configured(config, &[]));
    let clients =
        gates.each_ref().map(|gate| Client::new(gate.address, world.authority.certificate()));
    let order = copy_with(&json!({"uses": 3}));
    let made = clients[0].send_full(post(&world.petra(), &order, &[])).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let link = Link::of(made.json());
    // On connections that take a hundred requests at once each.
    let mut connections = Vec::new();
    for n in 0..AT_ONCE / 100 {
        connections.push(clients[n % 2].many().await);
    }
    let all = (0..AT_ONCE).map(|n| {
        let mut connection = connections[n % connections.len()].clone();
        // Each is another program.
        let request = as_program(&link.path, &format!("program/{n}"));
        let request = request.uri(format!("https://localhost{}", link.path));
        let mut request = bodiless(request);
        request.headers_mut().remove("host");
        tokio::spawn(async move { collect(connection.send_request(request).await.unwrap()).await })
    });
    let all: Vec<_> = all.collect();
    let mut statuses: HashMap<u16, usize> = HashMap::new();
    for answer in all {
        let answer = answer.await.unwrap();
        *statuses.entry(answer.status).or_default() += 1;
        match answer.status {
            200 => assert_eq!(answer.body.len(), 20_000),
            _ => assert_eq!(why(&answer), "share-used-up", "{}", text(&answer)),
        }
    }
    assert_eq!(statuses, HashMap::from([(200, 3), (410, AT_ONCE - 3)]));
    assert!(gates.into_iter().all(Process::terminate));
    let entries = world.read_entries();
    let opened = of_kind(&entries, "intent").into_iter().filter(|i| i["use"]["opens"] == true);
    let sessions: Vec<&Value> = opened.map(|intent| &intent["use"]["session"]).collect();
    assert_eq!(sessions.len(), 3);
    assert!(sessions[0] != sessions[1] && sessions[1] != sessions[2] && sessions[0] != sessions[2]);
    let refusals = of_kind(&entries, "refusal");
    assert!(!refusals.is_empty() && refusals.iter().all(|r| r["reason"] == "share-used-up"));
    for config in &configs {
        assert_holds(config);
    }
}
