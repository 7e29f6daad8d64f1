//! `mmlist`: the address spaces that may have swap entries in their page tables, for swapoff to look through.
//!
//! Follows mm/swapfile.c and mm/memory.c of v2.6.27. An address space is on the list before its first swap entry can be seen.

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use pagewalk_engine::{Class, Digest, Guarded, SpinLock};

use super::Mm;
use crate::kernel::Kernel;
use crate::task::Task;

/// `mmlist_lock`.
static MMLIST_LOCK: Class = Class::new(44, "mmlist_lock");

/// The list, by the address spaces' numbers.
pub(crate) struct MmList {
    lock: SpinLock,
    mms: Guarded<BTreeMap<u32, Weak<Mm>>>,
}

pagewalk_engine::keep!(MmList: lock, mms);

impl Default for MmList {
    fn default() -> Self {
        let lock = SpinLock::new(&MMLIST_LOCK, 0);
        Self {
            mms: Guarded::hashed(lock.id(), BTreeMap::new(), |mms, digest| {
                mms.keys().for_each(|&mm| digest.absorb(u64::from(mm)));
            }),
            lock,
        }
    }
}

impl MmList {
    /// The numbers of those that are on it, for observers.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        self.mms.observe().keys().for_each(|&mm| digest.absorb(u64::from(mm)));
    }

    /// Whether an address space is on it, for observers.
    pub(crate) fn observe(&self, mm: u32) -> bool {
        self.mms.observe().contains_key(&mm)
    }
}

impl Kernel {
    /// Puts an address space on the list unless it is there. Under the PTL of the table that is about to have a swap entry.
    pub(crate) async fn mmlist_add(&self, current: &Task, mm: &Rc<Mm>) {
        if mm.on_mmlist().read_once(current).await {
            return;
        }
        let held = self.mmlist.lock.lock(current).await;
        if !mm.on_mmlist().get(&held) {
            self.mmlist.mms.get_mut(&held).insert(mm.id(), Rc::downgrade(mm));
            mm.on_mmlist().write_once(current, true).await;
        }
        held.unlock().await;
    }

    /// `mmput`: an address space without users leaves the list.
    pub(crate) async fn mmlist_del(&self, current: &Task, mm: &Mm) {
        if mm.on_mmlist().read_once(current).await {
            let held = self.mmlist.lock.lock(current).await;
            self.mmlist.mms.get_mut(&held).remove(&mm.id());
            held.unlock().await;
        }
    }

    /// The address space after the one numbered `place` on the list as it is now: a child is behind its parent, as with
    /// `list_add(&child->mmlist, &parent->mmlist)`, so that a walk which has met the parent meets what it forks meanwhile.
    pub(crate) async fn mmlist_next(&self, current: &Task, place: u32) -> Option<Rc<Mm>> {
        let held = self.mmlist.lock.lock(current).await;
        let next = self.mmlist.mms.get(&held).range(place + 1..).find_map(|(_, mm)| mm.upgrade());
        held.unlock().await;
        next
    }

    /// `drain_mmlist`: when no swap area has anything any more, no address space needs to be on the list.
    pub(crate) async fn drain_mmlist(&self, current: &Task) {
        if (0..self.swap.nr_areas()).any(|area| self.swap.inuse_pages(area) > 0) {
            return;
        }
        let held = self.mmlist.lock.lock(current).await;
        let mms = std::mem::take(&mut *self.mmlist.mms.get_mut(&held));
        for mm in mms.values().filter_map(Weak::upgrade) {
            mm.on_mmlist().write_once(current, false).await;
        }
        held.unlock().await;
    }
}
