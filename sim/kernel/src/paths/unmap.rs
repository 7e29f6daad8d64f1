//! `do_munmap`: mappings go, with their pages and tables.
//!
//! Follows mm/mmap.c of v2.6.27 (`do_munmap`, `unmap_region`).

use std::rc::Rc;

use pagewalk_engine::{Held, WriteGuard};
use pagewalk_mmu::{Vaddr, VaddrRange};

use super::Errno;
use super::gather::MmuGather;
use super::map::{split_vma, user_range};
use super::zap::Zap;
use crate::mm::{Mm, Vma, anon_vma_unlink, free_pgtables, unlink_file_vma};
use crate::shmem::shmem_delete_inode;
use crate::task::Task;

/// `munmap`.
///
/// # Errors
/// `EINVAL` for a range that is empty, unaligned or not a program's.
pub(crate) async fn do_munmap(current: &Task, start: Vaddr, len: u64) -> Result<(), Errno> {
    let limit = current.kernel().hw.format().user_end();
    let range = user_range(start, len, limit).map_err(|_| Errno::Einval)?;
    let mm = current.mm();
    let mmap_sem = mm.mmap_sem.down_write(current).await;
    unmap_locked(current, &mm, &mmap_sem, range).await;
    mmap_sem.up_write().await;
    Ok(())
}

/// `do_munmap`. Holds `mmap_sem` for writing.
pub(crate) async fn unmap_locked(current: &Task, mm: &Rc<Mm>, mmap_sem: &WriteGuard<'_>, range: VaddrRange) {
    if mm.areas.get(mmap_sem).overlapping(range).next().is_none() {
        return;
    }
    split_vma(current, mm, mmap_sem, range.start()).await;
    split_vma(current, mm, mmap_sem, range.end()).await;
    let gone: Vec<Rc<Vma>> = mm.areas.get(mmap_sem).overlapping(range).cloned().collect();
    {
        let mut areas = mm.areas.get_mut(mmap_sem);
        gone.iter().for_each(|vma| areas.remove(vma));
    }
    current.kernel().probe().discard_begins(mm, range);
    unmap_region(current, mm, mmap_sem, &gone).await;
    current.kernel().probe().discard_ends(mm, range);
    current.kernel().probe().unmapped(mm, range);
}

/// `unmap_region`: the areas are out of the tree.
///
///  1. move their pages to the batch;
///  2. hide them from the reverse mapping and from truncation, which look into their tables;
///  3. move their tables to the batch;
///  4. flush every TLB, and only then free the batch.
pub(crate) async fn unmap_region(current: &Task, mm: &Rc<Mm>, held: &impl Held, gone: &[Rc<Vma>]) {
    let (Some(first), Some(last)) = (gone.first(), gone.last()) else { return };
    let whole = VaddrRange::new(first.range.start(), last.range.end()).expect("areas in order");
    current.kernel().zone.lru_add_drain(current).await;
    let mut gather = MmuGather::begin(current, mm, whole).await;
    for vma in gone {
        let mut zap = Zap { mm, vma, details: None, gather: &mut gather };
        zap.unmap_page_range(current, vma.range).await; // 1
    }
    let mut closed = Vec::new(); // 2
    for vma in gone {
        anon_vma_unlink(current, vma).await;
        closed.extend(unlink_file_vma(current, vma).await);
    }
    let (floor, ceiling) = {
        let areas = mm.areas.get(held);
        let floor = areas.find_prev(whole.start()).map_or(Vaddr(0), |previous| previous.range.end());
        let limit = current.kernel().hw.format().user_end();
        (floor, areas.find_vma(whole.end()).map_or(limit, |next| next.range.start()))
    };
    free_pgtables(current, mm, &mut gather, whole, floor, ceiling).await; // 3
    gather.finish(current).await; // 4
    // remove_vma, fput: memory that has no other name goes with its last area.
    for file in closed {
        shmem_delete_inode(current, file.inode()).await;
    }
}
