//! The pages for reviewers: who heard what and why, one disclosure, recording and person, the shares.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;

use crate::support::client::Answer;
use crate::support::shares::copy;
use crate::support::world::{NUMBER, RECORDING, of_kind, path};
use crate::support::{World, WorldSettings};

const CONSOLE: &str = "[console]\naddress = \"127.0.0.1:0\"\n";

const QUOTE: &str = "check the quality of our service";

async fn world() -> World {
    let config = CONSOLE.to_owned();
    World::with(WorldSettings { config, ..WorldSettings::default() }).await
}

async fn send(world: &World, request: http::request::Builder, body: &str) -> Answer {
    let body = Full::new(Bytes::from(body.to_owned()));
    let answer = world.console().send_full(request.body(body).unwrap()).await;
    assert!(answer.body.len() < 200_000, "{} bytes", answer.body.len());
    let csp = answer.header("content-security-policy").unwrap();
    assert!(csp.starts_with("default-src 'none'; ") && !csp.contains("unsafe"), "{csp}");
    answer
}

fn request(world: &World, method: Method, role: &str, path: &str) -> http::request::Builder {
    let token = world.token(&format!("one-{role}"), &[role]);
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
}

/// Somebody with one role opens a page.
async fn open(world: &World, role: &str, path: &str) -> Answer {
    send(world, request(world, Method::GET, role, path), "").await
}

/// What they see of it, which is a page.
async fn see(world: &World, role: &str, path: &str) -> String {
    let answer = open(world, role, path).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(answer.status, 200, "{path}: {text}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(text.starts_with("<!DOCTYPE html>"), "{text}");
    assert_eq!(text.matches("<h1").count(), 1, "{path}");
    assert!(!text.contains(" style=") && !text.contains("<style"), "{path}: no style in the page");
    text
}

/// The same as soon as it tells of something: an outcome is on record a moment after its answer.
async fn see_soon(world: &World, role: &str, path: &str, told: &str) -> String {
    let began = std::time::Instant::now();
    loop {
        let page = see(world, role, path).await;
        if page.contains(told) || began.elapsed() > std::time::Duration::from_secs(10) {
            return page;
        }
    }
}

/// Somebody sends a form of a page.
async fn post(world: &World, role: &str, path: &str, form: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = request(world, Method::POST, role, path);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    send(world, request, &body).await
}

/// Ana hears the recording in two pieces; the entry of the first.
async fn heard(world: &World) -> String {
    let first = world.send(world.ana(&path(".wav")).header("range", "bytes=0-999")).await;
    assert_eq!(first.status, 206);
    let next = world.send(world.ana(&path(".wav")).header("range", "bytes=1000-1999")).await;
    assert_eq!(next.status, 206);
    first.entry().to_owned()
}

#[tokio::test]
async fn the_log_tells_who_heard_what_and_why_and_the_look_is_on_record() {
    let mut world = world().await;
    heard(&world).await;
    let page = see_soon(&world, "reviewer", "/log", "2.0 kB").await;
    for told in ["test|ana", RECORDING, QUOTE, "2 requests", "2.0 kB", "a number ending in 23"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains(NUMBER), "a reviewer does not see who was on the call");
    assert!(see(&world, "privacy-officer", "/log").await.contains(NUMBER));
    // Each bar and each count leads to what it counts.
    for link in
        ["since=2026-11-23T12%3A00%3A00Z", "purpose=quality-monitoring", "caller=test%7Cana"]
    {
        assert!(page.contains(link), "{link}: {page}");
    }
    let page = see(&world, "reviewer", "/log?purpose=quality-monitoring&caller=test%7Cana").await;
    assert!(page.contains(RECORDING));
    let page = see(&world, "reviewer", "/log?purpose=staff-training").await;
    assert!(page.contains("Nothing matches") && !page.contains(RECORDING), "{page}");
    let entries = world.entries().await;
    let looks = of_kind(&entries, "console");
    assert!(looks.len() >= 4, "each look is on record");
    let looks = [looks[0], looks[looks.len() - 2], looks[looks.len() - 1]];
    assert_eq!(looks[0]["actor"], "test|one-reviewer");
    assert_eq!(looks[0]["action"], "read-ledger");
    assert_eq!(looks[0]["of"].as_array().unwrap().len(), 1, "one session, by its first entry");
    assert_eq!(
        looks[1]["detail"],
        "GET /log sessions since=30d purpose=quality-monitoring caller=test|ana"
    );
    assert_eq!(looks[2]["entries"], 0);
}

#[tokio::test]
async fn what_was_refused_is_seen_with_its_reason() {
    let world = world().await;
    let refused = world.who("tom", "trainer", "marketing", &path(".wav"));
    assert_eq!(world.send(refused).await.status, 403);
    heard(&world).await;
    let page = see(&world, "reviewer", "/log?show=refusals").await;
    assert!(page.contains("test|tom") && !page.contains("test|ana"), "{page}");
    let page = see(&world, "reviewer", "/log?show=all").await;
    assert!(page.contains("test|tom") && page.contains("test|ana") && page.contains("start"));
    let page = see(&world, "reviewer", "/log").await;
    assert!(!page.contains("test|tom"), "nothing was disclosed to them");
}

#[tokio::test]
async fn what_is_on_the_page_can_be_had_as_a_file_and_that_is_on_record() {
    let mut world = world().await;
    heard(&world).await;
    see_soon(&world, "reviewer", "/log", "2.0 kB").await;
    let answer = open(&world, "reviewer", "/log.csv?purpose=quality-monitoring").await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let table = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("test|ana") && !table.contains(NUMBER), "{table}");
    let name = answer.header("content-disposition").unwrap();
    assert_eq!(name, "attachment; filename=\"2026-11-23-log.csv\"");
    let lines = open(&world, "reviewer", "/log.jsonl?show=all").await;
    assert!(String::from_utf8_lossy(&lines.body).lines().count() > 4);
    let parquet = open(&world, "reviewer", "/log.parquet").await;
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    assert_eq!(open(&world, "complaints-handler", "/log.csv").await.status, 403);
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &answer.body);
    let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let entries = world.entries().await;
    let exports = of_kind(&entries, "export");
    assert_eq!((exports.len(), exports[0]["entries"].as_u64()), (3, Some(2)));
    assert_eq!(exports[0]["sha256"], sha256.as_str());
    assert_eq!(exports[0]["actor"], "test|one-reviewer");
}

#[tokio::test]
async fn who_may_not_read_the_ledger_sees_nothing_of_it() {
    let mut world = world().await;
    let entry = heard(&world).await;
    for (path, role) in [
        ("/log".to_owned(), "trainer"),
        (format!("/entries/{entry}"), "trainer"),
        (format!("/entries/{entry}/proof"), "trainer"),
        (format!("/recordings/{RECORDING}"), "trainer"),
        ("/shares".to_owned(), "trainer"),
        ("/reviews".to_owned(), "trainer"),
        ("/people".to_owned(), "reviewer"),
        ("/people/1".to_owned(), "reviewer"),
        ("/people/1/accounting".to_owned(), "reviewer"),
        // What is masked must not be found by guessing.
        ("/log?words=smith".to_owned(), "reviewer"),
        ("/log?address=127.0.0.1".to_owned(), "reviewer"),
    ] {
        let answer = open(&world, role, &path).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 403, "{path}: {text}");
        assert!(!text.contains(RECORDING) && !text.contains("ana"), "{text}");
        assert!(!answer.entry().is_empty());
    }
    for (path, status) in [
        ("/log?number=%2B14045550123", 400),
        ("/log?colour=red", 400),
        ("/log?since=yesterday", 422),
        ("/log?since=2026-11-03&until=2026-11-02", 422),
        ("/log?show=everything", 422),
        ("/log?after=x", 422),
        ("/entries/999999", 404),
        ("/entries/x", 404),
        ("/recordings/RE00000000000000000000000000000000", 404),
        ("/recordings/x", 404),
    ] {
        assert_eq!(open(&world, "reviewer", path).await.status, status, "{path}");
    }
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "console-refused").len(), 11);
}

#[tokio::test]
async fn one_disclosure_tells_its_whole_story() {
    let mut world = world().await;
    let entry = heard(&world).await;
    let page = see(&world, "reviewer", &format!("/entries/{entry}")).await;
    let (_, marked) = page.split_once("<mark>").unwrap();
    assert!(marked.split_once("</mark>").unwrap().0.contains(QUOTE), "the sentence in its text");
    for told in [
        "test|ana",
        "quality-analyst",
        "issuer.test.example",
        "bytes=0-999",
        "2026-03-01",
        "permit (",
        "the same as then",
        "would now be",
        "2 requests",
        &entry,
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains(NUMBER) && !page.contains("127.0.0.1"), "{page}");
    let full = see(&world, "privacy-officer", &format!("/entries/{entry}")).await;
    assert!(full.contains(NUMBER) && full.contains("127.0.0.1"));
    let refused = world.send(world.who("tom", "trainer", "marketing", &path(".wav"))).await;
    let page = see(&world, "reviewer", &format!("/entries/{}", refused.entry())).await;
    assert!(page.contains("A refusal") && page.contains("test|tom"), "{page}");
    let entries = world.entries().await;
    let looks = of_kind(&entries, "console");
    let place = entries.iter().position(|one| one["id"] == entry.as_str()).unwrap();
    assert_eq!(looks[0]["of"], serde_json::json!([place]));
}

/// What the button of the page verifies, verified here by code that is not ours.
#[tokio::test]
async fn the_proof_of_an_entry_leads_to_what_the_ledger_signed() {
    let world = world().await;
    let entry = heard(&world).await;
    let mut answer = open(&world, "reviewer", &format!("/entries/{entry}/proof")).await;
    // The next checkpoint comes within a second.
    let began = std::time::Instant::now();
    while answer.status == 409 && began.elapsed() < std::time::Duration::from_secs(10) {
        answer = open(&world, "reviewer", &format!("/entries/{entry}/proof")).await;
    }
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let told: Value = answer.json();
    let text = |key: &str| told[key].as_str().unwrap().to_owned();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text("entry"));
    let read: Value = serde_json::from_slice(&bytes.clone().unwrap()).unwrap();
    assert_eq!(read["id"], entry.as_str());
    let key = noticegate::ledger::tlog::key::VerifierKey::parse(&text("key")).unwrap();
    let proof = text("proof");
    let (_, note) = proof.split_once("\n\n").unwrap();
    let origin = note.lines().next().unwrap().to_owned();
    let read = noticegate::ledger::tlog::proof::EntryProof::parse(proof.as_bytes()).unwrap();
    let leaf = noticegate::ledger::tlog::merkle::leaf_hash(&bytes.unwrap());
    assert!(read.verify(&leaf, &origin, &[key], &[]).is_ok());
}

#[tokio::test]
async fn what_a_reviewer_found_is_on_record_and_nobody_reviews_themselves() {
    let mut world = world().await;
    let entry = heard(&world).await;
    let sign = format!("/entries/{entry}/review");
    let form = |verdict, note| [("verdict", verdict), ("note", note)];
    let answer = post(&world, "reviewer", &sign, &form("inappropriate", "")).await;
    assert_eq!(answer.status, 422, "what was not appropriate needs a note");
    let answer = post(&world, "trainer", &sign, &form("appropriate", "")).await;
    assert_eq!(answer.status, 403);
    let answer = post(&world, "reviewer", &sign, &form("escalate", "why so often?")).await;
    assert_eq!(answer.status, 303, "{:?}", answer.body);
    let page = see(&world, "privacy-officer", &format!("/entries/{entry}")).await;
    assert!(page.contains("escalated") && page.contains("why so often?"), "{page}");
    assert!(see(&world, "reviewer", "/log?reviewed=escalate").await.contains(RECORDING));
    // Ana may review, but not what she did.
    let token = world.token("ana", &["reviewer"]);
    let own = Request::builder()
        .method("POST")
        .uri(&sign)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(&world, own, "verdict=appropriate").await.status, 403);
    let entries = world.entries().await;
    let reviews = of_kind(&entries, "review");
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0]["reason"], "escalate");
    assert_eq!(reviews[0]["actor"], "test|one-reviewer");
    assert!(!reviews[0].to_string().contains("why so often"), "the note is sealed");
}

#[tokio::test]
async fn a_recording_tells_what_is_known_and_how_long_it_is_kept() {
    let world = world().await;
    heard(&world).await;
    let page = see(&world, "reviewer", &format!("/recordings/{RECORDING}")).await;
    for told in ["03 Nov 2026 09:15:02", "2027", "12 months", "test|ana", "a number ending in 23"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains(NUMBER));
    let page = see(&world, "complaints-handler", &format!("/recordings/{RECORDING}")).await;
    assert!(!page.contains("test|ana"), "who heard it is for who may read the ledger");
}

#[tokio::test]
async fn a_person_is_found_without_a_number_in_an_address_and_accounted_to() {
    let mut world = world().await;
    heard(&world).await;
    let answer = post(&world, "privacy-officer", "/people", &[("number", "+1 404 555 0123")]).await;
    assert_eq!(answer.status, 303, "{:?}", answer.body);
    let place = answer.header("location").unwrap().to_owned();
    assert!(!place.contains("404"), "{place}");
    let page = see(&world, "privacy-officer", &place).await;
    assert!(page.contains(NUMBER) && page.contains("test|ana"), "{page}");
    let title = page.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
    assert!(!title.contains("404"), "a browser keeps titles");
    let answer = open(&world, "privacy-officer", &format!("{place}/accounting")).await;
    let copy = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(answer.status, 200, "{copy}");
    assert!(copy.contains("What is held"), "{copy}");
    assert!(
        copy.contains(QUOTE) && !copy.contains("test|ana"),
        "the person's copy names no employee"
    );
    let answer = open(&world, "privacy-officer", &format!("{place}/accounting?full=true")).await;
    assert!(String::from_utf8_lossy(&answer.body).contains("test|ana"));
    let nobody = post(&world, "privacy-officer", "/people", &[("number", "+14045550999")]).await;
    assert_eq!(nobody.status, 200);
    assert!(String::from_utf8_lossy(&nobody.body).contains("tells of nobody"));
    assert_eq!(post(&world, "reviewer", "/people", &[("number", NUMBER)]).await.status, 403);
    let entries = world.entries().await;
    let looks = of_kind(&entries, "console");
    assert!(looks.iter().filter(|look| look["person"].is_u64()).count() >= 3, "{looks:?}");
    let text = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("404555"), "a number stands in no entry");
}

#[tokio::test]
async fn a_share_is_seen_and_taken_back_with_a_reason() {
    let mut world = world().await;
    let link = world.link(&copy()).await;
    let page = see(&world, "reviewer", "/shares").await;
    assert!(page.contains(&link.id) && page.contains("somebody with a name"), "{page}");
    assert!(!page.contains("Jo Bloggs") && !page.contains(link.token()));
    assert!(see(&world, "privacy-officer", "/shares").await.contains("Ms Jo Bloggs"));
    let back = format!("/shares/{}/revoke", link.id);
    assert_eq!(post(&world, "reviewer", &back, &[("reason", "x")]).await.status, 403);
    assert_eq!(post(&world, "privacy-officer", &back, &[("reason", " ")]).await.status, 422);
    let answer =
        post(&world, "privacy-officer", &back, &[("reason", "sent to the wrong one")]).await;
    assert_eq!(answer.status, 303, "{:?}", answer.body);
    assert_eq!(post(&world, "privacy-officer", &back, &[("reason", "again")]).await.status, 409);
    let page = see(&world, "reviewer", "/shares?show=ended").await;
    assert!(page.contains(&link.id) && page.contains("revoked"), "{page}");
    assert!(!see(&world, "reviewer", "/shares").await.contains(&link.id));
    let entries = world.entries().await;
    let ends = of_kind(&entries, "share-end");
    assert_eq!((ends.len(), &ends[0]["actor"]), (1, &"test|one-privacy-officer".into()));
}

#[tokio::test]
async fn what_waits_for_review_is_counted_until_somebody_has_looked() {
    let mut world = world().await;
    let refused = world.send(world.who("tom", "trainer", "marketing", &path(".wav"))).await;
    assert_eq!(refused.status, 403);
    heard(&world).await;
    let page = see(&world, "reviewer", "/reviews").await;
    for queue in ["sampled", "escalated", "refusals", "abroad", "unusual-hours", "first-time"] {
        assert!(page.contains(&format!("href=\"/reviews/{queue}\"")), "{queue}: {page}");
    }
    let first = see(&world, "reviewer", "/reviews/first-time").await;
    assert!(first.contains("test|ana") && first.contains("the first in 90 days"), "{first}");
    let page = see(&world, "reviewer", "/reviews/refusals").await;
    assert!(page.contains("test|tom") && page.contains("1 waiting"), "{page}");
    let form = [("verdict", "escalate"), ("note", "who is Tom?"), ("to", "/reviews/refusals")];
    let sign = format!("/entries/{}/review", refused.entry());
    let answer = post(&world, "reviewer", &sign, &form).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/reviews/refusals")));
    let page = see(&world, "reviewer", "/reviews/refusals").await;
    assert!(page.contains("Nothing waits here") && !page.contains("test|tom"), "{page}");
    assert!(see(&world, "privacy-officer", "/reviews/escalated").await.contains("test|tom"));
    let form = [("verdict", "appropriate"), ("to", "https://elsewhere.example/")];
    let answer = post(&world, "privacy-officer", &sign, &form).await;
    let to = answer.header("location").unwrap();
    assert!(to.starts_with("/entries/"), "never to another site: {to}");
    assert!(!see(&world, "privacy-officer", "/reviews/escalated").await.contains("test|tom"));
    let page = see(&world, "reviewer", "/reviews/summary").await;
    assert!(page.contains("November 2026") && page.contains("appropriate"), "{page}");
    assert!(see(&world, "reviewer", "/reviews/summary?month=2026-10").await.contains("October"));
    assert_eq!(open(&world, "reviewer", "/reviews/summary?month=x").await.status, 422);
    assert_eq!(open(&world, "reviewer", "/reviews/other").await.status, 404);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "review").len(), 2);
}
