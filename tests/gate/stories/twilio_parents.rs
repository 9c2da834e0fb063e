//! What hangs on a recording or a message by its path alone. The decision is about the recording or
//! the message, so the gate makes sure that the thing is theirs, and does not leave that to Twilio.

use noticegate::standin::{Fault, Misbehaviour};
use serde_json::json;

use crate::support::World;
use crate::support::everything::sid;
use crate::support::twilio::{self, path, with_deletion};
use crate::support::world::of_kind;

const PAYLOAD: &str = "{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}";

struct Below {
    /// What is asked for.
    url: &'static str,
    /// Where Twilio describes it, without `.json`.
    described: &'static str,
    /// The key under which it says what it belongs to.
    key: &'static str,
    artefact: &'static str,
}

const BELOW: [Below; 4] = [
    Below {
        url: "{A}/Messages/{MM}/Media/{ME}",
        described: "{A}/Messages/{MM}/Media/{ME}",
        key: "parent_sid",
        artefact: "message-media",
    },
    Below {
        url: "{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data.json",
        described: PAYLOAD,
        key: "add_on_result_sid",
        artefact: "analysis",
    },
    Below {
        url: "{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data/Content",
        described: PAYLOAD,
        key: "reference_sid",
        artefact: "analysis",
    },
    Below {
        url: "{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data/Content",
        described: PAYLOAD,
        key: "account_sid",
        artefact: "analysis",
    },
];

/// Twilio says of a thing that it is another one's, and would give it all the same.
fn belongs_elsewhere(world: &World, described: &str, key: &str) {
    let other = match key {
        "account_sid" => sid("AC", 9),
        _ => sid("XX", 9),
    };
    let fault = Fault::ReplaceJson(json!({ key: other }));
    let path_contains = format!("{}.json", path(described));
    world.standin.misbehave(Misbehaviour { path_contains, fault, times: None });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_are_had_only_under_what_they_belong_to() {
    for Below { url, described, key, artefact } in BELOW {
        let mut world = World::with(twilio::settings(twilio::each_their_own)).await;
        belongs_elsewhere(&world, described, key);
        for method in ["GET", "HEAD"] {
            let request = world.for_artefact(artefact, &path(url)).method(method);
            assert_eq!(world.send(request).await.status, 404, "{method} {url} of another {key}");
        }
        let asked = world.upstream_lines();
        let described = format!("{}.json", path(described));
        assert!(asked.iter().any(|line| line.ends_with(&described)), "{asked:?}");
        let own = path(&url.replace("/Data/Content", "/Data.json"));
        assert!(!asked.iter().any(|line| line.ends_with(&own)), "{asked:?}");
        let entries = world.entries().await;
        assert_eq!(of_kind(&entries, "refusal").len(), 2);
        assert!(of_kind(&entries, "intent").is_empty());
    }
}

/// It cannot move, so Twilio is asked once for however many parts of it are had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_belongs_is_asked_once() {
    let world = World::with(twilio::settings(twilio::each_their_own)).await;
    let url = path("{A}/Messages/{MM}/Media/{ME}");
    for range in ["bytes=0-1", "bytes=2-"] {
        let request = world.for_artefact("message-media", &url).header("range", range);
        assert_eq!(world.send(request).await.status, 206);
    }
    let described = format!("GET {url}.json");
    let asked = world.upstream_lines().into_iter().filter(|line| *line == described);
    assert_eq!(asked.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deleted_under_what_it_does_not_belong_to() {
    let (transcription, result) =
        ("{A}/Recordings/{RE}/Transcriptions/{TR}", "{A}/Recordings/{RE}/AddOnResults/{XR}");
    for (described, key) in [
        (transcription, "recording_sid"),
        (result, "reference_sid"),
        (PAYLOAD, "add_on_result_sid"),
        ("{A}/Messages/{MM}/Media/{ME}", "parent_sid"),
    ] {
        let mut world = World::with(twilio::settings(with_deletion)).await;
        belongs_elsewhere(&world, described, key);
        let url = format!("{}.json", path(described));
        let request = world.who("dora", "privacy-officer", "rights-request", &url);
        let answer = world.send(request.method("DELETE")).await;
        assert_eq!(answer.status, 404, "{url} of another {key}");
        let asked = world.upstream_lines();
        assert!(!asked.iter().any(|line| line.starts_with("DELETE")), "{asked:?}");
        let entries = world.entries().await;
        assert_eq!(of_kind(&entries, "refusal").len(), 1);
        assert!(of_kind(&entries, "intent").is_empty());
    }
}
