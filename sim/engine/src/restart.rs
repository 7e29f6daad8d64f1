//! Starting again: an engine whose run is over is used for the next one.

use crate::context::ContextId;
use crate::cpu::Cpu;
use crate::digest::Digest;
use crate::engine::{Engine, Slot, State};
use crate::keep::Keep;
use crate::lockdep::LockOrder;
use crate::rng::{Purpose, Random};

/// An engine between two runs, as [`Engine::kept`] found it.
pub struct KeptEngine {
    cpus: Vec<Cpu>,
    slots: usize,
    free_slots: Vec<ContextId>,
    lock_order: LockOrder,
    digest: Digest,
}

impl Engine {
    /// Forgets the run: contexts, interrupts, read sections, clocks, violations, digest; the next run draws from `seed`.
    /// Whatever contexts still hold is abandoned. Words and locks are the caller's to set back.
    pub fn restart(&self, seed: u64) {
        self.forget_run(seed);
        self.cpus.iter().for_each(|cpu| cpu.restart());
        self.slots.borrow_mut().clear();
        self.free_slots.borrow_mut().clear();
        self.lock_order.borrow_mut().clear();
    }

    /// The engine as it is now, with no context left and no callback to come: what [`Engine::set_back`] goes back to.
    ///
    /// # Panics
    /// If a context has not ended.
    pub fn kept(&self) -> KeptEngine {
        assert!(self.live.get() == 0 && !self.rcu.has_callbacks(), "an engine is kept between runs");
        KeptEngine {
            cpus: self.cpus.iter().map(|cpu| (**cpu).keep()).collect(),
            slots: self.slots.borrow().len(),
            free_slots: self.free_slots.borrow().clone(),
            lock_order: self.lock_order.borrow().clone(),
            digest: self.digest(),
        }
    }

    /// [`Engine::restart`], but what there was before the run stays: back to `kept`, which is this engine's.
    pub fn set_back(&self, kept: &KeptEngine) {
        self.forget_run(0);
        self.cpus.iter().zip(&kept.cpus).for_each(|(cpu, kept)| (**cpu).set_back(kept));
        let mut slots = self.slots.borrow_mut();
        slots.truncate(kept.slots);
        slots.iter_mut().for_each(Slot::clear);
        drop(slots);
        self.free_slots.borrow_mut().clone_from(&kept.free_slots);
        self.lock_order.borrow_mut().set_back(&kept.lock_order);
        self.set_digest(kept.digest);
    }

    /// What both ways of starting again have in common.
    fn forget_run(&self, seed: u64) {
        if self.live.get() > 0 {
            self.abandon();
        }
        self.ready.clear();
        self.interrupted.clear();
        self.spinners.borrow_mut().clear();
        self.sleepers.borrow_mut().clear();
        self.retries.borrow_mut().clear();
        self.contenders.set(0);
        self.rcu.restart();
        self.exploring.clear();
        self.histories.clear();
        self.live.set(0);
        self.drawn.set(None);
        self.running.set(None);
        if !self.exploring() {
            *self.choices.borrow_mut() = Random::new(seed, Purpose::Schedule);
        }
        self.forget(seed);
    }
}

impl Slot {
    /// Nobody is in it.
    fn clear(&mut self) {
        self.state = State::Done;
        self.contends = false;
        self.announced = None;
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::{Class, Context, CpuId, EngineConfig, Executed, Explorer, Schedule, SpinLock, Stop};

    static A: Class = Class::new(200, "a");
    static B: Class = Class::new(201, "b");

    struct InOrder;

    impl Explorer for InOrder {
        fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
            Some(enabled.trailing_zeros() as usize)
        }
        fn executed(&mut self, _: &Engine, _: &Executed<'_>) {}
    }

    /// Runs one context that takes the one lock inside the other. What can be told of the engine then.
    fn run(engine: &Rc<Engine>, cpu: u16, [outer, inner]: [&'static Class; 2]) -> String {
        let id = engine.spawn(CpuId(cpu), async move |cx: Context| {
            let locks = [SpinLock::new(outer, 0), SpinLock::new(inner, 0)];
            let held = locks[0].lock(&cx).await;
            locks[1].lock(&cx).await.unlock().await;
            held.unlock().await;
            cx.synchronize_rcu().await;
            cx.engine().digest_word(u64::from(cx.id().number()));
        });
        assert_eq!(engine.explore(&mut InOrder), Stop::Finished);
        let cpu = engine.cpu(CpuId(cpu));
        let periods = cpu.grace_periods.get();
        format!(
            "{id} {} {} {periods} {:?} {}",
            cpu.clock(),
            cpu.steps(),
            engine.violations(),
            engine.digest()
        )
    }

    #[test]
    fn an_engine_that_is_set_back_does_what_it_would_have_done() {
        let schedule = Schedule::Explore;
        let engine = Engine::new(EngineConfig { cpus: 3, schedule, checks: true, ..EngineConfig::default() });
        engine.cpu(CpuId(2)).take_offline();
        run(&engine, 0, [&A, &B]);
        let kept = engine.kept();
        let first = run(&engine, 1, [&A, &B]);
        engine.set_back(&kept);
        run(&engine, 0, [&B, &A]);
        assert!(engine.has_violation(), "the order before it was kept is known");
        engine.spawn(CpuId(1), async |cx: Context| cx.synchronize_rcu().await); // abandoned
        engine.set_back(&kept);
        assert_eq!(run(&engine, 1, [&A, &B]), first);
        assert!(!engine.cpu(CpuId(2)).is_online());
        engine.set_back(&kept);
        static C: Class = Class::new(202, "c");
        assert_eq!(run(&engine, 1, [&B, &C]), first);
        engine.set_back(&kept);
        assert_eq!(run(&engine, 1, [&C, &B]), first, "the order of a run that was undone is forgotten");
    }
}
