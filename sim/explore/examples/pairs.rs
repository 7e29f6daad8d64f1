//! The pairs matrix: every pair of a scenario's operations, in both orders of the CPUs, exhaustively; every sequence of up to
//! three on one CPU. Prints the tables of `docs/pairs.md`; exits with 1 if anything breaks or depends on the order.
//!
//! Usage: `cargo run --release -p pagewalk-explore --example pairs [RUNS]`; a search of more than RUNS runs (100,000 unless given)
//! is made by state instead.

use std::process::ExitCode;

use pagewalk_explore::Limits;
use pagewalk_explore::matrix::{Pair, SmallWorld, outcome, pairs_in_any_way, sequences};
use pagewalk_pages::Switches;

fn main() -> ExitCode {
    let runs = std::env::args().nth(1).map_or(100_000, |runs| runs.parse().expect("a number of runs"));
    let limits = Limits { runs, ..Limits::default() };
    let mut wrong = 0;
    for world in SmallWorld::ALL {
        wrong += matrix(world, limits);
    }
    println!("\n### Sequences of one to three operations on one CPU\n");
    println!("| world | sequences | classes | broken |\n|---|---|---|---|");
    for world in SmallWorld::ALL {
        wrong += sequence_row(world, limits);
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints one world's matrix; how many pairs are wrong.
fn matrix(world: SmallWorld, limits: Limits) -> usize {
    let operations = world.operations();
    println!("\n### {}\n", world.describe());
    let numbers: Vec<_> = (1..=operations.len()).map(|n| n.to_string()).collect();
    println!("| | {} |\n|---|{}", numbers.join(" | "), "---|".repeat(operations.len()));
    let all: Vec<Pair> = pairs_in_any_way(world, Switches::FIXED, limits).collect();
    for (row, one) in operations.iter().enumerate() {
        let at = |other: usize| {
            let found = all.iter().find(|pair| pair.operations == [one.clone(), operations[other].clone()]);
            if other < row { String::new() } else { found.map_or("–".into(), cell) }
        };
        let cells: Vec<_> = (0..operations.len()).map(at).collect();
        println!("| {}. {} | {} |", row + 1, one.describe(), cells.join(" | "));
    }
    all.iter().filter(|pair| !pair.is_clean()).count()
}

/// How many classes a pair has; more, if not all were visited; what is wrong with it.
fn cell(pair: &Pair) -> String {
    let [first, second] = &pair.outcomes;
    let mut cell = match first.states {
        None => first.summary.classes.to_string(),
        Some(states) => format!("{states} states"),
    };
    if !first.summary.complete || !second.summary.complete {
        return format!("> {}", first.summary.runs);
    }
    if first.states.is_none() && second.summary.classes != first.summary.classes {
        cell += &format!(" or {}", second.summary.classes);
    }
    for broken in first.broken.union(&second.broken) {
        cell += &format!(" ✘ {broken}");
    }
    cell
}

/// Prints what the sequences of one world showed; how many are wrong.
fn sequence_row(world: SmallWorld, limits: Limits) -> usize {
    let (mut count, mut classes, mut broken) = (0, 0, 0);
    for program in sequences(world, 3) {
        let Some(found) = outcome(world.scenario(vec![program]), Switches::FIXED, limits) else { continue };
        count += 1;
        classes += found.summary.classes;
        broken += usize::from(!found.broken.is_empty() || !found.summary.complete);
    }
    println!("| {} | {count} | {classes} | {broken} |", world.describe());
    broken
}
