//! The stand-in is no invention: what it answers is what Twilio's OpenAPI documents say.
//!
//! `tests/openapi/check.mjs` does the comparing. It needs its npm packages.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use noticegate::certs::Authority;
use noticegate::standin::{Fault, Misbehaviour, StandIn, StandInSettings, Ways};
use serde_json::{Value, json};

use crate::support::everything::{ROOM_TRANSCRIPTION, everything, sid};
use crate::support::world::{ACCOUNT, UPSTREAM_SECRET};

/// Every URL that discloses media or what is made from it; deletions come last.
fn requests() -> Vec<Value> {
    let (re, ca, cf, tr) = (sid("RE", 1), sid("CA", 1), sid("CF", 1), sid("TR", 1));
    let (xr, xh, mm, me) = (sid("XR", 1), sid("XH", 1), sid("MM", 1), sid("ME", 1));
    let (rt, rm, cj, kv) = (sid("RT", 1), sid("RM", 1), sid("CJ", 1), sid("KV", 1));
    let (is, gt, ly) = (sid("IS", 1), sid("GT", 1), sid("LY", 1));
    let add_on = format!("/Recordings/{re}/AddOnResults/{xr}");
    let of_room = ROOM_TRANSCRIPTION;
    let voice = [
        "/Recordings.json".to_owned(),
        "/Recordings.json?PageSize=2&Page=1".to_owned(),
        format!("/Recordings.json?CallSid={ca}&ConferenceSid={cf}&IncludeSoftDeleted=true"),
        "/Recordings.json?DateCreated%3E=2026-11-03&DateCreated%3C=2026-11-04".to_owned(),
        format!("/Calls/{ca}/Recordings.json?DateCreated=2026-11-03"),
        format!("/Conferences/{cf}/Recordings.json"),
        format!("/Recordings/{}.json", sid("RE", 2)),
        format!("/Recordings/{}.json", sid("RE", 3)),
        format!("/Recordings/{}.json?IncludeSoftDeleted=true", sid("RE", 4)),
        format!("/Recordings/{}.json", sid("RE", 5)),
        format!("/Recordings/{}", sid("RE", 5)),
        format!("/Recordings/{re}.json"),
        format!("/Recordings/{re}"),
        format!("/Recordings/{re}.wav"),
        format!("/Recordings/{re}.mp3?RequestedChannels=1"),
        format!("/Calls/{ca}/Recordings/{re}.json"),
        format!("/Calls/{ca}/Recordings/{re}.mp3"),
        format!("/Conferences/{cf}/Recordings/{re}.json"),
        format!("/Conferences/{cf}/Recordings/{re}.wav"),
        format!("/Calls/{ca}.json"),
        format!("/Calls/{ca}/Events.json"),
        "/Transcriptions.json".to_owned(),
        format!("/Transcriptions/{tr}.json"),
        format!("/Recordings/{re}/Transcriptions.json"),
        format!("/Recordings/{re}/Transcriptions/{tr}.json"),
        format!("/Recordings/{re}/AddOnResults.json"),
        format!("{add_on}.json"),
        format!("{add_on}/Payloads.json"),
        format!("{add_on}/Payloads/{xh}.json"),
        format!("{add_on}/Payloads/{xh}/Data.json"),
        format!("/Messages/{mm}.json"),
        format!("/Messages/{mm}/Media.json?DateCreated%3E=2026-11-03"),
        format!("/Messages/{mm}/Media/{me}.json"),
        format!("/Messages/{mm}/Media/{me}"),
    ];
    let voice = voice.map(|path| format!("/2010-04-01/Accounts/{ACCOUNT}{path}"));
    let others = [
        "/v1/Recordings?Status=completed&MediaType=audio&PageSize=1".to_owned(),
        format!("/v1/Recordings/{rt}"),
        format!("/v1/Recordings/{}", sid("RT", 2)),
        format!("/v1/Recordings/{rt}/Media?Ttl=60"),
        format!("/v1/Rooms/{rm}"),
        format!("/v1/Rooms/{rm}/Recordings"),
        format!("/v1/Rooms/{rm}/Recordings/{rt}"),
        format!("/v1/Rooms/{rm}/Recordings/{rt}/Media"),
        format!("/v1/Rooms/{rm}/Transcriptions"),
        format!("/v1/Rooms/{rm}/Transcriptions/{of_room}"),
        format!("/v1/Compositions?RoomSid={rm}"),
        format!("/v1/Compositions/{cj}"),
        format!("/v1/Compositions/{cj}/Media"),
        "/v1/RecordingSettings/Default".to_owned(),
        "/v1/CompositionSettings/Default".to_owned(),
        "/v1/MediaRecordings".to_owned(),
        format!("/v1/MediaRecordings/{kv}"),
        format!("/v1/MediaRecordings/{kv}/Media"),
        format!("/v1/MediaRecordings/{kv}/TimedMetadata"),
        format!("/v1/Services/{is}/Media/{}", sid("ME", 2)),
        format!("/v1/Services/{is}/Media/{}/Content", sid("ME", 2)),
        format!("/v2/Transcripts?SourceSid={re}"),
        format!("/v2/Transcripts/{gt}"),
        format!("/v2/Transcripts/{gt}/Media?Redacted=false"),
        format!("/v2/Transcripts/{gt}/Sentences?Redacted=true&WordTimestamps=true"),
        format!("/v2/Transcripts/{gt}/Sentences/Encrypted"),
        format!("/v2/Transcripts/{gt}/OperatorResults"),
        format!("/v2/Transcripts/{gt}/OperatorResults/{ly}?Redacted=false"),
        format!("/v2/Transcripts/{gt}/OperatorResults/Encrypted"),
    ];
    let reads = voice.into_iter().chain(others).map(|target| json!({ "target": target }));
    let token = json!({
        "method": "POST",
        "target": format!("/v1/Accounts/{ACCOUNT}/Tokens/validate"),
        "body": json!({ "token": "flex" }).to_string(),
    });
    reads.chain([token]).chain(deletions()).collect()
}

/// What hangs on something else goes before it.
fn deletions() -> Vec<Value> {
    let (re, xr, mm) = (sid("RE", 1), sid("XR", 1), sid("MM", 1));
    let voice = [
        format!("/Recordings/{}.json", sid("RE", 6)),
        format!("/Calls/{}/Recordings/{}.json", sid("CA", 1), sid("RE", 7)),
        format!("/Conferences/{}/Recordings/{}.json", sid("CF", 1), sid("RE", 8)),
        format!("/Transcriptions/{}.json", sid("TR", 2)),
        format!("/Recordings/{re}/Transcriptions/{}.json", sid("TR", 3)),
        format!("/Recordings/{re}/AddOnResults/{xr}/Payloads/{}.json", sid("XH", 1)),
        format!("/Recordings/{re}/AddOnResults/{xr}.json"),
        format!("/Messages/{mm}/Media/{}.json", sid("ME", 1)),
        format!("/Messages/{mm}.json"),
    ];
    let voice = voice.map(|path| format!("/2010-04-01/Accounts/{ACCOUNT}{path}"));
    let others = [
        format!("/v1/Recordings/{}", sid("RT", 1)),
        format!("/v1/Rooms/{}/Recordings/{}", sid("RM", 1), sid("RT", 3)),
        format!("/v1/Compositions/{}", sid("CJ", 1)),
        format!("/v1/MediaRecordings/{}", sid("KV", 1)),
        format!("/v2/Transcripts/{}", sid("GT", 1)),
        format!("/v1/Services/{}/Media/{}", sid("IS", 1), sid("ME", 2)),
    ];
    let all = voice.into_iter().chain(others);
    all.map(|target| json!({ "method": "DELETE", "target": target })).collect()
}

async fn start(folder: &Path) -> StandIn {
    let authority = Authority::new().unwrap();
    let issued = authority.issue(&["localhost"]).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("ca.pem", authority.certificate());
    write("standin.pem", &issued.certificate);
    write("standin.key", &issued.key);
    let certificate = folder.join("standin.pem");
    let mut tls =
        noticegate::listener::server_config(&certificate, &folder.join("standin.key")).unwrap();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    StandIn::start(StandInSettings {
        address: any,
        cdn_address: any,
        tls: Arc::new(tls),
        host: "localhost".to_owned(),
        accounts: vec![everything()],
        ways: Ways::default(),
    })
    .await
    .unwrap()
}

/// Runs the comparison: whether it found nothing wrong, what it said, and its counts.
async fn check(folder: &Path, standin: &StandIn, requests: &[Value]) -> (bool, String, Value) {
    let packages = Path::new("tests/openapi/node_modules/.package-lock.json");
    assert!(packages.exists(), "run `npm ci --ignore-scripts` in tests/openapi first");
    let plan = folder.join("plan.json");
    let json = json!({
        "origin": format!("https://localhost:{}", standin.address().port()),
        "user": ACCOUNT,
        "password": UPSTREAM_SECRET,
        "requests": requests,
    });
    std::fs::write(&plan, json.to_string()).unwrap();
    let mut node = Command::new("node");
    node.arg("tests/openapi/check.mjs").arg(&plan);
    node.env("NODE_EXTRA_CA_CERTS", folder.join("ca.pem"));
    let output = tokio::task::spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let counts = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let counts = counts.unwrap_or_else(|| panic!("no counts: {text}{errors}"));
    (output.status.success(), format!("{text}{errors}"), counts)
}

/// Twilio's documents find nothing wrong with any answer, and leave no documented one unasked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_what_twilio_documents() {
    let folder = tempfile::tempdir().unwrap();
    let standin = start(folder.path()).await;
    let requests = requests();
    let (fine, text, counts) = check(folder.path(), &standin, &requests).await;
    assert!(fine, "{text}");
    assert_eq!(counts["wrong"], 0, "{text}");
    let sum = counts["checked"].as_u64().unwrap() + counts["outside"].as_u64().unwrap();
    assert_eq!(usize::try_from(sum).unwrap(), requests.len(), "{text}");
    assert!(counts["checked"].as_u64().unwrap() >= 63, "{text}");
    let deleted = standin.seen().into_iter().filter(|seen| seen.method == "DELETE").count();
    assert_eq!(deleted, deletions().len(), "{text}");
}

/// The comparison is worth something: it notices what Twilio would not say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_twilio_would_not_give_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let standin = start(folder.path()).await;
    let old = format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{}.json", sid("RE", 1));
    let new = format!("/v1/Recordings/{}", sid("RT", 1));
    for (target, patch, complaint) in [
        (&old, json!({ "surprise": 1 }), "surprise"),
        (&old, json!({ "track": "both" }), "track"),
        (&old, json!({ "media_url": null }), "media_url"),
        (&old, json!({ "duration": 4 }), "/duration"),
        (&old, json!({ "status": "done" }), "/status"),
        (&old, json!({ "date_created": "2026-11-03T09:15:02Z" }), "/date_created"),
        (&old, json!({ "sid": "RE1" }), "/sid"),
        (&new, json!({ "url": "https://localhost/v1/Recordings/RT1" }), "https://localhost"),
        (&new, json!({ "links": { "media": "https://localhost/" } }), "/links/media"),
    ] {
        let fault = Fault::ReplaceJson(patch.clone());
        standin.behave();
        standin.misbehave(Misbehaviour { path_contains: String::new(), fault, times: None });
        let (_, text, _) = check(folder.path(), &standin, &[json!({ "target": target })]).await;
        let line = text.lines().skip_while(|line| !line.starts_with("WRONG")).nth(1).unwrap_or("");
        assert!(line.contains(complaint), "{patch}: {text}");
    }
}
