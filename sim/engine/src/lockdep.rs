//! Lock order: classes of locks, which was taken inside which, and whether that can deadlock.

use petgraph::algo::has_path_connecting;
use petgraph::graphmap::DiGraphMap;

use crate::context::Context;
use crate::digest::Digest;
use crate::object::Class;

/// A class of locks, by its number, and the nesting level in it.
type Level = (u8, u8);

/// The graph of "taken while held", by lock class and nesting level.
#[derive(Clone, Default)]
pub(crate) struct LockOrder {
    /// Who is taken inside whom, in order; a few dozen.
    edges: Vec<(Level, Level)>,
    /// Orders of this and of earlier runs that are free of cycles together. Never set back.
    acyclic: DiGraphMap<Level, ()>,
    /// Whether this run has seen an order that is not among them.
    beyond: bool,
}

impl LockOrder {
    /// Back to what it was: an order that has been seen is never forgotten within a run.
    pub(crate) fn set_back(&mut self, kept: &Self) {
        if self.edges.len() != kept.edges.len() {
            self.edges.clone_from(&kept.edges);
        }
        self.beyond = kept.beyond;
    }

    pub(crate) fn clear(&mut self) {
        self.edges.clear();
        self.beyond = false;
    }

    /// Every order seen.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        digest.absorb(self.edges.len() as u64);
        for &((outer, of_outer), (inner, of_inner)) in &self.edges {
            digest.absorb(u64::from(u32::from_le_bytes([outer, of_outer, inner, of_inner])));
        }
    }

    /// Notes that `inner` is taken while `outer` is held; true if the opposite order was seen before.
    fn contradicts(&mut self, outer: Level, inner: Level) -> bool {
        let Err(place) = self.edges.binary_search(&(outer, inner)) else { return false };
        self.edges.insert(place, (outer, inner));
        // What is a part of a graph without a cycle has none.
        if !self.beyond && self.acyclic.contains_edge(outer, inner) {
            return false;
        }
        self.check(outer, inner)
    }

    #[cold]
    fn check(&mut self, outer: Level, inner: Level) -> bool {
        let closes =
            |graph: &DiGraphMap<Level, ()>| outer == inner || has_path_connecting(graph, inner, outer, None);
        if closes(&self.acyclic) {
            self.beyond = true;
        } else {
            self.acyclic.add_edge(outer, inner, ());
        }
        self.beyond && closes(&DiGraphMap::from_edges(&self.edges))
    }
}

impl Context {
    /// Checks a blocking acquisition against every lock held, then counts it as held.
    #[inline(always)]
    pub(crate) fn note_acquire(&self, class: &'static Class, subclass: u8) {
        if self.engine().config.checks {
            self.check_order(class, subclass);
            self.held.borrow_mut().push(class);
        }
    }

    #[cold]
    fn check_order(&self, class: &'static Class, subclass: u8) {
        for outer in self.held.borrow().iter() {
            let contradicts =
                self.engine().lock_order.borrow_mut().contradicts((outer.id, 0), (class.id, subclass));
            if contradicts {
                let message = format!("{} takes {} while it holds {}", self.id(), class.name, outer.name);
                self.engine().violation("I28", message);
            }
        }
    }

    #[inline(always)]
    pub(crate) fn push_held(&self, class: &'static Class) {
        if self.engine().config.checks {
            self.held.borrow_mut().push(class);
        }
    }

    #[inline(always)]
    pub(crate) fn pop_held(&self, class: &'static Class) {
        if self.engine().config.checks {
            let mut held = self.held.borrow_mut();
            let innermost = held.iter().rposition(|&other| other == class).expect("a held lock");
            held.remove(innermost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_contradicted_by_a_way_back_of_any_length() {
        let [a, b, c, d] = [(1, 0), (2, 0), (3, 0), (4, 1)];
        let mut order = LockOrder::default();
        assert!(
            [(c, d), (a, b), (b, c), (a, b), (a, d)].iter().all(|&(one, two)| !order.contradicts(one, two))
        );
        let kept = order.clone();
        assert!(order.contradicts(d, a));
        assert!(!order.contradicts(d, a), "told once");
        assert!(order.contradicts(a, a), "a lock of the same level inside itself");
        order.set_back(&kept);
        assert!(!order.contradicts((5, 0), a), "what is outside all of them is in nobody's way");
        assert!(order.contradicts(c, b), "the way back is one step long");
    }
}
