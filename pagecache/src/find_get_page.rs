//! `find_get_page`: a page of the cache, with a reference and without a lock.

use pagewalk_engine::Context;
use pagewalk_mmu::{Fix, Mutant, PageRef};

use crate::address_space::{AddressSpace, PageIndex};
use crate::radix::Entry;
use crate::retries::Rounds;

/// The page at `index`, with a reference; `None` if there is none. It may leave the cache at any time: who needs it to stay
/// locks it and looks at its mapping ([`crate::find_lock_page`]).
pub async fn find_get_page<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Option<PageRef<'a>> {
    let hw = mapping.hw();
    let kernel = hw.switches();
    if !kernel.has(Fix::LocklessLookup) {
        return find_get_page_locked(cx, mapping, index).await;
    }
    let watch = mapping.watch_lookup(cx, index);
    let mut rounds = Rounds::default();
    let rcu = cx.rcu_read_lock().await; // 1. one section over everything that follows
    let found = loop {
        rounds.next(cx, "find_get_page").await;
        // 2. The address of the slot is kept: the recheck is of the slot, not of the tree.
        let Some(slot) = mapping.tree.lookup_slot(cx, mapping.nodes(), index).await else {
            cx.mark("find_get_page:none");
            break None;
        };
        let entry = slot.load(cx).await; // 3
        let Entry::Item(pfn) = entry else {
            // 4. Emptied since, or the root has grown a node; 2.6.27 walks again in either case.
            if entry == Entry::Empty && kernel.has(Fix::RetiredSlotRetry) {
                cx.mark("find_get_page:emptied");
                break None;
            }
            cx.mark("find_get_page:look-again");
            continue;
        };
        let count = hw.memory.words(pfn).count();
        let got = if hw.mutant(Mutant::PlainInc) {
            count.fetch_add(cx, 1).await >= 0 // MUTANT R02: also from 0
        } else {
            count.inc_not_zero(cx).await // 5. the speculative reference
        };
        if !got {
            // Frozen or free: nothing new before one of these words changes.
            cx.mark("find_get_page:count-was-0");
            cx.retry(&[mapping.tree.rnode().id(), slot.id(), count.id()]).await;
            continue;
        }
        let page = PageRef::counted(cx, pfn);
        watch.referenced(mapping, pfn);
        if hw.mutant(Mutant::SkipRecheck) {
            break Some(page); // MUTANT R01: whatever the slot holds by now
        }
        // 6. Still the same page in the slot: the reference is to what was looked for.
        if slot.load(cx).await == entry {
            break Some(page);
        }
        // 7. The page moved. Giving back may free it: its owner may have gone meanwhile.
        cx.mark("find_get_page:moved");
        hw.put_page(cx, page).await;
    };
    watch.returns(cx, mapping, found.as_ref());
    rcu.unlock().await; // 8, 9
    found
}

/// Linux 2.6.22: found and referenced under `tree_lock`.
async fn find_get_page_locked<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    index: PageIndex,
) -> Option<PageRef<'a>> {
    let tree = mapping.read_lock_tree(cx).await;
    let mut page = None;
    if let Some(slot) = mapping.tree.lookup_slot(cx, mapping.nodes(), index).await
        && let Entry::Item(pfn) = slot.load(cx).await
    {
        page = Some(mapping.hw().memory.get_page(cx, pfn).await.into_pfn());
    }
    tree.unlock().await;
    page.map(|pfn| PageRef::counted(cx, pfn))
}
