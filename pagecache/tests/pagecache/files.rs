//! Locks, buffers, writeback and invalidation of pages of files.

use std::rc::Rc;

use pagewalk_engine::{Context, Schedule};
use pagewalk_pagecache::{
    AddError, AddressSpace, ReleasePolicy, Tag, add_to_page_cache, add_to_page_cache_locked,
    create_empty_buffers, end_page_writeback, find_get_page, find_lock_page, invalidate_complete_page2,
    lock_page, page_freeze_refs, page_unfreeze_refs, remove_mapping, set_page_dirty_nobuffers,
    set_page_writeback, try_to_release_page, unlock_page, wait_on_page_writeback,
};
use pagewalk_pages::{PG_LOCKED, PG_PRIVATE, PG_WRITEBACK, PageRef, Switches};

use crate::common::add;
use crate::world::World;

/// Runs `body` on a machine with one file that has a page at index 0.
fn with_page<Fut>(body: impl FnOnce(Rc<Context>, Rc<AddressSpace>) -> Fut)
where
    Fut: Future<Output = ()> + 'static,
{
    let world = World::new(1, Schedule::Timed, 1, Switches::FIXED);
    let file = world.cache.address_space(1);
    let ours = Rc::clone(&file);
    world.alone(|cx| async move { assert!(add(&cx, &ours, 0, 1).await) });
    world.alone(|cx| body(cx, file));
}

async fn locked<'a>(cx: &'a Context, file: &AddressSpace) -> PageRef<'a> {
    find_lock_page(cx, file, 0).await.expect("the page is cached")
}

async fn release(cx: &Context, file: &AddressSpace, page: PageRef<'_>) {
    unlock_page(cx, file.zone(), page.pfn()).await;
    file.zone().put_page(cx, page).await;
}

#[test]
fn one_reference_too_many_keeps_a_page_in_the_cache() {
    with_page(|cx, file| async move {
        let page = locked(&cx, &file).await;
        let other = find_get_page(&cx, &file, 0).await.expect("the page is cached");
        assert!(!remove_mapping(&cx, &file, &page).await);
        file.zone().put_page(&cx, other).await;
        assert!(remove_mapping(&cx, &file, &page).await);
        assert_eq!((file.observe(0), file.nrpages().observe()), (None, 0));
        release(&cx, &file, page).await;
    });
}

#[test]
fn a_dirty_page_stays_and_its_count_is_as_before() {
    with_page(|cx, file| async move {
        let page = locked(&cx, &file).await;
        assert!(set_page_dirty_nobuffers(&cx, &file, page.pfn()).await);
        assert!(!set_page_dirty_nobuffers(&cx, &file, page.pfn()).await, "dirty already");
        assert!(!remove_mapping(&cx, &file, &page).await);
        assert!(!invalidate_complete_page2(&cx, &file, page.pfn()).await);
        assert_eq!(file.zone().memory.words(page.pfn()).count().observe(), 2);
        release(&cx, &file, page).await;
    });
}

#[test]
fn invalidation_that_must_succeed_ignores_the_count() {
    with_page(|cx, file| async move {
        let page = locked(&cx, &file).await;
        let other = find_get_page(&cx, &file, 0).await.expect("the page is cached");
        assert!(invalidate_complete_page2(&cx, &file, page.pfn()).await);
        assert_eq!(file.zone().memory.words(page.pfn()).count().observe(), 2);
        file.zone().put_page(&cx, other).await;
        release(&cx, &file, page).await;
    });
}

#[test]
fn buffers_are_one_reference_that_the_file_system_may_keep() {
    with_page(|cx, file| async move {
        let page = locked(&cx, &file).await;
        let words = file.zone().memory.words(page.pfn());
        create_empty_buffers(&cx, file.zone(), page.pfn()).await;
        create_empty_buffers(&cx, file.zone(), page.pfn()).await;
        assert_eq!(words.count().observe(), 3, "one reference however often");
        assert!(!remove_mapping(&cx, &file, &page).await);
        file.release.set(ReleasePolicy::Never);
        assert!(!try_to_release_page(&cx, &file, page.pfn()).await);
        file.release.set(ReleasePolicy::Clean);
        assert!(try_to_release_page(&cx, &file, page.pfn()).await);
        assert_eq!((words.count().observe(), words.flags().observe() >> PG_PRIVATE & 1), (2, 0));
        assert!(remove_mapping(&cx, &file, &page).await);
        release(&cx, &file, page).await;
    });
}

#[test]
fn a_page_that_cannot_be_added_keeps_the_lock_its_owner_has() {
    with_page(|cx, file| async move {
        let page = file.zone().alloc_page(&cx).await.expect("a free frame");
        let flags = file.zone().memory.words(page.pfn()).flags();
        lock_page(&cx, file.zone(), page.pfn()).await;
        assert_eq!(add_to_page_cache_locked(&cx, &page, &file, 0).await, Err(AddError::Exists));
        assert_eq!(flags.observe() >> PG_LOCKED & 1, 1);
        unlock_page(&cx, file.zone(), page.pfn()).await;
        assert_eq!(add_to_page_cache(&cx, &page, &file, 0).await, Err(AddError::Exists));
        assert_eq!(flags.observe() >> PG_LOCKED & 1, 0);
        file.zone().put_page(&cx, page).await;
    });
}

#[test]
fn a_frozen_page_is_found_by_nobody_until_it_thaws() {
    let world = World::new(2, Schedule::Timed, 1, Switches::FIXED);
    world.engine.watch_marks();
    let file = world.cache.address_space(1);
    let ours = Rc::clone(&file);
    world.alone(|cx| async move { assert!(add(&cx, &ours, 0, 1).await) });
    let ours = Rc::clone(&file);
    world.spawn(0, |cx| async move {
        let (_, pfn) = ours.observe_pages()[0];
        assert!(!page_freeze_refs(&cx, ours.zone(), pfn, 2).await);
        assert!(page_freeze_refs(&cx, ours.zone(), pfn, 1).await);
        cx.charge(50_000);
        page_unfreeze_refs(&cx, ours.zone(), pfn, 1).await;
    });
    world.spawn(1, |cx| async move {
        cx.charge(20_000);
        let page = find_get_page(&cx, &file, 0).await.expect("the page never left");
        assert!(cx.cpu().clock() > 50_000, "{}", cx.cpu().clock());
        file.zone().put_page(&cx, page).await;
    });
    assert_eq!(world.run(), [""; 0]);
    assert!(world.engine.marks().iter().any(|&(name, _)| name == "find_get_page:count-was-0"));
}

#[test]
fn the_end_of_writeback_waits_for_whoever_holds_the_tree() {
    let world = World::new(3, Schedule::Timed, 1, Switches::FIXED);
    let file = world.cache.address_space(1);
    let ours = Rc::clone(&file);
    world.alone(|cx| async move {
        assert!(add(&cx, &ours, 0, 1).await);
        let page = locked(&cx, &ours).await;
        set_page_writeback(&cx, &ours, page.pfn()).await;
        release(&cx, &ours, page).await;
    });
    let (_, pfn) = file.observe_pages()[0];
    // The interrupt comes in the middle of each of a run of insertions, whatever they are doing.
    for cpu in 0..2 {
        let ours = Rc::clone(&file);
        world.spawn(cpu, move |cx| async move {
            for index in (1 + u64::from(cpu)..200).step_by(2) {
                assert!(add(&cx, &ours, index, 1).await);
            }
        });
    }
    let ours = Rc::clone(&file);
    world.spawn(2, move |cx| async move {
        cx.charge(500);
        end_page_writeback(cx.engine(), cx.cpu().id(), &ours, pfn);
        wait_on_page_writeback(&cx, ours.zone(), pfn).await;
        assert_eq!(ours.observe_tag(Tag::Writeback), [0; 0]);
    });
    assert_eq!(world.run(), [""; 0]);
    assert_eq!(file.zone().memory.words(pfn).flags().observe() >> PG_WRITEBACK & 1, 0);
    file.check(&world.engine);
    assert_eq!(world.engine.violations(), []);
}
