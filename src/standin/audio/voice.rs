//! One voice: speech-like sound without words, by formant synthesis after Klatt (1980).
//!
//! In: a voice's pitch and size, and how long to speak. Out: samples: a pulse train from the
//! vocal folds, or noise for consonants, through three resonators whose frequencies glide from
//! vowel to vowel, under the pitch contour of a sentence. Levels are relative; `talk.rs` sets
//! them. Work is done per frame of 5 ms, so a minute of speech takes some tens of milliseconds.

use std::f32::consts::PI;

use super::SAMPLE_RATE;
use super::random::Random;

/// 5 ms at 8 kHz: the step at which formants and pitch move.
const FRAME_SAMPLES: u16 = 40;
/// Seconds in a frame.
const FRAME_SECONDS: f32 = 0.005;
/// How far a formant moves towards its target in a frame; gives glides of some 40 ms.
const GLIDE: f32 = 0.13;

/// The first three formants of a vowel in Hz, for a male voice (Peterson and Barney, 1952).
type Vowel = [f32; 3];
const SCHWA: Vowel = [500.0, 1450.0, 2450.0];
const VOWELS: [Vowel; 7] = [
    [730.0, 1090.0, 2440.0],
    [530.0, 1840.0, 2480.0],
    [300.0, 2150.0, 2850.0],
    [570.0, 860.0, 2410.0],
    [330.0, 900.0, 2240.0],
    [660.0, 1700.0, 2410.0],
    [440.0, 1020.0, 2240.0],
];
/// Bandwidths of the three formants in Hz.
const BANDWIDTHS: [f32; 3] = [80.0, 110.0, 170.0];

/// How much of the last sample is taken off the next, as in a telephone's microphone.
const PRE_EMPHASIS: f32 = 0.82;

/// What makes one voice differ from another.
#[derive(Clone, Copy)]
pub(super) struct Character {
    /// Mean pitch in Hz.
    pub(super) pitch: f32,
    /// Formants relative to the table: above 1 for a shorter vocal tract.
    pub(super) tract: f32,
    /// Syllables relative to the usual length: below 1 for a fast speaker.
    pub(super) pace: f32,
}

/// A two-pole resonator with unit gain at 0 Hz.
#[derive(Clone, Copy, Default)]
struct Resonator {
    gain: f32,
    back_one: f32,
    back_two: f32,
    last: f32,
    before: f32,
}

impl Resonator {
    fn tune(&mut self, frequency: f32, bandwidth: f32) {
        let step = FRAME_SECONDS / f32::from(FRAME_SAMPLES);
        self.back_two = -(-2.0 * PI * bandwidth * step).exp();
        self.back_one = 2.0 * (-PI * bandwidth * step).exp() * (2.0 * PI * frequency * step).cos();
        self.gain = 1.0 - self.back_one - self.back_two;
    }

    fn pass(&mut self, input: f32) -> f32 {
        let output = self.gain * input + self.back_one * self.last + self.back_two * self.before;
        self.before = self.last;
        self.last = output;
        output
    }
}

/// One stretch of sound: a vowel, a hiss, or a closure.
#[derive(Clone, Copy)]
struct Phone {
    seconds: f32,
    target: Vowel,
    /// Amplitude of the vocal folds.
    voicing: f32,
    /// Amplitude of the noise.
    hiss: f32,
}

/// A voice in the act of speaking.
pub(super) struct Voice {
    character: Character,
    random: Random,
    formants: Vowel,
    resonators: [Resonator; 3],
    /// Position in the cycle of the vocal folds, 0 to 1.
    phase: f32,
    flow: f32,
    voicing: f32,
    hiss: f32,
    last_noise: f32,
    last_vowel: f32,
}

impl Voice {
    /// A silent voice.
    pub(super) fn new(character: Character, seed: u64) -> Self {
        Self {
            character,
            random: Random::new(seed),
            formants: SCHWA,
            resonators: [Resonator::default(); 3],
            phase: 0.0,
            flow: 0.0,
            voicing: 0.0,
            hiss: 0.0,
            last_noise: 0.0,
            last_vowel: 0.0,
        }
    }

    /// Speaks one sentence of so many syllables.
    pub(super) fn sentence(&mut self, syllables: u16) -> Vec<f32> {
        let mut out = Vec::new();
        let asks = self.random.chance(0.3);
        for number in 0..syllables {
            let through = f32::from(number) / f32::from(syllables.max(1));
            let accent = self.random.between(0.94, 1.1);
            let ends = number + 1 == syllables;
            let tune = match (ends, asks) {
                (true, true) => 1.25,
                (true, false) => 0.8,
                (false, _) => (1.12 - 0.24 * through) * accent,
            };
            for phone in self.syllable(ends) {
                self.speak(phone, tune, &mut out);
            }
        }
        // Let the resonators ring out.
        let rest = Phone { seconds: 0.06, target: SCHWA, voicing: 0.0, hiss: 0.0 };
        self.speak(rest, 1.0, &mut out);
        out
    }

    fn syllable(&mut self, ends: bool) -> Vec<Phone> {
        let random = &mut self.random;
        let target = random.pick(SCHWA, &VOWELS);
        let stretch = self.character.pace * if ends { 1.5 } else { 1.0 };
        let mut phones = Vec::with_capacity(4);
        let silent = Phone { seconds: 0.0, target, voicing: 0.0, hiss: 0.0 };
        // What begins the syllable: s or sh; p, t or k; m, n or l; or nothing.
        let onset = random.unit();
        if onset < 0.2 {
            phones.push(Phone { seconds: random.between(0.06, 0.1), hiss: 0.16, ..silent });
        } else if onset < 0.5 {
            phones.push(Phone { seconds: random.between(0.03, 0.06), ..silent });
            phones.push(Phone { seconds: 0.012, hiss: 0.3, ..silent });
        } else if onset < 0.8 {
            let murmur = [280.0, 1200.0, 2300.0];
            let seconds = random.between(0.04, 0.07);
            phones.push(Phone { seconds, target: murmur, voicing: 0.45, hiss: 0.0 });
        }
        let seconds = random.between(0.09, 0.17) * stretch;
        let voicing = random.between(0.8, 1.0);
        phones.push(Phone { seconds, target, voicing, hiss: 0.012 });
        if random.chance(0.22) {
            phones.push(Phone { seconds: random.between(0.03, 0.08), ..silent });
        }
        phones
    }

    fn speak(&mut self, phone: Phone, tune: f32, out: &mut Vec<f32>) {
        let mut left = phone.seconds;
        while left > 0.0 {
            left -= FRAME_SECONDS;
            let tract = self.character.tract;
            for (formant, target) in self.formants.iter_mut().zip(phone.target) {
                *formant += (target * tract - *formant) * GLIDE;
            }
            let tuned = self.formants.iter().zip(BANDWIDTHS);
            for (resonator, (frequency, bandwidth)) in self.resonators.iter_mut().zip(tuned) {
                resonator.tune(*frequency, bandwidth);
            }
            // A voice that never wavers sounds like a machine.
            let jitter = self.random.between(0.988, 1.012);
            let advance =
                self.character.pitch * tune * jitter * FRAME_SECONDS / f32::from(FRAME_SAMPLES);
            for _ in 0..FRAME_SAMPLES {
                self.voicing += (phone.voicing - self.voicing) * 0.01;
                self.hiss += (phone.hiss - self.hiss) * 0.03;
                out.push(self.sample(advance));
            }
        }
    }

    fn sample(&mut self, advance: f32) -> f32 {
        self.phase = (self.phase + advance).fract();
        // Rosenberg's pulse: the folds open slowly, close quickly, and stay closed.
        let flow = match self.phase {
            opening if opening < 0.4 => 0.5 * (1.0 - (PI * opening / 0.4).cos()),
            closing if closing < 0.56 => (PI * (closing - 0.4) / 0.32).cos(),
            _ => 0.0,
        };
        let pulse = (flow - self.flow) * self.voicing;
        self.flow = flow;
        let noise = self.random.noise();
        // The difference of neighbours leaves the high half, where consonants hiss.
        let hiss = (noise - self.last_noise) * self.hiss;
        self.last_noise = noise;
        let vowel = self
            .resonators
            .iter_mut()
            .fold(pulse + 0.2 * hiss, |sound, resonator| resonator.pass(sound));
        // A telephone lifts the upper half; without this the voice sounds as through a wall.
        let bright = vowel - PRE_EMPHASIS * self.last_vowel;
        self.last_vowel = vowel;
        bright + 0.14 * hiss
    }
}

/// Samples in so many seconds.
pub(super) fn samples_in(seconds: f32) -> usize {
    let rate = usize::try_from(SAMPLE_RATE).unwrap_or(0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds of a pause: small, and negative ones saturate to zero"
    )]
    let millis = (seconds * 1000.0) as usize;
    millis.saturating_mul(rate) / 1000
}
