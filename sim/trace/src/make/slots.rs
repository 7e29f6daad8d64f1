//! What one process of the stress generator has mapped, so that only valid accesses and calls are recorded.

use super::actor::{DATA, PAGE};
use super::rng::Rng;
use crate::event::Event;
use crate::record::Prot;

/// Pages in a slot. Slots lie a page apart, so that mappings of two slots are never one.
pub(super) const SLOT_PAGES: u64 = 16;
const SLOT_STEP: u64 = (SLOT_PAGES + 1) * PAGE;
/// Where the heap begins.
const HEAP: u64 = 0x8_0000_0000;
/// The most pages of the heap.
const HEAP_PAGES: u64 = 64;

/// One slot of address space.
#[derive(Clone, Debug)]
struct Slot {
    /// Permissions per page; none if not mapped.
    pages: [Option<Prot>; SLOT_PAGES as usize],
    /// True while its first pages are one mapping with the same permissions: what `mremap` accepts.
    whole: bool,
}

/// A process's mappings.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    heap_pages: u64,
}

impl Slots {
    /// Nothing mapped yet; room for about `pages` pages.
    pub(super) fn new(pages: u64) -> Self {
        let empty = Slot { pages: [None; SLOT_PAGES as usize], whole: false };
        Self { slots: vec![empty; (pages / SLOT_PAGES + 2) as usize], heap_pages: 0 }
    }

    /// Slots from 0.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The break at the start.
    pub(super) fn first_break() -> Event {
        Event::Brk { end: HEAP }
    }

    /// Moves the break to a random place.
    pub(super) fn move_break(&mut self, rng: &mut Rng) -> Event {
        self.heap_pages = rng.below(HEAP_PAGES + 1);
        Event::Brk { end: HEAP + self.heap_pages * PAGE }
    }

    /// A page that may be accessed: its address, and whether it may be written. `None` if luck does not find one.
    pub(super) fn page(&self, rng: &mut Rng) -> Option<(u64, bool)> {
        if self.heap_pages > 0 && rng.below(8) == 0 {
            return Some((HEAP + rng.below(self.heap_pages) * PAGE, true));
        }
        for _ in 0..8 {
            let slot = rng.below(self.slots.len() as u64);
            let page = rng.below(SLOT_PAGES);
            if let Some(prot) = self.slots[slot as usize].pages[page as usize] {
                return Some((address(slot as usize, page), prot.contains(Prot::WRITE)));
            }
        }
        None
    }

    /// Maps a whole slot; the caller has unmapped what was there.
    pub(super) fn map(&mut self, slot: usize) -> (u64, u64) {
        self.slots[slot] = Slot { pages: [Some(Prot::READ_WRITE); SLOT_PAGES as usize], whole: true };
        (address(slot, 0), SLOT_PAGES * PAGE)
    }

    /// True if no page of the slot is mapped.
    pub(super) fn is_free(&self, slot: usize) -> bool {
        self.slots[slot].pages.iter().all(Option::is_none)
    }

    /// Unmaps a whole slot.
    pub(super) fn unmap_all(&mut self, slot: usize) -> Event {
        self.slots[slot] = Slot { pages: [None; SLOT_PAGES as usize], whole: false };
        Event::Unmap { start: address(slot, 0), len: SLOT_PAGES * PAGE }
    }

    /// Unmaps some pages of a slot that has mapped pages.
    pub(super) fn unmap_some(&mut self, slot: usize, rng: &mut Rng) -> Event {
        let (first, count) = self.mapped_run(slot, rng);
        self.slots[slot].pages[first..first + count].fill(None);
        self.slots[slot].whole = false;
        Event::Unmap { start: address(slot, first as u64), len: count as u64 * PAGE }
    }

    /// Gives some mapped pages other permissions.
    pub(super) fn protect(&mut self, slot: usize, rng: &mut Rng) -> Event {
        let (first, count) = self.mapped_run(slot, rng);
        let old = self.slots[slot].pages[first];
        let prot = if old == Some(Prot::READ) { Prot::READ_WRITE } else { Prot::READ };
        self.slots[slot].pages[first..first + count].fill(Some(prot));
        self.slots[slot].whole = false;
        Event::Protect { start: address(slot, first as u64), len: count as u64 * PAGE, prot }
    }

    /// Discards the contents of some mapped pages.
    pub(super) fn discard(&mut self, slot: usize, rng: &mut Rng) -> Event {
        let (first, count) = self.mapped_run(slot, rng);
        Event::Discard { start: address(slot, first as u64), len: count as u64 * PAGE }
    }

    /// Shrinks or grows a whole slot in place, or moves it to a free one.
    pub(super) fn remap(&mut self, slot: usize, rng: &mut Rng) -> Option<Event> {
        if !self.slots[slot].whole {
            return None;
        }
        let old_pages = self.slots[slot].pages.iter().flatten().count() as u64;
        let new_pages = 1 + rng.below(SLOT_PAGES);
        let other = rng.below(self.slots.len() as u64) as usize;
        let target = if self.is_free(other) { other } else { slot };
        self.unmap_all(slot);
        self.map(target);
        self.slots[target].pages[new_pages as usize..].fill(None);
        Some(Event::Remap {
            old_start: address(slot, 0),
            old_len: old_pages * PAGE,
            new_len: new_pages * PAGE,
            new_start: Some(address(target, 0)),
        })
    }

    /// A random run of mapped pages of a slot that has some: first page and count.
    fn mapped_run(&self, slot: usize, rng: &mut Rng) -> (usize, usize) {
        let pages = &self.slots[slot].pages;
        let mapped: Vec<usize> = (0..pages.len()).filter(|page| pages[*page].is_some()).collect();
        let first = mapped[rng.below(mapped.len() as u64) as usize];
        let longest = pages[first..].iter().take_while(|page| page.is_some()).count();
        (first, 1 + rng.below(longest as u64) as usize)
    }
}

fn address(slot: usize, page: u64) -> u64 {
    DATA + slot as u64 * SLOT_STEP + page * PAGE
}
