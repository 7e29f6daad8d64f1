//! One search, whichever way: which schedules of a scenario are tried, and what they show.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use pagewalk_engine::Violation;
use pagewalk_pages::{Mutant, Switches};
use serde::Serialize;

use crate::{
    LONGEST_RUN, Limits, Run, Scenario, StateGraph, StateSummary, StrategyKind, Summary, Verdict, World,
    enumerate, exhaust, follow_to_the_end, random_walk, switches, walk,
};

/// Somebody who waits for a search.
pub trait SearchProgress {
    /// Whether there is to be another run; asked after every one.
    fn goes_on(&self) -> bool;

    /// A run has ended that stands for a class of schedules; it breaks something if it is `failing`.
    fn class(&self, _failing: bool) {}

    /// So many states are known and steps between them; something is broken in one of them if it is `broken`.
    fn states(&self, _states: u64, _steps: u64, _broken: bool) {}
}

/// Nobody waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unhurried;

impl SearchProgress for Unhurried {
    fn goes_on(&self) -> bool {
        true
    }
}

/// How a scenario is searched.
#[derive(Clone)]
pub struct Search {
    /// Which schedules are tried.
    pub strategy: StrategyKind,
    /// At most so many runs; as many as is usual for the strategy unless given. Not of a search by state.
    pub runs: Option<u64>,
    /// The seed of random schedules.
    pub seed: u64,
    /// Threads that search by state.
    pub jobs: NonZero<usize>,
    /// What an earlier search by state has found, to go on from; searched by state, then, if the strategy is to be chosen.
    pub known: Option<Arc<StateGraph>>,
}

impl Search {
    /// A search in this way, with one thread, from the beginning.
    #[must_use]
    pub fn new(strategy: StrategyKind) -> Self {
        Self { strategy, runs: None, seed: 1, jobs: NonZero::<usize>::MIN, known: None }
    }
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing was left to try.
    Complete,
    /// Nothing was left to try but what follows the runs that were cut off.
    CutOff,
    /// As many runs as were allowed.
    Runs,
    /// Whoever waited wanted no other run.
    Stopped,
}

/// One invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenInvariant {
    /// Name of the invariant: `I9`.
    pub invariant: &'static str,
    /// In how many runs; by state: at how many ends.
    pub runs: u64,
    /// What was seen first.
    pub message: String,
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Counts.
    pub summary: Summary,
    /// What was found by state, if it was searched so.
    pub states: Option<StateSummary>,
    /// Every invariant that was broken.
    pub broken: BTreeMap<&'static str, BrokenInvariant>,
    /// The failing schedule to show: one that breaks something on the way rather than only shows it at the end, with the
    /// fewest switches, and of those the first.
    pub failing: Option<Vec<usize>>,
    /// Why it ended.
    pub ended: Ended,
    /// The mutants whose line no run has reached.
    pub not_reached: Vec<Mutant>,
}

/// What is broken so far, and the schedule to show.
#[derive(Default)]
struct Broken {
    all: BTreeMap<&'static str, BrokenInvariant>,
    failing: Option<((bool, usize), Vec<usize>)>,
}

impl Broken {
    /// Counts what one run broke, each invariant once.
    fn note(&mut self, choices: &[usize], violations: &[Violation]) {
        let mut told: Vec<&str> = Vec::new();
        for violation in violations {
            if !told.contains(&violation.invariant) {
                told.push(violation.invariant);
                self.known(violation).runs += 1;
            }
        }
        if let Some(first) = violations.first() {
            self.note_failing(choices, first.invariant);
        }
    }

    fn known(&mut self, violation: &Violation) -> &mut BrokenInvariant {
        let Violation { invariant, message } = violation;
        self.all.entry(invariant).or_insert_with(|| BrokenInvariant {
            invariant,
            runs: 0,
            message: message.clone(),
        })
    }

    fn note_failing(&mut self, choices: &[usize], invariant: &str) {
        let rank = (invariant == "I5", switches(choices));
        if self.failing.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.failing = Some((rank, choices.to_vec()));
        }
    }

    /// What states have shown: each invariant at the end of the shortest schedule that breaks it.
    fn of_states(found: &StateSummary, world: &mut World) -> Self {
        let mut all = Self::default();
        for broken in &found.broken {
            let run = follow_to_the_end(world, &broken.schedule, LONGEST_RUN);
            let known = run.violations.iter().find(|violation| violation.invariant == broken.invariant);
            let violation = known.cloned().unwrap_or_else(|| Violation {
                invariant: broken.invariant,
                message: "a run along the known way does not break it".into(),
            });
            all.known(&violation).runs = broken.ends;
            all.note_failing(&run.choices, broken.invariant);
        }
        all
    }
}

/// Searches the schedules of a scenario on a kernel.
#[must_use]
pub fn search(
    search: &Search,
    scenario: &Scenario,
    kernel: Switches,
    progress: &Rc<dyn SearchProgress>,
) -> Findings {
    let subject = Subject { search, scenario, kernel, progress };
    match search.strategy {
        StrategyKind::States => subject.by_state(),
        StrategyKind::Auto if search.known.is_some() => subject.by_state(),
        StrategyKind::Auto => {
            let found = subject.by_schedule();
            // Nobody has said how many runs there are to be: too many classes, and states may be few.
            let many = search.runs.is_none() && matches!(found.ended, Ended::Runs | Ended::CutOff);
            if many { subject.by_state() } else { found }
        }
        StrategyKind::Dpor | StrategyKind::All | StrategyKind::Random => subject.by_schedule(),
    }
}

struct Subject<'a> {
    search: &'a Search,
    scenario: &'a Scenario,
    kernel: Switches,
    progress: &'a Rc<dyn SearchProgress>,
}

impl Subject<'_> {
    fn world(&self) -> World {
        World::new(self.scenario.clone(), self.kernel)
    }

    fn by_schedule(&self) -> Findings {
        let Search { strategy, seed, .. } = *self.search;
        let runs = self.search.runs.unwrap_or(strategy.default_runs());
        let limits = Limits { runs, steps: LONGEST_RUN };
        let (asked, stopped) = (Rc::clone(self.progress), Rc::new(Cell::new(false)));
        let stop = Rc::clone(&stopped);
        let mut world = self.world().asking(Rc::new(move || {
            stop.set(!asked.goes_on());
            !stop.get()
        }));
        let mut broken = Broken::default();
        let mut note = |choices: &[usize], verdict: &Verdict| {
            self.progress.class(!verdict.is_clean());
            broken.note(choices, &verdict.violations);
            true
        };
        let mut visit = |run: &Run<'_>| {
            let choices: Vec<usize> = run.trace.events().iter().map(|event| event.access.actor).collect();
            note(&choices, run.verdict)
        };
        let summary = match strategy {
            StrategyKind::All => enumerate(&mut world, limits, &mut visit),
            StrategyKind::Random => random_walk(&mut world, seed, limits, &mut note),
            StrategyKind::Auto | StrategyKind::Dpor | StrategyKind::States => {
                exhaust(&mut world, limits, &mut visit)
            }
        };
        // What was found last may have been the last there was.
        let early = stopped.get() && (strategy != StrategyKind::Random || summary.runs < runs);
        let ended = match () {
            () if summary.complete => Ended::Complete,
            () if early => Ended::Stopped,
            () if summary.runs < runs => Ended::CutOff,
            () => Ended::Runs,
        };
        let not_reached = world.mutants_not_reached();
        self.findings(summary, None, broken, ended, not_reached)
    }

    fn by_state(&self) -> Findings {
        let graph = self.search.known.clone().unwrap_or_default();
        let (known, progress, stopped) =
            (Arc::clone(&graph), Rc::clone(self.progress), Rc::new(Cell::new(false)));
        let stop = Rc::clone(&stopped);
        let goes_on = move || {
            let (states, steps) = known.counts();
            progress.states(states, steps, known.is_broken());
            stop.set(!progress.goes_on());
            !stop.get()
        };
        let mut world = self.world().asking(Rc::new(goes_on));
        let mut not_reached = self.walk_together(&mut world, &graph);
        not_reached.sort_unstable_by_key(|mutant| mutant.info().name);
        let found = graph.summary();
        let broken = Broken::of_states(&found, &mut self.world());
        let ended = match () {
            () if found.complete => Ended::Complete,
            () if stopped.get() => Ended::Stopped,
            () => Ended::CutOff,
        };
        let summary = Summary {
            classes: found.ends,
            cut: found.cut,
            failing: found.failing,
            steps: found.transitions,
            complete: found.complete,
            ..Summary::default()
        };
        self.findings(summary, Some(found), broken, ended, not_reached)
    }

    /// `world` and as many others as there are threads walk through the states. The mutants that none of them has reached. Where the
    /// platform has no threads, or no more, `world` does what they would have done.
    fn walk_together(&self, world: &mut World, graph: &StateGraph) -> Vec<Mutant> {
        let (scenario, kernel) = (self.scenario, self.kernel);
        let walk_apart = move || {
            let mut world = World::new(scenario.clone(), kernel);
            walk(&mut world, graph, LONGEST_RUN);
            world.mutants_not_reached()
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.search.jobs.get())
                .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, walk_apart).ok())
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

    fn findings(
        &self,
        summary: Summary,
        states: Option<StateSummary>,
        broken: Broken,
        ended: Ended,
        not_reached: Vec<Mutant>,
    ) -> Findings {
        let failing = broken.failing.map(|(_, choices)| choices);
        Findings { summary, states, broken: broken.all, failing, ended, not_reached }
    }
}
