//! Operations on a file's pages, as contexts of the machine do them.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::AddressSpace;
use pagewalk_pages::PageRef;

/// A new page at `index` with contents `stamp`, unlocked and up to date; false if there is one already.
pub(crate) async fn add(cx: &Context, mapping: &AddressSpace, index: u64, stamp: u64) -> bool {
    let zone = mapping.zone();
    let page = zone.alloc_page(cx).await.expect("a free frame");
    zone.memory.fill_page(cx, page.pfn(), stamp).await;
    let added = pagewalk_pagecache::add_to_page_cache(cx, &page, mapping, index).await.is_ok();
    if added {
        zone.memory.words(page.pfn()).flags().set_bit(cx, pagewalk_pages::PG_UPTODATE).await;
        pagewalk_pagecache::unlock_page(cx, zone, page.pfn()).await;
    }
    zone.put_page(cx, page).await;
    added
}

/// Truncation of one page: out of the cache whatever its count. True if there was one.
pub(crate) async fn truncate(cx: &Context, mapping: &AddressSpace, index: u64) -> bool {
    let zone = mapping.zone();
    let Some(page) = pagewalk_pagecache::find_lock_page(cx, mapping, index).await else { return false };
    pagewalk_pagecache::wait_on_page_writeback(cx, zone, page.pfn()).await;
    pagewalk_pagecache::test_clear_page_dirty(cx, mapping, page.pfn()).await;
    pagewalk_pagecache::remove_from_page_cache(cx, mapping, page.pfn()).await;
    pagewalk_pagecache::unlock_page(cx, zone, page.pfn()).await;
    zone.put_page(cx, PageRef::counted(cx, page.pfn())).await; // the cache's
    zone.put_page(cx, page).await;
    true
}

/// Reclaim of one page, as `shrink_page_list` ends: frozen, out, and freed without a put. True if it went.
pub(crate) async fn reclaim(cx: &Context, mapping: &AddressSpace, index: u64) -> bool {
    let zone = mapping.zone();
    let Some(page) = pagewalk_pagecache::find_get_page(cx, mapping, index).await else { return false };
    if !pagewalk_pagecache::trylock_page(cx, zone, page.pfn()).await {
        zone.put_page(cx, page).await;
        return false;
    }
    let ours = zone.memory.words(page.pfn()).mapping().read_once(cx).await == mapping.page_mapping();
    if ours && pagewalk_pagecache::__remove_mapping(cx, mapping, page.pfn()).await {
        let pfn: Pfn = page.into_pfn();
        pagewalk_pagecache::unlock_page(cx, zone, pfn).await;
        zone.free_hot_page(cx, pfn).await;
        return true;
    }
    pagewalk_pagecache::unlock_page(cx, zone, page.pfn()).await;
    zone.put_page(cx, page).await;
    false
}

/// Migration of one page to another frame, as `unmap_and_move` does it of a page that is mapped nowhere. True if it moved.
pub(crate) async fn migrate(cx: &Context, mapping: &AddressSpace, index: u64) -> bool {
    let zone = mapping.zone();
    let Some(old) = pagewalk_pagecache::find_lock_page(cx, mapping, index).await else { return false };
    let new = zone.alloc_page(cx).await.expect("a free frame");
    let (from, to) = (zone.memory.words(old.pfn()), zone.memory.words(new.pfn()));
    to.flags().set_bit(cx, pagewalk_pages::PG_LOCKED).await;
    let moved = pagewalk_pagecache::migrate_page_move_mapping(cx, mapping, old.pfn(), new.pfn()).await;
    if moved {
        zone.memory.copy_page(cx, old.pfn(), new.pfn()).await;
        to.flags().set_bit(cx, pagewalk_pages::PG_UPTODATE).await;
        from.mapping().write_once(cx, 0).await;
    }
    pagewalk_pagecache::unlock_page(cx, zone, new.pfn()).await;
    pagewalk_pagecache::unlock_page(cx, zone, old.pfn()).await;
    zone.put_page(cx, new).await;
    zone.put_page(cx, old).await;
    moved
}

/// Looks a page up and reads it: its contents.
pub(crate) async fn read(cx: &Context, mapping: &AddressSpace, index: u64) -> Option<u64> {
    let page = pagewalk_pagecache::find_get_page(cx, mapping, index).await?;
    let stamp = mapping.zone().memory.read_page(cx, page.pfn()).await;
    mapping.zone().put_page(cx, page).await;
    Some(stamp)
}
