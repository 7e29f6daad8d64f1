//! The detectors are awake: the storm with kernels that are wrong by one step.

use pagewalk_mmu::Mutant;

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
    let found = beside_each_other(&MUTANTS, |&name| {
        let info = Mutant::from_name(name).expect("a mutant").info();
        // Its own storms: two mutants may be at the same seed.
        let directory = directory.path().join(name);
        std::fs::create_dir(&directory).expect("a new directory");
        (1..=seeds).find_map(|seed| {
            let broken = case(&directory, seed, Some(name)).run().broken;
            let named =
                info.invariants.iter().find(|&&invariant| broken.iter().any(|found| found == invariant));
            named.map(|&invariant| (seed, invariant))
        })
    });
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
