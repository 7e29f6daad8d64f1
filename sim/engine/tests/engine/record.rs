//! The record: what it keeps, and that it names the step's place in the source.

use std::cell::Cell;
use std::rc::Rc;

use crate::common::{LOCK, SEM, word};
use pagewalk_engine::{CpuId, Effect, Engine, EngineConfig, OpKind, RwSem, SpinLock, Stop};

#[test]
fn it_keeps_the_last_steps_with_their_numbers_and_effects() {
    let engine = Engine::new(EngineConfig { record: 3, ..Default::default() });
    engine.spawn(CpuId(0), |cx| async move {
        let cell = Cell::new(10);
        for _ in 0..5 {
            word(&cell, 4).fetch_add(&cx, 1).await;
        }
    });
    assert_eq!(engine.run(), Stop::Finished);
    let steps = engine.recorded();
    assert_eq!(steps.iter().map(|step| step.number).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(steps[0].effect, Effect { old: 12, new: 13 });
    assert_eq!(steps[2].op.object.to_string(), "word[0x4]");
    assert!(steps[2].op.location.file().ends_with("record.rs"));
    assert_eq!(steps[2].clock, engine.cpu(CpuId(0)).clock());
}

#[test]
fn a_lock_that_must_be_waited_for_shows_the_wait_and_the_taking() {
    let engine = Engine::new(EngineConfig { cpus: 2, record: 100, ..Default::default() });
    let sem = Rc::new(RwSem::new(&SEM, 0));
    let spin = Rc::new(SpinLock::new(&LOCK, 0));
    for cpu in 0..2 {
        let (sem, spin) = (Rc::clone(&sem), Rc::clone(&spin));
        engine.spawn(CpuId(cpu), move |cx| async move {
            let guard = sem.down_write(&cx).await;
            cx.charge(10_000);
            guard.up_write().await;
            spin.lock(&cx).await.unlock().await;
        });
    }
    assert_eq!(engine.run(), Stop::Finished);
    let of = |cpu: u16| -> Vec<_> {
        let steps = engine.recorded().into_iter().filter(|step| step.cpu == CpuId(cpu));
        steps.map(|step| (step.op.kind, step.effect.old, step.effect.new)).collect()
    };
    let (taken, released) = ((OpKind::Lock, 0, 1), (OpKind::Unlock, 1, 0));
    assert_eq!(of(0), [taken, released, taken, released]);
    assert_eq!(of(1), [(OpKind::Lock, 0, 0), taken, released, taken, released]);
}

#[test]
fn nothing_is_kept_unless_asked_for() {
    let engine = Engine::new(EngineConfig::default());
    engine.spawn(CpuId(0), |cx| async move {
        word(&Cell::new(0), 0).fetch_add(&cx, 1).await;
    });
    assert_eq!(engine.run(), Stop::Finished);
    assert!(engine.recorded().is_empty());
}
