//! The pages that miss and fault most, in bounded memory.
//!
//! A table of buckets of four pages. A page that is not in its bucket takes the place of the one counted least, and
//! inherits that count as what it may have had unseen (the space-saving sketch of Metwally, Agrawal and El Abbadi, one for
//! each bucket). So a count is exact for a page that was never displaced, and otherwise known to within `unseen`. A page
//! with more than a quarter of its bucket's events is never lost.

use pagewalk_mmu::Vpn;

const BUCKETS: usize = 1024;
const WAYS: usize = 4;

/// A page of a mapping, and what is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The page's number and its mapping's row; 0 is nobody.
    key: u64,
    /// Misses seen.
    pub misses: u32,
    /// Faults seen.
    pub faults: u32,
    /// At most so many more misses and faults were not seen.
    pub unseen: u32,
}

/// Bits of a key that number the row.
const ROW_BITS: u32 = 16;

impl Page {
    /// Its number.
    pub fn vpn(&self) -> Vpn {
        Vpn(self.key >> ROW_BITS)
    }

    /// The row of its mapping.
    pub fn row(&self) -> usize {
        (self.key & ((1 << ROW_BITS) - 1)) as usize - 1
    }

    /// Misses and faults seen.
    pub fn seen(&self) -> u64 {
        u64::from(self.misses) + u64::from(self.faults)
    }
}

/// The pages that share a place of the table, in columns: most touches only look for a key and raise a total.
#[derive(Clone, Copy, Default)]
struct Bucket {
    keys: [u64; WAYS],
    /// Misses, faults and what was not seen.
    totals: [u32; WAYS],
    faults: [u32; WAYS],
    unseen: [u32; WAYS],
}

impl Bucket {
    fn page(&self, way: usize) -> Page {
        let (faults, unseen) = (self.faults[way], self.unseen[way]);
        Page { key: self.keys[way], misses: self.totals[way] - faults - unseen, faults, unseen }
    }

    /// The way of a page, which takes the place of the one counted least if it has none. Without branches on counts: they
    /// are not to be predicted.
    #[inline]
    fn way(&mut self, key: u64) -> usize {
        let found = (0..WAYS).fold(0, |found, way| found | u32::from(self.keys[way] == key) << way);
        if found != 0 {
            return found.trailing_zeros() as usize;
        }
        let counted = |way: usize| u64::from(self.totals[way]) << 8 | way as u64;
        let least = (0..WAYS).map(counted).fold(u64::MAX, u64::min) as u8 as usize;
        (self.keys[least], self.faults[least], self.unseen[least]) = (key, 0, self.totals[least]);
        least
    }
}

/// The sketch.
pub struct HotPages {
    buckets: Box<[Bucket]>,
}

impl Default for HotPages {
    fn default() -> Self {
        Self { buckets: vec![Bucket::default(); BUCKETS].into_boxed_slice() }
    }
}

impl HotPages {
    /// A touch of a page of row `row` missed.
    #[inline]
    pub fn missed(&mut self, vpn: Vpn, row: usize) {
        self.count(vpn, row, 0);
    }

    /// A touch of a page of row `row` faulted.
    #[inline]
    pub fn faulted(&mut self, vpn: Vpn, row: usize) {
        self.count(vpn, row, 1);
    }

    #[inline]
    fn count(&mut self, vpn: Vpn, row: usize, faults: u32) {
        let key = vpn.0 << ROW_BITS | (row as u64 + 1);
        // Multiplicative hashing (Knuth): the upper bits of the product depend on all of the key.
        let bucket = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKETS.ilog2())) as usize;
        let bucket = &mut self.buckets[bucket];
        let way = bucket.way(key);
        // A page counted 2^32 times is hot enough.
        if let Some(total) = bucket.totals[way].checked_add(1) {
            bucket.totals[way] = total;
            bucket.faults[way] += faults;
        }
    }

    /// The `most` pages that were seen most often, hottest first; of equals the lower address first.
    pub fn hottest(&self, most: usize) -> Vec<Page> {
        let pages = self.buckets.iter().flat_map(|bucket| (0..WAYS).map(|way| bucket.page(way)));
        let mut pages: Vec<Page> = pages.filter(|page| page.key != 0).collect();
        pages.sort_by_key(|page| (std::cmp::Reverse(page.seen()), page.key));
        pages.truncate(most);
        pages
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn few_pages_are_counted_exactly() {
        let mut pages = HotPages::default();
        for n in 0..600_u64 {
            (0..n % 30 + 1).for_each(|_| pages.missed(Vpn(0x7_0000 + n % 30), 3));
            pages.faulted(Vpn(5), 0);
        }
        let hottest = pages.hottest(3);
        assert_eq!(hottest.iter().map(Page::seen).collect::<Vec<_>>(), [600, 600, 580]);
        assert_eq!((hottest[0].vpn(), hottest[0].row(), hottest[0].faults), (Vpn(5), 0, 600));
        assert!(hottest.iter().all(|page| page.unseen == 0));
        assert_eq!(pages.hottest(100).len(), 31);
    }

    #[test]
    fn counts_of_many_pages_are_right_to_within_what_was_unseen_and_the_hot_ones_are_kept() {
        let mut pages = HotPages::default();
        let mut truth: BTreeMap<u64, u64> = BTreeMap::new();
        let mut state = 1_u64;
        for n in 0..300_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let vpn = if n % 10 == 0 { state >> 60 } else { 0x1000 + (state >> 45) };
            pages.missed(Vpn(vpn), 0);
            *truth.entry(vpn).or_default() += 1;
        }
        let kept = pages.hottest(usize::MAX);
        assert!(kept.len() <= BUCKETS * WAYS);
        for page in &kept {
            let true_count = truth[&page.vpn().0];
            assert!(page.seen() <= true_count && true_count <= page.seen() + u64::from(page.unseen));
        }
        let mut hottest: Vec<u64> = kept[..16].iter().map(|page| page.vpn().0).collect();
        hottest.sort_unstable();
        assert_eq!(hottest, (0..16).collect::<Vec<_>>());
    }
}
