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

/// Dirty pages and pages under writeback: above the first, writing back begins; above the second, writers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DirtyLimits {
    background: u64,
    dirty: u64,
}

/// `get_dirty_limits`: parts of the memory that can be dirty (`determine_dirtyable_memory`): what is free or on the LRU lists.
fn get_dirty_limits(kernel: &Kernel) -> Option<DirtyLimits> {
    let config = kernel.config();
    if config.dirty_ratio == 0 {
        return None;
    }
    let listed: u64 = LruList::ALL.into_iter().map(|list| kernel.zone.lru_pages(list)).sum();
    let available = u64::from(kernel.zone.nr_free_pages()) + listed + 1;
    let dirty = (available * u64::from(config.dirty_ratio.max(5)) / 100).max(2);
    let background = available * u64::from(config.dirty_background_ratio) / 100;
    Some(DirtyLimits { background: if background >= dirty { dirty / 2 } else { background }, dirty })
}

fn nr_dirty(kernel: &Kernel) -> u64 {
    kernel.cache.nr_file_dirty() + kernel.cache.nr_writeback()
}

/// Called by whoever has made a page of a file dirty, without locks that writing back takes.
pub(crate) async fn balance_dirty_pages(current: &Task) {
    let kernel = current.kernel();
    let Some(limits) = get_dirty_limits(kernel) else { return };
    if nr_dirty(kernel) <= limits.background {
        return;
    }
    kernel.wakeup_background_writeout(current, limits);
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
    while get_dirty_limits(kernel).is_some_and(|limits| nr_dirty(kernel) > limits.dirty) {
        for inode in kernel.inodes.all() {
            written += write_some_pages(current, &inode, (0, u64::MAX), false, WRITE_CHUNK - written).await;
            if written >= WRITE_CHUNK {
                return;
            }
        }
        if !kernel.io.is_busy(&kernel.engine) {
            return; // what is dirty cannot be written just now
        }
        congestion_wait(current).await;
    }
}

impl Kernel {
    /// `pdflush_operation(background_writeout)`: beside the writers, until fewer pages are dirty than that is worth.
    fn wakeup_background_writeout(self: &Rc<Self>, current: &Task, limits: DirtyLimits) {
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

/// `background_writeout`.
async fn background_writeout(current: &Task, limits: DirtyLimits) {
    let kernel = current.kernel();
    while nr_dirty(kernel) > limits.background {
        let mut written = 0;
        for inode in kernel.inodes.all() {
            written += write_some_pages(current, &inode, (0, u64::MAX), false, BACKGROUND_CHUNK).await;
        }
        if written == 0 {
            return;
        }
        congestion_wait(current).await;
    }
}
