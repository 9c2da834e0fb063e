//! Evidence for people who trust nobody here: proofs, tiles and bundles that other implementations
//! verify. Entries that were dropped under a retention rule take none of it away.

#![expect(clippy::print_stdout, reason = "a check that cannot be made says so")]

use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use noticegate::clock::Clock;
use signed_note::{Note, StandardVerifier, Verifier, VerifierList};
use tlog_tiles::{Hash, HashReader, Tile, TileHashReader, TileReader};

use crate::support::ledger::{Ledger, REFERENCE, configure, path_of};
use crate::support::process::Process;
use crate::support::{Client, World, WorldSettings};

/// A checkpoint as another implementation reads it.
fn opened(note: &[u8], vkey: &str) -> (u64, Hash) {
    let log: Box<dyn Verifier> = Box::new(StandardVerifier::new(vkey.trim()).unwrap());
    let note = Note::from_bytes(note).unwrap();
    note.verify(&VerifierList::new(vec![log])).unwrap();
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    (checkpoint.size(), *checkpoint.hash())
}

/// True if a proof that `ledger prove` wrote shows these bytes at this place.
fn proves(proof: &str, vkey: &str, place: u64, bytes: &[u8]) -> bool {
    let (head, note) = proof.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
    assert_eq!(lines.next(), Some(format!("index {place}").as_str()));
    let hashes: Vec<Hash> = lines.map(|line| Hash::parse_hash(line).unwrap()).collect();
    let (size, root) = opened(note.as_bytes(), vkey);
    let leaf = tlog_tiles::record_hash(bytes);
    tlog_tiles::check_record(&hashes, size, root, place, leaf).is_ok()
}

/// The folder's tiles, for a reader that checks each against the root.
struct Tiles<'a>(&'a Path);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &Tile| std::fs::read(self.0.join(tile.path().replacen("/8/", "/", 1)));
        Ok(tiles.iter().map(|tile| read(tile).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[tokio::test]
async fn another_implementation_verifies_checkpoint_tiles_and_proofs() {
    let ledger = Ledger::sample().await;
    let vkey = ledger.run(&["key"]).done();
    let note = std::fs::read(ledger.derived().join("checkpoint")).unwrap();
    let (size, root) = opened(&note, &vkey);
    assert_eq!(size, ledger.last() + 1);
    let tiles = Tiles(&ledger.derived());
    let reader = TileHashReader::new(size, root, &tiles);
    for (seq, entry) in ledger.entries() {
        let index = tlog_tiles::stored_hash_index(0, seq);
        let hash = tlog_tiles::record_hash(&serde_jcs::to_vec(&entry).unwrap());
        assert_eq!(reader.read_hashes(&[index]).unwrap(), [hash], "entry {seq}");
    }
    for place in [0, 1, 255, 256, size - 1] {
        let out = ledger.folder.join("proof");
        let place_text = place.to_string();
        ledger.run(&["prove", &place_text, "--out", out.to_str().unwrap()]).done();
        let proof = std::fs::read_to_string(out.with_extension("tlog-proof")).unwrap();
        let mut bytes = std::fs::read(out.with_extension("json")).unwrap();
        assert!(proves(&proof, &vkey, place, &bytes), "entry {place}");
        *bytes.last_mut().unwrap() ^= 1;
        assert!(!proves(&proof, &vkey, place, &bytes), "another entry {place}");
    }
    let beyond = ledger.run(&["prove", &size.to_string()]);
    assert!(beyond.code == 1 && beyond.err.contains("no checkpoint covers entry"), "{beyond:?}");
}

#[tokio::test]
async fn what_is_not_what_was_signed_is_neither_proven_nor_bundled() {
    let ledger = Ledger::sample().await;
    ledger.sql().execute("UPDATE entry SET leaf = zeroblob(32) WHERE seq = 7", []).unwrap();
    let proof = ledger.run(&["prove", "9", "--out", "/dev/null/proof"]);
    assert!(proof.code == 1 && proof.err.contains("ledger verify"), "{proof:?}");
    let folder = ledger.folder.join("bundle");
    let bundle = ledger.run(&["export", "--bundle", folder.to_str().unwrap()]);
    assert!(bundle.code == 1 && bundle.err.contains("ledger verify"), "{bundle:?}");
    assert!(!folder.join("checkpoint").exists());
}

/// What a verifier says of a bundle; `None` if there is none on this machine.
fn verifiers(bundle: &Path) -> Vec<Option<(bool, String)>> {
    let run = |command: &mut Command| {
        let output = command.current_dir(bundle).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        Some((output.status.success(), String::from_utf8(said).unwrap()))
    };
    let python = run(Command::new("python3").args(["verify.py", "."]));
    assert!(python.is_some(), "python3 is there");
    let has_go = Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb").exists();
    let mut go = Command::new("go");
    go.args(["run", "verify.go", "."]).env("GO111MODULE", "off").env("GOFLAGS", "");
    let go = has_go.then(|| run(go.env("GOPATH", "/usr/share/gocode"))).flatten();
    if go.is_none() {
        println!("skipped: verify.go needs golang-go and golang-golang-x-mod-dev");
    }
    vec![python, go]
}

#[track_caller]
fn accepted(bundle: &Path) {
    for (accepted, said) in verifiers(bundle).into_iter().flatten() {
        assert!(accepted && said.contains("VERIFIED"), "{said}");
        assert!(!said.contains("NOT"), "{said}");
    }
}

#[tokio::test]
async fn strangers_verify_a_bundle_and_find_one_changed_byte_in_it() {
    let ledger = Ledger::sample().await;
    let bundle = ledger.folder.join("bundle");
    ledger.run(&["export", "--bundle", bundle.to_str().unwrap()]).done();
    accepted(&bundle);
    let again = ledger.run(&["export", "--bundle", bundle.to_str().unwrap()]);
    assert_eq!(again.code, 1, "never over another one");
    let change = |file: &Path, at: usize| {
        let mut bytes = std::fs::read(file).unwrap();
        bytes[at] ^= 1;
        std::fs::write(file, bytes).unwrap();
    };
    // The first byte of an entry in the first file and of one in the second, by their lengths.
    for (file, first) in [("000", 0_usize), ("001", 256)] {
        let mut file = bundle.join("tile/entries").join(file);
        if !file.exists() {
            let partial = format!("{}.p", file.display());
            file = std::fs::read_dir(partial).unwrap().next().unwrap().unwrap().path();
        }
        let bytes = std::fs::read(&file).unwrap();
        let length = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        let mut at = 0;
        for place in first..first + 3 {
            change(&file, at + 2);
            for (accepted, said) in verifiers(&bundle).into_iter().flatten() {
                assert!(!accepted && said.contains("NOT VERIFIED"), "{said}");
                assert!(said.contains(&format!("entry {place} ")), "names {place}: {said}");
            }
            change(&file, at + 2);
            at += 2 + length(at);
        }
    }
    accepted(&bundle);
    for file in ["checkpoint", "log.vkey", "tile/0/000"] {
        change(&bundle.join(file), 40);
        for (accepted, said) in verifiers(&bundle).into_iter().flatten() {
            assert!(!accepted && said.contains("NOT VERIFIED"), "{file}: {said}");
        }
        change(&bundle.join(file), 40);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_taken_while_the_gate_writes_is_of_one_moment() {
    let ledger = Ledger::sample().await;
    let config = "[log]\nformat = \"json\"".to_owned();
    let mut world = World::prepare(&WorldSettings { config, ..ledger.settings() }).await;
    let process = Process::start(&world.folder, &[]);
    world.client = Client::new(process.address, world.authority.certificate());
    world.clock.set(Clock::system().now());
    let folder = ledger.folder.clone();
    let bundles = tokio::task::spawn_blocking(move || {
        for bundle in ["one", "two", "three"] {
            let bundle = folder.join(bundle);
            crate::support::ledger::run(&folder, &["export", "--bundle", bundle.to_str().unwrap()])
                .done();
        }
    });
    let mut disclosed = 0;
    while !bundles.is_finished() {
        assert_eq!(world.send(world.ana(&path_of(disclosed % 8, ".wav"))).await.status, 200);
        disclosed += 1;
    }
    bundles.await.unwrap();
    assert!(disclosed > 3, "it did write");
    assert!(process.terminate());
    for bundle in ["one", "two", "three"] {
        accepted(&ledger.folder.join(bundle));
        let kept = ledger.folder.join(bundle).join("checkpoint");
        assert_eq!(ledger.verify(&["--against", kept.to_str().unwrap()]).code, 0);
    }
}

/// The sample's first tile of 256 entries is older than three days, and not older than seven.
#[tokio::test]
async fn what_is_old_enough_can_be_dropped_and_everything_else_still_proven() {
    let ledger = Ledger::sample().await;
    let (before, vkey) = (ledger.entries(), ledger.run(&["key"]).done());
    let kept = ledger.folder.join("kept");
    std::fs::copy(ledger.derived().join("checkpoint"), &kept).unwrap();
    let oldest: (u64, String) = ledger
        .sql()
        .query_row("SELECT size, note FROM checkpoint ORDER BY size LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert!(oldest.0 < 256, "it covers only what is dropped");
    std::fs::write(ledger.folder.join("oldest"), oldest.1).unwrap();
    let words = ["query", "--words", REFERENCE, "--count"];
    let count = |words: &[&str]| ledger.run(words).done().trim().parse::<u64>().unwrap();
    let had = count(&words);

    let config = std::fs::read(ledger.folder.join("noticegate.toml")).unwrap();
    assert!(ledger.run(&["prune"]).done().contains("No whole tile"), "six years by default");
    configure(&ledger.folder, "keep_days = 7");
    assert!(ledger.run(&["prune", "--yes"]).done().contains("No whole tile"));
    std::fs::write(ledger.folder.join("noticegate.toml"), config).unwrap();
    configure(&ledger.folder, "keep_days = 3");
    let told = ledger.run(&["prune"]).done();
    assert!(told.contains("256 entries, 0 to 255,") && told.contains("--yes"), "{told}");
    assert_eq!(ledger.entries(), before, "told, not done");

    // A crash after the entry and before the deletion, played by putting the rows back.
    let crashed = ledger.copy();
    let by = ["--reason", "three days", "--by", "the keeper", "--yes"];
    let told = ledger.run(&[&["prune"][..], &by].concat()).done();
    assert!(told.contains("Dropped 256 entries"), "{told}");
    let (place, prune) = ledger.entries().pop().unwrap();
    assert_eq!((&prune["t"], &prune["before"]), (&"prune".into(), &256.into()), "{prune}");
    assert_eq!((&prune["reason"], &prune["actor"]), (&"three days".into(), &"the keeper".into()));
    let row: (Vec<u8>, Vec<u8>) = ledger
        .sql()
        .query_row("SELECT bytes, leaf FROM entry WHERE seq = ?1", [place], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let insert = "INSERT INTO entry (seq, bytes, leaf) VALUES (?1, ?2, ?3)";
    crashed.sql().execute(insert, rusqlite::params![place, row.0, row.1]).unwrap();
    assert_eq!(crashed.verify(&[]).code, 0);
    assert!(crashed.run(&["prune", "--yes"]).done().contains("Dropped 256"));

    let limit = Clock::system().now() - SignedDuration::from_hours(3 * 24);
    for ledger in [&ledger, &crashed] {
        let left = ledger.entries();
        assert_eq!(left[0].0, 256);
        assert_eq!(left[..before.len() - 256], before[256..], "the others are as they were");
        let young = before[..256]
            .iter()
            .any(|(_, entry)| entry["at"].as_str().unwrap().parse::<Timestamp>().unwrap() >= limit);
        assert!(!young, "nothing younger went");
        for old in [&kept, &ledger.folder.join("oldest")] {
            let good = ledger.verify(&["--people", "--against", old.to_str().unwrap()]);
            assert_eq!(good.code, 0, "{}", good.report);
            assert_eq!(good.report["pruned"], 256);
        }
        let bundle = ledger.folder.join("bundle");
        ledger.run(&["export", "--bundle", bundle.to_str().unwrap()]).done();
        accepted(&bundle);
        let out = ledger.folder.join("proof");
        ledger.run(&["prove", "300", "--out", out.to_str().unwrap()]).done();
        let proof = std::fs::read_to_string(out.with_extension("tlog-proof")).unwrap();
        let bytes = std::fs::read(out.with_extension("json")).unwrap();
        assert!(proves(&proof, &vkey, 300, &bytes));
        let gone = ledger.run(&["show", "5"]);
        assert!(gone.code == 1 && gone.err.contains("there is no entry `5`"), "{gone:?}");
    }
    let has = count(&words);
    assert!(has < had && has > 0, "{has} of {had} are found");
    assert_eq!(count(&["query", "--count"]), ledger.entries().len() as u64);
    for how in [&["query", "--by", "caller"][..], &["query", "--sessions"], &["tail"]] {
        ledger.run(how).done();
    }
    // A gate goes on with it, and so does one whose tiles and index are lost.
    for lose in [false, true] {
        if lose {
            std::fs::remove_dir_all(ledger.derived()).unwrap();
        }
        World::with(ledger.settings()).await.stop().await;
        let good = ledger.verify(&["--against", kept.to_str().unwrap()]);
        assert_eq!(good.code, 0, "{}", good.report);
        assert_eq!(good.report["signed"], good.report["entries"]);
    }
}
