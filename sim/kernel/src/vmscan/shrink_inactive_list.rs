//! `shrink_inactive_list`: the oldest pages of an inactive list are freed if they can be.
//!
//! Follows mm/vmscan.c of v2.6.27, with the four lists of 2.6.28 (4f98a2fee8ac).

use pagewalk_pages::LruList;

use super::shrink_page_list::shrink_page_list;
use super::{SWAP_CLUSTER_MAX, ScanControl};
use crate::task::Task;

/// `shrink_inactive_list`: looks at up to `pages` pages of one list of one group, 32 at a time.
///
///  1. empty this CPU's pagevecs: a page that waits in one is on no list, and would be passed over;
///  2. take a batch off the list, each page with a reference (`isolate_lru_pages`);
///  3. unlock the lists;
///  4. free what can be freed (`shrink_page_list`);
///  5. put the rest back (`putback_lru_pages`).
pub(super) async fn shrink_inactive_list(
    current: &Task,
    (group, list): (u16, LruList),
    pages: u64,
    sc: &mut ScanControl,
) {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    // 1. This CPU's only: another CPU's pagevecs take an interrupt, or a work item, to empty.
    zone.lru_add_drain(current).await;
    let mut left = pages;
    while left > 0 {
        // 2. With interrupts off, because Linux's interrupt at the end of a writeback takes `lru_lock` as
        // well. The isolation clears `PG_lru`, so that no other reclaim, migration or activation meets the
        // page. A page whose count is 0 is its freer's and stays (R18, I22).
        let held = zone.lock_lru(current).await;
        let (taken, scanned) =
            zone.isolate_lru_pages(current, &held, (group, list), left.min(SWAP_CLUSTER_MAX)).await;
        // `get_scan_ratio` halves this sum under the same lock.
        zone.with_lru_of(&held, group, |lru| lru.recent_scanned[usize::from(list.is_file())] += scanned);
        // 3. What follows sleeps and takes page locks, which come before `lru_lock` in the lock order.
        zone.unlock_lru(current, held).await;
        // Empty. That need not mean that nothing can be freed: another reclaimer may have isolated the last
        // pages.
        if scanned == 0 {
            return;
        }
        // Looks are counted, not pages taken: a list of pages that others are freeing must not hold us here.
        left -= scanned;
        sc.nr_scanned += scanned;
        let isolated = taken.len();
        // 4. Until 5 the pages are on no list, and only the isolation's reference keeps them. Programs go on
        // to map them and store to them, and truncation may take them out of their file.
        let kept = shrink_page_list(current, taken).await;
        let freed = (isolated - kept.len()) as u64;
        sc.nr_reclaimed += freed;
        let stat = &kernel.stat;
        let (scan, steal) = match sc.kswapd {
            true => (&stat.pgscan_kswapd, &stat.pgsteal_kswapd),
            false => (&stat.pgscan_direct, &stat.pgsteal_direct),
        };
        scan.add(scanned);
        steal.add(freed);
        stat.pgrotated.add(kept.len() as u64);
        // 5. The flags choose the list: `shrink_page_list` has set `PG_active` on what is in use. A page that
        // has lost its other owners since 2 is freed when the isolation's reference goes.
        zone.putback_lru_pages(current, kept).await;
    }
}
