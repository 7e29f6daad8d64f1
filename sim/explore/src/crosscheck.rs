//! The search measured against schedules that were found without it.
//!
//! Classes are numbered by what happened before what. A schedule taken by chance is of some class; a search that says it has
//! visited every class has visited that one, and its verdict was the same ([`by_chance`]). And two neighbouring steps of which
//! neither has to come before the other can be exchanged: the run goes on as before and stays in its class ([`exchange`]).

use std::collections::{BTreeMap, BTreeSet};

use pagewalk_engine::{Engine, Executed, Explorer, Purpose, Random, Stop};

use crate::dpor::exhaust_with;
use crate::fault::Fault;
use crate::model::{Limits, Model, Summary, Verdict, run_once, verdict_of};
use crate::random::seed_of_run;
use crate::trace::{Trace, Unfinished};

/// The broken invariants of a run: its verdict, as far as it is the same in each run of a class.
pub type Broken = BTreeSet<&'static str>;

/// What the invariants of `verdict` are.
pub fn broken(verdict: &Verdict) -> Broken {
    verdict.violations.iter().map(|violation| violation.invariant).collect()
}

/// What a search visited.
#[derive(Clone, Debug)]
pub struct Visited {
    /// What the search says of itself.
    pub summary: Summary,
    /// Each class, with its broken invariants.
    pub classes: BTreeMap<u128, Broken>,
    /// How often a class was visited again.
    pub again: u64,
}

impl Visited {
    /// The invariants that are broken in any class.
    pub fn broken(&self) -> Broken {
        self.classes.values().flatten().copied().collect()
    }
}

/// Searches `model` within `limits`, with a fault if there is one.
pub fn visit_all(model: &mut dyn Model, limits: Limits, fault: Option<Fault>) -> Visited {
    let (mut classes, mut again) = (BTreeMap::new(), 0);
    let summary = exhaust_with(model, limits, fault, &mut |run| {
        again += u64::from(classes.insert(run.class, broken(run.verdict)).is_some());
        true
    });
    Visited { summary, classes, again }
}

/// What chance found, beside what a search had visited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chance {
    /// Runs that came to an end.
    pub runs: u64,
    /// Classes among them.
    pub classes: BTreeSet<u128>,
    /// Classes that the search had not visited, each with the seed of a run.
    pub missed: BTreeMap<u128, u64>,
    /// Classes with other broken invariants than in the search's run, each with the seed of a run.
    pub differing: BTreeMap<u128, u64>,
}

/// Runs `model` under `limits.runs` random schedules. Each tends to stay with whoever took the last step, by a probability of
/// its own: from never to fifteen times of sixteen.
pub fn by_chance(model: &mut dyn Model, visited: &Visited, limits: Limits) -> Chance {
    let mut chance = Chance::default();
    for number in 0..limits.runs {
        let mut walk = Sticky::new(model.cpus(), number, limits.steps);
        let Some(verdict) = walk.run(model, number) else { continue };
        let class = walk.trace.class();
        chance.runs += 1;
        chance.classes.insert(class);
        match visited.classes.get(&class) {
            None => drop(chance.missed.entry(class).or_insert(number)),
            Some(expected) if *expected != broken(&verdict) => {
                chance.differing.entry(class).or_insert(number);
            }
            Some(_) => {}
        }
    }
    chance
}

/// What came of exchanging neighbouring steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchanges {
    /// Exchanges tried.
    pub tried: u64,
    /// Those that could not be done, or after which the run was of another class: what the two steps were.
    pub noticed: BTreeMap<String, u64>,
}

/// Runs `model` under `limits.runs` random schedules and exchanges each pair of neighbouring steps of which, as a search with
/// `fault` sees it, neither has to come before the other.
pub fn exchange(model: &mut dyn Model, limits: Limits, fault: Option<Fault>) -> Exchanges {
    let (cpus, mut exchanges) = (model.cpus(), Exchanges::default());
    for number in 0..limits.runs {
        let mut walk = Sticky::new(cpus, number, limits.steps);
        walk.suspect = fault.map(|fault| Trace::broken(cpus, Some(fault)));
        let ended = walk.run(model, number);
        if !ended.is_some_and(|verdict| matches!(verdict.stop, Stop::Finished | Stop::Deadlock(_))) {
            continue;
        }
        let trace = walk.suspect.as_ref().unwrap_or(&walk.trace);
        let class = walk.trace.class();
        for first in 0..trace.events().len().saturating_sub(1) {
            if trace.precedes(first, first + 1) {
                continue;
            }
            let mut plan: Vec<usize> = trace.events().iter().map(|event| event.access.actor).collect();
            plan.swap(first, first + 1);
            exchanges.tried += 1;
            let found = Planned { plan, at: 0, trace: Trace::new(cpus) }.run(model, number);
            if found.as_ref().map(Trace::class) != Some(class) {
                let step = |event: usize| {
                    let event = &trace.events()[event];
                    format!("actor {} {:?} {}", event.access.actor, event.op.kind, event.op.location)
                };
                let unlike = found.as_ref().and_then(|found| walk.trace.first_unlike(found)).map(step);
                let what = unlike.map_or("impossible".into(), |step| format!("changes {step}"));
                let pair = format!("{} / {}: {what}", step(first), step(first + 1));
                *exchanges.noticed.entry(pair).or_insert(0) += 1;
            }
        }
    }
    exchanges
}

/// A random schedule that tends to stay with whoever took the last step.
struct Sticky {
    random: Random,
    /// Of sixteen.
    stay: u32,
    last: Option<usize>,
    most_steps: usize,
    cut: bool,
    trace: Trace,
    /// The same run, as a broken search sees it.
    suspect: Option<Trace>,
    unfinished: Unfinished,
}

impl Sticky {
    fn new(cpus: usize, number: u64, most_steps: usize) -> Self {
        Self {
            random: Random::new(seed_of_run(1, number), Purpose::Schedule),
            stay: (number % 16) as u32,
            last: None,
            most_steps,
            cut: false,
            trace: Trace::new(cpus),
            suspect: None,
            unfinished: Unfinished::default(),
        }
    }

    /// What the run shows, unless it was too long.
    fn run(&mut self, model: &mut dyn Model, number: u64) -> Option<Verdict> {
        let (engine, stop) = run_once(model, number, self);
        self.unfinished.push_to(&mut self.trace);
        let verdict = verdict_of(model, &engine, stop);
        (!self.cut).then_some(verdict)
    }
}

impl Explorer for Sticky {
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize> {
        if self.trace.events().len() >= self.most_steps {
            self.cut = true;
            return None;
        }
        let same = self.last.filter(|&last| enabled >> last & 1 == 1 && self.random.below(16) < self.stay);
        let chosen = same.unwrap_or_else(|| {
            let mut left = enabled;
            for _ in 0..self.random.below(enabled.count_ones()) {
                left &= left - 1;
            }
            left.trailing_zeros() as usize
        });
        self.last = Some(chosen);
        self.unfinished.begins(chosen, engine.pending(chosen));
        self.last
    }

    fn executed(&mut self, _: &Engine, step: &Executed<'_>) {
        self.unfinished.is_over();
        self.trace.push(step);
        if let Some(suspect) = &mut self.suspect {
            suspect.push(step);
        }
    }
}

/// A schedule that is given.
struct Planned {
    plan: Vec<usize>,
    at: usize,
    trace: Trace,
}

impl Planned {
    /// The run, if the whole plan is possible and nothing is left after it.
    fn run(mut self, model: &mut dyn Model, number: u64) -> Option<Trace> {
        let (engine, stop) = run_once(model, number, &mut self);
        let verdict = verdict_of(model, &engine, stop);
        let whole = matches!(verdict.stop, Stop::Finished | Stop::Deadlock(_));
        (whole && self.at == self.plan.len()).then_some(self.trace)
    }
}

impl Explorer for Planned {
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        let next = self.plan.get(self.at).copied().filter(|&next| enabled >> next & 1 == 1)?;
        self.at += 1;
        Some(next)
    }

    fn executed(&mut self, _: &Engine, step: &Executed<'_>) {
        self.trace.push(step);
    }
}
