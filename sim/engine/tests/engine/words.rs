//! Shared words: what each operation does and yields, and that a step is atomic and nothing more is.

use std::cell::Cell;
use std::rc::Rc;

use crate::common::{WORD, finish, random, timed, word};
use pagewalk_engine::{CpuId, ObjectId, OpKind, Order, Word};
use proptest::prelude::*;

/// Two CPUs each add 1 three times; yields the sum.
fn two_adders(seed: u64, atomically: bool) -> u64 {
    let engine = random(2, seed);
    let cell = Rc::new(Cell::new(0));
    for cpu in 0..2 {
        let cell = Rc::clone(&cell);
        engine.spawn(CpuId(cpu), move |cx| async move {
            let word = word(&cell, 0);
            for _ in 0..3 {
                if atomically {
                    word.fetch_add(&cx, 1).await;
                } else {
                    let value = word.read_once(&cx).await;
                    word.write_once(&cx, value + 1).await;
                }
            }
        });
    }
    finish(&engine);
    cell.get()
}

#[test]
fn a_load_and_a_store_lose_updates_and_an_atomic_addition_never_does() {
    let mut sums: Vec<u64> = (0..2_000).map(|seed| two_adders(seed, false)).collect();
    sums.sort_unstable();
    sums.dedup();
    // The known extremes: 2 (each overwrites all the other did but once) and 6.
    assert_eq!(sums, [2, 3, 4, 5, 6]);
    assert!((0..500).all(|seed| two_adders(seed, true) == 6));
}

#[test]
fn every_operation_names_its_kind_and_memory_order() {
    let engine =
        pagewalk_engine::Engine::new(pagewalk_engine::EngineConfig { record: 100, ..Default::default() });
    let cell = Rc::new(Cell::new(1));
    engine.spawn(CpuId(0), move |cx| async move {
        let word = word(&cell, 0);
        word.read_once(&cx).await;
        word.write_once(&cx, 2).await;
        word.load_acquire(&cx).await;
        word.store_release(&cx, 3).await;
        word.rcu_dereference(&cx).await;
        cx.smp_wmb();
        word.xchg(&cx, 4).await;
        word.set_bit(&cx, 0).await;
        assert!(word.test_and_clear_bit(&cx, 0).await);
        assert!(!word.test_bit(&cx, 0).await);
        cx.smp_rmb();
        cx.smp_mb();
    });
    finish(&engine);
    let seen: Vec<_> = engine.recorded().iter().map(|step| (step.op.kind, step.op.order)).collect();
    let expected = [
        (OpKind::Load, Order::Once),
        (OpKind::Store, Order::Once),
        (OpKind::Load, Order::Acquire),
        (OpKind::Store, Order::Release),
        (OpKind::Load, Order::Dependent),
        (OpKind::Barrier, Order::Release),
        (OpKind::Rmw, Order::Full),
        (OpKind::ChangeBit(0), Order::Once),
        (OpKind::ChangeBit(0), Order::Full),
        (OpKind::TestBit(0), Order::Once),
        (OpKind::Barrier, Order::Acquire),
        (OpKind::Barrier, Order::Full),
    ];
    assert_eq!(seen, expected);
}

#[derive(Clone, Debug)]
enum Change {
    Xchg(u64),
    Cmpxchg(u64, u64),
    Add(u64),
    IncNotZero,
    DecAndTest,
    Set(u8),
    Clear(u8),
    TestAndSet(u8),
    TestAndClear(u8),
    Test(u8),
}

fn change() -> impl Strategy<Value = Change> {
    let value = || prop_oneof![0..3_u64, Just(u64::MAX), any::<u64>()];
    prop_oneof![
        value().prop_map(Change::Xchg),
        (value(), value()).prop_map(|(old, new)| Change::Cmpxchg(old, new)),
        value().prop_map(Change::Add),
        Just(Change::IncNotZero),
        Just(Change::DecAndTest),
        (0..64_u8).prop_map(Change::Set),
        (0..64_u8).prop_map(Change::Clear),
        (0..64_u8).prop_map(Change::TestAndSet),
        (0..64_u8).prop_map(Change::TestAndClear),
        (0..64_u8).prop_map(Change::Test),
    ]
}

/// What the operation leaves in the word and yields (as a number), by plain arithmetic.
fn model(value: u64, change: &Change) -> (u64, u64) {
    let bit = |n: u8| u64::from(value & (1 << n) != 0);
    match *change {
        Change::Xchg(new) => (new, value),
        Change::Cmpxchg(old, new) if value == old => (new, u64::MAX),
        Change::Cmpxchg(..) => (value, value),
        Change::Add(n) => (value.wrapping_add(n), value),
        Change::IncNotZero if value == 0 => (0, 0),
        Change::IncNotZero => (value.wrapping_add(1), 1),
        Change::DecAndTest => (value.wrapping_sub(1), u64::from(value == 1)),
        Change::Set(n) => (value | 1 << n, 0),
        Change::Clear(n) => (value & !(1 << n), 0),
        Change::TestAndSet(n) => (value | 1 << n, bit(n)),
        Change::TestAndClear(n) => (value & !(1 << n), bit(n)),
        Change::Test(n) => (value, bit(n)),
    }
}

proptest! {
    #[test]
    fn every_operation_agrees_with_plain_arithmetic(
        start in prop_oneof![0..3_u64, any::<u64>()],
        changes in prop::collection::vec(change(), 1..12),
    ) {
        let engine = timed(1);
        let cell = Rc::new(Cell::new(start));
        let inner = Rc::clone(&cell);
        let expected = changes.iter().fold(start, |value, change| model(value, change).0);
        engine.spawn(CpuId(0), move |cx| async move {
            let word = word(&inner, 0);
            for change in &changes {
                let (after, yielded) = model(word.observe(), change);
                let got = match *change {
                    Change::Xchg(new) => word.xchg(&cx, new).await,
                    Change::Cmpxchg(old, new) => word.cmpxchg(&cx, old, new).await.err().unwrap_or(u64::MAX),
                    Change::Add(n) => word.fetch_add(&cx, n).await,
                    Change::IncNotZero => word.inc_not_zero(&cx).await.into(),
                    Change::DecAndTest => word.dec_and_test(&cx).await.into(),
                    Change::Set(bit) => { word.set_bit(&cx, bit).await; 0 }
                    Change::Clear(bit) => { word.clear_bit(&cx, bit).await; 0 }
                    Change::TestAndSet(bit) => word.test_and_set_bit(&cx, bit).await.into(),
                    Change::TestAndClear(bit) => word.test_and_clear_bit(&cx, bit).await.into(),
                    Change::Test(bit) => word.test_bit(&cx, bit).await.into(),
                };
                assert_eq!((word.observe(), got), (after, yielded), "{change:?}");
            }
        });
        finish(&engine);
        prop_assert_eq!(cell.get(), expected);
    }
}

#[test]
fn a_count_at_its_maximum_wraps_in_every_build() {
    let engine = timed(1);
    let cell = Rc::new(Cell::new(i32::MAX));
    let inner = Rc::clone(&cell);
    engine.spawn(CpuId(0), move |cx| async move {
        assert!(Word::new(&inner, ObjectId::new(&WORD, 0)).inc_not_zero(&cx).await);
    });
    finish(&engine);
    assert_eq!(cell.get(), i32::MIN);
}
