//! The memory hardware of one machine: page tables, and per CPU the TLBs and walk caches.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;

use pagewalk_engine::{Class, Context, CpuId, Effect, Engine, Keep, ObjectId, Op, OpKind, Order, Step, keep};

use crate::named::Named;
use crate::{
    Asid, Format, PageSize, PageSizes, Pfn, Replacement, SpecError, Tables, TlbGeometry, TlbHierarchy,
    TlbSpec, Vaddr, WalkCache, WalkCacheSpec,
};

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
}

impl HardwareSpec {
    /// The least hardware there can be, for small programs of which only the order of steps matters: four-level tables, one TLB of four
    /// entries a side, no walk caches, a cycle for everything.
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
}

impl Keep for Core {
    fn keep(&self) -> Self {
        Self {
            tlb: self.tlb.keep(),
            walk_caches: self.walk_caches.keep(),
            root: self.root.keep(),
            walks: self.walks.keep(),
        }
    }

    fn set_back(&self, kept: &Self) {
        self.tlb.borrow_mut().set_back(&kept.tlb.borrow());
        self.walk_caches.borrow_mut().set_back(&kept.walk_caches.borrow());
        self.root.set_back(&kept.root);
        self.walks.set_back(&kept.walks);
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
    /// The page tables.
    pub tables: Tables,
    pub(crate) named: Named,
    cores: Box<[Core]>,
    frames: u32,
    format: Format,
    costs: HardwareCosts,
}

keep!(Hardware: tables, named, cores; fixed frames, format, costs);

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
    pub fn observe_translations(&self, engine: &Engine) {
        for cpu in 0..self.cores.len() as u64 {
            engine.touch(ObjectId::new(&TRANSLATIONS, cpu), OpKind::Load, Effect::NONE);
        }
    }

    /// The hardware, nothing in its tables, TLBs and walk caches.
    ///
    /// # Errors
    /// If the description of TLBs or walk caches is impossible.
    pub fn new(spec: &HardwareSpec) -> Result<Rc<Self>, SpecError> {
        let spans: Vec<PageSize> = (1..=spec.format.levels)
            .filter_map(|level| PageSize::from_shift(spec.format.shift(level)))
            .collect();
        let core = || {
            Ok(Core {
                tlb: RefCell::new(TlbHierarchy::new(&spec.tlb)?),
                walk_caches: RefCell::new(WalkCache::new(&spec.walk_caches, &spans)?),
                root: Cell::new(None),
                walks: Cell::default(),
            })
        };
        let cores = (0..spec.cpus).map(|_| core()).collect::<Result<_, _>>()?;
        Ok(Rc::new(Self {
            tables: Tables::new(spec.format, spec.frames),
            named: Named::default(),
            cores,
            frames: spec.frames,
            format: spec.format,
            costs: spec.costs.clone(),
        }))
    }

    /// Frames of base pages.
    pub fn frames(&self) -> u32 {
        self.frames
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
}
