//! `migrate_page_move_mapping`: another page takes a page's place in the cache.
//!
//! Follows mm/migrate.c of v2.6.27.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::{Mutant, PG_PRIVATE, PageRef};

use crate::address_space::AddressSpace;
use crate::freeze::{freeze_unguarded, page_freeze_refs, page_unfreeze_refs};
use crate::radix::Entry;

/// Both pages are locked, and the caller has a reference to each; `old` is mapped nowhere. False if somebody else has a reference to
/// it: nothing has changed then. True: lookups find `new`, which says whose it is as `old` does, and is not up to date yet; the cache's
/// reference to `old` is gone.
///
/// A, B and C are those of a removal ([`crate::find_get_page`]).
///
///  1. lock the tree;
///  2. check that the old page is in its slot, and that only the cache, the caller and its buffers have references;
///  3. A: freeze its count: from here on no lookup takes a reference to a page that nobody else sees any more;
///  4. take the cache's reference to the new page, and set its mapping and index;
///  5. B: store the new page in the slot;
///  6. C: thaw the old page;
///  7. put the cache's reference to the old page, which is not the last one;
///  8. unlock the tree.
pub async fn migrate_page_move_mapping(cx: &Context, mapping: &AddressSpace, old: Pfn, new: Pfn) -> bool {
    let zone = mapping.zone();
    let words = zone.memory.words(old);
    mapping.check_page_locked(cx, old);
    let tree = mapping.lock_tree(cx).await; // 1
    let index = mapping.page_index(cx, old).await;
    let buffers = i32::from(words.flags().test_bit(cx, PG_PRIVATE).await);
    let expected = 2 + buffers;
    let slot = mapping.tree.lookup_slot(cx, mapping.nodes(), index).await;
    let there = match slot {
        Some(slot) => slot.load(cx).await == Entry::Item(old),
        None => false,
    };
    // 2
    if !there || words.count().read_once(cx).await != expected {
        cx.mark("migrate_page_move_mapping:referenced");
        tree.unlock().await;
        return false;
    }
    // 3
    let frozen = if zone.mutant(Mutant::CheckThenRemove) {
        freeze_unguarded(cx, zone, old, expected).await // MUTANT check-then-remove
    } else {
        page_freeze_refs(cx, zone, old, expected).await
    };
    if !frozen {
        cx.mark("migrate_page_move_mapping:frozen-too-late");
        tree.unlock().await;
        return false;
    }
    zone.memory.get_page(cx, new).await.into_pfn(); // 4
    mapping.claim(cx, new, index).await;
    slot.expect("the page is there").replace(cx, new).await; // 5
    page_unfreeze_refs(cx, zone, old, expected).await; // 6
    let held = PageRef::counted(cx, old).into_pfn();
    zone.put_page_testzero(cx, held).await; // 7
    tree.unlock().await; // 8
    true
}

/// The last part, when the contents are copied: `old` says no more that it is in the cache.
pub async fn migrate_page_left(cx: &Context, mapping: &AddressSpace, old: Pfn) {
    mapping.disclaim(cx, old).await;
}
