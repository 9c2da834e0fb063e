//! Who is signed in with a browser.
//!
//! A session is named by 256 random bits in a cookie that only this host gets, only over TLS and
//! never a script; what is kept here is its hash. It ends when nobody used it for a while, when it
//! has lasted long enough, when the token that it was begun with ends, and with the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::clock::Clock;
use crate::config;
use crate::identity::Caller;

/// The cookie that names a session.
const SESSION: &str = "__Host-noticegate";

/// The cookie that ties a sign-in to the browser in which it began.
const BEGUN: &str = "__Host-noticegate-login";

/// LIMIT: seconds that somebody may take to sign in.
pub(super) const BEGUN_SECONDS: i64 = 600;

/// A random name that only a browser has.
#[derive(Clone)]
pub(super) struct Name(String);

/// Nothing of it shows.
impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Name(not shown)")
    }
}

/// What is kept of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hash([u8; 32]);

/// One of the two cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    /// Who is signed in.
    Session,
    /// Who is about to.
    Begun,
}

impl Cookie {
    fn name(self) -> &'static str {
        match self {
            Self::Session => SESSION,
            Self::Begun => BEGUN,
        }
    }

    /// The name in a request's cookie of this kind. Two of them are none: one would be somebody
    /// else's.
    pub(super) fn of(self, headers: &HeaderMap) -> Option<Name> {
        let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| name.trim() == self.name());
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Name::read(value.trim()),
            _ => None,
        }
    }

    /// What has a browser keep it, until it is closed.
    pub(super) fn set(self, name: &Name) -> Option<HeaderValue> {
        let text = format!("{}={}; {ATTRIBUTES}", self.name(), name.0);
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// What has a browser forget it.
    pub(super) fn forget(self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{}=; {ATTRIBUTES}; Max-Age=0", self.name())).ok()
    }
}

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

impl Name {
    /// 256 random bits; `None` without randomness.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).ok()?;
        Some(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    pub(super) fn hash(&self) -> Hash {
        Hash::of(self.0.as_bytes())
    }
}

impl Hash {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, bytes);
        let mut own = [0; 32];
        own.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        Self(own)
    }
}

/// What proves who has the session.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// A token, as a header would hold it: it is verified again at each request.
    Token(HeaderValue),
    /// A provider said who they are.
    Provider(Arc<Caller>, SignOut),
}

/// How to end the session at the provider, too.
#[derive(Clone, Debug, Default)]
pub(super) struct SignOut(pub(super) Option<Arc<str>>);

#[derive(Clone, Debug)]
struct Session {
    proof: Proof,
    until: Timestamp,
    used: Timestamp,
}

/// All sessions of this process.
#[derive(Debug)]
pub(super) struct Sessions {
    all: Mutex<HashMap<Hash, Session>>,
    settings: config::Login,
    clock: Clock,
    key: hmac::Key,
}

impl Sessions {
    /// None yet. `key` makes the tokens of forms.
    pub(super) fn new(settings: config::Login, clock: Clock, key: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { all: Mutex::default(), settings, clock, key }
    }

    /// When a session that begins now ends at the latest.
    pub(super) fn longest(&self) -> Timestamp {
        let longest = self.settings.session_seconds.duration();
        self.clock.now().checked_add(longest).unwrap_or(Timestamp::MAX)
    }

    /// Begins a session under a new name. It lasts until `until` at the latest.
    pub(super) fn begin(&self, proof: Proof, until: Timestamp) -> Option<Name> {
        let now = self.clock.now();
        let name = Name::random()?;
        let session = Session { proof, until: until.min(self.longest()), used: now };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= self.settings.sessions_max.as_usize() {
            all.retain(|_, session| self.lives(session, now));
        }
        if all.len() >= self.settings.sessions_max.as_usize() {
            // LIMIT: the one that lay unused for longest makes room.
            let oldest = all.iter().min_by_key(|(_, session)| session.used);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                all.remove(&hash);
            }
        }
        all.insert(name.hash(), session);
        Some(name)
    }

    /// Who has this session, if it still lives; it is used now.
    pub(super) fn find(&self, name: &Name) -> Option<Proof> {
        let (now, hash) = (self.clock.now(), name.hash());
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&hash) {
            Some(session) if self.lives(session, now) => {
                session.used = session.used.max(now);
                Some(session.proof.clone())
            }
            Some(_) => {
                all.remove(&hash);
                None
            }
            None => None,
        }
    }

    /// Ends a session.
    pub(super) fn end(&self, name: &Name) -> Option<Proof> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&name.hash()).map(|session| session.proof)
    }

    fn lives(&self, session: &Session, now: Timestamp) -> bool {
        let idle = now.duration_since(session.used);
        // Two requests at once may be seen in another order than they were timed.
        let idles =
            idle.is_negative() || idle.unsigned_abs() < self.settings.idle_seconds.duration();
        now < session.until && idles
    }

    /// What a form must send back, so that only a page of ours can have sent it.
    pub(super) fn form_token(&self, whose: Whose<'_>) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, &whose.bytes()))
    }

    /// Whether a form sent back what it must.
    pub(super) fn is_form_token(&self, whose: Whose<'_>, token: &str) -> bool {
        let expected = self.form_token(whose);
        constant_time::verify_slices_are_equal(expected.as_bytes(), token.as_bytes()).is_ok()
    }
}

/// Whose form it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose<'a> {
    /// Of a session.
    Session(Hash),
    /// Of somebody who is about to sign in.
    Begun(Hash),
    /// Of a caller whose browser proves who they are by itself.
    Caller(&'a str),
}

impl Whose<'_> {
    fn bytes(self) -> Vec<u8> {
        let (kind, rest): (u8, &[u8]) = match &self {
            Self::Session(hash) => (1, &hash.0),
            Self::Begun(hash) => (2, &hash.0),
            Self::Caller(id) => (3, id.as_bytes()),
        };
        std::iter::once(kind).chain(rest.iter().copied()).collect()
    }
}
