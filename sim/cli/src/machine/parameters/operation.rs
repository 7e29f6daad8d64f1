//! The rows of the table of parameters that describe costs, the scheduler and the kernel's sizes.

use super::{Kind, Parameter, row};

/// Costs, the scheduler and the kernel's sizes.
pub(super) const OPERATION: &[Parameter] = &[
    row(
        "costs.access",
        "cycles",
        Kind::Int { min: 1, max: 1_000_000_000 },
        "One memory access of the program, translation apart. At least 1, so that time advances.",
        "first-level data cache latency of Intel cores, 4 to 5 cycles: Optimization Reference Manual",
    ),
    row(
        "costs.walk_step",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "One page-table entry read by the walker.",
        "a walk of four entries that are in the first two caches takes 20 to 40 cycles; general \
         knowledge, not verified",
    ),
    row(
        "costs.shared_access",
        "cycles",
        Kind::Int { min: 1, max: 1_000_000_000 },
        "One access of the kernel to a shared word that is in its own cache. At least 1.",
        "first-level data cache latency, as costs.access",
    ),
    row(
        "costs.atomic",
        "cycles",
        Kind::Int { min: 1, max: 1_000_000_000 },
        "One locked read-modify-write of a word in its own cache. At least 1.",
        "Agner Fog's instruction tables give 18 cycles for LOCK ADD on Skylake; not verified",
    ),
    row(
        "costs.line_transfer",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Added when a shared word was last written by another CPU, or is read by others and now \
         written: the line moves between caches.",
        "50 ns between cores of one socket; general knowledge, not verified",
    ),
    row(
        "costs.line_queue",
        "",
        Kind::Flag,
        "CPUs that want one cache line at the same time get it one after the other, each transfer behind those before it. If \
         false, each pays for its own transfer only, and a contended line scales without limit.",
        "a line is in one cache at a time; off so that costs are those of earlier versions",
    ),
    row(
        "costs.fault_entry",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Entry to and return from an exception, the kernel's work apart.",
        "chosen so that a first-touch fault takes about 0.7 µs in all; published medians are 0.6 to 1 \
         µs",
    ),
    row(
        "costs.syscall",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Entry to and return from a system call, the kernel's work apart.",
        "100 ns with mitigations on; general knowledge, not verified",
    ),
    row(
        "costs.clear_page",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Clearing a base page before a program sees it.",
        "100 ns; general knowledge, not verified",
    ),
    row(
        "costs.copy_page",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Copying a base page, as copy-on-write does.",
        "170 ns; general knowledge, not verified",
    ),
    row(
        "costs.invlpg",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Invalidating one page in the local TLB.",
        "about 100 ns: the comment at tlb_single_page_flush_ceiling in Linux arch/x86/mm/tlb.c",
    ),
    row(
        "costs.flush_all",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Invalidating the whole local TLB (a write of CR3). The misses that follow cost extra, as \
         they happen.",
        "170 ns; general knowledge, not verified",
    ),
    row(
        "costs.ipi_send",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Sending an inter-processor interrupt, for each target.",
        "0.2 µs a receiver, fitted to published shootdown times; estimates differ sevenfold",
    ),
    row(
        "costs.ipi_deliver",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Interruption of the receiver of an inter-processor interrupt, entry and return included.",
        "0.5 µs, fitted to published shootdown times; estimates differ sevenfold",
    ),
    row(
        "costs.ipi_latency",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Time from sending an inter-processor interrupt to its arrival.",
        "0.5 µs, so that the shortest shootdown takes about 1 µs; estimates differ sevenfold",
    ),
    row(
        "costs.context_switch",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Switching a CPU to another context, the effect on TLBs apart.",
        "1 µs; general knowledge, not verified",
    ),
    row(
        "costs.lock",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Taking or releasing a free lock, beyond the transfer of its line. Waiting for a held lock takes as long as it takes.",
        "one locked instruction; not verified",
    ),
    row(
        "scheduler.quantum",
        "cycles",
        Kind::Int { min: 1000, max: 1_000_000_000_000 },
        "How long a context may run while others wait for its CPU.",
        "4 ms: sysctl_sched_min_granularity of Linux 2.6.27",
    ),
    row(
        "scheduler.slack",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000 },
        "How far a CPU may run ahead of the others through TLB hits alone. Larger is faster and \
         coarser; kernel steps are always in order.",
        "a third of a microsecond, below the latency of an interrupt",
    ),
    row(
        "scheduler.jitter",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000 },
        "The most cycles added at random (by the seed) to each entry into the kernel, so that seeds \
         differ. With 0 the timed schedule is the same for every seed.",
        "a tenth of an exception's cost",
    ),
    row(
        "disk.channels",
        "requests",
        Kind::Int { min: 1, max: 1024 },
        "Requests that the disk works on at one time. Others wait.",
        "an NVMe drive; general knowledge, not verified",
    ),
    row(
        "disk.latency",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "From the start of a request to its first byte.",
        "80 µs, an NVMe drive (70 to 100 µs); general knowledge, not verified. A SATA SSD: 150 µs",
    ),
    row(
        "disk.seek",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Added where a request does not follow the one before it in the same file.",
        "none, flash does not seek. A hard disk: 8 ms, with channels 1; general knowledge, not verified",
    ),
    row(
        "disk.page",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "A base page on the link, which all requests share.",
        "3 GB/s; general knowledge, not verified",
    ),
    row(
        "kernel.tlb_flush_ceiling",
        "pages",
        Kind::Int { min: 0, max: 1_048_576 },
        "The most pages flushed one by one; a longer range flushes the whole TLB.",
        "33: tlb_single_page_flush_ceiling in Linux arch/x86/mm/tlb.c",
    ),
    row(
        "kernel.pcp_batch",
        "frames",
        Kind::Int { min: 1, max: 65_536 },
        "Frames moved at once between a per-CPU free list and the buddy allocator, under the zone's \
         lock.",
        "31: zone_batchsize of Linux 2.6.27 mm/page_alloc.c for 512 MiB",
    ),
    row(
        "kernel.pcp_high",
        "frames",
        Kind::Int { min: 1, max: 65_536 },
        "Frames on a per-CPU free list above which a batch is given back. At least pcp_batch.",
        "6 batches: setup_pageset of Linux 2.6.27 mm/page_alloc.c",
    ),
    row(
        "kernel.mmu_gather_batch",
        "pages",
        Kind::Int { min: 1, max: 65_536 },
        "Pages an unmapping gathers before it flushes the TLBs and frees them.",
        "506: FREE_PTE_NR of Linux 2.6.27 include/asm-generic/tlb.h",
    ),
    row(
        "kernel.readahead",
        "pages",
        Kind::Int { min: 0, max: 65_536 },
        "The largest readahead window of a file (read_ahead_kb). With 0 a read brings only what it asks for.",
        "128 KiB: VM_MAX_READAHEAD of Linux 2.6.27 include/linux/mm.h",
    ),
    row(
        "kernel.fault_around",
        "pages",
        Kind::Int { min: 0, max: 512 },
        "A read fault on a file also maps those pages of the aligned block around it that are cached. With 0 it maps its own page.",
        "none in Linux 2.6.27; since 3.15 fault_around_bytes is 64 KiB, 16 pages",
    ),
    row(
        "kernel.writeback_interval",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000_000 },
        "Between two runs of the periodic flusher, which starts the writing of dirty pages. With 0 it never runs.",
        "5 s: dirty_writeback_centisecs of Linux 2.6.27 mm/page-writeback.c",
    ),
];
