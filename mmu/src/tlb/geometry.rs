//! What a TLB is made of: entries, ways, page sizes, replacement; and the rules a description must keep.

use crate::{PageSizes, SpecError};

/// Most entries of one array. The largest hardware TLBs have a few thousand.
pub const MAX_TLB_ENTRIES: u32 = 1 << 20;
/// Most ways of one array: where ways are invalid, or bits are read as a tree, choosing a victim may look at them all.
pub const MAX_TLB_WAYS: u32 = 1 << 10;

/// How a full set chooses the entry to give up. Invalid ways are always filled first, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The least recently used entry, exactly.
    Lru,
    /// A binary tree of bits per set, each pointing away from the half used last. If the number of ways is no power of
    /// two the tree is built over the next one, and a bit that points at absent ways is read as pointing the other way.
    TreePlru,
}

/// One TLB array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlbGeometry {
    /// Entries in all: 1..=[`MAX_TLB_ENTRIES`].
    pub entries: u32,
    /// Entries of a set, 1..=[`MAX_TLB_WAYS`], dividing `entries`; equal to `entries` for full associativity.
    /// The number of sets may be any; a page of some size goes to set (its number in pages of that size) modulo sets.
    pub ways: u32,
    /// Page sizes the array holds.
    pub sizes: PageSizes,
    /// Which entry a full set gives up.
    pub replacement: Replacement,
}

impl TlbGeometry {
    /// Checks the description.
    ///
    /// # Errors
    /// If there are no entries, ways or sizes, too many of them, or entries that do not fill whole sets.
    pub fn validate(&self) -> Result<(), SpecError> {
        let Self { entries, ways, .. } = *self;
        if entries == 0 || ways == 0 {
            return Err(SpecError::new(format!("{entries} entries in {ways} ways: both must be at least 1")));
        }
        if entries > MAX_TLB_ENTRIES {
            return Err(SpecError::new(format!(
                "{entries} entries are more than the limit of {MAX_TLB_ENTRIES}"
            )));
        }
        if ways > MAX_TLB_WAYS {
            return Err(SpecError::new(format!("{ways} ways are more than the limit of {MAX_TLB_WAYS}")));
        }
        if entries % ways != 0 {
            return Err(SpecError::new(format!("{entries} entries do not fill whole sets of {ways} ways")));
        }
        if self.sizes.is_empty() {
            return Err(SpecError::new("holds no page size"));
        }
        Ok(())
    }

    /// Number of sets.
    #[must_use]
    pub fn sets(&self) -> u32 {
        self.entries / self.ways
    }
}

/// The TLBs of one CPU: split L1, unified L2. Arrays of one level hold different page sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlbSpec {
    /// First-level arrays for instruction fetches.
    pub l1i: Vec<TlbGeometry>,
    /// First-level arrays for data.
    pub l1d: Vec<TlbGeometry>,
    /// Second-level arrays, for both; may be empty.
    pub l2: Vec<TlbGeometry>,
    /// Cycles of a translation found in L1.
    pub l1_hit_cycles: u32,
    /// Cycles of a translation found in L2, the L1 lookup included.
    pub l2_hit_cycles: u32,
}

impl TlbSpec {
    /// Checks every array, that no two arrays of a level share a page size, and that both first levels can hold the
    /// smallest page size named anywhere (larger pages can be held in fragments; a smaller one could not be held).
    ///
    /// # Errors
    /// Says which array is wrong and why.
    pub fn validate(&self) -> Result<(), SpecError> {
        let l1i = level_sizes("l1i", &self.l1i)?;
        let l1d = level_sizes("l1d", &self.l1d)?;
        let l2 = level_sizes("l2", &self.l2)?;
        let Some(smallest) = l1i.union(l1d).union(l2).smallest() else {
            return Err(SpecError::new("l1i and l1d need at least one array each"));
        };
        for (name, sizes) in [("l1i", l1i), ("l1d", l1d)] {
            if !sizes.contains(smallest) {
                return Err(SpecError::new(format!("{name}: no array holds the smallest page, {smallest}")));
            }
        }
        Ok(())
    }
}

/// The sizes of all arrays of a level, each array checked.
fn level_sizes(name: &str, arrays: &[TlbGeometry]) -> Result<PageSizes, SpecError> {
    let mut all = PageSizes::default();
    for (number, array) in arrays.iter().enumerate() {
        let part = format!("{name}[{number}]");
        array.validate().map_err(|error| error.within(&part))?;
        if all.overlaps(array.sizes) {
            return Err(
                SpecError::new("holds a page size that an earlier array of the level holds").within(&part)
            );
        }
        all = all.union(array.sizes);
    }
    Ok(all)
}
