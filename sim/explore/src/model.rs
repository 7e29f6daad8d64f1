//! What is explored, and what came of it.

use std::rc::Rc;

use pagewalk_engine::{Engine, Explorer, Shared, Stop, Violation};

use crate::bug;
use crate::trace::Trace;

/// A small world that can be run under any schedule, again and again.
pub trait Model {
    /// How many CPUs its machine has.
    fn cpus(&self) -> usize;

    /// Brings the world to its beginning and spawns the contexts. Yields the engine that runs them, whose schedule is
    /// [`pagewalk_engine::Schedule::Explore`]; one used before has been started again, with `seed`.
    fn start(&mut self, seed: u64) -> Rc<Engine>;

    /// Asked by a search after every run: whether there is to be another.
    fn goes_on(&self) -> bool {
        true
    }

    /// What contexts and interrupts of the run that was started last share, for a search by state. `None`: there can be no such search.
    fn shared(&self) -> Option<Rc<dyn Shared>> {
        None
    }

    /// What the end of the run shows to be wrong, beyond what the engine noted on the way.
    fn judge(&mut self, stop: &Stop) -> Vec<Violation>;
}

/// What one run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended.
    pub stop: Stop,
    /// What was wrong, in the order in which it was noticed.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

/// One run of a search, as its visitor sees it.
#[derive(Debug)]
pub struct Run<'a> {
    /// The class of schedules it stands for.
    pub class: u128,
    /// What it showed.
    pub verdict: &'a Verdict,
    /// Its steps.
    pub trace: &'a Trace,
}

/// A run of a scenario that is longer, in steps, is cut off.
pub const LONGEST_RUN: usize = 20_000;

/// When a search gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most runs.
    pub runs: u64,
    /// The most steps of a run; a longer one is cut off and counts as incomplete.
    pub steps: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { runs: 10_000_000, steps: 2_000 }
    }
}

/// What a search found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs, those not counted as classes included.
    pub runs: u64,
    /// Runs that came to an end, each in a class of its own where the search is exhaustive.
    pub classes: u64,
    /// Runs given up because all that was left to choose had been tried elsewhere.
    pub sleep_blocked: u64,
    /// Runs cut off by [`Limits::steps`].
    pub cut: u64,
    /// Runs that showed something wrong.
    pub failing: u64,
    /// Steps of all runs.
    pub steps: u64,
    /// Whether every class was visited.
    pub complete: bool,
}

/// Runs `model` once under `explorer`. A panic in the kernel's text ends the run as a `BUG` does.
pub(crate) fn run_once(model: &mut dyn Model, seed: u64, explorer: &mut dyn Explorer) -> (Rc<Engine>, Stop) {
    let engine = model.start(seed);
    let stop = run_started(&engine, explorer);
    (engine, stop)
}

/// Runs what was started under `explorer`.
pub(crate) fn run_started(engine: &Engine, explorer: &mut dyn Explorer) -> Stop {
    bug::caught(|| engine.explore(explorer)).unwrap_or_else(|text| {
        engine.violation("panic", &*text);
        Stop::Stopped(format!("panic: {text}"))
    })
}

/// What the run that ended in `stop` showed.
pub(crate) fn verdict_of(model: &mut dyn Model, engine: &Engine, stop: Stop) -> Verdict {
    let found = model.judge(&stop);
    let mut violations = engine.violations();
    violations.extend(found);
    Verdict { stop, violations }
}
