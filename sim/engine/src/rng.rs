//! Randomness: one user seed, one named ChaCha8 stream per purpose.
//!
//! A draw added to one stream never moves another, so a new random decision in the workload leaves
//! every schedule as it was.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What a stream of random numbers decides. The numbers are part of the format of a seed: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Which CPU goes on.
    Schedule = 1,
    /// How long an entry into the kernel takes.
    Jitter = 2,
    /// What a generated workload does.
    Workload = 3,
    /// Which faults are injected.
    Faults = 4,
    /// What antagonists do, and when.
    Antagonists = 5,
}

/// One random stream.
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream for `purpose` under the user's `seed`.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose as u64);
        Self(rng)
    }

    /// 64 random bits.
    #[inline(always)]
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform number below `bound` (which is not 0).
    #[inline(always)]
    pub fn below(&mut self, bound: u32) -> u32 {
        bounded(bound, || self.0.next_u32())
    }
}

/// A uniform number below `bound` from a source of uniform 32-bit words: multiply and reject (Lemire,
/// "Fast Random Integer Generation in an Interval", 2019). Frozen: a seed must mean the same for years.
///
/// # Panics
/// If `bound` is 0.
#[inline(always)]
pub fn bounded(bound: u32, mut source: impl FnMut() -> u32) -> u32 {
    assert!(bound > 0, "a draw below zero has no answer");
    loop {
        let product = u64::from(source()) * u64::from(bound);
        let low = product as u32;
        // The threshold is below the bound: it is worked out where it may matter.
        if low >= bound || low >= bound.wrapping_neg() % bound {
            return (product >> 32) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |purpose| {
            let mut random = Random::new(7, purpose);
            [random.next_u64(), random.next_u64()]
        };
        assert_eq!(draw(Purpose::Schedule), draw(Purpose::Schedule));
        assert_ne!(draw(Purpose::Schedule), draw(Purpose::Jitter));
    }

    #[test]
    fn bounded_rejects_the_biased_words() {
        // bound 3: 2^32 mod 3 = 1, so exactly the word 0 is rejected.
        let mut words = [0_u32, 0, u32::MAX].into_iter();
        assert_eq!(bounded(3, || words.next().expect("three words")), 2);
        assert_eq!(bounded(1, || 12345), 0);
    }
}
