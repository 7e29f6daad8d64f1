//! The memory hardware as part of a machine's state: everything on which what follows depends, as one digest.

use std::hash::Hash;

use pagewalk_engine::{Digest, Shared};

use crate::hardware::Core;
use crate::{Asid, Hardware, Pfn, Root};

impl Shared for Hardware {
    /// Tables and every CPU's own hardware, for observers. Locks are left out: whoever holds one knows it.
    fn absorb_into(&self, digest: &mut Digest) {
        self.tables.absorb_into(digest);
        self.cores().iter().for_each(|core| core.absorb_translations(digest));
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
}
