//! Shares at the command line, and what a new policy folder would do to those that are out.

use serde_json::Value;

use crate::support::WorldSettings;
use crate::support::client::Client;
use crate::support::policies::{change, derive};
use crate::support::process::{Process, assert_holds, noticegate, world_of_processes};
use crate::support::shares::{bodiless, copy_with, post, program, why};
use crate::support::world::{RECORDING, copy_folder, of_kind};

fn create<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let words = [
        "share",
        "create",
        RECORDING,
        "--role",
        "privacy-officer",
        "--by",
        "petra",
        "--recipient",
        "data-subject",
        "--country",
        "GB",
        "--purpose",
        "rights-request",
        "--name",
        "Ms Jo Bloggs",
    ];
    words.into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_made_listed_shown_and_taken_back_beside_a_running_gate() {
    let world = world_of_processes(WorldSettings::default()).await;
    world.clock.set(noticegate::clock::Clock::system().now());
    let gate = Process::start(&world.folder, &[]);
    let client = Client::new(gate.address, world.authority.certificate());
    let config = world.folder.join("noticegate.toml");
    let refused = noticegate(&config, &create(&[]));
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("once you have shown us"), "{refused:?}");
    let wrong = noticegate(&config, &create(&["--uses", "0"]));
    assert_eq!((wrong.code, wrong.err.contains("`uses`")), (3, true), "{wrong:?}");
    let wrong = noticegate(&config, &create(&["--part", "x-y"]));
    assert_eq!(wrong.code, 3, "{wrong:?}");
    let proof = ["--identity-check", "passport seen", "--uses", "2", "--form", "wav"];
    let made = noticegate(&config, &create(&[&proof[..], &["--format", "json"]].concat()));
    assert_eq!(made.code, 0, "{made:?}");
    let made = made.json();
    let (id, url) = (made["id"].as_str().unwrap(), made["url"].as_str().unwrap());
    let path = url.strip_prefix("https://localhost").unwrap();
    let answer = client.send(bodiless(program(path))).await;
    assert_eq!((answer.status, answer.body.len()), (200, 20_000));
    let list = noticegate(&config, &["share", "list", "--format", "json"]).json();
    assert_eq!((&list["id"], &list["uses_left"]), (&id.into(), &1.into()));
    assert_eq!(list["made_by"], "operator:petra");
    let shown = noticegate(&config, &["share", "show", id]);
    assert!(shown.out.contains("Ms Jo Bloggs") && !shown.out.contains("/s/"), "{shown:?}");
    let unknown = "019aa000-0000-7000-8000-000000000001";
    assert_eq!(noticegate(&config, &["share", "show", unknown]).code, 3);
    let revoked = noticegate(&config, &["share", "revoke", id, "--reason", "sent by mistake"]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    // The gate need not have heard of it: the store refuses what does not know it.
    let over = client.send(bodiless(program(path))).await;
    assert_eq!((over.status, why(&over).as_str()), (410, "share-revoked"));
    assert_eq!(noticegate(&config, &["share", "list"]).out, "");
    let all = noticegate(&config, &["share", "list", "--all"]);
    assert!(all.out.contains("revoked"), "{all:?}");
    let code = noticegate(&config, &create(&[&proof[..], &["--bind", "code"]].concat()));
    assert!(code.out.contains("Its code, to be sent another way"), "{code:?}");
    assert!(gate.terminate());
    let entries = world.read_entries();
    assert_eq!((of_kind(&entries, "share").len(), of_kind(&entries, "share-end").len()), (2, 1));
    let text = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("Bloggs") && !text.contains("mistake") && !text.contains(&path[3..]));
    assert_holds(&config);
    // Who received it can be erased by name.
    let erase = ["ledger", "erase", "--name", "Ms Jo Bloggs", "--reason", "request 7", "--yes"];
    assert_eq!(noticegate(&config, &erase).code, 0);
    let shown = noticegate(&config, &["share", "show", id]);
    assert!(!shown.out.contains("Bloggs"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_new_policies_tells_which_links_they_would_stop() {
    let world = world_of_processes(WorldSettings::default()).await;
    world.clock.set(noticegate::clock::Clock::system().now());
    let gate = Process::start(&world.folder, &[]);
    let client = Client::new(gate.address, world.authority.certificate());
    let made =
        client.send_full(post(&world.petra(), &copy_with(&serde_json::json!({})), &[])).await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let config = world.folder.join("noticegate.toml");
    let draft = world.folder.join("draft");
    copy_folder(&world.folder.join("policies"), &draft);
    let folder = draft.to_str().unwrap();
    let check = ["check", "--policies", folder, "--shares"];
    let fine = noticegate(&config, &check);
    assert_eq!((fine.code, fine.out.contains("share would stop")), (0, false), "{fine:?}");
    let (from, to) = ("needs = [\"identity-check\"]", "needs = [\"identity-check\", \"approval\"]");
    change(&draft, "notices/2026-03-01/clauses.toml", from, to);
    derive(&draft);
    let told = noticegate(&config, &check);
    assert!(told.out.contains("share would stop") && told.out.contains(&id), "{told:?}");
    let strict = noticegate(&config, &[&check[..], &["--deny-warnings"]].concat());
    assert_eq!(strict.code, 1, "{strict:?}");
    assert!(gate.terminate());
}
