//! Sleeping reader-writer locks: sharing, exclusion, the line, and the CPU given up meanwhile.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::common::{Log, SEM, finish, random, timed, word};
use pagewalk_engine::{CpuId, Engine, Guarded, RwSem, Stop};

/// Readers and writers mixed on every CPU; yields the most readers that were inside together.
fn readers_and_writers(engine: &Rc<Engine>, cpus: u16) -> u32 {
    let shared = Rc::new((RwSem::new(&SEM, 0), Cell::new(0_u32), Cell::new(false), Cell::new(0_u64)));
    let most = Rc::new(Cell::new(0));
    for number in 0..cpus * 2 {
        let (shared, most) = (Rc::clone(&shared), Rc::clone(&most));
        engine.spawn(CpuId(number % cpus), move |cx| async move {
            let (sem, readers, writing, cell) = &*shared;
            for _ in 0..2 {
                if number % 3 == 0 {
                    let guard = sem.down_write(&cx).await;
                    assert!(!writing.replace(true) && readers.get() == 0, "a writer is alone");
                    word(cell, 0).read_once(&cx).await;
                    writing.set(false);
                    guard.up_write().await;
                } else {
                    let guard = sem.down_read(&cx).await;
                    assert!(!writing.get(), "no reader beside a writer");
                    readers.set(readers.get() + 1);
                    most.set(most.get().max(readers.get()));
                    word(cell, 0).read_once(&cx).await;
                    readers.set(readers.get() - 1);
                    guard.up_read().await;
                }
            }
        });
    }
    finish(engine);
    most.get()
}

#[test]
fn readers_share_and_writers_are_alone_under_thousands_of_schedules() {
    for cpus in [2, 3, 4] {
        let most = (0..700).map(|seed| readers_and_writers(&random(cpus, seed), cpus)).max();
        assert!(most.expect("seeds") > 1, "readers were inside together on {cpus} CPUs");
        readers_and_writers(&timed(cpus), cpus);
    }
}

/// Who wants what at which time; all hold it for 100,000 cycles. Yields the order in which they got it.
fn line(wishes: &[(u32, bool)]) -> Vec<usize> {
    let engine = timed(wishes.len() as u16);
    let sem = Rc::new(RwSem::new(&SEM, 0));
    let log: Log<usize> = Rc::default();
    for (number, &(at, write)) in wishes.iter().enumerate() {
        let (sem, log) = (Rc::clone(&sem), Rc::clone(&log));
        engine.spawn(CpuId(number as u16), move |cx| async move {
            cx.charge(at);
            if write {
                let guard = sem.down_write(&cx).await;
                log.borrow_mut().push(number);
                cx.charge(100_000);
                guard.up_write().await;
            } else {
                let guard = sem.down_read(&cx).await;
                log.borrow_mut().push(number);
                cx.charge(100_000);
                guard.up_read().await;
            }
        });
    }
    finish(&engine);
    log.take()
}

#[test]
fn it_is_handed_over_in_the_order_of_arrival() {
    let (read, write) = (false, true);
    assert_eq!(line(&[(0, write), (30_000, write), (10_000, write), (20_000, write)]), [0, 2, 3, 1]);
    // A writer in line is not starved: the reader that comes after it waits, though readers are inside.
    assert_eq!(line(&[(0, read), (20_000, read), (10_000, write)]), [0, 2, 1]);
}

#[test]
fn whoever_is_far_ahead_in_time_does_not_get_in_line_before_its_turn() {
    let (read, write) = (false, true);
    // CPU 1 reaches its call first in the order of execution, and last in time.
    assert_eq!(line(&[(0, write), (90_000, write), (50_000, read), (60_000, write)]), [0, 2, 3, 1]);
}

#[test]
fn the_place_in_line_is_not_decided_by_who_arrives_but_by_who_is_granted() {
    // CPU 1 tells CPU 2 to go and then asks for the lock. CPU 2 may still be first in line.
    let mut firsts = [false; 3];
    for seed in 0..500 {
        let engine = random(3, seed);
        let shared = Rc::new((RwSem::new(&SEM, 0), Cell::new(0_u64), Cell::new(0_u64)));
        let log: Log<u16> = Rc::default();
        let held = Rc::clone(&shared);
        engine.spawn(CpuId(0), move |cx| async move {
            let guard = held.0.down_write(&cx).await;
            word(&held.1, 0).write_once(&cx, 1).await;
            for _ in 0..8 {
                word(&held.2, 1).read_once(&cx).await;
            }
            guard.up_write().await;
        });
        for cpu in 1..3 {
            let (shared, log) = (Rc::clone(&shared), Rc::clone(&log));
            engine.spawn(CpuId(cpu), move |cx| async move {
                let (sem, go, told) = &*shared;
                if cpu == 1 {
                    if word(go, 0).read_once(&cx).await == 0 {
                        return;
                    }
                    word(told, 1).write_once(&cx, 1).await;
                } else if word(told, 1).read_once(&cx).await == 0 {
                    return;
                }
                let guard = sem.down_write(&cx).await;
                log.borrow_mut().push(cpu);
                guard.up_write().await;
            });
        }
        finish(&engine);
        if let [first, _] = log.borrow()[..] {
            firsts[usize::from(first)] = true;
        }
    }
    assert_eq!(firsts, [false, true, true]);
}

#[test]
fn a_sleeper_gives_its_cpu_to_another_context() {
    let engine = timed(2);
    let sem = Rc::new(RwSem::new(&SEM, 0));
    let log: Log<&str> = Rc::default();
    let (held, slept) = (Rc::clone(&sem), Rc::clone(&sem));
    let (first, second, third) = (Rc::clone(&log), Rc::clone(&log), Rc::clone(&log));
    engine.spawn(CpuId(0), move |cx| async move {
        let guard = held.down_write(&cx).await;
        cx.charge(1_000_000);
        first.borrow_mut().push("released");
        guard.up_write().await;
    });
    engine.spawn(CpuId(1), move |cx| async move {
        cx.charge(1_000);
        let guard = slept.down_read(&cx).await;
        second.borrow_mut().push("woke");
        guard.up_read().await;
    });
    engine.spawn(CpuId(1), move |cx| async move {
        cx.charge(10);
        third.borrow_mut().push("ran");
    });
    finish(&engine);
    assert_eq!(*log.borrow(), ["released", "ran", "woke"].map(|entry| entry));
    assert_eq!(engine.cpu(CpuId(1)).context_switches(), 3);
    assert!(engine.cpu(CpuId(1)).times().idle > 900_000);
}

#[test]
fn a_reader_that_enters_again_behind_a_waiting_writer_deadlocks() {
    let mut deadlocks = 0;
    for seed in 0..100 {
        let engine = random(2, seed);
        let sem = Rc::new(RwSem::new(&SEM, 3));
        let other = Rc::clone(&sem);
        engine.spawn(CpuId(0), move |cx| async move {
            let outer = sem.down_read(&cx).await;
            let inner = sem.down_read(&cx).await;
            inner.up_read().await;
            outer.up_read().await;
        });
        engine.spawn(CpuId(1), move |cx| async move {
            other.down_write(&cx).await.up_write().await;
        });
        if let Stop::Deadlock(report) = engine.run() {
            deadlocks += 1;
            assert!(report.contains("context 0 on CPU 0 sleeps for sem[0x3]"), "{report}");
            assert!(report.contains("context 1 on CPU 1 sleeps for sem[0x3]"), "{report}");
        }
    }
    assert!((1..100).contains(&deadlocks), "{deadlocks}");
}

#[test]
#[should_panic(expected = "changed under a shared hold")]
fn a_reader_cannot_change_guarded_state() {
    let engine = timed(1);
    let sem = RwSem::new(&SEM, 0);
    let state = Guarded::hashed(sem.id(), RefCell::new(0), |_, _| ());
    engine.spawn(CpuId(0), move |cx| async move {
        let guard = sem.down_read(&cx).await;
        let _ = state.get(&guard);
        drop(state.get_mut(&guard));
        guard.up_read().await;
    });
    engine.run();
}

#[test]
fn a_dropped_read_guard_is_a_lost_lock() {
    let engine = timed(1);
    let sem = RwSem::new(&SEM, 0);
    engine.spawn(CpuId(0), move |cx| async move {
        drop(sem.down_read(&cx).await);
    });
    assert_eq!(engine.run(), Stop::Finished);
    assert_eq!(engine.violations().len(), 1);
}

#[test]
fn write_locks_of_one_class_nest_only_by_the_nested_call() {
    for (nested, violations) in [(false, 1), (true, 0)] {
        let engine = timed(1);
        let sems = [RwSem::new(&SEM, 0), RwSem::new(&SEM, 1)];
        engine.spawn(CpuId(0), move |cx| async move {
            let outer = sems[0].down_write(&cx).await;
            let inner =
                if nested { sems[1].down_write_nested(&cx).await } else { sems[1].down_write(&cx).await };
            inner.up_write().await;
            outer.up_write().await;
        });
        assert_eq!(engine.run(), Stop::Finished);
        assert_eq!(engine.violations().len(), violations);
    }
}
