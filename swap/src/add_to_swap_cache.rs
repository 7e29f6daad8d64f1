//! `add_to_swap_cache` and `add_to_swap`: a page gets a place in swap.
//!
//! Follows mm/swap_state.c of v2.6.27.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{AddError, add_to_page_cache_locked};
use pagewalk_pages::{PG_DIRTY, PageRef};

use crate::{Swap, SwapEntry, get_swap_page, swap_free};

/// `add_to_swap_cache`: the page, which the caller has locked, is found at the entry from now on. The count that the caller has of the
/// entry is the swap cache's then.
///
/// # Errors
/// Where another page is there, or no memory is left for a node; the page is as it was.
pub async fn add_to_swap_cache(
    cx: &Context,
    swap: &Swap,
    page: &PageRef<'_>,
    entry: SwapEntry,
) -> Result<(), AddError> {
    add_to_page_cache_locked(cx, page, &swap.swapper_space, u64::from(entry.word())).await
}

/// `add_to_swap`: a locked anonymous page gets an entry and goes into the swap cache. False if swap is full, or memory for the tree.
///
///  1. get a swap entry;
///  2. put the page into the swap cache;
///  3. mark it dirty: its contents exist nowhere else;
///  4. or, if a readahead has put its own page there, give the entry back and get another;
///  5. or, if there is no memory for the tree, give the entry back.
pub async fn add_to_swap(cx: &Context, swap: &Swap, pfn: Pfn) -> bool {
    let flags = swap.swapper_space.zone().memory.words(pfn).flags();
    loop {
        let Some(entry) = get_swap_page(cx, swap).await else { return false }; // 1
        // The caller has a reference; it is lent for the insertion.
        let page = PageRef::counted(cx, pfn);
        let added = add_to_swap_cache(cx, swap, &page, entry).await; // 2
        page.into_pfn();
        match added {
            Ok(()) => {
                flags.set_bit(cx, PG_DIRTY).await; // 3
                return true;
            }
            Err(AddError::Exists) => {
                // A readahead has put a page of its own there.
                cx.mark("add_to_swap:exists");
                swap_free(cx, swap, entry).await; // 4
            }
            Err(AddError::NoMemory) => {
                swap_free(cx, swap, entry).await; // 5
                return false;
            }
        }
    }
}
