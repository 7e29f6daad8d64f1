//! Pins: references under which a device works on the contents of a page (mm/gup.c; since Linux 5.6 `pin_user_pages`).

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;

use crate::{Fix, PageRef, Zone};

/// What a pin for writing adds to a page's count, so that it can be told from other references (`GUP_PIN_COUNTING_BIAS`).
pub const GUP_PIN_COUNTING_BIAS: i32 = 1024;

/// A page that a device works on, held by a path until [`Zone::unpin_page`].
#[must_use = "a pin is given back"]
pub struct Pin<'a> {
    page: PageRef<'a>,
    /// What it is in the page's count.
    references: i32,
}

impl<'a> Pin<'a> {
    /// The page.
    pub fn pfn(&self) -> Pfn {
        self.page.pfn()
    }

    /// The page, as a reference.
    pub fn page(&self) -> &PageRef<'a> {
        &self.page
    }
}

impl Zone {
    /// `try_grab_page`: pins the page, which has a reference already. Only pins of pages that a device fills (`write`) are told from
    /// references: what a device reads is of the moment at which it reads it. v2.6.27 tells none.
    pub async fn pin_page<'a>(&'a self, cx: &'a Context, pfn: Pfn, write: bool) -> Pin<'a> {
        if !(write && self.switches().has(Fix::ForkCopiesPinned)) {
            return Pin { page: self.memory.get_page(cx, pfn).await, references: 1 };
        }
        let references = GUP_PIN_COUNTING_BIAS;
        if self.memory.words(pfn).count().fetch_add(cx, references).await <= 0 {
            cx.engine().violation("I1", format!("{pfn:?} is pinned, and its count was 0"));
        }
        Pin { page: PageRef::counted(cx, pfn), references }
    }

    /// `unpin_user_page`: the device is done with it. Whoever gives back the last reference frees the page.
    pub async fn unpin_page(&self, cx: &Context, pin: Pin<'_>) {
        let (pfn, references) = (pin.page.into_pfn(), pin.references);
        let before = self.memory.words(pfn).count().fetch_add(cx, -references).await;
        if before < references {
            cx.engine().violation("I1", format!("the count of {pfn:?} went below 0"));
        }
        if before == references {
            self.page_cache_release(cx, pfn).await;
            self.free_hot_page(cx, pfn).await;
        }
    }

    /// `page_maybe_dma_pinned`: whether a device fills the page. One with very many references looks like it.
    pub async fn page_maybe_dma_pinned(&self, cx: &Context, pfn: Pfn) -> bool {
        self.memory.words(pfn).count().read_once(cx).await >= GUP_PIN_COUNTING_BIAS
    }
}
