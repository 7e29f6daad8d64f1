//! The random schedule: every interleaving can happen, and equally often where it should.

use std::cell::Cell;
use std::rc::Rc;

use std::collections::BTreeMap;

use crate::common::{Log, finish, random, word};
use pagewalk_engine::CpuId;

/// The order in which two contexts of three steps each took them.
fn interleaving(seed: u64) -> String {
    let engine = random(2, seed);
    let log: Log<char> = Rc::default();
    for (cpu, name) in [(0, 'a'), (1, 'b')] {
        let log = Rc::clone(&log);
        engine.spawn(CpuId(cpu), move |cx| async move {
            let cell = Cell::new(0);
            for _ in 0..3 {
                word(&cell, 0).fetch_add(&cx, 1).await;
                log.borrow_mut().push(name);
            }
        });
    }
    finish(&engine);
    log.borrow().iter().collect()
}

#[test]
fn all_twenty_interleavings_of_two_contexts_of_three_steps_are_reached() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..6_400 {
        *counts.entry(interleaving(seed)).or_default() += 1;
    }
    assert_eq!(counts.len(), 20, "{counts:?}");
    // A walk of fair coins: an order that takes its last choice after n steps has probability 2^-n.
    for (order, count) in counts {
        let last = order.chars().last().expect("six steps");
        let forced = order.chars().rev().take_while(|&name| name == last).count() as u32;
        let expected = f64::from(6_400 >> (6 - forced));
        let deviation = (f64::from(count) - expected).abs();
        assert!(deviation < 5.0 * expected.sqrt(), "{order}: {count} of {expected}");
    }
}

#[test]
fn the_same_seed_gives_the_same_order_and_seeds_differ() {
    let orders: Vec<String> = (0..50).map(interleaving).collect();
    assert_eq!(orders, (0..50).map(interleaving).collect::<Vec<_>>());
    let mut distinct = orders;
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() > 5);
}

#[test]
fn contexts_of_one_cpu_are_not_interleaved() {
    for seed in 0..100 {
        let engine = random(2, seed);
        let log: Log<u32> = Rc::default();
        for name in 0..3 {
            let log = Rc::clone(&log);
            engine.spawn(CpuId(0), move |cx| async move {
                let cell = Cell::new(0);
                for _ in 0..3 {
                    word(&cell, 0).fetch_add(&cx, 1).await;
                    log.borrow_mut().push(name);
                }
            });
        }
        engine.spawn(CpuId(1), |cx| async move {
            let cell = Cell::new(0);
            for _ in 0..5 {
                word(&cell, 0).fetch_add(&cx, 1).await;
            }
        });
        finish(&engine);
        assert_eq!(*log.borrow(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    }
}
