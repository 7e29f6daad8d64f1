//! `find_get_pages`, `_contig` and `_tag`: the next pages of the cache, each found as by a lookup of its own.
//!
//! Follows mm/filemap.c of v2.6.27 (`find_get_pages`, `find_get_pages_contig`, `find_get_pages_tag`).

use pagewalk_engine::Context;
use pagewalk_pages::{Fix, PageRef};

use crate::address_space::{AddressSpace, PageIndex};
use crate::radix::{Entry, SlotRef, Tag};
use crate::retries::Rounds;

/// What became of one slot.
enum Found<'a> {
    /// With the reference of step 2 of a lookup, and found in its slot by step 3.
    Page(PageRef<'a>),
    /// Removed since the slots were collected.
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

/// The three of them: lookups of several indexes in one read section.
///
///  1. begin a read section: the nodes whose slots are kept stay until its end;
///  2. collect the addresses of the slots (`radix_tree_gang_lookup_slot`);
///  3. look each of them up, as [`crate::find_get_page`] does;
///  4. begin again if the tree has changed its shape and nothing is held yet;
///  5. end the section: references keep the pages from here on.
///
/// Between 2 and the last lookup pages come and go. Each one returned was in its slot at some moment of the
/// call; that all were there at one moment nobody says.
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
    // 1. A node that is retired meanwhile keeps its slots until the section ends (I33, I34). In return
    // nothing here sleeps.
    let rcu = cx.rcu_read_lock().await;
    let mut pages: Vec<PageRef<'a>> = Vec::new();
    'restart: loop {
        // 2. Places, not pages. Tags are read here and not compared again: a caller asks each page for its
        // flag.
        let slots = mapping.tree.gang_lookup_slot(cx, mapping.nodes(), start, most, tag).await;
        for slot in slots {
            let next = contiguous.then(|| start + pages.len() as u64);
            // 3. One after the other; a page that is frozen holds up those behind it for the few steps of its
            // freezer.
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
                // A short list is right as well: callers go on behind the last index that they got.
                Found::LookAgain => break,
            }
        }
        break;
    }
    // 5. After this a kept address of a slot may be anything (R10).
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
    // The tree is not walked again as long as the slot shows a page: a slot of a retired node goes on to show
    // its last one (R08).
    let mut entry = slot.load(cx).await; // 1
    loop {
        rounds.next(cx, "find_get_pages").await;
        let pfn = match entry {
            Entry::Empty => return Found::Nothing,
            // The root has got a node above its only page, or the node says that it is retired (27d20fddc8af,
            // Linux 2.6.37).
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
        // 2
        if words.count().inc_not_zero(cx).await {
            let page = PageRef::counted(cx, pfn);
            // 3
            if slot.load(cx).await == entry {
                return Found::Page(page);
            }
            // A stranger's, or the same page elsewhere. The stranger may have put it meanwhile: this may be
            // the last reference.
            cx.mark("find_get_pages:moved");
            zone.put_page(cx, page).await;
            entry = slot.load(cx).await; // 1
            continue;
        }
        cx.mark("find_get_pages:count-was-0");
        // Frozen or free. Since e8c82c2e23e3 (Linux 2.6.29) the slot is read from memory again, and shows that it
        // was emptied. v2.6.27 lets the compiler keep the old value (R07). `retry`
        // waits for a change of these words: if nobody is left to change one, I27 is broken.
        if zone.switches().has(Fix::RereadSlot) {
            cx.retry(&[slot.id(), words.count().id()]).await;
            entry = slot.load(cx).await;
        } else {
            cx.retry(&[words.count().id()]).await; // the value read before, as the compiler may keep it
        }
    }
}

/// Linux 2.6.22: all of it under `tree_lock`, taken for reading. With it held no page of the tree is frozen
/// or removed, so a plain `get_page` does and nothing is compared again.
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
