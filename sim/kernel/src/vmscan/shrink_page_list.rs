//! `shrink_page_list`: what becomes of pages that reclaim has taken off the lists.
//!
//! Follows mm/vmscan.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{
    __remove_mapping, AddressSpace, free_orphan_buffers, try_to_release_page, trylock_page, unlock_page,
};
use pagewalk_pages::{PG_ACTIVE, PG_DIRTY, PG_PRIVATE, PG_SWAPCACHE, PG_WRITEBACK, PageMapping};
use pagewalk_swap::{SwapEntry, add_to_swap, remove_exclusive_swap_page, swap_free, vm_swap_full};

use super::pageout::{PageOut, pageout};
use crate::fs::Inode;
use crate::paths::{Unmapped, page_mapped, page_referenced, try_to_unmap};
use crate::task::Task;

/// `page_mapping`, with what is behind it.
pub(crate) enum Owner {
    /// A file.
    File(Rc<Inode>),
    /// A swap entry: the page is in the swap cache.
    Swap,
    /// Nobody: anonymous and not in the swap cache, or truncated.
    None,
}

impl Owner {
    /// The address space that the page is in.
    pub(crate) fn mapping<'a>(&'a self, current: &'a Task) -> Option<&'a AddressSpace> {
        match self {
            Self::File(inode) => Some(&inode.mapping),
            Self::Swap => Some(&current.kernel().swap.swapper_space),
            Self::None => None,
        }
    }
}

/// `page_mapping`: whose the page, which is locked, is.
pub(crate) async fn page_mapping(current: &Task, pfn: Pfn) -> Owner {
    let kernel = current.kernel();
    let words = kernel.zone.memory.words(pfn);
    if words.flags().test_bit(current, PG_SWAPCACHE).await {
        return Owner::Swap;
    }
    match PageMapping::decode(words.mapping().read_once(current).await) {
        PageMapping::File(id) => kernel.inode_of(id).map_or(Owner::None, Owner::File),
        PageMapping::Anon(_) | PageMapping::None => Owner::None,
    }
}

/// `page_mapping_inuse`: somebody maps the page, or has it in swap, or maps anything of its file.
pub(super) async fn page_mapping_inuse(current: &Task, pfn: Pfn) -> bool {
    let words = current.kernel().zone.memory.words(pfn);
    if page_mapped(current, pfn).await || words.flags().test_bit(current, PG_SWAPCACHE).await {
        return true;
    }
    match PageMapping::decode(words.mapping().read_once(current).await) {
        // `shrink_active_list` asks without the page lock: the file may have gone since its number was read.
        PageMapping::File(id) => match current.kernel().inode_of(id) {
            Some(inode) => inode.i_mmap.mapping_mapped(current).await,
            None => false,
        },
        PageMapping::Anon(_) | PageMapping::None => false,
    }
}

/// Why a page stays (the labels of Linux's function).
enum Stays {
    /// Its lock is released.
    Keep,
    /// It is locked.
    KeepLocked,
    /// It is locked, and in use.
    ActivateLocked,
}

/// Frees those of `pages`, each with the isolation's reference, that can be freed. Yields the others, to be put back.
///
/// For each page:
///  1. try to lock it: if somebody else has the lock, it stays;
///  2. leave it while it is under writeback;
///  3. make it active if it was used since the last look;
///  4. give an anonymous page a place in swap;
///  5. unmap it;
///  6. write it, if it is dirty;
///  7. drop its buffers;
///  8. A and B of a removal (`__remove_mapping`), if nobody else has a reference;
///  9. C: free it.
pub(super) async fn shrink_page_list(current: &Task, pages: Vec<Pfn>) -> Vec<Pfn> {
    let zone = &current.kernel().zone;
    let mut kept = Vec::new();
    for pfn in pages {
        current.cond_resched().await;
        match shrink_page(current, pfn).await {
            Ok(()) => continue,
            Err(Stays::Keep) => {}
            Err(Stays::KeepLocked) => unlock_page(current, zone, pfn).await,
            Err(Stays::ActivateLocked) => {
                activate_locked(current, pfn).await;
                unlock_page(current, zone, pfn).await;
            }
        }
        kept.push(pfn);
    }
    kept
}

/// A page in use is no candidate for swapping: swap that is full enough gets its copy back, as since Linux 2.6.28, whose lists of
/// anonymous pages and pages of files these are. v2.6.27 only marks the page.
async fn activate_locked(current: &Task, pfn: Pfn) {
    let kernel = current.kernel();
    let flags = kernel.zone.memory.words(pfn).flags();
    if flags.test_bit(current, PG_SWAPCACHE).await && vm_swap_full(current, &kernel.swap).await {
        remove_exclusive_swap_page(current, &kernel.swap, pfn).await;
    }
    flags.set_bit(current, PG_ACTIVE).await;
    kernel.stat.pgactivate.add(1);
}

/// One page: freed, or why it stays.
async fn shrink_page(current: &Task, pfn: Pfn) -> Result<(), Stays> {
    let kernel = current.kernel();
    let words = kernel.zone.memory.words(pfn);
    // 1. A try, because a sleep here would hold up the whole batch, and because the owner of the lock may be
    // waiting for memory, that is for us.
    if !trylock_page(current, &kernel.zone, pfn).await {
        current.mark("shrink_page_list:locked");
        return Err(Stays::Keep); // 1
    }
    // 2. `writepage` sets the flag before it unlocks, so it cannot appear while we have the lock. Freed under
    // writeback, the frame would go to the disk with a stranger's contents (I24).
    if words.flags().test_bit(current, PG_WRITEBACK).await {
        current.mark("shrink_page_list:writeback");
        return Err(Stays::KeepLocked); // 2
    }
    // 3. The PTEs forget their use, so that the next look sees what came after this one. `PG_referenced`
    // alone does not save a page of a file that nobody maps: its second use has activated it already
    // (`mark_page_accessed`).
    let referenced = page_referenced(current, pfn, true).await > 0;
    if referenced && page_mapping_inuse(current, pfn).await {
        current.mark("shrink_page_list:referenced");
        return Err(Stays::ActivateLocked); // 3
    }
    // 4. Before 5, because the PTEs are going to name the entry: a fault between the first and the last of
    // them has to find the page there.
    let mapping = PageMapping::decode(words.mapping().read_once(current).await);
    if matches!(mapping, PageMapping::Anon(_))
        && !words.flags().test_bit(current, PG_SWAPCACHE).await
        && !add_to_swap(current, &kernel.swap, pfn).await
    {
        current.mark("shrink_page_list:no-swap");
        return Err(Stays::ActivateLocked); // 4
    }
    // 5. Before the look at `PG_dirty`. Threads store through PTEs without a fault until each is cleared and
    // flushed; `try_to_unmap` then moves the dirty bit to the page (R29).
    let mut owner = page_mapping(current, pfn).await;
    if !matches!(owner, Owner::None) && page_mapped(current, pfn).await {
        match try_to_unmap(current, pfn, false).await {
            Unmapped::Fail => return Err(Stays::ActivateLocked), // 5
            Unmapped::Again => {
                current.mark("shrink_page_list:mapped-again");
                return Err(Stays::KeepLocked);
            }
            Unmapped::Success => {}
        }
    }
    if words.flags().test_bit(current, PG_DIRTY).await {
        // Used by calls, of a file that nobody maps: one more round before it costs a write.
        if referenced {
            return Err(Stays::KeepLocked);
        }
        write_out(current, pfn, &owner).await?; // 6
        // The page was unlocked for a while: it may have been truncated, or have left the swap cache.
        owner = page_mapping(current, pfn).await;
    }
    free_clean_page(current, pfn, &owner).await
}

/// 6. A dirty page is written. It is clean afterwards, and locked; or it stays.
async fn write_out(current: &Task, pfn: Pfn, owner: &Owner) -> Result<(), Stays> {
    let zone = &current.kernel().zone;
    match pageout(current, pfn, owner).await {
        PageOut::Keep => return Err(Stays::KeepLocked),
        PageOut::Activate => return Err(Stays::ActivateLocked),
        PageOut::Clean => return Ok(()),
        PageOut::Success => {}
    }
    // Unlocked meanwhile; a device that does its work at once has written it already.
    let busy = 1 << PG_WRITEBACK | 1 << PG_DIRTY;
    let flags = zone.memory.words(pfn).flags();
    if flags.read_once(current).await & busy != 0 || !trylock_page(current, zone, pfn).await {
        return Err(Stays::Keep);
    }
    // Once more under the lock: between the first look and the lock somebody may have dirtied the page, or
    // begun to write it. A store by a reference that comes even later is seen by `__remove_mapping`, which
    // freezes first and looks then (R04).
    if flags.read_once(current).await & busy != 0 { Err(Stays::KeepLocked) } else { Ok(()) }
}

/// A clean page that nobody maps goes, if nobody else has a reference.
async fn free_clean_page(current: &Task, pfn: Pfn, owner: &Owner) -> Result<(), Stays> {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    let words = zone.memory.words(pfn);
    // 7. The freeze at 8 expects two references, the cache's and ours: the buffers' has to go before it.
    if words.flags().test_bit(current, PG_PRIVATE).await {
        let released = match owner.mapping(current) {
            Some(mapping) => try_to_release_page(current, mapping, pfn).await,
            None => free_orphan_buffers(current, zone, pfn).await,
        };
        if !released {
            current.mark("shrink_page_list:buffers-stay");
            return Err(Stays::ActivateLocked); // 7
        }
        // Truncated while its buffers refused to go. It is in no tree, so there is no slot to empty; a lookup
        // that knew its former place may still raise its count for a moment.
        if matches!(owner, Owner::None) && words.count().read_once(current).await == 1 {
            current.mark("shrink_page_list:orphan");
            unlock_page(current, zone, pfn).await;
            if zone.put_page_testzero(current, pfn).await {
                zone.free_hot_page(current, pfn).await;
            } else {
                // Somebody's speculative reference was last: who drops it frees the page.
                current.mark("shrink_page_list:speculative-reference");
            }
            return Ok(());
        }
    }
    let Some(mapping) = owner.mapping(current) else { return Err(Stays::KeepLocked) };
    // Before 8, after which the page does not say any more where it was.
    let entry = match owner {
        Owner::Swap => SwapEntry::from_word(words.private().read_once(current).await),
        Owner::File(_) | Owner::None => None,
    };
    // 8. The one look at the count that decides. Lookups take references without a lock, and the freeze makes
    // "nobody has it" and "nobody gets it" one act (R03).
    if !__remove_mapping(current, mapping, pfn).await {
        return Err(Stays::KeepLocked); // 8
    }
    if let Some(entry) = entry {
        // After `tree_lock`, never between A and B: `free_swap_and_cache` looks the page up with `swap_lock`
        // held, and goes round as long as the count is frozen (R17).
        swap_free(current, &kernel.swap, entry).await;
    }
    // Its count is 0: nobody can find it, and nobody has it who could care about the lock.
    unlock_page(current, zone, pfn).await;
    zone.free_hot_page(current, pfn).await; // 9
    Ok(())
}
