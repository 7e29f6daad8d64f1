//! The search of `pagewalk explore`, watched and with a checkpoint.

use std::cell::RefCell;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use pagewalk_explore::{Findings, Scenario, Search, SearchProgress, StateGraph, StrategyKind};
use pagewalk_input::{Refusal, TimeLimit};

use super::args::ExploreArgs;
use super::checkpoint::Checkpoint;
use super::watch::{Ended, Watch};

/// What came of a search.
pub(super) struct Outcome {
    pub(super) findings: Findings,
    pub(super) ended: Ended,
}

/// A search that is shown, and whose states are kept from time to time.
struct Watched {
    watch: Rc<Watch>,
    kept: Option<(Checkpoint, Arc<StateGraph>)>,
    failed: RefCell<Option<Refusal>>,
}

impl SearchProgress for Watched {
    fn goes_on(&self) -> bool {
        let due = |(checkpoint, graph): &(Checkpoint, Arc<StateGraph>)| {
            checkpoint.save_if_due(graph, self.watch.elapsed())
        };
        match self.kept.as_ref().map_or(Ok(()), due) {
            Ok(()) => self.watch.goes_on(),
            Err(refusal) => {
                *self.failed.borrow_mut() = Some(refusal);
                false
            }
        }
    }

    fn class(&self, failing: bool) {
        self.watch.note_class();
        if failing {
            self.watch.note_failing();
        }
    }

    fn states(&self, states: u64, steps: u64, broken: bool) {
        self.watch.note_states((states, steps), broken);
    }
}

/// Searches as `args` say.
///
/// # Errors
/// If there is a checkpoint that cannot be gone on from, or one cannot be written.
pub(super) fn search(args: &ExploreArgs, scenario: &Scenario) -> Result<Outcome, Refusal> {
    let strategy = args.strategy;
    let checkpoint = Checkpoint::of(args, scenario)?;
    let kept = match checkpoint {
        None => None,
        Some(checkpoint) => {
            let graph = Arc::new(checkpoint.load()?);
            Some((checkpoint, graph))
        }
    };
    let jobs =
        args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
    let known = kept.as_ref().map(|(_, graph)| Arc::clone(graph));
    let how = Search { strategy, runs: args.runs, seed: args.seed, jobs, known };
    let runs = args.runs.unwrap_or(strategy.default_runs());
    let total = (strategy == StrategyKind::Random).then_some(runs);
    let watch = Watch::begin("explore", total, args.budget.map(TimeLimit::duration));
    let watched = Rc::new(Watched { watch: Rc::clone(&watch), kept, failed: RefCell::default() });
    let progress = Rc::clone(&watched) as Rc<dyn SearchProgress>;
    let findings = pagewalk_explore::search(&how, scenario, args.kernel.switches(), &progress);
    if let Some(failed) = watched.failed.take() {
        return Err(failed);
    }
    if let Some((checkpoint, graph)) = &watched.kept {
        checkpoint.save(graph)?;
    }
    watch.finish();
    let ended = Ended::of(findings.ended, watch.ended_early());
    Ok(Outcome { findings, ended })
}
