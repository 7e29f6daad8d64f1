//! `mark_page_accessed`: somebody has used a page other than through a PTE.
//!
//! Follows mm/swap.c of v2.6.27.

use pagewalk_pages::{PG_ACTIVE, PG_LRU, PG_REFERENCED, PageRef};

use crate::task::Task;

/// An unreferenced page becomes a referenced one, a referenced one on an inactive list an active one.
pub(crate) async fn mark_page_accessed(current: &Task, page: &PageRef<'_>) {
    let kernel = current.kernel();
    let flags = kernel.zone.memory.words(page.pfn()).flags();
    let seen = flags.read_once(current).await;
    let is = |bit: u8| seen >> bit & 1 == 1;
    if !is(PG_REFERENCED) {
        flags.set_bit(current, PG_REFERENCED).await;
    } else if !is(PG_ACTIVE) && is(PG_LRU) {
        if kernel.zone.activate_page(current, page.pfn()).await {
            kernel.stat.pgactivate.add(1);
        }
        flags.clear_bit(current, PG_REFERENCED).await;
    }
}
