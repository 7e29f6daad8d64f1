//! `struct page` as shared words, its flags, and references to pages.
//!
//! What the count means: 0, the page is free, being freed, or frozen; n > 0, somebody's n references.
//! A free page has count 0, map count 0, no mapping and no flags.

use std::future::Future;
use std::panic::Location;

use pagewalk_engine::{Class, Context, Effect, ObjectId, Op, OpKind, Order, Step, Word};
use pagewalk_mmu::Pfn;

use crate::PhysicalMemory;
use crate::frames::Page;

/// `page->_count`.
pub(crate) static COUNT: Class = Class::new(18, "page.count");
/// `page->_mapcount` (here the number of PTEs; Linux stores one less).
pub(crate) static MAPCOUNT: Class = Class::new(19, "page.mapcount");
/// `page->flags`.
pub(crate) static FLAGS: Class = Class::new(20, "page.flags");
/// `page->mapping`.
pub(crate) static MAPPING: Class = Class::new(21, "page.mapping");
/// `page->index`.
pub(crate) static INDEX: Class = Class::new(22, "page.index");
/// `page->private`.
pub(crate) static PRIVATE: Class = Class::new(28, "page.private");
/// The contents of a page.
pub(crate) static CONTENT: Class = Class::new(23, "page contents");

/// The flags of a page, from bit 0 on: the constant, its name, and what it says.
macro_rules! page_flags {
    ($($flag:ident $name:literal => $what:literal;)*) => {
        page_flags!(@bits 0; $($flag $what;)*);

        /// The names of the flags, by bit.
        pub const PAGE_FLAGS: &[&str] = &[$($name,)*];
    };
    (@bits $bit:expr; $flag:ident $what:literal; $($rest:tt)*) => {
        #[doc = $what]
        pub const $flag: u8 = $bit;
        page_flags!(@bits $bit + 1; $($rest)*);
    };
    (@bits $bit:expr;) => {};
}

page_flags! {
    PG_LOCKED "locked" => "The page is locked.";
    PG_UPTODATE "uptodate" => "The contents are valid.";
    PG_DIRTY "dirty" => "The contents differ from what backs them.";
    PG_WRITEBACK "writeback" => "The contents are being written to what backs them.";
    PG_PRIVATE "private" => "The file system has buffers attached, which own one reference.";
    PG_REFERENCED "referenced" => "The page was used since it was last looked at.";
    PG_ERROR "error" => "Reading or writing the page failed.";
    PG_READAHEAD "readahead" => "Whoever reads this page starts the next readahead.";
    PG_MAPPEDTODISK "mappedtodisk" => "The page has blocks on disk.";
    PG_RECLAIM "reclaim" => "To be reclaimed as soon as its writeback ends.";
    PG_SWAPCACHE "swapcache" => "The page is in the swap cache, at the entry in `page->private`.";
    PG_LRU "lru" => "The page is on one of the LRU lists.";
    PG_ACTIVE "active" => "The page is on an active list, or was when it was taken off.";
    PG_SWAPBACKED "swapbacked" => "The page is backed by swap: it belongs on the lists of anonymous pages (Linux 2.6.28).";
}

/// Whose page it is: what `page->mapping` says.
///
/// As in Linux the lowest bit tells anonymous pages from pages of files (`PAGE_MAPPING_ANON`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageMapping {
    /// Nobody's: free, a page table, or truncated.
    None,
    /// Anonymous memory: the number of its `anon_vma`.
    Anon(u32),
    /// A file's: the number of its `address_space`.
    File(u32),
}

impl PageMapping {
    /// The word: 0; (anon_vma << 1) | 1; address_space << 1.
    ///
    /// # Panics
    /// If a number is 2^31 or more, or an address space's is 0.
    #[inline]
    #[must_use]
    pub fn encode(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Anon(id) => {
                assert!(id < 1 << 31, "fewer than 2^31 anon_vmas");
                (id << 1) | 1
            }
            Self::File(id) => {
                assert!((1..1 << 31).contains(&id), "an address space's number is 1 to 2^31 - 1");
                id << 1
            }
        }
    }

    /// What a word says.
    #[inline]
    #[must_use]
    pub fn decode(word: u32) -> Self {
        match word {
            0 => Self::None,
            anon if anon & 1 == 1 => Self::Anon(anon >> 1),
            file => Self::File(file >> 1),
        }
    }
}

/// The words of one page's `struct page`.
#[derive(Clone, Copy)]
pub struct PageWords<'m> {
    page: &'m Page,
    pfn: Pfn,
}

impl PhysicalMemory {
    /// The shared words of the page at `pfn`.
    #[inline]
    pub fn words(&self, pfn: Pfn) -> PageWords<'_> {
        PageWords { page: self.page(pfn), pfn }
    }
}

impl<'m> PageWords<'m> {
    fn id(self, class: &'static Class) -> ObjectId {
        ObjectId::new(class, u64::from(self.pfn.0))
    }
    /// The reference count.
    #[inline]
    pub fn count(self) -> Word<'m, i32> {
        Word::new(&self.page.count, self.id(&COUNT))
    }
    /// How many PTEs map the page.
    #[inline]
    pub fn mapcount(self) -> Word<'m, i32> {
        Word::new(&self.page.mapcount, self.id(&MAPCOUNT))
    }
    /// The flags, one bit each.
    #[inline]
    pub fn flags(self) -> Word<'m, u32> {
        Word::new(&self.page.flags, self.id(&FLAGS))
    }
    /// Whose page it is: a [`PageMapping`], encoded.
    #[inline]
    pub fn mapping(self) -> Word<'m, u32> {
        Word::new(&self.page.mapping, self.id(&MAPPING))
    }
    /// The swap entry of a page in the swap cache; 0 of any other.
    #[inline]
    pub fn private(self) -> Word<'m, u32> {
        Word::new(&self.page.private, self.id(&PRIVATE))
    }
    /// Which page of its owner it is.
    #[inline]
    pub fn index(self) -> Word<'m, u64> {
        Word::new(&self.page.index, self.id(&INDEX))
    }
}

/// A counted reference to a page, held by a path. It is moved, never copied: given back by an awaited
/// call ([`crate::Zone::put_page`]) or handed to a PTE or a batch ([`PageRef::into_pfn`]).
/// Dropping it is reported as a leak.
#[must_use = "a reference is given back or handed on"]
pub struct PageRef<'a> {
    pfn: Pfn,
    cx: &'a Context,
    taken: &'static Location<'static>,
    armed: bool,
}

impl<'a> PageRef<'a> {
    /// A reference that was counted before: by `get_page`, by the allocator, or by a PTE just cleared.
    #[track_caller]
    pub fn counted(cx: &'a Context, pfn: Pfn) -> Self {
        Self { pfn, cx, taken: Location::caller(), armed: true }
    }

    /// The page.
    pub fn pfn(&self) -> Pfn {
        self.pfn
    }

    /// Hands the counted reference on, to a PTE or a batch.
    pub fn into_pfn(mut self) -> Pfn {
        self.armed = false;
        self.pfn
    }
}

impl Drop for PageRef<'_> {
    fn drop(&mut self) {
        if self.armed && !self.cx.engine().abandoned() {
            let message = format!("the reference to {:?} taken at {} was dropped", self.pfn, self.taken);
            self.cx.engine().violation("I5", message);
        }
    }
}

impl PhysicalMemory {
    /// `get_page`: one more reference to a page that has one.
    ///
    /// A count of 0 here is our bug; with checks on it is reported as I1.
    #[track_caller]
    pub fn get_page<'a>(&'a self, cx: &'a Context, pfn: Pfn) -> impl Future<Output = PageRef<'a>> {
        let taken = Location::caller();
        let count = &self.page(pfn).count;
        let add = self.words(pfn).count().inc(cx);
        async move {
            add.await;
            if count.get() <= 1 {
                cx.engine().violation(
                    "I1",
                    format!("get_page of {pfn:?} at {taken}, and its count was 0, not 1 or more"),
                );
            }
            PageRef { pfn, cx, taken, armed: true }
        }
    }

    /// Zeroes a page's contents: one step.
    #[track_caller]
    pub fn clear_page<'a>(&'a self, cx: &'a Context, pfn: Pfn) -> impl Future<Output = ()> + 'a {
        self.write_content(cx, pfn, 0, Location::caller())
    }

    /// Reads a page's contents: one step. Yields their stamp; 0 where contents are not tracked.
    #[track_caller]
    pub fn read_page<'a>(&'a self, cx: &'a Context, pfn: Pfn) -> impl Future<Output = u64> + 'a {
        Step::new(cx, content_op(pfn, OpKind::Load, Location::caller()), move || {
            let stamp = self.stamp(pfn);
            (stamp, Effect { old: stamp, new: stamp })
        })
    }

    /// Writes part of a page: one step, in which `change` says what the contents become. It is asked also where
    /// contents are not tracked.
    #[track_caller]
    pub fn change_page<'a>(
        &'a self,
        cx: &'a Context,
        pfn: Pfn,
        change: impl FnOnce(u64) -> u64 + Unpin + 'a,
    ) -> impl Future<Output = ()> + 'a {
        Step::new(cx, content_op(pfn, OpKind::Store, Location::caller()), move || {
            let old = self.stamp(pfn);
            let new = change(old);
            self.set_stamp(pfn, new);
            ((), Effect { old, new })
        })
    }

    /// Replaces a page's contents: one step (what a device read, for instance).
    #[track_caller]
    pub fn fill_page<'a>(&'a self, cx: &'a Context, pfn: Pfn, stamp: u64) -> impl Future<Output = ()> + 'a {
        self.write_content(cx, pfn, stamp, Location::caller())
    }

    /// Copies a page's contents: a step that reads one page and a step that writes the other.
    #[track_caller]
    pub fn copy_page<'a>(&'a self, cx: &'a Context, from: Pfn, to: Pfn) -> impl Future<Output = ()> + 'a {
        let location = Location::caller();
        let read = Step::new(cx, content_op(from, OpKind::Load, location), move || {
            let stamp = self.stamp(from);
            (stamp, Effect { old: stamp, new: stamp })
        });
        async move {
            let stamp = read.await;
            self.write_content(cx, to, stamp, location).await;
        }
    }

    fn write_content<'a>(
        &'a self,
        cx: &'a Context,
        pfn: Pfn,
        stamp: u64,
        location: &'static Location<'static>,
    ) -> impl Future<Output = ()> + 'a {
        Step::new(cx, content_op(pfn, OpKind::Store, location), move || {
            let old = self.stamp(pfn);
            self.set_stamp(pfn, stamp);
            ((), Effect { old, new: stamp })
        })
    }
}

fn content_op(pfn: Pfn, kind: OpKind, location: &'static Location<'static>) -> Op {
    Op { object: ObjectId::new(&CONTENT, u64::from(pfn.0)), kind, order: Order::Plain, location }
}
