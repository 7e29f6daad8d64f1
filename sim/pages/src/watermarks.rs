//! The zone's watermarks, and what memory groups are charged.
//!
//! Follows mm/page_alloc.c (`setup_per_zone_pages_min`, `zone_watermark_ok`) of v2.6.27. The machine is one zone.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;

use crate::{PageRef, Zone};

/// How few free frames the allocator lets there be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// Below this only reclaim itself allocates (`pages_min`).
    pub min: u32,
    /// Below this kswapd is woken (`pages_low`).
    pub low: u32,
    /// At this kswapd sleeps again (`pages_high`).
    pub high: u32,
}

impl Watermarks {
    /// With `min` frames kept back: low is a quarter more, high a half.
    #[must_use]
    pub const fn above(min: u32) -> Self {
        Self { min, low: min + min / 4, high: min + min / 2 }
    }

    /// As `init_per_zone_pages_min` computes them: `min_free_kbytes` is the root of 16 times the memory in KiB, from 128 to 65,536.
    #[must_use]
    pub const fn of_memory(frames: u32) -> Self {
        let kib = (frames as u64 * 4 * 16).isqrt();
        let kib = if kib < 128 { 128 } else { kib };
        Self::above(if kib > 65_536 { 65_536 } else { kib } as u32 / 4)
    }
}

impl Zone {
    /// Sets the watermarks. Before the first step.
    pub fn set_watermarks(&self, watermarks: Watermarks) {
        self.watermarks.set(watermarks);
    }

    /// The watermarks; all 0 unless set.
    pub fn watermarks(&self) -> Watermarks {
        self.watermarks.get()
    }

    /// Free frames of the zone, those on per-CPU lists not counted (`NR_FREE_PAGES`); for heuristics.
    #[inline]
    pub fn nr_free_pages(&self) -> u32 {
        self.buddy.observe().free_frames()
    }

    /// `zone_watermark_ok`, for one page.
    #[inline]
    pub fn watermark_ok(&self, mark: u32) -> bool {
        self.nr_free_pages() > mark
    }

    /// `get_page_from_freelist`: a page with one reference, if that leaves `mark` frames free.
    pub async fn alloc_page_above<'a>(&self, cx: &'a Context, mark: u32) -> Option<PageRef<'a>> {
        if mark == 0 || self.watermark_ok(mark) { self.alloc_page(cx).await } else { None }
    }

    /// `isolate_freepages`, for one page: the highest free frame above `floor`, with one reference.
    pub async fn take_free_page_above<'a>(&self, cx: &'a Context, floor: Pfn) -> Option<PageRef<'a>> {
        let zone = self.zone_lock.lock(cx).await;
        let taken = self.buddy.get_mut(&zone).take_highest(&self.memory, floor);
        zone.unlock().await;
        self.prep_new_page(cx, taken?).await.into()
    }

    /// `mem_cgroup_charge`: the page counts for group `group` until it is freed. Its contents belong to whoever touched it first.
    pub fn charge(&self, pfn: Pfn, group: u16) {
        if group == 0 {
            return;
        }
        self.memory.page(pfn).group.set(group);
        let mut charged = self.charged.borrow_mut();
        if charged.len() <= usize::from(group) {
            charged.resize(usize::from(group) + 1, 0);
        }
        charged[usize::from(group)] += 1;
    }

    /// The page is free: nobody is charged for it any more.
    pub(crate) fn uncharge(&self, pfn: Pfn) {
        let group = self.memory.page(pfn).group.replace(0);
        if group != 0 {
            self.charged.borrow_mut()[usize::from(group)] -= 1;
        }
    }

    /// Frames that group `group` is charged for.
    pub fn charged(&self, group: u16) -> u32 {
        self.charged.borrow().get(usize::from(group)).copied().unwrap_or(0)
    }

    /// The group that is charged for a page; 0 none.
    pub fn group_of(&self, pfn: Pfn) -> u16 {
        self.memory.page(pfn).group.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermarks_follow_the_root_of_memory() {
        // 512 MiB: the root of 8,388,608 KiB is 2,896 KiB.
        assert_eq!(Watermarks::of_memory(131_072), Watermarks { min: 724, low: 905, high: 1086 });
        assert_eq!(Watermarks::of_memory(64), Watermarks { min: 32, low: 40, high: 48 });
        assert_eq!(Watermarks::of_memory(1 << 28).min, 65_536 / 4);
    }
}
