//! The page each side hit last, where the hit loop need not search.

use super::Payload;
use crate::{Access, AccessObserver, Asid, BASE_PAGE_BYTES, TlbSide, Vaddr};

/// By the lowest five bits of a payload: which kinds of access the entry grants, bit n for kind n.
const GRANTED: [u8; 32] = granted_kinds();

/// The base page of each side's last hit. A hit there again is a hit of the entry used last, and changes nothing but
/// counters: so the hit loop need not search. What inserts into a side's first level, or removes, forgets it, and a hit
/// that had to pass over an entry not granting the access is not kept: an access that needs less would find that other
/// entry first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastHits {
    /// First address of the base page.
    pages: [u64; 2],
    payloads: [Payload; 2],
    /// By side, bit n: an access of kind n to the page is granted.
    granted: [u8; 2],
    /// The address space of both pages.
    asid: Asid,
}

impl LastHits {
    /// True if the access is within the last page of its side, and granted.
    #[inline(always)]
    pub(crate) fn serves(&self, access: Access) -> bool {
        let kind = access.kind();
        let offset = access.vaddr().0 ^ self.pages[kind.side() as usize];
        // Of an address in another page the "offset" is at least the size of a page.
        offset <= BASE_PAGE_BYTES - u64::from(access.len())
            && self.granted[kind.side() as usize] >> kind as u32 & 1 != 0
    }

    /// Tells of an access that is served.
    #[inline(always)]
    pub(crate) fn tell<O: AccessObserver>(&self, access: Access, observer: &mut O) {
        let (vaddr, kind) = (access.vaddr(), access.kind());
        observer.touch(vaddr, self.payloads[kind.side() as usize].base_frame(vaddr), kind);
    }

    /// Forgets pages of other address spaces.
    #[inline]
    pub(crate) fn switch_to(&mut self, asid: Asid) {
        if self.asid != asid {
            self.granted = [0; 2];
            self.asid = asid;
        }
    }

    /// Notes a hit of `payload` at `vaddr` in the address space switched to.
    #[inline(always)]
    pub(crate) fn remember(&mut self, side: TlbSide, vaddr: Vaddr, payload: Payload) {
        let at = side as usize;
        self.pages[at] = vaddr.0 & !(BASE_PAGE_BYTES - 1);
        self.payloads[at] = payload;
        self.granted[at] = GRANTED[payload.rights_bits()];
    }

    #[inline]
    pub(crate) fn forget(&mut self, side: TlbSide) {
        self.granted[side as usize] = 0;
    }
}

const fn granted_kinds() -> [u8; 32] {
    let mut by_rights = [0; 32];
    let mut rights = 0;
    while rights < 32 {
        let mut kind = 0;
        while kind < 4 {
            let granted = Payload::of_rights(rights as u64).grants(crate::AccessKind::ALL[kind].rights());
            by_rights[rights] |= (granted as u8) << kind;
            kind += 1;
        }
        rights += 1;
    }
    by_rights
}
