//! `do_swap_page`: a page that was swapped out is wanted.
//!
//! Follows mm/memory.c of v2.6.27.

use pagewalk_mmu::{Pfn, Pte};
use pagewalk_pagecache::{find_get_page, lock_page, unlock_page};
use pagewalk_pages::{Fix, Mutant, PG_SWAPCACHE, PG_UPTODATE, PageRef};
use pagewalk_swap::{SwapEntry, free_page_swap, page_swapcount, swap_free, vm_swap_full};

use super::copy_on_write::do_wp_page;
use super::fault::{Fault, Resolved, vma_pte};
use super::rmap::page_add_anon_rmap;
use crate::fs::mark_page_accessed;
use crate::mm::PageKind;
use crate::swap::swapin_readahead;
use crate::task::Task;

/// `do_swap_page`: the PTE `orig`, which was looked at without its lock, names a swap entry.
///
///  1. look into the swap cache;
///  2. if the page is not there, read it, with its neighbours;
///  3. note that it is used;
///  4. lock it, which waits for the end of its read;
///  5. check that it is still at the entry (4969c1192d15, Linux 2.6.36): without the lock anybody may have taken it out of the swap
///     cache, and the entry may be another page's by now;
///  6. lock the PTL;
///  7. back out if the PTE is another by now, or the page could not be read;
///  8. count it as the address space's (`anon_rss`);
///  9. make the new PTE, writable if nobody else has the page;
/// 10. store it;
/// 11. count the mapping;
/// 12. free the PTE's count of the entry: after 11, so that the sum of mappings and counts of the entry is never too small;
/// 13. free the copy in swap if swap is full;
/// 14. unlock the page.
pub(crate) async fn do_swap_page(current: &Task, fault: &Fault<'_>, orig: Pte, entry: SwapEntry) -> Resolved {
    let kernel = current.kernel();
    let (zone, swap) = (&kernel.zone, &kernel.swap);
    let Some((page, major)) = find_or_read(current, fault, orig, entry).await else {
        return Resolved::Spurious;
    };
    let pfn = page.pfn();
    mark_page_accessed(current, &page).await; // 3
    lock_page(current, zone, pfn).await; // 4
    if zone.switches().has(Fix::SwapinEntryRecheck) && !is_still_at(current, pfn, entry).await {
        current.mark("do_swap_page:left-the-swap-cache"); // 5
        unlock_page(current, zone, pfn).await;
        zone.put_page(current, page).await;
        return Resolved::Spurious;
    }
    let ptl = fault.lock(current).await; // 6
    let word = fault.pte(current);
    let changed = word.read_once(current).await != orig;
    if changed || !zone.memory.words(pfn).flags().test_bit(current, PG_UPTODATE).await {
        current.mark("do_swap_page:pte-changed"); // 7
        ptl.unlock().await;
        unlock_page(current, zone, pfn).await;
        zone.put_page(current, page).await;
        return Resolved::Spurious;
    }
    fault.mm.add_rss(PageKind::Anon); // 8
    kernel.stat.nr_swap_ptes.sub(1);
    let mut entry_pte = vma_pte(pfn, fault.vma.prot).writable(false).accessed(true); // 9
    let mut write = fault.write;
    if write && can_share_swap_page(current, pfn).await {
        entry_pte = entry_pte.writable(true).dirty(true);
        write = false;
    }
    let early = zone.mutant(Mutant::SwapFreeBeforeRmap);
    if early {
        swap_free(current, swap, entry).await; // MUTANT swap-free-before-rmap
        unlock_page(current, zone, pfn).await;
    }
    word.write_once(current, entry_pte).await; // 10
    page_add_anon_rmap(current, pfn, fault.vma, fault.address).await; // 11
    // The lookup's reference is the PTE's now.
    page.into_pfn();
    if !early {
        swap_free(current, swap, entry).await; // 12
        finish_swapin(current, fault, pfn).await; // 13, 14
    }
    if write {
        let resolved = do_wp_page(current, fault, entry_pte, ptl).await;
        return if major { Resolved::SwapMajor } else { resolved };
    }
    ptl.unlock().await;
    if major { Resolved::SwapMajor } else { Resolved::SwapMinor }
}

/// Steps 1 and 2: the page of the entry, with a reference, and whether it had to be read. `None` if the fault is to be tried again.
async fn find_or_read<'a>(
    current: &'a Task,
    fault: &Fault<'_>,
    orig: Pte,
    entry: SwapEntry,
) -> Option<(PageRef<'a>, bool)> {
    let kernel = current.kernel();
    let cached = find_get_page(current, &kernel.swap.swapper_space, u64::from(entry.word())).await;
    if let Some(page) = cached {
        return Some((page, false));
    }
    if let Some(page) = swapin_readahead(current, entry).await {
        kernel.stat.pgmajfault.add(1);
        return Some((page, true));
    }
    // The entry was freed, or there was no memory for the page.
    let ptl = fault.lock(current).await;
    let same = fault.pte(current).read_once(current).await == orig;
    ptl.unlock().await;
    if same {
        // Before the next try memory is waited for, or the run ends here.
        current.mark("do_swap_page:no-memory");
        let page = kernel.alloc_page(current, "a page from swap").await;
        kernel.zone.put_page(current, page).await;
    }
    None
}

async fn is_still_at(current: &Task, pfn: Pfn, entry: SwapEntry) -> bool {
    let words = current.kernel().zone.memory.words(pfn);
    words.flags().test_bit(current, PG_SWAPCACHE).await
        && words.private().read_once(current).await == entry.word()
}

/// Steps 13 and 14: swap that is full enough gives the copy up.
async fn finish_swapin(current: &Task, fault: &Fault<'_>, pfn: Pfn) {
    let kernel = current.kernel();
    let fixed = kernel.switches().has(Fix::TryToFreeSwap);
    // Since 2.6.29 also for a store: the page will be dirty.
    if vm_swap_full(current, &kernel.swap).await || (fixed && fault.write) {
        free_page_swap(current, &kernel.swap, pfn).await;
    }
    unlock_page(current, &kernel.zone, pfn).await;
}

/// `can_share_swap_page`: whether nobody else, neither by a mapping nor by a swap entry, has the page, which is locked. The count
/// is not asked.
pub(crate) async fn can_share_swap_page(current: &Task, pfn: Pfn) -> bool {
    let kernel = current.kernel();
    let words = kernel.zone.memory.words(pfn);
    let mut uses = words.mapcount().read_once(current).await;
    if uses <= 1 && words.flags().test_bit(current, PG_SWAPCACHE).await {
        uses += page_swapcount(current, &kernel.swap, pfn).await;
    }
    uses == 1
}
