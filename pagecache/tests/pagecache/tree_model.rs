//! The radix tree against a map with sets of tags.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pagewalk_engine::{Context, Schedule};
use pagewalk_pagecache::{
    AddressSpace, Tag, find_get_page, find_get_pages, find_get_pages_contig, find_get_pages_tag, next_hole,
    page_is_cached,
};
use pagewalk_pages::Switches;
use proptest::prelude::*;

use crate::common::{add, truncate};
use crate::world::World;

#[derive(Clone, Copy, Debug)]
enum Op {
    Add(u64),
    Remove(u64),
    Dirty(u64),
    Write(u64),
    Find(u64),
    Gang(u64, usize),
    Contiguous(u64, usize),
    Tagged(u64, usize),
    Hole(u64, u64),
}

/// Indexes where trees change their shape: around powers of 64, near 0 and at the end.
fn index() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..4u64,
        4 => 60..70u64,
        3 => 4090..4100u64,
        1 => (1u64 << 18) - 2..(1 << 18) + 2,
        1 => (1u64 << 36) - 1..=1 << 36,
        1 => u64::MAX - 70..=u64::MAX,
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => index().prop_map(Op::Add),
        4 => index().prop_map(Op::Remove),
        3 => index().prop_map(Op::Dirty),
        2 => index().prop_map(Op::Write),
        2 => index().prop_map(Op::Find),
        2 => (index(), 1..20usize).prop_map(|(start, most)| Op::Gang(start, most)),
        1 => (index(), 1..20usize).prop_map(|(start, most)| Op::Contiguous(start, most)),
        2 => (index(), 1..20usize).prop_map(|(start, most)| Op::Tagged(start, most)),
        1 => (index(), 1..80u64).prop_map(|(start, most)| Op::Hole(start, most)),
    ]
}

#[derive(Default)]
struct Model {
    pages: BTreeMap<u64, u64>,
    dirty: BTreeSet<u64>,
}

async fn indexes(cx: &Context, mapping: &AddressSpace, pages: Vec<pagewalk_pages::PageRef<'_>>) -> Vec<u64> {
    let mut found = Vec::new();
    for page in pages {
        found.push(mapping.zone().memory.words(page.pfn()).index().observe());
        mapping.zone().put_page(cx, page).await;
    }
    found
}

async fn apply(cx: &Context, mapping: &Rc<AddressSpace>, model: &mut Model, op: Op, stamp: u64) {
    match op {
        Op::Add(index) => {
            let fresh = add(cx, mapping, index, stamp).await;
            assert_eq!(fresh, !model.pages.contains_key(&index));
            model.pages.entry(index).or_insert(stamp);
        }
        Op::Remove(index) => {
            assert_eq!(truncate(cx, mapping, index).await, model.pages.remove(&index).is_some());
            model.dirty.remove(&index);
        }
        Op::Dirty(index) => {
            if let Some(page) = find_get_page(cx, mapping, index).await {
                let newly = pagewalk_pagecache::set_page_dirty_nobuffers(cx, mapping, page.pfn()).await;
                assert_eq!(newly, model.dirty.insert(index));
                mapping.zone().put_page(cx, page).await;
            }
        }
        Op::Write(index) => write(cx, mapping, model, index).await,
        Op::Find(index) => {
            assert_eq!(crate::common::read(cx, mapping, index).await, model.pages.get(&index).copied());
            assert_eq!(page_is_cached(cx, mapping, index).await, model.pages.contains_key(&index));
        }
        Op::Gang(start, most) => {
            let found = find_get_pages(cx, mapping, start, most).await;
            let expected: Vec<u64> = model.pages.range(start..).map(|(&index, _)| index).take(most).collect();
            assert_eq!(indexes(cx, mapping, found).await, expected);
        }
        Op::Contiguous(start, most) => {
            let found = find_get_pages_contig(cx, mapping, start, most).await;
            let run = (start..=u64::MAX).take_while(|index| model.pages.contains_key(index)).take(most);
            assert_eq!(indexes(cx, mapping, found).await, run.collect::<Vec<_>>());
        }
        Op::Tagged(start, most) => {
            let found = find_get_pages_tag(cx, mapping, start, most, Tag::Dirty).await;
            let expected: Vec<u64> = model.dirty.range(start..).copied().take(most).collect();
            assert_eq!(indexes(cx, mapping, found).await, expected);
        }
        Op::Hole(start, most) => {
            let cached = (start..=u64::MAX).take(most as usize).take_while(|n| model.pages.contains_key(n));
            let expected = start.checked_add(cached.count() as u64);
            assert_eq!(next_hole(cx, mapping, start, most).await, expected);
        }
    }
}

/// A dirty page is written: the tag moves from dirty to writeback, and goes when the I/O ends.
async fn write(cx: &Context, mapping: &Rc<AddressSpace>, model: &mut Model, index: u64) {
    let zone = mapping.zone();
    let Some(page) = pagewalk_pagecache::find_lock_page(cx, mapping, index).await else { return };
    let was_dirty = pagewalk_pagecache::test_clear_page_dirty(cx, mapping, page.pfn()).await;
    assert_eq!(was_dirty, model.dirty.remove(&index));
    pagewalk_pagecache::set_page_writeback(cx, mapping, page.pfn()).await;
    pagewalk_pagecache::unlock_page(cx, zone, page.pfn()).await;
    assert_eq!(mapping.observe_tag(Tag::Writeback), [index]);
    pagewalk_pagecache::end_page_writeback(cx.engine(), cx.cpu().id(), mapping, page.pfn());
    pagewalk_pagecache::wait_on_page_writeback(cx, zone, page.pfn()).await;
    assert_eq!(mapping.observe_tag(Tag::Writeback), [0; 0]);
    zone.put_page(cx, page).await;
}

/// Runs operations on one mapping and compares everything after each.
fn compare(ops: Vec<Op>, kernel: Switches) {
    let world = World::new(1, Schedule::Timed, 1, kernel);
    let mapping = world.cache.address_space(7);
    let kept = Rc::clone(&mapping);
    let cache = Rc::clone(&world.cache);
    let free = world.zone.free_frames();
    let model = world.alone(|cx| async move {
        let mut model = Model::default();
        for (n, op) in ops.into_iter().enumerate() {
            apply(&cx, &mapping, &mut model, op, n as u64 + 1).await;
            let pages: Vec<u64> = mapping.observe_pages().iter().map(|&(index, _)| index).collect();
            assert_eq!(pages, model.pages.keys().copied().collect::<Vec<_>>());
            assert_eq!(mapping.observe_tag(Tag::Dirty), model.dirty.iter().copied().collect::<Vec<_>>());
            assert_eq!(cache.nr_file_pages(), model.pages.len() as u64);
            assert_eq!(cache.nr_file_dirty(), model.dirty.len() as u64);
            mapping.check(cx.engine());
        }
        model
    });
    let mapping = kept;
    let height = match model.pages.last_key_value().map(|(&last, _)| last) {
        None | Some(0) => 0,
        Some(last) => (64 - last.leading_zeros()).div_ceil(6) as u8,
    };
    assert!(mapping.observe_height() >= height);
    // Everything goes: so must every node and every frame.
    world.alone(|cx| async move {
        for index in model.pages.into_keys() {
            assert!(truncate(&cx, &mapping, index).await);
        }
        assert_eq!((mapping.observe_height(), mapping.nrpages().observe()), (0, 0));
        cx.synchronize_rcu().await;
    });
    assert_eq!((world.cache.observe_nodes(), world.cache.observe_retired()), (0, 0));
    assert_eq!(world.zone.free_frames(), free);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_cache_is_a_map_with_tags(ops in prop::collection::vec(op(), 1..80)) {
        compare(ops, Switches::FIXED);
    }

    #[test]
    fn the_cache_of_2_6_22_is_the_same_map(ops in prop::collection::vec(op(), 1..40)) {
        compare(ops, Switches::LINUX_2_6_22);
    }
}

#[test]
fn a_tree_is_as_high_as_its_last_index_needs_and_shrinks_to_its_first() {
    let world = World::new(1, Schedule::Timed, 1, Switches::FIXED);
    let mapping = world.cache.address_space(1);
    let heights: Rc<RefCell<Vec<u8>>> = Rc::default();
    let seen = Rc::clone(&heights);
    world.alone(|cx| async move {
        for index in [0, 1, 63, 64, 4095, 4096, 262_144, u64::MAX] {
            assert!(add(&cx, &mapping, index, index).await);
            seen.borrow_mut().push(mapping.observe_height());
        }
        for index in [u64::MAX, 262_144, 4096, 4095, 64, 63, 1, 0] {
            assert!(truncate(&cx, &mapping, index).await);
            seen.borrow_mut().push(mapping.observe_height());
        }
    });
    assert_eq!(*heights.borrow(), [0, 1, 1, 2, 2, 3, 4, 11, 4, 3, 2, 2, 1, 1, 0, 0]);
}

#[test]
fn an_index_beyond_the_tree_is_not_there_and_makes_nothing_grow() {
    let world = World::new(1, Schedule::Timed, 1, Switches::FIXED);
    let mapping = world.cache.address_space(1);
    world.alone(|cx| async move {
        assert!(add(&cx, &mapping, 0, 1).await);
        assert_eq!(crate::common::read(&cx, &mapping, 64).await, None);
        assert_eq!(mapping.observe_height(), 0);
    });
}

#[test]
fn without_memory_for_nodes_a_page_is_refused_and_stays_the_callers() {
    let world = World::new(1, Schedule::Timed, 1, Switches::FIXED);
    let cache = pagewalk_pagecache::PageCache::new(&world.zone, 10); // one path needs 11
    let mapping = cache.address_space(1);
    let zone = Rc::clone(&world.zone);
    world.alone(|cx| async move {
        let page = zone.alloc_page(&cx).await.expect("a free frame");
        let refused = pagewalk_pagecache::add_to_page_cache(&cx, &page, &mapping, 3).await;
        assert_eq!(refused, Err(pagewalk_pagecache::AddError::NoMemory));
        let words = zone.memory.words(page.pfn());
        assert_eq!((words.count().observe(), words.flags().observe(), words.mapping().observe()), (1, 0, 0));
        zone.put_page(&cx, page).await;
    });
}
