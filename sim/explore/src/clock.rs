//! Vector clocks: which events happened before which.

/// The clocks of a run's events, one row of counters per event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clocks {
    actors: usize,
    counters: Vec<u16>,
}

impl Clocks {
    pub(crate) fn new(actors: usize) -> Self {
        Self { actors, counters: Vec::new() }
    }

    /// Only the clocks of the first `events` stay.
    pub(crate) fn truncate(&mut self, events: usize) {
        self.counters.truncate(events * self.actors);
    }

    /// The clock of `event`.
    pub(crate) fn of(&self, event: usize) -> &[u16] {
        &self.counters[event * self.actors..][..self.actors]
    }

    pub(crate) fn push(&mut self, clock: &[u16]) {
        self.counters.extend_from_slice(clock);
    }
}

/// `clock` now knows all that `other` knows.
pub(crate) fn join(clock: &mut [u16], other: &[u16]) {
    for (mine, theirs) in clock.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}
