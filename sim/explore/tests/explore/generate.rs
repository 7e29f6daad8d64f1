//! Programs made by chance, always the same, each kind from a grammar of its own.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::acts::Act;
use crate::program::Program;

/// One step on a word or a bit.
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

fn body() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(leaf(), 0..3)
}

/// Locks, RCU and plain interrupts.
fn act() -> impl Strategy<Value = Act> {
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

/// A step on one of two words.
fn touch() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..2_usize).prop_map(Act::Load),
        2 => (0..2_usize, 0..2_u64).prop_map(|(x, value)| Act::Store(x, value)),
        1 => (0..2_usize).prop_map(Act::Add),
        1 => (0..2_usize).prop_map(|x| Act::LookIf(x, 1 - x)),
    ]
}

/// What comes from elsewhere: interrupts and callbacks.
fn sent() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..2_usize).prop_map(Act::CallRcu),
        2 => (0..2_usize).prop_map(|x| Act::CallRcuIf(x, 1 - x)),
        1 => (0..2_usize).prop_map(Act::Interrupt),
        2 => (0..2_usize).prop_map(|x| Act::InterruptIf(x, 1 - x)),
        3 => (0..2_usize).prop_map(Act::Acknowledged),
        1 => (0..2_usize).prop_map(Act::SilentInterrupt),
    ]
}

/// Interrupts off, acknowledged interrupts, semaphores, and steps of which what they touch depends on what they find.
fn late_act() -> impl Strategy<Value = Act> {
    let irqs_off = || prop::collection::vec(prop_oneof![4 => touch(), 1 => sent()], 1..3);
    prop_oneof![
        3 => touch(),
        4 => sent(),
        4 => irqs_off().prop_map(Act::IrqsOff),
        1 => (0..2_usize, irqs_off()).prop_map(|(l, body)| Act::IrqsOff(vec![Act::Lock(l, body)])),
        2 => prop::collection::vec(touch(), 0..2).prop_map(Act::DownRead),
        2 => prop::collection::vec(touch(), 0..2).prop_map(Act::DownWrite),
        1 => touch().prop_map(|inner| Act::Read(vec![inner])),
        1 => (0..2_usize).prop_map(|x| Act::ChangeIf(x, 1 - x)),
        1 => (0..2_usize).prop_map(Act::BugIfSet),
        1 => (0..2_usize).prop_map(|x| Act::Lock(x, vec![])),
    ]
}

/// What makes a context sleep, or wakes one.
fn sleepy() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => touch(),
        2 => prop::collection::vec(touch(), 0..2).prop_map(Act::DownRead),
        3 => prop::collection::vec(touch(), 0..2).prop_map(Act::DownWrite),
        2 => Just(Act::Synchronize),
        2 => touch().prop_map(|inner| Act::Read(vec![inner])),
        1 => (0..2_usize).prop_map(Act::InterruptIfIdle),
    ]
}

/// Two or three programs of locks, RCU and plain interrupts.
pub(crate) fn programs() -> impl Strategy<Value = Program> {
    prop_oneof![
        prop::collection::vec(prop::collection::vec(act(), 1..4), 2),
        prop::collection::vec(prop::collection::vec(act(), 1..3), 3),
    ]
}

/// One to three programs with what stands between a CPU and what interrupts it.
pub(crate) fn interrupted() -> impl Strategy<Value = Program> {
    prop_oneof![
        1 => prop::collection::vec(prop::collection::vec(late_act(), 2..5), 1),
        4 => prop::collection::vec(prop::collection::vec(late_act(), 1..4), 2),
        2 => prop::collection::vec(prop::collection::vec(late_act(), 1..2), 3),
    ]
}

/// Two or three programs for contexts that sleep.
pub(crate) fn sleeping() -> impl Strategy<Value = Program> {
    prop_oneof![
        prop::collection::vec(prop::collection::vec(sleepy(), 1..4), 2),
        prop::collection::vec(prop::collection::vec(sleepy(), 1..3), 3),
    ]
}

/// Without end, the same in each run of the tests.
pub(crate) fn stream<S: Strategy<Value = Program>>(strategy: S) -> impl Iterator<Item = Program> {
    let mut runner = TestRunner::deterministic();
    std::iter::from_fn(move || Some(strategy.new_tree(&mut runner).expect("nothing is rejected").current()))
}

/// How many of `programs` contain an act of each of `kinds`.
pub(crate) fn count<const N: usize>(programs: &[Program], kinds: [&str; N]) -> [usize; N] {
    let texts: Vec<_> = programs.iter().map(|program| format!("{program:?}")).collect();
    kinds.map(|kind| texts.iter().filter(|text| text.contains(kind)).count())
}
