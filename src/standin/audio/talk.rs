//! Two voices in turn: who speaks when, on which side, and how loud.
//!
//! In: a seed and a length in seconds. Out: a [`Conversation`] of exactly that length, with the
//! caller's and the agent's side apart, and [`Pcm`] of either one channel or two.
//! The two must not talk at the same time, so that dual and mixed audio can be told apart by ear.

use super::SAMPLE_RATE;
use super::random::Random;
use super::voice::{Character, Voice, samples_in};

/// The loudest sample of a side, of 1.0: loud enough, with room for the codec's overshoot.
const PEAK: f32 = 0.6;
/// The hum of an idle line, so that a pause is not dead silence.
const LINE_NOISE: f32 = 0.0012;
/// The rest before anybody speaks, in seconds.
const PICK_UP: f32 = 0.35;

/// Both sides of a synthesised call, 8 kHz, 16 bits.
pub struct Conversation {
    /// What the caller says.
    pub caller: Vec<i16>,
    /// What the agent says; as long as the caller's side.
    pub agent: Vec<i16>,
}

/// Interleaved samples.
pub struct Pcm {
    /// The samples, left before right.
    pub samples: Vec<i16>,
    /// 1 or 2.
    pub channels: u16,
}

impl Conversation {
    /// Caller left, agent right, as Twilio does for an inbound call.
    #[must_use]
    pub fn dual(&self) -> Pcm {
        let pairs = self.caller.iter().zip(&self.agent);
        Pcm { samples: pairs.flat_map(|(left, right)| [*left, *right]).collect(), channels: 2 }
    }

    /// Both sides mixed.
    #[must_use]
    pub fn mono(&self) -> Pcm {
        let pairs = self.caller.iter().zip(&self.agent);
        Pcm { samples: pairs.map(|(a, b)| a.saturating_add(*b)).collect(), channels: 1 }
    }
}

/// A number made from a text such as a SID, to seed [`conversation`] with (FNV-1a).
#[must_use]
pub fn seed(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Synthesises a talk. The agent, in the deeper voice, speaks first. Holds eight bytes for each
/// sample while it works: some 4 MB for a minute of call.
#[must_use]
pub fn conversation(seed: u64, duration_seconds: u32) -> Conversation {
    let mut random = Random::new(seed);
    let length =
        usize::try_from(u64::from(duration_seconds) * u64::from(SAMPLE_RATE)).unwrap_or(usize::MAX);
    let (mut caller_voice, mut agent_voice) = voices(&mut random);
    let mut caller = vec![0.0; length];
    let mut agent = vec![0.0; length];
    let mut at = samples_in(PICK_UP);
    let mut agents_turn = true;
    while at < length {
        let (voice, side) = if agents_turn {
            (&mut agent_voice, &mut agent)
        } else {
            (&mut caller_voice, &mut caller)
        };
        at = turn(voice, side, at, &mut random);
        at += samples_in(random.between(0.25, 0.7));
        agents_turn = !agents_turn;
    }
    Conversation { caller: finish(caller, &mut random), agent: finish(agent, &mut random) }
}

fn voices(random: &mut Random) -> (Voice, Voice) {
    let caller = Character {
        pitch: random.between(180.0, 225.0),
        tract: random.between(1.1, 1.17),
        pace: random.between(0.9, 1.05),
    };
    let agent = Character {
        pitch: random.between(98.0, 128.0),
        tract: random.between(0.94, 1.02),
        pace: random.between(0.95, 1.15),
    };
    (Voice::new(caller, random.bits()), Voice::new(agent, random.bits()))
}

/// One to three sentences from `at` on, cut at the end of the call. Gives where they end.
fn turn(voice: &mut Voice, side: &mut [f32], mut at: usize, random: &mut Random) -> usize {
    for _ in 0..random.pick(1, &[1, 2, 2, 3]) {
        let spoken = voice.sentence(random.pick(4, &[2, 6, 8, 11, 15]));
        let room = side.get_mut(at..).unwrap_or_default();
        for (sample, sound) in room.iter_mut().zip(&spoken) {
            *sample += sound;
        }
        at += spoken.len() + samples_in(random.between(0.1, 0.25));
    }
    at
}

/// Levels a side, adds the line, and fades its last moment out, which may be mid-word.
fn finish(side: Vec<f32>, random: &mut Random) -> Vec<i16> {
    let loudest = side.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    let gain = if loudest > 0.0 { PEAK / loudest } else { 0.0 };
    let fade = samples_in(0.03);
    let length = side.len();
    let sound = side.into_iter().enumerate().map(|(at, sample)| {
        let left = length - at;
        let level = if left < fade { ratio(left, fade) } else { 1.0 };
        to_16_bits((sample * gain + random.noise() * LINE_NOISE) * level)
    });
    sound.collect()
}

fn ratio(part: usize, whole: usize) -> f32 {
    let narrow = |count: usize| f32::from(u16::try_from(count).unwrap_or(u16::MAX));
    narrow(part) / narrow(whole.max(1))
}

fn to_16_bits(sample: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits just before")]
    let bits = (sample.clamp(-1.0, 1.0) * 32767.0) as i16;
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loudness(samples: &[i16]) -> i32 {
        samples.iter().map(|sample| i32::from(sample.unsigned_abs())).max().unwrap_or(0)
    }

    #[test]
    fn a_conversation_has_its_length_and_both_voices() {
        let talk = conversation(seed("RE1"), 12);
        assert_eq!(talk.caller.len(), 96_000);
        assert_eq!(talk.agent.len(), 96_000);
        assert!(loudness(&talk.caller) > 10_000 && loudness(&talk.agent) > 10_000);
        assert_eq!(talk.mono().samples.len(), 96_000);
        assert_eq!(talk.dual().samples.len(), 192_000);
    }

    #[test]
    fn the_voices_take_turns() {
        let talk = conversation(seed("RE1"), 30);
        let both = talk.caller.iter().zip(&talk.agent);
        let at_once = both.filter(|(a, b)| a.unsigned_abs() > 400 && b.unsigned_abs() > 400);
        assert_eq!(at_once.count(), 0);
    }

    #[test]
    fn the_same_seed_gives_the_same_talk_and_another_one_does_not() {
        assert_eq!(conversation(7, 3).agent, conversation(7, 3).agent);
        assert_ne!(conversation(7, 3).agent, conversation(8, 3).agent);
        assert!(conversation(7, 0).caller.is_empty());
    }
}
