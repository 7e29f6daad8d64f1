//! `free_swap_and_cache`: a PTE that names a swap entry goes, and with the last one the page in the swap cache.
//!
//! Follows mm/swapfile.c of v2.6.27, and with the fix of 2.6.29 (a2c43eed8334).

use pagewalk_engine::Context;
use pagewalk_pagecache::{find_get_page, trylock_page, unlock_page};
use pagewalk_pages::{Fix, PG_DIRTY, PG_SWAPCACHE, PG_WRITEBACK};

use crate::swap_map::{swap_entry_free, swap_info_get};
use crate::{Swap, SwapEntry, delete_from_swap_cache, vm_swap_full};

/// Called with the PTL held, for a PTE that is about to be cleared. Never sleeps: a page that somebody has locked stays, and reclaim
/// finds it later.
///
/// The page leaves the swap cache without a freeze of its count: who looks it up in this moment finds, once it has the page's lock, that
/// it has left. v2.6.27 counts references as a matter of policy (7): is it worth keeping? An elevated count keeps it until reclaim comes
/// by. Since 2.6.29 it goes unless it is mapped.
///
///  1. lock the areas;
///  2. take the PTE's count from the entry;
///  3. if that leaves one, look the page up: the one is the swap cache, or another PTE, and then nothing is found;
///  4. try to lock the page: if somebody else has the lock, the page stays;
///  5. unlock the areas;
///  6. without a page, that was all;
///  7. look whether anybody else has the page: is it worth keeping?
///  8. leave it, too, while it is under writeback;
///  9. take it out of the swap cache;
/// 10. mark it dirty: its copy is gone;
/// 11. unlock it;
/// 12. put the lookup's reference.
pub async fn free_swap_and_cache(cx: &Context, swap: &Swap, entry: SwapEntry) {
    let zone = swap.swapper_space.zone();
    let Some(held) = swap_info_get(cx, swap, entry).await else { return }; // 1
    let left = swap_entry_free(cx, swap, &held, entry).await; // 2
    let mut page = None;
    if left == 1 {
        page = find_get_page(cx, &swap.swapper_space, u64::from(entry.word())).await; // 3
        if let Some(found) = page.take() {
            if trylock_page(cx, zone, found.pfn()).await {
                page = Some(found);
            } else {
                cx.mark("free_swap_and_cache:locked");
                zone.put_page(cx, found).await; // 4
            }
        }
    }
    held.unlock().await; // 5
    let Some(page) = page else { return }; // 6
    let words = zone.memory.words(page.pfn());
    let alone = if zone.switches().has(Fix::TryToFreeSwap) {
        words.mapcount().read_once(cx).await == 0
    } else {
        words.count().read_once(cx).await == 2 // 7. the cache and us
    };
    let flags = words.flags().read_once(cx).await;
    let cached = flags >> PG_SWAPCACHE & 1 == 1 && flags >> PG_WRITEBACK & 1 == 0; // 8
    if cached && (alone || vm_swap_full(cx, swap).await) {
        delete_from_swap_cache(cx, swap, page.pfn()).await; // 9
        words.flags().set_bit(cx, PG_DIRTY).await; // 10
    } else {
        cx.mark("free_swap_and_cache:kept");
    }
    unlock_page(cx, zone, page.pfn()).await; // 11
    zone.put_page(cx, page).await; // 12
}
