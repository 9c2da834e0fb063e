//! A ledger whose entries are anything: verification and whatever reads a past decision answer, and
//! never fall over. A ledger of lines that are no entries never holds.
//!
//! The input is one entry a line; after a tab comes what lies beside it.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use noticegate::config;
use noticegate::ledger::keys::Keys;
use noticegate::ledger::{Against, migrate, recall, verify};
use rusqlite::Connection;

static LEDGER: LazyLock<config::Ledger> = LazyLock::new(|| {
    // In memory, where there is such a place: each input is a commit.
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let place = place.join(format!("noticegate-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a folder");
    let settings: config::Ledger = serde_json::from_value(serde_json::json!({
        "path": place.join("ledger.sqlite"),
        "directory": place.join("ledger.d"),
        "key_file": place.join("ledger.key"),
        "origin": "gate.fuzz/ledger",
    }))
    .expect("settings");
    let keys = Keys::read_or_make(&settings.key_file, &settings.origin).expect("keys");
    migrate(&settings).expect("tables");
    let file = Connection::open(place.join("ledger.sqlite")).expect("the file");
    file.pragma_update(None, "synchronous", "OFF").expect("a setting");
    let insert = "INSERT INTO property (name, value) VALUES ('verifier', ?1)";
    file.execute(insert, [keys.signing.verifier().to_string()]).expect("a row");
    settings
});

fuzz_target!(|lines: &[u8]| {
    let path = LEDGER.path.as_ref().expect("it is a file");
    let mut file = Connection::open(path).expect("the file");
    file.pragma_update(None, "synchronous", "OFF").expect("a setting");
    let transaction = file.transaction().expect("a transaction");
    transaction.execute("DELETE FROM entry", []).expect("an empty ledger");
    let mut entries = 0_u64;
    let mut may_be_entries = true;
    for line in lines.split(|byte| *byte == b'\n').take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b'\t');
        let (bytes, clear) = (parts.next().unwrap_or_default(), parts.next());
        let _ = recall(bytes);
        may_be_entries &= bytes.contains(&b'"');
        let leaf = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[&[0], bytes].concat());
        let insert = "INSERT INTO entry (seq, bytes, leaf, clear) VALUES (?1, ?2, ?3, ?4)";
        let values = rusqlite::params![entries, bytes, leaf.as_ref(), clear];
        transaction.execute(insert, values).expect("a row");
        entries += 1;
    }
    transaction.commit().expect("a commit");
    let against = Against { people: true, ..Against::default() };
    let report = verify(&LEDGER, &against, |_, _| ()).expect("it can be read");
    assert_eq!(report.entries, entries);
    assert!(may_be_entries || !report.flaws.is_empty(), "it holds with what is no entry");
});
