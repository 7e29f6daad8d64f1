//! `i_mmap`: from a page of a file to the areas that may map it.
//!
//! Follows mm/prio_tree.c and mm/mmap.c (`__vma_link_file`, `unlink_file_vma`) of v2.6.27. Areas are ordered by their first
//! page; no area that begins more than the longest one's length before a page can reach it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::{Rc, Weak};

use pagewalk_engine::{Class, Digest, Effect, Guarded, Op, OpKind, Order, SpinGuard, SpinLock, Step};
use pagewalk_mmu::BASE_SHIFT;

use super::Mm;
use super::vma::Vma;
use crate::fs::File;
use crate::task::Task;

/// `mapping->i_mmap_lock`.
static I_MMAP_LOCK: Class = Class::new(39, "mapping->i_mmap_lock");

/// An area of the index.
#[derive(Clone)]
struct Linked {
    mm: Weak<Mm>,
    vma: Weak<Vma>,
    /// Its last page.
    last: u64,
    /// The last truncation that is done with it (`vm_truncate_count`).
    stamp: u64,
}

/// An area that maps pages of the file, with its address space. It stays linked, and so its tables stay, while the lock
/// is held.
pub(crate) struct Mapped {
    pub(crate) mm: Rc<Mm>,
    pub(crate) vma: Rc<Vma>,
    /// Its place in the index; no other area ever has it.
    pub(crate) place: (u64, u64),
}

#[derive(Clone, Default)]
struct Areas {
    /// By first page, and by number among those that begin together.
    by_first: BTreeMap<(u64, u64), Linked>,
    /// Pages of the longest area there ever was.
    longest: u64,
    last_number: u64,
    truncate_count: u64,
}

impl Areas {
    fn absorb_into(&self, digest: &mut Digest) {
        for (&(first, number), linked) in &self.by_first {
            let mm = linked.mm.upgrade().map_or(0, |mm| mm.id());
            for word in [first, number, linked.last, linked.stamp, u64::from(mm)] {
                digest.absorb(word);
            }
        }
        [self.longest, self.last_number, self.truncate_count]
            .into_iter()
            .for_each(|word| digest.absorb(word));
    }

    /// The areas that map any of the pages `first..=last`.
    fn overlapping(&self, first: u64, last: u64) -> impl Iterator<Item = (&(u64, u64), &Linked)> {
        let from = first.saturating_sub(self.longest.saturating_sub(1));
        self.by_first.range((from, 0)..=(last, u64::MAX)).filter(move |(_, linked)| linked.last >= first)
    }
}

impl Linked {
    fn mapped(&self, place: (u64, u64)) -> Option<Mapped> {
        Some(Mapped { mm: self.mm.upgrade()?, vma: self.vma.upgrade()?, place })
    }
}

/// The index of one file, with its lock.
pub(crate) struct IMmap {
    lock: SpinLock,
    areas: Guarded<Areas>,
}

pagewalk_engine::keep!(IMmap: lock, areas);

impl IMmap {
    /// No areas; `inode` tells locks apart.
    pub(crate) fn new(inode: u32) -> Self {
        let lock = SpinLock::new(&I_MMAP_LOCK, u64::from(inode));
        Self { areas: Guarded::hashed(lock.id(), Areas::default(), Areas::absorb_into), lock }
    }

    /// `i_mmap_lock`.
    pub(crate) async fn lock<'a>(&'a self, current: &'a Task) -> SpinGuard<'a> {
        self.lock.lock(current).await
    }

    /// A truncation begins: its number.
    pub(crate) fn next_truncation(&self, held: &SpinGuard<'_>) -> u64 {
        let mut areas = self.areas.get_mut(held);
        areas.truncate_count += 1;
        areas.truncate_count
    }

    /// An area over any of the pages `first..=last` that truncation `count` is not done with.
    pub(crate) fn next_to_unmap(
        &self,
        held: &SpinGuard<'_>,
        first: u64,
        last: u64,
        count: u64,
    ) -> Option<Mapped> {
        let areas = self.areas.get(held);
        let mut left = areas.overlapping(first, last).filter(|(_, linked)| linked.stamp < count);
        left.find_map(|(&place, linked)| linked.mapped(place))
    }

    /// Truncation `count` is done with the area, if it is still linked.
    pub(crate) fn unmapped(&self, held: &SpinGuard<'_>, area: &Mapped, count: u64) {
        if let Some(linked) = self.areas.get_mut(held).by_first.get_mut(&area.place) {
            linked.stamp = count;
        }
    }

    /// `vma_prio_tree_foreach`: the areas that map page `index`.
    pub(crate) fn of_page(&self, held: &SpinGuard<'_>, index: u64) -> Vec<Mapped> {
        let areas = self.areas.get(held);
        areas.overlapping(index, index).filter_map(|(&place, linked)| linked.mapped(place)).collect()
    }

    /// `mapping_mapped`: whether any area maps pages of the file. A look at the root of the tree without its lock: one step,
    /// which commutes with everything but a hold of the lock.
    #[track_caller]
    pub(crate) fn mapping_mapped<'a>(&'a self, current: &'a Task) -> impl Future<Output = bool> + 'a {
        let location = Location::caller();
        let op = Op { object: self.lock.id(), kind: OpKind::Load, order: Order::Once, location };
        Step::new(current, op, || {
            let mapped = self.observe_len() > 0;
            (mapped, Effect { old: mapped.into(), new: mapped.into() })
        })
    }

    /// The areas that map page `index`, for observers.
    pub(crate) fn observe(&self, index: u64) -> Vec<(Rc<Mm>, Rc<Vma>)> {
        let areas = self.areas.observe();
        let mapped = areas.overlapping(index, index).filter_map(|(&place, linked)| linked.mapped(place));
        mapped.map(|Mapped { mm, vma, .. }| (mm, vma)).collect()
    }

    /// The areas, and how far truncations are with each, for observers.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        self.areas.observe().absorb_into(digest);
    }

    /// How many areas there are, for observers.
    pub(crate) fn observe_len(&self) -> usize {
        self.areas.observe().by_first.len()
    }
}

impl fmt::Debug for IMmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} areas", self.observe_len())
    }
}

/// `__vma_link_file`: a new area joins the index of its file.
pub(crate) async fn vma_link_file(current: &Task, mm: &Rc<Mm>, vma: &Rc<Vma>) {
    let Some(file) = vma.file() else { return };
    let i_mmap = &file.inode().i_mmap;
    let held = i_mmap.lock(current).await;
    {
        let mut areas = i_mmap.areas.get_mut(&held);
        let pages = vma.range.len() >> BASE_SHIFT;
        areas.longest = areas.longest.max(pages);
        areas.last_number += 1;
        let place = (vma.pgoff, areas.last_number);
        // No truncation is done with an area that was not there.
        let (mm, last) = (Rc::downgrade(mm), vma.pgoff + (pages - 1));
        areas.by_first.insert(place, Linked { mm, vma: Rc::downgrade(vma), last, stamp: 0 });
    }
    held.unlock().await;
}

/// `unlink_file_vma`: an area leaves the index; no truncation is in it any more, and none will find it. Yields the file if
/// this was its last area.
pub(crate) async fn unlink_file_vma<'a>(current: &Task, vma: &'a Rc<Vma>) -> Option<&'a Rc<File>> {
    let file = vma.file()?;
    let i_mmap = &file.inode().i_mmap;
    let held = i_mmap.lock(current).await;
    let last = {
        let mut areas = i_mmap.areas.get_mut(&held);
        let this = Rc::downgrade(vma);
        let mut beginning = areas.by_first.range((vma.pgoff, 0)..=(vma.pgoff, u64::MAX));
        let found = beginning.find(|(_, linked)| linked.vma.ptr_eq(&this)).map(|(&place, _)| place);
        areas.by_first.remove(&found.expect("a linked area"));
        areas.by_first.is_empty()
    };
    held.unlock().await;
    last.then_some(file)
}
