//! `mremap`: a mapping grows, shrinks or moves.
//!
//! Follows mm/mremap.c of v2.6.27 (`do_mremap`, `move_vma`, `move_page_tables`, `move_ptes`).

use std::rc::Rc;

use pagewalk_engine::WriteGuard;
use pagewalk_mmu::{BASE_PAGE_BYTES, Pte, Vaddr, VaddrRange};
use pagewalk_pages::Fix;

use super::Errno;
use super::map::{insert_vma, page_align, user_range};
use super::unmap::unmap_locked;
use crate::mm::{Mm, Table, Vma, alloc_table, find_table, next_boundary, pte_word};
use crate::task::Task;
use crate::tlb::flush_tlb_page;

/// `mremap`: yields where the mapping is now. With `new_start` it moves there (`MREMAP_FIXED`); without, it grows in
/// place if it can and moves if it must (`MREMAP_MAYMOVE`).
///
/// # Errors
/// `EINVAL` for impossible ranges (or a target that overlaps the source), `EFAULT` if the old range is not inside
/// one area, `ENOMEM` if there is no room.
pub(crate) async fn do_mremap(
    current: &Task,
    old_start: Vaddr,
    old_len: u64,
    new_len: u64,
    new_start: Option<Vaddr>,
) -> Result<Vaddr, Errno> {
    let limit = current.kernel().hw.format().user_end();
    let old = user_range(old_start, old_len, limit)?;
    let new_len = page_align(new_len)?;
    let mm = current.mm();
    // No fault of this address space runs beside the move, so nobody maps a page at the new place that is
    // still at the old one. Reclaim, migration, truncation and writeback come by the reverse mapping and take
    // no `mmap_sem`: the locks in `move_ptes` are for those.
    let mmap_sem = mm.mmap_sem.down_write(current).await;
    let moved = remap_locked(current, &mm, &mmap_sem, old, new_len, new_start).await;
    mmap_sem.up_write().await;
    moved
}

/// `do_mremap`, under `mmap_sem`.
///
///  1. check that the old range lies in one area, and apart from the new one;
///  2. unmap what is too much of it;
///  3. grow in place, if that is asked and possible;
///  4. or find a new place, or unmap what is there;
///  5. move.
async fn remap_locked(
    current: &Task,
    mm: &Rc<Mm>,
    mmap_sem: &WriteGuard<'_>,
    old: VaddrRange,
    new_len: u64,
    new_start: Option<Vaddr>,
) -> Result<Vaddr, Errno> {
    let limit = current.kernel().hw.format().user_end();
    let whole = mm.areas.get(mmap_sem).find_vma(old.start()).cloned().ok_or(Errno::Efault)?;
    if whole.range.intersect(old) != Some(old) {
        return Err(Errno::Efault);
    }
    let target = new_start.filter(|&start| start != old.start());
    if let Some(start) = target
        && user_range(start, new_len, limit)?.overlaps(old)
    {
        return Err(Errno::Einval);
    }
    // 2. Before a move: less has to be moved, and an end that is cut off was asked for in any case.
    let mut old = old;
    if new_len < old.len() {
        let kept = VaddrRange::with_len(old.start(), new_len).expect("shorter than the old range");
        let tail = VaddrRange::new(kept.end(), old.end()).expect("the rest of the old range");
        unmap_locked(current, mm, mmap_sem, tail).await;
        old = kept;
    }
    let grows = new_len > old.len();
    if target.is_none() && !grows {
        return Ok(old.start());
    }
    if target.is_none() && can_grow_in_place(mm, mmap_sem, &whole, old, new_len, limit) {
        // 3. With the page indices that follow: the reverse mapping computes addresses from them.
        let tail = VaddrRange::with_len(old.end(), new_len - old.len()).expect("checked to fit");
        let pgoff =
            whole.index_of(whole.range.start()) + (tail.start().0 - whole.range.start().0) / BASE_PAGE_BYTES;
        let grown = Vma { range: tail, pgoff, ..Vma::clone(&whole) };
        current.kernel().probe().mapped(mm, &grown);
        insert_vma(current, mm, mmap_sem, grown, None).await;
        return Ok(old.start());
    }
    // 4. Room for all of the new length: source and target never overlap, or a move would clear PTEs that it has
    // just stored.
    let start = match target {
        Some(start) => start,
        None => mm.areas.get(mmap_sem).unmapped_area(new_len, limit).ok_or(Errno::Enomem)?,
    };
    let new = user_range(start, new_len, limit)?;
    unmap_locked(current, mm, mmap_sem, new).await;
    move_vma(current, mm, mmap_sem, old, new).await;
    Ok(new.start())
}

/// Whether the old range is the end of its area and the addresses behind it are free.
fn can_grow_in_place(
    mm: &Mm,
    mmap_sem: &WriteGuard<'_>,
    vma: &Vma,
    old: VaddrRange,
    new_len: u64,
    limit: Vaddr,
) -> bool {
    let Ok(grown) = user_range(old.start(), new_len, limit) else { return false };
    let tail = VaddrRange::new(old.end(), grown.end()).expect("it grows");
    vma.range.end() == old.end() && mm.areas.get(mmap_sem).overlapping(tail).next().is_none()
}

/// `move_vma`: an area over the new range with the same page indices, then the pages, then the old range goes.
async fn move_vma(current: &Task, mm: &Rc<Mm>, mmap_sem: &WriteGuard<'_>, old: VaddrRange, new: VaddrRange) {
    let vma = mm.areas.get(mmap_sem).find_vma(old.start()).cloned().expect("checked by the caller");
    let pgoff = vma.index_of(old.start());
    let moved = Vma { range: new, pgoff, ..Vma::clone(&vma) };
    current.kernel().probe().mapped(mm, &moved);
    // Before any PTE is moved. While the move lasts both areas are in the reverse mapping: a walk looks at
    // the old and at the new place, and has to see each PTE at one of them (R64).
    insert_vma(current, mm, mmap_sem, moved, None).await;
    current.kernel().probe().move_begins(mm, old, new.start());
    move_page_tables(current, mm, &vma, old, new.start()).await;
    current.kernel().probe().move_ends(mm, old, new.start());
    unmap_locked(current, mm, mmap_sem, old).await;
}

/// The most pages that are moved under one hold of the locks (`LATENCY_LIMIT`).
const LATENCY_PAGES: u64 = 64;

/// `move_page_tables`: the PTEs from their old places to their new ones, at most a table's at a time.
async fn move_page_tables(current: &Task, mm: &Rc<Mm>, vma: &Vma, old: VaddrRange, new_start: Vaddr) {
    let format = *current.kernel().hw.format();
    let mut address = old.start();
    while address < old.end() {
        // With no lock but `mmap_sem`. In between, a part of the pages is at the new place and the rest at
        // the old.
        current.cond_resched().await;
        let from = match find_table(current, mm, address).await {
            Ok(table) => table,
            Err(resume) => {
                address = resume;
                continue;
            }
        };
        let target = Vaddr(new_start.0 + (address.0 - old.start().0));
        // Before the locks, because it sleeps.
        let to = alloc_table(current, mm, target).await;
        let extent = (next_boundary(&format, address, 2).min(old.end()).0 - address.0)
            .min(next_boundary(&format, target, 2).0 - target.0)
            .min(LATENCY_PAGES * BASE_PAGE_BYTES);
        move_ptes(current, mm, vma, (from, address), (to, target), extent).await;
        address = Vaddr(address.0 + extent);
    }
}

/// `move_ptes`: `extent` bytes' worth of PTEs. Each old entry is cleared and flushed before the new one is stored, so that a page is
/// never reachable through both.
///
/// Both PTLs are held, the old one first; of a file also the lock of its index, so that a truncation finds the page in one of the two
/// places, and since Linux 3.8 of anonymous memory that of its reverse mapping. Whether an entry is none is asked under the lock:
/// reclaim and migration clear an entry before they store what it becomes.
///
///  1. lock the index of the file's areas, or the reverse mapping of anonymous memory;
///  2. lock both tables;
///  3. for each entry: clear it at its old place and flush it everywhere;
///  4. store it at its new place;
///  5. unlock everything.
async fn move_ptes(
    current: &Task,
    mm: &Rc<Mm>,
    vma: &Vma,
    (from, address): (Table, Vaddr),
    (to, target): (Table, Vaddr),
    extent: u64,
) {
    let i_mmap = match vma.file() {
        // 1. Truncation zaps under it: in one hold it cannot look at the new place before the PTE gets there, and
        // at the old one after.
        Some(file) => Some(file.inode().i_mmap.lock(current).await), // 1
        None => None,
    };
    let kernel = current.kernel();
    let shared = vma.anon_vma.get();
    // Without it, v2.6.27 lets migration miss an entry between its old and its new place (R64, 108d6642ad81).
    let anon_vma = match &shared {
        Some(anon_vma) if kernel.switches().has(Fix::MovePtesRmapLock) => Some(anon_vma.lock(current).await),
        _ => None,
    };
    // 2. Nobody else takes the PTLs of two tables of one address space, so the order among them is of no
    // concern to others; at fork it is child before parent.
    let old_ptl = from.ptl(current).await; // 2
    let new_ptl = if from == to { None } else { Some(to.lock(current).lock_nested(current).await) };
    for offset in (0..extent).step_by(BASE_PAGE_BYTES as usize) {
        let (address, target) = (Vaddr(address.0 + offset), Vaddr(target.0 + offset));
        let word = pte_word(current, from, address);
        if word.read_once(current).await.is_none() {
            continue;
        }
        // 3. Exchanged, because the hardware may set the dirty bit until it is gone (R28). Flushed before 4 and
        // under the locks: a translation of the old place would outlive the page, once a truncation has zapped it
        // at the new place. From Linux 3.2 to 4.18 one flush follows the locks instead (7b6efc2bc4f1): that is R37.
        let pte = word.xchg(current, Pte::NONE).await; // 3
        flush_tlb_page(current, mm, address).await;
        // 4. Swap and migration entries move like pages. The reference, the mapping and the swap count that
        // belong to the PTE belong to it at its new place; nothing is counted.
        pte_word(current, to, target).write_once(current, pte).await; // 4
    }
    // 5
    if let Some(ptl) = new_ptl {
        ptl.unlock().await;
    }
    old_ptl.unlock().await;
    if let Some(held) = anon_vma {
        held.unlock().await;
    }
    if let Some(held) = i_mmap {
        held.unlock().await;
    }
}
