//! `shrink_active_list`: the oldest pages of an active list become inactive.

use pagewalk_pages::{LruList, PG_ACTIVE};

use super::shrink_page_list::page_mapping_inuse;
use crate::paths::page_referenced;
use crate::task::Task;

/// Looks at up to `pages` pages. What their PTEs noted of their use is forgotten: they go to the inactive list in any case, and come
/// back when they are used there. How many were in use decides how much of these lists is looked at next time.
pub(super) async fn shrink_active_list(current: &Task, (group, list): (u16, LruList), pages: u64) {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    let file = usize::from(list.is_file());
    zone.lru_add_drain(current).await;
    let held = zone.lock_lru(current).await;
    let (taken, scanned) = zone.isolate_lru_pages(current, &held, (group, list), pages).await;
    zone.with_lru_of(&held, group, |lru| lru.recent_scanned[file] += scanned);
    zone.unlock_lru(current, held).await;
    kernel.stat.pgrefill.add(scanned);
    let mut used = 0;
    for &pfn in &taken {
        current.cond_resched().await;
        if page_mapping_inuse(current, pfn).await && page_referenced(current, pfn, false).await > 0 {
            used += 1;
        }
        zone.memory.words(pfn).flags().clear_bit(current, PG_ACTIVE).await;
    }
    kernel.stat.pgdeactivate.add(taken.len() as u64);
    if used > 0 {
        let held = zone.lock_lru(current).await;
        zone.with_lru_of(&held, group, |lru| lru.recent_rotated[file] += used);
        zone.unlock_lru(current, held).await;
    }
    zone.putback_lru_pages(current, taken).await;
}
