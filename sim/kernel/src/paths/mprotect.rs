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
    insert_vma(current, mm, mmap_sem, changed.clone(), Some(vma)).await;
    change_protection(current, mm, range, &changed).await;
}

/// `change_protection`: every PTE of the range gets the new protection, then every TLB forgets the old one.
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
    flush_tlb_range(current, mm, range).await;
}

/// `pte_modify`: a private page never becomes writable here; its next write fault decides whether to copy. A page of a file
/// does if nobody has to be told of the next store, because the page is dirty already or nothing is behind the file.
fn pte_modify(pte: Pte, vma: &Vma) -> Pte {
    let writable = vma.maps_writable() || (vma.wants_writenotify() && pte.is_dirty());
    pte.writable(writable).executable(vma.prot.exec).user(vma.prot.any())
}
