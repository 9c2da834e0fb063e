//! Parts and conditions: what a player needs for seeking, byte for byte as Twilio would give it,
//! whichever of its stores answers, and each with its place in the ledger.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Builder;
use http_body_util::BodyExt;
use noticegate::standin::{
    Fault, Listener, Misbehaviour, RedirectTarget, SampleAudio, SampleRecording, pattern_byte,
};

use crate::support::disclosed::disclosures;
use crate::support::raw_upstream::{RawUpstream, Step, say};
use crate::support::world::{UPSTREAM_SECRET, bodiless, of_kind};
use crate::support::{ACCOUNT, Answer, Client, RECORDING, World, WorldSettings, path, recording};

/// The sample's `Last-Modified`, and a second before it.
const MODIFIED: &str = "Tue, 03 Nov 2026 09:15:06 GMT";
const BEFORE: &str = "Tue, 03 Nov 2026 09:15:05 GMT";

/// What a caller of Twilio itself would get, with the credential that the gate has.
async fn directly(world: &World, target: &str, headers: &[(&str, String)]) -> Answer {
    let basic = STANDARD.encode(format!("{ACCOUNT}:{UPSTREAM_SECRET}"));
    let client = Client::new(world.standin.address(), world.authority.certificate());
    let mut request = Client::get(target).header("authorization", format!("Basic {basic}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    client.send(bodiless(request)).await
}

fn ask(world: &World, method: &str, target: &str, headers: &[(&str, String)]) -> Builder {
    let mut request = world.ana(target).method(method);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request
}

/// Everything that a player goes by.
fn assert_same(what: &str, answer: &Answer, direct: &Answer) {
    assert_eq!(answer.status, direct.status, "{what}");
    assert!(answer.body == direct.body, "{what}: {} and {}", answer.body.len(), direct.body.len());
    assert!(answer.complete, "{what}");
    let mut names = vec!["content-range"];
    // To a 416 the gate says less than Twilio's XML, and may say more of the object.
    if direct.status != 416 {
        names.extend(["content-length", "content-type", "accept-ranges", "etag", "last-modified"]);
    }
    for name in names {
        assert_eq!(answer.header(name), direct.header(name), "{what}: {name}");
    }
}

/// One way to ask, and what the ledger says of it: the range if it counts as one, and status,
/// bytes and first byte as given.
struct Case {
    headers: Vec<(&'static str, String)>,
    range_counts: bool,
    status: u16,
    bytes: usize,
    first: usize,
}

impl Case {
    fn line(&self) -> String {
        let Self { headers, range_counts, status, bytes, first } = self;
        let range = headers.iter().find(|(name, _)| *range_counts && *name == "range");
        let range = range.map(|(_, range)| format!(" {range}")).unwrap_or_default();
        format!("GET wav{range} -> {status}, {bytes} bytes from {first}, complete")
    }
}

/// All ways to ask for a recording of this length with this tag.
fn cases(length: usize, tag: &str) -> Vec<Case> {
    let case = |lines: &[(&'static str, &str)], range_counts, status, bytes, first| Case {
        headers: lines.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        range_counts,
        status,
        bytes,
        first,
    };
    let last = length - 1;
    let (past, over) = (format!("bytes={length}-"), format!("bytes={}-{}", length + 5, length + 9));
    let (end, all) = (format!("bytes={last}-{}", length + 100), format!("bytes=-{}", length + 5));
    let part = ("range", "bytes=100-199");
    let weak = format!("W/{tag}");
    let list = format!("\"a\", W/{tag}, \"b\"");
    vec![
        case(&[], false, 200, length, 0),
        // A browser's first probe, Safari's, and what they ask for then.
        case(&[("range", "bytes=0-")], true, 206, length, 0),
        case(&[("range", "bytes=0-1")], true, 206, 2, 0),
        case(&[("range", "bytes=0-0")], true, 206, 1, 0),
        case(&[part], true, 206, 100, 100),
        case(&[("range", "bytes=100-")], true, 206, length - 100, 100),
        case(&[("range", "bytes=-100")], true, 206, 100, length - 100),
        case(&[("range", "bytes=-1")], true, 206, 1, last),
        // Past the end a little, and altogether.
        case(&[("range", &end)], true, 206, 1, last),
        case(&[("range", &all)], true, 206, length, 0),
        case(&[("range", &past)], true, 416, 0, 0),
        case(&[("range", &over)], true, 416, 0, 0),
        // What is not one plain range asks for the whole.
        case(&[("range", "bytes=0-1,4-5")], false, 200, length, 0),
        case(&[("range", "bytes=0-1, -1")], false, 200, length, 0),
        case(&[("range", "bytes=9-5")], false, 200, length, 0),
        case(&[("range", "bytes=-")], false, 200, length, 0),
        case(&[("range", "bytes=a-b")], false, 200, length, 0),
        case(&[("range", "bytes=+1-2")], false, 200, length, 0),
        case(&[("range", "bytes 0-1")], false, 200, length, 0),
        case(&[("range", "items=0-1")], false, 200, length, 0),
        case(&[("range", "")], false, 200, length, 0),
        // Only if it is still the same.
        case(&[part, ("if-range", tag)], true, 206, 100, 100),
        case(&[part, ("if-range", "\"other\"")], true, 200, length, 0),
        case(&[part, ("if-range", &weak)], true, 200, length, 0),
        case(&[part, ("if-range", MODIFIED)], true, 206, 100, 100),
        case(&[part, ("if-range", BEFORE)], true, 200, length, 0),
        case(&[("if-range", tag)], false, 200, length, 0),
        // Only if it is another.
        case(&[("if-none-match", tag)], false, 304, 0, 0),
        case(&[("if-none-match", &list)], false, 304, 0, 0),
        case(&[("if-none-match", "*")], false, 304, 0, 0),
        case(&[("if-none-match", "\"other\"")], false, 200, length, 0),
        case(&[part, ("if-none-match", tag)], true, 304, 0, 0),
        case(&[("if-modified-since", MODIFIED)], false, 304, 0, 0),
        case(&[("if-modified-since", BEFORE)], false, 200, length, 0),
        case(
            &[("if-none-match", "\"other\""), ("if-modified-since", MODIFIED)],
            false,
            200,
            length,
            0,
        ),
    ]
}

fn misbehave(world: &World, path_contains: &str, fault: Fault) {
    world.standin.misbehave(Misbehaviour {
        path_contains: path_contains.to_owned(),
        fault,
        times: None,
    });
}

/// Asks in every way, of a gate whose upstream has these faults, and compares with what the
/// stand-in without faults gives directly.
async fn every_way_is_as_direct(faults: Vec<Fault>, over_h2: bool) {
    let mut world = World::new().await;
    let target = path(".wav");
    let whole = directly(&world, &target, &[]).await;
    let tag = whole.header("etag").unwrap().to_owned();
    let cases = cases(whole.body.len(), &tag);
    let mut direct = Vec::new();
    for case in &cases {
        direct.push(directly(&world, &target, &case.headers).await);
    }
    for fault in faults {
        misbehave(&world, "", fault);
    }
    for (case, direct) in cases.iter().zip(&direct) {
        let what = format!("{:?}", case.headers);
        assert_eq!(direct.status, case.status, "{what}");
        let answer = match over_h2 {
            false => world.send(ask(&world, "GET", &target, &case.headers)).await,
            true => {
                let target = format!("https://localhost{target}");
                world.client.send_h2(bodiless(ask(&world, "GET", &target, &case.headers))).await
            }
        };
        // What an error says is the gate's own matter.
        let answer = match case.status {
            416 => Answer { body: direct.body.clone(), ..answer },
            _ => answer,
        };
        assert_same(&what, &answer, direct);
    }
    let expected: Vec<String> = cases.iter().map(Case::line).collect();
    assert_eq!(disclosures(&world.entries().await), expected);
}

#[tokio::test]
async fn every_range_and_condition_is_as_direct() {
    every_way_is_as_direct(Vec::new(), false).await;
}

#[tokio::test]
async fn every_range_and_condition_is_as_direct_over_http2() {
    every_way_is_as_direct(Vec::new(), true).await;
}

/// The gate cuts the part out itself, so that a player can seek all the same.
#[tokio::test]
async fn every_range_and_condition_is_as_direct_where_upstream_ignores_ranges() {
    every_way_is_as_direct(vec![Fault::IgnoreRange], false).await;
}

#[tokio::test]
async fn every_range_and_condition_is_as_direct_behind_a_redirect() {
    let to = RedirectTarget::OwnCdn { hops: 2 };
    every_way_is_as_direct(vec![Fault::Redirect { to, status: 302 }], false).await;
}

#[tokio::test]
async fn every_range_and_condition_is_as_direct_behind_a_redirect_to_what_ignores_ranges() {
    let to = RedirectTarget::OwnCdn { hops: 1 };
    let redirect = Fault::Redirect { to, status: 307 };
    every_way_is_as_direct(vec![redirect, Fault::IgnoreRange], false).await;
}

#[tokio::test]
async fn each_form_of_the_sound_is_as_direct() {
    let mut world = World::new().await;
    let mut expected = Vec::new();
    for (extension, form) in [("", "wav"), (".wav", "wav"), (".mp3", "mp3")] {
        for (query, channels) in
            [("", ""), ("?RequestedChannels=1", " in 1"), ("?RequestedChannels=2", " in 2")]
        {
            let target = path(&format!("{extension}{query}"));
            let direct = directly(&world, &target, &[]).await;
            assert_eq!(direct.status, 200);
            assert_same(&target, &world.send(world.ana(&target)).await, &direct);
            let part = [("range", "bytes=50-99".to_owned())];
            let direct_part = directly(&world, &target, &part).await;
            let answer = world.send(ask(&world, "GET", &target, &part)).await;
            assert_same(&target, &answer, &direct_part);
            let length = direct.body.len();
            expected.push(format!("GET {form}{channels} -> 200, {length} bytes from 0, complete"));
            expected.push(format!(
                "GET {form}{channels} bytes=50-99 -> 206, 50 bytes from 50, complete"
            ));
        }
    }
    assert_eq!(disclosures(&world.entries().await), expected);
}

fn mono() -> WorldSettings {
    let mono = SampleRecording { channels: 1, ..recording(RECORDING, "2026-11-03T09:15:02Z") };
    WorldSettings { recordings: vec![mono], ..WorldSettings::default() }
}

#[tokio::test]
async fn two_channels_of_a_mono_recording_are_refused_with_twilios_code() {
    let mut world = World::with(mono()).await;
    for extension in [".wav", ".mp3"] {
        let target = path(&format!("{extension}?RequestedChannels=1"));
        let direct = directly(&world, &target, &[]).await;
        assert_same(&target, &world.send(world.ana(&target)).await, &direct);
        let target = path(&format!("{extension}?RequestedChannels=2"));
        let answer = world.send(world.ana(&target)).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["code"], 16113);
        let expected = "Cannot download a dual-channel presentation of a mono recording";
        assert_eq!(answer.json()["message"], expected);
    }
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines[1], "GET wav in 2 -> 400, 0 bytes from 0, upstream-error");
    assert_eq!(lines[3], "GET mp3 in 2 -> 400, 0 bytes from 0, upstream-error");
}

/// Twilio does not document HEAD, so the gate asks for one byte and tells the head of the whole.
#[tokio::test]
async fn head_has_the_headers_of_get_and_downloads_nothing() {
    let to = RedirectTarget::OwnCdn { hops: 1 };
    let redirect = Fault::Redirect { to, status: 302 };
    let worlds = [vec![], vec![redirect], vec![Fault::NoLength], vec![Fault::IgnoreRange]];
    for faults in worlds {
        let mut world = World::new().await;
        let shown = format!("{faults:?}");
        let mut expected = Vec::new();
        for (extension, form) in [(".wav", "wav"), (".mp3", "mp3")] {
            let target = path(extension);
            let get = directly(&world, &target, &[]).await;
            let tag = get.header("etag").unwrap().to_owned();
            world.standin.behave();
            faults.iter().for_each(|fault| misbehave(&world, "", fault.clone()));
            for over_h2 in [false, true] {
                world.standin.forget_seen();
                let origin = if over_h2 { "https://localhost" } else { "" };
                let send = async |headers: &[(&str, String)]| {
                    let target = format!("{origin}{target}");
                    let request = bodiless(ask(&world, "HEAD", &target, headers));
                    match over_h2 {
                        false => world.client.send(request).await,
                        true => world.client.send_h2(request).await,
                    }
                };
                let whole = Answer { body: Bytes::new(), headers: get.headers.clone(), ..get };
                assert_same(&shown, &send(&[]).await, &whole);
                // RFC 9110, 14.2: a range means nothing to HEAD.
                let part = ("range", "bytes=5-9".to_owned());
                assert_same(&shown, &send(std::slice::from_ref(&part)).await, &whole);
                let unchanged = send(&[("if-none-match", tag.clone())]).await;
                assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{shown}");
                assert_eq!(unchanged.header("etag"), Some(tag.as_str()));
                for seen in world.standin.seen() {
                    assert_eq!(seen.method, "GET");
                    let range = seen.headers.iter().find(|(name, _)| name == "range");
                    let is_media = !seen.path_and_query.contains(".json");
                    let asked = range.map(|(_, value)| value.as_str());
                    assert_eq!(asked, is_media.then_some("bytes=0-0"), "{shown}");
                }
                expected.extend([
                    format!("HEAD {form} -> 200, 0 bytes from 0, complete"),
                    format!("HEAD {form} bytes=5-9 -> 200, 0 bytes from 0, complete"),
                    format!("HEAD {form} -> 304, 0 bytes from 0, complete"),
                ]);
            }
            world.standin.behave();
        }
        assert_eq!(disclosures(&world.entries().await), expected);
    }
}

/// Where upstream sends the whole all the same, it is not listened to.
#[tokio::test]
async fn head_hangs_up_on_a_whole_that_it_did_not_ask_for() {
    const LENGTH: usize = 64 << 20;
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\nContent-Length: {LENGTH}\r\n\r\n");
    raw.media(vec![say(head), Step::Flood(LENGTH)]);
    let answer = world.send(world.ana(&path(".wav")).method("HEAD")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), Some("67108864"));
    let progress = raw.until(|progress| progress.left == 1).await;
    assert!(progress.flooded < 32 << 20, "{}", progress.flooded);
    assert_eq!(disclosures(&world.entries().await), ["HEAD wav -> 200, 0 bytes from 0, complete"]);
}

#[tokio::test]
async fn an_empty_recording_has_a_head_and_no_part() {
    let settings = WorldSettings {
        recordings: vec![SampleRecording {
            audio: SampleAudio::Bytes { wav: Bytes::new(), mp3: Bytes::new() },
            ..recording(RECORDING, "2026-11-03T09:15:02Z")
        }],
        ..WorldSettings::default()
    };
    let mut world = World::with(settings).await;
    let target = path(".wav");
    let head = world.send(world.ana(&target).method("HEAD")).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("0")));
    let get = world.send(world.ana(&target)).await;
    assert_eq!((get.status, get.header("content-length")), (200, Some("0")));
    let part = world.send(world.ana(&target).header("range", "bytes=0-")).await;
    assert_eq!((part.status, part.header("content-range")), (416, Some("bytes */0")));
    assert_eq!(
        disclosures(&world.entries().await),
        [
            "HEAD wav -> 200, 0 bytes from 0, complete",
            "GET wav -> 200, 0 bytes from 0, complete",
            "GET wav bytes=0- -> 416, 0 bytes from 0, complete",
        ]
    );
}

/// Without a length upstream, the whole comes in chunks and a part still comes as a part.
#[tokio::test]
async fn a_recording_of_unknown_length_comes_all_the_same() {
    let mut world = World::new().await;
    let target = path(".wav");
    let whole = directly(&world, &target, &[]).await.body;
    misbehave(&world, "", Fault::NoLength);
    let part = [("range", "bytes=100-199".to_owned())];
    for over_h2 in [false, true] {
        let origin = if over_h2 { "https://localhost" } else { "" };
        let send = async |headers: &[(&str, String)]| {
            let request = bodiless(ask(&world, "GET", &format!("{origin}{target}"), headers));
            match over_h2 {
                false => world.client.send(request).await,
                true => world.client.send_h2(request).await,
            }
        };
        let answer = send(&[]).await;
        assert!(answer.body == whole && answer.complete);
        assert_eq!((answer.status, answer.header("content-length")), (200, None));
        let answer = send(&part).await;
        assert!(answer.body == whole.slice(100..200) && answer.complete);
        let range = format!("bytes 100-199/{}", whole.len());
        assert_eq!((answer.status, answer.header("content-range")), (206, Some(range.as_str())));
    }
    // With neither length nor part there is no telling where a part would be: the whole comes.
    misbehave(&world, "", Fault::IgnoreRange);
    let answer = world.send(ask(&world, "GET", &target, &part)).await;
    assert!(answer.status == 200 && answer.body == whole && answer.complete);
    let length = whole.len();
    let whole = format!("GET wav -> 200, {length} bytes from 0, complete");
    let part = "GET wav bytes=100-199 -> 206, 100 bytes from 100, complete".to_owned();
    let ignored = format!("GET wav bytes=100-199 -> 200, {length} bytes from 0, complete");
    assert_eq!(
        disclosures(&world.entries().await),
        [whole.clone(), part.clone(), whole, part, ignored]
    );
}

/// A condition that upstream ignores is the gate's to apply: else the caller is answered what was
/// not asked for (RFC 9110, 13.1.1 and 13.1.4). The stand-in, as it happens, ignores these two.
#[tokio::test]
async fn a_precondition_that_upstream_ignores_is_applied_here() {
    let mut world = World::new().await;
    let target = path(".wav");
    let tag = directly(&world, &target, &[]).await.header("etag").unwrap().to_owned();
    let weak = format!("W/{tag}");
    for (name, value, status) in [
        ("if-match", tag.as_str(), 200),
        ("if-match", "*", 200),
        ("if-match", "\"other\"", 412),
        ("if-match", weak.as_str(), 412),
        ("if-unmodified-since", MODIFIED, 200),
        ("if-unmodified-since", BEFORE, 412),
    ] {
        let answer = world.send(ask(&world, "GET", &target, &[(name, value.to_owned())])).await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    world.stop().await;
}

const LARGE: usize = 64 << 20;

fn large() -> WorldSettings {
    WorldSettings {
        recordings: vec![SampleRecording {
            audio: SampleAudio::Zeros { length: LARGE as u64 },
            ..recording(RECORDING, "2026-11-03T09:15:02Z")
        }],
        ..WorldSettings::default()
    }
}

/// Compares a stream with the pattern from its first byte on, without keeping it.
async fn hear(body: &mut hyper::body::Incoming, mut at: u64, count: usize) -> usize {
    let mut heard = 0;
    while heard < count {
        let Some(frame) = body.frame().await else { return heard };
        let Ok(bytes) = frame.expect("more bytes").into_data() else { continue };
        let expected: Vec<u8> = (at..at + bytes.len() as u64).map(pattern_byte).collect();
        assert!(bytes == expected, "a byte near {at} is another");
        at += bytes.len() as u64;
        heard += bytes.len();
    }
    heard
}

#[tokio::test]
async fn a_large_recording_streams_and_a_part_of_it_is_the_part() {
    let mut world = World::with(large()).await;
    let target = path(".wav");
    let mut whole = world.client.start(bodiless(world.ana(&target))).await;
    assert_eq!(whole.headers()["content-length"], "67108864");
    assert_eq!(hear(whole.body_mut(), 0, usize::MAX).await, LARGE);
    let part = world.ana(&target).header("range", "bytes=40000000-40999999");
    let mut part = world.client.start(bodiless(part)).await;
    assert_eq!(hear(part.body_mut(), 40_000_000, usize::MAX).await, 1_000_000);
    misbehave(&world, ".wav", Fault::IgnoreRange);
    let cut = world.ana(&target).header("range", "bytes=10000000-10999999");
    let mut cut = world.client.start(bodiless(cut)).await;
    assert_eq!(cut.status(), 206);
    assert_eq!(hear(cut.body_mut(), 10_000_000, usize::MAX).await, 1_000_000);
    assert_eq!(
        disclosures(&world.entries().await),
        [
            "GET wav -> 200, 67108864 bytes from 0, complete",
            "GET wav bytes=40000000-40999999 -> 206, 1000000 bytes from 40000000, complete",
            "GET wav bytes=10000000-10999999 -> 206, 1000000 bytes from 10000000, complete",
        ]
    );
}

#[tokio::test]
async fn a_caller_who_leaves_was_given_what_was_counted_and_not_the_rest() {
    let mut world = World::with(large()).await;
    for range in ["", "bytes=1000000-"] {
        let mut request = world.ana(&path(".wav"));
        if !range.is_empty() {
            request = request.header("range", range);
        }
        let first = if range.is_empty() { 0 } else { 1_000_000 };
        let mut response = world.client.start(bodiless(request)).await;
        assert!(hear(response.body_mut(), first, 200_000).await >= 200_000);
    }
    let entries = world.entries().await;
    let lines = disclosures(&entries);
    assert!(lines[0].ends_with(" bytes from 0, caller-left"), "{}", lines[0]);
    assert!(lines[1].ends_with(" bytes from 1000000, caller-left"), "{}", lines[1]);
    for outcome in of_kind(&entries, "outcome") {
        let bytes = outcome["bytes"].as_u64().unwrap();
        assert!((200_000..LARGE as u64 / 2).contains(&bytes), "{bytes}");
    }
    assert_eq!(world.standin.seen().iter().filter(|s| s.listener == Listener::Api).count(), 4);
}
