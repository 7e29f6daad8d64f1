//! Where two kernels part under one schedule: the step that one of them leaves out or does otherwise.

use crate::trace::{Event, Trace};

/// The first step in which two runs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The step of the one; `None` if its actor did nothing more.
    pub one: Option<usize>,
    /// The step of the other; `None` if its actor did nothing more.
    pub other: Option<usize>,
}

fn same(one: &Event, other: &Event) -> bool {
    one.op.location == other.op.location && one.op.kind == other.op.kind && one.op.object == other.op.object
}

/// The first step, in the order of `other`, in which an actor does something else than in `one`. An actor that is merely
/// not as far in one of the runs does nothing else.
pub fn diverge(one: &Trace, other: &Trace) -> Option<Divergence> {
    let of = |trace: &Trace, actor: usize| -> Vec<usize> {
        let own = |&index: &usize| trace.events()[index].access.actor == actor;
        (0..trace.events().len()).filter(own).collect()
    };
    let first = |actor: usize| {
        let (mine, theirs) = (of(one, actor), of(other, actor));
        let differs = |&(a, b): &(usize, usize)| !same(&one.events()[a], &other.events()[b]);
        let pairs = mine.iter().copied().zip(theirs.iter().copied());
        pairs.clone().find(differs).map(|(a, b)| Divergence { one: Some(a), other: Some(b) })
    };
    (0..3 * one.cpus()).filter_map(first).min_by_key(|divergence| divergence.other)
}
