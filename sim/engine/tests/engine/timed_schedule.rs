//! The timed schedule: the earliest clock goes first, ties go to the lowest number, and the horizon changes
//! only how often the scheduler is asked.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;

use crate::common::{DONE, LOCK, Log, finish, timed, word};
use pagewalk_engine::{Completion, CpuId, Engine, EngineConfig, Schedule, SpinLock};

proptest! {
    /// Each CPU charges private work and takes a step, again and again: the steps must come in the order of
    /// (clock when the step is granted, CPU number).
    #[test]
    fn steps_are_granted_in_the_order_of_clock_and_number(
        programs in prop::collection::vec(prop::collection::vec(0..3_u32, 0..20), 1..6),
    ) {
        let engine = timed(programs.len() as u16);
        let log: Log<(u64, u16)> = Rc::default();
        let access = u64::from(engine.config().costs.shared_access);
        for (cpu, program) in programs.iter().enumerate() {
            let (log, program) = (Rc::clone(&log), program.clone());
            engine.spawn(CpuId(cpu as u16), move |cx| async move {
                let cell = Cell::new(0);
                for work in program {
                    cx.charge(work * 4);
                    word(&cell, cpu as u64).read_once(&cx).await;
                    log.borrow_mut().push((cx.cpu().clock() - access, cpu as u16));
                }
            });
        }
        finish(&engine);
        let log = log.borrow();
        prop_assert_eq!(log.len(), programs.iter().map(Vec::len).sum::<usize>());
        prop_assert!(log.is_sorted(), "{:?}", log);
    }
}

#[test]
fn a_cpu_inside_its_horizon_is_not_switched() {
    // CPU 1 is far ahead, so CPU 0 takes all its steps in one go: its future is polled once for them.
    let engine = timed(2);
    let polls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&polls);
    engine.spawn(CpuId(0), move |cx| async move {
        let cell = Cell::new(0);
        let mut steps = Box::pin(async {
            for _ in 0..1_000 {
                word(&cell, 0).fetch_add(&cx, 1).await;
            }
        });
        std::future::poll_fn(|task| {
            counted.set(counted.get() + 1);
            steps.as_mut().poll(task)
        })
        .await;
    });
    engine.spawn(CpuId(1), |cx| async move {
        let cell = Cell::new(0);
        cx.charge(1_000_000);
        word(&cell, 1).read_once(&cx).await;
    });
    finish(&engine);
    assert!(polls.get() <= 2, "{}", polls.get());
}

#[test]
fn a_wake_lowers_the_horizon_at_once() {
    // CPU 1 spins; CPU 0 has the machine to itself until it releases the lock, and then must share it.
    let engine = timed(2);
    let log: Log<(u64, u16)> = Rc::default();
    let lock = Rc::new(SpinLock::new(&LOCK, 0));
    for cpu in 0..2 {
        let (lock, log) = (Rc::clone(&lock), Rc::clone(&log));
        engine.spawn(CpuId(cpu), move |cx| async move {
            let cell = Cell::new(0);
            cx.charge(u32::from(cpu) * 100);
            let guard = lock.lock(&cx).await;
            cx.charge(10_000);
            guard.unlock().await;
            for _ in 0..5_000 {
                let before = cx.cpu().clock();
                word(&cell, u64::from(cpu)).read_once(&cx).await;
                log.borrow_mut().push((before.max(cx.cpu().clock() - 4), cpu));
            }
        });
    }
    finish(&engine);
    assert!(log.borrow().is_sorted());
    let last_of_first = log.borrow().iter().rposition(|&(_, cpu)| cpu == 0);
    let first_of_second = log.borrow().iter().position(|&(_, cpu)| cpu == 1);
    assert!(first_of_second < last_of_first, "they overlap");
}

#[test]
fn a_context_started_meanwhile_gets_its_turn_in_time() {
    let engine = timed(2);
    let log: Log<(u64, u16)> = Rc::default();
    let (here, there) = (Rc::clone(&log), Rc::clone(&log));
    let costs = engine.config().costs.clone();
    engine.spawn(CpuId(0), move |cx| async move {
        let cell = Cell::new(0);
        cx.engine().spawn(CpuId(1), move |cx| async move {
            let cell = Cell::new(0);
            word(&cell, 1).read_once(&cx).await;
            there.borrow_mut().push((cx.cpu().clock(), 1));
        });
        for _ in 0..5_000 {
            word(&cell, 0).read_once(&cx).await;
            here.borrow_mut().push((cx.cpu().clock(), 0));
        }
    });
    finish(&engine);
    assert!(log.borrow().is_sorted());
    let started = log.borrow().iter().find(|&&(_, cpu)| cpu == 1).expect("it ran").0;
    assert_eq!(started, 1 + 2 * u64::from(costs.context_switch) + u64::from(costs.shared_access));
}

#[test]
fn contexts_of_one_cpu_take_turns_by_quantum() {
    let config = EngineConfig { quantum: 10_000, jitter: 0, ..Default::default() };
    let engine = Engine::new(config);
    let log: Log<char> = Rc::default();
    for name in ['a', 'b'] {
        let log = Rc::clone(&log);
        engine.spawn(CpuId(0), move |cx| async move {
            let mut left = 25_000_u64;
            while left > 0 {
                cx.cond_resched().await;
                let until = cx.run_user().await;
                let slice = left.min(until.saturating_sub(cx.cpu().clock()).max(1));
                cx.charge(u32::try_from(slice).expect("bounded by the program"));
                left -= slice;
                log.borrow_mut().push(name);
                cx.enter_kernel(0);
            }
        });
    }
    finish(&engine);
    // Two quanta of 10,000 and the rest of 5,000 each, in turns.
    assert_eq!(log.borrow().iter().collect::<String>(), "ababab");
    assert_eq!(engine.cpu(CpuId(0)).context_switches(), 6);
    assert_eq!(engine.cpu(CpuId(0)).times().user, 50_000);
}

#[test]
fn a_program_may_run_ahead_by_the_slack_and_not_past_its_own_interrupt() {
    let run = |interrupted: bool| {
        let engine = Engine::new(EngineConfig { cpus: 2, slack: 700, ..Default::default() });
        let until = Rc::new(Cell::new(0));
        let seen = Rc::clone(&until);
        engine.spawn(CpuId(0), move |cx| async move {
            if interrupted {
                let done = Completion::new(&DONE, 0, 1);
                cx.send_ipi(CpuId(0), Rc::new(move |engine, _| done.complete(engine))).await;
            }
            seen.set(cx.run_user().await);
        });
        engine.spawn(CpuId(1), |cx| async move {
            let cell = Cell::new(0);
            cx.charge(50_000);
            word(&cell, 0).read_once(&cx).await;
        });
        finish(&engine);
        until.get()
    };
    let switched = 1 + u64::from(EngineConfig::default().costs.context_switch);
    // CPU 1 is ready at `switched` too, and next.
    assert_eq!(run(false), switched + 700);
    let costs = EngineConfig::default().costs;
    assert_eq!(run(true), switched + u64::from(costs.ipi_send + costs.ipi_latency) - 1);
}

#[test]
fn every_cycle_counts_once() {
    let engine = Engine::new(EngineConfig { cpus: 2, schedule: Schedule::Timed, ..Default::default() });
    let lock = Rc::new(SpinLock::new(&LOCK, 0));
    for cpu in 0..2 {
        let lock = Rc::clone(&lock);
        engine.spawn(CpuId(cpu), move |cx| async move {
            for _ in 0..10 {
                cx.run_user().await;
                cx.charge(300);
                cx.enter_kernel(40);
                let guard = lock.lock(&cx).await;
                cx.charge(500);
                guard.unlock().await;
                let done = Completion::new(&DONE, cpu.into(), 1);
                let ack = Rc::clone(&done);
                cx.send_ipi(CpuId(1 - cpu), Rc::new(move |engine, _| ack.complete(engine))).await;
                done.wait(&cx).await;
            }
        });
    }
    finish(&engine);
    for cpu in engine.cpus() {
        let times = cpu.times();
        assert_eq!(times.user + times.kernel + times.waiting + times.idle + times.interrupt, cpu.clock());
        assert_eq!(times.user, 3_000);
        assert_eq!(times.interrupt, 10 * u64::from(engine.config().costs.ipi_deliver));
    }
}
