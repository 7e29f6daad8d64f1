//! RCU: a grace period waits for exactly the read sections that were open when it began.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use proptest::prelude::*;

use crate::common::{finish, random, timed, word};
use pagewalk_engine::{CpuId, Stop};

#[derive(Clone, Copy, Debug)]
enum Act {
    /// A read section with so many accesses inside, `nested` or not.
    Read {
        accesses: u8,
        nested: bool,
    },
    Synchronize,
    Call,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..4_u8, any::<bool>()).prop_map(|(accesses, nested)| Act::Read { accesses, nested }),
        Just(Act::Synchronize),
        Just(Act::Call),
    ]
}

/// The model: which sections are open, and which of them each grace period has to wait for.
#[derive(Default)]
struct Model {
    next: u32,
    open: BTreeSet<u32>,
    /// Sections that were open when a grace period that is not over began.
    awaited: Vec<(u32, BTreeSet<u32>)>,
    begun: u32,
    called: u32,
}

impl Model {
    fn begin(&mut self) -> u32 {
        self.begun += 1;
        self.awaited.push((self.begun, self.open.clone()));
        self.begun
    }

    fn end(&mut self, period: u32) {
        let place = self.awaited.iter().position(|(number, _)| *number == period).expect("begun, not over");
        let (_, sections) = self.awaited.swap_remove(place);
        assert!(sections.is_disjoint(&self.open), "a grace period ended before its readers did");
    }
}

async fn perform(cx: &pagewalk_engine::Context, act: Act, model: &Rc<RefCell<Model>>) {
    let cell = std::cell::Cell::new(0);
    match act {
        Act::Read { accesses, nested } => {
            let guard = cx.rcu_read_lock().await;
            let section = model.borrow().next;
            model.borrow_mut().next += 1;
            model.borrow_mut().open.insert(section);
            let inner = if nested { Some(cx.rcu_read_lock().await) } else { None };
            for _ in 0..accesses {
                word(&cell, 0).read_once(cx).await;
            }
            if let Some(inner) = inner {
                inner.unlock().await;
                word(&cell, 0).read_once(cx).await;
            }
            // Closed in the model just before the step that closes it: no grace period can end between.
            model.borrow_mut().open.remove(&section);
            guard.unlock().await;
        }
        Act::Synchronize => {
            let period = model.borrow_mut().begin();
            cx.synchronize_rcu().await;
            model.borrow_mut().end(period);
        }
        Act::Call => {
            let period = model.borrow_mut().begin();
            let inner = Rc::clone(model);
            cx.call_rcu(move |_| {
                inner.borrow_mut().end(period);
                inner.borrow_mut().called += 1;
            })
            .await;
        }
    }
}

proptest! {
    #[test]
    fn a_grace_period_outlives_its_readers_and_ends_after_them(
        programs in prop::collection::vec(prop::collection::vec(act(), 1..5), 1..5),
        seed in any::<u64>(),
    ) {
        let engine = random(4, seed);
        let model: Rc<RefCell<Model>> = Rc::default();
        let calls = programs.iter().flatten().filter(|act| matches!(act, Act::Call)).count();
        for (number, program) in programs.into_iter().enumerate() {
            let model = Rc::clone(&model);
            engine.spawn(CpuId(number as u16 % 4), move |cx| async move {
                for act in program {
                    perform(&cx, act, &model).await;
                }
            });
        }
        // Finished: every grace period ended, so none waits for a reader that came later for ever.
        finish(&engine);
        prop_assert!(model.borrow().awaited.is_empty());
        prop_assert_eq!(model.borrow().called as usize, calls);
    }
}

#[test]
fn it_does_not_wait_for_readers_that_come_later() {
    let engine = timed(3);
    let ended = Rc::new(std::cell::Cell::new(0));
    let seen = Rc::clone(&ended);
    engine.spawn(CpuId(0), |cx| async move {
        let section = cx.rcu_read_lock().await;
        cx.charge(100_000);
        section.unlock().await;
    });
    engine.spawn(CpuId(1), move |cx| async move {
        cx.charge(10_000);
        cx.synchronize_rcu().await;
        seen.set(cx.cpu().clock());
    });
    engine.spawn(CpuId(2), |cx| async move {
        cx.charge(50_000);
        let section = cx.rcu_read_lock().await;
        cx.charge(900_000);
        section.unlock().await;
    });
    finish(&engine);
    assert!((100_000..120_000).contains(&ended.get()), "{}", ended.get());
}

#[test]
fn reading_takes_no_cache_line_from_another_cpu() {
    let engine = timed(4);
    for cpu in 0..4 {
        engine.spawn(CpuId(cpu), |cx| async move {
            for _ in 0..10 {
                let section = cx.rcu_read_lock().await;
                section.unlock().await;
            }
        });
    }
    finish(&engine);
    let switch = u64::from(engine.config().costs.context_switch);
    assert!(engine.cpus().iter().all(|cpu| cpu.clock() == switch + 1));
}

#[test]
fn waiting_for_readers_inside_a_read_section_is_a_violation_and_a_deadlock() {
    let engine = timed(1);
    engine.spawn(CpuId(0), |cx| async move {
        let section = cx.rcu_read_lock().await;
        cx.synchronize_rcu().await;
        section.unlock().await;
    });
    assert!(matches!(engine.run(), Stop::Deadlock(_)));
    assert_eq!(engine.violations().len(), 1);
    assert_eq!(engine.violations()[0].invariant, "I28");
}

#[test]
fn a_read_section_that_is_never_left_is_reported() {
    let engine = timed(1);
    engine.spawn(CpuId(0), |cx| async move {
        drop(cx.rcu_read_lock().await);
    });
    assert_eq!(engine.run(), Stop::Finished);
    assert_eq!(engine.violations().len(), 1);
}
