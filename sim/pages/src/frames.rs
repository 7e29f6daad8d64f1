//! Physical memory: one `struct page` per frame, and optionally the contents of each frame as one stamp.
//!
//! Both are allocated by the section when first touched, so that a machine with a tebibyte costs what its program uses.

use std::cell::Cell;
use std::fmt;

use pagewalk_engine::{Digest, Effect, Engine, ObjectId, OpKind, keep};

use pagewalk_mmu::{PerFrame, Pfn, SpecError};

use crate::page::CONTENT;

/// Most frames of a machine: 1 TiB.
pub const MAX_FRAMES: u32 = 1 << 28;

/// What the kernel knows of a frame, Linux's `struct page`.
///
/// A frame of the buddy allocator has no count, no mapcount, no flags and no mapping, and uses `buddy` and the links. (Linux says so by
/// `PG_buddy` and `private`. Here these are words that others read in steps of theirs, which the free lists do not take.)
#[derive(Default)]
pub struct Page {
    /// References: 0 free or frozen, 1 one owner.
    pub(crate) count: Cell<i32>,
    /// Number of page-table entries that map the page; 0 none. (Linux stores one less.)
    pub(crate) mapcount: Cell<i32>,
    /// `PG_*` bits.
    pub(crate) flags: Cell<u32>,
    /// The address space or anonymous mapping that owns the page, as `PageMapping` encodes it; 0 none.
    pub(crate) mapping: Cell<u32>,
    /// Place in the mapping, in pages.
    pub(crate) index: Cell<u64>,
    /// The swap entry of a page in the swap cache.
    pub(crate) private: Cell<u32>,
    /// Previous page of the list the page is on, by frame number; 0 none.
    pub(crate) link_prev: Cell<u32>,
    /// Next page of the list the page is on, by frame number; 0 none.
    pub(crate) link_next: Cell<u32>,
    /// The memory group that is charged for the page; 0 none.
    pub(crate) group: Cell<u16>,
    /// One more than the order of the free block that the page heads; 0: it heads none. Belongs to the zone's lock.
    pub(crate) buddy: Cell<u8>,
}

keep!(Page: count, mapcount, flags, mapping, index, private, link_prev, link_next, group, buddy);

impl Page {
    /// All of it, as words that are 0 in a page that nobody has used.
    fn words(&self) -> [u64; 5] {
        let halves = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        [
            halves(self.count.get().cast_unsigned(), self.mapcount.get().cast_unsigned()),
            halves(self.flags.get(), self.mapping.get()),
            self.index.get(),
            halves(self.private.get(), u32::from(self.group.get()) | u32::from(self.buddy.get()) << 16),
            halves(self.link_prev.get(), self.link_next.get()),
        ]
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("count", &self.count.get())
            .field("mapcount", &self.mapcount.get())
            .field("flags", &format_args!("{:#x}", self.flags.get()))
            .field("mapping", &self.mapping.get())
            .field("index", &self.index.get())
            .field("private", &self.private.get())
            .field("link_prev", &self.link_prev.get())
            .field("link_next", &self.link_next.get())
            .field("group", &self.group.get())
            .field("buddy", &self.buddy.get())
            .finish()
    }
}

/// The frames of a machine.
pub struct PhysicalMemory {
    frames: u32,
    pages: PerFrame<Page>,
    stamps: Option<PerFrame<Cell<u64>>>,
}

keep!(PhysicalMemory: pages, stamps; fixed frames);

impl PhysicalMemory {
    /// Memory of `frames` base pages, numbered from 0. With `track_contents`, each frame also has contents.
    ///
    /// # Errors
    /// If `frames` is not in 2..=[`MAX_FRAMES`]. (Frame 0 is never handed out.)
    pub fn new(frames: u32, track_contents: bool) -> Result<Self, SpecError> {
        if !(2..=MAX_FRAMES).contains(&frames) {
            return Err(SpecError::new(format!("{frames} frames of memory: must be 2 to {MAX_FRAMES}")));
        }
        Ok(Self {
            frames,
            pages: PerFrame::new(frames),
            stamps: track_contents.then(|| PerFrame::new(frames)),
        })
    }

    /// What every frame holds and is.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        for pfn in (0..self.frames).map(Pfn) {
            let words = self.pages.peek(pfn).map_or([0; 5], Page::words);
            let stamp = self.stamp(pfn);
            // A section that nobody has touched is like one of zeroes.
            if stamp != 0 || words != [0; 5] {
                digest.absorb(u64::from(pfn.0));
                words.into_iter().chain([stamp]).for_each(|word| digest.absorb(word));
            }
        }
    }

    /// Frames in all.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// The `struct page` of a frame.
    ///
    /// # Panics
    /// If there is no such frame: frame numbers come from the allocator.
    #[inline]
    #[must_use]
    pub fn page(&self, pfn: Pfn) -> &Page {
        assert!(pfn.0 < self.frames, "frame {pfn} is beyond the end of memory, {:#x}", self.frames);
        self.pages.get(pfn)
    }

    /// True if frames have contents.
    #[must_use]
    pub fn tracks_contents(&self) -> bool {
        self.stamps.is_some()
    }

    /// The contents of a frame, as the stamp set last; 0 if none was, or contents are not tracked.
    ///
    /// # Panics
    /// If there is no such frame.
    #[inline]
    #[must_use]
    pub fn stamp(&self, pfn: Pfn) -> u64 {
        assert!(pfn.0 < self.frames, "frame {pfn} is beyond the end of memory, {:#x}", self.frames);
        self.stamps.as_ref().and_then(|stamps| stamps.peek(pfn)).map_or(0, Cell::get)
    }

    /// Sets the contents of a frame; does nothing if contents are not tracked.
    ///
    /// # Panics
    /// If there is no such frame.
    #[inline]
    pub fn set_stamp(&self, pfn: Pfn, stamp: u64) {
        assert!(pfn.0 < self.frames, "frame {pfn} is beyond the end of memory, {:#x}", self.frames);
        if let Some(stamps) = &self.stamps {
            stamps.get(pfn).set(stamp);
        }
    }

    /// What is in a frame, read within a step that says no more of it.
    pub fn stamp_in_step(&self, engine: &Engine, pfn: Pfn) -> u64 {
        let stamp = self.stamp(pfn);
        self.touch_contents(engine, pfn, OpKind::Load, Effect { old: stamp, new: stamp });
        stamp
    }

    /// Sets the contents of a frame within a step of an interrupt handler.
    pub fn set_stamp_in_step(&self, engine: &Engine, pfn: Pfn, stamp: u64) {
        let old = self.stamp(pfn);
        self.touch_contents(engine, pfn, OpKind::Store, Effect { old, new: stamp });
        self.set_stamp(pfn, stamp);
    }

    /// Says that the step being executed accesses the contents of a frame, through a TLB for example.
    #[inline]
    pub fn touch_contents(&self, engine: &Engine, pfn: Pfn, kind: OpKind, effect: Effect) {
        engine.touch(ObjectId::new(&CONTENT, u64::from(pfn.0)), kind, effect);
    }
}

impl fmt::Debug for PhysicalMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhysicalMemory")
            .field("frames", &self.frames)
            .field("sections_touched", &self.pages.touched())
            .field("tracks_contents", &self.tracks_contents())
            .finish()
    }
}
