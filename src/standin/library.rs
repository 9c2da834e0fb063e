//! The accounts and recordings of the stand-in, and their media once rendered.
//!
//! In: samples, at the start and later, and deletions. Out: recordings, a call by its SID, the
//! other samples as they are at the moment, and media as [`Rendered`]. A conversation is
//! synthesised and encoded at most once per format and number of channels, on first use, and
//! encrypted then. One account must never see what another holds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_lc_rs::{constant_time, digest};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::audio::{self, AudioError};
use super::body::{Source, pattern_byte};
use super::envelope::VoiceEnvelope;
use super::objects::{self, Object};
use super::settings::{MediaFormat, RecordingStatus, SampleAudio, SampleRecording, StandInAccount};

/// MP3 rates in kbit/s: Twilio's 32 for mono, the same for each side of a dual recording.
const MP3_MONO_KBPS: u32 = 32;
const MP3_DUAL_KBPS: u32 = 64;

/// Media that is ready to be sent.
#[derive(Clone)]
pub(super) struct Rendered {
    pub(super) source: Source,
    pub(super) length: u64,
    /// Strong: made from the content. With its quotes.
    pub(super) etag: String,
}

impl Rendered {
    /// Bytes in memory.
    pub(super) fn held(bytes: Bytes) -> Self {
        let hash = digest::digest(&digest::SHA256, &bytes);
        let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { source: Source::Held(bytes), length, etag: format!("\"{hex}\"") }
    }

    fn pattern(length: u64) -> Self {
        // The length determines the content, so it may stand for it.
        Self { source: Source::Pattern, length, etag: format!("\"pattern-{length:x}\"") }
    }

    /// All bytes, made if they are not held.
    fn gathered(self) -> Bytes {
        match self.source {
            Source::Held(bytes) => bytes,
            Source::Pattern => (0..self.length).map(pattern_byte).collect(),
        }
    }

    /// All bytes, if they are held.
    pub(super) fn whole(self) -> Option<Bytes> {
        match self.source {
            Source::Held(bytes) => Some(bytes),
            Source::Pattern => None,
        }
    }
}

/// Why a requested number of channels cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelsError {
    /// Two channels of a mono recording: Twilio's 16113.
    NoDual,
    /// Neither 1 nor 2.
    Malformed,
}

/// Why media could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenderError {
    #[error(transparent)]
    Audio(#[from] AudioError),
    #[error("could not encrypt the sample to its public key")]
    Encryption,
}

/// A recording with the media made from it so far.
pub(super) struct HeldRecording {
    pub(super) recording: SampleRecording,
    wav_mono: OnceLock<Rendered>,
    wav_dual: OnceLock<Rendered>,
    mp3_mono: OnceLock<Rendered>,
    mp3_dual: OnceLock<Rendered>,
    /// `None` inside when sealing failed.
    envelope: Arc<OnceLock<Option<VoiceEnvelope>>>,
}

impl HeldRecording {
    fn new(recording: SampleRecording) -> Self {
        Self {
            recording,
            wav_mono: OnceLock::new(),
            wav_dual: OnceLock::new(),
            mp3_mono: OnceLock::new(),
            mp3_dual: OnceLock::new(),
            envelope: Arc::default(),
        }
    }

    /// The same recording after a change to what is known about it, without its media.
    fn with(&self, recording: SampleRecording) -> Self {
        Self { envelope: self.envelope.clone(), ..Self::new(recording) }
    }

    /// The keys it is encrypted with, made on first use. `None` for a plain one.
    pub(super) fn envelope(&self) -> Option<&VoiceEnvelope> {
        let to = self.recording.encryption.as_ref()?;
        self.envelope.get_or_init(|| VoiceEnvelope::seal(to)).as_ref()
    }

    /// When the recording ended, which dates its media.
    pub(super) fn ended_at(&self) -> Timestamp {
        let length = SignedDuration::from_secs(i64::from(self.recording.duration_seconds));
        self.recording.started_at.checked_add(length).unwrap_or(self.recording.started_at)
    }

    /// The number of channels to serve for the one asked for. Of an encrypted recording there is
    /// but one file: nobody at Twilio can mix it down.
    pub(super) fn channels_for(&self, requested: Option<u8>) -> Result<u8, ChannelsError> {
        match requested {
            None => Ok(self.recording.channels),
            Some(1) if self.recording.encryption.is_some() => Ok(self.recording.channels),
            Some(1) => Ok(1),
            Some(2) if self.recording.channels == 2 => Ok(2),
            Some(2) => Err(ChannelsError::NoDual),
            Some(_) => Err(ChannelsError::Malformed),
        }
    }

    /// The media, made now if it was not made before. Blocks for the time of the synthesis.
    pub(super) fn render(
        &self,
        format: MediaFormat,
        channels: u8,
    ) -> Result<Rendered, RenderError> {
        let kept = match (format, channels) {
            (MediaFormat::Wav, 2) => &self.wav_dual,
            (MediaFormat::Wav, _) => &self.wav_mono,
            (MediaFormat::Mp3, 2) => &self.mp3_dual,
            (MediaFormat::Mp3, _) => &self.mp3_mono,
        };
        if let Some(rendered) = kept.get() {
            return Ok(rendered.clone());
        }
        // Two first requests at once may both come here; the result is the same.
        let mut made = self.make(format, channels)?;
        if self.recording.encryption.is_some() {
            let envelope = self.envelope().ok_or(RenderError::Encryption)?;
            let file = envelope.encrypt(&made.gathered()).ok_or(RenderError::Encryption)?;
            made = Rendered::held(file);
        }
        Ok(kept.get_or_init(|| made).clone())
    }

    fn make(&self, format: MediaFormat, channels: u8) -> Result<Rendered, AudioError> {
        match (&self.recording.audio, format) {
            (SampleAudio::Zeros { length }, _) => Ok(Rendered::pattern(*length)),
            (SampleAudio::Bytes { wav, .. }, MediaFormat::Wav) => Ok(Rendered::held(wav.clone())),
            (SampleAudio::Bytes { mp3, .. }, MediaFormat::Mp3) => Ok(Rendered::held(mp3.clone())),
            (SampleAudio::Conversation, _) => self.synthesise(format, channels),
        }
    }

    fn synthesise(&self, format: MediaFormat, channels: u8) -> Result<Rendered, AudioError> {
        let seed = audio::seed(&self.recording.sid);
        let talk = audio::conversation(seed, self.recording.duration_seconds);
        let (pcm, kbps) = match channels {
            2 => (talk.dual(), MP3_DUAL_KBPS),
            _ => (talk.mono(), MP3_MONO_KBPS),
        };
        match format {
            MediaFormat::Wav => Ok(Rendered::held(audio::wav(&pcm))),
            MediaFormat::Mp3 => audio::mp3(&pcm, kbps).map(Rendered::held),
        }
    }
}

struct Account {
    recordings: BTreeMap<String, Arc<HeldRecording>>,
    /// All else it held at the start; its list of recordings is empty.
    samples: Arc<StandInAccount>,
    objects: BTreeMap<String, Arc<Object>>,
    /// The SIDs of samples that were deleted.
    deleted: BTreeSet<String>,
}

impl Account {
    fn new(mut samples: StandInAccount) -> Self {
        let recordings = std::mem::take(&mut samples.recordings)
            .into_iter()
            .map(|recording| (recording.sid.clone(), Arc::new(HeldRecording::new(recording))));
        Self {
            recordings: recordings.collect(),
            objects: objects::of(&samples),
            samples: Arc::new(samples),
            deleted: BTreeSet::new(),
        }
    }

    fn accepts(&self, user: &str, password: &str) -> bool {
        let keys = self.samples.api_keys.iter().map(|key| (&key.sid, &key.secret));
        let own = std::iter::once((&self.samples.sid, &self.samples.auth_token));
        own.chain(keys).any(|(name, secret)| {
            let same =
                constant_time::verify_slices_are_equal(secret.as_bytes(), password.as_bytes());
            name == user && same.is_ok()
        })
    }
}

/// What an account holds at one moment.
pub(super) struct Holding {
    pub(super) samples: Arc<StandInAccount>,
    deleted: BTreeSet<String>,
}

impl Holding {
    /// Whether a sample was deleted.
    pub(super) fn is_deleted(&self, sid: &str) -> bool {
        self.deleted.contains(sid)
    }
}

/// What became of a wish to delete a voice recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    Done,
    NotFound,
    /// It is not completed.
    Refused,
}

/// All accounts.
pub(super) struct Library(Mutex<BTreeMap<String, Account>>);

impl Library {
    /// Takes the accounts in.
    pub(super) fn new(accounts: Vec<StandInAccount>) -> Self {
        let accounts =
            accounts.into_iter().map(|account| (account.sid.clone(), Account::new(account)));
        Self(Mutex::new(accounts.collect()))
    }

    /// The account these credentials are for: its own, or those of one of its API keys.
    pub(super) fn authenticate(&self, user: &str, password: &str) -> Option<String> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = accounts.iter().find(|(_, account)| account.accepts(user, password));
        found.map(|(sid, _)| sid.clone())
    }

    /// One recording.
    pub(super) fn find(&self, account: &str, sid: &str) -> Option<Arc<HeldRecording>> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(account)?.recordings.get(sid).cloned()
    }

    /// All recordings, the newest first.
    pub(super) fn recordings(&self, account: &str) -> Vec<Arc<HeldRecording>> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = accounts.get(account).map(|account| account.recordings.values().cloned());
        let mut all: Vec<_> = held.into_iter().flatten().collect();
        all.sort_by_key(|held| Reverse(held.recording.started_at));
        all
    }

    /// The first recording of a call, which tells all there is to know about the call.
    pub(super) fn find_call(&self, account: &str, call: &str) -> Option<Arc<HeldRecording>> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recordings = accounts.get(account)?.recordings.values();
        recordings.find(|held| held.recording.call_sid.as_deref() == Some(call)).cloned()
    }

    /// All that is no voice recording.
    pub(super) fn holding(&self, account: &str) -> Option<Holding> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get(account)?;
        Some(Holding { samples: account.samples.clone(), deleted: account.deleted.clone() })
    }

    /// An object of the CDN, unless what it belongs to was deleted.
    pub(super) fn object(&self, account: &str, key: &str) -> Option<Arc<Object>> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get(account)?;
        let object = account.objects.get(key)?;
        let gone = object.owners.iter().any(|owner| account.deleted.contains(owner));
        (!gone).then(|| object.clone())
    }

    /// Adds or replaces; media of a replaced recording is forgotten with it.
    pub(super) fn add(&self, account: &str, recording: SampleRecording) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get_mut(account) {
            let held = Arc::new(HeldRecording::new(recording));
            account.recordings.insert(held.recording.sid.clone(), held);
        }
    }

    /// Removes; streams already running go on to their end.
    pub(super) fn remove(&self, account: &str, sid: &str) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get_mut(account) {
            account.recordings.remove(sid);
        }
    }

    /// Deletes a voice recording as its owner does: metadata stays, marked as deleted.
    pub(super) fn delete_recording(&self, account: &str, sid: &str) -> Deletion {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recordings = accounts.get_mut(account).map(|account| &mut account.recordings);
        let Some(held) = recordings.and_then(|recordings| recordings.get_mut(sid)) else {
            return Deletion::NotFound;
        };
        match held.recording.status {
            RecordingStatus::Deleted => Deletion::NotFound,
            RecordingStatus::Processing | RecordingStatus::Absent => Deletion::Refused,
            RecordingStatus::Completed => {
                let status = RecordingStatus::Deleted;
                *held = Arc::new(held.with(SampleRecording { status, ..held.recording.clone() }));
                Deletion::Done
            }
        }
    }

    /// Deletes a sample that is no voice recording.
    pub(super) fn delete(&self, account: &str, sid: &str) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get_mut(account) {
            account.deleted.insert(sid.to_owned());
        }
    }
}
