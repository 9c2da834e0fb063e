//! Where Twilio gives a pre-signed URL, the gate gives one of its own. It needs no other proof, for
//! a short time and for one thing; what is asked for by it is decided anew and recorded as asked
//! for by whoever it was given to.

use std::path::Path;

use jiff::SignedDuration;
use noticegate::media::Target;
use noticegate::standin::{Fault, Misbehaviour};
use serde_json::{Value, json};

use super::twilio_urls::{Is, URLS};
use crate::support::everything::sid;
use crate::support::ledger::until;
use crate::support::policies::one_notice;
use crate::support::process::{Process, listening, world_of_processes};
use crate::support::raw_upstream::{RawUpstream, say};
use crate::support::twilio::{self, Twilio, each_their_own, path, permit};
use crate::support::world::of_kind;
use crate::support::{ACCOUNT, Answer, Client, RECORDING, World, WorldSettings};

/// Each answer that leads to bytes: where in its JSON it does so, and where to.
const LINKS: [(&str, &str, &str, &str); 12] = [
    (
        "{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data.json",
        "analysis",
        "/redirect_to",
        "{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data/Content",
    ),
    ("/v1/Recordings/{RT}/Media", "video", "/redirect_to", "/v1/Recordings/{RT}/Media/Content"),
    (
        "/v1/Rooms/{RM}/Recordings/{RT}/Media?Ttl=60",
        "video",
        "/redirect_to",
        "/v1/Rooms/{RM}/Recordings/{RT}/Media/Content",
    ),
    ("/v1/Compositions/{CJ}/Media", "video", "/redirect_to", "/v1/Compositions/{CJ}/Media/Content"),
    (
        "/v1/MediaRecordings/{KV}/Media",
        "video",
        "/redirect_to",
        "/v1/MediaRecordings/{KV}/Media/Content",
    ),
    (
        "/v1/MediaRecordings/{KV}/TimedMetadata",
        "video",
        "/redirect_to",
        "/v1/MediaRecordings/{KV}/TimedMetadata/Content",
    ),
    (
        "/v1/Services/{IS}/Media/{ME}",
        "message-media",
        "/links/content_direct_temporary",
        "/v1/Services/{IS}/Media/{ME}/Content",
    ),
    ("/v2/Transcripts/{GT}/Media", "audio", "/media_url", "/v2/Transcripts/{GT}/Media/Content"),
    (
        "/v2/Transcripts/{GT}/Media?Redacted=false",
        "audio",
        "/media_url",
        "/v2/Transcripts/{GT}/Media/Content?Redacted=false",
    ),
    (
        "/v2/Transcripts/{GT}/Sentences/Encrypted",
        "transcript",
        "/location",
        "/v2/Transcripts/{GT}/Sentences/Encrypted/Content",
    ),
    (
        "/v2/Transcripts/{GT}/OperatorResults/Encrypted",
        "analysis",
        "/locations/0",
        "/v2/Transcripts/{GT}/OperatorResults/Encrypted/Content?Part=0",
    ),
    ("/flex/url_provider?recording_sid={RE}", "audio", "/media_url", "{A}/Recordings/{RE}.mp3"),
];

/// The link in an answer, without the gate's origin.
fn link(answer: &Answer, pointer: &str) -> String {
    let json = answer.json();
    let url = json.pointer(pointer).and_then(Value::as_str).unwrap();
    url.strip_prefix("https://localhost").unwrap().to_owned()
}

/// The link to the one video track that these stories follow.
async fn given(world: &World) -> String {
    let request = world.for_artefact("video", &path("/v1/Recordings/{RT}/Media"));
    link(&world.send(request).await, "/redirect_to")
}

/// Follows a link without any proof.
async fn follow(world: &World, link: &str) -> Answer {
    world.send(Client::get(link)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_link_leads_to_the_bytes_without_further_proof() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let twilio = Twilio::of(&world);
    for (url, artefact, pointer, content) in LINKS {
        let answer = world.send(world.for_artefact(artefact, &path(url))).await;
        let link = link(&answer, pointer);
        let (before, ticket) = link.split_once("ticket=").unwrap();
        assert_eq!(before.trim_end_matches(['?', '&']), path(content), "{url}");
        assert!(ticket.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        let answer = follow(&world, &link).await;
        assert_eq!(answer.status, 200, "{url}");
        let expected = match url.starts_with("/flex") {
            true => twilio.get(&path(content)).await,
            false => twilio.behind(&path(url), 0).await,
        };
        assert!(!expected.body.is_empty());
        assert_eq!(answer.body, expected.body, "{url}");
        let head = world.send(Client::get(&link).method("HEAD")).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{url}");
        let part = world.send(Client::get(&link).header("range", "bytes=1-2")).await;
        assert_eq!((part.status, &part.body[..]), (206, &expected.body[1..3]), "{url}");
    }
    let entries = world.entries().await;
    assert!(of_kind(&entries, "refusal").is_empty());
    let intents = of_kind(&entries, "intent");
    assert_eq!(intents.len(), LINKS.len() * 4);
    for four in intents.chunks(4) {
        let [given, used @ ..] = four else { panic!("four each") };
        for used in used {
            for key in ["id", "roles", "issuer"] {
                assert_eq!(used["caller"][key], given["caller"][key]);
            }
            assert_eq!(used["caller"]["key"], "ticket");
            assert_eq!(used["purpose"], given["purpose"]);
            assert_eq!(used["action"], "access");
        }
    }
}

/// What else Twilio says beside a redirect stays, in its order, and no URL of it leads anywhere else,
/// not even in the middle of a sentence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_redirect_no_key_is_added_or_lost() {
    let settings = WorldSettings { policies: each_their_own, ..WorldSettings::default() };
    let (world, upstream) = RawUpstream::world(settings).await;
    let own = path("/v1/Recordings/{RT}/Media");
    let facts = json!({ "account_sid": ACCOUNT, "sid": sid("RT", 4), "status": "completed",
        "type": "video", "duration": 4, "date_created": "2026-11-03T09:15:02Z" });
    let away = "https://bucket.s3.amazonaws.com/RT?X-Amz-Signature=0";
    let told = json!({ "url": away, "redirect_to": away, "note": format!("it is at {away}"),
        "expires": 3600 });
    let saying = |head: &str, json: &Value| {
        let (json, kind) = (json.to_string(), "Content-Type: application/json");
        let length = json.len();
        vec![say(format!("HTTP/1.1 {head}\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{json}"))]
    };
    let found = saying(&format!("302 Found\r\nLocation: {away}"), &told);
    upstream.media_in_turn([saying("200 OK", &facts), found]);
    let answer = world.send(world.for_artefact("video", &own)).await;
    assert_eq!(answer.status, 302);
    let json = answer.json();
    let link = json["redirect_to"].as_str().unwrap();
    assert!(link.starts_with(&format!("https://localhost{own}/Content?ticket=")), "{link}");
    assert_eq!(answer.header("location"), Some(link));
    let expected = json!({ "url": null, "redirect_to": link, "note": null, "expires": 3600 });
    assert_eq!(json.to_string(), expected.to_string());
}

/// A file keeps the type that Twilio says, if it is one that Twilio takes for messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_keeps_its_type_unless_it_could_be_a_page() {
    for (said, told) in [
        ("audio/webm", "audio/webm"),
        ("audio/3gpp", "audio/3gpp"),
        ("audio/x-matroska", "audio/x-matroska"),
        ("video/mpeg", "video/mpeg"),
        ("application/msword", "application/msword"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("text/javascript", "application/octet-stream"),
    ] {
        let world = World::with(twilio::settings(each_their_own)).await;
        let fault = Fault::ContentType(said.to_owned());
        let path_contains = "X-Amz-Signature".to_owned();
        world.standin.misbehave(Misbehaviour { path_contains, fault, times: None });
        let url = path("{A}/Messages/{MM}/Media/{ME}");
        let answer = world.send(world.for_artefact("message-media", &url)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(told)), "{said}");
        assert!(answer.header("content-security-policy").unwrap().contains("sandbox"));
    }
}

/// Whatever JSON a caller gets: each URL in it is one that the gate serves, or another purpose of it
/// is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_url_in_every_answer_leads_to_the_gate() {
    fn urls(json: &Value, found: &mut Vec<String>) {
        match json {
            Value::String(text) if text.contains("://") => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| urls(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| urls(field, found)),
            _ => {}
        }
    }
    let world = World::with(twilio::settings(each_their_own)).await;
    let mut found = Vec::new();
    for (url, words, is, _) in URLS {
        if matches!(is, Is::Json | Is::List(_) | Is::Link(_)) {
            let artefact = words.split(' ').nth(1).unwrap();
            let answer = world.send(world.for_artefact(artefact, &path(url))).await;
            urls(&answer.json(), &mut found);
            found.extend(answer.header("location").map(str::to_owned));
        }
    }
    assert!(found.len() > 60, "{}", found.len());
    for url in found {
        let own = url.strip_prefix("https://localhost").unwrap_or_else(|| panic!("{url}"));
        let (path, query) = own.split_once('?').map_or((own, None), |(p, q)| (p, Some(q)));
        assert!(Target::parse(path, query).is_ok(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_for_one_thing_and_cannot_be_changed() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let link = given(&world).await;
    let (own, ticket) = link.split_once("?ticket=").unwrap();
    world.standin.forget_seen();
    let mut wrong = vec![own.to_owned(), format!("{own}?ticket=a")];
    // The last letter holds bits that count nothing.
    for at in 0..ticket.len() - 1 {
        let other = if &ticket[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &ticket[..at], &ticket[at + 1..]);
        wrong.push(format!("{own}?ticket={changed}"));
    }
    for other in [
        path("/v1/Recordings/{RT}/Media"),
        path("/v1/Recordings/{RT}"),
        path("/v1/Rooms/{RM}/Recordings/{RT}/Media/Content"),
        own.replace(&sid("RT", 4), &sid("RT", 2)),
        path("/v1/Compositions/{CJ}/Media/Content"),
        path("{A}/Recordings/{RE}.mp3"),
    ] {
        wrong.push(format!("{other}?ticket={ticket}"));
    }
    for wrong in &wrong {
        assert_eq!(follow(&world, wrong).await.status, 401, "{wrong}");
    }
    assert_eq!(follow(&world, &format!("{own}?ticket=")).await.status, 400);
    assert_eq!(follow(&world, &format!("{link}&ticket={ticket}")).await.status, 400);
    assert!(world.standin.seen().is_empty());
    assert_eq!(follow(&world, &link).await.status, 200);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 2);
    assert!(of_kind(&entries, "refusal").iter().all(|entry| entry["reason"] == "stranger"));
}

/// A link for the redacted sound is none for the whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_what_is_redacted_gives_nothing_else() {
    let world = World::with(twilio::settings(each_their_own)).await;
    let request = world.for_artefact("audio", &path("/v2/Transcripts/{GT}/Media"));
    let link = link(&world.send(request).await, "/media_url");
    assert_eq!(&follow(&world, &link).await.body[..], b"RIFF beep");
    assert_eq!(follow(&world, &format!("{link}&Redacted=false")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_lives_as_long_as_configured_and_no_longer_than_the_proof() {
    for (config, seconds) in
        [("", 300), ("[links]\nlife_seconds = 60", 60), ("[links]\nlife_seconds = 14400", 3600)]
    {
        let settings = twilio::settings(each_their_own);
        let settings = WorldSettings { config: config.to_owned(), ..settings };
        let world = World::with(settings).await;
        let (link, began) = (given(&world).await, world.clock.now());
        world.clock.set(began + SignedDuration::from_secs(seconds - 1));
        assert_eq!(follow(&world, &link).await.status, 200, "{seconds}");
        world.clock.set(began + SignedDuration::from_secs(seconds));
        assert_eq!(follow(&world, &link).await.status, 401, "{seconds}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_link_is_used_for_is_decided_when_it_is_used() {
    let settings = twilio::settings(each_their_own);
    let settings = WorldSettings { watch_seconds: 1, ..settings };
    let mut world = World::with(settings).await;
    let link = given(&world).await;
    // The purpose that it was given for is the only one.
    let elsewhere = Client::get(&link).header("noticegate-purpose", "quality-monitoring");
    assert_eq!(world.send(elsewhere).await.status, 403);
    assert_eq!(follow(&world, &format!("{link}&purpose=quality-monitoring")).await.status, 403);
    assert_eq!(follow(&world, &format!("{link}&purpose=staff-training")).await.status, 200);
    // Then the notice changes, and nobody trains with pictures any more.
    let folder = world.folder.join("policies");
    let clause = permit("audio", "trainer", "staff-training", "");
    one_notice(&folder, &[("training", &clause)]);
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
    while of_kind(&world.read_entries(), "policies").is_empty() {
        looks.tick().await;
    }
    world.standin.forget_seen();
    let answer = follow(&world, &link).await;
    assert_eq!(answer.status, 403);
    assert!(!world.upstream_lines().iter().any(|line| line.contains("/Media")));
    let entries = world.entries().await;
    let (intents, refusals) = (of_kind(&entries, "intent"), of_kind(&entries, "refusal"));
    assert_eq!((intents.len(), refusals.len()), (2, 3));
    for entry in refusals {
        assert_eq!(entry["caller"]["id"], intents[0]["caller"]["id"]);
        assert_eq!(entry["caller"]["key"], "ticket");
    }
}

/// A gate at its most talkative says nothing of a ticket but to whom it gives it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ticket_is_logged_or_recorded() {
    let world = world_of_processes(WorldSettings {
        config: "level = \"trace\"".to_owned(),
        ..WorldSettings::default()
    })
    .await;
    let process = Process::start(&world.folder, &[]);
    let client = Client::new(process.address, world.authority.certificate());
    let mut request = listening(&world)();
    *request.uri_mut() = format!("/flex/url_provider?recording_sid={RECORDING}").parse().unwrap();
    let link = link(&client.send(request).await, "/media_url");
    let ticket = link.split_once("ticket=").unwrap().1.to_owned();
    let asked = |link: &str| crate::support::world::bodiless(Client::get(link));
    assert_eq!(client.send(asked(&link)).await.status, 200);
    assert_eq!(client.send(asked(&link.replace(".mp3", ".wav"))).await.status, 401);
    // The refusal is the last thing that it says.
    let refused = until(|| process.log().contains("refused").then_some(())).await;
    assert!(refused.is_some(), "it was talkative: {}", process.log());
    let log = process.log();
    assert!(!log.contains(&ticket));
    process.terminate();
    let holds = |file: &Path| {
        let bytes = std::fs::read(file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(&ticket)
    };
    let wal = format!("{}-wal", world.ledger.display());
    assert!(!holds(&world.ledger) && !holds(Path::new(&wal)));
    assert_eq!(of_kind(&world.read_entries(), "intent").len(), 2);
}
