//! Dirty pages and their way to the disk: `set_page_dirty`, `write_cache_pages`, `fsync`, the periodic flusher.
//!
//! Follows mm/page-writeback.c, mm/filemap.c (`wait_on_page_writeback_range`) and fs/sync.c of v2.6.27.

use std::rc::Rc;

use pagewalk_engine::Cpu;
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{
    Tag, end_page_writeback, find_get_pages_tag, lock_page, set_page_dirty_nobuffers, set_page_writeback,
    test_clear_page_dirty, unlock_page, wait_on_page_writeback,
};
use pagewalk_pages::{PG_DIRTY, PG_RECLAIM, PG_SWAPCACHE, PageMapping, PageRef};

use super::disk::{Bio, Direction, EndIo, submit_bio};
use super::{Inode, InodeKind};
use crate::kernel::Kernel;
use crate::paths::page_mkclean;
use crate::task::Task;

/// Pages that one look into the cache collects (`PAGEVEC_SIZE`).
pub(crate) const PAGEVEC_SIZE: usize = 14;

/// `pagevec_release`: the pagevec's references go together, what waits in this CPU's own pagevecs first.
pub(crate) async fn pagevec_release(current: &Task, pages: Vec<PageRef<'_>>) {
    let zone = &current.kernel().zone;
    zone.lru_add_drain(current).await;
    zone.release_pages(current, pages.into_iter().map(PageRef::into_pfn).collect()).await;
}

/// `set_page_dirty`: the page differs from what backs it. A page without a file on a disk only gets the flag.
pub(crate) async fn set_page_dirty(current: &Task, pfn: Pfn) {
    // The page need not be locked. Whether it is still this file's is asked again under `tree_lock`, where the
    // tag is set.
    let kernel = current.kernel();
    let mapping = kernel.zone.memory.words(pfn).mapping().read_once(current).await;
    let flags = kernel.zone.memory.words(pfn).flags();
    let inode = match PageMapping::decode(mapping) {
        PageMapping::File(id) => kernel.inode_of(id),
        PageMapping::Anon(_) | PageMapping::None => None,
    };
    let inode = inode.filter(|inode| inode.kind() == InodeKind::Disk);
    let newly = match &inode {
        // __set_page_dirty_no_writeback: of memory without a disk only the flag counts.
        Some(inode) => set_page_dirty_nobuffers(current, &inode.mapping, pfn).await,
        // page_mapping: a page in the swap cache is the swapper's.
        None if flags.test_bit(current, PG_SWAPCACHE).await => {
            set_page_dirty_nobuffers(current, &kernel.swap.swapper_space, pfn).await
        }
        None => !flags.test_and_set_bit(current, PG_DIRTY).await,
    };
    if newly && inode.is_some() {
        kernel.stat.nr_dirtied.add(1);
    }
}

/// `clear_page_dirty_for_io`: the page, locked, is about to be written. True if it was dirty.
///
///  1. clear `PG_reclaim`, which belongs to the last time that the page was written;
///  2. make every mapping clean and read-only, and move what the hardware noted to the flag;
///  3. only then clear the flag (7658cc289288 is what happens otherwise).
pub(crate) async fn clear_page_dirty_for_io(current: &Task, inode: &Rc<Inode>, pfn: Pfn) -> bool {
    clear_page_reclaim(current, pfn).await; // 1
    if inode.kind() == InodeKind::Disk && page_mkclean(current, inode, pfn).await {
        set_page_dirty(current, pfn).await; // 2
    }
    test_clear_page_dirty(current, &inode.mapping, pfn).await // 3
}

/// `ClearPageReclaim`, with which [`clear_page_dirty_for_io`] begins; of a page in the swap cache too.
pub(crate) async fn clear_page_reclaim(current: &Task, pfn: Pfn) {
    current.kernel().zone.memory.words(pfn).flags().clear_bit(current, PG_RECLAIM).await;
}

/// `write_cache_pages`: starts to write the dirty pages `first..=last` of a file. With `wait` also those under writeback
/// already, once that has ended (`WB_SYNC_ALL`).
pub(crate) async fn write_cache_pages(current: &Task, inode: &Rc<Inode>, first: u64, last: u64, wait: bool) {
    write_some_pages(current, inode, (first, last), wait, u64::MAX).await;
}

/// The same, up to `most` pages (`nr_to_write`). Yields how many it has begun to write.
///
///  1. collect some pages by their dirty tag;
///  2. write each of them that is still dirty, under its lock (`write_one_page`);
///  3. go on behind the last one.
pub(crate) async fn write_some_pages(
    current: &Task,
    inode: &Rc<Inode>,
    (first, last): (u64, u64),
    wait: bool,
    most: u64,
) -> u64 {
    if inode.kind() == InodeKind::Shmem {
        return 0; // nothing is behind it
    }
    let mut written = 0;
    let mut next = first;
    loop {
        // 1. Tags are set and cleared under `tree_lock`, flags are not: the tag is where to look, the flag
        // decides.
        let pages = find_get_pages_tag(current, &inode.mapping, next, PAGEVEC_SIZE, Tag::Dirty).await;
        if pages.is_empty() {
            return written;
        }
        let mut beyond = false;
        for page in pages {
            let index = current.kernel().zone.memory.words(page.pfn()).index().read_once(current).await;
            // Our reference keeps the index as it is, even of a page that has been truncated since.
            beyond |= index > last;
            next = next.max(index.saturating_add(1));
            if !beyond && written < most {
                written += u64::from(write_one_page(current, inode, &page, index, wait).await);
            }
            current.kernel().zone.put_page(current, page).await;
        }
        // 3. Never back, so a program that dirties what is behind us does not keep us here. One that dirties
        // ahead of us does, until 2.6.36 tags at the start what is to be written (f446daaea9d4).
        if beyond || next > last || written >= most {
            return written;
        }
        current.cond_resched().await;
    }
}

/// One page of the loop. True if it is being written.
///
///  1. lock it;
///  2. leave it if it is not this file's any more;
///  3. wait for a write of it that is under way, or leave it;
///  4. clear the flag, in its PTEs first (`clear_page_dirty_for_io`);
///  5. write it, which unlocks it.
async fn write_one_page(
    current: &Task,
    inode: &Rc<Inode>,
    page: &PageRef<'_>,
    index: u64,
    wait: bool,
) -> bool {
    let kernel = current.kernel();
    let (zone, pfn) = (&kernel.zone, page.pfn());
    lock_page(current, zone, pfn).await;
    // 2. Truncated while we waited for its lock. There is nothing to write, not even for `fsync`: the data is
    // gone by the program's own wish.
    if zone.memory.words(pfn).mapping().read_once(current).await != inode.mapping.page_mapping() {
        current.mark("write_cache_pages:gone");
        unlock_page(current, zone, pfn).await;
        return false;
    }
    // 3. That write may have begun before the store that `fsync` has to bring to the disk. Without `wait` the
    // page keeps its flag, and the next run gets it.
    if wait {
        wait_on_page_writeback(current, zone, pfn).await;
    }
    // Nobody begins a write without the page lock: what is seen now holds until 5 (R33).
    let busy = zone.memory.words(pfn).flags().test_bit(current, pagewalk_pages::PG_WRITEBACK).await;
    if busy || !clear_page_dirty_for_io(current, inode, pfn).await {
        current.mark("write_cache_pages:clean-by-now");
        unlock_page(current, zone, pfn).await;
        return false;
    }
    writepage(current, inode, pfn, index).await;
    true
}

/// `writepage`, of a locked page.
///
///  1. set `PG_writeback`: whoever locks the page after 2 sees it;
///  2. unlock the page;
///  3. send the request.
pub(crate) async fn writepage(current: &Task, inode: &Rc<Inode>, pfn: Pfn, index: u64) {
    let kernel = current.kernel();
    set_page_writeback(current, &inode.mapping, pfn).await; // 1
    unlock_page(current, &kernel.zone, pfn).await; // 2
    let of = Rc::clone(inode);
    // From 2 on neither lock nor reference is ours. The bit alone keeps the page in its tree and its frame
    // from being freed: truncation and reclaim wait for it or leave the page (I24). The end of the write
    // takes no reference either before Linux 5.10 (R31).
    let end_io: EndIo = Rc::new(move |kernel: &Kernel, cpu: &Cpu, pfn, _| {
        end_page_writeback(&kernel.engine, cpu.id(), &of.mapping, pfn);
    });
    let bio = Bio {
        inode: Rc::clone(inode),
        direction: Direction::Write,
        first: index,
        frames: vec![pfn],
        direct: None,
        end_io,
    };
    submit_bio(current, bio).await;
    kernel.stat.nr_written.add(1);
}

/// `filemap_fdatawait`: sleeps until no page `first..=last` is under writeback.
pub(crate) async fn filemap_fdatawait(current: &Task, inode: &Rc<Inode>, first: u64, last: u64) {
    let zone = &current.kernel().zone;
    let mut next = first;
    while next <= last {
        // A page whose write ends before we look is not waited for, and one that begins anew behind us is
        // not, either: that write is for later stores.
        let pages = find_get_pages_tag(current, &inode.mapping, next, PAGEVEC_SIZE, Tag::Writeback).await;
        if pages.is_empty() {
            return;
        }
        for page in pages {
            let index = zone.memory.words(page.pfn()).index().read_once(current).await;
            next = next.max(index.saturating_add(1));
            if index <= last {
                wait_on_page_writeback(current, zone, page.pfn()).await;
            }
            zone.put_page(current, page).await;
        }
        current.cond_resched().await;
    }
}

/// `filemap_write_and_wait_range`: what is dirty now is on the disk when this returns.
pub(crate) async fn filemap_write_and_wait(current: &Task, inode: &Rc<Inode>, first: u64, last: u64) {
    write_cache_pages(current, inode, first, last, true).await;
    filemap_fdatawait(current, inode, first, last).await;
}

/// `sync`: what is dirty in any file when it begins is on the disks when it returns.
pub(crate) async fn do_sync(current: &Task) {
    let inodes = current.kernel().inodes.all();
    // All are begun before the first is waited for, so that the disk has the writes of all files to choose
    // from.
    for inode in &inodes {
        write_cache_pages(current, inode, 0, u64::MAX, true).await;
    }
    for inode in &inodes {
        filemap_fdatawait(current, inode, 0, u64::MAX).await;
    }
}

/// `wb_kupdate`: one run of the periodic flusher. It starts writes and waits for none.
async fn wb_kupdate(current: &Task) {
    for inode in current.kernel().inodes.all() {
        write_cache_pages(current, &inode, 0, u64::MAX, false).await;
    }
}

impl Kernel {
    /// The timer's part of an entry into the kernel: starts the flusher when its interval is over. It runs beside the
    /// programs, on the CPU that noticed.
    pub(crate) fn tick(self: &Rc<Self>, cpu: &Cpu) {
        let interval = self.config().writeback_interval;
        if interval == 0 || cpu.clock() < self.next_flush.get() {
            return;
        }
        self.next_flush.set(cpu.clock() + interval);
        // The last run has not ended: dirty pages wait for the next interval.
        if self.flusher_runs.replace(true) {
            return;
        }
        let kernel = Rc::clone(self);
        self.engine.spawn(cpu.id(), move |cx| async move {
            let current = Task::kernel_thread(cx, Rc::clone(&kernel));
            kernel.enters();
            wb_kupdate(&current).await;
            kernel.leaves(&current, None);
            kernel.flusher_runs.set(false);
        });
    }
}
