//! The rows of the table of parameters that describe hardware.

use super::{Kind, Parameter, row};

const SKYLAKE: &str = "Intel Skylake client: WikiChip; Intel 64 and IA-32 Architectures \
     Optimization Reference Manual";

/// The machine itself, its memory, TLBs and walk caches.
pub(super) const HARDWARE: &[Parameter] = &[
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
        "memory.min_free",
        "frames",
        Kind::Int { min: 0, max: 67_108_864 },
        "Frames that ordinary allocations leave free (pages_min). kswapd begins below a quarter more and ends above a half more. With 0 it is computed.",
        "the root of 16 times the memory in KiB, from 128 KiB to 64 MiB: init_per_zone_pages_min of Linux 2.6.27 mm/page_alloc.c",
    ),
    row(
        "memory.group_limit",
        "frames",
        Kind::Int { min: 0, max: 268_435_456 },
        "Frames that the processes of one trace may have together, anonymous and of files, as of a memory cgroup: beyond, they reclaim their own. With 0 there is no limit.",
        "no cgroup",
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
        "Size of one array of the first level, instruction side; arrays of a level are looked up in parallel.",
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
        "Page sizes that one array of the first level, instruction side holds. Each size in one array of a level; a page of another size is held in pieces of a size that is. The first level must hold 4 KiB.",
        SKYLAKE,
    ),
    row(
        "tlb.l1i[].replacement",
        "",
        Kind::Replacement,
        "How one array of the first level, instruction side chooses a victim: exact \
         least-recently-used, or a tree of bits that point away from recent use.",
        "vendors do not publish theirs; exact LRU is the usual model",
    ),
    row(
        "tlb.l1d[].entries",
        "translations",
        Kind::Int { min: 1, max: 65_536 },
        "Size of one array of the first level, data side; arrays of a level are looked up in parallel.",
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
        "Page sizes that one array of the first level, data side holds. Each size in one array of a level; a page of another size is held in pieces of a size that is. The first level must hold 4 KiB.",
        SKYLAKE,
    ),
    row(
        "tlb.l1d[].replacement",
        "",
        Kind::Replacement,
        "How one array of the first level, data side chooses a victim: exact least-recently-used, or a tree of bits that point away from recent use.",
        "vendors do not publish theirs; exact LRU is the usual model",
    ),
    row(
        "tlb.l2[].entries",
        "translations",
        Kind::Int { min: 1, max: 65_536 },
        "Size of one array of the second level, shared by instructions and data; arrays of a level are looked up in parallel.",
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
        "Page sizes that one array of the second level, shared by instructions and data holds. Each size in one array of a level; a page of another size is held in pieces of a size that is. The first level must hold 4 KiB.",
        SKYLAKE,
    ),
    row(
        "tlb.l2[].replacement",
        "",
        Kind::Replacement,
        "How one array of the second level, shared by instructions and data chooses a victim: exact \
         least-recently-used, or a tree of bits that point away from recent use.",
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
        "Added to an access whose translation hits in the second level, the lookup in the first included.",
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
];
