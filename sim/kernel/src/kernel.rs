//! The kernel's own state, and the allocation of pages for it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::future::pending;
use std::rc::{Rc, Weak};

use pagewalk_engine::{Context, Engine, EngineConfig};
use pagewalk_mmu::{Hardware, HardwareSpec, PageRef, Pfn, SpecError};

use pagewalk_pagecache::PageCache;

use crate::check::Oracle;
use crate::config::KernelConfig;
use crate::fs::{Disk, DiskStat, Inode, Inodes};
use crate::mm::{AnonVmas, Mm};
use crate::observe::Observer;
use crate::stat::VmStat;
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
}

/// The machine's kernel.
pub struct Kernel {
    /// The engine its contexts run in.
    pub engine: Rc<Engine>,
    /// The hardware under it.
    pub hw: Rc<Hardware>,
    /// Its counters.
    pub stat: VmStat,
    config: KernelConfig,
    pub(crate) cpus: Box<[CpuTlbState]>,
    pub(crate) anon_vmas: AnonVmas,
    /// The page cache.
    pub cache: Rc<PageCache>,
    pub(crate) inodes: Inodes,
    pub(crate) disk: Disk,
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
    oom: RefCell<Option<OutOfMemory>>,
    frames: u32,
}

impl Kernel {
    /// A machine with all its memory free and nothing running. The oracle is on if the hardware tracks contents.
    ///
    /// # Errors
    /// If the hardware's description is impossible.
    pub fn new(
        engine: EngineConfig,
        hardware: &HardwareSpec,
        config: KernelConfig,
    ) -> Result<Rc<Self>, SpecError> {
        let cpus = usize::from(engine.cpus);
        let hw = Hardware::new(hardware)?;
        hw.set_switches(config.switches);
        // A node of a tree takes 576 bytes in Linux: as many as memory holds.
        let cache = PageCache::new(&hw, hardware.frames.saturating_mul(7));
        Ok(Rc::new(Self {
            engine: Engine::new(engine),
            hw,
            stat: VmStat::default(),
            cpus: (0..cpus).map(|_| CpuTlbState::default()).collect(),
            anon_vmas: AnonVmas::default(),
            inodes: Inodes::new(Rc::clone(&cache)),
            cache,
            disk: Disk::new(config.disk.clone()),
            next_flush: Cell::new(config.writeback_interval),
            flusher_runs: Cell::new(false),
            config,
            oracle: hardware.track_contents.then(Oracle::default),
            mms: RefCell::default(),
            last_mm: Cell::new(0),
            inside: Cell::new(0),
            until_check: Cell::new(0),
            observer: OnceCell::new(),
            oom: RefCell::new(None),
            frames: hardware.frames,
        }))
    }

    /// What it was built with.
    pub fn config(&self) -> &KernelConfig {
        &self.config
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

    /// The report of an out-of-memory end.
    pub fn oom(&self) -> Option<OutOfMemory> {
        self.oom.borrow().clone()
    }

    /// What the disk has done.
    pub fn disk_stat(&self) -> &DiskStat {
        &self.disk.stat
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

    /// An address space by number, for observers.
    pub(crate) fn observe_mm(&self, id: u32) -> Option<Rc<Mm>> {
        self.mms.borrow().get(&id)?.upgrade()
    }

    /// A page for `purpose`, with one reference. With no frame left the run ends with a report.
    pub(crate) async fn alloc_page<'a>(&self, cx: &'a Context, purpose: &'static str) -> PageRef<'a> {
        let Some(page) = self.hw.alloc_page(cx).await else { return self.out_of_memory(cx, purpose).await };
        let used = u64::from(self.frames) - u64::from(self.hw.free_frames());
        self.stat.peak_used_frames.at_least(used);
        page
    }

    /// A zeroed page (`__GFP_ZERO`).
    pub(crate) async fn alloc_zeroed_page<'a>(&self, cx: &'a Context, purpose: &'static str) -> PageRef<'a> {
        let page = self.alloc_page(cx, purpose).await;
        self.hw.memory.clear_page(cx, page.pfn()).await;
        cx.charge(self.hw.costs().clear_page);
        page
    }

    /// A page that is a table with no entries.
    pub(crate) async fn alloc_table_page(&self, cx: &Context) -> Pfn {
        let pfn = self.alloc_zeroed_page(cx, "a page table").await.into_pfn();
        self.hw.tables.attach(&self.hw.memory, pfn);
        self.stat.page_tables_allocated.add(1);
        self.stat.nr_page_table_pages.add(1);
        self.stat.peak_page_table_pages.at_least(self.stat.nr_page_table_pages.get());
        pfn
    }

    /// The table, which nothing points to any more, becomes a free page.
    pub(crate) async fn free_table_page(&self, cx: &Context, pfn: Pfn) {
        self.hw.tables.detach(&self.hw.memory, pfn);
        self.stat.page_tables_freed.add(1);
        self.stat.nr_page_table_pages.sub(1);
        self.hw.put_page(cx, PageRef::counted(cx, pfn)).await;
    }

    async fn out_of_memory<'a>(&self, cx: &'a Context, purpose: &'static str) -> PageRef<'a> {
        *self.oom.borrow_mut() = Some(OutOfMemory {
            purpose,
            context: cx.id().number(),
            clock: cx.cpu().clock(),
            frames: self.frames,
            anon_pages: self.stat.nr_anon_pages.get(),
            page_table_pages: self.stat.nr_page_table_pages.get(),
        });
        self.engine.stop("out of memory");
        pending().await
    }
}
