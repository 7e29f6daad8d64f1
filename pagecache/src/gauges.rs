//! How many pages the cache has (`NR_FILE_PAGES`), and how many of them are dirty (`NR_FILE_DIRTY`).
//!
//! Gauges are no steps: each moves with the store that changes what it counts, so that it is exact at every moment.

use std::cell::Cell;

use pagewalk_engine::Digest;
use pagewalk_mmu::Pfn;
use pagewalk_pages::PG_DIRTY;

use crate::address_space::AddressSpace;

/// The gauges of one machine's page cache. A kernel that is broken on purpose may take a page twice: they are signed.
#[derive(Default)]
pub(crate) struct Gauges {
    file_pages: Cell<i64>,
    file_dirty: Cell<i64>,
    swapcached: Cell<i64>,
    writeback: Cell<i64>,
}

pagewalk_engine::keep!(Gauges: file_pages, file_dirty, swapcached, writeback);

impl Gauges {
    /// Adds all four to a digest of the machine's state.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        for gauge in [&self.file_pages, &self.file_dirty, &self.swapcached, &self.writeback] {
            digest.absorb(gauge.get().cast_unsigned());
        }
    }

    /// `NR_FILE_PAGES`, without the swap cache: pages in the trees of files.
    pub(crate) fn nr_file_pages(&self) -> u64 {
        self.file_pages.get().max(0).cast_unsigned()
    }

    /// Pages in the swap cache.
    pub(crate) fn nr_swapcached(&self) -> u64 {
        self.swapcached.get().max(0).cast_unsigned()
    }

    /// `NR_WRITEBACK`, without the swap cache: pages of files that are being written.
    pub(crate) fn nr_writeback(&self) -> u64 {
        self.writeback.get().max(0).cast_unsigned()
    }

    /// `NR_FILE_DIRTY`: dirty pages of files that a disk is behind. One under writeback counts as well if it
    /// was dirtied again.
    pub(crate) fn nr_file_dirty(&self) -> u64 {
        self.file_dirty.get().max(0).cast_unsigned()
    }
}

impl AddressSpace {
    fn pages(&self) -> &Cell<i64> {
        let gauges = &self.cache.gauges;
        if self.is_swapper() { &gauges.swapcached } else { &gauges.file_pages }
    }

    /// A page came into the cache.
    pub(crate) fn note_added(&self) {
        add(self.pages(), 1);
    }

    /// A page has left the cache: its mapping is gone. A page that somebody dirtied meanwhile is not the file's any more. Like every
    /// gauge for observers and heuristics, it comes to the same whichever of the two was first.
    pub(crate) fn note_removed(&self, pfn: Pfn) {
        add(self.pages(), -1);
        let dirty = self.zone().memory.words(pfn).flags().observe() >> PG_DIRTY & 1 == 1;
        if dirty && self.account_dirty.get() {
            add(&self.cache.gauges.file_dirty, -1);
        }
    }

    /// Writeback of a page has begun (1) or ended (-1).
    pub(crate) fn note_writeback(&self, by: i64) {
        if !self.is_swapper() {
            add(&self.cache.gauges.writeback, by);
        }
    }

    /// The page's dirty flag has changed: `by` is 1 or -1. It counts only while the page is this file's. For observers and
    /// heuristics, as above.
    pub(crate) fn note_dirty(&self, pfn: Pfn, by: i64) {
        let ours = self.zone().memory.words(pfn).mapping().observe() == self.page_mapping();
        if ours && self.account_dirty.get() {
            add(&self.cache.gauges.file_dirty, by);
        }
    }
}

fn add(gauge: &Cell<i64>, by: i64) {
    gauge.set(gauge.get() + by);
}
