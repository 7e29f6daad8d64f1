//! Wait queues: nobody is woken too early, nobody who was told is forgotten.

use std::cell::Cell;
use std::rc::Rc;

use crate::common::{LOCK, QUEUE, finish, random, timed, word};
use pagewalk_engine::{CpuId, Guarded, SpinLock, Stop, WaitQueue};

#[test]
fn a_waiter_goes_on_only_when_its_condition_holds_and_always_then() {
    for seed in 0..500 {
        let engine = random(3, seed);
        let shared = Rc::new((WaitQueue::new(&QUEUE, 0), Cell::new(0_u64)));
        for cpu in 0..2 {
            let shared = Rc::clone(&shared);
            engine.spawn(CpuId(cpu), move |cx| async move {
                let (queue, cell) = &*shared;
                let enough = u64::from(cpu) * 2 + 1;
                queue.wait_event(&cx, || cell.get() >= enough).await;
                assert!(cell.get() >= enough);
            });
        }
        engine.spawn(CpuId(2), move |cx| async move {
            for _ in 0..4 {
                word(&shared.1, 0).fetch_add(&cx, 1).await;
                shared.0.wake_up(&cx);
            }
        });
        finish(&engine);
    }
}

#[test]
fn a_condition_that_comes_true_before_the_waiter_looks_costs_no_sleep() {
    // The waiter reaches its wait first in the order of execution, but its clock is far ahead.
    let engine = timed(2);
    let shared = Rc::new((WaitQueue::new(&QUEUE, 0), Cell::new(0_u64)));
    let waiting = Rc::clone(&shared);
    engine.spawn(CpuId(0), move |cx| async move {
        cx.charge(1_000_000);
        waiting.0.wait_event(&cx, || waiting.1.get() == 1).await;
    });
    engine.spawn(CpuId(1), move |cx| async move {
        cx.charge(1_000);
        word(&shared.1, 0).write_once(&cx, 1).await;
        shared.0.wake_up(&cx);
    });
    finish(&engine);
    assert_eq!(engine.cpu(CpuId(0)).context_switches(), 1, "the first dispatch and no other");
}

#[test]
fn a_condition_that_nobody_announces_is_reported_with_its_waiter() {
    let engine = timed(2);
    let shared = Rc::new((WaitQueue::new(&QUEUE, 9), Cell::new(0_u64)));
    let waiting = Rc::clone(&shared);
    engine.spawn(CpuId(0), move |cx| async move {
        waiting.0.wait_event(&cx, || waiting.1.get() == 1).await;
    });
    engine.spawn(CpuId(1), move |cx| async move {
        cx.charge(100_000);
        word(&shared.1, 0).write_once(&cx, 1).await;
    });
    let Stop::Deadlock(report) = engine.run() else { panic!("a forgotten wake-up is a deadlock") };
    assert!(report.starts_with("context 0 on CPU 0 sleeps for queue[0x9] at "), "{report}");
}

#[test]
fn a_sleeper_resumes_at_its_wakers_time() {
    let engine = timed(2);
    let shared = Rc::new((WaitQueue::new(&QUEUE, 0), Cell::new(0_u64)));
    let waiting = Rc::clone(&shared);
    let woke = Rc::new(Cell::new(0));
    let seen = Rc::clone(&woke);
    engine.spawn(CpuId(0), move |cx| async move {
        waiting.0.wait_event(&cx, || waiting.1.get() == 1).await;
        seen.set(cx.cpu().clock());
    });
    engine.spawn(CpuId(1), move |cx| async move {
        cx.charge(500_000);
        word(&shared.1, 0).write_once(&cx, 1).await;
        shared.0.wake_up(&cx);
    });
    finish(&engine);
    let waker = engine.cpu(CpuId(1)).clock();
    let costs = &engine.config().costs;
    let switch = u64::from(costs.context_switch);
    assert!((waker + switch..waker + switch + 200).contains(&woke.get()), "{} after {waker}", woke.get());
}

#[test]
fn yielding_goes_round_the_run_queue_and_waiting_in_an_atomic_section_is_a_violation() {
    let engine = timed(1);
    let lock = Rc::new(SpinLock::new(&LOCK, 0));
    let log = Rc::new(Guarded::new(lock.id(), Vec::new()));
    for name in ["a", "b", "c"] {
        let (lock, log) = (Rc::clone(&lock), Rc::clone(&log));
        engine.spawn(CpuId(0), move |cx| async move {
            for _ in 0..2 {
                let guard = lock.lock(&cx).await;
                log.get_mut(&guard).push(name);
                guard.unlock().await;
                cx.yield_cpu().await;
            }
        });
    }
    finish(&engine);
    assert_eq!(*log.observe(), ["a", "b", "c", "a", "b", "c"]);

    let engine = timed(1);
    for _ in 0..2 {
        engine.spawn(CpuId(0), |cx| async move {
            let section = cx.rcu_read_lock().await;
            cx.yield_cpu().await;
            section.unlock().await;
        });
    }
    assert_eq!(engine.run(), Stop::Finished);
    assert!(engine.violations().iter().any(|violation| violation.invariant == "I28"));
}
