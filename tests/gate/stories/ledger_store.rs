//! What every store promises, tried on both: entries without gaps, what lies beside them, people,
//! pruning.

use std::error::Error;

use noticegate::ledger::store::{
    Access, Append, Checkpointed, Leaf, Place, Postgres, Store, StoreError, Stored,
};
use noticegate::secret::Secret;

use crate::support::postgres::{Server, ticks};

/// Tells stories that take a place on each store.
macro_rules! on_each_store {
    ($($story:ident),+ $(,)?) => { $(
        mod $story {
            use super::*;

            #[test]
            fn in_a_file() {
                let folder = tempfile::tempdir().unwrap();
                let place = Place::Sqlite(folder.path().join("ledger.sqlite"));
                place.open(Access::Create).unwrap();
                super::$story(&place);
            }

            #[test]
            fn in_a_database() {
                let (_, url) = world();
                super::$story(&Place::Postgres { url: Secret::new(&url), ca_file: None });
            }
        }
    )+ };
}

on_each_store!(
    entries_get_places_without_gaps_and_come_back_as_they_were,
    what_belongs_to_the_ledger_as_a_whole_is_kept,
    a_person_keeps_one_key_until_it_is_erased_and_then_gets_another_number,
    pruning_drops_entries_and_keeps_their_hashes,
    handles_append_at_once_and_readers_never_see_a_gap,
    a_writer_is_dead_until_it_is_retired,
);

/// A database with tables, and the string that leads to it.
pub(super) fn world() -> (String, String) {
    let server = Server::shared();
    let database = server.database();
    let url = server.url("owner", &database);
    assert_eq!(Postgres::migrate(&url, None).unwrap(), ["tables", "statements"]);
    (database, url)
}

pub(super) fn open(url: &str) -> Postgres {
    Postgres::connect(url, None).unwrap()
}

fn open_at(place: &Place) -> Box<dyn Store> {
    place.open(Access::Write).unwrap()
}

pub(super) fn leaf(text: &str) -> Leaf {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    hash.as_ref().try_into().unwrap()
}

pub(super) fn append(store: &mut dyn Store, texts: &[String]) -> Result<u64, StoreError> {
    let leaves: Vec<Leaf> = texts.iter().map(|text| leaf(text)).collect();
    let entries = texts.iter().zip(&leaves);
    let entries: Vec<Append<'_>> =
        entries.map(|(text, leaf)| Append { bytes: text.as_bytes(), leaf, clear: None }).collect();
    store.append(&entries)
}

pub(super) fn numbered(name: &str, from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|number| format!("{name} {number}")).collect()
}

pub(super) fn all(store: &mut dyn Store) -> Vec<Stored> {
    store.read(0, usize::MAX).unwrap()
}

pub(super) fn texts(entries: &[Stored]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf8(entry.bytes.clone()).unwrap()).collect()
}

/// An error with all its causes.
pub(super) fn story(error: &(dyn Error + 'static)) -> String {
    let causes = error.source().map(story).unwrap_or_default();
    format!("{error} {error:?}: {causes}")
}

pub(super) fn refusal(url: &str) -> String {
    story(&Postgres::connect(url, None).expect_err("must be refused"))
}

fn entries_get_places_without_gaps_and_come_back_as_they_were(at: &Place) {
    let mut store = open_at(at);
    assert_eq!((store.first().unwrap(), store.last().unwrap()), (0, None));
    assert_eq!(store.read(0, 10).unwrap(), []);
    assert_eq!(store.append(&[]).unwrap(), 0);
    let (one, two, three) = (leaf("one"), leaf("two"), leaf("three"));
    let first = Append { bytes: b"one", leaf: &one, clear: Some(b"sealed one") };
    let second = Append { bytes: b"", leaf: &two, clear: None };
    let third = Append { bytes: &[0, 255, 39, 92], leaf: &three, clear: Some(b"") };
    assert_eq!(store.append(&[first, second]).unwrap(), 0);
    assert_eq!(store.append(&[third]).unwrap(), 2);
    assert_eq!(store.append(&[]).unwrap(), 3);
    assert_eq!(store.last().unwrap(), Some((2, three)));

    let stored = |seq, entry: Append<'_>| Stored {
        seq,
        bytes: entry.bytes.to_vec(),
        leaf: *entry.leaf,
        clear: entry.clear.map(<[u8]>::to_vec),
    };
    let everything = vec![stored(0, first), stored(1, second), stored(2, third)];
    assert_eq!(store.read(0, 100).unwrap(), everything);
    assert_eq!(store.read(1, 1).unwrap(), everything[1..2]);
    assert_eq!(store.read(0, 0).unwrap(), []);
    assert_eq!(store.read(3, 1).unwrap(), []);
    assert_eq!(store.read(u64::MAX, usize::MAX).unwrap(), []);
    assert_eq!(
        store.at(&[2, 0, 7, 2, u64::MAX]).unwrap(),
        [everything[0].clone(), everything[2].clone()]
    );
    assert_eq!(store.at(&[]).unwrap(), []);
    assert_eq!(store.leaves(0, usize::MAX).unwrap(), [one, two, three]);
    assert_eq!(store.leaves(1, 1).unwrap(), [two]);
    assert_eq!(store.leaves(u64::MAX, 1).unwrap(), [] as [Leaf; 0]);

    store.erase_clear(&[0, 1, 99]).unwrap();
    let after = store.read(0, 100).unwrap();
    assert_eq!(after[0], Stored { clear: None, ..everything[0].clone() });
    assert_eq!(after[1..], everything[1..]);
}

fn what_belongs_to_the_ledger_as_a_whole_is_kept(at: &Place) {
    let (mut store, mut other) = (open_at(at), open_at(at));
    assert_eq!(store.property("key").unwrap(), None);
    assert_eq!(store.put_property("key", "first").unwrap(), "first");
    assert_eq!(other.put_property("key", "second").unwrap(), "first");
    assert_eq!(other.property("key").unwrap().as_deref(), Some("first"));

    assert_eq!(store.policy_set("d").unwrap(), None);
    store.put_policy_set("d", b"texts").unwrap();
    other.put_policy_set("d", b"others").unwrap();
    assert_eq!(other.policy_set("d").unwrap().as_deref(), Some(b"texts".as_slice()));

    assert_eq!(store.last_checkpoint().unwrap(), None);
    let note = |size, note: &str| Checkpointed { size, note: note.to_owned() };
    for checkpoint in [note(5, "a"), note(9, "b"), note(7, "c"), note(7, "cosigned")] {
        store.put_checkpoint(&checkpoint).unwrap();
    }
    assert_eq!(other.last_checkpoint().unwrap(), Some(note(9, "b")));
    assert_eq!(other.checkpoints(5, 10).unwrap(), [note(7, "cosigned"), note(9, "b")]);
    assert_eq!(other.checkpoints(0, 1).unwrap(), [note(5, "a")]);
}

fn a_person_keeps_one_key_until_it_is_erased_and_then_gets_another_number(at: &Place) {
    let (mut store, mut other) = (open_at(at), open_at(at));
    let (ann, ben) = ([1; 32], [2; 32]);
    assert_eq!(store.find_person(&ann).unwrap(), None);
    let asked = [(ben, vec![20]), (ann, vec![10]), (ben, vec![21])];
    let people = store.people(&asked).unwrap();
    assert_eq!(people[0], people[2]);
    assert_eq!(people[1].key, Some(vec![10]));
    assert_eq!(other.people(&[(ann, vec![11])]).unwrap(), [people[1].clone()]);
    assert_eq!(other.find_person(&ann).unwrap(), Some(people[1].clone()));
    assert_eq!(store.people(&[]).unwrap(), []);

    let numbers = [people[1].person, people[0].person, u64::MAX];
    let mut keys = store.person_keys(&numbers).unwrap();
    assert!(keys.is_sorted_by_key(|key| key.person));
    assert_eq!(keys.len(), 2);
    store.erase_person(people[1].person).unwrap();
    assert_eq!(store.find_person(&ann).unwrap(), None);
    keys = other.person_keys(&[people[1].person]).unwrap();
    assert_eq!(keys[0].key, None, "the number is still known");
    let again = other.people(&[(ann, vec![12])]).unwrap();
    assert_eq!(again[0].key, Some(vec![12]));
    assert_ne!(again[0].person, people[1].person);
}

fn pruning_drops_entries_and_keeps_their_hashes(at: &Place) {
    let mut store = open_at(at);
    let written = numbered("entry", 0, 9_000);
    for batch in written.chunks(500) {
        append(&mut *store, batch).unwrap();
    }
    let hashes: Vec<Leaf> = written.iter().map(|text| leaf(text)).collect();
    store.prune(0).unwrap();
    assert_eq!(store.first().unwrap(), 0);
    for before in [512_u64, 8_960, 512, 0] {
        store.prune(before).unwrap();
        let first = before.max(store.first().unwrap());
        assert_eq!(store.leaves(0, usize::MAX).unwrap(), hashes);
        assert_eq!(store.read(0, 1).unwrap()[0].seq, first);
        assert_eq!(store.at(&[first - 1, first]).unwrap().len(), 1);
    }
    assert_eq!(store.first().unwrap(), 8_960);
    for (from, count) in [(0, 1), (255, 2), (300, 600), (8_950, 20), (8_960, 40), (8_999, 5)] {
        let end = (from + count).min(9_000);
        let found = store.leaves(u64::try_from(from).unwrap(), count).unwrap();
        assert_eq!(found, hashes[from..end], "{from} {count}");
    }
    assert_eq!(append(&mut *store, &numbered("later", 0, 1)).unwrap(), 9_000);
    assert_eq!(store.last().unwrap().unwrap().0, 9_000);
}

fn handles_append_at_once_and_readers_never_see_a_gap(at: &Place) {
    let look = |next: &mut u64| {
        for entry in open_at(at).read(*next, 500).unwrap() {
            assert_eq!(entry.seq, *next);
            *next += 1;
        }
    };
    let mut next = 0;
    std::thread::scope(|scope| {
        let write = |name: usize| {
            let mut store = open_at(at);
            for batch in 0..20 {
                append(&mut *store, &numbered(&name.to_string(), batch * 7, 7)).unwrap();
            }
        };
        let writers: Vec<_> = (0..3).map(|name| scope.spawn(move || write(name))).collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            look(&mut next);
        }
    });
    look(&mut next);
    assert_eq!(next, 3 * 20 * 7);
    let found = texts(&all(&mut *open_at(at)));
    for name in ["0", "1", "2"] {
        let own = found.iter().filter(|text| text.split(' ').next() == Some(name));
        assert!(own.eq(&numbered(name, 0, 140)), "in the writer's own order");
    }
}

fn a_writer_is_dead_until_it_is_retired(at: &Place) {
    let mut ann = open_at(at);
    append(&mut *ann, &numbered("x", 0, 3)).unwrap();
    assert!(ann.claim("ann").unwrap() && ann.claim("ann").unwrap());
    assert_eq!(ann.dead_writers().unwrap(), [], "oneself is not dead");
    ann.set_floor("ann", 2).unwrap();
    drop(ann);
    let mut ben = open_at(at);
    assert!(ben.claim("ben").unwrap());
    let dead = ticks().take(500).find_map(|()| ben.dead_writers().unwrap().pop()).unwrap();
    assert_eq!((dead.writer.as_str(), dead.floor), ("ann", 2));
    ben.retire("ann").unwrap();
    assert_eq!(ben.dead_writers().unwrap(), []);
    assert!(!ben.claim("ann").unwrap(), "who is retired must take a new name");
}

#[test]
fn who_opens_a_file_to_look_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(folder.path().join("ledger.sqlite"));
    append(&mut *place.open(Access::Create).unwrap(), &numbered("x", 0, 1)).unwrap();
    let mut store = place.open(Access::Read).unwrap();
    assert!(append(&mut *store, &numbered("y", 0, 1)).is_err());
    assert!(store.put_property("p", "v").is_err() && store.erase_clear(&[0]).is_err());
    assert_eq!(texts(&all(&mut *store)), ["x 0"]);
}
