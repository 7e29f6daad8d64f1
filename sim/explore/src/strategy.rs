//! What every strategy does run by run, and the loop that drives it.

use std::rc::Rc;

use pagewalk_engine::{Engine, Explorer, Stop};

use crate::model::{Limits, Model, Summary, Verdict, run_once, verdict_of};

/// A way of choosing schedules, one run after the other. Within a run it chooses each step, as an [`Explorer`].
pub trait Strategy: Explorer {
    /// A run begins. Yields the seed with which the model is started.
    fn begin(&mut self) -> u64;

    /// The run that was begun has ended in `stop`. Yields what it counts as.
    fn end(&mut self, engine: &Rc<Engine>, stop: &Stop) -> Ran;

    /// How many steps that run had.
    fn steps(&self) -> usize;

    /// Moves on to the next run. False if none is left: then every schedule was tried, or one like it.
    fn advance(&mut self) -> bool;
}

/// What a run counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It came to its end.
    Whole,
    /// It was given up: what was left to choose had been tried elsewhere.
    Asleep,
    /// It was too long, and cut off.
    Cut,
}

/// Runs `model` as `strategy` says, until nothing is left, a limit is reached, or somebody wants no other run. `visit` gets every run
/// that came to its end, and says whether to go on.
pub fn drive<S: Strategy>(
    model: &mut dyn Model,
    strategy: &mut S,
    limits: Limits,
    visit: &mut dyn FnMut(&S, &Verdict) -> bool,
) -> Summary {
    let mut summary = Summary::default();
    loop {
        let seed = strategy.begin();
        let (engine, stop) = run_once(model, seed, strategy);
        let ran = strategy.end(&engine, &stop);
        summary.runs += 1;
        summary.steps += strategy.steps() as u64;
        let mut go_on = true;
        match ran {
            Ran::Asleep => summary.sleep_blocked += 1,
            Ran::Cut => summary.cut += 1,
            Ran::Whole => {
                summary.classes += 1;
                let verdict = verdict_of(model, &engine, stop);
                summary.failing += u64::from(!verdict.is_clean());
                go_on = visit(strategy, &verdict);
            }
        }
        if !strategy.advance() {
            summary.complete = summary.cut == 0;
            return summary;
        }
        if !go_on || !model.goes_on() || summary.runs >= limits.runs {
            return summary;
        }
    }
}
