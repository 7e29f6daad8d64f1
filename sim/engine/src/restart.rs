//! Starting again: an engine whose run is over is used for the next one.

use crate::engine::Engine;
use crate::rng::{Purpose, Random};

impl Engine {
    /// Forgets the run: contexts, interrupts, read sections, clocks, violations, digest; the next run draws from `seed`.
    /// Whatever contexts still hold is abandoned. Words and locks are the caller's to set back.
    pub fn restart(&self, seed: u64) {
        if self.live.get() > 0 {
            self.abandon();
        }
        self.cpus.iter().for_each(|cpu| cpu.restart());
        self.slots.borrow_mut().clear();
        self.free_slots.borrow_mut().clear();
        self.ready.clear();
        self.interrupted.clear();
        self.spinners.borrow_mut().clear();
        self.sleepers.borrow_mut().clear();
        self.retries.borrow_mut().clear();
        self.contenders.set(0);
        self.lock_order.borrow_mut().clear();
        self.rcu.restart();
        self.exploring.clear();
        self.live.set(0);
        self.drawn.set(None);
        self.running.set(None);
        if !self.exploring() {
            *self.choices.borrow_mut() = Random::new(seed, Purpose::Schedule);
        }
        self.forget(seed);
    }
}
