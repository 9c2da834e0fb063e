//! A person's rights over what is stated of them: to be told of it, and to have it erased so that
//! nothing of it can be read back.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::review_cli::{derived, done, tell};
use crate::support::world::{CALL, NUMBER, raw};

const NAME: &str = "Anastasia Quill, account 12";

fn states(world: &World) {
    world.state(&[
        json!({"about": [CALL], "participant": {"number": NUMBER},
            "party": {"address": "US-CA", "minor": false}}),
        json!({"participant": {"number": NUMBER},
            "consent": {"state": "refused", "at": "2026-11-03T09:15:05Z"}}),
        json!({"participant": {"number": NUMBER},
            "objection": {"at": "2026-11-03T09:15:05Z", "purposes": ["marketing"]}}),
        json!({"participant": {"number": NUMBER},
            "hold": {"case": "C-1", "id": "H-1", "reason": "a claim of Mr Quill"}}),
        json!({"participant": {"name": NAME},
            "consent": {"state": "withdrawn", "at": "2026-11-03T09:15:05Z"}}),
    ]);
}

#[tokio::test]
async fn a_person_is_told_what_is_held_of_them() {
    let world = World::new().await;
    states(&world);
    let told = done(&world, &["ledger", "subject", NUMBER]);
    assert!(told.contains("What is held"), "{told}");
    for held in ["party of", "consent of", "objection of", "hold of"] {
        assert!(told.contains(held), "{held}: {told}");
    }
    assert!(
        !told.contains("Mr Quill") && !told.contains("operator"),
        "nobody else is named: {told}"
    );
    let held = tell(&world, &["ledger", "subject", NUMBER, "--form", "held"]).json();
    assert_eq!(held.len(), 4);
    assert_eq!(held[1]["statement"]["consent"]["state"], "refused");
    assert_eq!(held[1]["statement"]["participant"]["number"], NUMBER);
    let page = done(&world, &["ledger", "subject", NUMBER, "--form", "page"]);
    let (_, list) =
        page.split_once("<h2>What is held</h2>").expect("the page to print tells it, too");
    assert_eq!(list.matches("<li>").count(), 4, "{list}");
    assert!(list.contains("consent of") && !list.contains("Mr Quill"), "{list}");
    for form in ["text", "page"] {
        let nobody = done(&world, &["ledger", "subject", "+14045550199", "--form", form]);
        assert!(nobody.contains("Nothing is held"), "{nobody}");
    }
}

/// Everything in the ledger's files.
fn bytes(world: &World) -> Vec<u8> {
    let mut all = Vec::new();
    let mut read = |path: &Path| all.extend(raw(path));
    let ledger = world.ledger.display();
    for end in ["", "-wal", "-shm", "-journal"] {
        read(Path::new(&format!("{ledger}{end}")));
    }
    for file in std::fs::read_dir(derived(world)).unwrap() {
        read(&file.unwrap().path());
    }
    all
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn nothing_of_an_erased_person_can_be_read_back() {
    let mut world = World::new().await;
    states(&world);
    let keys: Vec<Vec<u8>> = {
        let file = rusqlite::Connection::open(&world.ledger).unwrap();
        let mut select = file.prepare("SELECT key FROM person WHERE key IS NOT NULL").unwrap();
        let keys = select.query_map([], |row| row.get(0)).unwrap();
        keys.collect::<Result<_, _>>().unwrap()
    };
    let names: Vec<String> = {
        let file = rusqlite::Connection::open(&world.ledger).unwrap();
        let mut select = file.prepare("SELECT DISTINCT name FROM statement").unwrap();
        let names = select.query_map([], |row| row.get(0)).unwrap();
        names.collect::<Result<_, _>>().unwrap()
    };
    for name in &names {
        let plain = ["person:", "of:"].into_iter().find_map(|kind| name.strip_prefix(kind));
        let is_blind = plain.is_none_or(|plain| plain.len() == 43 && !plain.contains("404"));
        assert!(is_blind && !name.contains("Quill"), "the register's names are blind: {name}");
    }
    let before = bytes(&world);
    assert!(keys.iter().all(|key| holds(&before, key)), "the keys are in the file");
    for secret in [NUMBER, "4045550123", "Quill", "Anastasia"] {
        assert!(!holds(&before, secret.as_bytes()), "{secret} is sealed");
    }
    done(&world, &["ledger", "erase", "--number", NUMBER, "--reason", "request 1", "--yes"]);
    done(&world, &["ledger", "erase", "--name", NAME, "--reason", "request 2", "--yes"]);
    done(&world, &["ledger", "erase", "--caller", "operator", "--reason", "left", "--yes"]);
    world.entries().await;
    let after = bytes(&world);
    assert!(!keys.iter().any(|key| holds(&after, key)), "no key is left, nor a copy of one");

    let told = done(&world, &["ledger", "subject", NUMBER]);
    assert!(
        told.contains("Nothing is held of this person beside that.\n4 statements erased: "),
        "{told}"
    );
    assert!(!told.contains("US-CA"), "{told}");
    assert_eq!(tell(&world, &["ledger", "subject", NUMBER, "--form", "held"]).out.trim(), "");
    assert!(done(&world, &["consent", "show", NUMBER]).contains("Nothing was stated."));
    let shown = done(&world, &["consent", "show", CALL, "--stated", "--show-numbers"]);
    assert!(shown.contains("of somebody who was erased"), "{shown}");
    assert!(!shown.contains("5550123"), "{shown}");
    let all = done(&world, &["consent", "export", "--all"]);
    assert_eq!(all.lines().count(), 1, "consents of nobody cannot be handed out: {all}");
    let held = tell(&world, &["hold", "show", "H-1", "--format", "json"]).json();
    assert_eq!(held[0]["statement"]["hold"]["reason"], "erased");
    let lift = tell(&world, &["hold", "lift", "H-1", "--reason", "settled"]);
    assert_eq!(lift.code, 3);
    assert!(lift.err.contains("somebody who was erased"), "{}", lift.err);
    let verified = tell(&world, &["ledger", "verify"]);
    assert_eq!(verified.code, 0, "the entries are whole: {}{}", verified.out, verified.err);
    let unknown = tell(&world, &["ledger", "erase", "--name", "nobody", "--reason", "r", "--yes"]);
    assert_eq!(unknown.code, 1, "{}", unknown.err);
    let entries: String = world.read_entries().iter().map(Value::to_string).collect();
    assert!(!entries.contains("Quill") && !entries.contains("555012"));
}
