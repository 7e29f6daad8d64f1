//! Readahead on demand: sequential readers find their pages in memory.
//!
//! Follows mm/readahead.c of v2.6.27 (`ondemand_readahead`, `__do_page_cache_readahead`,
//! `force_page_cache_readahead`). The window begins small, doubles, and ends at the file's `ra_pages`; a page in it
//! carries `PG_READAHEAD`, and whoever reaches it begins the next window while the rest is still unread.

use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{next_hole, page_is_cached};
use pagewalk_pages::{PG_READAHEAD, PG_WRITEBACK};

use super::inode::page_of;
use super::io::ReadBatch;
use super::{Advice, File, InodeKind};
use crate::shmem::force_shm_swapin_readahead;
use crate::task::Task;

/// Pages that one round of a forced readahead reads: 2 MiB.
const FORCED_CHUNK: u64 = 512;

impl File {
    /// `ra_pages`: the largest window, as the advice has it.
    pub(crate) fn ra_pages(&self, current: &Task) -> u64 {
        let whole = current.kernel().config().readahead_pages;
        match self.advice.get() {
            Advice::Normal => whole,
            Advice::Sequential => 2 * whole,
            Advice::Random => 0,
        }
    }
}

/// `get_init_ra_size`: the first window for a read of `wanted` pages.
fn initial_window(wanted: u64, max: u64) -> u64 {
    let size = wanted.max(1).next_power_of_two();
    if size <= max / 32 {
        4 * size
    } else if size <= max / 4 {
        2 * size
    } else {
        max
    }
}

/// `get_next_ra_size`: the window after one of `size` pages.
fn next_window(size: u64, max: u64) -> u64 {
    (if size < max / 16 { 4 * size } else { 2 * size }).min(max)
}

/// `page_cache_sync_readahead`: page `index` is not in the cache; the reader wants `wanted` pages from there.
pub(crate) async fn page_cache_sync_readahead(current: &Task, file: &File, index: u64, wanted: u64) {
    if file.ra_pages(current) > 0 {
        ondemand_readahead(current, file, false, index, wanted).await;
    }
}

/// `page_cache_async_readahead`: the reader has reached a page with the readahead mark.
pub(crate) async fn page_cache_async_readahead(
    current: &Task,
    file: &File,
    page: Pfn,
    index: u64,
    wanted: u64,
) {
    if file.ra_pages(current) == 0 {
        return;
    }
    let flags = current.kernel().zone.memory.words(page).flags();
    if flags.test_bit(current, PG_WRITEBACK).await {
        return; // the mark's bit has another meaning there
    }
    // Before the window is read, so that a second reader who gets here does not begin it, too.
    flags.clear_bit(current, PG_READAHEAD).await;
    ondemand_readahead(current, file, true, index, wanted).await;
}

/// `ondemand_readahead`: which pages to read, by where the reader is.
///
///  1. where the last window, or its mark, makes a sequential reader expected: the next window, larger;
///  2. a small read elsewhere: just that, and the window stays another reader's;
///  3. at a mark that belongs to no window: a window behind what is cached;
///  4. otherwise, at the start of a file or of a large read: the first window.
///
/// Threads that share a file share its window, and take no lock for it, as in Linux. They spoil each other's
/// guesses and nothing else: what is read is looked up again by whoever wants it.
async fn ondemand_readahead(current: &Task, file: &File, marked: bool, index: u64, wanted: u64) {
    let max = file.ra_pages(current);
    let mut ra = file.ra.get();
    let expected = index == ra.start + ra.size - ra.async_size || index == ra.start + ra.size;
    if index > 0 && expected {
        // The expected place of a sequential reader: push the window forward.
        // 1. With `async_size` as long as the window: its first page gets the mark.
        ra.start += ra.size;
        ra.size = next_window(ra.size, max);
        ra.async_size = ra.size;
    } else {
        let follows = ra.prev_page.map_or(index == 0, |previous| index.wrapping_sub(previous) <= 1);
        if !marked && !follows && wanted <= max {
            // A small random read: as it is, without touching the state.
            // 2. Also if it is in the middle of somebody's sequential run.
            do_page_cache_readahead(current, file, index, wanted, 0).await;
            return;
        }
        if marked {
            // A mark without a valid window, as interleaved readers leave it: go on behind what is cached.
            // 3. The cached run tells how far an earlier window has come, whoever had it.
            let hole = next_hole(current, &file.inode().mapping, index, max + 1).await;
            let Some(start) = hole.filter(|start| start - index <= max) else { return };
            ra.start = start;
            ra.size = next_window(start - index, max);
            ra.async_size = ra.size;
        } else {
            ra.start = index;
            ra.size = initial_window(wanted, max);
            ra.async_size = if ra.size > wanted { ra.size - wanted } else { ra.size };
        }
    }
    file.ra.set(ra);
    do_page_cache_readahead(current, file, ra.start, ra.size, ra.async_size).await;
}

/// `__do_page_cache_readahead`: starts to read those of `pages` pages from `start` on that are not cached and not beyond the
/// end of the file. The one at `lookahead` pages before the window's end gets the mark.
pub(crate) async fn do_page_cache_readahead(
    current: &Task,
    file: &File,
    start: u64,
    pages: u64,
    lookahead: u64,
) {
    let inode = file.inode();
    // Once, without a lock. A truncation that comes after leaves pages of zeros beyond the end, clean and
    // mapped by nobody (I26).
    let size = inode.i_size().read_once(current).await;
    if size == 0 || inode.kind() == InodeKind::Shmem {
        return; // memory without a disk is not read ahead
    }
    let last = page_of(size - 1);
    let mut missing = Vec::new();
    for n in 0..pages {
        let Some(index) = start.checked_add(n).filter(|&index| index <= last) else { break };
        // A look without a reference. A page that goes after it is missing from the window; one that comes
        // makes the insertion fail, which gives ours back.
        if page_is_cached(current, &inode.mapping, index).await {
            continue;
        }
        let Some(page) = current.kernel().alloc_readahead_page(current).await else {
            current.mark("__do_page_cache_readahead:no-memory");
            break;
        };
        // If this page is cached already nobody gets the mark, and the run ends in a miss.
        if n == pages - lookahead {
            current.kernel().zone.memory.words(page.pfn()).flags().set_bit(current, PG_READAHEAD).await;
        }
        missing.push((index, page));
    }
    // Reading begins when every page is allocated, as there: an allocation may wait for memory.
    // Taken after the allocations, which may wait for reclaim; held from the first insertion to the last
    // request, so that no hole is punched under pages that are still to be read (730633f0b7f9, Linux 5.15).
    let lock = inode.filemap_invalidate_lock_shared(current).await;
    let mut batch = ReadBatch::new(inode);
    for (index, page) in missing {
        batch.add(current, page, index).await;
    }
    batch.submit(current).await;
    if let Some(lock) = lock {
        lock.up_read().await;
    }
}

/// `force_page_cache_readahead`: reads a range because somebody asked for it (`WILLNEED`).
pub(crate) async fn force_page_cache_readahead(current: &Task, file: &File, start: u64, pages: u64) {
    if file.inode().kind() == InodeKind::Shmem {
        return force_shm_swapin_readahead(current, file.inode(), start, pages).await;
    }
    let mut done = 0;
    while done < pages {
        let chunk = FORCED_CHUNK.min(pages - done);
        do_page_cache_readahead(current, file, start + done, chunk, 0).await;
        done += chunk;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_to_the_maximum_and_stay_there() {
        assert_eq!(initial_window(1, 32), 4, "16 KiB for the first page of a file");
        assert_eq!(initial_window(4, 32), 8);
        assert_eq!(initial_window(9, 32), 32);
        assert_eq!(next_window(1, 32), 4);
        assert_eq!(next_window(4, 32), 8);
        assert_eq!(next_window(32, 32), 32);
    }
}
