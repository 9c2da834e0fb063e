//! Twilio's callbacks: what Twilio signed is learned and brought to the application, once, with
//! URLs that lead to the gate; what it did not sign changes nothing.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use noticegate::clock::Clock;
use noticegate::listener::server_config;
use noticegate::secret::Secret;
use noticegate::standin::{Direction, Fault, Misbehaviour, RecordingStatus, SampleRecording};
use noticegate::webhook::{Algorithm, BODY_BYTES_MAX, Form, body_hash, sign};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;

use crate::support::client::collect;
use crate::support::leaks::{self, SHARED_KEY as SHARED};
use crate::support::process::{Process, one};
use crate::support::world::{NUMBER, UPSTREAM_SECRET, of_kind};
use crate::support::{
    ACCOUNT, Answer, CALL, Client, RECORDING, World, WorldSettings, path, recording,
};

const HOOK: &str = "/webhooks/recordings";
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

/// LIMIT: a story that waits this long has failed.
const WATCHDOG: Duration = Duration::from_secs(20);

/// What the application was brought.
#[derive(Debug)]
struct Brought {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: String,
}

impl Brought {
    /// No application is brought what no caller may see.
    fn searched(self) -> Self {
        leaks::search("what is brought", format!("{self:?}").as_bytes());
        self
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    fn form(&self) -> BTreeMap<String, String> {
        Form::read(self.body.as_bytes()).unwrap().pairs().iter().cloned().collect()
    }
}

/// The owner's application, with HTTPS.
struct Application {
    port: u16,
    listener: Option<TcpListener>,
    status: Arc<AtomicU16>,
    /// What it waits for before it answers, if it does.
    go_on: Option<Arc<Notify>>,
    brought: Option<mpsc::UnboundedReceiver<Brought>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Application {
    async fn bind() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self {
            port: listener.local_addr().unwrap().port(),
            listener: Some(listener),
            status: Arc::new(AtomicU16::new(200)),
            go_on: None,
            brought: None,
            task: None,
        }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/hooks/recordings?tenant=7", self.port)
    }

    /// Starts to answer, under the certificate of the world's stand-in.
    fn serve(&mut self, world: &World) {
        let file = |name: &str| world.folder.join(name);
        let mut tls = server_config(&file("standin.pem"), &file("standin.key")).unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsAcceptor::from(Arc::new(tls));
        let listener = self.listener.take().unwrap();
        let (tell, brought) = mpsc::unbounded_channel();
        self.brought = Some(brought);
        let (status, go_on) = (Arc::clone(&self.status), self.go_on.clone());
        self.task = Some(tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (tls, tell) = (tls.clone(), tell.clone());
                let (status, go_on) = (Arc::clone(&status), go_on.clone());
                tokio::spawn(async move {
                    let Ok(tls) = tls.accept(tcp).await else { return };
                    let answer = |request| answer(request, &tell, &status, go_on.as_deref());
                    let service = hyper::service::service_fn(answer);
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(tls), service).await;
                });
            }
        }));
    }

    async fn next(&mut self) -> Brought {
        let next = self.brought.as_mut().unwrap().recv();
        tokio::time::timeout(WATCHDOG, next).await.expect("nothing is brought").unwrap().searched()
    }

    /// The next, for which the gate waits by a clock that is moved on until it comes.
    async fn in_time(&mut self, clock: &Clock) -> Brought {
        for _ in 0..100 {
            let next = self.brought.as_mut().unwrap().recv();
            if let Ok(brought) = tokio::time::timeout(Duration::from_millis(300), next).await {
                return brought.unwrap().searched();
            }
            clock.set(clock.now() + SignedDuration::from_mins(1));
        }
        panic!("nothing is brought");
    }

    fn has_more(&mut self) -> bool {
        self.brought.as_mut().unwrap().try_recv().is_ok()
    }
}

async fn answer(
    request: Request<Incoming>,
    tell: &mpsc::UnboundedSender<Brought>,
    status: &AtomicU16,
    go_on: Option<&Notify>,
) -> Result<Response<Empty<Bytes>>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let target = parts.uri.to_string();
    // Read before the story hears of the request, which may then set the status of the next one.
    let status = status.load(Ordering::SeqCst);
    let _ = tell.send(Brought { method: parts.method, target, headers: parts.headers, body });
    if let Some(go_on) = go_on {
        go_on.notified().await;
    }
    Ok(Response::builder().status(status).body(Empty::new()).unwrap())
}

fn settings(application: &Application) -> WorldSettings {
    let config = format!(
        r#"
[webhooks]
ca_file = "ca.pem"
outbox = "webhooks.sqlite"
[[webhooks.hook]]
name = "recordings"
account = "{ACCOUNT}"
key = [{{ file = "token" }}, {{ id = "wk1", file = "shared" }}]
forward_to = "{}"
[[webhooks.hook]]
name = "learn"
account = "{ACCOUNT}"
key = [{{ file = "token" }}]
"#,
        application.url()
    );
    WorldSettings {
        config,
        // The configuration names it, so that it is there before the gate is.
        policies: |folder| std::fs::write(folder.with_file_name("shared"), SHARED).unwrap(),
        ..WorldSettings::default()
    }
}

async fn started() -> (World, Application) {
    let mut application = Application::bind().await;
    let world = World::with(settings(&application)).await;
    application.serve(&world);
    (world, application)
}

type Pairs = Vec<(String, String)>;

/// A `recordingStatusCallback` as Twilio sends it.
fn completed() -> Pairs {
    let url = format!("https://api.twilio.com{}", path(""));
    pairs(&[
        ("AccountSid", ACCOUNT),
        ("CallSid", CALL),
        ("RecordingSid", RECORDING),
        ("RecordingUrl", &url),
        ("RecordingStatus", "completed"),
        ("RecordingDuration", "4"),
        ("RecordingChannels", "2"),
        ("RecordingStartTime", "Tue, 03 Nov 2026 09:15:02 +0000"),
        ("RecordingSource", "DialVerb"),
        ("ErrorCode", "0"),
    ])
}

fn of_the_call() -> Pairs {
    pairs(&[
        ("AccountSid", ACCOUNT),
        ("CallSid", CALL),
        ("CallStatus", "completed"),
        ("Direction", "inbound"),
        ("From", NUMBER),
        ("To", "+14045550188"),
    ])
}

fn pairs(list: &[(&str, &str)]) -> Pairs {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A callback on its way.
#[derive(Clone)]
struct Callback {
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Callback {
    /// A form that Twilio signed for this URL.
    fn form(origin: &str, target: &str, params: &Pairs) -> Self {
        let url = format!("{origin}{target}");
        let token = Secret::new(UPSTREAM_SECRET);
        let signature = sign(&url, params, &token, Algorithm::HmacSha1);
        Self {
            method: Method::POST,
            target: target.to_owned(),
            headers: vec![("content-type", FORM.to_owned()), ("x-twilio-signature", signature)],
            body: params.iter().cloned().collect::<Form>().write(),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    /// As [`Callback::form`], with what names an event.
    fn named(self, token: &str) -> Self {
        self.with("i-twilio-idempotency-token", token)
    }

    async fn to(&self, client: &Client) -> Answer {
        let io = TokioIo::new(client.connect(&["http/1.1"]).await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let mut request =
            Request::builder().method(&self.method).uri(&self.target).header("host", "localhost");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(self.body.clone()))).unwrap();
        collect(sender.send_request(request).await.unwrap()).await
    }
}

fn signed(params: &Pairs) -> Callback {
    Callback::form("https://localhost", HOOK, params)
}

/// What the application's own validator would say.
fn verifies(brought: &Brought, application: &Application) -> bool {
    let params: Pairs = match brought.method {
        Method::GET => Vec::new(),
        _ if brought.header("content-type").contains("json") => Vec::new(),
        _ => Form::read(brought.body.as_bytes()).unwrap().pairs().to_vec(),
    };
    let url = format!("https://localhost:{}{}", application.port, brought.target);
    let token = Secret::new(UPSTREAM_SECRET);
    sign(&url, &params, &token, Algorithm::HmacSha1) == brought.header("x-twilio-signature")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_twilio_signed_reaches_the_application_with_urls_of_the_gate() {
    let (world, mut application) = started().await;
    let answer = signed(&completed()).named("token-1").to(&world.client).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0), "{:?}", answer.body);
    let brought = application.next().await;
    assert_eq!(brought.method, Method::POST);
    assert_eq!(brought.target, "/hooks/recordings?tenant=7");
    assert_eq!(brought.header("i-twilio-idempotency-token"), "token-1");
    assert!(verifies(&brought, &application));
    let mut expected: BTreeMap<String, String> = completed().into_iter().collect();
    expected.insert("RecordingUrl".to_owned(), format!("https://localhost{}", path("")));
    assert_eq!(brought.form(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twilio_signs_in_many_ways_and_all_of_them_are_taken() {
    let (world, mut application) = started().await;
    let mut repeated = completed();
    repeated.extend(pairs(&[("Extra", "b"), ("Extra", "a"), ("Extra", "a"), ("Empty", "")]));
    let json = json!({"type": "com.twilio.recording", "data": {
        "accountSid": ACCOUNT, "RecordingUrl": format!("https://api.twilio.com{}", path("")),
    }})
    .to_string();
    let query = format!("{HOOK}?bodySHA256={}", body_hash(json.as_bytes()));
    let as_json = Callback::form("https://localhost", &query, &Vec::new());
    let as_json = Callback { body: json, ..as_json.with("content-type", "application/json") };
    let in_query = format!("{HOOK}?{}", completed().into_iter().collect::<Form>().write());
    let as_get = Callback::form("https://localhost", &in_query, &Vec::new());
    let as_get = Callback { method: Method::GET, ..as_get.without("content-type") };
    let url = format!("https://localhost{HOOK}");
    let shared = sign(&url, &completed(), &Secret::new(SHARED), Algorithm::HmacSha256);
    let shared = signed(&completed())
        .with("x-twilio-signature", &shared)
        .with("x-twilio-webhooks-signature-settings", "key=wk1,algorithm=HMAC_SHA256");
    let own_query = Callback::form("https://localhost", &format!("{HOOK}?a=1&b=%20"), &completed());
    for (number, (what, callback)) in [
        ("with a port", Callback::form("https://localhost:443", HOOK, &completed())),
        ("repeated parameters", signed(&repeated)),
        ("a query beside a form", own_query),
        ("JSON", as_json),
        ("GET", as_get),
        ("a shared key", shared),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = callback.named(&number.to_string()).to(&world.client).await;
        assert_eq!(answer.status, 204, "{what}: {:?}", answer.body);
        let brought = application.next().await;
        assert!(verifies(&brought, &application), "{what}: {brought:?}");
        let all = format!("{}{}", brought.target, brought.body);
        assert!(!all.contains("api.twilio.com") && all.contains("localhost"), "{what}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgery_changes_nothing_and_comes_to_nobody() {
    let (mut world, mut application) = started().await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    world.standin.forget_seen();
    let changed = |name: &str, value: &str| {
        let change = |(known, old): (String, String)| {
            let new = if known == name { value.to_owned() } else { old };
            (known, new)
        };
        let params: Form = completed().into_iter().map(change).collect();
        Callback { body: params.write(), ..signed(&completed()) }
    };
    let other = sign(
        &format!("https://localhost{HOOK}"),
        &completed(),
        &Secret::new("another account's token"),
        Algorithm::HmacSha1,
    );
    let json = json!({"accountSid": ACCOUNT}).to_string();
    let query = format!("{HOOK}?bodySHA256={}", body_hash(json.as_bytes()));
    let as_json = Callback::form("https://localhost", &query, &Vec::new());
    let as_json = as_json.with("content-type", "application/json");
    let good = signed(&completed());
    let mut twice = good.clone();
    twice.headers.push(("x-twilio-signature", other.clone()));
    for (what, callback) in [
        ("no signature", good.clone().without("x-twilio-signature")),
        ("an empty one", good.clone().with("x-twilio-signature", "")),
        ("no base64", good.clone().with("x-twilio-signature", "!!!")),
        ("another key", good.clone().with("x-twilio-signature", &other)),
        ("two signatures", twice),
        ("a changed status", changed("RecordingStatus", "absent")),
        ("a changed URL", changed("RecordingUrl", "https://evil.example/")),
        ("one parameter more", Callback { body: good.body.clone() + "&A=b", ..good.clone() }),
        ("another path", Callback { target: "/webhooks/learn".to_owned(), ..good.clone() }),
        ("another query", Callback { target: format!("{HOOK}?a=1"), ..good.clone() }),
        ("another host", Callback::form("https://evil.example", HOOK, &completed())),
        ("no TLS", Callback::form("http://localhost", HOOK, &completed())),
        (
            "an unknown shared key",
            good.clone()
                .with("x-twilio-webhooks-signature-settings", "key=wk2,algorithm=HMAC_SHA256"),
        ),
        ("another body of JSON", Callback { body: json.replace('0', "1"), ..as_json.clone() }),
        ("JSON as a form", good.clone().with("content-type", "application/json")),
        ("a form as text", good.clone().with("content-type", "text/plain")),
        ("another method", Callback { method: Method::PUT, ..good.clone() }),
    ] {
        let answer = callback.to(&world.client).await;
        assert_eq!(answer.status, 403, "{what}: {:?}", answer.body);
        assert!(!String::from_utf8_lossy(&answer.body).contains(UPSTREAM_SECRET));
    }
    // Another account's, though it is signed.
    let mut foreign = completed();
    foreign[0].1 = "AC00000000000000000000000000000009".to_owned();
    assert_eq!(signed(&foreign).to(&world.client).await.status, 400);
    assert!(world.standin.seen().is_empty(), "nothing was learned");
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(world.standin.seen().len(), 1, "the facts are those of before");
    // What is good comes alone.
    assert_eq!(good.to(&world.client).await.status, 204);
    assert!(verifies(&application.next().await, &application));
    assert!(!application.has_more());
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 2);
    assert!(of_kind(&entries, "refusal").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_other_hook_and_no_body_without_end() {
    let (world, mut application) = started().await;
    for name in ["other", "", "recordings/", "Recordings", "../webhooks/recordings"] {
        let target = format!("/webhooks/{name}");
        let callback = Callback::form("https://localhost", &target, &completed());
        assert_eq!(callback.to(&world.client).await.status, 404, "{name}");
    }
    let mut long = completed();
    long.push(("Long".to_owned(), "x".repeat(BODY_BYTES_MAX)));
    assert_eq!(signed(&long).to(&world.client).await.status, 400);
    assert!(!application.has_more());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twilio_has_its_answer_before_the_application_has_given_one() {
    let mut application = Application::bind().await;
    let go_on = Arc::new(Notify::new());
    application.go_on = Some(Arc::clone(&go_on));
    let world = World::with(settings(&application)).await;
    application.serve(&world);
    assert_eq!(signed(&completed()).to(&world.client).await.status, 204);
    application.next().await;
    // It has not answered yet, and others are taken.
    assert_eq!(signed(&of_the_call()).to(&world.client).await.status, 204);
    application.next().await;
    go_on.notify_waiters();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_is_down_gets_it_when_it_is_up() {
    let (world, mut application) = started().await;
    application.status.store(503, Ordering::SeqCst);
    let callback = signed(&completed()).named("the-token");
    assert_eq!(callback.to(&world.client).await.status, 204);
    let mut tokens = Vec::new();
    for status in [503, 404, 200] {
        application.status.store(status, Ordering::SeqCst);
        let brought = application.in_time(&world.clock).await;
        tokens.push(brought.header("i-twilio-idempotency-token").to_owned());
    }
    assert!(tokens.iter().all(|token| token == "the-token"), "{tokens:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_twilio_sends_again_is_brought_once() {
    let (world, mut application) = started().await;
    for _ in 0..3 {
        let again = signed(&completed()).named("once").to(&world.client).await;
        assert_eq!(again.status, 204);
    }
    assert_eq!(signed(&completed()).named("other").to(&world.client).await.status, 204);
    let mut tokens = Vec::new();
    for _ in 0..2 {
        tokens.push(application.next().await.header("i-twilio-idempotency-token").to_owned());
    }
    tokens.sort();
    assert_eq!(tokens, ["once", "other"]);
    assert!(!application.has_more());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_recording_is_known_before_anybody_asks() {
    let (mut world, _application) = started().await;
    assert_eq!(signed(&completed()).to(&world.client).await.status, 204);
    let learned = world.standin.seen();
    assert!(learned.iter().all(|seen| seen.path_and_query.contains(".json")), "{learned:?}");
    assert_eq!(learned.len(), 2, "the recording and its call");
    world.standin.forget_seen();
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(world.standin.seen().len(), 1, "the sound alone");
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 1, "a callback discloses nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_has_just_been_completed_can_be_had_at_once() {
    let mut application = Application::bind().await;
    let sample =
        |status| SampleRecording { status, ..recording(RECORDING, "2026-11-03T09:15:02Z") };
    let recordings = vec![sample(RecordingStatus::Processing)];
    let world = World::with(WorldSettings { recordings, ..settings(&application) }).await;
    application.serve(&world);
    let early = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(early.status, 404, "{:?}", early.body);
    // The clock stands still: what is known of it is as young as it can be.
    world.standin.add(ACCOUNT, sample(RecordingStatus::Completed));
    assert_eq!(signed(&completed()).to(&world.client).await.status, 204);
    let resource = world.send(world.ana(&path(".json"))).await;
    assert_eq!(resource.json()["status"], "completed");
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ends_of_a_call_are_remembered_when_twilio_has_forgotten_it() {
    let (mut world, _application) = started().await;
    assert_eq!(signed(&of_the_call()).to(&world.client).await.status, 204);
    world.standin.misbehave(Misbehaviour {
        path_contains: format!("{CALL}.json"),
        fault: Fault::Status { status: 404, retry_after: None },
        times: None,
    });
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let entries = world.entries().await;
    let facts = &of_kind(&entries, "intent")[0]["facts"];
    assert_eq!(facts["direction"], Direction::Inbound.as_str(), "{facts}");
    assert!(!entries.iter().any(|entry| entry.to_string().contains(NUMBER)));
}

/// The application knows what the call is about, and says so in the URL that it gives to Twilio.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_callback_s_url_states_of_the_call_decides() {
    let (mut world, mut application) = started().await;
    let target = |stated: &[serde_json::Value]| {
        let pairs = stated.iter().map(|one| ("noticegate", one.to_string()));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{HOOK}?{query}")
    };
    let stating = |stated: &[serde_json::Value]| {
        Callback::form("https://localhost", &target(stated), &of_the_call())
    };
    let card = json!({"payment": {"taken": true}});
    let claim = json!({"case": {"id": "claim-7", "open": true, "at": "2026-11-10T00:00:00Z"}});
    let counsel = || world.who("lea", "legal-counsel", "legal-claims", &path(".wav"));
    assert_eq!(world.send(counsel()).await.status, 403);
    assert_eq!(stating(&[claim]).to(&world.client).await.status, 204);
    application.next().await;
    assert_eq!(world.send(counsel()).await.status, 200, "there is a claim");

    let forged = stating(std::slice::from_ref(&card)).with("x-twilio-signature", "AAAA");
    assert_eq!(forged.to(&world.client).await.status, 403);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let labels = json!({"labels": {"line": "sales", "call_type": "sales"}});
    for _ in 0..3 {
        let both = stating(&[card.clone(), labels.clone()]);
        assert_eq!(both.to(&world.client).await.status, 204);
    }
    let refused = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(refused.status, 403, "a card was paid with, and nothing was paused");

    // What cannot be used is not lost to the application, and an operator hears of it.
    let hold = json!({"hold": {"id": "h", "reason": "r", "placed": true}});
    for unfit in [json!({"labels": {"line": "no such line"}}), hold, json!(7), json!({"about": []})]
    {
        assert_eq!(stating(&[unfit]).named("another").to(&world.client).await.status, 204);
    }
    let metrics = world.metrics().await;
    assert!(metrics.contains("noticegate_callback_statements_unusable_total 4"), "{metrics}");
    let entries = world.entries().await;
    let stated = of_kind(&entries, "statement");
    let of = |key: &str| stated.iter().filter(|entry| entry["said"].get(key).is_some()).count();
    assert_eq!((of("case"), of("payment"), of("labels"), of("hold")), (1, 1, 1, 0));
    assert!(stated.iter().all(|entry| entry["actor"].as_str().unwrap().starts_with("webhook:")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_a_conference_is_on_the_call_with_the_law_of_their_place() {
    const CONFERENCE: &str = "CF0123456789abcdef0123456789abcdef";
    let call = |digit: &str| format!("CA{}", digit.repeat(32));
    let leg = |digit: &str, from: &str| SampleRecording {
        call_sid: Some(call(digit)),
        from: from.to_owned(),
        ..recording(&format!("RE{}", digit.repeat(32)), "2026-11-03T09:15:02Z")
    };
    let of_conference = SampleRecording {
        conference_sid: Some(CONFERENCE.to_owned()),
        ..recording(RECORDING, "2026-11-03T09:15:02Z")
    };
    let mut application = Application::bind().await;
    let world = World::with(WorldSettings {
        law: true,
        recordings: vec![of_conference, leg("b", "+14045550111"), leg("c", "+14155550100")],
        ..settings(&application)
    })
    .await;
    application.serve(&world);
    let joins = |call: &str| {
        signed(&pairs(&[
            ("AccountSid", ACCOUNT),
            ("ConferenceSid", CONFERENCE),
            ("CallSid", call),
            ("StatusCallbackEvent", "participant-join"),
        ]))
    };
    let heard = || async { world.send(world.ana(&path(".wav"))).await.status };
    assert_eq!(heard().await, 403, "somebody unknown may be anywhere");
    for call in [CALL.to_owned(), call("b"), call("b")] {
        assert_eq!(joins(&call).to(&world.client).await.status, 204);
    }
    assert_eq!(heard().await, 200, "all of them are in Georgia");
    assert_eq!(joins(&call("c")).to(&world.client).await.status, 204);
    assert_eq!(heard().await, 403, "California asks for everybody's consent");
    let entries = world.read_entries();
    assert_eq!(of_kind(&entries, "statement").len(), 3, "each is stated once");
    assert!(!entries.iter().any(|entry| entry.to_string().contains("+1")), "nobody's number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_auth_token_is_that_of_callbacks_too() {
    let (world, mut application) = started().await;
    let new = leaks::NEW_SECRET;
    let url = format!("https://localhost{HOOK}");
    let signature = sign(&url, &completed(), &Secret::new(new), Algorithm::HmacSha1);
    let callback = signed(&completed()).with("x-twilio-signature", &signature);
    assert_eq!(callback.to(&world.client).await.status, 403);
    std::fs::write(world.folder.join("token"), new).unwrap();
    world.running().reload();
    assert_eq!(callback.to(&world.client).await.status, 204);
    let brought = application.next().await;
    let params = Form::read(brought.body.as_bytes()).unwrap();
    let url = format!("https://localhost:{}{}", application.port, brought.target);
    let again = sign(&url, params.pairs(), &Secret::new(new), Algorithm::HmacSha1);
    assert_eq!(brought.header("x-twilio-signature"), again, "it is signed with the new one, too");
    assert_eq!(signed(&completed()).to(&world.client).await.status, 403, "the old one is gone");
}

/// The world of a gate that is a process of its own.
async fn process(application: &mut Application) -> World {
    let now = Clock::system().now();
    let started = now - SignedDuration::from_hours(24 * 21);
    let settings = settings(application);
    let world = World::prepare(&WorldSettings {
        config: format!("[log]\nformat = \"json\"\nlevel = \"trace\"\n{}", settings.config),
        recordings: vec![recording(RECORDING, &started.to_string())],
        ..settings
    })
    .await;
    application.serve(&world);
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_killed_brings_it_when_it_is_back_and_hides_it_meanwhile() {
    let mut application = Application::bind().await;
    application.status.store(500, Ordering::SeqCst);
    let world = process(&mut application).await;
    let gate = Process::start(&world.folder, &[]);
    let client = Client::new(gate.address, world.authority.certificate());
    let answer = signed(&of_the_call()).named("survives").to(&client).await;
    assert_eq!(answer.status, 204, "{}", gate.log());
    application.next().await;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !gate.log().contains("tried again") {
        looks.tick().await;
    }
    let log = gate.log();
    gate.kill();
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(&world.folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("webhooks.sqlite") {
            stored.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    assert!(!stored.is_empty());
    let stored = String::from_utf8_lossy(&stored).into_owned();
    let digits = NUMBER.trim_start_matches('+');
    for secret in [digits, "3055550188", "survives", CALL, "CallStatus", UPSTREAM_SECRET] {
        assert!(!stored.contains(secret), "`{secret}` can be read on the disk");
    }
    application.status.store(200, Ordering::SeqCst);
    let gate = Process::start(&world.folder, &[]);
    let brought = application.next().await;
    assert_eq!(brought.header("i-twilio-idempotency-token"), "survives");
    assert_eq!(brought.form()["From"], NUMBER);
    assert!(verifies(&brought, &application));
    // Twilio does not know, and sends it again.
    let client = Client::new(gate.address, world.authority.certificate());
    assert_eq!(signed(&of_the_call()).named("survives").to(&client).await.status, 204);
    assert_eq!(one(&world, &gate).await.status, 200);
    assert!(!application.has_more());
    let log = log + &gate.log();
    assert!(gate.terminate());
    for secret in [digits, "3055550188", UPSTREAM_SECRET, SHARED, "tenant=7"] {
        assert!(!log.contains(secret), "the log holds `{secret}`");
    }
}
