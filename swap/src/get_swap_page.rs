//! `get_swap_page`: a free page of a swap area.
//!
//! Follows mm/swapfile.c of v2.6.27.

use pagewalk_engine::Context;

use crate::{Swap, SwapEntry};

/// A free entry, from now on with count 1; `None` if every area is full. Areas of the highest priority are filled first, those of
/// one priority in turn.
pub async fn get_swap_page(cx: &Context, swap: &Swap) -> Option<SwapEntry> {
    let held = swap.lock(cx).await;
    let mut found = None;
    if swap.nr_swap_pages() > 0 {
        let (order, next) = {
            let list = swap.list.get(&held);
            (list.order.clone(), list.next)
        };
        let priority = |place: usize| swap.areas[usize::from(order[place])].priority;
        // The search begins at the turn's area only if none of a higher priority has room again.
        let turn = order.get(next).map(|_| priority(next));
        let mut places: Vec<usize> = (0..order.len()).collect();
        places.sort_by_key(|&place| {
            (std::cmp::Reverse(priority(place)), turn == Some(priority(place)) && place < next)
        });
        for place in places {
            let number = order[place];
            if let Some(offset) = swap.areas[usize::from(number)].allocate() {
                found = Some(SwapEntry::new(number, offset));
                swap.list.get_mut(&held).next = place + 1;
                break;
            }
        }
    }
    if let Some(entry) = found {
        swap.set_count(cx, &held, entry, 1).await;
        swap.add_free(cx, &held, -1).await;
    }
    held.unlock().await;
    found
}
