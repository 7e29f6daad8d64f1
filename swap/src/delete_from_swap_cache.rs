//! `delete_from_swap_cache`: a page leaves the swap cache, whatever its count.
//!
//! Follows mm/swap_state.c of v2.6.27.

use pagewalk_engine::Context;
use pagewalk_mmu::{PageRef, Pfn};
use pagewalk_pagecache::remove_from_page_cache;

use crate::{Swap, SwapEntry, swap_free};

/// The page is locked, in the swap cache, and not under writeback; the caller has a reference. Who keeps the page must mark it dirty
/// before it is unlocked: its copy is gone.
///
///  1. which entry it is at; 2 to 7. out of the tree, as any page; 8. the entry's count; 9. the cache's reference.
///
/// # Panics
/// If the page is not in the swap cache.
pub async fn delete_from_swap_cache(cx: &Context, swap: &Swap, pfn: Pfn) {
    let hw = swap.swapper_space.hw();
    let word = hw.memory.words(pfn).private().read_once(cx).await; // 1
    let entry = SwapEntry::from_word(word).expect("a page of the swap cache has an entry");
    remove_from_page_cache(cx, &swap.swapper_space, pfn).await; // 2 to 7
    swap_free(cx, swap, entry).await; // 8. from here on the entry may be another page's
    hw.put_page(cx, PageRef::counted(cx, pfn)).await; // 9. the cache's reference, never the last
}
