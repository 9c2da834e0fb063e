//! What is passed on is accepted by Twilio's own validators, and what they sign is accepted here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop at once and say where"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use noticegate::clock::Clock;
use noticegate::secret::Secret;
use noticegate::webhook::{
    Accepted, Algorithm, Answer, Courier, Delivery, Form, Keys, Kind, NoAnswer, Origin, Outbox,
    OutboxSettings, Received, Request, SharedKey, Target, Verb, WebhookError, WebhookSettings,
    WebhookSettingsError, Webhooks, body_hash, sign, verify,
};
use serde_json::{Value, json};

const GATE: &str = "https://rec.example.com";
const TOKEN: &str = "5f4dcc3b5aa765d61d8327deb882cf99";
const ACCOUNT: &str = "ACaa0d1c2e3f405162738495a6b7c8d9e0";
const RECORDING: &str = "REfedcba9876543210fedcba9876543210";
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
const WATCHDOG: Duration = Duration::from_secs(20);

/// What a server saw.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    path: String,
    headers: HeaderMap,
    body: String,
}

/// Reads the head of a message and its body.
fn read_message(stream: &TcpStream) -> Option<(String, HeaderMap, String)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let length = headers.get("content-length").map_or(0, |n| n.to_str().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, headers, String::from_utf8(body).unwrap()))
}

/// An application: it tells what it sees and answers 200.
fn application() -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some((first, headers, body)) = read_message(&stream) else { continue };
            let mut words = first.split(' ').map(str::to_owned);
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            if tell.send(Seen { method, path, headers, body }).is_err() {
                return;
            }
        }
    });
    (address, seen)
}

/// Plain HTTP on a socket.
#[derive(Debug)]
struct Plain;

impl Courier for Plain {
    fn deliver(&self, delivery: &Delivery) -> Result<Answer, NoAnswer> {
        let rest = delivery.url.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let mut stream = TcpStream::connect(host).map_err(|_| NoAnswer::Unreachable)?;
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        let verb = if delivery.verb == Verb::Get { "GET" } else { "POST" };
        let mut head = format!("{verb} {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in delivery.headers() {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", delivery.body.len());
        stream.write_all((head + &delivery.body).as_bytes()).map_err(|_| NoAnswer::BrokeOff)?;
        let (status, headers, _) = read_message(&stream).ok_or(NoAnswer::BrokeOff)?;
        let status = status.split(' ').nth(1).and_then(|n| n.parse().ok());
        let retry_after = headers.get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        Ok(Answer { status: status.ok_or(NoAnswer::BrokeOff)?, retry_after })
    }
}

fn settings(name: &str, target: Option<String>) -> WebhookSettings {
    WebhookSettings {
        name: name.to_owned(),
        account: ACCOUNT.parse().unwrap(),
        public_origins: vec![Origin::parse(GATE).unwrap()],
        keys: Keys { auth_tokens: vec![Secret::new(TOKEN)], shared: vec![] },
        target: target.map(|target| Target::parse(&target).unwrap()),
        relay_key: None,
        serves: |path| path.contains("/Recordings/RE"),
    }
}

fn outbox(folder: &Path) -> Arc<Outbox> {
    let settings = OutboxSettings::new([7; 32]);
    Arc::new(Outbox::open(&folder.join("o"), &settings, Clock::system(), Arc::new(Plain)).unwrap())
}

/// A callback that Twilio might send.
struct Callback {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: String,
}

impl Callback {
    fn new(method: Method, target: &str, kind: &str, body: &str) -> Self {
        let mut target = target.to_owned();
        let mut form = Form::default();
        if kind.starts_with("application/json") {
            let mark = if target.contains('?') { '&' } else { '?' };
            target += &format!("{mark}bodySHA256={}", body_hash(body.as_bytes()));
        } else {
            form = Form::read(body.as_bytes()).unwrap();
        }
        let key = Secret::new(TOKEN);
        let url = format!("{GATE}{target}");
        let signature = sign(&url, form.pairs(), &key, Algorithm::HmacSha1);
        let mut headers = HeaderMap::new();
        headers.insert("x-twilio-signature", signature.parse().unwrap());
        if !kind.is_empty() {
            headers.insert("content-type", kind.parse().unwrap());
        }
        Self { method, target, headers, body: body.to_owned() }
    }

    fn recording(more: &str) -> Self {
        let url =
            format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}");
        let body = Form::from_iter([
            ("AccountSid".to_owned(), ACCOUNT.to_owned()),
            ("RecordingSid".to_owned(), RECORDING.to_owned()),
            ("RecordingUrl".to_owned(), url),
            ("RecordingStatus".to_owned(), "completed".to_owned()),
        ]);
        let body = format!("{}{more}", body.write());
        Self::new(Method::POST, "/webhooks/hook?tenant=7", FORM, &body)
    }

    fn token(mut self, token: &str) -> Self {
        self.headers.insert("i-twilio-idempotency-token", token.parse().unwrap());
        self
    }

    fn sent_to(&self, webhooks: &Webhooks, name: &str) -> Result<Accepted, WebhookError> {
        webhooks.receive(Received {
            name,
            method: &self.method,
            path_and_query: &self.target,
            headers: &self.headers,
            body: self.body.as_bytes(),
        })
    }
}

/// A program with one of Twilio's libraries, and the script for it.
fn library(program: &str) -> (String, String) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (command, script, installed) = match program {
        "python" => {
            let own = tests.join("sdk/.venv/bin/python");
            (own.display().to_string(), "validators.py", own)
        }
        _ => ("node".to_owned(), "validators.mjs", tests.join("sdk/node_modules/twilio")),
    };
    assert!(
        installed.exists(),
        "Twilio's library for {program} is not in `{}`; `tests/run` installs it",
        installed.display()
    );
    (command, tests.join(script).display().to_string())
}

fn ask(library: &(String, String), words: &[&str], input: &str) -> Vec<Value> {
    let mut child = Command::new(&library.0)
        .arg(&library.1)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Both libraries accept these, and none of them once they are tampered with.
fn accepted_by_twilios_own(host: &str, seen: &[Seen], key: &str) {
    let line = |seen: &Seen, tampered: bool| {
        let header = |name| seen.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let mut url = format!("http://{host}{}", seen.path);
        if tampered {
            url = url.replace("app=1", "app=2");
        }
        json!({
            "key": key, "method": seen.method, "url": url, "body": seen.body,
            "content_type": header("content-type"), "signature": header("x-twilio-signature"),
        })
        .to_string()
    };
    for program in ["python", "node"] {
        let library = library(program);
        for tampered in [false, true] {
            let lines: Vec<String> = seen.iter().map(|seen| line(seen, tampered)).collect();
            let verdicts = ask(&library, &["check"], &(lines.join("\n") + "\n"));
            assert_eq!(verdicts.len(), seen.len());
            for (line, verdict) in lines.iter().zip(&verdicts) {
                assert_eq!(verdict, &json!(!tampered), "{program} {line}");
            }
        }
        println!("{program}: {} accepted, and none of them tampered with", seen.len());
    }
}

#[test]
fn twilios_own_validators_accept_what_the_application_gets() {
    let folder = tempfile::tempdir().unwrap();
    let (host, seen) = application();
    let hook = settings("hook", Some(format!("http://{host}/in/hook?app=1")));
    let webhooks = Webhooks::new(vec![hook], outbox(folder.path())).unwrap();
    let url = format!("https%3A%2F%2Fapi.twilio.com%2F2010-04-01%2FRecordings%2F{RECORDING}");
    let get = format!("/webhooks/hook?t=%7e+%27&AccountSid={ACCOUNT}&RecordingUrl={url}");
    let post = |body: &str| {
        let body = format!("AccountSid={ACCOUNT}&{body}");
        Callback::new(Method::POST, "/webhooks/hook?tenant=7&q=%27", FORM, &body)
    };
    let json = |body: &str| {
        Callback::new(Method::POST, "/webhooks/hook?tenant=7", "application/json", body)
    };
    let callbacks = [
        Callback::recording(""),
        Callback::recording("&x=1").token("0b1c"),
        post("From=%2B15550100&To=%2B1+555%2B0101"),
        post("b=2&a=z&a=y&a=z&B=1"),
        post("Body=%C3%A9+%F0%9F%8E%89%0A%25%26%3D&Empty=&%C3%9C=%C3%B6"),
        post("MediaUrl0=https%3A%2F%2Fmms.twiliocdn.com%2FAC1%2Fx"),
        Callback::new(Method::GET, &get, "", ""),
        json(r#"{"data":{"RecordingUrl":"https://api.twilio.com/Recordings/RE1","n":1.50}}"#),
        json(r#"{"a":"é🎉"}"#),
    ];
    let mut got = Vec::new();
    for callback in &callbacks {
        let accepted = callback.sent_to(&webhooks, "hook").unwrap();
        assert!(accepted.stored);
        got.push(seen.recv_timeout(WATCHDOG).unwrap());
    }
    accepted_by_twilios_own(&host, &got, TOKEN);

    let first = &got[0];
    assert_eq!(first.path, "/in/hook?app=1&tenant=7");
    let moved = callbacks[0].body.replace("api.twilio.com", "rec.example.com");
    assert_eq!(first.body, moved, "only the host has changed");
    assert!(first.headers["user-agent"].to_str().unwrap().starts_with("TwilioProxy/1.1"));
    assert_eq!(first.headers["i-twilio-idempotency-token"].len(), 32);
    assert_eq!(got[1].headers["i-twilio-idempotency-token"], "0b1c");
    assert!(got[5].body.ends_with("MediaUrl0="));
    assert_eq!(got[6].method, "GET");
    let moved = get.replace("api.twilio.com", "rec.example.com");
    assert_eq!(got[6].path, moved.replace("/webhooks/hook?", "/in/hook?app=1&"));
    let json = r#"{"data":{"RecordingUrl":"https://rec.example.com/Recordings/RE1","n":1.50}}"#;
    assert_eq!(got[7].body, json);
    let path = format!("/in/hook?app=1&tenant=7&bodySHA256={}", body_hash(json.as_bytes()));
    assert_eq!(got[7].path, path);
}

#[test]
fn what_twilios_own_libraries_sign_verifies_here() {
    for program in ["python", "node"] {
        let library = library(program);
        let secret = Secret::new(TOKEN);
        let shared = vec![SharedKey { id: "shared".to_owned(), secret: secret.clone() }];
        let keys = Keys { auth_tokens: vec![secret], shared };
        let origins = [Origin::parse(GATE).unwrap()];
        let requests = ask(&library, &["sign", TOKEN], "");
        for sent in &requests {
            let text = |name: &str| sent[name].as_str().unwrap_or_default();
            let mut headers = HeaderMap::new();
            headers.insert("x-twilio-signature", text("signature").parse().unwrap());
            headers.insert("content-type", text("content_type").parse().unwrap());
            if let Some(settings) = sent["settings"].as_str() {
                headers.insert("x-twilio-webhooks-signature-settings", settings.parse().unwrap());
            }
            let method = if text("method") == "GET" { Method::GET } else { Method::POST };
            let verify = |target: &str| {
                let (method, headers, body) = (&method, &headers, text("body").as_bytes());
                let request = Request { method, path_and_query: target, headers, body };
                verify(request, &origins, &keys).map(|_| ())
            };
            assert_eq!(verify(text("target")), Ok(()), "{program} {sent}");
            assert!(verify(&text("target").replace("/h", "/i")).is_err());
        }
        assert!(requests.len() >= 28);
        println!("{program}: {} verified", requests.len());
    }
}

#[test]
fn the_application_gets_an_event_once_however_often_twilio_sends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (host, seen) = application();
    let target = || Some(format!("http://{host}/"));
    let hooks = vec![settings("hook", target()), settings("other", target())];
    let webhooks = Webhooks::new(hooks, outbox(folder.path())).unwrap();
    let stored = |callback: &Callback, name: &str| {
        let accepted = callback.sent_to(&webhooks, name).unwrap();
        assert_eq!(accepted.events.len(), 1, "it tells the same every time");
        assert!(matches!(accepted.events[0].kind, Kind::Recording(_)));
        accepted.stored
    };
    let got = || seen.recv_timeout(WATCHDOG).unwrap();
    for n in 0..5 {
        assert_eq!(stored(&Callback::recording(""), "hook"), n == 0);
        assert_eq!(stored(&Callback::recording("&n=1").token("t1"), "hook"), n == 0);
        assert_eq!(stored(&Callback::recording("&n=1").token("t2"), "hook"), n == 0);
        assert_eq!(stored(&Callback::recording(""), "other"), n == 0, "another webhook");
    }
    let mut tokens: Vec<_> =
        (0..4).map(|_| got().headers["i-twilio-idempotency-token"].clone()).collect();
    tokens.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    tokens.dedup();
    assert_eq!(tokens.len(), 4);
    drop(webhooks);
    assert!(seen.try_recv().is_err(), "no more than these");
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut plain = settings("plain", None);
    plain.keys.auth_tokens.push(Secret::new("second"));
    let target = Some("http://127.0.0.1:9/".to_owned());
    let hooks = vec![settings("hook", target), plain];
    let webhooks = Webhooks::new(hooks, outbox(folder.path())).unwrap();
    let callback = Callback::recording("");
    let unknown = callback.sent_to(&webhooks, "nobody");
    assert!(matches!(unknown, Err(WebhookError::Unknown)));
    let mut unsigned = Callback::recording("");
    unsigned.headers.clear();
    assert!(matches!(unsigned.sent_to(&webhooks, "hook"), Err(WebhookError::Signature(_))));
    let other =
        Callback::new(Method::POST, "/webhooks/hook", FORM, "AccountSid=AC1&Secret=5550100");
    let refused = other.sent_to(&webhooks, "hook").unwrap_err();
    assert!(matches!(refused, WebhookError::Event(_)));
    assert!(!format!("{refused} {refused:?}").contains("5550100"));
    let bad_query =
        Callback::new(Method::POST, "/webhooks/hook?a=%zz", FORM, &format!("AccountSid={ACCOUNT}"));
    assert!(matches!(bad_query.sent_to(&webhooks, "hook"), Err(WebhookError::Relay(_))));
    assert_eq!(webhooks.outbox().stats().unwrap().waiting, 0);
    let heard = callback.sent_to(&webhooks, "plain").unwrap();
    assert!(!heard.stored && heard.events.len() == 1, "without a target it is only heard");
    assert_eq!(webhooks.outbox().stats().unwrap().waiting, 0);
    assert!(!format!("{webhooks:?}").contains(TOKEN));
}

#[test]
fn settings_that_cannot_work_name_the_webhook() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = outbox(folder.path());
    let refused = |hooks| Webhooks::new(hooks, Arc::clone(&outbox)).err();
    let name = || "hook".to_owned();
    let mut hook = settings("hook", None);
    hook.keys.auth_tokens = vec![Secret::new(" ")];
    assert_eq!(refused(vec![hook]), Some(WebhookSettingsError::NoKey(name())));
    let mut hook = settings("hook", None);
    hook.public_origins.clear();
    assert_eq!(refused(vec![hook]), Some(WebhookSettingsError::NoOrigin(name())));
    let mut hook = settings("hook", Some("http://a.example".to_owned()));
    let shared = SharedKey { id: "a".to_owned(), secret: Secret::new("b") };
    hook.keys = Keys { auth_tokens: vec![], shared: vec![shared] };
    assert_eq!(refused(vec![hook]), Some(WebhookSettingsError::NoRelayKey(name())));
    let twice = vec![settings("hook", None), settings("hook", None)];
    assert_eq!(refused(twice), Some(WebhookSettingsError::Twice(name())));
    for bad in [
        "",
        "/x",
        "ftp://a.example",
        "http://u@a.example",
        "http://a.example/#x",
        "https://a.example?bodySHA256=1",
        "http://",
    ] {
        assert!(Target::parse(bad).is_err(), "{bad}");
    }
}
