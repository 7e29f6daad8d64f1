//! A scenario as something to explore: a machine that is booted once and set back before each run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use pagewalk_engine::{
    CpuId, Engine, EngineConfig, Executed, Explorer, OpKind, Schedule, Shared, Stop, Violation,
};
use pagewalk_kernel::{
    Call, File, KeptKernel, Kernel, KernelConfig, MapRequest, Mm, Prot, Task, VmaKind, run_program,
};
use pagewalk_mmu::{Access, AccessKind, BASE_PAGE_BYTES, HardwareSpec, Pfn, Vaddr};
use pagewalk_pagecache::{add_to_page_cache, remove_from_page_cache, set_page_dirty_nobuffers, unlock_page};
use pagewalk_pages::{Mutant, PG_UPTODATE, PageRef, Switches, ZoneSpec};

use super::ops::{BASE, Subject};
use super::{Operation, Pool, Scenario};
use crate::model::Model;

/// A scenario on a kernel.
pub struct World {
    scenario: Rc<Scenario>,
    switches: Switches,
    machine: Option<Machine>,
    /// Each run gets a machine of its own.
    anew: bool,
    /// The mutants that runs on other machines have reached, a bit each.
    reached: u32,
    /// Asked after every run whether there is to be another.
    goes_on: Option<Rc<dyn Fn() -> bool>>,
}

/// The machine that the runs share.
struct Machine {
    kernel: Rc<Kernel>,
    prepared: Rc<Prepared>,
    /// What it was when its beginning was made.
    beginning: KeptKernel,
}

/// What the beginning of a run has made. The tasks of a run do not exit, and the observers look at their address spaces afterwards.
#[derive(Default)]
struct Prepared {
    files: Vec<(String, Rc<File>)>,
    /// The pages that reclaims have isolated, by CPU and operation.
    isolated: BTreeMap<(usize, usize), Pfn>,
    /// One address space for each CPU whose program is a thread of the process.
    threads: BTreeMap<usize, Rc<Mm>>,
}

/// Free pages that each CPU has on its own list when the programs begin.
const STOCK: u32 = 4;

/// A part of the beginning that every CPU goes through.
type LocalStage<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs the beginning: the lowest number goes first.
struct InOrder;

impl Explorer for InOrder {
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        Some(enabled.trailing_zeros() as usize)
    }
    fn executed(&mut self, _: &Engine, _: &Executed<'_>) {}
}

impl World {
    /// `scenario`, which has been checked, on a kernel with `switches`.
    pub fn new(scenario: Scenario, switches: Switches) -> Self {
        let scenario = Rc::new(scenario);
        Self { scenario, switches, machine: None, anew: false, reached: 0, goes_on: None }
    }

    /// The same world, whose machine is built anew for each run instead of being set back: what comes of a run does not depend on it.
    #[must_use]
    pub fn built_anew(self) -> Self {
        Self { anew: true, ..self }
    }

    /// The same world, whose searches ask `goes_on` after every run whether there is to be another.
    #[must_use]
    pub fn asking(self, goes_on: Rc<dyn Fn() -> bool>) -> Self {
        Self { goes_on: Some(goes_on), ..self }
    }

    /// The mutants of its kernel whose line no run has reached: of them the runs say nothing.
    pub fn mutants_not_reached(&self) -> Vec<Mutant> {
        let now = self.machine.as_ref().map_or(0, |machine| machine.kernel.zone.reached_mutants());
        self.switches.mutants_beyond(self.reached | now).collect()
    }

    /// The machine at its beginning.
    fn machine_at_its_beginning(&mut self) -> &Machine {
        if let Some(machine) = self.machine.take_if(|_| self.anew) {
            self.reached |= machine.kernel.zone.reached_mutants();
        }
        match &self.machine {
            Some(machine) => machine.kernel.set_back(&machine.beginning),
            None => {
                let kernel = self.boot();
                let prepared = Rc::new(self.prepare(&kernel));
                kernel.zone.forget_reached();
                let files = prepared.files.iter().map(|(_, file)| Rc::clone(file));
                let beginning = kernel.kept(files);
                self.machine = Some(Machine { kernel, prepared, beginning });
            }
        }
        self.machine.as_ref().expect("built or set back just now")
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The CPU that makes the world. The programs' CPUs differ by nothing but what the scenario says.
    fn maker(&self) -> CpuId {
        CpuId(self.scenario.cpus.len() as u16)
    }

    fn boot(&self) -> Rc<Kernel> {
        let cpus = self.maker().0 + 1;
        let engine = EngineConfig {
            cpus,
            schedule: Schedule::Explore,
            jitter: 0,
            checks: true,
            ..EngineConfig::default()
        };
        let (pcp_batch, pcp_high) = match self.scenario.pool {
            Pool::PerCpu => (STOCK, 2 * STOCK),
            Pool::Shared => (1, 1),
        };
        // The CPUs' own lists have an eighth of all frames at most: what they keep is beside the scenario's.
        let frames = self.scenario.frames + 16 * STOCK * u32::from(cpus);
        let hardware = HardwareSpec::minimal(cpus, frames);
        let config = KernelConfig {
            zone: ZoneSpec { pcp_batch, pcp_high, ..ZoneSpec::default() },
            switches: self.switches,
            readahead_pages: 0,
            writeback_interval: 0,
            // Reclaim and writeback are operations: they do not come of themselves when few frames are free or many dirty.
            pages_min: Some(0),
            dirty_ratio: 0,
            // One process, which no CPU leaves and comes back to.
            pcid: false,
            ..KernelConfig::default()
        };
        Kernel::new(engine, &hardware, config).expect("a possible machine")
    }

    /// Brings the machine to the scenario's beginning: files, cached pages, mappings, and on each CPU free pages of its own.
    fn prepare(&self, kernel: &Rc<Kernel>) -> Prepared {
        let prepared: Rc<RefCell<Prepared>> = Rc::default();
        let each_cpu = |stage: fn(&Task) -> LocalStage<'_>| {
            for cpu in 0..self.maker().0 {
                let shared = Rc::clone(kernel);
                kernel.engine.spawn(CpuId(cpu), async move |cx| {
                    stage(&Task::kernel_thread(cx, shared)).await;
                });
                run_in_order(kernel);
            }
        };
        for spec in &self.scenario.files {
            let inode = kernel.open_inode(&spec.name, spec.pages * BASE_PAGE_BYTES);
            prepared.borrow_mut().files.push((spec.name.clone(), File::open(&inode)));
        }
        each_cpu(|task| Box::pin(preload(task)));
        let (scenario, shared, made) = (Rc::clone(&self.scenario), Rc::clone(kernel), Rc::clone(&prepared));
        kernel.engine.spawn(self.maker(), async move |cx| {
            let task = Task::kernel_thread(cx, shared);
            fill_cache(&task, &scenario, &made).await;
        });
        run_in_order(kernel);
        if !self.scenario.maps.is_empty() {
            self.start_process(kernel, &prepared);
        }
        // Else a page that was just made is kept by the pagevec of whoever made it.
        let shared = Rc::clone(kernel);
        kernel.engine.spawn(self.maker(), async move |cx| {
            shared.zone.lru_add_drain_all(&cx).await;
            shared.zone.drain_local_pages(&cx).await;
        });
        run_in_order(kernel);
        if self.scenario.pool == Pool::PerCpu {
            each_cpu(|task| Box::pin(stock(task)));
        }
        kernel.engine.cpu(self.maker()).take_offline();
        prepared.take()
    }

    /// The process, a thread of it on every CPU whose program accesses memory, and what their TLBs hold.
    fn start_process(&self, kernel: &Rc<Kernel>, prepared: &Rc<RefCell<Prepared>>) {
        let (scenario, shared, made) = (Rc::clone(&self.scenario), Rc::clone(kernel), Rc::clone(prepared));
        kernel.engine.spawn(self.maker(), async move |cx| {
            let mm = Mm::alloc(&shared, &cx).await;
            let task = Task::new(cx, shared, mm, 1, 1);
            map_files(&task, &scenario, &made).await;
        });
        run_in_order(kernel);
        for &(cpu, page) in &self.scenario.warm {
            let (shared, mm) = (Rc::clone(kernel), prepared.borrow().threads[&usize::from(cpu)].clone());
            // A private mapping gets its own page.
            let kind = if self.scenario.is_shared(page) { AccessKind::Load } else { AccessKind::Store };
            kernel.engine.spawn(CpuId(cpu), async move |cx| {
                let task = Task::new(cx, shared, mm, 1, 2 + u32::from(cpu));
                let vaddr = Vaddr(BASE.0 + page * BASE_PAGE_BYTES);
                run_program(&task, &[Access::new(vaddr, 8, kind).expect("eight bytes")]).await;
            });
            run_in_order(kernel);
        }
    }
}

fn run_in_order(kernel: &Kernel) {
    let stop = kernel.engine.explore(&mut InOrder);
    assert_eq!(stop, Stop::Finished, "a scenario's beginning has one task at a time");
}

/// Gives the CPU nodes of trees of its own, so that an insertion touches nothing shared.
async fn preload(task: &Task) {
    let zone = &task.kernel().zone;
    let scratch = task.kernel().cache.address_space(1 << 20 | u32::from(task.cpu().id().0));
    let Some(page) = zone.alloc_page(task).await else { return };
    add_to_page_cache(task, &page, &scratch, 0).await.expect("an empty tree");
    remove_from_page_cache(task, &scratch, page.pfn()).await;
    zone.put_page(task, PageRef::counted(task, page.pfn())).await;
    unlock_page(task, zone, page.pfn()).await;
    zone.put_page(task, page).await;
}

/// Gives the CPU free pages of its own, as many as every other has: some can be taken and some given back without the zone's
/// lock.
async fn stock(task: &Task) {
    let zone = &task.kernel().zone;
    zone.drain_local_pages(task).await;
    let mut pages = Vec::new();
    for _ in 0..STOCK {
        pages.extend(zone.alloc_page(task).await);
    }
    for page in pages {
        zone.put_page(task, page).await;
    }
}

async fn fill_cache(task: &Task, scenario: &Scenario, made: &RefCell<Prepared>) {
    let zone = &task.kernel().zone;
    let files = made.borrow().files.clone();
    for (spec, (_, file)) in scenario.files.iter().zip(&files) {
        let inode = file.inode();
        for &index in &spec.cached {
            let page = zone.alloc_page(task).await.expect("64 frames hold every cached page");
            add_to_page_cache(task, &page, &inode.mapping, index).await.expect("a free place");
            zone.memory.fill_page(task, page.pfn(), inode.initial_stamp(index)).await;
            zone.memory.words(page.pfn()).flags().set_bit(task, PG_UPTODATE).await;
            if spec.dirty.contains(&index) {
                set_page_dirty_nobuffers(task, &inode.mapping, page.pfn()).await;
            }
            unlock_page(task, zone, page.pfn()).await;
            zone.put_page(task, page).await;
        }
    }
    for (cpu, program) in scenario.cpus.iter().enumerate() {
        for (n, operation) in program.iter().enumerate() {
            if let Operation::Reclaim { file, page } = operation {
                let (_, known) = files.iter().find(|(name, _)| name == file).expect("a checked scenario");
                let pfn = known.inode().mapping.observe(*page).expect("cached when it begins");
                let isolated = zone.memory.get_page(task, pfn).await.into_pfn();
                made.borrow_mut().isolated.insert((cpu, n), isolated);
            }
        }
    }
}

async fn map_files(task: &Task, scenario: &Scenario, made: &RefCell<Prepared>) {
    let files = made.borrow().files.clone();
    let mut first = 0;
    for map in &scenario.maps {
        let (_, file) = files.iter().find(|(name, _)| *name == map.file).expect("a checked scenario");
        let request = MapRequest {
            address: Some(Vaddr(BASE.0 + first * BASE_PAGE_BYTES)),
            len: map.pages * BASE_PAGE_BYTES,
            prot: Prot::RW,
            kind: VmaKind::File(Rc::clone(file)),
            shared: map.shared,
            pgoff: 0,
        };
        task.call(Call::Mmap(request)).await.expect("room for a few pages");
        first += map.pages;
    }
    for cpu in 0..scenario.cpus.len() {
        let thread = task.call(Call::Clone).await.expect("one more thread");
        made.borrow_mut().threads.insert(cpu, thread.address_space());
    }
}

impl World {
    /// What must hold when nobody is on the way: trees and pages agree (I7, I10), every count is the sum of its owners
    /// (I5), and no page has got lost.
    fn check_quiescent(&self, kernel: &Kernel) {
        for spec in &self.scenario.files {
            kernel.open_inode(&spec.name, 0).mapping.check(&kernel.engine);
        }
        kernel.check_machine();
    }
}

impl Model for World {
    fn cpus(&self) -> usize {
        usize::from(self.maker().0) + 1
    }

    fn goes_on(&self) -> bool {
        self.goes_on.as_ref().is_none_or(|goes_on| goes_on())
    }

    fn start(&mut self, _: u64) -> Rc<Engine> {
        let all = Rc::clone(&self.scenario);
        let Machine { kernel, prepared, .. } = self.machine_at_its_beginning();
        for cpu in 0..all.cpus.len() {
            let (scenario, prepared, shared) = (Rc::clone(&all), Rc::clone(prepared), Rc::clone(kernel));
            kernel.engine.spawn(CpuId(cpu as u16), async move |cx| {
                let task = match prepared.threads.get(&cpu) {
                    Some(mm) if scenario.cpus[cpu].iter().any(|operation| operation.accesses().is_some()) => {
                        Task::new(cx, shared, Rc::clone(mm), 1, 2 + cpu as u32)
                    }
                    _ => Task::kernel_thread(cx, shared),
                };
                for (n, operation) in scenario.cpus[cpu].iter().enumerate() {
                    let isolated = prepared.isolated.get(&(cpu, n)).copied();
                    Subject { task: &task, files: &prepared.files, isolated }.perform(operation).await;
                    task.begin_anew(n as u64 + 1);
                }
            });
        }
        Rc::clone(&kernel.engine)
    }

    fn shared(&self) -> Option<Rc<dyn Shared>> {
        let Machine { kernel, .. } = self.machine.as_ref()?;
        let shared: Rc<dyn Shared> = Rc::<Kernel>::clone(kernel);
        Some(shared)
    }

    fn judge(&mut self, stop: &Stop) -> Vec<Violation> {
        let Some(Machine { kernel, .. }) = &self.machine else { return Vec::new() };
        match stop {
            Stop::Finished if kernel.engine.violations().is_empty() => {
                self.check_quiescent(kernel);
                Vec::new()
            }
            Stop::Deadlock(who) => vec![stuck(&kernel.engine, who)],
            _ => Vec::new(),
        }
    }
}

/// Nobody can go on: a livelock where somebody goes round and round on words that nobody is left to change.
fn stuck(engine: &Engine, who: &str) -> Violation {
    let retries = engine.waiting().iter().any(|(.., op)| op.kind == OpKind::Retry);
    let what = if retries { "livelock: a loop goes round for ever" } else { "deadlock" };
    Violation { invariant: "I27", message: format!("{what}: {who}") }
}
