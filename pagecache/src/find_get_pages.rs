//! `find_get_pages`, `_contig` and `_tag`: the next pages of the cache, each found as by a lookup of its own.

use pagewalk_engine::Context;
use pagewalk_pages::{Fix, PageRef};

use crate::address_space::{AddressSpace, PageIndex};
use crate::radix::{Entry, SlotRef, Tag};
use crate::retries::Rounds;

/// What became of one slot.
enum Found<'a> {
    Page(PageRef<'a>),
    Nothing,
    /// The tree has changed its shape under the slot.
    LookAgain,
    /// The page is not the one that comes next.
    Stop,
}

/// Up to `most` pages at `start` or beyond, in the order of their indexes, each with a reference. Not a snapshot.
pub async fn find_get_pages<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    start: PageIndex,
    most: usize,
) -> Vec<PageRef<'a>> {
    gang(cx, mapping, start, most, None, false).await
}

/// The same, as far as no index is missing between them.
pub async fn find_get_pages_contig<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    start: PageIndex,
    most: usize,
) -> Vec<PageRef<'a>> {
    gang(cx, mapping, start, most, None, true).await
}

/// The same as [`find_get_pages`], of pages whose slots have `tag`.
pub async fn find_get_pages_tag<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    start: PageIndex,
    most: usize,
    tag: Tag,
) -> Vec<PageRef<'a>> {
    gang(cx, mapping, start, most, Some(tag), false).await
}

async fn gang<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    start: PageIndex,
    most: usize,
    tag: Option<Tag>,
    contiguous: bool,
) -> Vec<PageRef<'a>> {
    if !mapping.zone().switches().has(Fix::LocklessLookup) {
        return gang_locked(cx, mapping, start, most, tag, contiguous).await;
    }
    let mut rounds = Rounds::default();
    let rcu = cx.rcu_read_lock().await;
    let mut pages: Vec<PageRef<'a>> = Vec::new();
    'restart: loop {
        let slots = mapping.tree.gang_lookup_slot(cx, mapping.nodes(), start, most, tag).await;
        for slot in slots {
            let next = contiguous.then(|| start + pages.len() as u64);
            match get_speculative(cx, mapping, slot, next, &mut rounds).await {
                Found::Page(page) => pages.push(page),
                Found::Nothing => {}
                Found::Stop => break,
                // Only where the one item of the tree was all there was: nothing has been collected.
                Found::LookAgain if pages.is_empty() => {
                    cx.mark("find_get_pages:look-again");
                    rounds.next(cx, "find_get_pages").await;
                    continue 'restart;
                }
                Found::LookAgain => break,
            }
        }
        break;
    }
    rcu.unlock().await;
    pages
}

/// Steps 1, 2 and 3 of a lookup ([`crate::find_get_page`]), on a slot whose address is kept.
async fn get_speculative<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    slot: SlotRef<'_>,
    next: Option<PageIndex>,
    rounds: &mut Rounds,
) -> Found<'a> {
    let zone = mapping.zone();
    let mut entry = slot.load(cx).await; // 1
    loop {
        rounds.next(cx, "find_get_pages").await;
        let pfn = match entry {
            Entry::Empty => return Found::Nothing,
            Entry::Node(_) => return Found::LookAgain,
            Entry::Item(pfn) => pfn,
        };
        let words = zone.memory.words(pfn);
        // As in 2.6.27 before there is a reference: a page on its way out looks like the end of the run.
        if let Some(next) = next
            && (words.mapping().read_once(cx).await == 0 || words.index().read_once(cx).await != next)
        {
            return Found::Stop;
        }
        if words.count().inc_not_zero(cx).await {
            let page = PageRef::counted(cx, pfn); // 2
            if slot.load(cx).await == entry {
                return Found::Page(page); // 3
            }
            cx.mark("find_get_pages:moved");
            zone.put_page(cx, page).await;
            entry = slot.load(cx).await;
            continue;
        }
        cx.mark("find_get_pages:count-was-0");
        if zone.switches().has(Fix::RereadSlot) {
            cx.retry(&[slot.id(), words.count().id()]).await;
            entry = slot.load(cx).await;
        } else {
            cx.retry(&[words.count().id()]).await; // the value read before, as the compiler may keep it
        }
    }
}

/// Linux 2.6.22: all of it under `tree_lock`.
async fn gang_locked<'a>(
    cx: &'a Context,
    mapping: &AddressSpace,
    start: PageIndex,
    most: usize,
    tag: Option<Tag>,
    contiguous: bool,
) -> Vec<PageRef<'a>> {
    let tree = mapping.read_lock_tree(cx).await;
    let mut pages = Vec::new();
    for slot in mapping.tree.gang_lookup_slot(cx, mapping.nodes(), start, most, tag).await {
        let Entry::Item(pfn) = slot.load(cx).await else { continue };
        let words = mapping.zone().memory.words(pfn);
        if contiguous && words.index().read_once(cx).await != start + pages.len() as u64 {
            break;
        }
        pages.push(mapping.zone().memory.get_page(cx, pfn).await.into_pfn());
    }
    tree.unlock().await;
    pages.into_iter().map(|pfn| PageRef::counted(cx, pfn)).collect()
}
