//! `anon_vma`: from an anonymous page to the areas that may map it.
//!
//! Follows mm/rmap.c of v2.6.27, before per-process chains: parent and children of a fork share one `anon_vma`.
//!
//! A simplification: v2.6.27 frees an `anon_vma` to a slab that is returned only after a grace period (`SLAB_DESTROY_BY_RCU`), and it
//! may be another lineage's at once. Here numbers are never used again, so who follows the number in `page->mapping` without a lock
//! finds the right one or none; that it may find a stranger's cannot be shown.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::{Rc, Weak};

use pagewalk_engine::{Class, Digest, Effect, Guarded, Held, ObjectId, OpKind, SpinGuard, SpinLock};

use super::Mm;
use super::vma::Vma;
use crate::task::Task;

/// `anon_vma->lock`.
static ANON_VMA_LOCK: Class = Class::new(34, "anon_vma->lock");

/// `vma->anon_vma` of the areas of one address space.
static PREPARED: Class = Class::new(55, "vma->anon_vma");

/// The areas that may map the pages of one lineage of anonymous memory.
pub struct AnonVma {
    id: u32,
    lock: SpinLock,
    areas: Guarded<Vec<(u32, Weak<Vma>)>>,
}

pagewalk_engine::keep!(AnonVma: lock, areas; fixed id);

impl AnonVma {
    /// Its number: what `page->mapping` of its pages holds.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// `anon_vma->lock`.
    pub(crate) async fn lock<'a>(&'a self, current: &'a Task) -> SpinGuard<'a> {
        self.lock.lock(current).await
    }

    /// The areas in it, with their mm's number.
    pub(crate) fn areas(&self, held: &SpinGuard<'_>) -> Vec<(u32, Rc<Vma>)> {
        let areas = self.areas.get(held);
        areas.iter().filter_map(|(mm, vma)| Some((*mm, vma.upgrade()?))).collect()
    }

    /// The areas in it, with their mm's number, for observers.
    pub fn observe(&self) -> Vec<(u32, Rc<Vma>)> {
        let areas = self.areas.observe();
        areas.iter().filter_map(|(mm, vma)| Some((*mm, vma.upgrade()?))).collect()
    }
}

impl fmt::Debug for AnonVma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "anon_vma {}", self.id)
    }
}

/// Every `anon_vma` of the machine: who answers to the number in `page->mapping`.
#[derive(Default)]
pub(crate) struct AnonVmas {
    by_id: RefCell<BTreeMap<u32, Weak<AnonVma>>>,
    last: Cell<u32>,
}

pagewalk_engine::keep!(AnonVmas: by_id, last);

impl AnonVmas {
    fn create(&self) -> Rc<AnonVma> {
        let id = self.last.get() + 1;
        self.last.set(id);
        let lock = SpinLock::new(&ANON_VMA_LOCK, u64::from(id));
        let anon_vma =
            Rc::new(AnonVma { id, areas: Guarded::hashed(lock.id(), Vec::new(), absorb_areas), lock });
        self.by_id.borrow_mut().insert(id, Rc::downgrade(&anon_vma));
        anon_vma
    }

    fn forget(&self, id: u32) {
        self.by_id.borrow_mut().remove(&id);
    }

    /// The one with this number, if it has not been freed.
    pub(crate) fn get(&self, id: u32) -> Option<Rc<AnonVma>> {
        self.by_id.borrow().get(&id)?.upgrade()
    }

    /// Each one, with its areas, for observers.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        digest.absorb(u64::from(self.last.get()));
        for anon_vma in self.by_id.borrow().values().filter_map(Weak::upgrade) {
            digest.absorb(u64::from(anon_vma.id()));
            for (mm, vma) in anon_vma.observe() {
                digest.absorb(u64::from(mm));
                digest.absorb(vma.range.start().0);
            }
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Rc<AnonVma>> {
        self.by_id.borrow().values().filter_map(Weak::upgrade).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.borrow().len()
    }
}

/// The areas, as they are told to who holds the lock.
fn absorb_areas(areas: &Vec<(u32, Weak<Vma>)>, digest: &mut Digest) {
    for (mm, vma) in areas {
        digest.absorb(u64::from(*mm));
        digest.absorb(vma.upgrade().map_or(0, |vma| vma.range.start().0));
    }
}

/// The step being executed looks which areas of `mm` have a reverse mapping, or gives one to an area: readers take no lock.
fn touch_prepared(current: &Task, mm: &Mm, kind: OpKind) {
    current.engine().touch(ObjectId::new(&PREPARED, u64::from(mm.id())), kind, Effect::NONE);
}

/// `anon_vma_prepare`: the area gets a reverse mapping before its first page. Holds `mmap_sem`.
pub(crate) async fn anon_vma_prepare(
    current: &Task,
    mm: &Mm,
    mmap_sem: &impl Held,
    vma: &Rc<Vma>,
) -> Rc<AnonVma> {
    touch_prepared(current, mm, OpKind::Load);
    current.engine().note_found(vma.anon_vma.get().map(|anon_vma| anon_vma.id()));
    if let Some(anon_vma) = vma.anon_vma.get() {
        return anon_vma;
    }
    let mergeable = find_mergeable_anon_vma(mm, mmap_sem, vma);
    let ours = mergeable.unwrap_or_else(|| current.kernel().anon_vmas.create());
    let list = ours.lock.lock(current).await;
    // page_table_lock, because mmap_sem is held only for reading: another thread may be first.
    let tables = mm.page_table_lock.lock(current).await;
    touch_prepared(current, mm, OpKind::Store);
    if vma.anon_vma.set(&ours) {
        ours.areas.get_mut(&list).push((mm.id(), Rc::downgrade(vma)));
    }
    tables.unlock().await;
    let unused = ours.areas.get(&list).is_empty();
    list.unlock().await;
    if unused {
        current.kernel().anon_vmas.forget(ours.id);
    }
    vma.anon_vma.get().expect("set above, or by whoever was first")
}

/// `find_mergeable_anon_vma`: the one of a neighbour that this area could be one area with.
fn find_mergeable_anon_vma(mm: &Mm, mmap_sem: &impl Held, vma: &Vma) -> Option<Rc<AnonVma>> {
    let areas = mm.areas.get(mmap_sem);
    let next = areas.find_vma(vma.range.end()).filter(|next| vma.merges_with(next));
    let previous = areas.find_prev(vma.range.start()).filter(|previous| previous.merges_with(vma));
    next.into_iter().chain(previous).find_map(|near| near.anon_vma.get())
}

/// `anon_vma_link`: a new area joins the reverse mapping its pages belong to.
pub(crate) async fn anon_vma_link(current: &Task, mm: &Mm, vma: &Rc<Vma>) {
    let Some(anon_vma) = vma.anon_vma.get() else { return };
    let list = anon_vma.lock.lock(current).await;
    anon_vma.areas.get_mut(&list).push((mm.id(), Rc::downgrade(vma)));
    list.unlock().await;
}

/// `anon_vma_unlink`: an area leaves. The last one frees the `anon_vma`.
pub(crate) async fn anon_vma_unlink(current: &Task, vma: &Rc<Vma>) {
    let Some(anon_vma) = vma.anon_vma.get() else { return };
    let list = anon_vma.lock.lock(current).await;
    let empty = {
        let mut areas = anon_vma.areas.get_mut(&list);
        let this = Rc::downgrade(vma);
        let place = areas.iter().position(|(_, area)| area.ptr_eq(&this)).expect("a linked area");
        areas.swap_remove(place);
        areas.is_empty()
    };
    list.unlock().await;
    if empty {
        current.kernel().anon_vmas.forget(anon_vma.id);
    }
}
