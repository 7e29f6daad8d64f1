//! `do_mmap`: a new mapping, of anonymous memory or of a file.
//!
//! Follows mm/mmap.c of v2.6.27 (`do_mmap_pgoff`, `mmap_region`, `vma_merge`).

use std::rc::Rc;

use pagewalk_engine::WriteGuard;
use pagewalk_mmu::{BASE_PAGE_BYTES, BASE_SHIFT, PageSize, Vaddr, VaddrRange};

use super::Errno;
use super::unmap::unmap_locked;
use crate::fs::File;
use crate::mm::{Mm, Prot, Vma, VmaKind, anon_vma_link, anon_vma_unlink, unlink_file_vma, vma_link_file};
use crate::task::Task;

/// The arguments of `mmap`.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Where (`MAP_FIXED`: what is there goes), or wherever there is room.
    pub address: Option<Vaddr>,
    /// How many bytes; rounded up to pages.
    pub len: u64,
    /// What the program may do.
    pub prot: Prot,
    /// What is behind it: memory of its own, or a file.
    pub kind: VmaKind,
    /// `MAP_SHARED`. Without a file: memory that its forks share, which is a file without a name.
    pub shared: bool,
    /// The file's page at the beginning, for a mapping of a file.
    pub pgoff: u64,
}

/// `mmap`: yields where the mapping is.
///
/// # Errors
/// `EINVAL` for an empty or unaligned request, `ENOMEM` if it does not fit the address space.
pub(crate) async fn do_mmap(current: &Task, request: MapRequest) -> Result<Vaddr, Errno> {
    let mm = current.mm();
    let mmap_sem = mm.mmap_sem.down_write(current).await;
    let mapped = map_locked(current, &mm, &mmap_sem, request).await;
    mmap_sem.up_write().await;
    mapped.map(VaddrRange::start)
}

/// `do_mmap_pgoff`: the area is there, and its pages come with faults. Holds `mmap_sem` for writing.
///
///  1. find room, or take the place that was asked for;
///  2. unmap what is there;
///  3. put the area in, as part of its neighbours where they are alike.
pub(crate) async fn map_locked(
    current: &Task,
    mm: &Rc<Mm>,
    mmap_sem: &WriteGuard<'_>,
    request: MapRequest,
) -> Result<VaddrRange, Errno> {
    let limit = current.kernel().hw.format().user_end();
    let range = match request.address {
        Some(start) => user_range(start, request.len, limit)?,
        None => {
            let len = page_align(request.len)?;
            let start = mm.areas.get(mmap_sem).unmapped_area(len, limit).ok_or(Errno::Enomem)?;
            user_range(start, len, limit)?
        }
    };
    if request.pgoff.checked_add(range.len() >> BASE_SHIFT).is_none() {
        return Err(Errno::Einval);
    }
    // 2. With its flush: no CPU finds the old pages at addresses that are new (I20).
    unmap_locked(current, mm, mmap_sem, range).await;
    let vma = match request.kind {
        VmaKind::File(file) => Vma::of_file(range, request.prot, file, request.shared, request.pgoff),
        // shmem_zero_setup
        _ if request.shared => {
            let file = File::open(&current.kernel().inodes.shmem(range.len()));
            Vma::of_file(range, request.prot, file, true, 0)
        }
        kind => Vma::new(range, request.prot, kind),
    };
    current.kernel().probe().mapped(mm, &vma);
    insert_vma(current, mm, mmap_sem, vma, None).await;
    Ok(range)
}

/// Puts a new area in, in the place of `old` if there is one, and as one with its neighbours where it can be
/// (`vma_merge`).
pub(crate) async fn insert_vma(
    current: &Task,
    mm: &Rc<Mm>,
    mmap_sem: &WriteGuard<'_>,
    vma: Vma,
    old: Option<Rc<Vma>>,
) {
    // One area instead of two means one lock and one look for every walk of the reverse mapping.
    let (previous, next) = {
        let areas = mm.areas.get(mmap_sem);
        let previous = areas.find_prev(vma.range.start()).filter(|previous| previous.merges_with(&vma));
        let next = areas.find_vma(vma.range.end()).filter(|next| vma.merges_with(next));
        (previous.cloned(), next.cloned())
    };
    let mut merged = vma;
    let mut replaced = Vec::from_iter(old);
    if let Some(previous) = previous {
        merged = join(&previous, &merged);
        replaced.push(previous);
    }
    if let Some(next) = next.filter(|next| merged.merges_with(next)) {
        merged = join(&merged, &next);
        replaced.push(next);
    }
    replace_vmas(current, mm, mmap_sem, &replaced, [merged]).await;
}

/// Both areas as one, with the `anon_vma` of the one that has one: they merge only if no two differ.
fn join(first: &Vma, second: &Vma) -> Vma {
    let range = VaddrRange::new(first.range.start(), second.range.end()).expect("neighbours in order");
    let anon_vma = if first.anon_vma.get().is_some() { &first.anon_vma } else { &second.anon_vma };
    Vma { range, anon_vma: anon_vma.clone(), ..first.clone() }
}

/// Puts `new` areas in place of `old` ones (`vma_adjust`). The new ones join the reverse mapping before the old ones
/// leave it, so that it never looks empty.
pub(crate) async fn replace_vmas(
    current: &Task,
    mm: &Rc<Mm>,
    mmap_sem: &WriteGuard<'_>,
    old: &[Rc<Vma>],
    new: impl IntoIterator<Item = Vma>,
) {
    let new: Vec<Rc<Vma>> = new.into_iter().map(Rc::new).collect();
    for vma in &new {
        vma_link_file(current, mm, vma).await;
        anon_vma_link(current, mm, vma).await;
    }
    for vma in old {
        anon_vma_unlink(current, vma).await;
        // A new area of the same file has joined.
        let last = unlink_file_vma(current, vma).await;
        debug_assert!(last.is_none(), "areas are replaced by areas of the same file");
    }
    // `mmap_sem` keeps everybody from looking into the tree of areas. Walks of the reverse mapping do not look there,
    // so for them the new areas had to join before.
    let mut areas = mm.areas.get_mut(mmap_sem);
    old.iter().for_each(|vma| areas.remove(vma));
    new.into_iter().for_each(|vma| areas.insert(vma));
}

/// `split_vma`: makes `address` a boundary between areas.
pub(crate) async fn split_vma(current: &Task, mm: &Rc<Mm>, mmap_sem: &WriteGuard<'_>, address: Vaddr) {
    let inside = mm.areas.get(mmap_sem).find_vma(address).filter(|vma| vma.range.start() < address).cloned();
    let Some(vma) = inside else { return };
    let half = |start, end| vma.part(VaddrRange::new(start, end).expect("inside the area"));
    let halves = [half(vma.range.start(), address), half(address, vma.range.end())];
    replace_vmas(current, mm, mmap_sem, &[Rc::clone(&vma)], halves).await;
}

/// `PAGE_ALIGN`, refusing nothing and too much.
pub(crate) fn page_align(len: u64) -> Result<u64, Errno> {
    match len.checked_add(BASE_PAGE_BYTES - 1) {
        Some(sum) if len > 0 => Ok(sum & !(BASE_PAGE_BYTES - 1)),
        _ => Err(Errno::Einval),
    }
}

/// The whole pages of `len` bytes from `start`, if they are a program's.
pub(crate) fn user_range(start: Vaddr, len: u64, limit: Vaddr) -> Result<VaddrRange, Errno> {
    if !start.is_aligned(PageSize::BASE) {
        return Err(Errno::Einval);
    }
    let range = VaddrRange::with_len(start, page_align(len)?).ok_or(Errno::Enomem)?;
    if range.end() <= limit { Ok(range) } else { Err(Errno::Enomem) }
}
