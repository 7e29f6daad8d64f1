//! Races of a finished run: which other choice, and where, would reverse each of them.

use crate::clock::join;
use crate::depend::{Access, dependent};
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

/// The actors that can begin a run in which the `later` step, by `actor`, comes before `earlier`: those whose first event
/// among what does not depend on `earlier` has nothing before it there.
fn reverse(trace: &Trace, stack: &mut [Node], earlier: usize, later: usize, clock: &[u16], actor: usize) {
    let mut kept: Vec<usize> = Vec::new();
    let (mut initials, mut seen) = (0_u64, 0_u64);
    for event in earlier + 1..later {
        if trace.precedes(earlier, event) {
            continue;
        }
        let bit = 1 << trace.events()[event].access.actor;
        if seen & bit == 0 && kept.iter().all(|&before| !trace.precedes(before, event)) {
            initials |= bit;
        }
        seen |= bit;
        kept.push(event);
    }
    let own = 1 << actor;
    let node = &mut stack[earlier];
    // What a step accesses may depend on what it finds. If it is known what the step accessed when it came first here, that
    // counts: it may depend on an event that the later step did not depend on.
    let first_here = node.sleep.iter().chain(&node.done).find(|access| access.actor == actor);
    let other = first_here
        .is_some_and(|first| kept.iter().any(|&before| dependent(&trace.events()[before].access, first)));
    if seen & own == 0 && !other && kept.iter().all(|&before| !trace.knows(clock, before)) {
        initials |= own;
    }
    if initials & (node.backtrack | node.sleeping()) != 0 {
        return;
    }
    let possible = initials & node.enabled;
    if possible & own != 0 {
        node.backtrack |= own;
    } else {
        // None possible: the later step could not have happened without the earlier one.
        node.backtrack |= possible & possible.wrapping_neg();
    }
}
