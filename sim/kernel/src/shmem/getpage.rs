//! `shmem_getpage`: the page of shared anonymous memory at a place, from the page cache, from swap, or new.
//!
//! Follows mm/shmem.c of v2.6.27 (`shmem_getpage`, `shmem_swapin`).

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

/// `shmem_getpage`: the page, locked and referenced, and up to date; and whether it had to be read from swap.
///
///  1. look into the page cache, and lock what is there;
///  2. lock the file's entries (`info->lock`) and look for one at the index;
///  3. without one, make a page of zeros, if nobody else has made one meanwhile;
///  4. with one, move its page from the swap cache to the page cache;
///  5. if it is not in the swap cache, read it, and begin again.
///
/// A page goes from the page cache to an entry, and back, only under `info->lock`. The lookup at 1 does not
/// take it: the page may have been on its way to swap. So a miss at 1 counts for nothing until 3 has inserted
/// under the lock.
pub(crate) async fn shmem_getpage<'a>(
    current: &'a Task,
    inode: &Rc<Inode>,
    index: u64,
) -> (PageRef<'a>, bool) {
    let mut major = false;
    loop {
        // 1. With the page lock, which `shmem_writepage` needs to take the page to swap.
        if let Some(page) = find_lock_page(current, &inode.mapping, index).await {
            return (page, major);
        }
        // 2. A spin lock inside the page lock: with it held nothing may sleep, allocate, or wait for a page.
        let held = inode.shmem.lock(current).await;
        let entry = inode.shmem.entries.get(&held).swapped.get(&index).copied();
        let found = match entry {
            None => {
                // 3. The allocation may sleep, so all that was seen under the lock is seen again afterwards.
                held.unlock().await;
                new_page(current, inode, index).await
            }
            // 4. The guard goes along: as long as it is held, the entry is the file's.
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
    // Before the page can be found: the flag says which LRU lists it belongs to.
    flags.set_bit(current, PG_SWAPBACKED).await;
    let held = inode.shmem.lock(current).await;
    // Both places again. Another thread may have made the page, and reclaim may have swapped that one out
    // since: the tree is empty, and zeros would hide what the program has stored (I14).
    let swapped = inode.shmem.entries.get(&held).swapped.contains_key(&index);
    let added = !swapped && add_to_page_cache_lru(current, &page, inode, index).await.is_ok();
    held.unlock().await;
    if !added {
        current.mark("shmem_getpage:added-meanwhile");
        zone.put_page(current, page).await;
        return None;
    }
    // After the insertion. `add_to_page_cache` has locked the page: whoever finds it waits, and never sees
    // the frame's former contents (I25).
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
    // With a spin lock held the lookup may go round while a count is frozen. That ends, because a freezer
    // takes neither `info->lock` nor `swap_lock` before it has thawed or removed the page (R17).
    let cached = find_get_page(current, &swap.swapper_space, u64::from(entry.word())).await;
    let Some(page) = cached else {
        held.unlock().await;
        *major |= read_in(current, entry).await;
        return None;
    };
    let pfn = page.pfn();
    // A try: swapoff holds the page's lock while it waits for `info->lock` in `shmem_unuse`.
    if !trylock_page(current, zone, pfn).await {
        held.unlock().await;
        wait_on_page_locked(current, zone, pfn).await;
        zone.put_page(current, page).await;
        return None;
    }
    // A page under writeback has to stay in the swap cache, whose tag the end of the write clears (I24).
    // The insertion never touches the page lock, which is ours: an error path that released it would release
    // somebody else's next (R12).
    let writeback = zone.memory.words(pfn).flags().test_bit(current, PG_WRITEBACK).await;
    if writeback || add_to_page_cache_locked(current, &page, &inode.mapping, index).await.is_err() {
        current.mark("shmem_getpage:busy");
        held.unlock().await;
        wait_on_page_writeback(current, zone, pfn).await;
        unlock_page(current, zone, pfn).await;
        zone.put_page(current, page).await;
        return None;
    }
    // In the same hold of `info->lock` as the insertion: no thread finds neither page nor entry, and makes
    // zeros. The file's count of the entry outlives the swap cache's, so the entry is nobody else's yet.
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
    // 5. The end of the read unlocks the page. It may leave the swap cache as soon as our reference is put,
    // so the caller begins again at 1.
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
