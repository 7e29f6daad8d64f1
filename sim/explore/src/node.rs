//! A choice point of the search, and the stack of them that the next run follows.

use std::rc::Rc;

use pagewalk_engine::Op;

use crate::depend::Access;

/// One choice point.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Who could be chosen.
    pub(crate) enabled: u64,
    /// Who is chosen in the present run.
    pub(crate) chosen: usize,
    /// What the chosen one was about to do: replays must find the same.
    pub(crate) label: Option<Op>,
    /// Who has been chosen in earlier runs, and what that accessed.
    pub(crate) done: Vec<Rc<Access>>,
    /// What need not be chosen here: tried elsewhere, and nothing since then depends on it.
    pub(crate) sleep: Vec<Rc<Access>>,
    /// Who is in `sleep`.
    pub(crate) sleeping: u64,
    /// Who must be chosen here some time.
    pub(crate) backtrack: u64,
}

impl Node {
    /// Who must still be chosen here.
    pub(crate) fn pending(&self) -> u64 {
        self.backtrack & !mask(&self.done) & !self.sleeping
    }
}

pub(crate) fn mask(accesses: &[Rc<Access>]) -> u64 {
    accesses.iter().fold(0, |mask, access| mask | 1 << access.actor)
}

/// Whether two announcements are the same operation at the same place.
pub(crate) fn same(one: Option<Op>, other: Option<Op>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            let place = std::ptr::eq(one.location, other.location) || one.location == other.location;
            one.object == other.object && one.kind == other.kind && place
        }
        _ => false,
    }
}
