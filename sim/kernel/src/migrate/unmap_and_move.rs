//! `unmap_and_move`: one page to one new frame.

use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{
    free_orphan_buffers, lock_page, migrate_page_left, migrate_page_move_mapping, test_clear_page_dirty,
    trylock_page, unlock_page, wait_on_page_writeback,
};
use pagewalk_pages::{
    PG_ACTIVE, PG_DIRTY, PG_ERROR, PG_LOCKED, PG_PRIVATE, PG_REFERENCED, PG_SWAPBACKED, PG_SWAPCACHE,
    PG_UPTODATE, PG_WRITEBACK, PageMapping, PageRef,
};

use super::remove_migration_ptes::remove_migration_ptes;
use crate::fs::{clear_page_dirty_for_io, set_page_dirty};
use crate::paths::{page_mapped, try_to_unmap};
use crate::task::Task;
use crate::vmscan::{Owner, page_mapping};

/// How an attempt to move a page has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It has moved.
    Yes,
    /// It was freed before.
    Freed,
    /// Somebody uses it just now (`-EAGAIN`).
    Again,
    /// It cannot move.
    No,
}

/// The flags that go along.
const COPIED: u32 =
    1 << PG_ERROR | 1 << PG_REFERENCED | 1 << PG_UPTODATE | 1 << PG_ACTIVE | 1 << PG_SWAPBACKED;

/// The page is isolated; `new` is a page that nobody knows. With `force` its lock and its writeback are waited for.
///
///  1. leave a page that was freed meanwhile;
///  2. lock it, once it is under no writeback;
///  3. leave a page that belongs to nobody;
///  4. turn its PTEs into migration entries;
///  5. put the new page in its place (`migrate_page_move_mapping`), if it is in a tree;
///  6. copy its contents;
///  7. turn the entries into PTEs again, of the new page or, if it could not move, of the old one;
///  8. unlock both.
pub(super) async fn unmap_and_move(current: &Task, pfn: Pfn, new: Pfn, force: bool) -> Moved {
    let zone = &current.kernel().zone;
    let words = zone.memory.words(pfn);
    if words.count().read_once(current).await == 1 {
        return Moved::Freed; // 1. only the isolation's
    }
    // 2. Somebody who has the lock may wait for memory: the first tries do not wait for them.
    if !trylock_page(current, zone, pfn).await {
        if !force {
            return Moved::Again;
        }
        lock_page(current, zone, pfn).await; // 2
    }
    if words.flags().test_bit(current, PG_WRITEBACK).await {
        if !force {
            unlock_page(current, zone, pfn).await;
            return Moved::Again;
        }
        wait_on_page_writeback(current, zone, pfn).await;
    }
    // While no PTE maps it, only this keeps the anon_vma of an anonymous page.
    let rcu = current.rcu_read_lock().await;
    let moved = move_locked(current, pfn, new).await;
    rcu.unlock().await;
    unlock_page(current, zone, pfn).await; // 8
    moved
}

/// Steps 3 to 7. The page is locked and under no writeback.
async fn move_locked(current: &Task, pfn: Pfn, new: Pfn) -> Moved {
    let zone = &current.kernel().zone;
    let words = zone.memory.words(pfn);
    if words.mapping().read_once(current).await == 0 {
        // 3. Truncated, or read ahead into the swap cache and never mapped: nobody would find its entries.
        if !words.flags().test_bit(current, PG_SWAPCACHE).await
            && words.flags().test_bit(current, PG_PRIVATE).await
        {
            free_orphan_buffers(current, zone, pfn).await;
        }
        return Moved::No;
    }
    // 4. From here to 7 a fault that meets an entry sleeps for the page lock, which we hold
    // (`migration_entry_wait`). The entries hold no reference, so the count falls to what the freeze at 5
    // expects (I30).
    try_to_unmap(current, pfn, true).await; // 4
    let moved = if page_mapped(current, pfn).await {
        current.mark("unmap_and_move:still-mapped");
        false
    } else {
        move_to_new_page(current, pfn, new).await // 5
    };
    // 7. In every case, before the page is unlocked: an entry that stays behind would name a page that nobody
    // migrates (I30, R64).
    remove_migration_ptes(current, pfn, if moved { new } else { pfn }).await; // 7
    if moved {
        leave(current, pfn).await;
        unlock_page(current, zone, new).await; // 8
        Moved::Yes
    } else {
        Moved::Again
    }
}

/// `move_to_new_page`: the new page, locked, takes the place of the old one. True if it did.
async fn move_to_new_page(current: &Task, pfn: Pfn, new: Pfn) -> bool {
    let zone = &current.kernel().zone;
    let (from, to) = (zone.memory.words(pfn), zone.memory.words(new));
    let owner = page_mapping(current, pfn).await;
    to.flags().set_bit(current, PG_LOCKED).await; // nobody knows it
    let anon = matches!(PageMapping::decode(from.mapping().read_once(current).await), PageMapping::Anon(_));
    // Before 5, after which faults find the new page in the swap cache.
    if anon {
        to.index().write_once(current, from.index().read_once(current).await).await;
        to.mapping().write_once(current, from.mapping().read_once(current).await).await;
    }
    let replaced = match owner.mapping(current) {
        Some(mapping) => migrate_page_move_mapping(current, mapping, pfn, new).await,
        // Anonymous, and not in the swap cache: in no tree; the isolation's reference is all that is left.
        None => from.count().read_once(current).await == 1,
    };
    if !replaced {
        current.mark("move_to_new_page:referenced");
        to.mapping().write_once(current, 0).await;
        to.flags().clear_bit(current, PG_LOCKED).await;
        return false;
    }
    // 6. Nobody stores meanwhile: no PTE maps the old page, and who looks up the new one waits for its lock, as it is
    // not up to date yet. References to the old one were ruled out by the freeze (R62).
    zone.memory.copy_page(current, pfn, new).await; // 6
    current.charge(current.kernel().hw.costs().copy_page);
    migrate_page_copy(current, &owner, pfn, new).await;
    true
}

/// `migrate_page_copy` without the contents: what the flags say, the buffers, and that the page differs from what backs it.
async fn migrate_page_copy(current: &Task, owner: &Owner, pfn: Pfn, new: Pfn) {
    let zone = &current.kernel().zone;
    let (from, to) = (zone.memory.words(pfn), zone.memory.words(new));
    let flags = from.flags().read_once(current).await;
    to.flags().modify(current, |old| old | flags & COPIED).await;
    if flags >> PG_PRIVATE & 1 == 1 {
        // buffer_migrate_page: the buffers, with their reference.
        zone.memory.get_page(current, new).await.into_pfn();
        to.flags().set_bit(current, PG_PRIVATE).await;
        from.flags().clear_bit(current, PG_PRIVATE).await;
        zone.put_page(current, PageRef::counted(current, pfn)).await;
    }
    match owner {
        Owner::File(inode) => {
            if clear_page_dirty_for_io(current, inode, pfn).await {
                set_page_dirty(current, new).await;
            }
        }
        Owner::Swap => {
            let space = &current.kernel().swap.swapper_space;
            if test_clear_page_dirty(current, space, pfn).await {
                set_page_dirty(current, new).await;
            }
            migrate_page_left(current, space, pfn).await;
        }
        Owner::None if flags >> PG_DIRTY & 1 == 1 => to.flags().set_bit(current, PG_DIRTY).await,
        Owner::None => {}
    }
}

/// The old page is nobody's.
async fn leave(current: &Task, pfn: Pfn) {
    let words = current.kernel().zone.memory.words(pfn);
    words.flags().modify(current, |flags| flags & !(1 << PG_ACTIVE | 1 << PG_DIRTY)).await;
    words.mapping().write_once(current, 0).await;
}
