//! The pages of the simulated machine: its frames and their `struct page`, the page allocator, the LRU lists and pagevecs; and the
//! switches that say which kernel manages them.

mod buddy;
mod frames;
mod lru;
mod page;
mod page_alloc;
mod pagevec;
mod per_cpu;
mod pin;
mod state;
mod switch;
mod watermarks;
mod zone;

pub use buddy::{BadFree, Buddy, MAX_ORDER};
pub use frames::{MAX_FRAMES, Page, PhysicalMemory};
pub use lru::{LruList, LruVec};
pub use page::{
    PAGE_FLAGS, PG_ACTIVE, PG_DIRTY, PG_ERROR, PG_LOCKED, PG_LRU, PG_MAPPEDTODISK, PG_PRIVATE, PG_READAHEAD,
    PG_RECLAIM, PG_REFERENCED, PG_SWAPBACKED, PG_SWAPCACHE, PG_UPTODATE, PG_WRITEBACK, PageMapping, PageRef,
    PageWords,
};
pub use pagevec::PAGEVEC_SIZE;
pub use per_cpu::PerCpuPages;
pub use pin::{GUP_PIN_COUNTING_BIAS, Pin};
pub use switch::{Fix, FixInfo, KernelPreset, Mutant, MutantInfo, Switches};
pub use watermarks::Watermarks;
pub use zone::{LRU_LOCK, ZONE_LOCK, Zone, ZoneSpec};

/// The text of this package: the lines that its steps stand in.
pub static SOURCE: include_dir::Dir<'static> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/src");
/// Where that text was when it was compiled.
pub const SOURCE_ROOT: &str = file!();
