//! Page-walk caches: small arrays, one per upper level of the page table, that let a walk start near its end.
//!
//! Levels are numbered as hardware does: 1 is the table of PTEs, 2 the page directory, and so on to the root. A cached
//! entry *of level L* is an entry read from a level-L table, and so gives the frame of the table of level L-1. (Intel SDM
//! volume 3, section 4.10.3, calls these the PDE, PDPTE and PML4 caches.)

use pagewalk_engine::Digest;

use crate::tlb::{Payload, Replacement, TlbArray, TlbEntry, TlbGeometry};
use crate::{Asid, PageSize, PageSizes, Pfn, SpecError, Vaddr};

/// One level's array; replacement is LRU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkCacheGeometry {
    /// Entries in all, with the limits of [`TlbGeometry::entries`].
    pub entries: u32,
    /// Entries of a set, with the limits of [`TlbGeometry::ways`].
    pub ways: u32,
}

/// The page-walk caches of one CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkCacheSpec {
    /// The first is that of level 2, the next of level 3, and so on; `None` where a level is not cached. (Entries of
    /// level 1 are what the TLB caches.)
    pub levels: Vec<Option<WalkCacheGeometry>>,
}

/// What one level counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkCacheCounters {
    /// Lookups that were answered at this level.
    pub hits: u64,
    /// Lookups that found nothing here and went on to the next level up.
    pub misses: u64,
}

/// The answer of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkCached {
    /// Level of the entry found, at least 2.
    pub level: u8,
    /// Frame of the table it points to, which is of level `level - 1`: where the walk starts.
    pub table: Pfn,
}

/// The array of one level.
#[derive(Clone, Debug)]
struct Level {
    level: u8,
    /// What an entry of this level spans.
    span: PageSize,
    array: TlbArray,
    counters: WalkCacheCounters,
}

/// The page-walk caches of one CPU.
#[derive(Clone, Debug)]
pub struct WalkCache {
    /// Deepest level first.
    levels: Vec<Level>,
}

impl WalkCache {
    /// Back to what `kept` is, which was cloned from it.
    pub(crate) fn set_back(&mut self, kept: &Self) {
        for (own, kept) in self.levels.iter_mut().zip(&kept.levels) {
            own.array.set_back(&kept.array);
            own.counters = kept.counters;
        }
    }

    /// Empty caches for a page-table format in which an entry of level 1 spans `spans[0]`, of level 2 `spans[1]`, and
    /// so on up to the root.
    ///
    /// # Errors
    /// If a geometry does not fit the limits, or a level is cached that the format does not have.
    pub fn new(spec: &WalkCacheSpec, spans: &[PageSize]) -> Result<Self, SpecError> {
        let mut levels = Vec::new();
        for (position, geometry) in spec.levels.iter().enumerate() {
            let Some(WalkCacheGeometry { entries, ways }) = *geometry else { continue };
            let part = format!("page-walk cache of level {}", position + 2);
            let (Some(&span), Ok(level)) = (spans.get(position + 1), u8::try_from(position + 2)) else {
                let error = SpecError::new(format!("the page-table format has only {} levels", spans.len()));
                return Err(error.within(&part));
            };
            let sizes = PageSizes::of(&[span]);
            let geometry = TlbGeometry { entries, ways, sizes, replacement: Replacement::Lru };
            let array = TlbArray::new(geometry).map_err(|error| error.within(&part))?;
            levels.push(Level { level, span, array, counters: WalkCacheCounters::default() });
        }
        Ok(Self { levels })
    }

    /// The deepest entry cached for `vaddr`, searched from level 2 up.
    pub fn lookup(&mut self, vaddr: Vaddr, asid: Asid) -> Option<WalkCached> {
        for Level { level, array, counters, .. } in &mut self.levels {
            if let Some(entry) = array.lookup_payload(vaddr, asid) {
                counters.hits += 1;
                return Some(WalkCached { level: *level, table: entry.frame() });
            }
            counters.misses += 1;
        }
        None
    }

    /// Caches that the entry of `level` for `vaddr` points to `table`; false if that level is not cached.
    pub fn insert(&mut self, level: u8, vaddr: Vaddr, asid: Asid, table: Pfn) -> bool {
        let Some(Level { span, array, .. }) = self.levels.iter_mut().find(|cached| cached.level == level)
        else {
            return false;
        };
        // Only the frame is used: rights are those of the whole walk, which the TLB entry holds.
        let entry = TlbEntry {
            frame: table,
            size: *span,
            writable: false,
            user: false,
            executable: false,
            dirty: false,
            global: false,
        };
        array.insert_payload(vaddr, asid, Payload::whole(&entry), false);
        true
    }

    /// Removes the entries of `asid`. INVLPG does so too, for whatever address: it "invalidates all entries in all
    /// paging-structure caches associated with the current PCID" (Intel SDM volume 3, section 4.10.4.1). Returns how many.
    pub fn flush_asid(&mut self, asid: Asid) -> u32 {
        self.levels.iter_mut().map(|level| level.array.flush_asid(asid)).sum()
    }

    /// Removes all entries. Returns how many there were.
    pub fn flush_all(&mut self) -> u32 {
        self.levels.iter_mut().map(|level| level.array.flush_all()).sum()
    }

    /// The levels cached and what each counted, deepest first.
    pub fn counters(&self) -> impl Iterator<Item = (u8, WalkCacheCounters)> {
        self.levels.iter().map(|level| (level.level, level.counters))
    }

    /// What every level holds.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        self.levels.iter().for_each(|level| level.array.absorb_into(digest));
    }

    /// The valid entries: level, first address of the span, address space, and table pointed to.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Vaddr, Asid, Pfn)> {
        self.levels.iter().flat_map(|level| {
            level.array.iter().map(move |(tag, entry)| {
                (level.level, tag.page, tag.asid.expect("no walk-cache entry is global"), entry.frame)
            })
        })
    }
}
