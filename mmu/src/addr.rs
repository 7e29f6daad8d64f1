//! Addresses, page and frame numbers, address-space ids and page sizes, as types that cannot be mixed.
//!
//! Frames and page numbers are always counted in *base pages* of 4 KiB, whatever the page size of a mapping:
//! a 2 MiB page starts at a frame number that is a multiple of 512. Page sizes are data (a shift), so a format with
//! 16 KiB or 1 GiB pages needs nothing here.

use std::fmt;

/// Shift of the base page, the unit in which [`Vpn`] and [`Pfn`] count: 12 (4 KiB).
pub const BASE_SHIFT: u32 = 12;
/// Bytes of a base page.
pub const BASE_PAGE_BYTES: u64 = 1 << BASE_SHIFT;

/// A virtual address, in bytes. Any 64-bit value; whether it is canonical is for the page-table format to say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Vaddr(pub u64);

/// A physical address, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Paddr(pub u64);

/// A virtual page number: a virtual address in units of base pages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Vpn(pub u64);

/// A page frame number: a physical address in units of base pages. 32 bits reach 16 TiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pfn(pub u32);

impl Vaddr {
    /// The base page this address is in.
    #[inline]
    #[must_use]
    pub const fn vpn(self) -> Vpn {
        Vpn(self.0 >> BASE_SHIFT)
    }

    /// The first address of the page of `size` this address is in.
    #[inline]
    #[must_use]
    pub const fn align_down(self, size: PageSize) -> Self {
        Self(self.0 >> size.shift() << size.shift())
    }

    /// The first page boundary of `size` at or above this address, or `None` beyond the address space.
    #[must_use]
    pub fn align_up(self, size: PageSize) -> Option<Self> {
        self.checked_add(size.bytes() - 1).map(|above| above.align_down(size))
    }

    /// Bytes from the start of the page of `size` to this address.
    #[inline]
    #[must_use]
    pub const fn offset_in(self, size: PageSize) -> u64 {
        self.0 & (size.bytes() - 1)
    }

    /// True if a page of `size` can start here.
    #[must_use]
    pub const fn is_aligned(self, size: PageSize) -> bool {
        self.offset_in(size) == 0
    }

    /// This address plus `bytes`, or `None` beyond the address space.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }
}

impl Paddr {
    /// The frame this address is in, or `None` above 16 TiB.
    #[must_use]
    pub fn pfn(self) -> Option<Pfn> {
        u32::try_from(self.0 >> BASE_SHIFT).ok().map(Pfn)
    }

    /// This address plus `bytes`, or `None` beyond the address space.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }
}

impl Vpn {
    /// The first address of the page.
    #[must_use]
    pub const fn start(self) -> Vaddr {
        Vaddr(self.0 << BASE_SHIFT)
    }

    /// The page `pages` further on, or `None` beyond the address space.
    #[must_use]
    pub fn checked_add(self, pages: u64) -> Option<Self> {
        let vpn = self.0.checked_add(pages)?;
        (vpn <= u64::MAX >> BASE_SHIFT).then_some(Self(vpn))
    }
}

impl Pfn {
    /// The first address of the frame.
    #[must_use]
    pub const fn start(self) -> Paddr {
        Paddr((self.0 as u64) << BASE_SHIFT)
    }

    /// The frame `frames` further on, or `None` beyond 16 TiB.
    #[must_use]
    pub fn checked_add(self, frames: u32) -> Option<Self> {
        self.0.checked_add(frames).map(Self)
    }

    /// True if a page of `size` can start at this frame.
    #[must_use]
    pub fn is_aligned(self, size: PageSize) -> bool {
        u64::from(self.0) & (size.base_pages() - 1) == 0
    }
}

/// An address-space id (x86-64 calls it PCID): 0..=4095.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Asid(u16);

impl Asid {
    /// The largest id: 12 bits, as CR3 holds (Intel SDM volume 3, section 4.10.1).
    pub const MAX: u16 = 0xfff;

    /// The id `raw`, or `None` above [`Asid::MAX`].
    #[must_use]
    pub const fn new(raw: u16) -> Option<Self> {
        if raw <= Self::MAX { Some(Self(raw)) } else { None }
    }

    /// The id as a number.
    #[inline]
    #[must_use]
    pub const fn raw(self) -> u16 {
        self.0
    }
}

/// A page size, held as the shift that makes its bytes: 12 (4 KiB) to 52.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(u8);

impl PageSize {
    /// 4 KiB, the base page.
    pub const BASE: Self = Self(12);
    /// 2 MiB, an x86-64 page-directory entry.
    pub const MIB2: Self = Self(21);
    /// 1 GiB, an x86-64 page-directory-pointer entry.
    pub const GIB1: Self = Self(30);

    /// The size of `1 << shift` bytes, or `None` if the shift is outside 12..=52.
    #[must_use]
    pub const fn from_shift(shift: u32) -> Option<Self> {
        if shift >= BASE_SHIFT && shift <= 52 { Some(Self(shift as u8)) } else { None }
    }

    /// Logarithm of the bytes.
    #[inline]
    #[must_use]
    pub const fn shift(self) -> u32 {
        self.0 as u32
    }

    /// Bytes of the page.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.0
    }

    /// How many base pages make one page of this size.
    #[inline]
    #[must_use]
    pub const fn base_pages(self) -> u64 {
        1 << (self.0 as u32 - BASE_SHIFT)
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        let tens = (self.shift() / 10) as usize;
        write!(f, "{} {}", 1_u64 << (self.shift() % 10), UNITS[tens - 1])
    }
}

impl fmt::Debug for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of page sizes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PageSizes(u64);

impl PageSizes {
    /// The set of the sizes listed.
    #[must_use]
    pub fn of(sizes: &[PageSize]) -> Self {
        Self(sizes.iter().fold(0, |set, size| set | 1 << size.shift()))
    }

    /// True if no size is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if `size` is in the set.
    #[must_use]
    pub const fn contains(self, size: PageSize) -> bool {
        self.0 >> size.shift() & 1 == 1
    }

    /// The sizes in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if some size is in both sets.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The smallest size of the set.
    #[must_use]
    pub fn smallest(self) -> Option<PageSize> {
        self.iter().next()
    }

    /// The sizes, smallest first.
    pub fn iter(self) -> impl Iterator<Item = PageSize> {
        (BASE_SHIFT..=52).filter_map(PageSize::from_shift).filter(move |&size| self.contains(size))
    }
}

impl fmt::Debug for PageSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A range of virtual addresses `start..end`; empty if they are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VaddrRange {
    start: Vaddr,
    end: Vaddr,
}

impl VaddrRange {
    /// The range `start..end`, or `None` if it would end before it starts.
    #[must_use]
    pub fn new(start: Vaddr, end: Vaddr) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// The range of `bytes` from `start`, or `None` beyond the address space.
    #[must_use]
    pub fn with_len(start: Vaddr, bytes: u64) -> Option<Self> {
        Some(Self { start, end: start.checked_add(bytes)? })
    }

    /// The first address.
    #[must_use]
    pub const fn start(self) -> Vaddr {
        self.start
    }

    /// The first address after the range.
    #[must_use]
    pub const fn end(self) -> Vaddr {
        self.end
    }

    /// Bytes in the range.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.0 - self.start.0
    }

    /// True if the range holds no address.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start.0 == self.end.0
    }

    /// True if `vaddr` is in the range.
    #[must_use]
    pub fn contains(self, vaddr: Vaddr) -> bool {
        self.start <= vaddr && vaddr < self.end
    }

    /// True if some address is in both ranges.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.intersect(other).is_some()
    }

    /// The addresses in both ranges, or `None` if there is none.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (start < end).then_some(Self { start, end })
    }

    /// The addresses a base page apart, from the range's start on.
    pub fn addresses(self) -> impl Iterator<Item = Vaddr> {
        (self.start.0..self.end.0).step_by(1 << BASE_SHIFT).map(Vaddr)
    }

    /// The base pages the range touches, in ascending order; a page touched only in part is included.
    pub fn pages(self) -> impl Iterator<Item = Vpn> {
        let after = if self.is_empty() { self.start.vpn().0 } else { Vaddr(self.end.0 - 1).vpn().0 + 1 };
        (self.start.vpn().0..after).map(Vpn)
    }
}

impl fmt::Display for VaddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl fmt::Debug for VaddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Numbers print in hexadecimal, as `/proc` and kernel messages do; `Debug` adds the type.
macro_rules! print_hex {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
    )*};
}

print_hex!(Vaddr, Paddr, Vpn, Pfn, Asid);
