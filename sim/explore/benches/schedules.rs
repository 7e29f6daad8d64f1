//! How many random schedules a second: the kernel's own `find_get_page` in two contexts against its own `__remove_mapping` of
//! the same page, in a tree with a node and in one that is the root alone.

use std::rc::Rc;

use pagewalk_engine::{CpuId, Engine, EngineConfig, Schedule, Stop, Violation};
use pagewalk_explore::{Limits, Model, exhaust, random_walk};
use pagewalk_mmu::{
    Format, Hardware, HardwareCosts, HardwareSpec, PG_LOCKED, PageSize, PageSizes, Pfn, Replacement,
    TlbGeometry, TlbSpec, WalkCacheSpec,
};
use pagewalk_pagecache::{__remove_mapping, AddressSpace, PageCache, find_get_page};

/// The page that is looked up and removed.
const PAGE: Pfn = Pfn(1);

/// Two lookups against a removal. A run is undone, not rebuilt.
struct Race {
    engine: Rc<Engine>,
    hw: Rc<Hardware>,
    cache: Rc<PageCache>,
    mapping: Rc<AddressSpace>,
    index: u64,
}

impl Race {
    fn new(index: u64) -> Self {
        let array = TlbGeometry {
            entries: 4,
            ways: 4,
            sizes: PageSizes::of(&[PageSize::BASE]),
            replacement: Replacement::Lru,
        };
        let spec = HardwareSpec {
            cpus: 3,
            frames: 64,
            format: Format::x86_64(4).expect("four levels"),
            tlb: TlbSpec {
                l1i: vec![array],
                l1d: vec![array],
                l2: vec![],
                l1_hit_cycles: 0,
                l2_hit_cycles: 0,
            },
            walk_caches: WalkCacheSpec { levels: vec![None; 3] },
            costs: HardwareCosts {
                access: 1,
                walk_step: 1,
                clear_page: 1,
                copy_page: 1,
                invlpg: 1,
                flush_all: 1,
            },
            pcp_batch: 1,
            pcp_high: 64,
            track_contents: false,
        };
        let hw = Hardware::new(&spec).expect("a possible machine");
        let cache = PageCache::new(&hw, 64);
        let mapping = cache.address_space(1);
        let config =
            EngineConfig { cpus: 3, schedule: Schedule::Explore, jitter: 0, ..EngineConfig::default() };
        Self { engine: Engine::new(config), hw, cache, mapping, index }
    }
}

impl Model for Race {
    fn cpus(&self) -> usize {
        3
    }

    fn start(&mut self, seed: u64) -> Rc<Engine> {
        self.engine.restart(seed);
        self.cache.restart();
        self.mapping.restart();
        let words = self.hw.memory.words(PAGE);
        words.count().set_up(1); // the remover's; the cache adds its own
        words.flags().set_up(1 << PG_LOCKED);
        self.mapping.set_up_page(self.index, PAGE);
        let index = self.index;
        for cpu in 0..2 {
            let (mapping, hw) = (Rc::clone(&self.mapping), Rc::clone(&self.hw));
            self.engine.spawn(CpuId(cpu), async move |cx| {
                if let Some(page) = find_get_page(&cx, &mapping, index).await {
                    hw.put_page_testzero(&cx, page.into_pfn()).await;
                }
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

fn main() {
    for (name, index) in [("height 0", 0), ("height 1", 1)] {
        let mut race = Race::new(index);
        for _ in 0..3 {
            let limits = Limits { runs: 300_000, steps: 1_000 };
            #[expect(
                clippy::disallowed_methods,
                reason = "a benchmark reads the clock; nothing depends on it"
            )]
            let begin = std::time::Instant::now();
            let done = random_walk(&mut race, 1, limits, &mut |_, verdict| verdict.is_clean());
            let seconds = begin.elapsed().as_secs_f64();
            let rate = done.runs as f64 / seconds;
            let step = seconds * 1e9 / done.steps as f64;
            let steps = done.steps as f64 / done.runs as f64;
            println!("{name}: {rate:10.0} random schedules/s, {steps:.1} steps each, {step:.1} ns/step");
        }
        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock; nothing depends on it")]
        let begin = std::time::Instant::now();
        let all = exhaust(&mut race, Limits::default(), &mut |_| true);
        println!("{name}: all {} classes in {:.1} ms", all.classes, begin.elapsed().as_secs_f64() * 1e3);
    }
}
