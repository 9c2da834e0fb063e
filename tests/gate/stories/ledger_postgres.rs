//! A PostgreSQL that fails under a gate: refused in whole, told why, and open again by itself; nothing
//! is lost and nothing is invented.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::postgres::{LOGIN, Line, PASSWORD, Server};
use crate::support::process::{
    Load, Process, Seen, assert_holds, endings, intents, load, one, unrecorded, world_of_processes,
};
use crate::support::world::{Store, entries_at, of_kind};
use crate::support::{World, WorldSettings};

/// How long a refused caller may have waited: `ledger.timeout_ms`, and what a busy machine needs.
const REFUSED_WITHIN: Duration = Duration::from_secs(4);

async fn world(url: String) -> World {
    let store = Store::Url(url);
    world_of_processes(WorldSettings { store, ..WorldSettings::default() }).await
}

/// Waits until the clients have got so many more answers.
async fn more(load: &Load, answers: usize) {
    load.until(load.count() + answers).await;
}

/// One more request is refused, in whole and in time.
async fn assert_refused(world: &World, process: &Process) {
    let started = Instant::now();
    let refused = one(world, process).await;
    assert_eq!((refused.status, refused.entry.as_str()), (503, ""));
    assert!(started.elapsed() < REFUSED_WITHIN, "{:?}", started.elapsed());
}

/// What callers have got is on record as such, and what they have not got is on record as not
/// released, if at all.
fn assert_true(world: &World, seen: &[Seen], entries: &[Value]) {
    assert_eq!(unrecorded(seen, entries).len(), 0);
    let ids: HashSet<&str> = entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), entries.len(), "no entry came twice");
    let got: HashSet<&str> =
        seen.iter().filter(|seen| seen.status == 200).map(|seen| seen.entry.as_str()).collect();
    for (intent, ending) in endings(entries) {
        let right = if got.contains(intent.as_str()) { "complete" } else { "not-released" };
        assert_eq!(ending, right, "{intent}");
    }
    assert_holds(&world.folder.join("noticegate.toml"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_killed_or_frozen_refuses_until_it_is_back() {
    let mut server = Server::start();
    let database = server.database();
    server.sql("postgres", &format!("ALTER DATABASE {database} OWNER TO {LOGIN}"));
    let login = format!("{LOGIN}:{}", PASSWORD.replace(' ', "%20"));
    let world = world(server.url(&login, &database)).await;
    let process = Process::start(&world.folder, &[]);
    let load = load(&world, &process, 2);
    for harm in ["stop", "kill", "freeze"] {
        more(&load, 20).await;
        match harm {
            "stop" => server.stop(),
            "kill" => server.kill(),
            _ => {
                server.freeze();
                assert_refused(&world, &process).await;
            }
        }
        let reason = process.until_ready_is(503).await;
        assert!(reason.contains("ledger") && reason.contains(&database), "{harm}: {reason}");
        assert!(!reason.contains("sesame"));
        assert_refused(&world, &process).await;
        match harm {
            "freeze" => server.thaw(),
            _ => server.resume(),
        }
        process.until_ready_is(200).await;
    }
    more(&load, 20).await;
    let seen = load.drain().await;
    assert!(seen.iter().any(|seen| seen.status == 503));
    let log = process.log();
    assert!(process.terminate());
    assert!(log.contains("the ledger is open again") && !log.contains("sesame"));
    let entries = world.read_entries();
    assert!(of_kind(&entries, "resume").len() >= 3);
    assert_true(&world, &seen, &entries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_administrator_takes_away_refuses_until_it_is_given_back() {
    let server = Server::shared();
    let world = world(server.url("owner", &server.database())).await;
    let url = world.url.clone().unwrap();
    let database = url.rsplit('/').next().unwrap();
    assert!(Process::start(&world.folder, &[]).terminate());
    server.roles(database, &[("gate_of_harms", "noticegate_gate")]);
    std::fs::write(world.folder.join("url"), server.url("gate_of_harms", database)).unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE usename = 'gate_of_harms' AND datname = current_database()";
    let cut = || drop(server.sql(database, cut));
    let process = Process::start(&world.folder, &[]);
    let load = load(&world, &process, 2);
    for _ in 0..8 {
        more(&load, 10).await;
        cut();
        process.until_ready_is(200).await;
    }
    let on_database = |what: &str| format!("ALTER DATABASE {database} {what}");
    for (take, give, told) in [
        (
            on_database("SET default_transaction_read_only = on"),
            on_database("RESET default_transaction_read_only"),
            "read-only transaction",
        ),
        (on_database("CONNECTION LIMIT 0"), on_database("CONNECTION LIMIT -1"), "too many"),
        (
            "ALTER ROLE gate_of_harms NOLOGIN".to_owned(),
            "ALTER ROLE gate_of_harms LOGIN".to_owned(),
            "not permitted to log in",
        ),
        (
            "REVOKE INSERT ON noticegate.entry FROM noticegate_gate".to_owned(),
            "GRANT INSERT ON noticegate.entry TO noticegate_gate".to_owned(),
            "permission denied",
        ),
        (
            "ALTER TABLE noticegate.entry RENAME TO entry_away".to_owned(),
            "ALTER TABLE noticegate.entry_away RENAME TO entry".to_owned(),
            "does not exist",
        ),
    ] {
        more(&load, 10).await;
        server.sql(database, &take);
        cut();
        // The first reason may be that the connection is gone.
        let mut reason = String::new();
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..200 {
            looks.tick().await;
            reason = process.ready().await.1;
            if reason.contains(told) {
                break;
            }
        }
        assert!(reason.contains(told), "{take}: {reason}");
        assert_refused(&world, &process).await;
        server.sql(database, &format!("SET default_transaction_read_only = off; {give}"));
        process.until_ready_is(200).await;
    }
    more(&load, 10).await;
    let seen = load.drain().await;
    assert!(process.terminate());
    assert_true(&world, &seen, &world.read_entries());
}

/// The server has committed, and its answer never comes: an intent is on record that nobody could
/// act on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_ends_as_one_entry_that_says_not_released() {
    let server = Server::shared();
    let (line, database) = (Line::to(server), server.database());
    let direct = server.url("owner", &database);
    let through = direct.replace(&format!(":{}/", server.port), &format!(":{}/", line.port));
    let world = world(through).await;
    let process = Process::start(&world.folder, &[]);
    let mut got = vec![one(&world, &process).await];
    for waits_long in [false, true] {
        let asking = loop {
            line.mute();
            let known = intents(&entries_at(&direct)).len();
            let asking = load(&world, &process, 1);
            let mut looks = tokio::time::interval(Duration::from_millis(50));
            let mut is_there = false;
            for _ in 0..20 {
                looks.tick().await;
                is_there = is_there || intents(&entries_at(&direct)).len() > known;
            }
            if is_there {
                break asking;
            }
            // The line fell silent while the gate asked for something else. Once more.
            line.cut();
            asking.stop().await;
            line.mend();
            process.until_ready_is(200).await;
            got.push(one(&world, &process).await);
        };
        if waits_long {
            // The caller is told before the gate knows more.
            asking.until(1).await;
        }
        line.cut();
        asking.until(1).await;
        let refused = asking.stop().await;
        assert_eq!((refused[0].status, refused[0].entry.as_str()), (503, ""));
        line.mend();
        process.until_ready_is(200).await;
        got.push(one(&world, &process).await);
    }
    assert!(process.terminate());
    let entries = entries_at(&direct);
    assert!(got.iter().all(|seen| seen.status == 200));
    assert!(intents(&entries).len() >= got.len() + 2, "two of which nobody was told");
    assert_true(&world, &got, &entries);
}
