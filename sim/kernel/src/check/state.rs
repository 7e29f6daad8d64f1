//! The kernel as part of a machine's state.

use std::hash::Hash;

use pagewalk_engine::{Digest, Shared};

use super::oracle::Oracle;
use crate::kernel::Kernel;

impl Shared for Kernel {
    /// The hardware under it, its page cache, files, disk and address spaces, and its observers' notes. Counters that only reports
    /// show are left out.
    ///
    /// # Panics
    /// If it has swap areas: what they hold is not covered.
    fn absorb_into(&self, digest: &mut Digest) {
        assert_eq!(self.swap.nr_areas(), 0, "the state of swap areas is not known");
        self.hw.absorb_into(digest);
        self.zone.absorb_into(digest);
        self.cache.absorb_into(digest);
        self.inodes.all().iter().for_each(|inode| inode.absorb_into(digest));
        self.disk.absorb_into(digest);
        self.io.absorb_into(digest);
        self.cpus.iter().for_each(|cpu| cpu.absorb_into(digest));
        self.mmlist.absorb_into(digest);
        self.anon_vmas.absorb_into(digest);
        self.all_mms().iter().for_each(|mm| mm.absorb_into(digest));
        for flag in [self.background_runs.get(), self.kswapd_runs.get(), self.flusher_runs.get()] {
            digest.absorb(u64::from(flag));
        }
        digest.absorb(u64::from(self.inside.get()));
        digest.absorb(u64::from(self.oom().is_some()));
        if let Some(oracle) = self.oracle() {
            oracle.absorb_into(digest);
        }
    }
}

impl Shared for Oracle {
    fn absorb_into(&self, digest: &mut Digest) {
        for (&mm, shadow) in self.shadows.borrow().iter() {
            digest.absorb(u64::from(mm));
            shadow.absorb_into(digest);
        }
        let discards = self.discards.borrow();
        discards.absorb_into(digest);
        self.pins.absorb_into(digest, |tick| discards.order(tick));
        self.moves.borrow().hash(digest);
        self.forks.borrow().hash(digest);
        self.files.absorb_into(digest);
        self.backings.borrow().hash(digest);
        digest.absorb(self.stores.get());
    }
}
