//! `migration_entry_wait`: who meets a page that is moving waits for it.
//!
//! Follows mm/migrate.c of v2.6.27.

use pagewalk_engine::SpinGuard;
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::wait_on_page_locked;
use pagewalk_pages::PageRef;

use crate::paths::Fault;
use crate::task::Task;

/// Sleeps until the page that a migration entry names has moved. The fault is tried again then.
///
///  1. check, under the PTL, that the entry still names the page;
///  2. take a reference, unless the count is 0: the page may be frozen at this moment;
///  3. unlock the PTL;
///  4. sleep until the page is unlocked;
///  5. put the reference.
pub(crate) async fn migration_entry_wait(current: &Task, fault: &Fault<'_>, ptl: SpinGuard<'_>, pfn: Pfn) {
    let zone = &current.kernel().zone;
    let still =
        fault.pte(current).read_once(current).await.migration_entry().is_some_and(|(of, _)| of == pfn); // 1
    let held = still && zone.memory.words(pfn).count().inc_not_zero(current).await; // 2
    ptl.unlock().await; // 3
    if held {
        current.mark("migration_entry_wait:waits");
        wait_on_page_locked(current, zone, pfn).await; // 4
        zone.put_page(current, PageRef::counted(current, pfn)).await; // 5
    }
}
