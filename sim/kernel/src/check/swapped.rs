//! Observers of the invariants of swap and of the LRU lists, at quiescent moments: I7, I8, I11, I12, I17, I22, I24, I30, I31.

use std::collections::BTreeMap;

use pagewalk_mmu::{Pfn, Pte, Vaddr};
use pagewalk_pages::{LruList, PG_DIRTY, PG_LRU, PG_PRIVATE, PG_SWAPCACHE, PG_UPTODATE, PG_WRITEBACK};
use pagewalk_swap::SwapEntry;

use super::invariants::{AllUses, SwapUses};
use crate::kernel::Kernel;
use crate::mm::Mm;

impl Kernel {
    /// Notes what a PTE that is not present names.
    pub(super) fn collect_not_present(&self, mm: &Mm, address: Vaddr, pte: Pte, swap_uses: &mut SwapUses) {
        if pte.is_none() {
            return;
        }
        let Some(entry) = pte.swap_entry().and_then(SwapEntry::from_word) else {
            let message = format!("{pte:?} at {address:?} of mm {}, and nobody migrates", mm.id());
            self.engine.violation("I30", message);
            return;
        };
        *swap_uses.entry(entry).or_default() += 1;
        if !self.mmlist.observe(mm.id()) {
            let message = format!("mm {} has {entry:?} at {address:?} and is not on mmlist", mm.id());
            self.engine.violation("I31", message);
        }
    }

    /// Notes which pages are in the swap cache, and on their way to the LRU lists.
    pub(super) fn collect_swapped(&self, uses: &mut AllUses) {
        for (index, pfn) in self.swap.swapper_space.observe_pages() {
            let entry = u32::try_from(index).ok().and_then(SwapEntry::from_word);
            uses.entry(pfn).or_default().swapped.push(entry.expect("the swap cache's indices are entries"));
        }
        for pfn in self.zone.observe_pagevecs() {
            uses.entry(pfn).or_default().pagevecs += 1;
        }
        for pfn in self.observe_orphans() {
            uses.entry(pfn).or_default();
        }
    }

    /// Pages that have lost their file and kept their buffers: reclaim finds them on the LRU lists.
    pub(super) fn observe_orphans(&self) -> Vec<Pfn> {
        let memory = &self.zone.memory;
        let lists = self.zone.observe_lru();
        let listed = lists.iter().flat_map(|lru| LruList::ALL.map(|list| lru.pages(memory, list)));
        let orphan = |pfn: &Pfn| {
            let words = memory.words(*pfn);
            words.mapping().observe() == 0 && words.flags().observe() >> PG_PRIVATE & 1 == 1
        };
        listed.flatten().filter(orphan).collect()
    }

    /// Notes which swap entries files without a disk have.
    fn collect_shmem(&self, swap_uses: &mut SwapUses) {
        let inodes = self.inodes.all();
        let entries = inodes.iter().flat_map(|inode| inode.shmem.observe_entries());
        entries.for_each(|entry| *swap_uses.entry(entry).or_default() += 1);
    }

    /// I11, where a PTE that names a swap entry is about to be seen by others, its page locked and in the swap cache: both are counted.
    pub(crate) fn check_counted(&self, entry: SwapEntry) {
        if !self.engine.config().checks {
            return;
        }
        let count = self.swap.observe_count(entry);
        if count < 2 {
            let message =
                format!("the swap map has {count} for {entry:?}, which the swap cache and a PTE name");
            self.engine.violation("I11", message);
        }
    }

    /// Every invariant of swap.
    pub(super) fn check_swap(&self, uses: &AllUses, mut swap_uses: SwapUses) {
        let ptes: u64 = swap_uses.values().map(|&count| u64::from(count)).sum();
        debug_assert_eq!(self.stat.nr_swap_ptes.get(), ptes, "the gauge is exact");
        self.collect_shmem(&mut swap_uses);
        self.swap.swapper_space.check(&self.engine);
        let mut cached: BTreeMap<SwapEntry, Pfn> = BTreeMap::new();
        for (&pfn, uses) in uses {
            for &entry in &uses.swapped {
                cached.insert(entry, pfn);
                let dirty = uses.ptes.iter().any(|(_, _, pte)| pte.is_dirty());
                // What nobody can reach any more, whose freeing met a write, may be anything.
                let reached = !uses.ptes.is_empty() || swap_uses.contains_key(&entry);
                if reached && !dirty {
                    self.check_swapped_page(pfn, entry);
                }
            }
            let flagged = self.zone.memory.words(pfn).flags().observe() >> PG_SWAPCACHE & 1 == 1;
            let places = uses.swapped.len();
            if usize::from(flagged) != places {
                let message =
                    format!("{pfn:?} has PG_swapcache {flagged} and is in the swap cache {places} times");
                self.engine.violation("I8", message);
            }
        }
        let counts: BTreeMap<SwapEntry, u32> = self.swap.observe_counts().into_iter().collect();
        let entries = counts.keys().chain(swap_uses.keys()).chain(cached.keys());
        for &entry in entries {
            let (count, ptes) = (counts.get(&entry).copied(), swap_uses.get(&entry).copied());
            let (count, ptes) = (count.unwrap_or(0), ptes.unwrap_or(0));
            let cache = u32::from(cached.contains_key(&entry));
            if count != ptes + cache && count < self.swap.saturated() {
                let message = format!(
                    "the swap map has {count} for {entry:?}, which {ptes} PTEs or files name; in the swap cache: {cache}"
                );
                self.engine.violation("I11", message);
            }
        }
    }

    /// I17: a clean page of the swap cache is what its entry holds.
    fn check_swapped_page(&self, pfn: Pfn, entry: SwapEntry) {
        let flags = self.zone.memory.words(pfn).flags().observe();
        let busy = 1 << PG_DIRTY | 1 << PG_WRITEBACK;
        if self.oracle().is_none() || flags & busy != 0 || flags >> PG_UPTODATE & 1 == 0 {
            return;
        }
        let (stamp, disk) = (self.zone.memory.stamp(pfn), self.swap.content(entry));
        if stamp != disk {
            let message = format!(
                "{pfn:?} in the swap cache at {entry:?} is clean and holds {stamp:#x}; the area has {disk:#x}"
            );
            self.engine.violation("I17", message);
        }
    }

    /// I22: a page is on one list at most, the one that its flags say, and `PG_lru` says that it is.
    pub(super) fn check_lru(&self) {
        for (group, lru) in self.zone.observe_lru().iter().enumerate() {
            for list in LruList::ALL {
                let pages = lru.pages(&self.zone.memory, list);
                if pages.len() as u64 != lru.len(list) {
                    let message = format!(
                        "{list:?} of group {group} has {} pages, counts {}",
                        pages.len(),
                        lru.len(list)
                    );
                    self.engine.violation("I22", message);
                }
                for pfn in pages {
                    let flags = self.zone.memory.words(pfn).flags().observe();
                    let right = flags >> PG_LRU & 1 == 1 && LruList::of_flags(flags) == list;
                    if !right || usize::from(self.zone.group_of(pfn)) != group {
                        let message = format!("{pfn:?} on {list:?} of group {group} has flags {flags:#x}");
                        self.engine.violation("I22", message);
                    }
                }
            }
        }
    }
}
