//! The reduced search against every schedule: the same classes, the same outcomes, the same verdicts, and none twice.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::program::{Act, Programs};
use pagewalk_explore::{Limits, Verdict, enumerate, exhaust};

/// For each class: how its runs end and what they have seen.
type Classes = BTreeMap<u128, Verdict>;

fn leaf() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..3_usize).prop_map(Act::Load),
        3 => (0..3_usize, 0..3_u64).prop_map(|(x, value)| Act::Store(x, value)),
        2 => (0..3_usize).prop_map(Act::Add),
        2 => (0..3_usize).prop_map(Act::IncNotZero),
        2 => (0..3_usize, 0..2_u64, 0..3_u64).prop_map(|(x, old, new)| Act::CmpXchg(x, old, new)),
        1 => (0..2_u8).prop_map(Act::TestBit),
        1 => (0..2_u8).prop_map(Act::SetBit),
        1 => (0..2_u8).prop_map(Act::ClearBit),
        1 => (0..2_u8).prop_map(Act::TryBit),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let body = || prop::collection::vec(leaf(), 0..3);
    prop_oneof![
        6 => leaf(),
        2 => (0..2_usize, body()).prop_map(|(lock, body)| Act::Lock(lock, body)),
        1 => (0..2_usize, body()).prop_map(|(lock, body)| Act::TryLock(lock, body)),
        1 => (0..2_u8, body()).prop_map(|(bit, body)| Act::BitLock(bit, body)),
        2 => body().prop_map(Act::Read),
        1 => Just(Act::Synchronize),
        1 => (0..3_usize).prop_map(Act::CallRcu),
        1 => (0..3_usize).prop_map(Act::AwaitNonZero),
        1 => (0..3_usize).prop_map(Act::Interrupt),
        1 => (0..2_usize, leaf()).prop_map(|(lock, inner)| {
            Act::Lock(lock, vec![Act::Lock(1 - lock, vec![inner])])
        }),
    ]
}

fn programs() -> impl Strategy<Value = Vec<Vec<Act>>> {
    prop_oneof![
        prop::collection::vec(prop::collection::vec(act(), 1..4), 2),
        prop::collection::vec(prop::collection::vec(act(), 1..3), 3),
    ]
}

/// More schedules than this are not enumerated.
const MOST: u64 = 5_000;

/// The classes of all schedules, if there are not too many to try.
fn all(programs: &[Vec<Act>]) -> Option<Classes> {
    let mut model = Programs::new(programs.to_vec());
    let mut classes = Classes::new();
    let summary = enumerate(&mut model, Limits { runs: MOST, steps: 300 }, &mut |run| {
        let before = classes.insert(run.class, run.verdict.clone());
        assert!(before.is_none_or(|before| &before == run.verdict), "one class, two verdicts");
        true
    });
    summary.complete.then_some(classes)
}

/// The classes that the reduced search visits, and those it visits again.
fn reduced(programs: &[Vec<Act>]) -> (Classes, Vec<u128>) {
    let mut model = Programs::new(programs.to_vec());
    let (mut classes, mut twice) = (Classes::new(), Vec::new());
    let summary = exhaust(&mut model, Limits { runs: 10 * MOST, steps: 300 }, &mut |run| {
        if classes.insert(run.class, run.verdict.clone()).is_some() {
            twice.push(run.class);
        }
        true
    });
    assert!(summary.complete);
    (classes, twice)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_class_is_visited_exactly_once_with_the_verdict_of_all_its_schedules(programs in programs()) {
        compare(&programs);
    }
}

/// Compares the two searches of a program; how many classes it has, if it has few enough schedules.
fn compare(programs: &[Vec<Act>]) -> Option<usize> {
    let expected = all(programs)?;
    let (found, twice) = reduced(programs);
    assert_eq!(twice, Vec::<u128>::new(), "visited twice");
    let missing = expected.keys().filter(|class| !found.contains_key(class)).count();
    assert_eq!(missing, 0, "missed of {} classes", expected.len());
    assert_eq!(found, expected);
    Some(expected.len())
}

/// The property above draws other programs each time and leaves out those with too many schedules. These are always the same,
/// and there are enough of each kind.
#[test]
fn three_hundred_programs_of_every_kind_are_compared() {
    let mut runner = TestRunner::deterministic();
    let kinds = ["Lock(", "BitLock(", "Synchronize", "CallRcu(", "Read(", "AwaitNonZero(", "Interrupt("];
    let mut of_kind = kinds.map(|_| 0);
    let (mut compared, mut classes, mut on_three) = (0, 0, 0);
    while compared < 300 {
        let programs = programs().new_tree(&mut runner).expect("nothing is rejected").current();
        let Some(found) = compare(&programs) else { continue };
        compared += 1;
        classes += found;
        on_three += u32::from(programs.len() == 3);
        let text = format!("{programs:?}");
        for (count, kind) in of_kind.iter_mut().zip(kinds) {
            *count += u32::from(text.contains(kind));
        }
    }
    assert!(of_kind.iter().all(|count| *count >= 20), "{kinds:?}: {of_kind:?}");
    assert!(on_three >= 100 && classes >= 800, "{on_three} on three CPUs, {classes} classes");
}

/// Found by the property: CPU 0 waits for a bit that CPU 2 never clears, while the interrupt on CPU 2 is asleep.
#[test]
fn the_races_of_a_waiting_step_count_when_all_others_are_asleep() {
    let programs = [
        vec![Act::BitLock(1, vec![]), Act::Load(2)],
        vec![Act::Store(2, 0), Act::Interrupt(0)],
        vec![Act::TryLock(0, vec![Act::TestBit(1)]), Act::TryBit(1)],
    ];
    let (found, twice) = reduced(&programs);
    assert_eq!(twice, Vec::<u128>::new());
    assert_eq!(found.len(), 11);
    assert_eq!(Some(found), all(&programs));
}
