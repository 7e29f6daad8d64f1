//! `do_generic_file_read`: `read` and `pread` through the page cache.
//!
//! Follows mm/filemap.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr};
use pagewalk_pagecache::{find_get_page, lock_page, unlock_page, wait_on_page_locked};
use pagewalk_pages::{PG_READAHEAD, PG_UPTODATE, PageRef};

use super::inode::{page_of, pages_of};
use super::io::{add_to_page_cache_lru, readpage};
use super::mark_page_accessed::mark_page_accessed;
use super::readahead::{page_cache_async_readahead, page_cache_sync_readahead};
use super::{File, Inode};
use crate::check::FileTicket;
use crate::paths::touch_user;
use crate::task::Task;

/// `do_generic_file_read`: up to `len` bytes from `offset` on, into the program's `buffer`. Yields how many bytes there were.
///
///  1. find the page, and read ahead if it is not there;
///  2. begin the next window at a page that carries `PG_readahead`;
///  3. if it is not up to date, lock it, check that it is still the file's, and read it;
///  4. read `i_size`;
///  5. mark the page used, and copy.
///
/// No lock is held from 4 on. Writes, truncation and reclaim go on beside the copy. The reference keeps the frame,
/// and the contents of any moment of the call are a right answer.
pub(crate) async fn do_generic_file_read(
    current: &Task,
    file: &Rc<File>,
    offset: u64,
    len: u64,
    buffer: Option<Vaddr>,
) -> u64 {
    let ticket = current.kernel().probe().file_op_begin();
    let end = offset.saturating_add(len);
    let past_last = pages_of(end);
    let mut previous = file.ra.get().prev_page;
    let mut position = offset;
    while position < end {
        current.cond_resched().await;
        let index = page_of(position);
        // 1. to 3. Where the file ends is asked only at 4: v2.6.27 reads a page beyond the end, and finds out
        // then.
        let Some(page) = find_or_read_page(current, file, index, past_last - index).await else { continue };
        // The size is read after the page was found up to date: what was read before a truncation stays legal, what is
        // beyond the end now is not returned.
        let size = file.inode().i_size().read_once(current).await;
        let stop = size.min((index + 1) * BASE_PAGE_BYTES).min(end);
        if stop <= position {
            current.kernel().zone.put_page(current, page).await;
            break;
        }
        // 5. Once for a page, however small the reads are: a reader of single bytes would make every page an
        // active one.
        if previous != Some(index) || position.is_multiple_of(BASE_PAGE_BYTES) {
            mark_page_accessed(current, &page).await;
        }
        // Without the page lock, so a write to the page may be seen in part: nothing promises that calls are
        // atomic.
        copy_to_user(
            current,
            &ticket,
            file,
            &page,
            index,
            buffer.map(|at| Vaddr(at.0 + (position - offset))),
            stop - position,
        )
        .await;
        current.kernel().zone.put_page(current, page).await;
        previous = Some(index);
        position = stop;
    }
    // Only now: within a call, what follows what is a matter of how much is wanted.
    let mut ra = file.ra.get();
    ra.prev_page = previous;
    file.ra.set(ra);
    drop(ticket);
    position - offset
}

/// One round of the search for page `index`: the page, up to date, or `None` if the caller must look again.
async fn find_or_read_page<'a>(
    current: &'a Task,
    file: &Rc<File>,
    index: u64,
    wanted: u64,
) -> Option<PageRef<'a>> {
    let mapping = &file.inode().mapping;
    let mut found = find_get_page(current, mapping, index).await;
    if found.is_none() {
        // Sleeps. What it has read may be reclaimed or truncated before the second look: then this page is
        // read alone.
        page_cache_sync_readahead(current, file, index, wanted).await;
        found = find_get_page(current, mapping, index).await;
    }
    let Some(page) = found else { return no_cached_page(current, file, index).await };
    let flags = current.kernel().zone.memory.words(page.pfn()).flags();
    // 2. Before the wait for this page: the disk works on the next window while the program uses this one.
    if flags.test_bit(current, PG_READAHEAD).await {
        page_cache_async_readahead(current, file, page.pfn(), index, wanted).await;
    }
    // Without the lock. The flag comes after the contents, in Linux by a barrier on both sides (R34, I25),
    // and truncation leaves it set: whoever has the page may go on to read it.
    if flags.test_bit(current, PG_UPTODATE).await {
        return Some(page);
    }
    page_not_up_to_date(current, file, index, page).await
}

/// The page is in the cache and not up to date: wait for the read under way, or read it.
async fn page_not_up_to_date<'a>(
    current: &'a Task,
    file: &Rc<File>,
    index: u64,
    page: PageRef<'a>,
) -> Option<PageRef<'a>> {
    let zone = &current.kernel().zone;
    let words = zone.memory.words(page.pfn());
    // 3. Whoever reads a page has it locked until the read has ended.
    lock_page(current, zone, page.pfn()).await;
    if words.mapping().read_once(current).await == 0 {
        // Truncated while we waited.
        // The reference keeps the frame, not its place: what we read into it now no other reader would find.
        current.mark("do_generic_file_read:truncated");
        unlock_page(current, zone, page.pfn()).await;
        zone.put_page(current, page).await;
        return None;
    }
    if words.flags().test_bit(current, PG_UPTODATE).await {
        current.mark("do_generic_file_read:read-meanwhile");
        unlock_page(current, zone, page.pfn()).await;
        return Some(page);
    }
    // Still locked, so that no second read of it begins; the end of this one unlocks the page.
    readpage(current, file.inode(), index, page.pfn()).await;
    wait_for_page(current, page).await
}

/// `no_cached_page`: readahead did not bring it, so this reader does.
async fn no_cached_page<'a>(current: &'a Task, file: &Rc<File>, index: u64) -> Option<PageRef<'a>> {
    let kernel = current.kernel();
    // Also beyond the end of the file: v2.6.27 reads a page of zeros there and finds the end afterwards.
    let page = kernel.alloc_page(current, "a page of a file").await;
    if !page_cache_read(current, file.inode(), &page, index).await {
        current.mark("do_generic_file_read:added-meanwhile");
        kernel.zone.put_page(current, page).await;
        return None;
    }
    wait_for_page(current, page).await
}

/// Puts a new page into the cache and starts to read it. False if somebody was faster.
pub(crate) async fn page_cache_read(
    current: &Task,
    inode: &Rc<Inode>,
    page: &PageRef<'_>,
    index: u64,
) -> bool {
    // Over insertion and read, since Linux 5.15 (730633f0b7f9): a hole that is punched between the two would
    // free the blocks that are read.
    let lock = inode.filemap_invalidate_lock_shared(current).await;
    let added = add_to_page_cache_lru(current, page, inode, index).await.is_ok();
    if added {
        readpage(current, inode, index, page.pfn()).await;
    }
    if let Some(lock) = lock {
        lock.up_read().await;
    }
    added
}

/// Waits for the end of the read; `None` if the page was truncated meanwhile.
async fn wait_for_page<'a>(current: &'a Task, page: PageRef<'a>) -> Option<PageRef<'a>> {
    let zone = &current.kernel().zone;
    wait_on_page_locked(current, zone, page.pfn()).await;
    if zone.memory.words(page.pfn()).flags().test_bit(current, PG_UPTODATE).await {
        return Some(page);
    }
    zone.put_page(current, page).await;
    None
}

/// `file_read_actor`: the page's contents, then the program's buffer, page by page.
async fn copy_to_user(
    current: &Task,
    ticket: &FileTicket,
    file: &File,
    page: &PageRef<'_>,
    index: u64,
    buffer: Option<Vaddr>,
    len: u64,
) {
    let kernel = current.kernel();
    kernel.read_file_page(current, ticket, page.pfn(), file.inode().id(), index).await;
    current.charge(copy_cost(current, len));
    if let Some(buffer) = buffer {
        touch_user(current, buffer, len, true).await;
    }
}

/// What copying `len` bytes costs: their part of a page's copy.
pub(crate) fn copy_cost(current: &Task, len: u64) -> u32 {
    let page = u64::from(current.kernel().hw.costs().copy_page);
    u32::try_from(page * len.min(BASE_PAGE_BYTES) / BASE_PAGE_BYTES).unwrap_or(u32::MAX)
}
