//! Encrypted recordings, served in the clear.
//!
//! The ciphertext is fetched whole, decrypted and verified (`decrypt/`); ranges and conditions are
//! then the gate's own matter, on the plaintext. What was decrypted is kept for a while, so that
//! seeking does not fetch it each time; asking for it still takes a receipt, and facts that are
//! young: of a recording that was deleted nothing is told, though its plaintext may live on in
//! memory until it is too old.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::account::{Opening, Site};
use super::answer::{self, ContentRange, Opened, Outline};
use super::body::MediaBody;
use super::decrypt::{self, DecryptError, Plaintext, Plaintexts, SpillSettings, VideoEnvelope};
use super::pool::Reply;
use super::{Errand, Upstream, UpstreamError, Wanted};
use crate::config;
use crate::media::{Conditions, EntityTag, MediaRef, Serves};

/// Where recordings are decrypted, shared by all workers.
#[derive(Clone, Debug)]
pub struct Decryption {
    kept: Plaintexts,
    spill: Arc<SpillSettings>,
}

impl Decryption {
    /// As configured; no recording may be longer than the limit.
    #[must_use]
    pub fn new(settings: &config::Decryption, limits: &config::Limits) -> Self {
        let directory = settings.directory.clone().unwrap_or_else(std::env::temp_dir);
        let spill = SpillSettings {
            memory_bytes_max: settings.memory_bytes_max.as_usize(),
            ..SpillSettings::new(directory, limits.response_bytes_max.get())
        };
        let kept =
            Plaintexts::new(settings.cache_bytes_max.get(), settings.keep_seconds.duration());
        Self { kept, spill: Arc::new(spill) }
    }

    /// Lets go of what is too old.
    pub async fn sweep(&self) {
        self.kept.sweep().await;
    }
}

impl Upstream {
    /// A voice recording, decrypted.
    pub(super) async fn decrypted(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
        opening: &Opening,
    ) -> Result<Opened, UpstreamError> {
        let tag = tag(&media, &opening.iv);
        if wanted.outline == Outline::HeadOnly {
            // Its length follows from the ciphertext's, which ends in a tag of 16 bytes.
            let sealed = Wanted { conditions: &Conditions::default(), ..*wanted };
            let head = self.as_stored(site, media, &sealed).await?;
            let length = head.length.and_then(|length| length.checked_sub(16));
            return Ok(match wanted.conditions.judge(tag.as_ref(), None) {
                Some(status) => Opened { status, length: None, tag, modified: None, ..head },
                None => Opened { length, tag, modified: None, ..head },
            });
        }
        let Decryption { kept, spill } = &self.decryption;
        let name = name(&media);
        let plaintext = kept.get_or_make(&name, async {
            let errand = Errand { accept: "audio/x-wav, audio/wav", ..Errand::json() };
            let (reply, slot) = self.fetch_media(site, &media, &errand).await?;
            let mut sealed = self.read_whole(reply, media).await?;
            self.follow(&mut sealed, site, media, errand, slot);
            let opened = decrypt::voice(sealed.body, &opening.key, opening.iv, spill).await;
            opened.map_err(failed)
        });
        let plaintext = plaintext.await.map_err(|error| (*error).clone())?;
        Ok(part(&plaintext, "audio/x-wav", tag, wanted.conditions))
    }

    /// A file of a video room. It is encrypted if it comes with an envelope.
    pub(super) async fn file(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
        envelope: &VideoEnvelope,
        reply: Reply,
    ) -> Result<Opened, UpstreamError> {
        let key = match site.0.private_keys.open_video(envelope) {
            Ok(key) => key,
            Err(DecryptError::NoKeys) => return Err(UpstreamError::NoKey),
            Err(other) => return Err(failed(other)),
        };
        let Decryption { kept, spill } = &self.decryption;
        let content_type = answer::content_type(&reply.parts.headers, &media)?;
        let name = name(&media);
        let plaintext = kept.get_or_make(&name, async {
            // What came may be a part of it.
            let errand = Errand { accept: "*/*", ..Errand::json() };
            drop(reply);
            let (reply, slot) = self.fetch_media(site, &media, &errand).await?;
            let mut sealed = self.read_whole(reply, media).await?;
            self.follow(&mut sealed, site, media, errand, slot);
            decrypt::video(sealed.body, &key, envelope.iv(), spill).await.map_err(failed)
        });
        let plaintext = plaintext.await.map_err(|error| (*error).clone())?;
        let tag = tag(&media, &envelope.iv());
        let opened = part(&plaintext, content_type, tag, wanted.conditions);
        Ok(match wanted.outline {
            Outline::Whole => opened,
            Outline::HeadOnly => Opened { body: MediaBody::empty(), ..opened },
        })
    }

    /// Checks the head of a whole.
    async fn read_whole(&self, reply: Reply, media: MediaRef) -> Result<Opened, UpstreamError> {
        let reply = self.refuse_errors(reply).await?;
        let conditions = Conditions::default();
        let expected = answer::Expected {
            media,
            outline: Outline::Whole,
            conditions: &conditions,
            range: None,
        };
        answer::read(reply, &expected, self.response_bytes_max)
    }
}

/// The envelope of a file of a video room, if it is encrypted.
pub(super) fn envelope_of(
    media: &MediaRef,
    reply: &Reply,
) -> Result<Option<VideoEnvelope>, UpstreamError> {
    match media.serves() {
        Serves::File => VideoEnvelope::read(&reply.parts.headers)
            .map_err(|error| UpstreamError::Sealed(error.to_string())),
        _ => Ok(None),
    }
}

/// Whether it is the thing or a part of it.
pub(super) fn has_bytes(reply: &Reply) -> bool {
    matches!(reply.parts.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT)
}

/// The headers in which Amazon's envelope comes.
pub(super) fn envelope_headers(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let names = ["x-amz-meta-x-amz-key", "x-amz-meta-x-amz-iv"].map(HeaderName::from_static);
    let pair = |name: HeaderName| Some((name.clone(), headers.get(name)?.clone()));
    names.into_iter().filter_map(pair).collect()
}

/// The part of a plaintext that was asked for, on the conditions that were set.
fn part(
    plaintext: &Plaintext,
    content_type: &'static str,
    tag: Option<EntityTag>,
    conditions: &Conditions,
) -> Opened {
    let total = plaintext.len();
    let status = conditions.judge(tag.as_ref(), None);
    let range = conditions.range.filter(|_| answer::is_same(conditions, tag.as_ref(), None));
    let opened = Opened { content_type, ranges: true, tag, ..Opened::nothing() };
    if let Some(status) = status {
        return Opened { status, ..opened };
    }
    let (status, first, last) = match range.map(|range| range.within(total)) {
        Some(None) => {
            let range = Some(ContentRange { part: None, total: Some(total) });
            return Opened { status: 416, range, ..opened };
        }
        Some(Some((first, last))) => (206, first, last),
        None => (200, 0, total.saturating_sub(1)),
    };
    let length = if total == 0 { 0 } else { last - first + 1 };
    let range = ContentRange { part: Some((first, last)), total: Some(total) };
    Opened {
        status,
        length: Some(length),
        range: (status == 206).then_some(range),
        body: MediaBody::from_plain(plaintext.read(first, last), length),
        ..opened
    }
}

/// The plaintext's own entity tag: the ciphertext's would be another object's.
fn tag(media: &MediaRef, iv: &[u8]) -> Option<EntityTag> {
    let text = [name(media).as_bytes(), iv].concat();
    let hex = digest(&SHA256, &text).as_ref().iter().take(16).map(|b| format!("{b:02x}")).collect();
    let hex: String = hex;
    EntityTag::parse(&format!("\"{hex}\""))
}

/// What it is kept under: the account and what changes its bytes.
fn name(media: &MediaRef) -> String {
    let url = media.url(&media.account.to_string(), &[]);
    // With and without `.wav` it is the same file.
    url.replacen(".wav", "", 1)
}

fn failed(error: DecryptError) -> UpstreamError {
    match error {
        DecryptError::Body(source) => match source.downcast::<super::BodyError>() {
            Ok(_) => UpstreamError::Unusable("an encrypted recording broke off"),
            Err(other) => UpstreamError::Sealed(other.to_string()),
        },
        other => {
            tracing::error!(error = %other, "a recording cannot be decrypted");
            UpstreamError::Sealed(other.to_string())
        }
    }
}
