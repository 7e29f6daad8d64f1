//! The simulated memory hardware: addresses, page tables, walks, TLBs, page-walk caches and the loop that runs accesses which hit.

mod access;
mod addr;
mod hardware;
mod named;
mod per_frame;
mod pte;
mod pwc;
mod run;
mod shootdown;
mod spec;
mod state;
mod table;
mod tlb;
mod walk;

pub use access::{Access, AccessCounters, AccessKind, AccessObserver, MAX_ACCESS_BYTES};
pub use addr::{Asid, BASE_PAGE_BYTES, BASE_SHIFT, Paddr, PageSize, PageSizes, Pfn, Vaddr, VaddrRange, Vpn};
pub use hardware::{Core, Hardware, HardwareCosts, HardwareSpec, Root, WalkCounters};
pub use per_frame::{PerFrame, SECTION_FRAMES};
pub use pte::{Format, Pte};
pub use pwc::{WalkCache, WalkCacheCounters, WalkCacheGeometry, WalkCacheSpec, WalkCached};
pub use run::{Position, RunEnd, complete_touch, run_hits};
pub use shootdown::CpuMask;
pub use spec::SpecError;
pub use table::{PTE, PTL, Tables};
pub use tlb::{
    MAX_TLB_ENTRIES, MAX_TLB_WAYS, Replacement, TlbArray, TlbCounters, TlbEntry, TlbGeometry, TlbHierarchy,
    TlbLookup, TlbSide, TlbSideCounters, TlbSpec, TlbTag,
};
pub use walk::PageFault;

/// The text of this package: the lines that its steps stand in.
pub static SOURCE: include_dir::Dir<'static> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/src");
/// Where that text was when it was compiled.
pub const SOURCE_ROOT: &str = file!();
