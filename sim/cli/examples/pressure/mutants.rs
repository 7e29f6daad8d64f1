//! The detectors are awake: the storm with kernels that are wrong by one step.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use pagewalk_pages::Mutant;

use crate::run::beside_each_other;
use crate::storm::case;

/// The mutants that the storm must find, each a race of the catalogue.
const MUTANTS: [&str; 7] = [
    "plain-inc",
    "zap-drop-dirty",
    "zap-free-before-flush",
    "wp-rmap-before-flush",
    "swap-free-before-rmap",
    "swap-pte-before-dup",
    "lru-isolate-plain-inc",
];

/// Tries up to `seeds` seeds for each mutant. True if each was found by an invariant that the catalogue names.
pub(crate) fn run(seeds: u64) -> bool {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // The first seed that finds each mutant, as far as is known: later ones need no run.
    let first: Vec<AtomicU64> = MUTANTS.iter().map(|_| AtomicU64::new(u64::MAX)).collect();
    let storms: Vec<(u64, usize)> =
        (1..=seeds).flat_map(|seed| (0..MUTANTS.len()).map(move |mutant| (seed, mutant))).collect();
    let outcomes = beside_each_other(&storms, |&(seed, mutant)| {
        if first[mutant].load(Ordering::Relaxed) < seed {
            return None;
        }
        // Its own traces: two storms run at the same time.
        let directory = directory.path().join(format!("{mutant}-{seed}"));
        std::fs::create_dir(&directory).expect("a new directory");
        let found = breaks(&directory, seed, MUTANTS[mutant])?;
        first[mutant].fetch_min(seed, Ordering::Relaxed);
        Some((seed, found))
    });
    let found: Vec<_> = (0..MUTANTS.len())
        .map(|mutant| outcomes.iter().skip(mutant).step_by(MUTANTS.len()).find_map(|outcome| *outcome))
        .collect();
    println!("| race | mutant | seeds to failure | invariant |");
    println!("|---|---|--:|---|");
    for (name, found) in MUTANTS.iter().zip(&found) {
        let race = Mutant::from_name(name).expect("a mutant").info().race;
        match found {
            Some((seed, invariant)) => println!("| {race} | {name} | {seed} | {invariant} |"),
            None => println!("| {race} | {name} | not in {seeds} | |"),
        }
    }
    found.iter().all(Option::is_some)
}

/// The first of the invariants which the catalogue names for the mutant that its storm with this seed breaks.
fn breaks(directory: &Path, seed: u64, name: &'static str) -> Option<&'static str> {
    let broken = case(directory, seed, Some(name)).run().broken;
    let named = Mutant::from_name(name).expect("a mutant").info().invariants;
    named.iter().copied().find(|&invariant| broken.iter().any(|found| found == invariant))
}
