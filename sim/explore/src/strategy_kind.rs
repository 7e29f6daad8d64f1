//! The strategies by name: one entry each.

/// The strategies: variant, name, the most runs where nobody says how many, and what it is. The sentence is the variant's documentation,
/// too.
macro_rules! strategies {
    ($($kind:ident $name:literal, runs $runs:literal => $about:literal;)*) => {
        /// Which schedules of a scenario are tried.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StrategyKind {
            $(#[doc = concat!($about, ".")] $kind,)*
        }

        impl StrategyKind {
            /// Every strategy.
            pub const EVERY: &[Self] = &[$(Self::$kind,)*];

            /// Its name on the command line and in files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What it is, in a sentence without its full stop.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$kind => $about,)*
                }
            }

            /// At most so many runs, where nobody says how many.
            #[must_use]
            pub const fn default_runs(self) -> u64 {
                match self {
                    $(Self::$kind => $runs,)*
                }
            }
        }
    };
}

strategies! {
    Auto "auto", runs 20_000 => "By class; by state if there are more than 20000 classes";
    Dpor "dpor", runs 1_000_000 =>
        "Every class of schedules that differ in more than the order of independent steps, once";
    States "states", runs 1_000_000 => "Every state that the machine can be in, and every step out of it, once";
    All "all", runs 1_000_000 => "Every schedule, one after the other: for what has few";
    Random "random", runs 10_000 => "A seeded random choice at every step";
}

impl StrategyKind {
    /// The strategy of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::EVERY.iter().copied().find(|strategy| strategy.name() == name)
    }
}
