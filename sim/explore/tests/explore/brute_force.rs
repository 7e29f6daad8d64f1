//! The reduced search against every schedule: the same classes, the same outcomes, the same verdicts, and none twice.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::acts::Act;
use crate::generate::{count, interrupted, programs, sleeping, stream};
use crate::program::{Program, Programs};
use pagewalk_explore::{Fault, Limits, Verdict, enumerate, exhaust_with};

/// For each class: how its runs end and what they have seen.
pub(crate) type Classes = BTreeMap<u128, Verdict>;

/// More schedules than this are not enumerated.
const MOST: u64 = 5_000;

/// The classes of all schedules, if there are not too many to try.
pub(crate) fn all(programs: &[Vec<Act>]) -> Option<Classes> {
    let mut model = Programs::new(programs.to_vec());
    let mut classes = Classes::new();
    let summary = enumerate(&mut model, Limits { runs: MOST, steps: 300 }, &mut |run| {
        let before = classes.insert(run.class, run.verdict.clone());
        assert!(before.is_none_or(|before| &before == run.verdict), "one class, two verdicts: {programs:?}");
        true
    });
    summary.complete.then_some(classes)
}

/// The classes that the reduced search visits, and those it visits again; it may have a fault.
pub(crate) fn reduced(programs: &[Vec<Act>], fault: Option<Fault>) -> (Classes, Vec<u128>) {
    let mut model = Programs::new(programs.to_vec());
    let (mut classes, mut twice) = (Classes::new(), Vec::new());
    let summary = exhaust_with(&mut model, Limits { runs: 10 * MOST, steps: 300 }, fault, &mut |run| {
        if classes.insert(run.class, run.verdict.clone()).is_some() {
            twice.push(run.class);
        }
        true
    });
    assert!(summary.complete || fault.is_some());
    (classes, twice)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_class_is_visited_exactly_once_with_the_verdict_of_all_its_schedules(
        programs in prop_oneof![programs(), interrupted(), sleeping()]
    ) {
        compare(&programs);
    }

}

/// Compares the two searches of a program; how many classes it has, if it has few enough schedules.
fn compare(programs: &[Vec<Act>]) -> Option<usize> {
    let expected = all(programs)?;
    let (found, twice) = reduced(programs, None);
    assert_eq!(twice, Vec::<u128>::new(), "visited twice: {programs:?}");
    let missing = expected.keys().filter(|class| !found.contains_key(class)).count();
    assert_eq!(missing, 0, "missed of {} classes: {programs:?}", expected.len());
    assert_eq!(found, expected, "{programs:?}");
    Some(expected.len())
}

/// The first `most` of `programs` with few enough schedules, all compared, and how many classes they have.
fn compare_first(most: usize, programs: impl Iterator<Item = Program>) -> (Vec<Program>, usize) {
    let (mut compared, mut classes) = (Vec::new(), 0);
    for program in programs {
        if compared.len() == most {
            break;
        }
        let Some(found) = compare(&program) else { continue };
        classes += found;
        compared.push(program);
    }
    (compared, classes)
}

/// The property above draws other programs each time and leaves out those with too many schedules. These are always the same,
/// and there are enough of each kind.
#[test]
fn three_hundred_programs_of_every_kind_are_compared() {
    let (compared, classes) = compare_first(300, stream(programs()));
    let kinds = ["Lock(", "BitLock(", "Synchronize", "CallRcu(", "Read(", "AwaitNonZero(", "Interrupt("];
    let of_kind = count(&compared, kinds);
    assert!(of_kind.iter().all(|count| *count >= 20), "{kinds:?}: {of_kind:?}");
    let on_three = compared.iter().filter(|program| program.len() == 3).count();
    assert!(on_three >= 100 && classes >= 800, "{on_three} on three CPUs, {classes} classes");
}

/// What interrupts a CPU, and what keeps it from that.
#[test]
fn three_hundred_programs_with_interrupts_off_and_on_are_compared() {
    let (compared, classes) = compare_first(300, stream(interrupted()));
    let kinds = [
        "IrqsOff(",
        "Acknowledged(",
        "DownRead(",
        "DownWrite(",
        "CallRcu(",
        "CallRcuIf(",
        "InterruptIf(",
        "LookIf(",
        "ChangeIf(",
        "SilentInterrupt(",
        "BugIfSet(",
        "IrqsOff([Lock(",
    ];
    let of_kind = count(&compared, kinds);
    assert!(of_kind.iter().all(|count| *count >= 20), "{kinds:?}: {of_kind:?}");
    let both = compared.iter().map(|program| format!("{program:?}"));
    let both = both.filter(|text| text.contains("IrqsOff(") && text.contains("CallRcu")).count();
    let on_one = compared.iter().filter(|program| program.len() == 1).count();
    assert!(both >= 20 && on_one >= 20, "{both} with a callback beside interrupts off, {on_one} on one CPU");
    assert!(classes >= 1_500, "{classes} classes");
}

/// CPUs with nothing to run, which interrupts find so or not.
#[test]
fn a_hundred_programs_of_contexts_that_sleep_are_compared() {
    let (compared, classes) = compare_first(100, stream(sleeping()));
    let kinds = ["DownRead(", "DownWrite(", "Synchronize", "InterruptIfIdle("];
    let of_kind = count(&compared, kinds);
    assert!(of_kind.iter().all(|count| *count >= 20), "{kinds:?}: {of_kind:?}");
    assert!(classes >= 400, "{classes} classes");
}

/// Found by the property: CPU 0 waits for a bit that CPU 2 never clears, while the interrupt on CPU 2 is asleep.
#[test]
fn the_races_of_a_waiting_step_count_when_all_others_are_asleep() {
    let programs = [
        vec![Act::BitLock(1, vec![]), Act::Load(2)],
        vec![Act::Store(2, 0), Act::Interrupt(0)],
        vec![Act::TryLock(0, vec![Act::TestBit(1)]), Act::TryBit(1)],
    ];
    let (found, twice) = reduced(&programs, None);
    assert_eq!(twice, Vec::<u128>::new());
    assert_eq!(found.len(), 11);
    assert_eq!(Some(found), all(&programs));
}
