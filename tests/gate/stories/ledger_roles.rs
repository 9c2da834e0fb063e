//! A ledger in PostgreSQL at work with the rights that its documentation names, and the commands that
//! keep it.

use std::path::{Path, PathBuf};

use noticegate::clock::Clock;

use crate::support::postgres::Server;
use crate::support::process::{
    Process, assert_holds, load, noticegate, one, unrecorded, world_of_processes,
};
use crate::support::world::{Store, of_kind, on_both_stores};
use crate::support::{World, WorldSettings, path};

/// The sample recording's caller, as a person at a command line writes the number.
const NUMBER: &str = "+1 404 555 0123";

/// A world in a database, and who may do what there.
struct Roles {
    world: World,
    database: String,
}

impl Roles {
    async fn new() -> Self {
        let settings = WorldSettings { store: Store::Database, ..WorldSettings::default() };
        let world = world_of_processes(settings).await;
        let database = world.url.as_ref().unwrap().rsplit('/').next().unwrap().to_owned();
        Self { world, database }
    }

    fn grant(&self) {
        let logins = ["gate", "reader", "clerk"]
            .map(|role| (format!("only_{role}"), format!("noticegate_{role}")));
        let logins = logins.each_ref().map(|(login, role)| (login.as_str(), role.as_str()));
        Server::shared().roles(&self.database, &logins);
    }

    /// The configuration of somebody with this login, with a folder of their own.
    fn configuration(&self, login: &str) -> PathBuf {
        let config = self.world.another(login);
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("\"url\"", &format!("\"{login}-url\""))).unwrap();
        let url = Server::shared().url(login, &self.database);
        std::fs::write(self.world.folder.join(format!("{login}-url")), url).unwrap();
        config
    }
}

/// Succeeds, and returns what it said.
fn done(config: &Path, words: &[&str]) -> String {
    let said = noticegate(config, words);
    assert_eq!(said.code, 0, "{words:?}: {said:?}");
    said.out
}

/// Fails, and says these words.
fn fails(config: &Path, words: &[&str], why: &[&str]) {
    let said = noticegate(config, words);
    assert!(said.code != 0 && said.code != 124, "{words:?}: {said:?}");
    assert!(why.iter().all(|why| said.err.contains(why)), "{words:?}: {}", said.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_works_with_the_role_that_is_meant_for_it() {
    let roles = Roles::new().await;
    let owner = roles.world.folder.join("noticegate.toml");
    let [gate, reader, clerk] =
        ["only_gate", "only_reader", "only_clerk"].map(|login| roles.configuration(login));
    let migrated = done(&owner, &["ledger", "migrate"]);
    assert!(migrated.contains(&roles.database), "it says where: {migrated}");
    assert!(migrated.contains("Applied: tables"), "it says what: {migrated}");
    assert!(!done(&owner, &["ledger", "migrate"]).contains("Applied"), "twice is fine");
    roles.grant();

    let process = Process::configured(&gate, &[]);
    let load = load(&roles.world, &process, 2);
    load.until(300).await;
    let seen = load.drain().await;
    assert!(seen.iter().all(|seen| seen.status == 200), "it discloses with no more rights");
    assert!(process.terminate());
    assert_eq!(unrecorded(&seen, &roles.world.read_entries()).len(), 0);

    // Who may only read has no key file.
    let text = std::fs::read_to_string(&reader).unwrap();
    std::fs::write(&reader, text.replace("ledger.key", "no.key")).unwrap();
    let asked = std::fs::read_to_string(roles.world.folder.join("only_gate.d/checkpoint"));
    assert!(asked.unwrap().starts_with("localhost/ledger"));
    assert_eq!(done(&reader, &["ledger", "verify"]).lines().count(), 1);
    assert!(done(&reader, &["ledger", "tail"]).contains("stop"));
    assert!(!roles.world.folder.join("no.key").exists(), "none is made");

    let number = ["ledger", "erase", "--number", NUMBER, "--reason", "asked", "--yes"];
    fails(&gate, &number, &["permission denied", "noticegate_clerk"]);
    done(&clerk, &["ledger", "subject", NUMBER]);
    done(&clerk, &number);
    let said = done(&owner, &["ledger", "query", "--kind", "redaction", "--format", "json"]);
    assert!(said.contains("redaction"));
    assert_holds(&owner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_may_not_make_tables_says_who_has_to() {
    let roles = Roles::new().await;
    let owner = roles.world.folder.join("noticegate.toml");
    // Elsewhere, so that the roles exist.
    let elsewhere = Roles::new().await;
    done(&elsewhere.world.folder.join("noticegate.toml"), &["ledger", "migrate"]);
    elsewhere.grant();
    let gate = roles.configuration("only_gate");
    fails(&gate, &["serve"], &["permission denied"]);
    fails(&gate, &["ledger", "tail"], &["noticegate ledger migrate"]);
    done(&owner, &["ledger", "migrate"]);
    roles.grant();
    assert!(Process::configured(&gate, &[]).terminate());
    // A newer version's tables.
    let newer = "INSERT INTO noticegate.migration VALUES (99, 'of the future')";
    Server::shared().sql(&roles.database, newer);
    for words in [["serve"].as_slice(), &["ledger", "migrate"], &["ledger", "verify"]] {
        fails(&gate, words, &["use the newer noticegate"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_do_to_a_ledger_works_in_a_database_beside_a_running_gate() {
    let roles = Roles::new().await;
    let config = roles.world.folder.join("noticegate.toml");
    let process = Process::start(&roles.world.folder, &[]);
    let load = load(&roles.world, &process, 4);
    load.until(40).await;
    let seen = load.drain().await;
    let all = ["ledger", "query", "--count", "--number", NUMBER, "--kind", "intent"];
    assert_eq!(done(&config, &all).trim(), seen.len().to_string());
    let account = done(&config, &["ledger", "subject", NUMBER]);
    assert!(account.contains("quality"), "the purposes are told");

    let out = roles.world.folder.join("out.jsonl");
    let export = ["ledger", "export", "--form", "jsonl", "--out", out.to_str().unwrap()];
    assert!(done(&config, &export).contains("SHA-256"));
    assert!(std::fs::read_to_string(&out).unwrap().lines().count() > seen.len());
    let bundle = roles.world.folder.join("bundle");
    done(&config, &["ledger", "export", "--bundle", bundle.to_str().unwrap()]);

    done(&config, &["ledger", "erase", "--number", NUMBER, "--reason", "asked", "--yes"]);
    assert_eq!(done(&config, &all).trim(), "0", "nobody has that number any more");
    assert_eq!(one(&roles.world, &process).await.status, 200, "the gate goes on");
    assert!(process.terminate());
    let entries = roles.world.read_entries();
    for kind in ["accounting", "export", "redaction"] {
        assert!(!of_kind(&entries, kind).is_empty(), "{kind}");
    }
    assert_holds(&config);
}

on_both_stores!(what_is_old_enough_is_pruned_beside_a_running_gate_and_all_proofs_hold);

async fn what_is_old_enough_is_pruned_beside_a_running_gate_and_all_proofs_hold(store: Store) {
    let mut world = World::prepare(&WorldSettings {
        store,
        ledger_config: "keep_days = 10".to_owned(),
        config: "[log]\nformat = \"json\"".to_owned(),
        ..WorldSettings::default()
    })
    .await;
    let config = world.folder.join("noticegate.toml");
    // By the clock on the wall, that is more than ten days ago.
    world.clock = Clock::manual("2026-11-05T12:00:00Z".parse().unwrap());
    world = world.started();
    for _ in 0..140 {
        assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    }
    world.stop().await;
    let young = Process::start(&world.folder, &[]);
    assert!(done(&config, &["ledger", "prune"]).contains("256 entries, 0 to 255"));
    assert_holds(&config);
    let entries = world.read_entries();
    let pruned = done(&config, &["ledger", "prune", "--yes", "--reason", "ten days"]);
    assert!(pruned.contains("Dropped 256 entries"), "{pruned}");
    assert!(done(&config, &["ledger", "prune", "--yes"]).contains("No whole tile"));
    let left = world.read_entries();
    assert_eq!(left[..left.len() - 1], entries[256..], "no other entry went");
    assert_eq!(left.last().unwrap()["t"], "prune");
    assert_eq!(assert_holds(&config)["pruned"], 256);
    assert!(young.terminate());
    // Who starts anew goes on from there.
    assert!(Process::start(&world.folder, &[]).terminate());
    done(&config, &["ledger", "rebuild"]);
    assert_eq!(assert_holds(&config)["pruned"], 256);
}
