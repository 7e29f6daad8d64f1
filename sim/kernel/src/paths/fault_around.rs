//! `do_fault_around`: a read fault maps what is cached around it, too.
//!
//! Follows mm/memory.c and mm/filemap.c (`filemap_map_pages`) of Linux 3.15 (8c6e50b0290c, f1820361f83d); v2.6.27 maps one
//! page for each fault.

use std::rc::Rc;

use pagewalk_mmu::{BASE_SHIFT, Vaddr};
use pagewalk_pagecache::{find_get_pages, trylock_page, unlock_page};
use pagewalk_pages::{PG_READAHEAD, PG_UPTODATE, PageRef};

use super::fault::Fault;
use super::file_fault::file_pte;
use super::rmap::page_add_file_rmap;
use crate::fs::{File, ReadaheadState, pages_of};
use crate::mm::{PageKind, pte_word};
use crate::task::Task;

/// `do_fault_around`: maps the pages of the aligned block around the fault that are cached, up to date, and locked
/// by nobody. True if the fault's own is among them, or somebody has mapped it.
///
///  1. collect the cached pages of the block, each with a reference;
///  2. lock the PTL;
///  3. map those that may be mapped;
///  4. look whether the fault's own is mapped now;
///  5. unlock the PTL;
///  6. put the references that no PTE has taken over.
pub(crate) async fn do_fault_around(current: &Task, fault: &Fault<'_>, file: &Rc<File>) -> bool {
    let (first, last) = block(current, fault);
    let wanted = usize::try_from(last - first + 1).expect("at most one table of entries");
    // 1. Before the PTL: the lookups go round where a count is frozen. 3.15 walks the tree with the PTL held.
    let pages = find_get_pages(current, &file.inode().mapping, first, wanted).await;
    let ptl = fault.lock(current).await;
    let mut unused = Vec::new();
    for page in pages {
        if let Some(page) = map_page(current, fault, file, page, last).await {
            unused.push(page);
        }
    }
    // 4. Whoever has mapped it: the program's next try finds out whether that is enough.
    let mapped = !fault.pte(current).read_once(current).await.is_none();
    ptl.unlock().await;
    // 6. Without the PTL, because a last reference frees the page, which takes two locks more.
    for page in unused {
        current.kernel().zone.put_page(current, page).await;
    }
    mapped
}

/// The file's pages of the block: inside the area and inside one table.
fn block(current: &Task, fault: &Fault<'_>) -> (u64, u64) {
    let kernel = current.kernel();
    let table = u64::from(kernel.hw.format().entries());
    let size = kernel.config().fault_around_pages.min(table);
    // A power of two, so that a block never reaches over the end of a table.
    let bytes = (1 << size.ilog2()) << BASE_SHIFT;
    let area = fault.vma.range;
    let start = Vaddr(fault.address.0 & !(bytes - 1)).max(area.start());
    let end = Vaddr((fault.address.0 | (bytes - 1)) + 1).min(area.end());
    (fault.vma.index_of(start), fault.vma.index_of(end) - 1)
}

/// Maps one page if it may be: its reference is the PTE's then. Holds the PTL, and so only tries to lock the page.
async fn map_page<'a>(
    current: &'a Task,
    fault: &Fault<'_>,
    file: &Rc<File>,
    page: PageRef<'a>,
    last: u64,
) -> Option<PageRef<'a>> {
    let (zone, inode) = (&current.kernel().zone, file.inode());
    let words = zone.memory.words(page.pfn());
    let flags = words.flags().read_once(current).await;
    // A page with the readahead mark needs a fault of its own: that is what begins the next window.
    if flags & 1 << PG_UPTODATE == 0 || flags & 1 << PG_READAHEAD != 0 {
        return Some(page);
    }
    // The page lock comes before the PTL in the lock order: here it can only be tried.
    if !trylock_page(current, zone, page.pfn()).await {
        return Some(page);
    }
    // With the page locked, as in `filemap_fault`: a truncation shrinks the file first and takes this lock to
    // remove the page. Without the look at the size the PTE would stay beyond the end (R21, I26).
    let index = words.index().read_once(current).await;
    let ours = words.mapping().read_once(current).await == inode.mapping.page_mapping() && index <= last;
    let inside = ours && index < pages_of(inode.i_size().read_once(current).await);
    let word = fault.vma.address_of(index).map(|address| pte_word(current, fault.table, address));
    let mut left = Some(page);
    if inside
        && let Some(word) = word
        // None: neither another thread's PTE nor a private copy in swap, nor a migration entry.
        && word.read_once(current).await.is_none()
        && let Some(page) = left.take()
    {
        // What is mapped so is never missed: without this, a hundred blocks would end all reading around.
        let ra = file.ra.get();
        file.ra.set(ReadaheadState { mmap_miss: ra.mmap_miss.saturating_sub(1), ..ra });
        fault.mm.add_rss(PageKind::File);
        page_add_file_rmap(current, page.pfn()).await;
        word.write_once(current, file_pte(page.pfn(), fault.vma, false)).await;
        unlock_page(current, zone, page.into_pfn()).await;
        return None;
    }
    let page = left.expect("it was not mapped");
    unlock_page(current, zone, page.pfn()).await;
    Some(page)
}
