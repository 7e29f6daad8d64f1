//! Page-table entries and the geometry of the x86-64 tables.
//!
//! Source: Intel SDM volume 3A, chapter 4.5 (4-level and 5-level paging).

use std::fmt;

use pagewalk_engine::WordValue;

use crate::{BASE_SHIFT, PageSize, Pfn, Vaddr};

/// The geometry of a page-table format: how an address is cut into indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The name people read.
    pub name: &'static str,
    /// Levels; the root is at this level, page-table entries of base pages at level 1.
    pub levels: u8,
    /// Bits of the address that index one table.
    pub index_bits: u32,
    /// Levels above 1 whose entries may map a page directly: bit n - 1 for level n.
    pub leaf_levels: u8,
}

impl Format {
    /// x86-64 with four levels: 48-bit addresses.
    pub const X86_64_4: Self =
        Self { name: "x86-64, 4 levels", levels: 4, index_bits: 9, leaf_levels: 0b110 };
    /// x86-64 with five levels: 57-bit addresses.
    pub const X86_64_5: Self =
        Self { name: "x86-64, 5 levels", levels: 5, index_bits: 9, leaf_levels: 0b110 };

    /// The format with this many levels, if there is one.
    pub fn x86_64(levels: u8) -> Option<Self> {
        [Self::X86_64_4, Self::X86_64_5].into_iter().find(|format| format.levels == levels)
    }

    /// Address bits below the index of `level`: the shift of what one entry of that level maps.
    #[inline]
    pub const fn shift(&self, level: u8) -> u32 {
        BASE_SHIFT + self.index_bits * (level as u32 - 1)
    }

    /// Bytes mapped by one entry of `level`.
    #[inline]
    pub const fn span(&self, level: u8) -> u64 {
        1 << self.shift(level)
    }

    /// The index of `vaddr` in a table of `level`.
    #[inline]
    pub const fn index(&self, vaddr: Vaddr, level: u8) -> u16 {
        ((vaddr.0 >> self.shift(level)) & ((1 << self.index_bits) - 1)) as u16
    }

    /// Entries of one table.
    pub const fn entries(&self) -> u16 {
        1 << self.index_bits
    }

    /// One past the last address a program may use: the lower canonical half.
    pub const fn user_end(&self) -> Vaddr {
        Vaddr(1 << (self.shift(self.levels) + self.index_bits - 1))
    }

    /// The size of the page that a leaf entry at `level` maps, if that level may hold leaves.
    pub fn leaf_size(&self, level: u8) -> Option<PageSize> {
        let may = level == 1 || (level > 1 && self.leaf_levels >> (level - 1) & 1 != 0);
        may.then(|| PageSize::from_shift(self.shift(level))).flatten()
    }
}

/// A page-table entry of any level.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Pte(pub u64);

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const PAGE_SIZE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
/// Not present, and names a swap entry.
const SWAP: u64 = 1 << 1;
/// Not present, and names a page that is being migrated.
const MIGRATION: u64 = 1 << 2;
/// Of a migration entry: stores were allowed.
const MIGRATION_WRITE: u64 = 1 << 3;
/// Where the number in an entry that is not present begins.
const ENTRY_SHIFT: u32 = 12;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

impl Pte {
    /// No entry (`pte_none`).
    pub const NONE: Self = Self(0);

    /// A present user entry for the page at `pfn`, clean, not accessed, read-only, executable.
    pub const fn page(pfn: Pfn) -> Self {
        Self((pfn.0 as u64) << BASE_SHIFT | PRESENT | USER)
    }

    /// An entry that points to a lower table, as Linux writes it (`_PAGE_TABLE`): writable, accessed, dirty.
    pub const fn table(pfn: Pfn) -> Self {
        Self((pfn.0 as u64) << BASE_SHIFT | PRESENT | USER | WRITABLE | ACCESSED | DIRTY)
    }

    /// An entry that is not present and names a swap entry (`swp_entry_to_pte`).
    pub const fn swap(entry: u32) -> Self {
        Self((entry as u64) << ENTRY_SHIFT | SWAP)
    }

    /// An entry that is not present while its page is being migrated (`make_migration_entry`).
    pub const fn migration(pfn: Pfn, write: bool) -> Self {
        Self((pfn.0 as u64) << ENTRY_SHIFT | MIGRATION | if write { MIGRATION_WRITE } else { 0 })
    }

    /// The swap entry, if the entry is not present and names one.
    pub const fn swap_entry(self) -> Option<u32> {
        if self.0 & (PRESENT | SWAP) == SWAP { Some((self.0 >> ENTRY_SHIFT) as u32) } else { None }
    }

    /// The page that is being migrated, and whether stores were allowed, if the entry is a migration entry.
    pub const fn migration_entry(self) -> Option<(Pfn, bool)> {
        if self.0 & (PRESENT | SWAP | MIGRATION) == MIGRATION {
            Some((Pfn((self.0 >> ENTRY_SHIFT) as u32), self.0 & MIGRATION_WRITE != 0))
        } else {
            None
        }
    }

    const fn with(self, bit: u64, on: bool) -> Self {
        if on { Self(self.0 | bit) } else { Self(self.0 & !bit) }
    }

    const fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// Nothing is here: never mapped, or cleared.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
    /// The hardware may use it.
    pub const fn is_present(self) -> bool {
        self.has(PRESENT)
    }
    /// Stores are allowed.
    pub const fn is_writable(self) -> bool {
        self.has(WRITABLE)
    }
    /// User mode may use it.
    pub const fn is_user(self) -> bool {
        self.has(USER)
    }
    /// The hardware has used it (`pte_young`).
    pub const fn is_accessed(self) -> bool {
        self.has(ACCESSED)
    }
    /// The hardware has stored through it.
    pub const fn is_dirty(self) -> bool {
        self.has(DIRTY)
    }
    /// At a level above 1: maps a page, not a table.
    pub const fn is_leaf_bit(self) -> bool {
        self.has(PAGE_SIZE)
    }
    /// Valid in every address space.
    pub const fn is_global(self) -> bool {
        self.has(GLOBAL)
    }
    /// Fetches are allowed.
    pub const fn is_executable(self) -> bool {
        !self.has(NO_EXECUTE)
    }
    /// The frame it names.
    pub const fn pfn(self) -> Pfn {
        Pfn(((self.0 & FRAME) >> BASE_SHIFT) as u32)
    }

    /// With the write permission set or cleared (`pte_mkwrite`, `pte_wrprotect`).
    pub const fn writable(self, on: bool) -> Self {
        self.with(WRITABLE, on)
    }
    /// With the accessed bit set or cleared (`pte_mkyoung`, `pte_mkold`).
    pub const fn accessed(self, on: bool) -> Self {
        self.with(ACCESSED, on)
    }
    /// With the dirty bit set or cleared (`pte_mkdirty`, `pte_mkclean`).
    pub const fn dirty(self, on: bool) -> Self {
        self.with(DIRTY, on)
    }
    /// With fetches allowed or not.
    pub const fn executable(self, on: bool) -> Self {
        self.with(NO_EXECUTE, !on)
    }
    /// With no access by user mode at all (`PROT_NONE`), or with it.
    pub const fn user(self, on: bool) -> Self {
        self.with(USER, on)
    }
}

impl WordValue for Pte {
    fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Pte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        if let Some(entry) = self.swap_entry() {
            return write!(f, "swap {entry:#x}");
        }
        if let Some((pfn, write)) = self.migration_entry() {
            return write!(f, "migration of {pfn:?}{}", if write { ", writable" } else { "" });
        }
        let flag = |on: bool, letter: char| if on { letter } else { '-' };
        write!(
            f,
            "{:?} {}{}{}{}{}{}",
            self.pfn(),
            flag(self.is_present(), 'p'),
            flag(self.is_user(), 'u'),
            flag(self.is_writable(), 'w'),
            flag(self.is_executable(), 'x'),
            flag(self.is_accessed(), 'a'),
            flag(self.is_dirty(), 'd'),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_cut_into_nine_bit_indices() {
        let vaddr = Vaddr(0x7f12_3456_7abc);
        let format = Format::X86_64_4;
        let rebuilt =
            (1..=4).fold(0, |sum, level| sum | u64::from(format.index(vaddr, level)) << format.shift(level));
        assert_eq!(rebuilt, vaddr.0 & !0xfff);
        assert_eq!(format.user_end(), Vaddr(1 << 47));
        assert_eq!(Format::X86_64_5.user_end(), Vaddr(1 << 56));
    }

    #[test]
    fn leaves_are_allowed_where_the_manual_allows_them() {
        let sizes = [1, 2, 3, 4].map(|level| Format::X86_64_4.leaf_size(level).map(PageSize::shift));
        assert_eq!(sizes, [Some(12), Some(21), Some(30), None]);
    }

    #[test]
    fn entries_that_are_not_present_say_what_they_name_and_nothing_else() {
        for number in [1, 7, u32::MAX >> 4, u32::MAX] {
            let swap = Pte::swap(number);
            assert_eq!((swap.swap_entry(), swap.migration_entry()), (Some(number), None));
            assert!(!swap.is_present() && !swap.is_none());
            for write in [false, true] {
                let moving = Pte::migration(Pfn(number), write);
                assert_eq!(
                    (moving.swap_entry(), moving.migration_entry()),
                    (None, Some((Pfn(number), write)))
                );
                assert!(!moving.is_present() && !moving.is_none());
            }
        }
        let present = Pte::page(Pfn(5)).writable(true).accessed(true);
        assert_eq!((present.swap_entry(), present.migration_entry()), (None, None));
    }

    #[test]
    fn bits_stand_where_the_manual_puts_them() {
        let pte = Pte::page(Pfn(0x1234)).writable(true).dirty(true).executable(false);
        assert_eq!(pte.0, 0x8000_0000_0123_4047);
        assert_eq!(pte.pfn(), Pfn(0x1234));
        assert_eq!(Pte::table(Pfn(1)).0, 0x1067);
    }
}
