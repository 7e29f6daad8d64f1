//! `free_swap_and_cache`: a PTE that names a swap entry goes, and with the last one the page in the swap cache.
//!
//! Follows mm/swapfile.c of v2.6.27, and with the fix of 2.6.29 (a2c43eed8334).

use pagewalk_engine::Context;
use pagewalk_mmu::{Fix, PG_DIRTY, PG_SWAPCACHE, PG_WRITEBACK};
use pagewalk_pagecache::{find_get_page, trylock_page, unlock_page};

use crate::swap_map::{swap_entry_free, swap_info_get};
use crate::{Swap, SwapEntry, delete_from_swap_cache, vm_swap_full};

/// Called with the PTL held, for a PTE that is about to be cleared. Never sleeps: a page that somebody has locked stays, and reclaim
/// finds it later.
///
/// The page leaves the swap cache without a freeze of its count: who looks it up in this moment finds, once it has the page's lock, that
/// it has left. v2.6.27 counts references as a matter of policy (8): is it worth keeping? An elevated count keeps it until reclaim comes
/// by. Since 2.6.29 it goes unless it is mapped.
///
///  1. the PTE, under its lock, names the entry;
///  2. lock the areas; 3. one count less; 4. where that leaves one, look up the page, and try to lock it; 5. else it stays;
///  6. unlock the areas; 7. nothing to do for a page that was not found;
///  8. is it worth keeping? 9. not while it is under writeback;
/// 10. out of the swap cache; 11. its copy is gone: dirty; 12. unlock; 13. the lookup's reference.
pub async fn free_swap_and_cache(cx: &Context, swap: &Swap, entry: SwapEntry) {
    let hw = swap.swapper_space.hw();
    let Some(held) = swap_info_get(cx, swap, entry).await else { return }; // 2
    let left = swap_entry_free(cx, swap, &held, entry).await; // 3
    let mut page = None;
    if left == 1 {
        // Only the cache is left, or one other PTE, and then nothing is found.
        page = find_get_page(cx, &swap.swapper_space, u64::from(entry.word())).await; // 4
        if let Some(found) = page.take() {
            if trylock_page(cx, hw, found.pfn()).await {
                page = Some(found);
            } else {
                cx.mark("free_swap_and_cache:locked");
                hw.put_page(cx, found).await; // 5
            }
        }
    }
    held.unlock().await; // 6
    let Some(page) = page else { return }; // 7
    let words = hw.memory.words(page.pfn());
    let alone = if hw.switches().has(Fix::TryToFreeSwap) {
        words.mapcount().read_once(cx).await == 0
    } else {
        words.count().read_once(cx).await == 2 // 8. the cache and us
    };
    let flags = words.flags().read_once(cx).await;
    let cached = flags >> PG_SWAPCACHE & 1 == 1 && flags >> PG_WRITEBACK & 1 == 0;
    if cached && (alone || vm_swap_full(cx, swap).await) {
        delete_from_swap_cache(cx, swap, page.pfn()).await; // 10
        words.flags().set_bit(cx, PG_DIRTY).await; // 11
    } else {
        cx.mark("free_swap_and_cache:kept");
    }
    unlock_page(cx, hw, page.pfn()).await; // 12
    hw.put_page(cx, page).await; // 13
}
