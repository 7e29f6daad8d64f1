//! `unmap_mapping_range`: pages of a file leave every address space that maps them.
//!
//! Follows mm/memory.c of v2.6.27.

use std::rc::Rc;

use pagewalk_engine::SpinGuard;
use pagewalk_mmu::{BASE_SHIFT, Vaddr, VaddrRange};

use super::zap::{ZapDetails, zap_page_range};
use crate::fs::Inode;
use crate::mm::Mapped;
use crate::task::Task;

/// Pages that are unmapped before the path looks whether it should let others run (`ZAP_BLOCK_SIZE`).
const ZAP_BLOCK: u64 = 1024;

/// Unmaps pages `first..=last` of the file everywhere; with `even_cows` also the private copies of them.
///
///  1. lock the index of areas: none of them goes meanwhile, and none of their tables;
///  2. give the truncation a number, by which areas that are done are known;
///  3. zap each area's part of the range; the flush comes before the lock is released.
///
/// No `mmap_sem` is taken: faults go on meanwhile, and it is the page lock that keeps them from mapping a page which leaves
/// the cache.
pub(crate) async fn unmap_mapping_range(
    current: &Task,
    inode: &Rc<Inode>,
    first: u64,
    last: u64,
    even_cows: bool,
) {
    let i_mmap = &inode.i_mmap;
    let details = (!even_cows).then(|| ZapDetails { check_mapping: inode.mapping.page_mapping() });
    let mut held = i_mmap.lock(current).await; // 1
    let count = i_mmap.next_truncation(&held); // 2
    let mut interrupted = None;
    while let Some(area) = i_mmap.next_to_unmap(&held, first, last, count) {
        let from = interrupted.filter(|&(place, _)| place == area.place).map_or(first, |(_, resume)| resume);
        let stopped = unmap_area(current, &area, (from, last), details).await; // 3
        interrupted = stopped.map(|resume| (area.place, resume));
        if stopped.is_none() {
            i_mmap.unmapped(&held, &area, count);
        }
        if current.need_resched() {
            held = reschedule(current, inode, held).await;
        }
    }
    held.unlock().await;
}

/// Lets others run, without the lock: the area may be gone afterwards, so the search begins anew.
async fn reschedule<'a>(current: &'a Task, inode: &'a Rc<Inode>, held: SpinGuard<'a>) -> SpinGuard<'a> {
    held.unlock().await;
    current.cond_resched().await;
    inode.i_mmap.lock(current).await
}

/// `unmap_mapping_range_vma`: one area's part of the range. If others want to run it stops, and yields the page from which
/// to go on.
///
/// v2.6.27 notes that in the area, where another truncation finds it and goes on from there too, though pages may have
/// been mapped since (2aa15890f3c1 closes that). Here who was interrupted keeps it for itself.
async fn unmap_area(
    current: &Task,
    area: &Mapped,
    (first, last): (u64, u64),
    details: Option<ZapDetails>,
) -> Option<u64> {
    let Mapped { mm, vma, .. } = area;
    let kernel = current.kernel();
    let pages = vma.range.len() >> BASE_SHIFT;
    let mut at = first.saturating_sub(vma.pgoff);
    let end = (last - vma.pgoff).saturating_add(1).min(pages);
    while at < end {
        let stop = (at + ZAP_BLOCK).min(end);
        let place = |page: u64| Vaddr(vma.range.start().0 + (page << BASE_SHIFT));
        let part = VaddrRange::new(place(at), place(stop)).expect("a part of the area");
        let copies_go = details.is_none() && !vma.shared;
        if copies_go {
            kernel.probe().discard_begins(mm, part);
        }
        zap_page_range(current, mm, vma, part, details).await;
        if copies_go {
            kernel.probe().discard_ends(mm, part);
        }
        at = stop;
        if at < end && current.need_resched() {
            return Some(vma.pgoff + at);
        }
    }
    None
}
