//! The ways of searching, by name.

/// Which schedules of a scenario are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// By class; by state if there are many classes.
    Auto,
    /// Every class of schedules that differ in more than the order of independent steps, once.
    Dpor,
    /// Every state that the machine can be in, and every step out of it, once.
    States,
    /// Every schedule, one after the other: for what has few.
    All,
    /// A seeded random choice at every step.
    Random,
}

impl Strategy {
    /// Every way.
    pub const EVERY: [Self; 5] = [Self::Auto, Self::Dpor, Self::States, Self::All, Self::Random];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dpor => "dpor",
            Self::States => "states",
            Self::All => "all",
            Self::Random => "random",
        }
    }

    /// The way of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|strategy| strategy.name() == name)
    }

    /// At most so many runs, where nobody says how many.
    #[must_use]
    pub fn default_runs(self) -> u64 {
        match self {
            Self::Auto => 20_000,
            Self::Dpor | Self::States | Self::All => 1_000_000,
            Self::Random => 10_000,
        }
    }
}
