//! Finding the slot of a tag: by fingerprints, eight ways at a time; or by hash, where a set is very wide.
//!
//! Both are exact: every valid slot with the tag is offered to the caller, which compares. They change how fast an
//! entry is found, never which.

use super::tag_index::TagIndex;

/// Sets wider than this are searched through an index.
const PRINTED_WAYS: usize = 64;
const BYTES_LOW: u64 = u64::MAX / 255;
const BYTES_TOP: u64 = BYTES_LOW << 7;

/// How the slots of an array are found.
#[derive(Clone, Debug)]
pub(super) enum Search {
    Prints(Prints),
    Index(TagIndex),
}

/// A byte for every way, packed in words per set: the fingerprint of the tag held, 0 if the way is invalid or absent.
#[derive(Clone, Debug)]
pub(super) struct Prints {
    words_per_set: usize,
    words: Vec<u64>,
}

impl Search {
    /// Back to what `kept` is, which was cloned from it.
    pub(super) fn set_back(&mut self, kept: &Self) {
        match (self, kept) {
            (Self::Prints(own), Self::Prints(kept)) => own.words.clone_from(&kept.words),
            (own, kept) => own.clone_from(kept),
        }
    }

    pub(super) fn new(sets: usize, ways: usize) -> Self {
        if ways > PRINTED_WAYS {
            return Self::Index(TagIndex::new(sets * ways));
        }
        let words_per_set = ways.div_ceil(8);
        Self::Prints(Prints { words_per_set, words: vec![0; sets * words_per_set] })
    }

    /// The first slot that has this tag's hash and for which `is_it` holds. The slots of `set` start at `base`.
    #[inline]
    pub(super) fn find(
        &self,
        set: usize,
        base: usize,
        tag: u64,
        is_it: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let prints = match self {
            Self::Prints(prints) => prints,
            Self::Index(index) => return index.find(tag, is_it),
        };
        let wanted = print(tag) * BYTES_LOW;
        // Of at most eight words; word w has its ways at the bits w, w + 8, w + 16, and so on. Which word has the tag is
        // not predictable, so that a branch for each would cost more than all of them.
        let candidates = |words: &[u64]| {
            let words = words.iter().zip((0..8).rev());
            words.fold(0, |all, (&word, shift)| all | zero_bytes(word ^ wanted) >> shift)
        };
        let mut candidates = match prints.of(set) {
            &[word] => candidates(&[word]),
            &[low, high] => candidates(&[low, high]),
            words => candidates(words),
        };
        while candidates != 0 {
            let at = candidates.trailing_zeros() as usize;
            let slot = base + at % 8 * 8 + at / 8;
            if is_it(slot) {
                return Some(slot);
            }
            candidates &= candidates - 1;
        }
        None
    }

    /// The first invalid way of `set`, which has `ways` of them.
    pub(super) fn free_way(
        &self,
        set: usize,
        ways: usize,
        is_valid: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let way = match self {
            Self::Prints(prints) => {
                let words = prints.of(set).iter().enumerate();
                let mut free = words.map(|(at, &word)| (at, zero_bytes(word)));
                let (at, bytes) = free.find(|&(_, bytes)| bytes != 0)?;
                at * 8 + bytes.trailing_zeros() as usize / 8
            }
            Self::Index(_) => (0..ways).find(|&way| !is_valid(set * ways + way))?,
        };
        (way < ways).then_some(way)
    }

    /// Notes that `slot`, way `way` of `set`, holds `tag` now, and before held the tag `old`.
    #[inline]
    pub(super) fn set(&mut self, set: usize, way: usize, slot: usize, old: Option<u64>, tag: u64) {
        match self {
            Self::Prints(prints) => prints.put(set, way, print(tag)),
            Self::Index(index) => {
                if let Some(old) = old {
                    index.remove(old, slot);
                }
                index.insert(tag, slot);
            }
        }
    }

    /// Notes that `slot`, way `way` of `set`, holds `tag` no longer.
    pub(super) fn clear(&mut self, set: usize, way: usize, slot: usize, tag: u64) {
        match self {
            Self::Prints(prints) => prints.put(set, way, 0),
            Self::Index(index) => index.remove(tag, slot),
        }
    }
}

impl Prints {
    #[inline]
    fn of(&self, set: usize) -> &[u64] {
        &self.words[set * self.words_per_set..][..self.words_per_set]
    }

    #[inline]
    fn put(&mut self, set: usize, way: usize, print: u64) {
        let word = &mut self.words[set * self.words_per_set + way / 8];
        let at = way % 8 * 8;
        *word = *word & !(0xff << at) | print << at;
    }
}

/// The fingerprint of a valid tag, 1..=255.
#[inline]
fn print(tag: u64) -> u64 {
    // Fibonacci hashing: the upper bits of a product with 2^64 divided by the golden ratio.
    (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).max(1)
}

/// The top bit of every byte of `word` that is 0, and no other bit.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    // Adding carries into a byte's top bit if any lower one is set, and never beyond it.
    !(((word & !BYTES_TOP) + !BYTES_TOP) | word) & BYTES_TOP
}

#[cfg(test)]
mod tests {
    use super::{print, zero_bytes};

    #[test]
    fn zero_bytes_are_found_exactly() {
        for word in (0..1 << 16).map(|low: u64| (low * 0x0001_0000_0100_0001) ^ (low << 40)) {
            let expected = (0..8).filter(|at| word >> (at * 8) & 0xff == 0).map(|at| 0x80 << (at * 8)).sum();
            assert_eq!(zero_bytes(word), expected, "{word:016x}");
        }
    }

    #[test]
    fn no_valid_tag_has_the_print_of_an_invalid_way() {
        assert!((0..10_000).all(|page| (1..=255).contains(&print(page << 12 | page & 3))));
    }
}
