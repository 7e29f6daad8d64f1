//! `invalidate_complete_page2`: a page must leave the cache, whoever has references to it.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::{PG_DIRTY, PageRef};

use crate::address_space::AddressSpace;
use crate::remove_from_page_cache::__remove_from_page_cache;

/// Takes a page, which the caller has locked and that has no buffers, out of the cache and drops the cache's reference.
/// False if it is dirty: then it stays. The count is ignored on purpose: reclaim and batches may have references.
///
///  1. check that the page is locked;
///  2. lock the tree;
///  3. leave a dirty page where it is;
///  4. B of a removal ([`crate::find_get_page`]), without an A;
///  5. unlock the tree;
///  6. put the cache's reference.
pub async fn invalidate_complete_page2(cx: &Context, mapping: &AddressSpace, pfn: Pfn) -> bool {
    let zone = mapping.zone();
    mapping.check_page_locked(cx, pfn); // 1
    let tree = mapping.lock_tree(cx).await; // 2
    if zone.memory.words(pfn).flags().test_bit(cx, PG_DIRTY).await {
        cx.mark("invalidate_complete_page2:dirty");
        tree.unlock().await; // 3
        return false;
    }
    __remove_from_page_cache(cx, mapping, pfn, &tree).await; // 4
    tree.unlock().await; // 5
    zone.put_page(cx, PageRef::counted(cx, pfn)).await; // 6
    true
}
