//! `shrink_zone`: one round over the lists.

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
async fn shrink_zone(current: &Task, group: u16, priority: u32, sc: &mut ScanControl) {
    let mut left = nr_to_scan(current, group, priority, sc).await;
    while left.iter().enumerate().any(|(list, &pages)| list != LruList::ActiveAnon as usize && pages > 0) {
        for list in LruList::ALL {
            let pages = left[list as usize].min(SWAP_CLUSTER_MAX);
            if pages > 0 {
                left[list as usize] -= pages;
                shrink_list(current, (group, list), pages, sc).await;
            }
        }
        current.cond_resched().await;
    }
    // Also where no anonymous page is to go: their two lists are kept in balance.
    if inactive_anon_is_low(current, group) {
        shrink_active_list(current, (group, LruList::ActiveAnon), SWAP_CLUSTER_MAX).await;
    }
}

/// How many pages of each list are looked at. What is too little for a round is remembered for the next.
async fn nr_to_scan(current: &Task, group: u16, priority: u32, sc: &ScanControl) -> [u64; LruList::COUNT] {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    let pressure = Pressure {
        swappiness: u64::from(kernel.config().swappiness),
        swap_left: kernel.swap.nr_swap_pages() > 0,
        free: match sc.group {
            Some(_) => None,
            None => Some((u64::from(zone.nr_free_pages()), u64::from(zone.watermarks().high))),
        },
    };
    let held = zone.lock_lru(current).await;
    let wanted = zone.with_lru_of(&held, group, |lru: &mut LruVec| {
        let percent = get_scan_ratio(lru, pressure);
        LruList::ALL.map(|list| {
            let mut scan = lru.len(list);
            // In the last round every page is looked at, whatever was learnt about its kind.
            if priority > 0 {
                scan = (scan >> priority) * percent[usize::from(list.is_file())] / 100;
            }
            lru.nr_scan[list as usize] += scan;
            let due = lru.nr_scan[list as usize];
            if due >= SWAP_CLUSTER_MAX || priority == 0 {
                lru.nr_scan[list as usize] = 0;
                due.min(lru.len(list))
            } else {
                0
            }
        })
    });
    zone.unlock_lru(current, held).await;
    wanted
}

/// `shrink_list`.
async fn shrink_list(current: &Task, (group, list): (u16, LruList), pages: u64, sc: &mut ScanControl) {
    match list {
        LruList::ActiveFile => shrink_active_list(current, (group, list), pages).await,
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
    let ratio = if gib > 0 { (10 * gib).isqrt() } else { 1 };
    let (inactive, active) =
        zone.peek_lru(group, |lru| (lru.len(LruList::InactiveAnon), lru.len(LruList::ActiveAnon)));
    inactive * ratio < active
}
