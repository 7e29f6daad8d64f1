//! `remove_from_page_cache`: a locked page leaves its file, whatever its count.

use pagewalk_engine::{Context, Held};
use pagewalk_mmu::Pfn;

use crate::address_space::AddressSpace;

/// Takes the page, which the caller has locked, out of the cache. The cache's reference is the caller's to drop.
///
///  1. check that the page is locked;
///  2. lock the tree;
///  3. B of a removal ([`crate::find_get_page`]), without an A: lookups may take references meanwhile;
///  4. unlock the tree.
pub async fn remove_from_page_cache(cx: &Context, mapping: &AddressSpace, pfn: Pfn) {
    mapping.check_page_locked(cx, pfn); // 1
    let tree = mapping.lock_tree(cx).await; // 2
    __remove_from_page_cache(cx, mapping, pfn, &tree).await; // 3
    tree.unlock().await; // 4
}

/// The same if `may` says so under `tree_lock`; `then` comes before the lock is released. A lookup takes no lock: it may come
/// between the answer and the deletion.
pub async fn remove_from_page_cache_if(
    cx: &Context,
    mapping: &AddressSpace,
    pfn: Pfn,
    may: impl AsyncFnOnce() -> bool,
    then: impl AsyncFnOnce(),
) -> bool {
    mapping.check_page_locked(cx, pfn);
    let tree = mapping.lock_tree(cx).await;
    let removes = may().await;
    if removes {
        __remove_from_page_cache(cx, mapping, pfn, &tree).await;
        then().await;
    }
    tree.unlock().await;
    removes
}

/// B, under `tree_lock`; of the swap cache `__delete_from_swap_cache`. What looks at the mapping or at `nrpages` without the lock
/// sees the states between.
///
///  1. empty the slot and clear its tags: from here on lookups do not find the page;
///  2. clear the page's mapping: it is nobody's;
///  3. lower `nrpages`;
///  4. check that nobody maps the page;
///  5. leave `PG_dirty` as it is: it means nothing any more.
pub(crate) async fn __remove_from_page_cache(
    cx: &Context,
    mapping: &AddressSpace,
    pfn: Pfn,
    tree: &impl Held,
) {
    debug_assert!(tree.exclusive(), "readers remove nothing");
    let index = mapping.page_index(cx, pfn).await;
    let deleted = mapping.tree.delete(cx, tree, mapping.nodes(), index, mapping.zone()).await; // 1
    mapping.check_removed(cx, pfn, index, deleted);
    mapping.disclaim(cx, pfn).await; // 2
    mapping.note_removed(pfn);
    mapping.nrpages().write_once(cx, mapping.nrpages().get(tree) - 1).await; // 3
    mapping.check_unmapped(cx, pfn); // 4, 5
}
