//! Promise 4: what is unknown, missing or broken refuses, and says which and what to do.

use jiff::{SignedDuration, Timestamp};
use noticegate::standin::{Fault, Misbehaviour, RecordingStatus};
use serde_json::json;

use crate::support::world::{copy_folder, of_kind};
use crate::support::{ACCOUNT, CALL, RECORDING, World, WorldSettings, path, recording};

/// A world with quick retries, so that an upstream that fails is soon known to.
async fn world() -> World {
    let config = "[upstream]\nretries_max = 0\nhead_timeout_ms = 2000".to_owned();
    World::with(WorldSettings { config, ..WorldSettings::default() }).await
}

fn always(path_contains: &str, fault: Fault) -> Misbehaviour {
    Misbehaviour { path_contains: path_contains.to_owned(), fault, times: None }
}

#[tokio::test]
async fn unknown_consent_is_not_consent() {
    let mut world = world().await;
    let request = world.who("tom", "trainer", "staff-training", &path(".wav"));
    let answer = world.send(request).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json()["clause"], "training-consent");
    assert!(world.media_requests().is_empty());
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "refusal")[0]["facts"]["consent"], "unknown");
}

/// Each way in which the facts cannot be had, what the caller is told, and what is on record.
#[tokio::test]
async fn without_facts_there_is_no_decision() {
    let metadata = format!("{RECORDING}.json");
    let call = format!("{CALL}.json");
    let replace = |key: &str, value: serde_json::Value| Fault::ReplaceJson(json!({ key: value }));
    let other = "AC00000000000000000000000000000009";
    let cases = [
        ("metadata answers 500", always(&metadata, status(500)), 503),
        ("metadata never answers", always(&metadata, Fault::StallBeforeHead), 503),
        ("metadata is not JSON", always(&metadata, Fault::BreakJson), 503),
        ("no start time", always(&metadata, replace("start_time", json!(null))), 503),
        ("odd start time", always(&metadata, replace("start_time", json!("soon"))), 503),
        ("no duration", always(&metadata, replace("duration", json!(null))), 503),
        ("unknown status", always(&metadata, replace("status", json!("splendid"))), 503),
        ("another account's", always(&metadata, replace("account_sid", json!(other))), 503),
        ("another recording", always(&metadata, replace("sid", json!(other))), 503),
        ("the call answers 500", always(&call, status(500)), 503),
        ("Twilio is busy", always(&metadata, status(429)), 429),
        ("Twilio has no such recording", always(&metadata, status(404)), 404),
    ];
    let mut world = world().await;
    let count = cases.len();
    for (name, rule, expected) in cases {
        world.standin.behave();
        world.standin.misbehave(rule);
        let answer = world.send(world.ana(&path(".wav"))).await;
        assert_eq!(answer.status, expected, "{name}");
        assert!(world.media_requests().is_empty(), "{name}");
        if expected != 404 {
            assert!(answer.header("retry-after").is_some(), "{name}");
        }
    }
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent").is_empty());
    let refusals = of_kind(&entries, "refusal");
    assert_eq!(refusals.len(), count);
    for refusal in refusals {
        assert_eq!(refusal["reason"], "undecidable");
        assert!(refusal["detail"].is_string(), "the entry says which fact: {refusal}");
    }
}

fn status(status: u16) -> Fault {
    Fault::Status { status, retry_after: None }
}

/// A call that Twilio has forgotten leaves its direction unknown, which no clause here needs.
#[tokio::test]
async fn a_forgotten_call_leaves_its_direction_unknown() {
    let mut world = world().await;
    world.standin.misbehave(always(&format!("{CALL}.json"), status(404)));
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent")[0]["facts"].get("direction").is_none());
}

#[tokio::test]
async fn facts_that_have_grown_old_are_read_again_or_refuse() {
    let mut world = world().await;
    let metadata = format!("{RECORDING}.json");
    let reads = |world: &World| {
        world.standin.seen().iter().filter(|s| s.path_and_query.ends_with(&metadata)).count()
    };
    let later = |seconds: i64| -> Timestamp {
        crate::support::NOW.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    };
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    world.clock.set(later(299));
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(reads(&world), 1);
    world.clock.set(later(300));
    world.standin.misbehave(always(&metadata, status(500)));
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 503);
    world.standin.behave();
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(reads(&world), 3);
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 3);
}

#[tokio::test]
async fn a_recording_from_the_future_is_not_believed() {
    let recordings = vec![recording(RECORDING, "2026-11-23T12:05:01Z")];
    let mut world = World::with(WorldSettings { recordings, ..WorldSettings::default() }).await;
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(answer.status, 503);
    world.clock.set("2026-11-23T12:00:01Z".parse().unwrap());
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(of_kind(&world.entries().await, "refusal")[0]["reason"], "undecidable");
}

/// Cedar skips a policy that fails to evaluate, even a forbid, and would answer Allow.
#[tokio::test]
async fn a_policy_that_fails_to_evaluate_refuses_everything_it_touches() {
    let policies = |folder: &std::path::Path| {
        let file = folder.join("guardrails.cedar");
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str(
            "@id(\"guardrail-overflow\")\n@reason(\"it overflows\")\nforbid (principal, action, \
             resource) when { resource.ageSeconds * 9223372036854775807 == 5 };\n",
        );
        std::fs::write(file, text).unwrap();
    };
    let mut world = World::with(WorldSettings { policies, ..WorldSettings::default() }).await;
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(answer.status, 503);
    assert!(answer.json()["message"].as_str().unwrap().contains("could not be evaluated"));
    assert!(world.media_requests().is_empty());
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent").is_empty());
    assert_eq!(of_kind(&entries, "refusal")[0]["reason"], "undecidable");
}

/// One read of the facts serves all who wait for them.
#[tokio::test]
async fn many_callers_of_one_recording_ask_twilio_once() {
    let world = world().await;
    let all = (0..20).map(|_| world.send(world.ana(&path(".wav"))));
    let answers = futures_join(all).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let seen = world.standin.seen();
    let reads = seen.iter().filter(|s| s.path_and_query.ends_with(".json")).count();
    assert_eq!(reads, 2, "the Recording and its Call, once each");
}

async fn futures_join<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = all.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|cx| {
        pending.retain_mut(|future| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

/// A policy folder that cannot be read is no reason to permit anything: the gate does not start.
#[tokio::test]
async fn an_unreadable_policy_folder_does_not_start() {
    let settings = WorldSettings {
        policies: |folder| std::fs::remove_file(folder.join("guardrails.cedar")).unwrap(),
        ..WorldSettings::default()
    };
    let world = World::prepare(&settings).await;
    let config = noticegate::config::Config::load(&world.folder.join("noticegate.toml")).unwrap();
    let error = noticegate::serve::Prepared::new(config, world.clock.clone()).unwrap_err();
    assert!(error.to_string().contains("guardrails.cedar"), "{error}");
    copy_folder(std::path::Path::new("policies"), &world.folder.join("policies"));
    assert_eq!(world.started().send_ok().await, 200);
}

impl World {
    async fn send_ok(&self) -> u16 {
        self.send(self.ana(&path(".wav"))).await.status
    }
}

/// A recording that is still being made has no media; its facts are young or not at all.
#[tokio::test]
async fn a_recording_that_is_not_completed_is_looked_at_again_soon() {
    let mut unfinished = recording(RECORDING, "2026-11-23T11:59:00Z");
    unfinished.status = RecordingStatus::Processing;
    let recordings = vec![unfinished];
    let world = World::with(WorldSettings { recordings, ..WorldSettings::default() }).await;
    assert_eq!(world.send_ok().await, 404);
    world.standin.add(ACCOUNT, recording(RECORDING, "2026-11-23T11:59:00Z"));
    world.clock.set("2026-11-23T12:00:02Z".parse().unwrap());
    assert_eq!(world.send_ok().await, 200);
    let intents = world.read_entries();
    let statuses: Vec<&str> = of_kind(&intents, "intent")
        .iter()
        .map(|entry| entry["facts"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["processing", "completed"]);
}
