//! `shmem_unuse`: a page that swapoff brings back goes to the file that has its entry.
//!
//! Follows mm/shmem.c of v2.6.27 (`shmem_unuse`, `shmem_unuse_inode`), which walks only the files that have
//! something in swap (`shmem_swaplist`), under a mutex.

use pagewalk_pagecache::add_to_page_cache_locked;
use pagewalk_pages::PageRef;
use pagewalk_swap::{SwapEntry, delete_from_swap_cache, swap_free};

use crate::fs::{InodeKind, set_page_dirty};
use crate::task::Task;

/// `shmem_unuse`: the page, locked, is in the swap cache at `entry`. True if a file had the entry: the page is
/// in that file now, and in the swap cache no more.
///
///  1. lock a file's entries and look for this one;
///  2. put the page into the file;
///  3. forget the entry, and take the page out of the swap cache;
///  4. unlock the entries, mark the page dirty, and free the file's count.
pub(crate) async fn shmem_unuse(current: &Task, entry: SwapEntry, page: &PageRef<'_>) -> bool {
    let swap = &current.kernel().swap;
    for inode in current.kernel().inodes.all() {
        if inode.kind() != InodeKind::Shmem {
            continue;
        }
        // 1. The page lock is held, and `info->lock` comes inside it. Between two files no spin lock is held.
        // The entry cannot move to a file that was passed already: only `shmem_writepage` gives a file an
        // entry, for a page that it has locked.
        let held = inode.shmem.lock(current).await;
        let index = {
            let entries = inode.shmem.entries.get(&held);
            entries.swapped.iter().find(|&(_, &at)| at == entry).map(|(&index, _)| index)
        };
        // The file remembers the entry, so nothing is at its place.
        // 2. v2.6.27 unlocks between search and insertion, to preload nodes, and compares the entry again.
        let moved = match index {
            Some(index) => add_to_page_cache_locked(current, page, &inode.mapping, index).await.is_ok(),
            None => false,
        };
        // 3. In the same hold: a fault in `shmem_getpage` finds the page or the entry, never neither (I14).
        if let Some(index) = index.filter(|_| moved) {
            inode.shmem.entries.get_mut(&held).swapped.remove(&index);
            delete_from_swap_cache(current, swap, page.pfn()).await;
        }
        held.unlock().await;
        if moved {
            // 4. Memory has the only copy that counts from here on. The file's count goes last: while it is
            // there, no other page is written to the entry.
            set_page_dirty(current, page.pfn()).await;
            swap_free(current, swap, entry).await;
            return true;
        }
    }
    false
}
