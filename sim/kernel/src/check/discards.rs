//! Discards under way: what a page may contain while some CPUs see the old frame and others the new one.
//!
//! Until the call returns, a CPU whose TLB still names the old frame goes on loading from it and storing to it, while
//! others have faulted in a new frame of zeroes. So each page touched meanwhile has a chain of stamps for each frame it
//! may have; a touch must continue one of them, and continues only that one. When the call returns, the chains older than
//! the call are dead.

use std::collections::BTreeMap;
use std::hash::Hash;

use pagewalk_engine::Digest;
use pagewalk_mmu::{BASE_SHIFT, Vaddr, VaddrRange};

use super::shadow::Shadow;

#[derive(Clone, Debug)]
struct Discard {
    mm: u32,
    range: VaddrRange,
    began: u64,
}

/// What one frame of a page holds.
#[derive(Clone, Copy, Debug)]
struct Chain {
    stamp: u64,
    /// When it was last seen with zeroes, which it may have had from the allocator that very moment. 0: before any
    /// discard under way.
    born: u64,
}

/// A frame that held `stamp` holds `after`: the chain that ends with `stamp` goes on, and where several do, any of them may. False if
/// none does.
fn continue_chains(chains: &mut Vec<Chain>, stamp: u64, after: u64) -> bool {
    let of_stamp = |chain: &&Chain| chain.stamp == stamp;
    let grown: Vec<Chain> =
        chains.iter().filter(of_stamp).map(|chain| Chain { stamp: after, ..*chain }).collect();
    if grown.len() == 1 {
        chains.retain(|chain| chain.stamp != stamp);
    }
    let found = !grown.is_empty();
    if stamp != after || grown.len() == 1 {
        chains.extend(grown);
    }
    found
}

/// The discards of all address spaces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discards {
    under_way: Vec<Discard>,
    /// The chains of the pages touched inside a discard that has not ended, zeroes that nobody has seen yet apart:
    /// those are always possible.
    chains: BTreeMap<(u32, u64), Vec<Chain>>,
    /// Orders beginnings and births.
    ticks: u64,
}

impl Discards {
    /// How many of the discards under way began at `tick` or before: all that is ever asked of a time.
    pub(super) fn order(&self, tick: u64) -> u64 {
        self.under_way.iter().filter(|discard| discard.began <= tick).count() as u64
    }

    /// The discards under way, and the chains of each page.
    pub(super) fn absorb_into(&self, digest: &mut Digest) {
        for Discard { mm, range, began } in &self.under_way {
            (mm, range, self.order(*began)).hash(digest);
        }
        for (page, chains) in &self.chains {
            (page, chains.len()).hash(digest);
            chains.iter().for_each(|chain| (chain.stamp, self.order(chain.born)).hash(digest));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// A moment: later than all before.
    pub(super) fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// Whether a call under way may discard the page.
    pub(crate) fn cover(&self, mm: u32, vpn: u64) -> bool {
        let address = Vaddr(vpn << BASE_SHIFT);
        self.under_way.iter().any(|discard| discard.mm == mm && discard.range.contains(address))
    }

    /// The chains of a covered page: until it is touched, one for each value that it may have.
    fn chains(&mut self, page: (u32, u64), shadow: &Shadow) -> &mut Vec<Chain> {
        self.chains.entry(page).or_insert_with(|| {
            shadow.admitted(page.1).into_iter().map(|stamp| Chain { stamp, born: 0 }).collect()
        })
    }

    /// A covered page of a private area has got a copy of its file's page, with one of these values.
    pub(crate) fn born(&mut self, page: (u32, u64), shadow: &Shadow, values: &[u64]) {
        let born = self.tick();
        self.chains(page, shadow).extend(values.iter().map(|&stamp| Chain { stamp, born }));
    }

    /// A touch of a covered page whose frame held `stamp` and holds `after` now; `fresh` frames may have come from the
    /// allocator that very moment. `Err` with the stamps that would have been right.
    pub(crate) fn touch(
        &mut self,
        page: (u32, u64),
        shadow: &Shadow,
        fresh: bool,
        stamp: u64,
        after: u64,
    ) -> Result<(), Vec<u64>> {
        let now = self.tick();
        let chains = self.chains(page, shadow);
        if fresh {
            chains.retain(|chain| chain.stamp != 0);
            chains.push(Chain { stamp: after, born: now });
            return Ok(());
        }
        if !continue_chains(chains, stamp, after) {
            return Err(chains.iter().map(|chain| chain.stamp).chain([0]).collect());
        }
        Ok(())
    }

    /// A device has written to a covered page: its frame, pinned at `since`, held `before` and holds `after`. With `doubtful` the frame
    /// may be of an earlier page.
    pub(super) fn device_wrote(
        &mut self,
        page: (u32, u64),
        shadow: &Shadow,
        (since, doubtful): (u64, bool),
        (before, after): (u64, u64),
    ) {
        let chains = self.chains(page, shadow);
        if before == 0 || doubtful {
            // Born when it was pinned at the latest: a discard that began after that takes it.
            chains.push(Chain { stamp: after, born: since });
        } else {
            continue_chains(chains, before, after);
        }
    }

    /// A child of `mm` begins with the shadow `copy` of its parent: each page that a call under way may discard has been
    /// discarded, or holds what one of its frames does.
    pub(super) fn inherit(&self, mm: u32, copy: &mut Shadow) {
        for discard in self.under_way.iter().filter(|discard| discard.mm == mm) {
            copy.stored_in(discard.range).into_iter().for_each(|vpn| copy.admit(vpn, 0));
            let (first, end) = (discard.range.start().vpn().0, discard.range.end().vpn().0);
            for (&(_, vpn), chains) in self.chains.range((mm, first)..(mm, end)) {
                chains.iter().for_each(|chain| copy.admit(vpn, chain.stamp));
            }
        }
    }

    pub(crate) fn begin(&mut self, mm: u32, range: VaddrRange) {
        let began = self.tick();
        self.under_way.push(Discard { mm, range, began });
    }

    /// The call returns: no CPU can reach a frame that was there when it began. Yields when that was.
    pub(crate) fn end(&mut self, mm: u32, range: VaddrRange, shadow: &mut Shadow) -> u64 {
        let mine = |discard: &Discard| discard.mm == mm && discard.range == range;
        let place = self.under_way.iter().position(mine).expect("a discard that began");
        let Discard { began, .. } = self.under_way.remove(place);
        let (first, end) = (range.start().vpn().0, range.end().vpn().0);
        shadow.clear(first, end);
        let touched: Vec<u64> = self.chains.range((mm, first)..(mm, end)).map(|(&(_, vpn), _)| vpn).collect();
        for vpn in touched {
            let covered = self.cover(mm, vpn);
            let chains = self.chains.get_mut(&(mm, vpn)).expect("it was touched");
            chains.retain(|chain| chain.born >= began);
            if !covered {
                // A page that began anew while the call was under way may or may not have been discarded once more.
                let values = chains.iter().map(|chain| chain.stamp).chain([0]).collect();
                shadow.set_any(vpn, values);
                self.chains.remove(&(mm, vpn));
            }
        }
        began
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: (u32, u64) = (1, 16);

    fn range() -> VaddrRange {
        VaddrRange::with_len(Vaddr(16 << BASE_SHIFT), 1 << BASE_SHIFT).expect("a page")
    }

    /// A page that holds 5, and the first discard of it.
    fn discarded() -> (Discards, Shadow) {
        let (mut discards, mut shadow) = (Discards::default(), Shadow::default());
        shadow.set(PAGE.1, 5);
        discards.begin(1, range());
        (discards, shadow)
    }

    #[test]
    fn the_old_frame_lives_beside_the_new_one_until_the_call_returns() {
        let (mut discards, mut shadow) = discarded();
        assert_eq!(discards.touch(PAGE, &shadow, true, 0, 0), Ok(()), "faulted in again");
        assert_eq!(discards.touch(PAGE, &shadow, false, 5, 6), Ok(()), "a store through a stale translation");
        assert_eq!(discards.touch(PAGE, &shadow, true, 0, 7), Ok(()), "a store to the new frame");
        assert_eq!(discards.touch(PAGE, &shadow, false, 6, 6), Ok(()));
        assert_eq!(discards.touch(PAGE, &shadow, false, 7, 7), Ok(()));
        assert_eq!(discards.touch(PAGE, &shadow, false, 5, 5), Err(vec![6, 7, 0]), "the store is lost");
        discards.end(1, range(), &mut shadow);
        assert_eq!(shadow.admitted(PAGE.1), [0, 7]);
        assert!(discards.is_empty() && discards.chains.is_empty());
    }

    #[test]
    fn a_child_has_what_its_parent_is_about_to_lose_or_has_lost_it() {
        let (mut discards, mut shadow) = discarded();
        shadow.set(PAGE.1 + 1, 4);
        assert_eq!(discards.touch(PAGE, &shadow, false, 5, 6), Ok(()));
        let mut child = shadow.clone();
        discards.inherit(PAGE.0, &mut child);
        assert_eq!(child.admitted(PAGE.1), [0, 5, 6]);
        assert_eq!(child.admitted(PAGE.1 + 1), [4], "nobody discards it");
    }

    #[test]
    fn a_page_that_nobody_touched_anew_is_zero_when_the_call_has_returned() {
        let (mut discards, mut shadow) = discarded();
        assert_eq!(discards.touch(PAGE, &shadow, false, 5, 6), Ok(()));
        discards.end(1, range(), &mut shadow);
        assert_eq!(shadow.admitted(PAGE.1), [0]);
    }

    #[test]
    fn the_first_of_two_calls_to_return_ends_what_was_there_when_it_began() {
        let (mut discards, mut shadow) = discarded();
        assert_eq!(
            discards.touch(PAGE, &shadow, true, 0, 7),
            Ok(()),
            "new to the first call, old to the second"
        );
        discards.begin(1, range());
        assert_eq!(discards.touch(PAGE, &shadow, true, 0, 8), Ok(()));
        assert_eq!(discards.touch(PAGE, &shadow, false, 5, 5), Ok(()));
        // The calls look alike: the one that ends is the one that began first.
        discards.end(1, range(), &mut shadow);
        assert_eq!(discards.touch(PAGE, &shadow, false, 5, 5), Err(vec![7, 8, 0]));
        discards.end(1, range(), &mut shadow);
        assert_eq!(shadow.admitted(PAGE.1), [0, 8]);
    }
}
