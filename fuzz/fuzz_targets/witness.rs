//! A request to a witness, and the answers that a gate gets: any body gets an answer, and none that
//! the ledger has not signed moves what the witness remembers.

#![no_main]

use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use noticegate::clock::Clock;
use noticegate::ledger::Cosigning;
use noticegate::ledger::tlog::key::VerifierKey;
use noticegate::ledger::tlog::witness::{AddCheckpoint, parse_conflict};

/// Nobody has the private key any more. The seeds hold checkpoints that it has signed.
const KEY: &str = include_str!("../ledger/log.vkey");

static WITNESS: LazyLock<Cosigning> = LazyLock::new(|| {
    let place = std::env::temp_dir().join(format!("noticegate-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a folder");
    let clock = Clock::manual(Timestamp::from_second(4_102_444_800).expect("the year 2100"));
    let logs = [KEY.trim().to_owned()];
    Cosigning::open("witness.fuzz", &place.join("key"), &place.join("memory"), &logs, clock)
        .expect("a witness")
});

fuzz_target!(|body: &[u8]| {
    let answer = WITNESS.add_checkpoint(body);
    assert!([200, 400, 403, 404, 409, 422].contains(&answer.status), "{}", answer.status);
    assert!(!answer.body.is_empty());
    if let Ok(request) = AddCheckpoint::parse(body) {
        assert_eq!(AddCheckpoint::parse(request.to_string().as_bytes()), Ok(request.clone()));
        let key = VerifierKey::parse(KEY.trim()).expect("a key");
        // As if the body were what a witness had answered.
        assert!(request.accept(body, &key).is_err() || answer.status != 400);
    } else {
        assert_eq!(answer.status, 400, "what is no request is malformed");
    }
    if answer.status == 200 {
        let again = WITNESS.add_checkpoint(body);
        assert!([200, 409].contains(&again.status), "it remembers: {}", again.status);
    }
    let _ = parse_conflict(body);
});
