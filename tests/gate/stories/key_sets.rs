//! The keys of an issuer are fetched over HTTPS: rotated keys come and go, a set that is no good
//! is no reason to accept anybody, and neither the issuer nor a stranger can make the gate hang
//! or hammer.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use noticegate::certs::{Authority, Issued};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;

use crate::support::client::Answer;
use crate::support::tokens::{self, key_set};
use crate::support::world::{bodiless, of_kind};
use crate::support::{Client, TokenKey, World, WorldSettings, path};

/// LIMIT: how often a key set is asked for at the most, in seconds of the gate's clock.
const RETRY: i64 = 10;
/// LIMIT: keys of one set.
const KEYS_MAX: usize = 64;
/// LIMIT: bytes of a key set.
const JWKS_BYTES_MAX: usize = 256 * 1024;
/// LIMIT: a story that waits this long for something has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the issuer's server does with a request.
#[derive(Clone, Debug)]
enum Reply {
    /// Says these bytes and closes.
    Say(Vec<u8>),
    /// Says these bytes, and then nothing until the gate hangs up.
    Stall(Vec<u8>),
    /// Says these bytes once it is released.
    Hold(Vec<u8>),
    /// Closes the connection before TLS.
    HangUp,
}

/// What has happened at the server so far.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// The head of every request.
    heads: Vec<String>,
    /// Stalls in which the gate hung up.
    left: usize,
}

struct Shared {
    reply: Mutex<Reply>,
    seen: watch::Sender<Seen>,
    released: watch::Sender<bool>,
}

/// Where an issuer publishes its keys. Dropping it closes everything.
struct KeyServer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl KeyServer {
    fn start(listener: TcpListener, certificate: &Issued) -> Self {
        let chain = CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let tls = ServerConfig::builder().with_no_client_auth();
        let tls = TlsAcceptor::from(Arc::new(tls.with_single_cert(vec![chain], key).unwrap()));
        let shared = Arc::new(Shared {
            reply: Mutex::new(Reply::HangUp),
            seen: watch::Sender::default(),
            released: watch::Sender::new(false),
        });
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&shared)));
        Self { shared, task }
    }

    fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    fn publish(&self, keys: &[&TokenKey]) {
        self.reply(ok(&key_set(keys)));
    }

    /// Lets the held replies go.
    fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// How many requests there were.
    fn count(&self) -> usize {
        self.shared.seen.borrow().heads.len()
    }

    /// Waits until something has happened.
    async fn until(&self, happened: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.shared.seen.subscribe();
        let waited = timeout(PATIENCE, seen.wait_for(happened)).await;
        waited.expect("it never happened").unwrap().clone()
    }

    /// Waits for so many requests.
    async fn asked(&self, times: usize) {
        self.until(|seen| seen.heads.len() >= times).await;
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let hangs_up = matches!(*shared.reply.lock().unwrap(), Reply::HangUp);
        if !hangs_up {
            // An error there is the gate's, who did not like the certificate or left.
            connections.spawn(converse(tcp, tls.clone(), Arc::clone(&shared)));
        }
    }
}

async fn converse(tcp: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut tls = tls.accept(tcp).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tls.read_u8().await?);
    }
    let reply = shared.reply.lock().unwrap().clone();
    let head = String::from_utf8(head).unwrap();
    shared.seen.send_modify(|seen| seen.heads.push(head));
    match reply {
        Reply::HangUp => {}
        Reply::Say(bytes) => tls.write_all(&bytes).await?,
        Reply::Hold(bytes) => {
            shared.released.subscribe().wait_for(|released| *released).await.unwrap();
            tls.write_all(&bytes).await?;
        }
        Reply::Stall(bytes) => {
            tls.write_all(&bytes).await?;
            tls.flush().await?;
            while tls.read_u8().await.is_ok() {}
            shared.seen.send_modify(|seen| seen.left += 1);
        }
    }
    tls.shutdown().await
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n");
    format!("{head}Connection: close\r\n\r\n{body}").into_bytes()
}

fn ok(body: &str) -> Reply {
    Reply::Say(answer("200 OK", "Content-Type: application/jwk-set+json\r\n", body))
}

fn fails(status: &str) -> Reply {
    Reply::Say(answer(status, "", ""))
}

/// A port, taken before there is a world, so that its configuration can name it.
async fn reserve(issuer: &str, config: &str) -> (TcpListener, WorldSettings) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = WorldSettings {
        jwks_url: Some(format!("https://localhost:{port}/keys?of=test")),
        issuer: issuer.to_owned(),
        config: config.to_owned(),
        ..WorldSettings::default()
    };
    (listener, settings)
}

/// A world that has not started yet, whose issuer publishes its keys at the server. The server
/// hangs up on everybody until it is told otherwise.
async fn prepare(issuer: &str, config: &str) -> (World, KeyServer) {
    let (listener, settings) = reserve(issuer, config).await;
    let world = World::prepare(&settings).await;
    let server = KeyServer::start(listener, &world.authority.issue(&["localhost"]).unwrap());
    (world, server)
}

/// A running world that has fetched a set with its key.
async fn start(issuer: &str, config: &str) -> (World, KeyServer) {
    let (world, server) = prepare(issuer, config).await;
    server.publish(&[&world.key]);
    let world = world.started();
    let answer = try_with(&world, &world.key).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(server.count(), 1);
    (world, server)
}

fn sign(world: &World, key: &TokenKey) -> String {
    key.sign(&tokens::claims(world.clock.now(), "ana", &["quality-analyst"]))
}

fn ask(token: &str) -> http::request::Builder {
    Client::get(&path(".json"))
        .header("authorization", format!("Bearer {token}"))
        .header("noticegate-purpose", "quality-monitoring")
}

async fn try_token(world: &World, token: &str) -> Answer {
    timeout(PATIENCE, world.send(ask(token))).await.expect("there is an answer")
}

/// Asks with a new token of a key.
async fn try_with(world: &World, key: &TokenKey) -> Answer {
    try_token(world, &sign(world, key)).await
}

/// Moves the gate's clock by seconds.
fn pass(world: &World, seconds: i64) {
    let to = world.clock.now() + jiff::SignedDuration::from_secs(seconds);
    world.clock.set(to);
}

/// The issuer is to blame: the caller may come again, and is not told that they are a stranger.
fn assert_unavailable(answer: &Answer, name: &str) {
    assert_eq!(answer.status, 503, "{name}: {}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("retry-after"), Some("10"), "{name}");
    assert_eq!(answer.header("www-authenticate"), None, "{name}");
    let problem = answer.json();
    assert_eq!(problem["code"], 20503, "{name}");
    assert_eq!(problem["reason"], "keys-unavailable", "{name}");
    assert_eq!(problem["message"], "the issuer's keys cannot be had at the moment", "{name}");
    let told = format!("{:?}{problem}", answer.headers);
    assert!(!told.contains("localhost"), "where the keys are is nobody's business: {told}");
}

fn assert_stranger(answer: &Answer, name: &str) {
    assert_eq!(answer.status, 401, "{name}: {}", String::from_utf8_lossy(&answer.body));
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"), "{name}");
}

/// The ledger of a world that disclosed so often, and refused only strangers.
async fn assert_disclosures(world: &mut World, count: usize) {
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), count);
    let refusals = of_kind(&entries, "refusal");
    assert!(refusals.iter().all(|refusal| refusal["reason"] == "stranger"));
}

#[tokio::test]
async fn keys_are_fetched_at_start_and_by_a_plain_request() {
    let (world, server) = prepare("", "").await;
    server.publish(&[&world.key]);
    let mut world = world.started();
    // Before anybody has come.
    server.asked(1).await;
    assert!(world.standin.seen().is_empty());
    for _ in 0..3 {
        assert_eq!(try_with(&world, &world.key).await.status, 200);
    }
    assert_eq!(server.count(), 1);
    let head = server.until(|_| true).await.heads.remove(0).to_lowercase();
    assert!(head.starts_with("get /keys?of=test http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: localhost:"), "{head}");
    // Nothing of a caller and nothing of the account travels there.
    let names: Vec<&str> =
        head.lines().skip(1).filter_map(|l| Some(l.split_once(':')?.0)).collect();
    assert_eq!(names, ["host", "user-agent", "accept"]);
    assert_disclosures(&mut world, 3).await;
}

#[tokio::test]
async fn a_new_key_is_accepted_after_one_fetch_and_a_removed_one_no_more() {
    let (mut world, server) = start("", "").await;
    let (second, third) = (TokenKey::new("key-2"), TokenKey::new("key-3"));
    let remembered = sign(&world, &world.key);
    assert_eq!(try_token(&world, &remembered).await.status, 200);
    // The issuer adds a key; the first token of it makes the gate look.
    server.publish(&[&world.key, &second]);
    pass(&world, RETRY);
    assert_eq!(try_with(&world, &second).await.status, 200);
    assert_eq!(server.count(), 2);
    assert_eq!(try_token(&world, &remembered).await.status, 200);
    assert_eq!(server.count(), 2);
    // The issuer takes the first away. The gate cannot know before it looks, which it does for a
    // key that it has not seen; from then on what was verified before counts no more.
    server.publish(&[&second]);
    pass(&world, RETRY);
    assert_eq!(try_token(&world, &remembered).await.status, 200);
    assert_eq!(server.count(), 2);
    assert_stranger(&try_with(&world, &third).await, "a key that was never published");
    assert_eq!(server.count(), 3);
    assert_stranger(&try_token(&world, &remembered).await, "a token of a removed key");
    assert_stranger(&try_with(&world, &world.key).await, "a new token of a removed key");
    assert_eq!(try_with(&world, &second).await.status, 200);
    assert_eq!(server.count(), 3);
    assert_disclosures(&mut world, 6).await;
}

#[tokio::test]
async fn keys_that_are_due_are_fetched_though_nobody_asks() {
    let (mut world, server) = start("refresh_seconds = 60", "").await;
    let second = TokenKey::new("key-2");
    let remembered = sign(&world, &world.key);
    assert_eq!(try_token(&world, &remembered).await.status, 200);
    server.publish(&[&second]);
    pass(&world, 60);
    // The gate looks every few seconds of real time.
    server.asked(2).await;
    // Who needs the fetch that is under way waits for it; whom it makes void is void after it.
    assert_eq!(try_with(&world, &second).await.status, 200);
    assert_stranger(&try_token(&world, &remembered).await, "a token of a removed key");
    assert_eq!(server.count(), 2);
    assert_disclosures(&mut world, 3).await;
}

#[tokio::test]
async fn a_key_that_is_changed_under_its_name_makes_the_old_one_void() {
    let (mut world, server) = start("", "").await;
    let remembered = sign(&world, &world.key);
    assert_eq!(try_token(&world, &remembered).await.status, 200);
    let changed = TokenKey::new(&world.key.id);
    server.publish(&[&changed]);
    pass(&world, RETRY);
    // The name is known, so this is no reason to fetch.
    assert_stranger(&try_with(&world, &changed).await, "not fetched yet");
    assert_eq!(server.count(), 1);
    assert_stranger(&try_with(&world, &TokenKey::new("key-2")).await, "a reason to fetch");
    assert_eq!(server.count(), 2);
    assert_eq!(try_with(&world, &changed).await.status, 200);
    assert_stranger(&try_token(&world, &remembered).await, "remembered");
    assert_disclosures(&mut world, 3).await;
}

#[tokio::test]
async fn invented_keys_cause_one_fetch_in_ten_seconds() {
    let (mut world, server) = start("", "").await;
    let invented = TokenKey::new("invented");
    let burst = async |world: &World| {
        let mut under_way = JoinSet::new();
        for n in 0..16 {
            let mut header = Header::new(Algorithm::ES256);
            header.kid = Some(format!("invented-{n}"));
            let claims = tokens::claims(world.clock.now(), "eve", &["quality-analyst"]);
            let token = invented.sign_as(&header, &claims);
            let client = world.client.clone();
            under_way.spawn(async move { client.send(bodiless(ask(&token))).await });
        }
        let answers = timeout(PATIENCE, under_way.join_all()).await.unwrap();
        answers.iter().for_each(|answer| assert_stranger(answer, "invented"));
    };
    // (seconds since the burst before, fetches until then): the start's fetch counts, too.
    for (seconds, fetches) in [(0, 1), (RETRY - 1, 1), (1, 2), (0, 2), (RETRY - 1, 2), (1, 3)] {
        pass(&world, seconds);
        burst(&world).await;
        assert_eq!(server.count(), fetches);
    }
    // Sound tokens need no fetch and are not held up.
    assert_eq!(try_with(&world, &world.key).await.status, 200);
    assert_eq!(server.count(), 3);
    assert_disclosures(&mut world, 2).await;
}

#[tokio::test]
async fn an_invented_issuer_or_algorithm_causes_no_fetch() {
    let (world, server) = start("", "").await;
    pass(&world, RETRY);
    let invented = TokenKey::new("invented");
    let mut claims = tokens::claims(world.clock.now(), "eve", &["quality-analyst"]);
    let mut header = invented.header();
    header.alg = Algorithm::HS256;
    let secret = EncodingKey::from_secret(b"secret");
    let mac = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
    claims["iss"] = "https://evil.example/".into();
    for token in [mac, invented.sign(&claims), "no.token.".to_owned()] {
        assert_stranger(&try_token(&world, &token).await, "invented");
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn keys_stay_in_use_for_a_while_when_they_cannot_be_fetched() {
    let (mut world, server) = start("refresh_seconds = 60\nstale_seconds = 120", "").await;
    let remembered = sign(&world, &world.key);
    assert_eq!(try_token(&world, &remembered).await.status, 200);
    server.reply(Reply::HangUp);
    for seconds in [59, 60, 60] {
        pass(&world, seconds);
        assert_eq!(try_token(&world, &remembered).await.status, 200);
        assert_eq!(try_with(&world, &world.key).await.status, 200);
    }
    // 180 seconds after the fetch nobody can say any more whose keys these are.
    pass(&world, 1);
    assert_unavailable(&try_token(&world, &remembered).await, "remembered");
    assert_unavailable(&try_with(&world, &world.key).await, "new");
    assert_unavailable(&try_with(&world, &TokenKey::new("key-2")).await, "unknown");
    // When the issuer is back, so is everybody.
    server.publish(&[&world.key]);
    pass(&world, RETRY);
    assert_eq!(try_token(&world, &remembered).await.status, 200);
    assert_eq!(try_with(&world, &world.key).await.status, 200);
    assert_disclosures(&mut world, 1 + 1 + 6 + 2).await;
}

#[tokio::test]
async fn without_stale_seconds_keys_end_when_they_are_due() {
    let (world, server) = start("refresh_seconds = 60\nstale_seconds = 0", "").await;
    server.reply(fails("500 Internal Server Error"));
    pass(&world, 59);
    assert_eq!(try_with(&world, &world.key).await.status, 200);
    pass(&world, 1);
    assert_unavailable(&try_with(&world, &world.key).await, "due");
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_makes_nobody_a_stranger() {
    // A port that is taken, but at which nobody listens.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = nobody.local_addr().unwrap().port();
    let settings = WorldSettings {
        jwks_url: Some(format!("https://localhost:{port}/keys")),
        ..WorldSettings::default()
    };
    let mut world = World::with(settings).await;
    for _ in 0..2 {
        assert_unavailable(&try_with(&world, &world.key).await, "never reached");
        pass(&world, RETRY);
    }
    // What is wrong with a token whatever the keys are, is said all the same.
    assert_stranger(&try_token(&world, "no.token.").await, "no token");
    assert!(world.standin.seen().is_empty());
    assert_disclosures(&mut world, 0).await;
}

#[tokio::test]
async fn keys_are_fetched_only_from_who_proves_to_be_the_issuer() {
    let elsewhere = Authority::new().unwrap();
    for trusted in [true, false] {
        let (listener, settings) = reserve("", "").await;
        let world = World::prepare(&settings).await;
        // Another name under our authority, or our name under another authority.
        let certificate = match trusted {
            true => world.authority.issue(&["issuer.evil.example"]),
            false => elsewhere.issue(&["localhost"]),
        };
        let server = KeyServer::start(listener, &certificate.unwrap());
        server.publish(&[&world.key]);
        let mut world = world.started();
        assert_unavailable(&try_with(&world, &world.key).await, "another's certificate");
        assert_eq!(server.count(), 0);
        assert!(world.standin.seen().is_empty());
        assert_disclosures(&mut world, 0).await;
    }
}

/// A set with keys that are each made from the world's, by a change.
fn changed(key: &TokenKey, change: impl FnOnce(&mut Jwk)) -> Reply {
    let mut jwk = key.jwk();
    change(&mut jwk);
    ok(&json!({ "keys": [jwk] }).to_string())
}

/// A set with one member changed, of values that the library's types do not have.
fn altered(key: &TokenKey, name: &str, value: impl Into<Value>) -> Reply {
    let mut jwk = serde_json::to_value(key.jwk()).unwrap();
    jwk[name] = value.into();
    ok(&json!({ "keys": [jwk] }).to_string())
}

/// A set of so many keys under names of their own, the last of which is the world's.
fn set_of(key: &TokenKey, count: usize) -> String {
    let mut keys = vec![key.jwk(); count];
    for (n, jwk) in keys.iter_mut().enumerate().take(count - 1) {
        jwk.common.key_id = Some(format!("other-{n}"));
    }
    json!({ "keys": keys }).to_string()
}

/// A sound set, filled with blanks to so many bytes.
fn set_of_bytes(key: &TokenKey, bytes: usize) -> String {
    let set = key_set(&[key]);
    let blanks = " ".repeat(bytes - set.len());
    format!("{set}{blanks}")
}

/// A set of somebody who signs with RSA, under the name of the world's key.
fn rsa_set() -> String {
    let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
    jwk.common.key_id = Some("key-1".to_owned());
    json!({ "keys": [jwk] }).to_string()
}

/// A redirect to a place on the same server.
fn redirect(status: &str) -> Reply {
    Reply::Say(answer(status, "Location: /elsewhere\r\n", ""))
}

/// A sound set in an answer whose length is a lie.
fn broken_off(key: &TokenKey) -> Reply {
    let set = key_set(&[key]);
    let length = set.len() + 1;
    Reply::Say(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{set}").into_bytes())
}

/// A set of keys as a row of a table: what it is, how it is made.
type SetRow = (&'static str, fn(&TokenKey) -> Reply);

/// Answers that hold no key that may verify the world's tokens, though many hold the key itself.
const BAD_SETS: &[SetRow] = &[
    ("nothing", |_| ok("")),
    ("not JSON", |_| ok("<html>Please log in</html>")),
    ("null", |_| ok("null")),
    ("an empty object", |_| ok("{}")),
    ("an empty set", |_| ok(r#"{"keys":[]}"#)),
    ("a key that is no list", |key| ok(&json!({ "keys": key.jwk() }).to_string())),
    ("a list that is no set", |key| ok(&json!([key.jwk()]).to_string())),
    ("a set with something after it", |key| ok(&format!("{}{{}}", key_set(&[key])))),
    ("too many bytes", |key| ok(&set_of_bytes(key, JWKS_BYTES_MAX + 1))),
    ("far too many bytes", |key| ok(&set_of_bytes(key, 40 * JWKS_BYTES_MAX))),
    ("too many keys", |key| ok(&set_of(key, KEYS_MAX + 1))),
    ("a shared secret", |_| ok(r#"{"keys":[{"kty":"oct","kid":"key-1","k":"c2VjcmV0"}]}"#)),
    ("a shared secret that says ES256", |_| {
        ok(r#"{"keys":[{"kty":"oct","kid":"key-1","alg":"ES256","k":"c2VjcmV0"}]}"#)
    }),
    ("a key for encryption", |key| {
        changed(key, |jwk| jwk.common.public_key_use = Some(PublicKeyUse::Encryption))
    }),
    ("a key for something else", |key| altered(key, "use", "evil")),
    ("a key that may only sign", |key| {
        changed(key, |jwk| jwk.common.key_operations = Some(vec![KeyOperations::Sign]))
    }),
    ("a key that may do nothing", |key| altered(key, "key_ops", json!([]))),
    ("a key of another algorithm", |key| {
        changed(key, |jwk| jwk.common.key_algorithm = Some(KeyAlgorithm::ES384))
    }),
    ("a key of an unknown algorithm", |key| altered(key, "alg", "ES256K")),
    ("a key that says it is on another curve", |key| altered(key, "crv", "P-384")),
    ("a key on an unknown curve", |key| altered(key, "crv", "secp256k1")),
    ("a key of an unknown kind", |key| altered(key, "kty", "AKP")),
    ("a key without half of it", |key| altered(key, "y", Value::Null)),
    ("an RSA key", |_| ok(&rsa_set())),
    ("moved for good", |_| redirect("301 Moved Permanently")),
    ("found elsewhere", |_| redirect("302 Found")),
    ("see elsewhere", |_| redirect("303 See Other")),
    ("moved for now", |_| redirect("307 Temporary Redirect")),
    ("moved for good, as it is", |_| redirect("308 Permanent Redirect")),
    ("a redirect that holds the set", |key| {
        Reply::Say(answer("302 Found", "Location: /elsewhere\r\n", &key_set(&[key])))
    }),
    ("not modified", |_| fails("304 Not Modified")),
    ("not found", |key| Reply::Say(answer("404 Not Found", "", &key_set(&[key])))),
    ("an error", |key| Reply::Say(answer("500 Internal Server Error", "", &key_set(&[key])))),
    ("another success", |key| Reply::Say(answer("203 Non-Authoritative", "", &key_set(&[key])))),
    ("a part of it", |key| Reply::Say(answer("206 Partial Content", "", &key_set(&[key])))),
    ("an answer that breaks off", broken_off),
    ("an answer that is not HTTP", |_| Reply::Say(b"220 mail ready\r\n\r\n".to_vec())),
    ("no answer", |_| Reply::Say(Vec::new())),
    ("no connection", |_| Reply::HangUp),
];

#[tokio::test]
async fn a_set_that_is_no_good_lets_nobody_in() {
    let (world, server) = prepare("", "").await;
    let mut world = world.started();
    assert_unavailable(&try_with(&world, &world.key).await, "nothing published");
    for (name, make) in BAD_SETS {
        server.reply(make(&world.key));
        pass(&world, RETRY);
        assert_unavailable(&try_with(&world, &world.key).await, name);
        // Nor does what the set holds serve as a secret.
        let claims = tokens::claims(world.clock.now(), "eve", &["quality-analyst"]);
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(world.key.id.clone());
        let secret = EncodingKey::from_secret(b"secret");
        let mac = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
        assert_stranger(&try_token(&world, &mac).await, name);
    }
    let heads = server.until(|_| true).await.heads;
    assert!(heads.iter().all(|head| head.starts_with("GET /keys?of=test ")), "{heads:?}");
    // Every row but the last was one fetch.
    assert_eq!(heads.len(), BAD_SETS.len() - 1);
    assert!(world.standin.seen().is_empty());
    // It was the sets, and nothing else.
    server.publish(&[&world.key]);
    pass(&world, RETRY);
    assert_eq!(try_with(&world, &world.key).await.status, 200);
    assert_disclosures(&mut world, 1).await;
}

#[tokio::test]
async fn a_set_that_is_no_good_takes_no_good_one_away() {
    let (mut world, server) = start("refresh_seconds = 86400", "").await;
    let stranger = TokenKey::new("key-2");
    for (name, make) in BAD_SETS {
        server.reply(make(&world.key));
        pass(&world, RETRY);
        assert_stranger(&try_with(&world, &stranger).await, name);
        assert_eq!(try_with(&world, &world.key).await.status, 200, "{name}");
    }
    assert_eq!(server.count(), BAD_SETS.len());
    assert_disclosures(&mut world, 1 + BAD_SETS.len()).await;
}

/// Answers in which the world's key must be found.
const GOOD_SETS: &[SetRow] = &[
    ("as large as allowed", |key| ok(&set_of_bytes(key, JWKS_BYTES_MAX))),
    ("as many as allowed", |key| ok(&set_of(key, KEYS_MAX))),
    ("without a length", |key| {
        let set = key_set(&[key]);
        Reply::Say(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{set}").into_bytes())
    }),
    ("in chunks", |key| {
        let set = key_set(&[key]);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Reply::Say(format!("{head}{:x}\r\n{set}\r\n0\r\n\r\n", set.len()).into_bytes())
    }),
    ("as plain JSON", |key| {
        Reply::Say(answer("200 OK", "Content-Type: application/json\r\n", &key_set(&[key])))
    }),
    ("for signatures", |key| {
        changed(key, |jwk| jwk.common.public_key_use = Some(PublicKeyUse::Signature))
    }),
    ("to verify", |key| {
        changed(key, |jwk| jwk.common.key_operations = Some(vec![KeyOperations::Verify]))
    }),
    ("without alg", |key| changed(key, |jwk| jwk.common.key_algorithm = None)),
    ("beside a key of its name for encryption", beside_encryption),
    // RFC 7517, 5: keys of unknown kinds, or without what they need, are passed over.
    ("beside keys of every other kind", |key| {
        let rsa: Value = serde_json::from_str(&rsa_set()).unwrap();
        let mut rsa = rsa["keys"][0].clone();
        rsa["kid"] = "rsa".into();
        ok(&json!({ "keys": [
            rsa,
            { "kty": "oct", "k": "c2VjcmV0" },
            { "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "post-quantum" },
            { "kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA", "kid": "coins" },
            { "kty": "OKP", "crv": "X25519", "x": "AAAA", "use": "enc" },
            { "kty": "EC", "crv": "P-256", "x": "AAAA", "kid": "half" },
            { "kty": "EC", "kid": "less" },
            { "kid": "nothing" },
            {},
            key.jwk(),
        ]})
        .to_string())
    }),
];

/// The key, and one under the same name that must not be taken for it.
fn beside_encryption(key: &TokenKey) -> Reply {
    let mut encrypts = TokenKey::new(&key.id).jwk();
    encrypts.common.public_key_use = Some(PublicKeyUse::Encryption);
    ok(&json!({ "keys": [encrypts, key.jwk()] }).to_string())
}

#[tokio::test]
async fn a_key_is_found_in_every_sound_set() {
    let (world, server) = prepare("", "").await;
    let mut world = world.started();
    assert_unavailable(&try_with(&world, &world.key).await, "nothing published");
    for (n, (name, make)) in GOOD_SETS.iter().enumerate() {
        // The set before is forgotten with the issuer's help, who publishes another key.
        server.publish(&[&TokenKey::new("key-2")]);
        pass(&world, RETRY);
        let before = try_with(&world, &TokenKey::new("key-3")).await;
        assert_stranger(&before, name);
        assert_stranger(&try_with(&world, &world.key).await, name);
        server.reply(make(&world.key));
        pass(&world, RETRY);
        assert_eq!(try_with(&world, &world.key).await.status, 200, "{name}");
        assert_eq!(server.count(), 2 * (n + 1), "{name}");
    }
    assert_disclosures(&mut world, GOOD_SETS.len()).await;
}

#[tokio::test]
async fn one_key_that_cannot_be_read_spoils_no_set() {
    // RFC 7517, 5: a key whose values are out of range is passed over, and not the whole set.
    let (world, server) = prepare("", "").await;
    let spoilt = [
        json!({ "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": 7 }),
        json!({ "kty": "RSA", "n": "AAAA", "e": "AQAB", "use": 7 }),
        json!({ "kty": "RSA", "n": "AAAA", "e": "AQAB", "key_ops": "verify" }),
        json!({ "kty": "RSA", "n": "AAAA", "e": "AQAB", "x5c": "AAAA" }),
        json!("a text"),
    ];
    let world = world.started();
    assert_unavailable(&try_with(&world, &world.key).await, "nothing published");
    for other in spoilt {
        server.reply(ok(&json!({ "keys": [other, world.key.jwk()] }).to_string()));
        pass(&world, RETRY);
        assert_eq!(try_with(&world, &world.key).await.status, 200, "{other}");
        // The set before is forgotten.
        server.publish(&[&TokenKey::new("key-2")]);
        pass(&world, RETRY);
        assert_stranger(&try_with(&world, &TokenKey::new("key-3")).await, "another set");
    }
}

#[tokio::test]
async fn two_keys_under_one_name_are_no_key() {
    let (mut world, server) = prepare("", "").await;
    let twin = TokenKey::new(&world.key.id);
    server.publish(&[&world.key, &twin]);
    world = world.started();
    for key in [&world.key, &twin] {
        assert_stranger(&try_with(&world, key).await, "one of two");
    }
    assert!(world.standin.seen().is_empty());
    assert_disclosures(&mut world, 0).await;
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_waited_for_only_so_long() {
    let (world, server) = prepare("", "[upstream]\nhead_timeout_ms = 300").await;
    let mut world = world.started();
    assert_unavailable(&try_with(&world, &world.key).await, "nothing published");
    let mut within_the_body = answer("200 OK", "", &key_set(&[&world.key]));
    within_the_body.truncate(within_the_body.len() - 40);
    let stalls = [Vec::new(), b"HTTP/1.1 200 OK\r\nContent-".to_vec(), within_the_body];
    for (n, bytes) in stalls.into_iter().enumerate() {
        server.reply(Reply::Stall(bytes));
        pass(&world, RETRY);
        assert_unavailable(&try_with(&world, &world.key).await, "stalled");
        // The gate has not only stopped waiting, it has closed the connection.
        server.until(|seen| seen.left == n + 1).await;
        assert_eq!(server.count(), n + 1);
    }
    assert!(world.standin.seen().is_empty());
    assert_disclosures(&mut world, 0).await;
}

#[tokio::test]
async fn a_slow_fetch_holds_up_only_who_needs_it() {
    let (mut world, server) = start("", "").await;
    let second = TokenKey::new("key-2");
    let set = key_set(&[&world.key, &second]);
    server.reply(Reply::Hold(answer("200 OK", "", &set)));
    pass(&world, RETRY);
    let (client, token) = (world.client.clone(), sign(&world, &second));
    let waiting = tokio::spawn(async move { client.send(bodiless(ask(&token))).await });
    server.asked(2).await;
    // Known tokens, new tokens of known keys, and tokens that no key can help.
    assert_eq!(try_with(&world, &world.key).await.status, 200);
    assert_eq!(try_with(&world, &world.key).await.status, 200);
    assert_stranger(&try_token(&world, "no.token.").await, "no token");
    assert!(!waiting.is_finished());
    server.release();
    assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap().status, 200);
    assert_eq!(server.count(), 2);
    assert_disclosures(&mut world, 4).await;
}

/// Sends a request on a connection of its own, and does not wait for an answer.
async fn ask_and_go_on(world: &World, key: &TokenKey) -> TlsStream<TcpStream> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\n\r\n",
        path(".json"),
        sign(world, key)
    );
    let mut tls = world.client.connect(&["http/1.1"]).await;
    tls.write_all(request.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    tls
}

#[tokio::test]
async fn who_waits_for_a_fetch_does_not_start_another() {
    let (world, server) = start("", "").await;
    server.reply(Reply::Hold(answer("200 OK", "", &key_set(&[&world.key]))));
    pass(&world, RETRY);
    let mut waiting = vec![ask_and_go_on(&world, &TokenKey::new("invented-0")).await];
    server.asked(2).await;
    for n in 1..4 {
        waiting.push(ask_and_go_on(&world, &TokenKey::new(&format!("invented-{n}"))).await);
    }
    // The gate's one worker has read all of them by the time it has answered somebody else.
    assert_eq!(try_with(&world, &world.key).await.status, 200);
    // The issuer is slower than the time between two fetches.
    pass(&world, RETRY);
    server.release();
    for mut tls in waiting {
        let mut said = String::new();
        timeout(PATIENCE, tls.read_to_string(&mut said)).await.unwrap().unwrap();
        assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
    }
    // What they waited for was fetched for all of them. If each fetched anew, one after the other,
    // a slow issuer would be hammered, and strangers could make a queue of any length before
    // whoever comes with a new key.
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_waste_the_fetch() {
    let (world, server) = start("", "").await;
    let second = TokenKey::new("key-2");
    let set = key_set(&[&world.key, &second]);
    server.reply(Reply::Hold(answer("200 OK", "", &set)));
    pass(&world, RETRY);
    // A stranger makes the gate fetch, and leaves as soon as it does.
    let tls = ask_and_go_on(&world, &TokenKey::new("invented")).await;
    server.asked(2).await;
    drop(tls);
    // The gate's one worker has seen that by the time it has answered somebody else.
    assert_eq!(try_with(&world, &world.key).await.status, 200);
    // So the issuer's new key is known, and does not have to wait for another turn, of which the
    // stranger could take every one.
    server.release();
    assert_eq!(try_with(&world, &second).await.status, 200);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_an_issuer() {
    let (world, server) = prepare("", "[upstream]\nhead_timeout_ms = 8000").await;
    server.reply(Reply::Stall(Vec::new()));
    let mut world = world.started();
    server.asked(1).await;
    // The world's drain time is a second.
    let stopped = timeout(Duration::from_secs(4), world.stop()).await;
    assert!(stopped.is_ok(), "the gate waits for the issuer's keys before it stops");
}

#[tokio::test]
async fn each_issuer_has_keys_of_its_own() {
    let other = "https://other.test.example/";
    let config = format!(
        "[[issuer]]\nname = \"other\"\nissuer = \"{other}\"\naudiences = [\"{}\"]\n\
         jwks_file = \"other.json\"\nalgorithms = [\"ES256\"]\n\
         roles = {{ quality-analyst = \"quality-analyst\" }}\n",
        tokens::AUDIENCE
    );
    let (world, server) = prepare("", &config).await;
    // The same name for a key, as issuers do.
    let others = TokenKey::new(&world.key.id);
    std::fs::write(world.folder.join("other.json"), key_set(&[&others])).unwrap();
    server.publish(&[&world.key]);
    let mut world = world.started();
    let ours = tokens::claims(world.clock.now(), "ana", &["quality-analyst"]);
    let mut theirs = ours.clone();
    theirs["iss"] = other.into();
    assert_eq!(try_token(&world, &world.key.sign(&ours)).await.status, 200);
    assert_eq!(try_token(&world, &others.sign(&theirs)).await.status, 200);
    assert_stranger(&try_token(&world, &world.key.sign(&theirs)).await, "our key, their name");
    assert_stranger(&try_token(&world, &others.sign(&ours)).await, "their key, our name");
    let entries = world.entries().await;
    let intents = of_kind(&entries, "intent");
    let callers: Vec<&str> = intents.iter().map(|i| i["caller"]["id"].as_str().unwrap()).collect();
    assert_eq!(callers, ["test|ana", "other|ana"]);
}
