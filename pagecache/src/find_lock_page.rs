//! `find_lock_page`: a page of the cache that stays there while the caller has it locked.

use pagewalk_engine::Context;
use pagewalk_pages::PageRef;

use crate::address_space::{AddressSpace, PageIndex};
use crate::find_get_page::find_get_page;
use crate::page_lock::{lock_page, unlock_page};
use crate::retries::Rounds;

/// The page at `index`, locked and with a reference; `None` if there is none. May sleep.
///
///  1. find the page ([`find_get_page`]);
///  2. lock it;
///  3. check that it is still this file's: if it has left meanwhile, give it back and begin again;
///  4. check its index: a page that stays in its file keeps it.
pub async fn find_lock_page<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Option<PageRef<'a>> {
    let zone = mapping.zone();
    let mut rounds = Rounds::default();
    loop {
        rounds.next(cx, "find_lock_page").await;
        let page = find_get_page(cx, mapping, index).await?; // 1
        lock_page(cx, zone, page.pfn()).await; // 2
        // 3. Whoever takes a page out of the cache holds its lock: what the mapping says now, it says until we unlock.
        if zone.memory.words(page.pfn()).mapping().read_once(cx).await == mapping.page_mapping() {
            mapping.check_locked(cx, page.pfn(), index); // 4
            return Some(page);
        }
        cx.mark("find_lock_page:truncated");
        mapping.check_truncated(cx, page.pfn(), index);
        unlock_page(cx, zone, page.pfn()).await;
        let pfn = page.pfn();
        zone.put_page(cx, page).await;
        mapping.until_changed(cx, index, pfn).await;
    }
}
