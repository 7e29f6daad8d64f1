//! `do_wp_page`: a write to a page that is mapped read-only.
//!
//! Follows mm/memory.c of v2.6.27.

use pagewalk_engine::SpinGuard;
use pagewalk_mmu::{Pfn, Pte};
use pagewalk_pagecache::{trylock_page, unlock_page, wait_on_page_locked};
use pagewalk_pages::{Fix, Mutant, PG_LRU, PG_SWAPCACHE};
use pagewalk_swap::try_to_free_swap;

use super::fault::{Fault, Resolved, ptep_set_access_flags, vma_pte};
use super::gather::free_page;
use super::rmap::{page_add_new_anon_rmap, page_kind, page_remove_rmap};
use super::swap_fault::can_share_swap_page;
use crate::fs::{balance_dirty_pages, set_page_dirty};
use crate::mm::{Mm, PageKind, anon_vma_prepare};
use crate::task::Task;
use crate::tlb::flush_tlb_page;

/// `do_wp_page`: enters with the PTL held and the PTE equal to `orig`, which is read-only; leaves with the PTL
/// released.
///
///  1. in a shared area, give the PTE its permission and mark the page dirty ([`share_file_page`]);
///  2. an anonymous page that nobody else has needs no copy: give the PTE its permission;
///  3. copy any other page, with a reference to it and without the PTL;
///  4. lock the PTL again, and back out if the PTE is another by now;
///  5. clear the PTE and flush it everywhere: no CPU may read the old page through it once the new one can be written;
///  6. store the new PTE;
///  7. count the new page's mapping;
///  8. take the old page's mapping away: only after 5 may it look unmapped to anybody (945754a1754f);
///  9. unlock the PTL, and put the PTE's reference to the old page, and ours.
pub(crate) async fn do_wp_page(current: &Task, fault: &Fault<'_>, orig: Pte, ptl: SpinGuard<'_>) -> Resolved {
    let old = orig.pfn();
    if fault.vma.shared {
        return share_file_page(current, fault, orig, ptl).await; // 1
    }
    let kind = page_kind(current, fault.vma, old).await;
    if kind == PageKind::Anon && can_reuse(current, fault.mm, old).await {
        // Nobody else has the page: the entry only needs permission.
        let entry = orig.accessed(true).dirty(true).writable(true);
        ptep_set_access_flags(current, fault, orig, entry).await; // 2
        current.kernel().check_exclusive(old);
        ptl.unlock().await;
        return Resolved::Permission;
    }
    copy_page(current, fault, orig, kind, ptl).await // 3 to 9
}

/// The first store to a page of a shared file since it was mapped, or cleaned: the entry gets its permission, and the
/// page is marked dirty.
///
/// Who cleans the page holds its lock, and has perhaps passed this entry already: it must have ended before the page is
/// marked, or the mark would be taken away and the entry would stay writable (79352894b285).
async fn share_file_page(current: &Task, fault: &Fault<'_>, orig: Pte, ptl: SpinGuard<'_>) -> Resolved {
    let zone = &current.kernel().zone;
    let dirty_page = zone.memory.get_page(current, orig.pfn()).await;
    ptep_set_access_flags(current, fault, orig, orig.accessed(true).dirty(true).writable(true)).await;
    ptl.unlock().await;
    wait_on_page_locked(current, zone, dirty_page.pfn()).await;
    set_page_dirty(current, dirty_page.pfn()).await;
    zone.put_page(current, dirty_page).await;
    balance_dirty_pages(current).await;
    Resolved::Permission
}

/// Steps 3 to 9: a copy of an anonymous page that others have too, or of a page of a file in a private area.
async fn copy_page(
    current: &Task,
    fault: &Fault<'_>,
    orig: Pte,
    kind: PageKind,
    ptl: SpinGuard<'_>,
) -> Resolved {
    let Fault { mm, vma, address, .. } = *fault;
    let (kernel, old, word) = (current.kernel(), orig.pfn(), fault.pte(current));
    // The page must not go away while the PTL is dropped.
    let held = kernel.zone.memory.get_page(current, old).await;
    ptl.unlock().await;
    anon_vma_prepare(current, mm, fault.mmap_sem, vma).await;
    let new = kernel.alloc_page(current, "a copy of a page").await;
    let ticket = (kind == PageKind::File).then(|| kernel.probe().file_op_begin());
    kernel.zone.memory.copy_page(current, old, new.pfn()).await; // 3
    current.charge(kernel.hw.costs().copy_page);

    let ptl = fault.lock(current).await; // 4
    let now = word.read_once(current).await;
    if now != orig {
        // pte_same failed: the fault was resolved meanwhile, or the page was discarded.
        current.mark("do_wp_page:pte-changed");
        ptl.unlock().await;
        kernel.zone.put_page(current, new).await;
        free_page(current, held.into_pfn()).await;
        return Resolved::Spurious;
    }
    if kind == PageKind::File {
        mm.sub_rss(PageKind::File);
        mm.add_rss(PageKind::Anon);
    }
    let early = kernel.mutant(Mutant::WpRmapBeforeFlush);
    if early {
        page_remove_rmap(current, old, kind).await; // MUTANT wp-rmap-before-flush
    }
    word.xchg(current, Pte::NONE).await; // 5. ptep_clear_flush
    flush_tlb_page(current, mm, address).await;
    let new = new.into_pfn();
    word.write_once(current, vma_pte(new, vma.prot).accessed(true).dirty(true)).await; // 6
    if let Some(ticket) = &ticket {
        kernel.probe().private_copy(mm, address, ticket);
    }
    // The PTE before the reverse mapping: who looks for either under the PTL finds both.
    page_add_new_anon_rmap(current, new, vma, address).await; // 7
    if !early {
        page_remove_rmap(current, old, kind).await; // 8
    }
    // v2.6.27 drops the references before it unlocks; they are ours either way.
    ptl.unlock().await; // 9
    free_page(current, old).await;
    free_page(current, held.into_pfn()).await;
    Resolved::Copied
}

/// Whether nobody else has the page: one mapping or swap entry, ours (`can_share_swap_page`); or, since 5.9, one reference, ours
/// (a batch that waits for its flush has one too). Asked under the page lock; if that is taken the answer is no, because the PTL
/// is held and must not wait.
///
/// Who counts references must not count those of the lists' pagevecs and of the swap cache (d4c470970d45, 53a05ad9f21d).
async fn can_reuse(current: &Task, mm: &Mm, pfn: Pfn) -> bool {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    if is_exclusive(current, mm, pfn).await {
        return true;
    }
    let words = zone.memory.words(pfn);
    let by_count = zone.switches().has(Fix::ReuseByCount);
    if by_count && !words.flags().test_bit(current, PG_LRU).await {
        zone.lru_add_drain(current).await;
    }
    if !trylock_page(current, zone, pfn).await {
        current.mark("do_wp_page:page-locked");
        return false;
    }
    let alone = if by_count {
        if words.flags().test_bit(current, PG_SWAPCACHE).await {
            try_to_free_swap(current, &kernel.swap, pfn).await;
        }
        words.count().read_once(current).await == 1
    } else {
        can_share_swap_page(current, pfn).await
    };
    unlock_page(current, zone, pfn).await;
    alone
}

/// Whether the anonymous page is nobody else's because a device fills it (`PageAnonExclusive`, 6c287605fd56, as far as pins need it). A
/// page is pinned for that through an entry that allows stores, so it was nobody else's then; fork does not share it afterwards, and
/// `try_to_unmap` leaves it where it is. Holds the PTL.
pub(super) async fn is_exclusive(current: &Task, mm: &Mm, pfn: Pfn) -> bool {
    let zone = &current.kernel().zone;
    zone.switches().has(Fix::AnonExclusive)
        && mm.has_pinned(current.engine())
        && zone.page_maybe_dma_pinned(current, pfn).await
}
