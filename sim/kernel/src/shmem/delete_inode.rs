//! `shmem_delete_inode`: the last area that mapped shared anonymous memory is gone, and with it the only name it had.
//!
//! Follows mm/shmem.c of v2.6.27 (`shmem_delete_inode`, `shmem_truncate_range`).

use std::rc::Rc;

use pagewalk_swap::free_swap_and_cache;

use crate::fs::{Inode, InodeKind, truncate_inode_pages_range};
use crate::task::Task;

/// Its pages are freed, and its swap entries. Nothing happens to a file that has a disk.
///
/// From the moment when the file says that it is going away reclaim leaves its pages where truncation finds them, and a swapoff finds
/// no entry of it any more.
///
///  1. under `info->lock`, say that the file is going away, and take its entries;
///  2. free each entry, and its page in the swap cache;
///  3. take the pages out of the page cache.
pub(crate) async fn shmem_delete_inode(current: &Task, inode: &Rc<Inode>) {
    if inode.kind() != InodeKind::Shmem {
        return;
    }
    let info = &inode.shmem;
    let held = info.lock(current).await;
    let swapped = {
        let mut entries = info.entries.get_mut(&held);
        entries.deleted = true;
        std::mem::take(&mut entries.swapped)
    };
    held.unlock().await;
    // 2. Without `info->lock`: freeing takes `swap_lock` and tries page locks. Nobody else knows the entries
    // as this file's any more.
    for entry in swapped.into_values() {
        free_swap_and_cache(current, &current.kernel().swap, entry).await;
    }
    // 3. Last. A page that reclaim has had locked for `shmem_writepage` since before 1 either was an entry at 1, or
    // stays and is found here.
    truncate_inode_pages_range(current, inode, 0, u64::MAX).await;
}
