//! `fork`: a child with a copy-on-write copy of the address space.
//!
//! Follows kernel/fork.c (`dup_mmap`) and mm/memory.c (`copy_page_range`, `copy_one_pte`) of v2.6.27, with `copy_present_page` of 5.9.

use std::rc::Rc;

use pagewalk_engine::Word;
use pagewalk_mmu::{BASE_PAGE_BYTES, Pfn, Pte, Vaddr};
use pagewalk_pages::{Fix, Mutant, PageRef};
use pagewalk_swap::{SwapEntry, swap_duplicate};

use super::fault::vma_pte;
use super::rmap::{page_add_new_anon_rmap, page_dup_rmap, page_kind};
use crate::mm::{
    Mm, PageKind, Table, Vma, alloc_table, anon_vma_link, find_table, next_boundary, pte_word, vma_link_file,
};
use crate::task::Task;
use crate::tlb::flush_tlb_mm;

/// `fork` as far as memory goes: yields the child's address space, with one user.
///
///  1. lock the parent's address space, and the child's;
///  2. for each area, make the child's and put it into the reverse mapping;
///  3. copy the PTEs of areas that have had anonymous pages;
///  4. flush the parent's TLBs;
///  5. unlock both.
pub(crate) async fn do_fork(current: &Task) -> Rc<Mm> {
    let kernel = current.kernel();
    let parent = current.mm();
    // 1. No fault of the parent adds or copies a page while its tables are read. Its other threads run on,
    // and store through PTEs that are writable still.
    let mmap_sem = parent.mmap_sem.down_write(current).await;
    let child = Mm::alloc(kernel, current).await;
    child.join_group(parent.group.get());
    // Nobody else has the child. But swapoff finds it by mmlist, from the first swap entry on, and waits
    // here.
    let child_sem = child.mmap_sem.down_write_nested(current).await;
    kernel.probe().fork_begins(&parent, &child);
    let areas: Vec<Rc<Vma>> = parent.areas.get(&mmap_sem).iter().cloned().collect();
    for vma in areas {
        let copy = Rc::new(Vma::clone(&vma));
        child.areas.get_mut(&child_sem).insert(Rc::clone(&copy));
        // 2. Before the PTEs: a walk of the reverse mapping that begins now finds the child's, as soon as
        // they are there.
        vma_link_file(current, &child, &copy).await;
        anon_vma_link(current, &child, &copy).await;
        // Without anonymous pages there is nothing that a fault would not bring back from the file.
        if vma.anon_vma.get().is_some() {
            copy_page_range(current, &Fork { child: &child, parent: &parent, vma: &vma, copy: &copy }).await;
        }
    }
    let heap = *parent.heap.get(&mmap_sem);
    *child.heap.get_mut(&child_sem) = heap;
    // The parent lost write permission: no CPU may keep it once fork returns.
    // 4. Once, for all areas. Until then threads of the parent may store through old translations; the child,
    // which must not see it any more, does not run before fork returns (I20).
    flush_tlb_mm(current, &parent).await;
    kernel.probe().fork_ends(&parent, &child);
    child_sem.up_write().await;
    mmap_sem.up_write().await;
    kernel.stat.forks.add(1);
    child
}

/// `clone(CLONE_VM)`: one more thread lives in the address space.
pub(crate) async fn do_clone(current: &Task) -> Rc<Mm> {
    let mm = current.mm();
    mm.add_user(current).await;
    current.kernel().stat.clones.add(1);
    mm
}

/// One area on its way from parent to child.
struct Fork<'a> {
    child: &'a Rc<Mm>,
    parent: &'a Mm,
    /// The parent's area, and the child's copy of it.
    vma: &'a Vma,
    copy: &'a Vma,
}

/// `copy_page_range`: the parent's page tables of one area, into the child's.
async fn copy_page_range(current: &Task, fork: &Fork<'_>) {
    let format = *current.kernel().hw.format();
    let range = fork.vma.range;
    let mut address = range.start();
    while address < range.end() {
        match find_table(current, fork.parent, address).await {
            Err(resume) => address = resume,
            Ok(source) => {
                let end = next_boundary(&format, address, 2).min(range.end());
                // Before the PTLs, because it sleeps.
                let target = alloc_table(current, fork.child, address).await;
                copy_pte_range(current, fork, (target, source), address, end).await;
                address = end;
            }
        }
    }
}

/// `copy_pte_range`: both PTLs are held, the child's outside.
///
/// Where a page must be copied at once, the page for the copy is allocated without them, and the PTE is looked at anew: it may have
/// changed, and the page may not be needed any more.
async fn copy_pte_range(
    current: &Task,
    fork: &Fork<'_>,
    (target, source): (Table, Table),
    start: Vaddr,
    end: Vaddr,
) {
    let kernel = current.kernel();
    let mut prealloc = None;
    let mut address = start;
    while address < end {
        // Child before parent is the lock order. The parent's keeps reclaim and migration from changing an
        // entry between the look at it and its copy; the child's keeps them from the copy.
        let child_ptl = target.ptl(current).await;
        let parent_ptl = source.lock(current).lock_nested(current).await;
        while address < end && copy_one_pte(current, fork, (target, source), address, &mut prealloc).await {
            address = Vaddr(address.0 + BASE_PAGE_BYTES);
        }
        // Between here and the next hold the rest of the parent's entries may change: `copy_one_pte` begins
        // with a new look.
        parent_ptl.unlock().await;
        child_ptl.unlock().await;
        if address < end && prealloc.is_none() {
            prealloc = Some(kernel.alloc_page(current, "a copy of a pinned page").await);
        }
    }
    if let Some(page) = prealloc {
        kernel.zone.put_page(current, page).await;
    }
}

/// The same of a PTE that is not present: a swap entry has one user more; a migration entry that allowed stores allows none, in
/// parent and child, so that the page comes back copied on write.
async fn copy_swap_pte(
    current: &Task,
    child: &Rc<Mm>,
    (target, source, mut pte): (Table, Word<'_, Pte>, Pte),
    address: Vaddr,
) {
    let kernel = current.kernel();
    if let Some(entry) = pte.swap_entry().and_then(SwapEntry::from_word) {
        // 1. Under the parent's PTL, so its PTE has a count and the entry is not freed. Counted before the
        // child's PTE is stored: two PTEs with one count lose the entry at the first swap-in (R56, I11).
        swap_duplicate(current, &kernel.swap, entry).await;
        if !kernel.mutant(Mutant::SwapoffMissesMm) {
            // Before the entry can be seen in the child's tables.
            // swapoff looks for owners along mmlist, and with nobody left but this child would search for
            // ever (R61).
            kernel.mmlist_add(current, child).await;
        }
        kernel.stat.nr_swap_ptes.add(1);
    }
    if let Some((pfn, true)) = pte.migration_entry() {
        pte = Pte::migration(pfn, false);
        // The migration ends with PTEs as its entries say: writable in parent and child, the page would be
        // shared for storing (I29). The walk that ends it waits for these PTLs.
        source.write_once(current, pte).await;
    }
    pte_word(current, target, address).write_once(current, pte).await;
}

/// `copy_one_pte`, for a private area: both entries become read-only, and the page has one more user. False (`-EAGAIN`) if a copy is
/// needed, and a page for it. When all are copied the parent's TLBs are flushed: the parent has lost permissions.
///
///  1. count one more user of a swap entry, and put the child on mmlist before the entry can be seen in its tables;
///  2. copy a page that a device is filling at once (70e806e4e645, Linux 5.9);
///  3. take the parent's permission to store, by a locked operation: the hardware may set the dirty bit at any time;
///  4. take a reference for the child's PTE, and count its mapping;
///  5. store the child's PTE.
async fn copy_one_pte<'a>(
    current: &'a Task,
    fork: &Fork<'_>,
    (target, source): (Table, Table),
    address: Vaddr,
    prealloc: &mut Option<PageRef<'a>>,
) -> bool {
    let zone = &current.kernel().zone;
    let word = pte_word(current, source, address);
    let mut pte = word.read_once(current).await;
    if pte.is_none() {
        return true;
    }
    if !pte.is_present() {
        copy_swap_pte(current, fork.child, (target, word, pte), address).await; // 1
        return true;
    }
    if page_needs_cow_for_dma(current, fork, pte.pfn()).await {
        // 2. A device's pin is to a frame. If the parent copied at its next store, it would go on with
        // another frame than the device.
        let Some(new) = prealloc.take() else { return false };
        copy_present_page(current, fork, target, address, (pte.pfn(), new)).await; // 2
        return true;
    }
    // 3. In both before the child's is stored. What TLBs of the parent still allow is flushed at the end of
    // fork.
    if pte.is_writable() {
        pte = word.modify(current, |pte| pte.writable(false)).await.writable(false); // 3. ptep_set_wrprotect
    }
    // 4. The parent's PTE has a reference while its lock is held, so this one is not from 0.
    let page: PageRef<'_> = zone.memory.get_page(current, pte.pfn()).await; // 4
    page_dup_rmap(current, page.pfn()).await;
    fork.child.add_rss(page_kind(current, fork.vma, page.pfn()).await);
    // 5. Not used by the child yet. Its dirty bit goes along: either PTE may be the last to tell.
    pte_word(current, target, address).write_once(current, pte.accessed(false)).await; // 5
    page.into_pfn(); // the reference is the child's PTE's now
    true
}

/// `page_needs_cow_for_dma`, of anonymous pages: whether a device may be filling it. It has been pinned under the PTL, which is held,
/// if at all.
async fn page_needs_cow_for_dma(current: &Task, fork: &Fork<'_>, pfn: Pfn) -> bool {
    let zone = &current.kernel().zone;
    zone.switches().has(Fix::ForkCopiesPinned)
        && fork.parent.has_pinned(current.engine())
        && page_kind(current, fork.vma, pfn).await == PageKind::Anon
        && zone.page_maybe_dma_pinned(current, pfn).await
}

/// `copy_present_page` (70e806e4e645): the child gets a copy at once. The parent's entry stays as it is, writable, so that no store moves
/// the parent away from the page that the device fills.
async fn copy_present_page(
    current: &Task,
    fork: &Fork<'_>,
    target: Table,
    address: Vaddr,
    (pfn, new): (Pfn, PageRef<'_>),
) {
    let kernel = current.kernel();
    kernel.zone.memory.copy_page(current, pfn, new.pfn()).await;
    current.charge(kernel.hw.costs().copy_page);
    page_add_new_anon_rmap(current, new.pfn(), fork.copy, address).await;
    fork.child.add_rss(PageKind::Anon);
    let entry = vma_pte(new.into_pfn(), fork.copy.prot).dirty(true);
    pte_word(current, target, address).write_once(current, entry).await;
}
