//! Twilio's own SDKs, and curl, take the gate for Twilio: only the host name is changed.
//!
//! `tests/sdk/` holds the programs; both SDKs print the same, and one reading judges both. They
//! need their packages, which `tests/run` installs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use noticegate::standin::{
    Fault, Listener, Misbehaviour, SampleAudio, SampleMedia, SamplePayload, SampleRecording,
    SampleSentence, SampleTranscript, SampleTranscription, StandIn, StandInAccount,
    StandInSettings, TrackKind, Ways, pattern_byte,
};
use serde_json::{Value, json};

use crate::support::disclosed::disclosures;
use crate::support::everything::everything;
use crate::support::leaks;
use crate::support::policies::derive;
use crate::support::process::{Said, noticegate};
use crate::support::world::{UPSTREAM_SECRET, of_kind};
use crate::support::{ACCOUNT, World, WorldSettings};

const NOTICE: &str = "\
We use recordings of calls and meetings, messages, and what is made from them to check quality.

We do not listen to sales calls, and we do not read what was said on them.

We do not use recordings for marketing.
";

const CLAUSES: &str = r#"
title = "A notice for applications"
published = "https://notice.example/"
effective = "2026-01-01T00:00:00Z"
text = "notice.md"

[[clause]]
id = "use"
quote = "We use recordings of calls and meetings, messages, and what is made from them to check quality."
effect = "permit"
roles = ["quality-analyst"]
purposes = ["quality-monitoring"]
actions = ["access", "describe", "delete"]
artefacts = ["audio", "video", "message-media", "transcript", "analysis"]

[[clause]]
id = "no-sales-calls"
quote = "We do not listen to sales calls, and we do not read what was said on them."
effect = "forbid"
artefacts = ["audio", "transcript"]
call-types = ["sales"]

[[clause]]
id = "no-marketing"
quote = "We do not use recordings for marketing."
effect = "forbid"
purposes = ["marketing"]
"#;

/// One notice of three sentences, in the words of the sample's vocabulary.
fn notice(folder: &Path) {
    std::fs::remove_dir_all(folder.join("tests")).unwrap();
    std::fs::remove_dir_all(folder.join("notices")).unwrap();
    let version = folder.join("notices/2026-01-01");
    std::fs::create_dir_all(&version).unwrap();
    let clauses = CLAUSES.replacen("text =", &format!("sha256 = \"{}\"\ntext =", hash(NOTICE)), 1);
    std::fs::write(version.join("notice.md"), NOTICE).unwrap();
    std::fs::write(version.join("clauses.toml"), clauses).unwrap();
    derive(folder);
}

fn hash(bytes: impl AsRef<[u8]>) -> String {
    digest(&SHA256, bytes.as_ref()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A SID that ends in this digit.
fn sid(prefix: &str, digit: u8) -> String {
    format!("{prefix}{digit:032}")
}

fn sids(prefix: &str, digits: &[u8]) -> Value {
    digits.iter().map(|digit| sid(prefix, *digit)).collect()
}

fn bytes(length: u64) -> Bytes {
    (0..length).map(pattern_byte).collect()
}

const WAV: u64 = 200_000;
const MP3: u64 = 50_000;
/// A file of another kind has a length of its own.
const PICTURE: u64 = 301;
const TRACK: u64 = 302;
const FILM: u64 = 303;
const TALK: u64 = 304;
const BLEEPED: u64 = 305;
const WORDS: u64 = 306;

/// Eight calls, an hour apart, the first one last; the third and fourth came in on the sales line.
fn recordings() -> Vec<SampleRecording> {
    let latest: Timestamp = "2026-11-03T15:00:00Z".parse().unwrap();
    let one = |digit: u8| {
        let sells = matches!(digit, 3 | 4);
        SampleRecording {
            sid: sid("RE", digit),
            call_sid: Some(sid("CA", if sells { 2 } else { 1 })),
            conference_sid: Some(sid("CF", if sells { 2 } else { 1 })),
            started_at: latest - SignedDuration::from_hours(i64::from(digit) - 1),
            duration_seconds: 4,
            channels: 2,
            audio: SampleAudio::Bytes { wav: bytes(WAV), mp3: bytes(MP3) },
            from: "+14045550123".to_owned(),
            to: if sells { "+14045550177" } else { "+14045550188" }.to_owned(),
            ..SampleRecording::default()
        }
    };
    (1..=8).map(one).collect()
}

/// Three of each thing that there can be several of.
fn account() -> StandInAccount {
    let mut account = everything();
    account.recordings = recordings();
    let of_sales = SampleTranscription {
        sid: sid("TR", 4),
        recording_sid: sid("RE", 3),
        ..account.transcriptions[0].clone()
    };
    account.transcriptions.push(of_sales);
    let payload =
        SamplePayload { bytes: bytes(WORDS), ..account.add_on_results[0].payloads[0].clone() };
    account.add_on_results[0].payloads =
        (1..=2).map(|digit| SamplePayload { sid: sid("XH", digit), ..payload.clone() }).collect();
    let picture = SampleMedia { bytes: bytes(PICTURE), ..account.messages[0].media[0].clone() };
    account.messages[0].media =
        (1..=3).map(|digit| SampleMedia { sid: sid("ME", digit), ..picture.clone() }).collect();
    for video in &mut account.videos {
        // The sound of a meeting would be a call of which nobody knows whether it sells.
        (video.kind, video.bytes, video.encryption) = (TrackKind::Video, bytes(TRACK), None);
    }
    let composition = account.compositions[0].clone();
    account.compositions = (1..=3)
        .map(|digit| {
            let mut film = composition.clone();
            (film.sid, film.bytes) = (sid("CJ", digit), bytes(FILM));
            film
        })
        .collect();
    account.transcripts = transcripts(&account.transcripts[0]);
    account
}

fn transcripts(first: &SampleTranscript) -> Vec<SampleTranscript> {
    let sentence = |digit: u8| SampleSentence {
        sid: sid("GX", digit),
        channel: 1,
        text: format!("My name is Ana {digit}."),
        redacted_text: format!("My name is [PERSON] {digit}."),
    };
    let sentences: Vec<_> = (1..=5).map(sentence).collect();
    let operator = first.operators[0].clone();
    let operators = (1..=3).map(|digit| {
        let mut operator = operator.clone();
        operator.sid = sid("LY", digit);
        operator
    });
    let operators: Vec<_> = operators.collect();
    let one = |digit: u8| SampleTranscript {
        sid: sid("GT", digit),
        sentences: sentences.clone(),
        operators: operators.clone(),
        audio: bytes(TALK),
        redacted_audio: bytes(BLEEPED),
        ..first.clone()
    };
    (1..=3).map(one).collect()
}

/// A client as `noticegate client create --sdk` makes it.
struct Application {
    id: String,
    secret: String,
}

struct Applications {
    world: World,
    /// It may do what the notice says.
    app: Application,
    /// It asks for marketing.
    selling: Application,
    /// It may ask once.
    limited: Application,
}

fn create(world: &World, words: &[&str]) -> Application {
    let create = ["client", "create", "--sdk", "--role", "quality-analyst"];
    let said = noticegate(&world.folder.join("noticegate.toml"), &[&create[..], words].concat());
    assert_eq!(said.code, 0, "{said:?}");
    let told = |word: &str, said: &Said| {
        let line = said.out.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("no `{word}` in {said:?}")).trim().to_owned()
    };
    Application { id: told("id ", &said), secret: told("secret ", &said) }
}

/// A gate before an account with all that Twilio's SDKs can ask for.
async fn applications() -> Applications {
    let config = "[clients]\nfile = \"clients.toml\"".to_owned();
    let settings = WorldSettings { config, policies: notice, ..WorldSettings::default() };
    let mut world = World::prepare(&settings).await;
    let (api, cdn) = (world.standin.address().port(), world.standin.cdn_address().port());
    world.standin = standin(&world.folder).await;
    let config = world.folder.join("noticegate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace(
        &format!("localhost:{api}"),
        &format!("localhost:{}", world.standin.address().port()),
    );
    let text = text.replace(
        &format!("localhost:{cdn}"),
        &format!("localhost:{}", world.standin.cdn_address().port()),
    );
    std::fs::write(&config, text).unwrap();
    // Twilio has too many requests for one recording, and says for how long.
    world.standin.misbehave(Misbehaviour {
        path_contains: format!("{}.json", sid("RE", 8)),
        fault: Fault::Status { status: 429, retry_after: Some(7) },
        times: None,
    });
    let of = |name: &str, purpose: &str, more: &[&str]| {
        create(&world, &[&["--name", name, "--purpose", purpose][..], more].concat())
    };
    let app = of("Review", "quality-monitoring", &[]);
    let selling = of("Offers", "marketing", &[]);
    let once = ["--requests-per-second", "1", "--burst", "1"];
    let limited = of("Export", "quality-monitoring", &once);
    Applications { world: world.started(), app, selling, limited }
}

async fn standin(folder: &Path) -> StandIn {
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
        accounts: vec![account()],
        ways: Ways::default(),
    })
    .await
    .unwrap()
}

/// What is installed for the SDKs; a story without it would prove nothing.
fn installed(path: &str) -> PathBuf {
    let path = PathBuf::from(path);
    assert!(path.exists(), "`{}` is missing; `tests/run` installs it", path.display());
    path.canonicalize().unwrap_or(path)
}

async fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    let name = format!("{command:?}");
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.unwrap().unwrap_or_else(|error| panic!("cannot run {name}: {error}"));
    leaks::search("what a program shows", &[&output.stdout[..], &output.stderr[..]].concat());
    output
}

impl Applications {
    fn gate(&self) -> String {
        format!("https://localhost:{}", self.world.running().server().address().port())
    }

    /// Runs a program with nothing in its environment that could lead past the gate; `trust` are the
    /// variables by which it learns to trust the gate's authority.
    async fn run(&self, words: &[&str], trust: &[&str]) -> Value {
        let ca = self.world.folder.join("ca.pem");
        let mut command = Command::new("timeout");
        command.arg("120").args(words).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("GATE", self.gate()).env("ACCOUNT", ACCOUNT);
        for (prefix, Application { id, secret }) in
            [("", &self.app), ("SELLING_", &self.selling), ("LIMITED_", &self.limited)]
        {
            command.env(format!("{prefix}ID"), id).env(format!("{prefix}SECRET"), secret);
        }
        for name in trust {
            command.env(name, &ca);
        }
        let Output { status, stdout, stderr } = output(command).await;
        let errors = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{words:?}: {errors}");
        serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twilios_sdk_for_python_takes_the_gate_for_twilio() {
    // `tests/run` makes the file when all is there.
    let python = installed("tests/sdk/.venv/installed").with_file_name("bin/python3");
    let applications = applications().await;
    let words = [python.to_str().unwrap(), "tests/sdk/sdk.py"];
    // The second is for the library that does not wait.
    let trust = ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"];
    let results = applications.run(&words, &trust).await;
    let found = sids("RE", &[1, 1, 7, 8]);
    let without_waiting = json!({
        "found": found,
        "deleted": true,
        "refused": 403,
    });
    assert_eq!(results["async"], without_waiting);
    judge(applications, &results, "Unable to fetch record: ", 13).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twilios_sdk_for_node_takes_the_gate_for_twilio() {
    installed("tests/sdk/node_modules/.package-lock.json");
    let applications = applications().await;
    let results = applications.run(&["node", "tests/sdk/sdk.mjs"], &["TWILIO_CA_BUNDLE"]).await;
    judge(applications, &results, "", 12).await;
}

/// What either SDK must have got, and what the ledger and Twilio know of it.
async fn judge(applications: Applications, results: &Value, prefix: &str, deletions: usize) {
    assert_eq!(results["names"], json!(["localhost"]), "nothing but the gate was looked for");
    let gate = applications.gate();
    judge_voice(results, &gate);
    judge_errors(results, prefix);
    judge_the_rest(results, &gate);
    judge_records(applications, deletions).await;
}

fn got(length: u64, kind: &str, redirects: &[u16]) -> Value {
    let sha256 = hash(bytes(length));
    json!({
        "status": 200, "type": kind, "length": length, "sha256": sha256, "redirects": redirects,
    })
}

fn judge_voice(results: &Value, gate: &str) {
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{}", sid("RE", 1));
    let fetched = json!({
        "sid": sid("RE", 1),
        "account": ACCOUNT,
        "call": sid("CA", 1),
        "duration": "4",
        "made": "2026-11-03T15:00:00+00:00",
        "uri": format!("{path}.json"),
        "media_url": format!("{gate}{path}"),
    });
    assert_eq!(results["fetch"], fetched);
    let all = sids("RE", &[1, 2, 5, 6, 7, 8]);
    for list in ["list", "of_call", "of_conference", "by_call", "even_deleted"] {
        assert_eq!(results[list], all, "{list}");
    }
    assert_eq!(results["limited_list"], sids("RE", &[1, 2, 5]));
    // The page of sales calls is empty, and the pages go on.
    let pages = [&[1, 2][..], &[], &[5, 6], &[7, 8]].map(|digits| sids("RE", digits));
    assert_eq!(results["pages"], json!(pages));
    assert_eq!(results["page_before"], sids("RE", &[1, 2]));
    assert_eq!(results["since"], sids("RE", &[1, 2]));
    assert_eq!(results["before"], sids("RE", &[5, 6, 7, 8]));
    for scope in ["one_of_call", "one_of_conference"] {
        assert!(results[scope].as_str().unwrap().ends_with(&format!("{}.json", sid("RE", 1))));
    }
    assert_eq!(results["call"], "inbound");
    let downloads = &results["downloads"];
    let mp3 = bytes(MP3);
    assert_eq!(downloads["mp3"], got(MP3, "audio/mpeg", &[]));
    assert_eq!(downloads["one_channel"], downloads["mp3"]);
    assert_eq!(downloads["wav"], got(WAV, "audio/x-wav", &[]));
    assert_eq!(downloads["part"]["status"], 206);
    assert_eq!(downloads["part"]["sha256"], hash(&mp3[100..200]));
    assert_eq!(
        (&downloads["head"]["status"], &downloads["head"]["length"]),
        (&200.into(), &0.into())
    );
    assert_eq!(results["streamed"], hash(&mp3));
}

fn judge_errors(results: &Value, prefix: &str) {
    let errors = &results["errors"];
    assert_eq!(errors["no_item"], json!([]));
    let marketing = "We do not use recordings for marketing.";
    let sales = "We do not listen to sales calls, and we do not read what was said on them.";
    for (name, status, code, message) in [
        ("refused", 403, 20403, sales),
        ("by_clause", 403, 20403, marketing),
        ("not_deleted", 403, 20403, "which is another purpose"),
        ("missing", 404, 20404, "The requested resource was not found"),
        ("stranger", 401, 20003, "the client's id or secret is wrong"),
        ("busy", 429, 20429, "Too many requests for this account are under way"),
        ("over_limit", 429, 20429, "This client asks more often than it may"),
        ("not_served", 404, 20404, ""),
        ("not_posted", 405, 20004, "only GET and HEAD are served here"),
    ] {
        let error = &errors[name];
        assert_eq!(
            (&error["status"], &error["code"]),
            (&status.into(), &code.into()),
            "{name}: {errors}"
        );
        let text = error["message"].as_str().unwrap();
        assert!(text.contains(message), "{name}: {text}");
        if status == 403 && name != "not_deleted" {
            assert!(text.starts_with(prefix), "{name}: {text}");
            assert!(text.contains("2026-01-01"), "the notice is named: {text}");
        }
    }
}

/// A link of the gate's own, which needs no credentials.
fn assert_link(link: &Value, gate: &str, path: &str) {
    let start = format!("{gate}{path}?");
    let link = link.as_str().unwrap();
    assert!(link.starts_with(&start) && link.contains("ticket="), "{link}");
}

fn judge_the_rest(results: &Value, gate: &str) {
    let transcriptions = json!({
        "list": sids("TR", &[1, 2, 3]),
        "of_recording": sids("TR", &[1, 2, 3]),
        "text": "Good morning.",
        "one_of_recording": "Good morning.",
    });
    assert_eq!(results["transcriptions"], transcriptions);
    assert_eq!(results["add_ons"], sids("XR", &[1]));
    assert_eq!(results["payloads"], sids("XH", &[1, 2]));
    assert_eq!(results["payload"], "transcript");
    let data = &results["payload_data"];
    let path = format!(
        "/2010-04-01/Accounts/{ACCOUNT}/Recordings/{}/AddOnResults/{}/Payloads/{}/Data/Content",
        sid("RE", 1),
        sid("XR", 1),
        sid("XH", 1),
    );
    assert_link(&data["redirect_to"], gate, &path);
    assert_eq!(data["got"], got(WORDS, "application/json", &[]));
    let media = &results["message_media"];
    assert_eq!(media["list"], sids("ME", &[1, 2, 3]));
    assert_eq!(media["type"], "image/png");
    assert_eq!(media["got"], got(PICTURE, "image/png", &[]));

    let video = &results["video"];
    let [rt, cj] = [sid("RT", 1), sid("CJ", 1)];
    for list in ["list", "of_kind", "grouped", "of_room"] {
        assert_eq!(video[list], sids("RT", &[1, 2, 3, 4]), "{list}");
    }
    let pages = [[1, 2], [3, 4]].map(|digits| sids("RT", &digits));
    assert_eq!(video["pages"], json!(pages));
    assert_eq!(video["url"], format!("{gate}/v1/Recordings/{rt}"));
    assert_eq!(video["media"], format!("{gate}/v1/Recordings/{rt}/Media"));
    assert_eq!(video["status"], 302);
    let content = format!("/v1/Recordings/{rt}/Media/Content");
    assert_link(&video["redirect_to"], gate, &content);
    assert_eq!(video["redirect_to"], video["location"]);
    assert_eq!(video["got"], got(TRACK, "video/x-matroska", &[302]));
    assert_eq!(video["compositions"], sids("CJ", &[1, 2, 3]));
    assert_eq!(video["composition"], got(FILM, "video/mp4", &[302]), "{cj}");

    let intelligence = &results["intelligence"];
    assert_eq!(intelligence["list"], sids("GT", &[1, 2, 3]));
    assert_eq!(intelligence["of_source"], sids("GT", &[1, 2, 3]));
    let gt = format!("/v2/Transcripts/{}", sid("GT", 1));
    assert_eq!(intelligence["url"], format!("{gate}{gt}"));
    let said = |who: &str| (1..=5).map(|n| format!("My name is {who} {n}.")).collect::<Vec<_>>();
    assert_eq!(intelligence["sentences"], json!(said("[PERSON]")));
    assert_eq!(intelligence["plain"], json!(said("Ana")));
    assert_eq!(intelligence["results"], sids("LY", &[1, 2, 3]));
    assert_eq!(intelligence["result"], sid("LY", 1));
    assert_link(&intelligence["media_url"], gate, &format!("{gt}/Media/Content"));
    assert_link(&intelligence["encrypted"], gate, &format!("{gt}/Sentences/Encrypted/Content"));
    let encrypted = intelligence["encrypted_results"].as_array().unwrap();
    assert!(!encrypted.is_empty());
    for link in encrypted {
        assert_link(link, gate, &format!("{gt}/OperatorResults/Encrypted/Content"));
    }
    assert_eq!(intelligence["got"], got(BLEEPED, "audio/x-wav", &[]));
    assert_eq!(intelligence["plain_got"], got(TALK, "audio/x-wav", &[]));

    let deleted = &results["deleted"];
    for what in ["of_call", "of_conference", "of_recording", "payload", "add_on", "of_room"] {
        assert_eq!(deleted[what], true, "{what}");
    }
    for what in
        ["recording", "transcription", "message_media", "video", "composition", "transcript"]
    {
        assert_eq!(deleted[what], true, "{what}");
    }
    assert_eq!(
        (&deleted["then"]["status"], &deleted["then"]["code"]),
        (&404.into(), &20404.into())
    );
}

/// What was given is in the ledger, what was refused was not asked for, and no client's proof went on.
async fn judge_records(mut applications: Applications, deletions: usize) {
    let seen = applications.world.standin.seen();
    let own = format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{UPSTREAM_SECRET}")));
    for request in &seen {
        let proof = request.headers.iter().find(|(name, _)| name == "authorization");
        let proof = proof.map(|(_, value)| value.as_str());
        let expected = (request.listener == Listener::Api).then_some(own.as_str());
        assert_eq!(proof, expected, "{} {}", request.method, request.path_and_query);
        let sold = [3, 4].map(|digit| sid("RE", digit));
        let path = &request.path_and_query;
        let is_sound = sold.iter().any(|sid| path.contains(&format!("{sid}.mp3")));
        assert!(!is_sound, "{path}");
    }
    assert_eq!(seen.iter().filter(|seen| seen.method == "DELETE").count(), deletions);

    let entries = applications.world.entries().await;
    let mut lines = disclosures(&entries);
    lines.retain(|line| !line.ends_with(", complete"));
    assert_eq!(lines, ["GET metadata -> 429, 0 bytes from 0, upstream-error"]);
    let intents = of_kind(&entries, "intent");
    let of_app = format!("client|{}", applications.app.id);
    let of_limited = format!("client|{}", applications.limited.id);
    let told =
        |intent: &&&Value, key: &str| intent["media"][key].as_str().unwrap_or_default().to_owned();
    for intent in &intents {
        let caller = intent["caller"]["id"].as_str().unwrap();
        assert!(caller == of_app || caller == of_limited, "{intent}");
        assert_eq!(intent["purpose"], "quality-monitoring");
        assert!(![sid("RE", 3), sid("RE", 4), sid("TR", 4)].contains(&told(&intent, "recording")));
    }
    let count = |form: &str| intents.iter().filter(|intent| told(intent, "form") == form).count();
    for form in ["wav", "mp3", "metadata", "file", "link", "transcription", "sentences", "results"]
    {
        assert!(count(form) > 0, "no disclosure as `{form}`");
    }
    let deleted = intents.iter().filter(|intent| intent["action"] == "delete").count();
    assert_eq!(deleted, deletions);
    let reasons: Vec<&str> =
        of_kind(&entries, "refusal").iter().map(|r| r["reason"].as_str().unwrap()).collect();
    for reason in ["forbidden", "not-permitted", "stranger", "undecidable"] {
        assert!(reasons.contains(&reason), "{reasons:?}");
    }
}

/// What `curl` says of an exchange, and what it got.
struct Curled {
    code: i32,
    info: Value,
    bytes: Vec<u8>,
}

impl Curled {
    #[track_caller]
    fn is(&self, status: u16, bytes: &[u8]) {
        assert_eq!((self.code, &self.info["http_code"]), (0, &status.into()), "{}", self.info);
        let text = String::from_utf8_lossy(&self.bytes);
        assert!(self.bytes == bytes, "{} bytes: {text:.300}", self.bytes.len());
    }

    #[track_caller]
    fn is_error(&self, status: u16) -> Value {
        assert_eq!((self.code, &self.info["http_code"]), (0, &status.into()), "{}", self.info);
        let error: Value = serde_json::from_slice(&self.bytes).unwrap();
        assert_eq!(error["status"], status);
        error
    }
}

impl Applications {
    async fn curl(&self, words: &[&str], path: &str) -> Curled {
        let mut curl = Command::new("curl");
        curl.args(["-q", "-s", "--max-time", "60", "--noproxy", "*", "--cacert"]);
        curl.arg(self.world.folder.join("ca.pem")).args(["-w", "%{stderr}%{json}"]);
        let url = if path.starts_with('/') { self.gate() + path } else { path.to_owned() };
        curl.args(words).arg(url).current_dir(&self.world.folder);
        let Output { status, stdout, stderr } = output(curl).await;
        let info = serde_json::from_slice(&stderr)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr)));
        Curled { code: status.code().unwrap_or(-1), info, bytes: stdout }
    }
}

fn recording(digit: u8, extension: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{}{extension}", sid("RE", digit))
}

/// All that `curl` got below, but for links.
const CURLED: [&str; 17] = [
    "GET wav -> 200, 200000 bytes from 0, complete",
    "GET wav -> 200, 200000 bytes from 0, complete",
    "GET mp3 -> 200, 50000 bytes from 0, complete",
    "GET mp3 -> 200, 50000 bytes from 0, complete",
    "GET mp3 -> 200, 50000 bytes from 0, complete",
    "GET mp3 -> 200, 50000 bytes from 0, complete",
    "GET mp3 bytes=0-99 -> 206, 100 bytes from 0, complete",
    "GET mp3 bytes=-100 -> 206, 100 bytes from 49900, complete",
    "HEAD mp3 -> 200, 0 bytes from 0, complete",
    "GET mp3 bytes=20000- -> 206, 30000 bytes from 20000, complete",
    "GET mp3 bytes=50000- -> 416, 0 bytes from 0, complete",
    "GET mp3 -> 200, 50000 bytes from 0, complete",
    "GET mp3 -> 304, 0 bytes from 0, complete",
    "GET file -> 200, 302 bytes from 0, complete",
    "GET file -> 200, 302 bytes from 0, complete",
    "GET file bytes=1-3 -> 206, 3 bytes from 1, complete",
    "GET file -> 200, 302 bytes from 0, complete",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_takes_the_gate_for_twilio() {
    let mut applications = applications().await;
    let Application { id, secret } = &applications.app;
    let user = format!("{id}:{secret}");
    let as_client = ["-u", user.as_str()];
    let curl = async |words: &[&str], path: &str| {
        applications.curl(&[&as_client[..], words].concat(), path).await
    };
    let (mp3, wav) = (bytes(MP3), bytes(WAV));
    curl(&[], &recording(1, ".wav")).await.is(200, &wav);
    curl(&[], &recording(1, "")).await.is(200, &wav);
    let two = curl(&["--http2"], &recording(1, ".mp3")).await;
    two.is(200, &mp3);
    assert_eq!(two.info["http_version"], "2");
    curl(&["--http1.1"], &recording(1, ".mp3")).await.is(200, &mp3);
    curl(&["--compressed"], &recording(1, ".mp3")).await.is(200, &mp3);
    curl(&["--anyauth"], &recording(1, ".mp3")).await.is(200, &mp3);
    curl(&["-r", "0-99"], &recording(1, ".mp3")).await.is(206, &mp3[..100]);
    curl(&["-r", "-100"], &recording(1, ".mp3")).await.is(206, &mp3[mp3.len() - 100..]);
    let head = curl(&["-I", "--http1.1"], &recording(1, ".mp3")).await;
    let text = String::from_utf8(head.bytes).unwrap().to_lowercase();
    assert_eq!(head.info["http_code"], 200);
    for line in
        ["content-length: 50000\r\n", "content-type: audio/mpeg\r\n", "accept-ranges: bytes\r\n"]
    {
        assert!(text.contains(line), "{text}");
    }

    // A download that broke off goes on where it stopped.
    let half = applications.world.folder.join("half.mp3");
    std::fs::write(&half, &mp3[..20_000]).unwrap();
    curl(&["-C", "-", "-o", "half.mp3"], &recording(1, ".mp3")).await.is(206, b"");
    assert_eq!(std::fs::read(&half).unwrap(), mp3);
    curl(&["-C", "-", "-o", "half.mp3"], &recording(1, ".mp3")).await;
    assert_eq!(std::fs::read(&half).unwrap(), mp3, "what is whole stays as it is");
    curl(&["--etag-save", "tag"], &recording(1, ".mp3")).await.is(200, &mp3);
    curl(&["--etag-compare", "tag"], &recording(1, ".mp3")).await.is(304, b"");

    // Behind a redirect, with and without following it.
    let media = format!("/v1/Recordings/{}/Media", sid("RT", 1));
    let followed = curl(&["-L"], &media).await;
    followed.is(200, &bytes(TRACK));
    assert_eq!(followed.info["num_redirects"], 1);
    let told = curl(&[], &media).await;
    let link: Value = serde_json::from_slice(&told.bytes).unwrap();
    let link = link["redirect_to"].as_str().unwrap();
    assert_eq!((&told.info["http_code"], &told.info["redirect_url"]), (&302.into(), &link.into()));
    // Who has the link needs no proof, and no other.
    applications.curl(&[], link).await.is(200, &bytes(TRACK));
    applications.curl(&["-r", "1-3"], link).await.is(206, &bytes(TRACK)[1..4]);
    applications.curl(&["-u", "nobody:nothing"], link).await.is(200, &bytes(TRACK));
    applications.curl(&[], &link.replace("RT0", "RT1")).await.is_error(401);

    // Nothing is put or posted, and errors are shown as they are.
    std::fs::write(applications.world.folder.join("own.mp3"), &mp3).unwrap();
    std::fs::write(applications.world.folder.join("film.mp4"), bytes(8 << 20)).unwrap();
    for words in [
        &["-T", "own.mp3"][..],
        // It asks first whether so much may come (RFC 9110, 10.1.1).
        &["--http1.1", "-T", "film.mp4"],
        &["--http2", "-T", "film.mp4"],
        &["-d", "Status=stopped"],
        &["-X", "PATCH"],
    ] {
        let error = curl(words, &recording(1, ".json")).await.is_error(405);
        assert_eq!(error["code"], 20004, "{words:?}");
    }
    let refused = curl(&[], &recording(3, ".mp3")).await.is_error(403);
    assert_eq!(
        (&refused["clause"], &refused["notice"]),
        (&"no-sales-calls".into(), &"2026-01-01".into())
    );
    let failed = curl(&["--fail-with-body"], &recording(3, ".mp3")).await;
    assert_eq!(failed.code, 22);
    assert!(serde_json::from_slice::<Value>(&failed.bytes).is_ok());
    curl(&[], &recording(9, ".mp3")).await.is_error(404);
    applications.curl(&["-u", "nobody:nothing"], &recording(1, ".mp3")).await.is_error(401);
    applications.curl(&[], &recording(1, ".mp3")).await.is_error(401);

    let before = applications.world.standin.seen().len();
    let later = applications.world.clock.now() + SignedDuration::from_hours(24);
    applications.world.clock.set(later);
    applications.curl(&[], link).await.is_error(401);
    assert_eq!(applications.world.standin.seen().len(), before, "an old link leads nowhere");
    let entries = applications.world.entries().await;
    let mut lines = disclosures(&entries);
    // The length of a link depends on the gate's port.
    lines.retain(|line| !line.contains(" link "));
    assert_eq!(lines, CURLED);
}

/// The `fetch` of Node, which is the one of browsers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_takes_the_gate_for_twilio() {
    installed("tests/sdk/node_modules/.package-lock.json");
    let mut applications = applications().await;
    let results =
        applications.run(&["node", "tests/sdk/fetch.mjs"], &["NODE_EXTRA_CA_CERTS"]).await;
    assert_eq!(results["mp3"], got(MP3, "audio/mpeg", &[]));
    assert_eq!(results["part"], hash(&bytes(MP3)[100..200]));
    assert_eq!(results["followed"], got(TRACK, "video/x-matroska", &[]));
    assert_eq!(results["linked"], results["followed"]);
    assert_eq!(results["refused"]["code"], 20403);
    let entries = applications.world.entries().await;
    let mut lines = disclosures(&entries);
    // The reader of one answer left after its first piece.
    let left = lines.pop().unwrap();
    assert!(left.starts_with("GET wav -> 200, "), "{left}");
    assert!(lines.iter().all(|line| line.ends_with(", complete")), "{lines:#?}");
    assert_eq!(of_kind(&entries, "refusal").len(), 1);
}
