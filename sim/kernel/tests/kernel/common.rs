//! The machine that the tests boot, and processes and threads on it.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{
    Class, Context, CpuId, Engine, EngineConfig, Executed, Explorer, Purpose, Random, Schedule, Stop,
    WaitQueue,
};
use pagewalk_kernel::{
    AdviceCall, Call, Errno, Kernel, KernelConfig, MapRequest, Mm, Prot, Task, VmaKind, run_program,
};
use pagewalk_mmu::{
    Access, AccessKind, BASE_PAGE_BYTES, Format, HardwareCosts, HardwareSpec, PageSize, PageSizes,
    Replacement, TlbGeometry, TlbSpec, Vaddr, WalkCacheGeometry, WalkCacheSpec,
};
use pagewalk_pages::ZoneSpec;

/// Where most tests map: six pages before the end of what one table of PTEs maps.
pub(crate) const BASE: Vaddr = Vaddr((1 << 30) - 6 * BASE_PAGE_BYTES);

/// What a machine is built from.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) cpus: u16,
    pub(crate) frames: u32,
    pub(crate) schedule: Schedule,
    pub(crate) seed: u64,
    /// Whether whatever can be checked on the way is.
    pub(crate) checks: bool,
    pub(crate) levels: u8,
    pub(crate) tlb: TlbSpec,
    pub(crate) walk_caches: WalkCacheSpec,
    pub(crate) pcp: (u32, u32),
    pub(crate) config: KernelConfig,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            cpus: 1,
            frames: 1024,
            schedule: Schedule::Timed,
            seed: 1,
            checks: true,
            levels: 4,
            tlb: tlb(8, 4, Some((16, 4))),
            walk_caches: WalkCacheSpec { levels: vec![Some(WalkCacheGeometry { entries: 4, ways: 4 }); 3] },
            pcp: (4, 12),
            // Every frame may be used: what is kept back is for tests of its own.
            config: KernelConfig { pages_min: Some(0), pcid: false, ..KernelConfig::default() },
        }
    }
}

/// TLBs with first levels of `entries` in `ways`, and perhaps a second level.
pub(crate) fn tlb(entries: u32, ways: u32, second: Option<(u32, u32)>) -> TlbSpec {
    let array = |(entries, ways)| TlbGeometry {
        entries,
        ways,
        sizes: PageSizes::of(&[PageSize::BASE]),
        replacement: Replacement::Lru,
    };
    TlbSpec {
        l1i: vec![array((entries, ways))],
        l1d: vec![array((entries, ways))],
        l2: second.map(array).into_iter().collect(),
        l1_hit_cycles: 0,
        l2_hit_cycles: 7,
    }
}

impl Setup {
    /// The machine.
    pub(crate) fn boot(&self) -> Rc<Kernel> {
        let engine = EngineConfig {
            cpus: self.cpus,
            schedule: self.schedule,
            seed: self.seed,
            checks: self.checks,
            ..EngineConfig::default()
        };
        let hardware = HardwareSpec {
            cpus: self.cpus,
            frames: self.frames,
            format: Format::x86_64(self.levels).expect("4 or 5 levels"),
            tlb: self.tlb.clone(),
            walk_caches: self.walk_caches.clone(),
            costs: HardwareCosts {
                access: 4,
                walk_step: 10,
                clear_page: 200,
                copy_page: 300,
                invlpg: 100,
                flush_all: 300,
            },
        };
        let (pcp_batch, pcp_high) = self.pcp;
        let zone = ZoneSpec { pcp_batch, pcp_high, track_contents: true };
        let config = KernelConfig { zone, ..self.config.clone() };
        Kernel::new(engine, &hardware, config).expect("a possible machine")
    }

    /// Boots, lets `build` start processes, runs them to their end, and expects that nothing was found wrong and
    /// nothing is left over.
    pub(crate) fn run(&self, build: impl FnOnce(&Rc<Kernel>)) -> Rc<Kernel> {
        let kernel = self.run_until_memory_is_out(build);
        assert_eq!(kernel.oom(), None, "seed {}, {} CPUs", self.seed, self.cpus);
        kernel
    }

    /// The same, where memory may be out before the end.
    pub(crate) fn run_until_memory_is_out(&self, build: impl FnOnce(&Rc<Kernel>)) -> Rc<Kernel> {
        self.run_explored(build, |_| Box::new(Bursts::new(self.seed)))
    }

    /// The same, each step chosen by an explorer if that is the schedule.
    pub(crate) fn run_explored(
        &self,
        build: impl FnOnce(&Rc<Kernel>),
        explorer: impl FnOnce(&Rc<Kernel>) -> Box<dyn Explorer>,
    ) -> Rc<Kernel> {
        let kernel = self.boot();
        build(&kernel);
        let stop = match self.schedule {
            Schedule::Explore => kernel.engine.explore(&mut *explorer(&kernel)),
            Schedule::Timed | Schedule::Random => kernel.engine.run(),
        };
        let about = format!("{:?}, seed {}, {} CPUs", self.schedule, self.seed, self.cpus);
        assert_eq!(kernel.engine.violations(), [], "{about}");
        if kernel.oom().is_some() {
            assert_eq!(stop, Stop::Stopped("out of memory".to_owned()), "{about}");
            return kernel;
        }
        assert_eq!(stop, Stop::Finished, "{about}");
        kernel.check_machine();
        assert_eq!(kernel.engine.violations(), [], "{about}");
        assert_eq!(kernel.leftovers(), [], "{about}");
        kernel
    }
}

/// A random choice that is kept for a while: between two steps of one CPU another may come far.
pub(crate) struct Bursts {
    random: Random,
    actor: usize,
    left: u32,
}

impl Bursts {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed, Purpose::Schedule), actor: 0, left: 0 }
    }
}

impl Explorer for Bursts {
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        if self.left == 0 || enabled >> self.actor & 1 == 0 {
            let nth = self.random.below(enabled.count_ones());
            let without_lowest = |mask: u64, _| mask & (mask - 1);
            self.actor = (0..nth).fold(enabled, without_lowest).trailing_zeros() as usize;
            self.left = 1 << self.random.below(8);
        }
        self.left -= 1;
        Some(self.actor)
    }

    fn executed(&mut self, _: &Engine, _: &Executed<'_>) {}
}

/// The same scenario under the timed schedule and many random ones, with and without tagged TLBs, on machines with
/// each of these numbers of CPUs.
pub(crate) fn under_many_schedules(cpus: &[u16], seeds: u64, mut scenario: impl FnMut(&Setup)) {
    for &cpus in cpus {
        for seed in 0..seeds {
            let schedule = if seed % 8 == 0 { Schedule::Timed } else { Schedule::Random };
            let config = KernelConfig { pcid: seed % 2 == 1, ..KernelConfig::default() };
            scenario(&Setup { cpus, schedule, seed, config, ..Setup::default() });
        }
    }
}

/// Starts a process that has nothing mapped.
pub(crate) fn process(kernel: &Rc<Kernel>, cpu: u16, pid: u32, body: impl AsyncFnOnce(&Task) + 'static) {
    let shared = Rc::clone(kernel);
    kernel.engine.spawn(CpuId(cpu), async move |cx| {
        let mm = Mm::alloc(&shared, &cx).await;
        live(Task::new(cx, shared, mm, pid, pid), body).await;
    });
}

async fn live(task: Task, body: impl AsyncFnOnce(&Task)) {
    body(&task).await;
    call(&task, Call::Exit).await.expect("the call is right");
}

/// Starts a task in `mm`, of which it is a user already.
pub(crate) fn start(
    kernel: &Rc<Kernel>,
    cpu: u16,
    mm: Rc<Mm>,
    pid: u32,
    tid: u32,
    body: impl AsyncFnOnce(&Task) + 'static,
) {
    let shared = Rc::clone(kernel);
    kernel.engine.spawn(CpuId(cpu), async move |cx| {
        live(Task::new(cx, shared, mm, pid, tid), body).await;
    });
}

/// Makes a system call. Yields its number.
pub(crate) async fn call(task: &Task, call: Call) -> Result<u64, Errno> {
    task.call(call).await.map(|returned| returned.number())
}

/// Makes a `fork` or a `clone`. Yields the address space of the task to come.
pub(crate) async fn address_space(task: &Task, call: Call) -> Rc<Mm> {
    task.call(call).await.expect("the call is right").address_space()
}

/// `madvise(start, len, MADV_DONTNEED)`.
pub(crate) fn discard(start: Vaddr, len: u64) -> Call {
    Call::Madvise { start, len, advice: AdviceCall::DontNeed }
}

/// `mremap`. Yields where the mapping is now.
pub(crate) async fn remap(
    task: &Task,
    start: Vaddr,
    len: u64,
    new_len: u64,
    new_start: Option<Vaddr>,
) -> Result<Vaddr, Errno> {
    call(task, Call::Mremap { start, len, new_len, new_start }).await.map(Vaddr)
}

/// A CPU of the machine, counting around.
pub(crate) fn cpu(task: &Task, number: u16) -> u16 {
    number % task.engine().cpus().len() as u16
}

/// One more thread of the current process.
pub(crate) async fn thread(task: &Task, on: u16, tid: u32, body: impl AsyncFnOnce(&Task) + 'static) {
    let mm = address_space(task, Call::Clone).await;
    start(task.kernel(), cpu(task, on), mm, task.pid(), tid, body);
}

/// A child of the current process.
pub(crate) async fn fork(task: &Task, on: u16, pid: u32, body: impl AsyncFnOnce(&Task) + 'static) {
    let mm = address_space(task, Call::Fork).await;
    start(task.kernel(), cpu(task, on), mm, pid, pid, body);
}

/// What must have happened so many times before others go on.
pub(crate) struct Gate {
    passed: Cell<u32>,
    queue: WaitQueue,
}

static GATE: Class = Class::new(250, "gate");

impl Gate {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { passed: Cell::new(0), queue: WaitQueue::new(&GATE, 0) })
    }

    /// It has happened once more.
    pub(crate) fn open(&self, cx: &Context) {
        self.passed.set(self.passed.get() + 1);
        self.queue.wake_up(cx);
    }

    /// Sleeps until it has happened `times`.
    pub(crate) async fn wait(&self, cx: &Context, times: u32) {
        self.queue.wait_event(cx, || self.passed.get() >= times).await;
    }
}

/// Page `number` from [`BASE`].
pub(crate) fn page(number: u64) -> Vaddr {
    Vaddr(BASE.0 + number * BASE_PAGE_BYTES)
}

/// So many bytes.
pub(crate) fn pages(count: u64) -> u64 {
    count * BASE_PAGE_BYTES
}

pub(crate) fn access(vaddr: Vaddr, kind: AccessKind) -> Access {
    Access::new(vaddr, 8, kind).expect("a small access")
}

/// Stores to the page; true if the program may.
pub(crate) async fn store(task: &Task, vaddr: Vaddr) -> bool {
    run_program(task, &[access(vaddr, AccessKind::Store)]).await.is_none()
}

/// Loads from the page; true if the program may.
pub(crate) async fn load(task: &Task, vaddr: Vaddr) -> bool {
    run_program(task, &[access(vaddr, AccessKind::Load)]).await.is_none()
}

/// Stores to `count` pages from page `first` of [`BASE`].
pub(crate) async fn store_all(task: &Task, first: u64, count: u64) -> bool {
    let accesses: Vec<Access> =
        (first..first + count).map(|number| access(page(number), AccessKind::Store)).collect();
    run_program(task, &accesses).await.is_none()
}

/// Loads from `count` pages from page `first` of [`BASE`].
pub(crate) async fn load_all(task: &Task, first: u64, count: u64) -> bool {
    let accesses: Vec<Access> =
        (first..first + count).map(|number| access(page(number), AccessKind::Load)).collect();
    run_program(task, &accesses).await.is_none()
}

/// Maps `count` pages from page `first` of [`BASE`] for reading and writing.
pub(crate) async fn map(task: &Task, first: u64, count: u64) {
    assert_eq!(call(task, Call::Mmap(fixed(page(first), count, Prot::RW))).await, Ok(page(first).0));
}

/// Maps `count` pages of new memory, which children share, from page `first` of [`BASE`].
pub(crate) async fn map_shared(task: &Task, first: u64, count: u64) {
    let request = MapRequest { shared: true, ..fixed(page(first), count, Prot::RW) };
    assert_eq!(call(task, Call::Mmap(request)).await, Ok(page(first).0));
}

pub(crate) fn fixed(address: Vaddr, count: u64, prot: Prot) -> MapRequest {
    MapRequest {
        address: Some(address),
        len: pages(count),
        prot,
        kind: VmaKind::Anonymous,
        shared: false,
        pgoff: 0,
    }
}

/// Read only.
pub(crate) const READ: Prot = Prot { read: true, write: false, exec: false };
/// Nothing (`PROT_NONE`).
pub(crate) const NONE: Prot = Prot { read: false, write: false, exec: false };
