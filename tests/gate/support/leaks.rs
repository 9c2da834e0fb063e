//! What no answer, no log and no ledger may ever hold, and the search for it. The client, the
//! process, the commands and the world search all that they see, and what gates in this process log
//! is searched line by line at the finest level, so that it holds for the whole suite.

use std::io;
use std::sync::{LazyLock, Mutex, Once, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use noticegate::standin::PRESIGNED_MARKER;
use tracing_subscriber::EnvFilter;

use super::client::Answer;
use super::world::{ACCOUNT, UPSTREAM_SECRET};

/// LIMIT: bytes of a body that are searched; what lies behind is sound.
const SEARCHED_MAX: usize = 1 << 20;

/// What the auth token becomes where a story changes it.
pub const NEW_SECRET: &str = "aaaabbbbccccddddeeeeffff00001111";
/// A second account, and its auth token.
pub const OTHER_ACCOUNT: &str = "AC00000000000000000000000000000002";
pub const OTHER_SECRET: &str = "00002222444466668888aaaaccccdddd";
/// A shared key of webhooks.
pub const SHARED_KEY: &str = "a-shared-key-of-webhooks";

/// Each with the name under which it is reported, since a report is public.
static NEEDLES: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let pair = |account: &str, secret: &str| STANDARD.encode(format!("{account}:{secret}"));
    vec![
        ("the upstream secret", UPSTREAM_SECRET.to_owned()),
        ("the upstream credential", pair(ACCOUNT, UPSTREAM_SECRET)),
        ("the next upstream secret", NEW_SECRET.to_owned()),
        ("the next upstream credential", pair(ACCOUNT, NEW_SECRET)),
        ("the other upstream secret", OTHER_SECRET.to_owned()),
        ("the other upstream credential", pair(OTHER_ACCOUNT, OTHER_SECRET)),
        ("the shared key", SHARED_KEY.to_owned()),
        ("a pre-signed URL of the stand-in", PRESIGNED_MARKER.to_owned()),
        ("a pre-signed URL", "X-Amz-Signature".to_owned()),
        ("a pre-signed URL", "x-amz-signature".to_owned()),
        ("a pre-signed URL", "X-Amz-Credential".to_owned()),
        ("a pre-signed URL", "Key-Pair-Id".to_owned()),
    ]
});

/// What of it these bytes hold.
fn found(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    NEEDLES.iter().find(|(_, needle)| text.contains(needle)).map(|(name, _)| *name)
}

/// Panics if these bytes hold one of them.
#[track_caller]
pub fn search(place: &str, bytes: &[u8]) {
    if let Some(name) = found(bytes) {
        panic!("{place} holds {name}");
    }
}

/// Panics if an answer holds one of them.
#[track_caller]
pub fn search_answer(answer: &Answer) {
    for (name, value) in &answer.headers {
        search(&format!("header `{name}`"), value.as_bytes());
    }
    search("a body", &answer.body[..answer.body.len().min(SEARCHED_MAX)]);
}

/// What was found in a log, if anything was.
pub type Logged = Mutex<Option<&'static str>>;

/// What was found in the log of this process: it is told by the next world that ends, since a panic
/// where it is logged would be lost.
static LOGGED: Logged = Mutex::new(None);

/// Has what gates in this process log searched.
pub fn watch_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let set = tracing::subscriber::set_global_default(searching(&LOGGED));
        set.expect("nothing else has set the log up");
    });
}

/// Panics if the log of this process held one of them.
#[track_caller]
pub fn search_the_log() {
    if let Some(name) = LOGGED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        panic!("the log of a gate in this process holds {name}");
    }
}

/// A log as `level = "trace"` has it, that keeps nothing but what it should not hold. The stand-in is
/// no gate: it has pre-signed URLs of its own.
pub fn searching(logged: &'static Logged) -> impl tracing::Subscriber + Send + Sync {
    let filter = EnvFilter::new("warn,noticegate=trace,noticegate::standin=off");
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    lines.json().flatten_event(true).with_writer(move || Searched(logged)).finish()
}

/// Where such a log goes.
struct Searched(&'static Logged);

impl io::Write for Searched {
    /// A line comes whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(name) = found(line) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
