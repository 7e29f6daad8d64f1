//! `__do_fault`: the first touch of a page of a file.
//!
//! Follows mm/memory.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{Pfn, Pte};
use pagewalk_pagecache::unlock_page;
use pagewalk_pages::{Fix, PageRef};

use super::fault::{Fault, Resolved, vma_pte};
use super::fault_around::do_fault_around;
use super::filemap_fault::filemap_fault;
use super::rmap::{page_add_file_rmap, page_add_new_anon_rmap};
use crate::check::FileTicket;
use crate::fs::{File, InodeKind, balance_dirty_pages, set_page_dirty};
use crate::mm::{PageKind, Vma, anon_vma_prepare};
use crate::task::Task;
use crate::user::Signal;

/// `do_linear_fault`: no page is mapped at the address, whose area has a file behind it.
pub(crate) async fn do_linear_fault(
    current: &Task,
    fault: &Fault<'_>,
    file: &Rc<File>,
) -> Result<Resolved, Signal> {
    // A store needs a page of its own, or its page marked dirty: one at a time.
    if !fault.write
        && current.kernel().config().fault_around_pages > 1
        && do_fault_around(current, fault, file).await
    {
        return Ok(Resolved::FileMinor);
    }
    do_fault(current, fault, file).await
}

/// `__do_fault`.
///
///  1. the page, locked: nobody truncates it until it is unlocked;
///  2. a store to a private area copies it;
///  3. lock the PTL; if somebody was faster, back out;
///  4. store the PTE, and count the mapping;
///  5. unlock the PTL;
///  6. mark a page that is stored to dirty, and unlock it, in this order: v2.6.27 unlocks first, and a truncation comes
///     between.
async fn do_fault(current: &Task, fault: &Fault<'_>, file: &Rc<File>) -> Result<Resolved, Signal> {
    let kernel = current.kernel();
    let index = fault.vma.index_of(fault.address);
    let (page, major) = filemap_fault(current, file, index, fault.vma.advice).await?; // 1
    let pfn = page.pfn();
    // 2. With the page locked, so of a page that is in the file, and up to date. Before the PTL, because it
    // allocates.
    let copy = match fault.write && !fault.vma.shared {
        true => Some(copy_of(current, fault, pfn).await), // 2
        false => None,
    };
    // 3. Inside the page lock: truncation shrinks the file, unmaps, and then locks each page. So it either
    // waits for us and unmaps what we map, or we have seen the new end (R20, R21).
    let ptl = fault.lock(current).await; // 3
    if !fault.pte(current).read_once(current).await.is_none() {
        current.mark("__do_fault:somebody-was-faster");
        ptl.unlock().await;
        unlock_page(current, &kernel.zone, pfn).await;
        if let Some((copy, _)) = copy {
            kernel.zone.put_page(current, copy).await;
        }
        kernel.zone.put_page(current, page).await;
        return Ok(Resolved::Spurious);
    }
    if let Some((copy, ticket)) = copy {
        // The file's page gets no mapping: it is only a lookup's reference that we put.
        map_copy(current, fault, copy, &ticket).await; // 4
        ptl.unlock().await; // 5
        unlock_page(current, &kernel.zone, pfn).await;
        kernel.zone.put_page(current, page).await;
    } else {
        // PTE before map count, as in v2.6.27: for a step the count is one too small, which only holders of
        // the PTL can see (I13).
        fault.mm.add_rss(PageKind::File);
        fault.pte(current).write_once(current, file_pte(pfn, fault.vma, fault.write)).await; // 4
        page_add_file_rmap(current, pfn).await;
        // The PTE has the reference of the lookup. Who marks the page dirty has one of its own.
        page.into_pfn();
        // Before the PTL is released: a zap may take the PTE, and its reference, right afterwards.
        let dirty_page = match fault.write {
            true => Some(kernel.zone.memory.get_page(current, pfn).await),
            false => None,
        };
        ptl.unlock().await; // 5
        unlock_and_dirty(current, pfn, dirty_page).await; // 6
    }
    Ok(match (major, file.inode().kind()) {
        (true, InodeKind::Disk) => Resolved::FileMajor,
        (true, InodeKind::Shmem) => Resolved::SwapMajor,
        (false, _) => Resolved::FileMinor,
    })
}

/// Step 6.
async fn unlock_and_dirty(current: &Task, pfn: Pfn, dirty_page: Option<PageRef<'_>>) {
    let zone = &current.kernel().zone;
    let before = zone.switches().has(Fix::DirtyBeforeUnlock);
    // Unlocked and not dirty yet, the page has a writable PTE that a writeback or a truncation may clean: a
    // flag set after that is set on a clean page, or on one that is in no file.
    if dirty_page.is_some() && before {
        set_page_dirty(current, pfn).await;
    }
    unlock_page(current, zone, pfn).await;
    if let Some(page) = dirty_page {
        if !before {
            set_page_dirty(current, pfn).await;
        }
        zone.put_page(current, page).await;
        // Without any page lock: see there.
        balance_dirty_pages(current).await;
    }
}

/// A private copy of the page, which is locked, and the ticket that says since when it may have been made.
async fn copy_of<'a>(current: &'a Task, fault: &Fault<'_>, from: Pfn) -> (PageRef<'a>, FileTicket) {
    let kernel = current.kernel();
    anon_vma_prepare(current, fault.mm, fault.mmap_sem, fault.vma).await;
    let copy = kernel.alloc_page(current, "a private copy of a file's page").await;
    let ticket = kernel.probe().file_op_begin();
    kernel.zone.memory.copy_page(current, from, copy.pfn()).await;
    current.charge(kernel.hw.costs().copy_page);
    (copy, ticket)
}

/// Step 4, for a private copy. Holds the PTL.
async fn map_copy(current: &Task, fault: &Fault<'_>, copy: PageRef<'_>, ticket: &FileTicket) {
    fault.mm.add_rss(PageKind::Anon);
    let copy = copy.into_pfn();
    let entry = vma_pte(copy, fault.vma.prot).accessed(true).dirty(true);
    fault.pte(current).write_once(current, entry).await;
    current.kernel().probe().private_copy(fault.mm, fault.address, ticket);
    page_add_new_anon_rmap(current, copy, fault.vma, fault.address).await;
}

/// `mk_pte` of a file's page: writable only for a store to a shared area, or where nobody wants to be told of stores.
pub(crate) fn file_pte(pfn: Pfn, vma: &Vma, write: bool) -> Pte {
    let writable = write || vma.maps_writable();
    vma_pte(pfn, vma.prot).writable(writable).accessed(true).dirty(write)
}
