//! Sizes that the kernel is built with.

use serde::{Deserialize, Serialize};

use super::{Parts, section};
use crate::value::Int;

section! {
    /// Sizes the kernel was built with.
    Kernel, "kernel.", of Parts:
    tlb_flush_ceiling: Int<0, 1_048_576> as kernel.tlb_flush_ceiling, "pages",
        "The most pages flushed one by one; a longer range flushes the whole TLB.",
        "33: tlb_single_page_flush_ceiling in Linux arch/x86/mm/tlb.c";
    pcp_batch: Int<1, 65_536> as kernel.zone.pcp_batch, "frames",
        "Frames moved at once between a per-CPU free list and the buddy allocator, under the zone's lock.",
        "31: zone_batchsize of Linux 2.6.27 mm/page_alloc.c for 512 MiB";
    pcp_high: Int<1, 65_536> as kernel.zone.pcp_high, "frames",
        "Frames on a per-CPU free list above which a batch is given back. At least pcp_batch.",
        "6 batches: setup_pageset of Linux 2.6.27 mm/page_alloc.c";
    mmu_gather_batch: Int<1, 65_536> as kernel.gather_batch, "pages",
        "Pages an unmapping gathers before it flushes the TLBs and frees them.",
        "506: FREE_PTE_NR of Linux 2.6.27 include/asm-generic/tlb.h";
    readahead: Int<0, 65_536> as kernel.readahead_pages, "pages",
        "The largest readahead window of a file (read_ahead_kb). With 0 a read brings only what it asks for.",
        "128 KiB: VM_MAX_READAHEAD of Linux 2.6.27 include/linux/mm.h";
    fault_around: Int<0, 512> as kernel.fault_around_pages, "pages",
        "A read fault on a file also maps those pages of the aligned block around it that are cached. With 0 it maps its own page.",
        "none in Linux 2.6.27; since 3.15 fault_around_bytes is 64 KiB, 16 pages";
    writeback_interval: Int<0, 1_000_000_000_000> as kernel.writeback_interval, "cycles",
        "Between two runs of the periodic flusher, which starts the writing of dirty pages. With 0 it never runs.",
        "5 s: dirty_writeback_centisecs of Linux 2.6.27 mm/page-writeback.c";
    page_cluster: Int<0, 8> as kernel.page_cluster, "",
        "A page from swap brings the used entries of the aligned block of two to this power with it. With 0 it comes alone.",
        "3: page_cluster of Linux 2.6.27 mm/swap.c (2 below 16 MiB)";
    swappiness: Int<0, 100> as kernel.swappiness, "",
        "How readily anonymous pages are reclaimed: at 100 as readily as pages of files, at 0 hardly.",
        "60: vm_swappiness of Linux 2.6.27 mm/vmscan.c";
    dirty_ratio: Int<0, 100> as kernel.dirty_ratio, "percent",
        "Dirty pages above this part of the memory that can be dirty: whoever makes more writes back first. Below 5 it counts as 5. With 0 nobody is held up.",
        "10: vm_dirty_ratio of Linux 2.6.27 mm/page-writeback.c";
    dirty_background_ratio: Int<0, 100> as kernel.dirty_background_ratio, "percent",
        "Dirty pages above this part of the memory that can be dirty are written back beside the writers.",
        "5: dirty_background_ratio of Linux 2.6.27 mm/page-writeback.c";
}
