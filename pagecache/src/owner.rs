//! How a page says whose it is: a file's by `mapping` and `index`, one of the swap cache by `PG_swapcache` and `private`.
//!
//! Follows include/linux/mm.h (`page_mapping`, `page_index`) of v2.6.27. A page of the swap cache is an anonymous page: its `mapping`
//! and `index` stay what they are to the reverse mapping.

use pagewalk_engine::{Context, Engine};
use pagewalk_mmu::Pfn;
use pagewalk_pages::PG_SWAPCACHE;

use crate::address_space::{AddressSpace, PageIndex};

impl AddressSpace {
    /// The page says from now on that it is at `index`. Nobody can find it yet.
    pub(crate) async fn claim(&self, cx: &Context, pfn: Pfn, index: PageIndex) {
        let words = self.zone().memory.words(pfn);
        if self.is_swapper() {
            words.flags().set_bit(cx, PG_SWAPCACHE).await;
            words.private().write_once(cx, entry_word(index)).await;
        } else {
            words.mapping().write_once(cx, self.page_mapping()).await;
            words.index().write_once(cx, index).await;
        }
    }

    /// The page says from now on that it is nowhere.
    pub(crate) async fn disclaim(&self, cx: &Context, pfn: Pfn) {
        let words = self.zone().memory.words(pfn);
        if self.is_swapper() {
            words.private().write_once(cx, 0).await;
            words.flags().clear_bit(cx, PG_SWAPCACHE).await;
        } else {
            words.mapping().write_once(cx, 0).await;
        }
    }

    /// `page_mapping(page) == mapping`.
    pub(crate) async fn owns(&self, cx: &Context, pfn: Pfn) -> bool {
        let words = self.zone().memory.words(pfn);
        if self.is_swapper() {
            words.flags().test_bit(cx, PG_SWAPCACHE).await
        } else {
            words.mapping().read_once(cx).await == self.page_mapping()
        }
    }

    /// `page_index`: the place that a page of this address space says it has.
    pub(crate) async fn page_index(&self, cx: &Context, pfn: Pfn) -> PageIndex {
        let words = self.zone().memory.words(pfn);
        if self.is_swapper() {
            u64::from(words.private().read_once(cx).await)
        } else {
            words.index().read_once(cx).await
        }
    }

    /// `page_index` of a page under writeback, which stays where it is; in the step of an interrupt.
    pub(crate) fn page_index_in_step(&self, engine: &Engine, pfn: Pfn) -> PageIndex {
        let words = self.zone().memory.words(pfn);
        if self.is_swapper() {
            u64::from(words.private().load_in_step(engine))
        } else {
            words.index().load_in_step(engine)
        }
    }

    /// The place that the page says it has here, for observers; `None` if it says that it is elsewhere.
    pub(crate) fn observe_index(&self, pfn: Pfn) -> Option<PageIndex> {
        let words = self.zone().memory.words(pfn);
        if self.is_swapper() {
            let cached = words.flags().observe() >> PG_SWAPCACHE & 1 == 1;
            cached.then(|| u64::from(words.private().observe()))
        } else {
            (words.mapping().observe() == self.page_mapping()).then(|| words.index().observe())
        }
    }
}

/// The word that stands for a place in the swap cache.
///
/// # Panics
/// If the place is no swap entry.
pub(crate) fn entry_word(index: PageIndex) -> u32 {
    u32::try_from(index).expect("a swap entry is a word of 32 bits")
}
