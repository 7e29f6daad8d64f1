//! `get_swap_page`: a free page of a swap area.
//!
//! Follows mm/swapfile.c of v2.6.27.

use pagewalk_engine::{Context, SpinGuard};

use crate::swap_info::SwapList;
use crate::{Swap, SwapEntry};

/// A free entry, from now on with count 1; `None` if every area is full. Areas of the highest priority are filled first, those of
/// one priority in turn.
///
/// The walk of `swap_list`: from the area whose turn it is through those of its priority; then once through all, from the highest.
pub async fn get_swap_page(cx: &Context, swap: &Swap) -> Option<SwapEntry> {
    let held = swap.lock(cx).await;
    let mut found = None;
    if swap.nr_swap_pages() > 0 {
        // Taken from the total before it is found, as in v2.6.27: who reads the total without the lock sees
        // one less, never one that is gone.
        swap.add_free(cx, &held, -1).await;
        found = walk_swap_list(swap, &held);
        match found {
            // The count is the caller's until it has put a page into the swap cache at the entry, and the
            // swap cache's from then on (I11).
            Some(entry) => swap.set_count(cx, &held, entry, 1).await,
            None => swap.add_free(cx, &held, 1).await,
        }
    }
    held.unlock().await;
    found
}

/// The first free entry of the walk; the turn is the next area's then.
fn walk_swap_list(swap: &Swap, held: &SpinGuard<'_>) -> Option<SwapEntry> {
    let mut list = swap.list.get_mut(held);
    let priority = |list: &SwapList, place: usize| {
        list.order.get(place).map(|&number| swap.areas[usize::from(number)].priority)
    };
    let (mut place, mut wrapped) = (list.next, 0);
    while wrapped < 2 && place < list.order.len() {
        let number = list.order[place];
        let mut next = place + 1;
        let same = priority(&list, next) == priority(&list, place);
        if next == list.order.len() || (wrapped == 0 && !same) {
            (next, wrapped) = (0, wrapped + 1);
        }
        if let Some(offset) = swap.areas[usize::from(number)].allocate() {
            list.next = next;
            return Some(SwapEntry::new(number, offset));
        }
        place = next;
    }
    None
}
