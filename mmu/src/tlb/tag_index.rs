//! A hash index from tags to slots, for arrays whose sets are too wide to scan at every lookup.
//!
//! It is exact: the slots whose tag hashes to a bucket are all in the bucket's chain, so that a hit and a miss both
//! cost about one probe. It changes how fast an entry is found, never which.

const END: u32 = u32::MAX;

/// Chains of slots by hash of their tag.
#[derive(Clone, Debug)]
pub(super) struct TagIndex {
    /// First slot of each chain; a power of two of them, at least four for each entry.
    heads: Vec<u32>,
    /// For each slot, the next one of its chain.
    next: Vec<u32>,
    shift: u32,
}

impl TagIndex {
    pub(super) fn new(entries: usize) -> Self {
        let buckets = (entries * 4).next_power_of_two();
        Self { heads: vec![END; buckets], next: vec![END; entries], shift: 64 - buckets.trailing_zeros() }
    }

    #[inline]
    fn bucket(&self, tag: u64) -> usize {
        // Fibonacci hashing: the upper bits of a product with 2^64 divided by the golden ratio.
        (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The first slot with this tag's hash for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, tag: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mut slot = self.heads[self.bucket(tag)];
        while slot != END {
            if is_it(slot as usize) {
                return Some(slot as usize);
            }
            slot = self.next[slot as usize];
        }
        None
    }

    pub(super) fn insert(&mut self, tag: u64, slot: usize) {
        let bucket = self.bucket(tag);
        self.next[slot] = self.heads[bucket];
        self.heads[bucket] = slot as u32;
    }

    /// Takes `slot` out of the chain of `tag`, where it must be.
    pub(super) fn remove(&mut self, tag: u64, slot: usize) {
        let bucket = self.bucket(tag);
        let after = self.next[slot];
        if self.heads[bucket] == slot as u32 {
            self.heads[bucket] = after;
            return;
        }
        let mut at = self.heads[bucket] as usize;
        while self.next[at] != slot as u32 {
            at = self.next[at] as usize;
        }
        self.next[at] = after;
    }
}
