//! The simulated memory hardware: addresses, frames, TLBs, page-walk caches and the loop that runs accesses which hit.

mod access;
mod addr;
mod buddy;
mod frames;
mod per_cpu;
mod pwc;
mod run;
mod spec;
mod tlb;

pub use access::{Access, AccessCounters, AccessKind, AccessObserver, MAX_ACCESS_BYTES};
pub use addr::{Asid, BASE_PAGE_BYTES, BASE_SHIFT, Paddr, PageSize, PageSizes, Pfn, Vaddr, VaddrRange, Vpn};
pub use buddy::{Buddy, MAX_ORDER};
pub use frames::{MAX_FRAMES, Page, PhysicalMemory, SECTION_FRAMES};
pub use per_cpu::PerCpuPages;
pub use pwc::{WalkCache, WalkCacheCounters, WalkCacheGeometry, WalkCacheSpec, WalkCached};
pub use run::{Position, RunEnd, run_hits};
pub use spec::SpecError;
pub use tlb::{
    MAX_TLB_ENTRIES, MAX_TLB_WAYS, Replacement, TlbArray, TlbCounters, TlbEntry, TlbGeometry, TlbHierarchy,
    TlbLookup, TlbSide, TlbSideCounters, TlbSpec, TlbTag,
};
