//! What the PostgreSQL store promises beyond what every store does, tried on a real server that is
//! cut, killed and frozen, by gates that come and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use noticegate::ledger::store::{Postgres, Store};

use super::ledger_store::{all, append, leaf, numbered, open, refusal, story, texts, world};
use crate::support::postgres::{Server, signal, ticks};

#[test]
fn gates_that_meet_the_same_people_at_once_agree_on_their_keys() {
    let (_, url) = world();
    let name = |number: usize| leaf(&number.to_string());
    let meet = |gate: usize| {
        let mut store = open(&url);
        let mut met = HashMap::new();
        for round in 0..20 {
            let mut names: Vec<_> =
                (0..8).map(|n| (name(round * 4 + n), vec![u8::try_from(gate).unwrap()])).collect();
            if gate.is_multiple_of(2) {
                names.reverse();
            }
            for ((blind, _), key) in names.iter().zip(store.people(&names).unwrap()) {
                met.insert(*blind, key);
            }
        }
        met
    };
    let met: Vec<_> = std::thread::scope(|scope| {
        let gates: Vec<_> = (0..6).map(|gate| scope.spawn(move || meet(gate))).collect();
        gates.into_iter().map(|gate| gate.join().unwrap()).collect()
    });
    assert!(met.iter().all(|people| *people == met[0]));
}

#[test]
fn many_gates_append_at_once_and_readers_never_see_a_gap() {
    let (_, url) = world();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut store, mut next) = (open(&url), 0);
            loop {
                let last_look = done.load(Ordering::SeqCst);
                for entry in store.read(next, 500).unwrap() {
                    assert_eq!(entry.seq, next);
                    next += 1;
                }
                if last_look {
                    return next;
                }
            }
        });
        let write = |gate: usize| {
            let mut store = open(&url);
            for batch in 0..50 {
                append(&mut store, &numbered(&gate.to_string(), batch * 7, 7)).unwrap();
            }
        };
        let gates: Vec<_> = (0..8).map(|gate| scope.spawn(move || write(gate))).collect();
        let ended: Vec<_> = gates.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok));
        // What one look did not reach, the next would.
        assert!(reader.join().unwrap() > 0);
    });
    let entries = all(&mut open(&url));
    assert_eq!(entries.len(), 8 * 50 * 7);
    let places: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert!(places.into_iter().eq(0..8 * 50 * 7));
    let mut by_gate: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in texts(&entries) {
        by_gate.entry(text.split(' ').next().unwrap().to_owned()).or_default().push(text);
    }
    for (gate, texts) in by_gate {
        assert_eq!(texts, numbered(&gate, 0, 350), "in the gate's own order");
    }
}

/// Appends numbered entries until `enough`, through whatever connections it can get. Each time
/// one is lost, a new one claims the writer, and what is there then must be what stays.
struct Persistent {
    acknowledged: Vec<String>,
    lost: Vec<String>,
    late: Vec<String>,
    connections: usize,
}

fn persist(url: &str, writer: &str, enough: &AtomicBool, count: &AtomicUsize) -> Persistent {
    let mut result =
        Persistent { acknowledged: vec![], lost: vec![], late: vec![], connections: 0 };
    let (mut next, mut pending) = (0, Vec::new());
    while !enough.load(Ordering::SeqCst) {
        let connected = ticks().take(1_000).find_map(|()| {
            let mut store = Postgres::connect(url, None).ok()?;
            store.claim(writer).ok()?.then_some(store)
        });
        let mut store = connected.expect("the server comes back");
        result.connections += 1;
        let Ok(entries) = store.read(0, usize::MAX) else { continue };
        let there = texts(&entries);
        for text in pending.drain(..) {
            let found = there.iter().filter(|other| **other == text).count();
            assert!(found <= 1, "`{text}` is there {found} times");
            if found == 1 { &mut result.late } else { &mut result.lost }.push(text);
        }
        while !enough.load(Ordering::SeqCst) {
            let texts = numbered(writer, next, 5);
            next += 5;
            if append(&mut store, &texts).is_err() {
                pending = texts;
                break;
            }
            result.acknowledged.extend(texts);
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
    result.lost.extend(pending);
    result
}

/// Runs `persist` for some writers while `harm` is done so many times, and compares.
fn under_harm(url: &str, rounds: usize, mut harm: impl FnMut()) -> (usize, usize) {
    let (enough, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let writers = ["w0", "w1", "w2"];
    let results: Vec<Persistent> = std::thread::scope(|scope| {
        let (enough, count) = (&enough, &count);
        let threads: Vec<_> = writers
            .iter()
            .map(|writer| scope.spawn(move || persist(url, writer, enough, count)))
            .collect();
        for _ in 0..rounds {
            let before = count.load(Ordering::SeqCst);
            ticks().take(1_000).find(|()| count.load(Ordering::SeqCst) > before + 20);
            harm();
        }
        enough.store(true, Ordering::SeqCst);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let entries = all(&mut open(url));
    assert!(entries.iter().zip(0..).all(|(entry, place)| entry.seq == place), "no gaps");
    let mut times: HashMap<String, usize> = HashMap::new();
    for text in texts(&entries) {
        *times.entry(text).or_default() += 1;
    }
    for result in &results {
        assert!(result.acknowledged.iter().chain(&result.late).all(|text| times[text] == 1));
    }
    // What was not there when the writer was claimed never came. The last batch of each writer
    // may be unknown, as nobody claimed after it.
    let lost = results.iter().flat_map(|result| result.lost.iter().rev().skip(5));
    assert!(lost.clone().all(|text| !times.contains_key(text)));
    let acknowledged = results.iter().map(|result| result.acknowledged.len()).sum();
    (acknowledged, results.iter().map(|result| result.connections).sum())
}

#[test]
fn what_was_acknowledged_outlives_connections_that_are_cut() {
    let (database, url) = world();
    let url = format!("{url}?application_name=victim");
    let (acknowledged, connections) = under_harm(&url, 25, || {
        Server::shared().sql(
            &database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'victim' AND datname = current_database()",
        );
    });
    assert!(acknowledged > 500 && connections > 30);
}

#[test]
fn what_was_acknowledged_outlives_a_server_that_is_killed() {
    let mut server = Server::start();
    let url = server.url("owner", &server.database());
    Postgres::migrate(&url, None).unwrap();
    let (acknowledged, connections) = under_harm(&url, 6, || {
        server.kill();
        server.resume();
    });
    assert!(acknowledged > 100 && connections > 6);
}

/// A session of its own that holds the counter.
fn hold_counter(url: &str) -> (tokio::runtime::Runtime, tokio_postgres::Client) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let lock = "BEGIN; LOCK noticegate.head IN EXCLUSIVE MODE";
        client.batch_execute(lock).await.unwrap();
        client
    });
    (runtime, client)
}

#[test]
fn after_a_claim_nothing_of_an_earlier_handle_can_come() {
    let (database, url) = world();
    let mut old = open(&url);
    assert!(old.claim("gate").unwrap());
    let holder = hold_counter(&url);
    let old = std::thread::spawn(move || {
        let answer = append(&mut old, &numbered("old", 0, 3));
        (old, answer)
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                 AND datname = current_database()";
    let waits = || Server::shared().sql(&database, waits) == "1";
    ticks().take(500).find(|()| waits()).expect("the append waits");

    let mut new = open(&url);
    let started = Instant::now();
    assert!(new.claim("gate").unwrap());
    assert!(started.elapsed() < Duration::from_secs(2));
    drop(holder);
    let (mut old, answer) = old.join().unwrap();
    assert!(answer.is_err());
    ticks().take(500).find(|()| !old.is_in_place()).expect("the old handle knows");
    assert!(new.is_in_place());
    assert!(append(&mut old, &numbered("old", 3, 1)).is_err());
    assert_eq!(append(&mut new, &numbered("new", 0, 1)).unwrap(), 0);
    assert_eq!(texts(&all(&mut new)), ["new 0"]);
}

#[test]
fn a_claim_fails_while_an_earlier_handle_could_still_commit() {
    let (database, url) = world();
    let mut old = open(&url);
    assert!(old.claim("gate").unwrap());
    let pid = "SELECT pid FROM pg_locks JOIN pg_database ON oid = database
               WHERE locktype = 'advisory' AND datname = current_database()";
    let pid = Server::shared().sql(&database, pid).parse().unwrap();
    signal("-STOP", &[pid]);
    let mut new = open(&url);
    let error = new.claim("gate").unwrap_err();
    signal("-CONT", &[pid]);
    assert!(error.to_string().contains("does not end"), "{error}");
    assert!(open(&url).claim("gate").unwrap());
}

#[test]
fn a_cut_connection_is_noticed_without_asking_anything() {
    let (database, url) = world();
    let store = open(&format!("{url}?application_name=cut"));
    assert!(store.is_in_place());
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='cut'";
    Server::shared().sql(&database, cut);
    ticks().take(500).find(|()| !store.is_in_place()).expect("it is noticed");
}

#[test]
fn an_append_waits_for_a_lock_only_so_long() {
    let (_, url) = world();
    let mut store = open(&url);
    let holder = hold_counter(&url);
    let started = Instant::now();
    let error = append(&mut store, &numbered("x", 0, 1)).unwrap_err();
    assert!(story(&error).contains("lock timeout"), "{}", story(&error));
    assert!(started.elapsed() < Duration::from_secs(4));
    drop(holder);
    assert_eq!(append(&mut open(&url), &numbered("y", 0, 1)).unwrap(), 0);
}

#[test]
fn a_server_that_hangs_does_not_hang_the_gate() {
    let server = Server::start();
    let url = server.url("owner", &server.database());
    Postgres::migrate(&url, None).unwrap();
    let mut store = open(&url);
    assert!(store.claim("gate").unwrap());
    append(&mut store, &numbered("before", 0, 1)).unwrap();
    server.freeze();
    let started = Instant::now();
    let error = append(&mut store, &numbered("during", 0, 1)).unwrap_err();
    assert!(error.to_string().contains("has not answered within 8 s"), "{error}");
    assert!(!store.is_in_place());
    assert!(append(&mut store, &numbered("during", 1, 1)).is_err());
    assert!(refusal(&url).contains("has not answered within 8 s"));
    assert!(started.elapsed() < Duration::from_secs(20));
    server.thaw();
    let mut store = open(&url);
    assert!(store.claim("gate").unwrap());
    let there = texts(&all(&mut store));
    append(&mut store, &numbered("after", 0, 1)).unwrap();
    assert_eq!(texts(&all(&mut store)), [there, numbered("after", 0, 1)].concat());
}

#[test]
fn a_writer_that_is_gone_without_a_word_is_dead_until_it_is_retired() {
    let (_, url) = world();
    let (mut ann, mut ben) = (open(&url), open(&url));
    append(&mut ann, &numbered("x", 0, 3)).unwrap();
    assert!(ann.claim("ann").unwrap() && ben.claim("ben").unwrap());
    assert!(ben.claim("ben").unwrap(), "a claim may be repeated");
    assert_eq!(ann.dead_writers().unwrap(), []);
    ann.set_floor("ann", 2).unwrap();
    drop(ann);
    let dead = ticks()
        .take(500)
        .find_map(|()| Some(ben.dead_writers().unwrap()).filter(|d| !d.is_empty()));
    let dead = dead.expect("its death is noticed");
    assert_eq!((dead[0].writer.as_str(), dead[0].floor, dead.len()), ("ann", 2, 1));

    let mut again = open(&url);
    assert!(again.claim("ann").unwrap());
    assert_eq!(ben.dead_writers().unwrap(), []);
    ben.retire("ann").unwrap();
    assert!(again.claim("ann").unwrap(), "who lives is retired by nobody else");
    again.retire("ann").unwrap();
    assert!(!again.claim("ann").unwrap(), "who is retired must take a new name");
    drop(again);
    let mut look = open(&url);
    assert!(!look.claim("ann").unwrap());
    assert_eq!(look.dead_writers().unwrap(), []);
    drop(ben);
    let dead = ticks().take(500).find_map(|()| look.dead_writers().unwrap().pop()).unwrap();
    assert_eq!((dead.writer.as_str(), dead.floor), ("ben", 3), "from where it began");
    look.retire("ben").unwrap();
    assert_eq!(look.dead_writers().unwrap(), []);
}

#[test]
fn one_gate_leads_until_it_is_gone() {
    let (_, url) = world();
    let (mut one, mut two) = (open(&url), open(&url));
    assert!(one.lead().unwrap() && one.lead().unwrap());
    assert!(!two.lead().unwrap());
    let (_, elsewhere) = world();
    assert!(open(&elsewhere).lead().unwrap(), "another ledger has a leader of its own");
    drop(one);
    ticks().take(500).find(|()| two.lead().unwrap()).expect("the other one leads");
}

#[test]
fn only_whole_tiles_that_are_there_are_pruned() {
    let (_, url) = world();
    let mut store = open(&url);
    append(&mut store, &numbered("entry", 0, 9_000)).unwrap();
    for refused in [1, 255, 257, 9_216, u64::MAX] {
        assert!(store.prune(refused).unwrap_err().to_string().contains("steps of 256"));
    }
    assert_eq!(store.first().unwrap(), 0);
}
