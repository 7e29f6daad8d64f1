//! Invalidation: pages leave the cache because somebody else may have changed the file, or because memory is wanted.
//!
//! Follows mm/truncate.c (`invalidate_mapping_pages`, `invalidate_inode_pages2_range`) and fs/drop_caches.c of v2.6.27.

use std::rc::Rc;

use pagewalk_pagecache::{
    find_get_pages, invalidate_complete_page2, lock_page, remove_mapping, try_to_release_page, trylock_page,
    unlock_page, wait_on_page_writeback,
};
use pagewalk_pages::{PG_DIRTY, PG_PRIVATE, PG_WRITEBACK, PageRef};

use super::writeback::{PAGEVEC_SIZE, pagevec_release};
use super::{Inode, InodeKind};
use crate::paths::{page_mapped, unmap_mapping_range};
use crate::task::Task;

/// `invalidate_mapping_pages`: of the pages `first..=last`, those go that nobody uses. Yields how many went.
pub(crate) async fn invalidate_mapping_pages(
    current: &Task,
    inode: &Rc<Inode>,
    first: u64,
    last: u64,
) -> u64 {
    let zone = &current.kernel().zone;
    let (mut next, mut gone) = (first, 0);
    while next <= last {
        let pages = find_get_pages(current, &inode.mapping, next, PAGEVEC_SIZE).await;
        if pages.is_empty() {
            break;
        }
        for page in &pages {
            let locked = trylock_page(current, zone, page.pfn()).await;
            let index = zone.memory.words(page.pfn()).index().read_once(current).await;
            next = next.max(index).saturating_add(1);
            if locked {
                if index <= last {
                    gone += u64::from(invalidate_page(current, inode, page).await);
                }
                unlock_page(current, zone, page.pfn()).await;
            }
            if next > last {
                break;
            }
        }
        pagevec_release(current, pages).await;
        current.cond_resched().await;
    }
    gone
}

/// One locked page of the loop: dirty, under writeback or mapped, it stays.
async fn invalidate_page(current: &Task, inode: &Rc<Inode>, page: &PageRef<'_>) -> bool {
    let flags = current.kernel().zone.memory.words(page.pfn()).flags();
    if flags.test_bit(current, PG_DIRTY).await || flags.test_bit(current, PG_WRITEBACK).await {
        current.mark("invalidate_mapping_pages:dirty");
        return false;
    }
    if page_mapped(current, page.pfn()).await {
        current.mark("invalidate_mapping_pages:mapped");
        return false;
    }
    invalidate_complete_page(current, inode, page).await
}

/// `invalidate_complete_page`: leaves the cache if nobody but the cache and the caller has a reference.
///
///  1. check that the page is still this file's;
///  2. drop its buffers;
///  3. A, B and C of a removal ([`remove_mapping`]): the freeze refuses where somebody has a reference.
pub(crate) async fn invalidate_complete_page(current: &Task, inode: &Rc<Inode>, page: &PageRef<'_>) -> bool {
    let words = current.kernel().zone.memory.words(page.pfn());
    if words.mapping().read_once(current).await != inode.mapping.page_mapping() {
        current.mark("invalidate_complete_page:gone");
        return false; // 1
    }
    if words.flags().test_bit(current, PG_PRIVATE).await
        && !try_to_release_page(current, &inode.mapping, page.pfn()).await
    {
        current.mark("invalidate_complete_page:buffers-stay");
        return false; // 2
    }
    remove_mapping(current, &inode.mapping, page).await // 3
}

/// `invalidate_inode_pages2_range`: pages `first..=last` must go, mapped or not. False if one was dirtied meanwhile and stayed.
///
/// The first page that is mapped has the rest of the range unmapped with it, in one go; each further one goes by itself.
///
/// For each page:
///  1. lock it;
///  2. check that it is still this file's;
///  3. wait for its writeback;
///  4. unmap it: the page lock keeps faults from mapping it again;
///  5. drop its buffers, and then the page (`invalidate_complete_page2`);
///  6. unlock it.
pub(crate) async fn invalidate_inode_pages2_range(
    current: &Task,
    inode: &Rc<Inode>,
    first: u64,
    last: u64,
) -> bool {
    let zone = &current.kernel().zone;
    let (mut next, mut all_gone, mut did_range_unmap) = (first, true, false);
    while next <= last {
        let most = usize::try_from(last - next).map_or(PAGEVEC_SIZE, |left| (left + 1).min(PAGEVEC_SIZE));
        let pages = find_get_pages(current, &inode.mapping, next, most).await;
        if pages.is_empty() {
            break;
        }
        for page in &pages {
            lock_page(current, zone, page.pfn()).await; // 1
            let words = zone.memory.words(page.pfn());
            if words.mapping().read_once(current).await != inode.mapping.page_mapping() {
                unlock_page(current, zone, page.pfn()).await; // 2. it is found no more
                continue;
            }
            let index = words.index().read_once(current).await;
            next = index.saturating_add(1);
            if index > last {
                unlock_page(current, zone, page.pfn()).await;
                break;
            }
            wait_on_page_writeback(current, zone, page.pfn()).await; // 3
            if page_mapped(current, page.pfn()).await {
                current.mark("invalidate_inode_pages2:mapped");
                let until = if did_range_unmap { index } else { last };
                unmap_mapping_range(current, inode, index, until, false).await; // 4
                did_range_unmap = true;
            }
            all_gone &= invalidate_page2(current, inode, page).await; // 5
            unlock_page(current, zone, page.pfn()).await; // 6
        }
        pagevec_release(current, pages).await;
        current.cond_resched().await;
    }
    all_gone
}

/// One locked page that was unmapped: out, unless a PTE has made it dirty. (`do_launder_page` has nothing to do here: only file
/// systems over a network have a `launder_page`.)
async fn invalidate_page2(current: &Task, inode: &Rc<Inode>, page: &PageRef<'_>) -> bool {
    let zone = &current.kernel().zone;
    if page_mapped(current, page.pfn()).await {
        let message = format!("{:?} is mapped while it is locked and was unmapped", page.pfn());
        current.engine().violation("I26", message);
        return false;
    }
    if zone.memory.words(page.pfn()).flags().test_bit(current, PG_PRIVATE).await
        && !try_to_release_page(current, &inode.mapping, page.pfn()).await
    {
        return false;
    }
    // Under tree_lock, and whatever the count is.
    invalidate_complete_page2(current, &inode.mapping, page.pfn()).await
}

/// `drop_caches`: every clean, unmapped page of every file on the disk. As since Linux 6.6, pages on their way to the LRU lists get
/// there first: a pagevec's reference would keep them.
pub(crate) async fn drop_pagecache(current: &Task) -> u64 {
    let mut gone = 0;
    current.kernel().zone.lru_add_drain_all(current).await;
    for inode in current.kernel().inodes.all() {
        if inode.kind() == InodeKind::Disk {
            gone += invalidate_mapping_pages(current, &inode, 0, u64::MAX).await;
        }
    }
    gone
}
