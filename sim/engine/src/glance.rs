//! What is read outside steps of its own while schedules are explored: observers' looks at words, which count as accesses of
//! the step being executed, and what the code reads under a lock, which it has been told from then on.
//!
//! An observer may look at any word at any time ([`crate::Word::observe`]). Its verdict then depends on that word, so the
//! explorer has to know of the look, or it would take two schedules for the same that the observer tells apart. Noting it where
//! the word is read makes that true for every observer, whoever writes it.

use std::cell::{Cell, RefCell};

use crate::digest::Digest;
use crate::object::ObjectId;
use crate::record::Effect;

thread_local! {
    static LOOKING: Cell<bool> = const { Cell::new(false) };
    static SEEN: RefCell<Vec<(ObjectId, Effect)>> = const { RefCell::new(Vec::new()) };
    static TOLD: Cell<Option<Digest>> = const { Cell::new(None) };
}

/// Somebody outside the steps reads `object`. Whoever remembers what it saw says so ([`tell`]).
#[inline]
pub(crate) fn note_look(object: ObjectId) {
    if LOOKING.get() {
        note(object, Effect::NONE);
    }
}

/// Somebody outside the steps changes `object`.
#[inline]
pub(crate) fn note_change(object: ObjectId, effect: Effect) {
    if LOOKING.get() {
        note(object, effect);
    }
}

/// The code reads what `absorb` hashes without a step.
#[inline]
pub(crate) fn tell(absorb: impl FnOnce(&mut Digest)) {
    if LOOKING.get() {
        let mut told = TOLD.get().unwrap_or_default();
        absorb(&mut told);
        TOLD.set(Some(told));
    }
}

#[cold]
fn note(object: ObjectId, effect: Effect) {
    SEEN.with_borrow_mut(|seen| {
        if effect.old != effect.new || !seen.iter().any(|&(known, _)| known == object) {
            seen.push((object, effect));
        }
    });
}

/// From now on looks are noted, or no longer.
pub(crate) fn note_looks(on: bool) {
    LOOKING.set(on);
}

/// A run begins: nothing is noted of one that was left in the midst of a step.
pub(crate) fn begin() {
    LOOKING.set(false);
    SEEN.with_borrow_mut(Vec::clear);
    forget_told();
}

/// Hands over what was noted.
pub(crate) fn take_looks(mut taken: impl FnMut(ObjectId, Effect)) {
    SEEN.with_borrow_mut(|seen| seen.drain(..).for_each(|(object, effect)| taken(object, effect)));
}

/// Nothing was told.
pub(crate) fn forget_told() {
    TOLD.set(None);
}

/// Hands over a digest of what was read, if something was.
pub(crate) fn take_told() -> Option<Digest> {
    TOLD.take()
}
