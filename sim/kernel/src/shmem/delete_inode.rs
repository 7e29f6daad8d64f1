//! `shmem_delete_inode`: the last area that mapped shared anonymous memory is gone, and with it the only name it had.

use std::rc::Rc;

use pagewalk_swap::free_swap_and_cache;

use crate::fs::{Inode, InodeKind, truncate_inode_pages_range};
use crate::task::Task;

/// Its pages are freed, and its swap entries. Nothing happens to a file that has a disk.
///
/// From the moment when the file says that it is going away reclaim leaves its pages where truncation finds them, and a swapoff finds
/// no entry of it any more.
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
    for entry in swapped.into_values() {
        free_swap_and_cache(current, &current.kernel().swap, entry).await;
    }
    truncate_inode_pages_range(current, inode, 0, u64::MAX).await;
}
