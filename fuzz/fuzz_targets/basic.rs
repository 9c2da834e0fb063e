//! A client's `Authorization: Basic` header, and a certificate: only the one text that holds the id
//! and the secret is the client, and any bytes are read as a certificate without a fall.

#![no_main]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use noticegate::clock::Clock;
use noticegate::config::Limits;
use noticegate::identity::{Clients, Digest, Identity, PeerCertificate};
use tokio::runtime::{Builder, Runtime};

/// So short that the fuzzer finds it: the seeds hold it.
const SECRET: &str = "s";

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let clock = Clock::manual(Timestamp::from_second(1_795_435_200).expect("a time"));
    let identity = Identity::new(&[], &Limits::default(), clock).expect("no keys");
    let clients = format!(
        "[[client]]\nid = \"a\"\nname = \"A\"\nroles = []\n\
         secrets = [{{ hash = \"{}\", created = \"2026-11-23T12:00:00Z\" }}]\n\
         [[client]]\nid = \"b\"\nname = \"B\"\nroles = []\ncertificate = \"cn:B\"\n",
        Digest::of(SECRET),
    );
    let clients = Clients::parse(&clients, Path::new("clients.toml"), &BTreeSet::new());
    identity.put_clients(clients.expect("two clients"));
    identity
});

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|bytes: &[u8]| {
    let mut text = b"Basic ".to_vec();
    text.extend_from_slice(bytes);
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let known = RUNTIME.block_on(IDENTITY.identify(&headers, None));
        let is_it = bytes == STANDARD.encode(format!("a:{SECRET}")).as_bytes();
        assert_eq!(known.is_ok(), is_it, "one text is the client");
    }
    // What the handshake verified is any certificate that its authority cares to sign.
    let certificate = PeerCertificate::read(bytes);
    let _ = RUNTIME.block_on(IDENTITY.identify(&HeaderMap::new(), Some(&certificate)));
});
