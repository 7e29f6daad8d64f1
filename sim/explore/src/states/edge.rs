//! Steps between states, by number.

/// Who takes steps, by number: at most as many as fit a mask.
pub(super) type Actor = u8;

/// A state by number.
pub(super) type State = u32;

/// A step from one state to another, in a word: 29 bits of state, 6 of actor, 29 of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge(pub(super) u64);

impl Edge {
    pub(super) fn new(from: State, actor: Actor, to: State) -> Self {
        Self(u64::from(from) << 35 | u64::from(actor) << 29 | u64::from(to))
    }

    pub(super) fn from(self) -> State {
        (self.0 >> 35) as State
    }

    pub(super) fn actor(self) -> Actor {
        (self.0 >> 29 & 63) as Actor
    }

    pub(super) fn to(self) -> State {
        (self.0 & ((1 << 29) - 1)) as State
    }
}

/// A step out of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) from: State,
    pub(super) actor: Actor,
}
