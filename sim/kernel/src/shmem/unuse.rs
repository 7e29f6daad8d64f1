//! `shmem_unuse`: a page that swapoff brings back goes to the file that has its entry.

use pagewalk_pagecache::add_to_page_cache_locked;
use pagewalk_pages::PageRef;
use pagewalk_swap::{SwapEntry, delete_from_swap_cache, swap_free};

use crate::fs::{InodeKind, set_page_dirty};
use crate::task::Task;

/// The page, locked, is in the swap cache at `entry`. True if a file had the entry: the page is in that file now, and in the swap cache
/// no more.
pub(crate) async fn shmem_unuse(current: &Task, entry: SwapEntry, page: &PageRef<'_>) -> bool {
    let swap = &current.kernel().swap;
    for inode in current.kernel().inodes.all() {
        if inode.kind() != InodeKind::Shmem {
            continue;
        }
        let held = inode.shmem.lock(current).await;
        let index = {
            let entries = inode.shmem.entries.get(&held);
            entries.swapped.iter().find(|&(_, &at)| at == entry).map(|(&index, _)| index)
        };
        // The file remembers the entry, so nothing is at its place.
        let moved = match index {
            Some(index) => add_to_page_cache_locked(current, page, &inode.mapping, index).await.is_ok(),
            None => false,
        };
        if let Some(index) = index.filter(|_| moved) {
            inode.shmem.entries.get_mut(&held).swapped.remove(&index);
            delete_from_swap_cache(current, swap, page.pfn()).await;
        }
        held.unlock().await;
        if moved {
            set_page_dirty(current, page.pfn()).await;
            swap_free(current, swap, entry).await;
            return true;
        }
    }
    false
}
