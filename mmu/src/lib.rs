//! The simulated memory hardware: addresses, frames, TLBs, page-walk caches and the loop that runs accesses which hit.

mod access;
mod addr;
mod buddy;
mod frames;
mod hardware;
mod lru;
mod named;
mod page;
mod page_alloc;
mod per_cpu;
mod pin;
mod pte;
mod pwc;
mod run;
mod shootdown;
mod spec;
mod state;
mod swap_lru;
mod switch;
mod table;
mod tlb;
mod walk;
mod zone;

pub use access::{Access, AccessCounters, AccessKind, AccessObserver, MAX_ACCESS_BYTES};
pub use addr::{Asid, BASE_PAGE_BYTES, BASE_SHIFT, Paddr, PageSize, PageSizes, Pfn, Vaddr, VaddrRange, Vpn};
pub use buddy::{Buddy, MAX_ORDER};
pub use frames::{MAX_FRAMES, Page, PhysicalMemory, SECTION_FRAMES};
pub use hardware::{Core, Hardware, HardwareCosts, HardwareSpec, LRU_LOCK, Root, WalkCounters, ZONE_LOCK};
pub use lru::{LruList, LruVec};
pub use page::{
    PG_ACTIVE, PG_DIRTY, PG_ERROR, PG_LOCKED, PG_LRU, PG_MAPPEDTODISK, PG_PRIVATE, PG_READAHEAD, PG_RECLAIM,
    PG_REFERENCED, PG_SWAPBACKED, PG_SWAPCACHE, PG_UPTODATE, PG_WRITEBACK, PageMapping, PageRef, PageWords,
};
pub use per_cpu::PerCpuPages;
pub use pin::{GUP_PIN_COUNTING_BIAS, Pin};
pub use pte::{Format, Pte};
pub use pwc::{WalkCache, WalkCacheCounters, WalkCacheGeometry, WalkCacheSpec, WalkCached};
pub use run::{Position, RunEnd, complete_touch, run_hits};
pub use shootdown::CpuMask;
pub use spec::SpecError;
pub use swap_lru::PAGEVEC_SIZE;
pub use switch::{Fix, FixInfo, Mutant, MutantInfo, Switches};
pub use table::{PTE, PTL, Tables};
pub use tlb::{
    MAX_TLB_ENTRIES, MAX_TLB_WAYS, Replacement, TlbArray, TlbCounters, TlbEntry, TlbGeometry, TlbHierarchy,
    TlbLookup, TlbSide, TlbSideCounters, TlbSpec, TlbTag,
};
pub use walk::PageFault;
pub use zone::Watermarks;
