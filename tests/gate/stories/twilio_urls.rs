//! Every URL at which Twilio serves what was said, or what was made from it, is served through the
//! gate: to whom a clause permits that kind, with an entry for each, and with nothing of the
//! caller's going on to Twilio. What a path says beside, the gate does not believe.

use std::path::Path;

use noticegate::media::{Parameter, ROWS, Serves};
use noticegate::standin::{Fault, Listener, Misbehaviour, SampleRecording, StandInAccount};
use serde_json::{Value, json};

use crate::support::everything::{everything, sid};
use crate::support::policies::one_notice;
use crate::support::twilio::{self, PEOPLE, Twilio, assert_same_but_urls, each_their_own, path};
use crate::support::world::of_kind;
use crate::support::{ACCOUNT, Answer, World};

/// What is behind a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// Bytes at their own path.
    Bytes,
    /// Bytes behind a redirect to the CDN.
    Redirected,
    /// Bytes to which the path without `/Content` leads.
    Content,
    /// One JSON object.
    Json,
    /// A list; this is the key of its items.
    List(&'static str),
    /// An answer of this status that leads to bytes.
    Link(u16),
}
use Is::{Bytes, Content, Json, Link, List, Redirected};

/// What the gate reads to learn the facts about a thing.
type Facts = &'static [&'static str];

const CA: Facts = &["{A}/Calls/{CA}.json"];
const RE: Facts = &["{A}/Recordings/{RE}.json", "{A}/Calls/{CA}.json"];
/// What was made from a recording may outlive it.
const OF_RE: Facts = &["{A}/Recordings/{RE}.json?IncludeSoftDeleted=true", "{A}/Calls/{CA}.json"];
const TR: Facts = &[
    "{A}/Transcriptions/{TR}.json",
    "{A}/Recordings/{RE}.json?IncludeSoftDeleted=true",
    "{A}/Calls/{CA}.json",
];
const MM: Facts = &["{A}/Messages/{MM}.json"];
const RT: Facts = &["/v1/Recordings/{RT}"];
const CJ: Facts = &["/v1/Compositions/{CJ}", "/v1/Rooms/{RM}"];
const RM: Facts = &["/v1/Rooms/{RM}"];
const KV: Facts = &["/v1/MediaRecordings/{KV}"];
const IS: Facts = &["/v1/Services/{IS}/Media/{ME}"];
const GT: Facts = &[
    "/v2/Transcripts/{GT}",
    "{A}/Recordings/{RE}.json?IncludeSoftDeleted=true",
    "{A}/Calls/{CA}.json",
];

/// Each URL with its action, artefact and form in the ledger, what it is, and what facts about it
/// (of a list: about its items) the gate reads.
#[rustfmt::skip]
pub const URLS: &[(&str, &str, Is, Facts)] = &[
    ("{A}/Recordings/{RE}.mp3", "access audio mp3", Bytes, RE),
    ("{A}/Recordings/{RE}.wav", "access audio wav", Bytes, RE),
    ("{A}/Recordings/{RE}", "access audio wav", Bytes, RE),
    ("{A}/Recordings/{RE}.json", "describe audio metadata", Json, RE),
    ("{A}/Recordings.json", "describe audio metadata", List("recordings"), CA),
    ("{A}/Calls/{CA}/Recordings/{RE}.mp3", "access audio mp3", Bytes, RE),
    ("{A}/Calls/{CA}/Recordings/{RE}.wav", "access audio wav", Bytes, RE),
    ("{A}/Calls/{CA}/Recordings/{RE}", "access audio wav", Bytes, RE),
    ("{A}/Calls/{CA}/Recordings/{RE}.json", "describe audio metadata", Json, RE),
    ("{A}/Calls/{CA}/Recordings.json", "describe audio metadata", List("recordings"), CA),
    ("{A}/Conferences/{CF}/Recordings/{RE}.mp3", "access audio mp3", Bytes, RE),
    ("{A}/Conferences/{CF}/Recordings/{RE}.wav", "access audio wav", Bytes, RE),
    ("{A}/Conferences/{CF}/Recordings/{RE}", "access audio wav", Bytes, RE),
    ("{A}/Conferences/{CF}/Recordings/{RE}.json", "describe audio metadata", Json, RE),
    ("{A}/Conferences/{CF}/Recordings.json", "describe audio metadata", List("recordings"), CA),
    ("{A}/Calls/{CA}.json", "describe audio metadata", Json, CA),
    ("{A}/Recordings/{RE}/Transcriptions/{TR}.json", "access transcript transcription", Json, OF_RE),
    ("{A}/Recordings/{RE}/Transcriptions.json", "access transcript transcription", List("transcriptions"), OF_RE),
    ("{A}/Transcriptions/{TR}.json", "access transcript transcription", Json, TR),
    ("{A}/Transcriptions.json", "access transcript transcription", List("transcriptions"), OF_RE),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}.json", "describe analysis metadata", Json, OF_RE),
    ("{A}/Recordings/{RE}/AddOnResults.json", "describe analysis metadata", List("add_on_results"), OF_RE),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}.json", "describe analysis metadata", Json, OF_RE),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads.json", "describe analysis metadata", List("payloads"), OF_RE),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data.json", "access analysis link", Link(307), OF_RE),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data/Content", "access analysis file", Content, OF_RE),
    ("{A}/Messages/{MM}/Media/{ME}", "access message-media file", Redirected, MM),
    ("{A}/Messages/{MM}/Media/{ME}.json", "describe message-media metadata", Json, MM),
    ("{A}/Messages/{MM}/Media.json", "describe message-media metadata", List("media_list"), MM),
    ("/v1/Recordings/{RT}", "describe video metadata", Json, RT),
    ("/v1/Recordings", "describe video metadata", List("recordings"), &[]),
    ("/v1/Recordings/{RT}/Media", "access video link", Link(302), RT),
    ("/v1/Recordings/{RT}/Media/Content", "access video file", Content, RT),
    ("/v1/Rooms/{RM}/Recordings/{RT}", "describe video metadata", Json, RT),
    ("/v1/Rooms/{RM}/Recordings", "describe video metadata", List("recordings"), &[]),
    ("/v1/Rooms/{RM}/Recordings/{RT}/Media", "access video link", Link(302), RT),
    ("/v1/Rooms/{RM}/Recordings/{RT}/Media/Content", "access video file", Content, RT),
    ("/v1/Compositions/{CJ}", "describe video metadata", Json, CJ),
    ("/v1/Compositions", "describe video metadata", List("compositions"), RM),
    ("/v1/Compositions/{CJ}/Media", "access video link", Link(302), CJ),
    ("/v1/Compositions/{CJ}/Media/Content", "access video file", Content, CJ),
    ("/v1/Rooms/{RM}/Transcriptions/{video_extension_}", "describe transcript metadata", Json, RM),
    ("/v1/Rooms/{RM}/Transcriptions", "describe transcript metadata", List("transcriptions"), RM),
    ("/v1/MediaRecordings/{KV}", "describe video metadata", Json, KV),
    ("/v1/MediaRecordings/{KV}/Media", "access video link", Link(302), KV),
    ("/v1/MediaRecordings/{KV}/Media/Content", "access video file", Content, KV),
    ("/v1/MediaRecordings/{KV}/TimedMetadata", "access video link", Link(302), KV),
    ("/v1/MediaRecordings/{KV}/TimedMetadata/Content", "access video file", Content, KV),
    ("/v1/Services/{IS}/Media/{ME}", "describe message-media metadata", Json, IS),
    ("/v1/Services/{IS}/Media/{ME}/Content", "access message-media file", Content, IS),
    ("/v2/Transcripts/{GT}", "describe transcript metadata", Json, GT),
    ("/v2/Transcripts", "describe transcript metadata", List("transcripts"), OF_RE),
    ("/v2/Transcripts/{GT}/Media", "access audio link", Link(200), GT),
    ("/v2/Transcripts/{GT}/Media/Content", "access audio file", Content, GT),
    ("/v2/Transcripts/{GT}/Sentences", "access transcript sentences", Json, GT),
    ("/v2/Transcripts/{GT}/OperatorResults", "access analysis results", Json, GT),
    ("/v2/Transcripts/{GT}/OperatorResults/{LY}", "access analysis results", Json, GT),
    ("/v2/Transcripts/{GT}/Sentences/Encrypted", "access transcript link", Link(200), GT),
    ("/v2/Transcripts/{GT}/Sentences/Encrypted/Content", "access transcript file", Content, GT),
    ("/v2/Transcripts/{GT}/OperatorResults/Encrypted", "access analysis link", Link(200), GT),
    ("/v2/Transcripts/{GT}/OperatorResults/Encrypted/Content", "access analysis file", Content, GT),
];

/// The gate's own URL for Flex, which asks Twilio for facts alone.
const FLEX: &str = "/flex/url_provider";

fn artefact(words: &str) -> &str {
    words.split(' ').nth(1).unwrap()
}

/// Where Twilio has what a URL of the gate serves.
fn at_twilio(url: &str) -> String {
    match url.strip_suffix("/Content") {
        Some(link) if link.ends_with("/Data") => format!("{link}.json"),
        Some(link) => link.to_owned(),
        None => url.to_owned(),
    }
}

/// These stories tell of every URL that the gate knows.
#[test]
fn no_url_is_left_out() {
    let told: Vec<&str> = URLS.iter().map(|(url, ..)| *url).chain([FLEX]).collect();
    let told: Vec<String> =
        told.iter().map(|url| url.replace("{A}", "/2010-04-01/Accounts/{AC}")).collect();
    let served: Vec<&str> = ROWS.iter().map(|row| row.path).collect();
    assert_eq!(told, served);
    for (row, (_, words, is, _)) in ROWS.iter().zip(URLS) {
        let found = format!("{} {}", row.action.as_str(), row.artefact.as_str());
        assert!(words.starts_with(&found), "{}", row.path);
        assert_eq!(matches!(row.serves, Serves::Page { .. }), matches!(is, List(_)));
    }
}

/// What the gate asked Twilio for, for one answer.
fn expected_upstream(url: &str, is: Is, facts: Facts) -> Vec<String> {
    let (row, _) = ROWS.iter().zip(URLS).find(|(_, (of, ..))| *of == url).unwrap();
    let can = row.query.iter().any(|list| list.contains(&Parameter::Redacted));
    let said = if can { "?Redacted=true" } else { "" };
    let own = format!("GET {}{said}", path(&at_twilio(url)));
    let facts = facts.iter().map(|fact| format!("GET {}", path(fact)));
    let cdn = matches!(is, Content | Redirected).then(|| "GET of the CDN".to_owned());
    match is {
        // A page is read before anybody knows what is on it.
        List(_) => [own].into_iter().chain(facts).collect(),
        // The file of a conversation is described where its link is.
        _ => facts.chain([own]).chain(cdn).collect(),
    }
}

/// Nothing of the caller's went on: each header is one of the gate's own.
#[track_caller]
fn assert_gates_own_headers(world: &World) {
    for seen in world.standin.seen() {
        for (name, value) in &seen.headers {
            let own = ["host", "user-agent", "accept", "accept-encoding"].contains(&name.as_str());
            let is_credential = name == "authorization" && seen.listener == Listener::Api;
            assert!(own || is_credential || (name == "range" && value == "bytes=0-0"), "{name}");
            assert!(!value.contains("CALLER"), "{name}");
        }
    }
}

/// Sends what a caller might, beside what they need.
fn talkative(request: http::request::Builder) -> http::request::Builder {
    request
        .header("user-agent", "CALLER/1")
        .header("accept", "CALLER/type")
        .header("accept-language", "CALLER")
        .header("cookie", "session=CALLER")
        .header("x-forwarded-for", "CALLER")
        .header("referer", "https://CALLER.example/")
        .header("noticegate-reference", "CALLER-1")
}

/// The items of a list by SID.
fn items<'a>(list: &'a Value, key: &str) -> Vec<(&'a str, &'a Value)> {
    let items = list[key].as_array().unwrap().iter();
    items.map(|item| (item["sid"].as_str().or(item["ttid"].as_str()).unwrap(), item)).collect()
}

async fn assert_told(twilio: &Twilio, url: &str, is: Is, answer: &Answer) {
    let own = path(&at_twilio(url));
    match is {
        Bytes | Redirected | Content => {
            let expected = match is {
                Bytes => twilio.get(&own).await,
                _ => twilio.behind(&own, 0).await,
            };
            assert_eq!(expected.status, 200);
            assert_eq!(answer.body, expected.body, "{url}");
            let said = expected.header("content-type").unwrap();
            assert_eq!(answer.header("content-type"), Some(said), "{url}");
        }
        Json => assert_same_but_urls(&answer.json(), &twilio.get(&own).await.json()),
        List(key) => {
            let (told, of_twilio) = (answer.json(), twilio.get(&own).await.json());
            let keys = |json: &Value| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&told), keys(&of_twilio), "{url}");
            let all = items(&of_twilio, key);
            for (sid, item) in items(&told, key) {
                let of_twilio = all.iter().find(|(other, _)| *other == sid).unwrap().1;
                assert_same_but_urls(item, of_twilio);
            }
            assert!(!items(&told, key).is_empty(), "{url}");
        }
        Link(_) => {
            let of_twilio = twilio.get(&own).await;
            assert_same_but_urls(&answer.json(), &of_twilio.json());
            let location = answer.header("location");
            assert_eq!(location.is_some(), of_twilio.header("location").is_some(), "{url}");
            assert_eq!(location, location.and(answer.json()["redirect_to"].as_str()));
        }
    }
    if !matches!(is, Bytes | Redirected | Content) {
        assert_eq!(answer.header("content-type"), Some("application/json"), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_url_serves_what_twilio_has_and_is_recorded() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let twilio = Twilio::of(&world);
    let mut asked = Vec::new();
    for (url, words, is, facts) in URLS {
        let mut lengths = Vec::new();
        for method in ["GET", "HEAD"] {
            world.age();
            world.standin.forget_seen();
            let request = world.for_artefact(artefact(words), &path(url)).method(method);
            let answer = world.send(talkative(request)).await;
            let status = if let Link(status) = is { *status } else { 200 };
            let said = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status, status, "{method} {url}: {said}");
            let mut seen = world.upstream_lines();
            // Whose it is was asked once, of all that stories/twilio_parents.rs tells of.
            let described =
                |end: &str| path(url).strip_suffix(end).map(|own| format!("{own}.json"));
            let of_whom = ["/Data.json", "/Data/Content"].into_iter().find_map(described);
            let of_whom = of_whom.or_else(|| (is == &Redirected).then(|| path(url) + ".json"));
            seen.retain(|line| of_whom.as_ref().is_none_or(|own| !line.ends_with(own)));
            let mut expected = expected_upstream(url, *is, facts);
            if matches!(is, List(_)) {
                assert_eq!(seen.first(), expected.first(), "{url}");
                // The facts about the items are asked for side by side.
                seen.sort();
                seen.dedup();
                expected.sort();
            }
            assert_eq!(seen, expected, "{method} {url}");
            assert_gates_own_headers(&world);
            lengths.push(answer.header("content-length").unwrap().to_owned());
            let told = match (method, is) {
                ("HEAD", _) => {
                    assert!(answer.body.is_empty(), "{url}");
                    None
                }
                (_, List(key)) => Some(items(&answer.json(), key).len()),
                _ => Some(1),
            };
            if method == "GET" {
                assert_told(&twilio, url, *is, &answer).await;
            }
            asked.push((*url, *words, *is, method, world.clock.now().to_string(), told, status));
        }
        assert_eq!(lengths[0], lengths[1], "{url}");
    }
    let entries = world.entries().await;
    assert!(of_kind(&entries, "refusal").is_empty());
    let (intents, outcomes) = (of_kind(&entries, "intent"), of_kind(&entries, "outcome"));
    for (url, words, is, method, at, told, status) in asked {
        let own: Vec<&Value> = intents.iter().copied().filter(|i| i["at"] == at).collect();
        assert!(told.map_or(!own.is_empty(), |told| told == own.len()), "{url}: {own:?}");
        for intent in own {
            let text = |pointer: &str| intent.pointer(pointer).unwrap().as_str().unwrap();
            let found = [text("/action"), text("/facts/artefact"), text("/media/form")].join(" ");
            assert_eq!(found, words, "{url}");
            assert_eq!(text("/method"), method);
            assert_eq!(text("/media/account"), ACCOUNT);
            let named = intent["media"]["path"].as_str();
            match is {
                List(_) => {}
                // What the facts are about is named by its SID alone.
                _ if named.is_none() => assert!(path(url).contains(text("/media/recording"))),
                _ => assert_eq!(named.unwrap(), path(url)),
            }
            let of: Vec<_> = outcomes.iter().filter(|o| o["of"] == intent["id"]).collect();
            assert_eq!(of.len(), 1, "{url}");
            assert_eq!((&of[0]["ending"], &of[0]["status"]), (&json!("complete"), &json!(status)));
            assert_eq!(of[0]["bytes"] == 0, method == "HEAD", "{url}: {}", of[0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_permit_for_one_kind_gives_another() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let mut refused = 0;
    for (url, words, is, _) in URLS {
        for (other, ..) in PEOPLE.iter().filter(|(other, ..)| *other != artefact(words)) {
            world.standin.forget_seen();
            let answer = world.send(world.for_artefact(other, &path(url))).await;
            match is {
                // A track of a video room may be a voice.
                List("recordings") if *other == "audio" => {
                    let listed = answer.json();
                    let kinds = items(&listed, "recordings");
                    assert!(kinds.iter().all(|(_, one)| one["type"] == "audio"), "{url}");
                }
                List(key) => {
                    assert_eq!(answer.status, 200, "{url}");
                    assert!(items(&answer.json(), key).is_empty(), "{other} at {url}");
                }
                _ => {
                    assert!([403, 404].contains(&answer.status), "{other} at {url}");
                    assert!(answer.header("noticegate-entry").is_some());
                    refused += 1;
                    let lines = world.upstream_lines();
                    let is_fact = |line: &String| {
                        URLS.iter().any(|(_, _, _, facts)| {
                            facts.iter().any(|fact| *line == format!("GET {}", path(fact)))
                        })
                    };
                    assert!(lines.iter().all(is_fact), "{url}: {lines:?}");
                }
            }
        }
    }
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "refusal").len(), refused);
    let told = of_kind(&entries, "intent");
    assert!(told.iter().all(|intent| intent["facts"]["artefact"] == "audio"));
}

/// The tracks of a room are pictures or voices, and each is what it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_from_a_video_room_is_no_picture() {
    let world = World::with(twilio::settings(each_their_own)).await;
    for (digit, may, may_not) in [(1, "audio", "video"), (4, "video", "audio")] {
        let path = format!("/v1/Recordings/{}/Media", sid("RT", digit));
        assert_eq!(world.send(world.for_artefact(may, &path)).await.status, 302);
        assert!(world.send(world.for_artefact(may_not, &path)).await.status >= 400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_clause_without_the_condition_gives_what_is_not_redacted() {
    fn only_redacted(folder: &Path) {
        let redacted = |what| {
            twilio::permit(what, "team-lead", "quality-monitoring", "needs = [\"redacted\"]")
        };
        let whole = twilio::permit("transcript", "trainer", "staff-training", "");
        one_notice(
            folder,
            &[
                ("hearing", &redacted("audio")),
                ("reading", &redacted("transcript")),
                ("results", &redacted("analysis")),
                ("learning", &whole),
            ],
        );
    }
    let mut world = World::with(twilio::settings(only_redacted)).await;
    let transcript = path("/v2/Transcripts/{GT}");
    let mut asked = Vec::new();
    for end in [
        "/Media",
        "/Media/Content",
        "/Sentences",
        "/OperatorResults",
        "/OperatorResults/{LY}",
        "/Sentences/Encrypted",
        "/OperatorResults/Encrypted/Content",
    ] {
        let url = format!("{transcript}{}", path(end));
        for (query, status) in
            [("", 200), ("?Redacted=true", 200), ("?Redacted=True", 200), ("?Redacted=false", 403)]
        {
            world.standin.forget_seen();
            let url = format!("{url}{query}");
            let request = world.who("lea", "team-lead", "quality-monitoring", &url);
            assert_eq!(world.send(request).await.status, status, "{url}");
            let seen = world.upstream_lines().join(" ");
            assert!(!seen.to_lowercase().contains("redacted=false"), "{seen}");
            asked.push(status);
        }
    }
    let sentences = format!("{transcript}/Sentences?Redacted=false");
    let answer = world.send(world.who("tom", "trainer", "staff-training", &sentences)).await;
    assert_eq!(answer.json()["sentences"][0]["transcript"], "My name is Ana.");
    let sentences = format!("{transcript}/Sentences");
    let answer = world.send(world.who("tom", "trainer", "staff-training", &sentences)).await;
    assert_eq!(answer.json()["sentences"][0]["transcript"], "My name is [PERSON].");
    let entries = world.entries().await;
    let refused = of_kind(&entries, "refusal");
    assert_eq!(refused.len(), asked.iter().filter(|status| **status == 403).count());
    for entry in &refused {
        assert!(!entry["circumstances"].to_string().contains("redacted"), "{entry}");
    }
    let redacted = of_kind(&entries, "intent");
    let redacted = redacted.iter().filter(|entry| entry["caller"]["id"] != "test:tom");
    assert!(redacted.clone().count() > 0);
    for entry in redacted.filter(|entry| entry["caller"]["roles"][0] == "team-lead") {
        let known = entry["circumstances"].as_array().unwrap();
        assert_eq!(known[0], "redacted");
        let asked = entry["media"]["path"].as_str().unwrap();
        assert_eq!(known.len() > 1, asked.contains("/Encrypted/"), "{asked}");
    }
}

/// Another call, conference or room than the facts say is no way to a thing, whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_call_in_a_path_is_not_believed() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let mut count = 0;
    for (url, words, is, _) in URLS {
        for (kind, wrong) in [("{CA}", "CA"), ("{CF}", "CF"), ("{RM}", "RM")] {
            let is_scope = url.contains(&format!("{kind}/"));
            if !is_scope || matches!(is, List(_)) {
                continue;
            }
            world.age();
            world.standin.forget_seen();
            let wrong = path(&url.replace(kind, &sid(wrong, 9)));
            let answer = world.send(world.for_artefact(artefact(words), &wrong)).await;
            assert_eq!(answer.status, 404, "{wrong}");
            assert!(answer.header("noticegate-entry").is_some(), "{wrong}");
            // Neither the sound nor anything else below the wrong call was asked for.
            let lines = world.upstream_lines();
            assert!(lines.iter().all(|line| !line.ends_with(&at_twilio(&wrong))), "{lines:?}");
            count += 1;
        }
    }
    assert_eq!(count, 12);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "refusal").len(), count);
    assert!(of_kind(&entries, "intent").is_empty());
}

/// A list of another call holds nothing that is not that call's, whatever upstream puts on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_a_list_of_another_call_is_not_told() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let foreign = path("{A}/Calls/{CA}/Recordings.json").replace(&sid("CA", 1), &sid("CA", 9));
    let real = Twilio::of(&world).get(&path("{A}/Calls/{CA}/Recordings.json")).await.json();
    let fault = Fault::ReplaceJson(json!({ "recordings": real["recordings"] }));
    world.standin.misbehave(Misbehaviour { path_contains: foreign.clone(), fault, times: None });
    let answer = world.send(world.for_artefact("audio", &foreign)).await;
    assert_eq!((answer.status, &answer.json()["recordings"]), (200, &json!([])));
    assert!(of_kind(&world.entries().await, "intent").is_empty());
}

/// Two of everything that hangs on something else, so that one can be asked for under the other.
fn twins() -> StandInAccount {
    let mut account = everything();
    let mut transcription = account.transcriptions[0].clone();
    (transcription.sid, transcription.recording_sid) = (sid("TR", 9), sid("RE", 8));
    account.transcriptions.push(transcription);
    let mut result = account.add_on_results[0].clone();
    (result.sid, result.recording_sid) = (sid("XR", 9), sid("RE", 8));
    result.payloads[0].sid = sid("XH", 9);
    account.add_on_results.push(result);
    let mut message = account.messages[0].clone();
    message.sid = sid("MM", 9);
    message.media[0].sid = sid("ME", 9);
    account.messages.push(message);
    account
}

const DETOURS: [(&str, &str, &str, &str); 7] = [
    ("{A}/Recordings/{RE}/Transcriptions/{TR}.json", "TR", "transcript", "recording_sid"),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}.json", "XR", "analysis", "reference_sid"),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}.json", "XH", "analysis", "sid"),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data.json", "XH", "analysis", ""),
    ("{A}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data/Content", "XH", "analysis", ""),
    ("{A}/Messages/{MM}/Media/{ME}.json", "ME", "message-media", "parent_sid"),
    ("{A}/Messages/{MM}/Media/{ME}", "ME", "message-media", ""),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_under_what_it_does_not_belong_to() {
    let settings = twilio::settings(each_their_own);
    let settings = crate::support::WorldSettings { holding: Some(twins), ..settings };
    let mut world = World::with(settings).await;
    for (url, kind, artefact, key) in DETOURS {
        let wrong = path(&url.replace(&format!("{{{kind}}}"), &sid(kind, 9)));
        let answer = world.send(world.for_artefact(artefact, &wrong)).await;
        assert_eq!(answer.status, 404, "{wrong}");
        // Not even if Twilio did not mind: what it says of itself counts.
        if !key.is_empty() {
            let own = path(url);
            let fault = Fault::ReplaceJson(json!({ key: format!("{}9", &sid("XX", 0)[..33]) }));
            let path_contains = own.clone();
            world.standin.misbehave(Misbehaviour { path_contains, fault, times: None });
            let answer = world.send(world.for_artefact(artefact, &own)).await;
            assert_eq!(answer.status, 404, "{own} of another {key}");
            world.standin.behave();
        }
    }
    for outcome in of_kind(&world.entries().await, "outcome") {
        assert_eq!((&outcome["status"], &outcome["bytes"]), (&json!(404), &json!(0)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_served_is_not_asked_for() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let mut count = 0;
    for (url, words, ..) in URLS.iter().filter(|(url, ..)| url.starts_with("{A}")) {
        let foreign = path(url).replace(ACCOUNT, &sid("AC", 2));
        let answer = world.send(world.for_artefact(artefact(words), &foreign)).await;
        assert_eq!(answer.status, 404, "{foreign}");
        count += 1;
    }
    assert!(world.standin.seen().is_empty());
    assert_eq!(of_kind(&world.entries().await, "refusal").len(), count);
}

/// What is asked for in another way, or is a setting and no media, is not served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_of_twilio_is_refused_unasked() {
    let mut world = World::with(twilio::settings(each_their_own)).await;
    let recordings = path("{A}/Calls/{CA}/Recordings");
    for (method, url, status) in [
        ("POST", format!("{recordings}.json"), 405),
        ("POST", format!("{recordings}/{}.json", sid("RE", 1)), 405),
        ("POST", path("/v1/Services/{IS}/Media/{ME}"), 405),
        ("PUT", path("/v1/Recordings/{RT}"), 405),
        ("DELETE", path("{A}/Recordings/{RE}.mp3"), 405),
        ("DELETE", path("{A}/Calls/{CA}.json"), 405),
        ("DELETE", path("{A}/Recordings.json"), 405),
        ("DELETE", path("/v1/Services/{IS}/Media/{ME}"), 405),
        ("GET", path("{A}/Recordings/{RE}.xml"), 404),
        ("GET", path("{A}/Transcriptions/{TR}.txt"), 404),
        ("GET", path("{A}/Recordings/{RE}.mp3").replace("2010-04-01", "2008-08-01"), 404),
        ("GET", "/".to_owned(), 404),
        ("GET", "/v1/RecordingSettings/Default".to_owned(), 404),
        ("GET", "/v1/CompositionSettings/Default".to_owned(), 404),
        ("GET", "/v1/MediaRecordings".to_owned(), 404),
        ("GET", path("{A}/Messages.json"), 404),
        ("GET", path("{A}/Messages/{MM}.json"), 404),
        ("GET", path("{A}/Calls.json"), 404),
        ("GET", path("{A}/Calls/{CA}/Events.json"), 404),
        ("GET", path("/v1/Rooms/{RM}"), 404),
        ("GET", path("/v1/Services/{IS}/Media"), 404),
    ] {
        let answer = world.send(world.for_artefact("audio", &url).method(method)).await;
        assert_eq!(answer.status, status, "{method} {url}");
        let json = answer.json();
        assert_eq!(json["status"], status, "an error in Twilio's shape");
        assert!(json["code"].is_u64() && json["message"].is_string());
    }
    assert!(world.standin.seen().is_empty());
    assert!(of_kind(&world.entries().await, "intent").is_empty());
}

/// Where a customer keeps the file elsewhere, the URL of the sound is still the gate's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_the_customers_own_storage_has_no_url_but_the_gates() {
    let world = World::with(twilio::settings(each_their_own)).await;
    let url = "https://bucket.s3.amazonaws.com/AC/RE?X-Amz-Signature=1";
    let fault = Fault::ReplaceJson(json!({ "media_url": url }));
    let own = path("{A}/Recordings/{RE}");
    world.standin.misbehave(Misbehaviour { path_contains: own.clone(), fault, times: None });
    let answer = world.send(world.for_artefact("audio", &format!("{own}.json"))).await;
    assert_eq!(answer.json()["media_url"], format!("https://localhost{own}"));
}

/// A recording that does not exist yet has facts to decide by and no sound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_not_found_at_any_url() {
    fn nothing() -> StandInAccount {
        StandInAccount {
            sid: ACCOUNT.to_owned(),
            auth_token: crate::support::world::UPSTREAM_SECRET.to_owned(),
            recordings: Vec::<SampleRecording>::new(),
            ..StandInAccount::default()
        }
    }
    let settings = twilio::settings(each_their_own);
    let settings = crate::support::WorldSettings { holding: Some(nothing), ..settings };
    let mut world = World::with(settings).await;
    for (url, words, is, _) in URLS {
        let answer = world.send(world.for_artefact(artefact(words), &path(url))).await;
        let of_nothing = url.starts_with("/v1/Rooms/{RM}/Tr") || url.contains("/AddOnResults/{XR}");
        match is {
            List(key) if !of_nothing && !url.contains("{MM}") => {
                assert_eq!(answer.json()[key], json!([]), "{url}");
            }
            _ => assert_eq!(answer.status, 404, "{url}"),
        }
    }
    assert!(of_kind(&world.entries().await, "intent").is_empty());
}
