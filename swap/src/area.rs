//! `struct swap_info_struct`: one swap area, its map, and where it looks for a free page next.
//!
//! Follows mm/swapfile.c (`scan_swap_map`, `swap_entry_free`) of v2.6.27.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::device::Device;
use crate::{SwapAreaSpec, SwapEntry};

/// A count of the map that has reached this is never lowered: what it counts is not known any more (`SWAP_MAP_MAX`).
pub const SWAP_MAP_MAX: u16 = 0x7fff;

/// The area is in use (`SWP_USED`).
pub(crate) const SWP_USED: u32 = 1 << 0;
/// Pages may be allocated from it (`SWP_WRITEOK`).
pub(crate) const SWP_WRITEOK: u32 = 1 << 1;

/// A swap area (`struct swap_info_struct`): a device, and the counts of its entries. Belongs to `swap_lock`,
/// except where a field says otherwise.
pub(crate) struct SwapArea {
    /// Where its pages are written to.
    pub(crate) device: Device,
    /// Areas of a higher one are filled first.
    pub(crate) priority: i16,
    /// `flags`, read without the lock.
    pub(crate) flags: Cell<u32>,
    /// `swap_map`: for each offset the PTEs that name it, and one for the swap cache. Offset 0 is the header.
    pub(crate) map: Vec<Cell<u16>>,
    /// Below this no offset is free.
    lowest_bit: Cell<u32>,
    /// Above this no offset is free.
    highest_bit: Cell<u32>,
    /// Where the search for a free offset begins.
    cluster_next: Cell<u32>,
    /// Offsets whose count is not 0; an area is empty, and may be taken off, at 0.
    pub(crate) inuse_pages: Cell<u32>,
    /// Who looks at the area without the lock, and keeps it from going away (`percpu_ref`, Linux 5.1).
    pub(crate) users: Cell<u32>,
    /// What has been written, by offset.
    contents: RefCell<BTreeMap<u32, u64>>,
}

pagewalk_engine::keep!(SwapArea: device, flags, map, lowest_bit, highest_bit, cluster_next, inuse_pages, users, contents;
    fixed priority);

impl SwapArea {
    /// In use and empty.
    pub(crate) fn new(spec: &SwapAreaSpec) -> Self {
        let pages = spec.pages.clamp(1, SwapEntry::MAX_OFFSET - 1);
        Self {
            device: Device::new(spec.device.clone()),
            priority: spec.priority,
            flags: Cell::new(SWP_USED | SWP_WRITEOK),
            map: (0..=pages).map(|offset| Cell::new(if offset == 0 { SWAP_MAP_MAX } else { 0 })).collect(),
            lowest_bit: Cell::new(1),
            highest_bit: Cell::new(pages),
            cluster_next: Cell::new(1),
            inuse_pages: Cell::new(0),
            users: Cell::new(0),
            contents: RefCell::default(),
        }
    }

    /// Pages that it holds.
    pub(crate) fn pages(&self) -> u32 {
        self.map.len() as u32 - 1
    }

    /// Whether pages may be allocated from it.
    pub(crate) fn writeok(&self) -> bool {
        self.flags.get() & SWP_WRITEOK != 0
    }

    /// `scan_swap_map`: a free offset, next-fit: from the last one on, then from the lowest. It is free no more. Under `swap_lock`.
    pub(crate) fn allocate(&self) -> Option<u32> {
        let free = |&offset: &u32| self.map[offset as usize].get() == 0;
        let (lowest, highest) = (self.lowest_bit.get(), self.highest_bit.get());
        let next = self.cluster_next.get();
        let ahead = (next.max(lowest)..=highest).find(free);
        let Some(offset) = ahead.or_else(|| (lowest..next.min(highest + 1)).find(free)) else {
            self.lowest_bit.set(self.pages() + 1);
            self.highest_bit.set(0);
            return None;
        };
        if offset == lowest {
            self.lowest_bit.set(lowest + 1);
        }
        if offset == highest {
            self.highest_bit.set(highest - 1);
        }
        self.inuse_pages.set(self.inuse_pages.get() + 1);
        self.cluster_next.set(offset + 1);
        Some(offset)
    }

    /// An offset whose count has become 0 is free. Under `swap_lock`.
    pub(crate) fn release(&self, offset: u32) {
        self.lowest_bit.set(self.lowest_bit.get().min(offset));
        self.highest_bit.set(self.highest_bit.get().max(offset));
        self.inuse_pages.set(self.inuse_pages.get() - 1);
        self.contents.borrow_mut().remove(&offset);
    }

    /// `swapon` of an area that was taken off: as new.
    pub(crate) fn renew(&self) {
        self.map[1..].iter().for_each(|count| count.set(0));
        self.lowest_bit.set(1);
        self.highest_bit.set(self.pages());
        self.cluster_next.set(1);
        self.inuse_pages.set(0);
        self.users.set(0);
        self.contents.borrow_mut().clear();
        self.flags.set(SWP_USED | SWP_WRITEOK);
    }

    /// The stamp of what was last written at an offset; 0 before.
    pub(crate) fn content(&self, offset: u32) -> u64 {
        self.contents.borrow().get(&offset).copied().unwrap_or(0)
    }

    /// The device has written a page.
    pub(crate) fn set_content(&self, offset: u32, stamp: u64) {
        self.contents.borrow_mut().insert(offset, stamp);
    }
}
