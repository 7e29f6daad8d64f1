//! Shortening a failing schedule: the fewest switches and steps that still break the same invariant.
//!
//! Passes, until nothing changes: cut after the failing step (every run stops there); leave out a block of steps of one
//! actor; merge a block with the one before it of the same actor, or with the one after it. Steps that commute come together
//! that way too.

use crate::guided::{GuidedRun, follow};
use crate::model::Model;

/// How many runs shortening may take.
const MOST_RUNS: usize = 4_000;

/// A shortened schedule.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The run under it.
    pub run: GuidedRun,
    /// Runs that it took.
    pub runs: usize,
    /// Whether every single merge was tried on it, and none fails in the same way.
    pub minimal: bool,
}

/// The steps of one actor in a row: who, and how many.
type Block = (usize, usize);

fn blocks(choices: &[usize]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for &actor in choices {
        match blocks.last_mut() {
            Some((last, count)) if *last == actor => *count += 1,
            _ => blocks.push((actor, 1)),
        }
    }
    blocks
}

fn flatten(blocks: &[Block]) -> Vec<usize> {
    blocks.iter().flat_map(|&(actor, count)| std::iter::repeat_n(actor, count)).collect()
}

/// How often the CPU that acts changes.
pub fn switches(choices: &[usize]) -> usize {
    blocks(choices).len().saturating_sub(1)
}

/// Shortens the failing schedule `choices` of `model`, as far as the model goes on. `None` if it does not fail.
pub fn shrink(model: &mut dyn Model, choices: &[usize], most_steps: usize) -> Option<Shrunk> {
    let mut best = follow(model, choices, most_steps);
    let invariant = best.violation.as_ref()?.invariant;
    let mut runs = 1;
    let (mut minimal, mut goes_on) = (false, true);
    while !minimal && goes_on {
        minimal = true;
        for plan in candidates(&blocks(&best.choices)) {
            let run = follow(model, &plan, most_steps);
            runs += 1;
            goes_on = runs < MOST_RUNS && model.goes_on();
            let same = run.violation.as_ref().is_some_and(|violation| violation.invariant == invariant);
            if same && measure(&run) < measure(&best) {
                best = run;
                minimal = false;
                break;
            }
            if !goes_on {
                minimal = false;
                break;
            }
        }
    }
    Some(Shrunk { run: best, runs, minimal })
}

/// What is to become small, the most important first.
fn measure(run: &GuidedRun) -> (usize, usize, Vec<usize>) {
    (switches(&run.choices), run.choices.len(), run.choices.clone())
}

/// Simpler schedules to try.
fn candidates(blocks: &[Block]) -> Vec<Vec<usize>> {
    let mut plans = Vec::new();
    for n in 0..blocks.len() {
        let mut without = blocks.to_vec();
        without.remove(n);
        plans.push(flatten(&without));
        let same = |&(m, &(actor, _)): &(usize, &Block)| m != n && actor == blocks[n].0;
        let before = blocks.iter().enumerate().take(n).rev().find(same);
        let after = blocks.iter().enumerate().skip(n + 1).find(same);
        for (m, _) in before.into_iter().chain(after) {
            let mut merged = blocks.to_vec();
            merged[m].1 += merged[n].1;
            merged.remove(n);
            plans.push(flatten(&merged));
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_runs_of_one_actor() {
        assert_eq!(blocks(&[0, 0, 1, 0]), [(0, 2), (1, 1), (0, 1)]);
        assert_eq!(flatten(&[(0, 2), (1, 1)]), [0, 0, 1]);
        assert_eq!(switches(&[0, 0, 1, 0]), 2);
        assert_eq!(switches(&[]), 0);
    }

    #[test]
    fn candidates_leave_a_block_out_or_merge_it_with_its_neighbours() {
        let plans = candidates(&[(0, 1), (1, 2), (0, 1)]);
        assert!(
            plans.contains(&vec![1, 1, 0])
                && plans.contains(&vec![0, 0, 1, 1])
                && plans.contains(&vec![1, 1, 0, 0])
        );
    }
}
