//! Encrypted recordings: served as they were said, whole or in parts, or not at all. Not a byte of
//! what cannot be verified, nothing in the clear on a disk, and no key anywhere.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::SignedDuration;
use noticegate::clock::Clock;
use noticegate::standin::{
    EncryptionNames, Fault, MediaFormat, Misbehaviour, RedirectTarget, SampleAudio,
    SampleEncryption, SampleRecording, SampleVideo, StandInAccount, TrackKind, pattern_byte,
};
use serde_json::json;

use crate::support::disclosed::disclosures;
use crate::support::policies::{append, change, derive};
use crate::support::process::Process;
use crate::support::raw_upstream::{RawUpstream, Step, say};
use crate::support::world::{UPSTREAM_SECRET, bodiless, of_kind};
use crate::support::{
    ACCOUNT, Answer, Client, RECORDING, World, WorldSettings, path, recording, tokens,
};

const VIDEO: &str = "RT00000000000000000000000000000001";
const VOICE_TRACK: &str = "RT00000000000000000000000000000002";
const NAMED: &str = "CR00000000000000000000000000000002";
const NOT_HELD: &str = "CR00000000000000000000000000000009";

/// A sentence that would be seen in a file.
const SAID: &str = "what was said on this call is nobody's business ";

/// What was recorded: longer than a chunk of what is spilled, and no multiple of it.
fn plaintext() -> Vec<u8> {
    SAID.bytes().cycle().take(200_003).collect()
}

fn vector(name: &str) -> String {
    format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn encryption(sid: &str, names: EncryptionNames) -> SampleEncryption {
    let key = std::fs::read(vector("twilio/test_public_key.pem")).unwrap();
    let mut encryption = SampleEncryption::new(&key, sid).unwrap();
    encryption.names = names;
    encryption
}

fn sealed(sid: &str, names: EncryptionNames) -> SampleRecording {
    let bytes = Bytes::from(plaintext());
    SampleRecording {
        audio: SampleAudio::Bytes { wav: bytes.clone(), mp3: bytes },
        encryption: Some(encryption(sid, names)),
        ..recording(RECORDING, "2026-11-03T09:15:02Z")
    }
}

/// The account's tables for private keys, by the SIDs of their public keys.
fn keys(sids: &[(&str, &str)]) -> String {
    let table = |(sid, file): &(&str, &str)| {
        format!("[[account.encryption_key]]\nsid = \"{sid}\"\nfile = \"{}\"\n", vector(file))
    };
    sids.iter().map(table).collect()
}

const RIGHT: &str = "twilio/test_private_key_pkcs8.pem";
const OTHER: &str = "rsa_8192.pem";

fn settings() -> WorldSettings {
    WorldSettings {
        account: keys(&[(NAMED, RIGHT)]),
        recordings: vec![sealed(NAMED, EncryptionNames::Programs)],
        config: "[upstream]\nretries_max = 0".to_owned(),
        ..WorldSettings::default()
    }
}

fn forbid_sealed(folder: &Path) {
    append(
        folder,
        "guardrails.cedar",
        r#"
@id("guardrail-sealed")
@reason("what the gate cannot open leaves no house")
forbid (principal, action, resource)
when { context.circumstances.contains(Noticegate::Circumstance::"still-encrypted") };
"#,
    );
}

fn forbid_sealed_video(folder: &Path) {
    allow_video(folder);
    forbid_sealed(folder);
}

/// Analysts may see films, too.
fn allow_video(folder: &Path) {
    let file = "notices/2026-03-01/clauses.toml";
    let said =
        "roles = [\"quality-analyst\", \"team-lead\"]\npurposes = [\"quality-monitoring\"]\n";
    let more = format!("{said}artefacts = [\"audio\", \"video\"]\n");
    change(folder, file, said, &more);
    derive(folder);
}

fn track(sid: &str, kind: TrackKind) -> SampleVideo {
    SampleVideo {
        sid: sid.to_owned(),
        room_sid: "RM00000000000000000000000000000001".to_owned(),
        participant_sid: "PA00000000000000000000000000000001".to_owned(),
        track_sid: "MT00000000000000000000000000000001".to_owned(),
        kind,
        created_at: "2026-11-03T09:15:02Z".parse().unwrap(),
        duration_seconds: 4,
        bytes: Bytes::from(plaintext()),
        encryption: Some(encryption(NAMED, EncryptionNames::Programs)),
        ..SampleVideo::default()
    }
}

fn tracks(account: &mut StandInAccount) {
    account.videos = vec![track(VIDEO, TrackKind::Video), track(VOICE_TRACK, TrackKind::Audio)];
}

fn video(sid: &str) -> String {
    format!("/v1/Recordings/{sid}/Media/Content")
}

/// The ciphertext as it lies at Twilio.
fn ciphertext(world: &World) -> Bytes {
    world.standin.media(ACCOUNT, RECORDING, MediaFormat::Wav, None).unwrap()
}

async fn ask(world: &World, headers: &[(&str, &str)]) -> Answer {
    let mut request = world.ana(&path(".wav"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request).await
}

fn misbehave(world: &World, fault: Fault, times: Option<u32>) {
    let path_contains = format!("{RECORDING}.wav$");
    world.standin.misbehave(Misbehaviour { path_contains, fault, times });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_comes_in_the_clear_under_either_spelling_and_whichever_key_was_named() {
    let both: &[(&str, &str)] = &[("CR00000000000000000000000000000001", OTHER), (NAMED, RIGHT)];
    for (names, named) in [
        (EncryptionNames::Programs, NAMED),
        (EncryptionNames::Document, NAMED),
        (EncryptionNames::Programs, NOT_HELD),
    ] {
        let mut world = World::with(WorldSettings {
            account: keys(both),
            recordings: vec![sealed(named, names)],
            ..settings()
        })
        .await;
        for extension in [".wav", ""] {
            let answer = world.send(world.ana(&path(extension))).await;
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            assert!(answer.body == plaintext() && answer.complete, "{names:?} {named}");
            assert_eq!(answer.header("content-type"), Some("audio/x-wav"));
        }
        let lines = disclosures(&world.entries().await);
        assert!(lines.iter().all(|line| line.ends_with("200, 200003 bytes from 0, complete")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_and_conditions_are_those_of_the_plaintext_and_twilio_is_asked_once() {
    let mut world = World::with(settings()).await;
    let whole = plaintext();
    let head = world.send(world.ana(&path(".wav")).method("HEAD")).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("200003")));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
    let tag = head.header("etag").unwrap().to_owned();
    world.standin.forget_seen();
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=65535-65536", 65_535, 65_536),
        ("bytes=-5", 199_998, 200_002),
        ("bytes=199990-", 199_990, 200_002),
        ("bytes=100-999999", 100, 200_002),
    ] {
        let answer = ask(&world, &[("range", range), ("if-range", &tag)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == whole[first..=last], "{range}");
        let said = format!("bytes {first}-{last}/200003");
        assert_eq!(answer.header("content-range"), Some(said.as_str()));
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
    // The bytes of the tag of the cipher are not part of it.
    let beyond = ask(&world, &[("range", "bytes=200003-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */200003")));
    let changed = ask(&world, &[("range", "bytes=1-2"), ("if-range", "\"another\"")]).await;
    assert_eq!((changed.status, changed.body.len()), (200, 200_003));
    let same = ask(&world, &[("if-none-match", &tag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let failed = ask(&world, &[("if-match", "\"another\"")]).await;
    assert_eq!((failed.status, failed.body.len()), (412, 0));
    assert_eq!(world.media_requests().len(), 1, "{:?}", world.media_requests());
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[2], "GET wav bytes=65535-65536 -> 206, 2 bytes from 65535, complete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_mp3_of_it() {
    let world = World::with(settings()).await;
    let answer = world.send(world.ana(&path(".mp3"))).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["code"], 16_109);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_a_byte_of_what_was_changed_cut_or_exchanged() {
    let mut raw = RawUpstream::bind().await;
    let mut world = World::prepare(&settings()).await;
    raw.serve(&world.authority.issue(&["localhost"]).unwrap());
    let file = world.folder.join("noticegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let hosts = format!("redirect_hosts = [\"{}\", ", raw.authority());
    std::fs::write(&file, text.replace("redirect_hosts = [", &hosts)).unwrap();
    world = world.started();
    let right = ciphertext(&world).to_vec();
    let to = RedirectTarget::Url(format!("https://{}/object", raw.authority()));
    misbehave(&world, Fault::Redirect { to, status: 302 }, None);
    let flipped = |place: usize| {
        let mut bytes = right.clone();
        bytes[place] ^= 1;
        bytes
    };
    let mut wrong: Vec<Vec<u8>> =
        [0, 100_000, right.len() - 17, right.len() - 16, right.len() - 1].map(flipped).into();
    for length in [0, 1, 15, 16, 17, right.len() - 16, right.len() - 1] {
        wrong.push(right[..length].to_vec());
    }
    wrong.push([right.clone(), vec![0]].concat());
    wrong.push(plaintext());
    let count = wrong.len();
    for bytes in wrong {
        raw.media(served(&bytes, bytes.len()));
        for headers in [&[][..], &[("range", "bytes=0-9")]] {
            let answer = ask(&world, headers).await;
            assert_eq!(answer.status, 502, "{} bytes", bytes.len());
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!body.contains("what was said"), "{body}");
            assert_eq!(answer.json()["reason"], "sealed");
        }
    }
    // Broken off in the middle.
    let mut cut = served(&right[..100_000], right.len());
    cut.push(Step::HangUp);
    raw.media(cut);
    assert_eq!(ask(&world, &[]).await.status, 502);
    // Nothing of all that is kept.
    raw.media(served(&right, right.len()));
    assert!(ask(&world, &[]).await.body == plaintext());
    let entries = world.entries().await;
    let outcomes = of_kind(&entries, "outcome");
    assert_eq!(outcomes.len(), 2 * count + 2);
    let (last, failed) = outcomes.split_last().unwrap();
    assert!(failed.iter().all(|outcome| outcome["bytes"] == 0 && outcome["status"] == 502));
    assert_eq!(last["bytes"], 200_003);
}

fn served(bytes: &[u8], length: usize) -> Vec<Step> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\nContent-Length: {length}\r\n\r\n");
    vec![say(head), say(bytes)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_key_the_ciphertext_comes_and_the_ledger_says_that_it_is() {
    let account = keys(&[("CR00000000000000000000000000000001", OTHER)]);
    for account in [String::new(), account] {
        let mut world = World::with(WorldSettings { account, ..settings() }).await;
        let answer = ask(&world, &[]).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert!(answer.body == ciphertext(&world));
        let entries = world.entries().await;
        let stated = &of_kind(&entries, "intent")[0]["circumstances"];
        assert_eq!(stated, &json!(["still-encrypted"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_may_forbid_what_stays_encrypted() {
    let policies = forbid_sealed as fn(&Path);
    let mut world =
        World::with(WorldSettings { account: String::new(), policies, ..settings() }).await;
    let answer = ask(&world, &[]).await;
    assert_eq!(answer.status, 403, "{:?}", answer.body);
    let said = answer.json();
    assert!(said["message"].as_str().unwrap().contains("leaves no house"), "{said}");
    assert!(world.media_requests().is_empty());
    let entries = world.entries().await;
    let refused = of_kind(&entries, "refusal")[0];
    assert_eq!(refused["circumstances"], json!(["still-encrypted"]), "{refused}");

    // With the key it is not encrypted any more, and the guardrail has nothing to say.
    let world = World::with(WorldSettings { policies, ..settings() }).await;
    assert!(ask(&world, &[]).await.body == plaintext());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_envelope_is_doubt_and_doubt_is_recorded() {
    for details in [
        json!({"public_key_sid": NAMED, "encrypted_cek": "AAAA", "iv": "AAAAAAAAAAAAAAAA"}),
        json!({"encrypted_cek": null}),
        json!({"iv": "AA"}),
        json!({"public_key_sid": "SK1"}),
        json!("yes"),
    ] {
        let mut world = World::with(settings()).await;
        world.standin.misbehave(Misbehaviour {
            path_contains: format!("{RECORDING}.json"),
            fault: Fault::ReplaceJson(json!({"encryption_details": details})),
            times: None,
        });
        let answer = ask(&world, &[]).await;
        assert_eq!(answer.status, 503, "{details}: {:?}", answer.body);
        assert!(world.media_requests().is_empty());
        let entries = world.entries().await;
        assert_eq!(of_kind(&entries, "refusal")[0]["reason"], "undecidable", "{details}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_memory_is_never_in_the_clear_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "{}\n[decryption]\ndirectory = \"{}\"\nmemory_bytes_max = 65536",
        settings().config,
        folder.path().display()
    );
    let mut world = World::with(WorldSettings { config, ..settings() }).await;
    assert!(ask(&world, &[]).await.body == plaintext());
    // While it is kept its file has no name, but this process has it open.
    let open = open_files_in(folder.path());
    assert!(!open.is_empty(), "it was spilled");
    for file in open {
        let bytes = std::fs::read(file).unwrap();
        assert!(bytes.len() > 100_000);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("nobody's business"), "it is in the clear");
    }
    assert!(
        ask(&world, &[("range", "bytes=70000-199999")]).await.body == plaintext()[70_000..200_000]
    );
    assert_eq!(world.media_requests().len(), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    world.stop().await;
    assert!(open_files_in(folder.path()).is_empty(), "it is gone with the gate");
}

/// Files without a name that this process has open in a folder.
fn open_files_in(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    let all = all.map(|entry| entry.path());
    all.filter(|fd| std::fs::read_link(fd).is_ok_and(|at| at.starts_with(folder))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_can_be_written_nothing_is_told() {
    let config = format!(
        "{}\n[decryption]\ndirectory = \"nowhere\"\nmemory_bytes_max = 65536",
        settings().config
    );
    let mut world = World::with(WorldSettings { config, ..settings() }).await;
    let answer = ask(&world, &[]).await;
    assert_eq!(answer.status, 502, "{:?}", answer.body);
    assert!(!String::from_utf8_lossy(&answer.body).contains("nowhere"));
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines, ["GET wav -> 502, 0 bytes from 0, upstream-error"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_is_decrypted_with_the_key() {
    let mut world =
        World::with(WorldSettings { samples: tracks, policies: allow_video, ..settings() }).await;
    for sid in [VIDEO, VOICE_TRACK] {
        let whole = world.send(world.ana(&video(sid))).await;
        assert_eq!(whole.status, 200, "{:?}", whole.body);
        assert!(whole.body == plaintext());
        assert!(whole.header("x-amz-meta-x-amz-key").is_none());
        let tag = whole.header("etag").unwrap();
        let head = world.send(world.ana(&video(sid)).method("HEAD")).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some("200003")));
        for (name, value) in [("if-range", tag), ("if-match", tag)] {
            let part = world.ana(&video(sid)).header("range", "bytes=7-9").header(name, value);
            let part = world.send(part).await;
            assert_eq!(part.status, 206, "{name}: {:?}", part.body);
            assert!(part.body == plaintext()[7..=9]);
        }
        let beyond = world.ana(&video(sid)).header("range", "bytes=999999-");
        let beyond = world.send(beyond).await;
        let said = beyond.header("content-range");
        assert_eq!((beyond.status, said), (416, Some("bytes */200003")));
        let same = world.send(world.ana(&video(sid)).header("if-none-match", tag)).await;
        assert_eq!(same.status, 304);
    }
    let entries = world.entries().await;
    assert!(of_kind(&entries, "outcome").iter().all(|outcome| outcome["ending"] == "complete"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_without_the_key_comes_with_its_envelope_or_not_at_all() {
    let none = || WorldSettings {
        account: String::new(),
        samples: tracks,
        policies: allow_video,
        ..settings()
    };
    let world = World::with(none()).await;
    for sid in [VIDEO, VOICE_TRACK] {
        let answer = world.send(world.ana(&video(sid))).await;
        assert_eq!(answer.status, 200, "{sid}: {:?}", answer.body);
        assert_eq!(answer.body.len(), 200_016);
        for name in ["x-amz-meta-x-amz-key", "x-amz-meta-x-amz-iv"] {
            assert!(answer.header(name).is_some(), "{sid}: {name}");
        }
    }
    let mut world = World::with(WorldSettings { policies: forbid_sealed_video, ..none() }).await;
    for sid in [VIDEO, VOICE_TRACK] {
        let answer = world.send(world.ana(&video(sid))).await;
        assert_eq!(answer.status, 403, "{:?}", answer.body);
        assert_eq!(answer.json()["reason"], "no-key");
        assert!(answer.header("x-amz-meta-x-amz-key").is_none());
    }
    let lines = disclosures(&world.entries().await);
    assert!(lines.iter().all(|line| line.contains("403, 0 bytes")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_encrypted_comes_as_it_is_where_keys_are_held() {
    let length = 5_000;
    let audio = SampleAudio::Zeros { length };
    let plain = SampleRecording { audio, ..recording(RECORDING, "2026-11-03T09:15:02Z") };
    let world = World::with(WorldSettings { recordings: vec![plain], ..settings() }).await;
    let expected: Vec<u8> = (0..length).map(pattern_byte).collect();
    assert!(ask(&world, &[]).await.body == expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ciphertext_that_breaks_off_is_resumed_as_any_body_is() {
    let mut world = World::with(settings()).await;
    misbehave(&world, Fault::CutAfter { bytes: 60_000 }, Some(2));
    let part = ask(&world, &[("range", "bytes=199000-")]).await;
    assert_eq!(part.status, 206, "{:?}", part.body);
    assert!(part.body == plaintext()[199_000..]);
    assert_eq!(world.media_requests().len(), 3);
    let lines = disclosures(&world.entries().await);
    assert_eq!(lines, ["GET wav bytes=199000- -> 206, 1003 bytes from 199000, complete"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_and_no_envelope_is_logged_or_recorded() {
    let now = Clock::system().now();
    let started = now - SignedDuration::from_hours(24 * 21);
    let sample =
        SampleRecording { started_at: started, ..sealed(NAMED, EncryptionNames::Programs) };
    let config = "[log]\nformat = \"json\"\nlevel = \"trace\"\n[upstream]\nretries_max = 0";
    let world = World::prepare(&WorldSettings {
        recordings: vec![sample],
        samples: |account| {
            tracks(account);
            let now = Clock::system().now();
            for video in &mut account.videos {
                video.created_at = now - SignedDuration::from_hours(24 * 21);
            }
        },
        policies: allow_video,
        config: config.to_owned(),
        ..settings()
    })
    .await;
    // What Twilio says of the recording's envelope.
    let basic = STANDARD.encode(format!("{ACCOUNT}:{UPSTREAM_SECRET}"));
    let twilio = Client::new(world.standin.address(), world.authority.certificate());
    let resource = Client::get(&path(".json")).header("authorization", format!("Basic {basic}"));
    let details = twilio.send(bodiless(resource)).await.json()["encryption_details"].clone();
    let gate = Process::start(&world.folder, &[]);
    let client = Client::new(gate.address, world.authority.certificate());
    let claims = tokens::claims(now, "ana", &["quality-analyst"]);
    let token = format!("Bearer {}", world.key.sign(&claims));
    let ask = async |target: &str| {
        let request = Client::get(target).header("authorization", &token);
        client.send(bodiless(request.header("noticegate-purpose", "quality-monitoring"))).await
    };
    assert!(ask(&path(".wav")).await.body == plaintext());
    assert!(ask(&video(VIDEO)).await.body == plaintext());
    let log = gate.log();
    assert!(gate.terminate());
    let mut ledger = std::fs::read(&world.ledger).unwrap();
    let wal = format!("{}-wal", world.ledger.display());
    ledger.extend(std::fs::read(wal).unwrap_or_default());
    let ledger = String::from_utf8_lossy(&ledger).into_owned();
    let pem = std::fs::read_to_string(vector(RIGHT)).unwrap();
    let wrapped = details["encrypted_cek"].as_str().unwrap();
    for secret in [pem.lines().nth(1).unwrap(), wrapped, &wrapped[..40], "x-amz-meta", "nobody's"] {
        assert!(!log.contains(secret), "the log holds {secret}");
        assert!(!ledger.contains(secret), "the ledger holds {secret}");
    }
}
