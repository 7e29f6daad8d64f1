//! `madvise(MADV_DONTNEED)`: the pages go, the mapping stays, the next touch finds zeroes, or what the file holds.
//!
//! Follows mm/madvise.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{PageSize, Vaddr, VaddrRange};

use super::Errno;
use super::map::page_align;
use super::zap::zap_page_range;
use crate::mm::Vma;
use crate::task::Task;

/// `madvise(start, len, MADV_DONTNEED)`. Holds `mmap_sem` only for reading: faults of other threads go on meanwhile.
///
/// # Errors
/// `EINVAL` for an unaligned range or one that wraps around, `ENOMEM` if part of it is not mapped (the rest is discarded
/// all the same, also where the range ends beyond a program's addresses).
pub(crate) async fn madvise_dontneed(current: &Task, start: Vaddr, len: u64) -> Result<(), Errno> {
    if !start.is_aligned(PageSize::BASE) {
        return Err(Errno::Einval);
    }
    if len == 0 {
        return Ok(());
    }
    let range = VaddrRange::with_len(start, page_align(len)?).ok_or(Errno::Einval)?;
    let mm = current.mm();
    let mmap_sem = mm.mmap_sem.down_read(current).await;
    let (inside, covered): (Vec<Rc<Vma>>, bool) = {
        let areas = mm.areas.get(&mmap_sem);
        (areas.overlapping(range).cloned().collect(), areas.covers(range))
    };
    for vma in inside {
        let part = vma.range.intersect(range).expect("it overlaps");
        current.kernel().shadow_discard_begins(&mm, part);
        zap_page_range(current, &mm, &vma, part, None).await;
        current.kernel().shadow_discard_ends(&mm, part);
    }
    mmap_sem.up_read().await;
    if covered { Ok(()) } else { Err(Errno::Enomem) }
}
