//! `zap_page_range`: removing the pages of a range.
//!
//! Follows mm/memory.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{BASE_PAGE_BYTES, PageRef, Pte, Vaddr, VaddrRange};

use super::gather::MmuGather;
use super::rmap::page_remove_rmap;
use crate::mm::{Mm, Table, find_table, next_boundary, pte_word};
use crate::task::Task;

/// `zap_page_range`: the pages of `range` go; the areas stay. Holds `mmap_sem` (for reading is enough).
pub(crate) async fn zap_page_range(current: &Task, mm: &Rc<Mm>, range: VaddrRange) {
    let mut gather = MmuGather::begin(current, mm, range).await;
    unmap_page_range(current, mm, &mut gather, range).await;
    gather.finish(current).await;
}

/// `unmap_page_range`: every table of the range, one at a time.
pub(crate) async fn unmap_page_range(current: &Task, mm: &Mm, gather: &mut MmuGather<'_>, range: VaddrRange) {
    let format = *current.kernel().hw.format();
    let mut address = range.start();
    while address < range.end() {
        match find_table(current, mm, address).await {
            Err(resume) => address = resume,
            Ok(table) => {
                let end = next_boundary(&format, address, 2).min(range.end());
                // A full batch stops the walk: the flush must not happen under the PTL.
                address = zap_pte_range(current, mm, gather, table, address, end).await;
                if gather.is_full(current) {
                    gather.flush(current).await;
                }
            }
        }
    }
}

/// `zap_pte_range`: clears the PTEs of one table and hands their pages to the batch. Returns where it stopped: `end`,
/// or earlier if the batch is full.
///
/// For each PTE, in this order:
///  1. exchange it for none: this captures what the hardware set up to this instant;
///  2. the page loses this mapping;
///  3. the PTE's reference moves to the batch, which drops it only after every TLB is flushed.
async fn zap_pte_range(
    current: &Task,
    mm: &Mm,
    gather: &mut MmuGather<'_>,
    table: Table,
    start: Vaddr,
    end: Vaddr,
) -> Vaddr {
    let ptl = table.lock(current).lock(current).await;
    let mut address = start;
    let mut full = false;
    while address < end && !full {
        let word = pte_word(current, table, address);
        if !word.read_once(current).await.is_none() {
            let pte = word.xchg(current, Pte::NONE).await; // 1
            page_remove_rmap(current, pte.pfn()).await; // 2
            mm.sub_rss();
            current.kernel().stat.pages_zapped.add(1);
            full = gather.remove_page(current, PageRef::counted(current, pte.pfn()), address); // 3
        }
        address = Vaddr(address.0 + BASE_PAGE_BYTES);
    }
    ptl.unlock().await;
    address
}
