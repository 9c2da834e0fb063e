//! The objects of the CDN that are no voice recordings.
//!
//! In: an account's samples. Out: an object for each of their files, by its key: bytes, type, and
//! the headers of an encrypted one. Two samples must never have the same key.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::envelope::{self, SampleEncryption};
use super::insight;
use super::library::Rendered;
use super::samples::{SampleTranscript, TrackKind, VideoStatus};
use super::settings::StandInAccount;

/// A file.
pub(super) struct Object {
    /// The SIDs of what it belongs to; it is gone when one of them is deleted.
    pub(super) owners: Vec<String>,
    pub(super) content_type: String,
    pub(super) modified: Timestamp,
    pub(super) rendered: Rendered,
    /// `x-amz-meta-...` of an encrypted file.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// The key of an encrypted or audible part of a transcript.
pub(super) fn transcript_key(sid: &str, redacted: bool, part: &str) -> String {
    let which = if redacted { "redacted" } else { "plain" };
    format!("{sid}/{which}/{part}")
}

/// The key of a live recording's file.
pub(super) fn live_key(sid: &str, extension: &str) -> String {
    format!("{sid}.{extension}")
}

/// All files of an account, by key.
pub(super) fn of(samples: &StandInAccount) -> BTreeMap<String, Arc<Object>> {
    let mut shelf = Shelf::default();
    for result in &samples.add_on_results {
        for part in &result.payloads {
            let owners = [&result.sid, &part.sid];
            shelf.put(&part.sid, &owners, &part.content_type, result.created_at, &part.bytes);
        }
    }
    for message in &samples.messages {
        for media in &message.media {
            let owners = [&message.sid, &media.sid];
            shelf.put(&media.sid, &owners, &media.content_type, message.sent_at, &media.bytes);
        }
    }
    for media in &samples.service_media {
        shelf.put(&media.sid, &[&media.sid], &media.content_type, media.created_at, &media.bytes);
    }
    for video in samples.videos.iter().filter(|video| video.status == VideoStatus::Completed) {
        let kind = match video.kind {
            TrackKind::Audio => "audio/x-matroska",
            TrackKind::Video => "video/x-matroska",
        };
        let made = video.created_at;
        shelf.put_video(&video.sid, kind, made, &video.bytes, video.encryption.as_ref());
    }
    for film in samples.compositions.iter().filter(|film| film.status == VideoStatus::Completed) {
        let encryption = film.encryption.as_ref();
        shelf.put_video(&film.sid, "video/mp4", film.created_at, &film.bytes, encryption);
    }
    for live in samples.live_recordings.iter().filter(|l| l.status == VideoStatus::Completed) {
        let (sid, made) = (&live.sid, live.created_at);
        shelf.put(&live_key(sid, "mp4"), &[sid], "video/mp4", made, &live.bytes);
        let metadata = &live.timed_metadata;
        shelf.put(&live_key(sid, "json"), &[sid], "application/json", made, metadata);
    }
    for transcript in &samples.transcripts {
        shelf.put_transcript(transcript);
    }
    shelf.0
}

#[derive(Default)]
struct Shelf(BTreeMap<String, Arc<Object>>);

impl Shelf {
    fn put(
        &mut self,
        key: &str,
        owners: &[&String],
        content_type: &str,
        modified: Timestamp,
        bytes: &Bytes,
    ) {
        let object = Object {
            owners: owners.iter().map(|owner| (*owner).clone()).collect(),
            content_type: content_type.to_owned(),
            modified,
            rendered: Rendered::held(bytes.clone()),
            headers: Vec::new(),
        };
        self.0.insert(key.to_owned(), Arc::new(object));
    }

    fn put_encrypted(
        &mut self,
        key: &str,
        owner: &str,
        modified: Timestamp,
        plain: &[u8],
        to: &SampleEncryption,
    ) {
        let Some(encrypted) = envelope::encrypt_object(to, plain) else {
            tracing::warn!(key, "stand-in could not encrypt an object and leaves it out");
            return;
        };
        let object = Object {
            owners: vec![owner.to_owned()],
            content_type: "application/octet-stream".to_owned(),
            modified,
            rendered: Rendered::held(encrypted.bytes),
            headers: encrypted.headers,
        };
        self.0.insert(key.to_owned(), Arc::new(object));
    }

    fn put_video(
        &mut self,
        sid: &String,
        content_type: &str,
        made: Timestamp,
        bytes: &Bytes,
        encryption: Option<&SampleEncryption>,
    ) {
        match encryption {
            Some(to) => self.put_encrypted(sid, sid, made, bytes, to),
            None => self.put(sid, &[sid], content_type, made, bytes),
        }
    }

    fn put_transcript(&mut self, transcript: &SampleTranscript) {
        let (sid, made) = (&transcript.sid, transcript.created_at);
        for (redacted, audio) in [(false, &transcript.audio), (true, &transcript.redacted_audio)] {
            let key = transcript_key(sid, redacted, "audio.wav");
            self.put(&key, &[sid], "audio/x-wav", made, audio);
            let Some(to) = &transcript.encryption else {
                continue;
            };
            let key = transcript_key(sid, redacted, "Sentences");
            let sentences = insight::sentences(transcript, redacted, false);
            self.put_encrypted(&key, sid, made, sentences.to_string().as_bytes(), to);
            for operator in &transcript.operators {
                let key = transcript_key(sid, redacted, &operator.sid);
                let text = insight::operator_text(operator, redacted);
                self.put_encrypted(&key, sid, made, text.as_bytes(), to);
            }
        }
    }
}
