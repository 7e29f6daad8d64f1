//! A 128-bit digest of a run's events: two 64-bit lanes, each absorbing every word.
//!
//! Not cryptographic. It answers one question: were these two runs the same run?

use std::fmt;

/// An order-sensitive digest of 64-bit words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest {
    low: u64,
    high: u64,
}

const LANE_1: u64 = 0x9E37_79B9_7F4A_7C15;
const LANE_2: u64 = 0xC2B2_AE3D_27D4_EB4F;

impl Default for Digest {
    fn default() -> Self {
        Self { low: LANE_1, high: LANE_2 }
    }
}

impl Digest {
    /// The digest as one number.
    pub fn value(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// Absorbs one word.
    #[inline]
    pub fn absorb(&mut self, word: u64) {
        self.low = (self.low ^ word).wrapping_mul(LANE_2).rotate_left(29);
        self.high = (self.high.rotate_left(17) ^ word).wrapping_mul(LANE_1);
        self.high ^= self.high >> 32;
    }

    /// Absorbs another digest.
    #[inline]
    pub fn absorb_digest(&mut self, other: Self) {
        self.absorb(other.low);
        self.absorb(other.high);
    }
}

/// So that whatever derives [`std::hash::Hash`] can be absorbed.
impl std::hash::Hasher for Digest {
    fn finish(&self) -> u64 {
        self.low ^ self.high
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.absorb(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.absorb(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.absorb(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.absorb(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.absorb(word as u64);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.high, self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_length_matter() {
        let of = |words: &[u64]| {
            let mut digest = Digest::default();
            words.iter().for_each(|&word| digest.absorb(word));
            digest
        };
        assert_ne!(of(&[1, 2]), of(&[2, 1]));
        assert_ne!(of(&[0]), of(&[0, 0]));
        assert_eq!(of(&[5, 6]), of(&[5, 6]));
    }
}
