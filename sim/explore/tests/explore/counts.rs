//! Programs whose number of classes is known.

use crate::acts::Act;
use crate::program::Programs;
use pagewalk_engine::Stop;
use pagewalk_explore::{Limits, Summary, exhaust};

/// What the search did, and in how many classes somebody is left who can never go on.
fn count(programs: Vec<Vec<Act>>) -> (Summary, u64) {
    let mut model = Programs::new(programs);
    let mut stuck = 0;
    let summary = exhaust(&mut model, Limits::default(), &mut |run| {
        stuck += u64::from(matches!(run.verdict.stop, Stop::Deadlock(_)));
        true
    });
    assert!(summary.complete);
    (summary, stuck)
}

#[test]
fn n_increments_of_one_word_have_n_factorial_orders() {
    for (cpus, classes) in [(2, 2), (3, 6), (4, 24), (5, 120), (6, 720)] {
        let (summary, _) = count(vec![vec![Act::Add(0)]; cpus]);
        assert_eq!((summary.classes, summary.sleep_blocked), (classes, 0), "{cpus} CPUs");
    }
}

#[test]
fn readers_beside_one_writer_are_each_before_or_after_it() {
    for (readers, classes) in [(2, 4), (8, 256), (13, 8192)] {
        let mut programs = vec![vec![Act::Store(0, 1)]];
        programs.extend(vec![vec![Act::Load(0)]; readers]);
        let (summary, _) = count(programs);
        assert_eq!((summary.classes, summary.sleep_blocked), (classes, 0), "{readers} readers");
    }
}

#[test]
fn steps_on_different_words_have_one_order() {
    assert_eq!(count(vec![vec![Act::Add(0)], vec![Act::Add(1)], vec![Act::Add(2)]]).0.runs, 1);
    assert_eq!(count(vec![vec![Act::SetBit(0)], vec![Act::SetBit(1)], vec![Act::TestBit(2)]]).0.runs, 1);
}

#[test]
fn two_locks_in_opposite_orders_have_three_classes_one_of_them_a_deadlock() {
    let inner = |lock| vec![Act::Lock(lock, vec![])];
    let programs = vec![vec![Act::Lock(0, inner(1))], vec![Act::Lock(1, inner(0))]];
    let (summary, stuck) = count(programs);
    assert_eq!((summary.classes, stuck), (3, 1));
}

#[test]
fn a_loop_that_waits_for_what_never_comes_is_found_without_a_bound() {
    let (summary, stuck) = count(vec![vec![Act::AwaitNonZero(0)], vec![Act::Store(1, 1)]]);
    assert_eq!((summary.classes, stuck), (1, 1));
    let (summary, stuck) = count(vec![vec![Act::AwaitNonZero(0)], vec![Act::Store(0, 1)]]);
    assert_eq!((summary.classes, stuck), (2, 0));
}
