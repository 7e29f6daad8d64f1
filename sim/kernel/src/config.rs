//! The kernel's own parameters.

/// Which kernel: the fixes that came after 2.6.27, each a named switch, grouped in presets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixes {
    /// A zapper that found nothing to flush flushes all the same while another's flush is pending
    /// (99baac21e458, Linux 4.13). Without it two threads that discard one range at a time can leave a stale
    /// translation behind when the second call returns.
    pub flush_nested: bool,
    /// A write fault reuses a read-only page only if the entry's is the one reference (09854ba94c6a, Linux 5.9), not merely
    /// the one mapping. Without it a page that another process has unmapped, and whose flush is pending, is written where
    /// that process's other threads still read it through their TLBs.
    pub reuse_by_count: bool,
    /// A CPU that switches leaves the old address space's mask only when the new tables are loaded (831d52bc1539, Linux
    /// 2.6.38). Without it there is a moment at which flushes pass over a CPU that still has the old tables.
    pub leave_mask_last: bool,
}

impl Fixes {
    /// Linux 2.6.27 as released, with its latent bugs.
    pub const LINUX_2_6_27: Self =
        Self { flush_nested: false, reuse_by_count: false, leave_mask_last: false };
    /// 2.6.27 with every later fix.
    pub const FIXED: Self = Self { flush_nested: true, reuse_by_count: true, leave_mask_last: true };
}

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
    /// Whether address spaces keep TLB tags (PCID) over a switch; without, every switch flushes.
    pub pcid: bool,
    /// The later fixes it has.
    pub fixes: Fixes,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            tlb_flush_ceiling: 33,
            gather_batch: 506,
            fault_entry: 1_000,
            syscall: 200,
            pcid: false,
            fixes: Fixes::FIXED,
        }
    }
}
