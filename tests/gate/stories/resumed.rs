//! A body that upstream breaks off is resumed where that is provably the same object, so that the
//! caller gets the whole; where it is not provable the caller's stream is cut, never padded and
//! never silently short.

use std::time::Duration;

use http_body_util::BodyExt;
use noticegate::standin::{
    Fault, Misbehaviour, RedirectTarget, SampleAudio, SampleRecording, SeenRequest, pattern_byte,
};

use crate::support::client::collect;
use crate::support::disclosed::disclosures;
use crate::support::raw_upstream::{RawUpstream, Step, say};
use crate::support::world::bodiless;
use crate::support::{Answer, RECORDING, World, WorldSettings, path, recording};

const LENGTH: u64 = 300_007;

fn sound(first: u64, last: u64) -> Vec<u8> {
    (first..=last).map(pattern_byte).collect()
}

fn settings() -> WorldSettings {
    WorldSettings {
        recordings: vec![SampleRecording {
            audio: SampleAudio::Zeros { length: LENGTH },
            ..recording(RECORDING, "2026-11-03T09:15:02Z")
        }],
        config: "[upstream]\nretries_max = 0\nidle_timeout_ms = 300".to_owned(),
        ..WorldSettings::default()
    }
}

fn misbehave(world: &World, path_contains: &str, fault: Fault, times: u32) {
    let path_contains = path_contains.to_owned();
    world.standin.misbehave(Misbehaviour { path_contains, fault, times: Some(times) });
}

/// What was asked of where the bytes are, without the metadata.
fn media(world: &World) -> Vec<SeenRequest> {
    let seen = world.standin.seen().into_iter();
    seen.filter(|seen| !seen.path_and_query.contains(".json")).collect()
}

fn header<'a>(seen: &'a SeenRequest, name: &str) -> Option<&'a str> {
    let mut all = seen.headers.iter().filter(|(known, _)| known == name);
    all.next().map(|(_, value)| value.as_str())
}

async fn ask(world: &World, range: Option<&str>) -> Answer {
    let request = world.ana(&path(".wav"));
    let request = range.into_iter().fold(request, |request, range| request.header("range", range));
    world.send(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_gets_the_whole_and_upstream_is_asked_for_the_rest_alone() {
    let mut world = World::with(settings()).await;
    let whole = ask(&world, None).await;
    let tag = whole.header("etag").unwrap().to_owned();
    for fault in [Fault::CutAfter { bytes: 100_000 }, Fault::StallAfter { bytes: 100_000 }] {
        for h2 in [false, true] {
            world.standin.forget_seen();
            misbehave(&world, ".wav$", fault.clone(), 1);
            let answer = match h2 {
                false => ask(&world, None).await,
                true => {
                    let url = format!("https://localhost{}", path(".wav"));
                    world.client.send_h2(bodiless(world.ana(&url))).await
                }
            };
            assert_eq!((answer.status, answer.body.len() as u64), (200, LENGTH), "{fault:?} {h2}");
            assert!(answer.complete && answer.body == sound(0, LENGTH - 1), "{fault:?} {h2}");
            let seen = media(&world);
            assert_eq!(seen.len(), 2, "{fault:?}");
            assert_eq!((header(&seen[0], "range"), header(&seen[0], "if-range")), (None, None));
            let range = header(&seen[1], "range").unwrap();
            let first: u64 =
                range.strip_prefix("bytes=").unwrap().split('-').next().unwrap().parse().unwrap();
            // What was on its way when the connection broke may be lost; it is asked for again.
            assert!(first <= 100_000, "{range}");
            assert_eq!(range, format!("bytes={first}-{}", LENGTH - 1));
            assert_eq!(header(&seen[1], "if-range"), Some(tag.as_str()));
            assert!(header(&seen[1], "authorization").is_some());
        }
    }
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines, vec![format!("GET wav -> 200, {LENGTH} bytes from 0, complete"); 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_resumed_as_a_part_even_where_upstream_ignored_the_range() {
    let mut world = World::with(settings()).await;
    for ignores in [false, true] {
        if ignores {
            misbehave(&world, ".wav$", Fault::IgnoreRange, 1);
        }
        misbehave(&world, ".wav$", Fault::CutAfter { bytes: 60_000 }, 1);
        world.standin.forget_seen();
        let answer = ask(&world, Some("bytes=50000-249999")).await;
        assert_eq!(answer.status, 206);
        assert!(answer.complete && answer.body == sound(50_000, 249_999), "{ignores}");
        let seen = media(&world);
        assert_eq!(seen.len(), 2);
        assert!(header(&seen[1], "range").unwrap().ends_with("-249999"));
    }
    // It breaks off before the first byte that was asked for.
    misbehave(&world, ".wav$", Fault::IgnoreRange, 1);
    misbehave(&world, ".wav$", Fault::CutAfter { bytes: 10_000 }, 1);
    let answer = ask(&world, Some("bytes=-7")).await;
    assert!(answer.complete && answer.body == sound(LENGTH - 7, LENGTH - 1));
    let lines = disclosures(&world.entries().await);
    assert_eq!(
        lines,
        [
            "GET wav bytes=50000-249999 -> 206, 200000 bytes from 50000, complete",
            "GET wav bytes=50000-249999 -> 206, 200000 bytes from 50000, complete",
            "GET wav bytes=-7 -> 206, 7 bytes from 300000, complete",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_redirects_the_way_is_gone_anew_and_the_credential_stays_behind() {
    let mut world = World::with(settings()).await;
    let to = RedirectTarget::OwnCdn { hops: 2 };
    misbehave(&world, ".wav$", Fault::Redirect { to, status: 302 }, 2);
    misbehave(&world, "X-Amz-Signature", Fault::CutAfter { bytes: 90_000 }, 2);
    let answer = ask(&world, None).await;
    assert!(answer.complete && answer.body == sound(0, LENGTH - 1));
    let seen = media(&world);
    for asked in &seen {
        let is_signed = asked.path_and_query.contains("X-Amz");
        assert_eq!(header(asked, "authorization").is_none(), is_signed);
    }
    let whole = seen.iter().filter(|asked| header(asked, "range").is_none()).count();
    assert!(whole > 1 && whole < seen.len(), "{}", seen.len());
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines, [format!("GET wav -> 200, {LENGTH} bytes from 0, complete")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_asked_three_times_for_the_rest_and_not_for_ever() {
    let mut world = World::with(settings()).await;
    for (cuts, whole) in [(3, true), (4, false)] {
        world.standin.behave();
        world.standin.forget_seen();
        misbehave(&world, ".wav$", Fault::CutAfter { bytes: 50_000 }, cuts);
        let answer = ask(&world, None).await;
        assert_eq!(answer.complete, whole, "{cuts}");
        assert!(answer.body == sound(0, LENGTH - 1)[..answer.body.len()]);
        assert_eq!(answer.body.len() as u64 == LENGTH, whole);
        assert_eq!(media(&world).len(), 4, "{cuts}");
    }
    let lines = disclosures(&world.entries().await);
    assert!(lines[1].ends_with("from 0, upstream-cut"), "{}", lines[1]);
}

/// The head of a 200 for an object of ten bytes.
fn ten(tag: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\n{tag}Content-Length: 10\r\n\r\n")
}

/// The first four of them, and the end of the connection when the caller has them.
fn four(tag: &str) -> Vec<Step> {
    vec![say(ten(tag)), say("0123"), Step::Wait, Step::HangUp]
}

/// Asks, and has upstream break off when the answer has begun.
async fn cut(world: &World, raw: &RawUpstream) -> Answer {
    let mut begun = world.client.start(bodiless(world.ana(&path(".wav")))).await;
    let first = begun.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "0123");
    raw.go_on();
    let rest = collect(begun).await;
    Answer { body: [first, rest.body].concat().into(), ..rest }
}

fn rest(status: &str, tag: &str, range: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: audio/x-wav\r\n{tag}{range}Content-Length: \
         {length}\r\n\r\n"
    );
    vec![say(head), say(body), Step::HangUp]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_provably_the_rest_cuts_the_caller_s_stream() {
    let (mut world, raw) = RawUpstream::world(settings()).await;
    let (tag, right) = ("ETag: \"a\"\r\n", "Content-Range: bytes 4-9/10\r\n");
    let part = "206 Partial Content";
    let cases: Vec<(&str, Vec<Step>)> = vec![
        ("another tag", rest(part, "ETag: \"b\"\r\n", right, "456789")),
        ("a weak tag", rest(part, "ETag: W/\"a\"\r\n", right, "456789")),
        ("no tag", rest(part, "", right, "456789")),
        ("two tags", rest(part, "ETag: \"a\"\r\nETag: \"b\"\r\n", right, "456789")),
        ("the whole", rest("200 OK", tag, "", "0123456789")),
        ("an earlier part", rest(part, tag, "Content-Range: bytes 3-9/10\r\n", "3456789")),
        ("a later part", rest(part, tag, "Content-Range: bytes 5-9/10\r\n", "56789")),
        ("a shorter part", rest(part, tag, "Content-Range: bytes 4-8/10\r\n", "45678")),
        ("a longer object", rest(part, tag, "Content-Range: bytes 4-9/11\r\n", "456789")),
        ("an unknown object", rest(part, tag, "Content-Range: bytes 4-9/*\r\n", "456789")),
        ("no part", rest(part, tag, "", "456789")),
        ("another length", rest(part, tag, right, "45678")),
        ("an error", rest("404 Not Found", "", "", "")),
        ("a part of nothing", rest("416 Range Not Satisfiable", tag, "", "")),
        ("garbage", vec![say("SSH-2.0\r\n\r\n"), Step::HangUp]),
    ];
    let count = cases.len();
    for (what, second) in cases {
        raw.forget();
        raw.media_in_turn([four(tag), second]);
        let answer = cut(&world, &raw).await;
        assert_eq!(answer.status, 200, "{what}");
        assert!(!answer.complete, "{what}");
        assert_eq!(answer.body, "0123", "{what}");
        assert_eq!(raw.progress().media().len(), 2, "{what}");
    }
    // Without a strong tag nothing can be proved, so nothing is asked.
    for tag in ["", "ETag: W/\"a\"\r\n"] {
        raw.forget();
        raw.media(four(tag));
        let answer = cut(&world, &raw).await;
        assert!(!answer.complete && answer.body == "0123", "{tag}");
        assert_eq!(raw.progress().media().len(), 1, "{tag}");
    }
    // The right rest, for comparison; what is more than it is not handed on.
    raw.forget();
    raw.media_in_turn([four(tag), rest(part, tag, right, "456789")]);
    let answer = cut(&world, &raw).await;
    assert!(answer.complete && answer.body == "0123456789");
    let progress = raw.progress();
    let asked = progress.media()[1].to_ascii_lowercase();
    assert!(asked.contains("range: bytes=4-9\r\n") && asked.contains("if-range: \"a\"\r\n"));
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines.len(), count + 3);
    let (whole, cut) = lines.split_last().unwrap();
    assert_eq!(whole, "GET wav -> 200, 10 bytes from 0, complete");
    for line in cut {
        assert_eq!(line, "GET wav -> 200, 4 bytes from 0, upstream-cut");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_while_it_is_resumed_leaves_upstream_too() {
    let mut settings = settings();
    settings.config = "[upstream]\nretries_max = 0\nhead_timeout_ms = 60000".to_owned();
    let (mut world, raw) = RawUpstream::world(settings).await;
    let first = vec![say(ten("ETag: \"a\"\r\n")), say("0123"), Step::HangUp];
    raw.media_in_turn([first, vec![Step::Stall]]);
    let mut response = world.client.start(bodiless(world.ana(&path(".wav")))).await;
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "0123");
    raw.until(|progress| progress.media().len() == 2).await;
    drop(response);
    raw.until(|progress| progress.left == 1).await;
    let entries = tokio::time::timeout(Duration::from_secs(20), world.entries()).await.unwrap();
    assert_eq!(disclosures(&entries), ["GET wav -> 200, 4 bytes from 0, caller-left"]);
}
