//! Promise 5: a request becomes a typed reference or is refused. Nothing that a caller wrote
//! travels upstream, and nothing of upstream's travels to a caller but the sound itself.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use noticegate::standin::{
    Fault, Listener, MediaFormat, Misbehaviour, RedirectTarget, SeenRequest,
};
use serde_json::{Value, json};

use crate::support::disclosed::disclosures;
use crate::support::world::{UPSTREAM_SECRET, bodiless, of_kind};
use crate::support::{ACCOUNT, Answer, Client, RECORDING, World, path};

/// What the HTTP library refuses before the gate sees a request: a status and no words.
const NO_WORDS: &str = "";

/// One answer on a connection that was written to by hand.
#[derive(Debug)]
struct Told {
    status: u16,
    head: String,
    body: String,
}

fn told(mut text: &str) -> Vec<Told> {
    let mut all = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n").expect("a whole head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let lengths = head.lines().filter_map(|line| line.strip_prefix("content-length: "));
        let length: usize = lengths.map(|n| n.parse::<usize>().unwrap()).sum();
        let (body, rest) = rest.split_at(length);
        all.push(Told { status, head: head.to_owned(), body: body.to_owned() });
        text = rest;
    }
    all
}

/// The lines that make any request of Ana's a good one, but for the Host.
fn proof(world: &World) -> String {
    let token = world.token("ana", &["quality-analyst"]);
    format!("Authorization: Bearer {token}\r\nNoticegate-Purpose: quality-monitoring\r\n")
}

/// A request with everything right but its target.
fn with_target(world: &World, target: &[u8]) -> Vec<u8> {
    let proof = proof(world);
    let rest = format!(" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{proof}\r\n");
    [b"GET ", target, rest.as_bytes()].concat()
}

/// A request with everything right but its lines, in which `{path}` and `{proof}` are filled in.
fn with_lines(world: &World, lines: &str) -> Vec<u8> {
    lines.replace("{path}", &path(".wav")).replace("{proof}", &proof(world)).into_bytes()
}

/// One request, one answer, with this status and these words in it.
async fn refused(world: &World, sent: &[u8], status: u16, words: &str) {
    let shown = String::from_utf8_lossy(&sent[..sent.len().min(300)]).into_owned();
    let answers = told(&world.client.raw(sent).await);
    assert_eq!(answers.len(), 1, "{shown}: {answers:#?}");
    let answer = &answers[0];
    assert_eq!(answer.status, status, "{shown}: {answer:#?}");
    if words == NO_WORDS {
        assert_eq!(answer.body, "", "{shown}");
    } else {
        let problem: Value = serde_json::from_str(&answer.body).expect(&shown);
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(words), "{shown}: {message}");
        assert_eq!(problem["detail"], problem["message"]);
        assert_eq!(problem["status"], status, "{shown}");
        assert!(answer.head.contains("application/problem+json"), "{shown}: {}", answer.head);
    }
}

/// Upstream has seen nothing at all, not even a question for metadata, and nothing is recorded.
async fn nothing_happened(mut world: World) {
    assert!(world.standin.seen().is_empty(), "{:?}", world.standin.seen());
    let entries = world.entries().await;
    let kinds: Vec<&str> = entries.iter().map(|e| e["t"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "stop"]);
}

#[tokio::test]
async fn a_path_with_a_second_reading_is_refused_and_says_why() {
    let world = World::new().await;
    let base = format!("/2010-04-01/Accounts/{ACCOUNT}");
    let wav = path(".wav");
    let encoded = "holds a percent-encoded byte";
    let cases: Vec<(String, &str)> = vec![
        (format!("{base}/Recordings%2F{RECORDING}.wav"), encoded),
        (format!("{base}/Recordings%2f{RECORDING}.wav"), encoded),
        (format!("{base}/Recordings%252F{RECORDING}.wav"), encoded),
        (format!("{base}%5CRecordings/{RECORDING}.wav"), encoded),
        (path("%2Ewav"), encoded),
        (path("%2ewav"), encoded),
        (path("%252ewav"), encoded),
        (path(".w%61v"), encoded),
        (path(".wav%00"), encoded),
        (path(".wav%00.mp3"), encoded),
        (path(".wav%0d%0aX:1"), encoded),
        (path(".wav%20"), encoded),
        (path(".wav%3Bx"), encoded),
        (path(".wav%c0%ae"), encoded),
        (path(".wav%"), encoded),
        (path("%u002ewav"), encoded),
        (format!("{base}/%2e%2e/{ACCOUNT}/Recordings/{RECORDING}.wav"), encoded),
        (format!("{base}/../{ACCOUNT}/Recordings/{RECORDING}.wav"), "holds a dot segment"),
        (format!("{base}/./Recordings/{RECORDING}.wav"), "holds a dot segment"),
        (format!("/..{wav}"), "holds a dot segment"),
        (path(".wav/.."), "holds a dot segment"),
        (path(".wav/."), "holds a dot segment"),
        (format!("/{wav}"), "holds an empty segment"),
        (format!("//localhost{wav}"), "holds an empty segment"),
        (format!("{base}//Recordings/{RECORDING}.wav"), "holds an empty segment"),
        (format!("{base}/Recordings//{RECORDING}.wav"), "holds an empty segment"),
        (path(".wav/"), "holds an empty segment"),
        (path(".wav;x=1"), "holds a `;` parameter"),
        (path(";x=1.wav"), "holds a `;` parameter"),
        (format!("{base};v=1/Recordings/{RECORDING}.wav"), "holds a `;` parameter"),
        (format!("{base}\\Recordings\\{RECORDING}.wav"), "holds a backslash"),
        (format!("{base}/..\\{ACCOUNT}/Recordings/{RECORDING}.wav"), "holds a backslash"),
        (path(".WAV"), "differs from a served path only in letter case"),
        (path(".Json"), "differs from a served path only in letter case"),
        (wav.replace("/Recordings/", "/recordings/"), "only in letter case"),
        (wav.replace("/Accounts/", "/ACCOUNTS/"), "only in letter case"),
        (wav.replace("abcdef", "ABCDEF"), "only in letter case"),
        (wav.replace("/RE", "/re"), "only in letter case"),
        (wav.replace("/AC0", "/ac0"), "only in letter case"),
        (path(".wav."), "holds a dot that starts no extension"),
        (path("."), "holds a dot that starts no extension"),
        (path("..wav"), "holds a dot that starts no extension"),
        (path(".json.wav"), "holds a dot that starts no extension"),
        (path(".wav.mp3"), "holds a dot that starts no extension"),
        (path(".wavé"), "outside printable ASCII"),
        (path("．wav"), "outside printable ASCII"),
        (wav.replace("Recordings", "Rеcordings"), "outside printable ASCII"),
        (path(".wav?"), "not a list of plain `name=value` pairs"),
        (path(".wav?&"), "not a list of plain `name=value` pairs"),
        (path(".wav?RequestedChannels"), "not a list of plain `name=value` pairs"),
        (path(".wav?Requested%43hannels=1"), "not a list of plain `name=value` pairs"),
        (path(".wav?RequestedChannels=1;x=1"), "not a list of plain `name=value` pairs"),
        (path(".wav?purpose=quality-monitoring/../x"), "not a list of plain"),
        (path(".wav?RequestedChannels=3"), "`RequestedChannels` must be 1 or 2"),
        (path(".wav?RequestedChannels=01"), "`RequestedChannels` must be 1 or 2"),
        (path(".wav?RequestedChannels=1&RequestedChannels=1"), "is given more than once"),
        (path(".wav?requestedchannels=1"), "`requestedchannels` is not known here"),
        (path(".wav?IncludeSoftDeleted=true"), "`IncludeSoftDeleted` is not known here"),
        (path(".json?RequestedChannels=1"), "`RequestedChannels` is not known here"),
        (path(".wav?purpose=Quality"), "must be lower-case words joined by hyphens"),
        (path(".wav?purpose=marketing"), "the purpose must be given once"),
    ];
    for (target, words) in &cases {
        refused(&world, &with_target(&world, target.as_bytes()), 400, words).await;
    }
    nothing_happened(world).await;
}

#[tokio::test]
async fn a_clear_path_to_something_else_is_404() {
    let world = World::new().await;
    let base = format!("/2010-04-01/Accounts/{ACCOUNT}");
    for target in [
        path(".xml"),
        path(".flac"),
        path(".mp4"),
        path(".wav").replace("2010-04-01", "2008-08-01"),
        path(".wav").replace("/2010-04-01", ""),
        path(".wav").replace("Recordings", "Media"),
        path("").replace("abcdef", "abcde"),
        path("").replace("abcdef", "abcdef0"),
        format!("{base}/Recordings"),
        format!("{base}/Queues.json"),
        format!("{base}.json"),
        format!("{base}/Calls/CA0123456789abcdef0123456789abcdef/Events.json"),
        format!("{base}/Messages/SM0123456789abcdef0123456789abcdef.json"),
        path("/Transcriptions"),
        "/v1/RecordingSettings/Default".to_owned(),
        "/v2/Services".to_owned(),
        "/healthz".to_owned(),
        "/".to_owned(),
        "*".to_owned(),
    ] {
        let sent = with_target(&world, target.as_bytes());
        refused(&world, &sent, 404, "no such resource; served are GET, HEAD and DELETE of").await;
    }
    nothing_happened(world).await;
}

#[tokio::test]
async fn bytes_that_are_no_request_target_are_refused_without_a_word() {
    let world = World::new().await;
    let wav = path(".wav");
    for target in [
        [wav.as_bytes(), b"\0"].concat(),
        [b"/\0", wav.as_bytes()].concat(),
        [wav.as_bytes(), b"\x01"].concat(),
        [wav.as_bytes(), b"\x7f"].concat(),
        [wav.as_bytes(), b"\xff"].concat(),
        [wav.as_bytes(), b"\xc0\xae"].concat(),
        [wav.as_bytes(), b"\t"].concat(),
        [wav.as_bytes(), b" x"].concat(),
        [wav.as_bytes(), b"\rx"].concat(),
        wav.trim_start_matches('/').as_bytes().to_vec(),
    ] {
        refused(&world, &with_target(&world, &target), 400, NO_WORDS).await;
    }
    nothing_happened(world).await;
}

/// A fragment never belongs into a request (RFC 9112, 3.2). The HTTP library cuts it off before
/// the gate can see it, so it cannot be refused; but it changes nothing and travels nowhere.
#[tokio::test]
async fn a_fragment_is_cut_off_and_travels_nowhere() {
    let mut world = World::new().await;
    let token = format!("Bearer {}", world.token("ana", &["quality-analyst"]));
    for fragment in ["#", "#fragment", "#/../../fragment.json", "#?purpose=marketing"] {
        let target = path(&format!(".wav{fragment}"));
        let answer = world.client.raw(&with_target(&world, target.as_bytes())).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{target}");
        assert!(answer.contains("\r\ncontent-type: audio/x-wav\r\n"), "{target}");
        let fields: [Field<'_>; 6] = [
            (b":method", b"HEAD"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", target.as_bytes()),
            (b"authorization", token.as_bytes()),
            (b"noticegate-purpose", b"quality-monitoring"),
        ];
        let told = world.client.framed(&fields, b"").await;
        assert!(told.answered && told.error.is_none() && told.body.is_empty(), "{target}");
    }
    // It hides nothing, either.
    let hidden = path(".WAV#.wav");
    refused(&world, &with_target(&world, hidden.as_bytes()), 400, "only in letter case").await;
    assert_eq!(world.media_requests(), vec![format!("GET {}", path(".wav")); 8]);
    let entries = world.entries().await;
    let line = disclosures(&entries)[0].clone();
    assert!(line.ends_with("complete"), "{line}");
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains('#') && !text.contains("fragment") && !text.contains("marketing"));
    assert_eq!(of_kind(&entries, "intent").len(), 8);
}

#[tokio::test]
async fn a_host_that_is_not_one_plain_name_of_ours_is_refused() {
    let world = World::new().await;
    let one_host = "the request must name one host, in origin form";
    let not_here = "this host name is not served here";
    let close = "Connection: close\r\n{proof}\r\n";
    for (lines, status, words) in [
        ("GET {path} HTTP/1.1\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost:\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost, evil.example\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: evil.example\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: api.twilio.com\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: localhost.\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: localhost.evil.example\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: evil.localhost\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: local host\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: localhost\tx\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: ana@localhost\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: localhost@evil.example\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: ana:pw@localhost\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost:\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost:x\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost:-1\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost:443:443\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost:999999\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost:443/x\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: localhost/x\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: https://localhost\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: [::1]\r\n", 400, one_host),
        ("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n", 421, not_here),
        ("GET {path} HTTP/1.1\r\nHost: löcalhost\r\n", 400, one_host),
        ("GET https://localhost{path} HTTP/1.1\r\nHost: localhost\r\n", 400, one_host),
        ("GET https://evil.example{path} HTTP/1.1\r\nHost: localhost\r\n", 400, one_host),
        ("GET http://localhost{path} HTTP/1.1\r\nHost: evil.example\r\n", 400, one_host),
        ("GET localhost:443 HTTP/1.1\r\nHost: localhost\r\n", 400, one_host),
        ("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n", 400, one_host),
        ("CONNECT {path} HTTP/1.1\r\nHost: localhost\r\n", 405, "only GET and HEAD"),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", 405, "only GET and HEAD"),
        ("GET {path} HTTP/1.0\r\nHost: localhost\r\n", 400, one_host),
        ("GET {path} HTTP/1.0\r\n", 400, one_host),
    ] {
        let sent = with_lines(&world, &format!("{lines}{close}"));
        refused(&world, &sent, status, words).await;
    }
    nothing_happened(world).await;
}

#[tokio::test]
async fn a_host_may_have_a_port_and_any_letter_case() {
    let mut world = World::new().await;
    for host in ["localhost", "LOCALHOST", "localhost:443", "localhost:8443", " localhost \t"] {
        let lines = "GET {path} HTTP/1.1\r\nConnection: close\r\n{proof}\r\n";
        let host = format!("HTTP/1.1\r\nHost: {host}");
        let sent = with_lines(&world, &lines.replace("HTTP/1.1", &host));
        assert!(world.client.raw(&sent).await.starts_with("HTTP/1.1 200 OK\r\n"), "{host}");
    }
    assert_eq!(disclosures(&world.entries().await).len(), 5);
}

#[tokio::test]
async fn a_head_with_a_second_reading_is_refused() {
    let world = World::new().await;
    let start = "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{proof}";
    let no_body = "a request for media has no body";
    for (lines, status, words) in [
        // A body, however it is announced.
        ("Content-Length: 5\r\n\r\nhello", 400, no_body),
        ("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, no_body),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, no_body),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400, no_body),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, no_body),
        // Two framings, in both orders.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, no_body),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 400, no_body),
        // Framings that the HTTP library already does not take.
        ("Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", 400, NO_WORDS),
        ("Content-Length: 0, 0\r\n\r\n", 400, NO_WORDS),
        ("Content-Length: -1\r\n\r\n", 400, NO_WORDS),
        ("Content-Length: +0\r\n\r\n", 400, NO_WORDS),
        ("Content-Length: 0x0\r\n\r\n", 400, NO_WORDS),
        ("Content-Length:\r\n\r\n", 400, NO_WORDS),
        ("Content-Length: 18446744073709551616\r\n\r\n", 400, NO_WORDS),
        ("Transfer-Encoding: identity\r\n\r\n", 400, NO_WORDS),
        ("Transfer-Encoding: xchunked\r\n\r\n", 400, NO_WORDS),
        ("Transfer-Encoding: chunked, gzip\r\n\r\n", 400, NO_WORDS),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400, NO_WORDS),
        ("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400, NO_WORDS),
        // Lines that readers disagree about.
        ("X-Long: a\r\n b\r\n\r\n", 400, NO_WORDS),
        (" X-First: a\r\n\r\n", 400, NO_WORDS),
        ("X-Name : a\r\n\r\n", 400, NO_WORDS),
        ("X Name: a\r\n\r\n", 400, NO_WORDS),
        ("X-Name\r\n\r\n", 400, NO_WORDS),
        (": a\r\n\r\n", 400, NO_WORDS),
        ("X-Null: a\0b\r\n\r\n", 400, NO_WORDS),
        ("X-Return: a\rb\r\n\r\n", 400, NO_WORDS),
        ("X-Né: a\r\n\r\n", 400, NO_WORDS),
        // What the gate reads must be there once and be readable.
        ("Noticegate-Purpose: quality-monitoring\r\n\r\n", 400, "the purpose must be given once"),
        ("If-None-Match: abc\r\n\r\n", 400, "the header `if-none-match` cannot be read"),
        ("If-Match: \"a\"\r\nIf-Match: \"b\"\r\n\r\n", 400, "the header `if-match` cannot be read"),
        ("If-Modified-Since: yesterday\r\n\r\n", 400, "`if-modified-since` cannot be read"),
        ("Range: bytes=0-1\r\nIf-Range: abc\r\n\r\n", 400, "`if-range` cannot be read"),
    ] {
        let sent = with_lines(&world, &format!("{start}{lines}"));
        refused(&world, &sent, status, words).await;
    }
    for (lines, status) in [
        ("GET {path}\r\n\r\n", 400),
        ("GET {path} HTTP/0.9\r\n\r\n", 400),
        ("GET {path} HTTP/1.2\r\nHost: localhost\r\n\r\n", 400),
        ("GET {path} HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
        ("GET {path} http/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GET  {path} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GET\t{path}\tHTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GE\0T {path} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("{path} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ] {
        refused(&world, &with_lines(&world, lines), status, NO_WORDS).await;
    }
    nothing_happened(world).await;
}

/// RFC 9112, 2.2 lets a bare LF end a line. It must not hide anything from us.
#[tokio::test]
async fn a_bare_line_feed_ends_a_line_and_hides_nothing() {
    let mut world = World::new().await;
    let lines = "GET {path} HTTP/1.1\nHost: localhost\nConnection: close\n{proof}\n";
    let sent = String::from_utf8(with_lines(&world, lines)).unwrap().replace('\r', "");
    assert!(world.client.raw(sent.as_bytes()).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let hidden = "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{proof}\
                  X: a\nContent-Length: 5\r\n\r\nhello";
    refused(&world, &with_lines(&world, hidden), 400, "has no body").await;
    assert_eq!(disclosures(&world.entries().await).len(), 1);
}

/// Each of these ends in a second request that a careless reader would answer.
#[tokio::test]
async fn what_hides_behind_a_refused_request_is_not_answered() {
    let world = World::new().await;
    let first = "GET {path} HTTP/1.1\r\nHost: localhost\r\n{proof}";
    let second = "GET {path} HTTP/1.1\r\nHost: localhost\r\n{proof}\r\n";
    let evil = "GET {path} HTTP/1.1\r\nHost: evil.example\r\n{proof}\r\n";
    let post = "POST {path} HTTP/1.1\r\nHost: localhost\r\n{proof}";
    let cases = [
        (format!("{first}Content-Length: 7\r\n\r\n0\r\n\r\n\r\n{second}"), 400),
        (format!("{first}Content-Length: 4\r\n\r\n{second}"), 400),
        (format!("{first}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}"), 400),
        (
            format!(
                "{first}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}"
            ),
            400,
        ),
        (
            format!(
                "{first}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{second}"
            ),
            400,
        ),
        (format!("{first}Content-Length: 0\r\nContent-Length: 44\r\n\r\n{second}"), 400),
        (format!("{first}Transfer-Encoding : chunked\r\n\r\n{second}"), 400),
        (format!("{first}Transfer-Encoding: x\r\n\r\n{second}"), 400),
        (format!("{first}X: a\r\n b\r\n\r\n{second}"), 400),
        (format!("{first}Host: localhost\r\n\r\n{second}"), 400),
        (format!("{evil}{second}"), 421),
        (format!("GET {{path}} HTTP/1.0\r\nHost: localhost\r\n{{proof}}\r\n{second}"), 400),
        (format!("GET https://localhost{{path}} HTTP/1.1\r\nHost: localhost\r\n\r\n{second}"), 400),
        (format!("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n{second}"), 400),
        (
            format!(
                "{post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}"
            ),
            405,
        ),
        (format!("{post}Transfer-Encoding: chunked\r\n\r\n0\n\r\n\r\n{second}"), 405),
        (format!("{first}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n{second}"), 400),
    ];
    for (lines, status) in &cases {
        let text = world.client.raw(&with_lines(&world, lines)).await;
        let answers = told(&text);
        assert_eq!(answers.len(), 1, "{lines}: {answers:#?}");
        assert_eq!(answers[0].status, *status, "{lines}");
    }
    nothing_happened(world).await;
}

/// A body that holds a request is a body, and a clean refusal leaves the connection in use.
#[tokio::test]
async fn a_request_in_a_body_is_not_a_request() {
    let mut world = World::new().await;
    let inner = String::from_utf8(with_target(&world, path(".wav").as_bytes())).unwrap();
    let length = inner.len();
    let post = format!(
        "POST {{path}} HTTP/1.1\r\nHost: localhost\r\n{{proof}}Content-Length: {length}\r\n\r\n\
         {inner}"
    );
    let last = "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{proof}\r\n";
    let text = world.client.raw(&with_lines(&world, &format!("{post}{last}"))).await;
    let statuses: Vec<u16> = told(&text).iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [405, 404]);
    assert!(world.standin.seen().is_empty());
    assert!(disclosures(&world.entries().await).is_empty());
}

#[tokio::test]
async fn only_get_head_and_delete_are_served() {
    let world = World::new().await;
    for method in ["POST", "PUT", "PATCH", "OPTIONS", "TRACE", "QUERY", "get", "delete", "PROPFIND"]
    {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = || world.ana(&path(".wav")).method(&method);
        let over_h2 = world.ana(&format!("https://localhost{}", path(".wav"))).method(&method);
        let answers = [world.send(request()).await, world.client.send_h2(bodiless(over_h2)).await];
        for answer in answers {
            assert_eq!(answer.status, 405, "{method}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD, DELETE"));
            assert_eq!(answer.json()["code"], 20004);
            let told = "only GET and HEAD are served here, and DELETE of what Twilio deletes";
            assert_eq!(answer.json()["message"], told);
        }
    }
    nothing_happened(world).await;
}

#[tokio::test]
async fn limits_hold_at_the_limit_and_one_past_it() {
    let mut world = World::new().await;
    let target = |length: usize| format!("/{}", "a".repeat(length - 1)).into_bytes();
    refused(&world, &with_target(&world, &target(512)), 404, "no such resource").await;
    refused(&world, &with_target(&world, &target(513)), 414, "is longer than 512 bytes").await;
    // Host, Authorization and Noticegate-Purpose are three of them.
    let lines = |count: usize| {
        let more: String = (3..count).map(|n| format!("X-{n}: a\r\n")).collect();
        with_lines(&world, &format!("GET {{path}} HTTP/1.1\r\nHost: localhost\r\n{{proof}}{more}"))
    };
    let close = b"Connection: close\r\n\r\n";
    let text = world.client.raw(&[&lines(63)[..], close].concat()).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "64 lines are served");
    refused(&world, &[&lines(64)[..], close].concat(), 431, NO_WORDS).await;
    // The length of all names and values together.
    let with_bytes = |bytes: usize| {
        let base = world.ana(&path(".wav"));
        let size: usize =
            base.headers_ref().unwrap().iter().map(|(n, v)| n.as_str().len() + v.len()).sum();
        base.header("x-padding", "a".repeat(bytes - size - "x-padding".len()))
    };
    assert_eq!(world.send(with_bytes(16_384)).await.status, 200);
    for bytes in [16_385, 17 * 1024, 60 * 1024] {
        let answer = world.send(with_bytes(bytes)).await;
        assert_eq!(answer.status, 431, "{bytes}");
        assert_eq!(answer.json()["message"], "the request's headers are too large");
    }
    // A head that does not end is read up to 64 KiB.
    let mut endless = [&lines(3)[..], b"X: "].concat();
    endless.resize(64 * 1024, b'a');
    refused(&world, &endless, 431, NO_WORDS).await;
    assert_eq!(world.media_requests().len(), 2);
    assert_eq!(disclosures(&world.entries().await).len(), 2);
}

type Field<'a> = (&'a [u8], &'a [u8]);

fn shown(fields: &[Field<'_>]) -> String {
    let line =
        |(name, value): &Field<'_>| format!("{}: {}\n", name.escape_ascii(), value.escape_ascii());
    fields.iter().filter(|(name, _)| *name != b"authorization").map(line).collect()
}

#[tokio::test]
async fn http2_is_read_as_strictly() {
    let world = World::new().await;
    let wav = path(".wav");
    let token = format!("Bearer {}", world.token("ana", &["quality-analyst"]));
    let good: [Field<'_>; 6] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", wav.as_bytes()),
        (b"authorization", token.as_bytes()),
        (b"noticegate-purpose", b"quality-monitoring"),
    ];
    let but = |name: &str, value: Option<&'static [u8]>| -> Vec<Field<'_>> {
        let replaced = good.iter().filter_map(|(n, v)| match *n == name.as_bytes() {
            true => value.map(|value| (*n, value)),
            false => Some((*n, *v)),
        });
        replaced.collect()
    };
    let and = |name: &'static [u8], value: &'static [u8]| [&good[..], &[(name, value)]].concat();
    let first = |name: &'static [u8], value: &'static [u8]| [&[(name, value)], &good[..]].concat();
    let one_host = "the request must name one host";
    let not_here = "this host name is not served here";
    let encoded: &[u8] = b"/2010-04-01/Accounts%2FAC00000000000000000000000000000001";
    for (fields, status, words) in [
        (but(":authority", Some(b"evil.example")), 421, not_here),
        (but(":authority", Some(b"localhost.")), 421, not_here),
        (but(":authority", Some(b"ana@localhost")), 421, not_here),
        (but(":authority", Some(b"ana:pw@localhost")), 400, one_host),
        (but(":authority", Some(b"localhost:999999")), 400, one_host),
        (but(":authority", None), 400, one_host),
        ([&but(":authority", None)[..], &[(b"host", b"localhost")]].concat(), 400, one_host),
        (and(b"host", b"evil.example"), 400, one_host),
        (and(b"host", b"localhost:443"), 400, one_host),
        ([&good[..], &[(b"host", b"localhost"), (b"host", b"localhost")]].concat(), 400, one_host),
        (but(":path", Some(b"//localhost/x")), 400, "holds an empty segment"),
        (but(":path", Some(b"/a/../b")), 400, "holds a dot segment"),
        (but(":path", Some(b"/a;b")), 400, "holds a `;` parameter"),
        (but(":path", Some(b"/a\\b")), 400, "holds a backslash"),
        (but(":path", Some("/é".as_bytes())), 400, "outside printable ASCII"),
        (but(":path", Some(encoded)), 400, "holds a percent-encoded byte"),
        (but(":path", Some(b"/2008-08-01/x")), 404, "no such resource"),
        (and(b"noticegate-purpose", b"quality-monitoring"), 400, "the purpose must be given once"),
    ] {
        let told = world.client.framed(&fields, b"").await;
        let shown = shown(&fields);
        let problem: Value = serde_json::from_str(&told.body).expect(&shown);
        assert_eq!(problem["status"], status, "{shown}: {told:?}");
        assert!(problem["message"].as_str().unwrap().contains(words), "{shown}: {told:?}");
    }
    let told = world.client.framed(&and(b"content-length", b"5"), b"hello").await;
    assert!(told.body.contains("a request for media has no body"), "{told:?}");
    // What HTTP/2 itself calls malformed (RFC 9113, 8.1.1) gets no answer but an error.
    for fields in [
        but(":path", None),
        but(":path", Some(b"")),
        but(":path", Some(b"x")),
        but(":path", Some(b"/a\0b")),
        but(":path", Some(b"/a b")),
        but(":path", Some(b"/a\r\nX: b")),
        but(":path", Some(b"/a\xff")),
        but(":method", None),
        but(":method", Some(b"G ET")),
        but(":scheme", None),
        but(":authority", Some(b"local host")),
        and(b":path", b"/x"),
        and(b"connection", b"close"),
        and(b"transfer-encoding", b"chunked"),
        and(b"keep-alive", b"x"),
        and(b"upgrade", b"h2c"),
        and(b"te", b"gzip"),
        and(b"X-Upper", b"a"),
        and(b"x-name:", b"a"),
        and(b"x name", b"a"),
        and(b"", b"a"),
        and(b"x-value", b"a\r\nb: c"),
        and(b"x-value", b"a\0b"),
        and(b"content-length", b"5"),
        and(b"content-length", b"-1"),
        first(b"x-early", b"a"),
        first(b":unknown", b"a"),
    ] {
        let told = world.client.framed(&fields, b"").await;
        let shown = shown(&fields);
        assert!(told.body.is_empty(), "{shown}");
        assert!(told.error.is_some(), "{shown}: {told:?}");
    }
    nothing_happened(world).await;
}

/// A request over HTTP/2 is for https alone, as is every other here.
#[tokio::test]
async fn http2_under_another_scheme_is_refused() {
    let world = World::new().await;
    let token = format!("Bearer {}", world.token("ana", &["quality-analyst"]));
    let wav = path(".wav");
    for scheme in [&b"http"[..], b"ftp"] {
        let fields: [Field<'_>; 6] = [
            (b":method", b"GET"),
            (b":scheme", scheme),
            (b":authority", b"localhost"),
            (b":path", wav.as_bytes()),
            (b"authorization", token.as_bytes()),
            (b"noticegate-purpose", b"quality-monitoring"),
        ];
        let told = world.client.framed(&fields, b"").await;
        assert!(told.body.contains("\"status\":400"), "{}", scheme.escape_ascii());
    }
    nothing_happened(world).await;
}

/// Another account's recording, and one that nobody has, look the same.
#[tokio::test]
async fn what_is_not_ours_is_404_whatever_it_is() {
    let mut world = World::new().await;
    let other_account = path(".wav").replace(ACCOUNT, "AC00000000000000000000000000000002");
    let other_recording = path(".wav").replace("abcdef", "abcde0");
    let mut words = BTreeSet::new();
    for target in [&other_account, &other_recording] {
        let answer = world.send(world.ana(target)).await;
        assert_eq!(answer.status, 404, "{target}");
        words.insert(answer.json()["message"].to_string());
    }
    assert_eq!(words, BTreeSet::from(["\"The requested resource was not found\"".to_owned()]));
    // Of the other account nothing was asked; of the unknown recording only its metadata.
    let seen: Vec<String> = world.standin.seen().into_iter().map(|s| s.path_and_query).collect();
    assert_eq!(seen, [other_recording.replace(".wav", ".json")]);
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent").is_empty());
    let reasons: Vec<_> =
        of_kind(&entries, "refusal").iter().map(|e| e["reason"].clone()).collect();
    assert_eq!(reasons, ["unknown-account", "undecidable"]);
}

/// Headers that a caller might hope to see travel, each with a value that is easy to find again.
const FOREIGN: [(&str, &str); 18] = [
    ("cookie", "session=foreign-1"),
    ("x-forwarded-for", "203.0.113.77"),
    ("x-forwarded-host", "foreign-2.example"),
    ("x-forwarded-proto", "foreign-3"),
    ("forwarded", "for=foreign-4"),
    ("via", "1.1 foreign-5"),
    ("user-agent", "foreign-6"),
    ("accept", "audio/foreign-7"),
    ("accept-encoding", "gzip, br, foreign-8"),
    ("accept-language", "foreign-9"),
    ("referer", "https://foreign-10.example/"),
    ("origin", "https://foreign-11.example"),
    ("x-twilio-signature", "foreign-12"),
    ("x-twilio-webhook-enabled", "foreign-13"),
    ("idempotency-key", "foreign-14"),
    ("te", "trailers"),
    ("priority", "foreign-15"),
    ("x-anything", "foreign-16"),
];

fn lines_of(seen: &SeenRequest) -> Vec<String> {
    let mut lines: Vec<_> =
        seen.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn upstream_sees_the_gates_own_headers_and_no_others() {
    let mut world = World::new().await;
    let to = RedirectTarget::OwnCdn { hops: 2 };
    world.standin.misbehave(Misbehaviour {
        path_contains: ".mp3".to_owned(),
        fault: Fault::Redirect { to, status: 302 },
        times: None,
    });
    let asks = [(".wav", Method::GET), (".json", Method::GET), (".mp3", Method::HEAD)];
    for (extension, method) in &asks {
        for over_h2 in [false, true] {
            let origin = if over_h2 { "https://localhost" } else { "" };
            let target = format!("{origin}{}?purpose=quality-monitoring", path(extension));
            let mut request = world.ana(&target).method(method);
            for (name, value) in FOREIGN {
                request = request.header(name, value);
            }
            let request = bodiless(request);
            let answer = match over_h2 {
                true => world.client.send_h2(request).await,
                false => world.client.send(request).await,
            };
            assert_eq!(answer.status, 200, "{extension}");
        }
    }
    let api = format!("host: localhost:{}", world.standin.address().port());
    let cdn = format!("host: localhost:{}", world.standin.cdn_address().port());
    let agent = format!("user-agent: noticegate/{}", env!("CARGO_PKG_VERSION"));
    let credential = format!("authorization: {}", basic_auth());
    let seen = world.standin.seen();
    let paths: BTreeSet<&str> =
        seen.iter().map(|s| s.path_and_query.split('?').next().unwrap()).collect();
    let expected = [path(".json"), path(".mp3"), path(".wav")];
    let call = format!("/2010-04-01/Accounts/{ACCOUNT}/Calls/{}.json", crate::support::CALL);
    let on_cdn = format!("/{ACCOUNT}/{RECORDING}.mp3");
    let expected: BTreeSet<&str> =
        expected.iter().map(String::as_str).chain([call.as_str(), on_cdn.as_str()]).collect();
    assert_eq!(paths, expected);
    for request in &seen {
        assert_eq!(request.method, "GET");
        assert!(!request.path_and_query.contains("purpose"), "{}", request.path_and_query);
        let what = request.path_and_query.split('?').next().unwrap();
        let accept = match what.rsplit('.').next().unwrap() {
            "json" => "accept: application/json",
            "mp3" => "accept: audio/mpeg",
            _ => "accept: audio/x-wav, audio/wav",
        };
        let mut expected = vec![accept, "accept-encoding: identity", agent.as_str()];
        match request.listener {
            Listener::Api => expected.extend([api.as_str(), credential.as_str()]),
            Listener::Cdn => expected.push(&cdn),
        }
        // HEAD is asked as a GET of one byte.
        if what.ends_with(".mp3") {
            expected.push("range: bytes=0-0");
        }
        expected.sort_unstable();
        assert_eq!(lines_of(request), expected, "{what}");
    }
    for line in seen.iter().flat_map(lines_of) {
        for (_, value) in FOREIGN {
            assert!(!line.contains(value), "{line}");
        }
        assert!(!line.contains("Bearer") && !line.contains("quality"), "{line}");
    }
    assert_eq!(disclosures(&world.entries().await).len(), 6);
}

/// The upstream credential as it goes upstream.
fn basic_auth() -> String {
    format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{UPSTREAM_SECRET}")))
}

fn names(answer: &Answer) -> String {
    let names: BTreeSet<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

const WITH_EVERY_ANSWER: &str =
    "cache-control date strict-transport-security x-content-type-options";

/// Names of headers, sorted, with those that every answer has.
fn and_these(more: &str) -> String {
    let all: BTreeSet<&str> = WITH_EVERY_ANSWER.split(' ').chain(more.split(' ')).collect();
    all.into_iter().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn an_answer_has_the_gates_own_headers_and_no_others() {
    let mut world = World::new().await;
    let rule = |path_contains: &str, fault| Misbehaviour {
        path_contains: path_contains.to_owned(),
        fault,
        times: None,
    };
    // Beside what the stand-in sends of Twilio's own.
    let pairs = [
        ("set-cookie", "upstream=1"),
        ("content-disposition", "attachment; filename=\"+14045550123.wav\""),
        ("link", "<https://media.twiliocdn.com/x?sig=1>; rel=canonical"),
        ("content-location", "https://media.twiliocdn.com/x?sig=2"),
        ("x-amz-meta-caller", "+14045550123"),
        ("server", "AmazonS3"),
        ("via", "1.1 upstream"),
        ("alt-svc", "h3=\":443\""),
        ("cache-control", "public, max-age=31536000"),
        ("expires", "Tue, 03 Nov 2099 09:15:02 GMT"),
        ("age", "3"),
        ("vary", "*"),
        ("content-language", "en"),
        ("www-authenticate", "Basic realm=\"Twilio API\""),
        ("noticegate-entry", "not-an-entry"),
        ("trailer", "x"),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    world.standin.misbehave(rule("", Fault::ExtraHeaders(pairs.to_vec())));
    let tag = world.send(world.ana(&path(".wav"))).await.header("etag").unwrap().to_owned();
    let sound =
        and_these("accept-ranges content-length content-type etag last-modified noticegate-entry");
    let part = format!("{sound} content-range");
    let unchanged = and_these("accept-ranges etag last-modified noticegate-entry");
    let past = and_these("accept-ranges content-length content-range noticegate-entry");
    let words = and_these("content-length content-type noticegate-entry");
    let stranger = format!("{words} www-authenticate");
    let wav = path(".wav");
    let unknown = path(".wav").replace("abcdef", "abcde0");
    let marketing = || world.who("ana", "quality-analyst", "marketing", &wav);
    let bad = path(".WAV");
    let cases = [
        ("whole", world.ana(&wav), 200, &sound),
        ("unnamed", world.ana(&path("")), 200, &sound),
        ("head", world.ana(&wav).method("HEAD"), 200, &sound),
        ("metadata", world.ana(&path(".json")), 200, &words),
        ("part", world.ana(&wav).header("range", "bytes=2-5"), 206, &part),
        ("unchanged", world.ana(&wav).header("if-none-match", &tag), 304, &unchanged),
        ("past", world.ana(&wav).header("range", "bytes=999999999-"), 416, &past),
        ("refused", marketing(), 403, &words),
        ("refused head", marketing().method("HEAD"), 403, &words),
        ("unknown", world.ana(&unknown), 404, &words),
        ("stranger", Client::get(&wav), 401, &stranger),
        ("bad", world.ana(&bad), 400, &and_these("content-length content-type")),
        (
            "method",
            world.ana(&wav).method("POST"),
            405,
            &and_these("allow content-length content-type"),
        ),
    ];
    for (what, request, status, expected) in cases {
        let answer = world.send(request).await;
        assert_eq!(answer.status, status, "{what}");
        let expected: BTreeSet<&str> = expected.split(' ').collect();
        assert_eq!(names(&answer), expected.into_iter().collect::<Vec<_>>().join(" "), "{what}");
        assert_eq!(answer.headers.len(), answer.headers.keys_len(), "{what}: each comes once");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
        for (name, value) in &pairs {
            assert_ne!(answer.header(name), Some(value.as_str()), "{what}");
        }
    }
    let over_h2 = world.ana(&format!("https://localhost{wav}"));
    assert_eq!(names(&world.client.send_h2(bodiless(over_h2)).await), sound);
    world.stop().await;
}

#[tokio::test]
async fn an_error_is_xml_only_for_who_asks_for_xml_where_twilio_sends_it() {
    let mut world = World::new().await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (extension, accept, is_xml) in [
        ("", Some("application/xml"), true),
        ("", Some("text/xml"), true),
        (".wav", Some("application/xml"), true),
        (".wav", Some("audio/*, application/xml;q=0.1"), true),
        (".json", Some("application/xml"), false),
        ("", Some("application/json"), false),
        ("", Some("application/json, application/xml"), false),
        ("", Some(browser), false),
        ("", Some("*/*"), false),
        ("", None, false),
    ] {
        let mut request = world.who("ana", "quality-analyst", "marketing", &path(extension));
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let answer = world.send(request).await;
        assert_eq!(answer.status, 403);
        let said = answer.header("content-type").unwrap();
        let text = std::str::from_utf8(&answer.body).unwrap();
        if is_xml {
            assert_eq!(said, "application/xml", "{extension} {accept:?}");
            let expected = "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse>\
                            <RestException><Code>20403</Code><Message>";
            assert!(text.starts_with(expected), "{text}");
            assert!(text.contains("We do not use recordings for marketing"), "{text}");
            let expected = "</Message><MoreInfo>https://www.twilio.com/docs/errors/20403\
                            </MoreInfo><Status>403</Status></RestException></TwilioResponse>";
            assert!(text.ends_with(expected), "{text}");
        } else {
            assert_eq!(said, "application/problem+json", "{extension} {accept:?}");
            assert_eq!(answer.json()["code"], 20403);
        }
    }
    // A bad request is told in the same form.
    let answer = world.send(world.ana("/x").header("accept", "text/xml")).await;
    assert_eq!(answer.status, 404);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(
        text.contains("<Message>no such resource; served are GET, HEAD and DELETE of Twilio"),
        "{text}"
    );
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "refusal").len(), 10);
    assert!(world.media_requests().is_empty());
}

#[tokio::test]
async fn an_error_to_head_has_the_headers_of_get_and_no_body() {
    let mut world = World::new().await;
    let wav = path(".wav");
    type Make<'a> = &'a dyn Fn() -> http::request::Builder;
    let cases: [(Make<'_>, u16); 5] = [
        (&|| world.who("ana", "quality-analyst", "marketing", &wav), 403),
        (&|| Client::get(&wav), 401),
        (&|| world.ana(&wav.replace("abcdef", "abcde0")), 404),
        (&|| world.ana(&path(".WAV")), 400),
        (&|| world.ana(&wav).header("accept", "text/xml").header("host", "x"), 400),
    ];
    for (make, status) in cases {
        for over_h2 in [false, true] {
            let with = |method: Method| async {
                let request = bodiless(make().method(method));
                match over_h2 {
                    false => world.client.send(request).await,
                    true => {
                        let (mut parts, body) = request.into_parts();
                        let uri = format!("https://localhost{}", parts.uri);
                        parts.uri = uri.parse().unwrap();
                        world.client.send_h2(http::Request::from_parts(parts, body)).await
                    }
                }
            };
            let (get, head) = (with(Method::GET).await, with(Method::HEAD).await);
            assert_eq!((get.status, head.status), (status, status));
            assert_eq!(names(&get), names(&head));
            for name in ["content-length", "content-type", "cache-control", "www-authenticate"] {
                assert_eq!(get.header(name), head.header(name), "{status} {name}");
            }
            assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()));
            let (body, complete) = (head.body.len(), head.complete);
            assert_eq!((body, complete), (0, true), "{status}, over HTTP/2: {over_h2}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_recordings_resource_leads_to_the_gate_and_keeps_its_form() {
    let mut world = World::new().await;
    let signed = "https://media.twiliocdn.com/x?X-Amz-Signature=1";
    let patch = json!({
        "preview_url": signed,
        "links": {"one": signed, "two": [signed, "plain"], "media_url": signed},
        "note": "see HTTPS://media.twiliocdn.com/x",
    });
    world.standin.misbehave(Misbehaviour {
        path_contains: "Recordings".to_owned(),
        fault: Fault::ReplaceJson(patch),
        times: None,
    });
    let answer = world.send(world.ana(&path(".json"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    // As the stand-in writes it, in its order, with the patch behind it.
    let expected = json!({
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "call_sid": crate::support::CALL,
        "conference_sid": null,
        "channels": 2,
        "date_created": "Tue, 03 Nov 2026 09:15:02 +0000",
        "date_updated": "Tue, 03 Nov 2026 09:15:06 +0000",
        "start_time": "Tue, 03 Nov 2026 09:15:02 +0000",
        "price": "-0.00250",
        "price_unit": "USD",
        "duration": "4",
        "sid": RECORDING,
        "source": "DialVerb",
        "status": "completed",
        "error_code": null,
        "uri": path(".json"),
        "subresource_uris": {
            "add_on_results": path("/AddOnResults.json"),
            "transcriptions": path("/Transcriptions.json"),
        },
        "encryption_details": null,
        "media_url": format!("https://localhost{}", path("")),
        "preview_url": null,
        "links": {"one": null, "two": [null, "plain"], "media_url": null},
        "note": null,
    });
    assert_eq!(serde_json::to_string(&json).unwrap(), serde_json::to_string(&expected).unwrap());
    // The URL is made of the host that was asked, with its port.
    let port = world.running().server().address().port();
    let target = format!("https://localhost:{port}{}", path(".json"));
    let mut request = bodiless(world.ana(&target));
    request.headers_mut().remove("host");
    let answer = world.client.send_h2(request).await;
    let expected = format!("https://localhost:{port}{}", path(""));
    assert_eq!(answer.json()["media_url"], expected.as_str());
    let length = answer.body.len();
    let head = world.send(world.ana(&path(".json")).method("HEAD")).await;
    assert!(head.body.is_empty());
    let entries = world.entries().await;
    let first = json.to_string().len();
    assert_eq!(
        disclosures(&entries),
        [
            format!("GET metadata -> 200, {first} bytes from 0, complete"),
            format!("GET metadata -> 200, {length} bytes from 0, complete"),
            "HEAD metadata -> 200, 0 bytes from 0, complete".to_owned(),
        ]
    );
    let actions: BTreeSet<_> =
        of_kind(&entries, "intent").iter().map(|e| e["action"].to_string()).collect();
    assert_eq!(actions, BTreeSet::from(["\"describe\"".to_owned()]));
    assert_eq!(world.media_requests(), Vec::<String>::new());
}

/// `media_url` is the one key that keeps a URL; only the gate's own may stand there.
#[tokio::test]
async fn a_media_url_that_is_no_text_leads_nowhere() {
    let mut world = World::new().await;
    let signed = "https://media.twiliocdn.com/x?X-Amz-Signature=1";
    for url in [json!([signed]), json!({"href": signed})] {
        world.standin.behave();
        world.standin.misbehave(Misbehaviour {
            path_contains: "Recordings".to_owned(),
            fault: Fault::ReplaceJson(json!({ "media_url": url })),
            times: None,
        });
        let answer = world.send(world.ana(&path(".json"))).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("X-Amz-Signature"), "{text}");
    }
    world.stop().await;
}

/// Every answer that there is, with a redirect on the way, and then every place where a secret
/// could have come to rest.
#[tokio::test]
async fn neither_credential_nor_signed_url_reaches_a_caller_or_the_ledger() {
    let mut world = World::new().await;
    let to = RedirectTarget::OwnCdn { hops: 2 };
    world.standin.misbehave(Misbehaviour {
        path_contains: ".wav".to_owned(),
        fault: Fault::Redirect { to, status: 307 },
        times: None,
    });
    let mut told = Vec::new();
    for request in [
        world.ana(&path(".wav")),
        world.ana(&path(".wav")).header("range", "bytes=0-1"),
        world.ana(&path(".wav")).method("HEAD"),
        world.ana(&path(".wav")).header("range", "bytes=999999999-"),
        world.ana(&path(".mp3")),
        world.ana(&path(".json")),
    ] {
        told.push(world.send(request).await);
    }
    for status in [400, 401, 403, 404, 410, 418, 500] {
        world.standin.misbehave(Misbehaviour {
            path_contains: "X-Amz-Signature".to_owned(),
            fault: Fault::Status { status, retry_after: None },
            times: Some(1),
        });
        told.push(world.send(world.ana(&path(".wav"))).await);
    }
    let location = "https://elsewhere.example/x?X-Amz-Signature=elsewhere";
    world.standin.misbehave(Misbehaviour {
        path_contains: ".wav".to_owned(),
        fault: Fault::Redirect { to: RedirectTarget::Url(location.to_owned()), status: 302 },
        times: None,
    });
    told.push(world.send(world.ana(&path(".wav"))).await);
    let statuses: Vec<u16> = told.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 206, 200, 416, 200, 200, 502, 502, 502, 404, 410, 502, 502, 502]);
    let whole = world.standin.media(ACCOUNT, RECORDING, MediaFormat::Wav, None).unwrap();
    assert_eq!(told[0].body, whole);
    let basic = basic_auth();
    let port = world.standin.address().port().to_string();
    let cdn_port = world.standin.cdn_address().port().to_string();
    let secrets =
        [UPSTREAM_SECRET, &basic, "X-Amz", "Basic ", &format!(":{port}"), &format!(":{cdn_port}")];
    for answer in &told {
        let mut text = String::from_utf8_lossy(&answer.body).into_owned();
        for (name, value) in &answer.headers {
            text.push_str(&format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        for secret in secrets {
            assert!(!text.contains(secret), "{}: {secret}", answer.status);
        }
    }
    let entries = world.entries().await;
    assert_eq!(disclosures(&entries).len(), told.len());
    let kept = files_below(&world.folder, "ledger.sqlite");
    assert!(kept.iter().any(|file| file.ends_with("ledger.sqlite.d/index.sqlite")));
    for file in kept {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in secrets {
            assert!(!text.contains(secret), "{}: {secret}", file.display());
        }
    }
}

/// All files in a folder, however deep, whose path holds a name.
fn files_below(folder: &std::path::Path, name: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, name));
        } else if path.to_string_lossy().contains(name) {
            found.push(path);
        }
    }
    found
}
