//! `page_mkclean`: every mapping of a file's page becomes clean and read-only, so that the next store is noticed.
//!
//! Follows mm/rmap.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{Pfn, Pte};

use super::rmap::page_mapped;
use crate::fs::Inode;
use crate::mm::{Mapped, find_table, pte_word};
use crate::task::Task;
use crate::tlb::flush_tlb_page;

/// `page_mkclean`: true if any mapping was dirty or writable. Holds the page lock.
pub(crate) async fn page_mkclean(current: &Task, inode: &Rc<Inode>, pfn: Pfn) -> bool {
    if !page_mapped(current, pfn).await {
        return false;
    }
    let index = current.kernel().zone.memory.words(pfn).index().read_once(current).await;
    let mut cleaned = false;
    let held = inode.i_mmap.lock(current).await;
    for area in inode.i_mmap.of_page(&held, index) {
        if area.vma.shared {
            cleaned |= page_mkclean_one(current, &area, index, pfn).await;
        }
    }
    held.unlock().await;
    cleaned
}

/// `page_mkclean_one`: one area's PTE.
///
/// The PTL is taken even where the entry reads as none: whoever changes an entry clears it first, under the PTL, and stores
/// it again (479db0bf408e).
///
///  1. lock the table;
///  2. clear a PTE that is dirty or writable, and flush it everywhere: from then on no store goes through without a fault;
///  3. store it again, clean and read-only;
///  4. unlock.
async fn page_mkclean_one(current: &Task, area: &Mapped, index: u64, pfn: Pfn) -> bool {
    let Mapped { mm, vma, .. } = area;
    let address = vma.address_of(index).expect("the area maps the page's index");
    let Ok(table) = find_table(current, mm, address).await else { return false };
    let ptl = table.ptl(current).await; // 1
    let word = pte_word(current, table, address);
    let pte = word.read_once(current).await;
    let ours = pte.is_present() && pte.pfn() == pfn;
    let clean = ours && (pte.is_dirty() || pte.is_writable());
    if clean {
        current.mark("page_mkclean:was-dirty");
        let pte = word.xchg(current, Pte::NONE).await; // 2. ptep_clear_flush
        flush_tlb_page(current, mm, address).await;
        word.write_once(current, pte.writable(false).dirty(false)).await; // 3
    }
    ptl.unlock().await; // 4
    clean
}
