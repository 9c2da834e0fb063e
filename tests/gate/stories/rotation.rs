//! Credentials that change while requests run, accounts and regions that are kept apart, and how
//! often and how much Twilio is asked at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use noticegate::standin::{
    RecordingStatus, SampleApiKey, SampleRecording, SampleVideo, SeenRequest, StandIn,
    StandInAccount,
};
use tokio::task::JoinSet;

use crate::support::leaks::{NEW_SECRET, OTHER_ACCOUNT as OTHER, OTHER_SECRET};
use crate::support::raw_upstream::{RawUpstream, Step, say};
use crate::support::world::{UPSTREAM_SECRET, bodiless, of_kind, start_standin};
use crate::support::{ACCOUNT, CALL, RECORDING, World, WorldSettings, path, recording};

fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

/// The credentials that a stand-in was shown, one for each request.
fn shown(standin: &StandIn) -> Vec<String> {
    let of = |seen: SeenRequest| {
        let found = seen.headers.into_iter().find(|(name, _)| name == "authorization");
        found.map(|(_, value)| value)
    };
    standin.seen().into_iter().filter_map(of).collect()
}

/// At Twilio the new token is good already, as a secondary one is.
fn both_tokens(account: &mut StandInAccount) {
    account.api_keys =
        vec![SampleApiKey { sid: ACCOUNT.to_owned(), secret: NEW_SECRET.to_owned() }];
}

fn edit(world: &World, changes: &[(&str, &str)]) {
    let file = world.folder.join("noticegate.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_auth_token_is_used_without_a_restart_and_no_request_fails() {
    let settings =
        WorldSettings { watch_seconds: 1, samples: both_tokens, ..WorldSettings::default() };
    let world = World::with(settings).await;
    let enough = Arc::new(AtomicBool::new(false));
    let request = bodiless(world.ana(&path(".wav")));
    let mut clients = JoinSet::new();
    for _ in 0..3 {
        let (client, request, enough) = (world.client.clone(), request.clone(), enough.clone());
        clients.spawn(async move {
            let mut statuses = Vec::new();
            while !enough.load(Ordering::SeqCst) {
                statuses.push(client.send(request.clone()).await.status);
            }
            statuses
        });
    }
    let new = basic(ACCOUNT, NEW_SECRET);
    std::fs::write(world.folder.join("token"), NEW_SECRET).unwrap();
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    for look in 0.. {
        looks.tick().await;
        if shown(&world.standin).contains(&new) {
            break;
        }
        assert!(look < 400, "the new token is never used");
    }
    enough.store(true, Ordering::SeqCst);
    let statuses: Vec<u16> = clients.join_all().await.concat();
    assert!(statuses.len() > 3);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    // What comes from now on has the new one alone.
    world.standin.forget_seen();
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(shown(&world.standin), [new]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_named_later_is_looked_at_too() {
    let settings =
        WorldSettings { watch_seconds: 1, samples: both_tokens, ..WorldSettings::default() };
    let world = World::with(settings).await;
    let used = async |secret: &str| {
        let wanted = basic(ACCOUNT, secret);
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..400 {
            looks.tick().await;
            world.standin.forget_seen();
            world.send(world.ana(&path(".wav"))).await;
            if shown(&world.standin).contains(&wanted) {
                return;
            }
        }
        panic!("it is never used");
    };
    let later = world.folder.join("later");
    std::fs::write(&later, NEW_SECRET).unwrap();
    edit(&world, &[("secret_file = \"token\"", "secret_file = \"later\"")]);
    used(NEW_SECRET).await;
    std::fs::write(&later, UPSTREAM_SECRET).unwrap();
    used(UPSTREAM_SECRET).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_leaves_what_is_in_place() {
    let settings = WorldSettings { samples: both_tokens, ..WorldSettings::default() };
    let world = World::with(settings).await;
    let file = world.folder.join("noticegate.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    let old = basic(ACCOUNT, UPSTREAM_SECRET);
    let no_file = good.replace("secret_file = \"token\"", "secret_file = \"nowhere\"");
    let no_account = good.replace(ACCOUNT, "AC1");
    for broken in ["", "no toml", &no_file, &no_account, &good.replace("[[account]]", "[[a]]")] {
        std::fs::write(&file, broken).unwrap();
        world.running().reload();
        world.standin.forget_seen();
        assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
        assert!(shown(&world.standin).iter().all(|shown| *shown == old));
    }
    // An empty token, as between the truncation of a file and its writing.
    std::fs::write(&file, &good).unwrap();
    std::fs::write(world.folder.join("token"), "").unwrap();
    world.running().reload();
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    std::fs::write(world.folder.join("token"), NEW_SECRET).unwrap();
    world.running().reload();
    world.standin.forget_seen();
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(shown(&world.standin), [basic(ACCOUNT, NEW_SECRET)]);
}

fn video() -> SampleVideo {
    SampleVideo {
        sid: "RT00000000000000000000000000000001".to_owned(),
        room_sid: "RM00000000000000000000000000000001".to_owned(),
        participant_sid: "PA00000000000000000000000000000001".to_owned(),
        track_sid: "MT00000000000000000000000000000001".to_owned(),
        created_at: "2026-11-03T09:15:02Z".parse().unwrap(),
        duration_seconds: 4,
        bytes: bytes::Bytes::from_static(b"a track"),
        ..SampleVideo::default()
    }
}

const TRACK: &str = "/v1/Recordings/RT00000000000000000000000000000001";

/// Another upstream, with an account of its own.
async fn another(world: &World, sid: &str) -> StandIn {
    let account = StandInAccount {
        sid: sid.to_owned(),
        auth_token: OTHER_SECRET.to_owned(),
        recordings: vec![recording(RECORDING, "2026-11-03T09:15:02Z")],
        videos: vec![video()],
        ..StandInAccount::default()
    };
    std::fs::write(world.folder.join("token-2"), OTHER_SECRET).unwrap();
    start_standin(&world.folder, account).await
}

/// The table of an account at that upstream.
fn table(sid: &str, standin: &StandIn, more: &str) -> String {
    format!(
        "[[account]]\nsid = \"{sid}\"\nupstream = \"https://localhost:{}\"\nca_file = \"ca.pem\"\n\
         secret_file = \"token-2\"\nredirect_hosts = [\"localhost:{}\"]\n{more}\n[[issuer]]",
        standin.address().port(),
        standin.cdn_address().port(),
    )
}

fn on(host: &str, request: http::request::Builder) -> http::request::Builder {
    let mut request = request;
    request.headers_mut().unwrap().insert("host", host.parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_in_two_regions_is_told_apart_by_the_host() {
    let world = World::prepare(&WorldSettings::default()).await;
    let eu = another(&world, ACCOUNT).await;
    let names = "names = [\"eu.example\"]";
    edit(
        &world,
        &[
            ("names = [\"localhost\"]", "names = [\"localhost\", \"eu.example\"]"),
            ("[[issuer]]", &table(ACCOUNT, &eu, names)),
        ],
    );
    let world = world.started();
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(answer.status, 200);
    assert!(eu.seen().is_empty(), "nothing of the one goes to the other");
    let here = shown(&world.standin);
    assert!(here.iter().all(|shown| *shown == basic(ACCOUNT, UPSTREAM_SECRET)));
    world.standin.forget_seen();
    let answer = world.send(on("eu.example", world.ana(&path(".wav")))).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert!(world.standin.seen().is_empty());
    let there = shown(&eu);
    assert!(!there.is_empty());
    assert!(there.iter().all(|shown| *shown == basic(ACCOUNT, OTHER_SECRET)));
    // A video is in one of them alone, and its path names no account.
    assert_eq!(world.send(world.ana(TRACK)).await.status, 404);
    assert_eq!(world.send(on("eu.example", world.ana(TRACK))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_without_an_account_must_mean_one() {
    let world = World::prepare(&WorldSettings::default()).await;
    let other = another(&world, OTHER).await;
    edit(&world, &[("[[issuer]]", &table(OTHER, &other, ""))]);
    let mut world = world.started();
    let answer = world.send(world.ana(TRACK)).await;
    assert_eq!(answer.status, 400, "{:?}", answer.body);
    assert!(world.standin.seen().is_empty() && other.seen().is_empty());
    // With the account in the path there is no doubt.
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert!(other.seen().is_empty());
    world.standin.forget_seen();
    let theirs = path(".wav").replace(ACCOUNT, OTHER);
    assert_eq!(world.send(world.ana(&theirs)).await.status, 200);
    assert!(world.standin.seen().is_empty());
    assert!(shown(&other).iter().all(|shown| *shown == basic(OTHER, OTHER_SECRET)));
    let entries = world.entries().await;
    let intents = of_kind(&entries, "intent");
    assert_eq!(intents[0]["media"]["account"], ACCOUNT);
    assert_eq!(intents[1]["media"]["account"], OTHER);
}

/// The subaccount, as its parent's credential reads it.
fn subaccount(account: &mut StandInAccount) {
    account.sid = OTHER.to_owned();
    account.auth_token = OTHER_SECRET.to_owned();
    account.api_keys =
        vec![SampleApiKey { sid: ACCOUNT.to_owned(), secret: UPSTREAM_SECRET.to_owned() }];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subaccount_is_read_with_its_parent_s_credential_and_no_other_is() {
    let account = format!("subaccounts = [\"{OTHER}\"]");
    let settings = WorldSettings { account, samples: subaccount, ..WorldSettings::default() };
    let mut world = World::with(settings).await;
    let answer = world.send(world.ana(&path(".wav").replace(ACCOUNT, OTHER))).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let seen = world.standin.seen();
    assert!(seen.iter().all(|seen| !seen.path_and_query.contains(ACCOUNT)));
    assert!(shown(&world.standin).iter().all(|shown| *shown == basic(ACCOUNT, UPSTREAM_SECRET)));
    world.standin.forget_seen();
    let third = path(".wav").replace(ACCOUNT, "AC00000000000000000000000000000003");
    assert_eq!(world.send(world.ana(&third)).await.status, 404);
    assert!(world.standin.seen().is_empty());
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent")[0]["media"]["account"], OTHER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_ask_for_the_metadata_once_and_wait_for_their_turn() {
    const CALLERS: usize = 50;
    const AT_ONCE: usize = 3;
    let (mut world, raw) = RawUpstream::world(WorldSettings {
        account: format!("concurrent_requests_max = {AT_ONCE}"),
        config: "[upstream]\nqueue_timeout_ms = 60000\nhead_timeout_ms = 60000".to_owned(),
        ..WorldSettings::default()
    })
    .await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: audio/x-wav\r\nContent-Length: 4\r\n\r\n";
    raw.media(vec![Step::Wait, say(format!("{head}RIFF"))]);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, request) = (world.client.clone(), bodiless(world.ana(&path(".wav"))));
        callers.spawn(async move { client.send(request).await });
    }
    for done in 0..CALLERS {
        let expected = CALLERS.min(done + AT_ONCE);
        let progress = raw.until(|progress| progress.media().len() >= expected).await;
        assert_eq!(progress.media().len(), expected, "after {done}");
        raw.go_on();
        let answer = callers.join_next().await.unwrap().unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"RIFF"[..]));
    }
    let progress = raw.progress();
    for resource in [RECORDING, CALL] {
        let name = format!("{resource}.json");
        let asked = progress.heads.iter().filter(|(_, head)| head.contains(&name));
        assert_eq!(asked.count(), 1, "{resource}");
    }
    assert_eq!(of_kind(&world.entries().await, "outcome").len(), CALLERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn just_after_the_call_there_is_nothing_and_a_second_later_it_is_asked_again() {
    let sample =
        |status| SampleRecording { status, ..recording(RECORDING, "2026-11-03T09:15:02Z") };
    let world = World::with(WorldSettings {
        recordings: vec![sample(RecordingStatus::Processing)],
        config: "[facts]\nunsettled_age_max_seconds = 1".to_owned(),
        ..WorldSettings::default()
    })
    .await;
    let second = SignedDuration::from_secs(1);
    for _ in 0..2 {
        world.standin.forget_seen();
        assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 404);
        assert!(!world.standin.seen().is_empty());
        world.clock.set(world.clock.now() + second);
    }
    world.standin.add(ACCOUNT, sample(RecordingStatus::Completed));
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    // One that Twilio does not know yet is not remembered as unknown.
    let later = "RE00000000000000000000000000000007";
    let target = path(".wav").replace(RECORDING, later);
    assert_eq!(world.send(world.ana(&target)).await.status, 404);
    world.standin.add(ACCOUNT, recording(later, "2026-11-03T09:15:02Z"));
    assert_eq!(world.send(world.ana(&target)).await.status, 200);
}
