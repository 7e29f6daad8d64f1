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

/// Compacts all of memory. Yields how many pages have moved.
pub(crate) async fn compact_zone(current: &Task) -> u64 {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    zone.lru_add_drain_all(current).await;
    let (mut bottom, mut moved) = (1, 0);
    kernel.stat.compact_stall.add(1);
    loop {
        let (pages, next) = isolate_migratepages(current, bottom).await;
        if pages.is_empty() {
            return moved;
        }
        bottom = next;
        let mut met = false;
        let mut left = pages.into_iter();
        for pfn in left.by_ref() {
            let Some(free) = zone.take_free_page_above(current, pfn).await else {
                zone.putback_lru_pages(current, vec![pfn]).await;
                met = true;
                break;
            };
            moved += u64::from(migrate_page(current, pfn, free).await);
        }
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
        // A look without a lock or a reference; what follows makes sure.
        if !words.flags().test_bit(current, PG_LRU).await || !words.count().inc_not_zero(current).await {
            continue;
        }
        let held = PageRef::counted(current, pfn);
        if zone.isolate_lru_page(current, pfn).await {
            pages.push(pfn);
        }
        zone.put_page(current, held).await;
    }
    current.kernel().stat.compact_migrate_scanned.add(u64::from(at - bottom));
    (pages, at)
}
