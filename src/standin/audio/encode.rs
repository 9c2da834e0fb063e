//! From samples to files: a RIFF header before them, or MP3 frames instead of them.
//!
//! In: [`Pcm`] at 8 kHz. Out: bytes of a complete WAV or MP3 object. MP3 at 8 kHz is MPEG-2.5,
//! which every decoder in use knows. Sizes in the WAV header must be exact: players believe them.

use bytes::{BufMut, Bytes, BytesMut};
use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig};

use super::SAMPLE_RATE;
use super::talk::Pcm;

/// `RIFF`, `fmt ` and `data` headers of plain PCM.
const WAV_HEADER_BYTES: u32 = 44;
const BYTES_PER_SAMPLE: u16 = 2;

/// Why audio could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The MP3 encoder did not take the samples.
    #[error("could not encode the sample as mp3")]
    Mp3(#[source] rusty_mp3::Error),
}

/// A WAV object: 8 kHz, 16-bit PCM. Longer than 4 GiB is not foreseen: sizes saturate.
#[must_use]
pub fn wav(pcm: &Pcm) -> Bytes {
    let frame_bytes = pcm.channels.saturating_mul(BYTES_PER_SAMPLE);
    let sound_bytes = u32::try_from(pcm.samples.len())
        .unwrap_or(u32::MAX)
        .saturating_mul(u32::from(BYTES_PER_SAMPLE));
    let mut out = BytesMut::with_capacity(pcm.samples.len() * 2 + 44);
    out.put_slice(b"RIFF");
    out.put_u32_le(sound_bytes.saturating_add(WAV_HEADER_BYTES - 8));
    out.put_slice(b"WAVEfmt ");
    out.put_u32_le(16);
    // Format 1: uncompressed.
    out.put_u16_le(1);
    out.put_u16_le(pcm.channels);
    out.put_u32_le(SAMPLE_RATE);
    out.put_u32_le(SAMPLE_RATE.saturating_mul(u32::from(frame_bytes)));
    out.put_u16_le(frame_bytes);
    out.put_u16_le(BYTES_PER_SAMPLE * 8);
    out.put_slice(b"data");
    out.put_u32_le(sound_bytes);
    for sample in &pcm.samples {
        out.put_i16_le(*sample);
    }
    out.freeze()
}

/// An MP3 object at a constant rate in kbit/s.
///
/// # Errors
/// When the encoder refuses the samples.
pub fn mp3(pcm: &Pcm, kbps: u32) -> Result<Bytes, AudioError> {
    let settings = Mp3EncoderConfig { bitrate_kbps: kbps, vbr_quality: None };
    let mut encoder = Mp3Encoder::new(settings);
    encoder.push_pcm_s16(&pcm.samples, pcm.channels, SAMPLE_RATE).map_err(AudioError::Mp3)?;
    encoder.finish();
    let mut out = BytesMut::new();
    // Ends with `Eof`: all input is in, so nothing else can come.
    while let Ok(packet) = encoder.next_packet() {
        out.put_slice(&packet);
    }
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wav_header_says_what_follows() {
        let pcm = Pcm { samples: vec![1, -1, 2, -2], channels: 2 };
        let bytes = wav(&pcm);
        assert_eq!(&bytes[0..4], b"RIFF");
        assert_eq!(bytes[4..8], 44_u32.to_le_bytes());
        assert_eq!(&bytes[8..16], b"WAVEfmt ");
        assert_eq!(bytes[20..24], [1, 0, 2, 0]);
        assert_eq!(bytes[24..28], 8000_u32.to_le_bytes());
        assert_eq!(bytes[28..32], 32_000_u32.to_le_bytes());
        assert_eq!(bytes[32..36], [4, 0, 16, 0]);
        assert_eq!(&bytes[36..40], b"data");
        assert_eq!(bytes[40..44], 8_u32.to_le_bytes());
        assert_eq!(bytes[44..], [1, 0, 255, 255, 2, 0, 254, 255]);
        assert_eq!(bytes.len(), 52);
    }

    #[test]
    fn an_mp3_of_a_second_is_of_the_rate_asked_for() {
        let tone = (0..8000_i16).map(|at| (at % 40) * 200).collect();
        let bytes = mp3(&Pcm { samples: tone, channels: 1 }, 32).unwrap();
        // A sync word first, and 4000 bytes a second plus the padding of the last frames.
        assert_eq!(bytes[0], 0xFF);
        assert!((4000..5500).contains(&bytes.len()), "{}", bytes.len());
    }
}
