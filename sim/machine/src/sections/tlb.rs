//! TLBs and page-walk caches.

use pagewalk_mmu as mmu;
use serde::{Deserialize, Serialize};

use super::{Parts, section};
use crate::parameters::{Parameter, row};
use crate::value::{Cycles, Int, PageSize, PageSizes, Replacement, Ways};

const SKYLAKE: &str =
    "Intel Skylake client: WikiChip; Intel 64 and IA-32 Architectures Optimization Reference Manual";
const UNPUBLISHED: &str =
    "Skylake's are not published; sizes measured on earlier Intel cores are of this order; not verified";

section! {
    /// Translation lookaside buffers of each CPU. The arrays of a level are looked up in parallel.
    Tlb, "tlb.", of Parts, lists {
        /// First level, instruction side.
        l1i: Vec<TlbArray> = vec![TlbArray::new(128, 8, &[BASE]), TlbArray::new(8, 8, &[LARGE])],
        /// First level, data side.
        l1d: Vec<TlbArray> =
            vec![TlbArray::new(64, 4, &[BASE]), TlbArray::new(32, 4, &[LARGE]), TlbArray::new(4, 4, &[HUGE])],
        /// Second level, shared by both sides; empty for none.
        l2: Vec<TlbArray> = vec![TlbArray::new(1536, 12, &[BASE, LARGE]), TlbArray::new(16, 4, &[HUGE])],
    }:
    l1_hit_cycles: Cycles as hardware.tlb.l1_hit_cycles, "cycles",
        "Added to an access whose translation hits in the first level.",
        "hidden behind the cache lookup on current cores; general knowledge, not verified";
    l2_hit_cycles: Cycles = Int::of(9) => hardware.tlb.l2_hit_cycles, "cycles",
        "Added to an access whose translation hits in the second level, the lookup in the first included.",
        "7 to 9 cycles on current cores; general knowledge, not verified";
    pcid: bool as kernel.pcid, "",
        "Entries carry an address-space id and survive a context switch. If false, every switch of address space flushes.",
        "Intel SDM volume 3, section 4.10.1";
}

const BASE: PageSize = PageSize::Base;
const LARGE: PageSize = PageSize::Large;
const HUGE: PageSize = PageSize::Huge;

/// One array of a TLB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlbArray {
    /// Translations it holds.
    pub entries: Int<1, 65_536>,
    /// Entries a set.
    pub ways: Ways,
    /// Page sizes it holds.
    #[serde(default)]
    pub page_sizes: PageSizes,
    /// How a victim is chosen within a set.
    #[serde(default)]
    pub replacement: Replacement,
}

/// The rows of one list of arrays.
macro_rules! arrays {
    ($list:literal, $one:literal) => {
        &[
            row::<Int<1, 65_536>>(
                concat!($list, "[].entries"),
                "translations",
                concat!("Size of ", $one, "; arrays of a level are looked up in parallel."),
                SKYLAKE,
            ),
            row::<Ways>(
                concat!($list, "[].ways"),
                "entries a set",
                concat!(
                    "Associativity of ",
                    $one,
                    ". Entries must be a multiple of ways; sets need not be a power of two."
                ),
                SKYLAKE,
            ),
            row::<PageSizes>(
                concat!($list, "[].page_sizes"),
                "",
                concat!(
                    "Page sizes that ",
                    $one,
                    " holds. Each size in one array of a level; a page of another size is held in pieces of a size that is. The first level must hold 4 KiB."
                ),
                SKYLAKE,
            ),
            row::<Replacement>(
                concat!($list, "[].replacement"),
                "",
                concat!(
                    "How ",
                    $one,
                    " chooses a victim: exact least-recently-used, or a tree of bits that point away from recent use."
                ),
                "vendors do not publish theirs; exact LRU is the usual model",
            ),
        ]
    };
}

impl TlbArray {
    pub(super) const L1I: &[Parameter] = arrays!("tlb.l1i", "one array of the first level, instruction side");
    pub(super) const L1D: &[Parameter] = arrays!("tlb.l1d", "one array of the first level, data side");
    pub(super) const L2: &[Parameter] =
        arrays!("tlb.l2", "one array of the second level, shared by instructions and data");

    fn new(entries: u64, ways: u32, sizes: &[PageSize]) -> Self {
        Self {
            entries: Int::of(entries),
            ways: Ways::Count(ways),
            page_sizes: PageSizes::new(sizes.to_vec()).expect("a constant list of distinct sizes"),
            replacement: Replacement::Lru,
        }
    }

    fn geometry(&self) -> mmu::TlbGeometry {
        let sizes = self.page_sizes.as_slice().iter();
        let sizes: Vec<mmu::PageSize> = sizes
            .map(|size| mmu::PageSize::from_shift(size.shift()).expect("a page size of x86-64"))
            .collect();
        mmu::TlbGeometry {
            entries: self.entries.get_u32(),
            ways: self.ways.of_entries(self.entries.get()) as u32,
            sizes: mmu::PageSizes::of(&sizes),
            replacement: match self.replacement {
                Replacement::Lru => mmu::Replacement::Lru,
                Replacement::TreePlru => mmu::Replacement::TreePlru,
            },
        }
    }
}

impl Tlb {
    /// As the hardware describes them.
    #[must_use]
    pub fn spec(&self) -> mmu::TlbSpec {
        let level = |arrays: &[TlbArray]| arrays.iter().map(TlbArray::geometry).collect();
        mmu::TlbSpec {
            l1i: level(&self.l1i),
            l1d: level(&self.l1d),
            l2: level(&self.l2),
            l1_hit_cycles: self.l1_hit_cycles.get_u32(),
            l2_hit_cycles: self.l2_hit_cycles.get_u32(),
        }
    }
}

/// Page-walk caches of each CPU: each keeps entries of one level of the page table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalkCaches {
    /// Level-5 entries; used with five levels only.
    pub pml5e: WalkCache,
    /// Level-4 entries.
    pub pml4e: WalkCache,
    /// Level-3 entries.
    pub pdpte: WalkCache,
    /// Level-2 entries.
    pub pde: WalkCache,
}

/// The two rows of one walk cache.
macro_rules! cache {
    ($name:literal, $entries:literal, $note:literal) => {
        [
            row::<Int<0, 4096>>(
                concat!("walk_caches.", $name, ".entries"),
                "entries",
                concat!("Page-walk cache of ", $entries, " entries (", $note, "); 0 for none."),
                UNPUBLISHED,
            ),
            row::<Ways>(
                concat!("walk_caches.", $name, ".ways"),
                "entries a set",
                concat!("Associativity of the page-walk cache of ", $entries, " entries."),
                "as its entries",
            ),
        ]
    };
}

impl WalkCaches {
    pub(super) const ROWS: &[Parameter] = [
        cache!("pml5e", "level-5", "used with five levels only"),
        cache!("pml4e", "level-4", "a hit skips the reads above"),
        cache!("pdpte", "level-3", "a hit skips the reads above"),
        cache!("pde", "level-2", "a hit leaves one read"),
    ]
    .as_flattened();

    /// As the hardware describes them, of tables with so many levels.
    pub(crate) fn spec(&self, levels: u8) -> mmu::WalkCacheSpec {
        let by_level = [&self.pde, &self.pdpte, &self.pml4e, &self.pml5e];
        let geometry = |cache: &&WalkCache| {
            let entries = cache.entries.get_u32();
            let ways = cache.ways.of_entries(cache.entries.get()) as u32;
            (entries > 0).then_some(mmu::WalkCacheGeometry { entries, ways })
        };
        mmu::WalkCacheSpec { levels: by_level.iter().take(usize::from(levels) - 1).map(geometry).collect() }
    }
}

impl Default for WalkCaches {
    fn default() -> Self {
        let cache = |entries, ways| WalkCache { entries: Int::of(entries), ways };
        Self {
            pml5e: cache(0, Ways::Full),
            pml4e: cache(2, Ways::Full),
            pdpte: cache(4, Ways::Full),
            pde: cache(32, Ways::Count(4)),
        }
    }
}

/// One page-walk cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalkCache {
    /// Entries it holds; 0 for no cache of this level.
    pub entries: Int<0, 4096>,
    /// Entries a set.
    #[serde(default = "WalkCache::fully_associative")]
    pub ways: Ways,
}

impl WalkCache {
    fn fully_associative() -> Ways {
        Ways::Full
    }
}
