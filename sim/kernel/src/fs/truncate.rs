//! Truncation: pages beyond a file's new end leave the cache, whoever still holds them.
//!
//! Follows mm/truncate.c and mm/memory.c (`vmtruncate`, `vmtruncate_range`) of v2.6.27. No count is tested: the data is to be
//! discarded, and whoever puts the last reference frees the page.

use std::rc::Rc;

use pagewalk_mmu::BASE_PAGE_BYTES;
use pagewalk_pagecache::{
    do_invalidatepage, find_get_pages, lock_page, remove_from_page_cache, test_clear_page_dirty,
    trylock_page, unlock_page, wait_on_page_writeback,
};
use pagewalk_pages::{PG_MAPPEDTODISK, PG_PRIVATE, PG_WRITEBACK, PageRef};

use super::inode::{page_of, pages_of};
use super::write::grab_cache_page;
use super::writeback::{PAGEVEC_SIZE, pagevec_release, set_page_dirty};
use super::{Inode, InodeKind};
use crate::paths::{page_mapped, unmap_mapping_range};
use crate::task::Task;

/// `vmtruncate`: the file ends at `size`. Holds `i_mutex`.
///
///  1. set `i_size` first: from now on no fault maps what lies beyond it;
///  2. unmap everything beyond it at once, which is cheaper than page by page;
///  3. take the pages out of the cache;
///  4. unmap again, for private copies made between 2 and 3;
///  5. free the blocks.
///
/// Since Linux 5.15 nobody brings pages in meanwhile (`filemap_invalidate_lock`, as `ext4_setattr` takes it): before, a fault
/// that had passed its test of the size could add a page as often as 3 took it away.
pub(crate) async fn vmtruncate(current: &Task, inode: &Rc<Inode>, size: u64) {
    let before = inode.i_size().read_once(current).await;
    let kernel = current.kernel();
    if size >= before {
        return inode.i_size().write_once(current, size).await; // the new pages are holes
    }
    let lock = inode.filemap_invalidate_lock(current).await;
    kernel.probe().file_cut(inode.id(), pages_of(size));
    inode.i_size().write_once(current, size).await; // 1
    unmap_mapping_range(current, inode, pages_of(size), u64::MAX, true).await; // 2
    truncate_inode_pages_range(current, inode, size, u64::MAX).await; // 3
    unmap_mapping_range(current, inode, pages_of(size), u64::MAX, true).await; // 4
    kernel.disk.free_blocks(&kernel.engine, inode, pages_of(size), u64::MAX); // 5
    kernel.probe().file_settle(inode.id(), pages_of(size), u64::MAX);
    if let Some(lock) = lock {
        lock.up_write().await;
    }
}

/// `vmtruncate_range`: a hole from `offset` of `len` bytes, with zeros in it; the size stays. Holds `i_mutex`.
pub(crate) async fn punch_hole(current: &Task, inode: &Rc<Inode>, offset: u64, len: u64) {
    let size = inode.i_size().read_once(current).await;
    let end = offset.saturating_add(len).min(size);
    if offset >= end {
        return;
    }
    let kernel = current.kernel();
    let (first, past) = (pages_of(offset), if end == size { pages_of(end) } else { page_of(end) });
    if first < past {
        let lock = inode.filemap_invalidate_lock(current).await;
        kernel.probe().file_punch(inode.id(), first, past);
        unmap_mapping_range(current, inode, first, past - 1, true).await;
        truncate_inode_pages_range(current, inode, first * BASE_PAGE_BYTES, past - 1).await;
        unmap_mapping_range(current, inode, first, past - 1, true).await;
        kernel.disk.free_blocks(&kernel.engine, inode, first, past);
        kernel.probe().file_settle(inode.id(), first, past);
        if let Some(lock) = lock {
            lock.up_write().await;
        }
    }
    // The edges are zeroed in the cache.
    if !offset.is_multiple_of(BASE_PAGE_BYTES) {
        zero_part(current, inode, page_of(offset)).await;
    }
    let last_edge = page_of(end);
    if !end.is_multiple_of(BASE_PAGE_BYTES)
        && end != size
        && (last_edge != page_of(offset) || offset.is_multiple_of(BASE_PAGE_BYTES))
    {
        zero_part(current, inode, last_edge).await;
    }
}

/// `truncate_inode_pages_range`: pages from byte `start` to page `last` leave the cache.
///
///  1. take out the pages that are neither locked nor under writeback;
///  2. zero the rest of the page that `start` is inside of;
///  3. take out all others, and wait for their locks and their writeback.
///
/// A file without cached pages has none to look for, and nothing of it is zeroed in the cache: its block is.
pub(crate) async fn truncate_inode_pages_range(current: &Task, inode: &Rc<Inode>, start: u64, last: u64) {
    let partial = !start.is_multiple_of(BASE_PAGE_BYTES);
    if inode.mapping.nrpages().read_once(current).await > 0 {
        truncate_what_is_free(current, inode, pages_of(start), last).await; // 1
        if partial {
            zero_part(current, inode, page_of(start)).await; // 2
        }
        truncate_the_rest(current, inode, pages_of(start), last).await; // 3
    } else if partial {
        zero_part(current, inode, page_of(start)).await;
    }
}

/// The first pass, which waits for nothing.
async fn truncate_what_is_free(current: &Task, inode: &Rc<Inode>, first: u64, last: u64) {
    let zone = &current.kernel().zone;
    let mut next = first;
    while next <= last {
        let pages = find_get_pages(current, &inode.mapping, next, PAGEVEC_SIZE).await;
        if pages.is_empty() {
            return;
        }
        for page in &pages {
            // Read once: it may change while the page is not locked.
            let index = zone.memory.words(page.pfn()).index().read_once(current).await;
            next = next.max(index);
            if index > last {
                break;
            }
            next = next.saturating_add(1);
            if !trylock_page(current, zone, page.pfn()).await {
                continue;
            }
            if zone.memory.words(page.pfn()).flags().test_bit(current, PG_WRITEBACK).await {
                current.mark("truncate_inode_pages:writeback");
            } else {
                truncate_page(current, inode, page).await;
            }
            unlock_page(current, zone, page.pfn()).await;
        }
        pagevec_release(current, pages).await;
        current.cond_resched().await;
    }
}

/// The second pass, which waits for locks and writeback. It ends after a sweep that found nothing, or at a page beyond the
/// range: what was brought in behind a sweep that ends so stays.
async fn truncate_the_rest(current: &Task, inode: &Rc<Inode>, first: u64, last: u64) {
    let zone = &current.kernel().zone;
    let mut next = first;
    loop {
        current.cond_resched().await;
        let pages = find_get_pages(current, &inode.mapping, next, PAGEVEC_SIZE).await;
        let Some(nearest) = pages.first() else {
            if next == first {
                return;
            }
            next = first;
            continue;
        };
        if zone.memory.words(nearest.pfn()).index().read_once(current).await > last {
            return pagevec_release(current, pages).await;
        }
        for page in &pages {
            let words = zone.memory.words(page.pfn());
            if words.index().read_once(current).await > last {
                break;
            }
            lock_page(current, zone, page.pfn()).await;
            wait_on_page_writeback(current, zone, page.pfn()).await;
            current.mark("truncate_inode_pages:second-pass");
            next = next.max(words.index().read_once(current).await).saturating_add(1);
            truncate_page(current, inode, page).await;
            unlock_page(current, zone, page.pfn()).await;
        }
        pagevec_release(current, pages).await;
    }
}

/// A locked page that is not under writeback: unmapped, then out.
async fn truncate_page(current: &Task, inode: &Rc<Inode>, page: &PageRef<'_>) {
    let words = current.kernel().zone.memory.words(page.pfn());
    if page_mapped(current, page.pfn()).await {
        current.mark("truncate_inode_pages:mapped");
        let index = words.index().read_once(current).await;
        unmap_mapping_range(current, inode, index, index, false).await;
    }
    truncate_complete_page(current, inode, page).await;
}

/// `truncate_complete_page`: the page, locked, leaves the cache.
///
///  1. check that the page is still this file's: somebody else may have removed it while we waited for the lock;
///  2. drop its buffers; a page whose buffers refuse stays in memory as an orphan, without a mapping;
///  3. clear `PG_dirty` (`cancel_dirty_page`);
///  4. take it out of the cache, without an A: its count does not matter;
///  5. clear `PG_mappedtodisk`;
///  6. put the cache's reference; whoever puts the last one frees the page.
pub(crate) async fn truncate_complete_page(current: &Task, inode: &Rc<Inode>, page: &PageRef<'_>) {
    let kernel = current.kernel();
    let words = kernel.zone.memory.words(page.pfn());
    if words.mapping().read_once(current).await != inode.mapping.page_mapping() {
        return; // 1
    }
    if words.flags().test_bit(current, PG_PRIVATE).await {
        do_invalidatepage(current, &inode.mapping, page.pfn()).await; // 2
    }
    test_clear_page_dirty(current, &inode.mapping, page.pfn()).await; // 3
    remove_from_page_cache(current, &inode.mapping, page.pfn()).await; // 4
    words.flags().clear_bit(current, PG_MAPPEDTODISK).await; // 5
    kernel.zone.put_page(current, PageRef::counted(current, page.pfn())).await; // 6
}

/// `truncate_partial_page` and `block_truncate_page`: a part of page `index` becomes zeros.
async fn zero_part(current: &Task, inode: &Rc<Inode>, index: u64) {
    let kernel = current.kernel();
    // One that is not cached is read, so that the zeros reach the disk too.
    let page = grab_cache_page(current, inode, index).await;
    let flags = kernel.zone.memory.words(page.pfn()).flags();
    wait_on_page_writeback(current, &kernel.zone, page.pfn()).await;
    if !flags.test_bit(current, pagewalk_pages::PG_UPTODATE).await {
        super::io::read_locked_page(current, inode, index, page.pfn()).await;
    }
    kernel.write_file_page(current, page.pfn(), inode.id(), index, false).await;
    if inode.kind() == InodeKind::Disk {
        set_page_dirty(current, page.pfn()).await;
    }
    unlock_page(current, &kernel.zone, page.pfn()).await;
    kernel.zone.put_page(current, page).await;
}
