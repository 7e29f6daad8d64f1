//! `balance_dirty_pages`: who makes pages dirty writes some back when too many are.
//!
//! Follows mm/page-writeback.c of v2.6.27.

use std::rc::Rc;

use pagewalk_pages::LruList;

use super::writeback::write_some_pages;
use crate::io_wait::congestion_wait;
use crate::kernel::Kernel;
use crate::task::Task;

/// Pages that a throttled writer writes back before it goes on (`sync_writeback_pages`).
const WRITE_CHUNK: u64 = 48;
/// Pages that the background writer begins to write in a row (`MAX_WRITEBACK_PAGES`).
const BACKGROUND_CHUNK: u64 = 1024;

/// Limits for dirty pages and pages under writeback together, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DirtyLimits {
    /// Above it, writing back begins beside the programs.
    background: u64,
    /// Above it, writers wait.
    dirty: u64,
}

/// `get_dirty_limits`: parts of the memory that can be dirty (`determine_dirtyable_memory`): what is free or on the LRU lists.
fn get_dirty_limits(kernel: &Kernel) -> Option<DirtyLimits> {
    let config = kernel.config();
    if config.dirty_ratio == 0 {
        return None;
    }
    // Not of all frames: page tables and what is pinned cannot be dirtied, and a share of them would be a
    // share of nothing. Read without locks, like the counters below.
    let listed: u64 = LruList::ALL.into_iter().map(|list| kernel.zone.lru_pages(list)).sum();
    let available = u64::from(kernel.zone.nr_free_pages()) + listed + 1;
    // v2.6.27 takes less than 5 percent for 5.
    let dirty = (available * u64::from(config.dirty_ratio.max(5)) / 100).max(2);
    let background = available * u64::from(config.dirty_background_ratio) / 100;
    Some(DirtyLimits { background: if background >= dirty { dirty / 2 } else { background }, dirty })
}

/// Pages that cannot be reclaimed before a disk has written them, whether it has begun or not.
fn nr_dirty(kernel: &Kernel) -> u64 {
    kernel.cache.nr_file_dirty() + kernel.cache.nr_writeback()
}

/// `balance_dirty_pages`: called by whoever has made a page of a file dirty. No page is locked: writing back
/// would wait for its lock.
///
///  1. below the background limit there is nothing to do;
///  2. wake the background writer;
///  3. above the other limit, write some pages and wait for the disks.
///
/// Stores to shared mappings get here by the fault that marks their page dirty (edc79b2a46ed, Linux 2.6.19).
pub(crate) async fn balance_dirty_pages(current: &Task) {
    let kernel = current.kernel();
    let Some(limits) = get_dirty_limits(kernel) else { return };
    if nr_dirty(kernel) <= limits.background {
        return;
    }
    kernel.wakeup_background_writeout(current, limits);
    // 3. Whoever dirties pays. Memory would fill with dirty pages otherwise, as fast as a processor can
    // store, and reclaim would find none that it can free without the disk.
    if nr_dirty(kernel) > limits.dirty {
        current.mark("balance_dirty_pages:throttled");
        kernel.stat.balance_dirty_pages.add(1);
        Box::pin(throttle(current)).await;
    }
}

/// Writes back until there is less, or enough was written.
async fn throttle(current: &Task) {
    let kernel = current.kernel();
    let mut written = 0;
    // Anew in each round: allocations and reclaim change how much can be dirty.
    while get_dirty_limits(kernel).is_some_and(|limits| nr_dirty(kernel) > limits.dirty) {
        for inode in kernel.inodes.all() {
            written += write_some_pages(current, &inode, (0, u64::MAX), false, WRITE_CHUNK - written).await;
            // A fixed duty: one writer does not write for all others, for as long as they go on.
            if written >= WRITE_CHUNK {
                return;
            }
        }
        if !kernel.io.is_busy(&kernel.engine) {
            return; // what is dirty cannot be written just now
        }
        // Until some request ends, be it another writer's.
        congestion_wait(current).await;
    }
}

impl Kernel {
    /// `pdflush_operation(background_writeout)`: beside the writers, until fewer pages are dirty than that is worth.
    fn wakeup_background_writeout(self: &Rc<Self>, current: &Task, limits: DirtyLimits) {
        // Test and claim in one: two writers that get here together start one.
        if self.background_runs.replace(true) {
            return;
        }
        let kernel = Rc::clone(self);
        self.engine.spawn(self.idle_cpu(current.cpu().id()), move |cx| async move {
            let current = Task::kernel_thread(cx, Rc::clone(&kernel));
            kernel.enters();
            background_writeout(&current, limits).await;
            kernel.leaves(&current, None);
            kernel.background_runs.set(false);
        });
    }
}

/// `background_writeout`: goes on until the background limit is met, or a round finds nothing to begin.
/// v2.6.27 counts dirty pages only here, without those that are being written.
async fn background_writeout(current: &Task, limits: DirtyLimits) {
    let kernel = current.kernel();
    while nr_dirty(kernel) > limits.background {
        let mut written = 0;
        for inode in kernel.inodes.all() {
            written += write_some_pages(current, &inode, (0, u64::MAX), false, BACKGROUND_CHUNK).await;
        }
        // All is under writeback: the disks bring the number down, not another round.
        if written == 0 {
            return;
        }
        congestion_wait(current).await;
    }
}
