//! `find_get_page`: a page of the cache, with a reference and without a lock.
//!
//! Follows mm/filemap.c (`find_get_page`) and include/linux/pagemap.h (`page_cache_get_speculative`) of v2.6.27:
//! e286781d5f2e brings the protocol, a60637c85893 its use for lookups.

use pagewalk_engine::Context;
use pagewalk_mmu::Pfn;
use pagewalk_pages::{Fix, Mutant, PageRef, Zone};

use crate::address_space::{AddressSpace, PageIndex};
use crate::radix::{Entry, SlotRef};
use crate::retries::Rounds;

/// The page at `index`, with a reference; `None` if there is none. It may leave the cache at any time: who needs it to stay
/// locks it and looks at its mapping ([`crate::find_lock_page`]).
///
/// As include/linux/pagemap.h numbers it, of a lookup without a lock:
///  1. find the page in the tree; the address of its slot is kept;
///  2. raise its count, unless that is 0;
///  3. look whether the page is still in the slot: if not, give the reference back and begin again.
///
/// A remover freezes the count at 0 (A), takes the page out (B), and thaws or frees it (C). Whichever of 2 and A comes first, the
/// other fails; and 3 finds the pages that B, and a new use of the frame, came between 1 and 2 of.
pub async fn find_get_page<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Option<PageRef<'a>> {
    let zone = mapping.zone();
    let kernel = zone.switches();
    if !kernel.has(Fix::LocklessLookup) {
        return find_get_page_locked(cx, mapping, index).await;
    }
    // Never called from an interrupt: giving a reference back may free a page, and take the locks for that.
    let watch = mapping.watch_lookup(cx, index);
    let mut rounds = Rounds::default();
    let rcu = cx.rcu_read_lock().await; // one section over everything that follows: nodes and their slots stay
    let found = loop {
        rounds.next(cx, "find_get_page").await;
        let Some(slot) = mapping.tree.lookup_slot(cx, mapping.nodes(), index).await else {
            cx.mark("find_get_page:none");
            break None;
        };
        let entry = slot.load(cx).await; // 1
        let Entry::Item(pfn) = entry else {
            // Emptied since, or the root has grown a node; 2.6.27 walks again in either case.
            if entry == Entry::Empty && kernel.has(Fix::RetiredSlotRetry) {
                cx.mark("find_get_page:emptied");
                break None;
            }
            cx.mark("find_get_page:look-again");
            continue;
        };
        let Some(page) = page_cache_get_speculative(cx, zone, pfn).await else {
            // Frozen or free: nothing new before one of these words changes.
            cx.mark("find_get_page:count-was-0");
            let count = zone.memory.words(pfn).count().id();
            cx.retry(&[mapping.tree.rnode().id(), slot.id(), count]).await;
            continue;
        };
        watch.referenced(cx, mapping, pfn);
        if is_still_there(cx, zone, &slot, entry).await {
            break Some(page);
        }
        // The page moved. Giving back may free it: its owner may have gone meanwhile.
        cx.mark("find_get_page:moved");
        zone.put_page(cx, page).await;
    };
    watch.returns(cx, mapping, found.as_ref());
    rcu.unlock().await;
    found
}

/// 2. A reference to a page that may be frozen, free or a stranger's by now; `None` if its count is 0.
pub(crate) async fn page_cache_get_speculative<'a>(
    cx: &'a Context,
    zone: &Zone,
    pfn: Pfn,
) -> Option<PageRef<'a>> {
    let count = zone.memory.words(pfn).count();
    let got = if zone.mutant(Mutant::PlainInc) {
        count.fetch_add(cx, 1).await >= 0 // MUTANT plain-inc: also from 0
    } else {
        count.inc_not_zero(cx).await
    };
    got.then(|| PageRef::counted(cx, pfn))
}

/// 3. Still the same page in the slot: the reference is to what was looked for.
async fn is_still_there(cx: &Context, zone: &Zone, slot: &SlotRef<'_>, entry: Entry) -> bool {
    // MUTANT skip-recheck: whatever the slot holds by now
    zone.mutant(Mutant::SkipRecheck) || slot.load(cx).await == entry
}

/// Linux 2.6.22: found and referenced under `tree_lock`.
async fn find_get_page_locked<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Option<PageRef<'a>> {
    // Removers take the lock for writing: found in the tree and referenced are one act under it.
    let tree = mapping.read_lock_tree(cx).await;
    let mut page = None;
    if let Some(slot) = mapping.tree.lookup_slot(cx, mapping.nodes(), index).await
        && let Entry::Item(pfn) = slot.load(cx).await
    {
        page = Some(mapping.zone().memory.get_page(cx, pfn).await.into_pfn());
    }
    tree.unlock().await;
    page.map(|pfn| PageRef::counted(cx, pfn))
}
