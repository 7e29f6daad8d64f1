//! `delete_from_swap_cache`: a page leaves the swap cache, whatever its count.
//!
//! Follows mm/swap_state.c of v2.6.27.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::remove_from_page_cache;
use pagewalk_pages::PageRef;

use crate::{Swap, SwapEntry, swap_free};

/// The page is locked, in the swap cache, and not under writeback; the caller has a reference. Who keeps the page must mark it dirty
/// before it is unlocked: its copy is gone.
///
///  1. read which entry the page is at;
///  2. take it out of the tree ([`remove_from_page_cache`]), without an A;
///  3. free the cache's count of the entry: from here on the entry may be another page's;
///  4. put the cache's reference, never the last.
///
/// If the page is not in the swap cache, that is a BUG.
pub async fn delete_from_swap_cache(cx: &Context, swap: &Swap, pfn: Pfn) {
    let zone = swap.swapper_space.zone();
    let word = zone.memory.words(pfn).private().read_once(cx).await; // 1
    let Some(entry) = SwapEntry::from_word(word) else {
        return cx.bug("a page of the swap cache has an entry").await;
    };
    remove_from_page_cache(cx, &swap.swapper_space, pfn).await; // 2
    swap_free(cx, swap, entry).await; // 3
    zone.put_page(cx, PageRef::counted(cx, pfn)).await; // 4
}
