//! Every branch of the page cache that bears a mark is driven: the list of marks is read off the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use pagewalk_engine::Schedule;
use pagewalk_pagecache::{
    AddressSpace, PageCache, ReleasePolicy, add_to_page_cache, do_invalidatepage, find_get_page,
    find_get_pages, find_lock_page, invalidate_complete_page2, remove_mapping, set_page_dirty_nobuffers,
    set_page_writeback, try_to_release_page, unlock_page,
};
use pagewalk_pages::{Fix, PG_DIRTY, PageRef, Switches};

use crate::common::{add, migrate, reclaim, truncate};
use crate::world::World;

/// The marks written in the sources under `directory`.
fn marks_in(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            marks_in(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        for rest in text.split(".mark(\"").skip(1) {
            found.insert(rest.split('"').next().unwrap_or_default().to_owned());
        }
    }
}

/// Runs two contexts on one file under `seeds` schedules; yields the branches taken.
fn drive_for(seeds: u64, kernel: Switches, first: &'static [u64], bodies: [Body; 2]) -> BTreeSet<String> {
    let mut taken = BTreeSet::new();
    for seed in 1..=seeds {
        let world = World::with_frames(2, Schedule::Explore, seed, kernel, 64);
        let file = world.cache.address_space(1);
        let ours = Rc::clone(&file);
        world.alone(|cx| async move {
            for &index in first {
                assert!(add(&cx, &ours, index, 1).await);
            }
        });
        world.engine.watch_marks();
        for (cpu, body) in (0..).zip(bodies) {
            let ours = Rc::clone(&file);
            world.spawn(cpu, move |cx| async move {
                match body {
                    Body::Find => {
                        if let Some(page) = find_get_page(&cx, &ours, 0).await {
                            ours.zone().put_page(&cx, page).await;
                        }
                    }
                    Body::Lock => {
                        if let Some(page) = find_lock_page(&cx, &ours, 0).await {
                            unlock_page(&cx, ours.zone(), page.pfn()).await;
                            ours.zone().put_page(&cx, page).await;
                        }
                    }
                    Body::Gang => {
                        for page in find_get_pages(&cx, &ours, 0, 4).await {
                            ours.zone().put_page(&cx, page).await;
                        }
                    }
                    Body::Truncate => _ = truncate(&cx, &ours, 0).await,
                    Body::Reclaim => _ = reclaim(&cx, &ours, 0).await,
                    Body::Migrate => _ = migrate(&cx, &ours, 0).await,
                    Body::Grow => _ = add(&cx, &ours, 1, 1).await,
                    Body::Replace => {
                        truncate(&cx, &ours, 0).await;
                        add(&cx, &ours, 0, 2).await;
                    }
                }
            });
        }
        assert_eq!(world.run_by_priorities(seed), [""; 0], "seed {seed}");
        taken.extend(world.engine.marks().iter().map(|(name, _)| (*name).to_owned()));
    }
    taken
}

/// The same, under 400 of them.
fn drive(kernel: Switches, first: &'static [u64], bodies: [Body; 2]) -> BTreeSet<String> {
    drive_for(400, kernel, first, bodies)
}

/// What a context does with the page at index 0.
#[derive(Clone, Copy)]
enum Body {
    Find,
    Lock,
    Gang,
    Truncate,
    Reclaim,
    Migrate,
    Grow,
    Replace,
}

/// The branches that need no race.
fn alone() -> BTreeSet<String> {
    let world = World::new(1, Schedule::Timed, 1, Switches::FIXED);
    world.engine.watch_marks();
    let file = world.cache.address_space(1);
    let full = PageCache::new(&world.zone, 1).address_space(2);
    world.alone(|cx| async move {
        assert!(add(&cx, &file, 0, 1).await);
        assert!(!add(&cx, &file, 0, 2).await);
        assert!(!add(&cx, &full, 0, 2).await);
        states_of_a_page(&cx, &file).await;
    });
    world.engine.marks().iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// A page that is referenced, dirty, under writeback, with buffers, detached.
async fn states_of_a_page(cx: &pagewalk_engine::Context, file: &Rc<AddressSpace>) {
    let zone = file.zone();
    let page = find_lock_page(cx, file, 0).await.expect("cached");
    let other = find_get_page(cx, file, 0).await.expect("cached");
    assert!(!remove_mapping(cx, file, &page).await);
    zone.put_page(cx, other).await;
    assert!(set_page_dirty_nobuffers(cx, file, page.pfn()).await);
    assert!(!remove_mapping(cx, file, &page).await);
    assert!(!invalidate_complete_page2(cx, file, page.pfn()).await);
    set_page_writeback(cx, file, page.pfn()).await; // dirty again
    assert!(!try_to_release_page(cx, file, page.pfn()).await);
    pagewalk_pagecache::end_page_writeback(cx.engine(), cx.cpu().id(), file, page.pfn());
    pagewalk_pagecache::wait_on_page_writeback(cx, zone, page.pfn()).await;
    file.release.set(ReleasePolicy::Never);
    assert!(!try_to_release_page(cx, file, page.pfn()).await);
    do_invalidatepage(cx, file, page.pfn()).await;
    zone.memory.words(page.pfn()).flags().clear_bit(cx, PG_DIRTY).await;
    assert!(remove_mapping(cx, file, &page).await);
    assert!(set_page_dirty_nobuffers(cx, file, page.pfn()).await, "detached");
    unlock_page(cx, zone, page.pfn()).await;
    zone.put_page(cx, page).await;
    let page: PageRef<'_> = zone.alloc_page(cx).await.expect("a free frame");
    assert!(add_to_page_cache(cx, &page, file, 3).await.is_ok());
    unlock_page(cx, zone, page.pfn()).await;
    zone.put_page(cx, page).await;
}

#[test]
fn every_marked_branch_is_driven() {
    let mut all = BTreeSet::new();
    marks_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.len() > 10, "the marks are found: {all:?}");
    let mut driven = alone();
    let fixed = Switches::FIXED;
    driven.extend(drive(fixed, &[0], [Body::Find, Body::Truncate]));
    driven.extend(drive(fixed, &[0], [Body::Find, Body::Reclaim]));
    // Between the look at the count and the freeze is one step.
    driven.extend(drive_for(5_000, fixed, &[0], [Body::Find, Body::Migrate]));
    driven.extend(drive(fixed, &[0], [Body::Find, Body::Grow]));
    driven.extend(drive(fixed, &[0], [Body::Find, Body::Replace]));
    driven.extend(drive(fixed, &[0], [Body::Lock, Body::Truncate]));
    driven.extend(drive(fixed, &[0], [Body::Gang, Body::Reclaim]));
    driven.extend(drive(fixed, &[0], [Body::Gang, Body::Grow]));
    driven.extend(drive(fixed, &[0], [Body::Gang, Body::Replace]));
    driven.extend(drive(fixed.without(Fix::RetiredSlotRetry), &[0], [Body::Find, Body::Truncate]));
    let idle: Vec<&String> = all.difference(&driven).collect();
    assert!(idle.is_empty(), "marked branches that nothing drives: {idle:?}");
}
