//! A search asks after every run whether there is to be another, and knows which mutants it has reached.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_explore::{FileSpec, Limits, Operation, Pool, Scenario, World, exhaust, random_walk, shrink};
use pagewalk_pages::{Mutant, Switches};

/// A lookup, while its page is reclaimed and used again.
fn reuse() -> Scenario {
    let file = |name: &str, cached| FileSpec { name: name.into(), pages: 1, cached, dirty: Vec::new() };
    let (a, b) = (|| "a".to_owned(), || "b".to_owned());
    Scenario {
        about: String::new(),
        frames: 64,
        pool: Pool::PerCpu,
        files: vec![file("a", vec![0]), file("b", Vec::new())],
        maps: Vec::new(),
        warm: Vec::new(),
        cpus: vec![
            vec![Operation::Lookup { file: a(), page: 0 }],
            vec![Operation::Reclaim { file: a(), page: 0 }, Operation::Add { file: b(), page: 0 }],
        ],
    }
}

/// A world whose searches end after `most` runs, and how often it was asked.
fn world(mutant: Mutant, most: u64) -> (World, Rc<Cell<u64>>) {
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    let goes_on = move || {
        count.set(count.get() + 1);
        count.get() < most
    };
    (World::new(reuse(), Switches::FIXED.with_mutant(mutant)).asking(Rc::new(goes_on)), asked)
}

#[test]
fn searches_end_when_they_are_told_to_and_say_that_it_was_not_all() {
    let (mut one, asked) = world(Mutant::SkipRecheck, 5);
    let summary = exhaust(&mut one, Limits::default(), &mut |_| true);
    assert_eq!((summary.runs, summary.complete, asked.get()), (5, false, 5));
    let (mut one, asked) = world(Mutant::SkipRecheck, 5);
    let summary = random_walk(&mut one, 1, Limits::default(), &mut |_, _| true);
    assert_eq!((summary.runs, asked.get()), (5, 5));
}

#[test]
fn shortening_that_is_told_to_end_yields_a_schedule_that_fails() {
    let (mut one, _) = world(Mutant::SkipRecheck, u64::MAX);
    let mut failing = None;
    random_walk(&mut one, 1, Limits::default(), &mut |choices, verdict| {
        failing = (!verdict.is_clean()).then(|| choices.to_vec());
        failing.is_none()
    });
    let choices = failing.expect("the mutant is caught");
    let (mut one, asked) = world(Mutant::SkipRecheck, 1);
    let shrunk = shrink(&mut one, &choices, 2_000).expect("it fails");
    assert_eq!((shrunk.minimal, asked.get()), (false, 1));
    assert!(shrunk.run.violation.is_some());
}

#[test]
fn a_mutant_is_reached_by_the_runs_or_not_at_all() {
    for (mutant, reached) in [
        (Mutant::SkipRecheck, true),
        (Mutant::SetCountClobber, true),
        (Mutant::FreezeLeakDirty, false),
        (Mutant::NodeFreedNoGrace, false),
        (Mutant::StaleSlotWrongPage, false),
        (Mutant::SwapPteBeforeDup, false),
    ] {
        let (mut one, _) = world(mutant, u64::MAX);
        exhaust(&mut one, Limits::default(), &mut |_| true);
        let not_reached = if reached { vec![] } else { vec![mutant] };
        assert_eq!(one.mutants_not_reached(), not_reached, "{mutant}");
    }
}
