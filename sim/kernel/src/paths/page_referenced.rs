//! `page_referenced`: whether a page was used since it was last asked.
//!
//! Follows mm/rmap.c of v2.6.27.

use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{trylock_page, unlock_page};
use pagewalk_pages::{PG_REFERENCED, PageMapping};

use super::rmap::page_mapped;
use super::rmap_walk::{Place, names, page_check_address, rmap_walk};
use crate::task::Task;
use crate::tlb::flush_tlb_page;

/// `page_referenced`: how many PTEs, and the flag, say that the page was used; all of them forget it.
/// `locked`: the caller has the page's lock.
///
///  1. take the flag;
///  2. lock a page of a file, if the caller has not: only then its mapping stays;
///  3. go through its PTEs, and take their accessed bits.
pub(crate) async fn page_referenced(current: &Task, pfn: Pfn, locked: bool) -> u32 {
    let zone = &current.kernel().zone;
    let words = zone.memory.words(pfn);
    // 1. Taken by one act: the use that another CPU notes next counts in the next look.
    let mut referenced = u32::from(words.flags().test_and_clear_bit(current, PG_REFERENCED).await);
    // Without a lock. A PTE that appears right afterwards means a fault, and so a use that is noted
    // elsewhere.
    if !page_mapped(current, pfn).await {
        return referenced;
    }
    let mapping = PageMapping::decode(words.mapping().read_once(current).await);
    let file = matches!(mapping, PageMapping::File(_));
    if file && !locked {
        // A file's page can lose its mapping unless it is locked.
        // 2. Somebody who has the lock works with the page: that counts as a use. Waiting is out of the
        // question, with a batch of isolated pages in hand. The mapping is read again under the lock, by the
        // walk: the page may have been truncated before.
        if !trylock_page(current, zone, pfn).await {
            return referenced + 1;
        }
        referenced += referenced_in_ptes(current, pfn).await;
        unlock_page(current, zone, pfn).await;
        return referenced;
    }
    referenced + referenced_in_ptes(current, pfn).await
}

/// Step 3. The walk ends early when as many PTEs were seen as map the page.
async fn referenced_in_ptes(current: &Task, pfn: Pfn) -> u32 {
    let mut referenced = 0;
    // Read once, and changed by faults and zaps during the walk. Then a PTE is missed or the walk goes to its
    // end: the page seems a little older or younger than it is, no more.
    let mut left = current.kernel().zone.memory.words(pfn).mapcount().read_once(current).await;
    rmap_walk(current, pfn, async |place| {
        if let Some(young) = page_referenced_one(current, pfn, &place).await {
            referenced += u32::from(young);
            left -= 1;
        }
        left > 0
    })
    .await;
    referenced
}

/// `page_referenced_one`: whether the PTE at this place was used; `None` if it does not map the page.
async fn page_referenced_one(current: &Task, pfn: Pfn, place: &Place) -> Option<bool> {
    let (ptl, word, pte) = page_check_address(current, place, false, names(pfn)).await?;
    let young = pte.is_accessed();
    if young {
        // By a locked operation: a plain store would erase a dirty bit that the hardware sets at the same
        // time (I16).
        // ptep_clear_flush_young: until the TLBs forget the page, its uses are not noted.
        word.modify(current, |pte| pte.accessed(false)).await;
        // Under the PTL. Later kernels leave the flush out on x86 (b13b1d2d8692): a use that is missed costs
        // less than interrupts.
        flush_tlb_page(current, &place.mm, place.address).await;
    }
    ptl.unlock().await;
    Some(young)
}
