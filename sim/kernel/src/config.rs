//! The kernel's own parameters.

use pagewalk_pages::{Switches, ZoneSpec};
use pagewalk_swap::{DeviceSpec, SwapAreaSpec};

/// What the kernel is built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelConfig {
    /// Up to this many pages are flushed one by one (INVLPG), more by flushing the whole address space
    /// (`tlb_single_page_flush_ceiling`, 33 since Linux 3.15).
    pub tlb_flush_ceiling: u64,
    /// Pages that one mmu_gather batch holds before it must flush (506 in v2.6.27 on x86-64).
    pub gather_batch: usize,
    /// Cycles of an exception's entry and exit.
    pub fault_entry: u32,
    /// Cycles of a system call's entry and exit.
    pub syscall: u32,
    /// The disk that files are on.
    pub disk: DeviceSpec,
    /// The largest readahead window, in pages (`read_ahead_kb`: 32 pages are 128 KiB); 0: none.
    pub readahead_pages: u64,
    /// Pages of the aligned block around a read fault on a file that are mapped with it if they are cached (since Linux 3.15
    /// `fault_around_bytes`); 0 or 1: only its own.
    pub fault_around_pages: u64,
    /// How many cycles lie between two runs of the periodic flusher (`dirty_writeback_centisecs`, 5 s); 0: it never runs.
    pub writeback_interval: u64,
    /// The swap areas, by number; at most 30.
    pub swap: Vec<SwapAreaSpec>,
    /// Pages around a swapped-out page that are read with it, as a power of two (`page_cluster`, 3: 8 pages).
    pub page_cluster: u32,
    /// How readily anonymous pages are reclaimed compared with pages of files, 0 to 100 (`swappiness`, 60).
    pub swappiness: u32,
    /// Frames that ordinary allocations leave free (`pages_min`); `None`: as `min_free_kbytes` is computed.
    pub pages_min: Option<u32>,
    /// Frames that the processes of one trace may have together, anonymous and of files; 0: as many as there are.
    pub group_limit: u32,
    /// Dirty pages, in percent of the memory that can be dirty, above which who writes must write back
    /// (`vm_dirty_ratio`, 10 in v2.6.27); 0: never.
    pub dirty_ratio: u32,
    /// The same, above which writing back begins beside the writers (`dirty_background_ratio`, 5 in v2.6.27).
    pub dirty_background_ratio: u32,
    /// Whether address spaces keep TLB tags (PCID) over a switch; without, every switch flushes.
    pub pcid: bool,
    /// The per-CPU lists of free pages, and whether contents are kept.
    pub zone: ZoneSpec,
    /// The later fixes it has, and the mutants it carries.
    pub switches: Switches,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            tlb_flush_ceiling: 33,
            gather_batch: 506,
            fault_entry: 1_000,
            syscall: 300,
            disk: DeviceSpec::default(),
            readahead_pages: 32,
            fault_around_pages: 0,
            writeback_interval: 15_000_000_000,
            swap: Vec::new(),
            page_cluster: 3,
            swappiness: 60,
            pages_min: None,
            group_limit: 0,
            dirty_ratio: 10,
            dirty_background_ratio: 5,
            pcid: false,
            zone: ZoneSpec::default(),
            switches: Switches::FIXED,
        }
    }
}
