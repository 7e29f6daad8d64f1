//! `shrink_zone`: one round over the lists.
//!
//! Follows mm/vmscan.c of v2.6.28 (`shrink_zones`, `shrink_zone`, `shrink_list`, `inactive_anon_is_low`). v2.6.27
//! has one active and one inactive list, and no ratio between kinds.

use pagewalk_pages::{LruList, LruVec};

use super::scan_ratio::{Pressure, get_scan_ratio};
use super::shrink_active_list::shrink_active_list;
use super::shrink_inactive_list::shrink_inactive_list;
use super::{SWAP_CLUSTER_MAX, ScanControl};
use crate::task::Task;

/// `shrink_zones`: every memory group's lists, or those of the one whose limit is reached.
pub(super) async fn shrink_zones(current: &Task, priority: u32, sc: &mut ScanControl) {
    let groups = match sc.group {
        Some(group) => group..group + 1,
        None => 0..u16::try_from(current.kernel().zone.nr_groups()).expect("fewer than 2^16 groups"),
    };
    for group in groups {
        shrink_zone(current, group, priority, sc).await;
    }
}

/// `shrink_zone`: of each list the part that the priority says, 32 pages of one list after 32 of another.
///
///  1. decide how many pages of each list are looked at;
///  2. look at a batch of each in turn, until all of that was looked at;
///  3. keep the two lists of anonymous pages in balance.
async fn shrink_zone(current: &Task, group: u16, priority: u32, sc: &mut ScanControl) {
    // 1. From here on the numbers are looks that are due, not pages that exist: other reclaimers, allocations
    // and programs change every list while this round sleeps.
    let mut left = nr_to_scan(current, group, priority, sc).await;
    // 2. The active list of anonymous pages alone does not keep the round going: nothing is freed from there.
    while left.iter().enumerate().any(|(list, &pages)| list != LruList::ActiveAnon as usize && pages > 0) {
        // In turn, so that no list has all its pages looked at before another has its first.
        for list in LruList::ALL {
            let pages = left[list as usize].min(SWAP_CLUSTER_MAX);
            if pages > 0 {
                left[list as usize] -= pages;
                shrink_list(current, (group, list), pages, sc).await;
            }
        }
        current.cond_resched().await;
    }
    // 3. An inactive list that ran dry would leave the next round nothing to choose from. Also where no anonymous
    // page is to go: their two lists are kept in balance.
    if inactive_anon_is_low(current, group) {
        shrink_active_list(current, (group, LruList::ActiveAnon), SWAP_CLUSTER_MAX).await;
    }
}

/// How many pages of each list are looked at. What is too little for a round is remembered for the next.
async fn nr_to_scan(current: &Task, group: u16, priority: u32, sc: &ScanControl) -> [u64; LruList::COUNT] {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    // Hints, read without a lock: they may be old when the lists are looked at.
    let pressure = Pressure {
        swappiness: u64::from(kernel.config().swappiness),
        swap_left: kernel.swap.nr_swap_pages() > 0,
        // A group at its limit reclaims while the machine may have plenty.
        free: match sc.group {
            Some(_) => None,
            None => Some((u64::from(zone.nr_free_pages()), u64::from(zone.watermarks().high))),
        },
    };
    // In one hold, so that lengths and sums of the four lists fit together. Linux locks only to halve the
    // sums.
    let held = zone.lock_lru(current).await;
    let wanted = zone.with_lru_of(&held, group, |lru: &mut LruVec| {
        let percent = get_scan_ratio(lru, pressure);
        LruList::ALL.map(|list| {
            let mut scan = lru.len(list);
            // In the last round every page is looked at, whatever was learnt about its kind.
            if priority > 0 {
                scan = (scan >> priority) * percent[usize::from(list.is_file())] / 100;
            }
            // A short list is due less than a batch in an early round. The rest adds up until a batch is
            // worth a hold of the lock.
            lru.nr_scan[list as usize] += scan;
            let due = lru.nr_scan[list as usize];
            if due >= SWAP_CLUSTER_MAX || priority == 0 {
                lru.nr_scan[list as usize] = 0;
                // The sum may stem from a time when the list was longer.
                due.min(lru.len(list))
            } else {
                0
            }
        })
    });
    zone.unlock_lru(current, held).await;
    wanted
}

/// `shrink_list`: an active list loses pages to its inactive list, an inactive list to the free pages.
async fn shrink_list(current: &Task, (group, list): (u16, LruList), pages: u64, sc: &mut ScanControl) {
    match list {
        // A page read once comes in at the inactive list and never gets here. Since 2.6.31 only while this
        // list is the longer one (56e49d218890).
        LruList::ActiveFile => shrink_active_list(current, (group, list), pages).await,
        // Each look asks PTEs and flushes TLBs, so no more are deactivated than reclaim is about to need.
        LruList::ActiveAnon if inactive_anon_is_low(current, group) => {
            shrink_active_list(current, (group, list), pages).await;
        }
        list => shrink_inactive_list(current, (group, list), pages, sc).await,
    }
}

/// `inactive_anon_is_low`: fewer inactive than active pages; on a machine of more than a GiB the inactive ones may be fewer, by the
/// root of ten times its GiB.
fn inactive_anon_is_low(current: &Task, group: u16) -> bool {
    let zone = &current.kernel().zone;
    let gib = u64::from(zone.memory.frames()) >> 18;
    // 1 GiB: 3 active pages to an inactive one; 10 GiB: 10; 100 GiB: 31. An inactive list has to be long
    // enough for a use to be noticed, and no longer.
    let ratio = if gib > 0 { (10 * gib).isqrt() } else { 1 };
    // Without the lock: the answer moves a batch now or in the next round.
    let (inactive, active) =
        zone.peek_lru(group, |lru| (lru.len(LruList::InactiveAnon), lru.len(LruList::ActiveAnon)));
    inactive * ratio < active
}
