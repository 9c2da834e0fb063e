//! The log through the API: what reviewers find, what is kept from them, and that they looked.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::shares::{copy, program};
use crate::support::world::{NUMBER, RECORDING, of_kind, path};
use crate::support::{World, WorldSettings};

async fn world() -> World {
    let config = "[console]\naddress = \"127.0.0.1:0\"\n".to_owned();
    World::with(WorldSettings { config, ..WorldSettings::default() }).await
}

/// Ana hears something, in two requests, and is refused something else.
async fn something_happens(world: &World) {
    for range in ["bytes=0-99", "bytes=100-199"] {
        let answer = world.send(world.ana(&path(".wav")).header("range", range)).await;
        assert_eq!(answer.status, 206);
    }
    let refused = world.who("ana", "quality-analyst", "marketing", &path(".wav"));
    assert_eq!(world.send(refused).await.status, 403);
}

async fn send(world: &World, role: &str, request: http::request::Builder, body: &Value) -> Answer {
    let token = world.token(&format!("one-{role}"), &[role]);
    let request = request
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    world.console().send_full(request.body(Full::new(body)).unwrap()).await
}

async fn ask(world: &World, role: &str, what: &str, body: Value) -> Answer {
    send(world, role, Request::post(format!("/api/v1/entries/{what}")), &body).await
}

async fn get(world: &World, role: &str, name: &str) -> Answer {
    send(world, role, Request::get(format!("/api/v1/entries/{name}")), &Value::Null).await
}

fn kinds(answer: &Answer) -> Vec<String> {
    let entries = answer.json()["entries"].as_array().unwrap().clone();
    entries.iter().map(|one| one["entry"]["t"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_reviewer_finds_counts_and_folds_what_happened() {
    let mut world = world().await;
    something_happens(&world).await;
    let of_ana = json!({"fields": {"caller": ["test|ana"]}});
    let found = ask(&world, "reviewer", "find", json!({"question": of_ana})).await;
    assert_eq!(found.status, 200, "{:?}", found.body);
    assert_eq!(kinds(&found), ["refusal", "intent", "intent"]);
    let entries = found.json()["entries"].clone();
    assert_eq!(entries[2]["outcome"]["bytes"], 100);
    assert_eq!(entries[0]["leaf"].as_str().unwrap().len(), 64);

    // A page at a time, from the other end.
    let page = json!({"question": of_ana, "order": "oldest-first", "limit": 2});
    let first = ask(&world, "reviewer", "find", page.clone()).await;
    assert_eq!(kinds(&first), ["intent", "intent"]);
    let mut page = page;
    page["after"] = first.json()["next"].clone();
    let last = ask(&world, "reviewer", "find", page).await;
    assert_eq!((kinds(&last), last.json()["next"].is_null()), (vec!["refusal".to_owned()], true));

    let by = json!({"question": of_ana, "by": "decision"});
    let counted = ask(&world, "reviewer", "count", by).await.json();
    assert_eq!(counted["count"], 3);
    let values = json!([{"value": "permit", "count": 2}, {"value": "refuse", "count": 1}]);
    assert_eq!(counted["values"], values);
    let over = json!({"question": of_ana, "by": "purpose", "over": "day"});
    let bars = ask(&world, "reviewer", "count", over).await.json()["bars"].clone();
    assert_eq!(bars.as_array().unwrap().len(), 2, "{bars}");
    assert_eq!(bars[0]["start"], "2026-11-23T00:00:00Z");

    let none =
        json!({"question": {"fields": {"caller": ["test|ana"]}, "not": {"kind": ["refusal"]}}});
    let sessions = ask(&world, "reviewer", "sessions", none).await.json()["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
    assert_eq!(sessions[0]["recording"], RECORDING);
    assert_eq!((&sessions[0]["requests"], &sessions[0]["bytes"]), (&2.into(), &200.into()));

    let id = entries[0]["entry"]["id"].as_str().unwrap();
    let place = entries[0]["place"].to_string();
    let (by_id, by_place) =
        (get(&world, "reviewer", id).await, get(&world, "reviewer", &place).await);
    assert_eq!((by_id.status, by_id.json()), (200, by_place.json()));
    assert_eq!(by_id.json()["entry"]["decision"], entries[0]["entry"]["decision"]);
    for (name, status) in [
        ("99999", 404),
        ("019db0e2-7c11-7a3e-9c0e-2f6d5b3f1a77", 404),
        ("18446744073709551615", 404),
        ("nothing", 422),
        ("%20", 422),
        ("-1", 422),
    ] {
        assert_eq!(get(&world, "reviewer", name).await.status, status, "{name}");
    }
    // Every look is on record, and says how much was seen but not of whom.
    let entries = world.entries().await;
    let looks = of_kind(&entries, "console");
    assert!(looks.iter().all(|look| look["action"] == "read-ledger"), "{looks:?}");
    assert_eq!(looks.len(), 8);
    assert_eq!(looks[0]["detail"], "POST /api/v1/entries/find by caller");
    assert_eq!(looks[0]["entries"], 3);
    assert_eq!(looks[6]["of"].as_array().unwrap().len(), 1);
    // The id, whose letters do not come by chance as those of `ana` do in a hash.
    assert!(looks.iter().all(|look| !look.to_string().contains("test|ana")));
}

#[tokio::test]
async fn what_tells_of_people_is_for_who_may_read_it() {
    let world = world().await;
    something_happens(&world).await;
    let all = json!({"question": {"fields": {"kind": ["intent"]}}});
    let masked = ask(&world, "reviewer", "find", all.clone()).await.json();
    assert!(masked["entries"].as_array().unwrap().iter().all(|one| one["people"].is_null()));
    let whole = ask(&world, "privacy-officer", "find", all).await.json();
    assert!(whole["entries"][0]["people"]["net"]["address"].is_string(), "{whole}");

    // What is not shown is not found by guessing.
    let refused_before = of_kind(&world.read_entries(), "console-refused").len();
    let guesses = [
        json!({"number": NUMBER}),
        json!({"words": "curl*"}),
        json!({"fields": {"address": ["127.0.0.1"]}}),
        json!({"not": {"person": ["0"]}}),
    ];
    for guess in &guesses {
        for what in ["find", "count", "sessions", "export"] {
            let answer = ask(&world, "reviewer", what, json!({"question": guess})).await;
            assert_eq!((answer.status, &answer.json()["code"]), (403, &"not-permitted".into()));
            assert!(answer.header("noticegate-entry").is_some());
        }
    }
    let by = ask(&world, "reviewer", "count", json!({"by": "address"})).await;
    assert_eq!(by.status, 403);
    let people = ask(&world, "reviewer", "export", json!({"people": true})).await;
    assert_eq!(people.status, 403);
    let refused = of_kind(&world.read_entries(), "console-refused").len() - refused_before;
    assert_eq!(refused, 18);

    let found =
        ask(&world, "privacy-officer", "count", json!({"question": {"number": NUMBER}})).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.json()["count"], 3, "{}", found.json());
    let looks = world.read_entries();
    let look = of_kind(&looks, "console").last().copied().unwrap().clone();
    assert!(look["person"].is_u64(), "{look}");
    assert_eq!(look["detail"], "POST /api/v1/entries/count by number");
    let nobody = json!({"question": {"number": "+14045550199"}});
    let nobody = ask(&world, "privacy-officer", "find", nobody).await;
    assert_eq!((nobody.status, nobody.json()["entries"].clone()), (200, json!([])));
}

#[tokio::test]
async fn who_may_not_read_the_log_gets_nothing_of_it() {
    let world = world().await;
    something_happens(&world).await;
    for role in ["quality-analyst", "complaints-handler", "facts-source", "privacy-author"] {
        for what in ["find", "count", "sessions", "export"] {
            let answer = ask(&world, role, what, json!({})).await;
            assert_eq!(
                (answer.status, &answer.json()["code"]),
                (403, &"not-permitted".into()),
                "{role}"
            );
        }
        for name in ["1", "1/proof", "99999", "nothing/proof"] {
            assert_eq!(get(&world, role, name).await.status, 403, "{role} {name}");
        }
    }
    // Lawyers read, but take nothing out.
    assert_eq!(ask(&world, "legal-counsel", "find", json!({})).await.status, 200);
    assert_eq!(ask(&world, "legal-counsel", "export", json!({})).await.status, 403);
    let stranger = Request::post("/api/v1/entries/find").header("host", "localhost");
    let stranger = stranger.header("content-type", "application/json");
    let stranger = stranger.body(Full::new(Bytes::from_static(b"{}"))).unwrap();
    assert_eq!(world.console().send_full(stranger).await.status, 401);
}

#[tokio::test]
async fn a_question_that_cannot_be_meant_says_what_is_wrong() {
    let world = world().await;
    for (body, field) in [
        (json!({"question": {"since": "yesterday"}}), "question.since"),
        (json!({"question": {"since": "2026-11-03", "until": "2026-11-02"}}), "question.until"),
        (json!({"question": {"fields": {"colour": ["red"]}}}), "question.fields"),
        (json!({"question": {"number": "404"}}), "question.number"),
        (json!({"limit": 0}), "limit"),
        (json!({"limit": 501}), "limit"),
    ] {
        let answer = ask(&world, "privacy-officer", "find", body.clone()).await;
        assert_eq!((answer.status, &answer.json()["field"]), (422, &field.into()), "{body}");
    }
    let by = ask(&world, "reviewer", "count", json!({"by": "colour"})).await;
    assert_eq!((by.status, &by.json()["field"]), (422, &"by".into()));
    let unknown = ask(&world, "reviewer", "find", json!({"colour": 1})).await;
    assert_eq!(unknown.status, 422);
}

#[tokio::test]
async fn an_export_is_what_was_asked_for_and_is_on_record_first() {
    let mut world = world().await;
    something_happens(&world).await;
    let of_ana = json!({"fields": {"caller": ["test|ana"]}});
    let take = |form: &str| json!({"question": of_ana, "form": form});
    let csv = ask(&world, "reviewer", "export", take("csv")).await;
    assert_eq!((csv.status, csv.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    assert_eq!(
        csv.header("content-disposition"),
        Some("attachment; filename=\"noticegate-log.csv\"")
    );
    let text = String::from_utf8(csv.body.to_vec()).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert!(!text.contains("127.0.0.1"), "{text}");
    let lines = ask(&world, "reviewer", "export", take("jsonl")).await;
    let lines = String::from_utf8(lines.body.to_vec()).unwrap();
    assert_eq!(lines.lines().count(), 3);
    let parquet = ask(&world, "reviewer", "export", take("parquet")).await;
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    let people = json!({"question": of_ana, "form": "csv", "people": true});
    let people = ask(&world, "privacy-officer", "export", people).await;
    assert!(String::from_utf8(people.body.to_vec()).unwrap().contains("127.0.0.1"));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &csv.body);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let entries = world.entries().await;
    assert!(of_kind(&entries, "console").is_empty(), "one entry tells of it");
    let looks = of_kind(&entries, "export");
    assert!(looks.iter().all(|look| look["action"] == "export" && look["entries"] == 3));
    assert_eq!((&looks[0]["detail"], &looks[0]["sha256"]), (&"csv by caller".into(), &hash.into()));
    assert!(looks[3]["detail"].as_str().unwrap().contains("csv with people"));
}

#[tokio::test]
async fn an_entry_is_given_with_its_proof() {
    let world = world().await;
    something_happens(&world).await;
    // A checkpoint is signed every second; the proof says if it is not there yet.
    let mut answer = get(&world, "reviewer", "1/proof").await;
    for _ in 0..100 {
        if answer.status != 409 {
            break;
        }
        assert_eq!(answer.json()["code"], "conflict");
        answer = get(&world, "reviewer", "1/proof").await;
    }
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/plain; charset=utf-8"))
    );
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\n") && text.contains("\nindex 1\n"), "{text}");
    assert!(text.contains("localhost/ledger"), "{text}");
}

#[tokio::test]
async fn a_share_is_found_and_taken_back() {
    let mut world = world().await;
    let link = world.link(&copy()).await;
    let list = |query: &str| Request::get(format!("/api/v1/shares{query}"));
    let masked = send(&world, "reviewer", list(""), &Value::Null).await.json();
    assert_eq!(masked["shares"].as_array().unwrap().len(), 1, "{masked}");
    assert_eq!(masked["shares"][0]["id"], link.id);
    assert_eq!(masked["shares"][0]["recipient"], json!({"class": "data-subject", "country": "GB"}));
    assert!(!masked.to_string().contains("Bloggs") && !masked.to_string().contains("letter"));
    assert!(!masked.to_string().contains(link.token()));
    let whole = send(&world, "privacy-officer", list("?state=live"), &Value::Null).await.json();
    assert_eq!(whole["shares"][0]["recipient"]["name"], "Ms Jo Bloggs");
    let ended = send(&world, "reviewer", list("?state=ended"), &Value::Null).await.json();
    assert_eq!(ended["shares"], json!([]));
    for query in ["?state=lost", "?colour=red"] {
        assert_eq!(send(&world, "reviewer", list(query), &Value::Null).await.status, 400);
    }
    assert_eq!(send(&world, "trainer", list(""), &Value::Null).await.status, 403);

    let revoke = |id: &str| Request::post(format!("/api/v1/shares/{id}/revoke"));
    let why = json!({"reason": "sent to the wrong person"});
    for id in [link.id.as_str(), "nothing"] {
        assert_eq!(send(&world, "reviewer", revoke(id), &why).await.status, 403, "{id}");
    }
    let nothing = send(&world, "privacy-officer", revoke("nothing"), &why).await;
    assert_eq!(nothing.status, 404);
    let no_reason =
        send(&world, "privacy-officer", revoke(&link.id), &json!({"reason": " "})).await;
    assert_eq!((no_reason.status, &no_reason.json()["field"]), (422, &"reason".into()));
    assert_eq!(world.send(program(&link.path)).await.status, 200, "it gives what it did");
    let taken = send(&world, "privacy-officer", revoke(&link.id), &why).await;
    assert_eq!(taken.status, 200);
    assert_eq!(world.send(program(&link.path)).await.status, 410);
    assert_eq!(send(&world, "privacy-officer", revoke(&link.id), &why).await.status, 409);
    let entries = world.entries().await;
    let ends = of_kind(&entries, "share-end");
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0]["actor"], "test|one-privacy-officer");
    assert_eq!(ends[0]["id"], taken.json()["entry"]);
    assert!(!ends[0].to_string().contains("wrong person"), "the reason is sealed");
}
