//! A crash at each named step of a disclosure, on both stores: what the ledger says afterwards is
//! never less than what callers have got.

use std::collections::HashSet;

use serde_json::Value;

use crate::support::WorldSettings;
use crate::support::process::{
    Process, Seen, assert_holds, endings, intents, load, noticegate, unrecorded,
    until_nothing_is_open, world_of_processes,
};
use crate::support::world::{Store, of_kind, on_both_stores};

on_both_stores!(
    a_crash_before_the_decision_is_written_leaves_nothing,
    a_crash_before_the_entry_is_sent_to_the_store_leaves_nothing,
    a_crash_before_anybody_is_told_counts_as_disclosed,
    a_crash_after_the_writer_has_told_counts_as_disclosed,
    a_crash_after_the_receipt_counts_as_disclosed,
    a_crash_while_bytes_leave_counts_as_disclosed,
);

/// What one client that asks again and again may find on record when the gate has crashed.
struct Row {
    step: &'static str,
    /// How many intents there may be beyond the answers that the client has seen.
    beyond: std::ops::RangeInclusive<usize>,
}

/// A crash when the step is come to so many times.
const TIMES: [usize; 2] = [1, 6];

/// How many clients ask at once in the end.
const CLIENTS: usize = 6;

async fn tell(store: Store, row: Row) {
    let world = world_of_processes(WorldSettings { store, ..WorldSettings::default() }).await;
    let config = world.folder.join("noticegate.toml");
    let mut known = HashSet::new();
    let mut disclosed = HashSet::new();
    for (clients, times) in [(1, TIMES), (CLIENTS, TIMES.map(|times| times * 5))] {
        for times in times {
            let crash = format!("NOTICEGATE_CRASH_AT={}:{times}", row.step);
            let process = Process::start(&world.folder, &["env", &crash]);
            // What an earlier crash left open is closed by now, or soon.
            let before = until_nothing_is_open(&world).await;
            let load = load(&world, &process, clients);
            let seen = load.finish().await;
            assert!(process.has_crashed(), "at {}", row.step);
            let entries = world.read_entries();
            assert_eq!(unrecorded(&seen, &entries).len(), 0, "{crash}");
            let fresh: HashSet<String> = &intents(&entries) - &intents(&before);
            let beyond = fresh.len() - seen.len();
            if clients == 1 {
                assert!(row.beyond.contains(&beyond), "{crash}: {beyond} beyond {}", seen.len());
            }
            assert!(beyond <= clients, "{crash}: {beyond}");
            disclosed.extend(seen.into_iter().map(|Seen { entry, .. }| entry));
            known.extend(fresh);
        }
    }
    let process = Process::start(&world.folder, &[]);
    let entries = until_nothing_is_open(&world).await;
    assert_eq!(intents(&entries), known, "no intent went, and none came");
    let unknown = |entries: &[Value]| {
        let outcomes = of_kind(entries, "outcome").into_iter();
        outcomes.filter(|outcome| outcome["ending"] == "unknown").count()
    };
    let closed = unknown(&entries);
    assert!(process.terminate());
    // Another start finds nothing more to close.
    assert!(Process::start(&world.folder, &[]).terminate());
    let entries = world.read_entries();
    assert_eq!(unknown(&entries), closed);
    let endings = endings(&entries);
    let told =
        |entry: &str| matches!(endings[entry].as_str(), "complete" | "unknown" | "caller-left");
    assert!(disclosed.iter().all(|entry| told(entry)), "what was disclosed counts as disclosed");
    assert_holds(&config);
    let count = ["ledger", "query", "--count", "--kind", "intent", "--field", "ending=unknown"];
    let said = noticegate(&config, &count);
    assert_eq!(said.out.trim(), closed.to_string(), "{said:?}");
}

async fn a_crash_before_the_decision_is_written_leaves_nothing(store: Store) {
    tell(store, Row { step: "decided", beyond: 0..=0 }).await;
}

async fn a_crash_before_the_entry_is_sent_to_the_store_leaves_nothing(store: Store) {
    tell(store, Row { step: "appending", beyond: 0..=0 }).await;
}

async fn a_crash_before_anybody_is_told_counts_as_disclosed(store: Store) {
    tell(store, Row { step: "durable", beyond: 0..=1 }).await;
}

async fn a_crash_after_the_writer_has_told_counts_as_disclosed(store: Store) {
    tell(store, Row { step: "answered", beyond: 0..=1 }).await;
}

async fn a_crash_after_the_receipt_counts_as_disclosed(store: Store) {
    tell(store, Row { step: "received", beyond: 1..=1 }).await;
}

async fn a_crash_while_bytes_leave_counts_as_disclosed(store: Store) {
    tell(store, Row { step: "streaming", beyond: 0..=1 }).await;
}

/// SQLite has written the pages, and not committed: it cuts them off when it opens the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_commit_leaves_nothing() {
    // The first appends are those of the start itself.
    let world = world_of_processes(WorldSettings::default()).await;
    for times in [3, 5, 9, 20] {
        let crash = format!("NOTICEGATE_CRASH_AT=written:{times}");
        let process = Process::start(&world.folder, &["env", &crash]);
        let before = world.read_entries();
        let seen = load(&world, &process, 1).finish().await;
        assert!(process.has_crashed());
        let entries = world.read_entries();
        let fresh = &intents(&entries) - &intents(&before);
        let answered: HashSet<String> = seen.into_iter().map(|seen| seen.entry).collect();
        assert_eq!(fresh, answered);
    }
    assert!(Process::start(&world.folder, &[]).terminate());
    endings(&world.read_entries());
    assert_holds(&world.folder.join("noticegate.toml"));
}
