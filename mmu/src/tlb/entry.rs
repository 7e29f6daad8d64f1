//! What a TLB entry says, and its packed form.

use crate::{BASE_SHIFT, PageSize, Pfn, Vaddr};

/// A translation as a TLB holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlbEntry {
    /// First frame of the page, in base pages.
    pub frame: Pfn,
    /// Size of the page.
    pub size: PageSize,
    /// Stores are allowed.
    pub writable: bool,
    /// User mode may use it.
    pub user: bool,
    /// Fetches are allowed.
    pub executable: bool,
    /// The dirty bit of the page-table entry was set when this entry was filled: a store need not set it.
    pub dirty: bool,
    /// Valid in every address space.
    pub global: bool,
}

impl TlbEntry {
    /// The frame of the base page around `vaddr`, which the entry translates.
    #[must_use]
    pub fn base_frame(&self, vaddr: Vaddr) -> Pfn {
        Pfn(self.frame.0 + (vaddr.offset_in(self.size) >> BASE_SHIFT) as u32)
    }
}

/// A set of permission bits of a [`Payload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights(u64);

const VALID: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const EXECUTABLE: u64 = 1 << 3;
const DIRTY: u64 = 1 << 4;
const GLOBAL: u64 = 1 << 5;
/// All that a [`Rights`] can name.
const RIGHTS: u64 = VALID | WRITABLE | USER | EXECUTABLE | DIRTY;
const SIZE_AT: u32 = 8;
const ORIGIN_AT: u32 = 16;
const SHIFT_MASK: u64 = 0x3f;
const FRAME_AT: u32 = 32;
/// The bits that, beside the tag word, tell one entry from another.
const CLASS: u64 = VALID | GLOBAL | SHIFT_MASK << SIZE_AT;

impl Rights {
    /// Nothing beyond being there.
    pub(crate) const ANY: Self = Self(VALID);
    /// A user-mode load.
    pub(crate) const LOAD: Self = Self(VALID | USER);
    /// A user-mode store: the dirty bit must be set already.
    pub(crate) const STORE: Self = Self(VALID | USER | WRITABLE | DIRTY);
    /// A user-mode instruction fetch.
    pub(crate) const FETCH: Self = Self(VALID | USER | EXECUTABLE);
}

/// A [`TlbEntry`] in one word; zero is an invalid entry.
///
/// Bits 0..=5: valid, writable, user, executable, dirty, global. Bits 8..14: shift of the size held. Bits 16..22: shift
/// of the page the entry was cut from, larger than the size held if the array cannot hold such pages. Bits 32..64: frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Payload(u64);

impl Payload {
    /// The whole entry.
    #[inline]
    pub(crate) fn whole(entry: &TlbEntry) -> Self {
        let bit = |set: bool, bit: u64| if set { bit } else { 0 };
        let shift = u64::from(entry.size.shift());
        Self(
            VALID
                | bit(entry.writable, WRITABLE)
                | bit(entry.user, USER)
                | bit(entry.executable, EXECUTABLE)
                | bit(entry.dirty, DIRTY)
                | bit(entry.global, GLOBAL)
                | shift << SIZE_AT
                | shift << ORIGIN_AT
                | u64::from(entry.frame.0) << FRAME_AT,
        )
    }

    /// The part of size `held` around `vaddr`, of the same origin: a fragment, unless `held` is the size already.
    #[inline]
    pub(crate) fn part(self, vaddr: Vaddr, held: PageSize) -> Self {
        if self.0 >> SIZE_AT & SHIFT_MASK == u64::from(held.shift()) {
            return self;
        }
        let size = self.size();
        debug_assert!(held < size, "an entry of {size} cannot stand for {held}");
        let within_page = vaddr.align_down(held).offset_in(size) >> BASE_SHIFT;
        let held = u64::from(held.shift()) << SIZE_AT;
        Self((self.0 & !(SHIFT_MASK << SIZE_AT) | held).wrapping_add(within_page << FRAME_AT))
    }

    /// An entry of nothing but the permission bits given: [`Payload::rights_bits`].
    pub(crate) const fn of_rights(bits: u64) -> Self {
        Self(bits & RIGHTS)
    }

    /// The whole word.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The permission bits, below 32.
    #[inline]
    pub(crate) fn rights_bits(self) -> usize {
        (self.0 & RIGHTS) as usize
    }

    /// The entry this word stands for: the page or fragment held.
    pub(crate) fn unpack(self) -> TlbEntry {
        let has = |bit: u64| self.0 & bit != 0;
        TlbEntry {
            frame: self.frame(),
            size: self.size(),
            writable: has(WRITABLE),
            user: has(USER),
            executable: has(EXECUTABLE),
            dirty: has(DIRTY),
            global: has(GLOBAL),
        }
    }

    /// The class of valid entries of one size, global or not: what [`Payload::is_of`] compares.
    pub(crate) fn class(size: PageSize, global: bool) -> u64 {
        VALID | u64::from(size.shift()) << SIZE_AT | if global { GLOBAL } else { 0 }
    }

    #[inline]
    pub(crate) fn is_of(self, class: u64) -> bool {
        self.0 & CLASS == class
    }

    /// The class it is of.
    #[inline]
    pub(crate) fn class_bits(self) -> u64 {
        self.0 & CLASS
    }

    /// What it is counted under: class and origin.
    #[inline]
    pub(crate) fn shape_bits(self) -> u64 {
        self.0 & (CLASS | SHIFT_MASK << ORIGIN_AT)
    }

    /// [`Payload::is_of`] and [`Payload::grants`] in one comparison.
    #[inline]
    pub(crate) fn is_of_and_grants(self, class: u64, need: Rights) -> bool {
        self.0 & (CLASS | need.0) == class | need.0
    }

    #[inline]
    pub(crate) const fn grants(self, need: Rights) -> bool {
        self.0 & need.0 == need.0
    }

    #[inline]
    pub(crate) fn is_valid(self) -> bool {
        self.0 & VALID != 0
    }

    pub(crate) fn is_global(self) -> bool {
        self.0 & GLOBAL != 0
    }

    pub(crate) fn is_fragment(self) -> bool {
        self.0 >> SIZE_AT & SHIFT_MASK != self.0 >> ORIGIN_AT & SHIFT_MASK
    }

    /// Size of the page or fragment held.
    pub(crate) fn size(self) -> PageSize {
        size_at(self.0, SIZE_AT)
    }

    /// Size of the page the entry was cut from.
    pub(crate) fn origin(self) -> PageSize {
        size_at(self.0, ORIGIN_AT)
    }

    #[inline]
    pub(crate) fn frame(self) -> Pfn {
        Pfn((self.0 >> FRAME_AT) as u32)
    }

    /// The frame of the base page that holds `vaddr`.
    #[inline]
    pub(crate) fn base_frame(self, vaddr: Vaddr) -> Pfn {
        let shift = self.0 >> SIZE_AT & SHIFT_MASK;
        let within = vaddr.vpn().0 & ((1 << (shift - u64::from(BASE_SHIFT))) - 1);
        Pfn(self.frame().0.wrapping_add(within as u32))
    }
}

fn size_at(word: u64, at: u32) -> PageSize {
    PageSize::from_shift((word >> at & SHIFT_MASK) as u32)
        .expect("a valid payload was packed from page sizes")
}
