//! State owned by a lock: reachable only through the held guard, and no step of its own.

use std::cell::{Ref, RefCell, RefMut};

use crate::glance;
use crate::keep::Keep;
use crate::object::ObjectId;

/// Proof that a lock is held.
pub trait Held {
    /// Which lock.
    fn lock(&self) -> ObjectId;
    /// Whether the holder is alone (a write lock or a spin lock).
    fn exclusive(&self) -> bool;
}

/// State that belongs to a lock. Reaching it without that lock, or changing it under a shared hold, is
/// our bug and panics.
pub struct Guarded<T> {
    lock: ObjectId,
    state: RefCell<T>,
}

impl<T: Clone> Keep for Guarded<T> {
    fn keep(&self) -> Self {
        Self { lock: self.lock, state: self.state.keep() }
    }
    fn set_back(&self, kept: &Self) {
        self.state.set_back(&kept.state);
    }
}

impl<T> Guarded<T> {
    /// `state`, owned by the lock known as `lock`.
    pub fn new(lock: ObjectId, state: T) -> Self {
        Self { lock, state: RefCell::new(state) }
    }

    /// Reads the state under the lock.
    ///
    /// # Panics
    /// If `held` is another lock.
    pub fn get(&self, held: &impl Held) -> Ref<'_, T> {
        self.check(held);
        self.state.borrow()
    }

    /// Changes the state under the lock, held exclusively.
    ///
    /// # Panics
    /// If `held` is another lock, or is shared.
    pub fn get_mut(&self, held: &impl Held) -> RefMut<'_, T> {
        self.check(held);
        assert!(held.exclusive(), "{} guards what is changed under a shared hold", self.lock);
        self.state.borrow_mut()
    }

    /// The state, for observers outside the kernel text and for setting up. A kernel path must not use it. While schedules are
    /// explored the look counts as an access of the step being executed to the lock.
    pub fn observe(&self) -> Ref<'_, T> {
        glance::note_look(self.lock);
        self.state.borrow()
    }

    fn check(&self, held: &impl Held) {
        assert!(
            held.lock() == self.lock,
            "state of {} reached under {}: a guarded word without its lock",
            self.lock,
            held.lock()
        );
    }
}
