//! A gate does not go on with a ledger that is not the one it left; it makes anew what is only
//! derived; and keys decide whose ledger it is. Copies kept elsewhere tell what the place itself
//! no longer can.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use noticegate::clock::Clock;

use crate::support::ledger::{Ledger, leaf, path_of, until, verify};
use crate::support::process::Process;
use crate::support::{World, WorldSettings};

/// What a gate says that does not start.
fn refused(world: &World) -> String {
    let output = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_noticegate"), "serve", "--config"])
        .arg(world.folder.join("noticegate.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_ne!(output.status.code(), Some(124), "the gate started: {said}");
    assert!(!output.status.success());
    said
}

/// A gate starts, records a disclosure, and ends.
async fn serves(world: &mut World) {
    let process = Process::start(&world.folder, &[]);
    world.clock.set(Clock::system().now());
    world.client = crate::support::Client::new(process.address, world.authority.certificate());
    let answer = world.send(world.ana(&path_of(0, ".wav"))).await;
    assert_eq!(answer.status, 200);
    assert!(process.terminate());
}

/// A world whose gate is to run on this ledger.
async fn world_on(ledger: &Ledger) -> World {
    World::prepare(&WorldSettings {
        config: "[log]\nformat = \"json\"".to_owned(),
        ..ledger.settings()
    })
    .await
}

#[tokio::test]
async fn a_ledger_rolled_back_to_an_older_copy_is_refused_until_the_newer_one_is_back() {
    let (older, ledger) = (Ledger::sample().await, Ledger::sample().await);
    let mut world = world_on(&ledger).await;
    serves(&mut world).await;
    std::fs::rename(ledger.file(), ledger.folder.join("newer")).unwrap();
    std::fs::copy(older.file(), ledger.file()).unwrap();
    let said = refused(&world);
    assert!(said.contains("replaced by an older copy. Put the newer one back"), "{said}");
    assert!(said.contains("ledger.sqlite.d"), "names the folder: {said}");
    assert_eq!(ledger.last(), older.last(), "nothing was written into it");
    // Nor when the older copy has grown since, by entries that no gate wrote.
    for _ in 0..20 {
        ledger.run(&["review", "5", "--verdict", "escalate"]).done();
    }
    let said = refused(&world);
    assert!(said.contains("ledger verify"), "says what to do: {said}");
    std::fs::rename(ledger.folder.join("newer"), ledger.file()).unwrap();
    serves(&mut world).await;
    let good = verify(&ledger.folder, &["--people"]);
    assert_eq!(good.code, 0, "{}", good.report);
}

#[tokio::test]
async fn a_ledger_whose_signed_entries_were_changed_is_refused_until_the_right_one_is_back() {
    let (good, ledger) = (Ledger::sample().await, Ledger::sample().await);
    let mut world = world_on(&ledger).await;
    let sql = ledger.sql();
    let bytes: Vec<u8> =
        sql.query_row("SELECT bytes FROM entry WHERE seq = 100", [], |row| row.get(0)).unwrap();
    let text = String::from_utf8(bytes).unwrap().replacen("\"at\":\"2", "\"at\":\"3", 1);
    let update = "UPDATE entry SET bytes = ?1, leaf = ?2 WHERE seq = 100";
    sql.execute(update, rusqlite::params![text.as_bytes(), leaf(text.as_bytes())]).unwrap();
    drop(sql);
    for tiles in ["with its tiles", "without its tiles"] {
        let said = refused(&world);
        assert!(said.contains("are not those that were signed"), "{tiles}: {said}");
        assert!(said.contains("noticegate ledger verify"), "{tiles}: {said}");
        let _ = std::fs::remove_dir_all(ledger.derived().join("tile"));
    }
    std::fs::copy(good.file(), ledger.file()).unwrap();
    serves(&mut world).await;
}

#[tokio::test]
async fn what_is_derived_is_made_anew_when_it_is_lost_or_ruined() {
    let ledger = Ledger::sample().await;
    let mut world = world_on(&ledger).await;
    let count = ["query", "--count", "--words", crate::support::ledger::REFERENCE];
    let found = ledger.run(&count).done();
    assert!(found.trim().parse::<u64>().unwrap() > 10, "{found}");
    let derived = ledger.derived();
    let ruin: [&dyn Fn(); 5] = [
        &|| std::fs::remove_dir_all(derived.join("tile")).unwrap(),
        &|| std::fs::write(derived.join("tile/0/000"), [7; 8192]).unwrap(),
        &|| std::fs::write(derived.join("index.sqlite"), [7; 8192]).unwrap(),
        &|| std::fs::remove_file(derived.join("index.sqlite")).unwrap(),
        &|| std::fs::remove_dir_all(&derived).unwrap(),
    ];
    for (which, ruin) in ruin.iter().enumerate() {
        ruin();
        serves(&mut world).await;
        let good = ledger.verify(&["--people"]);
        assert_eq!(good.code, 0, "after ruin {which}: {}", good.report);
        assert_eq!(good.report["signed"], good.report["entries"], "after ruin {which}");
        assert_eq!(ledger.run(&count).done(), found, "after ruin {which}");
    }
    std::fs::write(derived.join("index.sqlite"), [7; 8192]).unwrap();
    assert!(ledger.run(&["rebuild"]).done().contains("The search index holds"));
    assert_eq!(ledger.run(&count).done(), found);
}

#[tokio::test]
async fn a_ledger_takes_no_other_key_file_and_none_that_others_may_read() {
    let (ledger, other) = (Ledger::sample().await, World::new().await);
    let world = world_on(&ledger).await;
    let key = ledger.folder.join("ledger.sqlite.key");
    let own = std::fs::read(&key).unwrap();
    std::fs::copy(other.folder.join("ledger.sqlite.key"), &key).unwrap();
    let said = refused(&world);
    assert!(said.contains("begun with another key file"), "{said}");
    let said = ledger.run(&["review", "5", "--verdict", "escalate"]);
    assert!(said.code == 1 && said.err.contains("begun with another key file"), "{}", said.err);
    std::fs::write(&key, own).unwrap();
    for mode in [0o604, 0o640] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(refused(&world).contains("chmod 600"));
        assert!(ledger.run(&["query"]).err.contains("chmod 600"));
    }
    std::fs::remove_file(&key).unwrap();
    assert!(refused(&world).contains("ledger.sqlite.key"), "no other is made in its place");
    assert!(!key.exists());
    // Without it, what is not about people can still be told.
    assert_eq!(ledger.verify(&[]).code, 0);
    let last = ledger.run(&["tail", "-n", "1"]).done();
    assert!(last.contains("stop"), "{last}");
}

/// Whoever has the machine can cut the tail off and take away all that told of it there.
#[tokio::test]
async fn a_tail_cut_off_is_found_by_a_checkpoint_that_was_kept() {
    let ledger = Ledger::sample().await;
    let kept = ledger.folder.join("kept elsewhere");
    std::fs::copy(ledger.derived().join("checkpoint"), &kept).unwrap();
    let kept = kept.to_str().unwrap().to_owned();
    let left = ledger.last() - 40;
    let sql = ledger.sql();
    sql.execute("DELETE FROM entry WHERE seq >= ?1", [left]).unwrap();
    sql.execute("DELETE FROM checkpoint WHERE size > ?1", [left]).unwrap();
    let found = ledger.verify(&[]);
    assert_eq!((found.code, found.flaws[0].0), (4, Some(left)), "{}", found.report);
    assert!(found.flaws[0].1.contains("ledger.sqlite.d"), "by the folder's: {:?}", found.flaws);
    std::fs::remove_dir_all(ledger.derived()).unwrap();
    assert_eq!(ledger.verify(&[]).code, 0, "here nothing tells any more");
    let found = ledger.verify(&["--against", &kept]);
    assert_eq!((found.code, found.flaws[0].0), (4, Some(left)), "{}", found.report);
    assert!(found.flaws[0].1.contains("kept elsewhere"), "{:?}", found.flaws);
    let missing = ledger.verify(&["--against", "/dev/null/checkpoint"]);
    assert_eq!(missing.code, 4, "a checkpoint that cannot be read proves nothing");
}

/// Whoever has the machine can make another key and sign the whole ledger anew.
#[tokio::test]
async fn a_ledger_signed_anew_with_another_key_does_not_hold_against_the_pinned_one() {
    let ledger = Ledger::sample().await;
    let pinned = ledger.run(&["key"]).done().trim().to_owned();
    assert_eq!(ledger.verify(&["--key", &pinned]).code, 0);
    let kept = ledger.folder.join("kept elsewhere");
    std::fs::copy(ledger.derived().join("checkpoint"), &kept).unwrap();
    let sql = ledger.sql();
    sql.execute("DELETE FROM entry WHERE seq >= 300", []).unwrap();
    sql.execute_batch("DELETE FROM checkpoint; DELETE FROM property; DELETE FROM person").unwrap();
    drop(sql);
    std::fs::remove_dir_all(ledger.derived()).unwrap();
    std::fs::remove_file(ledger.folder.join("ledger.sqlite.key")).unwrap();
    let world = world_on(&ledger).await;
    world.started().stop().await;
    let signed = until(|| (ledger.verify(&[]).report["signed"] == 302).then_some(())).await;
    assert!(signed.is_some(), "by its own key it seems good: {}", ledger.verify(&[]).report);
    let found = ledger.verify(&["--key", &pinned]);
    assert_eq!(found.code, 4, "{}", found.report);
    assert_eq!(found.report["checkpoints"], 0, "none of its checkpoints counts");
    assert_eq!(ledger.verify(&["--against", kept.to_str().unwrap()]).code, 4);
    assert_eq!(ledger.verify(&["--key", "no key"]).code, 4);
}
