//! `shmem_getpage`: the page of shared anonymous memory at a place, from the page cache, from swap, or new.

use std::rc::Rc;

use pagewalk_engine::SpinGuard;
use pagewalk_pagecache::{
    add_to_page_cache_locked, find_get_page, find_lock_page, trylock_page, unlock_page, wait_on_page_locked,
    wait_on_page_writeback,
};
use pagewalk_pages::{PG_SWAPBACKED, PG_UPTODATE, PG_WRITEBACK, PageRef};
use pagewalk_swap::{SwapEntry, delete_from_swap_cache, swap_free};

use crate::fs::{Inode, add_to_page_cache_lru, set_page_dirty};
use crate::swap::swapin_readahead;
use crate::task::Task;

/// The page, locked and referenced, and up to date; and whether it had to be read from swap.
pub(crate) async fn shmem_getpage<'a>(
    current: &'a Task,
    inode: &Rc<Inode>,
    index: u64,
) -> (PageRef<'a>, bool) {
    let mut major = false;
    loop {
        if let Some(page) = find_lock_page(current, &inode.mapping, index).await {
            return (page, major);
        }
        let held = inode.shmem.lock(current).await;
        let entry = inode.shmem.entries.get(&held).swapped.get(&index).copied();
        let found = match entry {
            None => {
                held.unlock().await;
                new_page(current, inode, index).await
            }
            Some(entry) => from_swap(current, inode, index, (entry, held), &mut major).await,
        };
        if let Some(page) = found {
            return (page, major);
        }
    }
}

/// A page of zeros, if nobody else has put one there.
async fn new_page<'a>(current: &'a Task, inode: &Rc<Inode>, index: u64) -> Option<PageRef<'a>> {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    let page = kernel.alloc_page(current, "shared anonymous memory").await;
    let flags = zone.memory.words(page.pfn()).flags();
    flags.set_bit(current, PG_SWAPBACKED).await;
    let held = inode.shmem.lock(current).await;
    let swapped = inode.shmem.entries.get(&held).swapped.contains_key(&index);
    let added = !swapped && add_to_page_cache_lru(current, &page, inode, index).await.is_ok();
    held.unlock().await;
    if !added {
        current.mark("shmem_getpage:added-meanwhile");
        zone.put_page(current, page).await;
        return None;
    }
    zone.memory.clear_page(current, page.pfn()).await;
    current.charge(kernel.hw.costs().clear_page);
    flags.set_bit(current, PG_UPTODATE).await;
    Some(page)
}

/// The page at `entry` moves from the swap cache to the page cache. `None`: something was waited for, and all is to be looked at again.
async fn from_swap<'a>(
    current: &'a Task,
    inode: &Rc<Inode>,
    index: u64,
    (entry, held): (SwapEntry, SpinGuard<'_>),
    major: &mut bool,
) -> Option<PageRef<'a>> {
    let kernel = current.kernel();
    let (zone, swap) = (&kernel.zone, &kernel.swap);
    let cached = find_get_page(current, &swap.swapper_space, u64::from(entry.word())).await;
    let Some(page) = cached else {
        held.unlock().await;
        *major |= read_in(current, entry).await;
        return None;
    };
    let pfn = page.pfn();
    if !trylock_page(current, zone, pfn).await {
        held.unlock().await;
        wait_on_page_locked(current, zone, pfn).await;
        zone.put_page(current, page).await;
        return None;
    }
    let writeback = zone.memory.words(pfn).flags().test_bit(current, PG_WRITEBACK).await;
    if writeback || add_to_page_cache_locked(current, &page, &inode.mapping, index).await.is_err() {
        current.mark("shmem_getpage:busy");
        held.unlock().await;
        wait_on_page_writeback(current, zone, pfn).await;
        unlock_page(current, zone, pfn).await;
        zone.put_page(current, page).await;
        return None;
    }
    inode.shmem.entries.get_mut(&held).swapped.remove(&index);
    delete_from_swap_cache(current, swap, pfn).await;
    held.unlock().await;
    set_page_dirty(current, pfn).await; // the copy is gone
    swap_free(current, swap, entry).await; // the file's count
    Some(page)
}

/// `shmem_swapin`: reads the page of an entry, and waits for it. True if it was read; the entry may have gone meanwhile.
async fn read_in(current: &Task, entry: SwapEntry) -> bool {
    let kernel = current.kernel();
    if let Some(page) = swapin_readahead(current, entry).await {
        wait_on_page_locked(current, &kernel.zone, page.pfn()).await;
        kernel.zone.put_page(current, page).await;
        kernel.stat.pgmajfault.add(1);
        return true;
    }
    // Freed meanwhile, or no memory for it: before the next try memory is waited for, or the run ends here.
    current.mark("shmem_getpage:no-memory");
    let page = kernel.alloc_page(current, "a page from swap").await;
    kernel.zone.put_page(current, page).await;
    false
}
