//! The searches of `pagewalk explore`: which one is made, and what it found.

use std::cell::Cell;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use pagewalk_engine::Violation;
use pagewalk_explore::{
    LONGEST_RUN, Limits, Run, Scenario, StateGraph, StateSummary, Strategy, Summary, Verdict, World,
    enumerate, exhaust, follow_to_the_end, random_walk, switches, walk,
};
use pagewalk_input::{Refusal, TimeLimit};
use pagewalk_mmu::{Mutant, Switches};

use super::args::ExploreArgs;
use super::checkpoint::Checkpoint;
use super::report::Broken;
use super::watch::{Ended, Watch};

/// What came of a search.
pub(super) struct Outcome {
    pub(super) summary: Summary,
    /// What was found by state, if it was searched so.
    pub(super) states: Option<StateSummary>,
    pub(super) findings: Findings,
    pub(super) ended: Ended,
    /// The mutants whose line no run has reached.
    pub(super) not_reached: Vec<Mutant>,
}

/// What a search has found so far, besides its counts.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) broken: Broken,
    /// The failing schedule to show: one that breaks something on the way rather than only shows it at the end, with the
    /// fewest switches, and of those the first.
    pub(super) failing: Option<((bool, usize), Vec<usize>)>,
}

impl Findings {
    fn note(&mut self, choices: &[usize], verdict: &Verdict) {
        if verdict.is_clean() {
            return;
        }
        self.broken.note(&verdict.violations);
        self.note_failing(choices, verdict.violations[0].invariant);
    }

    fn note_failing(&mut self, choices: &[usize], invariant: &str) {
        let rank = (invariant == "I5", switches(choices));
        if self.failing.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.failing = Some((rank, choices.to_vec()));
        }
    }

    /// What states have shown: each invariant at the end of the shortest schedule that breaks it.
    fn of_states(found: &StateSummary, world: &mut World) -> Self {
        let mut findings = Self::default();
        for broken in &found.broken {
            let run = follow_to_the_end(world, &broken.schedule, LONGEST_RUN);
            let known = run.violations.iter().find(|violation| violation.invariant == broken.invariant);
            let violation = known.cloned().unwrap_or_else(|| Violation {
                invariant: broken.invariant,
                message: "a run along the known way does not break it".into(),
            });
            findings.broken.note_ends(&violation, broken.ends);
            findings.note_failing(&run.choices, broken.invariant);
        }
        findings
    }
}

/// Searches as `args` say.
///
/// # Errors
/// If there is a checkpoint that cannot be gone on from, or one cannot be written.
pub(super) fn search(args: &ExploreArgs, scenario: &Scenario) -> Result<Outcome, Refusal> {
    let random = args.strategy() == Strategy::Random;
    let runs = args.runs.unwrap_or(args.strategy().default_runs());
    let checkpoint = Checkpoint::of(args, scenario)?;
    let watch = Watch::begin("explore", random.then_some(runs), args.budget.map(TimeLimit::duration));
    let outcome = match args.strategy() {
        Strategy::States => by_state(args, scenario, &watch, checkpoint)?,
        Strategy::Auto if checkpoint.is_some() => by_state(args, scenario, &watch, checkpoint)?,
        Strategy::Auto => {
            let outcome = by_schedule(args, scenario, runs, &watch);
            // Nobody has said how many runs there are to be: too many classes, and states may be few.
            let many = args.runs.is_none() && matches!(outcome.ended, Ended::Runs | Ended::CutOff);
            if many { by_state(args, scenario, &watch, None)? } else { outcome }
        }
        _ => by_schedule(args, scenario, runs, &watch),
    };
    watch.finish();
    Ok(outcome)
}

fn by_schedule(args: &ExploreArgs, scenario: &Scenario, runs: u64, watch: &Rc<Watch>) -> Outcome {
    let random = args.strategy() == Strategy::Random;
    let limits = Limits { runs, steps: LONGEST_RUN };
    let mut world = World::new(scenario.clone(), args.kernel.switches()).asking(watch.asked());
    let mut findings = Findings::default();
    let mut note = |choices: &[usize], verdict: &Verdict| {
        watch.note_class();
        if !verdict.is_clean() {
            watch.note_failing();
        }
        findings.note(choices, verdict);
        true
    };
    let mut visit = |run: &Run<'_>| {
        let choices: Vec<usize> = run.trace.events().iter().map(|event| event.access.actor).collect();
        note(&choices, run.verdict)
    };
    let summary = match args.strategy() {
        Strategy::All => enumerate(&mut world, limits, &mut visit),
        Strategy::Random => random_walk(&mut world, args.seed, limits, &mut note),
        _ => exhaust(&mut world, limits, &mut visit),
    };
    let ended = match watch.ended_early() {
        // What was found last may have been the last there was.
        Some(early) if !summary.complete && (!random || summary.runs < runs) => early,
        _ if summary.complete => Ended::Complete,
        _ if summary.runs < runs => Ended::CutOff,
        _ => Ended::Runs,
    };
    Outcome { summary, states: None, findings, ended, not_reached: world.mutants_not_reached() }
}

fn by_state(
    args: &ExploreArgs,
    scenario: &Scenario,
    watch: &Rc<Watch>,
    checkpoint: Option<Checkpoint>,
) -> Result<Outcome, Refusal> {
    let switches = args.kernel.switches();
    let graph = Arc::new(checkpoint.as_ref().map_or(Ok(StateGraph::new()), Checkpoint::load)?);
    let checkpoint = Rc::new(checkpoint);
    let (known, told, kept) = (Arc::clone(&graph), Rc::clone(watch), Rc::clone(&checkpoint));
    let failed = Rc::new(Cell::new(None));
    let failure = Rc::clone(&failed);
    let goes_on = Rc::new(move || {
        told.note_states(known.counts(), known.is_broken());
        let saved = kept.as_ref().as_ref().map_or(Ok(()), |kept| kept.save_if_due(&known, told.elapsed()));
        let goes_on = saved.is_ok() && told.goes_on();
        failure.set(saved.err());
        goes_on
    });
    let mut world = World::new(scenario.clone(), switches).asking(goes_on);
    let mut not_reached = walk_together(&mut world, scenario, switches, &graph, jobs(args));
    if let Some(failed) = failed.take() {
        return Err(failed);
    }
    if let Some(checkpoint) = checkpoint.as_ref() {
        checkpoint.save(&graph)?;
    }
    let found = graph.summary();
    let findings = Findings::of_states(&found, &mut World::new(scenario.clone(), switches));
    not_reached.sort_unstable_by_key(|mutant| mutant.info().name);
    let ended = match watch.ended_early() {
        Some(early) if !found.complete => early,
        _ if found.complete => Ended::Complete,
        _ => Ended::CutOff,
    };
    let summary = Summary {
        classes: found.ends,
        cut: found.cut,
        failing: found.failing,
        steps: found.transitions,
        complete: found.complete,
        ..Summary::default()
    };
    Ok(Outcome { summary, states: Some(found), findings, ended, not_reached })
}

/// How many threads take steps.
fn jobs(args: &ExploreArgs) -> NonZero<usize> {
    args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN)
}

/// `world` and as many others as there are threads walk through the states. The mutants that none of them has reached.
fn walk_together(
    world: &mut World,
    scenario: &Scenario,
    switches: Switches,
    graph: &StateGraph,
    jobs: NonZero<usize>,
) -> Vec<Mutant> {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..jobs.get())
            .map(|_| {
                scope.spawn(|| {
                    let mut world = World::new(scenario.clone(), switches);
                    walk(&mut world, graph, LONGEST_RUN);
                    world.mutants_not_reached()
                })
            })
            .collect();
        walk(world, graph, LONGEST_RUN);
        let mut not_reached = world.mutants_not_reached();
        for other in others {
            let others = other.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
            not_reached.retain(|mutant| others.contains(mutant));
        }
        not_reached
    })
}
