//! What is known of a recording when a decision is made.
//!
//! [`FactStore::gather`] answers with [`Facts`] no older than the configured age, or says which
//! fact is missing. It reads Twilio's resources (`resources.rs`) through a [`MetadataSource`] (the
//! upstream, in `serve`): what was made from a recording has the recording's facts. It reads once for however many requests wait for the same recording, and
//! keeps the answer in memory. Consent is known to nobody yet: no source for it is wired, so it
//! is [`Consent::Unknown`] for every recording, [`Register`] is empty, and every clause that needs
//! more refuses.

mod resources;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::clock::Clock;
use crate::config;
use crate::media::{AccountSid, Artefact, CallSid, Direction, MediaSid, MetadataRef, SidKind};
use crate::notice::{Circumstance, ConsentForm, Made, NoticeVersion};
use crate::purpose::Purpose;
use crate::words::words;
use resources::Told;

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
    /// The two ends of the call; empty when they are not known.
    pub numbers: Numbers,
    /// The weakest consent among the participants.
    pub consent: Consent,
    /// Of which kind the media is that these facts are about.
    pub artefact: Artefact,
    /// What is known beyond what Twilio says.
    pub register: Register,
}

impl Facts {
    /// Facts of a completed recording of which only its start is known: what policy tests and
    /// trials begin with.
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
            register: Register::default(),
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

/// What is known of a recording beyond what Twilio says. No source of it is wired yet, so that all
/// of it is unknown in `serve`; policy tests and `explain` state it.
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
        matches!(self, Self::Busy { .. } | Self::Unavailable(_))
    }
}

/// Where metadata is read: the upstream. A seam, because the pure parts are tested without one.
pub trait MetadataSource: Send + Sync {
    /// Reads one resource as JSON bytes.
    ///
    /// # Errors
    /// [`FactsError`]: `NoSuchRecording` for Twilio's 404, `Busy` for its 429, else `Unavailable`.
    fn read(&self, what: MetadataRef) -> impl Future<Output = Result<Bytes, FactsError>> + Send;
}

/// LIMIT: how long the ends of a call that a callback told are remembered. They are numbers of people.
const CALLS_AGE_MAX: Duration = Duration::from_hours(24);

/// The facts in memory.
#[derive(Debug)]
pub struct FactStore {
    clock: Clock,
    age_max: Duration,
    unsettled_age_max: Duration,
    cache: moka::future::Cache<(MetadataRef, Artefact), Arc<Facts>>,
    /// The ends of calls, as Twilio's callbacks told them, for when its Call resource is gone.
    calls: moka::future::Cache<MetadataRef, (Option<Direction>, Numbers)>,
}

impl FactStore {
    /// An empty store.
    #[must_use]
    pub fn new(settings: &config::Facts, clock: Clock) -> Self {
        let age_max = settings.age_max_seconds.duration();
        Self {
            clock,
            age_max,
            unsettled_age_max: settings.unsettled_age_max_seconds.duration(),
            // The cache's own clock only bounds memory. Whether a fact is young enough is decided
            // below, by the clock that decisions use.
            cache: moka::future::Cache::builder()
                .max_capacity(settings.entries_max.get())
                .time_to_live(age_max)
                .build(),
            // LIMIT: Twilio tells of a call for much longer; this bridges what it has not yet.
            calls: moka::future::Cache::builder()
                .max_capacity(settings.entries_max.get())
                .time_to_live(CALLS_AGE_MAX)
                .build(),
        }
    }

    /// The facts about what this resource describes, or was made from, as an artefact of this
    /// kind; no older than the configured age.
    ///
    /// # Errors
    /// [`FactsError`]; nothing is remembered of a failure. Facts that took so long to read that
    /// they are too old by now are a failure, too.
    pub async fn gather(
        &self,
        about: MetadataRef,
        artefact: Artefact,
        source: &impl MetadataSource,
    ) -> Result<Arc<Facts>, FactsError> {
        let key = (about, artefact);
        if let Some(facts) = self.cache.get(&key).await {
            if self.is_young(&facts) {
                return Ok(facts);
            }
            self.cache.invalidate(&key).await;
        }
        let read = self.cache.try_get_with(key, self.read(about, artefact, source));
        let facts = read.await.map_err(|error| (*error).clone())?;
        match self.is_young(&facts) {
            true => Ok(facts),
            false => {
                self.cache.invalidate(&key).await;
                Err(FactsError::Unavailable("it took longer than facts may grow old".to_owned()))
            }
        }
    }

    /// Learns the ends of a call from a callback that is verified.
    pub async fn learn_call(
        &self,
        account: AccountSid,
        call: CallSid,
        direction: Option<&str>,
        numbers: Vec<String>,
    ) {
        let numbers = numbers.into_iter().filter(|number| number.starts_with('+')).collect();
        let direction = direction.and_then(resources::direction);
        if let Some(call) = MetadataRef::named(account, call.into()) {
            self.calls.insert(call, (direction, Numbers::new(numbers))).await;
        }
    }

    /// Forgets what is known of a resource, since it has changed.
    pub async fn forget(&self, about: MetadataRef) {
        for artefact in Artefact::ALL {
            self.cache.invalidate(&(about, *artefact)).await;
        }
    }

    fn is_young(&self, facts: &Facts) -> bool {
        let age_max = match facts.status.is_settled() {
            true => self.age_max,
            false => self.unsettled_age_max,
        };
        let age = self.clock.now().duration_since(facts.as_of);
        !age.is_negative() && age.unsigned_abs() < age_max
    }

    async fn read(
        &self,
        about: MetadataRef,
        artefact: Artefact,
        source: &impl MetadataSource,
    ) -> Result<Arc<Facts>, FactsError> {
        let as_of = self.clock.now();
        let (mut subject, mut told) = fetch(about, source).await?;
        if let Some(recording) = told.recording {
            (subject, told) =
                fetch(named(about.account(), recording)?.even_deleted(), source).await?;
        } else if about.sid().kind() == SidKind::Transcription {
            return Err(FactsError::Missing { fact: "recording of the transcription" });
        }
        let room = told.room.filter(|_| told.started_at.is_none());
        if let Some(room) = room {
            told.started_at = fetch(named(about.account(), room)?, source).await?.1.started_at;
        }
        let started_at = told.started_at;
        let started_at = started_at.ok_or(FactsError::Missing { fact: "time of what was said" })?;
        if let Some(call) = told.call.filter(|call| MediaSid::from(*call) != subject) {
            let call = named(about.account(), call.into())?;
            (told.direction, told.numbers) = self.legs(call, source).await?;
        }
        let artefact = match (artefact, told.artefact) {
            // A track of a video room is a picture or a voice.
            (Artefact::Video, Some(own)) => own,
            (asked, _) => asked,
        };
        Ok(Arc::new(Facts {
            account: about.account(),
            recording: subject,
            as_of,
            call: told.call,
            conference: told.conference,
            room: told.room,
            started_at,
            duration_seconds: told.duration_seconds,
            channels: told.channels,
            status: told.status,
            encrypted: told.encryption.is_some(),
            encryption: told.encryption,
            direction: told.direction,
            numbers: told.numbers,
            consent: Consent::Unknown,
            artefact,
            register: Register::default(),
        }))
    }
}

impl FactStore {
    /// A call that Twilio no longer has leaves its ends unknown, unless a callback told them; any
    /// other failure to read it leaves no facts at all, since the next try may well tell.
    async fn legs(
        &self,
        call: MetadataRef,
        source: &impl MetadataSource,
    ) -> Result<(Option<Direction>, Numbers), FactsError> {
        match fetch(call, source).await {
            Ok((_, told)) => Ok((told.direction, told.numbers)),
            Err(FactsError::NoSuchRecording) => Ok(self.calls.get(&call).await.unwrap_or_default()),
            Err(other) => Err(other),
        }
    }
}

fn named(account: AccountSid, sid: MediaSid) -> Result<MetadataRef, FactsError> {
    MetadataRef::named(account, sid).ok_or(FactsError::Malformed { what: "parent" })
}

async fn fetch(
    what: MetadataRef,
    source: &impl MetadataSource,
) -> Result<(MediaSid, Told), FactsError> {
    let json = source.read(what).await?;
    Ok((what.sid(), resources::read(&json, &what)?))
}
