//! Counters, under their `/proc/vmstat` names where one exists. They commute and are no steps.

use std::cell::Cell;

use pagewalk_engine::{Keep, keep};

use crate::call::Syscall;
use crate::latency::FaultLatencies;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The kernel's counters.
        #[derive(Default)]
        pub struct VmStat {
            $($(#[$doc])* pub $name: Counter,)*
            /// System calls by kind.
            pub syscalls: [Counter; Syscall::COUNT],
            /// How long page faults took, in cycles.
            pub fault_latency: FaultLatencies,
        }

        keep!(VmStat: $($name,)* syscalls, fault_latency);
    };
}

/// A counter or a gauge.
#[derive(Default)]
pub struct Counter(Cell<u64>);

impl Keep for Counter {
    fn keep(&self) -> Self {
        Self(self.0.keep())
    }
    fn set_back(&self, kept: &Self) {
        self.0.set_back(&kept.0);
    }
}

impl Counter {
    /// The value: since boot of a counter, now of a gauge.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.set(self.0.get() + n);
    }
    /// Takes `n` from a gauge.
    pub fn sub(&self, n: u64) {
        self.0.set(self.0.get() - n);
    }
    /// Raises a maximum to `n`.
    pub fn at_least(&self, n: u64) {
        self.0.set(self.0.get().max(n));
    }
}

counters! {
    /// Page faults that the kernel handled: the sum of the kinds below.
    pgfault,
    /// Faults on a page never touched (or discarded): a zeroed page was mapped.
    fault_first_touch,
    /// Write faults on a page shared by copy-on-write: it was copied.
    fault_cow_copied,
    /// Write faults on a read-only entry whose page nobody else has: the entry was made writable.
    fault_permission,
    /// Faults that found the entry changed or good enough: somebody was faster.
    fault_spurious,
    /// Faults on pages of files that the page cache had.
    fault_file_minor,
    /// Faults that had to wait for a disk.
    pgmajfault,
    /// Faults on pages of files that had to be read from the disk.
    fault_file_major,
    /// Faults on swapped-out pages that the swap cache had.
    fault_swap_minor,
    /// Faults on swapped-out pages that had to be read from a swap area.
    fault_swap_major,
    /// Pages read from swap areas.
    pswpin,
    /// Pages written to swap areas.
    pswpout,
    /// Entries of page tables that name swap entries now.
    nr_swap_ptes,
    /// Pages that kswapd has looked at.
    pgscan_kswapd,
    /// Pages that allocations have looked at, waiting for memory.
    pgscan_direct,
    /// Pages that kswapd has freed.
    pgsteal_kswapd,
    /// Pages that allocations have freed.
    pgsteal_direct,
    /// Pages moved to an active list.
    pgactivate,
    /// Pages moved to an inactive list.
    pgdeactivate,
    /// Pages taken off an active list to be looked at.
    pgrefill,
    /// Isolated pages that had to be put back.
    pgrotated,
    /// Allocations that had to reclaim memory themselves.
    allocstall,
    /// Times kswapd was woken.
    pageoutrun,
    /// Pages that reclaim has begun to write.
    nr_vmscan_write,
    /// Pages moved to another frame.
    pgmigrate_success,
    /// Pages that could not be moved.
    pgmigrate_fail,
    /// Operations of antagonists.
    antagonist_operations,
    /// Compactions of memory.
    compact_stall,
    /// Frames that compaction has looked at for pages to move.
    compact_migrate_scanned,
    /// Times a writer had to write back, or wait, because too much was dirty.
    balance_dirty_pages,
    /// Accesses outside every mapping, or against its protection; each was skipped.
    sigsegv,
    /// Accesses to pages of files beyond their end; each was skipped.
    sigbus,
    /// Pages whose mapping was removed (`zap_pte_range`).
    pages_zapped,
    /// Anonymous pages mapped now.
    nr_anon_pages,
    /// The most anonymous pages mapped at one time.
    peak_anon_pages,
    /// Pages of files mapped now.
    nr_mapped,
    /// Times a page of a file was marked dirty.
    nr_dirtied,
    /// Pages handed to the disk for writing.
    nr_written,
    /// Pages dropped by invalidation and `drop_caches`.
    pages_invalidated,
    /// Page-table pages in use now.
    nr_page_table_pages,
    /// The most page-table pages in use at one time.
    peak_page_table_pages,
    /// The most frames in use at one time.
    peak_used_frames,
    /// The most frames in use at one time, page tables apart.
    peak_data_frames,
    /// Page tables allocated.
    page_tables_allocated,
    /// Page tables freed.
    page_tables_freed,
    /// Requests to flush TLBs.
    flush_requests,
    /// Those for which other CPUs had to be interrupted.
    nr_tlb_remote_flush,
    /// Flush requests received by interrupt.
    nr_tlb_remote_flush_received,
    /// Whole address spaces flushed, on the CPU itself.
    nr_tlb_local_flush_all,
    /// Single pages flushed, on the CPU itself.
    nr_tlb_local_flush_one,
    /// Flush interrupts that found an idle CPU, which left the address space instead (lazy TLB).
    tlb_lazy_leaves,
    /// Address-space switches.
    mm_switches,
    /// Address-space switches that kept the tagged translations.
    mm_switches_kept,
    /// Processes forked.
    forks,
    /// Threads cloned.
    clones,
    /// Programs executed.
    execs,
    /// Threads ended.
    exits,
}
