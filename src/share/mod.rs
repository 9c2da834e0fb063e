//! Shares: a recording, or a part of it, given to somebody outside by a link.
//!
//! A share is what somebody was permitted to give: to whom, for what, until when, how often. It
//! stands in the ledger, as do each use and its end; what is true of it now follows from those
//! entries alone ([`Share::state`]), so it is the same at every gate. This room is pure: it reads
//! what is asked for (`order.rs`), knows links and what browsers hold of them (`token.rs`), and
//! writes the page (`page.rs`). Deciding, recording and serving are the gate's.
//!
//! Field order in each struct that is stored is the order of keys in the canonical JSON of entries.

mod order;
mod page;
mod secret;
mod tell;
mod token;

pub use order::{Allowed, Order, OrderError};
pub use page::{Page, Told, Tried, gone, masked, preview, style_and_script, write as page};
pub use secret::{Code, SECRET_BYTES_MAX, SecretText, hash, verify};
pub use token::{Client, Keys, MAILED_MINUTES, Pass, Token, TokenDigest};

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::identity::PeerCertificate;
use crate::policy::Question;
use crate::words::words;

/// The name of a share: a UUIDv7, so that names sort by time. It opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShareId(Uuid);

impl ShareId {
    /// A new name at a time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
    }

    /// A few letters of it that tell it from others, for the names of cookies.
    #[must_use]
    pub fn short(&self) -> String {
        let text = self.0.simple().to_string();
        text.chars().skip(20).collect()
    }
}

impl FromStr for ShareId {
    type Err = uuid::Error;

    /// Reads the one form in which it is written: lower case, with hyphens.
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        let id = Self(text.parse()?);
        // Any other form is an error that the parser does not know.
        if id.to_string() == text { Ok(id) } else { "".parse().map(Self) }
    }
}

impl fmt::Display for ShareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ShareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

words! {
    /// To whom a link is bound, beside to who has it.
    Binding {
        /// To nobody.
        None = "none",
        /// To whoever uses it first.
        FirstClient = "first-client",
        /// To ranges of addresses.
        Addresses = "addresses",
        /// To who holds a certificate with a name.
        Certificate = "certificate",
        /// To whoever is first to give a code that goes another way than the link.
        Code = "code",
        /// To who reads the mail of an address: each browser asks for a code that is sent there.
        Email = "email",
    }
}

/// A part of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portion {
    /// Its end, in milliseconds from the recording's start; not included.
    pub end_ms: u64,
    /// Its start.
    pub start_ms: u64,
}

/// What a share gives, as it stands in its entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// To whom the link is bound.
    pub binding: Binding,
    /// True if it may be saved; else it is to be listened to.
    pub download: bool,
    /// From here on it gives nothing.
    pub expires_at: Timestamp,
    /// True if a password is asked for.
    pub password: bool,
    /// Which part; the whole if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portion: Option<Portion>,
    /// When somebody has to look at it again, as an emergency demands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_due: Option<Timestamp>,
    /// The link, as nobody can use it.
    pub token: TokenDigest,
    /// How many listening sessions.
    pub uses: u32,
}

/// What a share tells of people. It lies beside the entry, sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// From where it may be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The name in a certificate, with its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The recipient's contract, by its name where it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Where codes are mailed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How the recipient's identity was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_check: Option<String>,
    /// The recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the maker noted for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What was asked for, hashed: the same key may not ask for something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The password or code, hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Nothing of it shows.
impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(not shown)")
    }
}

/// A share that is about to be put on record.
#[derive(Clone, Debug)]
pub struct Issue {
    /// Its name.
    pub id: ShareId,
    /// What it gives.
    pub terms: Terms,
    /// What it tells of people.
    pub private: Private,
}

/// A disclosure by a share.
#[derive(Clone, Debug)]
pub struct Using {
    /// The share.
    pub share: ShareId,
    /// Its link.
    pub token: TokenDigest,
    /// Whose listening session it belongs to; none if no sound is handed over.
    pub session: Option<String>,
    /// True if the session begins with it.
    pub opens: bool,
    /// What is known of the share is known up to this place.
    pub seen: u64,
}

/// A listening session, as it was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Whose it is.
    pub session: String,
    /// When it was begun.
    pub at: Timestamp,
}

words! {
    /// How a share ended.
    EndReason {
        /// Its time was over, and somebody came.
        Expired = "expired",
        /// Somebody took it back.
        Revoked = "revoked",
    }
}

/// The end of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// How.
    pub reason: EndReason,
}

/// A share, and everything that is on record about it.
#[derive(Clone, Debug)]
pub struct Share {
    /// Its name.
    pub id: ShareId,
    /// The place of its entry: of two, the one that was made later.
    pub place: u64,
    /// What was decided when it was made.
    pub question: Question,
    /// The clause it stood on then, and the version of the notice.
    pub clause: Option<(String, String)>,
    /// What it gives.
    pub terms: Terms,
    /// What it tells of people; nothing if they were erased.
    pub private: Option<Private>,
    /// Its listening sessions, in their order.
    pub uses: Vec<Use>,
    /// Its end.
    pub end: Option<End>,
}

words! {
    /// Why a share gives nothing, as it may be told to who holds the link.
    Stopped {
        /// Its maker took it back.
        Revoked = "share-revoked",
        /// Its time is over.
        Expired = "share-expired",
        /// It was used as often as it may be.
        UsedUp = "share-used-up",
        /// What it rests on was erased.
        Erased = "share-erased",
        /// Its maker may no longer share.
        Maker = "share-maker",
        /// The notice no longer permits it.
        NotPermitted = "share-not-permitted",
        /// The recording is not there any more.
        NoRecording = "share-recording-gone",
        /// It is another client's.
        OtherClient = "share-other-client",
    }
}

impl Stopped {
    /// The same in a sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Revoked => "This link was taken back by those who gave it.",
            Self::Expired => "The time of this link is over.",
            Self::UsedUp => "This link has been used as often as it may be.",
            Self::Erased => "What this link rests on was erased.",
            Self::Maker => "Whoever gave this link may no longer share recordings.",
            Self::NotPermitted => "Our privacy notice no longer permits this use.",
            Self::NoRecording => "The recording has been deleted.",
            Self::OtherClient => {
                "This link is bound to the browser, program or place that it was given for."
            }
        }
    }
}

impl Share {
    /// Whether it still gives anything, beside what the policies say.
    ///
    /// # Errors
    /// [`Stopped`] says why not.
    pub fn state(&self, now: Timestamp) -> Result<(), Stopped> {
        match self.end.map(|end| end.reason) {
            Some(EndReason::Expired) => return Err(Stopped::Expired),
            Some(EndReason::Revoked) => return Err(Stopped::Revoked),
            None => {}
        }
        if self.private.is_none() {
            return Err(Stopped::Erased);
        }
        if now >= self.terms.expires_at {
            return Err(Stopped::Expired);
        }
        Ok(())
    }

    /// True if its time is over and that is on no record yet.
    #[must_use]
    pub fn expires_unsaid(&self, now: Timestamp) -> bool {
        self.end.is_none() && now >= self.terms.expires_at
    }

    /// How many more listening sessions there may be.
    #[must_use]
    pub fn uses_left(&self) -> u32 {
        let used = u32::try_from(self.uses.len()).unwrap_or(u32::MAX);
        self.terms.uses.saturating_sub(used)
    }

    /// Whether this client is in a listening session that began not longer ago than this.
    #[must_use]
    pub fn is_in_session(&self, session: &str, now: Timestamp, window: SignedDuration) -> bool {
        self.uses.iter().any(|used| {
            let age = now.duration_since(used.at);
            used.session == session && age < window
        })
    }

    /// Whether who asks may begin to listen, as far as it is not about a password or code.
    ///
    /// # Errors
    /// [`Stopped`] says why not.
    pub fn binds(
        &self,
        session: &str,
        (address, certificate): (IpAddr, Option<&PeerCertificate>),
        now: Timestamp,
    ) -> Result<(), Stopped> {
        let private = self.private.as_ref().ok_or(Stopped::Erased)?;
        let first = self.uses.first();
        let fits = match self.terms.binding {
            Binding::None | Binding::Email => true,
            Binding::FirstClient | Binding::Code => {
                first.is_none_or(|used| used.session == session)
            }
            Binding::Addresses => {
                let address = address.to_canonical();
                private.addresses.iter().any(|range| range.contains(&address))
            }
            Binding::Certificate => private.certificate.as_deref().is_some_and(|name| {
                certificate.is_some_and(|certificate| certificate.is_named(name, now))
            }),
        };
        if fits { Ok(()) } else { Err(Stopped::OtherClient) }
    }

    /// What a client has to show that it knows: the password or code as it is stored, or the address
    /// that only one mailbox has.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        let private = self.private.as_ref()?;
        match self.terms.binding {
            Binding::Email => private.email.as_deref(),
            _ => private.secret.as_deref(),
        }
    }

    /// Whether this client still has to give the password or code. A code is spent with the first
    /// use, which is its giver's.
    #[must_use]
    pub fn asks_secret(&self, session: &str) -> bool {
        match self.terms.binding {
            Binding::Code => self.uses.first().is_none_or(|used| used.session != session),
            Binding::Email => true,
            _ => self.terms.password,
        }
    }
}
