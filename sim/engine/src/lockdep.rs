//! Lock order: classes of locks, which was taken inside which, and whether that can deadlock.

use petgraph::algo::has_path_connecting;
use petgraph::graphmap::DiGraphMap;

use crate::context::Context;
use crate::object::Class;

/// The graph of "taken while held", by lock class and nesting level.
#[derive(Clone, Default)]
pub(crate) struct LockOrder {
    graph: DiGraphMap<(u8, u8), ()>,
}

impl LockOrder {
    /// Back to what it was: an order that has been seen is never forgotten within a run.
    pub(crate) fn set_back(&mut self, kept: &Self) {
        if self.graph.edge_count() != kept.graph.edge_count() {
            self.graph.clone_from(&kept.graph);
        }
    }

    pub(crate) fn clear(&mut self) {
        if self.graph.node_count() > 0 {
            self.graph.clear();
        }
    }

    /// Notes that `inner` is taken while `outer` is held; true if the opposite order was seen before.
    fn contradicts(&mut self, outer: (u8, u8), inner: (u8, u8)) -> bool {
        if self.graph.contains_edge(outer, inner) {
            return false;
        }
        let cycle = outer == inner || has_path_connecting(&self.graph, inner, outer, None);
        self.graph.add_edge(outer, inner, ());
        cycle
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
