//! The accounts and recordings of the stand-in, and their media once rendered.
//!
//! In: samples, at the start and later. Out: one recording by account and SID, a call by its
//! SID, and media as [`Rendered`]. A conversation is synthesised and encoded at most once per
//! format and number of channels, on first use. One account must never see another's recordings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_lc_rs::{constant_time, digest};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::audio::{self, AudioError};
use super::body::Source;
use super::settings::{MediaFormat, SampleAudio, SampleRecording, StandInAccount};

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
    fn held(bytes: Bytes) -> Self {
        let hash = digest::digest(&digest::SHA256, &bytes);
        let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { source: Source::Held(bytes), length, etag: format!("\"{hex}\"") }
    }

    fn pattern(length: u64) -> Self {
        // The length determines the content, so it may stand for it.
        Self { source: Source::Pattern, length, etag: format!("\"pattern-{length:x}\"") }
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

/// A recording with the media made from it so far.
pub(super) struct HeldRecording {
    pub(super) recording: SampleRecording,
    wav_mono: OnceLock<Rendered>,
    wav_dual: OnceLock<Rendered>,
    mp3_mono: OnceLock<Rendered>,
    mp3_dual: OnceLock<Rendered>,
}

impl HeldRecording {
    fn new(recording: SampleRecording) -> Self {
        Self {
            recording,
            wav_mono: OnceLock::new(),
            wav_dual: OnceLock::new(),
            mp3_mono: OnceLock::new(),
            mp3_dual: OnceLock::new(),
        }
    }

    /// When the recording ended, which dates its media.
    pub(super) fn ended_at(&self) -> Timestamp {
        let length = SignedDuration::from_secs(i64::from(self.recording.duration_seconds));
        self.recording.started_at.checked_add(length).unwrap_or(self.recording.started_at)
    }

    /// The number of channels to serve for the one asked for.
    pub(super) fn channels_for(&self, requested: Option<u8>) -> Result<u8, ChannelsError> {
        match requested {
            None => Ok(self.recording.channels),
            Some(1) => Ok(1),
            Some(2) if self.recording.channels == 2 => Ok(2),
            Some(2) => Err(ChannelsError::NoDual),
            Some(_) => Err(ChannelsError::Malformed),
        }
    }

    /// The media, made now if it was not made before. Blocks for the time of the synthesis.
    pub(super) fn render(&self, format: MediaFormat, channels: u8) -> Result<Rendered, AudioError> {
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
        let made = self.make(format, channels)?;
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
    auth_token: String,
    recordings: BTreeMap<String, Arc<HeldRecording>>,
}

/// All accounts.
pub(super) struct Library(Mutex<BTreeMap<String, Account>>);

impl Library {
    /// Takes the accounts in.
    pub(super) fn new(accounts: Vec<StandInAccount>) -> Self {
        let accounts = accounts.into_iter().map(|account| {
            let recordings = account
                .recordings
                .into_iter()
                .map(|recording| (recording.sid.clone(), Arc::new(HeldRecording::new(recording))));
            let kept = Account { auth_token: account.auth_token, recordings: recordings.collect() };
            (account.sid, kept)
        });
        Self(Mutex::new(accounts.collect()))
    }

    /// Whether this is the account's token.
    pub(super) fn is_token(&self, account: &str, token: &str) -> bool {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(account).is_some_and(|account| {
            let expected = account.auth_token.as_bytes();
            constant_time::verify_slices_are_equal(expected, token.as_bytes()).is_ok()
        })
    }

    /// One recording.
    pub(super) fn find(&self, account: &str, sid: &str) -> Option<Arc<HeldRecording>> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(account)?.recordings.get(sid).cloned()
    }

    /// The first recording of a call, which tells all there is to know about the call.
    pub(super) fn find_call(&self, account: &str, call: &str) -> Option<Arc<HeldRecording>> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recordings = accounts.get(account)?.recordings.values();
        recordings.find(|held| held.recording.call_sid.as_deref() == Some(call)).cloned()
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
}
