//! `shrink_inactive_list`: the oldest pages of an inactive list are freed if they can be.

use pagewalk_pages::LruList;

use super::shrink_page_list::shrink_page_list;
use super::{SWAP_CLUSTER_MAX, ScanControl};
use crate::task::Task;

/// Looks at up to `pages` pages, 32 at a time.
pub(super) async fn shrink_inactive_list(
    current: &Task,
    (group, list): (u16, LruList),
    pages: u64,
    sc: &mut ScanControl,
) {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    zone.lru_add_drain(current).await;
    let mut left = pages;
    while left > 0 {
        let held = zone.lock_lru(current).await;
        let (taken, scanned) =
            zone.isolate_lru_pages(current, &held, (group, list), left.min(SWAP_CLUSTER_MAX)).await;
        zone.with_lru_of(&held, group, |lru| lru.recent_scanned[usize::from(list.is_file())] += scanned);
        zone.unlock_lru(current, held).await;
        if scanned == 0 {
            return;
        }
        left -= scanned;
        sc.nr_scanned += scanned;
        let isolated = taken.len();
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
        zone.putback_lru_pages(current, kept).await;
    }
}
