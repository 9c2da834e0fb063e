//! What the ledger knows of people is unreadable without its key, and for good after an erasure;
//! nothing that proves is lost by it. What it says in the clear is canonical and chained.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use noticegate::clock::Clock;
use serde_json::Value;

use crate::support::ledger::{
    AGENT, Ledger, REASON, RECORDINGS, REFERENCE, leaf, number, path_of, recording_sid, run, until,
};
use crate::support::process::Process;
use crate::support::{Client, World, WorldSettings};

/// Files below a path that hold these bytes.
fn holding(path: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if std::fs::read(&path).unwrap().windows(bytes.len()).any(|part| part == bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Files of a ledger, and of what is derived, that hold these bytes.
fn ledger_holding(ledger: &Ledger, bytes: &[u8]) -> Vec<String> {
    let mut found = holding(&ledger.derived(), bytes);
    for end in ["", "-wal", "-shm"] {
        let file = ledger.folder.join(format!("ledger.sqlite{end}"));
        if file.exists() {
            found.extend(holding(&file, bytes));
        }
    }
    found
}

fn count(ledger: &Ledger, words: &[&str]) -> u64 {
    let ran = ledger.run(&[&["query", "--count"], words].concat());
    ran.done().trim().parse().unwrap()
}

/// How many disclosures an accounting for this number has.
fn accounted(ledger: &Ledger, number: &str) -> usize {
    let csv = ledger.run(&["subject", number, "--form", "csv"]).done();
    csv.lines().filter(|line| line.contains("RE0000")).count()
}

#[tokio::test]
async fn nothing_personal_is_in_the_clear() {
    let ledger = Ledger::sample().await;
    let out = ledger.folder.join("exports");
    std::fs::create_dir(&out).unwrap();
    for form in ["jsonl", "csv", "parquet", "ocsf"] {
        let file = out.join(form);
        ledger.run(&["export", "--form", form, "--out", file.to_str().unwrap()]).done();
    }
    let bundle = out.join("bundle");
    ledger.run(&["export", "--bundle", bundle.to_str().unwrap()]).done();
    let mut secrets: Vec<String> = (0..RECORDINGS).map(|which| number(which)[2..].into()).collect();
    secrets.push("not-a-token".to_owned());
    for secret in &secrets {
        let mut found = ledger_holding(&ledger, secret.as_bytes());
        found.extend(holding(&out, secret.as_bytes()));
        assert_eq!(found, [""; 0], "{}", secret.len());
    }
    // The index holds words that were said, and addresses: that is what it is for.
    for text in ["zeppelin", "zebra", REFERENCE, "CASE", "Quokkaphone", "127.0.0.1"] {
        let mut found = ledger_holding(&ledger, text.as_bytes());
        found.extend(holding(&out, text.as_bytes()));
        found.retain(|file| !file.contains("/index.sqlite"));
        assert_eq!(found, [""; 0], "`{text}`");
    }
    // The search above can find: with people, all of it is there.
    let file = out.join("with-people");
    ledger.run(&["export", "--people", "--out", file.to_str().unwrap()]).done();
    for text in [&secrets[0], REASON, REFERENCE, AGENT, "127.0.0.1"] {
        assert_eq!(holding(&file, text.as_bytes()).len(), 1, "{}", text.len());
    }
}

#[tokio::test]
async fn every_entry_is_canonical_and_chained_over_restarts() {
    let ledger = Ledger::sample().await;
    ledger.run(&["erase", "--entry", "5", "--reason", "for this story", "--yes"]).done();
    ledger.run(&["export", "--out", ledger.folder.join("x").to_str().unwrap()]).done();
    World::with(ledger.settings()).await.stop().await;
    let sql = ledger.sql();
    let mut statement = sql.prepare("SELECT seq, bytes, leaf FROM entry ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(u64, Vec<u8>, Vec<u8>)> = rows.map(Result::unwrap).collect();
    let hex = |hash: &[u8]| hash[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (mut kinds, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let mut writers: HashMap<String, (u64, String)> = HashMap::new();
    for (place, (seq, bytes, hash)) in (0..).zip(&rows) {
        assert_eq!(*seq, place, "no gaps");
        let entry: Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(&serde_jcs::to_vec(&entry).unwrap(), bytes, "entry {seq} is canonical");
        assert_eq!(&leaf(bytes)[..], hash);
        assert!(ids.insert(entry["id"].as_str().unwrap().to_owned()), "a name is used once");
        let kind = entry["t"].as_str().unwrap().to_owned();
        let of_people = entry["w"].as_str().unwrap().to_owned();
        let now = (entry["wn"].as_u64().unwrap(), hex(hash));
        match writers.insert(of_people, now.clone()) {
            Some((count, head)) => {
                assert_eq!((now.0, &entry["wp"]), (count + 1, &head.into()), "entry {seq}");
                assert_eq!(entry.get("wa"), None, "only a first entry says what it follows");
            }
            None if place == 0 => assert_eq!((now.0, &entry["wp"]), (0, &"".into())),
            None => {
                let after = entry["wa"].as_u64().expect("a first entry says what it follows");
                assert_eq!((now.0, after), (0, seq - 1), "entry {seq}");
                assert_eq!(entry["wp"], hex(&rows[usize::try_from(after).unwrap()].2));
                assert!(!["intent", "outcome"].contains(&kind.as_str()));
            }
        }
        kinds.insert(kind);
    }
    let expected =
        ["accounting", "export", "intent", "outcome", "redaction", "refusal", "review", "start"];
    assert!(expected.iter().all(|kind| kinds.contains(*kind)), "{kinds:?}");
    assert!(writers.len() >= 9, "{}", writers.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_number_opens_nowhere_and_comes_back_as_somebody_new() {
    let ledger = Ledger::sample().await;
    let (gone, stays) = (number(1), number(2));
    let of_gone = count(&ledger, &["--number", &gone]);
    let of_stays = count(&ledger, &["--number", &stays]);
    assert!(of_gone > 10 && of_stays > 10);
    assert!(accounted(&ledger, &gone) > 5);
    let keys = || -> Vec<(u64, Option<Vec<u8>>)> {
        let sql = ledger.sql();
        let mut statement = sql.prepare("SELECT id, key FROM person ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let before = keys();
    // A gate runs meanwhile, and knows the person.
    let config = "[log]\nformat = \"json\"".to_owned();
    let mut world = World::prepare(&WorldSettings { config, ..ledger.settings() }).await;
    let process = Process::start(&world.folder, &[]);
    world.client = Client::new(process.address, world.authority.certificate());
    world.clock.set(Clock::system().now());
    assert_eq!(world.send(world.ana(&path_of(1, ".wav"))).await.status, 200);

    let erase = ["erase", "--number", &gone, "--reason", "request 2026-114"];
    let last = ledger.last();
    let told = ledger.run(&erase);
    assert!(told.code == 2 && told.out.contains("--yes"), "{told:?}");
    assert_eq!(count(&ledger, &["--number", &gone]), of_gone + 1, "nothing is done without --yes");
    let unknown = ledger.run(&["erase", "--number", "+4930123456", "--reason", "x", "--yes"]);
    assert!(unknown.code == 1 && unknown.err.contains("knows nothing of this"), "{unknown:?}");
    assert!(ledger.entries().iter().all(|(_, e)| e["t"] != "redaction"), "nor is it on record");
    let ran = ledger.run(&[&erase[..], &["--yes", "--by", "the keeper"]].concat()).done();
    assert!(ran.contains("on record as entry"), "{ran}");
    let redaction = ledger.entries().into_iter().find(|(_, e)| e["t"] == "redaction").unwrap();
    assert!(redaction.0 > last && redaction.1["actor"] == "the keeper");

    let told = ledger.run(&["query", "--number", &gone]).done();
    assert!(told.contains("Nothing is recorded"), "{told}");
    assert_eq!(count(&ledger, &["--number", &stays]), of_stays);
    assert_eq!(accounted(&ledger, &gone), 0);
    let disclosures = ledger.entries();
    let disclosure = disclosures
        .iter()
        .find(|(_, e)| e["t"] == "intent" && e["media"]["recording"] == recording_sid(1));
    let (seq, _) = disclosure.unwrap();
    let shown = ledger.run(&["show", &seq.to_string(), "--format", "json"]).lines().remove(0);
    let people = shown["people"].to_string();
    assert!(
        !people.contains(&gone[2..]) && people.contains("+14045550188"),
        "the others are there"
    );
    let good = ledger.verify(&["--people"]);
    assert_eq!(good.code, 0, "{}", good.report);
    assert!(good.report["erased"].as_u64().unwrap() >= of_gone, "{}", good.report);

    // Soon the running gate knows the number as somebody new.
    let mut disclosed = 0;
    loop {
        assert_eq!(world.send(world.ana(&path_of(1, ".wav"))).await.status, 200);
        disclosed += 1;
        if count(&ledger, &["--number", &gone]) > 0 {
            break;
        }
        assert!(disclosed < 40, "the running gate never noticed");
    }
    // In another form, since repeated ones are told as one.
    assert_eq!(world.send(world.ana(&path_of(1, ".mp3"))).await.status, 200);
    let two = until(|| (accounted(&ledger, &gone) >= 2).then_some(())).await;
    assert!(two.is_some(), "what came after is accounted for");
    assert!(process.terminate());

    // The key is nowhere any more, nor is anything that it opens.
    let after = keys();
    let erased: Vec<_> = after.iter().filter(|(_, key)| key.is_none()).collect();
    assert_eq!(erased.len(), 1);
    let (_, key) = before.iter().find(|(id, _)| *id == erased[0].0).unwrap();
    let key = key.as_ref().unwrap();
    assert_eq!(ledger_holding(&ledger, key), [""; 0], "the wrapped key");
    assert_eq!(ledger_holding(&ledger, &key[12..28]), [""; 0], "a part of it");
    let (_, other) = before.iter().find(|(id, _)| *id != erased[0].0).unwrap();
    assert_eq!(ledger_holding(&ledger, other.as_ref().unwrap()).len(), 1, "others' are");
    // An index that is made anew finds no more of it.
    ledger.run(&["rebuild"]).done();
    assert_eq!(count(&ledger, &["--number", &stays]), of_stays);
    assert!(count(&ledger, &["--number", &gone]) <= disclosed + 1);
}

#[tokio::test]
async fn an_erased_caller_and_an_erased_entry_open_nowhere() {
    let ledger = Ledger::sample().await;
    let address = |caller: &str| {
        let caller = format!("test|{caller}");
        count(&ledger, &["--caller", &caller, "--address", "127.0.0.1"])
    };
    let (ben, cleo) = (address("ben"), address("cleo"));
    assert!(ben > 5 && cleo > 5);
    assert_eq!(count(&ledger, &["--words", "zebra"]), 1);
    let erase = |words: &[&str]| {
        let words = [&["erase"][..], words, &["--reason", "asked to", "--yes"]].concat();
        run(&ledger.folder, &words).done()
    };
    erase(&["--caller", "test|ben"]);
    assert_eq!((address("ben"), address("cleo")), (0, cleo));
    let all = count(&ledger, &["--caller", "test|ben"]);
    assert_eq!(all, ben, "that there were such entries stays known");
    let zeppelins = ["--caller", "test|ben", "--words", "zeppelin"];
    assert_eq!(count(&ledger, &zeppelins), 0);
    erase(&["--caller", "the keeper"]);
    assert_eq!(count(&ledger, &["--words", "zebra"]), 0);
    assert_eq!(ledger_holding(&ledger, b"zebra"), [""; 0], "also not as bytes of the index");

    let referenced = ["query", "--caller", "test|ana", "--words", REFERENCE, "--format", "json"];
    let found = ledger.run(&referenced).lines();
    let seq = found[0]["seq"].as_u64().unwrap();
    assert_eq!(found[0]["people"]["said"]["reference"], REFERENCE);
    let sealed: Vec<u8> = ledger
        .sql()
        .query_row("SELECT clear FROM entry WHERE seq = ?1", [seq], |row| row.get(0))
        .unwrap();
    erase(&["--entry", &seq.to_string()]);
    let shown = ledger.run(&["show", &seq.to_string(), "--format", "json"]).lines().remove(0);
    assert_eq!(shown["people"], Value::Null);
    let left = ledger.run(&referenced).lines();
    assert!(left.iter().all(|row| row["seq"] != seq), "it is found by its words no more");
    assert_eq!(ledger_holding(&ledger, &sealed), [""; 0]);
    let sealed: Value = serde_json::from_slice(&sealed).unwrap();
    let of_net = sealed["net"]["box"].as_str().unwrap();
    assert_eq!(ledger_holding(&ledger, of_net.as_bytes()), [""; 0], "what was sealed");
    let good = ledger.verify(&["--people"]);
    assert_eq!(good.code, 0, "{}", good.report);
    assert!(good.report["erased"].as_u64().unwrap() > 0);
    assert!(good.report["opened"].as_u64().unwrap() > 100, "{}", good.report);
}
