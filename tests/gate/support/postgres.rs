//! A real PostgreSQL server of our own, on a free port of this machine.
//!
//! One server serves the whole test process, with a database for each test. Stories of failure
//! start a server for themselves. However the process ends, a shell that reads from a pipe to it
//! then stops the server and deletes its folder.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The role that has a password, over TCP.
pub const LOGIN: &str = "with_password";
/// Its password.
pub const PASSWORD: &str = "open sesame";

/// Waits for the end of the test process, then stops the server and cleans up.
const GUARD: &str = r#"
    read -r _
    kill -CONT "$(head -n 1 "$1/data/postmaster.pid")" 2>/dev/null
    pg_ctl stop --silent --mode=immediate --pgdata="$1/data" >/dev/null 2>&1
    rm -rf "$1"
"#;

const ACCESS: &str = "
    local all all trust
    host all with_password all scram-sha-256
    host all all all trust
";

const SETTINGS: &str = "
    listen_addresses = '127.0.0.1'
    fsync = on
    max_connections = 200
    lc_messages = 'C'
    log_min_messages = warning
";

pub struct Server {
    folder: PathBuf,
    pub port: u16,
    process: Option<Child>,
    /// Its end is the signal.
    guard: Option<ChildStdin>,
    guard_process: Child,
}

impl Server {
    /// The one that the tests of this process share.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// One that a test may stop and kill.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("gate-pg").tempdir().unwrap().keep();
        if let Some((user, group)) = stranger() {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let mut guard_process = program("sh", &folder)
            .args(["-c", GUARD, "sh"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let guard = guard_process.stdin.take();
        let data = folder.join("data");
        let made = program("initdb", &folder)
            .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username=owner"])
            .args(["--auth=trust", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap_or_else(|error| panic!("cannot run `initdb` ({error}); install `postgresql`"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { folder, port: 0, process: None, guard, guard_process };
        server.put("data/pg_hba.conf", ACCESS);
        server.configure(SETTINGS);
        // Somebody else may take the port that was free.
        server.process = (0..10).find_map(|_| {
            server.port = free_port();
            server.try_start()
        });
        assert!(server.process.is_some(), "PostgreSQL does not start");
        server.sql("postgres", &format!("CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}'"));
        server
    }

    /// A connection string without a password for a database, over TCP.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// The folder of its unix socket.
    pub fn socket(&self) -> &Path {
        &self.folder
    }

    /// A new, empty database; returns its name.
    pub fn database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("world_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs SQL as the owner of everything; returns the rows, `|` between columns.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.sql_as("owner", database, sql).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs SQL as somebody; returns the rows, or the error.
    pub fn sql_as(&self, user: &str, database: &str, sql: &str) -> Result<String, String> {
        let mut child = program("psql", &self.folder)
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--dbname", database])
            .args(["--set=ON_ERROR_STOP=1", "--username", user, "--port"])
            .arg(self.port.to_string())
            .arg("--host")
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Makes the roles of a ledger, and logins that have one of them each.
    pub fn roles(&self, database: &str, logins: &[(&str, &str)]) {
        // Roles belong to the whole server; two scripts at once would collide.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.sql(database, noticegate::ledger::store::Postgres::ROLES);
        for (login, role) in logins {
            let made = format!("SELECT FROM pg_roles WHERE rolname = '{login}'");
            self.sql(
                database,
                &format!(
                    "DO $$ BEGIN IF NOT EXISTS ({made}) THEN CREATE ROLE {login} LOGIN; END IF; END $$;
                     GRANT {role} TO {login}"
                ),
            );
        }
    }

    /// Adds to its settings, for the next time that it starts.
    pub fn configure(&self, settings: &str) {
        let path = self.folder.join("data/postgresql.auto.conf");
        let before = std::fs::read_to_string(&path).unwrap();
        self.put("data/postgresql.auto.conf", &format!("{before}\n{settings}\n"));
    }

    /// Lets it speak TLS with a certificate and its key, both PEM, from the next start on.
    pub fn certify(&self, certificate: &str, key: &str) {
        self.put("data/server.crt", certificate);
        self.put("data/server.key", key);
        self.configure("ssl = on");
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`], on the same port. What a killed
    /// server left behind may be in use for a moment.
    pub fn resume(&mut self) {
        self.process = ticks().take(500).find_map(|()| self.try_start());
        assert!(self.process.is_some(), "PostgreSQL does not start again");
    }

    /// Stops it as an administrator would who does not wait for clients.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        signal("-INT", &[process.id()]);
        process.wait().unwrap();
    }

    /// SIGKILL, to every process of it at once.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        let pid = process.id();
        // Stopped, it can neither replace nor warn the others.
        signal("-STOP", &[pid]);
        signal("-KILL", &[children(pid), vec![pid]].concat());
        process.wait().unwrap();
    }

    /// Freezes every process of it: connections stay, and nobody answers.
    pub fn freeze(&self) {
        let pid = self.process.as_ref().unwrap().id();
        signal("-STOP", &[vec![pid], children(pid)].concat());
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        let pid = self.process.as_ref().unwrap().id();
        signal("-CONT", &[children(pid), vec![pid]].concat());
    }

    fn try_start(&self) -> Option<Child> {
        let mut child = program("postgres", &self.folder)
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        if lines.any(|line| line.contains("database system is ready to accept")) {
            // What else it logs is read, so that it never blocks on a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Some(child);
        }
        child.wait().unwrap();
        None
    }

    /// Writes a file that is the server's own.
    fn put(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = stranger() {
            chown(&path, Some(user), Some(group)).unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.take());
        let _ = self.guard_process.wait();
        if let Some(mut process) = self.process.take() {
            let _ = process.wait();
        }
    }
}

/// A program of PostgreSQL, or of the system, as a user that PostgreSQL accepts.
fn program(name: &str, folder: &Path) -> Command {
    let search = std::env::var("PATH").unwrap_or_default();
    let search = programs().map_or(search.clone(), |found| format!("{}:{search}", found.display()));
    let found = search.split(':').map(|place| Path::new(place).join(name)).find(|at| at.exists());
    let mut command = Command::new(found.unwrap_or_else(|| name.into()));
    command.env("PATH", &search).env("LC_ALL", "C").current_dir(folder);
    if let Some((user, group)) = stranger() {
        command.uid(user).gid(group);
    }
    command
}

/// Where Debian keeps the programs of the newest release.
fn programs() -> Option<PathBuf> {
    let releases = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let release = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let newest = releases.filter_map(Result::ok).filter_map(release).max()?;
    Some(format!("/usr/lib/postgresql/{newest}/bin").into())
}

/// PostgreSQL refuses to run as root: then it runs as the user of the package.
fn stranger() -> Option<(u32, u32)> {
    static STRANGER: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *STRANGER.get_or_init(|| {
        let id = |words: &[&str]| {
            let output = Command::new("id").args(words).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
        };
        if id(&["-u"]) != Some(0) {
            return None;
        }
        let user = if id(&["-u", "postgres"]).is_some() { "postgres" } else { "nobody" };
        Some((id(&["-u", user])?, id(&["-g", user])?))
    })
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn children(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// Sends a signal, such as `-STOP`.
pub fn signal(signal: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    // One that has ended in the meantime is no failure.
    let _ = Command::new("kill").arg(signal).args(pids).stderr(Stdio::null()).status();
}

/// Comes every 20 ms, the first time at once.
pub fn ticks() -> impl Iterator<Item = ()> {
    let (silent, never) = std::sync::mpsc::channel::<()>();
    let pause = std::iter::repeat_with(move || {
        let _open = &silent;
        let _ = never.recv_timeout(std::time::Duration::from_millis(20));
    });
    std::iter::once(()).chain(pause)
}

/// A way to a server that can be cut. Whoever connects while it is cut is turned away.
pub struct Line {
    pub port: u16,
    state: Arc<LineState>,
}

#[derive(Default)]
struct LineState {
    server: u16,
    is_cut: AtomicBool,
    /// What the server says is swallowed.
    is_mute: AtomicBool,
    /// How many bytes came from the gate while the line was mute.
    asked: AtomicUsize,
    ends: Mutex<Vec<TcpStream>>,
}

impl Line {
    pub fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(LineState { server: server.port, ..LineState::default() });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                shared.connect(client);
            }
        });
        Self { port, state }
    }

    /// Ends every connection, and lets nobody through.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for end in self.state.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// From now on the gate is heard and the server is not, until it is cut.
    pub fn mute(&self) {
        self.state.asked.store(0, Ordering::SeqCst);
        self.state.is_mute.store(true, Ordering::SeqCst);
    }

    pub fn mend(&self) {
        self.state.is_mute.store(false, Ordering::SeqCst);
        self.state.is_cut.store(false, Ordering::SeqCst);
    }
}

impl LineState {
    fn connect(self: &Arc<Self>, client: TcpStream) {
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        let twin = |end: &TcpStream| end.try_clone().unwrap();
        self.ends.lock().unwrap().extend([twin(&client), twin(&server)]);
        let ways = [(twin(&client), twin(&server), false), (server, client, true)];
        for (from, to, is_answer) in ways {
            let state = Arc::clone(self);
            std::thread::spawn(move || state.carry(from, to, is_answer));
        }
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, is_answer: bool) {
        let mut buffer = [0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let is_mute = self.is_mute.load(Ordering::SeqCst);
            if is_mute && is_answer {
                continue;
            }
            if is_mute {
                self.asked.fetch_add(read, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
