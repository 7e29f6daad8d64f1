//! A scenario under random schedules and under all: what happens in every step, and what is broken.

use std::num::NonZero;
use std::rc::Rc;

use pagewalk_explore::{
    Ended, Findings, LONGEST_RUN, Limits, Scenario, Search, SearchProgress, StrategyKind, Teller, Unhurried,
    World, follow_to_the_end, parse_scenario_str, random_walk, search,
};
use pagewalk_pages::{Mutant, Switches};

use crate::{digest, line};

/// Classes of schedules after which a search ends: what is longer takes too long for a check.
const MOST_CLASSES: u64 = 1_500;
/// The seed of random schedules.
const SEED: u64 = 1;
/// Random schedules of each kernel.
const RANDOM_RUNS: u64 = 40;

/// Kernels that are wrong, and the scenarios in which that shows.
const MUTANTS: &[(&str, Mutant)] =
    &[("lookup-and-reuse", Mutant::SkipRecheck), ("lookup-and-reuse", Mutant::PlainInc)];

/// What the scenario `name` does, its text being `text`: on the fixed kernel, and on those that break it.
#[must_use]
pub fn scenario(name: &str, text: &str) -> String {
    let scenario = match parse_scenario_str(name, text) {
        Ok(scenario) => scenario,
        Err(refusal) => return format!("{name}: {refusal:?}\n"),
    };
    let mutants = MUTANTS.iter().filter(|(of, _)| name.contains(of)).map(|&(_, mutant)| mutant);
    let kernels = mutants.map(|mutant| (mutant.info().name, Switches::FIXED.with_mutant(mutant)));
    let mut lines = String::new();
    for (kernel, switches) in std::iter::once(("fixed", Switches::FIXED)).chain(kernels) {
        let subject = Subject { name, scenario: &scenario, kernel, switches };
        subject.run_one(&mut lines);
        subject.search(StrategyKind::Random, RANDOM_RUNS, &mut lines);
        subject.search(StrategyKind::Dpor, MOST_CLASSES, &mut lines);
    }
    lines
}

struct Subject<'a> {
    name: &'a str,
    scenario: &'a Scenario,
    kernel: &'a str,
    switches: Switches,
}

impl Subject<'_> {
    /// One random schedule, step by step: where each step stands, and what it did.
    fn run_one(&self, lines: &mut String) {
        let mut world = World::new(self.scenario.clone(), self.switches);
        let mut plan = Vec::new();
        let once = Limits { runs: 1, steps: LONGEST_RUN };
        random_walk(&mut world, SEED, once, &mut |choices, _| {
            plan.extend_from_slice(choices);
            true
        });
        let run = follow_to_the_end(&mut world, &plan, LONGEST_RUN);
        let teller = Teller::new(self.scenario);
        let told = |event| format!("{} {}\n", teller.place(event), teller.step(event));
        let text: String = run.trace.events().iter().map(told).collect();
        let (name, kernel, steps) = (self.name, self.kernel, run.choices.len());
        line(
            lines,
            format_args!(
                "{name} {kernel} one: {:?}, {steps} steps {} {:?}",
                run.stop,
                digest(&text),
                run.violations
            ),
        );
    }

    /// A search, and how its failing schedule fails.
    fn search(&self, strategy: StrategyKind, runs: u64, lines: &mut String) {
        let nobody: Rc<dyn SearchProgress> = Rc::new(Unhurried);
        // More threads than a platform without threads has.
        let jobs = NonZero::<usize>::MIN.saturating_add(1);
        let way = Search { runs: Some(runs), seed: SEED, jobs, ..Search::new(strategy) };
        let found = search(&way, self.scenario, self.switches, &nobody);
        self.tell(strategy, &found, lines);
        // What has few classes has few states.
        if strategy == StrategyKind::Dpor && found.ended == Ended::Complete {
            self.search(StrategyKind::States, runs, lines);
        }
    }

    fn tell(&self, strategy: StrategyKind, found: &Findings, lines: &mut String) {
        let (name, kernel, way, summary) = (self.name, self.kernel, strategy.name(), &found.summary);
        line(lines, format_args!("{name} {kernel} {way}: {:?}, {summary:?}", found.ended));
        if let Some(states) = &found.states {
            line(
                lines,
                format_args!("{name} {kernel} {way}: {} states, depth {}", states.states, states.depth),
            );
        }
        for broken in found.broken.values() {
            line(lines, format_args!("{name} {kernel} {way}: {broken:?}"));
        }
        if let Some(failing) = &found.failing {
            line(lines, format_args!("{name} {kernel} {way}: fails by {}", digest(&format!("{failing:?}"))));
        }
    }
}
