//! Promise 2: the notice in force when the recording was made governs it, narrowed by every notice
//! since.

use std::path::Path;

use noticegate::standin::SampleRecording;

use crate::support::policies;
use crate::support::world::of_kind;
use crate::support::{ACCOUNT, Answer, World, WorldSettings, recording};

const BEFORE_ANY: &str = "RE0000000000000000000000000000000a";
const OLD_NOTICE: &str = "RE0000000000000000000000000000000b";
const LAST_SECOND: &str = "RE0000000000000000000000000000000c";
const FIRST_SECOND: &str = "RE0000000000000000000000000000000d";
const OVER_A_YEAR: &str = "RE0000000000000000000000000000000e";

fn recordings() -> Vec<SampleRecording> {
    vec![
        recording(BEFORE_ANY, "2025-01-31T23:59:59Z"),
        recording(OLD_NOTICE, "2026-02-10T10:00:00Z"),
        recording(LAST_SECOND, "2026-02-28T23:59:59Z"),
        recording(FIRST_SECOND, "2026-03-01T00:00:00Z"),
        recording(OVER_A_YEAR, "2025-10-01T10:00:00Z"),
    ]
}

async fn world(policies: fn(&Path)) -> World {
    World::with(WorldSettings { recordings: recordings(), policies, ..WorldSettings::default() })
        .await
}

fn path(sid: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}.wav")
}

async fn quality(world: &World, sid: &str) -> Answer {
    world.send(world.ana(&path(sid))).await
}

async fn training(world: &World, sid: &str) -> Answer {
    world.send(world.who("tom", "trainer", "staff-training", &path(sid))).await
}

#[tokio::test]
async fn the_second_of_a_change_belongs_to_the_new_notice() {
    let mut world = world(|_| {}).await;
    for (sid, notice) in [(LAST_SECOND, "2025-02-01"), (FIRST_SECOND, "2026-03-01")] {
        let answer = quality(&world, sid).await;
        assert_eq!(answer.status, 200, "{sid}");
        let entries = world.read_entries();
        let intent = entries.iter().find(|entry| entry["id"] == answer.entry()).unwrap();
        assert_eq!(intent["decision"]["notice"], notice);
        assert_eq!(intent["decision"]["cited"][0]["notice"], notice);
    }
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 2);
}

#[tokio::test]
async fn before_the_first_notice_nothing_was_promised() {
    let mut world = world(|_| {}).await;
    let answer = quality(&world, BEFORE_ANY).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json()["reason"], "no-notice");
    assert!(world.media_requests().is_empty());
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "refusal")[0]["reason"], "no-notice");
    assert!(of_kind(&entries, "intent").is_empty());
}

#[tokio::test]
async fn a_later_notice_takes_away_at_once() {
    let mut world = world(|_| {}).await;
    // While the first notice stood alone, training was allowed without asking.
    world.clock.set("2026-02-28T23:59:59Z".parse().unwrap());
    assert_eq!(training(&world, OLD_NOTICE).await.status, 200);
    world.clock.set("2026-03-01T00:00:00Z".parse().unwrap());
    let answer = training(&world, OLD_NOTICE).await;
    assert_eq!(answer.status, 403);
    let problem = answer.json();
    assert_eq!(problem["notice"], "2026-03-01");
    assert_eq!(
        problem["quote"],
        "We use recordings to train our staff only if everyone on the call has agreed to it."
    );
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 1);
    assert_eq!(world.media_requests().len(), 1);
}

#[tokio::test]
async fn a_later_notice_shortens_the_time_of_older_recordings() {
    let mut world = world(|_| {}).await;
    let answer = quality(&world, OVER_A_YEAR).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json()["quote"], "We delete a recording 12 months after the call.");
    // Before the shorter period was published, the longer one held.
    world.clock.set("2026-02-28T23:00:00Z".parse().unwrap());
    assert_eq!(quality(&world, OVER_A_YEAR).await.status, 200);
    assert_eq!(of_kind(&world.entries().await, "refusal").len(), 1);
}

/// The first notice did not promise copies; the second does.
#[tokio::test]
async fn a_later_notice_gives_nothing_for_older_recordings() {
    let mut world = world(|folder| {
        let clause = "effect = \"permit\"\nroles = [\"privacy-officer\"]\n\
                      purposes = [\"rights-request\"]";
        let meaning = "notices/2025-02-01/clauses.toml";
        policies::change(folder, meaning, clause, "effect = \"inform\"");
        policies::derive(folder);
    })
    .await;
    let ask = |sid| world.send(world.who("pia", "privacy-officer", "rights-request", &path(sid)));
    // To her roles the first notice gives nothing at all, so the recording does not exist.
    assert_eq!(ask(LAST_SECOND).await.status, 404);
    assert_eq!(ask(FIRST_SECOND).await.status, 200);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "refusal")[0]["reason"], "not-for-caller");
    assert_eq!(of_kind(&entries, "intent")[0]["media"]["recording"], FIRST_SECOND);
}

/// The call ended four seconds after it started; a year later it is over, to the second.
#[tokio::test]
async fn use_ends_in_the_second_in_which_the_period_ends() {
    let world = world(|_| {}).await;
    for (now, status) in [
        ("2027-03-01T00:00:03Z", 200),
        ("2027-03-01T00:00:04Z", 403),
        ("2027-03-01T00:00:05Z", 403),
    ] {
        world.clock.set(now.parse().unwrap());
        assert_eq!(quality(&world, FIRST_SECOND).await.status, status, "{now}");
    }
}
