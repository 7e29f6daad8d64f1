//! Running one schedule: a plan of actors that is followed as far as it can be.

use pagewalk_engine::{Engine, Executed, Explorer, Stop, Violation};

use crate::model::{Model, run_once, verdict_of};
use crate::trace::Trace;

/// A run under a plan, up to its first violation.
#[derive(Clone, Debug)]
pub struct GuidedRun {
    /// Who took each step.
    pub choices: Vec<usize>,
    /// The steps.
    pub trace: Trace,
    /// How it ended.
    pub stop: Stop,
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    /// Everything that was wrong.
    pub violations: Vec<Violation>,
    /// Whether every choice of the plan could be followed.
    pub followed: bool,
}

struct Guide<'a> {
    plan: &'a [usize],
    at: usize,
    last: Option<usize>,
    choices: Vec<usize>,
    trace: Trace,
    followed: bool,
    most_steps: usize,
    stops: bool,
}

/// Runs `model` along `plan`, and stops at the first violation. Who cannot take a planned step is passed over; when the plan
/// is over, whoever ran last goes on as long as it can, then the lowest number.
pub fn follow(model: &mut dyn Model, plan: &[usize], most_steps: usize) -> GuidedRun {
    guide(model, plan, most_steps, true)
}

/// The same, to the end of the run, whatever breaks on the way.
pub fn follow_to_the_end(model: &mut dyn Model, plan: &[usize], most_steps: usize) -> GuidedRun {
    guide(model, plan, most_steps, false)
}

fn guide(model: &mut dyn Model, plan: &[usize], most_steps: usize, stops: bool) -> GuidedRun {
    let trace = Trace::new(model.cpus());
    let mut guide =
        Guide { plan, at: 0, last: None, choices: Vec::new(), trace, followed: true, most_steps, stops };
    let (engine, stop) = run_once(model, 0, &mut guide);
    let verdict = verdict_of(model, &engine, stop);
    GuidedRun {
        choices: guide.choices,
        trace: guide.trace,
        stop: verdict.stop,
        violation: verdict.violations.first().cloned(),
        violations: verdict.violations,
        followed: guide.followed && guide.at >= plan.len(),
    }
}

impl Explorer for Guide<'_> {
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize> {
        if self.choices.len() >= self.most_steps || (self.stops && engine.has_violation()) {
            return None;
        }
        while let Some(&wanted) = self.plan.get(self.at) {
            self.at += 1;
            if wanted < 64 && enabled >> wanted & 1 == 1 {
                self.last = Some(wanted);
                return self.last;
            }
            self.followed = false;
        }
        let goes_on = self.last.filter(|last| enabled >> last & 1 == 1);
        self.last = Some(goes_on.unwrap_or(enabled.trailing_zeros() as usize));
        self.last
    }

    fn executed(&mut self, _: &Engine, step: &Executed<'_>) {
        self.choices.push(step.actor);
        self.trace.push(step);
    }
}
