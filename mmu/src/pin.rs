//! Pins: references under which a device works on the contents of a page (mm/gup.c, since Linux 5.6 `pin_user_pages`).

use pagewalk_engine::Context;

use crate::{Hardware, PageRef, Pfn};

/// A page that a device works on, held by a path until [`Hardware::unpin_page`].
#[must_use = "a pin is given back"]
pub struct Pin<'a> {
    page: PageRef<'a>,
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

impl Hardware {
    /// Takes a reference for a device that will work on the page, which has one already.
    pub async fn get_page_for_io<'a>(&'a self, cx: &'a Context, pfn: Pfn) -> Pin<'a> {
        Pin { page: self.memory.get_page(cx, pfn).await }
    }

    /// `unpin_user_page`: the device is done with it.
    pub async fn unpin_page(&self, cx: &Context, pin: Pin<'_>) {
        self.put_page(cx, pin.page).await;
    }
}
