//! How many random schedules a second: the kernel's own `find_get_page` in two contexts against its own `__remove_mapping` of
//! the same page, in a tree with a node and in one that is the root alone. And how many runs a second of the exhaustive search, over
//! whole scenarios with every check and the oracle on.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use pagewalk_engine::{Costs, CpuId, Engine, EngineConfig, Keep, Schedule, Stop, Violation};
use pagewalk_explore::{Limits, Model, Scenario, World, exhaust, exhaust_states, random_walk};
use pagewalk_mmu::{Hardware, HardwareSpec, Pfn};
use pagewalk_pagecache::{__remove_mapping, AddressSpace, PageCache, find_get_page};
use pagewalk_pages::{PG_LOCKED, PageRef, Switches, Zone, ZoneSpec};

/// The page that is looked up and removed.
const PAGE: Pfn = Pfn(1);

/// Two lookups against a removal. A run is undone, not rebuilt.
struct Race {
    engine: Rc<Engine>,
    zone: Rc<Zone>,
    cache: Rc<PageCache>,
    mapping: Rc<AddressSpace>,
    /// The cache and the mapping without pages.
    kept: (Rc<PageCache>, Rc<AddressSpace>),
    index: u64,
}

impl Race {
    fn new(index: u64, schedule: Schedule) -> Self {
        let hw = Hardware::new(&HardwareSpec::minimal(3, 64)).expect("a possible machine");
        let spec = ZoneSpec { pcp_batch: 1, pcp_high: 64, track_contents: false };
        let zone = Zone::new(&hw, &spec).expect("a possible zone");
        let cache = PageCache::new(&zone, 64);
        let mapping = cache.address_space(1);
        // No time is looked at.
        let costs = Costs { line_transfer: 0, ..Costs::default() };
        let config = EngineConfig { cpus: 3, schedule, costs, jitter: 0, ..EngineConfig::default() };
        let kept = (cache.keep(), mapping.keep());
        Self { engine: Engine::new(config), zone, cache, mapping, kept, index }
    }
}

impl Model for Race {
    fn cpus(&self) -> usize {
        3
    }

    fn start(&mut self, seed: u64) -> Rc<Engine> {
        self.engine.restart(seed);
        self.cache.set_back(&self.kept.0);
        self.mapping.set_back(&self.kept.1);
        let words = self.zone.memory.words(PAGE);
        words.count().set_up(1); // the remover's; the cache adds its own
        words.flags().set_up(1 << PG_LOCKED);
        self.mapping.set_up_page(self.index, PAGE);
        let index = self.index;
        for cpu in 0..2 {
            let mapping = Rc::clone(&self.mapping);
            self.engine.spawn(CpuId(cpu), async move |cx| {
                // Whoever finds the page keeps it: that is the count that a remover must not miss.
                let _ = find_get_page(&cx, &mapping, index).await.map(PageRef::into_pfn);
            });
        }
        let mapping = Rc::clone(&self.mapping);
        self.engine.spawn(CpuId(2), async move |cx| {
            __remove_mapping(&cx, &mapping, PAGE).await;
        });
        Rc::clone(&self.engine)
    }

    fn judge(&mut self, stop: &Stop) -> Vec<Violation> {
        assert_eq!(*stop, Stop::Finished);
        Vec::new()
    }
}

/// Schedules in a round.
const RUNS: u64 = 300_000;

/// One round of `run`, which says how many schedules and steps it ran.
fn rate(name: &str, mut run: impl FnMut() -> (u64, u64)) {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; nothing depends on it")]
    let begin = std::time::Instant::now();
    let (runs, steps) = run();
    let seconds = begin.elapsed().as_secs_f64();
    let (rate, step) = (runs as f64 / seconds, seconds * 1e9 / steps as f64);
    let steps = steps as f64 / runs as f64;
    println!("{name}: {rate:10.0} random schedules/s, {steps:.1} steps each, {step:.1} ns/step");
}

/// Shipped scenarios that are searched, each with the rounds in a measurement: none takes less than a second.
const SCENARIOS: [(&str, u32); 2] = [("lookup-and-reuse", 400), ("fault-and-truncate", 2)];

fn shipped(name: &str) -> Scenario {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/scenarios");
    let text = fs::read_to_string(directory.join(format!("{name}.ron"))).expect("a shipped scenario");
    ron::from_str(&text).expect("a shipped scenario is well formed")
}

/// A search by state of the same kernel.
fn search_states() {
    for _ in 0..3 {
        let mut world = World::new(shipped("fault-and-truncate"), Switches::FIXED);
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; nothing depends on it")]
        let begin = std::time::Instant::now();
        let all = exhaust_states(&mut world, 2_000);
        let seconds = begin.elapsed().as_secs_f64();
        let (states, steps) = (all.states as f64 / seconds, all.transitions as f64 / seconds);
        let bytes = all.bytes as f64 / all.states as f64;
        println!(
            "fault-and-truncate: {states:10.0} states/s, {steps:.0} steps between them/s, {bytes:.0} bytes each"
        );
    }
}

/// Exhaustive searches of shipped scenarios on the kernel `fixed`.
fn search_scenarios() {
    for (name, rounds) in SCENARIOS {
        let mut world = World::new(shipped(name), Switches::FIXED);
        for _ in 0..3 {
            #[expect(
                clippy::disallowed_methods,
                reason = "a benchmark reads the clock; nothing depends on it"
            )]
            let begin = std::time::Instant::now();
            let (mut runs, mut steps, mut classes) = (0, 0, 0);
            for _ in 0..rounds {
                let all = exhaust(&mut world, Limits::default(), &mut |run| run.verdict.is_clean());
                assert!(all.complete && all.failing == 0);
                (runs, steps, classes) = (runs + all.runs, steps + all.steps, all.classes);
            }
            let seconds = begin.elapsed().as_secs_f64();
            let (rate, each, step) =
                (runs as f64 / seconds, steps as f64 / runs as f64, seconds * 1e9 / steps as f64);
            println!(
                "{name}: {rate:10.0} exhaustive runs/s, {each:.1} steps each, {step:.1} ns/step, {classes} classes"
            );
        }
    }
}

fn main() {
    if std::env::args().any(|word| word == "scenarios") {
        search_scenarios();
        return search_states();
    }
    for (name, index) in [("height 0", 0), ("height 1", 1)] {
        let mut race = Race::new(index, Schedule::Random);
        for _ in 0..3 {
            rate(&format!("{name}, random schedule"), || {
                let mut steps = 0;
                for seed in 0..RUNS {
                    let engine = race.start(seed);
                    let stop = engine.run();
                    assert!(race.judge(&stop).is_empty() && !engine.has_violation());
                    steps += engine.cpus().iter().map(|cpu| cpu.steps()).sum::<u64>();
                }
                (RUNS, steps)
            });
        }
        let mut race = Race::new(index, Schedule::Explore);
        for _ in 0..3 {
            let limits = Limits { runs: RUNS, steps: 1_000 };
            rate(&format!("{name}, random walk"), || {
                let done = random_walk(&mut race, 1, limits, &mut |_, verdict| verdict.is_clean());
                (done.runs, done.steps)
            });
        }
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; nothing depends on it")]
        let begin = std::time::Instant::now();
        let all = exhaust(&mut race, Limits::default(), &mut |_| true);
        println!("{name}: all {} classes in {:.1} ms", all.classes, begin.elapsed().as_secs_f64() * 1e3);
    }
    search_scenarios();
    search_states();
}
