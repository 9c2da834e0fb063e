//! Promise 3: no client holds a byte whose intent is not in the ledger. Kill it, fill the disk,
//! fail the sync, take the file away.

use std::process::Command;

use noticegate::ledger::Health;
use noticegate::standin::{SampleAudio, SampleRecording};

use crate::support::process::{
    Process, Seen, assert_holds, endings, intents, load, one, unrecorded, until_nothing_is_open,
    world_of_processes,
};
use crate::support::world::{Store, bodiless, of_kind, on_both_stores};
use crate::support::{RECORDING, World, WorldSettings, path, recording};

on_both_stores!(
    killed_under_load_nothing_was_disclosed_that_is_not_on_record,
    a_locked_ledger_refuses_until_it_is_free,
    a_caller_who_leaves_is_on_record_with_the_bytes_handed_over,
);

/// How often the gate is killed.
const KILLS: usize = 25;

/// SIGKILL under load, again and again, on one ledger: every byte that any client got belongs to
/// a recorded intent, and every intent gets exactly one outcome in the end.
async fn killed_under_load_nothing_was_disclosed_that_is_not_on_record(store: Store) {
    let world = world_of_processes(WorldSettings { store, ..WorldSettings::default() }).await;
    let mut disclosed = 0;
    for round in 0..KILLS {
        let process = Process::start(&world.folder, &[]);
        let load = load(&world, &process, 16);
        // A different moment each time, from the first answers on.
        load.until(1 + round * 7).await;
        process.kill();
        let seen = load.finish().await;
        let entries = world.read_entries();
        assert_eq!(unrecorded(&seen, &entries).len(), 0, "round {round}");
        disclosed += seen.iter().filter(|seen| seen.status == 200).count();
    }
    assert!(disclosed > KILLS, "the clients did get something");
    let process = Process::start(&world.folder, &[]);
    until_nothing_is_open(&world).await;
    assert!(process.terminate());
    let endings = endings(&world.read_entries());
    let unknown = endings.values().filter(|ending| *ending == "unknown").count();
    assert!(unknown > 0, "a kill leaves intents open, which the next start closes");
    assert_holds(&world.folder.join("noticegate.toml"));
}

/// The check above can fail: an answer whose entry is not there is found.
#[test]
fn a_disclosure_without_a_record_would_be_found() {
    let seen = [Seen { status: 200, entry: "not there".to_owned(), bytes: 1 }];
    assert_eq!(unrecorded(&seen, &[]).len(), 1);
}

/// A disk that is full, played by a limit on the size of files, and later is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_until_there_is_room_again() {
    let world = world_of_processes(WorldSettings::default()).await;
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 600; exec \"$0\" \"$@\""];
    let process = Process::start(&world.folder, &limited);
    let load = load(&world, &process, 8);
    let reason = process.until_ready_is(503).await;
    assert!(reason.contains("ledger"), "{reason}");
    let seen = load.stop().await;
    let entries = world.read_entries();
    assert_eq!(unrecorded(&seen, &entries).len(), 0);
    assert!(seen.iter().any(|seen| seen.status == 200), "there was room at first");
    // Opened afresh, SQLite folds its log into the file and may find room for a while. With no
    // room at all it stays closed: refused, in whole, and nothing changes.
    let pid = process.child.id().to_string();
    let limit_to = |bytes: &str| {
        let limit = format!("--fsize={bytes}:");
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    };
    limit_to("1");
    let refused = one(&world, &process).await;
    assert_eq!((refused.status, refused.entry.as_str()), (503, ""));
    let entries = world.read_entries();
    assert_eq!(one(&world, &process).await.status, 503);
    assert_eq!(process.ready().await.0, 503);
    assert_eq!(intents(&world.read_entries()), intents(&entries));
    limit_to("unlimited");
    process.until_ready_is(200).await;
    assert_eq!(one(&world, &process).await.status, 200);
    assert!(process.terminate());
    let entries = world.read_entries();
    assert!(!of_kind(&entries, "resume").is_empty());
    assert_eq!(of_kind(&entries, "outcome").len(), intents(&entries).len());
}

/// A disk that fails to sync, played by strace. The kernel may have dropped what was not written,
/// so nothing of that batch may count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_refuses_and_proves_a_write_before_it_goes_on() {
    let world = world_of_processes(WorldSettings::default()).await;
    let injected = "inject=fsync,fdatasync:error=EIO:when=60..62";
    let traced =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", injected];
    let process = Process::start(&world.folder, &traced);
    let load = load(&world, &process, 4);
    load.until(200).await;
    let seen = load.stop().await;
    assert!(seen.iter().any(|seen| seen.status == 503), "some were refused");
    assert!(seen.iter().all(|seen| seen.status == 200 || seen.bytes < 1_000));
    process.until_ready_is(200).await;
    assert_eq!(one(&world, &process).await.status, 200);
    process.kill();
    let entries = world.read_entries();
    assert_eq!(unrecorded(&seen, &entries).len(), 0);
    assert!(!of_kind(&entries, "resume").is_empty());
}

/// Waits until the ledger of a gate in this process is open, or is not.
async fn until(world: &World, open: bool) {
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
    for _ in 0..2_000 {
        looks.tick().await;
        if (world.running().health() == Health::Open) == open {
            return;
        }
    }
    panic!("the ledger's state never changed");
}

#[tokio::test]
async fn a_ledger_that_is_taken_away_refuses_until_it_is_back() {
    let mut world = World::new().await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let files = ["", "-wal", "-shm"].map(|end| {
        let name = format!("{}{end}", world.ledger.display());
        (name.clone(), format!("{name}.away"))
    });
    for (here, away) in &files {
        std::fs::rename(here, away).unwrap();
    }
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reason"], "ledger-closed");
    assert!(answer.header("retry-after").is_some());
    assert!(answer.header("noticegate-entry").is_none());
    // An empty file in its place is not the ledger either, and none is made.
    std::fs::write(&world.ledger, "").unwrap();
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 503);
    // Nor does a refusal go unrecorded.
    let request = world.who("ana", "quality-analyst", "marketing", &path(".wav"));
    assert_eq!(world.send(request).await.status, 503);
    for (here, away) in &files {
        std::fs::rename(away, here).unwrap();
    }
    until(&world, true).await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let entries = world.entries().await;
    let outcomes = of_kind(&entries, "outcome");
    assert_eq!(of_kind(&entries, "intent").len(), 2);
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|outcome| outcome["ending"] == "complete"));
    assert_eq!(of_kind(&entries, "resume").len(), 1);
}

/// Somebody who keeps every writer out, until this is dropped.
enum Holder {
    File(#[expect(dead_code, reason = "it holds a lock")] rusqlite::Connection),
    Database(#[expect(dead_code, reason = "it holds a lock")] tokio_postgres::Client),
}

impl Holder {
    async fn of(world: &World) -> Self {
        let Some(url) = &world.url else {
            let connection = rusqlite::Connection::open(&world.ledger).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            return Self::File(connection);
        };
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let lock = "BEGIN; LOCK noticegate.head IN EXCLUSIVE MODE";
        client.batch_execute(lock).await.unwrap();
        Self::Database(client)
    }
}

async fn a_locked_ledger_refuses_until_it_is_free(store: Store) {
    let mut world = World::with(WorldSettings { store, ..WorldSettings::default() }).await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let holder = Holder::of(&world).await;
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("noticegate-entry").is_none());
    until(&world, false).await;
    drop(holder);
    until(&world, true).await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let entries = world.entries().await;
    // However the refused one ended, it was not disclosed.
    let endings: Vec<&str> =
        of_kind(&entries, "outcome").iter().map(|o| o["ending"].as_str().unwrap()).collect();
    assert_eq!(endings.iter().filter(|ending| **ending == "complete").count(), 2);
    assert_eq!(of_kind(&entries, "intent").len(), endings.len());
}

/// Two gates must not write one file: their chains would fork.
#[tokio::test]
async fn a_second_gate_on_the_same_ledger_does_not_start() {
    let world = World::new().await;
    let config = noticegate::config::Config::load(&world.folder.join("noticegate.toml")).unwrap();
    let second = noticegate::serve::Prepared::new(config, world.clock.clone()).unwrap();
    let error = second.start().unwrap_err();
    assert!(error.to_string().contains("another process is writing"), "{error}");
}

/// A caller who leaves in the middle is on record with what was handed over.
async fn a_caller_who_leaves_is_on_record_with_the_bytes_handed_over(store: Store) {
    let length = 64 << 20;
    let large = SampleRecording {
        audio: SampleAudio::Zeros { length },
        ..recording(RECORDING, "2026-11-03T09:15:02Z")
    };
    let recordings = vec![large];
    let settings = WorldSettings { recordings, store, ..WorldSettings::default() };
    let mut world = World::with(settings).await;
    let response = world.client.start(bodiless(world.ana(&path(".wav")))).await;
    assert_eq!(response.status(), 200);
    drop(response);
    let entries = world.entries().await;
    let outcome = of_kind(&entries, "outcome")[0];
    assert_eq!(outcome["ending"], "caller-left");
    assert!(outcome["bytes"].as_u64().unwrap() < length);
}
