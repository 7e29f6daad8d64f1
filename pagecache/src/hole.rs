//! Looks at the tree that take no reference: is a page there, and where is the next that is not.
//!
//! Follows lib/radix-tree.c of v2.6.27 (`radix_tree_next_hole`) and its callers in mm/readahead.c.

use pagewalk_engine::Context;
use pagewalk_pages::Fix;

use crate::address_space::{AddressSpace, PageIndex};

/// Whether there is a page at `index` (`radix_tree_lookup` under RCU, as readahead asks). It may be gone when this returns.
pub async fn page_is_cached(cx: &Context, mapping: &AddressSpace, index: PageIndex) -> bool {
    if !mapping.zone().switches().has(Fix::LocklessLookup) {
        let tree = mapping.read_lock_tree(cx).await;
        let found = mapping.tree.lookup_slot(cx, mapping.nodes(), index).await.is_some();
        tree.unlock().await;
        return found;
    }
    // Steps 2 and 3 of a lookup are for the page. Here only the slot is of interest, which RCU keeps.
    let rcu = cx.rcu_read_lock().await;
    let found = mapping.tree.lookup_slot(cx, mapping.nodes(), index).await.is_some();
    rcu.unlock().await;
    found
}

/// `radix_tree_next_hole`: the first index from `index` on without a page, or the one behind the `most` looked at; `None` if the
/// indexes end before.
pub async fn next_hole(
    cx: &Context,
    mapping: &AddressSpace,
    index: PageIndex,
    most: u64,
) -> Option<PageIndex> {
    let mut next = index;
    // A section for each index: pages may appear and go between two looks, and readahead reads one too many
    // then.
    for _ in 0..most {
        if !page_is_cached(cx, mapping, next).await {
            break;
        }
        next = next.checked_add(1)?;
    }
    Some(next)
}
