//! Every pair of operations on one small world, and every sequence of a few on one CPU: what must be clean if nothing is wrong
//! with the kernel or with those who watch it.

use crate::model::{Limits, Summary};
use crate::scenario::{FileSpec, MapSpec, Operation, Pool, Scenario, World};
use crate::{Run, exhaust, exhaust_states};
use pagewalk_pages::Switches;
use std::collections::BTreeSet;

/// What there is when the operations begin: file `a` of two pages, file `b` of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallWorld {
    /// Page 0 of `a` is in the cache.
    pub cached: bool,
    /// Both files are mapped, shared, and every CPU has used the mapping of `b`.
    pub mapped: bool,
}

impl SmallWorld {
    /// The four of them.
    pub const ALL: [Self; 4] = [
        Self { cached: true, mapped: false },
        Self { cached: false, mapped: false },
        Self { cached: true, mapped: true },
        Self { cached: false, mapped: true },
    ];

    /// `cached, mapped`.
    pub fn describe(self) -> String {
        let words = |yes, word: &str| if yes { word.to_owned() } else { format!("not {word}") };
        format!("{}, {}", words(self.cached, "cached"), words(self.mapped, "mapped"))
    }

    /// The operations that make sense here: every one there is, on page 0 of `a`.
    pub fn operations(self) -> Vec<Operation> {
        let (file, page) = (|| "a".to_owned(), 0);
        let mut all = vec![
            Operation::Lookup { file: file(), page },
            Operation::GangLookup { file: file(), page, most: 2 },
            Operation::LookupLocked { file: file(), page },
            Operation::Add { file: file(), page: 1 },
            Operation::Reinsert { file: file(), page },
            Operation::Read { file: file(), page },
            Operation::Truncate { file: file(), pages: 0 },
            Operation::Truncate { file: file(), pages: 4 },
            Operation::Invalidate { file: file() },
            Operation::DropCaches,
            Operation::Allocate { after_grace_period: false, exact: false },
            Operation::Allocate { after_grace_period: true, exact: true },
        ];
        if self.cached {
            all.push(Operation::Reclaim { file: file(), page });
        }
        if self.mapped {
            let page = 1; // of the process: the first of file a
            all.extend([Operation::Load { page }, Operation::Store { page }, Operation::Discard { page }]);
        }
        all
    }

    /// The scenario in which these programs run here.
    pub fn scenario(self, cpus: Vec<Vec<Operation>>) -> Scenario {
        let cached = if self.cached { vec![0] } else { Vec::new() };
        let file = |name: &str, pages, cached| FileSpec { name: name.into(), pages, cached, dirty: vec![] };
        let map = |name: &str, pages| MapSpec { file: name.into(), pages, shared: true };
        let (maps, warm) = match self.mapped {
            true => (vec![map("b", 1), map("a", 2)], (0..cpus.len() as u16).map(|cpu| (cpu, 0)).collect()),
            false => (Vec::new(), Vec::new()),
        };
        Scenario {
            about: cpus.iter().map(|program| names(program)).collect::<Vec<_>>().join(" beside "),
            frames: 64,
            pool: Pool::PerCpu,
            files: vec![file("a", 2, cached), file("b", 1, vec![0])],
            maps,
            warm,
            cpus,
        }
    }
}

fn names(program: &[Operation]) -> String {
    program.iter().map(Operation::describe).collect::<Vec<_>>().join(", ")
}

/// What an exhaustive search of a scenario found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The search's counts.
    pub summary: Summary,
    /// Every invariant that some class breaks.
    pub broken: BTreeSet<&'static str>,
    /// How many states there are, where the classes were too many and all states were visited instead.
    pub states: Option<u64>,
}

/// Searches `scenario` on a kernel with `switches`. `None` if the scenario cannot be run.
pub fn outcome(scenario: Scenario, switches: Switches, limits: Limits) -> Option<Outcome> {
    scenario.check().ok()?;
    let mut broken = BTreeSet::new();
    let mut world = World::new(scenario, switches);
    let summary = exhaust(&mut world, limits, &mut |run: &Run<'_>| {
        broken.extend(run.verdict.violations.iter().map(|violation| violation.invariant));
        true
    });
    Some(Outcome { summary, broken, states: None })
}

/// [`outcome`], by state where there are more classes than `limits` allows.
fn outcome_in_any_way(scenario: Scenario, switches: Switches, limits: Limits) -> Option<Outcome> {
    let found = outcome(scenario.clone(), switches, limits)?;
    if found.summary.complete {
        return Some(found);
    }
    let states = exhaust_states(&mut World::new(scenario, switches), limits.steps);
    let summary = Summary { complete: states.complete, ..found.summary };
    let broken = states.broken.iter().map(|broken| broken.invariant).collect();
    Some(Outcome { summary, broken, states: Some(states.states) })
}

/// Two operations, each on a CPU of its own, in both orders of the CPUs.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The operations.
    pub operations: [Operation; 2],
    /// With the first on CPU 0, and with the second on CPU 0.
    pub outcomes: [Outcome; 2],
}

impl Pair {
    /// Whether nothing breaks, and nothing depends on which CPU does what.
    pub fn is_clean(&self) -> bool {
        let [one, other] = &self.outcomes;
        let ended = one.summary.complete && other.summary.complete;
        let alike = match (one.states, other.states) {
            (None, None) => !ended || one.summary.classes == other.summary.classes,
            (one, other) => one == other,
        };
        alike && one.broken.is_empty() && other.broken.is_empty()
    }
}

/// Every pair, searched by class.
pub fn pairs(world: SmallWorld, switches: Switches, limits: Limits) -> impl Iterator<Item = Pair> {
    pairs_by(world, move |scenario| outcome(scenario, switches, limits))
}

/// Every pair, searched by class, or by state if there are too many classes.
pub fn pairs_in_any_way(world: SmallWorld, switches: Switches, limits: Limits) -> impl Iterator<Item = Pair> {
    pairs_by(world, move |scenario| outcome_in_any_way(scenario, switches, limits))
}

/// Every pair of different or equal operations of `world`, searched in both orders. A pair that cannot be had, as two reclaims
/// of one isolated page, is left out. `search` is how.
fn pairs_by(world: SmallWorld, search: impl Fn(Scenario) -> Option<Outcome>) -> impl Iterator<Item = Pair> {
    let all = world.operations();
    let numbers = 0..all.len();
    let places: Vec<_> = numbers.flat_map(|a| (a..all.len()).map(move |b| (a, b))).collect();
    places.into_iter().filter_map(move |(a, b)| {
        let (one, other) = (all[a].clone(), all[b].clone());
        let run = |first: &Operation, second: &Operation| {
            search(world.scenario(vec![vec![first.clone()], vec![second.clone()]]))
        };
        let outcomes = [run(&one, &other)?, run(&other, &one)?];
        Some(Pair { operations: [one, other], outcomes })
    })
}

/// Every sequence of 1 to `most` operations of `world` on one CPU.
pub fn sequences(world: SmallWorld, most: usize) -> impl Iterator<Item = Vec<Operation>> {
    let all = world.operations();
    let lengths = 1..=most;
    lengths.flat_map(move |length| {
        let all = all.clone();
        (0..all.len().pow(length as u32)).map(move |number| {
            let digit = |place: usize| number / all.len().pow(place as u32) % all.len();
            (0..length).map(|place| all[digit(place)].clone()).collect()
        })
    })
}
