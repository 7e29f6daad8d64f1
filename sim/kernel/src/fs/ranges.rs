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

/// The files mapped in a range, and whether all of the range is mapped. Each is kept by a reference of its
/// own (`get_file`): when the list is used, its area may be gone.
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
    // Before any of the files is written or read. `fsync` takes `i_mutex`, which comes before `mmap_sem` in
    // the lock order; and a thread that waits to change the address space would make every fault wait behind
    // it, for as long as the disk takes.
    mmap_sem.up_read().await;
    Ok((mapped, whole))
}

/// `msync`: with `sync` (`MS_SYNC`) the shared files of the range are on the disk when it returns. The
/// address space is not locked while a file is written. Without `sync` nothing is begun: since 2.6.19 the
/// kernel knows which pages of shared mappings are dirty (d08b3851da41), and the flusher writes them.
pub(crate) async fn do_msync(current: &Task, start: Vaddr, len: u64, sync: bool) -> Result<(), Errno> {
    let (mapped, whole) = files_in(current, start, len).await?;
    // The whole file, not the part that is mapped: `do_fsync` of v2.6.27 knows no ranges. A private mapping
    // has nothing to give to the file.
    for part in mapped.iter().filter(|part| sync && part.shared) {
        do_fsync(current, &part.file).await;
    }
    // A gap is an error only after everything around it was done.
    if whole { Ok(()) } else { Err(Errno::Enomem) }
}

/// `madvise`: advice for a range of memory. It never changes what the program finds there, with one exception:
/// private memory that is dropped (`MADV_DONTNEED`) comes back as zeros, or as the file has it.
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
    // Into the cache, not into the tables: the program's faults find them there. v2.6.27 holds `mmap_sem` for
    // reading meanwhile.
    for part in &mapped {
        force_page_cache_readahead(current, &part.file, part.first, part.pages).await;
    }
    if whole { Ok(()) } else { Err(Errno::Enomem) }
}
