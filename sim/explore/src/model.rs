//! What is explored, and what came of it.

use std::rc::Rc;

use pagewalk_engine::{Engine, Explorer, Stop, Violation};

use crate::trace::Trace;

/// A small world that can be run under any schedule, again and again.
pub trait Model {
    /// The engine, whose schedule is [`pagewalk_engine::Schedule::Explore`]. The same one for all runs of a search.
    fn engine(&self) -> &Rc<Engine>;

    /// Sets the world back to its beginning and spawns the contexts. [`Engine::restart`] has been called.
    fn start(&mut self);

    /// What the end of the run shows to be wrong, beyond what the engine noted on the way. `waits_for_change`: nobody can go on
    /// and somebody waits in a retry.
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

/// Runs `model` once under `explorer`.
pub(crate) fn run_once(model: &mut dyn Model, seed: u64, explorer: &mut dyn Explorer) -> Stop {
    let engine = Rc::clone(model.engine());
    engine.restart(seed);
    model.start();
    engine.explore(explorer)
}

/// What the run that ended in `stop` showed.
pub(crate) fn verdict_of(model: &mut dyn Model, stop: Stop) -> Verdict {
    let mut violations = model.engine().violations();
    violations.extend(model.judge(&stop));
    Verdict { stop, violations }
}
