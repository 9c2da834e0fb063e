//! One gate, one stand-in, one issuer, one ledger, one clock that is moved by hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use jiff::Timestamp;
use noticegate::certs::Authority;
use noticegate::clock::Clock;
use noticegate::config::Config;
use noticegate::facts::Statement;
use noticegate::ledger::Clerk;
use noticegate::ledger::store::{Postgres, Store as _};
use noticegate::serve::{Prepared, Running};
use noticegate::standin::{
    Direction, RecordingStatus, SampleAudio, SampleRecording, StandIn, StandInAccount,
    StandInSettings, Ways,
};
use serde_json::Value;

use super::client::{Answer, Client};
use super::leaks;
use super::policies::without_guardrail;
use super::postgres::{Line, Server};
use super::tokens::{self, TokenKey};

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const RECORDING: &str = "RE0123456789abcdef0123456789abcdef";
pub const CALL: &str = "CA0123456789abcdef0123456789abcdef";
/// What the clock of every world says at first.
pub const NOW: &str = "2026-11-23T12:00:00Z";
/// The upstream credential; no caller, log or entry may ever hold it.
pub const UPSTREAM_SECRET: &str = "5ec2e7f00d5ec2e7f00d5ec2e7f00d00";
/// A number that a Call resource holds; no caller, log or entry may ever hold it.
pub const NUMBER: &str = "+14045550123";

/// Where a world's ledger lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// In a file of the world's folder.
    #[default]
    File,
    /// In a new database of the server that all tests share.
    Database,
    /// In a database that somebody made.
    Url(String),
}

/// Tells stories that take a [`Store`] on each of them, on two threads.
macro_rules! on_both_stores {
    ($($story:ident),+ $(,)?) => { $(
        mod $story {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_a_file() {
                super::$story(crate::support::world::Store::File).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_a_database() {
                super::$story(crate::support::world::Store::Database).await;
            }
        }
    )+ };
}
pub(crate) use on_both_stores;

/// What can differ between worlds.
pub struct WorldSettings {
    /// More lines for the configuration, after the tables below.
    pub config: String,
    /// More lines for the issuer's table.
    pub issuer: String,
    /// More lines for the account's table.
    pub account: String,
    /// The recordings at the stand-in.
    pub recordings: Vec<SampleRecording>,
    /// All that the account holds at the stand-in, in the place of `recordings`.
    pub holding: Option<fn() -> StandInAccount>,
    /// What else the account holds at the stand-in.
    pub samples: fn(&mut StandInAccount),
    /// Where the issuer's keys are; `None` puts them into a file.
    pub jwks_url: Option<String>,
    /// Another upstream than the stand-in, `host:port`.
    pub upstream: Option<String>,
    /// How often the gate looks at the policy folder; 0 only when it is told to.
    pub watch_seconds: u32,
    /// Called with the policy folder before the gate starts.
    pub policies: fn(&Path),
    /// True if what the law demands is part of the story. In the others, whose calls often have
    /// nobody on them, the guardrail that asks for everybody's consent is not there.
    pub law: bool,
    /// The folder to use; `None` makes a temporary one.
    pub folder: Option<PathBuf>,
    /// The ledger's place, if not in the folder.
    pub ledger: Option<PathBuf>,
    /// Where the ledger lies.
    pub store: Store,
    /// More lines for the ledger's table.
    pub ledger_config: String,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            config: String::new(),
            issuer: String::new(),
            account: String::new(),
            recordings: vec![recording(RECORDING, "2026-11-03T09:15:02Z")],
            holding: None,
            samples: |_| {},
            jwks_url: None,
            upstream: None,
            watch_seconds: 0,
            policies: |_| {},
            law: false,
            folder: None,
            ledger: None,
            store: Store::default(),
            ledger_config: String::new(),
        }
    }
}

pub struct World {
    pub standin: StandIn,
    pub client: Client,
    pub clock: Clock,
    pub key: TokenKey,
    pub folder: PathBuf,
    pub authority: Arc<Authority>,
    pub ledger: PathBuf,
    /// The string that leads to the ledger's database, if it lies in one.
    pub url: Option<String>,
    running: Option<Running>,
    _temporary: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(WorldSettings::default()).await
    }

    pub async fn with(settings: WorldSettings) -> Self {
        let world = Self::prepare(&settings).await;
        world.started()
    }

    /// Everything but the running gate: for tests that run the binary.
    pub async fn prepare(settings: &WorldSettings) -> Self {
        leaks::watch_the_log();
        let temporary = tempfile::tempdir().unwrap();
        let folder = settings.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
        let authority = Arc::new(Authority::new().unwrap());
        let key = TokenKey::new("key-1");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("ca.pem", authority.certificate());
        for name in ["gate", "standin"] {
            let issued = authority.issue(&["localhost", "127.0.0.1"]).unwrap();
            write(&format!("{name}.pem"), &issued.certificate);
            write(&format!("{name}.key"), &issued.key);
        }
        write("token", UPSTREAM_SECRET);
        write("jwks.json", &tokens::key_set(&[&key]));
        copy_folder(Path::new("policies"), &folder.join("policies"));
        if !settings.law {
            without_guardrail(&folder.join("policies"), "guardrail-all-party-consent");
        }
        (settings.policies)(&folder.join("policies"));
        let mut account = match settings.holding {
            Some(holding) => holding(),
            None => StandInAccount {
                sid: ACCOUNT.to_owned(),
                auth_token: UPSTREAM_SECRET.to_owned(),
                recordings: settings.recordings.clone(),
                ..StandInAccount::default()
            },
        };
        (settings.samples)(&mut account);
        let standin = start_standin(&folder, account).await;
        let ledger = settings.ledger.clone().unwrap_or_else(|| folder.join("ledger.sqlite"));
        let url = match &settings.store {
            Store::File => None,
            Store::Database => {
                let server = Server::shared();
                Some(server.url("owner", &server.database()))
            }
            Store::Url(url) => Some(url.clone()),
        };
        url.iter().for_each(|url| write("url", url));
        let place = match url {
            Some(_) => DATABASE.to_owned(),
            None => format!("path = \"{}\"", ledger.display()),
        };
        write("noticegate.toml", &configuration(settings, &standin, &place));
        let clock = Clock::manual(NOW.parse().unwrap());
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let client = Client::new(nowhere, authority.certificate());
        Self {
            standin,
            client,
            clock,
            key,
            folder,
            authority,
            ledger,
            url,
            running: None,
            _temporary: temporary,
        }
    }

    /// Starts the gate in this process.
    pub fn started(mut self) -> Self {
        let config = Config::load(&self.folder.join("noticegate.toml")).unwrap();
        // Apart from this test's runtime, as `serve` starts it.
        let clock = self.clock.clone();
        let start = move || Prepared::new(config, clock).unwrap().start().unwrap();
        let running = std::thread::spawn(start).join().unwrap();
        self.client = Client::new(running.server().address(), self.authority.certificate());
        self.running = Some(running);
        self
    }

    /// The configuration of another gate on the same ledger, with a folder of its own.
    pub fn another(&self, name: &str) -> PathBuf {
        let first = std::fs::read_to_string(self.folder.join("noticegate.toml")).unwrap();
        let other = first.replace("noticegate.d", &format!("{name}.d"));
        assert_ne!(first, other, "the ledger lies in a database");
        let path = self.folder.join(format!("{name}.toml"));
        std::fs::write(&path, other).unwrap();
        path
    }

    /// The configuration of another gate that reaches the database by a line alone.
    pub fn far(&self, line: &Line) -> PathBuf {
        let path = self.another("far");
        let text = std::fs::read_to_string(&path).unwrap().replace("\"url\"", "\"far-url\"");
        std::fs::write(&path, text).unwrap();
        let near = Server::shared().port.to_string();
        let far = self.url.as_ref().unwrap().replace(&near, &line.port.to_string());
        std::fs::write(self.folder.join("far-url"), far).unwrap();
        path
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// A client of the gate's console.
    pub fn console(&self) -> Client {
        let address = self.running().console().expect("there is a console").address();
        Client::new(address, self.authority.certificate())
    }

    /// A token for somebody with these roles.
    pub fn token(&self, subject: &str, roles: &[&str]) -> String {
        self.key.sign(&tokens::claims(self.clock.now(), subject, roles))
    }

    /// A request of Ana, a quality analyst, for quality monitoring.
    pub fn ana(&self, path: &str) -> http::request::Builder {
        self.who("ana", "quality-analyst", "quality-monitoring", path)
    }

    pub fn who(
        &self,
        subject: &str,
        role: &str,
        purpose: &str,
        path: &str,
    ) -> http::request::Builder {
        Client::get(path)
            .header("authorization", format!("Bearer {}", self.token(subject, &[role])))
            .header("noticegate-purpose", purpose)
    }

    /// Sends it over HTTP/1.1.
    pub async fn send(&self, request: http::request::Builder) -> Answer {
        self.client.send(request.body(Empty::<Bytes>::new()).unwrap()).await
    }

    /// What upstream saw of the sound itself, leaving out the metadata the gate reads.
    pub fn media_requests(&self) -> Vec<String> {
        let seen = self.standin.seen().into_iter();
        let line = |seen: noticegate::standin::SeenRequest| {
            format!("{} {}", seen.method, seen.path_and_query)
        };
        seen.filter(|seen| !seen.path_and_query.contains(".json")).map(line).collect()
    }

    /// States things as another process does, and waits until this gate has heard of it. Returns
    /// the place of the first entry.
    pub fn state(&self, statements: &[Value]) -> u64 {
        let place = self.state_unheard(statements);
        self.hears(place + statements.len() as u64 - 1);
        place
    }

    /// What the operations listener tells a monitoring system.
    pub async fn metrics(&self) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let address = self.running().server().operations().unwrap();
        let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let ask = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        tcp.write_all(ask).await.unwrap();
        let mut text = String::new();
        tcp.read_to_string(&mut text).await.unwrap();
        text
    }

    /// Waits until this gate has heard of the statement at a place.
    pub fn hears(&self, last: u64) {
        if let Some(running) = &self.running {
            let mut changes = running.changes();
            let hear = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(changes.wait_for(|known| *known > last)).map(|_| ()).unwrap();
            };
            std::thread::spawn(hear).join().unwrap();
        }
    }

    /// States things as another process does: beside the gate, through the store alone. Returns
    /// the place of the first entry.
    pub fn state_unheard(&self, statements: &[Value]) -> u64 {
        let config = Config::load(&self.folder.join("noticegate.toml")).unwrap();
        let statements: Vec<Statement> =
            statements.iter().map(|one| serde_json::from_value(one.clone()).unwrap()).collect();
        let clock = self.clock.clone();
        let state = move || {
            let mut clerk = Clerk::open(&config.ledger, clock, "operator".to_owned()).unwrap();
            clerk.state(&statements).unwrap()
        };
        // Apart from this test's runtime, as the store has one of its own.
        std::thread::spawn(state).join().unwrap()
    }

    /// Stops the gate, so that everything is written, and reads the ledger, oldest first.
    pub async fn entries(&mut self) -> Vec<Value> {
        self.stop().await;
        self.read_entries()
    }

    /// Reads the ledger as it is on disk now, oldest first.
    pub fn read_entries(&self) -> Vec<Value> {
        if let Some(url) = &self.url {
            let entries = entries_at(url);
            let all = entries.iter().map(Value::to_string).collect::<String>();
            leaks::search("the ledger", all.as_bytes());
            return entries;
        }
        self.search_ledger();
        let connection = rusqlite::Connection::open(&self.ledger).unwrap();
        let mut statement = connection.prepare("SELECT bytes FROM entry ORDER BY seq").unwrap();
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        rows.map(|bytes| serde_json::from_slice(&bytes.unwrap()).unwrap()).collect()
    }

    /// Searches the ledger's files, with what they hold beside the entries, for what no ledger may
    /// hold.
    fn search_ledger(&self) {
        for end in ["", "-wal"] {
            let file = raw(Path::new(&format!("{}{end}", self.ledger.display())));
            leaks::search("the ledger", &file);
        }
    }

    /// Stops the gate as SIGTERM would.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            tokio::task::spawn_blocking(move || running.stop()).await.unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.search_ledger();
        leaks::search_the_log();
        // A story may have ended with its database.
        if let Some(entries) = self.url.as_ref().and_then(|url| entries_if_there(url)) {
            leaks::search("the ledger", &entries.concat());
        }
    }
}

/// What is in a file of SQLite's, read by another process: who opens one and closes it again takes
/// from its own process all the locks that SQLite holds there, and a gate in this process would be
/// left without. Nothing if there is no such file.
pub fn raw(path: &Path) -> Vec<u8> {
    std::process::Command::new("cat").arg(path).output().unwrap().stdout
}

/// The ledger's lines of a world in a database.
const DATABASE: &str = "\
directory = \"noticegate.d\"
key_file = \"ledger.key\"
postgres = { url_file = \"url\" }";

/// The entries in a database, oldest first.
pub fn entries_at(url: &str) -> Vec<Value> {
    let url = url.to_owned();
    // Apart from this test's runtime, as the store has one of its own.
    let read = move || {
        let mut store = Postgres::connect(&url, None).unwrap();
        store.read(0, usize::MAX).unwrap()
    };
    let stored = std::thread::spawn(read).join().unwrap();
    stored.iter().map(|stored| serde_json::from_slice(&stored.bytes).unwrap()).collect()
}

/// The entries in a database as they lie there, if it is there.
fn entries_if_there(url: &str) -> Option<Vec<Vec<u8>>> {
    let url = url.to_owned();
    let read = move || {
        let stored = Postgres::connect(&url, None).ok()?.read(0, usize::MAX).ok()?;
        Some(stored.into_iter().map(|stored| stored.bytes.to_vec()).collect())
    };
    std::thread::spawn(read).join().ok().flatten()
}

/// The entries of one kind.
pub fn of_kind<'a>(entries: &'a [Value], kind: &str) -> Vec<&'a Value> {
    entries.iter().filter(|entry| entry["t"] == kind).collect()
}

/// A short call with two channels that started then.
pub fn recording(sid: &str, started_at: &str) -> SampleRecording {
    SampleRecording {
        sid: sid.to_owned(),
        call_sid: Some(CALL.to_owned()),
        direction: Direction::Inbound,
        started_at: started_at.parse::<Timestamp>().unwrap(),
        duration_seconds: 4,
        channels: 2,
        status: RecordingStatus::Completed,
        audio: SampleAudio::Conversation,
        from: NUMBER.to_owned(),
        to: "+14045550188".to_owned(),
        ..SampleRecording::default()
    }
}

/// The path of the sample recording with an extension.
pub fn path(extension: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}{extension}")
}

/// A stand-in with this account, under the certificate in a world's folder.
pub async fn start_standin(folder: &Path, account: StandInAccount) -> StandIn {
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
        accounts: vec![account],
        ways: Ways::default(),
    })
    .await
    .unwrap()
}

fn configuration(settings: &WorldSettings, standin: &StandIn, place: &str) -> String {
    let api = format!("localhost:{}", standin.address().port());
    let upstream = settings.upstream.as_ref().unwrap_or(&api);
    let cdn = standin.cdn_address().port();
    let keys = match &settings.jwks_url {
        Some(url) => format!("jwks_url = \"{url}\"\nca_file = \"ca.pem\""),
        None => "jwks_file = \"jwks.json\"".to_owned(),
    };
    let WorldSettings { config, issuer, account, watch_seconds, ledger_config, .. } = settings;
    format!(
        r#"
[listen]
address = "127.0.0.1:0"
names = ["localhost"]
certificate = "gate.pem"
key = "gate.key"
workers = 1
drain_seconds = 1

[operations]
address = "127.0.0.1:0"

[policies]
directory = "policies"
watch_seconds = {watch_seconds}

[ledger]
{place}
{ledger_config}

[[account]]
sid = "{ACCOUNT}"
upstream = "https://{upstream}"
ca_file = "ca.pem"
secret_file = "token"
redirect_hosts = ["localhost:{cdn}"]
{account}

[[issuer]]
name = "test"
issuer = "{}"
audiences = ["{}"]
{keys}
algorithms = ["ES256"]
roles = {{ quality-analyst = "quality-analyst", team-lead = "team-lead", trainer = "trainer", privacy-officer = "privacy-officer", complaints-handler = "complaints-handler", legal-counsel = "legal-counsel", retention-operator = "retention-operator", reviewer = "reviewer", facts-source = "facts-source", privacy-author = "privacy-author" }}
{issuer}

{config}
"#,
        tokens::ISSUER,
        tokens::AUDIENCE,
    )
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// A request with no body, for clients that take one.
pub fn bodiless(request: http::request::Builder) -> Request<Empty<Bytes>> {
    request.body(Empty::new()).unwrap()
}
