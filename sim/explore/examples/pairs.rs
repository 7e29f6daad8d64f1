//! The pairs matrix: every pair of a scenario's operations, in both orders of the CPUs, exhaustively; every sequence of up to
//! three on one CPU. Prints the tables of `docs/pairs.md`; exits with 1 if anything breaks, depends on the order, or has no end.

use std::process::ExitCode;

use pagewalk_explore::Limits;
use pagewalk_explore::matrix::{Pair, SmallWorld, outcome, pairs, sequences};
use pagewalk_mmu::Switches;

fn main() -> ExitCode {
    let runs = std::env::args().nth(1).map_or(2_000_000, |runs| runs.parse().expect("a number of runs"));
    let limits = Limits { runs, ..Limits::default() };
    let mut wrong = 0;
    for world in SmallWorld::ALL {
        println!("\n### {}\n\n| | beside | classes |\n|---|---|---|", world.describe());
        for pair in pairs(world, Switches::FIXED, limits) {
            wrong += u32::from(!pair.is_clean());
            println!("{}", row(&pair));
        }
    }
    println!(
        "\n### Sequences on one CPU\n\n| world | sequences | schedules that differ | broken |\n|---|---|---|---|"
    );
    for world in SmallWorld::ALL {
        let (mut count, mut classes, mut broken) = (0, 0, 0);
        for program in sequences(world, 3) {
            let Some(found) = outcome(world.scenario(vec![program.clone()]), Switches::FIXED, limits) else {
                continue;
            };
            count += 1;
            classes += found.summary.classes;
            if !found.broken.is_empty() || !found.summary.complete {
                broken += 1;
                eprintln!("{}: {program:?}: {:?}", world.describe(), found);
            }
        }
        wrong += broken;
        println!("| {} | {count} | {classes} | {broken} |", world.describe());
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(pair: &Pair) -> String {
    let [one, other] = pair.operations.each_ref().map(|operation| operation.describe());
    let [first, second] = &pair.outcomes;
    let mut cell = first.summary.classes.to_string();
    if second.summary.classes != first.summary.classes {
        cell += &format!(", other order {}", second.summary.classes);
    }
    if !first.summary.complete || !second.summary.complete {
        cell += " and more";
    }
    let broken: Vec<_> = first.broken.union(&second.broken).copied().collect();
    if !broken.is_empty() {
        cell += &format!(", break {}", broken.join(" "));
    }
    format!("| {one} | {other} | {cell} |")
}
