//! `mprotect`: what a program may do with a range.
//!
//! Follows mm/mprotect.c of v2.6.27 (`mprotect_fixup`, `change_protection`).

use std::rc::Rc;

use pagewalk_engine::WriteGuard;
use pagewalk_mmu::{PageSize, Pte, Vaddr, VaddrRange};

use super::Errno;
use super::map::{insert_vma, split_vma, user_range};
use crate::mm::{Mm, Prot, Vma, find_table, next_boundary, pte_word};
use crate::task::Task;
use crate::tlb::flush_tlb_range;

/// `mprotect`.
///
/// # Errors
/// `EINVAL` for an unaligned range, `ENOMEM` if part of it is not mapped (nothing is changed then).
pub(crate) async fn mprotect(current: &Task, start: Vaddr, len: u64, prot: Prot) -> Result<(), Errno> {
    if len == 0 && start.is_aligned(PageSize::BASE) {
        return Ok(());
    }
    let range = user_range(start, len, current.kernel().hw.format().user_end())?;
    let mm = current.mm();
    // Faults wait. Reclaim, writeback and the hardware do not: PTEs change under their PTL only, and by
    // exchange.
    let mmap_sem = mm.mmap_sem.down_write(current).await;
    let covered = mm.areas.get(&mmap_sem).covers(range);
    if covered {
        let inside: Vec<Rc<Vma>> = mm.areas.get(&mmap_sem).overlapping(range).cloned().collect();
        for vma in inside.iter().filter(|vma| vma.prot != prot) {
            let part = vma.range.intersect(range).expect("it overlaps");
            mprotect_fixup(current, &mm, &mmap_sem, part, prot).await;
        }
    }
    mmap_sem.up_write().await;
    if covered { Ok(()) } else { Err(Errno::Enomem) }
}

/// `mprotect_fixup`: `range`, inside one area with another protection, becomes an area of its own, or part of its neighbours.
async fn mprotect_fixup(
    current: &Task,
    mm: &Rc<Mm>,
    mmap_sem: &WriteGuard<'_>,
    range: VaddrRange,
    prot: Prot,
) {
    split_vma(current, mm, mmap_sem, range.start()).await;
    split_vma(current, mm, mmap_sem, range.end()).await;
    let vma = mm.areas.get(mmap_sem).find_vma(range.start()).cloned().expect("the range is mapped");
    let changed = Vma { prot, ..Vma::clone(&vma) };
    // The area before its PTEs: a fault that comes after all of this decides by the area.
    insert_vma(current, mm, mmap_sem, changed.clone(), Some(vma)).await;
    change_protection(current, mm, range, &changed).await;
}

/// `change_protection`: every PTE of the range gets the new protection, then every TLB forgets the old one.
///
///  1. lock a table;
///  2. exchange each PTE for none, and store it with the new protection;
///  3. unlock the table;
///  4. flush the range everywhere, once for all tables.
async fn change_protection(current: &Task, mm: &Rc<Mm>, range: VaddrRange, vma: &Vma) {
    let format = *current.kernel().hw.format();
    let mut address = range.start();
    while address < range.end() {
        let table = match find_table(current, mm, address).await {
            Ok(table) => table,
            Err(resume) => {
                address = resume;
                continue;
            }
        };
        let end = next_boundary(&format, address, 2).min(range.end());
        // 1. Writeback that comes between the two stores of 2 waits here, or passes over what looks like no
        // entry, if it does not lock (R27).
        let ptl = table.ptl(current).await;
        for at in VaddrRange::new(address, end).expect("a part of the range").addresses() {
            let word = pte_word(current, table, at);
            let seen = word.read_once(current).await;
            if let Some((pfn, true)) = seen.migration_entry() {
                // The page comes back read-only: the next store decides.
                word.write_once(current, Pte::migration(pfn, false)).await;
            } else if seen.is_present() {
                // ptep_modify_prot_start: with the entry gone the hardware cannot set dirty in what is thrown away.
                let old = word.xchg(current, Pte::NONE).await;
                word.write_once(current, pte_modify(old, vma)).await;
            }
        }
        ptl.unlock().await;
        address = end;
    }
    // 4. Until then other CPUs may use the old permission. What they store is not lost, as the page stays
    // mapped; but it has to be over when the call returns (I20).
    flush_tlb_range(current, mm, range).await;
}

/// `pte_modify`: a private page never becomes writable here; its next write fault decides whether to copy. A page of a file
/// does if nobody has to be told of the next store, because the page is dirty already or nothing is behind the file.
fn pte_modify(pte: Pte, vma: &Vma) -> Pte {
    let writable = vma.maps_writable() || (vma.wants_writenotify() && pte.is_dirty());
    pte.writable(writable).executable(vma.prot.exec).user(vma.prot.any())
}
