//! State owned by a lock: reachable only through the held guard, and no step of its own.

use std::cell::{Ref, RefCell, RefMut};
use std::hash::Hash;

use crate::digest::Digest;
use crate::glance;
use crate::keep::Keep;
use crate::object::ObjectId;

/// Proof that a lock is held.
pub trait Held {
    /// Identity of the lock that is held.
    fn lock(&self) -> ObjectId;
    /// Whether the holder is alone (a write lock or a spin lock).
    fn exclusive(&self) -> bool;
}

/// State that belongs to a lock. Reaching it without that lock, or changing it under a shared hold, is
/// our bug and panics.
pub struct Guarded<T> {
    lock: ObjectId,
    state: RefCell<T>,
    /// How it is told to who reaches it.
    absorb: fn(&T, &mut Digest),
}

impl<T: Hash> Guarded<T> {
    /// `state`, owned by the lock known as `lock`.
    pub fn new(lock: ObjectId, state: T) -> Self {
        Self::hashed(lock, state, Hash::hash)
    }
}

impl<T: Clone> Keep for Guarded<T> {
    fn keep(&self) -> Self {
        Self { lock: self.lock, state: self.state.keep(), absorb: self.absorb }
    }
    fn set_back(&self, kept: &Self) {
        self.state.set_back(&kept.state);
    }
}

impl<T> Guarded<T> {
    /// The same, for state that `absorb` hashes.
    pub fn hashed(lock: ObjectId, state: T, absorb: fn(&T, &mut Digest)) -> Self {
        Self { lock, state: RefCell::new(state), absorb }
    }

    /// Reads the state under the lock.
    ///
    /// # Panics
    /// If `held` is another lock.
    pub fn get(&self, held: &impl Held) -> Ref<'_, T> {
        self.check(held);
        self.tell();
        self.state.borrow()
    }

    /// Changes the state under the lock, held exclusively.
    ///
    /// # Panics
    /// If `held` is another lock, or is shared.
    pub fn get_mut(&self, held: &impl Held) -> RefMut<'_, T> {
        self.check(held);
        assert!(held.exclusive(), "{} guards what is changed under a shared hold", self.lock);
        self.tell();
        self.state.borrow_mut()
    }

    /// The state, for observers outside the kernel text and for setting up. A kernel path must not use it. While schedules are
    /// explored the look counts as an access of the step being executed to the lock.
    pub fn observe(&self) -> Ref<'_, T> {
        glance::note_look(self.lock);
        self.state.borrow()
    }

    /// The code learns what the state is.
    fn tell(&self) {
        glance::tell(|digest| (self.absorb)(&self.state.borrow(), digest));
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
