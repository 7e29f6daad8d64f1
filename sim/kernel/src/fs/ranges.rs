//! System calls on ranges of memory that are about the files mapped there: `msync` and `madvise`.
//!
//! Follows mm/msync.c and mm/madvise.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{BASE_PAGE_BYTES, PageSize, Vaddr, VaddrRange};

use super::calls::do_fsync;
use super::readahead::force_page_cache_readahead;
use super::{AdviceCall, File};
use crate::paths::{Errno, madvise_behavior, madvise_dontneed};
use crate::task::Task;

/// A part of a file that is mapped: first page, pages, and whether it is shared.
struct Mapped {
    file: Rc<File>,
    first: u64,
    pages: u64,
    shared: bool,
}

/// The files mapped in a range, and whether all of the range is mapped.
async fn files_in(current: &Task, start: Vaddr, len: u64) -> Result<(Vec<Mapped>, bool), Errno> {
    let past = start.checked_add(len).and_then(|end| end.align_up(PageSize::BASE)).ok_or(Errno::Einval)?;
    let range = VaddrRange::new(start.align_down(PageSize::BASE), past).ok_or(Errno::Einval)?;
    let mm = current.mm();
    let mmap_sem = mm.mmap_sem.down_read(current).await;
    let (mapped, whole) = {
        let areas = mm.areas.get(&mmap_sem);
        let mapped = areas.overlapping(range).filter_map(|vma| {
            let file = vma.file()?;
            let (from, to) = (vma.range.start().max(range.start()), vma.range.end().min(range.end()));
            let pages = (to.0 - from.0) / BASE_PAGE_BYTES;
            Some(Mapped { file: Rc::clone(file), first: vma.index_of(from), pages, shared: vma.shared })
        });
        (mapped.collect(), areas.covers(range))
    };
    mmap_sem.up_read().await;
    Ok((mapped, whole))
}

/// `msync`. The address space is not locked while a file is written.
pub(crate) async fn do_msync(current: &Task, start: Vaddr, len: u64, sync: bool) -> Result<(), Errno> {
    let (mapped, whole) = files_in(current, start, len).await?;
    for part in mapped.iter().filter(|part| sync && part.shared) {
        do_fsync(current, &part.file).await;
    }
    if whole { Ok(()) } else { Err(Errno::Enomem) }
}

/// `madvise`.
pub(crate) async fn do_madvise(
    current: &Task,
    start: Vaddr,
    len: u64,
    advice: AdviceCall,
) -> Result<(), Errno> {
    match advice {
        AdviceCall::DontNeed => return madvise_dontneed(current, start, len).await,
        AdviceCall::Order(order) => return madvise_behavior(current, start, len, order).await,
        AdviceCall::WillNeed => {}
    }
    let (mapped, whole) = files_in(current, start, len).await?;
    for part in &mapped {
        force_page_cache_readahead(current, &part.file, part.first, part.pages).await;
    }
    if whole { Ok(()) } else { Err(Errno::Enomem) }
}
