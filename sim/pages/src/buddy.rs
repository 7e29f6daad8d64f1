//! The binary buddy allocator (Linux `mm/page_alloc.c`): free blocks of 2^order frames in one list per order.
//!
//! The lists are threaded through `struct page` (`link_prev`, `link_next`); the head of a free block says so,
//! and its order, in `buddy`. Memory never handed out yet is not in the lists: a cursor gives it out in ascending blocks of the
//! largest order when the lists cannot serve, so that memory nobody asked for costs nothing. Frame 0 is reserved; as a
//! link it means none.

use std::fmt;

use pagewalk_mmu::Pfn;

use crate::{Page, PhysicalMemory};

/// Orders are below this, as in Linux: blocks of up to 2^10 frames, 4 MiB.
pub const MAX_ORDER: u32 = 11;
const LARGEST_BLOCK: u32 = 1 << (MAX_ORDER - 1);

/// Why a block, by its first frame and its order, cannot be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFree {
    /// No block of this order begins at this frame.
    NoBlock(Pfn, u32),
    /// It is frame 0, or beyond what was ever handed out.
    NeverHandedOut(Pfn, u32),
    /// All of it, or a part, is free.
    FreeAlready(Pfn, u32),
}

impl fmt::Display for BadFree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBlock(pfn, order) => write!(out, "{pfn} heads no block of order {order}"),
            Self::NeverHandedOut(pfn, order) => write!(out, "{pfn} of order {order} was never handed out"),
            Self::FreeAlready(pfn, order) => write!(out, "{pfn} of order {order} is free already"),
        }
    }
}

impl std::error::Error for BadFree {}

/// The free frames of a [`PhysicalMemory`]. Every call must be given the same memory.
#[derive(Clone, Debug, Hash)]
pub struct Buddy {
    frames: u32,
    /// Everything from this frame on was never handed out; a multiple of the largest block, or the end of memory.
    untouched: u32,
    /// First free block of each order; 0 none.
    heads: [u32; MAX_ORDER as usize],
    /// Free frames in the lists.
    listed: u32,
}

impl Buddy {
    /// All of `memory` free, but for frame 0.
    #[must_use]
    pub fn new(memory: &PhysicalMemory) -> Self {
        let frames = memory.frames();
        let mut buddy = Self { frames, untouched: 0, heads: [0; MAX_ORDER as usize], listed: 0 };
        // The first block lacks frame 0, so it enters the lists in pieces.
        let end = frames.min(LARGEST_BLOCK);
        buddy.untouched = end;
        buddy.list_range(memory, 1, end);
        buddy
    }

    /// Free frames.
    #[must_use]
    pub fn free_frames(&self) -> u32 {
        self.listed + (self.frames - self.untouched)
    }

    /// Takes a block of 2^`order` frames, aligned to its size: the last one freed of the smallest order that serves. Its
    /// pages have count 0. `None` if no block is large enough.
    ///
    /// # Panics
    /// If `order` is not below [`MAX_ORDER`].
    pub fn alloc(&mut self, memory: &PhysicalMemory, order: u32) -> Option<Pfn> {
        assert!(order < MAX_ORDER, "order {order} is beyond the largest block");
        let found = loop {
            if let Some(found) = (order..MAX_ORDER).find(|&larger| self.heads[larger as usize] != 0) {
                break found;
            }
            if !self.list_untouched(memory) {
                return None;
            }
        };
        let block = self.heads[found as usize];
        self.unlist(memory, block, found);
        // Give the upper halves back until the block has the size asked for.
        for half in (order..found).rev() {
            self.list(memory, block + (1 << half), half);
        }
        Some(Pfn(block))
    }

    /// Gives back a block, joining it with its buddy for as long as that is free.
    ///
    /// # Errors
    /// If the block is not allocated as such (free already, misaligned, beyond the end): a BUG of whoever frees it. Nothing has
    /// changed then. Whether somebody still uses the page is I2, and told where the page becomes free.
    pub fn free(&mut self, memory: &PhysicalMemory, pfn: Pfn, order: u32) -> Result<(), BadFree> {
        let mut block = pfn.0;
        if order >= MAX_ORDER || !block.is_multiple_of(1 << order) {
            return Err(BadFree::NoBlock(pfn, order));
        }
        if block == 0 || block + (1 << order) > self.untouched {
            return Err(BadFree::NeverHandedOut(pfn, order));
        }
        if self.overlaps_free(memory, block, order) {
            return Err(BadFree::FreeAlready(pfn, order));
        }
        let mut joined = order;
        while joined < MAX_ORDER - 1 {
            let buddy = block ^ (1 << joined);
            if buddy == 0 || buddy >= self.untouched || free_order(memory.page(Pfn(buddy))) != Some(joined) {
                break;
            }
            self.unlist(memory, buddy, joined);
            block &= buddy;
            joined += 1;
        }
        self.list(memory, block, joined);
        Ok(())
    }

    /// Takes the highest free frame above `floor`, as a block of one; what is left of its block stays free. `None` if there is none.
    /// Memory never handed out is not looked at: it lies together.
    pub fn take_highest(&mut self, memory: &PhysicalMemory, floor: Pfn) -> Option<Pfn> {
        let (mut block, order) = (0..MAX_ORDER)
            .flat_map(|order| self.listed_blocks(memory, order).map(move |block| (block, order)))
            .max()
            .filter(|&(block, order)| block + (1 << order) - 1 > floor.0)?;
        self.unlist(memory, block, order);
        for half in (0..order).rev() {
            self.list(memory, block, half);
            block += 1 << half;
        }
        Some(Pfn(block))
    }

    /// The free blocks of an order.
    fn listed_blocks(&self, memory: &PhysicalMemory, order: u32) -> impl Iterator<Item = u32> {
        let next = |&block: &u32| Some(memory.page(Pfn(block)).link_next.get()).filter(|&next| next != 0);
        std::iter::successors(Some(self.heads[order as usize]).filter(|&head| head != 0), next)
    }

    /// Free blocks of each order in the lists, as `/proc/buddyinfo` shows them; memory never handed out is counted as
    /// blocks of the largest order, a shorter rest at the end of memory not at all.
    #[must_use]
    pub fn free_blocks(&self, memory: &PhysicalMemory) -> [u32; MAX_ORDER as usize] {
        let mut blocks = std::array::from_fn(|order| self.listed_blocks(memory, order as u32).count() as u32);
        blocks[MAX_ORDER as usize - 1] += (self.frames - self.untouched) / LARGEST_BLOCK;
        blocks
    }

    /// Moves the next block never handed out to the lists. False if there is none left.
    fn list_untouched(&mut self, memory: &PhysicalMemory) -> bool {
        let start = self.untouched;
        let end = self.frames.min(start.saturating_add(LARGEST_BLOCK));
        self.untouched = end;
        self.list_range(memory, start, end);
        start < end
    }

    /// Lists `start..end` as aligned blocks, as large as fit.
    fn list_range(&mut self, memory: &PhysicalMemory, start: u32, end: u32) {
        let mut at = start;
        while at < end {
            let fits = (end - at).ilog2();
            let order = at.trailing_zeros().min(fits).min(MAX_ORDER - 1);
            self.list(memory, at, order);
            at += 1 << order;
        }
    }

    /// True if some frame of the block is in a free block.
    fn overlaps_free(&self, memory: &PhysicalMemory, block: u32, order: u32) -> bool {
        let inside_larger = (order..MAX_ORDER).any(|larger| {
            let head = block & !((1 << larger) - 1);
            free_order(memory.page(Pfn(head))).is_some_and(|free| free >= larger)
        });
        inside_larger
            || (block..block + (1 << order)).any(|frame| free_order(memory.page(Pfn(frame))).is_some())
    }

    fn list(&mut self, memory: &PhysicalMemory, block: u32, order: u32) {
        let page = memory.page(Pfn(block));
        let head = &mut self.heads[order as usize];
        page.buddy.set(order as u8 + 1);
        page.link_prev.set(0);
        page.link_next.set(*head);
        if *head != 0 {
            memory.page(Pfn(*head)).link_prev.set(block);
        }
        *head = block;
        self.listed += 1 << order;
    }

    fn unlist(&mut self, memory: &PhysicalMemory, block: u32, order: u32) {
        let page = memory.page(Pfn(block));
        let (prev, next) = (page.link_prev.replace(0), page.link_next.replace(0));
        if prev == 0 {
            self.heads[order as usize] = next;
        } else {
            memory.page(Pfn(prev)).link_next.set(next);
        }
        if next != 0 {
            memory.page(Pfn(next)).link_prev.set(prev);
        }
        page.buddy.set(0);
        self.listed -= 1 << order;
    }
}

/// The order of the free block that `page` heads.
fn free_order(page: &Page) -> Option<u32> {
    page.buddy.get().checked_sub(1).map(u32::from)
}
