//! `zap_page_range`: removing the pages of a range.
//!
//! Follows mm/memory.c of v2.6.27.

use std::rc::Rc;

use pagewalk_engine::Word;
use pagewalk_mmu::{BASE_PAGE_BYTES, Pfn, Pte, Vaddr, VaddrRange};
use pagewalk_pages::{Fix, Mutant, PG_REFERENCED, PageRef};
use pagewalk_swap::{SwapEntry, free_swap_and_cache};

use super::gather::{MmuGather, free_page};
use super::rmap::{page_kind, page_remove_rmap};
use crate::fs::set_page_dirty;
use crate::mm::{Mm, PageKind, Table, Vma, find_table, next_boundary, pte_word};
use crate::task::Task;

/// `struct zap_details`: which pages are removed. Without it, all are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZapDetails {
    /// Only pages that have this in `page->mapping`: private copies stay.
    pub(crate) check_mapping: u32,
}

/// What is zapped, and with what.
pub(crate) struct Zap<'a, 'b> {
    /// The address space, whose resident pages are counted down.
    pub(crate) mm: &'a Mm,
    /// The area, inside which the range lies.
    pub(crate) vma: &'a Vma,
    /// Which pages of the area go; `None`: all.
    pub(crate) details: Option<ZapDetails>,
    /// Gets the references of cleared PTEs, until the flush.
    pub(crate) gather: &'a mut MmuGather<'b>,
}

/// `zap_page_range`: the pages of `range`, inside `vma`, go; the area stays. Holds `mmap_sem` (for reading is enough), or
/// the lock of the index that the area is in.
///
/// The pagevec of this CPU is emptied first: its references would keep the pages, and whoever decides by a count of 2.
pub(crate) async fn zap_page_range(
    current: &Task,
    mm: &Rc<Mm>,
    vma: &Vma,
    range: VaddrRange,
    details: Option<ZapDetails>,
) {
    current.kernel().zone.lru_add_drain(current).await;
    let mut gather = MmuGather::begin(current, mm, range).await;
    Zap { mm, vma, details, gather: &mut gather }.unmap_page_range(current, range).await;
    gather.finish(current).await;
}

impl Zap<'_, '_> {
    /// `unmap_page_range`: every table of the range, one at a time.
    pub(crate) async fn unmap_page_range(&mut self, current: &Task, range: VaddrRange) {
        let format = *current.kernel().hw.format();
        let mut address = range.start();
        while address < range.end() {
            match find_table(current, self.mm, address).await {
                Err(resume) => address = resume,
                Ok(table) => {
                    let end = next_boundary(&format, address, 2).min(range.end());
                    let part = VaddrRange::new(address, end).expect("a part of the range");
                    // A full batch stops the walk, as since Linux 3.0: the references are not dropped under the PTL, where v2.6.27
                    // flushes and frees the moment the batch is full.
                    address = self.zap_pte_range(current, table, part).await;
                    if self.gather.is_full(current) {
                        self.gather.flush(current).await;
                    }
                }
            }
        }
    }

    /// `zap_pte_range`: clears the PTEs of one table and hands their pages to the batch. Returns where it stopped: at the end
    /// of the range, or earlier if the batch is full.
    ///
    /// For each PTE, in this order:
    ///  1. exchange it for none: this captures what the hardware set up to this instant;
    ///  2. of a file's page, what the hardware noted goes to the page's flags;
    ///  3. the page loses this mapping;
    ///  4. the PTE's reference moves to the batch, which drops it only after every TLB is flushed.
    ///
    /// A CPU whose TLB has a dirty entry stores through it until the flush, without a word to anybody. Whoever cleans the
    /// page must not finish before that: so the flush comes under the PTL (1cf35d47712d), and the page stays mapped until
    /// then (5df397dec7c4, Linux 6.2), because writeback looks only at mapped pages, under the PTL. v2.6.27 flushes later.
    async fn zap_pte_range(&mut self, current: &Task, table: Table, range: VaddrRange) -> Vaddr {
        let zone = &current.kernel().zone;
        let ptl = table.ptl(current).await;
        let mut stopped = range.end();
        let mut dirty: Vec<Pfn> = Vec::new();
        for address in range.addresses() {
            let word = pte_word(current, table, address);
            let seen = word.read_once(current).await;
            if !seen.is_present() {
                if !seen.is_none() && self.details.is_none() {
                    zap_swap_pte(current, word, seen).await;
                }
                continue;
            }
            if self.is_spared(current, seen.pfn()).await {
                continue;
            }
            let kind = page_kind(current, self.vma, seen.pfn()).await;
            let pte = if zone.mutant(Mutant::ZapDropDirty) {
                word.write_once(current, Pte::NONE).await; // MUTANT zap-drop-dirty
                seen
            } else {
                word.xchg(current, Pte::NONE).await // 1
            };
            if kind == PageKind::File {
                note_used(current, pte).await; // 2
            }
            self.mm.sub_rss(kind);
            current.kernel().stat.pages_zapped.add(1);
            if kind == PageKind::File && pte.is_dirty() && zone.switches().has(Fix::FlushUnderPtl) {
                dirty.push(pte.pfn());
            } else {
                page_remove_rmap(current, pte.pfn(), kind).await; // 3
            }
            if zone.mutant(Mutant::ZapFreeBeforeFlush) {
                self.gather.cover(address);
                free_page(current, pte.pfn()).await;
            } else if self.gather.remove_page(current, PageRef::counted(current, pte.pfn()), address) {
                stopped = Vaddr(address.0 + BASE_PAGE_BYTES);
                break; // 4. it was the batch's last place
            }
        }
        if !dirty.is_empty() {
            self.gather.flush_tlb(current).await;
            for pfn in dirty {
                page_remove_rmap(current, pfn, PageKind::File).await; // 3
            }
        }
        ptl.unlock().await;
        stopped
    }

    /// Whether the details say that this page stays.
    async fn is_spared(&self, current: &Task, pfn: Pfn) -> bool {
        let Some(ZapDetails { check_mapping }) = self.details else { return false };
        current.kernel().zone.memory.words(pfn).mapping().read_once(current).await != check_mapping
    }
}

/// A PTE that is not present: of a swap entry, its count goes, and the page with it if nobody else wants it. The PTE is cleared after
/// that, still under its lock. What a migration entry names is found by nobody here: migration will find no entry to put back.
async fn zap_swap_pte(current: &Task, word: Word<'_, Pte>, pte: Pte) {
    let kernel = current.kernel();
    if let Some(entry) = pte.swap_entry().and_then(SwapEntry::from_word) {
        free_swap_and_cache(current, &kernel.swap, entry).await;
        kernel.stat.nr_swap_ptes.sub(1);
    }
    word.write_once(current, Pte::NONE).await;
}

/// What the hardware noted in a PTE that is gone, for the page of a file.
async fn note_used(current: &Task, pte: Pte) {
    if pte.is_dirty() {
        set_page_dirty(current, pte.pfn()).await;
    }
    if pte.is_accessed() {
        current.kernel().zone.memory.words(pte.pfn()).flags().set_bit(current, PG_REFERENCED).await;
    }
}
