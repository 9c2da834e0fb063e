//! Sound for the demo: a synthesised talk between two voices, as WAV and as MP3.
//!
//! In: a seed and a length. Out: 8 kHz, 16-bit samples of a caller and an agent who take turns,
//! and their encodings in the formats and rates Twilio serves. The same seed always gives the
//! same bytes on one machine, so that an entity tag is stable.
//! The speech has no words, on purpose: no real voice and no real text may ever be in a sample.
//!
//! Read next: `talk.rs`, then `voice.rs`.

mod encode;
mod random;
mod talk;
mod voice;

pub use encode::{AudioError, mp3, wav};
pub use talk::{Conversation, Pcm, conversation, seed};

/// Samples per second: Twilio records telephone calls at 8 kHz.
pub const SAMPLE_RATE: u32 = 8000;
