//! The swap cache: who adds, finds, shares and frees entries at once, under random schedules.

use std::rc::Rc;

use pagewalk_engine::{Context, Schedule};
use pagewalk_pagecache::{find_get_page, lock_page, trylock_page, unlock_page};
use pagewalk_pages::{Fix, PG_SWAPCACHE, PageRef, Switches};
use pagewalk_swap::{Swap, SwapEntry, add_to_swap, free_page_swap, free_swap_and_cache, swap_duplicate};

use crate::areas;
use crate::world::World;

/// A page with an entry in the swap cache that one PTE names, too; unlocked. The caller has the reference.
async fn swapped<'a>(cx: &'a Context, swap: &Swap) -> (PageRef<'a>, SwapEntry) {
    let zone = swap.swapper_space.zone();
    let page = zone.alloc_page(cx).await.expect("a free frame");
    lock_page(cx, zone, page.pfn()).await;
    assert!(add_to_swap(cx, swap, page.pfn()).await, "there is room");
    let word = zone.memory.words(page.pfn()).private().read_once(cx).await;
    let entry = SwapEntry::from_word(word).expect("it has one");
    assert!(swap_duplicate(cx, swap, entry).await);
    unlock_page(cx, zone, page.pfn()).await;
    (page, entry)
}

/// Who looks the page up as `do_swap_page` does: whoever has its lock knows whether it is in the swap cache still.
async fn look(cx: &Context, swap: &Swap, entry: SwapEntry) {
    let zone = swap.swapper_space.zone();
    let Some(page) = find_get_page(cx, &swap.swapper_space, u64::from(entry.word())).await else { return };
    lock_page(cx, zone, page.pfn()).await;
    let words = zone.memory.words(page.pfn());
    if words.flags().test_bit(cx, PG_SWAPCACHE).await {
        assert_eq!(words.private().read_once(cx).await, entry.word(), "its own entry, while it is locked");
    }
    unlock_page(cx, zone, page.pfn()).await;
    zone.put_page(cx, page).await;
}

/// Two PTEs that name an entry go at once, while somebody looks the page up; yields what is broken, and how many entries are left. No
/// frame is.
fn everybody_leaves(seed: u64, kernel: Switches) -> (Vec<&'static str>, usize) {
    let world = World::new(3, Schedule::Explore, seed, kernel);
    let frames = world.zone.free_frames();
    let swap = areas(&world.cache, &[(4, 0)]);
    let entry = {
        let swap = Rc::clone(&swap);
        world.alone(async move |cx: Rc<Context>| {
            let (page, entry) = swapped(&cx, &swap).await;
            assert!(swap_duplicate(&cx, &swap, entry).await, "the second PTE");
            swap.swapper_space.zone().put_page(&cx, page).await;
            entry
        })
    };
    for cpu in 0..2 {
        let swap = Rc::clone(&swap);
        world.spawn(cpu, async move |cx: Rc<Context>| free_swap_and_cache(&cx, &swap, entry).await);
    }
    let looks = Rc::clone(&swap);
    world.spawn(2, async move |cx: Rc<Context>| look(&cx, &looks, entry).await);
    let broken = world.run_by_priorities(seed);
    // What was busy at the wrong moment reclaim finds.
    let rest = Rc::clone(&swap);
    world.alone(async move |cx: Rc<Context>| {
        let zone = rest.swapper_space.zone();
        if let Some(page) = find_get_page(&cx, &rest.swapper_space, u64::from(entry.word())).await {
            assert!(trylock_page(&cx, zone, page.pfn()).await, "nobody is left who could have it");
            assert!(free_page_swap(&cx, &rest, page.pfn()).await, "no PTE names its entry");
            unlock_page(&cx, zone, page.pfn()).await;
            zone.put_page(&cx, page).await;
        }
    });
    assert_eq!(world.zone.free_frames(), frames, "seed {seed}");
    (broken, swap.observe_counts().len())
}

#[test]
fn with_the_last_entry_the_page_is_free_or_found_by_reclaim() {
    for kernel in [Switches::FIXED, Switches::FIXED.without(Fix::TryToFreeSwap)] {
        for seed in 0..2_000 {
            assert_eq!(everybody_leaves(seed, kernel), (Vec::new(), 0), "seed {seed}");
        }
    }
}

#[test]
fn a_page_that_is_alone_gives_its_copy_up_and_one_that_is_shared_keeps_it() {
    for (shared, kernel) in [(false, Switches::FIXED), (true, Switches::FIXED)] {
        let world = World::new(1, Schedule::Timed, 0, kernel);
        let swap = areas(&world.cache, &[(4, 0)]);
        let of_run = Rc::clone(&swap);
        world.alone(async move |cx: Rc<Context>| {
            let zone = of_run.swapper_space.zone();
            let (page, entry) = swapped(&cx, &of_run).await;
            if !shared {
                free_swap_and_cache(&cx, &of_run, entry).await;
                assert_eq!(of_run.observe_counts(), [], "the cache alone had it");
                zone.put_page(&cx, page).await;
                return;
            }
            lock_page(&cx, zone, page.pfn()).await;
            assert!(!free_page_swap(&cx, &of_run, page.pfn()).await);
            assert_eq!(of_run.observe_counts(), [(entry, 2)]);
            unlock_page(&cx, zone, page.pfn()).await;
            zone.put_page(&cx, page).await;
        });
    }
}

#[test]
fn a_page_of_full_swap_stays_as_it_is() {
    let world = World::new(1, Schedule::Timed, 0, Switches::FIXED);
    let swap = areas(&world.cache, &[(1, 0)]);
    let of_run = Rc::clone(&swap);
    world.alone(async move |cx: Rc<Context>| {
        let zone = of_run.swapper_space.zone();
        let (first, _) = swapped(&cx, &of_run).await;
        let page = zone.alloc_page(&cx).await.expect("a free frame");
        lock_page(&cx, zone, page.pfn()).await;
        assert!(!add_to_swap(&cx, &of_run, page.pfn()).await);
        assert!(!zone.memory.words(page.pfn()).flags().test_bit(&cx, PG_SWAPCACHE).await);
        unlock_page(&cx, zone, page.pfn()).await;
        zone.put_page(&cx, page).await;
        zone.put_page(&cx, first).await;
    });
    assert_eq!(swap.nr_swap_pages(), 0);
}
