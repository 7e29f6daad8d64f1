//! `generic_file_buffered_write`: `write` and `pwrite` through the page cache.
//!
//! Follows mm/filemap.c (`generic_perform_write`, `__grab_cache_page`) and fs/buffer.c (`block_write_begin`,
//! `generic_write_end`) of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr};
use pagewalk_pagecache::{create_empty_buffers, find_lock_page, unlock_page};
use pagewalk_pages::{PG_UPTODATE, PageRef};

use super::inode::{page_of, pages_of};
use super::io::{add_to_page_cache_lru, read_locked_page};
use super::mark_page_accessed::mark_page_accessed;
use super::read::copy_cost;
use super::writeback::set_page_dirty;
use super::{File, Inode, InodeKind, balance_dirty_pages};
use crate::paths::touch_user;
use crate::task::Task;

/// `generic_file_aio_write`: `len` bytes from the program's `buffer` to `offset`. One writer of a file at a time.
///
///  1. lock out other writers and truncation (`i_mutex`);
///  2. touch the program's buffer, a page's worth at a time;
///  3. get the page of the file, locked (`write_begin`);
///  4. copy;
///  5. mark the page up to date, move `i_size`, mark the page dirty, unlock it (`write_end`);
///  6. wait if too much is dirty.
pub(crate) async fn generic_file_write(
    current: &Task,
    file: &Rc<File>,
    offset: u64,
    len: u64,
    buffer: Option<Vaddr>,
) -> u64 {
    let inode = file.inode();
    let i_mutex = inode.i_mutex.down_write(current).await;
    let end = offset.saturating_add(len);
    file.note_extent(end);
    let mut position = offset;
    while position < end {
        let stop = ((page_of(position) + 1) * BASE_PAGE_BYTES).min(end);
        let chunk = stop - position;
        // The buffer first: a fault on it must not wait for the lock of the page that is written (fault_in_pages_readable).
        // 2. If the buffer is a mapping of this very page, the fault would wait for the lock that its own
        // thread holds. The buffer may be reclaimed again before 4: Linux copies with page faults off and
        // comes back to 2; here the copy does not go by PTEs.
        if let Some(buffer) = buffer {
            touch_user(current, Vaddr(buffer.0 + (position - offset)), chunk, false).await;
        }
        write_page(current, inode, position, chunk).await;
        position = stop;
        // 6. With the page unlocked and only `i_mutex` held, which writeback does not take.
        balance_dirty_pages(current).await;
        current.cond_resched().await;
    }
    i_mutex.up_write().await;
    position - offset
}

/// write_begin, copy, write_end: `len` bytes at `position`, within one page.
async fn write_page(current: &Task, inode: &Rc<Inode>, position: u64, len: u64) {
    let index = page_of(position);
    let whole = len == BASE_PAGE_BYTES;
    let page = write_begin(current, inode, index, whole).await;
    let kernel = current.kernel();
    // The copy, one step: a page written whole does not depend on what the frame held before.
    // 4. Readers who find the page up to date take no lock, and may see any part of this.
    kernel.write_file_page(current, page.pfn(), inode.id(), index, whole).await;
    current.charge(copy_cost(current, len));
    // write_end: up to date before dirty, the size before the lock is released.
    // 5. Whoever locks the page next has to see the new size: Linux's writeback zeroes what lies beyond it.
    kernel.zone.memory.words(page.pfn()).flags().set_bit(current, PG_UPTODATE).await;
    // Nobody else changes the size between look and store: `i_mutex`.
    if position + len > inode.i_size().read_once(current).await {
        inode.i_size().write_once(current, position + len).await;
    }
    set_page_dirty(current, page.pfn()).await;
    unlock_page(current, &kernel.zone, page.pfn()).await;
    mark_page_accessed(current, &page).await;
    kernel.zone.put_page(current, page).await;
}

/// `write_begin`: the page, locked, with buffers, and up to date if only a part of it will be written.
async fn write_begin<'a>(current: &'a Task, inode: &Rc<Inode>, index: u64, whole: bool) -> PageRef<'a> {
    let page = grab_cache_page(current, inode, index).await;
    let kernel = current.kernel();
    // The buffers take a reference of their own (`PG_private`), which reclaim has to drop before it may
    // freeze the count.
    if inode.kind() == InodeKind::Disk {
        create_empty_buffers(current, &kernel.zone, page.pfn()).await;
    }
    let flags = kernel.zone.memory.words(page.pfn()).flags();
    // A part is written: the rest has to be the disk's before 5 says that the page is up to date.
    if !whole && !flags.test_bit(current, PG_UPTODATE).await {
        if index < pages_of(inode.i_size().read_once(current).await) {
            read_locked_page(current, inode, index, page.pfn()).await;
        } else {
            // A new block: what is not written is zeros.
            kernel.zone.memory.clear_page(current, page.pfn()).await;
        }
    }
    page
}

/// `__grab_cache_page`: the page of the cache, locked; a new one if there is none.
pub(super) async fn grab_cache_page<'a>(current: &'a Task, inode: &Rc<Inode>, index: u64) -> PageRef<'a> {
    let kernel = current.kernel();
    loop {
        if let Some(page) = find_lock_page(current, &inode.mapping, index).await {
            return page;
        }
        // Between the miss and the insertion a reader or a fault may add the page: `i_mutex` is no lock of
        // the cache.
        let page = kernel.alloc_page(current, "a page of a file").await;
        if add_to_page_cache_lru(current, &page, inode, index).await.is_ok() {
            return page;
        }
        current.mark("__grab_cache_page:added-meanwhile");
        kernel.zone.put_page(current, page).await;
    }
}
