//! Inter-processor interrupts: delivered while the target idles, computes, spins or waits, and never while
//! its interrupts are off.

use std::cell::Cell;
use std::rc::Rc;

use crate::common::{DONE, LOCK, Log, QUEUE, finish, random, timed, word};
use pagewalk_engine::{Completion, Context, CpuId, Engine, IpiHandler, SpinLock, Stop, WaitQueue};

fn acknowledge(done: &Rc<Completion>) -> IpiHandler {
    let done = Rc::clone(done);
    Rc::new(move |engine, _| done.complete(engine))
}

/// Interrupts `target` and waits for its acknowledgement.
async fn shoot(cx: &Context, target: u16, index: u64) {
    let done = Completion::new(&DONE, index, 1);
    cx.send_ipi(CpuId(target), acknowledge(&done)).await;
    done.wait(cx).await;
}

#[test]
fn an_idle_cpu_takes_it() {
    let engine = timed(2);
    engine.spawn(CpuId(0), |cx| async move { shoot(&cx, 1, 0).await });
    finish(&engine);
    let costs = &engine.config().costs;
    let target = engine.cpu(CpuId(1));
    assert_eq!(target.times().interrupt, u64::from(costs.ipi_deliver));
    let sent = u64::from(costs.context_switch + costs.ipi_send) + 1;
    assert_eq!(target.clock(), sent + u64::from(costs.ipi_latency + costs.ipi_deliver));
    assert!(engine.cpu(CpuId(0)).clock() >= target.clock(), "the sender goes on after the acknowledgement");
    assert!(engine.cpu(CpuId(0)).times().waiting >= u64::from(costs.ipi_latency));
}

#[test]
fn a_cpu_that_spins_for_a_lock_takes_it() {
    // The holder releases only after the spinner's CPU has acknowledged.
    for engine in (0..200).map(|seed| random(2, seed)).chain([timed(2)]) {
        let lock = Rc::new(SpinLock::new(&LOCK, 0));
        let other = Rc::clone(&lock);
        engine.spawn(CpuId(0), move |cx| async move {
            let guard = lock.lock(&cx).await;
            shoot(&cx, 1, 0).await;
            guard.unlock().await;
        });
        engine.spawn(CpuId(1), move |cx| async move {
            cx.charge(500);
            other.lock(&cx).await.unlock().await;
        });
        finish(&engine);
    }
}

#[test]
fn cpus_that_shoot_at_each_other_do_not_deadlock() {
    for seed in 0..300 {
        for engine in [random(3, seed), timed(3)] {
            for cpu in 0..3 {
                engine.spawn(CpuId(cpu), move |cx| async move {
                    for round in 0..2 {
                        shoot(&cx, (cpu + 1) % 3, u64::from(cpu) * 2 + round).await;
                    }
                });
            }
            finish(&engine);
        }
    }
}

#[test]
fn with_interrupts_off_it_waits_until_they_are_on() {
    for engine in (0..200).map(|seed| random(2, seed)).chain([timed(2)]) {
        let shared = Rc::new((Cell::new(0_u64), Cell::new(false)));
        let (here, there) = (Rc::clone(&shared), shared);
        engine.spawn(CpuId(0), move |cx| async move {
            cx.local_irq_disable();
            here.1.set(true);
            for _ in 0..5 {
                word(&here.0, 0).read_once(&cx).await;
                cx.charge(5_000);
            }
            here.1.set(false);
            cx.local_irq_enable();
            word(&here.0, 0).read_once(&cx).await;
        });
        engine.spawn(CpuId(1), move |cx| async move {
            let done = Completion::new(&DONE, 0, 1);
            let ack = Rc::clone(&done);
            let handler: IpiHandler = Rc::new(move |engine, _| {
                assert!(!there.1.get(), "delivered with interrupts off");
                ack.complete(engine);
            });
            cx.send_ipi(CpuId(0), handler).await;
            done.wait(&cx).await;
        });
        finish(&engine);
    }
}

#[test]
fn waiting_for_acknowledgements_with_interrupts_off_can_deadlock() {
    let engine = timed(2);
    for cpu in 0..2 {
        engine.spawn(CpuId(cpu), move |cx| async move {
            cx.local_irq_disable();
            shoot(&cx, 1 - cpu, cpu.into()).await;
            cx.local_irq_enable();
        });
    }
    let Stop::Deadlock(report) = engine.run() else { panic!("neither CPU can acknowledge") };
    assert!(report.contains("CPU 0 spins for done[0x0]"), "{report}");
    assert!(report.contains("CPU 1 spins for done[0x1]"), "{report}");
}

#[test]
fn sleeping_with_interrupts_off_is_a_violation() {
    let engine = timed(1);
    engine.spawn(CpuId(0), |cx| async move {
        cx.local_irq_disable();
        WaitQueue::new(&QUEUE, 0).wait_event(&cx, || true).await;
        cx.local_irq_enable();
    });
    assert_eq!(engine.run(), Stop::Finished);
    assert_eq!(engine.violations().len(), 1);
}

/// Sends one interrupt to CPU 0 from CPU 1 at once; yields the steps of CPU 0 that came before it.
fn steps_before(engine: &Rc<Engine>) -> u64 {
    let seen = Rc::new(Cell::new(u64::MAX));
    let here = Rc::clone(&seen);
    engine.spawn(CpuId(0), |cx| async move {
        let cell = Cell::new(0);
        for _ in 0..5_000 {
            word(&cell, 0).read_once(&cx).await;
        }
    });
    engine.spawn(CpuId(1), move |cx| async move {
        let handler: IpiHandler = Rc::new(move |_, cpu| here.set(cpu.steps()));
        cx.send_ipi(CpuId(0), handler).await;
    });
    finish(engine);
    seen.get()
}

#[test]
fn a_cpu_that_computes_takes_it_when_it_is_due_and_not_a_step_later() {
    let engine = timed(2);
    let costs = engine.config().costs.clone();
    // Sent at `ipi_send`, due a latency later; the steps before that took 4 cycles each. The delivery
    // itself counts as a step. A step that began before the interrupt was due is finished.
    let due = u64::from(costs.ipi_send + costs.ipi_latency);
    let before = due.div_ceil(u64::from(costs.shared_access));
    assert_eq!(steps_before(&engine), before + 1);
}

#[test]
fn a_sender_does_not_run_past_the_delivery_at_an_idle_cpu() {
    let engine = timed(2);
    let log: Log<(u64, u16)> = Rc::default();
    let (here, there) = (Rc::clone(&log), Rc::clone(&log));
    let deliver = u64::from(engine.config().costs.ipi_deliver);
    let access = u64::from(engine.config().costs.shared_access);
    engine.spawn(CpuId(0), move |cx| async move {
        let cell = Cell::new(0);
        let handler: IpiHandler =
            Rc::new(move |_, cpu| there.borrow_mut().push((cpu.clock() - deliver, cpu.id().0)));
        cx.send_ipi(CpuId(1), handler).await;
        for _ in 0..2_000 {
            word(&cell, 0).read_once(&cx).await;
            here.borrow_mut().push((cx.cpu().clock() - access, 0));
        }
    });
    finish(&engine);
    assert!(log.borrow().is_sorted());
    assert_eq!(log.borrow().iter().filter(|&&(_, cpu)| cpu == 1).count(), 1);
}

#[test]
fn a_random_schedule_delivers_anywhere_between_two_steps() {
    let mut seen: Vec<u64> = (0..400).map(|seed| steps_before(&random(2, seed)).min(12)).collect();
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 5, "{seen:?}");
}

#[test]
fn interrupts_are_delivered_in_the_order_of_their_arrival() {
    let engine = timed(3);
    let log: Log<u16> = Rc::default();
    for (cpu, at) in [(1, 900), (2, 100)] {
        let log = Rc::clone(&log);
        engine.spawn(CpuId(cpu), move |cx| async move {
            cx.charge(at);
            for _ in 0..2 {
                let log = Rc::clone(&log);
                cx.send_ipi(CpuId(0), Rc::new(move |_, _| log.borrow_mut().push(cpu))).await;
                cx.charge(5_000);
            }
        });
    }
    finish(&engine);
    assert_eq!(*log.borrow(), [2, 1, 2, 1]);
}

#[test]
fn a_callback_does_not_wait_behind_an_interrupt_that_arrives_later() {
    let engine = timed(2);
    let log: Log<&str> = Rc::default();
    let (sent, called) = (Rc::clone(&log), Rc::clone(&log));
    engine.spawn(CpuId(1), move |cx| async move {
        cx.send_ipi(CpuId(0), Rc::new(move |_, _| sent.borrow_mut().push("interrupt"))).await;
    });
    engine.spawn(CpuId(0), move |cx| async move {
        cx.charge(1_000);
        cx.call_rcu(move |_| called.borrow_mut().push("callback")).await;
    });
    finish(&engine);
    assert_eq!(*log.borrow(), ["callback", "interrupt"]);
}

#[test]
fn a_context_woken_by_an_interrupt_of_its_own_cpu_counts_as_kernel_time() {
    let engine = timed(2);
    let shared = Rc::new((WaitQueue::new(&QUEUE, 0), Cell::new(false)));
    let flag = Rc::clone(&shared);
    engine.spawn(CpuId(0), move |cx| async move {
        // The grace period ends at once; its callback runs on this CPU and lets the sleeper's test hold.
        let done = Completion::new(&DONE, 0, 1);
        let ack = Rc::clone(&done);
        cx.call_rcu(move |engine| {
            flag.1.set(true);
            ack.complete(engine);
        })
        .await;
        done.wait(&cx).await;
        shared.0.wait_event(&cx, || shared.1.get()).await;
        cx.charge(777_000);
    });
    finish(&engine);
    let times = engine.cpu(CpuId(0)).times();
    assert!(times.kernel >= 777_000, "{times:?}");
    assert_eq!(times.interrupt, u64::from(engine.config().costs.ipi_deliver));
}

#[test]
#[should_panic(expected = "interrupts are on already")]
fn turning_interrupts_on_twice_panics() {
    let engine = timed(1);
    engine.spawn(CpuId(0), |cx| async move {
        cx.begin_instruction();
        cx.end_instruction();
        cx.end_instruction();
    });
    engine.run();
}

#[test]
fn a_stopped_run_forgets_the_interrupts_it_has_not_delivered() {
    let engine = timed(2);
    let machine = Rc::new(());
    let held = Rc::clone(&machine);
    engine.spawn(CpuId(0), move |cx| async move {
        let handler: IpiHandler = Rc::new(move |_, _| drop(Rc::clone(&held)));
        cx.send_ipi(CpuId(1), handler).await;
        cx.engine().stop("enough");
        cx.yield_cpu().await;
    });
    assert!(matches!(engine.run(), Stop::Stopped(_)));
    assert_eq!(Rc::strong_count(&machine), 1, "no handler is left that holds it");
}

#[test]
fn a_handler_that_goes_on_takes_further_steps_and_enters_once() {
    let mut between = 0;
    for engine in (0..200).map(|seed| random(2, seed)).chain([timed(2)]) {
        let cell = Rc::new(Cell::new(0_u64));
        let (first, reader) = (Rc::clone(&cell), Rc::clone(&cell));
        let seen = Rc::new(Cell::new(0_u64));
        let saw = Rc::clone(&seen);
        engine.spawn(CpuId(0), move |cx| async move {
            let handler: IpiHandler = Rc::new(move |engine, cpu| {
                first.set(1);
                let second = Rc::clone(&first);
                engine.go_on_in_interrupt(cpu.id(), Rc::new(move |_, _| second.set(2)));
            });
            cx.send_ipi(CpuId(1), handler).await;
            while word(&reader, 0).read_once(&cx).await < 2 {
                saw.set(saw.get().max(reader.get()));
                cx.charge(100);
            }
        });
        finish(&engine);
        between += u64::from(seen.get() == 1);
        let entered = u64::from(engine.config().costs.ipi_deliver);
        assert_eq!((cell.get(), engine.cpu(CpuId(1)).times().interrupt), (2, entered));
    }
    assert!(between > 20, "the sender looked between the two steps in {between} runs");
}
