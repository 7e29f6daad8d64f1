//! `do_wp_page`: a write to a page that is mapped read-only.
//!
//! Follows mm/memory.c of v2.6.27.

use std::rc::Rc;

use pagewalk_engine::{Held, SpinGuard};
use pagewalk_mmu::{Fix, PG_LOCKED, Pfn, Pte, Vaddr};

use super::fault::{Resolved, vma_pte};
use super::gather::free_anon_page;
use super::rmap::{page_add_new_anon_rmap, page_remove_rmap};
use crate::mm::{Mm, Table, Vma, anon_vma_prepare, pte_word};
use crate::task::Task;
use crate::tlb::flush_tlb_page;

/// `do_wp_page`: enters with the PTL held and the PTE equal to `orig`, which is read-only; leaves with the PTL
/// released.
#[expect(clippy::too_many_arguments, reason = "the arguments of the Linux function")]
pub(crate) async fn do_wp_page(
    current: &Task,
    mm: &Rc<Mm>,
    mmap_sem: &impl Held,
    vma: &Rc<Vma>,
    table: Table,
    address: Vaddr,
    orig: Pte,
    ptl: SpinGuard<'_>,
) -> Resolved {
    let old = orig.pfn();
    let word = pte_word(current, table, address);
    if can_reuse(current, old).await {
        // Nobody else has the page: the entry only needs permission. Write protection on other CPUs is stale in
        // the harmless direction, so the local TLB is enough; the hardware walks again on a denied entry.
        let entry = orig.accessed(true).dirty(true).writable(true);
        word.write_once(current, entry).await;
        ptl.unlock().await;
        return Resolved::Permission;
    }

    // Copy. The page must not go away while the PTL is dropped.
    let held = current.kernel().hw.memory.get_page(current, old).await;
    ptl.unlock().await;
    anon_vma_prepare(current, mm, mmap_sem, vma).await;
    let kernel = current.kernel();
    let new = kernel.alloc_page(current, "a copy of a page").await;
    kernel.hw.memory.copy_page(current, old, new.pfn()).await;
    current.charge(kernel.hw.costs().copy_page);

    let ptl = table.lock(current).lock(current).await;
    let now = word.read_once(current).await;
    if now != orig {
        // pte_same failed: the fault was resolved meanwhile, or the page was discarded.
        ptl.unlock().await;
        kernel.hw.put_page(current, new).await;
        free_anon_page(current, held.into_pfn()).await;
        return Resolved::Spurious;
    }
    // ptep_clear_flush: no CPU may read the old page through this entry once the new one can be written.
    word.xchg(current, Pte::NONE).await;
    flush_tlb_page(current, mm, address).await;
    // The reverse mapping before the PTE, as later kernels have it; v2.6.27 stores the PTE first. Both are under the PTL.
    page_add_new_anon_rmap(current, new.pfn(), vma, address).await;
    word.write_once(current, vma_pte(new.into_pfn(), vma.prot).accessed(true).dirty(true)).await;
    // Only after the flush may the old page look unmapped to anybody (945754a1754f).
    page_remove_rmap(current, old).await;
    // v2.6.27 drops the references before it unlocks; they are ours either way.
    ptl.unlock().await;
    free_anon_page(current, old).await; // the PTE's reference
    free_anon_page(current, held.into_pfn()).await; // ours
    Resolved::Copied
}

/// `can_share_swap_page`, for a page that is not in the swap cache: one mapping, ours; or, since 5.9, one reference, ours
/// (a batch that waits for its flush has one too). Asked under the page lock; if that is taken the answer is no, because the
/// PTL is held and must not wait.
async fn can_reuse(current: &Task, pfn: Pfn) -> bool {
    let hw = &current.kernel().hw;
    let page = hw.memory.words(pfn);
    if page.flags().test_and_set_bit(current, PG_LOCKED).await {
        return false;
    }
    let uses = if hw.switches().has(Fix::ReuseByCount) { page.count() } else { page.mapcount() };
    let alone = uses.read_once(current).await == 1;
    page.flags().clear_bit(current, PG_LOCKED).await;
    alone
}
