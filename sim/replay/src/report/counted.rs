//! The sections of the account that count what the kernel did: each field with its source. A field without one is the kernel's
//! counter of that name.

use pagewalk_kernel::{Kernel, Syscall};
use serde::Serialize;

use super::facts::{Footprint, OutOfMemory, SyscallCount};
use crate::run::Finished;

/// A section of the account of `$run`, field by field.
macro_rules! section {
    ($(#[$about:meta])* $name:ident of $run:ident, $kernel:ident:
     $($(#[$doc:meta])* $field:ident $(: $type:ty = $value:expr)?,)*) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct $name {
            $($(#[$doc])* pub $field: section!(@type $($type)?),)*
        }

        impl $name {
            /// This section of the account of a finished run.
            pub(crate) fn of($run: &Finished) -> Self {
                let $kernel = &$run.replay.kernel;
                Self { $($field: section!(@value $kernel $field $($value)?),)* }
            }
        }
    };
    (@type) => { u64 };
    (@type $type:ty) => { $type };
    (@value $kernel:ident $field:ident) => { $kernel.stat.$field.get() };
    (@value $kernel:ident $field:ident $value:expr) => { $value };
}

section! {
    /// Page faults by cause.
    Faults of run, kernel:
    /// Page faults that the kernel resolved: the sum of the causes below.
    pgfault,
    /// A page touched for the first time.
    first_touch: u64 = kernel.stat.fault_first_touch.get(),
    /// A write to a page shared by copy-on-write: it was copied.
    copy_on_write: u64 = kernel.stat.fault_cow_copied.get(),
    /// A write to a read-only entry whose page nobody else has: it was made writable.
    permission: u64 = kernel.stat.fault_permission.get(),
    /// Nothing was left to do: another CPU had done it.
    spurious: u64 = kernel.stat.fault_spurious.get(),
    /// A page of a file that the page cache had.
    file_minor: u64 = kernel.stat.fault_file_minor.get(),
    /// A page of a file that had to be read from the disk.
    file_major: u64 = kernel.stat.fault_file_major.get(),
    /// A swapped-out page that the swap cache had.
    swap_minor: u64 = kernel.stat.fault_swap_minor.get(),
    /// A page that had to be read from a swap area.
    swap_major: u64 = kernel.stat.fault_swap_major.get(),
    /// Faults for which a disk or a swap area was read.
    pgmajfault,
}

section! {
    /// What the kernel did.
    KernelWork of run, kernel:
    /// Frames allocated.
    pgalloc: u64 = kernel.zone.page_counts().0,
    /// Frames freed.
    pgfree: u64 = kernel.zone.page_counts().1,
    /// Pages unmapped by `zap_pte_range`.
    pages_zapped,
    /// Page-table pages allocated.
    page_tables_allocated,
    /// Page-table pages freed.
    page_tables_freed,
    /// TLB flushes asked for, whether or not another CPU had to be told.
    flush_requests,
    /// Flushes for which other CPUs had to be interrupted.
    nr_tlb_remote_flush,
    /// Shootdown interrupts received.
    nr_tlb_remote_flush_received,
    /// Whole-TLB flushes.
    nr_tlb_local_flush_all,
    /// Single-page flushes.
    nr_tlb_local_flush_one,
    /// CPUs in lazy-TLB mode that left an address space instead of flushing it.
    lazy_tlb_leaves: u64 = kernel.stat.tlb_lazy_leaves.get(),
    /// Context switches.
    context_switches: u64 = kernel.engine.cpus().iter().map(|cpu| cpu.context_switches()).sum(),
    /// System calls by name, in alphabetical order.
    syscalls: Vec<SyscallCount> = syscalls(kernel),
    /// Processes forked.
    forks,
    /// Threads started.
    clones,
    /// Programs started in place of another.
    execs,
    /// Threads ended.
    exits,
    /// Set if memory ran out.
    out_of_memory: Option<OutOfMemory> = out_of_memory(kernel),
}

section! {
    /// What memory held.
    MemoryUse of run, kernel:
    /// Most anonymous pages at once.
    peak_nr_anon_pages: u64 = kernel.stat.peak_anon_pages.get(),
    /// Most page-table pages at once.
    peak_nr_page_table_pages: u64 = kernel.stat.peak_page_table_pages.get(),
    /// Most frames in use at once.
    peak_used_frames,
    /// Free frames at the end.
    nr_free_pages: u64 = u64::from(kernel.zone.free_frames()),
    /// What was still held after the last process ended, one line each: empty unless something leaked.
    leftovers: Vec<String> = Vec::new(),
}

section! {
    /// What reclaim, swap and writeback did.
    Pressure of run, kernel:
    /// Pages of the traces' footprint that `--memory` was a part of, and the percentage; absent without one.
    footprint: Option<Footprint> = run.replay.options.footprint,
    /// Pages looked at by kswapd.
    pgscan_kswapd,
    /// Pages looked at by allocations that waited for memory.
    pgscan_direct,
    /// Pages freed by kswapd.
    pgsteal_kswapd,
    /// Pages freed by allocations.
    pgsteal_direct,
    /// Times an allocation had to reclaim memory itself.
    allocstall,
    /// Times kswapd was woken.
    pageoutrun,
    /// Pages moved to an active list.
    pgactivate,
    /// Pages moved to an inactive list.
    pgdeactivate,
    /// Pages taken off an active list to be looked at.
    pgrefill,
    /// Pages that were looked at and put back.
    pgrotated,
    /// Pages that reclaim had to write.
    nr_vmscan_write,
    /// Pages read from swap areas.
    pswpin,
    /// Pages written to swap areas.
    pswpout,
    /// Pages of the swap areas.
    swap_total: u64 = kernel.swap.total_swap_pages(),
    /// Those in use at the end.
    swap_used: u64 = kernel.swap.total_swap_pages().saturating_sub(kernel.swap.nr_swap_pages()),
    /// Times a page of a file was marked dirty.
    nr_dirtied,
    /// Pages of files handed to the disk for writing.
    nr_written,
    /// Times a writer was held up because too much was dirty.
    balance_dirty_pages,
    /// Pages moved to another frame.
    pgmigrate_success,
    /// Pages that could not be moved.
    pgmigrate_fail,
    /// Compactions of memory.
    compact_stall,
    /// Operations of antagonists.
    antagonist_operations,
}

fn syscalls(kernel: &Kernel) -> Vec<SyscallCount> {
    let row = |&call: &Syscall| SyscallCount {
        name: call.name().to_owned(),
        count: kernel.stat.syscalls[call as usize].get(),
    };
    let mut rows: Vec<SyscallCount> = Syscall::ALL.iter().map(row).filter(|row| row.count > 0).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

fn out_of_memory(kernel: &Kernel) -> Option<OutOfMemory> {
    kernel.oom().map(|oom| OutOfMemory {
        who: format!("context {}, for {}", oom.context, oom.purpose),
        order: 0,
        nr_free_pages: u64::from(kernel.zone.free_frames()),
    })
}
