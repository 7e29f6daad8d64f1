//! `shrink_page_list`: what becomes of pages that reclaim has taken off the lists.

use std::rc::Rc;

use pagewalk_mmu::{PG_ACTIVE, PG_DIRTY, PG_PRIVATE, PG_SWAPCACHE, PG_WRITEBACK, PageMapping, Pfn};
use pagewalk_pagecache::{
    __remove_mapping, AddressSpace, free_orphan_buffers, try_to_release_page, trylock_page, unlock_page,
};
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
    let words = kernel.hw.memory.words(pfn);
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
    let words = current.kernel().hw.memory.words(pfn);
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

/// What becomes of one page.
enum Fate {
    /// It is free.
    Freed,
    /// It stays, and its lock is released.
    Keep,
    /// It stays, and is locked.
    KeepLocked,
    /// It stays, locked, and is in use.
    ActivateLocked,
}

/// Frees those of `pages`, each with the isolation's reference, that can be freed. Yields the others, to be put back.
pub(super) async fn shrink_page_list(current: &Task, pages: Vec<Pfn>) -> Vec<Pfn> {
    let kernel = current.kernel();
    let hw = &kernel.hw;
    let mut kept = Vec::new();
    for pfn in pages {
        current.cond_resched().await;
        let fate = if trylock_page(current, hw, pfn).await {
            shrink_page(current, pfn).await
        } else {
            current.mark("shrink_page_list:locked");
            Fate::Keep // 1
        };
        match fate {
            Fate::Freed => continue,
            Fate::Keep => {}
            Fate::KeepLocked => unlock_page(current, hw, pfn).await,
            Fate::ActivateLocked => {
                activate_locked(current, pfn).await;
                unlock_page(current, hw, pfn).await;
            }
        }
        kept.push(pfn);
    }
    kept
}

/// A page in use is no candidate for swapping: swap that is full enough gets its copy back.
async fn activate_locked(current: &Task, pfn: Pfn) {
    let kernel = current.kernel();
    let flags = kernel.hw.memory.words(pfn).flags();
    if flags.test_bit(current, PG_SWAPCACHE).await && vm_swap_full(current, &kernel.swap).await {
        remove_exclusive_swap_page(current, &kernel.swap, pfn).await;
    }
    flags.set_bit(current, PG_ACTIVE).await;
    kernel.stat.pgactivate.add(1);
}

/// One locked page, steps 3 to 12 of the protocol.
async fn shrink_page(current: &Task, pfn: Pfn) -> Fate {
    let kernel = current.kernel();
    let words = kernel.hw.memory.words(pfn);
    if words.flags().test_bit(current, PG_WRITEBACK).await {
        current.mark("shrink_page_list:writeback");
        return Fate::KeepLocked; // 3
    }
    let referenced = page_referenced(current, pfn, true).await > 0; // 4
    if referenced && page_mapping_inuse(current, pfn).await {
        current.mark("shrink_page_list:referenced");
        return Fate::ActivateLocked;
    }
    let mapping = PageMapping::decode(words.mapping().read_once(current).await);
    let anon = matches!(mapping, PageMapping::Anon(_));
    if anon
        && !words.flags().test_bit(current, PG_SWAPCACHE).await
        && !add_to_swap(current, &kernel.swap, pfn).await
    {
        current.mark("shrink_page_list:no-swap");
        return Fate::ActivateLocked; // 5
    }
    let mut owner = page_mapping(current, pfn).await; // 6
    if !matches!(owner, Owner::None) && page_mapped(current, pfn).await {
        match try_to_unmap(current, pfn, false).await {
            Unmapped::Fail => return Fate::ActivateLocked, // 7
            Unmapped::Again => {
                current.mark("shrink_page_list:mapped-again");
                return Fate::KeepLocked;
            }
            Unmapped::Success => {}
        }
    }
    if words.flags().test_bit(current, PG_DIRTY).await {
        if referenced {
            return Fate::KeepLocked;
        }
        match write_out(current, pfn, &owner).await {
            Some(fate) => return fate, // 8
            None => owner = page_mapping(current, pfn).await,
        }
    }
    free_clean_page(current, pfn, &owner).await
}

/// Step 8: a dirty page is written. `None`: it is clean by now, and locked.
async fn write_out(current: &Task, pfn: Pfn, owner: &Owner) -> Option<Fate> {
    let hw = &current.kernel().hw;
    match pageout(current, pfn, owner).await {
        PageOut::Keep => return Some(Fate::KeepLocked),
        PageOut::Activate => return Some(Fate::ActivateLocked),
        PageOut::Clean => return None,
        PageOut::Success => {}
    }
    // Unlocked meanwhile; a device that does its work at once has written it already.
    let busy = 1 << PG_WRITEBACK | 1 << PG_DIRTY;
    let flags = hw.memory.words(pfn).flags();
    if flags.read_once(current).await & busy != 0 || !trylock_page(current, hw, pfn).await {
        return Some(Fate::Keep);
    }
    (flags.read_once(current).await & busy != 0).then_some(Fate::KeepLocked)
}

/// Steps 9 to 12: a clean page that nobody maps goes, if nobody else has a reference.
async fn free_clean_page(current: &Task, pfn: Pfn, owner: &Owner) -> Fate {
    let kernel = current.kernel();
    let hw = &kernel.hw;
    let words = hw.memory.words(pfn);
    if words.flags().test_bit(current, PG_PRIVATE).await {
        let released = match owner.mapping(current) {
            Some(mapping) => try_to_release_page(current, mapping, pfn).await,
            None => free_orphan_buffers(current, hw, pfn).await,
        };
        if !released {
            current.mark("shrink_page_list:buffers-stay");
            return Fate::ActivateLocked; // 9
        }
        if matches!(owner, Owner::None) && words.count().read_once(current).await == 1 {
            current.mark("shrink_page_list:orphan");
            unlock_page(current, hw, pfn).await;
            if hw.put_page_testzero(current, pfn).await {
                hw.free_hot_page(current, pfn).await;
            } else {
                // Somebody's speculative reference was last: who drops it frees the page.
                current.mark("shrink_page_list:speculative-reference");
            }
            return Fate::Freed;
        }
    }
    let Some(mapping) = owner.mapping(current) else { return Fate::KeepLocked };
    let entry = match owner {
        Owner::Swap => SwapEntry::from_word(words.private().read_once(current).await),
        Owner::File(_) | Owner::None => None,
    };
    if !__remove_mapping(current, mapping, pfn).await {
        return Fate::KeepLocked; // 10
    }
    if let Some(entry) = entry {
        swap_free(current, &kernel.swap, entry).await;
    }
    // 11. Its count is 0: nobody can find it, and nobody has it who could care about the lock.
    unlock_page(current, hw, pfn).await;
    hw.free_hot_page(current, pfn).await; // 12
    Fate::Freed
}
