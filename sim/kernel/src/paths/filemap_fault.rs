//! `filemap_fault`: the page of a file that a fault wants, from the page cache or from the disk.
//!
//! Follows mm/filemap.c of v2.6.27, and mm/shmem.c (`shmem_fault`) for memory without a disk. What is counted follows
//! 2.6.31 (ef00e08e26dd): every fault on a page that is not cached is a major one, also under advice and after many
//! misses; `mmap_miss` grows by one with a miss that may read around, falls by one with a page that is there at once, and
//! never below 0.

use std::rc::Rc;

use pagewalk_pagecache::{find_lock_page, unlock_page, wait_on_page_locked};
use pagewalk_pages::{Mutant, PG_ERROR, PG_READAHEAD, PG_UPTODATE, PageRef};

use crate::fs::{
    self, Advice, File, Inode, InodeKind, ReadaheadState, do_page_cache_readahead, mark_page_accessed,
    page_cache_async_readahead, page_cache_sync_readahead, pages_of, readpage,
};
use crate::shmem::shmem_getpage;
use crate::task::Task;
use crate::user::Signal;

/// More misses than hits by this many, and reading around a fault is given up (`MMAP_LOTSAMISS`).
const MMAP_LOTSAMISS: u32 = 100;

/// `filemap_fault`: page `index` of the file, locked and referenced, and whether the disk had to be asked
/// (`VM_FAULT_MAJOR`).
///
///  1. a page beyond the end of the file is a bus error;
///  2. find and lock the page; on a miss read it, with what is around it, and look again;
///  3. read a page that is in the cache and not up to date, and look again;
///  4. compare with the end of the file once more, now that the page is locked: a truncation shrinks the file first, and
///     takes this lock to remove the page. So either the fault sees the new end, or the truncation sees what it maps.
pub(crate) async fn filemap_fault<'a>(
    current: &'a Task,
    file: &Rc<File>,
    index: u64,
    advice: Advice,
) -> Result<(PageRef<'a>, bool), Signal> {
    let (kernel, inode) = (current.kernel(), file.inode());
    // 1. Without a lock: the size may shrink right after. That is what 4 is for; this only saves reading a
    // page in vain.
    if index >= pages_of(inode.i_size().read_once(current).await) {
        current.mark("filemap_fault:beyond-the-end");
        return Err(Signal::Bus); // 1
    }
    let mut major = false;
    loop {
        let found = match inode.kind() {
            InodeKind::Disk => find_page(current, file, (index, advice), &mut major).await, // 2
            InodeKind::Shmem => {
                // Comes locked and up to date.
                let (page, read) = shmem_getpage(current, inode, index).await;
                major |= read;
                Some(page)
            }
        };
        let Some(page) = found else { continue };
        let flags = kernel.zone.memory.words(page.pfn()).flags();
        // 3. Locked, it is under no read: the last one has failed.
        if !flags.test_bit(current, PG_UPTODATE).await {
            read_again(current, inode, index, page).await; // 3
            major = true;
            continue;
        }
        // 4. See R21 for what comes of leaving this out.
        let beyond = index >= pages_of(inode.i_size().read_once(current).await); // 4
        if beyond && !kernel.mutant(Mutant::FaultNoIsizeRecheck) {
            current.mark("filemap_fault:truncated");
            unlock_page(current, &kernel.zone, page.pfn()).await;
            kernel.zone.put_page(current, page).await;
            return Err(Signal::Bus);
        }
        // Still locked: the caller unlocks it after it has stored the PTE (d00806b18315, R20).
        mark_page_accessed(current, &page).await;
        let mut ra = file.ra.get();
        ra.prev_page = Some(index);
        file.ra.set(ra);
        return Ok((page, major));
    }
}

/// Step 2, once: the page, locked; or `None` after it was put into the cache, to look again.
async fn find_page<'a>(
    current: &'a Task,
    file: &Rc<File>,
    (index, advice): (u64, Advice),
    major: &mut bool,
) -> Option<PageRef<'a>> {
    let inode = file.inode();
    // Locked, so that it stays the file's; a hit that is under a read waits for its end here.
    let mut page = find_lock_page(current, &inode.mapping, index).await;
    // Hits and misses of all threads that fault on the file count together, without a lock: it is a guess
    // about the program.
    if page.is_some() && !*major && advice != Advice::Random {
        let ra = file.ra.get();
        file.ra.set(ReadaheadState { mmap_miss: ra.mmap_miss.saturating_sub(1), ..ra });
    }
    match advice {
        // What is read in no order is not read ahead.
        Advice::Random => {}
        Advice::Sequential => {
            if page.is_none() {
                page_cache_sync_readahead(current, file, index, 1).await;
                *major = true;
                page = find_lock_page(current, &inode.mapping, index).await;
            }
            if let Some(page) = &page {
                let flags = current.kernel().zone.memory.words(page.pfn()).flags();
                if flags.test_bit(current, PG_READAHEAD).await {
                    page_cache_async_readahead(current, file, page.pfn(), index, 1).await;
                }
            }
        }
        Advice::Normal => {
            if page.is_none() {
                let mut ra = file.ra.get();
                ra.mmap_miss = ra.mmap_miss.saturating_add(1);
                file.ra.set(ra);
                if ra.mmap_miss <= MMAP_LOTSAMISS {
                    *major = true;
                    read_around(current, file, index).await;
                    page = find_lock_page(current, &inode.mapping, index).await;
                }
            }
        }
    }
    if page.is_none() {
        *major |= page_cache_read(current, inode, index).await;
    }
    page
}

/// Reads the window of the readahead, around the page instead of behind it.
async fn read_around(current: &Task, file: &Rc<File>, index: u64) {
    let pages = file.ra_pages(current);
    if pages > 0 {
        do_page_cache_readahead(current, file, index.saturating_sub(pages / 2), pages, 0).await;
    }
}

/// `page_cache_read`: puts a new page into the cache and starts to read it. False if somebody was faster.
async fn page_cache_read(current: &Task, inode: &Rc<Inode>, index: u64) -> bool {
    let kernel = current.kernel();
    let page = kernel.alloc_page(current, "a page of a file").await;
    // The cache has a reference of its own. The page is locked until its read ends, and looked up anew by the
    // caller.
    let added = fs::page_cache_read(current, inode, &page, index).await;
    kernel.zone.put_page(current, page).await;
    added
}

/// Step 3: reads a locked page again. It must have ended before the caller looks again, or a read that always fails would
/// be started for ever (3ef0f720e47e).
async fn read_again(current: &Task, inode: &Rc<Inode>, index: u64, page: PageRef<'_>) {
    let zone = &current.kernel().zone;
    zone.memory.words(page.pfn()).flags().clear_bit(current, PG_ERROR).await;
    readpage(current, inode, index, page.pfn()).await;
    wait_on_page_locked(current, zone, page.pfn()).await;
    zone.put_page(current, page).await;
}
