//! Pages for the kernel's paths: from the free lists while there are enough, else from reclaim.
//!
//! Follows mm/page_alloc.c (`__alloc_pages_internal`) and mm/memcontrol.c (`mem_cgroup_charge_common`) of v2.6.27.

use std::future::pending;
use std::rc::Rc;

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::PageRef;

use crate::io_wait::congestion_wait;
use crate::kernel::{Kernel, OutOfMemory};
use crate::swap::kill_swapoff;
use crate::task::Task;
use crate::vmscan::{try_to_free_mem_cgroup_pages, try_to_free_pages};

/// Rounds of reclaim that free nothing at all before the machine is out of memory (`MAX_RECLAIM_RETRIES`, Linux 4.7).
const MAX_RECLAIM_RETRIES: u32 = 16;
/// Rounds of reclaim that one allocation waits for, whatever others free meanwhile: more contexts than frames would pass their pages
/// around for ever.
const MAX_ROUNDS: u32 = 256;

/// How much is done for a page (`gfp_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// One round of reclaim (`__GFP_NORETRY`).
    Once,
    /// As many rounds as make sense.
    Retry,
}

impl Kernel {
    /// `alloc_page`: a page for `purpose`, with one reference, charged to the task's memory group. May sleep. Where nothing can be
    /// reclaimed the run ends with a report.
    pub(crate) async fn alloc_page<'a>(&self, current: &'a Task, purpose: &'static str) -> PageRef<'a> {
        match self.try_alloc_page(current).await {
            Some(page) => page,
            None => self.out_of_memory(current, purpose).await,
        }
    }

    /// The same; `None` where nothing can be reclaimed.
    pub(crate) async fn try_alloc_page<'a>(&self, current: &'a Task) -> Option<PageRef<'a>> {
        self.alloc_page_with(current, Effort::Retry).await
    }

    /// The same for a page that nobody has asked for yet; `None` where there is none after one round of reclaim. A reader that waited
    /// for memory while it keeps pages which it has not begun to read would wait for itself (`page_cache_alloc_readahead`, Linux 2.6.40).
    pub(crate) async fn alloc_readahead_page<'a>(&self, current: &'a Task) -> Option<PageRef<'a>> {
        self.alloc_page_with(current, Effort::Once).await
    }

    async fn alloc_page_with<'a>(&self, current: &'a Task, effort: Effort) -> Option<PageRef<'a>> {
        let group = current.group();
        let limit = self.config().group_limit;
        if group != 0
            && limit > 0
            && self.zone.charged(group) >= limit
            && !Box::pin(uncharge_some(current, group, effort)).await
        {
            return None;
        }
        let page = match self.zone.alloc_page_above(current, self.zone.watermarks().low).await {
            Some(page) => page,
            None => Box::pin(alloc_pages_slowpath(current, effort)).await?,
        };
        self.zone.charge(page.pfn(), group);
        self.note_used();
        Some(page)
    }

    /// A zeroed page (`__GFP_ZERO`).
    pub(crate) async fn alloc_zeroed_page<'a>(
        &self,
        current: &'a Task,
        purpose: &'static str,
    ) -> PageRef<'a> {
        let page = self.alloc_page(current, purpose).await;
        self.clear_page(current, page.pfn()).await;
        page
    }

    async fn clear_page(&self, cx: &Context, pfn: Pfn) {
        self.zone.memory.clear_page(cx, pfn).await;
        cx.charge(self.hw.costs().clear_page);
    }

    /// A page that is a table with no entries. Tables are charged to nobody.
    pub(crate) async fn alloc_table_page(&self, current: &Task) -> Pfn {
        let page = match self.zone.alloc_page_above(current, self.zone.watermarks().low).await {
            Some(page) => Some(page),
            None => Box::pin(alloc_pages_slowpath(current, Effort::Retry)).await,
        };
        let page = match page {
            Some(page) => page,
            None => self.out_of_memory(current, "a page table").await,
        };
        self.attach_table(current, page).await
    }

    /// The top-level table of a process that is being made, from what the watermarks keep back if it must be.
    pub(crate) async fn alloc_pgd(&self, cx: &Context) -> Pfn {
        let Some(page) = self.zone.alloc_page(cx).await else {
            return self.out_of_memory(cx, "a page table").await.into_pfn();
        };
        self.attach_table(cx, page).await
    }

    async fn attach_table(&self, cx: &Context, page: PageRef<'_>) -> Pfn {
        self.note_used();
        self.clear_page(cx, page.pfn()).await;
        let pfn = page.into_pfn();
        self.hw.tables.attach(pfn);
        self.stat.page_tables_allocated.add(1);
        self.stat.nr_page_table_pages.add(1);
        self.stat.peak_page_table_pages.at_least(self.stat.nr_page_table_pages.get());
        pfn
    }

    /// The table, which nothing points to any more, becomes a free page.
    pub(crate) async fn free_table_page(&self, cx: &Context, pfn: Pfn) {
        self.hw.tables.detach(pfn);
        self.stat.page_tables_freed.add(1);
        self.stat.nr_page_table_pages.sub(1);
        self.zone.put_page(cx, PageRef::counted(cx, pfn)).await;
    }

    fn note_used(&self) {
        let used = u64::from(self.zone.memory.frames()) - u64::from(self.zone.free_frames());
        self.stat.peak_used_frames.at_least(used);
        self.stat.peak_data_frames.at_least(used.saturating_sub(1 + self.stat.nr_page_table_pages.get()));
    }

    async fn out_of_memory<'a>(&self, cx: &'a Context, purpose: &'static str) -> PageRef<'a> {
        self.report_oom(OutOfMemory {
            purpose,
            context: cx.id().number(),
            clock: cx.cpu().clock(),
            frames: self.zone.memory.frames(),
            anon_pages: self.stat.nr_anon_pages.get(),
            page_table_pages: self.stat.nr_page_table_pages.get(),
            file_pages: self.cache.nr_file_pages(),
            swap_pages_free: self.swap.nr_swap_pages(),
        });
        self.engine.stop("out of memory");
        pending().await
    }
}

/// Fewer free frames than `pages_low`: kswapd is woken; below `pages_min` the caller reclaims memory itself, until there is some or
/// nothing is left to reclaim, or the effort is done.
async fn alloc_pages_slowpath(current: &Task, effort: Effort) -> Option<PageRef<'_>> {
    let kernel: &Rc<Kernel> = current.kernel();
    let mark = kernel.zone.watermarks().min;
    kernel.wakeup_kswapd(current);
    let mut page = kernel.zone.alloc_page_above(current, mark).await;
    let mut progress = Progress::new(current, effort);
    while page.is_none() && !progress.is_over(current).await {
        kernel.stat.allocstall.add(1);
        try_to_free_pages(current).await;
        page = kernel.zone.alloc_page_above(current, mark).await;
        if page.is_none() && effort == Effort::Retry {
            // What other CPUs keep on their own lists, or have on the way to the LRU lists, is out of reclaim's sight.
            kernel.zone.lru_add_drain_all(current).await;
            kernel.zone.drain_all_pages(current).await;
            page = kernel.zone.alloc_page_above(current, mark).await;
        }
        if page.is_none() && effort == Effort::Retry {
            congestion_wait(current).await;
        }
    }
    page
}

/// Whether waiting for memory still makes sense (`should_reclaim_retry`, Linux 4.7).
///
/// Whatever is freed on the machine is progress, by whomever: the pages that this context cannot have may all be in the hands of others
/// who look for memory, too. So is a swap area that comes back. A request to a disk that is under way will free some page, or bring
/// somebody on who does.
struct Progress {
    seen: (u64, u64),
    rounds: u32,
    idle: u32,
    effort: Effort,
}

impl Progress {
    fn new(current: &Task, effort: Effort) -> Self {
        Self { seen: Self::look(current), rounds: 0, idle: 0, effort }
    }

    /// Pages freed so far, and pages of the swap areas in use.
    fn look(current: &Task) -> (u64, u64) {
        let kernel = current.kernel();
        (kernel.zone.page_counts().1, kernel.swap.total_swap_pages())
    }

    /// True after so many rounds in which nothing has happened. Called once before each round.
    async fn is_over(&mut self, current: &Task) -> bool {
        self.rounds += 1;
        if self.effort == Effort::Once {
            return self.rounds > 1;
        }
        let now = Self::look(current);
        if now != self.seen || current.kernel().io.is_busy(current.engine()) {
            self.seen = now;
            self.idle = 0;
        } else {
            self.idle += 1;
        }
        if self.idle > MAX_RECLAIM_RETRIES && kill_swapoff(current).await {
            self.idle = 0;
        }
        self.idle > MAX_RECLAIM_RETRIES || self.rounds > MAX_ROUNDS
    }
}

/// The group has all that it may have: it gives something up. False if it cannot.
async fn uncharge_some(current: &Task, group: u16, effort: Effort) -> bool {
    let kernel = current.kernel();
    let mut progress = Progress::new(current, effort);
    while kernel.zone.charged(group) >= kernel.config().group_limit {
        if progress.is_over(current).await {
            return false;
        }
        kernel.stat.allocstall.add(1);
        if try_to_free_mem_cgroup_pages(current, group).await == 0 {
            kernel.zone.lru_add_drain_all(current).await;
            congestion_wait(current).await;
        }
    }
    true
}
