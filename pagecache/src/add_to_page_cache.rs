//! `add_to_page_cache`: a new page becomes a file's.

use pagewalk_engine::Context;
use pagewalk_mmu::{Mutant, PG_LOCKED, PageRef};

use crate::address_space::{AddressSpace, PageIndex};
use crate::radix::Occupied;

/// Why a page was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// Another page is at this index (`-EEXIST`).
    Exists,
    /// There is no memory for a node of the tree (`-ENOMEM`).
    NoMemory,
}

/// Adds a page that nobody else knows at `index`: it is locked before anybody can find it, and stays locked. The caller keeps
/// its reference.
///
///  1. lock the page; 2. add it; 3. unlock it if that failed; 4. done.
///
/// # Errors
/// Where there is a page already, or no memory; the page is as it was.
pub async fn add_to_page_cache(
    cx: &Context,
    page: &PageRef<'_>,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Result<(), AddError> {
    let hw = mapping.hw();
    let flags = hw.memory.words(page.pfn()).flags();
    let late = hw.mutant(Mutant::PublishBeforeInit);
    if !late {
        flags.set_bit(cx, PG_LOCKED).await; // 1. before it is found: who finds it waits until it is read
    }
    let added = add_to_page_cache_locked(cx, page, mapping, index).await; // 2
    if late && added.is_ok() {
        flags.set_bit(cx, PG_LOCKED).await; // MUTANT publish-before-init
    }
    if !late && added.is_err() {
        cx.mark("add_to_page_cache:failed");
        flags.clear_bit(cx, PG_LOCKED).await; // 3
    }
    added // 4
}

/// The same for a page that the caller has locked; the lock is not touched, whatever happens.
///
///  1. nodes for the insertion; 2. the cache's reference; 3, 4. the page says whose it is, and where;
///  5. lock the tree; 6. publish the page; 7. count it; 8. or undo 2 to 4, if the place is taken; 9. unlock the tree.
///
/// # Errors
/// Where there is a page already, or no memory; the page is as it was.
pub async fn add_to_page_cache_locked(
    cx: &Context,
    page: &PageRef<'_>,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Result<(), AddError> {
    let late = mapping.hw().mutant(Mutant::PublishBeforeInit);
    // 1. Nodes for the insertion, before the lock: with it there is no waiting for memory.
    if !mapping.nodes().preload(cx) {
        cx.mark("add_to_page_cache:no-memory");
        return Err(AddError::NoMemory);
    }
    if !late {
        set_owner(cx, page, mapping, index).await; // 2, 3, 4
    }
    let tree = mapping.lock_tree(cx).await; // 5
    // 6. From this store on lookups find the page: all that they look at is there.
    let inserted = mapping.tree.insert(cx, &tree, mapping.nodes(), index, page.pfn()).await;
    if late && inserted.is_ok() {
        set_owner(cx, page, mapping, index).await; // MUTANT publish-before-init: after the page can be found
    }
    if inserted.is_ok() {
        mapping.note_added();
        mapping.nrpages().write_once(cx, mapping.nrpages().get(&tree) + 1).await; // 7
    } else if !late {
        // 8. Nobody has seen it.
        cx.mark("add_to_page_cache:exists");
        mapping.disclaim(cx, page.pfn()).await;
        mapping.hw().memory.words(page.pfn()).count().fetch_add(cx, -1).await;
    }
    tree.unlock().await; // 9
    inserted.map_err(|error| match error {
        Occupied::Exists => AddError::Exists,
        Occupied::NoMemory => AddError::NoMemory,
    })
}

/// The cache's reference, and whose page it is.
async fn set_owner(cx: &Context, page: &PageRef<'_>, mapping: &AddressSpace, index: PageIndex) {
    mapping.hw().memory.get_page(cx, page.pfn()).await.into_pfn(); // 2. owned by the slot
    mapping.claim(cx, page.pfn(), index).await; // 3, 4
}
