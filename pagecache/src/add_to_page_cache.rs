//! `add_to_page_cache`: a new page becomes a file's.

use pagewalk_engine::Context;
use pagewalk_pages::{Mutant, PG_LOCKED, PageRef};

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
///  1. lock the page before it can be found: whoever finds it waits until it is read;
///  2. put it into the tree ([`add_to_page_cache_locked`]);
///  3. unlock it if that failed.
///
/// # Errors
/// Where there is a page already, or no memory; the page is as it was.
pub async fn add_to_page_cache(
    cx: &Context,
    page: &PageRef<'_>,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Result<(), AddError> {
    let zone = mapping.zone();
    let flags = zone.memory.words(page.pfn()).flags();
    let late = zone.mutant(Mutant::PublishBeforeInit);
    if !late {
        flags.set_bit(cx, PG_LOCKED).await; // 1
    }
    let added = add_to_page_cache_locked(cx, page, mapping, index).await; // 2
    if late && added.is_ok() {
        flags.set_bit(cx, PG_LOCKED).await; // MUTANT publish-before-init
    }
    if !late && added.is_err() {
        cx.mark("add_to_page_cache:failed");
        flags.clear_bit(cx, PG_LOCKED).await; // 3
    }
    added
}

/// The same for a page that the caller has locked; the lock is not touched, whatever happens.
///
///  1. preload nodes for the tree: nobody waits for memory once the tree is locked;
///  2. take the cache's reference;
///  3. set the page's mapping and index;
///  4. lock the tree;
///  5. store the slot: from here on lookups find the page, and all that they look at is there;
///  6. count the page (`nrpages`);
///  7. or, if the place is taken, undo 3 and 2: nobody has seen the page;
///  8. unlock the tree.
///
/// # Errors
/// Where there is a page already, or no memory; the page is as it was.
pub async fn add_to_page_cache_locked(
    cx: &Context,
    page: &PageRef<'_>,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Result<(), AddError> {
    let late = mapping.zone().mutant(Mutant::PublishBeforeInit);
    // 1
    if !mapping.nodes().preload(cx) {
        cx.mark("add_to_page_cache:no-memory");
        return Err(AddError::NoMemory);
    }
    if !late {
        set_owner(cx, page, mapping, index).await; // 2, 3
    }
    let tree = mapping.lock_tree(cx).await; // 4
    let inserted = mapping.tree.insert(cx, &tree, mapping.nodes(), index, page.pfn()).await; // 5
    if late && inserted.is_ok() {
        set_owner(cx, page, mapping, index).await; // MUTANT publish-before-init: after the page can be found
    }
    if inserted.is_ok() {
        mapping.note_added();
        mapping.nrpages().write_once(cx, mapping.nrpages().get(&tree) + 1).await; // 6
    } else if !late {
        cx.mark("add_to_page_cache:exists"); // 7
        mapping.disclaim(cx, page.pfn()).await;
        mapping.zone().memory.words(page.pfn()).count().fetch_add(cx, -1).await;
    }
    tree.unlock().await; // 8
    inserted.map_err(|error| match error {
        Occupied::Exists => AddError::Exists,
        Occupied::NoMemory => AddError::NoMemory,
    })
}

/// The cache's reference, and whose page it is.
async fn set_owner(cx: &Context, page: &PageRef<'_>, mapping: &AddressSpace, index: PageIndex) {
    mapping.zone().memory.get_page(cx, page.pfn()).await.into_pfn(); // 2
    mapping.claim(cx, page.pfn(), index).await; // 3
}
