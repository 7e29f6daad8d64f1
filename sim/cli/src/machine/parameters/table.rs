//! The rows of the table of parameters.

use super::{Kind, Parameter};

const fn row(
    path: &'static str,
    unit: &'static str,
    kind: Kind,
    about: &'static str,
    source: &'static str,
) -> Parameter {
    Parameter { path, unit, kind, about, source }
}

const SKYLAKE: &str = "Intel Skylake client: WikiChip; Intel 64 and IA-32 Architectures \
     Optimization Reference Manual";

/// Every parameter of a machine, in the order a description gives them.
pub const PARAMETERS: &[Parameter] = &[
    row(
        "name",
        "",
        Kind::Text { max: 40 },
        "Short name, shown in the first line of every answer.",
        "the machine's own",
    ),
    row(
        "description",
        "",
        Kind::Text { max: 2000 },
        "What the machine models, in a sentence or two.",
        "the machine's own",
    ),
    row("source", "", Kind::Text { max: 2000 }, "Where its numbers come from.", "the machine's own"),
    row(
        "cpus",
        "CPUs",
        Kind::Int { min: 1, max: 256 },
        "Number of CPUs. Each has its own TLBs, clock and per-CPU free list.",
        "a common desktop",
    ),
    row(
        "frequency_mhz",
        "MHz",
        Kind::Int { min: 1, max: 100_000 },
        "Clock of every CPU. Turns cycles into simulated seconds, and decides nothing.",
        "a round number; costs given in nanoseconds were multiplied by 3",
    ),
    row(
        "memory.frames",
        "frames of 4 KiB",
        Kind::Frames,
        "Physical memory. May be written as a size, such as \"512 MiB\".",
        "large enough for small traces",
    ),
    row(
        "paging.levels",
        "levels",
        Kind::Int { min: 4, max: 5 },
        "Levels of the x86-64 page table: 4 for 48-bit addresses, 5 for 57-bit. A walk reads one \
         entry a level.",
        "Intel SDM volume 3, section 4.5",
    ),
    row(
        "tlb.l1i[].entries",
        "translations",
        Kind::Int { min: 1, max: 65_536 },
        "Size of one array of the first level, instruction side; arrays of a level are looked up in \
         parallel. No array: leave it out.",
        SKYLAKE,
    ),
    row(
        "tlb.l1i[].ways",
        "entries a set",
        Kind::Ways,
        "Associativity of one array of the first level, instruction side. Entries must be a multiple \
         of ways; sets need not be a power of two.",
        SKYLAKE,
    ),
    row(
        "tlb.l1i[].page_sizes",
        "",
        Kind::PageSizes,
        "Page sizes that one array of the first level, instruction side holds. A size that no array \
         holds is walked each time.",
        SKYLAKE,
    ),
    row(
        "tlb.l1i[].replacement",
        "",
        Kind::Replacement,
        "How one array of the first level, instruction side chooses a victim: exact \
         least-recently-used, or a tree of bits (ways a power of two).",
        "vendors do not publish theirs; exact LRU is the usual model",
    ),
    row(
        "tlb.l1d[].entries",
        "translations",
        Kind::Int { min: 1, max: 65_536 },
        "Size of one array of the first level, data side; arrays of a level are looked up in \
         parallel. No array: leave it out.",
        SKYLAKE,
    ),
    row(
        "tlb.l1d[].ways",
        "entries a set",
        Kind::Ways,
        "Associativity of one array of the first level, data side. Entries must be a multiple of \
         ways; sets need not be a power of two.",
        SKYLAKE,
    ),
    row(
        "tlb.l1d[].page_sizes",
        "",
        Kind::PageSizes,
        "Page sizes that one array of the first level, data side holds. A size that no array holds is \
         walked each time.",
        SKYLAKE,
    ),
    row(
        "tlb.l1d[].replacement",
        "",
        Kind::Replacement,
        "How one array of the first level, data side chooses a victim: exact least-recently-used, or \
         a tree of bits (ways a power of two).",
        "vendors do not publish theirs; exact LRU is the usual model",
    ),
    row(
        "tlb.l2[].entries",
        "translations",
        Kind::Int { min: 1, max: 65_536 },
        "Size of one array of the second level, shared by instructions and data; arrays of a level \
         are looked up in parallel. No array: leave it out.",
        SKYLAKE,
    ),
    row(
        "tlb.l2[].ways",
        "entries a set",
        Kind::Ways,
        "Associativity of one array of the second level, shared by instructions and data. Entries \
         must be a multiple of ways; sets need not be a power of two.",
        SKYLAKE,
    ),
    row(
        "tlb.l2[].page_sizes",
        "",
        Kind::PageSizes,
        "Page sizes that one array of the second level, shared by instructions and data holds. A size \
         that no array holds is walked each time.",
        SKYLAKE,
    ),
    row(
        "tlb.l2[].replacement",
        "",
        Kind::Replacement,
        "How one array of the second level, shared by instructions and data chooses a victim: exact \
         least-recently-used, or a tree of bits (ways a power of two).",
        "vendors do not publish theirs; exact LRU is the usual model",
    ),
    row(
        "tlb.l1_hit_cycles",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Added to an access whose translation hits in the first level.",
        "hidden behind the cache lookup on current cores; general knowledge, not verified",
    ),
    row(
        "tlb.l2_hit_cycles",
        "cycles",
        Kind::Int { min: 0, max: 1_000_000_000 },
        "Added to an access whose translation hits in the second level.",
        "7 to 9 cycles on current cores; general knowledge, not verified",
    ),
    row(
        "tlb.pcid",
        "",
        Kind::Flag,
        "Entries carry an address-space id and survive a context switch. If false, every switch of \
         address space flushes.",
        "Intel SDM volume 3, section 4.10.1",
    ),
    row(
        "walk_caches.pml5e.entries",
        "entries",
        Kind::Int { min: 0, max: 4096 },
        "Page-walk cache of level-5 entries (used with five levels only); 0 for none.",
        "Skylake's are not published; sizes measured on earlier Intel cores are of this order; not \
         verified",
    ),
    row(
        "walk_caches.pml5e.ways",
        "entries a set",
        Kind::Ways,
        "Associativity of the page-walk cache of level-5 entries.",
        "as its entries",
    ),
    row(
        "walk_caches.pml4e.entries",
        "entries",
        Kind::Int { min: 0, max: 4096 },
        "Page-walk cache of level-4 entries (a hit skips the reads above); 0 for none.",
        "Skylake's are not published; sizes measured on earlier Intel cores are of this order; not \
         verified",
    ),
    row(
        "walk_caches.pml4e.ways",
        "entries a set",
        Kind::Ways,
        "Associativity of the page-walk cache of level-4 entries.",
        "as its entries",
    ),
    row(
        "walk_caches.pdpte.entries",
        "entries",
        Kind::Int { min: 0, max: 4096 },
        "Page-walk cache of level-3 entries (a hit skips the reads above); 0 for none.",
        "Skylake's are not published; sizes measured on earlier Intel cores are of this order; not \
         verified",
    ),
    row(
        "walk_caches.pdpte.ways",
        "entries a set",
        Kind::Ways,
        "Associativity of the page-walk cache of level-3 entries.",
        "as its entries",
    ),
    row(
        "walk_caches.pde.entries",
        "entries",
        Kind::Int { min: 0, max: 4096 },
        "Page-walk cache of level-2 entries (a hit leaves one read); 0 for none.",
        "Skylake's are not published; sizes measured on earlier Intel cores are of this order; not \
         verified",
    ),
    row(
        "walk_caches.pde.ways",
        "entries a set",
        Kind::Ways,
        "Associativity of the page-walk cache of level-2 entries.",
        "as its entries",
    ),
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
        "Taking and releasing a free lock whose word is in the own cache. Waiting for a held lock \
         takes as long as it takes.",
        "one locked instruction and one store; not verified",
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
];
