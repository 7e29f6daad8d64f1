//! `force_shm_swapin_readahead`: somebody will need pages of shared anonymous memory (`MADV_WILLNEED`).
//!
//! Follows mm/madvise.c of Linux 3.9, the first in which this advice does anything for anonymous memory.

use std::rc::Rc;

use crate::fs::Inode;
use crate::swap::read_swap_cache_async;
use crate::task::Task;

/// Starts to read those of the file's pages that are in swap. Pages that were never there are not made.
pub(crate) async fn force_shm_swapin_readahead(current: &Task, inode: &Rc<Inode>, start: u64, pages: u64) {
    let zone = &current.kernel().zone;
    let held = inode.shmem.lock(current).await;
    let range = start..start.saturating_add(pages);
    let entries: Vec<_> =
        inode.shmem.entries.get(&held).swapped.range(range).map(|(_, &entry)| entry).collect();
    held.unlock().await;
    for entry in entries {
        if let Some(page) = read_swap_cache_async(current, entry).await {
            zone.put_page(current, page).await;
        }
    }
    zone.lru_add_drain(current).await; // push any new pages onto the LRU now
}
