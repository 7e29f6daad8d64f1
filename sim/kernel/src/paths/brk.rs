//! `brk`: the end of the heap moves.
//!
//! Follows mm/mmap.c of v2.6.27 (`sys_brk`, `do_brk`).

use pagewalk_mmu::{Vaddr, VaddrRange};

use super::Errno;
use super::map::{insert_vma, page_align};
use super::unmap::unmap_locked;
use crate::mm::{Heap, Prot, Vma, VmaKind};
use crate::task::Task;

/// `brk`: the heap ends at `end` from now on. The first call of an address space says where the heap begins.
///
/// # Errors
/// `EINVAL` for an end below the heap's beginning or beyond a program's addresses, `ENOMEM` if another mapping is in
/// the way.
pub(crate) async fn do_brk(current: &Task, end: Vaddr) -> Result<(), Errno> {
    let end = Vaddr(page_align(end.0)?);
    if end > current.kernel().hw.format().user_end() {
        return Err(Errno::Einval);
    }
    let mm = current.mm();
    let mmap_sem = mm.mmap_sem.down_write(current).await;
    let heap = mm.heap.get(&mmap_sem).unwrap_or(Heap { start: end, end });
    let grown = VaddrRange::new(heap.end, end).filter(|range| !range.is_empty());
    let given_back = VaddrRange::new(end, heap.end).filter(|range| !range.is_empty());
    let blocked = grown.is_some_and(|range| mm.areas.get(&mmap_sem).overlapping(range).next().is_some());
    let refused = match (end < heap.start, blocked) {
        (true, _) => Some(Errno::Einval),
        (_, true) => Some(Errno::Enomem),
        _ => None,
    };
    if refused.is_none() {
        if let Some(range) = grown {
            insert_vma(current, &mm, &mmap_sem, Vma::new(range, Prot::RW, VmaKind::Heap), None).await;
        }
        if let Some(range) = given_back {
            unmap_locked(current, &mm, &mmap_sem, range).await;
        }
        *mm.heap.get_mut(&mmap_sem) = Some(Heap { end, ..heap });
    }
    mmap_sem.up_write().await;
    refused.map_or(Ok(()), Err)
}
