//! What must go is deleted at Twilio: all of it, once, on record before and after, and never what a
//! hold keeps.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use noticegate::clock::Clock;
use noticegate::config::Config;
use noticegate::ledger::Clerk;
use noticegate::standin::{Fault, Misbehaviour, SampleRecording, SampleTranscription};
use noticegate::sweep::Fate;
use serde_json::{Value, json};

use crate::support::everything::sid;
use crate::support::ledger::{until, verify};
use crate::support::process::{assert_holds, noticegate};
use crate::support::sweep::{deleting, looking, ninety_days, state, sweep, sweep_with};
use crate::support::twilio;
use crate::support::world::{Store, of_kind, on_both_stores};
use crate::support::{ACCOUNT, World, WorldSettings, recording};

/// More than 90 days after everything.
const LATER: &str = "2027-02-02T00:00:00Z";

async fn everything_later() -> World {
    let world = World::with(twilio::settings(ninety_days)).await;
    world.clock.set(LATER.parse().unwrap());
    world
}

/// Calls of their own, most of them of long ago.
fn calls(made: &[&str]) -> Vec<SampleRecording> {
    let one = |(digit, made): (u8, &&str)| SampleRecording {
        call_sid: Some(sid("CA", digit)),
        ..recording(&sid("RE", digit), made)
    };
    (1..).zip(made).map(one).collect()
}

const OLD: [&str; 3] = ["2026-03-01T10:00:00Z", "2026-04-01T10:00:00Z", "2026-11-03T10:00:00Z"];

fn old_calls(store: Store) -> WorldSettings {
    let (recordings, policies) = (calls(&OLD), ninety_days as fn(&Path));
    WorldSettings { recordings, policies, store, ..WorldSettings::default() }
}

fn deletions(world: &World) -> Vec<String> {
    let lines = world.upstream_lines().into_iter();
    lines.filter_map(|line| line.strip_prefix("DELETE ").map(str::to_owned)).collect()
}

fn voice(digit: u8) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{}.json", sid("RE", digit))
}

fn configuration(world: &World) -> std::path::PathBuf {
    world.folder.join("noticegate.toml")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_deletes_nothing_and_tells_what_would_go() {
    let mut world = everything_later().await;
    let swept = sweep(&world, looking()).await;
    assert_eq!(deletions(&world), Vec::<String>::new());
    let totals = swept.totals.as_ref().unwrap();
    // Six voice recordings, three transcriptions, four tracks, a composition and a transcript: of
    // the others one is deleted already and one was silent.
    assert_eq!((swept.count("due"), totals.failures), (15, 0), "{swept:?}");
    assert_eq!(totals.by_clause.get("2026-01-01#keep"), Some(&15));
    // Nobody knows the length of what is not complete, so that it counts from its start.
    assert_eq!(totals.oldest, Some("2027-02-01T09:15:02Z".parse().unwrap()));
    let entries = world.entries().await;
    assert!(of_kind(&entries, "deletion").is_empty());
    // A second earlier, nothing was due.
    let world = World::with(twilio::settings(ninety_days)).await;
    world.clock.set("2027-02-01T09:15:01Z".parse().unwrap());
    assert_eq!(sweep(&world, looking()).await.count("due"), 0);
    world.clock.set("2027-02-01T09:15:05Z".parse().unwrap());
    let found = sweep(&world, looking()).await.found;
    let due: Vec<_> = found.iter().map(|found| found.media.unwrap().to_string()).collect();
    assert_eq!(due, [voice(2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_goes_with_what_was_made_from_it_and_nothing_else() {
    let mut world = everything_later().await;
    world.standin.add(ACCOUNT, recording(&sid("RE", 9), "2027-01-01T00:00:00Z"));
    let swept = sweep(&world, deleting()).await;
    let base = format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{}", sid("RE", 1));
    let mut expected: Vec<String> = (1..=3)
        .map(|digit| format!("{base}/Transcriptions/{}.json", sid("TR", digit)))
        .chain([
            format!("{base}/AddOnResults/{}.json", sid("XR", 1)),
            format!("/v2/Transcripts/{}", sid("GT", 1)),
        ])
        .chain([1, 2, 5, 6, 7, 8].map(voice))
        .chain((1..=4).map(|digit| format!("/v1/Recordings/{}", sid("RT", digit))))
        .chain([format!("/v1/Compositions/{}", sid("CJ", 1))])
        .collect();
    let mut sent = deletions(&world);
    let place = |path: &str| sent.iter().position(|sent| sent == path).unwrap();
    assert!(expected[..5].iter().all(|part| place(part) < place(&voice(1))), "parts go first");
    expected.sort();
    sent.sort();
    assert_eq!(sent, expected);
    assert_eq!(swept.of(&sid("RE", 1)).parts.len(), 5);
    // One is not complete: Twilio refuses, and the sweep says so.
    let refused =
        Fate::Failed { status: Some(409), problem: "Twilio did not delete it".to_owned() };
    assert_eq!(swept.of(&sid("RE", 2)).fate, refused);
    assert_eq!((swept.count("deleted"), swept.totals.as_ref().unwrap().failures), (10, 1));
    // Again: only what failed is tried once more.
    world.standin.forget_seen();
    assert_eq!(sweep(&world, deleting()).await.count("deleted"), 0);
    assert_eq!(deletions(&world), [voice(2)]);
    let entries = world.entries().await;
    let (asked, told) = (of_kind(&entries, "deletion"), of_kind(&entries, "deleted"));
    assert_eq!((asked.len(), told.len()), (17, 17));
    for deletion in asked {
        assert_eq!((&deletion["actor"], &deletion["action"]), (&json!("keeper"), &json!("delete")));
        assert_eq!(deletion["ended_by"][0]["clause"], "keep");
        assert_eq!(deletion["decision"]["cited"][0]["clause"], "deletion");
        let own: Vec<_> = told.iter().filter(|told| told["of"] == deletion["id"]).collect();
        assert_eq!(own.len(), 1, "{deletion}");
        let (status, ending) = (&own[0]["status"], &own[0]["ending"]);
        match status.as_u64() {
            Some(409) => assert_eq!((ending, &own[0]["proof"]), (&json!("failed"), &Value::Null)),
            _ => {
                assert_eq!((status, ending), (&json!(204), &json!("gone")), "{}", own[0]);
                assert!(["404", "deleted"].contains(&own[0]["proof"].as_str().unwrap()));
            }
        }
    }
    replays(&world);
    let verified = verify(&world.folder, &["--people"]);
    assert_eq!((verified.code, verified.flaws), (0, Vec::new()));
}

/// Each deletion is in canonical form, and its decision can be made again from its entry.
fn replays(world: &World) {
    let folder = noticegate::folder::read(&world.folder.join("policies")).unwrap();
    let policies = noticegate::policy::Policies::load(&folder).unwrap();
    let file = rusqlite::Connection::open(&world.ledger).unwrap();
    let mut statement = file.prepare("SELECT bytes FROM entry ORDER BY seq").unwrap();
    let all = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    for bytes in all.map(Result::unwrap) {
        let entry: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_jcs::to_vec(&entry).unwrap(), bytes, "{entry}");
        if entry["t"] == "deletion" {
            let recalled = noticegate::ledger::recall(&bytes).unwrap();
            let (decision, again) = policies.judge(&recalled.question);
            assert!(recalled.agrees(&decision, &again), "{entry}");
        }
    }
}

async fn a_sweep_beside_a_gate_is_on_record(store: Store) {
    let mut world = World::with(old_calls(store)).await;
    let swept = sweep(&world, deleting()).await;
    assert_eq!((swept.count("deleted"), swept.count("not-due")), (2, 0), "{swept:?}");
    assert_eq!(deletions(&world), [voice(2), voice(1)]);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "deleted").len(), 2);
    assert_holds(&configuration(&world));
}

async fn one_sweep_leads(store: Store) {
    let world = World::with(old_calls(store)).await;
    let path = configuration(&world);
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let (led, leads) = tokio::sync::oneshot::channel();
    let other = std::thread::spawn(move || {
        let config = Config::load(&path).unwrap();
        let mut clerk = Clerk::open(&config.ledger, Clock::system(), "other".to_owned()).unwrap();
        clerk.lead_sweep().unwrap();
        let _ = led.send(());
        let _ = wait.recv();
    });
    leads.await.unwrap();
    let error = sweep(&world, deleting()).await.totals.unwrap_err();
    assert!(
        error.contains("another sweep is under way") && error.contains(char::is_numeric),
        "{error}"
    );
    let said = noticegate(&configuration(&world), &["sweep", "--delete"]);
    assert_eq!((said.code, said.err.contains("another sweep is under way")), (1, true), "{said:?}");
    assert!(deletions(&world).is_empty());
    // Who only looks needs no lead.
    assert_eq!(sweep(&world, looking()).await.count("due"), 2);
    drop(done);
    other.join().unwrap();
    assert_eq!(sweep(&world, deleting()).await.count("deleted"), 2);
}

async fn a_hold_that_comes_between_wins(store: Store) {
    let mut world = World::with(old_calls(store)).await;
    let (path, clock) = (configuration(&world), world.clock.clone());
    let once = std::sync::Once::new();
    let swept = sweep_with(&world, deleting(), move |_| {
        once.call_once(|| state(&path, &clock, hold(&sid("CA", 1))));
    });
    let swept = swept.await;
    assert_eq!(swept.of(&sid("RE", 1)).fate, Fate::Held(vec!["guardrail-hold".to_owned()]));
    assert_eq!(deletions(&world), [voice(2)]);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "deletion").len(), 1);
    assert_holds(&configuration(&world));
}

on_both_stores!(
    a_sweep_beside_a_gate_is_on_record,
    one_sweep_leads,
    a_hold_that_comes_between_wins
);

fn hold(about: &str) -> Value {
    json!({"about": [about], "hold": {"case": "C-1", "id": "H-1", "reason": "a claim"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_hold_nothing_goes_though_its_time_is_over() {
    let mut world = everything_later().await;
    for about in [sid("RE", 1), sid("RT", 1)] {
        state(&configuration(&world), &world.clock, hold(&about));
    }
    for order in [looking(), deleting()] {
        let swept = sweep(&world, order).await;
        for held in ["RE", "RT"] {
            let found = swept.of(&sid(held, 1));
            assert_eq!(found.fate, Fate::Held(vec!["guardrail-hold".to_owned()]));
            assert!(!found.fate.is_failure());
        }
        // What was made from it is held with it.
        assert!(swept.of(&sid("TR", 1)).fate.as_str() == "held");
    }
    let sent = deletions(&world);
    for kept in [sid("RE", 1), sid("TR", 1), sid("XR", 1), sid("GT", 1), sid("RT", 1)] {
        assert!(!sent.iter().any(|path| path.contains(&kept)), "{kept}");
    }
    assert!(sent.contains(&voice(5)));
    world.stop().await;
}

fn with_transcription(account: &mut noticegate::standin::StandInAccount) {
    account.transcriptions = vec![SampleTranscription {
        sid: sid("TR", 1),
        recording_sid: sid("RE", 1),
        created_at: OLD[0].parse().unwrap(),
        duration_seconds: 4,
        text: "Good morning.".to_owned(),
    }];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_all_go_stays_whole_and_is_told() {
    let settings = WorldSettings { samples: with_transcription, ..old_calls(Store::File) };
    let mut world = World::with(settings).await;
    let path_contains = format!("/Transcriptions/{}.json", sid("TR", 1));
    let fault = Fault::Status { status: 500, retry_after: None };
    world.standin.misbehave(Misbehaviour { path_contains, fault, times: None });
    let swept = sweep(&world, deleting()).await;
    let found = swept.of(&sid("RE", 1));
    assert_eq!((&found.fate, found.parts.len()), (&Fate::Partial, 1));
    assert!(matches!(found.parts[0].1, Fate::Failed { status: Some(500), .. }), "{found:?}");
    assert!(!deletions(&world).contains(&voice(1)));
    assert!(deletions(&world).contains(&voice(2)), "the others go");
    world.standin.behave();
    world.standin.forget_seen();
    assert_eq!(sweep(&world, deleting()).await.of(&sid("RE", 1)).fate, Fate::Deleted);
    assert!(deletions(&world).contains(&voice(1)));
    let entries = world.entries().await;
    let statuses = of_kind(&entries, "deleted").into_iter().map(|told| told["status"].as_u64());
    assert!(statuses.into_iter().any(|status| status == Some(500)));
    assert_holds(&configuration(&world));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_twilio_calls_deleted_is_never_deleted_twice() {
    let world = World::with(old_calls(Store::File)).await;
    assert_eq!(sweep(&world, deleting()).await.count("deleted"), 2);
    // It comes back, which nobody can explain.
    world.standin.add(ACCOUNT, calls(&OLD).remove(0));
    world.standin.forget_seen();
    let swept = sweep(&world, deleting()).await;
    assert_eq!(swept.of(&sid("RE", 1)).fate, Fate::NotProven);
    assert_eq!(swept.totals.unwrap().failures, 1);
    assert_eq!(deletions(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_answer_twilio_is_asked_what_became_of_it() {
    let config = "[upstream]\nhead_timeout_ms = 300".to_owned();
    let mut world = World::with(WorldSettings { config, ..old_calls(Store::File) }).await;
    let path_contains = voice(1);
    let fault = Fault::StallBeforeHead;
    world.standin.misbehave(Misbehaviour { path_contains, fault, times: Some(1) });
    let swept = sweep(&world, deleting()).await;
    assert!(matches!(swept.of(&sid("RE", 1)).fate, Fate::Failed { status: None, .. }), "{swept:?}");
    assert_eq!(sweep(&world, deleting()).await.of(&sid("RE", 1)).fate, Fate::Deleted);
    let entries = world.entries().await;
    let told = of_kind(&entries, "deleted");
    let unanswered: Vec<_> = told.iter().filter(|told| told["status"].is_null()).collect();
    assert_eq!((told.len(), unanswered.len()), (3, 1));
    assert_eq!(unanswered[0]["ending"], "failed");
    assert_holds(&configuration(&world));
}

/// The command, by the clock on the wall, which comes to an end at a step.
fn crash(world: &World, at: &str) -> bool {
    let command = Command::new(env!("CARGO_BIN_EXE_noticegate"))
        .args(["sweep", "--delete", "--config"])
        .arg(configuration(world))
        .env("NOTICEGATE_CRASH_AT", at)
        .output();
    command.unwrap().status.code().is_none()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_that_is_killed_goes_on_and_each_deletion_is_sent_once() {
    for step in ["delete-decided", "deletion", "delete-answered", "deleted", "written"] {
        for times in 1..=3 {
            let old = ["2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z", "2026-03-03T10:00:00Z"];
            let recordings = calls(&old);
            let settings =
                WorldSettings { recordings, samples: with_transcription, ..old_calls(Store::File) };
            let mut world = World::with(settings).await;
            world.stop().await;
            assert!(crash(&world, &format!("{step}:{times}")), "{step}:{times}");
            let said =
                noticegate(&configuration(&world), &["sweep", "--delete", "--format", "json"]);
            assert_eq!(said.code, 0, "{step}:{times} {said:?}");
            let mut sent = deletions(&world);
            sent.sort();
            let part = voice(1).replace(".json", &format!("/Transcriptions/{}.json", sid("TR", 1)));
            let mut expected = vec![part, voice(1), voice(2), voice(3)];
            expected.sort();
            assert_eq!(sent, expected, "{step}:{times}");
            let entries = world.read_entries();
            let told = of_kind(&entries, "deleted");
            let ended: std::collections::BTreeSet<&str> =
                told.iter().map(|told| told["of"].as_str().unwrap()).collect();
            assert_eq!(ended.len(), told.len(), "one answer each");
            assert_eq!(of_kind(&entries, "deletion").len(), told.len());
            assert_holds(&configuration(&world));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_tells_what_would_go_and_by_which_sentence() {
    let mut world = World::with(old_calls(Store::File)).await;
    world.stop().await;
    let config = configuration(&world);
    let said = noticegate(&config, &["sweep", "--format", "json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["fate"], &lines[0]["sid"]), (&json!("due"), &json!(sid("RE", 2))));
    assert_eq!(lines[0]["clauses"][0]["quote"], "A promise of keep.");
    assert_eq!(lines[2]["summary"]["fates"]["due"], 2);
    let said = noticegate(&config, &["sweep", "--delete", "--limit", "1"]);
    assert_eq!((said.code, deletions(&world).len()), (0, 1), "{said:?}");
    let said = noticegate(&config, &["sweep", "--account", "AC00000000000000000000000000000009"]);
    assert_eq!(said.code, 3, "{said:?}");
    // They are found, and evaluating the decision once more gives the same.
    let said = noticegate(&config, &["ledger", "query", "--recording", &sid("RE", 2)]);
    assert!(said.out.contains("deletion") && said.out.contains("gone with status 204"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_sweeps_by_its_schedule_and_stops_within_a_second() {
    let config = "[retention]\nschedule = \"03:10\"\nper_second = 1".to_owned();
    let mut world = World::with(WorldSettings { config, ..old_calls(Store::File) }).await;
    assert!(deletions(&world).is_empty());
    world.clock.set("2026-11-25T12:00:00Z".parse().unwrap());
    until(|| (!deletions(&world).is_empty()).then_some(())).await.unwrap();
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let entries = world.read_entries();
    assert_eq!(of_kind(&entries, "deletion")[0]["actor"], "schedule");
}
