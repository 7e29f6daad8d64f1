//! `migrate_pages`: each of some isolated pages, tried until it has moved or cannot.
//!
//! Follows mm/migrate.c of v2.6.27 (`migrate_pages`), and mm/memory_hotplug.c (`do_migrate_range`).

use pagewalk_mmu::Pfn;
use pagewalk_pages::{PG_LRU, PageRef};

use super::unmap_and_move::{Moved, unmap_and_move};
use crate::task::Task;

/// How often a page that is in use just now is tried.
const PASSES: u32 = 10;

/// Moves the page, which is isolated, to frame `new`, which nobody knows. The isolation's reference and the new frame's are used up.
/// True if it has moved (or was freed meanwhile).
///
///  1. try up to ten times, and only from the fourth time on wait for the page lock and for writeback;
///  2. put the old page back on its list, or free it by that;
///  3. put the new page on a list, or free it.
pub(super) async fn migrate_page(current: &Task, pfn: Pfn, new: PageRef<'_>) -> bool {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    // First: the group says which LRU lists a page belongs to.
    zone.charge(new.pfn(), zone.group_of(pfn));
    let mut outcome = Moved::Again;
    // 1. References that are in the way go by themselves: a lookup on its way, a pagevec, a fault. Those of a
    // pin do not, and the attempts end.
    for pass in 0..PASSES {
        outcome = unmap_and_move(current, pfn, new.pfn(), pass > 2).await;
        if outcome != Moved::Again {
            break;
        }
        current.cond_resched().await;
    }
    // 2. The isolation's reference goes here, whatever the outcome (I5). The old page goes back to the lists;
    // nobody else has it any more if it has moved, and then it is freed by that.
    zone.putback_lru_pages(current, vec![pfn]).await;
    // 3. The new page has the old one's flags by now, and is put on the list that these say.
    match outcome {
        Moved::Yes => {
            kernel.stat.pgmigrate_success.add(1);
            zone.putback_lru_pages(current, vec![new.into_pfn()]).await;
        }
        Moved::Again | Moved::No => {
            kernel.stat.pgmigrate_fail.add(1);
            zone.put_page(current, new).await;
        }
        Moved::Freed => zone.put_page(current, new).await,
    }
    matches!(outcome, Moved::Yes | Moved::Freed)
}

/// Moves what is in so many frames elsewhere (`do_migrate_range` of memory hot-remove). Yields how many pages have moved.
pub(crate) async fn migrate_frames(current: &Task, first: Pfn, count: u32) -> u64 {
    let zone = &current.kernel().zone;
    zone.lru_add_drain_all(current).await;
    let end = first.0.saturating_add(count).min(zone.memory.frames());
    let mut moved = 0;
    for pfn in first.0.max(1)..end {
        moved += u64::from(migrate_frame(current, Pfn(pfn)).await);
    }
    moved
}

/// Moves whatever is in a frame elsewhere, if it is on the LRU lists. True if it has moved.
///
/// Who comes by a page by its frame number has no reference: its count is raised only if it is not 0.
async fn migrate_frame(current: &Task, pfn: Pfn) -> bool {
    let zone = &current.kernel().zone;
    let words = zone.memory.words(pfn);
    // Neither look is an answer: the page may be freed, or change its owner, before the next step.
    // `isolate_lru_page` decides, under `lru_lock` and with our reference.
    if !words.flags().test_bit(current, PG_LRU).await || !words.count().inc_not_zero(current).await {
        return false;
    }
    let held = PageRef::counted(current, pfn);
    let isolated = zone.isolate_lru_page(current, pfn).await;
    zone.put_page(current, held).await;
    if !isolated {
        return false;
    }
    // The last frames are left to reclaim, which would have to free some for us otherwise.
    match zone.alloc_page_above(current, zone.watermarks().min).await {
        Some(new) => migrate_page(current, pfn, new).await,
        None => {
            zone.putback_lru_pages(current, vec![pfn]).await;
            false
        }
    }
}
