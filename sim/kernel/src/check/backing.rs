//! Which pages of an address space a file is behind, as the oracle knows it: by what `mmap` and its kin were asked for.
//!
//! A page of a private area follows the file until its first copy. In the shadow of the address space the token 0 says
//! that it follows; what it holds by itself is the stamp, or [`ZEROES`] for a stamp of 0.

use std::collections::BTreeMap;

use pagewalk_mmu::VaddrRange;

/// The token of a private copy that holds zeroes. Stamps are odd or 0, so it is none.
const ZEROES: u64 = 2;

/// How a stamp that a private page holds by itself stands in the shadow.
pub(super) fn token(stamp: u64) -> u64 {
    if stamp == 0 { ZEROES } else { stamp }
}

/// One page's place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Backing {
    pub(super) inode: u32,
    pub(super) index: u64,
    pub(super) shared: bool,
}

/// A run of pages.
#[derive(Clone, Copy, Debug, Hash)]
struct Run {
    /// One past its last page.
    end: u64,
    /// Its first page's place.
    backing: Backing,
}

/// The pages of one address space that have a file behind them, by the first page of each run.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Backings {
    runs: BTreeMap<u64, Run>,
}

impl Backings {
    /// What is behind page `vpn`.
    pub(super) fn of(&self, vpn: u64) -> Option<Backing> {
        let (&first, run) = self.runs.range(..=vpn).next_back()?;
        let Backing { inode, index, shared } = run.backing;
        (vpn < run.end).then_some(Backing { inode, index: index + (vpn - first), shared })
    }

    /// Pages of `range` have the file's pages from `backing` on behind them.
    pub(super) fn map(&mut self, range: VaddrRange, backing: Backing) {
        self.unmap(range);
        self.runs.insert(range.start().vpn().0, Run { end: range.end().vpn().0, backing });
    }

    /// Pages of `range` have no file behind them any more. True if some had.
    pub(super) fn unmap(&mut self, range: VaddrRange) -> bool {
        let (first, end) = (range.start().vpn().0, range.end().vpn().0);
        let inside: Vec<(u64, Run)> = {
            let before = self.runs.range(..end).rev();
            before.take_while(|(_, run)| run.end > first).map(|(&at, &run)| (at, run)).collect()
        };
        for &(at, run) in &inside {
            self.runs.remove(&at);
            if at < first {
                self.runs.insert(at, Run { end: first, ..run });
            }
            if run.end > end {
                let backing = Backing { index: run.backing.index + (end - at), ..run.backing };
                self.runs.insert(end, Run { backing, ..run });
            }
        }
        !inside.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr};

    use super::*;

    #[test]
    fn runs_are_cut_where_ranges_are_unmapped() {
        let range = |first: u64, pages: u64| {
            VaddrRange::with_len(Vaddr(first * BASE_PAGE_BYTES), pages * BASE_PAGE_BYTES).expect("a range")
        };
        let mut backings = Backings::default();
        let backing = Backing { inode: 1, index: 100, shared: true };
        backings.map(range(10, 10), backing);
        backings.map(range(14, 2), Backing { inode: 2, index: 0, shared: false });
        assert!(backings.unmap(range(15, 3)));
        assert!(!backings.unmap(range(15, 3)));
        let index = |vpn| backings.of(vpn).map(|found| (found.inode, found.index));
        let expected = [(9, None), (10, Some((1, 100))), (13, Some((1, 103))), (14, Some((2, 0)))];
        let expected = expected.into_iter().chain([(15, None), (17, None), (18, Some((1, 108))), (20, None)]);
        for (vpn, place) in expected {
            assert_eq!(index(vpn), place, "page {vpn}");
        }
    }
}
