//! `madvise`: a program lets go of pages (`MADV_DONTNEED`), or says in which order it will touch them.
//!
//! Follows mm/madvise.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{PageSize, Vaddr, VaddrRange};

use super::Errno;
use super::map::{insert_vma, page_align, split_vma};
use super::zap::zap_page_range;
use crate::fs::Advice;
use crate::mm::Vma;
use crate::task::Task;

/// The whole pages of a range that a program speaks of; `None` if it is empty.
fn advised(start: Vaddr, len: u64) -> Result<Option<VaddrRange>, Errno> {
    if !start.is_aligned(PageSize::BASE) {
        return Err(Errno::Einval);
    }
    if len == 0 {
        return Ok(None);
    }
    VaddrRange::with_len(start, page_align(len)?).ok_or(Errno::Einval).map(Some)
}

/// `madvise_behavior`: the areas of the range get the advice, which splits them where it begins and ends, and makes one of
/// neighbours that are now alike.
///
/// # Errors
/// As of [`madvise_dontneed`].
pub(crate) async fn madvise_behavior(
    current: &Task,
    start: Vaddr,
    len: u64,
    advice: Advice,
) -> Result<(), Errno> {
    let Some(range) = advised(start, len)? else { return Ok(()) };
    let mm = current.mm();
    let mmap_sem = mm.mmap_sem.down_write(current).await;
    let (inside, covered): (Vec<Rc<Vma>>, bool) = {
        let areas = mm.areas.get(&mmap_sem);
        (areas.overlapping(range).cloned().collect(), areas.covers(range))
    };
    for vma in inside.iter().filter(|vma| vma.advice != advice) {
        let part = vma.range.intersect(range).expect("it overlaps");
        split_vma(current, &mm, &mmap_sem, part.start()).await;
        split_vma(current, &mm, &mmap_sem, part.end()).await;
        let old = mm.areas.get(&mmap_sem).find_vma(part.start()).cloned().expect("the part is mapped");
        let changed = Vma { advice, ..Vma::clone(&old) };
        insert_vma(current, &mm, &mmap_sem, changed, Some(old)).await;
    }
    mmap_sem.up_write().await;
    if covered { Ok(()) } else { Err(Errno::Enomem) }
}

/// `madvise(start, len, MADV_DONTNEED)`: the pages go, the mapping stays, the next touch finds zeroes, or what the file
/// holds. Holds `mmap_sem` only for reading: faults of other threads go on meanwhile.
///
/// # Errors
/// `EINVAL` for an unaligned range or one that wraps around, `ENOMEM` if part of it is not mapped (the rest is discarded
/// all the same, also where the range ends beyond a program's addresses).
pub(crate) async fn madvise_dontneed(current: &Task, start: Vaddr, len: u64) -> Result<(), Errno> {
    let Some(range) = advised(start, len)? else { return Ok(()) };
    let mm = current.mm();
    let mmap_sem = mm.mmap_sem.down_read(current).await;
    let (inside, covered): (Vec<Rc<Vma>>, bool) = {
        let areas = mm.areas.get(&mmap_sem);
        (areas.overlapping(range).cloned().collect(), areas.covers(range))
    };
    for vma in inside {
        let part = vma.range.intersect(range).expect("it overlaps");
        current.kernel().probe().discard_begins(&mm, part);
        zap_page_range(current, &mm, &vma, part, None).await;
        current.kernel().probe().discard_ends(&mm, part);
    }
    mmap_sem.up_read().await;
    if covered { Ok(()) } else { Err(Errno::Enomem) }
}
