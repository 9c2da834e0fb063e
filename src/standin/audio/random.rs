//! A small deterministic generator of numbers, good enough for noise and for variety.
//!
//! In: a seed. Out: the same sequence for the same seed, always. Never for keys.

/// The generator: splitmix64.
pub(super) struct Random(u64);

impl Random {
    /// A generator that starts from this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 mixed bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number of `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f32 {
        // The top 16 bits are exact in an f32 and plenty for sound.
        let [.., low, high] = self.bits().to_le_bytes();
        f32::from(u16::from_le_bytes([low, high])) / 65536.0
    }

    /// A number of `low..high`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// White noise of `-1.0..1.0`.
    pub(super) fn noise(&mut self) -> f32 {
        self.between(-1.0, 1.0)
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// One of the items.
    pub(super) fn pick<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let count = u64::try_from(others.len()).unwrap_or(0).saturating_add(1);
        let at = usize::try_from(self.bits() % count).unwrap_or(0);
        at.checked_sub(1).and_then(|at| others.get(at)).copied().unwrap_or(first)
    }
}
