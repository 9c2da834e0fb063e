//! The listener's certificate and key, and the issuers, change while the gate runs: connections that
//! are open go on, new ones get the new certificate, and what cannot be used changes nothing.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use noticegate::certs::{Authority, Issued};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::client::collect;
use crate::support::process::{Process, world_of_processes};
use crate::support::tokens::{self, TokenKey};
use crate::support::world::{bodiless, of_kind};
use crate::support::{Client, World, WorldSettings, path};

/// A client with its own memory of sessions, which trusts these.
fn tls(
    authority: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
    let tls = ClientConfig::builder_with_protocol_versions(versions);
    TlsConnector::from(Arc::new(tls.with_root_certificates(roots).with_no_client_auth()))
}

async fn greet(world: &World, tls: &TlsConnector) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(world.client.address()).await.unwrap();
    tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap()
}

/// Asks once over a connection of its own; says what it was shown, and how.
async fn ask(world: &World, tls: &TlsConnector) -> (Vec<u8>, HandshakeKind, ProtocolVersion) {
    let stream = greet(world, tls).await;
    let session = stream.get_ref().1;
    let leaf = session.peer_certificates().unwrap()[0].to_vec();
    let (kind, version) = (session.handshake_kind().unwrap(), session.protocol_version().unwrap());
    let (mut http, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = bodiless(world.ana(&path(".wav")));
    assert_eq!(collect(http.send_request(request).await.unwrap()).await.status, 200);
    (leaf, kind, version)
}

fn put(world: &World, issued: &Issued) {
    std::fs::write(world.folder.join("gate.pem"), &issued.certificate).unwrap();
    std::fs::write(world.folder.join("gate.key"), &issued.key).unwrap();
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_connections_go_on_and_new_ones_get_the_new_certificate() {
    let settings = WorldSettings { watch_seconds: 1, ..WorldSettings::default() };
    let mut world = World::with(settings).await;
    let fresh = || tls(&world.authority, rustls::ALL_VERSIONS);
    let old = greet(&world, &fresh()).await;
    let (mut http, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(old)).await.unwrap();
    tokio::spawn(connection);
    let request = bodiless(world.ana(&path(".wav")));
    let first = http.send_request(request.clone()).await.unwrap();
    assert!(collect(first).await.complete);

    let issued = world.authority.issue(&["localhost"]).unwrap();
    put(&world, &issued);
    // The files are looked at, without a word from anybody.
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    for look in 0.. {
        looks.tick().await;
        if ask(&world, &fresh()).await.0 == der(&issued.certificate) {
            break;
        }
        assert!(look < 400, "the new certificate is never shown");
    }
    http.ready().await.expect("the old connection is still there");
    assert!(collect(http.send_request(request).await.unwrap()).await.complete);
    assert_eq!(world.metric("noticegate_rotation_failed{what=\"certificates\"}").await, 0.0);
    let entries = world.entries().await;
    let outcomes = of_kind(&entries, "outcome");
    assert!(outcomes.iter().all(|outcome| outcome["ending"] == "complete"), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_cannot_be_used_leaves_the_old_one_and_is_told() {
    let world = World::new().await;
    let fresh = || tls(&world.authority, rustls::ALL_VERSIONS);
    let before = ask(&world, &fresh()).await.0;
    let good = std::fs::read_to_string(world.folder.join("gate.pem")).unwrap();
    let other = world.authority.issue(&["localhost"]).unwrap();
    let failed = "noticegate_rotation_failed{what=\"certificates\"}";
    assert_eq!(world.metric(failed).await, 0.0);
    // Another's certificate: the key does not fit. Then half a file, and none at all.
    for broken in [&other.certificate[..], &good[..200], ""] {
        std::fs::write(world.folder.join("gate.pem"), broken).unwrap();
        world.running().reload();
        assert_eq!(ask(&world, &fresh()).await.0, before);
        assert_eq!(world.metric(failed).await, 1.0);
    }
    std::fs::remove_file(world.folder.join("gate.pem")).unwrap();
    world.running().reload();
    assert_eq!(ask(&world, &fresh()).await.0, before);
    put(&world, &other);
    world.running().reload();
    assert_eq!(ask(&world, &fresh()).await.0, der(&other.certificate));
    assert_eq!(world.metric(failed).await, 0.0);
    let refused = "noticegate_rotations_total{what=\"certificates\",result=\"refused\"}";
    assert_eq!(world.metric(refused).await, 4.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_certificate_is_in_the_log_and_sighup_loads_a_good_one() {
    let world = world_of_processes(WorldSettings::default()).await;
    let gate = Process::start(&world.folder, &[]);
    std::fs::write(world.folder.join("gate.pem"), "nothing").unwrap();
    gate.hang_up();
    let told = async |sample: &str| {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..500 {
            looks.tick().await;
            if gate.get("/metrics").await.1.contains(sample) {
                return;
            }
        }
        panic!("it never says {sample}");
    };
    told("noticegate_rotation_failed{what=\"certificates\"} 1\n").await;
    assert!(gate.log().contains("the certificates stay as they are"), "{}", gate.log());
    let issued = world.authority.issue(&["localhost"]).unwrap();
    put(&world, &issued);
    gate.hang_up();
    told("noticegate_rotation_failed{what=\"certificates\"} 0\n").await;
    let client = Client::new(gate.address, world.authority.certificate());
    let shown = client.connect(&["h2"]).await;
    let leaf = shown.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    assert_eq!(leaf, der(&issued.certificate));
    assert!(gate.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_resumed_also_across_a_reload() {
    let world = World::new().await;
    for (versions, version) in [
        (&[&rustls::version::TLS13], ProtocolVersion::TLSv1_3),
        (&[&rustls::version::TLS12], ProtocolVersion::TLSv1_2),
    ] {
        let client = tls(&world.authority, versions);
        let (_, kind, spoken) = ask(&world, &client).await;
        assert_eq!((kind, spoken), (HandshakeKind::Full, version));
        assert_eq!(ask(&world, &client).await.1, HandshakeKind::Resumed, "{version:?}");
        put(&world, &world.authority.issue(&["localhost"]).unwrap());
        world.running().reload();
        assert_eq!(ask(&world, &client).await.1, HandshakeKind::Resumed, "{version:?}");
        let stranger = tls(&world.authority, versions);
        assert_eq!(ask(&world, &stranger).await.1, HandshakeKind::Full);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_comes_and_goes_without_a_restart() {
    let mut world = World::new().await;
    let other = TokenKey::new("key-2");
    std::fs::write(world.folder.join("other.json"), tokens::key_set(&[&other])).unwrap();
    let claims = |issuer: &str| {
        let mut claims = tokens::claims(world.clock.now(), "tom", &["team-lead"]);
        claims["iss"] = issuer.into();
        claims
    };
    let request = |token: String| {
        let request = Client::get(&path(".wav")).header("noticegate-purpose", "quality-monitoring");
        request.header("authorization", format!("Bearer {token}"))
    };
    let theirs = || request(other.sign(&claims("https://other.example/")));
    assert_eq!(world.send(theirs()).await.status, 401);
    let file = world.folder.join("noticegate.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let table = format!(
        "{before}\n[[issuer]]\nname = \"other\"\nissuer = \"https://other.example/\"\n\
         audiences = [\"{}\"]\njwks_file = \"other.json\"\nalgorithms = [\"ES256\"]\n\
         roles = {{ team-lead = \"team-lead\" }}\n",
        tokens::AUDIENCE
    );
    std::fs::write(&file, &table).unwrap();
    world.running().reload();
    assert_eq!(world.send(theirs()).await.status, 200);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    // A role that no policy knows, and keys that are none: all issuers stay as they are.
    for broken in
        [table.replace("= \"team-lead\" }", "= \"boss\" }"), table.replace("other.json", "token")]
    {
        std::fs::write(&file, broken).unwrap();
        world.running().reload();
        assert_eq!(world.send(theirs()).await.status, 200);
        assert_eq!(world.metric("noticegate_rotation_failed{what=\"issuers\"}").await, 1.0);
    }
    // Other keys in the same file: what was signed with the old ones, and remembered, is void.
    std::fs::write(&file, &table).unwrap();
    let newer = TokenKey::new("key-3");
    std::fs::write(world.folder.join("other.json"), tokens::key_set(&[&newer])).unwrap();
    world.running().reload();
    assert_eq!(world.send(theirs()).await.status, 401);
    let signed = newer.sign(&claims("https://other.example/"));
    assert_eq!(world.send(request(signed)).await.status, 200);
    // The issuer goes, and with it its tokens that were verified a moment ago.
    std::fs::write(&file, &before).unwrap();
    world.running().reload();
    assert_eq!(
        world.send(request(newer.sign(&claims("https://other.example/")))).await.status,
        401
    );
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(of_kind(&world.entries().await, "intent").len(), 6);
}
