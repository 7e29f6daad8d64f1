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
pub(crate) async fn do_fork(current: &Task) -> Rc<Mm> {
    let kernel = current.kernel();
    let parent = current.mm();
    let mmap_sem = parent.mmap_sem.down_write(current).await;
    let child = Mm::alloc(kernel, current).await;
    child.join_group(parent.group.get());
    let child_sem = child.mmap_sem.down_write_nested(current).await;
    kernel.probe().fork_begins(&parent, &child);
    let areas: Vec<Rc<Vma>> = parent.areas.get(&mmap_sem).iter().cloned().collect();
    for vma in areas {
        let copy = Rc::new(Vma::clone(&vma));
        child.areas.get_mut(&child_sem).insert(Rc::clone(&copy));
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
        let child_ptl = target.ptl(current).await;
        let parent_ptl = source.lock(current).lock_nested(current).await;
        while address < end && copy_one_pte(current, fork, (target, source), address, &mut prealloc).await {
            address = Vaddr(address.0 + BASE_PAGE_BYTES);
        }
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
        swap_duplicate(current, &kernel.swap, entry).await;
        if !kernel.mutant(Mutant::SwapoffMissesMm) {
            // Before the entry can be seen in the child's tables.
            kernel.mmlist_add(current, child).await;
        }
        kernel.stat.nr_swap_ptes.add(1);
    }
    if let Some((pfn, true)) = pte.migration_entry() {
        pte = Pte::migration(pfn, false);
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
        let Some(new) = prealloc.take() else { return false };
        copy_present_page(current, fork, target, address, (pte.pfn(), new)).await; // 2
        return true;
    }
    if pte.is_writable() {
        pte = word.modify(current, |pte| pte.writable(false)).await.writable(false); // 3. ptep_set_wrprotect
    }
    let page: PageRef<'_> = zone.memory.get_page(current, pte.pfn()).await; // 4
    page_dup_rmap(current, page.pfn()).await;
    fork.child.add_rss(page_kind(current, fork.vma, page.pfn()).await);
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
