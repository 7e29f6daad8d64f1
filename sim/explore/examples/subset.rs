//! The exhaustive search against chance at length: `cargo run --release -p pagewalk-explore --example subset [RUNS [GENERATED]]`.
//!
//! For each scenario that comes with Pagewalk on each kernel, each mutant on its scenario, and so many generated scenarios (200):
//! the classes of RUNS random schedules (20,000) must be among those that the search visits, with the same invariants broken;
//! neighbouring steps that do not depend on each other can be exchanged; with the CPUs in the opposite order there are as many
//! classes, and the same invariants break. The exit code is 1 if any of that is not so. The tests of this package do the same with
//! fewer runs.

use std::process::ExitCode;

use pagewalk_explore::Limits;
use pagewalk_explore::crosscheck::{by_chance, exchange, visit_all};

#[path = "../tests/explore/subjects.rs"]
mod subjects;

use subjects::{Subject, generated, shipped};

/// Steps of a run at most.
const STEPS: usize = 2_000;
/// Runs of a search at most; a generated scenario that needs more is passed over, and a shipped one is told.
const MOST: u64 = 20_000;
const MOST_OF_SHIPPED: u64 = 50_000;

/// Prints a row of the table: whether nothing is wrong, or `None` if the scenario has too many classes.
fn row(subject: &Subject, most: u64, runs: u64) -> Option<bool> {
    let mut world = subject.world();
    let visited = visit_all(&mut world, Limits { runs: most, steps: STEPS }, None);
    if !visited.summary.complete {
        return None;
    }
    let chance = by_chance(&mut world, &visited, Limits { runs, steps: STEPS });
    let exchanges = exchange(&mut world, Limits { runs: runs.div_ceil(1_000), steps: STEPS }, None);
    let mirrored = visit_all(&mut subject.mirrored().world(), Limits { runs: most, steps: STEPS }, None);
    let alike = mirrored.classes.len() == visited.classes.len() && mirrored.broken() == visited.broken();
    let noticed: u64 = exchanges.noticed.values().sum();
    println!(
        "{:>7} {:>6} {:>7} {:>7} {:>6} {:>9} {:>7} {:>8}  {}",
        visited.classes.len(),
        visited.again,
        chance.classes.len(),
        chance.missed.len(),
        chance.differing.len(),
        exchanges.tried,
        noticed,
        if alike { "same" } else { "DIFFERS" },
        subject.name
    );
    for (pair, count) in &exchanges.noticed {
        println!("        {count} × {pair}");
    }
    let found = visited.again as usize + chance.missed.len() + chance.differing.len();
    Some(found == 0 && noticed == 0 && alike)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Ok(runs), Ok(wanted)) =
        (arguments.next().unwrap_or(Ok(20_000)), arguments.next().unwrap_or(Ok(200)))
    else {
        eprintln!("subset: RUNS and GENERATED are numbers");
        return ExitCode::from(2);
    };
    println!(
        "{:>7} {:>6} {:>7} {:>7} {:>6} {:>9} {:>7} {:>8}  scenario",
        "classes", "again", "chance", "missed", "differ", "exchanged", "noticed", "mirrored"
    );
    let mut right = true;
    for subject in shipped() {
        match row(&subject, MOST_OF_SHIPPED, runs) {
            Some(row) => right &= row,
            None => println!("{:>7} runs are not enough: {}", MOST_OF_SHIPPED, subject.name),
        }
    }
    let rows = (0..).filter_map(|number| row(&generated(number), MOST, runs));
    right &= rows.take(wanted as usize).fold(true, |right, row| right & row);
    ExitCode::from(u8::from(!right))
}
