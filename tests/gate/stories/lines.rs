//! Which telephone line a call came on is known by its number, and the number goes nowhere.

use std::path::Path;

use noticegate::standin::SampleRecording;

use crate::support::policies::{change, derive};
use crate::support::world::of_kind;
use crate::support::{ACCOUNT, World, WorldSettings, recording};

const SUPPORT: &str = "RE0000000000000000000000000000001a";
const SALES: &str = "RE0000000000000000000000000000001b";
const ELSEWHERE: &str = "RE0000000000000000000000000000001c";
const BETWEEN: &str = "RE0000000000000000000000000000001d";
const SUPPORT_NUMBER: &str = "+14045550188";
const SALES_NUMBER: &str = "+14045550177";

fn call(sid: &str, from: &str, to: &str) -> SampleRecording {
    let call = sid.replace("RE", "CA");
    let (from, to) = (from.to_owned(), to.to_owned());
    SampleRecording { call_sid: Some(call), from, to, ..recording(sid, "2026-11-03T09:15:02Z") }
}

/// Analysts may hear calls on the support line alone.
fn only_support(folder: &Path) {
    change(
        folder,
        "notices/2026-03-01/clauses.toml",
        "purposes = [\"quality-monitoring\"]\n",
        "purposes = [\"quality-monitoring\"]\nlines = [\"support\"]\n",
    );
    derive(folder);
}

#[tokio::test]
async fn a_clause_for_one_line_is_held_to_the_numbers_of_the_call() {
    let settings = WorldSettings {
        recordings: vec![
            call(SUPPORT, "+14045550123", SUPPORT_NUMBER),
            call(SALES, "+14045550123", SALES_NUMBER),
            call(ELSEWHERE, "+14045550123", "+14045550199"),
            call(BETWEEN, SALES_NUMBER, SUPPORT_NUMBER),
        ],
        policies: only_support,
        ..WorldSettings::default()
    };
    let mut world = World::with(settings).await;
    let ask = |sid: &str| {
        world.send(world.ana(&format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}.wav")))
    };
    assert_eq!(ask(SUPPORT).await.status, 200);
    for (sid, said) in [
        (SALES, "it holds for line support; this is sales"),
        (ELSEWHERE, "it holds for line support; of this one it is not known"),
        // Nobody can say which line's call this is.
        (BETWEEN, "it holds for line support; of this one it is not known"),
    ] {
        let answer = ask(sid).await;
        assert_eq!(answer.status, 403, "{sid}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(world.media_requests().len(), 1);
    let entries = world.entries().await;
    let labels = &of_kind(&entries, "intent")[0]["decision"]["labels"];
    assert_eq!(labels["line"], "support");
    assert_eq!(labels["department"], "customer-service");
    assert_eq!(of_kind(&entries, "refusal").len(), 3);
    let record = serde_json::to_string(&entries).unwrap();
    assert!(!record.contains("305555"), "no number is on record");
}
