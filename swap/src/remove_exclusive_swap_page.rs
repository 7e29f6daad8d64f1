//! `remove_exclusive_swap_page` and what became of it, `try_to_free_swap`: a page gives up its copy in swap.
//!
//! Follows mm/swapfile.c of v2.6.27 and, for `try_to_free_swap`, of 2.6.29 (a2c43eed8334); mm/swap_state.c for `free_swap_cache`.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{remove_from_page_cache_if, trylock_page, unlock_page};
use pagewalk_pages::{Fix, PG_DIRTY, PG_SWAPCACHE, PG_WRITEBACK, PageRef};

use crate::swap_map::swap_info_get;
use crate::{Swap, SwapEntry, delete_from_swap_cache, page_swapcount, swap_free};

/// The count of a page that the swap cache has, and the caller.
const EXCLUSIVE: i32 = 2;

/// A locked page leaves the swap cache if nobody else has a reference and no PTE names its entry. True if it did; it is dirty then.
///
/// Under `swap_lock` no PTE can come to name the entry. That the count is still 2 is looked at under `tree_lock`, which before 2.6.27
/// kept lookups out; since then one may come between the look and the deletion. It must not trust the page before it has its lock.
///
///  1. leave a page that is under writeback;
///  2. or that anybody else has a reference to;
///  3. lock the areas;
///  4. or whose entry a PTE names;
///  5. lock the tree;
///  6. compare the count again, and look for writeback again;
///  7. take the page out of the tree, without an A, and mark it dirty;
///  8. unlock the tree;
///  9. unlock the areas;
/// 10. free the cache's count of the entry, and put its reference to the page.
pub async fn remove_exclusive_swap_page(cx: &Context, swap: &Swap, pfn: Pfn) -> bool {
    let space = &swap.swapper_space;
    let zone = space.zone();
    let words = zone.memory.words(pfn);
    let flags = words.flags().read_once(cx).await;
    if flags >> PG_SWAPCACHE & 1 == 0 || flags >> PG_WRITEBACK & 1 == 1 {
        return false; // 1
    }
    if words.count().read_once(cx).await != EXCLUSIVE {
        return false; // 2
    }
    let word = words.private().read_once(cx).await;
    let Some(entry) = SwapEntry::from_word(word) else {
        return cx.bug("a page of the swap cache has an entry").await;
    };
    let Some(held) = swap_info_get(cx, swap, entry).await else { return false }; // 3
    let mut removed = false;
    // 4
    if swap.count(&held, entry) == 1 {
        // 6
        let may = async || {
            words.count().read_once(cx).await == EXCLUSIVE && !words.flags().test_bit(cx, PG_WRITEBACK).await
        };
        // 7
        let then = async || words.flags().set_bit(cx, PG_DIRTY).await;
        removed = remove_from_page_cache_if(cx, space, pfn, may, then).await; // 5 to 8
        if !removed {
            cx.mark("remove_exclusive_swap_page:referenced");
        }
    }
    held.unlock().await; // 9
    if removed {
        swap_free(cx, swap, entry).await; // 10
        zone.put_page(cx, PageRef::counted(cx, pfn)).await;
    }
    removed
}

/// `try_to_free_swap`: a locked page leaves the swap cache if no PTE names its entry; who has references to it does not matter. True
/// if it did; it is dirty then.
///
///  1. leave a page that is under writeback;
///  2. or whose entry a PTE names;
///  3. take it out of the swap cache;
///  4. mark it dirty: its copy is gone.
pub async fn try_to_free_swap(cx: &Context, swap: &Swap, pfn: Pfn) -> bool {
    let words = swap.swapper_space.zone().memory.words(pfn);
    let flags = words.flags().read_once(cx).await;
    if flags >> PG_SWAPCACHE & 1 == 0 || flags >> PG_WRITEBACK & 1 == 1 {
        return false; // 1
    }
    if page_swapcount(cx, swap, pfn).await > 0 {
        return false; // 2
    }
    delete_from_swap_cache(cx, swap, pfn).await; // 3
    words.flags().set_bit(cx, PG_DIRTY).await; // 4
    true
}

/// One or the other, as the kernel has it.
pub async fn free_page_swap(cx: &Context, swap: &Swap, pfn: Pfn) -> bool {
    match swap.swapper_space.zone().switches().has(Fix::TryToFreeSwap) {
        true => try_to_free_swap(cx, swap, pfn).await,
        false => remove_exclusive_swap_page(cx, swap, pfn).await,
    }
}

/// `free_swap_cache`: a page whose PTE is gone gives up its copy, if nobody has it locked (and since 2.6.29 if nobody maps it).
pub async fn free_swap_cache(cx: &Context, swap: &Swap, pfn: Pfn) {
    let zone = swap.swapper_space.zone();
    let words = zone.memory.words(pfn);
    if !words.flags().test_bit(cx, PG_SWAPCACHE).await {
        return;
    }
    if zone.switches().has(Fix::TryToFreeSwap) && words.mapcount().read_once(cx).await > 0 {
        return;
    }
    if trylock_page(cx, zone, pfn).await {
        free_page_swap(cx, swap, pfn).await;
        unlock_page(cx, zone, pfn).await;
    }
}
