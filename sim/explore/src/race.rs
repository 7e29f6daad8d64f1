//! Races of a finished run: which other choice, and where, would reverse each of them.

use crate::clock::join;
use crate::depend::{Access, related};
use crate::fault::Fault;
use crate::node::Node;
use crate::trace::Trace;

/// Makes sure that for each race of an event from `first` on, and of each step still `pending`, the reversed order is
/// tried: at the node before the earlier event, one of the actors that could begin it is chosen some time.
pub(crate) fn plan_reversals(trace: &Trace, stack: &mut [Node], first: usize, pending: &[Access]) {
    for later in first..trace.events().len() {
        let event = &trace.events()[later];
        for &earlier in &event.races {
            let clock = trace.clock(later);
            reverse(trace, stack, earlier, later, clock, event.access.actor);
        }
    }
    for access in pending {
        let placed = trace.place(access, access.blocking);
        let end = trace.events().len();
        for &earlier in &placed.races {
            let mut clock = placed.clock.clone();
            join(&mut clock, trace.clock(earlier));
            reverse(trace, stack, earlier, end, &clock, access.actor);
        }
    }
}

/// What a step accesses may depend on what it finds. Let one have been tried at a choice, in `access`, and let the event that was
/// chosen there change what it finds, and so what it accesses. Another event that comes later, and that `access` depends on, is
/// then in no race with what the step has become. But it could have come first, before the choice, and the step after it
/// have been what it was.
pub(crate) fn plan_woken(trace: &Trace, stack: &mut [Node], first: usize) {
    if trace.fault() == Some(Fault::WokenForgotten) {
        return;
    }
    for (chosen, node) in stack.iter_mut().enumerate().take(trace.events().len()) {
        let mut planned = 0;
        for access in node.sleep.iter().chain(&node.done) {
            let Some(last) = first_that_wakes(trace, chosen, access).filter(|&last| last >= first) else {
                continue;
            };
            let initials = initials_beside(trace, chosen, last, access.actor);
            if initials & (node.backtrack | planned | node.sleeping) == 0 {
                let possible = initials & node.enabled;
                planned |= possible & possible.wrapping_neg();
            }
        }
        node.backtrack |= planned;
    }
}

/// The first event after `chosen` that could come before it, and that `access` depends on, but not what has become of it.
fn first_that_wakes(trace: &Trace, chosen: usize, access: &Access) -> Option<usize> {
    let (events, fault) = (trace.events(), trace.fault());
    if !related(access, &events[chosen].access, fault) {
        return None;
    }
    let own = (chosen + 1..events.len()).find(|&event| events[event].access.actor == access.actor);
    (chosen + 1..events.len()).find(|&event| {
        let other = &events[event].access;
        let same = own.is_some_and(|own| related(other, &events[own].access, fault));
        let after = trace.precedes(chosen, event) || own.is_some_and(|own| trace.precedes(own, event));
        other.actor != access.actor && !same && !after && related(other, access, fault)
    })
}

/// The actors whose first event of those after `chosen`, up to `last`, that depend neither on it nor on the next one of `actor` has
/// none of the others before it.
fn initials_beside(trace: &Trace, chosen: usize, last: usize, actor: usize) -> u64 {
    let events = trace.events();
    let own = (chosen + 1..=last).find(|&event| events[event].access.actor == actor);
    let mut initials = Initials::new(trace);
    for event in chosen + 1..=last {
        let known = |before: usize| before == event || trace.precedes(before, event);
        if !known(chosen) && !own.is_some_and(known) {
            initials.add(event);
        }
    }
    initials.found
}

/// The actors that can begin with a part of a run: those whose first event of it has no other event of it before it.
struct Initials<'a> {
    trace: &'a Trace,
    /// The first event of each actor in the part.
    first: Vec<usize>,
    seen: u64,
    found: u64,
}

impl<'a> Initials<'a> {
    fn new(trace: &'a Trace) -> Self {
        Self { trace, first: Vec::new(), seen: 0, found: 0 }
    }

    /// The next event of the part.
    fn add(&mut self, event: usize) {
        let bit = 1 << self.trace.events()[event].access.actor;
        if self.seen & bit == 0 {
            if self.knows_none(self.trace.clock(event)) {
                self.found |= bit;
            }
            self.seen |= bit;
            self.first.push(event);
        }
    }

    /// Whether who has this clock knows nothing of the part. Who knows an event of an actor knows those before it.
    fn knows_none(&self, clock: &[u16]) -> bool {
        self.first.iter().all(|&before| !self.trace.knows(clock, before))
    }
}

/// The actors that can begin a run in which the `later` step, by `actor`, comes before `earlier`: those whose first event
/// among what does not depend on `earlier` has nothing before it there. One of them will be chosen, unless one is already.
fn reverse(trace: &Trace, stack: &mut [Node], earlier: usize, later: usize, clock: &[u16], actor: usize) {
    let node = &mut stack[earlier];
    let (own, planned) = (1 << actor, node.backtrack | node.sleeping);
    let mut initials = Initials::new(trace);
    for event in earlier + 1..later {
        if !trace.precedes(earlier, event) {
            initials.add(event);
            if initials.found & planned != 0 {
                return;
            }
        }
    }
    if initials.seen & own == 0 && initials.knows_none(clock) {
        initials.found |= own;
    }
    if initials.found & planned != 0 {
        return;
    }
    let possible = initials.found & node.enabled;
    if possible & own != 0 {
        node.backtrack |= own;
    } else if trace.fault() != Some(Fault::OnlyOwnReverses) {
        // None possible: the later step could not have happened without the earlier one.
        node.backtrack |= possible & possible.wrapping_neg();
    }
}
