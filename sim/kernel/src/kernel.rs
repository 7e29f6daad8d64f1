//! The kernel's own state, and the allocation of pages for it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use pagewalk_engine::{Engine, EngineConfig, keep};
use pagewalk_mmu::{Hardware, HardwareSpec, SpecError};
use pagewalk_pagecache::PageCache;
use pagewalk_pages::{Mutant, Switches, Watermarks, Zone};
use pagewalk_swap::Swap;

use crate::antagonist::Pace;
use crate::check::Oracle;
use crate::config::KernelConfig;
use crate::fs::{Disk, DiskStat, Inode, Inodes};
use crate::io_wait::Io;
use crate::mm::{AnonVmas, Mm, MmList};
use crate::observe::Observer;
use crate::stat::VmStat;
use crate::swap::{SwapStat, SwapoffState};
use crate::tlb::CpuTlbState;

/// A run that ended because no frame was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// What the page was for.
    pub purpose: &'static str,
    /// The context that asked.
    pub context: u32,
    /// Its CPU's clock.
    pub clock: u64,
    /// Frames of the machine.
    pub frames: u32,
    /// Anonymous pages mapped then.
    pub anon_pages: u64,
    /// Page tables in use then.
    pub page_table_pages: u64,
    /// Pages of files cached then.
    pub file_pages: u64,
    /// Free pages of the swap areas then.
    pub swap_pages_free: u64,
}

/// The machine's kernel.
pub struct Kernel {
    /// The engine its contexts run in.
    pub engine: Rc<Engine>,
    /// The hardware under it.
    pub hw: Rc<Hardware>,
    /// The pages that it manages.
    pub zone: Rc<Zone>,
    /// Its counters.
    pub stat: VmStat,
    config: KernelConfig,
    pub(crate) cpus: Box<[CpuTlbState]>,
    pub(crate) anon_vmas: AnonVmas,
    /// The page cache.
    pub cache: Rc<PageCache>,
    pub(crate) inodes: Inodes,
    pub(crate) disk: Disk,
    /// The swap areas and the swap cache.
    pub swap: Rc<Swap>,
    pub(crate) swap_stat: SwapStat,
    pub(crate) mmlist: MmList,
    pub(crate) io: Io,
    /// When antagonists act.
    pub(crate) pace: Pace,
    /// What a running swapoff is to know.
    pub(crate) swapoff: Cell<SwapoffState>,
    /// Address spaces that are no program's.
    pub(crate) foreign_mms: Cell<u32>,
    /// Whether too many dirty pages are being written in the background.
    pub(crate) background_runs: Cell<bool>,
    /// Whether kswapd is awake.
    pub(crate) kswapd_runs: Cell<bool>,
    /// When the periodic flusher runs next, and whether it is running.
    pub(crate) next_flush: Cell<u64>,
    pub(crate) flusher_runs: Cell<bool>,
    pub(crate) oracle: Option<Oracle>,
    pub(crate) mms: RefCell<BTreeMap<u32, Weak<Mm>>>,
    last_mm: Cell<u32>,
    /// Contexts inside the kernel; at 0 the machine is quiescent.
    pub(crate) inside: Cell<u32>,
    pub(crate) until_check: Cell<u32>,
    observer: OnceCell<Rc<dyn Observer>>,
    shootdowns: Cell<u64>,
    oom: RefCell<Option<OutOfMemory>>,
}

// Address spaces, to which there are weak references only, the hardware and the zone are for `KeptKernel`.
keep!(Kernel: stat, cpus, anon_vmas, cache, inodes, disk, swap, swap_stat, mmlist, io, pace, swapoff, foreign_mms,
    background_runs, kswapd_runs, next_flush, flusher_runs, oracle, mms, last_mm, inside, until_check, shootdowns, oom;
    fixed engine, hw, zone, config, observer);

impl Kernel {
    /// A machine with all its memory free and nothing running. The oracle is on if the zone tracks contents.
    ///
    /// # Errors
    /// If the description of the hardware or the zone is impossible.
    pub fn new(
        engine: EngineConfig,
        hardware: &HardwareSpec,
        config: KernelConfig,
    ) -> Result<Rc<Self>, SpecError> {
        let cpus = usize::from(engine.cpus);
        let hw = Hardware::new(hardware)?;
        let zone = Zone::new(&hw, &config.zone)?;
        zone.set_switches(config.switches);
        let marks = config.pages_min.map_or(Watermarks::of_memory(hardware.frames), Watermarks::above);
        zone.set_watermarks(marks);
        // A node of a tree takes 576 bytes in Linux: as many as memory holds.
        let cache = PageCache::new(&zone, hardware.frames.saturating_mul(7));
        Ok(Rc::new(Self {
            engine: Engine::new(engine),
            hw,
            zone,
            stat: VmStat::default(),
            cpus: (0..cpus).map(|_| CpuTlbState::default()).collect(),
            anon_vmas: AnonVmas::default(),
            inodes: Inodes::new(Rc::clone(&cache)),
            swap: Swap::new(&cache, &config.swap),
            swap_stat: SwapStat::default(),
            mmlist: MmList::default(),
            io: Io::default(),
            pace: Pace::default(),
            swapoff: Cell::default(),
            foreign_mms: Cell::new(0),
            background_runs: Cell::new(false),
            kswapd_runs: Cell::new(false),
            cache,
            disk: Disk::new(config.disk.clone()),
            next_flush: Cell::new(config.writeback_interval),
            flusher_runs: Cell::new(false),
            oracle: config.zone.track_contents.then(Oracle::default),
            config,
            mms: RefCell::default(),
            last_mm: Cell::new(0),
            inside: Cell::new(0),
            until_check: Cell::new(0),
            observer: OnceCell::new(),
            shootdowns: Cell::new(0),
            oom: RefCell::new(None),
        }))
    }

    /// What it was built with.
    pub fn config(&self) -> &KernelConfig {
        &self.config
    }

    /// The later fixes it has and the mutants it carries: what its paths ask at the steps that differ.
    #[inline(always)]
    pub fn switches(&self) -> Switches {
        self.zone.switches()
    }

    /// Whether it carries `mutant`; see [`Zone::mutant`].
    #[inline(always)]
    pub fn mutant(&self, mutant: Mutant) -> bool {
        self.zone.mutant(mutant)
    }

    /// The memory oracle, if contents are tracked.
    pub fn oracle(&self) -> Option<&Oracle> {
        self.oracle.as_ref()
    }

    /// From now on `observer` is told what happens. The first observer stays.
    pub fn watch(&self, observer: Rc<dyn Observer>) {
        self.observer.get_or_init(|| observer);
    }

    /// Who watches the run.
    #[inline]
    pub(crate) fn observer(&self) -> Option<&dyn Observer> {
        self.observer.get().map(Rc::as_ref)
    }

    /// A number for a shootdown that is watched.
    pub(crate) fn number_shootdown(&self) -> u64 {
        self.shootdowns.replace(self.shootdowns.get() + 1)
    }

    /// The report of an out-of-memory end.
    pub fn oom(&self) -> Option<OutOfMemory> {
        self.oom.borrow().clone()
    }

    /// What the swap devices have done.
    pub fn swap_stat(&self) -> &SwapStat {
        &self.swap_stat
    }

    /// What the disk has done.
    pub fn disk_stat(&self) -> &DiskStat {
        &self.disk.stat
    }

    /// What the disk holds for page `index` of a file now.
    pub fn disk_content(&self, inode: &Inode, index: u64) -> u64 {
        self.disk.content(&self.engine, inode, index)
    }

    /// The file at `path`; the first to name it says how many bytes it has.
    pub fn open_inode(&self, path: &str, size: u64) -> Rc<Inode> {
        self.inodes.open(path, size)
    }

    /// The file whose pages have `mapping` in `page->mapping`.
    pub(crate) fn inode_of(&self, mapping: u32) -> Option<Rc<Inode>> {
        self.inodes.by_mapping(mapping)
    }

    pub(crate) fn next_mm_id(&self) -> u32 {
        self.last_mm.set(self.last_mm.get() + 1);
        self.last_mm.get()
    }

    pub(crate) fn register_mm(&self, mm: &Rc<Mm>) {
        self.mms.borrow_mut().insert(mm.id(), Rc::downgrade(mm));
    }

    pub(crate) fn forget_mm(&self, mm: &Mm) {
        self.mms.borrow_mut().remove(&mm.id());
    }

    /// Every address space, by number.
    pub(crate) fn all_mms(&self) -> Vec<Rc<Mm>> {
        self.mms.borrow().values().filter_map(Weak::upgrade).collect()
    }

    /// How many address spaces there are.
    pub(crate) fn observe_mms(&self) -> usize {
        self.mms.borrow().len()
    }

    /// Whether a program has begun.
    pub(crate) fn has_run_programs(&self) -> bool {
        self.last_mm.get() > self.foreign_mms.get()
    }

    /// An address space by number, for observers.
    pub(crate) fn observe_mm(&self, id: u32) -> Option<Rc<Mm>> {
        self.mms.borrow().get(&id)?.upgrade()
    }

    /// The run ends: no memory is left.
    pub(crate) fn report_oom(&self, report: OutOfMemory) {
        self.oom.borrow_mut().get_or_insert(report);
    }
}
