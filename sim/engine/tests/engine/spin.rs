//! Spin locks: exclusion, fairness, deadlock, lock order, lost guards.

use std::cell::Cell;
use std::rc::Rc;

use crate::common::{LOCK, Log, OTHER, finish, random, timed, word};
use pagewalk_engine::{Context, CpuId, Engine, Guarded, SpinLock, Stop};

/// Each CPU adds 1 to a plain word three times under the lock.
fn guarded_adders(engine: &Rc<Engine>, cpus: u16) -> u64 {
    let shared = Rc::new((SpinLock::new(&LOCK, 0), Cell::new(0), Cell::new(false)));
    for cpu in 0..cpus {
        let shared = Rc::clone(&shared);
        engine.spawn(CpuId(cpu), move |cx| async move {
            let (lock, cell, inside) = &*shared;
            for _ in 0..3 {
                let guard = lock.lock(&cx).await;
                assert!(!inside.replace(true), "two holders");
                let value = word(cell, 0).read_once(&cx).await;
                word(cell, 0).write_once(&cx, value + 1).await;
                inside.set(false);
                guard.unlock().await;
            }
        });
    }
    finish(engine);
    assert!(!shared.0.is_locked());
    shared.1.get()
}

#[test]
fn one_holder_at_a_time_under_thousands_of_schedules() {
    for cpus in 2..=8 {
        for seed in 0..400 {
            assert_eq!(guarded_adders(&random(cpus, seed), cpus), u64::from(cpus) * 3);
        }
        assert_eq!(guarded_adders(&timed(cpus), cpus), u64::from(cpus) * 3);
    }
}

#[test]
fn under_the_timed_schedule_the_longest_waiter_is_next() {
    let engine = timed(4);
    let lock = Rc::new(SpinLock::new(&LOCK, 0));
    let log: Log<u16> = Rc::default();
    for cpu in 0..4 {
        let (lock, log) = (Rc::clone(&lock), Rc::clone(&log));
        engine.spawn(CpuId(cpu), move |cx| async move {
            // CPU 3 comes first, CPU 0 last; every one wants the lock again at once.
            cx.charge(u32::from(4 - cpu) * 1_000);
            for _ in 0..5 {
                let guard = lock.lock(&cx).await;
                log.borrow_mut().push(cx.cpu().id().0);
                cx.charge(50_000);
                guard.unlock().await;
            }
        });
    }
    finish(&engine);
    assert_eq!(*log.borrow(), [3, 2, 1, 0].repeat(5));
}

#[test]
fn a_context_far_ahead_in_time_gets_the_lock_after_those_who_came_earlier() {
    let engine = timed(3);
    let lock = Rc::new(SpinLock::new(&LOCK, 0));
    let log: Log<u16> = Rc::default();
    // CPU 1 spins when CPU 0 releases the lock, but from a time far in the future; CPU 2 comes between.
    for (cpu, step, arrival) in [(0, false, 0), (1, false, 900_000), (2, true, 150_000)] {
        let (lock, log) = (Rc::clone(&lock), Rc::clone(&log));
        engine.spawn(CpuId(cpu), move |cx| async move {
            cx.charge(arrival);
            if step {
                word(&Cell::new(0), 0).read_once(&cx).await;
                cx.charge(50_000);
            }
            let guard = lock.lock(&cx).await;
            log.borrow_mut().push(cx.cpu().id().0);
            cx.charge(100_000);
            guard.unlock().await;
        });
    }
    finish(&engine);
    assert_eq!(*log.borrow(), [0, 2, 1]);
    let waited: u64 = engine.cpus().iter().map(|cpu| cpu.times().waiting).sum();
    assert_eq!(waited, 0, "nobody was there at the same time");
}

#[test]
fn under_the_random_schedule_any_waiter_may_be_next() {
    let mut orders: Vec<Vec<u16>> = (0..300)
        .map(|seed| {
            let engine = random(3, seed);
            let lock = Rc::new(SpinLock::new(&LOCK, 0));
            let log: Log<u16> = Rc::default();
            for cpu in 0..3 {
                let (lock, log) = (Rc::clone(&lock), Rc::clone(&log));
                engine.spawn(CpuId(cpu), move |cx| async move {
                    let guard = lock.lock(&cx).await;
                    log.borrow_mut().push(cx.cpu().id().0);
                    guard.unlock().await;
                });
            }
            finish(&engine);
            log.take()
        })
        .collect();
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 6, "all orders of three");
}

async fn take_both(cx: &Context, outer: &SpinLock, inner: &SpinLock) {
    let first = outer.lock(cx).await;
    let second = inner.lock(cx).await;
    second.unlock().await;
    first.unlock().await;
}

fn abba(engine: &Rc<Engine>) -> Stop {
    let locks = Rc::new((SpinLock::new(&LOCK, 0), SpinLock::new(&OTHER, 0)));
    let (here, there) = (Rc::clone(&locks), locks);
    engine.spawn(CpuId(0), move |cx| async move { take_both(&cx, &here.0, &here.1).await });
    engine.spawn(CpuId(1), move |cx| async move { take_both(&cx, &there.1, &there.0).await });
    engine.run()
}

#[test]
fn opposite_orders_deadlock_under_some_schedules_and_are_reported_under_all_others() {
    let mut deadlocks = 0;
    for seed in 0..300 {
        let engine = random(2, seed);
        match abba(&engine) {
            Stop::Deadlock(report) => {
                deadlocks += 1;
                assert!(report.contains("context 0 on CPU 0 spins for other lock[0x0]"), "{report}");
                assert!(report.contains("context 1 on CPU 1 spins for lock[0x0]"), "{report}");
                assert_eq!(engine.violations(), [], "guards that a deadlock abandons are no leaks");
            }
            Stop::Finished => {
                let violations = engine.violations();
                assert_eq!(violations.len(), 1);
                assert_eq!(violations[0].invariant, "I28");
            }
            Stop::Stopped(_) => unreachable!("nobody stops it"),
        }
    }
    assert!((30..270).contains(&deadlocks), "{deadlocks}");
}

#[test]
fn two_locks_of_one_class_need_the_nested_call() {
    for (nested, violations) in [(false, 1), (true, 0)] {
        let engine = timed(1);
        let locks = [SpinLock::new(&LOCK, 0), SpinLock::new(&LOCK, 1)];
        engine.spawn(CpuId(0), move |cx| async move {
            let outer = locks[0].lock(&cx).await;
            let inner = if nested { locks[1].lock_nested(&cx).await } else { locks[1].lock(&cx).await };
            inner.unlock().await;
            outer.unlock().await;
        });
        assert_eq!(engine.run(), Stop::Finished);
        assert_eq!(engine.violations().len(), violations);
    }
}

#[test]
fn trying_a_taken_lock_fails_and_is_exempt_from_the_lock_order() {
    let engine = timed(1);
    let locks = [SpinLock::new(&LOCK, 0), SpinLock::new(&OTHER, 0)];
    engine.spawn(CpuId(0), move |cx| async move {
        take_both(&cx, &locks[0], &locks[1]).await;
        let other = locks[1].lock(&cx).await;
        let tried = locks[0].try_lock(&cx).await.expect("free");
        assert!(locks[0].try_lock(&cx).await.is_none());
        tried.unlock().await;
        other.unlock().await;
    });
    finish(&engine);
}

#[test]
fn sleeping_under_a_spin_lock_is_a_violation_even_if_others_never_make_it_wait() {
    let engine = timed(1);
    let lock = SpinLock::new(&LOCK, 0);
    let sem = pagewalk_engine::RwSem::new(&crate::common::SEM, 0);
    engine.spawn(CpuId(0), move |cx| async move {
        let guard = lock.lock(&cx).await;
        let read = sem.down_read(&cx).await;
        read.up_read().await;
        guard.unlock().await;
    });
    assert_eq!(engine.run(), Stop::Finished);
    assert_eq!(engine.violations().len(), 1);
    assert!(engine.violations()[0].message.contains("atomic section"));
}

#[test]
fn a_dropped_guard_is_a_lost_lock_unless_the_run_was_stopped() {
    for stopped in [false, true] {
        let engine = timed(1);
        let lock = SpinLock::new(&LOCK, 7);
        engine.spawn(CpuId(0), move |cx| async move {
            let guard = lock.lock(&cx).await;
            if stopped {
                cx.engine().stop("enough");
            }
            drop(guard);
        });
        let stop = engine.run();
        let violations = engine.violations();
        if stopped {
            assert_eq!(stop, Stop::Stopped("enough".into()));
            assert_eq!(violations, []);
        } else {
            assert_eq!(stop, Stop::Finished);
            assert_eq!(violations.len(), 1);
            assert!(violations[0].message.starts_with("lock[0x7] taken at sim/engine/tests/engine/spin.rs:"));
        }
    }
}

#[test]
fn an_unlock_that_is_not_awaited_is_a_lost_lock() {
    let engine = timed(1);
    let lock = SpinLock::new(&LOCK, 0);
    engine.spawn(CpuId(0), move |cx| async move {
        let guard = lock.lock(&cx).await;
        drop(guard.unlock());
    });
    assert_eq!(engine.run(), Stop::Finished);
    assert_eq!(engine.violations().len(), 1);
}

#[test]
#[should_panic(expected = "state of lock[0x0] reached under lock[0x1]")]
fn guarded_state_under_another_lock_panics() {
    let engine = timed(1);
    let (right, wrong) = (SpinLock::new(&LOCK, 0), SpinLock::new(&LOCK, 1));
    let state = Guarded::new(right.id(), 5);
    engine.spawn(CpuId(0), move |cx| async move {
        let guard = right.lock(&cx).await;
        *state.get_mut(&guard) += 1;
        guard.unlock().await;
        let guard = wrong.lock(&cx).await;
        *state.get_mut(&guard) += 1;
        guard.unlock().await;
    });
    engine.run();
}
