//! Lookups, additions and removals at once under random schedules: whatever the order, no invariant breaks, and what a lookup
//! reads belongs to the file and index it asked for.

use std::collections::BTreeSet;
use std::rc::Rc;

use pagewalk_engine::{Context, Schedule};
use pagewalk_pagecache::{AddressSpace, find_get_pages};
use pagewalk_pages::Switches;

use crate::common::{add, read, reclaim, truncate};
use crate::world::World;

/// What a page of a file holds: tells files and indexes apart.
fn stamp(mapping: &AddressSpace, index: u64) -> u64 {
    (u64::from(mapping.id()) << 32) | (index + 1)
}

/// One CPU's share of the turmoil.
async fn turmoil(cx: Rc<Context>, files: Rc<[Rc<AddressSpace>]>, seed: u64) {
    let mut state = seed;
    let mut draw = |below: u64| {
        // An LCG (Knuth's MMIX constants); only the high bits are used.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let indexes = [0, 1, 2, 64, 65];
    for _ in 0..25 {
        let file = &files[draw(files.len() as u64) as usize];
        let index = indexes[draw(indexes.len() as u64) as usize];
        match draw(8) {
            0 | 1 => _ = add(&cx, file, index, stamp(file, index)).await,
            2 => _ = truncate(&cx, file, index).await,
            3 => _ = reclaim(&cx, file, index).await,
            4 => gang(&cx, file).await,
            _ => {
                let found = read(&cx, file, index).await;
                let right = found.is_none_or(|found| found == stamp(file, index));
                if !right {
                    cx.engine().violation("I15", format!("index {index} of {file:?} holds {found:?}"));
                }
            }
        }
    }
}

async fn gang(cx: &Context, file: &AddressSpace) {
    for page in find_get_pages(cx, file, 0, 4).await {
        file.zone().put_page(cx, page).await;
    }
}

/// Runs the turmoil for each seed; yields all that was broken and every branch taken.
fn run(kernel: Switches, seeds: std::ops::Range<u64>) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let (mut broken, mut branches) = (BTreeSet::new(), BTreeSet::new());
    for seed in seeds {
        let world = World::with_frames(4, Schedule::Random, seed, kernel, 64);
        world.engine.watch_marks();
        let free = world.zone.free_frames();
        let files: Rc<[Rc<AddressSpace>]> = (1..3).map(|id| world.cache.address_space(id)).collect();
        for cpu in 0..4 {
            let files = Rc::clone(&files);
            world.spawn(cpu, |cx| turmoil(cx, files, seed << 8 | u64::from(cpu)));
        }
        broken.extend(world.run());
        files.iter().for_each(|file| file.check(&world.engine));
        branches.extend(world.engine.marks().into_iter().map(|(name, _)| name));
        let cached: u64 = files.iter().map(|file| file.nrpages().observe()).sum();
        if broken.is_empty() {
            assert_eq!(
                u64::from(world.zone.free_frames()) + cached,
                u64::from(free),
                "seed {seed}: frames are lost"
            );
        }
        broken.extend(world.engine.violations().iter().map(|violation| violation.invariant));
    }
    (broken, branches)
}

#[test]
fn nothing_breaks_however_lookups_and_removals_meet() {
    let (broken, branches) = run(Switches::FIXED, 0..150);
    assert_eq!(broken, BTreeSet::new());
    for branch in ["find_get_page:count-was-0", "find_get_page:moved", "find_lock_page:truncated"] {
        assert!(branches.contains(branch), "{branch} was never taken: {branches:?}");
    }
}

#[test]
fn nothing_breaks_where_lookups_take_the_lock() {
    let (broken, _) = run(Switches::LINUX_2_6_22, 0..60);
    assert_eq!(broken, BTreeSet::new());
}
