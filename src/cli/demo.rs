//! `noticegate demo`: the whole product on one machine, with a tour to paste.
//!
//! It makes a folder with certificates, a configuration, the sample notice and its policies, an
//! issuer with tokens, and a ledger; starts the stand-in for Twilio and then the gate from that
//! very configuration, as `serve` would; and prints commands to try.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};

use super::serve::{Order, Signals};
use super::token::{Claims, Signer};
use super::{Exit, complain, say};
use crate::certs::Authority;
use crate::clock::Clock;
use crate::config::Config;
use crate::listener;
use crate::serve::{Prepared, Running};
use crate::standin::{
    Direction, RecordingStatus, SampleAudio, SampleRecording, StandIn, StandInAccount,
    StandInSettings, Ways,
};
use crate::telemetry;

const ACCOUNT: &str = "AC0de00000000000000000000000000001";
const ISSUER: &str = "https://issuer.demo.example";
const AUDIENCE: &str = "noticegate";
const KEY_ID: &str = "demo";

/// A call of three weeks ago.
const RECENT: &str = "RE00000000000000000000000000000021";
/// A call of fourteen months ago.
const OLD: &str = "RE00000000000000000000000000000425";

/// Who can be played in the tour: file name, role.
const CAST: [(&str, &str); 4] = [
    ("ana", "quality-analyst"),
    ("tom", "trainer"),
    ("pia", "privacy-officer"),
    ("rita", "reviewer"),
];

/// The law table, which does not depend on a notice.
pub(super) const LAW: [(&str, &str); 3] = [
    ("law/consent.tsv", include_str!("../../policies/law/consent.tsv")),
    ("law/area_codes.tsv", include_str!("../../policies/law/area_codes.tsv")),
    ("law/README.md", include_str!("../../policies/law/README.md")),
];

/// The policies of the sample notice, as they stand in `policies/`.
const POLICIES: [(&str, &str); 16] = [
    ("vocabulary.toml", include_str!("../../policies/vocabulary.toml")),
    ("decisions.out", include_str!("../../policies/decisions.out")),
    ("tests/brambleside.toml", include_str!("../../policies/tests/brambleside.toml")),
    ("schema.cedarschema", include_str!("../../policies/schema.cedarschema")),
    ("guardrails.cedar", include_str!("../../policies/guardrails.cedar")),
    ("administration.cedar", include_str!("../../policies/administration.cedar")),
    ("administration.cedarschema", include_str!("../../policies/administration.cedarschema")),
    LAW[0],
    LAW[1],
    LAW[2],
    ("notices/2025-02-01/notice.md", include_str!("../../policies/notices/2025-02-01/notice.md")),
    (
        "notices/2025-02-01/clauses.toml",
        include_str!("../../policies/notices/2025-02-01/clauses.toml"),
    ),
    (
        "notices/2025-02-01/clauses.cedar",
        include_str!("../../policies/notices/2025-02-01/clauses.cedar"),
    ),
    ("notices/2026-03-01/notice.md", include_str!("../../policies/notices/2026-03-01/notice.md")),
    (
        "notices/2026-03-01/clauses.toml",
        include_str!("../../policies/notices/2026-03-01/clauses.toml"),
    ),
    (
        "notices/2026-03-01/clauses.cedar",
        include_str!("../../policies/notices/2026-03-01/clauses.cedar"),
    ),
];

/// Try everything on this machine: a gate, a stand-in for Twilio with sound, tokens, a tour
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate demo\n\nCtrl-C ends all of it.")]
pub(super) struct Demo {
    /// The folder to write; a demo's earlier files in it are replaced, its ledger and clients are kept
    #[arg(long, value_name = "FOLDER", default_value = "noticegate-demo")]
    directory: PathBuf,
    /// The port of the gate; 0 takes a free one
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// The port of the console; the next one after the gate's, if it is left out
    #[arg(long)]
    console_port: Option<u16>,
}

type Failure = Box<dyn std::error::Error>;

impl Demo {
    pub(super) fn run(&self) -> Exit {
        let ended = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(Failure::from)
            .and_then(|runtime| self.play(&runtime));
        match ended {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&*error);
                Exit::Failed
            }
        }
    }

    fn play(&self, runtime: &tokio::runtime::Runtime) -> Result<(), Failure> {
        // The gate shares its port with others of its kind, so that upgrades need no pause; here a
        // second one would only confuse.
        let console_port = self.console_port();
        for (port, option) in [(self.port, "--port"), (console_port, "--console-port")] {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
            drop(free.map_err(|error| {
                format!("cannot use port {port}: {error}; choose another with `{option}`")
            })?);
        }
        let mut signals = Signals::catch()?;
        let clock = Clock::system();
        let secret = uuid::Uuid::new_v4().simple().to_string();
        write_certificates(&self.directory)?;
        let tls = listener::server_config(
            &self.directory.join("certs/standin.pem"),
            &self.directory.join("certs/standin.key"),
        )?;
        let standin = runtime.block_on(StandIn::start(standin(tls, &secret, clock.now())))?;
        write_policies(&self.directory.join("policies"))?;
        write_tokens(&self.directory, &clock)?;
        write_private(&self.directory.join("secrets/twilio-auth-token"), &secret)?;
        let path = self.directory.join("noticegate.toml");
        write(&path, &configuration(self.port, console_port, &standin))?;
        let clients = self.directory.join("clients.toml");
        if !clients.exists() {
            write_private(&clients, "# Programs that `noticegate client create` has made.\n")?;
        }
        let config = Config::load(&path)?;
        telemetry::start(&config.log);
        let running = Prepared::new(config, clock)?.start()?;
        self.tour(&running, &standin);
        while signals.next() == Order::Reload {
            running.reload();
        }
        say("\nStopping.");
        running.stop();
        runtime.block_on(standin.stop());
        Ok(())
    }

    fn console_port(&self) -> u16 {
        let next = if self.port == 0 { 0 } else { self.port.saturating_add(1) };
        self.console_port.unwrap_or(next)
    }

    fn tour(&self, running: &Running, standin: &StandIn) {
        let folder = self.directory.display();
        let gate = format!("https://localhost:{}", running.server().address().port());
        let console = running.console().map_or(0, |console| console.address().port());
        let console = format!("https://localhost:{console}");
        let program = std::env::args().next().unwrap_or_else(|| "noticegate".to_owned());
        let url = |sid: &str, end: &str| {
            format!("{gate}/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}{end}")
        };
        let curl = |options: &str, who: &str, purpose: &str, url: String| {
            format!(
                "    curl -sS --cacert {folder}/certs/ca.pem {options} \\\n      \
                 -H \"Authorization: Bearer $(cat {folder}/tokens/{who}.jwt)\" \\\n      \
                 -H 'Noticegate-Purpose: {purpose}' \\\n      {url}"
            )
        };
        let listen = curl("-o call.mp3 -D -", "ana", "quality-monitoring", url(RECENT, ".mp3"));
        let market = curl("-w '\\n'", "ana", "marketing", url(RECENT, ".mp3"));
        let train = curl("-w '\\n'", "tom", "staff-training", url(RECENT, ".wav"));
        let old = curl("-w '\\n'", "ana", "quality-monitoring", url(OLD, ".mp3"));
        say(format_args!(
            "noticegate demo: everything runs on this machine; Ctrl-C ends it.

  gate      {gate}  what your applications call in the place of api.twilio.com
  console   {console}  where people review; see 7
  stand-in  https://localhost:{}  plays Twilio; only the gate has its credential
  folder    {folder}/  certificates, configuration, notices, policies, tokens, ledger

Paste these into another terminal, in the folder where you started the demo.

1. Ana, a quality analyst, listens to a call of three weeks ago. Allowed, and recorded first:

{listen}

2. She wants the same call for marketing. Refused, in the words of the notice:

{market}

3. Tom wants it for training. Nobody recorded that everyone on the call agreed. Refused:

{train}

4. Ana wants a call of fourteen months ago. It was promised to be gone by now. Refused:

{old}

5. All of it is on record, each with the sentence that decided:

    {program} ledger query --config {folder}/noticegate.toml --limit 8

6. The caller on that call asks what was heard of it, and whether anybody changed the record since:

    {program} ledger subject '+1 404 555 0123' --config {folder}/noticegate.toml
    {program} ledger verify --config {folder}/noticegate.toml

7. Rita, a reviewer, looks at all of this in a browser: {console}/login
   The demo has no identity provider, so she signs in with a token; pia.jwt is the privacy officer's.
   (The browser does not know the demo's certificates, and asks whether to go on.)

    cat {folder}/tokens/rita.jwt

8. A program of yours, with Twilio's own SDK: this makes its id and secret, and shows the lines in
   which it changes. In Python, the demo's certificate authority must be known, too:

    {program} client create --config {folder}/noticegate.toml --sdk --name 'Call review' \\
      --role quality-analyst --purpose quality-monitoring
    export REQUESTS_CA_BUNDLE={folder}/certs/ca.pem

9. The notice is {folder}/policies/notices/2026-03-01/notice.md; what it means lies beside it in
   clauses.toml. See what each sentence became, and try a question before anybody asks it:

    {program} check --policies {folder}/policies --sentences
    {program} explain --policies {folder}/policies --role team-lead --purpose safeguarding \\
      --stated approval --stated reason

   Change a clause and run `{program} derive --policies {folder}/policies`: the gate takes it up.
",
            standin.address().port(),
        ));
    }
}

fn write_certificates(directory: &Path) -> Result<(), Failure> {
    let authority = Authority::new()?;
    write(&directory.join("certs/ca.pem"), authority.certificate())?;
    for name in ["gate", "standin"] {
        let issued = authority.issue(&["localhost", "127.0.0.1"])?;
        write(&directory.join(format!("certs/{name}.pem")), &issued.certificate)?;
        write_private(&directory.join(format!("certs/{name}.key")), &issued.key)?;
    }
    Ok(())
}

/// Writes the policy folder of the sample.
pub(super) fn write_policies(folder: &Path) -> Result<(), Failure> {
    for (name, text) in POLICIES {
        write(&folder.join(name), text)?;
    }
    Ok(())
}

fn write_tokens(directory: &Path, clock: &Clock) -> Result<(), Failure> {
    let key = rcgen::KeyPair::generate()?.serialize_pem();
    write_private(&directory.join("issuer/key.pem"), &key)?;
    let encoding = EncodingKey::from_ec_pem(key.as_bytes())?;
    let mut public = Jwk::from_encoding_key(&encoding, Algorithm::ES256)?;
    public.common.key_id = Some(KEY_ID.to_owned());
    let set = serde_json::to_string_pretty(&JwkSet { keys: vec![public] })?;
    write(&directory.join("issuer/jwks.json"), &set)?;
    let signer = Signer {
        key_pem: key.as_bytes(),
        key_id: Some(KEY_ID),
        issuer: ISSUER,
        audience: AUDIENCE,
    };
    for (subject, role) in CAST {
        let roles = [role.to_owned()];
        let token = signer.sign(&Claims { subject, roles: &roles, seconds: 12 * 3600 }, clock)?;
        write_private(&directory.join(format!("tokens/{subject}.jwt")), &token)?;
    }
    Ok(())
}

fn configuration(port: u16, console_port: u16, standin: &StandIn) -> String {
    let api = standin.address().port();
    let cdn = standin.cdn_address().port();
    format!(
        r#"# Written by `noticegate demo`. `noticegate config example` explains every key.

[listen]
address = "127.0.0.1:{port}"
names = ["localhost"]
certificate = "certs/gate.pem"
key = "certs/gate.key"
drain_seconds = 2

[console]
address = "127.0.0.1:{console_port}"

[policies]
directory = "policies"

[ledger]
path = "ledger.sqlite"

[[account]]
sid = "{ACCOUNT}"
upstream = "https://localhost:{api}"
ca_file = "certs/ca.pem"
secret_file = "secrets/twilio-auth-token"
redirect_hosts = ["localhost:{cdn}"]

[clients]
file = "clients.toml"

[[issuer]]
name = "demo"
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
jwks_file = "issuer/jwks.json"
algorithms = ["ES256"]
roles = {{ quality-analyst = "quality-analyst", team-lead = "team-lead", trainer = "trainer", complaints-handler = "complaints-handler", privacy-officer = "privacy-officer", privacy-author = "privacy-author", reviewer = "reviewer", legal-counsel = "legal-counsel", fraud-analyst = "fraud-analyst", retention-operator = "retention-operator" }}

[log]
level = "warn"
"#
    )
}

fn standin(tls: rustls::ServerConfig, secret: &str, now: Timestamp) -> StandInSettings {
    let recording = |sid: &str, call: &str, days: i64, seconds: u32| SampleRecording {
        sid: sid.to_owned(),
        call_sid: Some(call.to_owned()),
        direction: Direction::Inbound,
        started_at: now - SignedDuration::from_hours(24 * days),
        duration_seconds: seconds,
        channels: 2,
        status: RecordingStatus::Completed,
        audio: SampleAudio::Conversation,
        from: "+14045550123".to_owned(),
        to: "+14045550188".to_owned(),
        ..SampleRecording::default()
    };
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut tls = tls;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    StandInSettings {
        address: any,
        cdn_address: any,
        tls: Arc::new(tls),
        host: "localhost".to_owned(),
        accounts: vec![StandInAccount {
            sid: ACCOUNT.to_owned(),
            auth_token: secret.to_owned(),
            recordings: vec![
                recording(RECENT, "CA00000000000000000000000000000021", 21, 42),
                recording(OLD, "CA00000000000000000000000000000425", 425, 30),
            ],
            ..StandInAccount::default()
        }],
        ways: Ways::default(),
    }
}

/// Writes a file, and the folders above it.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_with_mode(path, text, 0o644)
}

/// For what only its owner may read.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    write_with_mode(path, text, 0o600)
}

fn write_with_mode(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error: std::io::Error| format!("cannot write `{}`: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(())
}
