//! `try_to_free_pages`: an allocation that finds too little memory reclaims some itself.
//!
//! Follows mm/vmscan.c of v2.6.27 (`try_to_free_pages`, `do_try_to_free_pages`).

use super::shrink_zone::shrink_zones;
use super::{DEF_PRIORITY, SWAP_CLUSTER_MAX, ScanControl};
use crate::io_wait::congestion_wait;
use crate::task::Task;

/// Looks at all pages that find nothing to free before none is left that can be.
const LOOKS: u32 = 3;

/// Yields how many pages were freed: 32, more, or as many as can be by looking at every page.
pub(crate) async fn try_to_free_pages(current: &Task) -> u64 {
    do_try_to_free_pages(current, ScanControl::new(None, false), SWAP_CLUSTER_MAX).await
}

/// The same of the pages of one memory group.
pub(crate) async fn try_to_free_mem_cgroup_pages(current: &Task, group: u16) -> u64 {
    do_try_to_free_pages(current, ScanControl::new(Some(group), false), SWAP_CLUSTER_MAX).await
}

/// Reclaims `pages` pages because somebody asked for it (`memory.reclaim` of Linux 5.19, with the draining of its last attempt).
pub(crate) async fn reclaim_pages(current: &Task, pages: u64) -> u64 {
    current.kernel().zone.lru_add_drain_all(current).await;
    do_try_to_free_pages(current, ScanControl::new(None, false), pages).await
}

/// Looks at every page until nothing more can be freed: what is in the swap cache and wanted by nobody goes. A look that frees nothing
/// may still have found pages in use that are not by the next.
pub(crate) async fn shrink_all(current: &Task) {
    let mut idle = 0;
    while idle < LOOKS {
        current.kernel().zone.lru_add_drain_all(current).await;
        let freed = do_try_to_free_pages(current, ScanControl::new(None, false), u64::MAX).await;
        idle = if freed > 0 || current.kernel().io.is_busy(current.engine()) { 0 } else { idle + 1 };
    }
}

/// `do_try_to_free_pages`: with each round a larger part of the lists is looked at, in the end all of them.
///
///  1. look at a 4096th of each list, and at twice as much in each round that follows;
///  2. stop at 32 freed pages, or as many as are wanted;
///  3. wait for the disks where looks find little to free.
///
/// The caller may hold `mmap_sem`, `i_mutex` and page locks: that is why nothing in reclaim waits for any of
/// these.
async fn do_try_to_free_pages(current: &Task, mut sc: ScanControl, wanted: u64) -> u64 {
    for priority in (0..=DEF_PRIORITY).rev() {
        let before = sc.nr_scanned;
        shrink_zones(current, priority, &mut sc).await;
        // 2. More than one page, so that the next 31 allocations need not come here. Others may take them
        // first: the allocation tries again and does not rely on them.
        if sc.nr_reclaimed >= wanted {
            break;
        }
        // Take a nap, wait for some writeback to complete.
        if sc.nr_scanned > before && priority < DEF_PRIORITY - 2 {
            congestion_wait(current).await;
        }
    }
    sc.nr_reclaimed
}
