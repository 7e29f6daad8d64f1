//! The kernel's own parameters.

use pagewalk_pages::{Switches, ZoneSpec};
use pagewalk_swap::{DeviceSpec, SwapAreaSpec};

/// A structure of parameters, each with its default.
macro_rules! config {
    ($(#[$about:meta])* $name:ident: $($(#[$doc:meta])* $field:ident: $type:ty = $default:expr,)*) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

config! {
    /// What the kernel is built with.
    KernelConfig:
    /// Up to this many pages are flushed one by one (INVLPG), more by flushing the whole address space
    /// (`tlb_single_page_flush_ceiling`, 33 since Linux 3.15).
    tlb_flush_ceiling: u64 = 33,
    /// Pages that one mmu_gather batch holds before it must flush (506 in v2.6.27 on x86-64).
    gather_batch: usize = 506,
    /// Cycles of an exception's entry and exit.
    fault_entry: u32 = 1_000,
    /// Cycles of a system call's entry and exit.
    syscall: u32 = 300,
    /// The disk that files are on.
    disk: DeviceSpec = DeviceSpec::default(),
    /// The largest readahead window, in pages (`read_ahead_kb`: 32 pages are 128 KiB); 0: none.
    readahead_pages: u64 = 32,
    /// Pages of the aligned block around a read fault on a file that are mapped with it if they are cached (since Linux 3.15
    /// `fault_around_bytes`); 0 or 1: only its own.
    fault_around_pages: u64 = 0,
    /// How many cycles lie between two runs of the periodic flusher (`dirty_writeback_centisecs`, 5 s); 0: it never runs.
    writeback_interval: u64 = 15_000_000_000,
    /// The swap areas, by number; at most 30.
    swap: Vec<SwapAreaSpec> = Vec::new(),
    /// Pages around a swapped-out page that are read with it, as a power of two (`page_cluster`, 3: 8 pages).
    page_cluster: u32 = 3,
    /// How readily anonymous pages are reclaimed compared with pages of files, 0 to 100 (`swappiness`, 60).
    swappiness: u32 = 60,
    /// Frames that ordinary allocations leave free (`pages_min`); `None`: as `min_free_kbytes` is computed.
    pages_min: Option<u32> = None,
    /// Frames that the processes of one trace may have together, anonymous and of files; 0: as many as there are.
    group_limit: u32 = 0,
    /// Dirty pages, in percent of the memory that can be dirty, above which who writes must write back
    /// (`vm_dirty_ratio`, 10 in v2.6.27); 0: never.
    dirty_ratio: u32 = 10,
    /// The same, above which writing back begins beside the writers (`dirty_background_ratio`, 5 in v2.6.27).
    dirty_background_ratio: u32 = 5,
    /// Whether address spaces keep TLB tags (PCID) over a switch; without, every switch flushes.
    pcid: bool = true,
    /// The per-CPU lists of free pages, and whether contents are kept.
    zone: ZoneSpec = ZoneSpec::default(),
    /// The later fixes it has, and the mutants it carries.
    switches: Switches = Switches::FIXED,
}
