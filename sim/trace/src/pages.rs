//! Which pages a trace touches, and how, in memory that grows with the touched address space only.

use std::collections::BTreeMap;

use crate::error::TraceError;
use crate::record::{Op, Prot, RawAccess};

/// Bytes in a page, as the inference of mappings counts them.
pub const PAGE_SIZE: u64 = 4096;
/// Pages in one entry of the map.
const CHUNK: u64 = 64;
/// The most entries: 2^22 of them take about 170 MB and cover 1 TiB if dense.
const MAX_CHUNKS: usize = 1 << 22;
/// Entries of the cache of recent pages.
const CACHE: usize = 1024;

/// A set of pages, each with the kinds of accesses it saw.
pub struct PageSet {
    /// Per 64 pages, a bit mask for pages that were read, written and executed.
    chunks: BTreeMap<u64, [u64; 3]>,
    /// Recent pages: page number times 8, plus the bits that are surely in the set.
    cache: Box<[u64; CACHE]>,
}

impl Default for PageSet {
    fn default() -> Self {
        Self { chunks: BTreeMap::new(), cache: Box::new([0; CACHE]) }
    }
}

impl PageSet {
    /// Adds the pages of an access.
    ///
    /// # Errors
    /// If the pages are too many and too scattered to keep (2^22 groups of 64).
    #[inline]
    pub fn touch(&mut self, access: RawAccess) -> Result<(), TraceError> {
        let how = match access.op {
            Op::Fetch => Prot::EXEC,
            Op::Load => Prot::READ,
            Op::Store => Prot::WRITE,
            Op::Modify => Prot::READ_WRITE,
        };
        let first = access.addr / PAGE_SIZE;
        let last = (access.addr + u64::from(access.len) - 1) / PAGE_SIZE;
        for page in first..=last {
            let cached = &mut self.cache[page as usize % CACHE];
            if *cached >> 3 == page && Prot(*cached as u8 & 7).contains(how) {
                continue;
            }
            let known = if *cached >> 3 == page { *cached & 7 } else { 0 };
            *cached = page << 3 | known | u64::from(how.0);
            self.insert(page, how)?;
        }
        Ok(())
    }

    fn insert(&mut self, page: u64, how: Prot) -> Result<(), TraceError> {
        let full = self.chunks.len() >= MAX_CHUNKS;
        if full && !self.chunks.contains_key(&(page / CHUNK)) {
            return Err(TraceError::record(
                "this trace",
                "it touches too many scattered pages (2^22 groups of 64)",
            ));
        }
        let masks = self.chunks.entry(page / CHUNK).or_default();
        for (bit, mask) in masks.iter_mut().enumerate() {
            *mask |= u64::from(how.0 >> bit & 1) << (page % CHUNK);
        }
        Ok(())
    }

    /// How many pages are in the set.
    pub fn len(&self) -> u64 {
        self.chunks.values().map(|[r, w, x]| u64::from((r | w | x).count_ones())).sum()
    }

    /// True if no page is in the set.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Every page with the kinds of accesses it saw, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Prot)> {
        self.chunks.iter().flat_map(|(chunk, masks)| {
            (0..CHUNK).filter_map(move |i| {
                let bits = (0..3).map(|bit| (masks[bit] >> i & 1) << bit).sum::<u64>();
                (bits != 0).then_some((chunk * CHUNK + i, Prot(bits as u8)))
            })
        })
    }

    /// Groups the pages into regions, none of which has a hole of more than `max_gap` pages.
    pub fn regions(&self, max_gap: u64) -> Vec<Region> {
        let mut regions: Vec<Region> = Vec::new();
        for (page, how) in self.iter() {
            match regions.last_mut() {
                Some(region) if page - region.end <= max_gap && region.agrees(how) => {
                    region.end = page + 1;
                    region.touched += 1;
                    region.how = Prot(region.how.0 | how.0);
                }
                _ => regions.push(Region { start: page, end: page + 1, touched: 1, how }),
            }
        }
        regions
    }
}

/// Neighbouring pages that one mapping may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First page.
    pub start: u64,
    /// The page after the last.
    pub end: u64,
    /// Pages in between that were touched.
    pub touched: u64,
    /// How they were touched.
    pub how: Prot,
}

impl Region {
    /// Code and data do not share a region: a page that is written but never executed is data, one that is executed is
    /// code, and one that is only read fits either.
    fn agrees(&self, how: Prot) -> bool {
        let code = |p: Prot| p.contains(Prot::EXEC);
        let data = |p: Prot| p.contains(Prot::WRITE) && !code(p);
        !(code(self.how) && data(how) || data(self.how) && code(how))
    }

    /// The permissions that a mapping needs for what was seen: code is readable and executable, and writable only if
    /// it was written; everything else is readable and writable.
    pub fn prot(&self) -> Prot {
        if !self.how.contains(Prot::EXEC) {
            return Prot::READ_WRITE;
        }
        Prot(Prot::READ_EXEC.0 | self.how.0 & Prot::WRITE.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_set_is_that_of_a_simple_model(
            accesses in proptest::collection::vec((0u64..9_000_000, 1u16..=4096, 0usize..4), 0..200),
        ) {
            let mut set = PageSet::default();
            let mut model: BTreeMap<u64, u8> = BTreeMap::new();
            for (addr, len, op) in accesses {
                let access = RawAccess { addr, len, op: Op::ALL[op] };
                set.touch(access).unwrap();
                for byte in [addr, addr + u64::from(len) - 1] {
                    *model.entry(byte / 4096).or_default() |= [4, 1, 2, 3][op];
                }
            }
            let found: Vec<_> = set.iter().map(|(page, how)| (page, how.0)).collect();
            prop_assert_eq!(set.len(), found.len() as u64);
            prop_assert_eq!(found, model.clone().into_iter().collect::<Vec<_>>());
            let regions = set.regions(3);
            prop_assert_eq!(regions.iter().map(|r| r.touched).sum::<u64>(), set.len());
            prop_assert!(regions.windows(2).all(|pair| pair[0].end <= pair[1].start));
            for (page, how) in model {
                let region = regions.iter().find(|r| (r.start..r.end).contains(&page)).unwrap();
                prop_assert!(region.prot().contains(Prot(how)));
            }
        }
    }

    #[test]
    fn code_and_data_are_kept_apart_and_small_holes_are_filled() {
        let mut set = PageSet::default();
        for (page, op) in [
            (10, Op::Fetch),
            (12, Op::Load),
            (14, Op::Fetch),
            (15, Op::Store),
            (47, Op::Load),
            (48, Op::Store),
            (82, Op::Load),
        ] {
            set.touch(RawAccess { addr: page * PAGE_SIZE, len: 1, op }).unwrap();
        }
        let found: Vec<_> = set.regions(32).iter().map(|r| (r.start, r.end, r.prot().0)).collect();
        assert_eq!(found, [(10, 15, 5), (15, 49, 3), (82, 83, 3)]);
    }
}
