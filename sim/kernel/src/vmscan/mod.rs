//! Reclaim: which pages go when memory is short, and how.
//!
//! Follows mm/vmscan.c of v2.6.27 (the steps and locks of every path), with the LRU lists of anonymous pages and of pages of files
//! apart, and scanned in proportion, as since 2.6.28. Each memory group has lists of its own.

mod direct;
mod kswapd;
mod pageout;
mod scan_ratio;
mod shrink_active_list;
mod shrink_inactive_list;
mod shrink_page_list;
mod shrink_zone;

pub(crate) use direct::{reclaim_pages, shrink_all, try_to_free_mem_cgroup_pages, try_to_free_pages};
pub(crate) use shrink_page_list::{Owner, page_mapping};

/// Pages of one round of reclaim (`SWAP_CLUSTER_MAX`).
pub(crate) const SWAP_CLUSTER_MAX: u64 = 32;
/// The first priority: a 4096th of each list is looked at (`DEF_PRIORITY`).
pub(crate) const DEF_PRIORITY: u32 = 12;

/// `struct scan_control`: what a reclaim is after, and how far it has come.
#[derive(Debug)]
pub(crate) struct ScanControl {
    /// The group whose limit is reached; `None`: memory is short, and all groups give.
    pub(crate) group: Option<u16>,
    /// Whether kswapd reclaims.
    pub(crate) kswapd: bool,
    /// Pages taken off an inactive list, or met there while they were being freed, in all rounds.
    pub(crate) nr_scanned: u64,
    /// Pages freed, in all rounds: what the caller compares with what it wants.
    pub(crate) nr_reclaimed: u64,
}

impl ScanControl {
    fn new(group: Option<u16>, kswapd: bool) -> Self {
        Self { group, kswapd, nr_scanned: 0, nr_reclaimed: 0 }
    }
}
