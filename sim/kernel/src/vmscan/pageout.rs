//! `pageout`: a dirty page that reclaim wants is written.

use pagewalk_mmu::Pfn;
use pagewalk_pagecache::test_clear_page_dirty;
use pagewalk_pages::{PG_PRIVATE, PG_RECLAIM, PG_WRITEBACK};

use super::shrink_page_list::Owner;
use crate::fs::{InodeKind, clear_page_dirty_for_io, clear_page_reclaim, writepage};
use crate::shmem::shmem_writepage;
use crate::swap::swap_writepage;
use crate::task::Task;

/// How it went (`pageout_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageOut {
    /// It cannot be written now; still locked.
    Keep,
    /// It has nowhere to go: it is to be left alone for a while. Still locked.
    Activate,
    /// It is being written, or was; unlocked.
    Success,
    /// It was clean after all; still locked.
    Clean,
}

/// Begins to write the page, which is locked, if nobody but the cache, reclaim and the buffers has a reference: who has one may be
/// about to change it.
///
///  1. leave a page that somebody else has;
///  2. or that belongs nowhere;
///  3. clear `PG_dirty`: a page that was clean after all need not be written;
///  4. set `PG_reclaim`: when it is written, it is to be looked at next;
///  5. write it: that unlocks it;
///  6. clear `PG_reclaim` if the device has written the page by now.
pub(super) async fn pageout(current: &Task, pfn: Pfn, owner: &Owner) -> PageOut {
    let kernel = current.kernel();
    let words = kernel.zone.memory.words(pfn);
    let count = words.count().read_once(current).await;
    let buffers = i32::from(words.flags().test_bit(current, PG_PRIVATE).await);
    if count - buffers != 2 {
        current.mark("pageout:referenced");
        return PageOut::Keep; // 1
    }
    let dirty = match owner {
        Owner::None => return PageOut::Keep, // 2
        Owner::File(inode) => clear_page_dirty_for_io(current, inode, pfn).await,
        Owner::Swap => {
            clear_page_reclaim(current, pfn).await;
            test_clear_page_dirty(current, &kernel.swap.swapper_space, pfn).await
        }
    };
    if !dirty {
        return PageOut::Clean; // 3
    }
    words.flags().set_bit(current, PG_RECLAIM).await; // 4
    // 5
    match owner {
        Owner::File(inode) if inode.kind() == InodeKind::Shmem => {
            if !shmem_writepage(current, inode, pfn).await {
                words.flags().clear_bit(current, PG_RECLAIM).await;
                return PageOut::Activate;
            }
        }
        Owner::File(inode) => {
            let index = words.index().read_once(current).await;
            writepage(current, inode, pfn, index).await;
        }
        _ => swap_writepage(current, pfn).await,
    }
    if !words.flags().test_bit(current, PG_WRITEBACK).await {
        words.flags().clear_bit(current, PG_RECLAIM).await; // 6
    }
    kernel.stat.nr_vmscan_write.add(1);
    PageOut::Success
}
