//! Sleeping reader-writer locks (`struct rw_semaphore`): first come, first served.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::Location;

use crate::context::{Context, ContextId};
use crate::guard::Held;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order};
use crate::step::Step;
use crate::wait::{BlockingStep, Waiting};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

#[derive(Clone, Default)]
struct RwState {
    readers: u32,
    writer: bool,
    /// Who waits, in order. New readers queue behind a waiting writer.
    queue: VecDeque<(ContextId, Access)>,
    /// Who was given the lock and has not noticed yet.
    given: Vec<ContextId>,
}

impl RwState {
    fn compatible(&self, access: Access) -> bool {
        match access {
            Access::Read => !self.writer,
            Access::Write => !self.writer && self.readers == 0,
        }
    }

    fn take(&mut self, access: Access) {
        match access {
            Access::Read => self.readers += 1,
            Access::Write => self.writer = true,
        }
    }

    /// Gives the lock to those at the head of the queue who can have it together.
    fn hand_over(&mut self) -> Vec<ContextId> {
        let mut woken = Vec::new();
        while let Some(&(id, access)) = self.queue.front() {
            if !self.compatible(access) {
                break;
            }
            self.queue.pop_front();
            self.take(access);
            self.given.push(id);
            woken.push(id);
        }
        woken
    }
}

/// A sleeping reader-writer lock. A release hands it to the first waiter (or first readers) in line.
pub struct RwSem {
    id: ObjectId,
    state: RefCell<RwState>,
}

crate::keep!(RwSem: state; fixed id);

impl RwSem {
    /// A free lock.
    pub fn new(class: &'static Class, index: u64) -> Self {
        Self { id: ObjectId::new(class, index), state: RefCell::default() }
    }

    /// The lock's identity: what a [`crate::Guarded`] names as its owner.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// `down_read`: may sleep.
    #[track_caller]
    pub fn down_read<'a>(&'a self, cx: &'a Context) -> impl Future<Output = ReadGuard<'a>> {
        let location = Location::caller();
        let taken = self.down(cx, Access::Read, 0, location);
        async move {
            taken.await;
            ReadGuard { hold: Hold { sem: self, cx, location, armed: true } }
        }
    }

    /// `down_read_trylock`: the lock, or `None` if it cannot be had at once. Exempt from the lock order.
    #[track_caller]
    pub fn try_down_read<'a>(&'a self, cx: &'a Context) -> impl Future<Output = Option<ReadGuard<'a>>> {
        let location = Location::caller();
        let op = Op { object: self.id, kind: OpKind::TryLock, order: Order::Acquire, location };
        Step::new(cx, op, move || {
            let mut state = self.state.borrow_mut();
            let free = state.queue.is_empty() && state.given.is_empty() && state.compatible(Access::Read);
            let guard = free.then(|| {
                state.take(Access::Read);
                cx.push_held(self.id.class);
                ReadGuard { hold: Hold { sem: self, cx, location, armed: true } }
            });
            (guard, Effect { old: u64::from(!free), new: 1 })
        })
    }

    /// `down_write`: may sleep.
    #[track_caller]
    pub fn down_write<'a>(&'a self, cx: &'a Context) -> impl Future<Output = WriteGuard<'a>> {
        self.write(cx, 0, Location::caller())
    }

    /// `down_write_nested`: a second lock of the same class, taken in an order the caller guarantees.
    #[track_caller]
    pub fn down_write_nested<'a>(&'a self, cx: &'a Context) -> impl Future<Output = WriteGuard<'a>> {
        self.write(cx, 1, Location::caller())
    }

    fn write<'a>(
        &'a self,
        cx: &'a Context,
        subclass: u8,
        location: &'static Location<'static>,
    ) -> impl Future<Output = WriteGuard<'a>> {
        let taken = self.down(cx, Access::Write, subclass, location);
        async move {
            taken.await;
            WriteGuard { hold: Hold { sem: self, cx, location, armed: true } }
        }
    }

    fn down<'a>(
        &'a self,
        cx: &'a Context,
        access: Access,
        subclass: u8,
        location: &'static Location<'static>,
    ) -> impl Future<Output = ()> {
        let kind = match access {
            Access::Read => OpKind::LockShared,
            Access::Write => OpKind::Lock,
        };
        let op = Op { object: self.id, kind, order: Order::Acquire, location };
        let id = cx.id();
        // The first look that finds the lock taken puts the context in line; a release gives it the lock.
        // Where schedules are explored there is no line: any waiter may be next, whoever came first.
        let exploring = cx.engine().exploring();
        let enabled = move || {
            let mut state = self.state.borrow_mut();
            if exploring {
                return state.compatible(access);
            }
            if state.given.contains(&id) || (state.queue.is_empty() && state.compatible(access)) {
                return true;
            }
            if !state.queue.iter().any(|&(waiter, _)| waiter == id) {
                state.queue.push_back((id, access));
            }
            false
        };
        let attempt = move || {
            let mut state = self.state.borrow_mut();
            match state.given.iter().position(|&given| given == id) {
                Some(index) => drop(state.given.swap_remove(index)),
                None => state.take(access),
            }
            cx.note_acquire(self.id.class, subclass);
        };
        BlockingStep::new(cx, op, Waiting::Sleep, enabled, attempt)
    }
}

struct Hold<'a> {
    sem: &'a RwSem,
    cx: &'a Context,
    location: &'static Location<'static>,
    armed: bool,
}

impl Hold<'_> {
    fn up(
        self,
        kind: OpKind,
        release: fn(&mut RwState),
        at: &'static Location<'static>,
    ) -> impl Future<Output = ()> {
        let op = Op { object: self.sem.id, kind, order: Order::Release, location: at };
        let cx = self.cx;
        Step::new(cx, op, move || {
            let mut hold = self;
            hold.armed = false;
            let sem = hold.sem;
            let woken = {
                let mut state = sem.state.borrow_mut();
                release(&mut state);
                state.hand_over()
            };
            cx.pop_held(sem.id.class);
            if cx.engine().exploring() {
                cx.engine().notify_sleepers(sem.id);
            } else if !woken.is_empty() {
                cx.engine().notify_only(sem.id, &woken);
            }
            ((), Effect { old: 1, new: 0 })
        })
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if self.armed && !self.cx.engine().abandoned() {
            let message = format!("{} taken at {} was never released", self.sem.id, self.location);
            self.cx.engine().violation("lost-lock", message);
        }
    }
}

/// A lock held for reading.
#[must_use = "a lock is released by `up_read().await`"]
pub struct ReadGuard<'a> {
    hold: Hold<'a>,
}

impl ReadGuard<'_> {
    /// `up_read`.
    #[track_caller]
    pub fn up_read(self) -> impl Future<Output = ()> {
        self.hold.up(OpKind::UnlockShared, |state| state.readers -= 1, Location::caller())
    }
}

impl Held for ReadGuard<'_> {
    fn lock(&self) -> ObjectId {
        self.hold.sem.id
    }
    fn exclusive(&self) -> bool {
        false
    }
}

/// A lock held for writing.
#[must_use = "a lock is released by `up_write().await`"]
pub struct WriteGuard<'a> {
    hold: Hold<'a>,
}

impl WriteGuard<'_> {
    /// `up_write`.
    #[track_caller]
    pub fn up_write(self) -> impl Future<Output = ()> {
        self.hold.up(OpKind::Unlock, |state| state.writer = false, Location::caller())
    }
}

impl Held for WriteGuard<'_> {
    fn lock(&self) -> ObjectId {
        self.hold.sem.id
    }
    fn exclusive(&self) -> bool {
        true
    }
}
