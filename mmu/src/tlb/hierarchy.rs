//! The TLBs of one CPU: split first level, unified second level.
//!
//! An L2 hit fills L1; a fill after a walk goes to L1 of the side that missed and to L2. The levels are neither
//! inclusive nor exclusive: an entry that L2 gives up stays in L1, and one that L1 gives up is not written to L2.
//! Invalidations reach every array.

use pagewalk_engine::Digest;

use super::array::Probe;
use super::last_hit::LastHits;
use super::{Payload, Rights, Tally, TlbArray, TlbEntry, TlbSpec, TlbTag};
use crate::{AccessCounters, AccessKind, Asid, SpecError, Vaddr, Vpn};

/// Which of the split first-level TLBs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlbSide {
    /// Instruction fetches.
    Fetch = 0,
    /// Loads and stores.
    Data = 1,
}

/// Where a translation was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlbLookup {
    /// In the first level.
    L1(TlbEntry),
    /// In the second level; L1 has it now.
    L2(TlbEntry),
    /// Nowhere, or only in entries that do not grant the access: walk.
    Miss,
}

/// [`TlbLookup`] for the hit loop.
pub(crate) enum Translation {
    L1(Payload),
    L2(Payload),
    Miss,
}

/// What one side counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlbSideCounters {
    /// Hits in the first level.
    pub l1_hits: u64,
    /// Hits in the second level.
    pub l2_hits: u64,
    /// Lookups that found no entry granting the access.
    pub misses: u64,
    /// Misses that found an entry not granting the access: a store without permission or dirty bit, a fetch of a page
    /// not executable, a page not for user mode.
    pub upgrades: u64,
    /// Fills after a walk.
    pub fills: u64,
    /// Valid entries of any array given up to make room.
    pub evictions: u64,
}

impl TlbSideCounters {
    /// Lookups: each is a hit in L1, a hit in L2, or a miss.
    #[must_use]
    pub fn lookups(&self) -> u64 {
        self.l1_hits + self.l2_hits + self.misses
    }
}

/// What the TLBs of one CPU counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlbCounters {
    /// Instruction fetches.
    pub fetch: TlbSideCounters,
    /// Loads and stores.
    pub data: TlbSideCounters,
    /// Entries of any array removed by an invalidation or a flush.
    pub invalidated: u64,
}

/// The TLBs of one CPU.
#[derive(Clone, Debug)]
pub struct TlbHierarchy {
    /// By [`TlbSide`].
    l1: [Vec<TlbArray>; 2],
    l2: Vec<TlbArray>,
    pub(crate) last: LastHits,
    /// The last miss, if it found nothing at all and nothing was inserted since: its fill need not search.
    absent: Option<(TlbSide, Asid, Vpn)>,
    sides: [TlbSideCounters; 2],
    invalidated: u64,
    /// What the hit loop counted.
    pub(crate) tally: Tally,
    pub(crate) l1_hit_cycles: u32,
    pub(crate) l2_hit_cycles: u32,
}

impl TlbHierarchy {
    /// Back to what `kept` is, which was cloned from it.
    pub(crate) fn set_back(&mut self, kept: &Self) {
        let own = self.l1.iter_mut().flatten().chain(&mut self.l2);
        own.zip(kept.l1.iter().flatten().chain(&kept.l2)).for_each(|(own, kept)| own.set_back(kept));
        (self.last, self.absent) = (kept.last, kept.absent);
        (self.sides, self.invalidated) = (kept.sides, kept.invalidated);
        self.tally.clone_from(&kept.tally);
    }

    /// Empty TLBs.
    ///
    /// # Errors
    /// If the description does not [validate](TlbSpec::validate).
    pub fn new(spec: &TlbSpec) -> Result<Self, SpecError> {
        spec.validate()?;
        let level =
            |arrays: &[super::TlbGeometry]| arrays.iter().map(|&array| TlbArray::new(array)).collect();
        let l1i: Result<Vec<_>, _> = level(&spec.l1i);
        let l1d: Result<Vec<_>, _> = level(&spec.l1d);
        let l2: Result<Vec<_>, _> = level(&spec.l2);
        // Hints are asked of the first array only.
        let with_hints = |mut arrays: Vec<TlbArray>| {
            let others = arrays.split_off(1);
            arrays.into_iter().map(TlbArray::with_hints).chain(others).collect()
        };
        Ok(Self {
            l1: [with_hints(l1i?), with_hints(l1d?)],
            l2: l2?,
            last: LastHits::default(),
            absent: None,
            sides: [TlbSideCounters::default(); 2],
            invalidated: 0,
            tally: Tally::default(),
            l1_hit_cycles: spec.l1_hit_cycles,
            l2_hit_cycles: spec.l2_hit_cycles,
        })
    }

    /// Looks up the entry that grants a user-mode access of `kind` at `vaddr`, counting the lookup.
    pub fn lookup(&mut self, vaddr: Vaddr, asid: Asid, kind: AccessKind) -> TlbLookup {
        let side = kind.side();
        self.last.switch_to(asid);
        match self.translate(vaddr, asid, kind) {
            Translation::L1(payload) => {
                self.sides[side as usize].l1_hits += 1;
                TlbLookup::L1(payload.unpack())
            }
            Translation::L2(payload) => TlbLookup::L2(payload.unpack()),
            Translation::Miss => TlbLookup::Miss,
        }
    }

    /// The entry a lookup would find, changing and counting nothing.
    #[must_use]
    pub fn peek(&self, vaddr: Vaddr, asid: Asid, kind: AccessKind) -> Option<TlbEntry> {
        let arrays = self.l1[kind.side() as usize].iter().chain(&self.l2);
        arrays.into_iter().find_map(|array| match array.probe(vaddr, asid, kind.rights()) {
            Probe::Hit { payload, .. } => Some(payload.unpack()),
            Probe::Denied | Probe::Absent => None,
        })
    }

    /// Files what a walk for an access of `kind` found: in L1 of that side, and in L2. A level without arrays for pages
    /// of this size holds the fragment around `vaddr` (see [`TlbArray::insert`]).
    ///
    /// # Panics
    /// If the page is smaller than the smallest size the TLBs can hold: the machine must not pair such a TLB with the format.
    pub fn fill(&mut self, vaddr: Vaddr, asid: Asid, kind: AccessKind, entry: &TlbEntry) {
        let side = kind.side();
        self.last.forget(side);
        let whole = Payload::whole(entry);
        let absent = self.absent.take() == Some((side, asid, vaddr.vpn()));
        let (held, evicted) = insert_into(&mut self.l1[side as usize], vaddr, asid, whole, absent);
        assert!(held, "no first-level TLB holds pages as small as {}", entry.size);
        let (_, evicted_l2) = insert_into(&mut self.l2, vaddr, asid, whole, absent);
        let counters = &mut self.sides[side as usize];
        counters.fills += 1;
        counters.evictions += u64::from(evicted) + u64::from(evicted_l2);
    }

    /// Removes what translates `vaddr` for `asid` from every array, global entries included. Returns how many entries.
    pub fn invalidate_page(&mut self, vaddr: Vaddr, asid: Asid) -> u32 {
        self.remove(|array| array.invalidate_page(vaddr, asid))
    }

    /// Removes the entries of `asid` but the global ones. Returns how many.
    pub fn flush_asid(&mut self, asid: Asid) -> u32 {
        self.remove(|array| array.flush_asid(asid))
    }

    /// Removes all entries but the global ones. Returns how many.
    pub fn flush_non_global(&mut self) -> u32 {
        self.remove(TlbArray::flush_non_global)
    }

    /// Removes all entries. Returns how many.
    pub fn flush_all(&mut self) -> u32 {
        self.remove(TlbArray::flush_all)
    }

    /// What every array holds.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        self.l1.iter().flatten().chain(&self.l2).for_each(|array| array.absorb_into(digest));
    }

    /// Every valid entry of every array; one that is in two arrays comes twice.
    pub fn iter(&self) -> impl Iterator<Item = (TlbTag, TlbEntry)> {
        self.l1.iter().flatten().chain(&self.l2).flat_map(TlbArray::iter)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> TlbCounters {
        let [mut fetch, mut data] = self.sides;
        let [in_fetch, in_data] = self.tally.l1_hits();
        fetch.l1_hits += in_fetch;
        data.l1_hits += in_data;
        TlbCounters { fetch, data, invalidated: self.invalidated }
    }

    /// The accesses that [`run_hits`](crate::run_hits) finished on these TLBs.
    #[must_use]
    pub fn access_counters(&self) -> AccessCounters {
        self.tally.accesses()
    }

    /// Notes a hit, if there is one where the hint of the first L1 array says: most hits are there. It is counted by the
    /// caller, who has switched the last hits to `asid`.
    #[inline(always)]
    pub(crate) fn hits_hint(&mut self, vaddr: Vaddr, asid: Asid, kind: AccessKind) -> bool {
        let side = kind.side();
        let Some(array) = self.l1[side as usize].first_mut() else { return false };
        let Some((place, payload)) = array.predict(vaddr, asid, kind.rights()) else { return false };
        array.touch(place);
        self.last.remember(side, vaddr, payload);
        true
    }

    /// A lookup, counted here unless it hits L1: the hit loop counts those by the batch. The caller has switched the last
    /// hits to `asid`.
    #[inline(never)]
    pub(crate) fn translate(&mut self, vaddr: Vaddr, asid: Asid, kind: AccessKind) -> Translation {
        let (side, need) = (kind.side(), kind.rights());
        let mut denied = false;
        for array in &mut self.l1[side as usize] {
            match array.probe(vaddr, asid, need) {
                Probe::Hit { place, payload, passed_over } => {
                    array.touch(place);
                    array.hint(vaddr, place, payload);
                    self.remember(vaddr, side, payload, denied || passed_over);
                    return Translation::L1(payload);
                }
                Probe::Denied => denied = true,
                Probe::Absent => {}
            }
        }
        self.translate_in_l2(vaddr, asid, side, need, denied)
    }

    #[inline]
    fn translate_in_l2(
        &mut self,
        vaddr: Vaddr,
        asid: Asid,
        side: TlbSide,
        need: Rights,
        in_l1: bool,
    ) -> Translation {
        let mut denied = in_l1;
        for array in &mut self.l2 {
            match array.probe(vaddr, asid, need) {
                Probe::Hit { place, payload, passed_over } => {
                    array.touch(place);
                    let counters = &mut self.sides[side as usize];
                    counters.l2_hits += 1;
                    self.absent = None;
                    let l1 = &mut self.l1[side as usize];
                    let (_, evicted) = insert_into(l1, vaddr, asid, payload, !in_l1);
                    counters.evictions += u64::from(evicted);
                    self.remember(vaddr, side, payload, denied || passed_over);
                    return Translation::L2(payload);
                }
                Probe::Denied => denied = true,
                Probe::Absent => {}
            }
        }
        let counters = &mut self.sides[side as usize];
        counters.misses += 1;
        counters.upgrades += u64::from(denied);
        self.absent = (!denied).then_some((side, asid, vaddr.vpn()));
        Translation::Miss
    }

    #[inline]
    fn remember(&mut self, vaddr: Vaddr, side: TlbSide, payload: Payload, passed_over: bool) {
        if passed_over {
            self.last.forget(side);
        } else {
            self.last.remember(side, vaddr, payload);
        }
    }

    fn remove(&mut self, mut from: impl FnMut(&mut TlbArray) -> u32) -> u32 {
        self.last.forget(TlbSide::Fetch);
        self.last.forget(TlbSide::Data);
        let removed = self.l1.iter_mut().flatten().chain(&mut self.l2).map(&mut from).sum();
        self.invalidated += u64::from(removed);
        removed
    }
}

/// Inserts into the array of a level that holds the largest part of the page. Returns whether one does, and whether an
/// entry was given up.
#[inline]
fn insert_into(
    arrays: &mut [TlbArray],
    vaddr: Vaddr,
    asid: Asid,
    entry: Payload,
    absent: bool,
) -> (bool, bool) {
    let size = entry.size();
    let best = match arrays {
        [array] => Some(array),
        _ => arrays.iter_mut().max_by_key(|array| array.largest_held(size)),
    };
    match best {
        Some(array) if array.largest_held(size).is_some() => {
            (true, array.insert_payload(vaddr, asid, entry, absent).is_some())
        }
        _ => (false, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BASE_PAGE_BYTES, PageSize, PageSizes, Pfn, Replacement, TlbGeometry};

    /// A few hundred accesses that miss, fill, hit, evict and flush; what each found.
    fn story(tlb: &mut TlbHierarchy, seed: u64) -> Vec<String> {
        let (mut word, mut story) = (seed, Vec::new());
        for _ in 0..300 {
            word = word.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(seed | 1);
            let page = word >> 40 & 15;
            let (vaddr, asid) =
                (Vaddr(page * BASE_PAGE_BYTES), Asid::new((word >> 50 & 1) as u16).expect("a tag"));
            let kind = if word >> 51 & 1 == 0 { AccessKind::Load } else { AccessKind::Fetch };
            match word >> 56 & 15 {
                0 => story.push(tlb.invalidate_page(vaddr, asid).to_string()),
                1 => story.push(tlb.flush_asid(asid).to_string()),
                _ => {
                    let found = tlb.lookup(vaddr, asid, kind);
                    if found == TlbLookup::Miss {
                        let frame = Pfn(page as u32 + 1);
                        let (size, global) = (PageSize::BASE, false);
                        let (writable, user, executable, dirty) = (true, true, true, true);
                        let entry = TlbEntry { frame, size, writable, user, executable, dirty, global };
                        tlb.fill(vaddr, asid, kind, &entry);
                    }
                    story.push(format!("{found:?}"));
                }
            }
        }
        story.push(format!("{:?} {:?}", tlb.counters(), tlb.iter().collect::<Vec<_>>()));
        story
    }

    #[test]
    fn tlbs_that_are_set_back_do_what_they_would_have_done() {
        let geometry = |entries, ways, replacement| {
            vec![TlbGeometry { entries, ways, sizes: PageSizes::of(&[PageSize::BASE]), replacement }]
        };
        let of = |first, second| TlbSpec {
            l1i: geometry(4, 2, first),
            l1d: geometry(4, 4, first),
            l2: geometry(32, 32, second),
            l1_hit_cycles: 0,
            l2_hit_cycles: 7,
        };
        for replacement in [Replacement::Lru, Replacement::TreePlru] {
            let mut tlb = TlbHierarchy::new(&of(replacement, replacement)).expect("a possible geometry");
            story(&mut tlb, 1);
            let kept = tlb.clone();
            let first = story(&mut tlb, 2);
            for other in 3..6 {
                story(&mut tlb, other);
                tlb.set_back(&kept);
                assert_eq!(story(&mut tlb, 2), first);
                tlb.set_back(&kept);
            }
        }
    }
}
