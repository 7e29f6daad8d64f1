//! A TLB as one would write it for clarity: sets of optional entries, searched in full, nothing remembered.

use std::collections::BTreeMap;

use pagewalk_mmu::{Asid, PageSize, PageSizes, Pfn, Replacement, TlbEntry, TlbGeometry, TlbTag, Vaddr};
use proptest::prelude::*;

/// One entry of the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) tag: TlbTag,
    pub(crate) entry: TlbEntry,
    /// Size of the page it was cut from.
    pub(crate) origin: PageSize,
    used: u64,
}

/// A TLB array.
pub(crate) struct Model {
    pub(crate) geometry: TlbGeometry,
    sets: Vec<Vec<Option<Held>>>,
    /// For each set, by (first leaf, leaves) of a node: the right half is the older one.
    right_is_older: Vec<BTreeMap<(u32, u32), bool>>,
    now: u64,
}

impl Model {
    pub(crate) fn new(geometry: TlbGeometry) -> Self {
        let sets = geometry.entries / geometry.ways;
        Self {
            geometry,
            sets: vec![vec![None; geometry.ways as usize]; sets as usize],
            right_is_older: vec![BTreeMap::new(); sets as usize],
            now: 0,
        }
    }

    fn set_of(&self, vaddr: Vaddr, size: PageSize) -> usize {
        (vaddr.0 / size.bytes() % self.sets.len() as u64) as usize
    }

    /// Every entry that translates `vaddr`, in the order of preference, with its place.
    pub(crate) fn covering(&self, vaddr: Vaddr, asid: Asid) -> Vec<(usize, usize, Held)> {
        let mut found = Vec::new();
        for size in self.geometry.sizes.iter() {
            for owner in [Some(asid), None] {
                let wanted = TlbTag { page: Vaddr(vaddr.0 / size.bytes() * size.bytes()), size, asid: owner };
                for (set, ways) in self.sets.iter().enumerate() {
                    for (way, held) in ways.iter().enumerate() {
                        found.extend(held.filter(|held| held.tag == wanted).map(|held| (set, way, held)));
                    }
                }
            }
        }
        found
    }

    pub(crate) fn touch(&mut self, set: usize, way: usize) {
        self.now += 1;
        self.sets[set][way].as_mut().unwrap().used = self.now;
        let (mut first, mut leaves) = (0, self.geometry.ways.next_power_of_two());
        while leaves > 1 {
            let is_left = (way as u32) < first + leaves / 2;
            self.right_is_older[set].insert((first, leaves), is_left);
            first += if is_left { 0 } else { leaves / 2 };
            leaves /= 2;
        }
    }

    fn victim(&self, set: usize) -> usize {
        if let Some(free) = self.sets[set].iter().position(Option::is_none) {
            return free;
        }
        if self.geometry.replacement == Replacement::Lru {
            let oldest = self.sets[set].iter().enumerate().min_by_key(|(_, held)| held.unwrap().used);
            return oldest.unwrap().0;
        }
        let (mut first, mut leaves) = (0, self.geometry.ways.next_power_of_two());
        while leaves > 1 {
            leaves /= 2;
            let right = self.right_is_older[set].get(&(first, leaves * 2)).copied().unwrap_or(false);
            if right && first + leaves < self.geometry.ways {
                first += leaves;
            }
        }
        first as usize
    }

    pub(crate) fn lookup(&mut self, vaddr: Vaddr, asid: Asid) -> Option<TlbEntry> {
        let (set, way, held) = *self.covering(vaddr, asid).first()?;
        self.touch(set, way);
        Some(held.entry)
    }

    pub(crate) fn largest_held(&self, size: PageSize) -> Option<PageSize> {
        self.geometry.sizes.iter().filter(|&held| held <= size).last()
    }

    pub(crate) fn insert(
        &mut self,
        vaddr: Vaddr,
        asid: Asid,
        entry: TlbEntry,
        origin: PageSize,
    ) -> Option<(TlbTag, TlbEntry)> {
        let size = self.largest_held(entry.size)?;
        let page = Vaddr(vaddr.0 / size.bytes() * size.bytes());
        let tag = TlbTag { page, size, asid: if entry.global { None } else { Some(asid) } };
        let frames_in = (page.0 % entry.size.bytes()) / 4096;
        let entry = TlbEntry { frame: Pfn(entry.frame.0 + frames_in as u32), size, ..entry };
        let set = self.set_of(vaddr, size);
        let same = self.sets[set].iter().position(|held| held.is_some_and(|held| held.tag == tag));
        let way = same.unwrap_or_else(|| self.victim(set));
        let old = self.sets[set][way].replace(Held { tag, entry, origin, used: 0 });
        self.touch(set, way);
        old.filter(|_| same.is_none()).map(|held| (held.tag, held.entry))
    }

    pub(crate) fn remove(&mut self, doomed: impl Fn(&Held) -> bool) -> u32 {
        let mut removed = 0;
        for slot in self.sets.iter_mut().flatten() {
            if slot.as_ref().is_some_and(&doomed) {
                *slot = None;
                removed += 1;
            }
        }
        removed
    }

    /// In the order of tags.
    pub(crate) fn contents(&self) -> Vec<(TlbTag, TlbEntry)> {
        sorted(self.sets.iter().flatten().flatten().map(|held| (held.tag, held.entry)))
    }
}

/// What INVLPG removes.
pub(crate) fn invalidated_by(vaddr: Vaddr, asid: Asid) -> impl Fn(&Held) -> bool {
    move |held| {
        let same_page = held.tag.page.0 / held.origin.bytes() == vaddr.0 / held.origin.bytes();
        same_page && held.tag.asid.is_none_or(|owner| owner == asid)
    }
}

pub(crate) fn sorted(entries: impl Iterator<Item = (TlbTag, TlbEntry)>) -> Vec<(TlbTag, TlbEntry)> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|&(tag, entry)| (tag, entry.frame));
    entries
}

/// 4 KiB, 16 KiB and 128 KiB: close together, so that small address ranges mix them.
pub(crate) const SIZES: [u32; 3] = [12, 14, 17];

pub(crate) fn size(shift: u32) -> PageSize {
    PageSize::from_shift(shift).unwrap()
}

pub(crate) fn asids() -> impl Strategy<Value = Asid> {
    prop_oneof![Just(0), Just(1), Just(Asid::MAX)].prop_map(|raw| Asid::new(raw).unwrap())
}

/// Addresses in 32 to 96 base pages at the bottom or the top of the address space.
pub(crate) fn vaddrs() -> impl Strategy<Value = Vaddr> {
    (0_u64..96, 0_u64..4096, any::<bool>()).prop_map(|(page, offset, top)| {
        let low = page << 12 | offset;
        Vaddr(if top { !low } else { low })
    })
}

pub(crate) fn entries() -> impl Strategy<Value = TlbEntry> {
    (0_u32..1 << 20, 0_usize..3, prop::array::uniform5(prop::bool::weighted(0.7))).prop_map(
        |(frame, shift, bits)| {
            let size = size(SIZES[shift]);
            let [writable, user, executable, dirty, local] = bits;
            let frame = Pfn(frame / size.base_pages() as u32 * size.base_pages() as u32);
            TlbEntry { frame, size, writable, user, executable, dirty, global: !local }
        },
    )
}

pub(crate) fn replacements() -> impl Strategy<Value = Replacement> {
    prop_oneof![Just(Replacement::Lru), Just(Replacement::TreePlru)]
}

/// Arrays of 1 to 7 sets and of every way of being searched and aged: one fingerprint word, several, indexed; stamps, lists.
pub(crate) fn geometries(sizes: impl Strategy<Value = PageSizes>) -> impl Strategy<Value = TlbGeometry> {
    let ways = prop_oneof![1_u32..10, Just(4), Just(8), Just(12), Just(16), Just(24), Just(100)];
    (ways, 1_u32..8, sizes, replacements()).prop_map(|(ways, sets, sizes, replacement)| TlbGeometry {
        entries: ways * sets,
        ways,
        sizes,
        replacement,
    })
}

pub(crate) fn some_sizes() -> impl Strategy<Value = PageSizes> {
    (1_usize..8).prop_map(|set| {
        let chosen: Vec<PageSize> =
            (0..3).filter(|at| set >> at & 1 == 1).map(|at| size(SIZES[at])).collect();
        PageSizes::of(&chosen)
    })
}
