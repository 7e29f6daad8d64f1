//! The pages as part of a machine's state: everything on which what follows depends, as one digest.

use std::hash::Hash;

use pagewalk_engine::{Digest, Shared};

use crate::Zone;

impl Shared for Zone {
    /// Frames, free lists, LRU lists and every CPU's own pages, for observers. Locks are left out: whoever holds one knows it.
    fn absorb_into(&self, digest: &mut Digest) {
        self.memory.absorb_into(digest);
        self.buddy.observe().hash(digest);
        self.lru.observe().hash(digest);
        self.charged.borrow().iter().for_each(|&frames| digest.absorb(u64::from(frames)));
        self.rotated.borrow().hash(digest);
        let mut held = self.held_by_interrupts.borrow().clone();
        held.sort_unstable();
        held.hash(digest);
        self.freed_pages.borrow().hash(digest);
        for cpu in &self.cpus {
            cpu.pcp.borrow().hash(digest);
            cpu.pagevecs.borrow().hash(digest);
        }
    }
}
