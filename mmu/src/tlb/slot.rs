//! What a slot of an array holds, and what it is filed under.

use super::{Payload, TlbEntry};
use crate::{Asid, PageSize, Vaddr};

/// What an entry is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlbTag {
    /// First address of the page.
    pub page: Vaddr,
    /// Size of the page.
    pub size: PageSize,
    /// The address space, or `None` for a global entry.
    pub asid: Option<Asid>,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(super) set: u32,
    pub(super) slot: u32,
}

/// A translation, or an invalid one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    pub(super) tag: u64,
    pub(super) payload: Payload,
}

impl Slot {
    /// What it holds, if it is valid.
    pub(super) fn filed(self) -> Option<(TlbTag, TlbEntry)> {
        let Self { tag, payload } = self;
        payload.is_valid().then(|| {
            let entry = payload.unpack();
            let asid = if entry.global { None } else { Asid::new((tag & u64::from(Asid::MAX)) as u16) };
            (TlbTag { page: Vaddr(tag & !u64::from(Asid::MAX)), size: entry.size, asid }, entry)
        })
    }
}
