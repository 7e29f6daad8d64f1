//! Shared anonymous memory: files without a name or a disk, whose pages go to swap.
//!
//! Follows mm/shmem.c of v2.6.27. A page is in the page cache at its place in the file, or at a swap entry that the file remembers
//! for the place; on its way it is in the swap cache.

mod delete_inode;
mod getpage;
mod unuse;
mod willneed;
mod writepage;

use std::collections::BTreeMap;

use pagewalk_engine::{Class, Guarded, SpinGuard, SpinLock};
use pagewalk_swap::SwapEntry;

use crate::task::Task;

pub(crate) use delete_inode::shmem_delete_inode;
pub(crate) use getpage::shmem_getpage;
pub(crate) use unuse::shmem_unuse;
pub(crate) use willneed::force_shm_swapin_readahead;
pub(crate) use writepage::shmem_writepage;

/// `info->lock`.
static INFO_LOCK: Class = Class::new(57, "shmem info->lock");

/// What a file without a disk knows of its pages in swap (`struct shmem_inode_info`).
pub(crate) struct ShmemInfo {
    lock: SpinLock,
    entries: Guarded<Entries>,
}

pagewalk_engine::keep!(ShmemInfo: lock, entries);

#[derive(Clone, Default, Hash)]
struct Entries {
    /// By place in the file. Each counts in the swap map.
    swapped: BTreeMap<u64, SwapEntry>,
    /// The file is going away: no page goes to swap any more (`SHMEM_TRUNCATE`).
    deleted: bool,
}

impl ShmemInfo {
    /// Of inode `id`: nothing is in swap.
    pub(crate) fn new(id: u32) -> Self {
        let lock = SpinLock::new(&INFO_LOCK, u64::from(id));
        Self { entries: Guarded::new(lock.id(), Entries::default()), lock }
    }

    async fn lock<'a>(&'a self, current: &'a Task) -> SpinGuard<'a> {
        self.lock.lock(current).await
    }

    /// The entries that the file's pages are at, for observers.
    pub(crate) fn observe_entries(&self) -> Vec<SwapEntry> {
        self.entries.observe().swapped.values().copied().collect()
    }
}
