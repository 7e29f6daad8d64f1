//! Reader-writer spin locks (`rwlock_t`): any number of readers, or one writer; whoever waits keeps its CPU.
//!
//! As on x86 in Linux 2.6.22 they are not fair: readers may enter while a writer waits, and a release lets everyone who
//! spins try.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;

use crate::context::Context;
use crate::guard::Held;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order};
use crate::step::Step;
use crate::wait::{BlockingStep, Waiting};

/// A reader-writer spin lock.
pub struct RwSpinLock {
    id: ObjectId,
    readers: Cell<u32>,
    writer: Cell<bool>,
}

crate::keep!(RwSpinLock: readers, writer; fixed id);

impl RwSpinLock {
    /// A free lock. The class is its rank in the lock order; the index tells locks of a class apart.
    pub const fn new(class: &'static Class, index: u64) -> Self {
        Self { id: ObjectId::new(class, index), readers: Cell::new(0), writer: Cell::new(false) }
    }

    /// The lock's identity: what a [`crate::Guarded`] names as its owner.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Whether somebody holds it, for observers outside the kernel text.
    pub fn is_locked(&self) -> bool {
        self.writer.get() || self.readers.get() > 0
    }

    /// `read_lock`.
    #[track_caller]
    pub fn read_lock<'a>(&'a self, cx: &'a Context) -> impl Future<Output = RwSpinGuard<'a>> {
        let location = Location::caller();
        let op = Op { object: self.id, kind: OpKind::LockShared, order: Order::Acquire, location };
        let attempt = move || {
            self.readers.set(self.readers.get() + 1);
            self.hold(cx, false, location)
        };
        BlockingStep::new(cx, op, Waiting::Spin, || !self.writer.get(), attempt)
    }

    /// `write_lock`.
    #[track_caller]
    pub fn write_lock<'a>(&'a self, cx: &'a Context) -> impl Future<Output = RwSpinGuard<'a>> {
        let location = Location::caller();
        let op = Op { object: self.id, kind: OpKind::Lock, order: Order::Acquire, location };
        let attempt = move || {
            self.writer.set(true);
            cx.engine().still_taken(self.id, cx.id());
            self.hold(cx, true, location)
        };
        BlockingStep::new(cx, op, Waiting::Spin, || !self.is_locked(), attempt)
    }

    fn hold<'a>(
        &'a self,
        cx: &'a Context,
        exclusive: bool,
        location: &'static Location<'static>,
    ) -> RwSpinGuard<'a> {
        cx.note_acquire(self.id.class, 0);
        cx.atomic.set(cx.atomic.get() + 1);
        RwSpinGuard { lock: self, cx, exclusive, location, armed: true }
    }
}

/// A reader-writer spin lock, held. Consumed by [`RwSpinGuard::unlock`]; dropping it instead is reported as a lost lock.
#[must_use = "a lock is released by `unlock().await`"]
pub struct RwSpinGuard<'a> {
    lock: &'a RwSpinLock,
    cx: &'a Context,
    exclusive: bool,
    location: &'static Location<'static>,
    armed: bool,
}

impl RwSpinGuard<'_> {
    /// `read_unlock` or `write_unlock`: one step, with release order.
    #[track_caller]
    pub fn unlock(self) -> impl Future<Output = ()> {
        let location = Location::caller();
        let kind = if self.exclusive { OpKind::Unlock } else { OpKind::UnlockShared };
        let op = Op { object: self.lock.id, kind, order: Order::Release, location };
        let cx = self.cx;
        Step::new(cx, op, move || {
            let mut guard = self;
            guard.armed = false;
            let lock = guard.lock;
            if guard.exclusive {
                lock.writer.set(false);
            } else {
                lock.readers.set(lock.readers.get() - 1);
            }
            cx.atomic.set(cx.atomic.get() - 1);
            cx.pop_held(lock.id.class);
            if !lock.is_locked() {
                cx.engine().notify_spinners(lock.id);
            }
            ((), Effect { old: 1, new: 0 })
        })
    }
}

impl Held for RwSpinGuard<'_> {
    fn lock(&self) -> ObjectId {
        self.lock.id
    }
    fn exclusive(&self) -> bool {
        self.exclusive
    }
}

impl Drop for RwSpinGuard<'_> {
    fn drop(&mut self) {
        if self.armed && !self.cx.engine().abandoned() {
            let message = format!("{} taken at {} was never released", self.lock.id, self.location);
            self.cx.engine().violation("lost-lock", message);
        }
    }
}
