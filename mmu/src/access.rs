//! A memory access of a program, and what is counted about accesses.

use crate::tlb::Rights;
use crate::{BASE_PAGE_BYTES, PageSize, Pfn, TlbSide, Vaddr};

/// Most bytes of one access: with more it could touch three pages.
pub const MAX_ACCESS_BYTES: u16 = 4096;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// Fetches an instruction.
    Fetch = 0,
    /// Reads.
    Load = 1,
    /// Writes.
    Store = 2,
    /// Reads, then writes the same bytes: one translation with write intent, as x86's read-modify-write has.
    Modify = 3,
}

impl AccessKind {
    /// The four kinds.
    pub const ALL: [Self; 4] = [Self::Fetch, Self::Load, Self::Store, Self::Modify];

    /// True if it writes: [`AccessKind::Store`] and [`AccessKind::Modify`].
    #[inline]
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Store | Self::Modify)
    }

    /// The first-level TLB that translates it.
    #[inline]
    #[must_use]
    pub const fn side(self) -> TlbSide {
        match self {
            Self::Fetch => TlbSide::Fetch,
            Self::Load | Self::Store | Self::Modify => TlbSide::Data,
        }
    }

    /// What a TLB entry must grant.
    #[inline]
    pub(crate) const fn rights(self) -> Rights {
        const BY_KIND: [Rights; 4] = [Rights::FETCH, Rights::LOAD, Rights::STORE, Rights::STORE];
        BY_KIND[self as usize]
    }
}

/// One access of a user program: 1..=4096 bytes that do not wrap around the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    vaddr: Vaddr,
    len: u16,
    kind: AccessKind,
}

impl Access {
    /// An access of `len` bytes at `vaddr`, or `None` if `len` is 0 or above [`MAX_ACCESS_BYTES`], or the last byte
    /// would be beyond the address space.
    #[must_use]
    pub fn new(vaddr: Vaddr, len: u16, kind: AccessKind) -> Option<Self> {
        let fits = (1..=MAX_ACCESS_BYTES).contains(&len) && vaddr.checked_add(u64::from(len) - 1).is_some();
        fits.then_some(Self { vaddr, len, kind })
    }

    /// Address of the first byte.
    #[inline]
    #[must_use]
    pub const fn vaddr(self) -> Vaddr {
        self.vaddr
    }

    /// Bytes.
    #[inline]
    #[must_use]
    pub const fn len(self) -> u16 {
        self.len
    }

    /// False: there is no empty access.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// What it does.
    #[inline]
    #[must_use]
    pub const fn kind(self) -> AccessKind {
        self.kind
    }

    /// True if it crosses a base-page boundary, and so is two touches.
    #[inline]
    #[must_use]
    pub const fn is_split(self) -> bool {
        self.vaddr.offset_in(PageSize::BASE) + self.len as u64 > BASE_PAGE_BYTES
    }

    /// Where its second touch starts: the base-page boundary, meaningful if the access [is split](Access::is_split).
    #[inline]
    #[must_use]
    pub const fn second_half(self) -> Vaddr {
        Vaddr(self.vaddr.align_down(PageSize::BASE).0.wrapping_add(BASE_PAGE_BYTES))
    }
}

/// Is told of every touch, in order: once for an access within a base page, twice for one that crosses a boundary.
pub trait AccessObserver {
    /// `vaddr` is the first byte touched in the page, `pfn` the frame of that base page.
    fn touch(&mut self, vaddr: Vaddr, pfn: Pfn, kind: AccessKind);
}

/// Observes nothing.
impl AccessObserver for () {
    #[inline]
    fn touch(&mut self, _vaddr: Vaddr, _pfn: Pfn, _kind: AccessKind) {}
}

/// Accesses finished, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessCounters {
    /// Instruction fetches.
    pub fetches: u64,
    /// Loads.
    pub loads: u64,
    /// Stores.
    pub stores: u64,
    /// Read-modify-writes.
    pub modifies: u64,
    /// Those of any kind that crossed a base-page boundary.
    pub splits: u64,
}

impl AccessCounters {
    /// All accesses.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.fetches + self.loads + self.stores + self.modifies
    }
}
