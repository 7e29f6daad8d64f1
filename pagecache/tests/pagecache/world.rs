//! The machine that the tests use, and schedules for it.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use pagewalk_engine::{Context, CpuId, Engine, EngineConfig, Executed, Explorer, Schedule, Stop};
use pagewalk_mmu::{Hardware, HardwareSpec};
use pagewalk_pagecache::PageCache;
use pagewalk_pages::{Switches, Zone, ZoneSpec};

/// A machine with a page cache.
pub(crate) struct World {
    pub(crate) engine: Rc<Engine>,
    pub(crate) zone: Rc<Zone>,
    pub(crate) cache: Rc<PageCache>,
}

impl World {
    pub(crate) fn new(cpus: u16, schedule: Schedule, seed: u64, kernel: Switches) -> Self {
        Self::with_frames(cpus, schedule, seed, kernel, 512)
    }

    pub(crate) fn with_frames(
        cpus: u16,
        schedule: Schedule,
        seed: u64,
        kernel: Switches,
        frames: u32,
    ) -> Self {
        let config = EngineConfig { cpus, schedule, seed, checks: true, ..EngineConfig::default() };
        let hw = Hardware::new(&HardwareSpec::minimal(cpus, frames)).expect("possible hardware");
        let zone = Zone::new(&hw, &ZoneSpec { pcp_batch: 1, pcp_high: 64, ..ZoneSpec::default() })
            .expect("a possible zone");
        zone.set_switches(kernel);
        let cache = PageCache::new(&zone, 1 << 16);
        Self { engine: Engine::new(config), zone, cache }
    }

    /// Starts a context on a CPU.
    pub(crate) fn spawn<F, Fut>(&self, cpu: u16, body: F)
    where
        F: FnOnce(Rc<Context>) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        self.engine.spawn(CpuId(cpu), |cx| body(Rc::new(cx)));
    }

    /// Runs to the end and yields the invariants broken, each once, in order.
    pub(crate) fn run(&self) -> Vec<&'static str> {
        self.broken(&self.engine.run())
    }

    /// The same, each step chosen by priorities drawn from `seed`.
    pub(crate) fn run_by_priorities(&self, seed: u64) -> Vec<&'static str> {
        self.broken(&self.engine.explore(&mut Priorities::new(seed)))
    }

    fn broken(&self, stop: &Stop) -> Vec<&'static str> {
        let mut broken: Vec<&'static str> = Vec::new();
        if let Stop::Deadlock(_) = stop {
            broken.push("I27");
        }
        for violation in self.engine.violations() {
            if !broken.contains(&violation.invariant) {
                broken.push(violation.invariant);
            }
        }
        broken
    }

    /// Runs one context alone to its end; nothing may be broken.
    #[track_caller]
    pub(crate) fn alone<T: 'static, Fut>(&self, body: impl FnOnce(Rc<Context>) -> Fut) -> T
    where
        Fut: Future<Output = T> + 'static,
    {
        let result: Rc<RefCell<Option<T>>> = Rc::default();
        let slot = Rc::clone(&result);
        self.spawn(0, |cx| {
            let work = body(cx);
            async move {
                *slot.borrow_mut() = Some(work.await);
            }
        });
        let stop = match self.engine.config().schedule {
            Schedule::Explore => self.engine.explore(&mut Priorities::new(0)),
            Schedule::Timed | Schedule::Random => self.engine.run(),
        };
        assert_eq!((stop, self.engine.violations()), (Stop::Finished, Vec::new()));
        result.take().expect("the context has ended")
    }
}

/// Schedules by priority: the enabled actor with the highest goes on, until one of a few random moments at which whoever goes
/// on falls behind everyone (Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010).
///
/// Every other seed is a walk instead: whoever goes on does so until a throw of an eight-sided die ends it.
pub(crate) struct Priorities {
    state: u64,
    walk: bool,
    last: usize,
    priority: [u64; 64],
    changes: [u64; 3],
    step: u64,
}

/// Steps among which the moments are drawn: about what the scenarios of the tests take.
const STEPS: u64 = 120;

impl Priorities {
    pub(crate) fn new(seed: u64) -> Self {
        let mut new =
            Self { state: seed, walk: seed % 2 == 1, last: 0, priority: [0; 64], changes: [0; 3], step: 0 };
        for actor in 0..64 {
            new.priority[actor] = 1_000 + new.draw() % 1_000_000;
        }
        for change in 0..3 {
            new.changes[change] = new.draw() % STEPS;
        }
        new
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

impl Explorer for Priorities {
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        if self.walk {
            if enabled >> self.last & 1 == 0 || self.draw().is_multiple_of(8) {
                let nth = self.draw() as usize % (enabled.count_ones().max(1) as usize);
                self.last = (0..64).filter(|n| enabled >> n & 1 != 0).nth(nth)?;
            }
            return Some(self.last);
        }
        let chosen = (0..64).filter(|n| enabled >> n & 1 != 0).max_by_key(|&n| self.priority[n])?;
        self.step += 1;
        if let Some(change) = self.changes.iter().position(|&at| at == self.step) {
            self.priority[chosen] = change as u64;
        }
        Some(chosen)
    }

    fn executed(&mut self, _: &Engine, _: &Executed<'_>) {}
}
