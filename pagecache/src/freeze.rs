//! `page_freeze_refs`: the count goes from what it must be to 0 in one act, and nobody takes a reference until it is back.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::Zone;

/// A: freezes a count of exactly `expected` ([`crate::find_get_page`]). False if it is anything else; then nothing has changed.
pub async fn page_freeze_refs(cx: &Context, zone: &Zone, pfn: Pfn, expected: i32) -> bool {
    zone.memory.words(pfn).count().cmpxchg(cx, expected, 0).await.is_ok()
}

/// A, as two steps: a comparison, and then a store of 0. Right as long as nobody takes a reference between them; the reference
/// of whoever does is lost.
pub(crate) async fn freeze_unguarded(cx: &Context, zone: &Zone, pfn: Pfn, expected: i32) -> bool {
    let count = zone.memory.words(pfn).count();
    if count.read_once(cx).await != expected {
        return false;
    }
    count.write_once(cx, 0).await;
    true
}

/// C: a frozen count becomes `count` (at least 1). A plain store, as nobody else changes a count of 0.
pub async fn page_unfreeze_refs(cx: &Context, zone: &Zone, pfn: Pfn, count: i32) {
    check_frozen(cx, zone, pfn, count);
    zone.memory.words(pfn).count().store_release(cx, count).await;
}

/// I6, for observers: what is unfrozen is frozen.
fn check_frozen(cx: &Context, zone: &Zone, pfn: Pfn, count: i32) {
    let found = zone.memory.words(pfn).count().observe();
    if found != 0 || count < 1 {
        cx.engine()
            .violation("I6", format!("{pfn:?} is unfrozen to {count} and its count was {found}, not 0"));
    }
}
