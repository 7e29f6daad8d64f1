//! The memory hardware of one machine: frames, tables, and per CPU the TLBs and walk caches.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::Location;
use std::rc::{Rc, Weak};

use pagewalk_engine::{
    Class, Context, CpuId, Effect, Engine, Guarded, Keep, ObjectId, Op, OpKind, Order, SpinLock, Step, keep,
};

use crate::lru::LruVec;
use crate::named::Named;
use crate::swap_lru::PageVecs;
use crate::zone::Zone;
use crate::{
    Asid, Buddy, Format, PageSize, PageSizes, PerCpuPages, Pfn, PhysicalMemory, Replacement, SpecError,
    Switches, Tables, TlbGeometry, TlbHierarchy, TlbSpec, Vaddr, WalkCache, WalkCacheSpec,
};

/// The lock of the zone's free lists (`zone->lock`).
pub static ZONE_LOCK: Class = Class::new(24, "zone->lock");

/// The lock of the LRU lists (`zone->lru_lock`).
pub static LRU_LOCK: Class = Class::new(29, "zone->lru_lock");

/// The translations that a CPU may use: TLBs, walk caches, CR3, and what its kernel knows of them. Only that CPU changes them,
/// its interrupts among it; the observer of I19 looks at those of all.
static TRANSLATIONS: Class = Class::new(27, "TLB");

/// What the hardware's own work costs, in cycles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareCosts {
    /// One access of the program, its cache hit included (at least 1).
    pub access: u32,
    /// One page-table entry read by the walker, beyond a shared access.
    pub walk_step: u32,
    /// Zeroing a base page.
    pub clear_page: u32,
    /// Copying a base page.
    pub copy_page: u32,
    /// One INVLPG.
    pub invlpg: u32,
    /// Flushing all entries of an address space (a load of CR3).
    pub flush_all: u32,
}

impl Default for HardwareCosts {
    fn default() -> Self {
        Self { access: 4, walk_step: 8, clear_page: 300, copy_page: 500, invlpg: 300, flush_all: 500 }
    }
}

/// What the memory hardware is built from.
#[derive(Clone, Debug)]
pub struct HardwareSpec {
    /// Simulated CPUs.
    pub cpus: u16,
    /// Frames of base pages, 64 to 2^28.
    pub frames: u32,
    /// The page-table format.
    pub format: Format,
    /// The TLBs of each CPU.
    pub tlb: TlbSpec,
    /// The page-walk caches of each CPU.
    pub walk_caches: WalkCacheSpec,
    /// The cost table.
    pub costs: HardwareCosts,
    /// Frames a CPU takes from the free lists at a time.
    pub pcp_batch: u32,
    /// Frames a CPU keeps before it gives a batch back; never more than its share of an eighth of memory.
    pub pcp_high: u32,
    /// Keep contents of pages (the memory oracle needs them).
    pub track_contents: bool,
}

impl HardwareSpec {
    /// The least hardware there can be, for small programs of which only the order of steps matters: four-level tables, one TLB of four
    /// entries a side, no walk caches, a cycle for everything, contents kept.
    #[must_use]
    pub fn minimal(cpus: u16, frames: u32) -> Self {
        let sizes = PageSizes::of(&[PageSize::BASE]);
        let array = TlbGeometry { entries: 4, ways: 4, sizes, replacement: Replacement::Lru };
        Self {
            cpus,
            frames,
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
            track_contents: true,
        }
    }
}

/// Counters of the walker of one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkCounters {
    /// Walks begun, restarts included.
    pub walks: u64,
    /// Page-table entries read.
    pub steps: u64,
    /// Walks that ended in a page fault.
    pub faulting: u64,
    /// Accessed bits set by compare-exchange.
    pub accessed_set: u64,
    /// Dirty bits set by compare-exchange.
    pub dirty_set: u64,
    /// Compare-exchanges that found the entry changed: the walk began again.
    pub retries: u64,
}

/// What is loaded as root of translation: CR3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The frame of the top-level table.
    pub table: Pfn,
    /// The tag of its translations.
    pub asid: Asid,
}

/// The memory hardware of one CPU. Only its own CPU touches it, hence no shared words.
pub struct Core {
    pub(crate) tlb: RefCell<TlbHierarchy>,
    pub(crate) walk_caches: RefCell<WalkCache>,
    pub(crate) root: Cell<Option<Root>>,
    pub(crate) walks: Cell<WalkCounters>,
    pub(crate) pcp: RefCell<PerCpuPages>,
    pub(crate) pagevecs: RefCell<PageVecs>,
}

impl Keep for Core {
    fn keep(&self) -> Self {
        Self {
            tlb: self.tlb.keep(),
            walk_caches: self.walk_caches.keep(),
            root: self.root.keep(),
            walks: self.walks.keep(),
            pcp: self.pcp.keep(),
            pagevecs: self.pagevecs.keep(),
        }
    }

    fn set_back(&self, kept: &Self) {
        self.tlb.borrow_mut().set_back(&kept.tlb.borrow());
        self.walk_caches.borrow_mut().set_back(&kept.walk_caches.borrow());
        self.root.set_back(&kept.root);
        self.walks.set_back(&kept.walks);
        self.pcp.set_back(&kept.pcp);
        self.pagevecs.set_back(&kept.pagevecs);
    }
}

impl Core {
    /// The TLBs.
    pub fn tlb(&self) -> &RefCell<TlbHierarchy> {
        &self.tlb
    }

    /// The page-walk caches.
    pub fn walk_caches(&self) -> &RefCell<WalkCache> {
        &self.walk_caches
    }

    /// The walker's counters.
    pub fn walks(&self) -> WalkCounters {
        self.walks.get()
    }

    /// What CR3 holds; `None`: the kernel's own tables, nothing a program could use.
    #[inline]
    pub fn root(&self) -> Option<Root> {
        self.root.get()
    }

    /// Loads CR3. With `flush`, all entries of the new tag go (bit 63 of CR3 clear, or no PCID).
    pub fn load_root(&self, root: Option<Root>, flush: bool) {
        self.root.set(root);
        if let Some(Root { asid, .. }) = root
            && flush
        {
            self.flush_asid(asid);
        }
    }

    /// INVLPG and its PCID form: the page around `vaddr` under `asid`, of any size; global entries too. Walk
    /// caches lose everything under the tag.
    pub fn invalidate_page(&self, vaddr: Vaddr, asid: Asid) {
        self.tlb.borrow_mut().invalidate_page(vaddr, asid);
        self.walk_caches.borrow_mut().flush_asid(asid);
    }

    /// Everything under `asid` but global entries.
    pub fn flush_asid(&self, asid: Asid) {
        self.tlb.borrow_mut().flush_asid(asid);
        self.walk_caches.borrow_mut().flush_asid(asid);
    }

    /// Everything, global entries too.
    pub fn flush_all(&self) {
        self.tlb.borrow_mut().flush_all();
        self.walk_caches.borrow_mut().flush_all();
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut WalkCounters)) {
        let mut counters = self.walks.get();
        change(&mut counters);
        self.walks.set(counters);
    }
}

/// The memory hardware of the machine.
pub struct Hardware {
    /// The frames and their `struct page`.
    pub memory: PhysicalMemory,
    /// The page tables in them.
    pub tables: Tables,
    pub(crate) zone_lock: SpinLock,
    pub(crate) buddy: Guarded<Buddy>,
    pub(crate) lru_lock: SpinLock,
    /// The LRU lists of each memory group, by number.
    pub(crate) lru: Guarded<Vec<LruVec>>,
    /// Pages that interrupts want at the back of their lists.
    pub(crate) rotated: RefCell<Vec<Pfn>>,
    /// Pages that interrupts have a reference to, for observers.
    pub(crate) held_by_interrupts: RefCell<Vec<Pfn>>,
    pub(crate) zone: Zone,
    pub(crate) named: Named,
    /// Pages that have been freed and not handed out again, for the observer of I4.
    pub(crate) freed_pages: RefCell<BTreeSet<Pfn>>,
    cores: Box<[Core]>,
    format: Format,
    costs: HardwareCosts,
    pub(crate) allocated: Cell<u64>,
    pub(crate) freed: Cell<u64>,
    pub(crate) switches: Cell<Switches>,
    /// The mutants whose line was reached, a bit each.
    pub(crate) reached: Cell<u32>,
    this: Weak<Hardware>,
}

// Which mutants were reached adds up over all runs.
keep!(Hardware: memory, tables, zone_lock, buddy, lru_lock, lru, rotated, held_by_interrupts, zone, named, freed_pages, cores,
    allocated, freed, switches; fixed format, costs, reached, this);

impl Hardware {
    /// The step being executed changes which translations `cpu` may use. Explored schedules learn of it.
    #[inline]
    pub fn touch_translations(&self, engine: &Engine, cpu: CpuId) {
        engine.touch(
            ObjectId::new(&TRANSLATIONS, u64::from(cpu.0)),
            OpKind::Store,
            self.translations(engine, cpu),
        );
    }

    /// What the translations of `cpu` are, for whoever is told.
    fn translations(&self, engine: &Engine, cpu: CpuId) -> Effect {
        if !engine.keeps_histories() {
            return Effect::NONE;
        }
        let value = self.core(cpu).translations();
        Effect { old: value, new: value }
    }

    /// The step being executed finds out what translations `cpu` may use: a hit, a miss, the address space that is loaded.
    #[inline]
    pub fn look_at_translations(&self, engine: &Engine, cpu: CpuId) {
        engine.touch(
            ObjectId::new(&TRANSLATIONS, u64::from(cpu.0)),
            OpKind::Load,
            self.translations(engine, cpu),
        );
    }

    /// `load_cr3`: this CPU uses the tables at `root` from now on. One step; see [`Core::load_root`].
    #[track_caller]
    pub fn load_cr3<'a>(&'a self, cx: &'a Context, root: Root, flush: bool) -> impl Future<Output = ()> + 'a {
        let cpu = cx.cpu().id();
        let object = ObjectId::new(&TRANSLATIONS, u64::from(cpu.0));
        let op = Op { object, kind: OpKind::Store, order: Order::Full, location: Location::caller() };
        Step::new(cx, op, move || {
            self.core(cpu).load_root(Some(root), flush);
            ((), Effect::NONE)
        })
    }

    /// The step being executed is followed by a look at the translations of every CPU.
    pub(crate) fn observe_translations(&self, engine: &Engine) {
        for cpu in 0..self.cores.len() as u64 {
            engine.touch(ObjectId::new(&TRANSLATIONS, cpu), OpKind::Load, Effect::NONE);
        }
    }

    /// The hardware, all memory free, its kernel [`Switches::FIXED`].
    ///
    /// # Errors
    /// If the description of TLBs or walk caches is impossible.
    pub fn new(spec: &HardwareSpec) -> Result<Rc<Self>, SpecError> {
        let memory = PhysicalMemory::new(spec.frames, spec.track_contents)?;
        let spans: Vec<PageSize> = (1..=spec.format.levels)
            .filter_map(|level| PageSize::from_shift(spec.format.shift(level)))
            .collect();
        // However many CPUs a small machine has, their lists hold an eighth of it at most.
        let share = (spec.frames / (8 * u32::from(spec.cpus.max(1)))).max(1);
        let (batch, high) = (spec.pcp_batch.min(share), spec.pcp_high.min(share));
        let core = || {
            Ok(Core {
                tlb: RefCell::new(TlbHierarchy::new(&spec.tlb)?),
                walk_caches: RefCell::new(WalkCache::new(&spec.walk_caches, &spans)?),
                root: Cell::new(None),
                walks: Cell::default(),
                pcp: RefCell::new(PerCpuPages::new(batch, high)?),
                pagevecs: RefCell::default(),
            })
        };
        let zone_lock = SpinLock::new(&ZONE_LOCK, 0);
        let lru_lock = SpinLock::new(&LRU_LOCK, 0);
        let cores = (0..spec.cpus).map(|_| core()).collect::<Result<_, _>>()?;
        Ok(Rc::new_cyclic(|this| Self {
            tables: Tables::new(spec.format, spec.frames),
            buddy: Guarded::new(zone_lock.id(), Buddy::new(&memory)),
            lru: Guarded::new(lru_lock.id(), vec![LruVec::default()]),
            lru_lock,
            rotated: RefCell::default(),
            held_by_interrupts: RefCell::default(),
            zone: Zone::default(),
            named: Named::default(),
            freed_pages: RefCell::default(),
            memory,
            zone_lock,
            cores,
            format: spec.format,
            costs: spec.costs.clone(),
            allocated: Cell::new(0),
            freed: Cell::new(0),
            switches: Cell::default(),
            reached: Cell::new(0),
            this: Weak::clone(this),
        }))
    }

    /// The hardware as interrupt handlers hold it.
    pub(crate) fn shared(&self) -> Rc<Self> {
        self.this.upgrade().expect("hardware is always shared")
    }

    /// The page-table format.
    #[inline]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The cost table.
    #[inline]
    pub fn costs(&self) -> &HardwareCosts {
        &self.costs
    }

    /// The hardware of one CPU.
    #[inline]
    pub fn core(&self, cpu: CpuId) -> &Core {
        &self.cores[usize::from(cpu.0)]
    }

    /// All CPUs' hardware, by number.
    pub fn cores(&self) -> &[Core] {
        &self.cores
    }

    /// Pages allocated and freed so far (`pgalloc`, `pgfree`).
    pub fn page_counts(&self) -> (u64, u64) {
        (self.allocated.get(), self.freed.get())
    }

    /// Free frames, those on per-CPU lists included; for observers.
    pub fn free_frames(&self) -> u32 {
        let cached: u32 = self.cores.iter().map(|core| core.pcp.borrow().len()).sum();
        self.buddy.observe().free_frames() + cached
    }
}
