//! The ledger shows that it was tampered with: whatever is changed behind its back, in any place,
//! verification finds it and says where, also when the enemy rewrites all but what a key signs.

use std::ops::ControlFlow;

use noticegate::config::Config;
use noticegate::ledger::{Against, Report};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config as Cases, TestCaseError, TestRunner};
use rusqlite::params;
use serde_json::Value;

use crate::support::ledger::{Ledger, leaf};

/// What an enemy with the disk in their hands does to a ledger.
#[derive(Clone, Debug)]
enum Attack {
    FlipEntry {
        place: Index,
        byte: Index,
        bit: u8,
    },
    FlipLeaf {
        place: Index,
        byte: Index,
        bit: u8,
    },
    Drop {
        first: Index,
        count: u64,
    },
    Truncate {
        count: u64,
    },
    Swap {
        one: Index,
        other: Index,
    },
    Duplicate {
        of: Index,
        at: Index,
    },
    /// Another content, with its own hash.
    Change {
        place: Index,
    },
    /// The same, and the hash in the tiles as well.
    ChangeWithTiles {
        place: Index,
    },
    /// The same, and every chain and hash after it, as if it had always been so.
    Rewrite {
        place: Index,
    },
    FlipCheckpoint {
        which: Index,
        byte: Index,
        bit: u8,
    },
    /// A checkpoint's row with the note of the one before.
    OlderCheckpoint {
        which: Index,
    },
}

fn any_attack() -> impl Strategy<Value = Attack> {
    let index = any::<Index>;
    prop_oneof![
        3 => (index(), index(), 0..8u8)
            .prop_map(|(place, byte, bit)| Attack::FlipEntry { place, byte, bit }),
        2 => (index(), index(), 0..8u8)
            .prop_map(|(place, byte, bit)| Attack::FlipLeaf { place, byte, bit }),
        2 => (index(), 1..6u64).prop_map(|(first, count)| Attack::Drop { first, count }),
        1 => (1..200u64).prop_map(|count| Attack::Truncate { count }),
        2 => (index(), index()).prop_map(|(one, other)| Attack::Swap { one, other }),
        2 => (index(), index()).prop_map(|(of, at)| Attack::Duplicate { of, at }),
        2 => index().prop_map(|place| Attack::Change { place }),
        2 => index().prop_map(|place| Attack::ChangeWithTiles { place }),
        2 => index().prop_map(|place| Attack::Rewrite { place }),
        2 => (index(), index(), 0..8u8)
            .prop_map(|(which, byte, bit)| Attack::FlipCheckpoint { which, byte, bit }),
        1 => index().prop_map(|which| Attack::OlderCheckpoint { which }),
    ]
}

/// What verification must say.
#[derive(Debug)]
enum Found {
    /// The first flaw is at this entry.
    At(u64),
    /// The first flaw names a range with this entry in it.
    Around(u64),
    /// Something is wrong that is not about an entry.
    Somewhere,
}

/// Does it; `Break` if there was nothing to do it to.
fn attack(ledger: &Ledger, attack: &Attack) -> ControlFlow<(), Found> {
    let sql = ledger.sql();
    let count = ledger.last() + 1;
    let any = |index: &Index| index.index(usize::try_from(count).unwrap()) as u64;
    let blob = |column: &str, place: u64| -> Vec<u8> {
        let query = format!("SELECT {column} FROM entry WHERE seq = ?1");
        sql.query_row(&query, [place], |row| row.get(0)).unwrap()
    };
    let set = |column: &str, place: u64, bytes: &[u8]| {
        let update = format!("UPDATE entry SET {column} = ?2 WHERE seq = ?1");
        assert_eq!(sql.execute(&update, params![place, bytes]).unwrap(), 1);
    };
    let flip = |bytes: &mut [u8], byte: &Index, bit: u8| bytes[byte.index(bytes.len())] ^= 1 << bit;
    let change = |place: u64| {
        let bytes = changed(&blob("bytes", place));
        set("bytes", place, &bytes);
        set("leaf", place, &leaf(&bytes));
    };
    ControlFlow::Continue(match attack {
        Attack::FlipEntry { place, byte, bit } => {
            let (place, column) = (any(place), "bytes");
            let mut bytes = blob(column, place);
            flip(&mut bytes, byte, *bit);
            set(column, place, &bytes);
            Found::At(place)
        }
        Attack::FlipLeaf { place, byte, bit } => {
            let (place, column) = (any(place), "leaf");
            let mut bytes = blob(column, place);
            flip(&mut bytes, byte, *bit);
            set(column, place, &bytes);
            Found::At(place)
        }
        Attack::Drop { first, count } => {
            let first = any(first);
            sql.execute("DELETE FROM entry WHERE seq >= ?1 AND seq < ?2", [first, first + count])
                .unwrap();
            Found::At(first)
        }
        Attack::Truncate { count: dropped } => {
            let left = count - dropped.min(&count);
            sql.execute("DELETE FROM entry WHERE seq >= ?1", [left]).unwrap();
            Found::At(left)
        }
        Attack::Swap { one, other } => {
            let (one, other) = (any(one).min(any(other)), any(one).max(any(other)));
            if one == other {
                return ControlFlow::Break(());
            }
            move_entry(&sql, one, -1);
            move_entry(&sql, other, i64::try_from(one).unwrap());
            move_entry_from(&sql, -1, i64::try_from(other).unwrap());
            Found::At(one)
        }
        Attack::Duplicate { of, at } => {
            let (of, at) = (any(of), any(at) + 1);
            let (bytes, hash) = (blob("bytes", of), blob("leaf", of));
            // By way of negative places, so that none is there twice.
            sql.execute("UPDATE entry SET seq = -seq - 1 WHERE seq >= ?1", [at]).unwrap();
            sql.execute("UPDATE entry SET seq = -seq WHERE seq < 0", []).unwrap();
            let insert = "INSERT INTO entry (seq, bytes, leaf) VALUES (?1, ?2, ?3)";
            sql.execute(insert, params![at, bytes, hash]).unwrap();
            Found::At(if at == of { of + 1 } else { at })
        }
        Attack::Change { place } => {
            change(any(place));
            Found::At(any(place))
        }
        Attack::ChangeWithTiles { place } => {
            change(any(place));
            change_tile(ledger, any(place), &leaf(&blob("bytes", any(place))));
            Found::Around(any(place))
        }
        Attack::Rewrite { place } => {
            let place = any(place);
            set("bytes", place, &changed(&blob("bytes", place)));
            rewrite_chains(ledger);
            let _ = std::fs::remove_dir_all(ledger.derived().join("tile"));
            Found::Around(place)
        }
        Attack::FlipCheckpoint { which, byte, bit } => {
            let notes = checkpoints(ledger);
            let (size, note) = &notes[which.index(notes.len())];
            let mut bytes = note.clone().into_bytes();
            flip(&mut bytes, byte, *bit);
            let Ok(text) = String::from_utf8(bytes) else { return ControlFlow::Break(()) };
            sql.execute("UPDATE checkpoint SET note = ?2 WHERE size = ?1", params![size, text])
                .unwrap();
            Found::Somewhere
        }
        Attack::OlderCheckpoint { which } => {
            let notes = checkpoints(ledger);
            let which = which.index(notes.len() - 1);
            let (older, newer) = (&notes[which], &notes[which + 1]);
            let update = "UPDATE checkpoint SET note = ?2 WHERE size = ?1";
            sql.execute(update, params![newer.0, older.1]).unwrap();
            Found::Somewhere
        }
    })
}

fn move_entry(sql: &rusqlite::Connection, from: u64, to: i64) {
    move_entry_from(sql, i64::try_from(from).unwrap(), to);
}

fn move_entry_from(sql: &rusqlite::Connection, from: i64, to: i64) {
    assert_eq!(sql.execute("UPDATE entry SET seq = ?2 WHERE seq = ?1", [from, to]).unwrap(), 1);
}

/// The same entry a thousand years later: still an entry, of the same length.
fn changed(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let other = text.replacen("\"at\":\"2", "\"at\":\"3", 1);
    assert_ne!(text, other);
    other.into_bytes()
}

fn change_tile(ledger: &Ledger, place: u64, hash: &[u8; 32]) {
    let (tile, within) = (place / 256, usize::try_from(place % 256).unwrap());
    let folder = ledger.derived().join("tile/0");
    let partial = folder.join(format!("{tile:03}.p"));
    let mut files = vec![folder.join(format!("{tile:03}"))];
    if let Ok(widths) = std::fs::read_dir(partial) {
        files.extend(widths.map(|file| file.unwrap().path()));
    }
    for file in files {
        let Ok(mut hashes) = std::fs::read(&file) else { continue };
        if let Some(kept) = hashes.get_mut(within * 32..within * 32 + 32) {
            kept.copy_from_slice(hash);
            std::fs::write(file, hashes).unwrap();
        }
    }
}

/// Makes all chains and hashes what they would be had the entries been written as they are now.
fn rewrite_chains(ledger: &Ledger) {
    let mut sql = ledger.sql();
    let transaction = sql.transaction().unwrap();
    let mut heads = std::collections::HashMap::new();
    let mut leaves: Vec<[u8; 32]> = Vec::new();
    let hex = |hash: &[u8; 32]| hash[..16].iter().map(|b| format!("{b:02x}")).collect::<String>();
    for seq in 0..=ledger.last() {
        let query = "SELECT bytes FROM entry WHERE seq = ?1";
        let bytes: Vec<u8> = transaction.query_row(query, [seq], |row| row.get(0)).unwrap();
        let mut entry: Value = serde_json::from_slice(&bytes).unwrap();
        let writer = entry["w"].as_str().unwrap().to_owned();
        let follows = match (heads.get(&writer), entry["wa"].as_u64()) {
            (Some(head), _) => String::clone(head),
            (None, Some(after)) => hex(&leaves[usize::try_from(after).unwrap()]),
            (None, None) => String::new(),
        };
        entry["wp"] = follows.into();
        let bytes = serde_jcs::to_vec(&entry).unwrap();
        let hash = leaf(&bytes);
        heads.insert(writer, hex(&hash));
        leaves.push(hash);
        let update = "UPDATE entry SET bytes = ?2, leaf = ?3 WHERE seq = ?1";
        transaction.execute(update, params![seq, bytes, hash]).unwrap();
    }
    transaction.commit().unwrap();
}

/// The checkpoints in the store, by size.
fn checkpoints(ledger: &Ledger) -> Vec<(u64, String)> {
    let sql = ledger.sql();
    let mut statement = sql.prepare("SELECT size, note FROM checkpoint ORDER BY size").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Verifies in this process, as the command does.
fn verify(ledger: &Ledger) -> Report {
    let config = Config::load(&ledger.folder.join("noticegate.toml")).unwrap();
    noticegate::ledger::verify(&config.ledger, &Against::default(), |_, _| ()).unwrap()
}

#[tokio::test]
async fn a_good_ledger_verifies_and_verification_says_how_much() {
    let ledger = Ledger::sample().await;
    let entries = ledger.entries();
    let good = ledger.verify(&["--people"]);
    assert_eq!((good.code, good.flaws.len()), (0, 0), "{}", good.report);
    assert_eq!(good.report["entries"], entries.len());
    assert_eq!(good.report["signed"], entries.len(), "a gate that stops signs all it wrote");
    assert_eq!(good.report["checkpoints"], checkpoints(&ledger).len() + 1, "and the folder's");
    let writers: std::collections::HashSet<_> =
        entries.iter().map(|(_, entry)| entry["w"].as_str().unwrap()).collect();
    assert_eq!(good.report["writers"], writers.len());
    assert!(writers.len() >= 7, "five gates and a keeper who came twice");
    let boxes: String = ledger
        .sql()
        .query_row("SELECT group_concat(CAST(clear AS TEXT)) FROM entry", [], |row| row.get(0))
        .unwrap();
    assert_eq!(good.report["opened"], boxes.matches("\"box\"").count());
    assert_eq!((&good.report["erased"], &good.report["open"]), (&0.into(), &0.into()));
    let told = ledger.run(&["verify"]).done();
    assert!(told.contains("The ledger holds: ") && told.contains(" 0 intents open."), "{told}");
}

/// Each case works on a copy of one ledger of some hundred entries by many writers.
#[tokio::test]
async fn whatever_is_changed_behind_its_back_is_found_and_named() {
    let sample = Ledger::sample().await;
    let signed = verify(&sample).signed;
    let mut runner = TestRunner::new(Cases {
        cases: 120,
        failure_persistence: None,
        max_shrink_iters: 20,
        ..Cases::default()
    });
    let tried = runner.run(&any_attack(), |attempt| {
        let ledger = sample.copy();
        let ControlFlow::Continue(expected) = attack(&ledger, &attempt) else { return Ok(()) };
        let report = verify(&ledger);
        let wrong = |why: &str| {
            let flaws = &report.flaws[..report.flaws.len().min(3)];
            Err(TestCaseError::fail(format!("{why}: {expected:?} of {signed}, {flaws:?}")))
        };
        let Some(first) = report.flaws.first() else { return wrong("not found") };
        match (&expected, first.seq) {
            (Found::At(place), Some(seq)) if seq == *place => Ok(()),
            (Found::Around(place), Some(seq)) if holds(seq, &first.problem, *place) => Ok(()),
            (Found::Somewhere, _) => Ok(()),
            _ => wrong("not where it is"),
        }
    });
    tried.unwrap();
}

/// True if a flaw names this place, or a range with it.
fn holds(seq: u64, problem: &str, place: u64) -> bool {
    let last = problem.split_once("one of those up to ").and_then(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    });
    (seq..=last.unwrap_or(seq)).contains(&place)
}
