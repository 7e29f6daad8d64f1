//! `lock_page` and the waits for a page's bits. Only with a reference to the page.
//!
//! Follows mm/filemap.c of v2.6.27. The lock belongs to the page's place: who holds it keeps the page from
//! being read, truncated, mapped by a fault, and taken out of its tree. It does not keep others from looking
//! it up, storing to it or unmapping it.
//!
//! The step of each stands where its caller does, so that a schedule shows the path and not the helper.

use std::future::Future;

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::{Mutant, PG_LOCKED, PG_WRITEBACK, Zone};

/// `lock_page`: sleeps until the lock is free, and takes it.
#[track_caller]
pub fn lock_page<'a>(cx: &'a Context, zone: &'a Zone, pfn: Pfn) -> impl Future<Output = ()> + use<'a> {
    zone.memory.words(pfn).flags().lock_bit(cx, PG_LOCKED)
}

/// `trylock_page`: takes the lock if it is free; true if it was.
#[track_caller]
pub fn trylock_page<'a>(cx: &'a Context, zone: &'a Zone, pfn: Pfn) -> impl Future<Output = bool> + use<'a> {
    let was_locked = zone.memory.words(pfn).flags().test_and_set_bit(cx, PG_LOCKED);
    async move { !was_locked.await }
}

/// `unlock_page`: releases the lock and wakes who waits for it.
#[track_caller]
pub fn unlock_page<'a>(cx: &'a Context, zone: &'a Zone, pfn: Pfn) -> impl Future<Output = ()> + use<'a> {
    let was_locked = zone.memory.words(pfn).flags().unlock_bit(cx, PG_LOCKED);
    async move {
        if !was_locked.await {
            cx.engine().violation(
                "I23",
                format!(
                    "{} unlocks {pfn:?}, which is not locked: expected to be locked by who unlocks it",
                    cx.id()
                ),
            );
        }
    }
}

/// `wait_on_page_locked`: sleeps until the lock is free, without taking it.
pub async fn wait_on_page_locked(cx: &Context, zone: &Zone, pfn: Pfn) {
    // When this returns somebody else may have the lock again: what was to be read is read, and no more is
    // said.
    zone.memory.words(pfn).flags().wait_on_bit(cx, PG_LOCKED).await;
}

/// `wait_on_page_writeback`: sleeps until the page is under no writeback.
pub async fn wait_on_page_writeback(cx: &Context, zone: &Zone, pfn: Pfn) {
    let flags = zone.memory.words(pfn).flags();
    // A wake is for whoever waits at this page's hash bucket, and it may be late: the bit is read again after
    // each (R32).
    if zone.mutant(Mutant::WritebackWakeOnce) {
        return flags.sleep_on_bit(cx, PG_WRITEBACK).await; // MUTANT writeback-wake-once
    }
    flags.wait_on_bit(cx, PG_WRITEBACK).await;
}
