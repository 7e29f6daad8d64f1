//! The memory oracle: every load is compared with what the address ought to contain.
//!
//! A store makes a page's stamp `mix(old, store id)`, in the frame and in the shadow alike, so a lost store stays
//! visible until the page dies. While a call that discards or shares pages is under way the shadow admits the old and
//! the new value; when it returns, exactly one, unless another thread stored meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use pagewalk_engine::{Class, Effect, Engine, ObjectId, OpKind};
use pagewalk_mmu::{AccessKind, AccessObserver, Pfn, Vaddr, VaddrRange};
use pagewalk_pages::PhysicalMemory;

use super::backing::{Backing, Backings, token};
use super::discards::Discards;
use super::dma::Pins;
use super::file_ops::FileTicket;
use super::files::FileShadow;
use super::shadow::Shadow;
use crate::kernel::Kernel;
use crate::mm::{Mm, Vma};
use crate::probe::Probe;
use crate::task::Task;

/// What the oracle expects, all of it.
static SHADOW: Class = Class::of_observer(59, "oracle");

/// A move under way: pages of `old` appear one by one from `new_first` on.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Move {
    mm: u32,
    old: VaddrRange,
    new_first: u64,
}

impl Move {
    /// Whether it is of this address space.
    pub(super) fn is_of(&self, mm: u32) -> bool {
        self.mm == mm
    }

    /// Where page `vpn`, if it is of the old range, goes.
    pub(super) fn target(&self, vpn: u64) -> Option<u64> {
        let old = self.old.start().vpn().0..self.old.end().vpn().0;
        old.contains(&vpn).then(|| self.new_first + (vpn - old.start))
    }

    /// Where page `vpn`, if it is of the new range, came from.
    fn source(&self, mm: u32, vpn: u64) -> Option<u64> {
        let old = vpn.checked_sub(self.new_first)? + self.old.start().vpn().0;
        (mm == self.mm && old < self.old.end().vpn().0).then_some(old)
    }
}

/// The shadow of all address spaces.
#[derive(Default)]
pub struct Oracle {
    pub(super) shadows: RefCell<BTreeMap<u32, Shadow>>,
    pub(super) discards: RefCell<Discards>,
    pub(super) moves: RefCell<Vec<Move>>,
    /// Forks under way: parent and child.
    pub(super) forks: RefCell<Vec<(u32, u32)>>,
    /// Pages that devices have.
    pub(super) pins: Rc<Pins>,
    pub(super) stores: Cell<u64>,
    loads: Cell<u64>,
    pub(super) files: Rc<FileShadow>,
    /// By address space; one without files has none.
    pub(super) backings: RefCell<BTreeMap<u32, Backings>>,
}

pagewalk_engine::keep!(Oracle: shadows, discards, moves, forks, pins, stores, loads, files, backings);

/// What a touch ought to have found, and the invariant that says so.
struct Wrong {
    invariant: &'static str,
    right: Vec<u64>,
}

pub(super) fn mix(old: u64, store: u64) -> u64 {
    let mut word = (old ^ store).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (word ^ (word >> 32)) | 1
}

impl Oracle {
    /// Loads compared so far (fetches and the load half of a modify included).
    pub fn loads(&self) -> u64 {
        self.loads.get()
    }

    /// Stores followed so far.
    pub fn stores(&self) -> u64 {
        self.stores.get()
    }

    /// The number of the next store by the kernel.
    pub(super) fn next_store(&self) -> u64 {
        self.stores.set(self.stores.get() + 1);
        self.stores.get()
    }

    /// What file is behind a page.
    #[inline]
    pub(super) fn backing(&self, mm: u32, vpn: u64) -> Option<Backing> {
        self.backings.borrow().get(&mm)?.of(vpn)
    }

    /// One touch of `vpn` in `mm`, whose frame holds `stamp`. Yields what the frame holds after it, or the values that
    /// would have been right.
    fn touch(&self, mm: u32, vpn: u64, stamp: u64, kind: AccessKind) -> Result<u64, Wrong> {
        if kind != AccessKind::Store {
            self.loads.set(self.loads.get() + 1);
        }
        let after = if kind.is_write() { mix(stamp, self.stores.get() + 1) } else { stamp };
        match self.backing(mm, vpn) {
            Some(backing) if backing.shared => self.touch_shared(backing, stamp, after, kind)?,
            backing => self.touch_private(mm, vpn, (stamp, after), kind, backing)?,
        }
        self.stores.set(self.stores.get() + u64::from(kind.is_write()));
        Ok(after)
    }

    /// A touch of a shared page of a file: of what the file holds.
    fn touch_shared(&self, at: Backing, stamp: u64, after: u64, kind: AccessKind) -> Result<(), Wrong> {
        let Backing { inode, index, .. } = at;
        let right = if kind.is_write() {
            self.files.store(inode, index, stamp, after)
        } else {
            self.files.admits(inode, index, stamp)
        };
        if right {
            return Ok(());
        }
        Err(Wrong { invariant: "I15", right: self.files.admitted(inode, index) })
    }

    /// A touch of a page that the address space has for itself, or that still follows a file.
    fn touch_private(
        &self,
        mm: u32,
        vpn: u64,
        (stamp, after): (u64, u64),
        kind: AccessKind,
        backing: Option<Backing>,
    ) -> Result<(), Wrong> {
        let mut shadows = self.shadows.borrow_mut();
        let shadow = shadows.entry(mm).or_default();
        // A page that follows a file may only be loaded from: a store copies it first.
        let (stamp, after, follows) = match backing {
            None => (stamp, after, false),
            Some(Backing { inode, index, .. }) => {
                let follows = !kind.is_write() && self.files.admits(inode, index, stamp);
                (token(stamp), token(after), follows)
            }
        };
        let quiet = self.discards.borrow().is_empty()
            && self.forks.borrow().is_empty()
            && self.moves.borrow().is_empty();
        let wrong = |mut right: Vec<u64>| {
            if let Some(Backing { inode, index, .. }) = backing {
                right.retain(|&token| token != 0);
                right.extend(self.files.admitted(inode, index));
            }
            Wrong { invariant: "I14", right }
        };
        if !quiet && self.discards.borrow().cover(mm, vpn) {
            if !follows {
                let fresh = stamp == 0;
                self.discards.borrow_mut().touch((mm, vpn), shadow, fresh, stamp, after).map_err(wrong)?;
            }
        } else if shadow.admits(vpn, stamp) || (!quiet && self.has_moved(shadow, mm, vpn, stamp)) {
            // Where a page may also follow its file, with the same contents, a load does not tell which.
            if kind.is_write() || !(follows && shadow.admits(vpn, 0)) {
                shadow.set(vpn, after);
            }
        } else if follows && shadow.admits(vpn, 0) {
            shadow.set(vpn, 0);
        } else {
            return Err(wrong(shadow.admitted(vpn)));
        }
        if !quiet && kind.is_write() {
            for &(_, child) in self.forks.borrow().iter().filter(|&&(parent, _)| parent == mm) {
                shadows.entry(child).or_default().admit(vpn, after);
            }
        }
        Ok(())
    }

    /// A private area's page has a copy of its own now, of what the file held at some time since the ticket.
    fn private_copy(&self, mm: u32, vpn: u64, ticket: &FileTicket) {
        let Some(Backing { inode, index, .. }) = self.backing(mm, vpn) else { return };
        let values: Vec<u64> = ticket.admitted(inode, index).into_iter().map(token).collect();
        let mut shadows = self.shadows.borrow_mut();
        let shadow = shadows.entry(mm).or_default();
        if self.discards.borrow().cover(mm, vpn) {
            self.discards.borrow_mut().born((mm, vpn), shadow, &values);
        } else {
            shadow.set_any(vpn, values);
        }
    }

    pub(super) fn discard_begins(&self, mm: u32, range: VaddrRange) {
        self.discards.borrow_mut().begin(mm, range);
        let mut shadows = self.shadows.borrow_mut();
        for &(_, child) in self.forks.borrow().iter().filter(|&&(parent, _)| parent == mm) {
            // Of the pages that are about to go, fork may have copied some and may miss others.
            let shadow = shadows.entry(child).or_default();
            shadow.stored_in(range).into_iter().for_each(|vpn| shadow.admit(vpn, 0));
        }
    }

    pub(super) fn discard_ends(&self, mm: u32, range: VaddrRange) {
        let mut shadows = self.shadows.borrow_mut();
        let began = self.discards.borrow_mut().end(mm, range, shadows.entry(mm).or_default());
        self.pins.discarded(mm, range, began);
    }

    pub(super) fn fork_begins(&self, parent: u32, child: u32) {
        let mut shadows = self.shadows.borrow_mut();
        let mut copy = shadows.entry(parent).or_default().clone();
        // What a truncation is taking from the parent may or may not be there still when fork comes to it.
        self.discards.borrow().inherit(parent, &mut copy);
        shadows.insert(child, copy);
        let backings = self.backings.borrow().get(&parent).cloned();
        if let Some(backings) = backings {
            self.backings.borrow_mut().insert(child, backings);
        }
        self.forks.borrow_mut().push((parent, child));
    }

    pub(super) fn fork_ends(&self, parent: u32, child: u32) {
        self.forks.borrow_mut().retain(|&fork| fork != (parent, child));
    }

    /// True if a move under way has brought `stamp` to page `vpn`; from now on it is there.
    fn has_moved(&self, shadow: &mut Shadow, mm: u32, vpn: u64, stamp: u64) -> bool {
        let moves = self.moves.borrow();
        let mut sources = moves.iter().filter_map(|under_way| under_way.source(mm, vpn));
        let Some(source) = sources.find(|&source| shadow.admits(source, stamp)) else { return false };
        shadow.set(source, 0);
        true
    }

    pub(super) fn move_begins(&self, mm: u32, old: VaddrRange, new_start: Vaddr) {
        self.moves.borrow_mut().push(Move { mm, old, new_first: new_start.vpn().0 });
    }

    pub(super) fn move_ends(&self, mm: u32, old: VaddrRange, new_start: Vaddr) {
        self.moves.borrow_mut().retain(|under_way| under_way.mm != mm || under_way.old != old);
        let mut shadows = self.shadows.borrow_mut();
        let shadow = shadows.entry(mm).or_default();
        let (first, end) = (old.start().vpn().0, old.end().vpn().0);
        for vpn in shadow.stored(first, end) {
            let values = shadow.admitted(vpn);
            shadow.set_any(new_start.vpn().0 + (vpn - first), values);
        }
        shadow.clear(first, end);
        self.pins.moved(mm, old, new_start);
    }
}

/// What sees every touch of one task while contents are checked.
pub(crate) struct Witness<'a> {
    oracle: &'a Oracle,
    memory: &'a PhysicalMemory,
    engine: &'a Engine,
    mm: u32,
}

impl AccessObserver for Witness<'_> {
    fn touch(&mut self, vaddr: Vaddr, pfn: Pfn, kind: AccessKind) {
        let stamp = self.memory.stamp(pfn);
        let how = if kind.is_write() { OpKind::Rmw } else { OpKind::Load };
        self.engine.touch(ObjectId::new(&SHADOW, 0), how, Effect::NONE);
        self.memory.touch_contents(self.engine, pfn, how, Effect::NONE);
        match self.oracle.touch(self.mm, vaddr.vpn().0, stamp, kind) {
            Ok(after) if after == stamp => {}
            Ok(after) => self.memory.set_stamp(pfn, after),
            Err(Wrong { invariant, right }) => {
                let found = format!("{kind:?} of {vaddr:?} in mm {} found {pfn:?} with {stamp:#x}", self.mm);
                self.engine.violation(invariant, format!("{found}, ought to be {right:x?}"));
            }
        }
    }
}

impl Kernel {
    /// The oracle, which the step being executed makes expect something else. Its verdicts must not differ between
    /// schedules that the explorer takes for the same.
    pub(super) fn changed_oracle(&self) -> Option<&Oracle> {
        self.engine.touch(ObjectId::new(&SHADOW, 0), OpKind::Store, Effect::NONE);
        self.oracle.as_ref()
    }

    /// The step being executed is judged by the oracle.
    pub(super) fn asked_oracle(&self) -> Option<&Oracle> {
        self.engine.touch(ObjectId::new(&SHADOW, 0), OpKind::Load, Effect::NONE);
        self.oracle.as_ref()
    }

    /// The witness of the current task's touches, if contents are checked.
    #[inline]
    pub(crate) fn witness<'a>(&'a self, current: &Task) -> Option<Witness<'a>> {
        let oracle = self.oracle.as_ref()?;
        Some(Witness { oracle, memory: &self.zone.memory, engine: &self.engine, mm: current.mm().id() })
    }
}

impl Probe<'_> {
    /// Pages of `range` are about to be discarded.
    pub(crate) fn discard_begins(&self, mm: &Mm, range: VaddrRange) {
        if let Some(oracle) = self.changed_oracle() {
            oracle.discard_begins(mm.id(), range);
        }
    }

    /// The pages of `range` are gone, and every CPU knows.
    pub(crate) fn discard_ends(&self, mm: &Mm, range: VaddrRange) {
        if let Some(oracle) = self.changed_oracle() {
            oracle.discard_ends(mm.id(), range);
        }
    }

    /// The pages of `parent` are about to be shared with `child`.
    pub(crate) fn fork_begins(&self, parent: &Mm, child: &Mm) {
        if let Some(oracle) = self.changed_oracle() {
            oracle.fork_begins(parent.id(), child.id());
        }
    }

    /// The child has its copy.
    pub(crate) fn fork_ends(&self, parent: &Mm, child: &Mm) {
        if let Some(oracle) = self.changed_oracle() {
            oracle.fork_ends(parent.id(), child.id());
        }
    }

    /// The pages of `old` are about to appear from `new_start` on.
    pub(crate) fn move_begins(&self, mm: &Mm, old: VaddrRange, new_start: Vaddr) {
        if let Some(oracle) = self.changed_oracle() {
            oracle.move_begins(mm.id(), old, new_start);
        }
    }

    /// The pages of `old` are at `new_start` now.
    pub(crate) fn move_ends(&self, mm: &Mm, old: VaddrRange, new_start: Vaddr) {
        if let Some(oracle) = self.changed_oracle() {
            oracle.move_ends(mm.id(), old, new_start);
        }
    }

    /// An area is mapped: if a file is behind it, its pages are the file's from now on.
    pub(crate) fn mapped(&self, mm: &Mm, vma: &Vma) {
        let (Some(oracle), Some(file)) = (self.changed_oracle(), vma.file()) else { return };
        let inode = file.inode().id();
        self.know_file(inode);
        let backing = Backing { inode, index: vma.pgoff, shared: vma.shared };
        oracle.backings.borrow_mut().entry(mm.id()).or_default().map(vma.range, backing);
    }

    /// Nothing is mapped in `range` any more.
    pub(crate) fn unmapped(&self, mm: &Mm, range: VaddrRange) {
        let Some(oracle) = self.changed_oracle() else { return };
        let had =
            oracle.backings.borrow_mut().get_mut(&mm.id()).is_some_and(|backings| backings.unmap(range));
        if had && let Some(shadow) = oracle.shadows.borrow_mut().get_mut(&mm.id()) {
            shadow.clear(range.start().vpn().0, range.end().vpn().0);
        }
    }

    /// The private page at `address` has a copy of its own from this step on, made since the ticket.
    pub(crate) fn private_copy(&self, mm: &Mm, address: Vaddr, ticket: &FileTicket) {
        if let Some(oracle) = self.changed_oracle() {
            oracle.private_copy(mm.id(), address.vpn().0, ticket);
        }
    }

    /// An address space is gone.
    pub(crate) fn dropped(&self, mm: &Mm) {
        if let Some(oracle) = self.changed_oracle() {
            oracle.backings.borrow_mut().remove(&mm.id());
            oracle.shadows.borrow_mut().remove(&mm.id());
        }
    }
}
