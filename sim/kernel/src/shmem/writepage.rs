//! `shmem_writepage`: a page of shared anonymous memory goes to the swap cache.
//!
//! Follows mm/shmem.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{remove_from_page_cache, unlock_page};
use pagewalk_pages::PageRef;
use pagewalk_swap::{add_to_swap_cache, get_swap_page, swap_duplicate, swap_free};

use crate::fs::{Inode, set_page_dirty};
use crate::task::Task;

/// The page, locked, mapped nowhere and no longer marked dirty, moves from its file to the swap cache: the next look at it writes it.
/// True: it is unlocked. False: swap is full, or the file is going away; it is dirty as before, and locked
/// (`AOP_WRITEPAGE_ACTIVATE`).
///
///  1. get a swap entry;
///  2. lock the file's entries, and look whether the file is going away;
///  3. put the page into the swap cache, and take it out of the page cache;
///  4. count the file's use of the entry, and note the entry;
///  5. unlock the entries;
///  6. put the page cache's reference, mark the page dirty, and unlock it.
///
/// The file's count of the entry is taken under the lock, as since 2.6.33 (aaa468653b4a): v2.6.27 takes it afterwards, and who deletes
/// the file meanwhile frees an entry that is not counted yet.
pub(crate) async fn shmem_writepage(current: &Task, inode: &Rc<Inode>, pfn: Pfn) -> bool {
    let kernel = current.kernel();
    let (zone, swap) = (&kernel.zone, &kernel.swap);
    // 1. Before `info->lock`. The count that comes with the entry is the swap cache's to be.
    let Some(entry) = get_swap_page(current, swap).await else {
        current.mark("shmem_writepage:no-swap");
        set_page_dirty(current, pfn).await;
        return false;
    };
    let index = zone.memory.words(pfn).index().read_once(current).await;
    // 2. A deletion sets its mark under the same lock: either it finds our entry, or we find the mark, and
    // the page stays where truncation looks for it.
    let held = inode.shmem.lock(current).await;
    let deleted = inode.shmem.entries.get(&held).deleted;
    // The caller has a reference; it is lent for the insertion.
    let page = PageRef::counted(current, pfn);
    let added = !deleted && add_to_swap_cache(current, swap, &page, entry).await.is_ok();
    page.into_pfn();
    if !added {
        current.mark("shmem_writepage:refused");
        held.unlock().await;
        swap_free(current, swap, entry).await;
        set_page_dirty(current, pfn).await;
        return false;
    }
    // 3. In this order, because only the first can fail: then the page is its file's still. No A: lookups may have
    // references, and find with the page locked that it has moved.
    remove_from_page_cache(current, &inode.mapping, pfn).await;
    // 4. In the hold in which the page leaves the file: `shmem_getpage` finds the page or the entry, never
    // neither (I14).
    swap_duplicate(current, swap, entry).await;
    inode.shmem.entries.get_mut(&held).swapped.insert(index, entry);
    held.unlock().await;
    zone.put_page(current, PageRef::counted(current, pfn)).await; // the page cache's reference
    set_page_dirty(current, pfn).await; // its contents exist nowhere else
    unlock_page(current, zone, pfn).await;
    true
}
