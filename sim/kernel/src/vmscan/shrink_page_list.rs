//! `shrink_page_list`: what becomes of pages that reclaim has taken off the lists.

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
    if !trylock_page(current, &kernel.zone, pfn).await {
        current.mark("shrink_page_list:locked");
        return Err(Stays::Keep); // 1
    }
    if words.flags().test_bit(current, PG_WRITEBACK).await {
        current.mark("shrink_page_list:writeback");
        return Err(Stays::KeepLocked); // 2
    }
    let referenced = page_referenced(current, pfn, true).await > 0;
    if referenced && page_mapping_inuse(current, pfn).await {
        current.mark("shrink_page_list:referenced");
        return Err(Stays::ActivateLocked); // 3
    }
    let mapping = PageMapping::decode(words.mapping().read_once(current).await);
    if matches!(mapping, PageMapping::Anon(_))
        && !words.flags().test_bit(current, PG_SWAPCACHE).await
        && !add_to_swap(current, &kernel.swap, pfn).await
    {
        current.mark("shrink_page_list:no-swap");
        return Err(Stays::ActivateLocked); // 4
    }
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
        if referenced {
            return Err(Stays::KeepLocked);
        }
        write_out(current, pfn, &owner).await?; // 6
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
    if flags.read_once(current).await & busy != 0 { Err(Stays::KeepLocked) } else { Ok(()) }
}

/// A clean page that nobody maps goes, if nobody else has a reference.
async fn free_clean_page(current: &Task, pfn: Pfn, owner: &Owner) -> Result<(), Stays> {
    let kernel = current.kernel();
    let zone = &kernel.zone;
    let words = zone.memory.words(pfn);
    if words.flags().test_bit(current, PG_PRIVATE).await {
        let released = match owner.mapping(current) {
            Some(mapping) => try_to_release_page(current, mapping, pfn).await,
            None => free_orphan_buffers(current, zone, pfn).await,
        };
        if !released {
            current.mark("shrink_page_list:buffers-stay");
            return Err(Stays::ActivateLocked); // 7
        }
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
    let entry = match owner {
        Owner::Swap => SwapEntry::from_word(words.private().read_once(current).await),
        Owner::File(_) | Owner::None => None,
    };
    if !__remove_mapping(current, mapping, pfn).await {
        return Err(Stays::KeepLocked); // 8
    }
    if let Some(entry) = entry {
        swap_free(current, &kernel.swap, entry).await;
    }
    // Its count is 0: nobody can find it, and nobody has it who could care about the lock.
    unlock_page(current, zone, pfn).await;
    zone.free_hot_page(current, pfn).await; // 9
    Ok(())
}
