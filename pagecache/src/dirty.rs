//! Dirty pages: the flag first, then the tag under `tree_lock`.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::PG_DIRTY;

use crate::address_space::AddressSpace;
use crate::radix::Tag;

/// `__set_page_dirty_nobuffers`: true if the page was clean.
///
///  1. set the flag: if it was set already there is nothing to do;
///  2. lock the tree;
///  3. set the tag, if the page is still this file's;
///  4. unlock the tree.
pub async fn set_page_dirty_nobuffers(cx: &Context, mapping: &AddressSpace, pfn: Pfn) -> bool {
    let words = mapping.zone().memory.words(pfn);
    if words.flags().test_and_set_bit(cx, PG_DIRTY).await {
        return false; // 1
    }
    mapping.note_dirty(pfn, 1);
    let tree = mapping.lock_tree(cx).await; // 2
    if mapping.owns(cx, pfn).await {
        let index = mapping.page_index(cx, pfn).await;
        mapping.tree.tag_set(cx, &tree, mapping.nodes(), index, Tag::Dirty).await; // 3
    } else {
        cx.mark("set_page_dirty:truncated");
    }
    tree.unlock().await; // 4
    true
}

/// The last act of `clear_page_dirty_for_io`, and `cancel_dirty_page`: takes the flag; true if it was there. The tag stays:
/// whoever writes the page, or finds that there is nothing to write, puts it right.
pub async fn test_clear_page_dirty(cx: &Context, mapping: &AddressSpace, pfn: Pfn) -> bool {
    let dirty = mapping.zone().memory.words(pfn).flags().test_and_clear_bit(cx, PG_DIRTY).await;
    if dirty {
        mapping.note_dirty(pfn, -1);
    }
    dirty
}
