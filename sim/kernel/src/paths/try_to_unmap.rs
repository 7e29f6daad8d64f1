//! `try_to_unmap`: a page loses every PTE that maps it.
//!
//! Follows mm/rmap.c of v2.6.27.

use pagewalk_mmu::{Pfn, Pte};
use pagewalk_pages::{Mutant, PG_SWAPCACHE};
use pagewalk_swap::{SwapEntry, swap_duplicate};

use super::copy_on_write::is_exclusive;
use super::gather::free_page;
use super::rmap::{page_kind, page_mapped, page_remove_rmap};
use super::rmap_walk::{Place, names, page_check_address, rmap_walk};
use crate::fs::set_page_dirty;
use crate::mm::PageKind;
use crate::task::Task;
use crate::tlb::flush_tlb_page;

/// How it went (`SWAP_SUCCESS`, `SWAP_AGAIN`, `SWAP_FAIL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmapped {
    /// No PTE maps the page.
    Success,
    /// Some PTE was not found, or was mapped meanwhile.
    Again,
    /// Some PTE was used just now, or must stay.
    Fail,
}

/// `try_to_unmap`: takes the page, which the caller has locked, out of every page table. With `migration` its PTEs
/// become migration entries; without, those of an anonymous page become swap entries, and it is in the swap cache.
pub(crate) async fn try_to_unmap(current: &Task, pfn: Pfn, migration: bool) -> Unmapped {
    let mut failed = false;
    rmap_walk(current, pfn, async |place| {
        failed = !try_to_unmap_one(current, pfn, &place, migration).await;
        // Once nobody maps it the rest of the places need no look: with the page locked no fault adds a
        // mapping.
        !failed && page_mapped(current, pfn).await
    })
    .await;
    match (page_mapped(current, pfn).await, failed) {
        (false, _) => Unmapped::Success,
        (true, true) => Unmapped::Fail,
        (true, false) => Unmapped::Again,
    }
}

/// `try_to_unmap_one`: one place. False if the page was used there just now, or must stay there.
///
///  1. find the PTE and lock its table;
///  2. leave a page in use, unless it must move;
///  3. clear the PTE and flush it everywhere;
///  4. what the hardware noted is complete now: move the dirty bit to the page. But map a page that a device fills again
///     (`page_try_share_anon_rmap`): that is looked for only now, because nobody pins a page that is not mapped;
///  5. store what the PTE becomes: a swap entry, a migration entry, or nothing;
///  6. take the mapping away, and put its reference;
///  7. unlock.
async fn try_to_unmap_one(current: &Task, pfn: Pfn, place: &Place, migration: bool) -> bool {
    let kernel = current.kernel();
    let Some((ptl, word, pte)) = page_check_address(current, place, false, names(pfn)).await else {
        return true; // 1
    };
    // 2. Reclaim has found it unused a moment ago: it is in use after all. A page that has to move gets no
    // such reprieve.
    if !migration && pte.is_accessed() {
        current.mark("try_to_unmap_one:young");
        word.modify(current, |pte| pte.accessed(false)).await; // 2
        flush_tlb_page(current, &place.mm, place.address).await;
        ptl.unlock().await;
        return false;
    }
    // 3. What TLBs still allow ends with the flush, and with it the last store that goes by this PTE (R29).
    // Until then a fault on the address waits for the PTL. 2.6.27 flushes here, under the lock, for each
    // page; batches that put it off need a way to be waited for (R38).
    let old = word.xchg(current, Pte::NONE).await; // 3
    flush_tlb_page(current, &place.mm, place.address).await;
    if is_exclusive(current, &place.mm, pfn).await
        && page_kind(current, &place.vma, pfn).await == PageKind::Anon
    {
        word.write_once(current, old).await; // 4
        ptl.unlock().await;
        return false;
    }
    if old.is_dirty() {
        set_page_dirty(current, pfn).await; // 4
    }
    let words = kernel.zone.memory.words(pfn);
    let kind = page_kind(current, &place.vma, pfn).await;
    let (mut stored, mut late) = (None, None);
    if kind == PageKind::Anon && words.flags().test_bit(current, PG_SWAPCACHE).await {
        let Some(entry) = SwapEntry::from_word(words.private().read_once(current).await) else {
            return current.bug("in the swap cache").await;
        };
        // 5. Counted before the entry is in a table: a zap that finds it there takes a count (R55, I11).
        if kernel.mutant(Mutant::SwapPteBeforeDup) {
            late = Some(entry); // MUTANT swap-pte-before-dup
        } else {
            swap_duplicate(current, &kernel.swap, entry).await;
        }
        // On mmlist before, too: swapoff looks for the entry's owners there (R61, I31).
        kernel.mmlist_add(current, &place.mm).await;
        place.mm.sub_rss(PageKind::Anon);
        kernel.stat.nr_swap_ptes.add(1);
        word.write_once(current, Pte::swap(entry.word())).await; // 5
        stored = Some(entry);
    } else if migration {
        place.mm.sub_rss(kind);
        word.write_once(current, Pte::migration(pfn, old.is_writable())).await; // 5
    } else {
        place.mm.sub_rss(kind); // 5. a file's: the PTE stays none
    }
    // 6. After the flush and still under the PTL. The reference goes last: while a page looks mapped, it has
    // one for that.
    page_remove_rmap(current, pfn, kind).await; // 6
    free_page(current, pfn).await;
    if let Some(entry) = stored {
        kernel.check_counted(entry);
    }
    ptl.unlock().await; // 7
    if let Some(entry) = late {
        swap_duplicate(current, &kernel.swap, entry).await;
    }
    true
}
