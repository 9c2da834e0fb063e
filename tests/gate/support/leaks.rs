//! What no answer, no log and no ledger may ever hold, and the search for it. The client, the
//! process and the world search all that they see, so that it holds for the whole suite.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use noticegate::standin::PRESIGNED_MARKER;

use super::client::Answer;
use super::world::{ACCOUNT, UPSTREAM_SECRET};

/// LIMIT: bytes of a body that are searched; what lies behind is sound.
const SEARCHED_MAX: usize = 1 << 20;

/// Each with the name under which it is reported, since a report is public.
static NEEDLES: LazyLock<[(&str, String); 4]> = LazyLock::new(|| {
    let pair = format!("{ACCOUNT}:{UPSTREAM_SECRET}");
    [
        ("the upstream secret", UPSTREAM_SECRET.to_owned()),
        ("the upstream credential", STANDARD.encode(pair)),
        ("a pre-signed URL of the stand-in", PRESIGNED_MARKER.to_owned()),
        ("a pre-signed URL", "X-Amz-Signature".to_owned()),
    ]
});

/// Panics if these bytes hold one of them.
#[track_caller]
pub fn search(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for (name, needle) in &*NEEDLES {
        assert!(!text.contains(needle), "{place} holds {name}");
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
