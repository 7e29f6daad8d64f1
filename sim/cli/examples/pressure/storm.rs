//! The storm: eight processes on eight CPUs that share files and forked memory, with all antagonists, memory for a fifth of what they
//! touch, and a random choice at every step.

use std::path::Path;

use pagewalk_engine::Schedule;
use pagewalk_trace::{GeneratorSpec, Pattern, TraceWriter, generate};

use crate::run::{Case, Outcome, beside_each_other};

/// Seeds run beside each other between two looks at how many steps there were.
const ROUND: u64 = 8;

/// The storm of one seed, as a case; its trace is written below `directory`.
pub(crate) fn case(directory: &Path, seed: u64, mutant: Option<&'static str>) -> Case {
    let path = directory.join(format!("storm-{seed}.pwt"));
    let mut spec = GeneratorSpec::new(Pattern::MemoryStorm);
    (spec.pages, spec.files, spec.accesses, spec.write_per_mille) = (16, 2, 30_000, 500);
    (spec.processes, spec.threads, spec.seed) = (8, 2, seed);
    let mut writer = TraceWriter::create(&path, 1).expect("a file in a temporary directory");
    generate(&spec, &mut writer).expect("a right specification");
    writer.finish().expect("a whole trace");
    Case {
        trace: path.display().to_string(),
        memory: "20%".into(),
        schedule: Schedule::Random,
        cpus: 8,
        kernel: "fixed",
        fixes: Vec::new(),
        mutant,
        antagonists: "all:2000".into(),
        seed,
    }
}

/// Runs seeds from `first` on until they have taken `steps` steps. True if all are clean.
pub(crate) fn run(steps: u64, first: u64) -> bool {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut seed, mut sum, mut clean) = (first, 0, true);
    println!(
        "{:>6} {:>12} {:>10} {:>10} {:>12} {:>12}  result",
        "seed", "steps", "faults", "reclaimed", "swapped out", "antagonists"
    );
    while sum < steps {
        let seeds: Vec<u64> = (seed..seed + ROUND).collect();
        let outcomes = beside_each_other(&seeds, |&seed| case(directory.path(), seed, None).run());
        for (seed, outcome) in seeds.iter().zip(&outcomes) {
            sum += outcome.steps;
            clean &= outcome.is_clean();
            println!("{}", row(*seed, outcome));
        }
        seed += ROUND;
    }
    println!(
        "seeds {first} to {}: {sum} steps, {}",
        seed - 1,
        if clean { "all clean, everything freed" } else { "NOT CLEAN" }
    );
    clean
}

fn row(seed: u64, outcome: &Outcome) -> String {
    let [faults, reclaimed, swapped, antagonists] = outcome.work;
    let result = match (&outcome.incomplete, outcome.broken.is_empty()) {
        (_, false) => outcome.broken.join(" "),
        (Some(why), true) => why.clone(),
        (None, true) => "clean".into(),
    };
    format!(
        "{seed:>6} {:>12} {faults:>10} {reclaimed:>10} {swapped:>12} {antagonists:>12}  {result}",
        outcome.steps
    )
}
