//! The swap map against a map of counts, and next-fit against a search of everything.

use std::collections::BTreeMap;
use std::rc::Rc;

use pagewalk_engine::{Context, Schedule};
use pagewalk_pages::Switches;
use pagewalk_swap::{
    SWAP_MAP_MAX, Swap, SwapEntry, abort_swapoff, begin_swapoff, find_next_to_unuse, finish_swapoff,
    get_swap_page, reset_overflow, swap_count, swap_duplicate, swap_free, swapon, valid_swaphandles,
    vm_swap_full,
};
use proptest::prelude::*;

use crate::areas;
use crate::world::World;

/// Two areas of one priority, and one that is filled when they are full.
const AREAS: [(u32, i16); 3] = [(9, 5), (6, 5), (20, -1)];

#[derive(Clone, Copy, Debug)]
enum Op {
    Get,
    Duplicate(usize),
    Free(usize),
    /// Off, and at once on again, if the area is empty; else the attempt is given up.
    Off(u8),
    Neighbours(usize, u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(Op::Get),
        4 => (0..64usize).prop_map(Op::Duplicate),
        7 => (0..64usize).prop_map(Op::Free),
        1 => (0..3u8).prop_map(Op::Off),
        2 => (0..64usize, 0..5u32).prop_map(|(nth, cluster)| Op::Neighbours(nth, cluster)),
    ]
}

/// What swap ought to be.
#[derive(Default)]
struct Model {
    counts: BTreeMap<SwapEntry, u32>,
    /// The area of the last page that was given out.
    last: Option<u8>,
    /// Of each area the offset given out last.
    cursor: [u32; 3],
}

impl Model {
    fn is_free(&self, area: u8, offset: u32) -> bool {
        !self.counts.contains_key(&SwapEntry::new(area, offset))
    }

    /// The areas as the next search goes through them: by priority, and from behind the one that was last.
    fn order(&self) -> Vec<u8> {
        match self.last {
            Some(0) => vec![1, 0, 2],
            _ => vec![0, 1, 2],
        }
    }

    fn get(&mut self) -> Option<SwapEntry> {
        let places = self.order().into_iter().flat_map(|area| {
            let pages = AREAS[usize::from(area)].0;
            let cursor = self.cursor[usize::from(area)];
            (cursor + 1..=pages).chain(1..=cursor.min(pages)).map(move |offset| (area, offset))
        });
        let (area, offset) = places.into_iter().find(|&(area, offset)| self.is_free(area, offset))?;
        self.cursor[usize::from(area)] = offset;
        self.last = Some(area);
        let entry = SwapEntry::new(area, offset);
        self.counts.insert(entry, 1);
        Some(entry)
    }

    fn nth(&self, nth: usize) -> Option<SwapEntry> {
        self.counts.keys().nth(nth % self.counts.len().max(1)).copied()
    }

    fn neighbours(&self, entry: SwapEntry, cluster: u32) -> Vec<SwapEntry> {
        let block = |offset: u32| offset >> cluster;
        let used = |offset: u32| {
            let inside = offset >= 1 && offset <= AREAS[usize::from(entry.area())].0;
            inside && block(offset) == block(entry.offset()) && !self.is_free(entry.area(), offset)
        };
        let mut first = entry.offset();
        while used(first - 1) {
            first -= 1;
        }
        (first..)
            .take_while(|&offset| used(offset))
            .map(|offset| SwapEntry::new(entry.area(), offset))
            .collect()
    }
}

async fn apply(cx: &Context, swap: &Swap, model: &mut Model, op: Op) {
    match op {
        Op::Get => assert_eq!(get_swap_page(cx, swap).await, model.get()),
        Op::Duplicate(nth) => {
            let Some(entry) = model.nth(nth) else { return };
            assert!(swap_duplicate(cx, swap, entry).await);
            *model.counts.get_mut(&entry).expect("one of them") += 1;
        }
        Op::Free(nth) => {
            let Some(entry) = model.nth(nth) else { return };
            swap_free(cx, swap, entry).await;
            let count = model.counts.get_mut(&entry).expect("one of them");
            *count -= 1;
            if *count == 0 {
                model.counts.remove(&entry);
                assert!(!swap_duplicate(cx, swap, entry).await, "nobody can take what is free");
            }
        }
        Op::Off(area) => take_off(cx, swap, model, area).await,
        Op::Neighbours(nth, cluster) => {
            let Some(entry) = model.nth(nth) else { return };
            let found = valid_swaphandles(cx, swap, entry, cluster).await;
            assert_eq!(found, model.neighbours(entry, cluster), "{entry:?}, cluster {cluster}");
        }
    }
}

async fn take_off(cx: &Context, swap: &Swap, model: &mut Model, area: u8) {
    let (total, free) = (swap.total_swap_pages(), swap.nr_swap_pages());
    let first = model.counts.keys().copied().find(|entry| entry.area() == area);
    assert!(begin_swapoff(cx, swap, area, 64).await, "there is room");
    assert_eq!(swap.total_swap_pages(), total - u64::from(AREAS[usize::from(area)].0));
    assert_eq!(find_next_to_unuse(cx, swap, area, 0).await, first);
    match first {
        Some(_) => abort_swapoff(cx, swap, area).await,
        None => {
            finish_swapoff(cx, swap, area).await;
            assert!(swapon(cx, swap, area).await && !swapon(cx, swap, area).await);
            model.cursor[usize::from(area)] = 0;
        }
    }
    model.last = None;
    assert_eq!((swap.total_swap_pages(), swap.nr_swap_pages()), (total, free));
}

fn alone<T: 'static>(body: impl AsyncFnOnce(Rc<Context>, Rc<Swap>) -> T + 'static) -> T {
    let world = World::new(1, Schedule::Timed, 0, Switches::FIXED);
    let swap = areas(&world.cache, &AREAS);
    world.alone(|cx| body(cx, swap))
}

proptest! {
    #[test]
    fn the_map_counts_and_allocates_next_fit(ops in prop::collection::vec(op(), 1..160)) {
        alone(async move |cx: Rc<Context>, swap: Rc<Swap>| {
            let mut model = Model::default();
            for op in ops {
                apply(&cx, &swap, &mut model, op).await;
                let counts: Vec<(SwapEntry, u32)> = model.counts.iter().map(|(&e, &n)| (e, n)).collect();
                assert_eq!(swap.observe_counts(), counts, "after {op:?}");
                assert_eq!(swap.nr_swap_pages(), swap.total_swap_pages() - counts.len() as u64);
                let full = 2 * counts.len() as u64 > swap.total_swap_pages();
                assert_eq!(vm_swap_full(&cx, &swap).await, full);
            }
        });
    }
}

#[test]
fn a_count_that_has_reached_its_end_is_never_lowered_but_by_swapoff() {
    alone(async |cx: Rc<Context>, swap: Rc<Swap>| {
        let entry = get_swap_page(&cx, &swap).await.expect("a free page");
        assert!(!reset_overflow(&cx, &swap, entry).await, "it says what it should");
        for _ in 0..SWAP_MAP_MAX {
            assert!(swap_duplicate(&cx, &swap, entry).await);
        }
        for _ in 0..=SWAP_MAP_MAX {
            swap_free(&cx, &swap, entry).await;
        }
        assert_eq!(swap_count(&cx, &swap, entry).await, SWAP_MAP_MAX);
        assert!(reset_overflow(&cx, &swap, entry).await);
        swap_free(&cx, &swap, entry).await;
        assert_eq!((swap.observe_counts(), swap.inuse_pages(0)), (Vec::new(), 0));
    });
}

#[test]
fn an_area_that_nothing_else_could_take_stays() {
    alone(async |cx: Rc<Context>, swap: Rc<Swap>| {
        while get_swap_page(&cx, &swap).await.is_some() {}
        assert!(!begin_swapoff(&cx, &swap, 0, 8).await, "nine pages do not fit into eight frames");
        assert!(begin_swapoff(&cx, &swap, 0, 9).await);
        assert!(!begin_swapoff(&cx, &swap, 0, 64).await, "it is being taken off");
    });
}

#[test]
fn an_entry_that_is_freed_twice_is_noticed() {
    let world = World::new(1, Schedule::Timed, 0, Switches::FIXED);
    let swap = areas(&world.cache, &AREAS);
    world.spawn(0, async move |cx: Rc<Context>| {
        let entry = get_swap_page(&cx, &swap).await.expect("a free page");
        swap_free(&cx, &swap, entry).await;
        swap_free(&cx, &swap, entry).await;
    });
    assert_eq!(world.run(), ["I11"]);
}
