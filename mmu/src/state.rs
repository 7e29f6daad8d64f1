//! The memory hardware as part of a machine's state: everything on which what follows depends, as one digest.

use std::hash::Hash;

use pagewalk_engine::{Digest, Shared};

use crate::hardware::Core;
use crate::{Asid, Hardware, Pfn, Root};

impl Shared for Hardware {
    /// Frames, tables, free lists, LRU lists and every CPU's own hardware, for observers. Locks are left out: whoever holds one
    /// knows it.
    fn absorb_into(&self, digest: &mut Digest) {
        self.memory.absorb_into(digest);
        self.tables.absorb_into(digest);
        self.buddy.observe().hash(digest);
        self.lru.observe().hash(digest);
        self.zone.absorb_into(digest);
        self.rotated.borrow().hash(digest);
        let mut held = self.held_by_interrupts.borrow().clone();
        held.sort_unstable();
        held.hash(digest);
        self.freed_pages.borrow().hash(digest);
        self.cores().iter().for_each(|core| core.absorb_into(digest));
    }
}

impl Core {
    /// What its TLBs, walk caches and CR3 hold, as a number that is never 0.
    pub(crate) fn translations(&self) -> u64 {
        let mut digest = Digest::default();
        self.absorb_translations(&mut digest);
        digest.value() as u64 | 1
    }

    fn absorb_translations(&self, digest: &mut Digest) {
        self.tlb.borrow().absorb_into(digest);
        self.walk_caches.borrow().absorb_into(digest);
        let root = self.root.get().map_or((Pfn(0), Asid::default()), |Root { table, asid }| (table, asid));
        root.hash(digest);
    }

    fn absorb_into(&self, digest: &mut Digest) {
        self.absorb_translations(digest);
        self.pcp.borrow().hash(digest);
        self.pagevecs.borrow().hash(digest);
    }
}
