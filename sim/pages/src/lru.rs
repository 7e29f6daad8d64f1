//! The LRU lists: active and inactive, of anonymous pages and of pages of files, for each memory group.
//!
//! Follows include/linux/mm_inline.h and mm/swap.c of v2.6.27, with the lists split as in 2.6.28. The lists are threaded through
//! `struct page`; the newest page is at the front, reclaim takes from the back. A page on a list carries `PG_lru`. Being on a
//! list is no reference: a page whose count is 0 may still be linked for a moment, until whoever frees it has unlinked it.

use pagewalk_mmu::Pfn;

use crate::PhysicalMemory;
use crate::page::{PG_ACTIVE, PG_SWAPBACKED};

/// One of the four lists (`enum lru_list`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LruList {
    /// Anonymous pages that nobody used lately.
    InactiveAnon,
    /// Anonymous pages in use.
    ActiveAnon,
    /// Pages of files that nobody used twice lately.
    InactiveFile,
    /// Pages of files in use.
    ActiveFile,
}

impl LruList {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// All of them, in the order in which reclaim takes them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::InactiveAnon, Self::ActiveAnon, Self::InactiveFile, Self::ActiveFile];

    /// The list for pages of files or anonymous ones, active or not.
    #[must_use]
    pub const fn of(file: bool, active: bool) -> Self {
        match (file, active) {
            (false, false) => Self::InactiveAnon,
            (false, true) => Self::ActiveAnon,
            (true, false) => Self::InactiveFile,
            (true, true) => Self::ActiveFile,
        }
    }

    /// The list that a page's flags say it belongs on (`page_lru`).
    #[must_use]
    pub const fn of_flags(flags: u32) -> Self {
        Self::of(flags >> PG_SWAPBACKED & 1 == 0, flags >> PG_ACTIVE & 1 == 1)
    }

    /// Whether it is for pages of files.
    #[must_use]
    pub const fn is_file(self) -> bool {
        matches!(self, Self::InactiveFile | Self::ActiveFile)
    }

    /// Whether it is one of the active lists.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::ActiveAnon | Self::ActiveFile)
    }
}

#[derive(Clone, Copy, Debug, Default, Hash)]
struct List {
    /// The newest page; 0 none.
    front: u32,
    /// The oldest page; 0 none.
    back: u32,
    len: u64,
}

/// The lists of one memory group, and what reclaim remembers about them.
#[derive(Clone, Debug, Default, Hash)]
pub struct LruVec {
    lists: [List; LruList::COUNT],
    /// Pages scanned lately, anonymous and of files (`recent_scanned`).
    pub recent_scanned: [u64; 2],
    /// Those of them that were in use (`recent_rotated`).
    pub recent_rotated: [u64; 2],
    /// Pages to scan that were too few for a batch, by list (`nr_scan`).
    pub nr_scan: [u64; LruList::COUNT],
}

impl LruVec {
    /// Pages on a list.
    #[must_use]
    pub fn len(&self, list: LruList) -> u64 {
        self.lists[list as usize].len
    }

    /// True if no page is on any list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.iter().all(|list| list.len == 0)
    }

    /// The oldest page of a list.
    #[must_use]
    pub fn oldest(&self, list: LruList) -> Option<Pfn> {
        Some(Pfn(self.lists[list as usize].back)).filter(|pfn| pfn.0 != 0)
    }

    /// Puts a page that is on no list to the front.
    pub fn add(&mut self, memory: &PhysicalMemory, pfn: Pfn, list: LruList) {
        let list = &mut self.lists[list as usize];
        let page = memory.page(pfn);
        page.link_prev.set(0);
        page.link_next.set(list.front);
        match list.front {
            0 => list.back = pfn.0,
            front => memory.page(Pfn(front)).link_prev.set(pfn.0),
        }
        list.front = pfn.0;
        list.len += 1;
    }

    /// Puts a page that is on no list to the back: it is looked at next.
    pub fn add_oldest(&mut self, memory: &PhysicalMemory, pfn: Pfn, list: LruList) {
        let list = &mut self.lists[list as usize];
        let page = memory.page(pfn);
        page.link_next.set(0);
        page.link_prev.set(list.back);
        match list.back {
            0 => list.front = pfn.0,
            back => memory.page(Pfn(back)).link_next.set(pfn.0),
        }
        list.back = pfn.0;
        list.len += 1;
    }

    /// Takes a page off the list that it is on.
    pub fn remove(&mut self, memory: &PhysicalMemory, pfn: Pfn, list: LruList) {
        let list = &mut self.lists[list as usize];
        let page = memory.page(pfn);
        let (before, after) = (page.link_prev.replace(0), page.link_next.replace(0));
        match before {
            0 => list.front = after,
            before => memory.page(Pfn(before)).link_next.set(after),
        }
        match after {
            0 => list.back = before,
            after => memory.page(Pfn(after)).link_prev.set(before),
        }
        list.len -= 1;
    }

    /// The pages of a list, the newest first.
    #[must_use]
    pub fn pages(&self, memory: &PhysicalMemory, list: LruList) -> Vec<Pfn> {
        let following = |pfn: &Pfn| Some(Pfn(memory.page(*pfn).link_next.get())).filter(|pfn| pfn.0 != 0);
        let first = Some(Pfn(self.lists[list as usize].front)).filter(|pfn| pfn.0 != 0);
        std::iter::successors(first, following).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_leave_from_the_back_from_the_middle_and_from_the_front() {
        let memory = PhysicalMemory::new(16, false).expect("possible");
        let mut lru = LruVec::default();
        let list = LruList::InactiveFile;
        let order = |lru: &LruVec| lru.pages(&memory, list).iter().map(|pfn| pfn.0).collect::<Vec<_>>();
        (1..=4).for_each(|pfn| lru.add(&memory, Pfn(pfn), list));
        lru.add_oldest(&memory, Pfn(5), list);
        assert_eq!((order(&lru), lru.oldest(list), lru.len(list)), (vec![4, 3, 2, 1, 5], Some(Pfn(5)), 5));
        lru.remove(&memory, Pfn(5), list);
        lru.remove(&memory, Pfn(4), list);
        lru.remove(&memory, Pfn(2), list);
        assert_eq!(order(&lru), [3, 1]);
        lru.remove(&memory, Pfn(1), list);
        lru.remove(&memory, Pfn(3), list);
        assert!(lru.is_empty() && lru.oldest(list).is_none());
        lru.add_oldest(&memory, Pfn(9), list);
        assert_eq!(order(&lru), [9]);
    }

    #[test]
    fn flags_say_which_list() {
        for list in LruList::ALL {
            let flags =
                u32::from(!list.is_file()) << PG_SWAPBACKED | u32::from(list.is_active()) << PG_ACTIVE;
            assert_eq!(LruList::of_flags(flags), list);
        }
    }
}
