//! Bad behaviour on demand: the rules a test sets, and which of them apply to a request.
//!
//! In: [`Misbehaviour`] rules; then each request's listener, target and kind. Out: one [`Faults`]
//! with everything that applies to that request, counted down where a rule has a number of times.
//! A rule must never reach a request it does not match, and never more often than it says.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use uuid::Uuid;

use super::seen::Listener;

/// A rule: which requests, what goes wrong, how often.
#[derive(Clone, Debug)]
pub struct Misbehaviour {
    /// Matches when the request target (path and query, either listener) contains this text; an
    /// empty text matches all. A trailing `$` anchors it at the end of the path, query not
    /// counted: `RE..$` means the media without extension and not its `.json`. The CDN alone is
    /// `X-Amz-Signature`, the API alone is `/2010-04-01/`.
    pub path_contains: String,
    /// What goes wrong.
    pub fault: Fault,
    /// For how many requests it holds; `None` until [`StandIn::behave`](super::StandIn::behave).
    pub times: Option<u32>,
}

/// What can go wrong. Several at once are possible, with one rule each.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error in Twilio's shape (S3's on the CDN), before credentials are looked at.
    Status {
        /// The HTTP status.
        status: u16,
        /// Seconds for a `Retry-After` header.
        retry_after: Option<u32>,
    },
    /// A redirect instead of media or of the usual redirect to media, once credentials and media
    /// are found good. API only.
    Redirect {
        /// Where it points.
        to: RedirectTarget,
        /// 301, 302, 303, 307 or 308.
        status: u16,
    },
    /// Answer 200 with the whole object to a request with `Range`. Media only.
    IgnoreRange,
    /// Another entity tag in each answer, as if the object had been replaced since the last one:
    /// an `If-Range` with the tag seen before gets everything. Media only.
    ChangeEtag,
    /// No `Content-Length`: a chunked answer.
    NoLength,
    /// Abort the connection after so many bytes of the body. With a number of times of 1 a resume
    /// succeeds.
    CutAfter {
        /// Bytes sent before that.
        bytes: u64,
    },
    /// Send so many bytes of the body and then nothing, with the connection left open.
    StallAfter {
        /// Bytes sent before that.
        bytes: u64,
    },
    /// Never answer.
    StallBeforeHead,
    /// Answer late.
    DelayHead {
        /// How late.
        millis: u64,
    },
    /// Claim this content type.
    ContentType(String),
    /// Claim this content encoding; the bytes stay what they are.
    ContentEncoding(String),
    /// Set these headers; each replaces what was there under its name.
    ExtraHeaders(Vec<(String, String)>),
    /// Metadata that is not JSON. Metadata only.
    BreakJson,
    /// Merge these keys into the metadata as RFC 7396 does: null deletes. Metadata only.
    ReplaceJson(Value),
}

/// Where a [`Fault::Redirect`] points.
#[derive(Clone, Debug)]
pub enum RedirectTarget {
    /// A pre-signed URL on the CDN listener.
    OwnCdn {
        /// Redirects in all until the media: 1 is straight there, 0 counts as 1.
        hops: u8,
    },
    /// Any location.
    Url(String),
}

/// What a request asks for, as far as rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes, or a redirect to them.
    Media,
    /// JSON.
    Metadata,
    /// Neither.
    Unknown,
}

/// Everything that goes wrong with one request.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) status: Option<(u16, Option<u32>)>,
    pub(super) redirect: Option<(RedirectTarget, u16)>,
    pub(super) ignore_range: bool,
    /// Goes into the entity tag; no two answers have the same.
    pub(super) etag_serial: Option<Uuid>,
    pub(super) no_length: bool,
    pub(super) cut_after: Option<u64>,
    pub(super) stall_after: Option<u64>,
    pub(super) stall_before_head: bool,
    pub(super) delay_millis: Option<u64>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) break_json: bool,
    pub(super) replace_json: Vec<Value>,
}

impl Faults {
    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Status { status, retry_after } => self.status = Some((status, retry_after)),
            Fault::Redirect { to, status } => self.redirect = Some((to, status)),
            Fault::IgnoreRange => self.ignore_range = true,
            Fault::ChangeEtag => self.etag_serial = Some(Uuid::now_v7()),
            Fault::NoLength => self.no_length = true,
            Fault::CutAfter { bytes } => self.cut_after = Some(bytes),
            Fault::StallAfter { bytes } => self.stall_after = Some(bytes),
            Fault::StallBeforeHead => self.stall_before_head = true,
            Fault::DelayHead { millis } => self.delay_millis = Some(millis),
            Fault::ContentType(value) => self.headers.push(("content-type".to_owned(), value)),
            Fault::ContentEncoding(value) => {
                self.headers.push(("content-encoding".to_owned(), value));
            }
            Fault::ExtraHeaders(headers) => self.headers.extend(headers),
            Fault::BreakJson => self.break_json = true,
            Fault::ReplaceJson(patch) => self.replace_json.push(patch),
        }
    }
}

/// The rules in force.
#[derive(Default)]
pub(super) struct RuleBook(Mutex<Vec<Misbehaviour>>);

impl RuleBook {
    /// Adds a rule after those already there; where two contradict, the later one wins.
    pub(super) fn add(&self, rule: Misbehaviour) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Drops all rules.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What applies to this request. Rules with a number of times are counted down here.
    pub(super) fn apply(&self, listener: Listener, kind: Kind, target: &str) -> Faults {
        let mut faults = Faults::default();
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.retain_mut(|rule| {
            let applies =
                concerns(&rule.fault, listener, kind) && matches(&rule.path_contains, target);
            let left = rule.times;
            if applies && left != Some(0) {
                faults.add(rule.fault.clone());
                rule.times = left.map(|times| times.saturating_sub(1));
            }
            rule.times != Some(0)
        });
        faults
    }
}

fn matches(pattern: &str, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or(target);
    pattern
        .strip_suffix('$')
        .map_or_else(|| target.contains(pattern), |anchored| path.ends_with(anchored))
}

/// Faults of media leave metadata alone and the other way round, so that a rule on a SID is
/// not used up by the request that was not meant.
fn concerns(fault: &Fault, listener: Listener, kind: Kind) -> bool {
    match fault {
        Fault::Redirect { .. } => kind == Kind::Media && listener == Listener::Api,
        Fault::IgnoreRange | Fault::ChangeEtag => kind == Kind::Media,
        Fault::BreakJson | Fault::ReplaceJson(_) => kind == Kind::Metadata,
        Fault::Status { .. }
        | Fault::NoLength
        | Fault::CutAfter { .. }
        | Fault::StallAfter { .. }
        | Fault::StallBeforeHead
        | Fault::DelayHead { .. }
        | Fault::ContentType(_)
        | Fault::ContentEncoding(_)
        | Fault::ExtraHeaders(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path_contains: &str, fault: Fault, times: Option<u32>) -> Misbehaviour {
        Misbehaviour { path_contains: path_contains.to_owned(), fault, times }
    }

    #[test]
    fn a_rule_is_used_up_after_its_number_of_times() {
        let book = RuleBook::default();
        book.add(rule("/RE1", Fault::NoLength, Some(2)));
        let hit = || book.apply(Listener::Api, Kind::Media, "/x/RE1.mp3").no_length;
        assert!(!book.apply(Listener::Api, Kind::Media, "/x/RE2.mp3").no_length);
        assert_eq!([hit(), hit(), hit()], [true, true, false]);
    }

    #[test]
    fn an_anchor_tells_the_extensionless_media_from_its_metadata() {
        assert!(matches("RE1$", "/x/RE1?RequestedChannels=1"));
        assert!(!matches("RE1$", "/x/RE1.json"));
        assert!(matches("RE1", "/x/RE1.json"));
        assert!(matches("", "/anything"));
    }

    #[test]
    fn a_redirect_never_reaches_the_cdn_nor_metadata() {
        let book = RuleBook::default();
        let to = RedirectTarget::OwnCdn { hops: 1 };
        book.add(rule("", Fault::Redirect { to, status: 302 }, None));
        assert!(book.apply(Listener::Cdn, Kind::Media, "/").redirect.is_none());
        assert!(book.apply(Listener::Api, Kind::Metadata, "/").redirect.is_none());
        assert!(book.apply(Listener::Api, Kind::Media, "/").redirect.is_some());
    }
}
