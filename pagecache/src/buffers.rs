//! Buffers of the file system on a page (`PG_private`): one reference, which it may refuse to give up.
//!
//! Follows fs/buffer.c and mm/filemap.c of v2.6.27 (`try_to_free_buffers`, `try_to_release_page`).

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::{PG_DIRTY, PG_PRIVATE, PG_WRITEBACK, PageRef, Zone};

use crate::address_space::AddressSpace;

/// What the file system answers to [`try_to_release_page`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReleasePolicy {
    /// It gives up the buffers of a clean page.
    #[default]
    Clean,
    /// It keeps them (a journal still needs them).
    Never,
}

/// `create_empty_buffers`: a locked page gets buffers unless it has them, with a reference of their own.
pub async fn create_empty_buffers(cx: &Context, zone: &Zone, pfn: Pfn) {
    let words = zone.memory.words(pfn);
    if words.flags().test_bit(cx, PG_PRIVATE).await {
        return;
    }
    // Before the flag: whoever sees `PG_private` counts the reference in (I5).
    zone.memory.get_page(cx, pfn).await.into_pfn(); // owned by the buffers
    words.flags().set_bit(cx, PG_PRIVATE).await;
}

/// `try_to_release_page`: asks the file system to give up the buffers of a locked page. True if the page has none now.
pub async fn try_to_release_page(cx: &Context, mapping: &AddressSpace, pfn: Pfn) -> bool {
    let zone = mapping.zone();
    let flags = zone.memory.words(pfn).flags();
    // The write goes through the buffers: they stay until its end.
    if flags.test_bit(cx, PG_WRITEBACK).await {
        cx.mark("try_to_release_page:writeback");
        return false;
    }
    // try_to_free_buffers: dirty buffers stay.
    if mapping.release.get() == ReleasePolicy::Never || flags.test_bit(cx, PG_DIRTY).await {
        cx.mark("try_to_release_page:refused");
        return false;
    }
    drop_buffers(cx, mapping.zone(), pfn).await;
    true
}

/// `do_invalidatepage`: the data of a locked page is to be discarded, and with it what its buffers have to write
/// (`discard_buffer`). Where the file system keeps them the page becomes an orphan.
pub async fn do_invalidatepage(cx: &Context, mapping: &AddressSpace, pfn: Pfn) {
    if mapping.release.get() == ReleasePolicy::Never {
        return;
    }
    drop_buffers(cx, mapping.zone(), pfn).await;
}

/// `try_to_free_buffers` of a locked page that has no mapping any more: nothing keeps them. True: the page has none now.
pub async fn free_orphan_buffers(cx: &Context, zone: &Zone, pfn: Pfn) -> bool {
    drop_buffers(cx, zone, pfn).await;
    true
}

async fn drop_buffers(cx: &Context, zone: &Zone, pfn: Pfn) {
    if zone.memory.words(pfn).flags().test_and_clear_bit(cx, PG_PRIVATE).await {
        // Never the last: the caller has one.
        zone.put_page(cx, PageRef::counted(cx, pfn)).await; // the buffers' reference
    }
}
