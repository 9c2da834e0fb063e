//! Programs prove themselves by a secret, a certificate or both, ask as often and for what was
//! agreed, and are refused from the moment they are switched off.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use noticegate::certs::Authority;
use noticegate::clock::Clock;
use noticegate::identity::Digest;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use serde_json::Value;

use crate::support::client::{Answer, collect};
use crate::support::disclosed::disclosures;
use crate::support::process::{Process, Said, noticegate, world_of_processes};
use crate::support::shares;
use crate::support::world::{bodiless, of_kind};
use crate::support::{ACCOUNT, Client, World, WorldSettings, path};

const SECRET: &str = "ngs_c2VjcmV0LXRoYXQtbm9ib2R5LWd1ZXNzZXMtZXZlcg";
const NEWER: &str = "ngs_bmV3ZXItc2VjcmV0LXRoYXQtbm9ib2R5LWd1ZXNzZXM";
const UNKNOWN: &str = "the client's id or secret is wrong";

/// A client's lines; it is a quality analyst.
fn entry(id: &str, secrets: &[&str], lines: &str) -> String {
    let hashes = secrets.iter().map(|secret| {
        let hash = Digest::of(secret);
        format!("{{ hash = \"{hash}\", created = \"2026-11-23T12:00:00Z\" }},")
    });
    let hashes: String = hashes.collect();
    format!(
        "[[client]]\nid = \"{id}\"\nname = \"Export\"\nroles = [\"quality-analyst\"]\n\
         secrets = [{hashes}]\n{lines}\n"
    )
}

const PURPOSE: &str = "default_purpose = \"quality-monitoring\"";

/// A prepared world with this clients file and these lines in `[clients]`.
async fn prepare(clients: &str, lines: &str) -> World {
    let config = format!("[clients]\nfile = \"clients.toml\"\n{lines}");
    let world = World::prepare(&WorldSettings { config, ..WorldSettings::default() }).await;
    write(&world, clients);
    world
}

async fn world(clients: &str) -> World {
    prepare(clients, "").await.started()
}

fn write(world: &World, clients: &str) {
    std::fs::write(world.folder.join("clients.toml"), clients).unwrap();
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn get(authorization: &str) -> http::request::Builder {
    Client::get(&path(".wav")).header("authorization", authorization)
}

fn challenges(answer: &Answer) -> Vec<&str> {
    let all = answer.headers.get_all("www-authenticate");
    all.iter().map(|value| value.to_str().unwrap()).collect()
}

/// Twilio's 401, with both ways to prove oneself.
fn assert_stranger(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 401, "{why}");
    let problem = answer.json();
    assert_eq!(problem["code"], 20003, "{why}");
    assert_eq!(problem["status"], 401, "{why}");
    assert_eq!(problem["message"], why);
    assert_eq!(problem["reason"], "stranger");
    assert_eq!(problem["entry"], answer.entry());
    let both = [r#"Bearer realm="noticegate""#, r#"Basic realm="noticegate""#];
    assert_eq!(challenges(answer), both, "{why}");
}

/// Nothing came to upstream, and the ledger holds these refusals of nobody, by what was wrong.
async fn assert_only_strangers(mut world: World, whys: &[&str]) {
    assert!(world.standin.seen().is_empty());
    let entries = world.entries().await;
    let kinds: BTreeSet<&str> = entries.iter().map(|entry| entry["t"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["start", "refusal", "stop"]));
    let refusals = of_kind(&entries, "refusal");
    let details: Vec<&str> = refusals.iter().map(|r| r["detail"].as_str().unwrap()).collect();
    assert_eq!(details, whys);
    for refusal in &refusals {
        assert_eq!(refusal["reason"], "stranger");
        assert_eq!(refusal["caller"], Value::Null, "{refusal}");
    }
    assert_no_secret(&serde_json::to_string(&entries).unwrap());
}

fn assert_no_secret(text: &str) {
    for secret in [SECRET, NEWER] {
        assert!(!text.contains(&secret[4..20]), "the secret is in {text}");
        assert!(!text.contains(&STANDARD.encode(secret)[4..20]), "the secret is in {text}");
    }
}

#[tokio::test]
async fn a_client_fetches_a_recording_with_its_id_and_secret() {
    let id = "ACfeedfeedfeedfeedfeedfeedfeedfeed";
    let mut world = world(&entry(id, &[SECRET], PURPOSE)).await;
    let one = world.send(get(&basic(id, SECRET))).await;
    assert_eq!((one.status, one.complete), (200, true));
    let uri = format!("https://localhost{}", path(".wav"));
    let two =
        http::Request::get(uri).header("authorization", basic(id, SECRET).replacen('B', "b", 1));
    assert_eq!(world.client.send_h2(bodiless(two)).await.status, 200);
    // People with tokens come as before, and purposes can be named as before.
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let named = get(&basic(id, SECRET)).header("noticegate-purpose", "marketing");
    assert_eq!(world.send(named).await.status, 403);
    let entries = world.entries().await;
    assert_eq!(disclosures(&entries).len(), 3);
    let caller = &of_kind(&entries, "intent")[0]["caller"];
    assert_eq!(caller["id"], format!("client|{id}"));
    assert_eq!(caller["issuer"], "client");
    assert_eq!(caller["key"], Digest::of(SECRET).short());
    assert_eq!(caller["token"], Value::Null);
    assert_eq!(of_kind(&entries, "intent")[0]["purpose"], "quality-monitoring");
    assert_no_secret(&serde_json::to_string(&entries).unwrap());
}

/// SDKs put the user's name into the path unless they are given the account's SID as well.
#[tokio::test]
async fn a_client_that_takes_itself_for_the_account_is_told_so() {
    let id = "ACfeedfeedfeedfeedfeedfeedfeedfeed";
    let mut world = world(&entry(id, &[SECRET], PURPOSE)).await;
    for (account, words) in [
        (id, "the client's own id in the place of the account's SID"),
        ("ACfeedfeedfeedfeedfeedfeedfeedfee0", "The requested resource was not found"),
    ] {
        let request = Client::get(&path(".json").replace(ACCOUNT, account));
        let answer = world.send(request.header("authorization", basic(id, SECRET))).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["code"]), (404, &20404.into()), "{told}");
        assert!(told["message"].as_str().unwrap().contains(words), "{told}");
    }
    assert!(world.standin.seen().is_empty());
    let entries = world.entries().await;
    let refusals = of_kind(&entries, "refusal");
    assert_eq!(refusals.len(), 2);
    assert!(refusals.iter().all(|refusal| refusal["reason"] == "unknown-account"));
}

#[tokio::test]
async fn who_is_no_client_is_told_nothing_of_them() {
    let clients = [
        entry("good", &[SECRET], PURPOSE),
        entry("off", &[SECRET], "enabled = false"),
        entry("old", &[SECRET], "expires = \"2026-11-23T12:00:00Z\""),
    ];
    let world = world(&clients.concat()).await;
    let pair = |bytes: &[u8]| format!("Basic {}", STANDARD.encode(bytes));
    let malformed = |what: &str| format!("the client's id and secret are malformed: {what}");
    let bad_base64 = malformed("not base64");
    let no_colon = malformed("no colon");
    let not_utf8 = malformed("not UTF-8");
    let too_long = malformed("longer than 512 characters");
    let scheme = "only bearer tokens, or a client's id and secret, are accepted";
    let cases: Vec<(String, &str)> = vec![
        (basic("good", NEWER), UNKNOWN),
        (basic("good", ""), UNKNOWN),
        (basic("nobody", SECRET), UNKNOWN),
        (basic("off", NEWER), UNKNOWN),
        (basic("old", NEWER), UNKNOWN),
        (basic("off", SECRET), "the client is disabled"),
        (basic("old", SECRET), "the client has expired"),
        (format!("{}=", basic("good", SECRET)), &bad_base64),
        ("Basic !".to_owned(), &bad_base64),
        (pair(b"good"), &no_colon),
        ("Basic ".to_owned(), scheme),
        (pair(b"good:\xff"), &not_utf8),
        (pair(&[b'a'; 385]), &too_long),
        ("Digest good".to_owned(), scheme),
        (format!("Basic{}", STANDARD.encode("good:x")), scheme),
    ];
    for (header, why) in &cases {
        assert_stranger(&world.send(get(header)).await, why);
    }
    let none = "a bearer token, or a client's id and secret, is needed";
    assert_stranger(&world.send(Client::get(&path(".wav"))).await, none);
    let good = basic("good", SECRET);
    let twice = world.send(get(&good).header("authorization", &good)).await;
    assert_eq!(twice.status, 401);
    assert_eq!(twice.json()["message"], "more than one Authorization header");
    let mut whys: Vec<&str> = cases.iter().map(|(_, why)| *why).collect();
    whys.extend([none, "more than one Authorization header"]);
    assert_only_strangers(world, &whys).await;
}

#[tokio::test]
async fn without_a_clients_file_no_secret_is_looked_at() {
    let world = World::new().await;
    let answer = world.send(get(&basic("good", SECRET))).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["message"], "only bearer tokens are accepted");
    assert_eq!(challenges(&answer).len(), 1);
    assert_only_strangers(world, &["only bearer tokens are accepted"]).await;
}

/// One second before it expires it is served; at that second it is a stranger.
#[tokio::test]
async fn a_client_expires_at_its_second() {
    let mut world =
        world(&entry("a", &[SECRET], &format!("{PURPOSE}\nexpires = \"2026-11-23T12:00:01Z\"")))
            .await;
    assert_eq!(world.send(get(&basic("a", SECRET))).await.status, 200);
    world.clock.set("2026-11-23T12:00:01Z".parse().unwrap());
    assert_stranger(&world.send(get(&basic("a", SECRET))).await, "the client has expired");
    assert_eq!(world.media_requests().len(), 1);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 1);
    assert_eq!(of_kind(&entries, "refusal").len(), 1);
}

/// On one kept connection: whoever was served before is refused from the next request on.
#[tokio::test]
async fn a_change_of_the_file_counts_from_the_next_request_on() {
    let mut world = world(&entry("a", &[SECRET], PURPOSE)).await;
    let io = hyper_util::rt::TokioIo::new(world.client.connect(&["http/1.1"]).await);
    let (mut http, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async |secret: &str| {
        http.ready().await.unwrap();
        let response = http.send_request(bodiless(get(&basic("a", secret)))).await.unwrap();
        collect(response).await.status
    };
    assert_eq!((ask(SECRET).await, ask(NEWER).await), (200, 401));
    let put = |world: &World, clients: String| {
        write(world, &clients);
        world.running().reload_clients().unwrap();
    };
    put(&world, entry("a", &[SECRET, NEWER], PURPOSE));
    assert_eq!((ask(SECRET).await, ask(NEWER).await), (200, 200), "both hold while it rotates");
    put(&world, entry("a", &[NEWER], PURPOSE));
    assert_eq!((ask(SECRET).await, ask(NEWER).await), (401, 200));
    put(&world, entry("a", &[NEWER], &format!("{PURPOSE}\nenabled = false")));
    assert_eq!(ask(NEWER).await, 401);
    put(&world, entry("a", &[NEWER], PURPOSE));
    assert_eq!(ask(NEWER).await, 200);
    // A file that cannot be used leaves the clients as they are.
    write(&world, "[[client]]\nid = \"a\"\nsecret = \"ngs_x\"\n");
    let error = world.running().reload_clients().unwrap_err().to_string();
    assert!(error.contains("clients.toml`, line 3: ") && !error.contains("ngs_x"), "{error}");
    assert_eq!(ask(NEWER).await, 200);
    put(&world, String::new());
    assert_eq!(ask(NEWER).await, 401, "a client that is gone is a stranger");
    assert_eq!(world.media_requests().len(), 6);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 6);
    assert_eq!(of_kind(&entries, "refusal").len(), 4);
    assert_no_secret(&serde_json::to_string(&entries).unwrap());
}

#[tokio::test]
async fn a_client_names_no_purpose_that_is_not_on_its_list() {
    let lines = format!("{PURPOSE}\npurposes = [\"quality-monitoring\", \"staff-training\"]");
    let mut world = world(&entry("a", &[SECRET], &lines)).await;
    let ask = |purpose: &str| get(&basic("a", SECRET)).header("noticegate-purpose", purpose);
    assert_eq!(world.send(ask("quality-monitoring")).await.status, 200);
    // On its list; whether the notice permits it is another matter.
    let answer = world.send(ask("staff-training")).await;
    assert_ne!(answer.json()["reason"], "purpose-not-of-client");
    let seen = world.standin.seen().len();
    for request in [
        ask("marketing"),
        Client::get(&format!("{}?purpose=marketing", path(".wav")))
            .header("authorization", basic("a", SECRET)),
    ] {
        let answer = world.send(request).await;
        assert_eq!(answer.status, 403);
        let problem = answer.json();
        assert_eq!(problem["code"], 20403);
        assert_eq!(problem["reason"], "purpose-not-of-client");
        assert_eq!(problem["entry"], answer.entry());
    }
    assert_eq!(world.standin.seen().len(), seen, "upstream was not even asked for facts");
    let entries = world.entries().await;
    let refusals = of_kind(&entries, "refusal");
    let last = refusals.last().unwrap();
    assert_eq!(last["reason"], "purpose-not-of-client");
    assert_eq!(last["purpose"], "marketing");
    assert_eq!(last["caller"]["id"], "client|a");
}

/// At the limit and one past it; the clock stands still until it is moved.
#[tokio::test]
async fn a_client_asks_no_more_often_than_it_may() {
    let lines = format!("{PURPOSE}\nrequests_per_second = 2\nburst = 3");
    let clients = entry("a", &[SECRET], &lines) + &entry("b", &[NEWER], PURPOSE);
    let mut world = world(&clients).await;
    let ask = || get(&basic("a", SECRET));
    // Strangers with its id cost it nothing.
    for _ in 0..3 {
        assert_eq!(world.send(get(&basic("a", NEWER))).await.status, 401);
    }
    for _ in 0..3 {
        assert_eq!(world.send(ask()).await.status, 200);
    }
    let seen = world.standin.seen().len();
    let answer = world.send(ask()).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("1"));
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&20429.into(), &429.into()));
    assert_eq!(problem["reason"], "too-many-requests");
    assert_eq!(answer.header("noticegate-entry"), None);
    assert_eq!(world.standin.seen().len(), seen);
    // Another client is not held up.
    assert_eq!(world.send(get(&basic("b", NEWER))).await.status, 200);
    world.clock.set("2026-11-23T12:00:00.499999Z".parse().unwrap());
    assert_eq!(world.send(ask()).await.status, 429);
    world.running().reload_clients().unwrap();
    assert_eq!(world.send(ask()).await.status, 429, "a reload fills no bucket");
    world.clock.set("2026-11-23T12:00:00.5Z".parse().unwrap());
    assert_eq!(world.send(ask()).await.status, 200);
    assert_eq!(world.send(ask()).await.status, 429);
    let metrics = world.metrics().await;
    assert!(metrics.contains("noticegate_client_requests_over_limit_total 4\n"), "{metrics}");
    assert_eq!(world.media_requests().len(), 5);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 5);
    assert_eq!(of_kind(&entries, "refusal").len(), 3, "only the strangers are in the ledger");
}

// Certificates.

/// Who signs clients' certificates.
struct ClientAuthority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl ClientAuthority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "clients");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these DNS names and this common name, valid until then.
    fn issue(&self, dns: &[&str], common: &str, until: Timestamp) -> shown::Identity {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let uri = "spiffe://example.org/export".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        params.distinguished_name.push(DnType::CommonName, common);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let date = jiff::tz::TimeZone::UTC.to_datetime(until).date();
        let [month, day] = [date.month(), date.day()].map(|n| u8::try_from(n).unwrap());
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(date.year().into(), month, day);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        shown::Identity { chain: signed.der().to_vec(), key: key.serialize_der() }
    }
}

/// A TLS client that shows a certificate.
mod shown {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::TlsConnector;

    use super::*;

    pub struct Identity {
        pub chain: Vec<u8>,
        pub key: Vec<u8>,
    }

    /// A client with its own memory of sessions.
    pub fn tls(world: &World, identity: Option<&Identity>) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        let ca = world.authority.certificate().as_bytes();
        roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots);
        let tls = match identity {
            None => tls.with_no_client_auth(),
            Some(Identity { chain, key }) => {
                let key = PrivateKeyDer::try_from(key.clone()).unwrap();
                tls.with_client_auth_cert(vec![chain.clone().into()], key).unwrap()
            }
        };
        TlsConnector::from(Arc::new(tls))
    }

    /// Asks once over HTTP/1.1; an error if the gate ends the handshake.
    pub async fn ask(
        world: &World,
        identity: Option<&Identity>,
        request: http::request::Builder,
    ) -> Result<Answer, String> {
        let (answer, resumed) = ask_with(world, &tls(world, identity), request).await?;
        assert!(!resumed);
        Ok(answer)
    }

    /// The same; true if an earlier session was resumed.
    pub async fn ask_with(
        world: &World,
        connector: &TlsConnector,
        request: http::request::Builder,
    ) -> Result<(Answer, bool), String> {
        let address = world.running().server().address();
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = connector.connect(name, tcp).await.map_err(|error| error.to_string())?;
        let resumed = tls.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let io = hyper_util::rt::TokioIo::new(tls);
        let (mut http, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let response = http.send_request(bodiless(request)).await;
        // In TLS 1.3 a client learns only with the first answer that its certificate was refused.
        let response = response.map_err(|error| format!("{error:?}"))?;
        Ok((collect(response).await, resumed))
    }
}

use shown::ask;

const CA: &str = "ca_file = \"clients.pem\"";

async fn world_of_certificates(clients: &str, lines: &str) -> (World, ClientAuthority) {
    let authority = ClientAuthority::new();
    let world = prepare(clients, lines).await;
    std::fs::write(world.folder.join("clients.pem"), &authority.pem).unwrap();
    (world.started(), authority)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn next_year() -> Timestamp {
    Clock::system().now() + SignedDuration::from_hours(24 * 365)
}

#[tokio::test]
async fn a_certificate_is_proof_where_it_names_exactly_one_client() {
    let clients = [
        entry("export", &[], &format!("{PURPOSE}\ncertificate = \"dns:export.example\"")),
        entry("review", &[], &format!("{PURPOSE}\ncertificate = \"cn:Review\"")),
        entry("both", &[SECRET], &format!("{PURPOSE}\ncertificate = \"dns:both.example\"")),
        entry("off", &[], "enabled = false\ncertificate = \"dns:off.example\""),
        entry("bare", &[NEWER], PURPOSE),
    ];
    let (mut world, authority) = world_of_certificates(&clients.concat(), CA).await;
    let issue = |dns: &[&str], common: &str| authority.issue(dns, common, next_year());
    let plain = || Client::get(&path(".wav"));
    let export = issue(&["EXPORT.example"], "x");
    let both = issue(&["both.example"], "x");
    let served = [
        (Some(&export), plain()),
        (Some(&issue(&[], "Review")), plain()),
        (Some(&both), get(&basic("both", SECRET))),
        // The header decides who asks, and a secret needs no certificate of its client.
        (Some(&export), get(&basic("bare", NEWER))),
        (Some(&export), world.ana(&path(".wav"))),
        (None, get(&basic("bare", NEWER))),
    ];
    for (identity, request) in served {
        assert_eq!(ask(&world, identity, request).await.unwrap().status, 200);
    }
    let seen = world.standin.seen().len();
    let refused = [
        (Some(&both), plain(), "the client's secret is needed beside its certificate"),
        (None, get(&basic("both", SECRET)), "the client's certificate is needed beside its secret"),
        (
            Some(&export),
            get(&basic("both", SECRET)),
            "the client's certificate is needed beside its secret",
        ),
        (Some(&both), get(&basic("both", NEWER)), UNKNOWN),
        (Some(&export), get(&basic("export", SECRET)), UNKNOWN),
        (Some(&issue(&["nobody.example"], "x")), plain(), "the certificate is no client's"),
        (Some(&issue(&["Review"], "x")), plain(), "the certificate is no client's"),
        (
            Some(&issue(&["export.example"], "Review")),
            plain(),
            "the certificate is more than one client's",
        ),
        (Some(&issue(&["off.example"], "x")), plain(), "the client is disabled"),
    ];
    let whys: Vec<&str> = refused.iter().map(|(_, _, why)| *why).collect();
    for (identity, request, why) in refused {
        assert_stranger(&ask(&world, identity, request).await.unwrap(), why);
    }
    assert_eq!(world.standin.seen().len(), seen);
    let entries = world.entries().await;
    let callers = of_kind(&entries, "intent");
    let callers: Vec<&str> = callers.iter().map(|i| i["caller"]["id"].as_str().unwrap()).collect();
    let expected =
        ["client|export", "client|review", "client|both", "client|bare", "test|ana", "client|bare"];
    assert_eq!(callers, expected);
    let key = &of_kind(&entries, "intent")[0]["caller"]["key"];
    let of_certificate = hex(&digest(&SHA256, &export.chain).as_ref()[..8]);
    assert_eq!(key, &format!("cert:{of_certificate}"));
    let refusals = of_kind(&entries, "refusal");
    let details: Vec<&str> = refusals.iter().map(|r| r["detail"].as_str().unwrap()).collect();
    assert_eq!(details, whys);
}

/// The handshake ends before there is a request.
/// A share can be bound to a name in a certificate, which need be no client's.
#[tokio::test]
async fn a_link_that_is_bound_to_a_certificate_is_for_its_holder_alone() {
    let (world, authority) = world_of_certificates("", CA).await;
    let binding = serde_json::json!({"binding": {"certificate": "dns:court.example"}, "uses": 5});
    let link = world.link(&shares::copy_with(&binding)).await;
    let issue = |dns: &str| authority.issue(&[dns], "x", next_year());
    let (court, other) = (issue("COURT.example"), issue("dns-court.example"));
    let program = || shares::program(&link.path);
    assert_eq!(ask(&world, Some(&court), program()).await.unwrap().status, 200);
    let seen = world.media_requests().len();
    for identity in [Some(&other), None] {
        let answer = ask(&world, identity, program()).await.unwrap();
        assert_eq!((answer.status, shares::why(&answer).as_str()), (410, "share-other-client"));
    }
    assert_eq!(world.media_requests().len(), seen, "upstream saw nothing");
    let entries = world.read_entries();
    let refusals = of_kind(&entries, "refusal");
    assert!(refusals.len() == 2 && refusals.iter().all(|refusal| refusal["share"] == link.id));
}

#[tokio::test]
async fn a_certificate_of_others_or_of_the_past_opens_no_connection() {
    let client = entry("export", &[], &format!("{PURPOSE}\ncertificate = \"dns:export.example\""));
    let (mut world, authority) = world_of_certificates(&client, CA).await;
    let names: &[&str] = &["export.example"];
    let foreign = ClientAuthority::new().issue(names, "x", next_year());
    let expired = authority.issue(names, "x", "2026-11-01T00:00:00Z".parse().unwrap());
    // The gate's own kind of certificate is for servers.
    let server = Authority::new().unwrap().issue(names).unwrap();
    let der = |pem: &str| {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    };
    let key = KeyPair::from_pem(&server.key).unwrap().serialize_der();
    let server = shown::Identity { chain: der(&server.certificate), key };
    for identity in [&foreign, &expired, &server] {
        let request = get(&basic("export", SECRET));
        assert!(ask(&world, Some(identity), request).await.is_err());
    }
    assert!(world.standin.seen().is_empty());
    let entries = world.entries().await;
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["t"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "stop"]);
}

/// The connection outlives the certificate; the certificate counts.
#[tokio::test]
async fn a_certificate_that_expires_while_connected_is_proof_no_more() {
    let client = entry("export", &[], &format!("{PURPOSE}\ncertificate = \"dns:export.example\""));
    let (world, authority) = world_of_certificates(&client, CA).await;
    let until = next_year();
    let identity = authority.issue(&["export.example"], "x", until);
    world.clock.set(until + SignedDuration::from_hours(24));
    let answer = ask(&world, Some(&identity), Client::get(&path(".wav"))).await.unwrap();
    assert_stranger(&answer, "the certificate has expired");
    assert_only_strangers(world, &["the certificate has expired"]).await;
}

/// A resumed session shows no certificate again; the one it began with still counts.
#[tokio::test]
async fn a_resumed_session_is_still_the_client_and_no_longer_than_it_is_enabled() {
    let lines = format!("{PURPOSE}\ncertificate = \"dns:export.example\"");
    let client = entry("export", &[], &lines);
    let (mut world, authority) = world_of_certificates(&client, CA).await;
    let identity = authority.issue(&["export.example"], "x", next_year());
    let connector = shown::tls(&world, Some(&identity));
    let plain = || Client::get(&path(".wav"));
    let (first, resumed) = shown::ask_with(&world, &connector, plain()).await.unwrap();
    assert_eq!((first.status, resumed), (200, false));
    let (second, resumed) = shown::ask_with(&world, &connector, plain()).await.unwrap();
    assert_eq!((second.status, resumed), (200, true));
    write(&world, &format!("{client}enabled = false\n"));
    world.running().reload_clients().unwrap();
    let (third, resumed) = shown::ask_with(&world, &connector, plain()).await.unwrap();
    assert!(resumed);
    assert_stranger(&third, "the client is disabled");
    assert_eq!(world.media_requests().len(), 2);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 2);
    assert_eq!(of_kind(&entries, "refusal")[0]["detail"], "the client is disabled");
}

#[tokio::test]
async fn where_a_certificate_is_required_nobody_connects_without() {
    let client = entry("export", &[], &format!("{PURPOSE}\ncertificate = \"dns:export.example\""));
    let lines = format!("{CA}\nrequired = true");
    let (mut world, authority) = world_of_certificates(&client, &lines).await;
    assert!(ask(&world, None, world.ana(&path(".wav"))).await.is_err());
    assert!(world.standin.seen().is_empty());
    let identity = authority.issue(&["export.example"], "x", next_year());
    let answer = ask(&world, Some(&identity), world.ana(&path(".wav"))).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 1);
}

// The commands.

fn run(world: &World, words: &[&str]) -> Said {
    let words: Vec<&str> = std::iter::once("client").chain(words.iter().copied()).collect();
    noticegate(&world.folder.join("noticegate.toml"), &words)
}

/// What stands behind a word at the beginning of a line.
fn told(said: &Said, word: &str) -> String {
    assert_eq!(said.code, 0, "{said:?}");
    let line = said.out.lines().find_map(|line| line.strip_prefix(word));
    line.unwrap_or_else(|| panic!("no `{word}` in {said:?}")).trim().to_owned()
}

fn file(world: &World) -> String {
    std::fs::read_to_string(world.folder.join("clients.toml")).unwrap()
}

const CREATE: [&str; 7] = [
    "create",
    "--name",
    "Nightly export",
    "--role",
    "quality-analyst",
    "--purpose",
    "quality-monitoring",
];

/// From the first command to the last, with a gate that takes the changes on SIGHUP.
#[tokio::test]
async fn a_client_lives_from_create_to_remove() {
    let config = "level = \"trace\"\n[clients]\nfile = \"clients.toml\"".to_owned();
    let world = world_of_processes(WorldSettings { config, ..WorldSettings::default() }).await;
    let created = run(&world, &CREATE);
    let (id, first) = (told(&created, "id"), told(&created, "secret"));
    assert_eq!(id, "nightly-export");
    assert_eq!(first.len(), 47);
    assert!(created.out.contains(&format!("curl -u '{id}:{first}' https://localhost")));
    assert!(!file(&world).contains(&first[4..]), "only the digest is kept");
    let process = Process::start(&world.folder, &[]);
    let client = Client::new(process.address, world.authority.certificate());
    let ask = async |secret: &str| {
        client.send(bodiless(get(&basic("nightly-export", secret)))).await.status
    };
    // SIGHUP is taken in its time.
    let until = async |secret: &str, status: u16| {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
        for _ in 0..500 {
            looks.tick().await;
            if ask(secret).await == status {
                return;
            }
        }
        panic!("the gate never answered {status}");
    };
    assert_eq!(ask(&first).await, 200);
    let second = told(&run(&world, &["rotate", &id]), "secret");
    process.hang_up();
    until(&second, 200).await;
    assert_eq!(ask(&first).await, 200, "both hold");
    assert_eq!(run(&world, &["rotate", &id]).code, 3, "no third");
    assert_eq!(run(&world, &["rotate", &id, "--finish"]).code, 0);
    process.hang_up();
    until(&first, 401).await;
    assert_eq!(ask(&second).await, 200);
    assert_eq!(run(&world, &["rotate", &id, "--drop-old"]).code, 3, "there is no older one");
    for (word, status) in [("disable", 401), ("enable", 200), ("remove", 401)] {
        assert_eq!(run(&world, &[word, &id]).code, 0);
        process.hang_up();
        until(&second, status).await;
    }
    assert_eq!(run(&world, &["disable", &id]).code, 3);
    let log = process.log();
    assert!(process.terminate());
    let ledger = serde_json::to_string(&world.read_entries()).unwrap();
    for secret in [&first, &second] {
        for text in [&log, &ledger, &file(&world)] {
            assert!(!text.contains(&secret[4..20]));
            assert!(!text.contains(&basic(&id, secret)[30..50]));
        }
    }
}

#[tokio::test]
async fn the_list_tells_everything_but_secrets() {
    let world = prepare("", "").await;
    let full = [
        "--id",
        "full",
        "--allow-purpose",
        "quality-monitoring",
        "--account",
        ACCOUNT,
        "--requests-per-second",
        "5",
        "--burst",
        "9",
        "--expires",
        "2020-01-01T00:00:00Z",
    ];
    let secret = told(&run(&world, &[&CREATE[..], &full[..]].concat()), "secret");
    let sdk = run(&world, &[&CREATE[..], &["--sdk"][..]].concat());
    let id = told(&sdk, "id");
    assert!(id.len() == 34 && id.starts_with("AC"), "{id}");
    assert!(sdk.out.contains("client.api.base_url = \"https://localhost\""), "{sdk:?}");
    let again = told(&run(&world, &CREATE), "id");
    assert_eq!(
        (again.as_str(), told(&run(&world, &CREATE), "id").as_str()),
        ("nightly-export", "nightly-export-2")
    );
    let said = run(&world, &["list", "--format", "json"]);
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    let first = &lines[0];
    assert_eq!(first["state"], "expired");
    assert_eq!((&first["requests_per_second"], &first["burst"]), (&5.into(), &9.into()));
    assert_eq!(
        (&first["account"], &first["roles"][0]),
        (&ACCOUNT.into(), &"quality-analyst".into())
    );
    assert_eq!(first["secrets"][0]["hash"], Digest::of(&secret).short());
    assert_eq!(lines[1]["state"], "enabled");
    let human = run(&world, &["list"]);
    for word in ["full  expired  Nightly export", "5 requests a second, 9 at once", ACCOUNT] {
        assert!(human.out.contains(word), "{word} in {human:?}");
    }
    for text in [&said.out, &human.out] {
        assert!(!text.contains(&secret[4..]) && !text.contains("sha256:"));
    }
}

/// What is refused changes nothing.
#[tokio::test]
async fn what_serve_would_refuse_is_never_written() {
    let comment = "# Ours; ask the platform team.\n\n";
    let kept = format!("{comment}{}# The end.\n", entry("kept", &[SECRET], "# why\n"));
    let world = prepare(&kept, "").await;
    let config = world.folder.join("noticegate.toml");
    let cases: &[(&[&str], &str)] = &[
        (&["--id", "kept"], "there is a client `kept` already"),
        (&["--id", "a|b"], "an id is 1 to 64"),
        (&["--role", "tamer"], "the policies have no role `tamer`; they have "),
        (&["--certificate", "dns:a.example"], "clients.ca_file"),
        (&["--certificate", "a.example"], "`dns:`, `uri:`, `email:` or `cn:`"),
        (&["--allow-purpose", "marketing"], "`default_purpose` is not among its `purposes`"),
        (&["--no-secret"], "--certificate"),
        (&["--burst", "3"], "--requests-per-second"),
    ];
    for (words, why) in cases {
        let said = run(&world, &[&CREATE[..], words].concat());
        assert_eq!(said.code, 3, "{words:?}: {said:?}");
        assert!(said.err.contains(why), "{words:?}: {said:?}");
        assert!(!said.out.contains("ngs_"), "{words:?}: {said:?}");
        assert_eq!(file(&world), kept);
    }
    for words in [["disable", "nobody"], ["rotate", "nobody"], ["remove", "nobody"]] {
        let said = run(&world, &words);
        assert_eq!(said.code, 3);
        assert!(said.err.contains("there is no client `nobody`"), "{said:?}");
    }
    assert_eq!(file(&world), kept);
    assert_eq!(run(&world, &["disable", "kept"]).code, 0);
    let changed = file(&world);
    assert!(changed.contains("enabled = false\n"), "{changed}");
    assert_eq!(changed.replace("enabled = false\n", ""), kept, "nothing else changed");
    // A configuration without clients has none to change.
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[clients]\nfile = \"clients.toml\"\n", "")).unwrap();
    let said = run(&world, &["list"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("add a table [clients]"), "{said:?}");
}

/// Editors wait for each other: nobody's client is lost, and the file is its owner's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn editors_at_once_lose_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let world = prepare("", "").await;
    let path = world.folder.join("clients.toml");
    std::fs::remove_file(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(run(&world, &CREATE).code, 0));
        }
    });
    assert!(file(&world).starts_with("# The machine clients."), "{}", file(&world));
    let ids: Vec<Value> = run(&world, &["list", "--format", "json"])
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    let expected: Vec<String> = std::iter::once("nightly-export".to_owned())
        .chain((2..7).map(|number| format!("nightly-export-{number}")))
        .collect();
    assert_eq!(ids, expected);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let left: Vec<_> =
        std::fs::read_dir(&world.folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name == ".clients.toml.new"), "{left:?}");
}

/// A start with a clients file that cannot be used fails, and names the line.
#[tokio::test]
async fn a_gate_does_not_start_with_clients_it_cannot_hold_to() {
    let check =
        |world: &World| noticegate(&world.folder.join("noticegate.toml"), &["config", "check"]);
    let world = prepare(&entry("a", &[SECRET], "role = \"x\""), "").await;
    let said = check(&world);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("clients.toml`, line 6: unknown field `role`"), "{said:?}");
    write(&world, &entry("a", &[SECRET], "certificate = \"dns:a\""));
    assert!(check(&world).err.contains("configuration key `clients.ca_file`"));
    write(&world, &entry("a", &[SECRET], "").replace("quality-analyst", "tamer"));
    assert!(check(&world).err.contains("line 4: client `a`: the policies have no role `tamer`"));
    write(&world, &entry("a", &[SECRET], ""));
    assert_eq!(check(&world).code, 0);
    let config = world.folder.join("noticegate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let with = |from: &str, to: &str| {
        std::fs::write(&config, text.replace(from, to)).unwrap();
        check(&world).err
    };
    let required = with("file = \"clients.toml\"", "file = \"clients.toml\"\nrequired = true");
    assert!(required.contains("configuration key `clients.required`"), "{required}");
    assert!(with("name = \"test\"", "name = \"client\"").contains("`issuer.name`"));
    assert!(with("clients.toml", "none.toml").contains("cannot read the clients"));
}
