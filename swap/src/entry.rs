//! `swp_entry_t`: which page of which swap area.

use std::fmt;

/// Bits of the offset; the rest is the area's number (`SWP_TYPE_SHIFT` in 32 bits).
const OFFSET_BITS: u32 = 27;

/// A page of a swap area. Offset 0 of an area is its header, so that the word 0 names no entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwapEntry(u32);

impl SwapEntry {
    /// Areas there can be (`MAX_SWAPFILES` of v2.6.27: 32, less two for migration).
    pub const MAX_AREAS: u8 = 30;
    /// Offsets are below this.
    pub const MAX_OFFSET: u32 = 1 << OFFSET_BITS;

    /// The page at `offset` of area `area`.
    ///
    /// # Panics
    /// If there can be no such area or offset, or the offset is the header's.
    #[must_use]
    pub const fn new(area: u8, offset: u32) -> Self {
        assert!(area < Self::MAX_AREAS && offset > 0 && offset < Self::MAX_OFFSET, "a possible swap entry");
        Self((area as u32) << OFFSET_BITS | offset)
    }

    /// What `page->private` or a PTE holds; `None` of 0.
    #[must_use]
    pub const fn from_word(word: u32) -> Option<Self> {
        if word == 0 { None } else { Some(Self(word)) }
    }

    /// The word that stands for it in `page->private`, in a PTE, and as index into the swap cache.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0
    }

    /// The number of its area.
    #[must_use]
    pub const fn area(self) -> u8 {
        (self.0 >> OFFSET_BITS) as u8
    }

    /// The page of the area, from 1.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.0 & (Self::MAX_OFFSET - 1)
    }
}

impl fmt::Debug for SwapEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "swap {}:{}", self.area(), self.offset())
    }
}
