//! The swap areas of the machine, their lock, and the swap cache.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{Class, Context, Guarded, ObjectId, SpinGuard, SpinLock, Word};
use pagewalk_pagecache::{AddressSpace, PageCache};

use crate::area::{SWAP_MAP_MAX, SWP_USED, SwapArea};
use crate::{SwapAreaSpec, SwapEntry};

/// `swap_lock`: one lock for all areas and their maps. Taken under a PTL; takes `tree_lock` of the swap cache
/// inside.
pub static SWAP_LOCK: Class = Class::new(40, "swap_lock");
/// `swap_info->flags`.
static FLAGS: Class = Class::new(41, "swap_info->flags");
/// One count of a `swap_map`.
static SWAP_MAP: Class = Class::new(42, "swap_map");
/// `nr_swap_pages`.
static NR_SWAP_PAGES: Class = Class::new(43, "nr_swap_pages");

/// The areas from which pages are allocated, by priority.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct SwapList {
    /// By descending priority.
    pub(crate) order: Vec<u8>,
    /// The place from which the next search begins (`swap_list.next`).
    pub(crate) next: usize,
}

/// Swap: its areas, and the swap cache over all of them.
pub struct Swap {
    /// The swap cache: the pages that have a copy, or will have one, at a swap entry.
    pub swapper_space: Rc<AddressSpace>,
    swap_lock: SpinLock,
    /// `swap_list`, under `swap_lock`.
    pub(crate) list: Guarded<SwapList>,
    /// `swap_info`: an entry names an area by its place here, also when the area has been taken off.
    pub(crate) areas: Vec<SwapArea>,
    nr_swap_pages: Cell<u64>,
    total_swap_pages: Cell<u64>,
}

pagewalk_engine::keep!(Swap: swapper_space, swap_lock, list, areas, nr_swap_pages, total_swap_pages);

impl Swap {
    /// Every area in use and empty.
    ///
    /// # Panics
    /// If there are more areas than [`SwapEntry::MAX_AREAS`].
    pub fn new(cache: &Rc<PageCache>, areas: &[SwapAreaSpec]) -> Rc<Self> {
        assert!(areas.len() <= usize::from(SwapEntry::MAX_AREAS), "at most 30 swap areas");
        let areas: Vec<SwapArea> = areas.iter().map(SwapArea::new).collect();
        let pages = areas.iter().map(|area| u64::from(area.pages())).sum();
        let swap_lock = SpinLock::new(&SWAP_LOCK, 0);
        let swap = Self {
            swapper_space: cache.swapper_space(),
            list: Guarded::new(swap_lock.id(), SwapList { order: by_priority(&areas), next: 0 }),
            swap_lock,
            areas,
            nr_swap_pages: Cell::new(pages),
            total_swap_pages: Cell::new(pages),
        };
        Rc::new(swap)
    }

    /// `spin_lock(&swap_lock)`.
    pub(crate) async fn lock<'a>(&'a self, cx: &'a Context) -> SpinGuard<'a> {
        self.swap_lock.lock(cx).await
    }

    /// The area of an entry.
    pub(crate) fn area(&self, entry: SwapEntry) -> &SwapArea {
        &self.areas[usize::from(entry.area())]
    }

    /// `swap_info[type].flags`, as who has no lock reads it.
    pub(crate) fn flags(&self, area: u8) -> Word<'_, u32> {
        Word::new(&self.areas[usize::from(area)].flags, ObjectId::new(&FLAGS, u64::from(area)))
    }

    /// `swap_map[offset]`, as who has no lock reads it.
    pub(crate) fn map_word(&self, entry: SwapEntry) -> Word<'_, u16> {
        let count = &self.area(entry).map[entry.offset() as usize];
        Word::new(count, ObjectId::new(&SWAP_MAP, u64::from(entry.word())))
    }

    /// The count of an entry, for who holds `swap_lock`.
    pub(crate) fn count(&self, held: &SpinGuard<'_>, entry: SwapEntry) -> u16 {
        self.map_word(entry).get(held)
    }

    /// The count of an entry becomes `count`. Under `swap_lock`; there are readers without it.
    pub(crate) async fn set_count(&self, cx: &Context, _: &SpinGuard<'_>, entry: SwapEntry, count: u16) {
        self.map_word(entry).write_once(cx, count).await;
    }

    /// So many pages more are free, or less. Under `swap_lock`; there are readers without it.
    pub(crate) async fn add_free(&self, cx: &Context, held: &SpinGuard<'_>, pages: i64) {
        let free = self.nr_swap_word().get(held).saturating_add_signed(pages);
        self.nr_swap_word().write_once(cx, free).await;
    }

    /// So many pages more are in areas in use, or less. Under `swap_lock`.
    pub(crate) fn add_total(&self, _: &SpinGuard<'_>, pages: i64) {
        self.total_swap_pages.set(self.total_swap_pages.get().saturating_add_signed(pages));
    }

    /// `nr_swap_pages`: free entries of all areas in use. Stored under `swap_lock`, read by anybody.
    pub(crate) fn nr_swap_word(&self) -> Word<'_, u64> {
        Word::new(&self.nr_swap_pages, ObjectId::new(&NR_SWAP_PAGES, 0))
    }

    /// Whether the area of an entry is in use. Under `swap_lock`.
    pub(crate) fn is_in_use(&self, entry: SwapEntry) -> bool {
        self.area(entry).flags.get() & SWP_USED != 0
    }

    /// I3: nobody uses the map of an area that is gone.
    pub(crate) fn check_in_use(&self, cx: &Context, entry: SwapEntry) {
        if !self.is_in_use(entry) {
            cx.engine().violation("I3", format!("{} uses the map of {entry:?}, whose area is gone", cx.id()));
        }
    }

    /// An area has room again: if its priority is above that of the area whose turn it is, the turn is its own.
    pub(crate) fn note_room(&self, held: &SpinGuard<'_>, area: u8) {
        let mut list = self.list.get_mut(held);
        let priority = |number: u8| self.areas[usize::from(number)].priority;
        let turn = list.order.get(list.next).map(|&number| priority(number));
        let place = list.order.iter().position(|&number| number == area);
        if let (Some(place), Some(turn)) = (place, turn)
            && priority(area) > turn
        {
            list.next = place;
        }
    }

    /// The areas in the order in which they are filled, after one has come or gone. Under `swap_lock`.
    pub(crate) fn relist(&self, held: &SpinGuard<'_>) {
        let mut list = self.list.get_mut(held);
        list.order = by_priority(&self.areas);
        list.next = 0;
    }
}

impl Swap {
    /// Free pages of the areas (`nr_swap_pages`), for heuristics and observers.
    pub fn nr_swap_pages(&self) -> u64 {
        self.nr_swap_pages.get()
    }

    /// Pages of the areas in use (`total_swap_pages`).
    pub fn total_swap_pages(&self) -> u64 {
        self.total_swap_pages.get()
    }

    /// How many areas the machine has, in use or not.
    pub fn nr_areas(&self) -> u8 {
        self.areas.len() as u8
    }

    /// Pages of an area that hold something.
    pub fn inuse_pages(&self, area: u8) -> u32 {
        self.areas[usize::from(area)].inuse_pages.get()
    }

    /// A count that is never lowered any more.
    pub fn saturated(&self) -> u32 {
        u32::from(SWAP_MAP_MAX)
    }

    /// The count of an entry, for observers.
    pub fn observe_count(&self, entry: SwapEntry) -> u32 {
        u32::from(self.map_word(entry).observe())
    }

    /// Every entry in use and its count, by entry; for observers.
    pub fn observe_counts(&self) -> Vec<(SwapEntry, u32)> {
        let of_area = |(number, area): (usize, &SwapArea)| {
            let counts = area.map.iter().enumerate().skip(1).filter(|(_, count)| count.get() > 0);
            let entry = |offset: usize| SwapEntry::new(number as u8, offset as u32);
            counts.map(|(offset, count)| (entry(offset), u32::from(count.get()))).collect::<Vec<_>>()
        };
        let used = self.areas.iter().enumerate().filter(|(_, area)| area.inuse_pages.get() > 0);
        used.flat_map(of_area).collect()
    }

    /// What an area holds at an entry: the stamp written last; 0 if none was since the entry was allocated.
    pub fn content(&self, entry: SwapEntry) -> u64 {
        self.area(entry).content(entry.offset())
    }

    /// What an area holds from now on: its device has written it.
    pub fn set_content(&self, entry: SwapEntry, stamp: u64) {
        self.area(entry).set_content(entry.offset(), stamp);
    }

    /// When a request for the page of an entry, made at `now`, ends; and whether the CPU that made it does the work.
    pub fn schedule(&self, entry: SwapEntry, now: u64) -> (u64, bool) {
        let device = &self.area(entry).device;
        let end = device.schedule(now, (u32::from(entry.area()), u64::from(entry.offset())), 1);
        (end, device.spec().synchronous)
    }
}

/// The areas that are written to, by descending priority.
fn by_priority(areas: &[SwapArea]) -> Vec<u8> {
    let mut order: Vec<u8> = (0..areas.len() as u8).collect();
    order.retain(|&number| areas[usize::from(number)].writeok());
    order.sort_by_key(|&number| std::cmp::Reverse(areas[usize::from(number)].priority));
    order
}
