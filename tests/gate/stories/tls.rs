//! TLS towards callers is Mozilla's intermediate profile or stricter, as sslyze sees it.

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use serde_json::Value;

use crate::support::programs::{judge, python};
use crate::support::{World, WorldSettings};

/// A certificate as a public authority would sign it today: Mozilla judges its life, too.
fn short_lived(world: &World) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let today = noticegate::clock::Clock::system().now();
    let today = jiff::tz::TimeZone::UTC.to_datetime(today).date();
    let ymd = |date: jiff::civil::Date| {
        let [month, day] = [date.month(), date.day()].map(|n| u8::try_from(n).unwrap());
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    params.not_before = ymd(today.yesterday().unwrap());
    params.not_after = ymd(today + jiff::Span::new().days(60));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(world.folder.join("gate.pem"), certificate.pem()).unwrap();
    std::fs::write(world.folder.join("gate.key"), key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sslyze_finds_mozillas_intermediate_profile_or_stricter() {
    let world = World::prepare(&WorldSettings::default()).await;
    short_lived(&world);
    let world = world.started();
    let port = world.client.address().port();
    let sslyze = python().with_file_name("sslyze");
    let out = world.folder.join("sslyze.json");
    let [sslyze, out] = [&sslyze, &out].map(|path| path.to_str().unwrap().to_owned());
    let (to, json) = (format!("localhost:{port}"), format!("--json_out={out}"));
    let words = [&sslyze[..], "--mozilla_config=intermediate", &json, &to];
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let judged = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        judge(&words, "")
    });
    let (_, said) = judged.await.unwrap();
    let found: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let found = &found["server_scan_results"][0]["scan_result"];
    let suites = |version: &str| -> Vec<String> {
        let accepted = &found[version]["result"]["accepted_cipher_suites"];
        let names = accepted.as_array().unwrap_or_else(|| panic!("{version}: {said}")).iter();
        names.map(|one| one["cipher_suite"]["name"].as_str().unwrap().to_owned()).collect()
    };
    for old in [
        "ssl_2_0_cipher_suites",
        "ssl_3_0_cipher_suites",
        "tls_1_0_cipher_suites",
        "tls_1_1_cipher_suites",
    ] {
        assert_eq!(suites(old), Vec::<String>::new(), "{old}");
    }
    let mut modern = suites("tls_1_3_cipher_suites");
    modern.sort();
    assert_eq!(
        modern,
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    );
    let twelve = suites("tls_1_2_cipher_suites");
    assert!(!twelve.is_empty());
    for suite in &twelve {
        let aead = suite.contains("_GCM_") || suite.contains("_CHACHA20_POLY1305_");
        assert!(suite.starts_with("TLS_ECDHE_") && aead, "{suite}");
    }
    for (weakness, vulnerable) in [
        ("heartbleed", "is_vulnerable_to_heartbleed"),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection"),
        ("tls_compression", "supports_compression"),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos"),
    ] {
        assert_eq!(found[weakness]["result"][vulnerable], false, "{weakness}");
    }
    // Its own verdict on Mozilla's profile, but for who signed: the certificate is of this story.
    let verdict = said.split("COMPLIANCE AGAINST").nth(1).unwrap_or(&said);
    let faults: Vec<&str> = verdict
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("* ") && !line.contains("certificate_path_validation"))
        .collect();
    assert_eq!(faults, Vec::<&str>::new(), "{verdict}");
    assert!(verdict.to_lowercase().contains("intermediate"), "{said}");
}
