//! The stand-in for Twilio: what `demo` and the integration tests talk to.
//!
//! In: accounts with samples, a TLS configuration, two addresses. Out: a server that answers as
//! Twilio's hosts answer wherever media, or what is made from media, can be had (api, video, media,
//! mcs, intelligence, iam: their paths do not collide), a second one that plays the media CDN
//! behind pre-signed URLs, a list of every request that reached either, and on demand every kind of
//! bad behaviour an upstream can show. Facts come from Twilio's OpenAPI documents and pages; where
//! they are silent (media headers, HEAD) it does what S3 does, and [`Ways`] says what else is open.
//!
//! It must never run in `serve`, never hold a real credential, and never make a real voice heard:
//! what it plays is synthesised. It keeps the `Authorization` headers it saw, for tests to look
//! at, so a [`SeenRequest`] must never be logged.
//!
//! Read next: `settings.rs`, then `api.rs`.

pub mod audio;

mod answer;
mod api;
mod body;
mod cdn;
mod derived;
mod envelope;
mod insight;
mod library;
mod media;
mod message;
mod metadata;
mod misbehaviour;
mod objects;
mod page;
mod query;
mod range;
mod route;
mod samples;
mod seen;
mod server;
mod service;
mod settings;
mod signature;
mod video;
mod voice;
mod xml;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use body::pattern_byte;
pub use envelope::{EncryptionNames, NoPublicKey, SampleEncryption};
pub use misbehaviour::{Fault, Misbehaviour, RedirectTarget};
pub use samples::{
    MessageDirection, SampleAddOnResult, SampleApiKey, SampleComposition, SampleLiveRecording,
    SampleMedia, SampleMessage, SampleOperatorResult, SamplePayload, SampleRoom, SampleSentence,
    SampleServiceMedia, SampleToken, SampleTranscript, SampleTranscription, SampleVideo, TrackKind,
    VideoStatus,
};
pub use seen::{Listener, SeenRequest};
pub use settings::{
    Direction, MediaFormat, RecordingStatus, SampleAudio, SampleRecording, StandInAccount,
    StandInSettings, Ways,
};
pub use signature::PRESIGNED_MARKER;

use library::Library;
use server::Shared;

/// Why the stand-in could not start.
#[derive(Debug, thiserror::Error)]
pub enum StandInError {
    /// A listener could not be opened.
    #[error("could not listen on `{address}` for the stand-in")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The random generator gave no key for the CDN's signatures.
    #[error("no randomness for the stand-in's url signing key")]
    SigningKey,
}

/// A running stand-in. Dropping it closes both listeners and every connection.
pub struct StandIn {
    address: SocketAddr,
    cdn_address: SocketAddr,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl StandIn {
    /// Opens both listeners and serves them on the current tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be bound or there is no randomness for the signing key.
    pub async fn start(settings: StandInSettings) -> Result<Self, StandInError> {
        let (api, address) = listen(settings.address).await?;
        let (cdn, cdn_address) = listen(settings.cdn_address).await?;
        let shared = Arc::new(Shared {
            library: Library::new(settings.accounts),
            seen: seen::SeenLog::default(),
            rules: misbehaviour::RuleBook::default(),
            signer: signature::UrlSigner::generate().ok_or(StandInError::SigningKey)?,
            api_origin: format!("https://{}:{}", settings.host, address.port()),
            cdn_origin: format!("https://{}:{}", settings.host, cdn_address.port()),
            ways: settings.ways,
        });
        let api_task = server::serve(api, settings.tls.clone(), Listener::Api, shared.clone());
        let cdn_task = server::serve(cdn, settings.tls, Listener::Cdn, shared.clone());
        let tasks = [tokio::spawn(api_task), tokio::spawn(cdn_task)];
        Ok(Self { address, cdn_address, shared, tasks })
    }

    /// Where the listener that plays api.twilio.com is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the listener that plays the media CDN is.
    #[must_use]
    pub fn cdn_address(&self) -> SocketAddr {
        self.cdn_address
    }

    /// Every request since the start or the last [`StandIn::forget_seen`], both listeners, in
    /// the order their heads arrived.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.shared.seen.all()
    }

    /// Empties the list of seen requests.
    pub fn forget_seen(&self) {
        self.shared.seen.forget();
    }

    /// Adds a rule of bad behaviour; all rules that match a request apply to it together.
    pub fn misbehave(&self, rule: Misbehaviour) {
        self.shared.rules.add(rule);
    }

    /// Clears all rules.
    pub fn behave(&self) {
        self.shared.rules.clear();
    }

    /// Adds a recording, or replaces the one with the same SID. An unknown account is ignored.
    pub fn add(&self, account: &str, recording: SampleRecording) {
        self.shared.library.add(account, recording);
    }

    /// Takes a recording away without trace, as Twilio does 40 days after a deletion.
    pub fn remove(&self, account: &str, sid: &str) {
        self.shared.library.remove(account, sid);
    }

    /// The bytes a request for this media gets, for comparison. `None` for an unknown or
    /// unavailable recording, for [`SampleAudio::Zeros`] (too large to hold), and for two
    /// channels of a mono recording. Synthesises on first use, on the calling thread.
    #[must_use]
    pub fn media(
        &self,
        account: &str,
        sid: &str,
        format: MediaFormat,
        channels: Option<u8>,
    ) -> Option<Bytes> {
        let held = self.shared.library.find(account, sid)?;
        if held.recording.status != RecordingStatus::Completed {
            return None;
        }
        let channels = held.channels_for(channels).ok()?;
        held.render(format, channels).ok()?.whole()
    }

    /// Closes both listeners and all connections, and returns when that has happened.
    pub async fn stop(mut self) {
        for task in &mut self.tasks {
            task.abort();
            // An aborted task answers with a cancellation, which is what was asked for.
            let _ = task.await;
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StandInError> {
    let failed = |source| StandInError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
