//! Exploring: the kernel's own paths under schedules chosen to break them.
//!
//! A [`Model`] is a small world that can be started again and again. [`random_walk`] tries schedules by chance;
//! [`exhaust`] visits every class of schedules that differ in more than the order of independent steps, once, and so ends
//! with a proof: no schedule of this scenario breaks a promise.

mod brute;
mod bug;
mod case;
mod clock;
pub mod crosscheck;
mod depend;
mod differ;
mod dpor;
mod fault;
mod guided;
mod index;
pub mod matrix;
mod model;
mod node;
mod place;
mod race;
mod races;
mod random;
mod read;
mod scenario;
mod search;
mod shrink;
mod source;
mod states;
mod strategy;
mod strategy_kind;
mod tell;
mod trace;

pub use brute::enumerate;
pub use case::{Case, CaseStep, KernelNames, actor_name};
pub use depend::{Access, dependent};
pub use differ::{Divergence, diverge};
pub use dpor::{exhaust, exhaust_with};
pub use fault::Fault;
pub use guided::{GuidedRun, follow, follow_to_the_end};
pub use model::{LONGEST_RUN, Limits, Model, Run, Summary, Verdict};
pub use races::{RaceInfo, race, races};
pub use random::{RandomWalk, random_walk};
pub use read::{parse_scenario_str, read_scenario};
pub use scenario::{FileSpec, MOST_CPUS, MOST_OPS, MapSpec, Operation, Pool, Problem, Scenario, World};
pub use search::{BrokenInvariant, Ended, Findings, Search, SearchProgress, Unhurried, search};
pub use shrink::{Shrunk, shrink, switches};
pub use source::SourcePlace;
pub use states::{
    BrokenState, CheckpointError, StateGraph, StateSummary, Walked, disagreement, exhaust_states, walk,
};
pub use strategy::{Ran, Strategy, drive};
pub use strategy_kind::StrategyKind;
pub use tell::{Teller, ToldStep};
pub use trace::{Event, Trace};
