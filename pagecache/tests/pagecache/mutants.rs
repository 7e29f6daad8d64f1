//! Each mutant breaks what the catalogue says, in a search of random schedules of a few operations; without it nothing breaks.

use std::rc::Rc;

use pagewalk_engine::{Context, Schedule};
use pagewalk_pagecache::{
    __remove_mapping, AddressSpace, find_get_page, find_get_pages, find_lock_page, lock_page, remove_mapping,
    unlock_page,
};
use pagewalk_pages::{Fix, Mutant, PG_DIRTY, PageRef, Switches};

use crate::common::{add, read, reclaim, truncate};
use crate::world::World;

/// Schedules tried before a search gives up.
const MOST: u64 = 30_000;

/// A few operations on two CPUs of a machine with two files.
type Scenario = fn(&World, [Rc<AddressSpace>; 2]);

/// The seed of the first schedule that breaks something, and what; `None` if none of the first `most` does.
fn search(kernel: Switches, scenario: Scenario, most: u64) -> Option<(u64, Vec<&'static str>)> {
    (0..most).find_map(|seed| {
        let world = World::with_frames(2, Schedule::Explore, seed, kernel, 64);
        let files = [world.cache.address_space(1), world.cache.address_space(2)];
        scenario(&world, files.clone());
        let mut broken = world.run_by_priorities(seed + 1);
        if broken.is_empty() {
            files.iter().for_each(|file| file.check(&world.engine));
            broken = world.engine.violations().iter().map(|violation| violation.invariant).collect();
        }
        (!broken.is_empty()).then_some((seed, broken))
    })
}

/// The mutant is caught by what it must break, and the kernel without it breaks nothing in as many schedules.
#[track_caller]
fn caught(mutant: Mutant, scenario: Scenario) {
    let expected = mutant.info().invariants;
    let found = search(Switches::FIXED.with_mutant(mutant), scenario, MOST);
    let (seed, broken) = found.unwrap_or_else(|| panic!("{mutant} was not caught in {MOST} schedules"));
    assert!(
        broken.iter().any(|invariant| expected.contains(invariant)),
        "{mutant}: {broken:?}, not {expected:?}"
    );
    assert_eq!(
        search(Switches::FIXED, scenario, (2 * seed).clamp(200, 3_000)),
        None,
        "the kernel without {mutant}"
    );
}

/// Pages that are there when the run begins, each with its stamp.
fn cached(world: &World, file: &Rc<AddressSpace>, indexes: &'static [u64]) {
    let file = Rc::clone(file);
    world.alone(|cx| async move {
        for &index in indexes {
            assert!(add(&cx, &file, index, stamp(&file, index)).await);
        }
    });
}

/// What a page of a file holds: tells files and indexes apart.
fn stamp(file: &AddressSpace, index: u64) -> u64 {
    (u64::from(file.id()) << 32) | (index + 1)
}

/// Reads a page as a program would: what it finds must be the file's.
async fn read_right(cx: &Context, file: &AddressSpace, index: u64) {
    let found = read(cx, file, index).await;
    if found.is_some_and(|found| found != stamp(file, index)) {
        cx.engine().violation("I15", format!("index {index} of {file:?} holds {found:?}"));
    }
}

/// A lookup meets the removal of its page, whose frame becomes another file's.
fn reuse(world: &World, [ours, theirs]: [Rc<AddressSpace>; 2]) {
    cached(world, &ours, &[0]);
    let file = Rc::clone(&ours);
    world.spawn(0, |cx| async move { read_right(&cx, &file, 0).await });
    world.spawn(1, |cx| async move {
        truncate(&cx, &ours, 0).await;
        add(&cx, &theirs, 5, stamp(&theirs, 5)).await;
    });
}

/// A lookup meets reclaim.
fn lookup_meets_reclaim(world: &World, [file, _]: [Rc<AddressSpace>; 2]) {
    cached(world, &file, &[0]);
    let ours = Rc::clone(&file);
    world.spawn(0, |cx| async move { read_right(&cx, &ours, 0).await });
    world.spawn(1, |cx| async move { _ = reclaim(&cx, &file, 0).await });
}

/// A page is dirtied through a reference while somebody tries to remove it.
fn dirty_meets_removal(world: &World, [file, _]: [Rc<AddressSpace>; 2]) {
    cached(world, &file, &[0]);
    let ours = Rc::clone(&file);
    world.spawn(0, |cx| async move {
        if let Some(page) = find_get_page(&cx, &ours, 0).await {
            ours.zone().memory.words(page.pfn()).flags().set_bit(&cx, PG_DIRTY).await;
            ours.zone().put_page(&cx, page).await;
        }
    });
    world.spawn(1, |cx| async move {
        let Some(page) = find_get_page(&cx, &file, 0).await else { return };
        lock_page(&cx, file.zone(), page.pfn()).await;
        if remove_mapping(&cx, &file, &page).await {
            cx.mark("removed");
        }
        unlock_page(&cx, file.zone(), page.pfn()).await;
        file.zone().put_page(&cx, page).await;
    });
}

/// The tree shrinks to its first item, which is removed then: the address of its old slot is still known.
fn shrink_meets_gang(world: &World, [file, _]: [Rc<AddressSpace>; 2]) {
    cached(world, &file, &[0, 1]);
    let ours = Rc::clone(&file);
    world.spawn(0, |cx| async move {
        for page in find_get_pages(&cx, &ours, 0, 4).await {
            ours.zone().put_page(&cx, page).await;
        }
    });
    world.spawn(1, |cx| async move {
        truncate(&cx, &file, 1).await;
        truncate(&cx, &file, 0).await;
    });
}

/// The same with a single lookup, and the frame becomes another file's.
fn shrink_meets_lookup(world: &World, [ours, theirs]: [Rc<AddressSpace>; 2]) {
    cached(world, &ours, &[0, 1]);
    let file = Rc::clone(&ours);
    world.spawn(0, |cx| async move { read_right(&cx, &file, 0).await });
    world.spawn(1, |cx| async move {
        truncate(&cx, &ours, 1).await;
        truncate(&cx, &ours, 0).await;
        add(&cx, &theirs, 5, stamp(&theirs, 5)).await;
    });
}

/// A lookup is in a node that leaves its tree, and that another tree would like to have.
fn node_reuse(world: &World, [ours, theirs]: [Rc<AddressSpace>; 2]) {
    cached(world, &ours, &[1]);
    let file = Rc::clone(&ours);
    world.spawn(0, |cx| async move { read_right(&cx, &file, 1).await });
    world.spawn(1, |cx| async move {
        truncate(&cx, &ours, 1).await;
        add(&cx, &theirs, 1, stamp(&theirs, 1)).await;
    });
}

/// A page is looked up while it is added.
fn add_meets_lookup(world: &World, [file, _]: [Rc<AddressSpace>; 2]) {
    let ours = Rc::clone(&file);
    world.spawn(0, |cx| async move { _ = add(&cx, &ours, 0, stamp(&ours, 0)).await });
    world.spawn(1, |cx| async move {
        if let Some(page) = find_lock_page(&cx, &file, 0).await {
            unlock_page(&cx, file.zone(), page.pfn()).await;
            file.zone().put_page(&cx, page).await;
        }
    });
}

/// A lookup's reference comes to a page that has a new owner.
fn stale_reference(world: &World, [file, _]: [Rc<AddressSpace>; 2]) {
    cached(world, &file, &[0]);
    let ours = Rc::clone(&file);
    let pfn = world.alone(|cx| async move {
        let page = find_lock_page(&cx, &ours, 0).await.expect("cached");
        page.into_pfn()
    });
    let ours = Rc::clone(&file);
    world.spawn(0, |cx| async move { read_right(&cx, &ours, 0).await });
    world.spawn(1, move |cx| async move {
        let zone = file.zone();
        if !__remove_mapping(&cx, &file, pfn).await {
            unlock_page(&cx, zone, pfn).await;
            return zone.put_page(&cx, PageRef::counted(&cx, pfn)).await;
        }
        unlock_page(&cx, zone, pfn).await;
        zone.free_hot_page(&cx, pfn).await;
        let page = zone.alloc_page(&cx).await.expect("a free frame");
        zone.put_page(&cx, page).await;
    });
}

#[test]
fn a_lookup_that_does_not_look_again_returns_a_strangers_page() {
    caught(Mutant::SkipRecheck, reuse);
}

#[test]
fn a_plain_increment_revives_a_free_page() {
    caught(Mutant::PlainInc, reuse);
}

#[test]
fn a_remover_that_only_compares_frees_a_page_in_use() {
    caught(Mutant::CheckThenRemove, lookup_meets_reclaim);
}

#[test]
fn a_remover_that_only_compares_is_right_when_it_is_alone() {
    let alone: Scenario = |world, [file, _]| {
        cached(world, &file, &[0, 1]);
        world.spawn(0, |cx| async move {
            for index in [0, 1] {
                assert!(reclaim(&cx, &file, index).await, "nobody else has page {index}");
            }
        });
    };
    assert_eq!(search(Switches::FIXED.with_mutant(Mutant::CheckThenRemove), alone, 1), None);
}

#[test]
fn a_remover_that_finds_the_page_dirty_must_give_the_count_back() {
    caught(Mutant::FreezeLeakDirty, dirty_meets_removal);
}

#[test]
fn a_gang_lookup_with_a_stale_slot_never_ends() {
    caught(Mutant::StaleSlotAfterShrink, shrink_meets_gang);
}

#[test]
fn a_lookup_with_a_stale_slot_returns_a_strangers_page() {
    caught(Mutant::StaleSlotWrongPage, shrink_meets_lookup);
}

#[test]
fn a_node_emptied_too_early_hides_a_page() {
    caught(Mutant::NodeZeroedBeforeGrace, shrink_meets_lookup);
}

#[test]
fn a_node_freed_too_early_is_walked_by_a_stranger() {
    caught(Mutant::NodeFreedNoGrace, node_reuse);
}

#[test]
fn a_page_that_can_be_found_before_it_is_ready_is_found() {
    caught(Mutant::PublishBeforeInit, add_meets_lookup);
}

#[test]
fn a_count_stored_twice_loses_a_reference() {
    caught(Mutant::SetCountClobber, stale_reference);
}

#[test]
fn the_latent_bugs_show_in_2_6_27_and_each_goes_with_its_fix() {
    let latent = Switches::LINUX_2_6_27;
    let (_, broken) = search(latent, shrink_meets_lookup, MOST).expect("R08b");
    assert!(broken.contains(&"I9"), "{broken:?}");
    let (_, broken) = search(latent, shrink_meets_gang, MOST).expect("R07 or R08");
    assert!(broken.contains(&"I27"), "{broken:?}");
    let fixed = latent.with(Fix::RetiredSlotRetry).with(Fix::RereadSlot);
    assert_eq!(search(fixed, shrink_meets_lookup, 2_000), None);
    assert_eq!(search(fixed, shrink_meets_gang, 2_000), None);
}

#[test]
fn a_gang_lookup_that_keeps_the_value_it_read_never_ends() {
    let kept = Switches::FIXED.without(Fix::RereadSlot);
    let (_, broken) = search(kept, lookup_in_gang_meets_reclaim, MOST).expect("R07");
    assert!(broken.contains(&"I27"), "{broken:?}");
    assert_eq!(search(Switches::FIXED, lookup_in_gang_meets_reclaim, 2_000), None);
}

/// A gang lookup meets reclaim.
fn lookup_in_gang_meets_reclaim(world: &World, [file, _]: [Rc<AddressSpace>; 2]) {
    cached(world, &file, &[0]);
    let ours = Rc::clone(&file);
    world.spawn(0, |cx| async move {
        for page in find_get_pages(&cx, &ours, 0, 4).await {
            ours.zone().put_page(&cx, page).await;
        }
    });
    world.spawn(1, |cx| async move { _ = reclaim(&cx, &file, 0).await });
}
