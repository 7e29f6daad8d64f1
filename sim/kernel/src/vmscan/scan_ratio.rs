//! `get_scan_ratio`: how much of the lists of anonymous pages and of pages of files is looked at.
//!
//! Follows mm/vmscan.c of v2.6.28.

use pagewalk_pages::{LruList, LruVec};

/// What the ratio depends on beside the lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    /// `vm_swappiness`, 0 to 100.
    pub(super) swappiness: u64,
    /// Whether there is a free page in a swap area.
    pub(super) swap_left: bool,
    /// Free frames, and `pages_high`; not asked for the limit of a group.
    pub(super) free: Option<(u64, u64)>,
}

/// Percent of the pages of anonymous lists, and of file lists, that a look at all lists looks at.
///
/// A list whose pages are found in use when they are looked at (rotated) is looked at less. What was learnt long ago counts for less
/// and less: it is halved when it is more than a quarter of the list.
pub(super) fn get_scan_ratio(lru: &mut LruVec, pressure: Pressure) -> [u64; 2] {
    if !pressure.swap_left {
        return [0, 100];
    }
    let anon = lru.len(LruList::ActiveAnon) + lru.len(LruList::InactiveAnon);
    let file = lru.len(LruList::ActiveFile) + lru.len(LruList::InactiveFile);
    if pressure.free.is_some_and(|(free, high)| file + free <= high) {
        return [100, 0]; // with very few pages of files left, anonymous ones must go
    }
    for (kind, pages) in [anon, file].into_iter().enumerate() {
        if lru.recent_scanned[kind] > pages / 4 {
            lru.recent_scanned[kind] /= 2;
            lru.recent_rotated[kind] /= 2;
        }
    }
    let preference = [pressure.swappiness, 200 - pressure.swappiness];
    let weight = |kind: usize| {
        (preference[kind] + 1) * (lru.recent_scanned[kind] + 1) / (lru.recent_rotated[kind] + 1)
    };
    let (ap, fp) = (weight(0), weight(1));
    let percent = 100 * ap / (ap + fp + 1);
    [percent, 100 - percent]
}

#[cfg(test)]
mod tests {
    use pagewalk_mmu::Pfn;
    use pagewalk_pages::PhysicalMemory;

    use super::*;

    fn lists(anon: u32, file: u32) -> LruVec {
        let memory = PhysicalMemory::new(1024, false).expect("possible");
        let mut lru = LruVec::default();
        (1..=anon).for_each(|pfn| lru.add(&memory, Pfn(pfn), LruList::InactiveAnon));
        (1..=file).for_each(|pfn| lru.add(&memory, Pfn(anon + pfn), LruList::InactiveFile));
        lru
    }

    const PRESSURE: Pressure = Pressure { swappiness: 60, swap_left: true, free: Some((10, 50)) };

    #[test]
    fn without_swap_only_files_are_looked_at_and_without_files_only_what_is_anonymous() {
        let none_left = Pressure { swap_left: false, ..PRESSURE };
        assert_eq!(get_scan_ratio(&mut lists(100, 1), none_left), [0, 100]);
        assert_eq!(get_scan_ratio(&mut lists(100, 40), PRESSURE), [100, 0]);
    }

    #[test]
    fn swappiness_decides_until_one_kind_is_found_in_use() {
        assert_eq!(get_scan_ratio(&mut lists(100, 100), PRESSURE), [30, 70]);
        let even = Pressure { swappiness: 100, ..PRESSURE };
        assert_eq!(get_scan_ratio(&mut lists(100, 100), even), [49, 51]);
        let mut busy_files = lists(100, 100);
        busy_files.recent_scanned = [20, 20];
        busy_files.recent_rotated = [0, 20];
        assert_eq!(get_scan_ratio(&mut busy_files, PRESSURE), [90, 10]);
    }

    #[test]
    fn what_was_learnt_fades() {
        let mut lru = lists(100, 100);
        lru.recent_scanned = [26, 25];
        lru.recent_rotated = [10, 10];
        get_scan_ratio(&mut lru, PRESSURE);
        assert_eq!((lru.recent_scanned, lru.recent_rotated), ([13, 25], [5, 10]));
    }
}
