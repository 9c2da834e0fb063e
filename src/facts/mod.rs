//! What is known of a recording when a decision is made.
//!
//! [`FactStore::gather`] answers with [`Facts`] no older than the configured age, or says which
//! fact is missing. It reads Twilio's resources (`resources.rs`) through a [`MetadataSource`] (the
//! upstream, in `serve`): what was made from a recording has the recording's facts. It reads once
//! for however many requests wait for the same recording, and keeps the answer in memory.
//!
//! What Twilio does not know (who took part and where, consent, objections, cases, holds, labels)
//! is stated by people and systems (`statement.rs`), kept by a [`Registry`] (the ledger, in
//! `serve`), and folded into what is true now (`fold.rs`). Facts name the [`Basis`] they rest on, so
//! that whoever acts on them can tell whether anything of it has changed since.

pub mod csv;
mod fold;
mod gather;
mod resources;
mod statement;
pub mod vcon;

pub use fold::{Base, Ends, Folded, Participant, Reading, Recorded, fold, participants};
pub use gather::FactStore;
pub use resources::ends;
pub use statement::{
    Announcement, CallEnds, Case, ConsentRecord, Filing, Heard, Hold, Objection, Party, Pause,
    Payment, Proof, Said, Statement, Unfit, Who, is_e164,
};

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::law::{ConsentRule, Place};
use crate::media::{AccountSid, Artefact, CallSid, Direction, MediaRef, MediaSid, MetadataRef};
use crate::notice::{Circumstance, ConsentForm, Made, NoticeVersion};
use crate::purpose::Purpose;
use crate::words::words;

/// The facts of one recording, with the time at which they were true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The account it belongs to, as Twilio says.
    pub account: AccountSid,
    /// The recording, or what else was recorded or sent: what the facts are about.
    pub recording: MediaSid,
    /// When Twilio was asked.
    pub as_of: Timestamp,
    /// The parent leg, if the recording has one (a conference's may not).
    pub call: Option<CallSid>,
    /// The conference, if it was one.
    pub conference: Option<MediaSid>,
    /// The video room, if it was one.
    pub room: Option<MediaSid>,
    /// When the recording started: this fixes which notice governs it.
    pub started_at: Timestamp,
    /// Its length in seconds.
    pub duration_seconds: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Twilio's status.
    pub status: RecordingStatus,
    /// True if Twilio stores it encrypted with the organisation's key.
    pub encrypted: bool,
    /// How, in Twilio's words: what opens it for who has the organisation's key.
    pub encryption: Option<Arc<Value>>,
    /// Who called whom; `None` when it is not known.
    pub direction: Option<Direction>,
    /// The numbers of everybody on the call, as far as they are known.
    pub numbers: Numbers,
    /// The weakest consent among the participants, for the purpose that was asked for.
    pub consent: Consent,
    /// Of which kind the media is that these facts are about.
    pub artefact: Artefact,
    /// What is known beyond what Twilio says.
    pub register: Register,
    /// What that rests on.
    pub basis: Basis,
}

/// What facts rest on: the statements under these names, up to a place in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The names under which the registry keeps what was said of it.
    pub names: Arc<[RegisterName]>,
    /// Everything before this place was taken into account.
    pub seen: u64,
    /// The ends of the call, as Twilio says; `None` if it does not.
    pub ends: Option<Arc<Ends>>,
    /// When they may be different without anything being said.
    pub until: Option<Timestamp>,
}

/// The name under which a registry keeps statements. It tells nothing of people.
pub type RegisterName = Arc<str>;

/// What statements are found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A call, conference, room or recording.
    Media(MediaSid),
    /// A telephone line of the organisation.
    Line(String),
    /// A person: what is said of them in all their calls.
    Person(Who),
    /// A person: what is said of them in single calls. Not for decisions, which come from the call.
    Mentioned(Who),
    /// A case, by its id.
    Case(String),
    /// A hold, by its id.
    Hold(String),
    /// All holds.
    Holds,
}

impl Statement {
    /// Everything it is found by.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.about.iter().copied().map(Key::Media).collect();
        keys.extend(self.line.clone().map(Key::Line));
        keys.extend(self.participant.clone().map(|who| match self.about.is_empty() {
            true => Key::Person(who),
            false => Key::Mentioned(who),
        }));
        match &self.said {
            Said::Case(case) => keys.push(Key::Case(case.id.clone())),
            Said::Hold(hold) => keys.extend([Key::Hold(hold.id.clone()), Key::Holds]),
            _ => {}
        }
        keys
    }
}

impl Facts {
    /// Facts of a completed recording of which only its start is known, and that one consent is
    /// enough for it: what policy tests and trials begin with.
    #[must_use]
    pub fn bare(account: AccountSid, recording: MediaSid, started_at: Timestamp) -> Self {
        Self {
            account,
            recording,
            as_of: started_at,
            call: None,
            conference: None,
            room: None,
            started_at,
            duration_seconds: 0,
            channels: 1,
            status: RecordingStatus::Completed,
            encrypted: false,
            encryption: None,
            direction: None,
            numbers: Numbers::default(),
            consent: Consent::Unknown,
            artefact: Artefact::Audio,
            register: Register {
                law: Some(LawOfCall { rule: ConsentRule::OneParty, place: Place::UNKNOWN }),
                ..Register::default()
            },
            basis: Basis::default(),
        }
    }

    /// Whether it belongs to this call, conference or room.
    #[must_use]
    pub fn is_of(&self, scope: MediaSid) -> bool {
        let call = self.call.map(MediaSid::from);
        [call, self.conference, self.room].contains(&Some(scope))
    }

    /// When the call ended, which is when retention starts to count.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        let duration = SignedDuration::from_secs(i64::from(self.duration_seconds));
        self.started_at.checked_add(duration).unwrap_or(Timestamp::MAX)
    }

    /// What fixes the notice that governs it.
    #[must_use]
    pub fn made(&self) -> Made<'_> {
        Made { recorded_at: self.started_at, accepted: self.register.accepted.as_ref() }
    }

    /// Whether a legal hold on it lets this caller use it for this purpose after its time.
    #[must_use]
    pub fn is_held_for(&self, caller: &str, purpose: Option<&Purpose>) -> bool {
        let names = |held: &HeldFor| {
            held.people.iter().any(|person| person == caller)
                && purpose.is_some_and(|purpose| held.purposes.contains(purpose))
        };
        self.register.held_for.iter().any(names)
    }

    /// Whole seconds since the case about the call was closed; `None` if nobody knows of one.
    #[must_use]
    pub fn case_age_seconds(&self, now: Timestamp) -> Option<i64> {
        let closed = self.register.case_closed_at?;
        Some(now.duration_since(closed).as_secs().max(0))
    }

    /// Whole seconds since the call ended; 0 while it has not.
    #[must_use]
    pub fn age_seconds(&self, now: Timestamp) -> i64 {
        now.duration_since(self.ended_at()).as_secs().max(0)
    }
}

words! {
    /// Twilio's words for the state of a recording.
    RecordingStatus {
        /// It is being made.
        InProgress = "in-progress",
        /// Its making is paused.
        Paused = "paused",
        /// Its making has stopped.
        Stopped = "stopped",
        /// Twilio is preparing it.
        Processing = "processing",
        /// It can be had.
        Completed = "completed",
        /// There was nothing to record.
        Absent = "absent",
        /// It was deleted; Twilio still tells of it for 40 days.
        Deleted = "deleted",
    }
}

impl RecordingStatus {
    /// True when Twilio will not change it any more.
    fn is_settled(self) -> bool {
        matches!(self, Self::Completed | Self::Absent | Self::Deleted)
    }
}

words! {
    /// Whether the people on the call agreed. Absence has a name: not knowing is `Unknown`.
    Consent {
        /// Everybody agreed.
        Given = "given",
        /// Somebody did not.
        Refused = "refused",
        /// Somebody took it back.
        Withdrawn = "withdrawn",
        /// Somebody's has run out.
        Expired = "expired",
        /// Nobody knows.
        Unknown = "unknown",
    }
}

/// What a call is filed under, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The organisation's telephone line.
    pub line: Option<String>,
    /// The part of the organisation.
    pub department: Option<String>,
    /// What kind of call it is.
    pub call_type: Option<String>,
    /// What it is about or holds; an empty list means that it is known to have none.
    pub labels: Option<Vec<String>>,
}

/// What is known of a recording beyond what Twilio says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// What the call is filed under. What is missing here may be known from its line.
    pub labels: Labels,
    /// How consent was given.
    pub consent_form: Option<ConsentForm>,
    /// The purposes that somebody on the call objected to or withdrew from.
    pub objections: Vec<Purpose>,
    /// What else is known to hold.
    pub circumstances: Vec<Circumstance>,
    /// When the case about the call was closed.
    pub case_closed_at: Option<Timestamp>,
    /// The later notice that everybody on the call has accepted.
    pub accepted: Option<NoticeVersion>,
    /// What the law demands; `None` if nobody looked, which counts as everybody's consent.
    pub law: Option<LawOfCall>,
    /// Whom the legal holds on it let use it after its time.
    pub held_for: Vec<HeldFor>,
}

/// What the law demands of a recorded call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LawOfCall {
    /// The place whose law demands it.
    pub place: Place,
    /// Whose consent.
    pub rule: ConsentRule,
}

impl LawOfCall {
    /// Where nobody was recorded: a message and its files were written to be kept.
    pub const NONE: Self = Self { rule: ConsentRule::OneParty, place: Place::UNKNOWN };
}

/// Whom a legal hold lets use what it covers, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFor {
    /// Callers, by their ids.
    pub people: Vec<String>,
    /// Purposes.
    pub purposes: Vec<Purpose>,
}

impl HeldFor {
    fn of(hold: &Hold) -> Self {
        Self { people: hold.people.clone(), purposes: hold.purposes.clone() }
    }
}

/// The two numbers of a call, as Twilio says them. They never show in a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Numbers(Vec<String>);

impl Numbers {
    /// Takes numbers in E.164 form.
    #[must_use]
    pub fn new(numbers: Vec<String>) -> Self {
        Self(numbers)
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} numbers]", self.0.len())
    }
}

/// Why there are no facts. Each of these refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Twilio knows no such recording (yet, or any more).
    #[error("Twilio has no such recording")]
    NoSuchRecording,
    /// Twilio's limit on concurrent requests is spent (20429).
    #[error("Twilio is busy for this account")]
    Busy {
        /// Seconds after which to try again.
        retry_after: Option<u32>,
    },
    /// Twilio could not be asked.
    #[error("Twilio's metadata cannot be had: {0}")]
    Unavailable(String),
    /// The answer was not what Twilio documents.
    #[error("Twilio's {what} resource cannot be read")]
    Malformed {
        /// Which resource.
        what: &'static str,
    },
    /// The answer was about something else than was asked for.
    #[error("Twilio's {what} resource is not the one that was asked for")]
    NotTheSame {
        /// Which resource.
        what: &'static str,
    },
    /// What Twilio says of the encryption cannot be used with the keys that are held.
    #[error("the recording is encrypted: {0}")]
    Sealed(String),
    /// What was stated of it cannot be read.
    #[error("what is registered of it cannot be read: {0}")]
    Register(String),
    /// A fact that every decision needs is not there.
    #[error("Twilio does not say the {fact}")]
    Missing {
        /// Which fact.
        fact: &'static str,
    },
}

impl FactsError {
    /// True if asking again later may well tell.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unavailable(_) | Self::Register(_))
    }
}

/// Where metadata is read: the upstream. A seam, because the pure parts are tested without one.
pub trait MetadataSource: Send + Sync {
    /// Reads one resource as JSON bytes.
    ///
    /// # Errors
    /// [`FactsError`]: `NoSuchRecording` for Twilio's 404, `Busy` for its 429, else `Unavailable`.
    fn read(&self, what: MetadataRef) -> impl Future<Output = Result<Bytes, FactsError>> + Send;

    /// Whether what this describes belongs to what its path names above it.
    ///
    /// # Errors
    /// [`FactsError`] as for `read`.
    fn belongs(&self, what: MediaRef) -> impl Future<Output = Result<bool, FactsError>> + Send;
}

/// Where statements are kept: the ledger. A seam, because the ledger knows facts and not the other
/// way round.
pub trait Registry: Send + Sync {
    /// The name under which it keeps what is found by a key.
    fn name(&self, key: &Key) -> RegisterName;

    /// Everything that was said under these names before the place that is answered with.
    ///
    /// # Errors
    /// [`FactsError::Register`] if it cannot be read.
    fn statements(
        &self,
        names: Vec<RegisterName>,
    ) -> impl Future<Output = Result<(Vec<Recorded>, u64), FactsError>> + Send;

    /// False if something was said since that these facts should know.
    fn is_current(&self, basis: &Basis) -> bool;
}
