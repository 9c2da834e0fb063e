//! What is known of a recording when a decision is made.
//!
//! [`FactStore::gather`] answers with [`Facts`] no older than the configured age, or says which
//! fact is missing. It reads Twilio's Recording and Call resources through a [`MetadataSource`]
//! (the upstream, in `serve`), once for however many requests wait for the same recording, and
//! keeps the answer in memory. Consent is known to nobody yet: no source for it is wired, so it
//! is [`Consent::Unknown`] for every recording, and every clause that needs it refuses.

mod recording;

pub use recording::{Recording, read_direction};

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;
use crate::config;
use crate::media::{AccountSid, CallSid, MetadataRef, RecordingSid};

/// The facts of one recording, with the time at which they were true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The account it belongs to, as Twilio says.
    pub account: AccountSid,
    /// The recording.
    pub recording: RecordingSid,
    /// When Twilio was asked.
    pub as_of: Timestamp,
    /// The parent leg, if the recording has one (a conference's may not).
    pub call: Option<CallSid>,
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
    /// Who called whom; `None` when it is not known.
    pub direction: Option<Direction>,
    /// The weakest consent among the participants.
    pub consent: Consent,
}

impl Facts {
    /// When the call ended, which is when retention starts to count.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        let duration = SignedDuration::from_secs(i64::from(self.duration_seconds));
        self.started_at.checked_add(duration).unwrap_or(Timestamp::MAX)
    }

    /// Whole seconds since the call ended; 0 while it has not.
    #[must_use]
    pub fn age_seconds(&self, now: Timestamp) -> i64 {
        now.duration_since(self.ended_at()).as_secs().max(0)
    }
}

/// Twilio's words for the state of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Twilio's own words")]
pub enum RecordingStatus {
    InProgress,
    Paused,
    Stopped,
    Processing,
    Completed,
    Absent,
    Deleted,
}

impl RecordingStatus {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "in-progress" => Self::InProgress,
            "paused" => Self::Paused,
            "stopped" => Self::Stopped,
            "processing" => Self::Processing,
            "completed" => Self::Completed,
            "absent" => Self::Absent,
            "deleted" => Self::Deleted,
            _ => return None,
        })
    }

    /// Twilio's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Absent => "absent",
            Self::Deleted => "deleted",
        }
    }

    /// True when Twilio will not change it any more.
    fn is_settled(self) -> bool {
        matches!(self, Self::Completed | Self::Absent | Self::Deleted)
    }
}

/// Who called whom, seen from the organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Somebody called the organisation.
    Inbound,
    /// The organisation called somebody.
    Outbound,
}

impl Direction {
    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// Whether the people on the call agreed. Absence has a name: not knowing is `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the lexicon's")]
pub enum Consent {
    Given,
    Refused,
    Withdrawn,
    Expired,
    Unknown,
}

impl Consent {
    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
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
    /// A fact that every decision needs is not there.
    #[error("Twilio does not say the {fact}")]
    Missing {
        /// Which fact.
        fact: &'static str,
    },
}

/// Where metadata is read: the upstream. A seam, because the pure parts are tested without one.
pub trait MetadataSource: Send + Sync {
    /// Reads one resource as JSON bytes.
    ///
    /// # Errors
    /// [`FactsError`]: `NoSuchRecording` for Twilio's 404, `Busy` for its 429, else `Unavailable`.
    fn read(&self, what: MetadataRef) -> impl Future<Output = Result<Bytes, FactsError>> + Send;
}

/// The facts in memory.
#[derive(Debug)]
pub struct FactStore {
    clock: Clock,
    age_max: Duration,
    unsettled_age_max: Duration,
    cache: moka::future::Cache<(AccountSid, RecordingSid), Arc<Facts>>,
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
        }
    }

    /// The facts of a recording, no older than the configured age.
    ///
    /// # Errors
    /// [`FactsError`]; nothing is remembered of a failure.
    pub async fn gather(
        &self,
        account: AccountSid,
        recording: RecordingSid,
        source: &impl MetadataSource,
    ) -> Result<Arc<Facts>, FactsError> {
        let key = (account, recording);
        if let Some(facts) = self.cache.get(&key).await {
            if self.is_young(&facts) {
                return Ok(facts);
            }
            self.cache.invalidate(&key).await;
        }
        let read = self.read(account, recording, source);
        self.cache.try_get_with(key, read).await.map_err(|error| (*error).clone())
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
        account: AccountSid,
        recording: RecordingSid,
        source: &impl MetadataSource,
    ) -> Result<Arc<Facts>, FactsError> {
        let as_of = self.clock.now();
        let json = source.read(MetadataRef::Recording(account, recording)).await?;
        let read = Recording::read(&json, account, recording)?;
        let direction = match read.call {
            Some(call) => self.direction(account, call, source).await?,
            None => None,
        };
        Ok(Arc::new(Facts {
            account,
            recording,
            as_of,
            call: read.call,
            started_at: read.started_at,
            duration_seconds: read.duration_seconds,
            channels: read.channels,
            status: read.status,
            encrypted: read.encrypted,
            direction,
            consent: Consent::Unknown,
        }))
    }

    /// A call that Twilio no longer has leaves the direction unknown; any other failure to read it
    /// leaves no facts at all, since the next try may well tell.
    async fn direction(
        &self,
        account: AccountSid,
        call: CallSid,
        source: &impl MetadataSource,
    ) -> Result<Option<Direction>, FactsError> {
        match source.read(MetadataRef::Call(account, call)).await {
            Ok(json) => read_direction(&json, account, call),
            Err(FactsError::NoSuchRecording) => Ok(None),
            Err(other) => Err(other),
        }
    }
}
