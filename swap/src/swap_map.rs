//! The counts of the swap map: `swap_duplicate`, `swap_info_get`, `swap_free`, `page_swapcount`, `vm_swap_full`.
//!
//! Follows mm/swapfile.c of v2.6.27.

use pagewalk_engine::{Context, SpinGuard};
use pagewalk_mmu::Pfn;
use pagewalk_pages::Fix;

use crate::area::{SWAP_MAP_MAX, SWP_USED};
use crate::{Swap, SwapEntry};

/// `swap_duplicate`: one more PTE, or the swap cache, names the entry. False if it was freed: that is seen
/// only by callers who hold no count themselves (`read_swap_cache_async`), as a PTE under its PTL has one.
pub async fn swap_duplicate(cx: &Context, swap: &Swap, entry: SwapEntry) -> bool {
    let held = swap.lock(cx).await;
    // Never up from 0: the entry may be the next page's by the time that it is used (R52).
    // Under the lock, so that an area that is gone is seen to be.
    let count = if swap.is_in_use(entry) { swap.count(&held, entry) } else { 0 };
    if count > 0 {
        // A count that has reached the maximum stays there for good: nobody knows any more how many there
        // are, and the entry is never free again.
        swap.set_count(cx, &held, entry, (count + 1).min(SWAP_MAP_MAX)).await;
    } else {
        cx.mark("swap_duplicate:freed");
    }
    held.unlock().await;
    count > 0
}

/// `swap_info_get`: `swap_lock`, if the entry is one that can be freed. The looks at the area and at the count come before the lock.
///
/// Between the looks and the lock a swapoff may take the area off and free its map (R60). Since Linux 5.1 who
/// looks holds swapoff off until it is done (`get_swap_device`, eb085574a752).
pub(crate) async fn swap_info_get<'a>(
    cx: &'a Context,
    swap: &'a Swap,
    entry: SwapEntry,
) -> Option<SpinGuard<'a>> {
    let area = swap.area(entry);
    let fixed = swap.swapper_space.zone().switches().has(Fix::GetSwapDevice);
    if fixed {
        area.users.set(area.users.get() + 1);
    }
    // The looks tell a count that was taken too often, of an area that is there. They do not make the entry
    // safe: the caller's own count does.
    let used = swap.flags(entry.area()).read_once(cx).await & SWP_USED != 0;
    let held = if used && swap.map_word(entry).read_once(cx).await > 0 {
        let held = swap.lock(cx).await;
        swap.check_in_use(cx, entry);
        Some(held)
    } else {
        cx.engine().violation("I11", format!("{} frees {entry:?}, which is free", cx.id()));
        None
    };
    if fixed {
        area.users.set(area.users.get() - 1);
    }
    held
}

/// `swap_entry_free`: one less; at 0 the entry is free at once. Yields what is left: the swap cache's and the
/// PTEs', which look alike here (the flag for the swap cache came with 2.6.31). Under `swap_lock`.
pub(crate) async fn swap_entry_free(
    cx: &Context,
    swap: &Swap,
    held: &SpinGuard<'_>,
    entry: SwapEntry,
) -> u16 {
    let count = swap.count(held, entry);
    if count == 0 {
        cx.engine().violation("I11", format!("{} frees {entry:?}, which is free", cx.id()));
        return 0;
    }
    // Saturated: see `swap_duplicate`.
    if count >= SWAP_MAP_MAX {
        return count;
    }
    swap.set_count(cx, held, entry, count - 1).await;
    if count == 1 {
        // In this very hold of `swap_lock`. The next `get_swap_page` may give the entry away, so whoever still
        // has a use for it must have a count of it, or look again under the page lock (R52, R59).
        let area = swap.area(entry);
        area.release(entry.offset());
        swap.note_room(held, entry.area());
        // Of an area that is being taken off, nothing is free.
        swap.add_free(cx, held, i64::from(area.writeok())).await;
    }
    count - 1
}

/// `swap_free`: one PTE less, or the swap cache, names the entry.
pub async fn swap_free(cx: &Context, swap: &Swap, entry: SwapEntry) {
    if let Some(held) = swap_info_get(cx, swap, entry).await {
        swap_entry_free(cx, swap, &held, entry).await;
        held.unlock().await;
    }
}

/// `page_swapcount`: how many PTEs name the entry of a page of the swap cache, which is locked.
pub async fn page_swapcount(cx: &Context, swap: &Swap, pfn: Pfn) -> i32 {
    // The page lock keeps the page at its entry.
    let word = swap.swapper_space.zone().memory.words(pfn).private().read_once(cx).await;
    let Some(entry) = SwapEntry::from_word(word) else { return 0 };
    let Some(held) = swap_info_get(cx, swap, entry).await else { return 0 };
    let count = swap.count(&held, entry);
    held.unlock().await;
    // Less the swap cache's. Without `swap_lock` the number can fall, by a zap, and rise only by a fork of a
    // PTE that is counted in it: 0 stays 0 while the page is locked.
    i32::from(count) - 1
}

/// `vm_swap_full`: more than half of swap is in use. A look without the lock.
/// Wrong by a few, it costs a place in swap or one more write.
pub async fn vm_swap_full(cx: &Context, swap: &Swap) -> bool {
    swap.nr_swap_word().read_once(cx).await * 2 < swap.total_swap_pages()
}

/// `valid_swaphandles`: the entries in use of the aligned block of 2^`page_cluster` entries around this one.
pub async fn valid_swaphandles(
    cx: &Context,
    swap: &Swap,
    entry: SwapEntry,
    page_cluster: u32,
) -> Vec<SwapEntry> {
    let held = swap.lock(cx).await;
    let area = swap.area(entry);
    if !swap.is_in_use(entry) {
        held.unlock().await;
        return Vec::new();
    }
    // Entry 0 is the header of the area.
    let first = ((entry.offset() >> page_cluster) << page_cluster).max(1);
    let end = (((entry.offset() >> page_cluster) + 1) << page_cluster).min(area.pages() + 1);
    // The block is cut where an entry is free: what is behind it was swapped out at another time.
    let used = |offset: &u32| area.map[*offset as usize].get() > 0;
    let before = (first..entry.offset()).rev().take_while(used);
    let after = (entry.offset()..end).take_while(used);
    let mut found: Vec<u32> = before.chain(after).collect();
    found.sort_unstable();
    held.unlock().await;
    // Any of them may be freed from here on. `read_swap_cache_async` takes a count of each before it reads
    // it.
    found.into_iter().map(|offset| SwapEntry::new(entry.area(), offset)).collect()
}
