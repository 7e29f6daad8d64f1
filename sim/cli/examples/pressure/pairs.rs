//! Real traces over every pair of settings: trace, memory, schedule, CPUs, kernel, antagonists.

use std::collections::BTreeMap;

use pagewalk_engine::{Purpose, Random, Schedule};
use pagewalk_pages::{Fix, KernelPreset};

use crate::cover::rounds;
use crate::run::{Case, Outcome, beside_each_other};

const MEMORY: [&str; 3] = ["50%", "25%", "10%"];
const SCHEDULES: [Schedule; 2] = [Schedule::Timed, Schedule::Random];
const CPUS: [u64; 3] = [1, 2, 8];
const KERNELS: [&str; 2] = ["fixed", "linux-2.6.27"];
/// None, each alone, and all of them; operations in a million accesses.
const ANTAGONISTS: [&str; 10] = [
    "",
    "truncate:200",
    "punch:200",
    "reclaim:200",
    "migrate:200",
    "swapoff:100",
    "dontneed:200",
    "drop-caches:100",
    "direct-io:200",
    "all:100",
];

/// The shipped traces.
fn traces() -> Vec<String> {
    let directory =
        std::fs::read_dir("traces").expect("run it where the traces are: at the top of the project");
    let names = directory.filter_map(|entry| Some(entry.ok()?.path().display().to_string()));
    let mut traces: Vec<String> = names.filter(|name| name.ends_with(".pwt")).collect();
    traces.sort();
    traces
}

/// Makes at least `runs` runs. True if all are clean, but for what later fixes of the kernel remove.
pub(crate) fn run(runs: usize, seed: u64) -> bool {
    let traces = traces();
    let sizes = [traces.len(), MEMORY.len(), SCHEDULES.len(), CPUS.len(), KERNELS.len(), ANTAGONISTS.len()];
    let mut seeds = Random::new(seed, Purpose::Faults);
    let cases: Vec<Case> = rounds(&sizes, runs, seed)
        .into_iter()
        .map(|row| Case {
            trace: traces[row[0]].clone(),
            memory: MEMORY[row[1]].into(),
            schedule: SCHEDULES[row[2]],
            cpus: CPUS[row[3]],
            kernel: KERNELS[row[4]],
            fixes: Vec::new(),
            mutant: None,
            antagonists: ANTAGONISTS[row[5]].into(),
            seed: u64::from(seeds.below(1_000_000)),
        })
        .collect();
    let outcomes = beside_each_other(&cases, Case::run);
    summary(&cases, &outcomes);
    let found: Vec<(&Case, &Outcome)> =
        cases.iter().zip(&outcomes).filter(|(_, outcome)| !outcome.is_clean()).collect();
    for (case, outcome) in &found {
        println!("{}\n    {}", outcome.what(), case.command());
    }
    let explained = explain_all(&found);
    for ((case, outcome), ways) in found.iter().zip(&explained) {
        let why = match &ways[..] {
            [] => "no later fix removes it".to_owned(),
            ways => {
                let named = |fix: &Fix| format!("{fix} ({})", fix.info().commit);
                let way = |fixes: &Together| fixes.iter().map(named).collect::<Vec<_>>().join(" and ");
                format!("removed by {}", ways.iter().map(way).collect::<Vec<_>>().join(" or "))
            }
        };
        println!("{}: {why}\n    {}", outcome.what(), case.command());
    }
    let unexplained = explained.iter().filter(|ways| ways.is_empty()).count();
    println!(
        "{} runs, {} clean, {} explained by later fixes, {unexplained} not",
        cases.len(),
        cases.len() - found.len(),
        found.len() - unexplained
    );
    unexplained == 0
}

/// How many runs had each value of each setting, and what they did together.
fn summary(cases: &[Case], outcomes: &[Outcome]) {
    let mut counts: BTreeMap<(u8, String), usize> = BTreeMap::new();
    for case in cases {
        let schedule = format!("{:?}", case.schedule).to_lowercase();
        let antagonists = if case.antagonists.is_empty() { "none".into() } else { case.antagonists.clone() };
        let values = [
            case.trace.clone(),
            case.memory.clone(),
            schedule,
            format!("{} CPUs", case.cpus),
            case.kernel.to_owned(),
            antagonists,
        ];
        for (setting, value) in (0..).zip(values) {
            *counts.entry((setting, value)).or_default() += 1;
        }
    }
    for setting in 0..6 {
        let of = counts.iter().filter(|((of, _), _)| *of == setting);
        println!(
            "{}",
            of.map(|((_, value), count)| format!("{value} {count}")).collect::<Vec<_>>().join(" · ")
        );
    }
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    println!(
        "{} steps · {} faults · {} pages reclaimed · {} swapped out · {} operations of antagonists",
        sum(|outcome| outcome.steps),
        sum(|outcome| outcome.work[0]),
        sum(|outcome| outcome.work[1]),
        sum(|outcome| outcome.work[2]),
        sum(|outcome| outcome.work[3]),
    );
    let digest = outcomes.iter().fold(0_u128, |all, outcome| all.rotate_left(7) ^ outcome.digest);
    println!("digest of all digests {digest:032x}");
}

/// Fixes that make a run clean together: one, or several where the first only lets another race show.
type Together = Vec<Fix>;

/// For each run what makes it clean, in every way that was found. What removed it from the first run that showed the same is
/// tried first: a race that is known comes often.
fn explain_all(found: &[(&Case, &Outcome)]) -> Vec<Vec<Together>> {
    let shown_first = |(case, outcome): &(&Case, &Outcome)| {
        let alike = |(other, shown): &(&Case, &Outcome)| {
            other.kernel == case.kernel && shown.what() == outcome.what()
        };
        found.iter().position(alike).expect("itself, if no other")
    };
    let first: Vec<usize> = found.iter().map(shown_first).collect();
    let numbers: Vec<usize> = (0..found.len()).collect();
    let kinds: Vec<usize> = numbers.iter().copied().filter(|&n| first[n] == n).collect();
    let of_kinds = beside_each_other(&kinds, |&n| explain(found[n].0, &[]));
    let known: BTreeMap<usize, &Vec<Together>> = kinds.iter().copied().zip(&of_kinds).collect();
    beside_each_other(&numbers, |&n| match first[n] {
        first if first == n => known[&n].clone(),
        first => explain(found[n].0, known[&first]),
    })
}

/// Which of `likely` make the run clean; where none does, which later fixes alone; where none does, a few of them together.
fn explain(case: &Case, likely: &[Together]) -> Vec<Together> {
    let which = |some: &[Together]| -> Vec<Together> {
        some.iter().filter(|fixes| with(case, fixes).is_clean()).cloned().collect()
    };
    let alone = || which(&missing_from(case.kernel).into_iter().map(|fix| vec![fix]).collect::<Vec<_>>());
    let mut ways = which(likely);
    if ways.is_empty() {
        ways = alone();
    }
    if ways.is_empty() {
        ways.extend(one_after_another(case));
    }
    ways
}

/// What comes of the run with fixes.
fn with(case: &Case, fixes: &[Fix]) -> Outcome {
    Case { fixes: fixes.to_vec(), ..case.clone() }.run()
}

/// Most fixes that explain a run together.
const MOST_TOGETHER: usize = 4;

/// Fixes of which each removes what is wrong with those before it, until nothing is.
fn one_after_another(case: &Case) -> Option<Together> {
    let mut fixes = Vec::new();
    while fixes.len() < MOST_TOGETHER {
        let now = with(case, &fixes);
        if now.is_clean() {
            return Some(fixes);
        }
        let removes = |&fix: &Fix| {
            let then = with(case, &[&fixes[..], &[fix]].concat());
            then.broken.iter().all(|invariant| !now.broken.contains(invariant))
        };
        let next = missing_from(case.kernel).into_iter().filter(|fix| !fixes.contains(fix)).find(removes)?;
        fixes.push(next);
    }
    with(case, &fixes).is_clean().then_some(fixes)
}

/// The fixes that a kernel does not have.
fn missing_from(kernel: &str) -> Vec<Fix> {
    let preset = KernelPreset::from_name(kernel).expect("a preset").switches;
    Fix::ALL.into_iter().filter(|&fix| !preset.has(fix)).collect()
}
