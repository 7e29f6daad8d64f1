//! Puts memory under pressure, again and again: real traces over every pair of settings, a storm of millions of random steps, and the
//! same storm with kernels that are wrong by one step.
//!
//!     cargo run --release -p pagewalk-cli --example pressure -- pairs [RUNS [SEED]]
//!     cargo run --release -p pagewalk-cli --example pressure -- storm [MILLIONS OF STEPS [SEED]]
//!     cargo run --release -p pagewalk-cli --example pressure -- mutants [SEEDS]
//!
//! The answer is on standard output, the same on every computer; exit 1 if something was found that ought not to be.

mod cover;
mod mutants;
mod pairs;
mod run;
mod storm;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, usual: u64| match words.get(place) {
        None => Some(usual),
        Some(word) => word.parse().ok(),
    };
    let right = match (words.first().map(String::as_str), number(1, 0), number(2, 1)) {
        (Some("pairs"), Some(_), Some(seed)) => number(1, 600).map(|runs| pairs::run(runs as usize, seed)),
        (Some("storm"), Some(_), Some(seed)) => {
            number(1, 100).map(|millions| storm::run(millions * 1_000_000, seed))
        }
        (Some("mutants"), Some(_), _) => number(1, 20).map(mutants::run),
        _ => None,
    };
    match right {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::from(1),
        None => {
            eprintln!(
                "usage: pressure pairs [RUNS [SEED]] | storm [MILLIONS OF STEPS [SEED]] | mutants [SEEDS]"
            );
            ExitCode::from(2)
        }
    }
}
