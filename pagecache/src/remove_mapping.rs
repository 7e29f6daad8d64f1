//! `remove_mapping`: a page leaves the cache only if the cache and the caller are all who have it.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::{Fix, Mutant, PG_DIRTY, PageRef};

use crate::address_space::AddressSpace;
use crate::freeze::{freeze_unguarded, page_freeze_refs, page_unfreeze_refs};
use crate::remove_from_page_cache::__remove_from_page_cache;

/// The references of a page that may go: the cache's and the caller's.
const EXPECTED: i32 = 2;

/// Takes a page out of the cache that the caller has locked, has one reference to, and that is mapped nowhere. True: it is out,
/// and its count is 0, to be freed or unfrozen by the caller. False: somebody else has it, or it is dirty.
///
///  1. check that the page is locked;
///  2. lock the tree;
///  3. A: freeze the count, if it is 2;
///  4. thaw a dirty page: it stays;
///  5. B: take the page out of the tree;
///  6. leave the count at 0: C is the caller's.
pub async fn __remove_mapping(cx: &Context, mapping: &AddressSpace, pfn: Pfn) -> bool {
    let zone = mapping.zone();
    let kernel = zone.switches();
    let words = zone.memory.words(pfn);
    mapping.check_page_locked(cx, pfn); // 1
    let tree = mapping.lock_tree(cx).await; // 2
    // 3. A: no lookup can take a reference from here on. Before the dirty flag is read: whoever dirtied the page and has
    // gone by now did so before giving back its reference.
    let lockless = kernel.has(Fix::LocklessLookup);
    let alone = if !lockless {
        words.count().read_once(cx).await == EXPECTED // lookups take the lock too (2.6.22)
    } else if zone.mutant(Mutant::CheckThenRemove) {
        freeze_unguarded(cx, zone, pfn, EXPECTED).await // MUTANT check-then-remove
    } else {
        page_freeze_refs(cx, zone, pfn, EXPECTED).await
    };
    if !alone {
        cx.mark("__remove_mapping:referenced");
        tree.unlock().await;
        return false;
    }
    // 4
    if words.flags().test_bit(cx, PG_DIRTY).await {
        cx.mark("__remove_mapping:dirty");
        if lockless && !zone.mutant(Mutant::FreezeLeakDirty) {
            page_unfreeze_refs(cx, zone, pfn, EXPECTED).await; // MUTANT freeze-leak-dirty leaves it frozen
        }
        mapping.check_not_frozen(cx, pfn);
        tree.unlock().await;
        return false;
    }
    __remove_from_page_cache(cx, mapping, pfn, &tree).await; // 5. B
    tree.unlock().await;
    if !lockless {
        words.count().fetch_add(cx, -EXPECTED).await; // nobody can find it any more
    }
    true // 6
}

/// [`__remove_mapping`], after which the caller has its reference as before.
pub async fn remove_mapping(cx: &Context, mapping: &AddressSpace, page: &PageRef<'_>) -> bool {
    let removed = __remove_mapping(cx, mapping, page.pfn()).await;
    if removed {
        page_unfreeze_refs(cx, mapping.zone(), page.pfn(), 1).await; // C
    }
    removed
}
