//! Branch marks: names on the branches of kernel paths that are seldom taken, so that tests can show that each is driven.
//!
//! `cx.mark("find_get_page:moved")` stands first in its branch; the name is the path's and the branch's. It costs one test of a
//! flag that only [`Engine::watch_marks`] sets, changes nothing, and is no step. Names are written out at their mark, so that a
//! test can read the list of all marks off the source.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::context::Context;
use crate::engine::Engine;

/// How often each marked branch was taken.
#[derive(Default)]
pub(crate) struct Marks {
    watched: Cell<bool>,
    taken: RefCell<BTreeMap<&'static str, u64>>,
}

impl Context {
    /// A branch is taken that bears this name.
    #[inline(always)]
    pub fn mark(&self, name: &'static str) {
        self.engine().mark(name);
    }
}

impl Engine {
    /// The same where there is no context: in an interrupt handler.
    #[inline(always)]
    pub fn mark(&self, name: &'static str) {
        if self.marks.watched.get() {
            *self.marks.taken.borrow_mut().entry(name).or_default() += 1;
        }
    }

    /// From now on marks are counted.
    pub fn watch_marks(&self) {
        self.marks.watched.set(true);
    }

    /// The marked branches taken since they are watched, with how often, by name.
    pub fn marks(&self) -> Vec<(&'static str, u64)> {
        self.marks.taken.borrow().iter().map(|(&name, &times)| (name, times)).collect()
    }
}
