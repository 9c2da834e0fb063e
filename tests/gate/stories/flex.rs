//! Agents of Twilio Flex: their player shows a token of Flex's, Twilio says whose it is, and the link
//! it gets is decided and recorded as theirs each time it is used.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Builder;
use jiff::SignedDuration;
use noticegate::standin::{
    Fault, Misbehaviour, SampleAudio, SampleEncryption, SampleRecording, SampleToken,
    StandInAccount,
};

use crate::support::disclosed::disclosures;
use crate::support::world::of_kind;
use crate::support::{Answer, Client, RECORDING, World, WorldSettings, recording};

/// Flex's tokens are encrypted for Twilio: five parts that say nothing here.
const JWE: &str = "eyJhbGciOiJkaXIifQ..c29tZQ.dGV4dA.dGFn";
const AGENT: &str = "eyJhbGciOiJkaXIifQ..YWdlbnQ.dGV4dA.dGFn";
const ORIGIN: &str = "https://flex.twilio.com";

fn holders(account: &mut StandInAccount) {
    let holder = |token: &str, identity: &str, role: &str| SampleToken {
        token: token.to_owned(),
        identity: identity.to_owned(),
        roles: vec![role.to_owned()],
        worker_sid: None,
        expires_at: "2026-11-23T13:00:00Z".parse().unwrap(),
    };
    account.tokens =
        vec![holder(JWE, "quinn", "wfo.quality_manager"), holder(AGENT, "alex", "agent")];
}

fn settings() -> WorldSettings {
    let config = format!(
        r#"
[upstream]
retries_max = 0
[links]
life_seconds = 60
[cors]
origins = ["{ORIGIN}"]
[flex]
roles = {{ "wfo.quality_manager" = "quality-analyst" }}
default_purpose = "quality-monitoring"
"#
    );
    WorldSettings { config, samples: holders, ..WorldSettings::default() }
}

fn player(token: &str) -> Builder {
    let pair = STANDARD.encode(format!("token:{token}"));
    Client::get(&format!("/flex/url_provider?recording_sid={RECORDING}"))
        .header("authorization", format!("Basic {pair}"))
        .header("origin", ORIGIN)
}

/// The link in an answer, as a path.
fn link(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let url = answer.json()["media_url"].as_str().unwrap().to_owned();
    url.strip_prefix("https://localhost").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_player_s_link_plays_without_a_credential_and_is_recorded_as_theirs() {
    let mut world = World::with(settings()).await;
    let answer = world.send(player(JWE)).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    let link = link(&answer);
    assert!(link.contains(".mp3"), "{link}");
    let whole = world.send(Client::get(&link)).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("audio/mpeg")));
    let part = world.send(Client::get(&link).header("range", "bytes=10-19")).await;
    assert_eq!(part.status, 206);
    assert_eq!(part.body, whole.body.slice(10..20));
    let validations = world.standin.seen();
    let validations = validations.iter().filter(|seen| seen.path_and_query.contains("/Tokens/"));
    assert_eq!(validations.count(), 1, "a link needs no token any more");
    let entries = world.entries().await;
    let intents = of_kind(&entries, "intent");
    assert_eq!(intents.len(), 3);
    for intent in intents {
        assert_eq!(intent["caller"]["id"], "flex|quinn", "{intent}");
        assert_eq!(intent["purpose"], "quality-monitoring");
    }
    let lines = disclosures(&entries);
    assert!(lines[2].starts_with("GET mp3 bytes=10-19 -> 206, 10 bytes from 10"), "{lines:?}");
    for entry in &entries {
        assert!(!entry.to_string().contains("dGV4dA"), "a token is in the ledger");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_for_one_recording_and_for_its_time() {
    let world = World::with(settings()).await;
    let link = link(&world.send(player(JWE)).await);
    let other = link.replace(RECORDING, "RE00000000000000000000000000000009");
    assert_eq!(world.send(Client::get(&other)).await.status, 401);
    assert_eq!(world.send(Client::get(&link.replace(".mp3", ".wav"))).await.status, 401);
    world.clock.set(world.clock.now() + SignedDuration::from_secs(59));
    assert_eq!(world.send(Client::get(&link)).await.status, 200);
    world.clock.set(world.clock.now() + SignedDuration::from_secs(1));
    assert_eq!(world.send(Client::get(&link)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_twilio_does_not_know_is_a_stranger_and_who_has_no_role_is_refused() {
    let mut world = World::with(settings()).await;
    let stranger = world.send(player("bm8.b25l.aGVyZQ")).await;
    assert_eq!(stranger.status, 401);
    // The page must be able to read why.
    assert_eq!(stranger.header("access-control-allow-origin"), Some(ORIGIN));
    assert!(stranger.header("noticegate-entry").is_some());
    let agent = world.send(player(AGENT)).await;
    // Who may do nothing at all is not told what there is.
    assert_eq!(agent.status, 404, "{:?}", agent.body);
    // Without a token at all it is as anywhere else, and the token opens nothing else.
    let url = format!("/flex/url_provider?recording_sid={RECORDING}");
    assert_eq!(world.send(Client::get(&url)).await.status, 401);
    let pair = STANDARD.encode(format!("token:{JWE}"));
    let elsewhere = Client::get(&crate::support::path(".wav"));
    let elsewhere = elsewhere.header("authorization", format!("Basic {pair}"));
    assert_eq!(world.send(elsewhere).await.status, 401);
    // A token of Flex that has run out, whatever Twilio says.
    world.clock.set("2026-11-23T13:00:00Z".parse().unwrap());
    assert_eq!(world.send(player(JWE)).await.status, 401);
    assert!(world.media_requests().iter().all(|line| line.contains("/Tokens/")));
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent").is_empty());
    let refusals = of_kind(&entries, "refusal");
    assert!(refusals.iter().any(|entry| entry["caller"]["id"] == "flex|alex"), "{refusals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_while_twilio_cannot_be_asked() {
    let world = World::with(settings()).await;
    for fault in [
        Fault::Status { status: 500, retry_after: None },
        Fault::Status { status: 401, retry_after: None },
        Fault::CutAfter { bytes: 5 },
    ] {
        world.standin.behave();
        let path_contains = "/Tokens/validate".to_owned();
        world.standin.misbehave(Misbehaviour { path_contains, fault, times: None });
        let answer = world.send(player(JWE)).await;
        assert_eq!(answer.status, 503, "{:?}", answer.body);
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_recording_is_linked_as_wav_since_it_has_no_mp3() {
    let file = |name: &str| format!("{}/tests/vectors/twilio/{name}", env!("CARGO_MANIFEST_DIR"));
    let sid = "CR00000000000000000000000000000001";
    let key = std::fs::read(file("test_public_key.pem")).unwrap();
    let bytes = Bytes::from_static(b"RIFF and what was said");
    let world = World::with(WorldSettings {
        recordings: vec![SampleRecording {
            audio: SampleAudio::Bytes { wav: bytes.clone(), mp3: bytes.clone() },
            encryption: Some(SampleEncryption::new(&key, sid).unwrap()),
            ..recording(RECORDING, "2026-11-03T09:15:02Z")
        }],
        account: format!(
            "[[account.encryption_key]]\nsid = \"{sid}\"\nfile = \"{}\"",
            file("test_private_key_pkcs8.pem")
        ),
        ..settings()
    })
    .await;
    let link = link(&world.send(player(JWE)).await);
    assert!(link.contains(".wav"), "{link}");
    assert_eq!(world.send(Client::get(&link)).await.body, bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_player_may_ask_whether_it_may_ask() {
    let world = World::with(settings()).await;
    let asked = Client::get(&format!("/flex/url_provider?recording_sid={RECORDING}"))
        .method("OPTIONS")
        .header("origin", ORIGIN)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    let answer = world.send(asked).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let allowed = answer.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    assert!(allowed.split(", ").any(|name| name == "authorization"), "{allowed}");
    assert!(world.standin.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_table_there_is_no_flex() {
    let world = World::with(WorldSettings { samples: holders, ..WorldSettings::default() }).await;
    assert_eq!(world.send(player(JWE)).await.status, 401);
    assert!(world.standin.seen().is_empty());
}
