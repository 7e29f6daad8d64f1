//! A BUG ends the run where it is, under every schedule, and nothing is unwound.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{CpuId, Engine, EngineConfig, Executed, Explorer, Schedule, SpinLock, Stop, Violation};

use crate::common::{LOCK, random, timed, word};

/// Chooses the lowest number, and counts the steps that it is told of.
#[derive(Default)]
struct InOrder {
    told: usize,
}

impl Explorer for InOrder {
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        Some(enabled.trailing_zeros() as usize)
    }

    fn executed(&mut self, _: &Engine, _: &Executed<'_>) {
        self.told += 1;
    }
}

/// Two contexts that take a lock in turn; the second to have it finds the word changed, which is held to be impossible. What the
/// word is in the end.
fn two_who_disagree(engine: &Rc<Engine>) -> Rc<Cell<u64>> {
    let (cell, lock) = (Rc::new(Cell::new(0)), Rc::new(SpinLock::new(&LOCK, 0)));
    for cpu in 0..2 {
        let (cell, lock) = (Rc::clone(&cell), Rc::clone(&lock));
        engine.spawn(CpuId(cpu), async move |cx| {
            let guard = lock.lock(&cx).await;
            if word(&cell, 0).fetch_add(&cx, 1).await == 1 {
                cx.bug::<()>("the word is 1").await;
            }
            word(&cell, 0).fetch_add(&cx, 100).await;
            word(&cell, 0).fetch_add(&cx, u64::MAX - 99).await;
            guard.unlock().await;
        });
    }
    cell
}

#[track_caller]
fn told_as_a_bug(engine: &Engine, stop: &Stop, cell: &Cell<u64>) {
    let violations = engine.violations();
    let [Violation { invariant: "panic", message }] = &violations[..] else { panic!("{violations:?}") };
    assert!(message.starts_with("BUG at bug:") && message.ends_with(": the word is 1"), "{message}");
    assert_eq!(*stop, Stop::Stopped(format!("panic: {message}")));
    assert_eq!(cell.get(), 2, "who has hit it goes no further");
}

#[test]
fn a_bug_ends_a_run_and_what_is_held_then_is_not_lost() {
    for engine in [timed(2), random(2, 1), random(2, 2)] {
        let cell = two_who_disagree(&engine);
        let stop = engine.run();
        told_as_a_bug(&engine, &stop, &cell);
    }
}

#[test]
fn an_explorer_is_not_told_of_the_step_in_whose_midst_it_is() {
    let config = EngineConfig { cpus: 2, schedule: Schedule::Explore, checks: true, ..Default::default() };
    let engine = Engine::new(config);
    for _ in 0..2 {
        let cell = two_who_disagree(&engine);
        let mut order = InOrder::default();
        let stop = engine.explore(&mut order);
        told_as_a_bug(&engine, &stop, &cell);
        // Five of the first, then the second takes the lock.
        assert_eq!(order.told, 6);
        engine.restart(1);
    }
}
