//! The two exhaustive searches against each other, on every pair of operations and on generated scenarios: the same invariants break, and
//! runs end in the same states. Exits with 1 if they differ anywhere.
//!
//! Usage: `cargo run --release -p pagewalk-explore --example agree [RUNS]`; what has more than RUNS classes (100,000 unless given) is
//! not compared.

#[path = "../tests/explore/subjects.rs"]
mod subjects;

use std::process::ExitCode;

use pagewalk_explore::matrix::SmallWorld;
use pagewalk_explore::{Limits, World, disagreement};
use pagewalk_pages::Switches;

fn main() -> ExitCode {
    let runs = std::env::args().nth(1).map_or(100_000, |runs| runs.parse().expect("a number of runs"));
    let (mut compared, mut left, mut wrong) = (0, 0, 0);
    let mut compare =
        |name: &str, world: &mut World, runs: u64| match disagreement(world, Limits { runs, steps: 2_000 }) {
            None => left += 1,
            Some(found) => {
                compared += 1;
                wrong += found.len();
                found.iter().for_each(|what| println!("{name}: {what}"));
            }
        };
    for small in SmallWorld::ALL {
        let all = small.operations();
        for (n, one) in all.iter().enumerate() {
            for other in &all[n..] {
                let scenario = small.scenario(vec![vec![one.clone()], vec![other.clone()]]);
                if scenario.check().is_ok() {
                    let name = format!("{}: {} | {}", small.describe(), one.describe(), other.describe());
                    compare(&name, &mut World::new(scenario, Switches::FIXED), runs);
                }
            }
        }
    }
    for subject in subjects::shipped() {
        compare(&subject.name, &mut subject.world(), runs);
        compare(&subject.name, &mut subject.mirrored().world(), runs);
    }
    for subject in (0..600).map(subjects::generated).filter(|subject| subject.scenario.cpus.len() < 3) {
        compare(&subject.name, &mut subject.world(), runs.min(2_000));
    }
    println!("{compared} compared, {left} with too many classes, {wrong} differ");
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
