//! A part of a recording, cut out of its WAV form to the sample.
//!
//! The head of the file says where its samples are and how many bytes a second has; then only the
//! bytes of the part are asked for, behind a head of our own. What a caller asks of the part
//! (ranges, conditions) is held against the part: of the rest they learn neither a byte nor its
//! length. The parts of one recording have no entity tag, since they are no object of Twilio's.

use bytes::{Bytes, BytesMut};

use super::account::Site;
use super::answer::{ContentRange, Opened, Outline};
use super::body::MediaBody;
use super::{Lock, Upstream, UpstreamError, Wanted};
use crate::media::{ByteRange, Conditions, MediaRef, Serves};
use crate::share::Portion;

/// LIMIT: bytes in which the head of a WAV file must end.
const HEAD_BYTES_MAX: u64 = 4_096;

/// The kinds of samples that can be cut at any one: PCM, floating point, A-law, mu-law, and what
/// says its kind further on.
const CUTTABLE: [u16; 5] = [1, 3, 6, 7, 0xfffe];

/// Where the samples of a WAV file are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    /// The `fmt ` chunk without its head.
    format: Vec<u8>,
    bytes_a_second: u64,
    /// Bytes of one sample of all channels.
    block: u64,
    /// Where the first sample stands.
    data: u64,
    /// Bytes of all samples.
    length: u64,
}

/// A part of a WAV file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cut {
    head: Bytes,
    /// Where the first byte behind the head stands in the whole.
    first: u64,
    /// How many bytes there are behind the head.
    length: u64,
}

impl Upstream {
    /// A part of a recording.
    pub(super) async fn part(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
        portion: Portion,
    ) -> Result<Opened, UpstreamError> {
        if media.serves() != Serves::Wav {
            return Err(UpstreamError::Unusable("a part can be cut out of `wav` alone"));
        }
        let cut = self.look(site, media, wanted, portion).await?;
        let total = cut.head.len() as u64 + cut.length;
        let (status, range) = match wanted.conditions.range {
            // What a validator is held against has none.
            Some(range) if wanted.conditions.if_range.is_none() => match range.within(total) {
                Some(part) => (206, Some(part)),
                None => return Ok(unsatisfiable(total)),
            },
            _ => (200, None),
        };
        let (first, last) = range.unwrap_or((0, total.saturating_sub(1)));
        let body = match wanted.outline {
            Outline::HeadOnly => MediaBody::empty(),
            Outline::Whole => self.bytes_of(site, media, wanted, &cut, (first, last)).await?,
        };
        let whole = wanted.outline == Outline::HeadOnly;
        let status = if whole { 200 } else { status };
        let range = range.filter(|_| !whole);
        Ok(Opened {
            length: Some(if whole { total } else { last - first + 1 }),
            range: range.map(|part| ContentRange { part: Some(part), total: Some(total) }),
            body,
            ..head(status)
        })
    }

    /// Where the part is.
    async fn look(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
        portion: Portion,
    ) -> Result<Cut, UpstreamError> {
        let range = ByteRange::Within(0, HEAD_BYTES_MAX - 1);
        let opened = self.bytes(site, media, wanted, range).await?;
        let total = match (opened.status, opened.range) {
            (206, Some(range)) => range.total,
            (200, _) => opened.length,
            _ => None,
        };
        let mut head = BytesMut::new();
        let mut body = opened.body;
        while let Some(bytes) = std::future::poll_fn(|cx| body.poll_bytes(cx)).await {
            let bytes = bytes.map_err(|_| UpstreamError::Unusable("its head broke off"))?;
            head.extend_from_slice(&bytes);
            // Where a range was ignored, the rest is not waited for.
            if head.len() as u64 >= HEAD_BYTES_MAX {
                break;
            }
        }
        let unreadable = || UpstreamError::Unusable("it is no WAV file that can be cut");
        let layout = Layout::read(&head, total.ok_or_else(unreadable)?).ok_or_else(unreadable)?;
        layout.cut(portion).ok_or(UpstreamError::Unusable("the part is not in the recording"))
    }

    async fn bytes_of(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
        cut: &Cut,
        (first, last): (u64, u64),
    ) -> Result<MediaBody, UpstreamError> {
        let own = cut.head.len() as u64;
        let at = |byte: u64| usize::try_from(byte.min(own)).unwrap_or(usize::MAX);
        let head = cut.head.slice(at(first)..at(last.saturating_add(1)));
        if last < own {
            return Ok(MediaBody::from_bytes(head));
        }
        let from = cut.first + first.max(own) - own;
        let to = cut.first + last - own;
        let opened = self.bytes(site, media, wanted, ByteRange::Within(from, to)).await?;
        let fits = opened.range.and_then(|range| range.part) == Some((from, to));
        match opened.status == 206 && fits {
            true => Ok(opened.body.behind(head)),
            false => Err(UpstreamError::Unusable("another part came than was asked for")),
        }
    }

    /// Bytes of the whole, in the clear.
    async fn bytes(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
        range: ByteRange,
    ) -> Result<Opened, UpstreamError> {
        let conditions = Conditions { range: Some(range), ..Conditions::default() };
        let wanted =
            Wanted { outline: Outline::Whole, conditions: &conditions, portion: None, ..*wanted };
        match wanted.lock {
            Lock::Key(opening) => self.decrypted(site, media, &wanted, opening).await,
            Lock::Open { .. } => self.as_stored(site, media, &wanted).await,
            Lock::Closed => Err(UpstreamError::Unusable("a part of what is encrypted is nothing")),
        }
    }
}

fn head(status: u16) -> Opened {
    Opened { status, content_type: "audio/x-wav", ranges: true, ..Opened::nothing() }
}

fn unsatisfiable(total: u64) -> Opened {
    Opened { range: Some(ContentRange { part: None, total: Some(total) }), ..head(416) }
}

impl Layout {
    /// Reads the head of a WAV file of this length.
    fn read(head: &[u8], total: u64) -> Option<Self> {
        if head.get(..4)? != b"RIFF" || head.get(8..12)? != b"WAVE" {
            return None;
        }
        let mut at = 12;
        let mut format: Option<Vec<u8>> = None;
        loop {
            let name = head.get(at..at + 4)?;
            let size = head.get(at + 4..at + 8)?;
            let size = u32::from_le_bytes(size.try_into().ok()?) as usize;
            let body = at + 8;
            if name == b"data" {
                let format = format?;
                let short =
                    |at: usize| Some(u16::from_le_bytes(format.get(at..at + 2)?.try_into().ok()?));
                let second = u32::from_le_bytes(format.get(8..12)?.try_into().ok()?);
                let block = u64::from(short(12)?);
                let data = body as u64;
                // A file that was written as it came does not know its length.
                let length = match size {
                    0 | 0xffff_ffff => total.checked_sub(data)?,
                    size => (size as u64).min(total.checked_sub(data)?),
                };
                let sound = CUTTABLE.contains(&short(0)?) && block > 0 && second > 0;
                let bytes_a_second = u64::from(second);
                return sound.then_some(Self { format, bytes_a_second, block, data, length });
            }
            if name == b"fmt " {
                format = Some(head.get(body..body.checked_add(size)?)?.to_vec());
            }
            // Chunks begin at even places.
            at = body.checked_add(size)?.checked_add(size % 2)?;
        }
    }

    /// Cuts a part out; what of it lies beyond the end is not there. `None` if nothing is left.
    fn cut(&self, portion: Portion) -> Option<Cut> {
        let at = |ms: u64| {
            let byte = u128::from(ms) * u128::from(self.bytes_a_second) / 1_000;
            let byte = u64::try_from(byte).unwrap_or(u64::MAX).min(self.length);
            byte - byte % self.block
        };
        let (from, to) = (at(portion.start_ms), at(portion.end_ms));
        let length = to.checked_sub(from).filter(|length| *length > 0)?;
        let samples = u32::try_from(length).ok()?;
        let padded = self.format.len() + self.format.len() % 2;
        let riff = samples.checked_add(u32::try_from(4 + 8 + padded + 8).ok()?)?;
        let mut head = BytesMut::new();
        head.extend_from_slice(b"RIFF");
        head.extend_from_slice(&riff.to_le_bytes());
        head.extend_from_slice(b"WAVEfmt ");
        head.extend_from_slice(&u32::try_from(self.format.len()).ok()?.to_le_bytes());
        head.extend_from_slice(&self.format);
        head.resize(12 + 8 + padded, 0);
        head.extend_from_slice(b"data");
        head.extend_from_slice(&samples.to_le_bytes());
        Some(Cut { head: head.freeze(), first: self.data + from, length })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two channels of 16 bits at 8 kHz, with a chunk that nobody asked for.
    fn file(seconds: u32, size: Option<u32>) -> Vec<u8> {
        let length = seconds * 32_000;
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
        file.extend(8_000u32.to_le_bytes());
        file.extend(32_000u32.to_le_bytes());
        file.extend(b"\x04\0\x10\0LIST\x03\0\0\0abc\0data");
        file.extend(size.unwrap_or(length).to_le_bytes());
        file.extend((0..length).map(|at| (at % 251) as u8));
        file
    }

    fn part(start_ms: u64, end_ms: u64) -> Portion {
        Portion { end_ms, start_ms }
    }

    #[test]
    fn a_part_is_cut_at_whole_samples_and_says_its_own_length() {
        for size in [None, Some(0), Some(u32::MAX)] {
            let file = file(4, size);
            let layout = Layout::read(&file[..200], file.len() as u64).unwrap();
            assert_eq!((layout.data, layout.length, layout.block), (56, 128_000, 4));
            let cut = layout.cut(part(1_001, 2_500)).unwrap();
            assert_eq!((cut.first, cut.length), (56 + 32_032, 80_000 - 32_032));
            assert_eq!(cut.head.len(), 44);
            let total = cut.head.len() as u64 + cut.length;
            let again = Layout::read(&cut.head, total).unwrap();
            assert_eq!((again.length, &again.format), (cut.length, &layout.format));
            let riff = u32::from_le_bytes(cut.head[4..8].try_into().unwrap());
            assert_eq!(u64::from(riff), total - 8);
        }
    }

    #[test]
    fn what_is_beyond_the_end_is_not_there() {
        let file = file(4, None);
        let layout = Layout::read(&file, file.len() as u64).unwrap();
        assert_eq!(layout.cut(part(3_000, u64::MAX)).unwrap().length, 32_000);
        assert_eq!(layout.cut(part(4_000, 5_000)), None);
        assert_eq!(layout.cut(part(0, 0)), None);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let mut file = file(1, None);
        file[20] = 2; // ADPCM has no whole samples to cut at.
        assert_eq!(Layout::read(&file, file.len() as u64), None);
        assert_eq!(Layout::read(b"ID3", 3), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_layout_or_none(head: Vec<u8>, total: u64, a: u64, b: u64) {
            let named = [&b"RIFF1234WAVEfmt "[..], &head].concat();
            for head in [&head, &named] {
                let layout = Layout::read(head, total);
                if let Some(cut) = layout.and_then(|layout| layout.cut(part(a, b))) {
                    prop_assert!(cut.first + cut.length <= total);
                }
            }
        }
    }
}
