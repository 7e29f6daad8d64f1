//! Spin locks: the holder keeps its CPU, waiters keep theirs.
//!
//! Under the timed schedule they are ticket locks, as on x86 since Linux 2.6.25: a release gives the lock to
//! whoever spins longest. Under the random schedule any waiter may be next, which covers every order in
//! which tickets could have been drawn.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;

use crate::context::{Context, ContextId};
use crate::guard::Held;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order};
use crate::step::Step;
use crate::wait::{BlockingStep, Waiting};

/// A spin lock (`spinlock_t`).
pub struct SpinLock {
    id: ObjectId,
    taken: Cell<bool>,
    /// Who was given the lock by a release and has not taken it yet; it counts as taken.
    given: Cell<Option<ContextId>>,
}

crate::keep!(SpinLock: taken, given; fixed id);

impl SpinLock {
    /// A free lock. The class is its rank in the lock order; the index tells locks of a class apart.
    pub const fn new(class: &'static Class, index: u64) -> Self {
        Self { id: ObjectId::new(class, index), taken: Cell::new(false), given: Cell::new(None) }
    }

    /// The lock's identity: what a [`crate::Guarded`] names as its owner.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Whether somebody holds it, for observers outside the kernel text.
    pub fn is_locked(&self) -> bool {
        self.taken.get()
    }

    /// Frees the lock between runs, whoever of an abandoned run held it. A kernel path must not use it.
    pub fn set_free(&self) {
        self.taken.set(false);
        self.given.set(None);
    }

    /// `spin_lock`.
    #[inline(always)]
    #[track_caller]
    pub fn lock<'a>(&'a self, cx: &'a Context) -> impl Future<Output = SpinGuard<'a>> {
        self.acquire(cx, 0, Location::caller())
    }

    /// `spin_lock_nested`: a second lock of the same class, taken in an order the caller guarantees.
    #[inline(always)]
    #[track_caller]
    pub fn lock_nested<'a>(&'a self, cx: &'a Context) -> impl Future<Output = SpinGuard<'a>> {
        self.acquire(cx, 1, Location::caller())
    }

    /// `spin_trylock`: the lock, or `None` if it is taken. Exempt from the lock order.
    #[inline(always)]
    #[track_caller]
    pub fn try_lock<'a>(&'a self, cx: &'a Context) -> impl Future<Output = Option<SpinGuard<'a>>> {
        let location = Location::caller();
        let op = Op { object: self.id, kind: OpKind::TryLock, order: Order::Acquire, location };
        Step::new(cx, op, move || {
            let free = !self.taken.get();
            let guard = free.then(|| {
                cx.push_held(self.id.class);
                self.take(cx, location)
            });
            (guard, Effect { old: u64::from(!free), new: 1 })
        })
    }

    #[inline(always)]
    fn acquire<'a>(
        &'a self,
        cx: &'a Context,
        subclass: u8,
        location: &'static Location<'static>,
    ) -> impl Future<Output = SpinGuard<'a>> {
        let op = Op { object: self.id, kind: OpKind::Lock, order: Order::Acquire, location };
        let attempt = move || {
            cx.note_acquire(self.id.class, subclass);
            self.given.set(None);
            self.take(cx, location)
        };
        let enabled = || !self.taken.get() || self.given.get() == Some(cx.id());
        BlockingStep::new(cx, op, Waiting::Spin, enabled, attempt)
    }

    #[inline(always)]
    fn take<'a>(&'a self, cx: &'a Context, location: &'static Location<'static>) -> SpinGuard<'a> {
        self.taken.set(true);
        cx.engine().still_taken(self.id, cx.id());
        cx.atomic.set(cx.atomic.get() + 1);
        SpinGuard { lock: self, cx, location, armed: true }
    }

    #[inline(always)]
    fn release(&self, cx: &Context) {
        if let Some(next) = cx.engine().next_spinner(self.id) {
            self.given.set(Some(next));
            cx.engine().notify_spinner(next);
        } else {
            self.taken.set(false);
            cx.engine().notify_spinners(self.id);
        }
    }
}

/// A held spin lock. Consumed by [`SpinGuard::unlock`]; dropping it instead is reported as a lost lock.
#[must_use = "a lock is released by `unlock().await`"]
pub struct SpinGuard<'a> {
    lock: &'a SpinLock,
    cx: &'a Context,
    location: &'static Location<'static>,
    armed: bool,
}

impl SpinGuard<'_> {
    /// `spin_unlock`: one step, with release order.
    #[inline(always)]
    #[track_caller]
    pub fn unlock(self) -> impl Future<Output = ()> {
        let op = Op {
            object: self.lock.id,
            kind: OpKind::Unlock,
            order: Order::Release,
            location: Location::caller(),
        };
        let cx = self.cx;
        Step::new(cx, op, move || {
            let mut guard = self;
            guard.armed = false;
            cx.atomic.set(cx.atomic.get() - 1);
            cx.pop_held(guard.lock.id.class);
            guard.lock.release(cx);
            ((), Effect { old: 1, new: 0 })
        })
    }
}

impl Held for SpinGuard<'_> {
    fn lock(&self) -> ObjectId {
        self.lock.id
    }
    fn exclusive(&self) -> bool {
        true
    }
}

impl Drop for SpinGuard<'_> {
    fn drop(&mut self) {
        if self.armed && !self.cx.engine().abandoned() {
            let message = format!("{} taken at {} was never released", self.lock.id, self.location);
            self.cx.engine().violation("lost-lock", message);
        }
    }
}
