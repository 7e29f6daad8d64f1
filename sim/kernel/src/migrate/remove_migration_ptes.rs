//! `remove_migration_ptes`: the entries that stood in for a page while it moved become PTEs again.

use pagewalk_mmu::{Pfn, Pte};
use pagewalk_pages::Fix;

use crate::mm::PageKind;
use crate::paths::{
    Place, page_add_anon_rmap, page_add_file_rmap, page_check_address, page_kind, rmap_walk_unmapped, vma_pte,
};
use crate::task::Task;

/// Every migration entry for `old` maps `new` from now on (the same page, if it could not move). Both are locked, or the one.
pub(super) async fn remove_migration_ptes(current: &Task, old: Pfn, new: Pfn) {
    rmap_walk_unmapped(current, new, async |place| {
        remove_migration_pte(current, &place, old, new).await;
        true
    })
    .await;
}

/// One place. v2.6.27 looks without the lock first whether there is an entry at all; mremap may be moving it at this moment.
///
///  1. find the entry and lock its table;
///  2. take the PTE's reference;
///  3. store the PTE;
///  4. count the mapping;
///  5. unlock.
async fn remove_migration_pte(current: &Task, place: &Place, old: Pfn, new: Pfn) {
    let kernel = current.kernel();
    let always = kernel.switches().has(Fix::MigrationPteLocked);
    let stands_in = |pte: Pte| pte.migration_entry().is_some_and(|(pfn, _)| pfn == old);
    let Some((ptl, word, pte)) = page_check_address(current, place, always, stands_in).await else { return }; // 1
    let write = pte.migration_entry().is_some_and(|(_, write)| write);
    kernel.zone.memory.get_page(current, new).await.into_pfn(); // 2
    let entry = vma_pte(new, place.vma.prot).writable(write);
    word.write_once(current, entry).await; // 3
    let kind = page_kind(current, &place.vma, new).await;
    place.mm.add_rss(kind);
    // 4
    match kind {
        PageKind::Anon => page_add_anon_rmap(current, new, &place.vma, place.address).await,
        PageKind::File => page_add_file_rmap(current, new).await,
    }
    ptl.unlock().await; // 5
}
