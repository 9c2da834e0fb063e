//! An upstream that lies, breaks off, stalls or shouts. The caller is told in the gate's own words
//! or gets a stream that is visibly cut, and the ledger says what was handed over.

use bytes::Bytes;
use http::Response;
use http::request::Builder;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use noticegate::certs::Authority;
use noticegate::standin::{Fault, MediaFormat, Misbehaviour, RedirectTarget};

use crate::support::client::collect;
use crate::support::disclosed::disclosures;
use crate::support::raw_upstream::{RawUpstream, Step, flood, say, sound};
use crate::support::world::{bodiless, of_kind};
use crate::support::{ACCOUNT, Answer, RECORDING, World, WorldSettings, path};

/// Stands in everything that upstream says and that nobody may read.
const MARK: &str = "UPSTREAM-TEXT";

const UNUSABLE: &str = "Twilio's answer cannot be used";

fn configured(config: &str) -> WorldSettings {
    WorldSettings { config: config.to_owned(), ..WorldSettings::default() }
}

fn with_account(account: &str, config: &str) -> WorldSettings {
    WorldSettings { account: account.to_owned(), ..configured(config) }
}

/// A head of these lines and a body, as they stand.
fn head(lines: &str, body: &str) -> Vec<Step> {
    let lines = lines.replace('\n', "\r\n");
    vec![say(format!("HTTP/1.1 {lines}\r\nX-Mark: {MARK}\r\n\r\n{body}"))]
}

/// A WAV head without a framing, with these lines added.
fn wav(lines: &str, body: &str) -> Vec<Step> {
    head(&format!("200 OK\nContent-Type: audio/x-wav\n{lines}"), body)
}

/// A WAV part with its body's length, with these lines added.
fn part(lines: &str, body: &str) -> Vec<Step> {
    let length = format!("Content-Length: {}", body.len());
    head(&format!("206 Partial Content\nContent-Type: audio/x-wav\n{length}\n{lines}"), body)
}

fn ask(world: &World) -> Builder {
    world.ana(&path(".wav"))
}

/// The answer is in the gate's own words and says nothing of upstream's.
fn in_own_words(what: &str, answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{what}");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(words), "{what}: {message}");
    assert!(!text.contains(MARK) && !text.contains('<'), "{what}: {text}");
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(!value.contains(MARK), "{what}: {name}: {value}");
    }
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    assert!(answer.complete, "{what}");
}

/// Every script gets the same refusal, upstream is asked once for each, and each is an intent with
/// an outcome of no bytes.
async fn all_unusable(
    world: &mut World,
    raw: &RawUpstream,
    request: impl Fn(&World) -> Builder,
    cases: Vec<(&str, Vec<Step>)>,
) {
    for (what, script) in &cases {
        raw.forget();
        raw.media(script.clone());
        let answer = world.send(request(world)).await;
        in_own_words(what, &answer, 502, UNUSABLE);
        assert_eq!(answer.json()["code"], 20500, "{what}");
        assert_eq!(raw.progress().media().len(), 1, "{what}: upstream is asked once");
    }
    // What came before spoils nothing for who comes after.
    raw.media(sound("RIFF"));
    let answer = world.send(ask(world)).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"RIFF"[..]));
    let lines = disclosures(&world.entries().await);
    let (last, failed) = lines.split_last().unwrap();
    assert_eq!(last, "GET wav -> 200, 4 bytes from 0, complete");
    assert_eq!(failed.len(), cases.len());
    for line in failed {
        assert!(line.ends_with(" -> 502, 0 bytes from 0, upstream-error"), "{line}");
    }
}

#[tokio::test]
async fn a_head_with_a_second_reading_is_not_used() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let chunks = "4\r\nRIFF\r\n0\r\n\r\n";
    let lines: String = (0..200).map(|n| format!("X-{n}: {MARK}\n")).collect();
    let wide = format!("Content-Length: 4\nX-Wide: {}", "a".repeat(300 * 1024));
    let cases = vec![
        ("length, then chunks", wav("Content-Length: 4\nTransfer-Encoding: chunked", chunks)),
        ("chunks, then length", wav("Transfer-Encoding: chunked\nContent-Length: 4", chunks)),
        ("two lengths", wav("Content-Length: 4\nContent-Length: 5", "RIFF!")),
        ("the same length twice", wav("Content-Length: 4\nContent-Length: 4", "RIFF")),
        ("a list of lengths", wav("Content-Length: 4, 4", "RIFF")),
        ("a negative length", wav("Content-Length: -4", "RIFF")),
        ("a signed length", wav("Content-Length: +4", "RIFF")),
        ("a hexadecimal length", wav("Content-Length: 0x4", "RIFF")),
        ("an empty length", wav("Content-Length:", "RIFF")),
        ("a length past 64 bits", wav("Content-Length: 18446744073709551620", "RIFF")),
        ("a length past every limit", wav("Content-Length: 9223372036854775807", "RIFF")),
        ("gzip", wav("Content-Length: 4\nContent-Encoding: gzip", "RIFF")),
        ("identity, then gzip", wav("Content-Length: 4\nContent-Encoding: identity, gzip", "RIFF")),
        ("two codings", wav("Content-Length: 4\nContent-Encoding:\nContent-Encoding: br", "RIFF")),
        ("no type of sound", head("200 OK\nContent-Length: 4\nContent-Type: text/html", "<p>")),
        ("json", head("200 OK\nContent-Length: 2\nContent-Type: application/json", "{}")),
        ("mp3 for wav", head("200 OK\nContent-Length: 4\nContent-Type: audio/mpeg", "RIFF")),
        ("two types", wav("Content-Length: 4\nContent-Type: text/html", "RIFF")),
        ("two tags", wav("Content-Length: 4\nETag: \"a\"\nETag: \"b\"", "RIFF")),
        ("two dates", wav("Content-Length: 4\nLast-Modified: a\nLast-Modified: b", "RIFF")),
        ("a tag outside ASCII", wav("Content-Length: 4\nETag: \"é\"", "RIFF")),
        ("NUL in a header", wav("Content-Length: 4\nETag: \"a\0\"", "RIFF")),
        ("a bare CR in a header", wav("Content-Length: 4\nETag: \"a\rSet-Cookie: b\"", "RIFF")),
        ("a folded header", wav("Content-Length: 4\nETag: \"a\n b\"", "RIFF")),
        ("a space before the colon", wav("Content-Length : 4", "RIFF")),
        ("200 headers", wav(&format!("{lines}Content-Length: 4"), "RIFF")),
        ("a header of 300 KiB", wav(&wide, "RIFF")),
    ];
    all_unusable(&mut world, &raw, ask, cases).await;
}

#[tokio::test]
async fn what_is_no_http_1_answer_is_not_used() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let line = |text: &str| vec![say(format!("{text}\r\nContent-Length: 4\r\n\r\nRIFF"))];
    let cases = vec![
        ("HTTP/0.9", vec![say("RIFF and so on\r\n\r\n"), Step::Close]),
        ("HTML", vec![say(format!("<html>{MARK}</html>\r\n\r\n")), Step::Close]),
        ("another protocol", vec![say("SSH-2.0-OpenSSH_9.9\r\n\r\n"), Step::Close]),
        ("HTTP/2 frames", vec![say([0, 0, 0, 4, 0, 0, 0, 0, 0, 13, 10, 13, 10]), Step::Close]),
        ("HTTP/2 by name", line("HTTP/2 200 OK")),
        ("HTTP/1.2", line("HTTP/1.2 200 OK")),
        ("no status", line("HTTP/1.1 OK")),
        ("a status of two digits", line("HTTP/1.1 20 OK")),
        ("a status of four digits", line("HTTP/1.1 2000 OK")),
        ("a status below 100", line("HTTP/1.1 099 OK")),
        ("a status past 599", line("HTTP/1.1 999 OK")),
        ("chunks in HTTP/1.0", line("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked")),
    ];
    all_unusable(&mut world, &raw, ask, cases).await;
}

#[tokio::test]
async fn a_status_that_does_not_fit_the_question_is_not_used() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let other = |status: &str| {
        head(&format!("{status}\nContent-Type: audio/x-wav\nContent-Length: 4"), "RIFF")
    };
    let none = |status: &str| head(status, "");
    let cases = vec![
        ("101", none("101 Switching Protocols\nUpgrade: x\nConnection: upgrade")),
        ("201", other("201 Created")),
        ("202", other("202 Accepted")),
        ("203", other("203 Non-Authoritative Information")),
        ("204", none("204 No Content")),
        ("205", head("205 Reset Content\nContent-Length: 0", "")),
        ("206 that nobody asked for", part("Content-Range: bytes 0-3/10", "RIFF")),
        ("207", other("207 Multi-Status")),
        ("300", other("300 Multiple Choices\nLocation: https://localhost/x")),
        ("304 that nobody asked for", none("304 Not Modified")),
        ("305", other("305 Use Proxy\nLocation: https://localhost/x")),
        ("402", other("402 Payment Required")),
        ("407", other("407 Proxy Authentication Required\nProxy-Authenticate: Basic")),
        ("412 that nobody asked for", other("412 Precondition Failed")),
        ("416 that nobody asked for", other("416 Range Not Satisfiable")),
        ("418", other("418 I'm a teapot")),
        ("451", other("451 Unavailable For Legal Reasons")),
        ("501", other("501 Not Implemented")),
    ];
    all_unusable(&mut world, &raw, ask, cases).await;
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_not_used() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let four = |lines: &str| part(lines, "RIFF");
    let three = |lines: &str| part(lines, "RIF");
    let several = "206 Partial Content\nContent-Type: multipart/byteranges; boundary=x\n\
                   Content-Length: 4\nContent-Range: bytes 2-5/10";
    let cases = vec![
        ("no range", four("")),
        ("from another byte", four("Content-Range: bytes 0-3/10")),
        ("a longer one", four("Content-Range: bytes 2-6/10")),
        ("an overlapping one", four("Content-Range: bytes 3-6/10")),
        ("a shorter one", three("Content-Range: bytes 2-4/10")),
        ("another length than the range", three("Content-Range: bytes 2-5/10")),
        ("unsatisfied", four("Content-Range: bytes */10")),
        ("past its own end", four("Content-Range: bytes 2-5/5")),
        ("backwards", four("Content-Range: bytes 5-2/10")),
        ("another unit", four("Content-Range: items 2-5/10")),
        ("no total", four("Content-Range: bytes 2-5")),
        ("two ranges", four("Content-Range: bytes 2-5/10\nContent-Range: bytes 2-5/10")),
        ("several parts", head(several, "RIFF")),
    ];
    let ranged = |world: &World| ask(world).header("range", "bytes=2-5");
    all_unusable(&mut world, &raw, ranged, cases).await;
}

#[tokio::test]
async fn a_number_with_a_sign_is_no_number_in_a_range() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let ranging = |range: &str| part(&format!("Content-Range: bytes {range}"), "RIFF");
    let cases = vec![
        ("first", ranging("+2-5/10")),
        ("last", ranging("2-+5/10")),
        ("total", ranging("2-5/+10")),
    ];
    let ranged = |world: &World| ask(world).header("range", "bytes=2-5");
    all_unusable(&mut world, &raw, ranged, cases).await;
}

/// A coding under the framing changes the bytes as much as one beside it.
#[tokio::test]
async fn a_transfer_coding_other_than_chunked_is_not_used() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let chunks = "4\r\nRIFF\r\n0\r\n\r\n";
    let closed = |lines: &str| [wav(lines, "RIFF"), vec![Step::Close]].concat();
    let cases = vec![
        ("gzip", closed("Transfer-Encoding: gzip")),
        ("gzip under chunks", wav("Transfer-Encoding: gzip, chunked", chunks)),
        ("gzip over chunks", closed("Transfer-Encoding: chunked, gzip")),
        ("chunks twice", wav("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", chunks)),
        ("identity", closed("Transfer-Encoding: identity")),
    ];
    all_unusable(&mut world, &raw, ask, cases).await;
}

/// RFC 9110, 13.1.5: with a validator that is not the object's, a part would be put to the wrong
/// rest. An upstream that ignores `If-Range` does that; one that does not say which object the part
/// is of may have done so.
#[tokio::test]
async fn a_part_of_another_object_than_the_callers_is_not_used() {
    let valid = |line: &str| part(&format!("Content-Range: bytes 2-5/10\n{line}"), "RIFF");
    let old = "Tue, 03 Nov 2026 09:15:06 GMT";
    let new = "Tue, 03 Nov 2026 09:15:07 GMT";
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let cases = vec![
        ("another tag", valid("ETag: \"new\"")),
        ("a weak tag", valid("ETag: W/\"old\"")),
        ("no tag", valid("X-No: tag")),
    ];
    let ranged = |world: &World| ask(world).header("range", "bytes=2-5");
    let tagged = |world: &World| ranged(world).header("if-range", "\"old\"");
    all_unusable(&mut world, &raw, tagged, cases).await;
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let cases = vec![
        ("another date", valid(&format!("Last-Modified: {new}"))),
        ("no date", valid("X-No: date")),
    ];
    let dated = |world: &World| ranged(world).header("if-range", old);
    all_unusable(&mut world, &raw, dated, cases).await;
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    for (line, validator) in
        [(format!("Last-Modified: {old}"), old), ("ETag: \"old\"".to_owned(), "\"old\"")]
    {
        raw.media(valid(&line));
        let answer = world.send(ranged(&world).header("if-range", validator)).await;
        assert_eq!((answer.status, &answer.body[..]), (206, &b"RIFF"[..]));
    }
    assert_eq!(
        disclosures(&world.entries().await),
        ["GET wav bytes=2-5 -> 206, 4 bytes from 2, complete"; 2]
    );
}

/// What is odd but has one reading is served.
#[tokio::test]
async fn an_answer_with_one_reading_is_used() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let chunks = "2\r\nRI\r\n2;x=y\r\nFF\r\n0\r\nX-Trailer: UPSTREAM-TEXT\r\n\r\n";
    let lines: String = (0..97).map(|n| format!("X-{n}: a\n")).collect();
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let cases = vec![
        ("100 and 103 before it", [vec![say(early)], sound("RIFF")].concat()),
        ("chunks and a trailer", wav("Transfer-Encoding: chunked", chunks)),
        ("identity", wav("Content-Length: 4\nContent-Encoding: identity", "RIFF")),
        (
            "another name of the type",
            head("200 OK\nContent-Type: AUDIO/WAV; x=y\nContent-Length: 4", "RIFF"),
        ),
        (
            "an unknown type",
            head("200 OK\nContent-Type: application/octet-stream\nContent-Length: 4", "RIFF"),
        ),
        ("no type", head("200 OK\nContent-Length: 4", "RIFF")),
        ("100 headers", wav(&format!("{lines}Content-Length: 4"), "RIFF")),
        ("a tag without quotes", wav("Content-Length: 4\nETag: abc", "RIFF")),
        ("a date that is none", wav("Content-Length: 4\nLast-Modified: yesterday", "RIFF")),
        ("HTTP/1.0", vec![say("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nRIFF"), Step::Close]),
    ];
    let count = cases.len();
    for (what, script) in cases {
        raw.media(script);
        let answer = world.send(ask(&world)).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"RIFF"[..]), "{what}");
        assert!(answer.complete, "{what}");
        assert_eq!(answer.header("content-type"), Some("audio/x-wav"), "{what}");
        for name in ["etag", "last-modified", "link", "x-trailer", "trailer"] {
            assert_eq!(answer.header(name), None, "{what}");
        }
    }
    raw.media(wav("Content-Length: 0", ""));
    let empty = world.send(ask(&world)).await;
    assert_eq!((empty.status, empty.body.len(), empty.complete), (200, 0, true));
    let mut expected = vec!["GET wav -> 200, 4 bytes from 0, complete"; count];
    expected.push("GET wav -> 200, 0 bytes from 0, complete");
    assert_eq!(disclosures(&world.entries().await), expected);
}

#[tokio::test]
async fn a_416_says_only_what_is_known() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let answer =
        |lines: &str| head(&format!("416 Range Not Satisfiable\nContent-Length: 0{lines}"), "");
    for (script, range) in [
        (answer("\nContent-Range: bytes */4"), Some("bytes */4")),
        // RFC 9110, 14.4: the length stands in digits or there is no header.
        (answer(""), None),
        (answer("\nContent-Range: bytes */*"), None),
    ] {
        raw.media(script);
        let answer = world.send(ask(&world).header("range", "bytes=99-")).await;
        assert_eq!(answer.status, 416);
        assert_eq!(answer.header("content-range"), range);
    }
    assert_eq!(
        disclosures(&world.entries().await),
        ["GET wav bytes=99- -> 416, 0 bytes from 0, complete"; 3]
    );
}

/// Reads a body until so many bytes have come.
async fn hear(response: &mut Response<Incoming>, count: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let frame = response.body_mut().frame().await.expect("more bytes").expect("more bytes");
        heard.extend_from_slice(&frame.into_data().unwrap());
    }
    heard
}

/// Sends `start`, lets the caller hear `heard`, goes on with `rest`, and gives back what the caller
/// then gets.
async fn broken_off(
    world: &World,
    raw: &RawUpstream,
    request: Builder,
    start: Vec<Step>,
    heard: &str,
    rest: Vec<Step>,
) -> Answer {
    raw.media([start, vec![Step::Wait], rest].concat());
    let mut response = world.client.start(bodiless(request)).await;
    assert_eq!(hear(&mut response, heard.len()).await, heard.as_bytes());
    raw.go_on();
    collect(response).await
}

#[tokio::test]
async fn a_body_that_breaks_off_is_cut_for_the_caller_too() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let length = || wav("Content-Length: 10", "RIFF");
    let chunked = || wav("Transfer-Encoding: chunked", "4\r\nRIFF\r\n");
    let cases: Vec<(&str, Vec<Step>, Vec<Step>)> = vec![
        ("closed", length(), vec![Step::Close]),
        ("hung up", length(), vec![Step::HangUp]),
        ("chunks closed", chunked(), vec![Step::Close]),
        ("chunks hung up", chunked(), vec![Step::HangUp]),
        ("a chunk closed", chunked(), vec![say("4\r\n"), Step::Close]),
        ("a size that is none", chunked(), vec![say("zz\r\nRIFF\r\n0\r\n\r\n"), Step::Stall]),
        ("a negative size", chunked(), vec![say("-4\r\nRIFF\r\n0\r\n\r\n"), Step::Stall]),
        ("a size past 64 bits", chunked(), vec![say("fffffffffffffffff\r\n"), Step::Stall]),
        ("a chunk without end", chunked(), vec![say("0\rX"), Step::Stall]),
        (
            "an endless extension",
            chunked(),
            vec![say(format!("4;{}", "a".repeat(64 * 1024))), Step::Stall],
        ),
        ("no framing, hung up", wav("Connection: close", "RIFF"), vec![Step::HangUp]),
    ];
    let count = cases.len();
    for (what, start, rest) in cases {
        let answer = broken_off(&world, &raw, ask(&world), start, "RIFF", rest).await;
        assert_eq!(answer.status, 200, "{what}");
        assert!(!answer.complete, "{what}: the caller sees that it is cut");
        assert!(answer.body.is_empty(), "{what}: nothing more comes");
    }
    let eight = "206 Partial Content\nContent-Type: audio/x-wav\nContent-Length: 8\n\
                Content-Range: bytes 2-9/10";
    let request = ask(&world).header("range", "bytes=2-");
    let answer =
        broken_off(&world, &raw, request, head(eight, "RIFF"), "RIFF", vec![Step::Close]).await;
    assert!(!answer.complete);
    let mut expected = vec!["GET wav -> 200, 4 bytes from 0, upstream-cut"; count];
    expected.push("GET wav bytes=2- -> 206, 4 bytes from 2, upstream-cut");
    assert_eq!(disclosures(&world.entries().await), expected);
}

/// Without a length and without chunks, only TLS's goodbye says that the end is the end. The gate
/// takes that word, and no other.
#[tokio::test]
async fn a_body_without_framing_ends_with_a_goodbye_or_is_cut() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let start = || wav("Connection: close", "RIFF");
    let answer = broken_off(&world, &raw, ask(&world), start(), "RIFF", vec![Step::Close]).await;
    assert!(answer.complete);
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("accept-ranges"), None);
    let answer = broken_off(&world, &raw, ask(&world), start(), "RIFF", vec![Step::HangUp]).await;
    assert!(!answer.complete);
    assert_eq!(
        disclosures(&world.entries().await),
        [
            "GET wav -> 200, 4 bytes from 0, complete",
            "GET wav -> 200, 4 bytes from 0, upstream-cut",
        ]
    );
}

/// A second answer behind the first is one that nobody asked for: the next caller must not get it.
#[tokio::test]
async fn a_body_longer_than_it_says_reaches_nobody() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let evil = "HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\nContent-Length: 4\r\n\r\nEVIL";
    let behind = |first: Vec<Step>| {
        let Some(Step::Say(bytes)) = first.first() else { panic!("it says something") };
        vec![say([bytes, evil.as_bytes()].concat())]
    };
    let chunked = wav("Transfer-Encoding: chunked", "4\r\nRIFF\r\n0\r\n\r\n");
    for first in [sound("RIFF"), chunked, wav("Content-Length: 0", "")] {
        raw.forget();
        raw.media_in_turn([behind(first), sound("NEXT")]);
        let answer = world.send(ask(&world)).await;
        assert!(answer.complete && !answer.body.ends_with(b"EVIL"));
        let answer = world.send(ask(&world)).await;
        assert_eq!(&answer.body[..], b"NEXT");
        let connections = raw.progress().media_connections();
        assert_ne!(connections[0], connections[1], "the first connection is not used again");
    }
    assert_eq!(
        disclosures(&world.entries().await),
        [
            "GET wav -> 200, 4 bytes from 0, complete",
            "GET wav -> 200, 4 bytes from 0, complete",
            "GET wav -> 200, 4 bytes from 0, complete",
            "GET wav -> 200, 4 bytes from 0, complete",
            "GET wav -> 200, 0 bytes from 0, complete",
            "GET wav -> 200, 4 bytes from 0, complete",
        ]
    );
}

/// A part in chunks has no length of its own, but its range says how long it must be.
#[tokio::test]
async fn a_part_in_chunks_is_as_long_as_its_range() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let chunks = "206 Partial Content\nContent-Type: audio/x-wav\nTransfer-Encoding: chunked\n\
                Content-Range: bytes 2-5/10";
    let ranged = |world: &World| ask(world).header("range", "bytes=2-5");
    let answer = broken_off(
        &world,
        &raw,
        ranged(&world),
        head(chunks, "2\r\nRI\r\n"),
        "RI",
        vec![say("0\r\n\r\n")],
    )
    .await;
    assert_eq!(answer.status, 206);
    assert!(!answer.complete, "two bytes are missing");
    raw.media(head(chunks, "8\r\nRIFFMORE\r\n0\r\n\r\n"));
    let answer = world.send(ranged(&world)).await;
    assert_ne!(&answer.body[..], b"RIFFMORE", "four bytes are too many");
    raw.media(head(chunks, "4\r\nRIFF\r\n0\r\n\r\n"));
    let answer = world.send(ranged(&world)).await;
    assert_eq!((answer.status, &answer.body[..]), (206, &b"RIFF"[..]));
    assert_eq!(answer.header("content-length"), Some("4"));
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines[0], "GET wav bytes=2-5 -> 206, 2 bytes from 2, upstream-cut");
    assert_eq!(lines[2], "GET wav bytes=2-5 -> 206, 4 bytes from 2, complete");
}

#[tokio::test]
async fn a_recording_longer_than_the_limit_is_not_served() {
    let settings = configured("[limits]\nresponse_bytes_max = 1000");
    let (mut world, raw) = RawUpstream::world(settings).await;
    let full = "a".repeat(1000);
    let start = || wav("Transfer-Encoding: chunked", &format!("3e8\r\n{full}\r\n"));
    raw.media(wav("Content-Length: 1000", &full));
    assert_eq!(world.send(ask(&world)).await.body.len(), 1000);
    raw.media(wav("Content-Length: 1001", &full));
    in_own_words("announced", &world.send(ask(&world)).await, 502, UNUSABLE);
    raw.media(part("Content-Range: bytes 2-5/1001", "RIFF"));
    let answer = world.send(ask(&world).header("range", "bytes=2-5")).await;
    in_own_words("the whole of a part", &answer, 502, UNUSABLE);
    let rest = vec![say("0\r\n\r\n")];
    assert!(broken_off(&world, &raw, ask(&world), start(), &full, rest).await.complete);
    let rest = vec![say("1\r\na\r\n0\r\n\r\n")];
    assert!(!broken_off(&world, &raw, ask(&world), start(), &full, rest).await.complete);
    assert_eq!(
        disclosures(&world.entries().await),
        [
            "GET wav -> 200, 1000 bytes from 0, complete",
            "GET wav -> 502, 0 bytes from 0, upstream-error",
            "GET wav bytes=2-5 -> 502, 0 bytes from 0, upstream-error",
            "GET wav -> 200, 1000 bytes from 0, complete",
            "GET wav -> 200, 1000 bytes from 0, too-long",
        ]
    );
}

#[tokio::test]
async fn silence_before_the_head_is_504() {
    let (mut world, raw) =
        RawUpstream::world(configured("[upstream]\nhead_timeout_ms = 1000")).await;
    let stalls = [
        ("nothing", vec![Step::Stall]),
        ("half a head", vec![say("HTTP/1.1 200 OK\r\nContent-"), Step::Stall]),
        ("only a 100", vec![say("HTTP/1.1 100 Continue\r\n\r\n"), Step::Stall]),
    ];
    for (what, script) in stalls {
        raw.forget();
        raw.media(script);
        let answer = world.send(ask(&world)).await;
        in_own_words(what, &answer, 504, "Twilio took too long to answer");
        let progress = raw.until(|progress| progress.left == 1).await;
        assert_eq!(progress.media().len(), 1, "{what}: it is not asked again");
    }
    assert_eq!(
        disclosures(&world.entries().await),
        ["GET wav -> 504, 0 bytes from 0, upstream-error"; 3]
    );
}

#[tokio::test]
async fn silence_in_the_middle_cuts_the_stream() {
    let (mut world, raw) =
        RawUpstream::world(configured("[upstream]\nidle_timeout_ms = 300")).await;
    for start in
        [wav("Content-Length: 10", "RIFF"), wav("Transfer-Encoding: chunked", "4\r\nRIFF\r\n")]
    {
        raw.forget();
        let answer = broken_off(&world, &raw, ask(&world), start, "RIFF", vec![Step::Stall]).await;
        assert!(!answer.complete && answer.body.is_empty());
        raw.until(|progress| progress.left == 1).await;
    }
    assert_eq!(
        disclosures(&world.entries().await),
        ["GET wav -> 200, 4 bytes from 0, upstream-cut"; 2]
    );
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_the_caller_nothing() {
    let (mut world, raw) = RawUpstream::world(configured("[upstream]\nretries_max = 0")).await;
    for ending in [Step::Close, Step::HangUp] {
        raw.forget();
        // It dies when it is asked again, before the head.
        raw.media_in_turn([sound("ONE!"), vec![ending.clone()], sound("TWO!")]);
        assert_eq!(&world.send(ask(&world)).await.body[..], b"ONE!");
        assert_eq!(&world.send(ask(&world)).await.body[..], b"TWO!");
        let connections = raw.progress().media_connections();
        assert_eq!(connections.len(), 3);
        assert_eq!(connections[0], connections[1]);
        assert_ne!(connections[1], connections[2]);
        // It dies at once, and is not even tried again.
        raw.forget();
        raw.media_in_turn([[sound("ONE!"), vec![ending]].concat(), sound("TWO!")]);
        assert_eq!(&world.send(ask(&world)).await.body[..], b"ONE!");
        assert_eq!(&world.send(ask(&world)).await.body[..], b"TWO!");
        assert_eq!(raw.progress().media().len(), 2);
    }
    assert_eq!(
        disclosures(&world.entries().await),
        ["GET wav -> 200, 4 bytes from 0, complete"; 8]
    );
}

#[tokio::test]
async fn an_upstream_that_only_hangs_up_is_tried_as_often_as_configured() {
    for (retries, asked) in [(0, 1), (1, 2)] {
        let config = format!("[upstream]\nidle_connections_max = 0\nretries_max = {retries}");
        let (mut world, raw) = RawUpstream::world(configured(&config)).await;
        raw.media(vec![Step::Close]);
        in_own_words("hung up", &world.send(ask(&world)).await, 502, UNUSABLE);
        assert_eq!(raw.progress().media().len(), asked);
        assert_eq!(
            disclosures(&world.entries().await),
            ["GET wav -> 502, 0 bytes from 0, upstream-error"]
        );
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_or_authority_is_not_talked_to() {
    let config = "[upstream]\nidle_connections_max = 0\nretries_max = 0";
    let (mut world, raw) = RawUpstream::world(configured(config)).await;
    assert_eq!(world.send(ask(&world)).await.status, 200);
    raw.forget();
    let stranger = Authority::new().unwrap();
    for issued in [
        world.authority.issue(&["api.twilio.com"]).unwrap(),
        world.authority.issue(&["127.0.0.1"]).unwrap(),
        stranger.issue(&["localhost"]).unwrap(),
    ] {
        raw.present(&issued);
        in_own_words("certificate", &world.send(ask(&world)).await, 502, UNUSABLE);
    }
    assert!(raw.progress().heads.is_empty(), "no request and no credential was sent");
    // Without facts there is no decision, and so no intent.
    let other = path(".wav").replace("abcdef", "abcde0");
    let answer = world.send(world.ana(&other)).await;
    in_own_words("facts", &answer, 503, "This cannot be decided at the moment");
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "refusal").len(), 1);
    assert_eq!(disclosures(&entries)[1..], ["GET wav -> 502, 0 bytes from 0, upstream-error"; 3]);
}

#[tokio::test]
async fn an_error_is_told_in_the_gates_own_words() {
    let (mut world, raw) = RawUpstream::world(configured("[upstream]\nretries_max = 1")).await;
    let error = |status: &str, body: &str| {
        let length = body.len();
        head(&format!("{status}\nContent-Type: text/html\nContent-Length: {length}"), body)
    };
    let html = "<html>UPSTREAM-TEXT <script>alert(1)</script> AC0:5ec2e7</html>";
    let json = |code: u32| format!("{{\"code\":{code},\"message\":\"UPSTREAM-TEXT\"}}");
    let xml = |code: u32| {
        format!(
            "<TwilioResponse><RestException><Code>{code}</Code><Message>UPSTREAM-TEXT</Message>\
             </RestException></TwilioResponse>"
        )
    };
    let mono = "Cannot download a dual-channel presentation of a mono recording";
    let encrypted = "MP3 is not available for an encrypted recording; ask for .wav";
    let parameter = "Twilio does not take a parameter of this request";
    let not_found = "The requested resource was not found";
    let busy = "Too many requests for this account are under way";
    let late = "429 Too Many Requests\nRetry-After: 7";
    let soon = "429 Too Many Requests\nRetry-After: 0";
    let cases = [
        ("400 Bad Request", json(16113), 400, 16113, mono, None, 1),
        ("400 Bad Request", json(16109), 400, 16109, encrypted, None, 1),
        ("400 Bad Request", xml(16113), 400, 16113, mono, None, 1),
        ("400 Bad Request", json(20001), 400, 20001, parameter, None, 1),
        ("400 Bad Request", xml(99999), 400, 99999, "Twilio refuses this request", None, 1),
        ("400 Bad Request", xml(20003), 502, 20500, UNUSABLE, None, 1),
        ("400 Bad Request", html.to_owned(), 502, 20500, UNUSABLE, None, 1),
        ("400 Bad Request", html.repeat(1000), 502, 20500, UNUSABLE, None, 1),
        (
            "401 Unauthorized\nWWW-Authenticate: Basic",
            html.to_owned(),
            502,
            20500,
            UNUSABLE,
            None,
            1,
        ),
        ("403 Forbidden", html.to_owned(), 502, 20500, UNUSABLE, None, 1),
        ("404 Not Found", html.to_owned(), 404, 20404, not_found, None, 1),
        ("410 Gone", html.to_owned(), 410, 20410, "The requested resource is gone", None, 1),
        (late, html.to_owned(), 429, 20429, busy, Some("7"), 1),
        (soon, html.to_owned(), 429, 20429, busy, Some("0"), 2),
        ("429 Too Many Requests", html.to_owned(), 429, 20429, busy, Some("1"), 2),
        (
            "429 Too Many Requests\nRetry-After: soon",
            html.to_owned(),
            429,
            20429,
            busy,
            Some("1"),
            2,
        ),
        ("500 Internal Server Error", html.to_owned(), 502, 20500, UNUSABLE, None, 1),
        ("502 Bad Gateway", html.to_owned(), 502, 20500, UNUSABLE, None, 2),
        ("503 Service Unavailable", html.to_owned(), 502, 20500, UNUSABLE, None, 2),
        ("503 Service Unavailable\nRetry-After: 9", html.to_owned(), 502, 20500, UNUSABLE, None, 1),
        ("504 Gateway Timeout", html.to_owned(), 502, 20500, UNUSABLE, None, 2),
    ];
    let mut expected = Vec::new();
    for (status_line, body, status, code, words, retry_after, asked) in cases {
        raw.forget();
        raw.media(error(status_line, &body));
        let answer = world.send(ask(&world)).await;
        in_own_words(status_line, &answer, status, words);
        assert_eq!(answer.json()["code"], code, "{status_line}");
        assert_eq!(answer.header("retry-after"), retry_after, "{status_line}");
        assert_eq!(answer.header("www-authenticate"), None, "{status_line}");
        assert_eq!(raw.progress().media().len(), asked, "{status_line}");
        expected.push(format!("GET wav -> {status}, 0 bytes from 0, upstream-error"));
    }
    assert_eq!(disclosures(&world.entries().await), expected);
}

#[tokio::test]
async fn what_is_safe_to_try_again_is_tried_again() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let error = |status: &str| head(&format!("{status}\nContent-Length: 0"), "");
    for (first, second) in [
        (error("503 Service Unavailable"), error("502 Bad Gateway")),
        (error("429 Too Many Requests"), error("504 Gateway Timeout")),
        (vec![Step::Close], vec![Step::HangUp]),
    ] {
        raw.forget();
        raw.media_in_turn([first, second, sound("RIFF")]);
        let answer = world.send(ask(&world)).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"RIFF"[..]));
    }
    // However often upstream was asked, it was one disclosure.
    assert_eq!(
        disclosures(&world.entries().await),
        ["GET wav -> 200, 4 bytes from 0, complete"; 3]
    );
}

#[tokio::test]
async fn an_error_body_that_does_not_end_holds_nobody_up() {
    let (mut world, raw) =
        RawUpstream::world(configured("[upstream]\nhead_timeout_ms = 1000")).await;
    raw.media(
        [head("400 Bad Request\nContent-Length: 100", "{\"code\":"), vec![Step::Stall]].concat(),
    );
    in_own_words("stalled", &world.send(ask(&world)).await, 502, UNUSABLE);
    raw.until(|progress| progress.left == 1).await;
    raw.media(
        [head("400 Bad Request\nConnection: close", ""), vec![Step::Flood(64 << 20)]].concat(),
    );
    in_own_words("endless", &world.send(ask(&world)).await, 502, UNUSABLE);
    assert!(raw.until(|progress| progress.left == 2).await.flooded < 32 << 20);
    assert_eq!(
        disclosures(&world.entries().await),
        ["GET wav -> 502, 0 bytes from 0, upstream-error"; 2]
    );
}

fn misbehave(world: &World, path_contains: &str, fault: Fault) {
    world.standin.misbehave(Misbehaviour {
        path_contains: path_contains.to_owned(),
        fault,
        times: None,
    });
}

fn whole(world: &World) -> Bytes {
    world.standin.media(ACCOUNT, RECORDING, MediaFormat::Wav, None).unwrap()
}

#[tokio::test]
async fn a_redirect_is_followed_without_the_credential() {
    let mut world = World::new().await;
    let whole = whole(&world);
    for status in [301, 302, 303, 307, 308] {
        world.standin.behave();
        world.standin.forget_seen();
        let to = RedirectTarget::OwnCdn { hops: 1 };
        misbehave(&world, ".wav", Fault::Redirect { to, status });
        let answer = world.send(ask(&world)).await;
        assert_eq!((answer.status, &answer.body), (200, &whole), "{status}");
        let seen = world.standin.seen();
        let media: Vec<_> = seen.iter().filter(|s| !s.path_and_query.contains(".json")).collect();
        assert_eq!(media.len(), 2, "{status}");
        let has_credential: Vec<bool> = media
            .iter()
            .map(|seen| seen.headers.iter().any(|(name, _)| name == "authorization"))
            .collect();
        assert_eq!(has_credential, [true, false], "{status}");
        assert_eq!(media[1].method, "GET");
    }
    let line = format!("GET wav -> 200, {} bytes from 0, complete", whole.len());
    assert_eq!(disclosures(&world.entries().await), vec![line; 5]);
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_limit() {
    for (limit, hops, status) in [(3, 3, 200), (3, 4, 502), (1, 1, 200), (1, 2, 502), (0, 1, 502)] {
        let config = format!("[upstream]\nredirects_max = {limit}");
        let mut world = World::with(configured(&config)).await;
        let to = RedirectTarget::OwnCdn { hops };
        misbehave(&world, ".wav", Fault::Redirect { to, status: 302 });
        let answer = world.send(ask(&world)).await;
        assert_eq!(answer.status, status, "{hops} of {limit}");
        // The API, and then as many as may be followed.
        assert_eq!(world.media_requests().len(), 1 + usize::from(hops.min(limit)));
        let ending = if status == 200 { "complete" } else { "upstream-error" };
        let lines = disclosures(&world.entries().await);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with(ending), "{lines:?}");
    }
}

/// The raw upstream redirects; the stand-in's CDN is the one host that is allowed.
#[tokio::test]
async fn a_redirect_to_anywhere_else_is_not_followed() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let cdn = world.standin.cdn_address().port();
    let signed = "x?X-Amz-Signature=UPSTREAM-TEXT";
    let long = format!("https://localhost:{cdn}/{}", "a".repeat(8 * 1024));
    let locations = [
        format!("https://elsewhere.example/{signed}"),
        format!("https://localhost/{signed}"),
        format!("https://localhost:{}/{signed}", cdn ^ 1),
        format!("https://localhost.:{cdn}/{signed}"),
        format!("https://localhost.elsewhere.example:{cdn}/{signed}"),
        format!("https://127.0.0.1:{cdn}/{signed}"),
        format!("https://[::1]:{cdn}/{signed}"),
        format!("http://localhost:{cdn}/{signed}"),
        format!("ftp://localhost:{cdn}/{signed}"),
        format!("httpss://localhost:{cdn}/{signed}"),
        format!("https:localhost:{cdn}/{signed}"),
        format!("https:///localhost:{cdn}/{signed}"),
        format!("https://ana@localhost:{cdn}/{signed}"),
        format!("https://ana:pw@localhost:{cdn}/{signed}"),
        format!("https://@localhost:{cdn}/{signed}"),
        format!("https://localhost:{cdn}@elsewhere.example/{signed}"),
        format!("https://localhost:{cdn}\\@elsewhere.example/{signed}"),
        format!("https://elsewhere.example\\@localhost:{cdn}/{signed}"),
        format!("https://elsewhere.example#@localhost:{cdn}/{signed}"),
        format!("https://localhost:{cdn}.elsewhere.example/{signed}"),
        format!("https://localhost:0{cdn}9/{signed}"),
        format!("//localhost:{cdn}/{signed}"),
        format!("localhost:{cdn}/{signed}"),
        format!("/{signed}"),
        "x".to_owned(),
        "*".to_owned(),
        String::new(),
        format!("https://localhost:{cdn}/a b"),
        format!("https://localhost:{cdn}/a\tb"),
        format!("https://localhost:{cdn}/<é>"),
        format!("https://localhost:{cdn}/x, https://localhost:{cdn}/y"),
        format!("https://localhost:{cdn}/x\nLocation: https://localhost:{cdn}/x"),
        format!("https://localhost:{cdn}/x\rX-Injected: y"),
        format!("https://localhost:{cdn}/x\0"),
        "javascript:alert(1)".to_owned(),
        "file:///etc/passwd".to_owned(),
        long,
    ];
    let mut cases: Vec<(&str, Vec<Step>)> = locations
        .iter()
        .map(|to| (to.as_str(), head(&format!("302 Found\nContent-Length: 0\nLocation: {to}"), "")))
        .collect();
    cases.push(("no location", head("302 Found\nContent-Length: 0", "")));
    all_unusable(&mut world, &raw, ask, cases).await;
    assert!(world.standin.seen().is_empty(), "{:?}", world.standin.seen());
    let ledger = serde_json::to_string(&world.read_entries()).unwrap();
    for text in [MARK, "elsewhere", "X-Amz", "localhost"] {
        assert!(!ledger.contains(text), "{text}");
    }
}

/// Facts decide; they come from the API or from an allowed host, and never with the credential
/// from anywhere else.
#[tokio::test]
async fn a_redirect_of_metadata_is_not_followed_blindly() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    let cdn = world.standin.cdn_address().port();
    for (to, on_cdn) in [
        ("https://elsewhere.example/x.json".to_owned(), 0),
        (format!("http://localhost:{cdn}/x.json"), 0),
        (format!("https://localhost:{cdn}/x.json"), 1),
    ] {
        world.standin.forget_seen();
        raw.metadata(head(
            &format!("307 Temporary Redirect\nContent-Length: 0\nLocation: {to}"),
            "",
        ));
        let answer = world.send(ask(&world)).await;
        in_own_words(&to, &answer, 503, "This cannot be decided at the moment");
        let seen = world.standin.seen();
        assert_eq!(seen.len(), on_cdn, "{to}");
        assert!(seen.iter().all(|s| s.headers.iter().all(|(name, _)| name != "authorization")));
    }
    assert!(raw.progress().media().is_empty());
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent").is_empty());
    assert_eq!(of_kind(&entries, "refusal").len(), 3);
}

#[tokio::test]
async fn a_stream_from_the_api_takes_one_of_the_accounts_places() {
    let settings = with_account("concurrent_requests_max = 1", "[upstream]\nqueue_timeout_ms = 50");
    let (mut world, raw) = RawUpstream::world(settings).await;
    let steps = [wav("Content-Length: 8", "RIFF"), vec![Step::Wait, say("WAVE")]].concat();
    raw.media(steps);
    let mut first = world.client.start(bodiless(ask(&world))).await;
    assert_eq!(hear(&mut first, 4).await, b"RIFF");
    let second = world.send(ask(&world)).await;
    in_own_words("no place", &second, 429, "Too many requests for this account are under way");
    assert_eq!(second.header("retry-after"), Some("1"));
    assert_eq!(raw.progress().media().len(), 1, "upstream was not asked");
    raw.go_on();
    assert_eq!(&collect(first).await.body[..], b"WAVE");
    raw.media(sound("RIFF"));
    assert_eq!(world.send(ask(&world)).await.status, 200);
    assert_eq!(
        disclosures(&world.entries().await),
        [
            "GET wav -> 200, 8 bytes from 0, complete",
            "GET wav -> 429, 0 bytes from 0, upstream-error",
            "GET wav -> 200, 4 bytes from 0, complete",
        ]
    );
}

/// Twilio counts requests to its API, not to where it redirects.
#[tokio::test]
async fn a_stream_from_where_it_redirects_takes_no_place() {
    let settings = with_account("concurrent_requests_max = 1", "[upstream]\nqueue_timeout_ms = 50");
    let mut world = World::with(settings).await;
    let whole = whole(&world);
    let to = RedirectTarget::OwnCdn { hops: 1 };
    misbehave(&world, ".wav", Fault::Redirect { to, status: 302 });
    world.standin.misbehave(Misbehaviour {
        path_contains: "X-Amz-Signature".to_owned(),
        fault: Fault::StallAfter { bytes: 100 },
        times: Some(1),
    });
    let mut first = world.client.start(bodiless(ask(&world))).await;
    assert_eq!(hear(&mut first, 100).await, whole[..100]);
    let second = world.send(ask(&world)).await;
    assert_eq!((second.status, &second.body), (200, &whole));
    drop(first);
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines[0], "GET wav -> 200, 100 bytes from 0, caller-left");
    assert_eq!(lines[1], format!("GET wav -> 200, {} bytes from 0, complete", whole.len()));
}

/// What the CDN says is as hostile as what the API says.
#[tokio::test]
async fn errors_behind_a_redirect_are_told_in_the_gates_own_words() {
    let settings = configured("[upstream]\nretries_max = 0\nidle_timeout_ms = 500");
    let mut world = World::with(settings).await;
    let to = RedirectTarget::OwnCdn { hops: 1 };
    misbehave(&world, ".wav", Fault::Redirect { to, status: 302 });
    let cdn = "X-Amz-Signature";
    let faults = [
        (Fault::Status { status: 403, retry_after: None }, 502, UNUSABLE),
        (Fault::Status { status: 404, retry_after: None }, 404, "was not found"),
        (Fault::Status { status: 503, retry_after: Some(1) }, 502, UNUSABLE),
        (Fault::ContentType("text/html".to_owned()), 502, UNUSABLE),
        (Fault::ContentEncoding("gzip".to_owned()), 502, UNUSABLE),
    ];
    let count = faults.len();
    for (fault, status, words) in faults {
        let what = format!("{fault:?}");
        world.standin.misbehave(Misbehaviour {
            path_contains: cdn.to_owned(),
            fault,
            times: Some(1),
        });
        in_own_words(&what, &world.send(ask(&world)).await, status, words);
    }
    misbehave(&world, cdn, Fault::StallAfter { bytes: 5000 });
    let answer = world.send(ask(&world)).await;
    // It is asked for the rest three times, and gives a little each time.
    assert_eq!((answer.status, answer.complete, answer.body.len()), (200, false, 20_000));
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines.len(), count + 1);
    assert_eq!(lines[count], "GET wav -> 200, 20000 bytes from 0, upstream-cut");
}

/// Metadata that is handed to a caller is read as a whole first, so nothing of a bad one comes.
#[tokio::test]
async fn metadata_that_cannot_be_read_is_not_handed_on() {
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    assert_eq!(world.send(ask(&world)).await.status, 200);
    let json = |lines: &str, body: &str| {
        head(&format!("200 OK\nContent-Type: application/json\n{lines}"), body)
    };
    let nested = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let both = "Content-Length: 2\nTransfer-Encoding: chunked";
    let nested_length = format!("Content-Length: {}", nested.len());
    let cases = [
        ("no JSON", json("Content-Length: 4", "{\"a\"")),
        ("no object", json("Content-Length: 4", "[{}]")),
        ("deep", json(&nested_length, &nested)),
        ("not UTF-8", [json("Content-Length: 8", "{\"a\":\""), vec![say(b"\xff\"}")]].concat()),
        ("html", head("200 OK\nContent-Type: text/html\nContent-Length: 2", "{}")),
        ("gzip", json("Content-Length: 2\nContent-Encoding: gzip", "{}")),
        ("two framings", json(both, "2\r\n{}\r\n0\r\n\r\n")),
        (
            "part",
            head("206 Partial Content\nContent-Type: application/json\nContent-Length: 2", "{}"),
        ),
        ("unchanged", head("304 Not Modified", "")),
        ("cut", [json("Content-Length: 9", "{}"), vec![Step::Close]].concat()),
        ("too long", [json("Content-Length: 300000", ""), vec![Step::Flood(300_000)]].concat()),
    ];
    let count = cases.len();
    for (what, script) in cases {
        raw.metadata(script);
        let answer = world.send(world.ana(&path(".json"))).await;
        in_own_words(what, &answer, 502, UNUSABLE);
    }
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines[1..], vec!["GET metadata -> 502, 0 bytes from 0, upstream-error"; count]);
}

/// A caller who takes nothing makes upstream wait: what it could send is bounded by what kernels
/// and TLS buffer on the way, far below the recording's length.
#[tokio::test]
async fn a_caller_who_takes_nothing_makes_upstream_wait() {
    const LENGTH: usize = 64 << 20;
    let (mut world, raw) = RawUpstream::world(WorldSettings::default()).await;
    raw.media([wav(&format!("Content-Length: {LENGTH}"), ""), vec![Step::Flood(LENGTH)]].concat());
    let response = world.client.start(bodiless(ask(&world))).await;
    let blocked = raw.until(|progress| progress.blocked).await.flooded;
    assert!(blocked < 32 << 20, "upstream could send {blocked} bytes");
    // Once it is heard, all of it comes.
    let answer = collect(response).await;
    assert!(answer.complete);
    assert!(answer.body == flood(LENGTH), "every byte in its place");
    // A caller who leaves in the middle ends it upstream too.
    raw.forget();
    let mut response = world.client.start(bodiless(ask(&world))).await;
    hear(&mut response, 100_000).await;
    raw.until(|progress| progress.blocked).await;
    drop(response);
    assert!(raw.until(|progress| progress.left == 1).await.flooded < 32 << 20);
    let entries = world.entries().await;
    let lines = disclosures(&entries);
    assert_eq!(lines[0], format!("GET wav -> 200, {LENGTH} bytes from 0, complete"));
    assert!(lines[1].ends_with(" bytes from 0, caller-left"), "{}", lines[1]);
    let bytes = of_kind(&entries, "outcome")[1]["bytes"].as_u64().unwrap();
    assert!((100_000..32 << 20).contains(&bytes), "{bytes}");
}
