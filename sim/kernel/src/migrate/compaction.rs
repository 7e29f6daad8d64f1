//! `compact_zone`: movable pages go to the top of memory, so that what is free below lies together.
//!
//! Follows mm/compaction.c of 2.6.35: one scanner looks for pages to move from the bottom up, another for free frames from the top
//! down, until they meet.

use pagewalk_mmu::Pfn;
use pagewalk_pages::{PG_LRU, PageRef};

use super::migrate_pages::migrate_page;
use crate::task::Task;

/// Pages isolated in a row (`COMPACT_CLUSTER_MAX`).
const CLUSTER: usize = 32;

/// `compact_zone`: compacts all of memory. Yields how many pages have moved.
///
///  1. empty the pagevecs of every CPU: a page in one cannot be isolated;
///  2. isolate up to 32 pages, from the bottom up;
///  3. take the highest free frame for each, and stop where that lies below the page;
///  4. move the page there;
///  5. put back what was isolated and is not moved.
pub(crate) async fn compact_zone(current: &Task) -> u64 {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    zone.lru_add_drain_all(current).await;
    let (mut bottom, mut moved) = (1, 0);
    kernel.stat.compact_stall.add(1);
    loop {
        // 2. From here to 4 or 5 the pages are on no list, and reclaim does not see them. Programs use them
        // all the while.
        let (pages, next) = isolate_migratepages(current, bottom).await;
        if pages.is_empty() {
            return moved;
        }
        bottom = next;
        let mut met = false;
        let mut left = pages.into_iter();
        for pfn in left.by_ref() {
            // 3. One at a time, under `zone->lock`; 2.6.35 isolates free pages in batches as well. A frame
            // below the page would move it the wrong way.
            let Some(free) = zone.take_free_page_above(current, pfn).await else {
                zone.putback_lru_pages(current, vec![pfn]).await;
                met = true;
                break;
            };
            // 4. No `mmap_sem` is held, of whatever process: mremap and fork move and copy entries meanwhile
            // (R64).
            moved += u64::from(migrate_page(current, pfn, free).await);
        }
        // 5. Before the next batch, so that reclaim finds them if memory is short.
        zone.putback_lru_pages(current, left.collect()).await;
        if met {
            current.mark("compact_zone:scanners-met");
            return moved;
        }
        current.cond_resched().await;
    }
}

/// `isolate_migratepages`: up to 32 pages of the LRU lists in frames from `bottom` on, each with a reference; and the frame to go on from.
async fn isolate_migratepages(current: &Task, bottom: u32) -> (Vec<Pfn>, u32) {
    let zone = &current.kernel().zone;
    let mut pages = Vec::new();
    let mut at = bottom;
    while at < zone.memory.frames() && pages.len() < CLUSTER {
        let pfn = Pfn(at);
        at += 1;
        let words = zone.memory.words(pfn);
        // A look without a lock or a reference. Between its two halves the page may be freed and allocated
        // anew, so the reference may be to a stranger's page: that is why it is only held, and `PG_lru` asked
        // again under `lru_lock`. 2.6.35 holds `lru_lock` throughout instead. A plain increment would take a
        // free page from 0 (R18).
        if !words.flags().test_bit(current, PG_LRU).await || !words.count().inc_not_zero(current).await {
            continue;
        }
        let held = PageRef::counted(current, pfn);
        if zone.isolate_lru_page(current, pfn).await {
            pages.push(pfn);
        }
        // The isolation has a reference of its own. If there was none, this one may be the last, and frees
        // the page.
        zone.put_page(current, held).await;
    }
    current.kernel().stat.compact_migrate_scanned.add(u64::from(at - bottom));
    (pages, at)
}
