//! The zone: every page of the machine, its free lists and LRU lists, and per CPU the pages on their way to and from them.
//!
//! Linux's `struct zone`; the machine is one zone. It also knows which kernel manages it: what its paths ask at the steps that differ.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};

use pagewalk_engine::{Class, CpuId, Guarded, Keep, SpinLock, keep};
use pagewalk_mmu::{Hardware, Pfn, SpecError};

use crate::lru::LruVec;
use crate::pagevec::PageVecs;
use crate::{Buddy, PerCpuPages, PhysicalMemory, Switches, Watermarks};

/// The lock of the zone's free lists (`zone->lock`).
pub static ZONE_LOCK: Class = Class::new(24, "zone->lock");

/// The lock of the LRU lists (`zone->lru_lock`).
pub static LRU_LOCK: Class = Class::new(29, "zone->lru_lock");

/// What the zone is built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSpec {
    /// Frames a CPU takes from the free lists at a time.
    pub pcp_batch: u32,
    /// Frames a CPU keeps before it gives a batch back; never more than its share of an eighth of memory.
    pub pcp_high: u32,
    /// Keep contents of pages (the memory oracle needs them).
    pub track_contents: bool,
}

impl Default for ZoneSpec {
    /// Of 512 MiB: zone_batchsize and setup_pageset of Linux 2.6.27 mm/page_alloc.c.
    fn default() -> Self {
        Self { pcp_batch: 31, pcp_high: 186, track_contents: true }
    }
}

/// A CPU's own pages. Only that CPU touches them, its interrupts among it, hence no shared words.
pub(crate) struct CpuPages {
    pub(crate) pcp: RefCell<PerCpuPages>,
    pub(crate) pagevecs: RefCell<PageVecs>,
}

impl Keep for CpuPages {
    fn keep(&self) -> Self {
        Self { pcp: self.pcp.keep(), pagevecs: self.pagevecs.keep() }
    }

    fn set_back(&self, kept: &Self) {
        self.pcp.set_back(&kept.pcp);
        self.pagevecs.set_back(&kept.pagevecs);
    }
}

/// All pages of the machine.
pub struct Zone {
    /// The hardware that the frames are in.
    pub(crate) hw: Rc<Hardware>,
    /// The frames and their `struct page`.
    pub memory: PhysicalMemory,
    pub(crate) zone_lock: SpinLock,
    pub(crate) buddy: Guarded<Buddy>,
    pub(crate) lru_lock: SpinLock,
    /// The LRU lists of each memory group, by number.
    pub(crate) lru: Guarded<Vec<LruVec>>,
    /// Pages that interrupts want at the back of their lists.
    pub(crate) rotated: RefCell<Vec<Pfn>>,
    /// Pages that interrupts have a reference to, for observers.
    pub(crate) held_by_interrupts: RefCell<Vec<Pfn>>,
    pub(crate) watermarks: Cell<Watermarks>,
    /// The frames that each memory group has.
    pub(crate) charged: RefCell<Vec<u32>>,
    /// Pages that have been freed and not handed out again, for the observer of I4.
    pub(crate) freed_pages: RefCell<BTreeSet<Pfn>>,
    pub(crate) cpus: Box<[CpuPages]>,
    pub(crate) allocated: Cell<u64>,
    pub(crate) freed: Cell<u64>,
    pub(crate) switches: Cell<Switches>,
    /// The mutants whose line was reached, a bit each.
    pub(crate) reached: Cell<u32>,
    this: Weak<Zone>,
}

// Which mutants were reached adds up over all runs.
keep!(Zone: memory, zone_lock, buddy, lru_lock, lru, rotated, held_by_interrupts, watermarks, charged, freed_pages, cpus,
    allocated, freed, switches; fixed hw, reached, this);

impl Zone {
    /// All memory of the hardware, free, and managed by the kernel [`Switches::FIXED`].
    ///
    /// # Errors
    /// If there are too few or too many frames, or the CPUs' lists of free pages are impossible.
    pub fn new(hw: &Rc<Hardware>, spec: &ZoneSpec) -> Result<Rc<Self>, SpecError> {
        let memory = PhysicalMemory::new(hw.frames(), spec.track_contents)?;
        let cpus = hw.cores().len();
        // However many CPUs a small machine has, their lists hold an eighth of it at most.
        let share = (hw.frames() / (8 * cpus.max(1) as u32)).max(1);
        let (batch, high) = (spec.pcp_batch.min(share), spec.pcp_high.min(share));
        let pages = || {
            let pcp = RefCell::new(PerCpuPages::new(batch, high)?);
            Ok(CpuPages { pcp, pagevecs: RefCell::default() })
        };
        let zone_lock = SpinLock::new(&ZONE_LOCK, 0);
        let lru_lock = SpinLock::new(&LRU_LOCK, 0);
        let cpus = (0..cpus).map(|_| pages()).collect::<Result<_, _>>()?;
        Ok(Rc::new_cyclic(|this| Self {
            hw: Rc::clone(hw),
            buddy: Guarded::new(zone_lock.id(), Buddy::new(&memory)),
            lru: Guarded::new(lru_lock.id(), vec![LruVec::default()]),
            lru_lock,
            rotated: RefCell::default(),
            held_by_interrupts: RefCell::default(),
            watermarks: Cell::default(),
            charged: RefCell::default(),
            freed_pages: RefCell::default(),
            memory,
            zone_lock,
            cpus,
            allocated: Cell::new(0),
            freed: Cell::new(0),
            switches: Cell::default(),
            reached: Cell::new(0),
            this: Weak::clone(this),
        }))
    }

    /// The zone as interrupt handlers hold it.
    pub(crate) fn shared(&self) -> Rc<Self> {
        self.this.upgrade().expect("a zone is always shared")
    }

    /// CPUs of the machine.
    pub fn nr_cpus(&self) -> usize {
        self.cpus.len()
    }

    /// One CPU's own pages.
    #[inline]
    pub(crate) fn cpu(&self, cpu: CpuId) -> &CpuPages {
        &self.cpus[usize::from(cpu.0)]
    }

    /// Pages allocated and freed so far (`pgalloc`, `pgfree`).
    pub fn page_counts(&self) -> (u64, u64) {
        (self.allocated.get(), self.freed.get())
    }

    /// Free frames, those on per-CPU lists included; for observers.
    pub fn free_frames(&self) -> u32 {
        let cached: u32 = self.cpus.iter().map(|cpu| cpu.pcp.borrow().len()).sum();
        self.buddy.observe().free_frames() + cached
    }
}
