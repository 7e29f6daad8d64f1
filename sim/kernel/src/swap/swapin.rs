//! `read_swap_cache_async` and `swapin_readahead`: pages come back from swap, with their neighbours.
//!
//! Follows mm/swap_state.c of v2.6.27.

use pagewalk_pagecache::{AddError, find_get_page};
use pagewalk_pages::{LruList, PG_LOCKED, PG_SWAPBACKED, PageRef};
use pagewalk_swap::{SwapEntry, add_to_swap_cache, swap_duplicate, swap_free, valid_swaphandles};

use super::page_io::swap_readpage;
use crate::task::Task;

/// `read_swap_cache_async`: the page of the entry, with a reference. It may be locked and not up to date: then its read is under
/// way. `None` if the entry was freed, or no memory is left for a page.
///
///  1. look into the swap cache;
///  2. allocate a page;
///  3. count the swap cache as a user of the entry, if the entry is still in use;
///  4. lock the page, before others can find it;
///  5. put it into the swap cache;
///  6. read it;
///  7. or, if another page is there, undo 4 and 3 and begin again.
pub(crate) async fn read_swap_cache_async<'a>(current: &'a Task, entry: SwapEntry) -> Option<PageRef<'a>> {
    let kernel = current.kernel();
    let mut new: Option<PageRef<'a>> = None;
    let found = loop {
        let found = find_get_page(current, &kernel.swap.swapper_space, u64::from(entry.word())).await; // 1
        if found.is_some() {
            break found;
        }
        let page = match new.take() {
            Some(page) => page,
            None => match kernel.try_alloc_page(current).await {
                Some(page) => page, // 2
                None => break None,
            },
        };
        let flags = kernel.zone.memory.words(page.pfn()).flags();
        if !swap_duplicate(current, &kernel.swap, entry).await {
            current.mark("read_swap_cache_async:entry-freed");
            new = Some(page);
            break None; // 3
        }
        flags.modify(current, |flags| flags | 1 << PG_LOCKED | 1 << PG_SWAPBACKED).await; // 4
        // 5
        match add_to_swap_cache(current, &kernel.swap, &page, entry).await {
            Ok(()) => {
                kernel.zone.lru_cache_add(current, page.pfn(), LruList::ActiveAnon).await; // 6
                swap_readpage(current, entry, page.pfn()).await;
                return Some(page);
            }
            Err(error) => {
                current.mark("read_swap_cache_async:added-meanwhile");
                flags.modify(current, |flags| flags & !(1 << PG_LOCKED | 1 << PG_SWAPBACKED)).await; // 7
                swap_free(current, &kernel.swap, entry).await;
                new = Some(page);
                if error == AddError::NoMemory {
                    break None;
                }
            }
        }
    };
    if let Some(page) = new {
        kernel.zone.put_page(current, page).await;
    }
    found
}

/// `swapin_readahead`: reads the valid neighbours of an entry, and the entry itself.
pub(crate) async fn swapin_readahead<'a>(current: &'a Task, entry: SwapEntry) -> Option<PageRef<'a>> {
    let kernel = current.kernel();
    let cluster = kernel.config().page_cluster;
    let neighbours = match cluster {
        0 => Vec::new(),
        cluster => valid_swaphandles(current, &kernel.swap, entry, cluster).await,
    };
    for neighbour in neighbours.into_iter().filter(|&neighbour| neighbour != entry) {
        let Some(page) = read_swap_cache_async(current, neighbour).await else { break };
        kernel.zone.put_page(current, page).await;
    }
    kernel.zone.lru_add_drain(current).await; // push any new pages onto the LRU now
    read_swap_cache_async(current, entry).await
}
