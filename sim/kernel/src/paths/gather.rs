//! `mmu_gather`: pages and tables whose PTEs are gone, on their way to the allocator.
//!
//! Follows include/asm-generic/tlb.h of v2.6.27. The order that must hold: the PTE is cleared, then every CPU's TLB
//! is flushed, then the reference is dropped. A page handed to the batch cannot be freed before the flush: the batch
//! owns its reference, and only [`MmuGather::flush`] gives references back.

use std::rc::Rc;

use pagewalk_mmu::{BASE_PAGE_BYTES, PageSize, Pfn, Vaddr, VaddrRange};
use pagewalk_pages::{Fix, PageRef};
use pagewalk_swap::free_swap_cache;

use crate::mm::Mm;
use crate::task::Task;
use crate::tlb::flush_tlb_range;

/// A batch (`struct mmu_gather`): references of cleared PTEs, and tables, that wait for a flush of every TLB
/// (R36).
pub(crate) struct MmuGather<'a> {
    mm: &'a Rc<Mm>,
    whole: VaddrRange,
    /// What must be flushed.
    range: Option<VaddrRange>,
    pages: Vec<Pfn>,
    tables: Vec<Pfn>,
}

impl<'a> MmuGather<'a> {
    /// `tlb_gather_mmu`: an empty batch for unmapping inside `whole`.
    pub(crate) async fn begin(current: &Task, mm: &'a Rc<Mm>, whole: VaddrRange) -> Self {
        if current.kernel().switches().has(Fix::FlushNested) {
            mm.tlb_flush_pending().fetch_add(current, 1).await;
        }
        Self { mm, whole, range: None, pages: Vec::new(), tables: Vec::new() }
    }

    /// `tlb_remove_page`: the reference of a cleared PTE moves to the batch.
    ///
    /// True if the batch is full: the caller flushes when it can.
    pub(crate) fn remove_page(&mut self, current: &Task, page: PageRef<'_>, address: Vaddr) -> bool {
        self.cover(address);
        self.pages.push(page.into_pfn());
        self.is_full(current)
    }

    /// Whether the batch must be flushed before it takes more pages.
    pub(crate) fn is_full(&self, current: &Task) -> bool {
        self.pages.len() >= current.kernel().config().gather_batch
    }

    /// `pte_free_tlb`: a table that nothing points to any more moves to the batch.
    pub(crate) async fn remove_table(&mut self, current: &Task, table: Pfn, address: Vaddr) {
        self.cover(address);
        self.tables.push(table);
        if self.tables.len() >= current.kernel().config().gather_batch {
            self.flush(current).await;
        }
    }

    /// `tlb_remove_tlb_entry`: the translation of `address` must be flushed.
    pub(crate) fn cover(&mut self, address: Vaddr) {
        let start = address.align_down(PageSize::BASE);
        let page = VaddrRange::with_len(start, BASE_PAGE_BYTES).expect("a user page");
        self.range = Some(match self.range {
            None => page,
            Some(range) => VaddrRange::new(range.start().min(page.start()), range.end().max(page.end()))
                .expect("a union of ranges"),
        });
    }

    /// `tlb_flush_mmu_tlbonly` (1cf35d47712d, Linux 3.15): flush every CPU; the batch keeps its references.
    pub(crate) async fn flush_tlb(&mut self, current: &Task) {
        if let Some(range) = self.range.take() {
            flush_tlb_range(current, self.mm, range).await;
        }
    }

    /// `tlb_flush_mmu`: flush every CPU, and only then drop the references.
    pub(crate) async fn flush(&mut self, current: &Task) {
        self.flush_tlb(current).await;
        let kernel = current.kernel();
        if !self.pages.is_empty() {
            free_pages_and_swap_cache(current, std::mem::take(&mut self.pages)).await;
        }
        for table in self.tables.drain(..) {
            kernel.free_table_page(current, table).await;
        }
    }

    /// `tlb_finish_mmu`.
    ///
    /// Where another batch of the same address space is open (both hold `mmap_sem` for reading), this one may have found
    /// PTEs already cleared whose flush is still pending with the other: then it flushes its whole range, so that nothing
    /// stale is left when it returns (`mm_tlb_flush_nested`).
    pub(crate) async fn finish(mut self, current: &Task) {
        let fixed = current.kernel().switches().has(Fix::FlushNested);
        if fixed && self.mm.tlb_flush_pending().read_once(current).await > 1 {
            current.mark("tlb_finish_mmu:nested");
            self.range = Some(self.whole);
        }
        self.flush(current).await;
        if fixed {
            self.mm.tlb_flush_pending().fetch_add(current, u32::MAX).await; // minus 1
        }
    }
}

/// `free_pages_and_swap_cache`: pages whose last mapping this was leave the swap cache too, and the batch's references go. Pages on
/// their way to the LRU lists have a reference for it, which would keep them.
async fn free_pages_and_swap_cache(current: &Task, pages: Vec<Pfn>) {
    let kernel = current.kernel();
    kernel.zone.lru_add_drain(current).await;
    for &pfn in &pages {
        free_swap_cache(current, &kernel.swap, pfn).await;
    }
    kernel.zone.release_pages(current, pages).await;
}

/// `put_page` of a counted reference that a PTE had. The last one frees the page; one of a file has left the cache by then.
pub(crate) async fn free_page(current: &Task, pfn: Pfn) {
    current.kernel().zone.put_page(current, PageRef::counted(current, pfn)).await;
}
