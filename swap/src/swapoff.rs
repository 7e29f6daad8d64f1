//! The areas' part of swapoff and swapon.
//!
//! Follows mm/swapfile.c (`sys_swapoff`, `find_next_to_unuse`, `sys_swapon`) of v2.6.27.

use pagewalk_engine::{Context, SpinGuard};

use crate::area::{SWAP_MAP_MAX, SWP_WRITEOK};
use crate::{Swap, SwapEntry};

/// How swapoff begins: nothing is allocated from the area any more. False if it is not in use, or if memory and the other areas could not take what
/// is on it: `free_frames` and their free pages are fewer.
pub async fn begin_swapoff(cx: &Context, swap: &Swap, area: u8, free_frames: u64) -> bool {
    let held = swap.lock(cx).await;
    let this = &swap.areas[usize::from(area)];
    let free_here = u64::from(this.pages() - this.inuse_pages.get());
    let elsewhere = swap.nr_swap_pages().saturating_sub(free_here) + free_frames;
    let possible = this.writeok() && elsewhere >= u64::from(this.inuse_pages.get());
    if possible {
        set_writeok(cx, swap, &held, area, false).await;
        swap.add_free(cx, &held, -i64::try_from(free_here).expect("fewer than 2^27 pages")).await;
        swap.add_total(&held, -i64::from(this.pages()));
        swap.relist(&held);
    }
    held.unlock().await;
    possible
}

/// The area could not be emptied: it is in use again.
pub async fn abort_swapoff(cx: &Context, swap: &Swap, area: u8) {
    let held = swap.lock(cx).await;
    let this = &swap.areas[usize::from(area)];
    set_writeok(cx, swap, &held, area, true).await;
    swap.add_free(cx, &held, i64::from(this.pages() - this.inuse_pages.get())).await;
    swap.add_total(&held, i64::from(this.pages()));
    swap.relist(&held);
    held.unlock().await;
}

/// `find_next_to_unuse`: the first entry in use after offset `after`, around the end. Without `swap_lock`: nothing is allocated from
/// the area any more, and an entry that is freed meanwhile does no harm.
pub async fn find_next_to_unuse(cx: &Context, swap: &Swap, area: u8, after: u32) -> Option<SwapEntry> {
    let pages = swap.areas[usize::from(area)].pages();
    for offset in (after + 1..=pages).chain(1..=after.min(pages)) {
        let entry = SwapEntry::new(area, offset);
        if swap_count(cx, swap, entry).await > 0 {
            return Some(entry);
        }
    }
    None
}

/// `swap_map[offset]`, looked at without the lock.
pub async fn swap_count(cx: &Context, swap: &Swap, entry: SwapEntry) -> u16 {
    swap.map_word(entry).read_once(cx).await
}

/// A count that says nothing any more, of an entry that every address space has been searched for: only the page, which is locked, has
/// it now. True if it was such a count.
pub async fn reset_overflow(cx: &Context, swap: &Swap, entry: SwapEntry) -> bool {
    if swap_count(cx, swap, entry).await < SWAP_MAP_MAX {
        return false;
    }
    let held = swap.lock(cx).await;
    swap.set_count(cx, &held, entry, 1).await;
    held.unlock().await;
    true
}

/// How swapoff ends: the area, which is empty, is gone, once nobody looks at its map without the lock.
///
/// v2.6.27 also waits here for `scan_swap_map`, which lets the lock go in a long search (`SWP_SCANNING`). Here a search is one hold of
/// the lock, and none is under way.
pub async fn finish_swapoff(cx: &Context, swap: &Swap, area: u8) {
    let this = &swap.areas[usize::from(area)];
    while this.users.get() > 0 {
        cx.mark("swapoff:waits-for-users");
        cx.yield_cpu().await;
    }
    let held = swap.lock(cx).await;
    swap.flags(area).write_once(cx, 0).await;
    held.unlock().await;
}

/// `swapon`: an area that was taken off is in use again, and empty. False if it is in use.
pub async fn swapon(cx: &Context, swap: &Swap, area: u8) -> bool {
    let held = swap.lock(cx).await;
    let this = &swap.areas[usize::from(area)];
    if this.flags.get() != 0 {
        held.unlock().await;
        return false;
    }
    this.renew();
    set_writeok(cx, swap, &held, area, true).await;
    swap.add_free(cx, &held, i64::from(this.pages())).await;
    swap.add_total(&held, i64::from(this.pages()));
    swap.relist(&held);
    held.unlock().await;
    true
}

async fn set_writeok(cx: &Context, swap: &Swap, held: &SpinGuard<'_>, area: u8, on: bool) {
    let flags = swap.flags(area);
    let before = flags.get(held);
    flags.write_once(cx, if on { before | SWP_WRITEOK } else { before & !SWP_WRITEOK }).await;
}
