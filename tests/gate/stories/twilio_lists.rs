//! A list tells of those things that may be told of, each with an entry of its own, and of no
//! others; it goes on where Twilio's goes on; and it is never shorter than it should be.

use std::path::Path;

use noticegate::standin::{Direction, Fault, Misbehaviour, SampleRecording, StandInAccount};
use serde_json::{Value, json};

use crate::support::everything::{everything, sid};
use crate::support::policies::one_notice;
use crate::support::twilio::{self, each_their_own, path, permit};
use crate::support::world::of_kind;
use crate::support::{ACCOUNT, Client, World, WorldSettings, recording};

const LIST: &str = "{A}/Recordings.json";

/// Seven calls, the latest first: four came in, and three were made by the organisation.
fn calls() -> Vec<SampleRecording> {
    let call = |digit: u8| SampleRecording {
        call_sid: Some(sid("CA", digit)),
        direction: match digit {
            2..=4 => Direction::OutboundApi,
            _ => Direction::Inbound,
        },
        ..recording(&sid("RE", digit), &format!("2026-11-{:02}T09:15:02Z", 20 - digit))
    };
    (1..=7).map(call).collect()
}

/// Only calls that came in may be told of.
fn inbound_only(folder: &Path) {
    let audio =
        permit("audio", "quality-analyst", "quality-monitoring", "directions = [\"inbound\"]");
    one_notice(folder, &[("listening", &audio)]);
}

async fn world() -> World {
    let settings =
        WorldSettings { recordings: calls(), policies: inbound_only, ..WorldSettings::default() };
    World::with(settings).await
}

fn told(page: &Value) -> Vec<&str> {
    let items = page["recordings"].as_array().unwrap().iter();
    items.map(|item| item["sid"].as_str().unwrap()).collect()
}

fn fault(path_contains: &str, fault: Fault) -> Misbehaviour {
    Misbehaviour { path_contains: path_contains.to_owned(), fault, times: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_pages_are_walked_and_only_what_may_be_told_is_on_them() {
    let mut world = world().await;
    let token = format!("Bearer {}", world.token("ana", &["quality-analyst"]));
    let ask = async |path: &str| {
        let request = Client::get(path).header("authorization", &token);
        let answer = world.send(request).await;
        assert_eq!(answer.status, 200, "{path}");
        answer.json()
    };
    let mut next = Some(format!("{}?PageSize=2&purpose=quality-monitoring", path(LIST)));
    let (mut pages, mut bytes) = (Vec::new(), Vec::new());
    while let Some(path) = next {
        let page = ask(&path).await;
        for item in page["recordings"].as_array().unwrap() {
            bytes.push(item.to_string().len());
        }
        next = page["next_page_uri"].as_str().map(str::to_owned);
        pages.push(page);
    }
    let found: Vec<Vec<&str>> = pages.iter().map(told).collect();
    let [one, five, six, seven] = [1, 5, 6, 7].map(|digit| sid("RE", digit));
    assert_eq!(found, [vec![one.as_str()], vec![], vec![&five, &six], vec![&seven]]);
    let keys = |page: &Value| page.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(pages.iter().all(|page| keys(page) == keys(&pages[0])));
    // Whoever goes back comes to the same page.
    let back = ask(pages[2]["previous_page_uri"].as_str().unwrap()).await;
    assert_eq!(told(&back), Vec::<&str>::new());
    let first = ask(pages[3]["first_page_uri"].as_str().unwrap()).await;
    assert_eq!(told(&first), [one.as_str()]);
    bytes.push(first["recordings"][0].to_string().len());
    for seen in world.standin.seen() {
        assert!(!seen.path_and_query.contains("purpose"), "{}", seen.path_and_query);
    }

    let entries = world.entries().await;
    assert!(of_kind(&entries, "refusal").is_empty());
    let intents = of_kind(&entries, "intent");
    let recorded: Vec<&str> =
        intents.iter().map(|intent| intent["media"]["recording"].as_str().unwrap()).collect();
    assert_eq!(recorded, [&one, &five, &six, &seven, &one].map(String::as_str));
    for (intent, bytes) in intents.iter().zip(bytes) {
        assert_eq!(intent["action"], "describe");
        assert_eq!(intent["media"]["form"], "metadata");
        let outcomes = of_kind(&entries, "outcome").into_iter();
        let of: Vec<_> = outcomes.filter(|outcome| outcome["of"] == intent["id"]).collect();
        assert_eq!(of.len(), 1);
        assert_eq!((&of[0]["bytes"], &of[0]["ending"]), (&json!(bytes), &json!("complete")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_the_newer_products_lead_to_the_gate() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let token = format!("Bearer {}", world.token("tom", &["trainer"]));
    let mut next = Some("/v1/Recordings?PageSize=1&purpose=staff-training".to_owned());
    let mut found = Vec::new();
    let mut pages = 0;
    while let Some(url) = next {
        let request = Client::get(&url).header("authorization", &token);
        let answer = world.send(request).await;
        assert_eq!(answer.status, 200, "{url}");
        let page = answer.json();
        found.extend(told(&page).into_iter().map(str::to_owned));
        next = page["meta"]["next_page_url"].as_str().map(|url| {
            assert!(url.ends_with("&purpose=staff-training"), "{url}");
            url.strip_prefix("https://localhost").unwrap().to_owned()
        });
        pages += 1;
    }
    assert_eq!((pages, found), (4, vec![sid("RT", 2), sid("RT", 4)]));
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 2);
}

/// What is in a token is Twilio's own matter. It may be base64, with the letters that need an escape.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_token_may_hold_what_base64_does() {
    let world = world().await;
    let list = path(LIST);
    let next = format!("{list}?PageSize=2&Page=1&PageToken=YQ%2B%2Fb%3D%3D");
    let more = Fault::ReplaceJson(json!({ "next_page_uri": next }));
    world.standin.misbehave(fault(&list, more));
    let page = world.send(world.ana(&list)).await;
    assert_eq!((page.status, &page.json()["next_page_uri"]), (200, &json!(next)));
    world.standin.behave();
    world.standin.forget_seen();
    world.send(world.ana(&next)).await;
    assert_eq!(world.upstream_lines()[0], format!("GET {next}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_purpose_is_told_so() {
    let mut world = world().await;
    // Also if the first thing on the page cannot be decided on.
    world.standin.misbehave(fault(&sid("CA", 1), Fault::BreakJson));
    let bearer = format!("Bearer {}", world.token("ana", &["quality-analyst"]));
    for (purpose, reason) in [(None, "no-purpose"), (Some("mischief"), "unknown-purpose")] {
        let mut request = Client::get(&path(LIST)).header("authorization", &bearer);
        if let Some(purpose) = purpose {
            request = request.header("noticegate-purpose", purpose);
        }
        let answer = world.send(request).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.json()["reason"], reason);
        assert!(answer.header("noticegate-entry").is_some());
    }
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "refusal").len(), 2);
    assert!(of_kind(&entries, "intent").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_which_nothing_may_be_told_is_an_empty_page() {
    let mut world = world().await;
    let request = world.who("tom", "trainer", "staff-training", &path(LIST));
    let answer = world.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["recordings"], json!([]));
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent").is_empty() && of_kind(&entries, "refusal").is_empty());
}

/// What is on a page and cannot be decided on, since it is not what it should be, is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_decided_on_is_left_out() {
    let mut world = world().await;
    world.standin.misbehave(fault(&format!("Calls/{}", sid("CA", 5)), Fault::BreakJson));
    let answer = world.send(world.ana(&path(LIST))).await;
    assert_eq!(told(&answer.json()), [1, 6, 7].map(|digit| sid("RE", digit)));

    let page = twilio::Twilio::of(&world).get(&path(LIST)).await.json();
    let good = page["recordings"][6].clone();
    let changed = |key: &str, value: Value| {
        let mut item = page["recordings"][0].clone();
        item[key] = value;
        item
    };
    let items = json!([
        changed("sid", json!(null)),
        changed("sid", json!(7)),
        changed("sid", json!("CA0123456789abcdef0123456789abcdef")),
        changed("sid", json!("RE1/../RE2")),
        changed("account_sid", json!(sid("AC", 2))),
        changed("start_time", json!("yesterday")),
        changed("status", json!("splendid")),
        changed("duration", json!(null)),
        "text",
        null,
        [],
        7,
        {},
        good,
    ]);
    world.age();
    let replaced = Fault::ReplaceJson(json!({ "recordings": items }));
    world.standin.misbehave(fault("/Recordings.json", replaced));
    let answer = world.send(world.ana(&path(LIST))).await;
    assert_eq!((answer.status, told(&answer.json())), (200, vec![sid("RE", 7).as_str()]));
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_half_way_is_an_error_and_never_a_shorter_page() {
    let mut world = world().await;
    let other = "{A}/Recordings.json?Surprise=1";
    let foreign = "https://evil.example/2010-04-01/Accounts/{AC}/Recordings.json?Page=1";
    let at_fifth = format!("Calls/{}", sid("CA", 5));
    let status = |status| Fault::Status { status, retry_after: None };
    let next = |url: &str| Fault::ReplaceJson(json!({ "next_page_uri": path(url) }));
    for (place, wrong, expected) in [
        (at_fifth.as_str(), status(500), 503),
        (&at_fifth, Fault::Status { status: 429, retry_after: Some(9) }, 429),
        (&at_fifth, Fault::CutAfter { bytes: 20 }, 503),
        ("/Recordings.json", status(500), 502),
        ("/Recordings.json", status(404), 404),
        ("/Recordings.json", Fault::Status { status: 429, retry_after: Some(9) }, 429),
        ("/Recordings.json", Fault::CutAfter { bytes: 400 }, 502),
        ("/Recordings.json", Fault::BreakJson, 502),
        ("/Recordings.json", Fault::ContentType("text/html".to_owned()), 502),
        ("/Recordings.json", Fault::ReplaceJson(json!({ "recordings": null })), 502),
        ("/Recordings.json", Fault::ReplaceJson(json!({ "recordings": {} })), 502),
        ("/Recordings.json", Fault::ReplaceJson(json!([])), 502),
        ("/Recordings.json", next(other), 502),
        ("/Recordings.json", next(foreign), 502),
    ] {
        world.age();
        world.standin.behave();
        world.standin.misbehave(fault(place, wrong.clone()));
        let answer = world.send(world.ana(&path(LIST))).await;
        assert_eq!(answer.status, expected, "{wrong:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("RE0000"), "{wrong:?}");
    }
    assert!(of_kind(&world.entries().await, "intent").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_has_as_many_items_as_twilio_allows() {
    let world = world().await;
    for (size, status) in [("1", 200), ("1000", 200), ("1001", 400), ("5000", 400)] {
        let url = format!("{}?PageSize={size}", path(LIST));
        let answer = world.send(world.ana(&url)).await;
        assert_eq!(answer.status, status, "{size}");
        if status == 400 {
            assert_eq!(answer.json()["code"], 20001);
        }
    }
    world.standin.forget_seen();
    for size in ["0", "5001", "-1", "ten", ""] {
        let url = format!("{}?PageSize={size}", path(LIST));
        assert_eq!(world.send(world.ana(&url)).await.status, 400, "{size}");
    }
    assert!(world.standin.seen().is_empty(), "what nobody allows is not asked for");
}

/// What Twilio narrows a list by is handed on, in one spelling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_narrowed_as_twilio_does() {
    let world = world().await;
    let ask = async |query: String| {
        let answer = world.send(world.ana(&format!("{}?{query}", path(LIST)))).await;
        assert_eq!(answer.status, 200, "{query}");
        let page = answer.json();
        told(&page).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ask(format!("CallSid={}", sid("CA", 5))).await, [sid("RE", 5)]);
    assert_eq!(ask(format!("CallSid={}", sid("CA", 2))).await, Vec::<String>::new());
    let late = [5, 6, 7].map(|digit| sid("RE", digit));
    assert_eq!(ask("DateCreated%3C=2026-11-16".to_owned()).await, late);
    assert_eq!(ask("DateCreated%3E=2026-11-16T00%3A00%3A00Z".to_owned()).await, [sid("RE", 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_recordings_are_listed_when_asked_for_and_say_so() {
    let world = World::with(twilio::settings(each_their_own)).await;
    let shown = async |query: &str| {
        let answer =
            world.send(world.for_artefact("audio", &format!("{}{query}", path(LIST)))).await;
        told(&answer.json()).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(!shown("").await.contains(&sid("RE", 4)));
    assert!(shown("?IncludeSoftDeleted=true").await.contains(&sid("RE", 4)));
    let own = path("{A}/Recordings/{RE}.json").replace(&sid("RE", 1), &sid("RE", 4));
    assert_eq!(world.send(world.for_artefact("audio", &own)).await.status, 404);
    let deleted = format!("{own}?IncludeSoftDeleted=true");
    let answer = world.send(world.for_artefact("audio", &deleted)).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("deleted")));
}

/// A transcription's JSON holds what was said. To be told that there is one, one has to be
/// permitted to read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_words_needs_a_permit_to_read_them() {
    fn describing(folder: &Path) {
        let clause =
            permit("transcript", "team-lead", "quality-monitoring", "actions = [\"describe\"]");
        one_notice(folder, &[("knowing", &clause)]);
    }
    let mut world = World::with(twilio::settings(describing)).await;
    for (url, key, count) in [
        ("{A}/Transcriptions.json", "transcriptions", 0),
        ("{A}/Recordings/{RE}/Transcriptions.json", "transcriptions", 0),
        ("/v2/Transcripts", "transcripts", 1),
        ("/v1/Rooms/{RM}/Transcriptions", "transcriptions", 1),
    ] {
        let answer = world.send(world.for_artefact("transcript", &path(url))).await;
        assert_eq!(answer.status, 200, "{url}");
        assert_eq!(answer.json()[key].as_array().unwrap().len(), count, "{url}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("Good morning"), "{url}");
    }
    let one = path("{A}/Transcriptions/{TR}.json");
    assert_eq!(world.send(world.for_artefact("transcript", &one)).await.status, 403);
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 2);
}

/// Each transcription is as old as what was said in it, and under the notice of that time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_from_an_old_recording_is_as_old_as_it() {
    fn one_old() -> StandInAccount {
        let mut account = everything();
        let old = account.recordings.iter_mut().find(|one| one.sid == sid("RE", 8)).unwrap();
        old.started_at = "2025-12-31T23:59:59Z".parse().unwrap();
        account.transcriptions[1].recording_sid = sid("RE", 8);
        account.transcripts[0].recording_sid = sid("RE", 8);
        account
    }
    let settings = WorldSettings { holding: Some(one_old), ..twilio::settings(each_their_own) };
    let world = World::with(settings).await;
    let answer =
        world.send(world.for_artefact("transcript", &path("{A}/Transcriptions.json"))).await;
    let json = answer.json();
    let sids = json["transcriptions"].as_array().unwrap().iter().map(|one| one["sid"].clone());
    assert_eq!(sids.collect::<Vec<_>>(), [sid("TR", 1), sid("TR", 3)]);
    let answer = world.send(world.for_artefact("transcript", "/v2/Transcripts")).await;
    assert_eq!(answer.json()["transcripts"], json!([]));
    assert!(!answer.body.windows(ACCOUNT.len()).any(|part| part == sid("GT", 1).as_bytes()));
}
