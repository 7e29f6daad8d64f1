//! `shrink_active_list`: the oldest pages of an active list become inactive.
//!
//! Follows mm/vmscan.c of v2.6.27, and of 2.6.28 in that pages in use become inactive like the others: on a large
//! machine nearly every page was used since the last look, and v2.6.27 may go round the list to find one that was
//! not.

use pagewalk_pages::{LruList, PG_ACTIVE};

use super::shrink_page_list::page_mapping_inuse;
use crate::paths::page_referenced;
use crate::task::Task;

/// `shrink_active_list`: looks at up to `pages` pages. What their PTEs noted of their use is forgotten: they go to
/// the inactive list in any case, and come back when they are used there. How many were in use decides how much of
/// these lists is looked at next time.
///
///  1. take the oldest pages off the active list;
///  2. ask of each whether it was used, which makes its PTEs forget it;
///  3. clear `PG_active`;
///  4. note how many were in use;
///  5. put all of them on the inactive list.
pub(super) async fn shrink_active_list(current: &Task, (group, list): (u16, LruList), pages: u64) {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    let file = usize::from(list.is_file());
    // 1. New anonymous pages begin on the active list, by way of a pagevec.
    zone.lru_add_drain(current).await;
    let held = zone.lock_lru(current).await;
    let (taken, scanned) = zone.isolate_lru_pages(current, &held, (group, list), pages).await;
    zone.with_lru_of(&held, group, |lru| lru.recent_scanned[file] += scanned);
    // `page_referenced` takes the page lock, the locks of the reverse mapping and PTLs. All of them come
    // before `lru_lock` in the lock order, so the batch is taken off first and looked at without it.
    zone.unlock_lru(current, held).await;
    kernel.stat.pgrefill.add(scanned);
    let mut used = 0;
    for &pfn in &taken {
        current.cond_resched().await;
        // 2. The page is not locked: truncation may take it out of its file at any of these steps.
        // `page_referenced` locks a page of a file itself, and takes a lock that somebody else holds for a
        // use.
        if page_mapping_inuse(current, pfn).await && page_referenced(current, pfn, false).await > 0 {
            used += 1;
        }
        // 3. Without `lru_lock`: while `PG_lru` is clear nobody else changes `PG_active` (`activate_page`
        // looks at `PG_lru` under the lock).
        zone.memory.words(pfn).flags().clear_bit(current, PG_ACTIVE).await;
    }
    kernel.stat.pgdeactivate.add(taken.len() as u64);
    // 4. These count as rotated although they are not: `get_scan_ratio` asks of the kind of page, not of the
    // list.
    if used > 0 {
        let held = zone.lock_lru(current).await;
        zone.with_lru_of(&held, group, |lru| lru.recent_rotated[file] += used);
        zone.unlock_lru(current, held).await;
    }
    // 5. A page has the whole length of the inactive list to be used once more.
    zone.putback_lru_pages(current, taken).await;
}
