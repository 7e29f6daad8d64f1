//! Shared anonymous memory: files without a name or a disk.
//!
//! Follows mm/shmem.c of v2.6.27 (`shmem_delete_inode`).

use std::rc::Rc;

use super::truncate::truncate_inode_pages_range;
use super::{Inode, InodeKind};
use crate::task::Task;

/// `shmem_delete_inode`: the last area that mapped shared anonymous memory is gone, and with it the only name it had. Its
/// pages are freed.
pub(crate) async fn shmem_evict_inode(current: &Task, inode: &Rc<Inode>) {
    if inode.kind() == InodeKind::Shmem {
        truncate_inode_pages_range(current, inode, 0, u64::MAX).await;
    }
}
