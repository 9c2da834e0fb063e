//! Signed notes, checkpoints and proofs, as files of others are read: any bytes are refused or are
//! read into what writes the same bytes again, and nothing that was not signed verifies.

#![no_main]

use libfuzzer_sys::fuzz_target;
use noticegate::ledger::tlog::bundle;
use noticegate::ledger::tlog::checkpoint::Checkpoint;
use noticegate::ledger::tlog::key::VerifierKey;
use noticegate::ledger::tlog::note::Note;
use noticegate::ledger::tlog::proof::EntryProof;

/// Nobody has the private key any more. The seeds hold a checkpoint that it has signed.
const KEY: &str = include_str!("../ledger/log.vkey");

fuzz_target!(|bytes: &[u8]| {
    let key = VerifierKey::parse(KEY.trim()).expect("a key");
    let keys = std::slice::from_ref(&key);
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes, "a note has one form");
        let opened = Checkpoint::open(&note, key.name(), keys);
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert_eq!(checkpoint.to_string(), note.text(), "a checkpoint has one form");
            assert!(opened.is_err() || checkpoint.head.size == 472, "only one was ever signed");
        } else {
            assert!(opened.is_err(), "what is no checkpoint is not opened");
        }
    }
    if let Ok(proof) = EntryProof::parse(bytes) {
        assert_eq!(EntryProof::parse(proof.to_string().as_bytes()).as_ref(), Ok(&proof));
        let nothing = proof.verify(&[7; 32], key.name(), keys, keys);
        assert!(nothing.is_err(), "no proof shows what is not in the log");
    }
    if let Ok(entries) = bundle::decode(bytes) {
        assert_eq!(bundle::encode(&entries).as_deref(), Ok(bytes), "a bundle has one form");
    }
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(key) = VerifierKey::parse(text)
    {
        assert_eq!(key.to_string(), text, "a key has one form");
    }
});
