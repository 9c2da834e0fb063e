//! What is told at the command line decides: consents, objections, participants, labels, payments,
//! cases, holds, announcements. What cannot be meant is refused with what can.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::review_cli::{command, done, tell};
use crate::support::world::{CALL, NUMBER, RECORDING, of_kind, path};
use crate::support::{World, WorldSettings};

/// The organisation's own end of the sample call.
const LINE: &str = "+14045550188";

async fn world() -> World {
    World::with(WorldSettings { law: true, ..WorldSettings::default() }).await
}

/// States something with a command, and waits until the gate has heard of it.
fn say(world: &World, words: &[&str]) -> u64 {
    let told = done(world, &[words, &["--format", "json"]].concat());
    let told: Value = serde_json::from_str(&told).unwrap();
    let entry = told["entry"].as_u64().unwrap();
    world.hears(entry + told["statements"].as_u64().unwrap() - 1);
    entry
}

async fn refused(world: &World, request: http::request::Builder, why: &str) {
    let before = world.media_requests().len();
    let answer = world.send(request).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 403, "{why}: {text}");
    assert!(text.contains(why), "{text}");
    let entries = world.read_entries();
    let refusal = of_kind(&entries, "refusal").last().copied().unwrap().clone();
    assert_eq!(refusal["id"], answer.header("noticegate-entry").unwrap());
    assert_eq!(world.media_requests().len(), before, "upstream saw nothing");
}

/// On two threads: the command asks the stand-in, which this process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consent_is_given_shown_and_taken_back() {
    let mut world = world().await;
    let trainer = || world.who("tom", "trainer", "staff-training", &path(".wav"));
    refused(&world, trainer(), "consent").await;
    let at = ["--at", "2026-11-03T09:15:05Z"];
    say(
        &world,
        &[
            &["consent", "set", LINE, "given", "--form", "contract"][..],
            &["--at", "2026-11-01T00:00:00Z"],
        ]
        .concat(),
    );
    let given = [
        "consent",
        "set",
        "+1 404 555 0123",
        "given",
        "--about",
        CALL,
        "--form",
        "spoke",
        "--purpose",
        "staff-training",
        "--by",
        "rita",
    ];
    let entry = say(&world, &[&given[..], &at].concat());
    assert_eq!(world.send(trainer()).await.status, 200);

    let shown = done(&world, &["consent", "show", RECORDING]);
    assert!(shown.contains("+1…23\n"), "{shown}");
    assert!(shown.contains("  given (spoke): staff-training"), "{shown}");
    assert!(shown.contains("+1…88, an agent\n  given (contract): every purpose"), "{shown}");
    assert!(
        shown.contains(&format!("{entry}  ")) && shown.contains("by rita: consent of +1…23 given")
    );
    assert!(!shown.contains("5550"), "{shown}");
    let in_full = done(&world, &["consent", "show", CALL, "--show-numbers", "--format", "json"]);
    let in_full: Value = serde_json::from_str(&in_full).unwrap();
    let people = in_full["participants"].as_array().unwrap();
    assert!(people.iter().any(|one| one["participant"]["number"] == NUMBER), "{in_full}");
    let early = done(&world, &["consent", "show", RECORDING, "--as-of", "2026-11-03T09:15:06Z"]);
    assert!(early.contains("Nothing was stated."), "what is known now was not known then: {early}");

    // Of the person in all their calls, with the number from a pipe.
    let mut child =
        command(&world, &["consent", "set", "-", "withdrawn", "--at", "2026-11-23T12:00:00Z"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
    child.stdin.take().unwrap().write_all(b"+1 (404) 555-0123\n").unwrap();
    assert!(child.wait().unwrap().success());
    let answer = world.send(trainer()).await;
    assert_eq!(answer.status, 403, "the next request is refused");
    let of_person = done(&world, &["consent", "show", NUMBER, "--format", "json"]);
    let of_person: Value = serde_json::from_str(&of_person).unwrap();
    assert_eq!(of_person["participants"][0]["consents"][0]["consent"], "withdrawn");
    assert_eq!(of_person["history"].as_array().unwrap().len(), 2, "with what was said in one call");

    say(
        &world,
        &[
            "consent",
            "object",
            NUMBER,
            "--purpose",
            "quality-monitoring",
            "--at",
            "2026-11-23T12:00:00Z",
        ],
    );
    refused(&world, world.ana(&path(".wav")), "object").await;
    let stated = done(&world, &["consent", "show", CALL, "--stated"]);
    assert!(stated.contains("Somebody objects to: quality-monitoring"), "{stated}");
    let text: String = world.entries().await.iter().map(Value::to_string).collect();
    assert!(!text.contains("404555"), "a number stands in no entry");
}

#[tokio::test]
async fn who_was_on_a_call_and_what_it_is_filed_under_decide() {
    let world = world().await;
    let ana = || world.ana(&path(".wav"));
    assert_eq!(world.send(ana()).await.status, 200);
    say(&world, &["call", "participant", NUMBER, "--about", CALL, "--address", "US-CA"]);
    refused(&world, ana(), "demands everybody's consent").await;
    let at = ["--at", "2026-11-03T09:15:05Z"];
    for (number, form) in [(NUMBER, "spoke"), (LINE, "contract")] {
        let words = ["consent", "set", number, "given", "--form", form, "--about", CALL];
        say(&world, &[&words[..], &at].concat());
    }
    assert_eq!(world.send(ana()).await.status, 200);
    say(&world, &["call", "paid", "yes", "--about", CALL]);
    refused(&world, ana(), "a card may have been recorded").await;
    let metrics = world.metrics().await;
    assert!(metrics.contains("noticegate_exposed_card_refusals_total 1\n"), "{metrics}");
    say(&world, &["call", "paid", "yes", "--about", CALL, "--pause", "1500-9000"]);
    assert_eq!(world.send(ana()).await.status, 200);
    say(&world, &["call", "label", "--about", CALL, "--line", "support", "--no-labels"]);
    let exported = done(&world, &["call", "export", CALL]);
    assert!(exported.contains("labels,") && exported.contains("1500-9000"), "{exported}");
}

#[tokio::test]
async fn a_hold_lies_on_calls_until_it_is_lifted() {
    let world = world().await;
    let other = "CA0000000000000000000000000000ab02";
    let place = ["hold", "place", "H-7", "--case", "C-1", "--reason", "a claim of Mr Smith"];
    say(&world, &[&place[..], &["--about", CALL, "--about", other]].concat());
    say(
        &world,
        &[&place[..], &["--person", NUMBER, "--for", "okta|1", "--purpose", "legal-claims"]]
            .concat(),
    );
    let listed = done(&world, &["hold", "list"]);
    assert!(listed.contains("H-7: for case C-1 since "), "{listed}");
    assert!(listed.contains("on 2 calls or recordings and 1 people"), "{listed}");
    let shown = done(&world, &["hold", "show", "H-7"]);
    assert!(shown.contains("a claim of Mr Smith, for okta|1 and legal-claims"), "{shown}");
    assert!(!shown.contains(NUMBER), "{shown}");
    let lifted = tell(&world, &["hold", "lift", "H-7", "--reason", "settled", "--format", "json"]);
    assert_eq!(lifted.json()[0]["statements"], 2, "from everything it lay on");
    assert!(done(&world, &["hold", "list"]).contains("No hold stands."));
    let again = tell(&world, &["hold", "lift", "H-7", "--reason", "settled"]);
    assert_eq!(again.code, 3);
    assert!(again.err.contains("no hold `H-7` stands"), "{}", again.err);
    let text: String = world.read_entries().iter().map(Value::to_string).collect();
    assert!(!text.contains("Smith"), "the reason is sealed");
}

#[tokio::test]
async fn a_case_is_closed_for_every_call_it_is_about() {
    let world = world().await;
    let other = "CA0000000000000000000000000000ab02";
    let at = |time: &'static str| ["--at", time];
    say(
        &world,
        &[&["case", "open", "C-1", "--about", CALL][..], &at("2026-11-04T09:00:00Z")].concat(),
    );
    say(
        &world,
        &[&["case", "open", "C-1", "--about", other][..], &at("2026-11-04T09:00:00Z")].concat(),
    );
    say(&world, &[&["case", "close", "C-1"][..], &at("2026-11-05T09:00:00Z")].concat());
    let shown = tell(&world, &["case", "show", "C-1", "--format", "json"]).json();
    let last = &shown[2]["statement"];
    assert_eq!(last["case"], json!({"at": "2026-11-05T09:00:00Z", "id": "C-1", "open": false}));
    assert_eq!(last["about"].as_array().unwrap().len(), 2);
    let unknown = tell(&world, &["case", "close", "C-2"]);
    assert_eq!(unknown.code, 3);
    assert!(unknown.err.contains("there is no case `C-2`"));
}

#[tokio::test]
async fn a_line_is_announced_with_the_hash_of_its_words() {
    let world = world().await;
    let trainer = || world.who("tom", "trainer", "staff-training", &path(".wav"));
    refused(&world, trainer(), "consent").await;
    let words = "This call is recorded to train our staff.";
    std::fs::write(world.folder.join("greeting.txt"), format!("{words}\n")).unwrap();
    let announce = [
        "line",
        "announce",
        "support",
        "greeting-3",
        "--text",
        "greeting.txt",
        "--since",
        "2026-11-01T00:00:00Z",
        "--consents",
        "--agents-agreed",
    ];
    say(&world, &announce);
    assert_eq!(world.send(trainer()).await.status, 200);
    let shown = tell(&world, &["line", "show", "support", "--format", "json"]).json();
    let said = &shown[0]["statement"]["announcement"];
    assert_eq!(said["text"], words);
    let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, words.as_bytes());
    let expected: String = expected.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(said["sha256"], expected);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_what_can() {
    let world = world().await;
    let before = world.read_entries().len();
    for (words, said) in [
        (&["consent", "set", "404 555 0123", "refused"][..], "plus sign and its country"),
        (&["consent", "set", "ana", "refused"], "`name:` with another name"),
        (
            &["consent", "set", NUMBER, "refused", "--purpose", "marketting"],
            "did you mean `marketing`?",
        ),
        (&["consent", "set", NUMBER, "given"], "how consent was given"),
        (&["consent", "set", NUMBER, "allowed"], "given, refused or withdrawn"),
        (&["consent", "set", NUMBER, "refused", "--at", "2026-11-03"], "2026-11-03T09:15:00Z"),
        (&["consent", "set", NUMBER, "refused", "--about", "CA1"], "SID"),
        (&["consent", "set", "name: ana", "refused"], "no white space at either end"),
        (&["call", "label", "--about", CALL, "--line", "suport"], "did you mean `support`?"),
        (&["call", "label", "--about", CALL], "--line"),
        (
            &["call", "paid", "yes", "--about", CALL, "--pause", "9000-1500"],
            "each ends after it starts",
        ),
        (&["call", "participant", NUMBER, "--about", CALL, "--address", "California"], "US-CA"),
        (&["hold", "place", "H", "--case", "C", "--reason", "r"], "--about"),
        (
            &[
                "line",
                "announce",
                "suport",
                "g",
                "--text",
                "ca.pem",
                "--since",
                "2026-11-01T00:00:00Z",
            ],
            "did you mean `support`?",
        ),
        (&["consent", "export", NUMBER, "--form", "vcon"], "one recording or call"),
    ] {
        let told = tell(&world, words);
        assert_eq!(told.code, 3, "{words:?}: {}{}", told.out, told.err);
        assert!(told.err.contains(said), "{words:?}: {}", told.err);
        assert!(!told.err.contains("5550123") && !told.err.contains("555 0123\n"), "{}", told.err);
    }
    assert_eq!(world.read_entries().len(), before, "nothing is on record");
}
