//! Virtual memory areas and their tree.
//!
//! An area is immutable once it is in the tree, except that it gains its `anon_vma` at the first fault. Splitting,
//! merging and changing protection put new areas in place of old ones, under `mmap_sem` held for writing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::ops::Bound;
use std::rc::Rc;

use pagewalk_engine::{Digest, Keep};
use pagewalk_mmu::{AccessKind, BASE_PAGE_BYTES, BASE_SHIFT, PageFault, Vaddr, VaddrRange};

use super::anon_vma::AnonVma;
use crate::fs::{Advice, File, InodeKind};

/// What a program may do in an area (`PROT_READ`, `PROT_WRITE`, `PROT_EXEC`).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Prot {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Fetches.
    pub exec: bool,
}

impl Prot {
    /// Read and write.
    pub const RW: Self = Self { read: true, write: true, exec: false };

    /// Any access at all; otherwise `PROT_NONE`.
    pub fn any(self) -> bool {
        self.read || self.write || self.exec
    }

    /// Whether an area with this protection is no reason for `fault` to be a segmentation fault
    /// (`access_error` of arch/x86/mm/fault.c).
    pub fn allows(self, fault: PageFault) -> bool {
        match fault.kind {
            AccessKind::Store | AccessKind::Modify => self.write,
            AccessKind::Fetch => self.exec,
            AccessKind::Load => self.any(),
        }
    }
}

impl fmt::Debug for Prot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |on: bool, letter: char| if on { letter } else { '-' };
        write!(f, "{}{}{}", flag(self.read, 'r'), flag(self.write, 'w'), flag(self.exec, 'x'))
    }
}

/// What an area is for.
#[derive(Clone, Debug)]
pub enum VmaKind {
    /// A private anonymous mapping.
    Anonymous,
    /// The heap, moved by `brk`.
    Heap,
    /// A stack.
    Stack,
    /// Pages of an open file (`vm_file`).
    File(Rc<File>),
}

impl PartialEq for VmaKind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anonymous, Self::Anonymous) | (Self::Heap, Self::Heap) | (Self::Stack, Self::Stack) => {
                true
            }
            (Self::File(one), Self::File(other)) => Rc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for VmaKind {}

/// An area of memory with one protection and one thing behind it.
#[derive(Clone, Debug)]
pub struct Vma {
    /// The addresses, whole pages.
    pub range: VaddrRange,
    /// What the program may do.
    pub prot: Prot,
    /// What it is for.
    pub kind: VmaKind,
    /// Stores are seen by everyone who maps the file (`VM_SHARED`). Only areas of files are shared.
    pub shared: bool,
    /// In which order the program says it will touch the pages (`VM_RAND_READ`, `VM_SEQ_READ`).
    pub advice: Advice,
    /// The linear page index of the first page (`vm_pgoff`), so that the reverse mapping finds its pages: for a file,
    /// which of its pages; else its address in pages when the area was made, kept when it moves.
    pub pgoff: u64,
    /// The reverse mapping its pages belong to; set under `page_table_lock` at the first fault.
    pub anon_vma: ReverseMapping,
}

/// The `anon_vma` of an area, set once in a run.
#[derive(Clone, Debug, Default)]
pub struct ReverseMapping(RefCell<Option<Rc<AnonVma>>>);

impl ReverseMapping {
    /// The `anon_vma`, if it is set.
    pub fn get(&self) -> Option<Rc<AnonVma>> {
        self.0.borrow().clone()
    }

    /// Sets it; false if it was set already.
    pub(crate) fn set(&self, anon_vma: &Rc<AnonVma>) -> bool {
        let mut own = self.0.borrow_mut();
        let first = own.is_none();
        own.get_or_insert_with(|| Rc::clone(anon_vma));
        first
    }
}

impl Keep for ReverseMapping {
    fn keep(&self) -> Self {
        Self(self.0.keep())
    }
    fn set_back(&self, kept: &Self) {
        self.0.set_back(&kept.0);
    }
}

impl Vma {
    /// A fresh private area of anonymous memory.
    pub fn new(range: VaddrRange, prot: Prot, kind: VmaKind) -> Self {
        let pgoff = range.start().vpn().0;
        let advice = Advice::Normal;
        Self { range, prot, kind, shared: false, advice, pgoff, anon_vma: ReverseMapping::default() }
    }

    /// A fresh area over a file's pages from `pgoff` on.
    pub fn of_file(range: VaddrRange, prot: Prot, file: Rc<File>, shared: bool, pgoff: u64) -> Self {
        let kind = VmaKind::File(file);
        Self { range, prot, kind, shared, advice: Advice::Normal, pgoff, anon_vma: ReverseMapping::default() }
    }

    /// Everything that is known of it.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        self.range.hash(digest);
        let Prot { read, write, exec } = self.prot;
        let kind = match self.kind {
            VmaKind::Anonymous => 0,
            VmaKind::Heap => 1,
            VmaKind::Stack => 2,
            VmaKind::File(_) => 3,
        };
        (read, write, exec, kind, self.shared, self.advice as u8, self.pgoff).hash(digest);
        digest.absorb(self.file().map_or(0, |file| u64::from(file.inode().id())));
        digest.absorb(self.anon_vma.get().map_or(0, |anon_vma| u64::from(anon_vma.id())));
    }

    /// The open file behind it (`vm_file`).
    pub fn file(&self) -> Option<&Rc<File>> {
        match &self.kind {
            VmaKind::File(file) => Some(file),
            _ => None,
        }
    }

    /// `vma_wants_writenotify`: pages are mapped read-only until the first store, so that it is noticed.
    pub(crate) fn wants_writenotify(&self) -> bool {
        self.shared
            && self.prot.write
            && self.file().is_some_and(|file| file.inode().kind() == InodeKind::Disk)
    }

    /// Whether a fault that only reads may map a file's page for writing too (`vm_page_prot`).
    pub(crate) fn maps_writable(&self) -> bool {
        self.shared && self.prot.write && !self.wants_writenotify()
    }

    /// What it is, for people: `heap`, `stack`, `anonymous`, or the file's path.
    pub fn label(&self) -> &str {
        match &self.kind {
            VmaKind::Anonymous => "anonymous",
            VmaKind::Heap => "heap",
            VmaKind::Stack => "stack",
            VmaKind::File(file) if file.inode().kind() == InodeKind::Shmem => "anonymous (shared)",
            VmaKind::File(file) => file.inode().path(),
        }
    }

    /// `linear_page_index`.
    pub fn index_of(&self, address: Vaddr) -> u64 {
        self.pgoff + ((address.0 - self.range.start().0) >> BASE_SHIFT)
    }

    /// `vma_address`: where in this area the page with linear index `index` would be.
    pub fn address_of(&self, index: u64) -> Option<Vaddr> {
        let pages = index.checked_sub(self.pgoff)?;
        let address = self.range.start().checked_add(pages.checked_mul(BASE_PAGE_BYTES)?)?;
        self.range.contains(address).then_some(address)
    }

    /// The same area over a part of its range.
    pub(crate) fn part(&self, range: VaddrRange) -> Self {
        Self { pgoff: self.index_of(range.start()), range, ..self.clone() }
    }

    /// `can_vma_merge_*`: whether `next`, which begins where this one ends, could be one area with it.
    pub(crate) fn merges_with(&self, next: &Self) -> bool {
        let same_rmap = match (self.anon_vma.get(), next.anon_vma.get()) {
            (Some(one), Some(other)) => Rc::ptr_eq(&one, &other),
            _ => true,
        };
        self.range.end() == next.range.start()
            && self.prot == next.prot
            && self.kind == next.kind
            && self.shared == next.shared
            && self.advice == next.advice
            && self.index_of(self.range.end()) == next.pgoff
            && same_rmap
    }
}

/// The areas of one address space, by address. Belongs to `mmap_sem`.
#[derive(Clone, Default)]
pub struct VmaTree {
    /// By end, so that `find_vma` is one look.
    by_end: BTreeMap<Vaddr, Rc<Vma>>,
    /// Pages in all areas (`total_vm`).
    pages: u64,
}

impl VmaTree {
    /// `find_vma`: the first area that ends above `address` (it may begin above it too).
    pub fn find_vma(&self, address: Vaddr) -> Option<&Rc<Vma>> {
        self.by_end.range((Bound::Excluded(address), Bound::Unbounded)).next().map(|(_, vma)| vma)
    }

    /// The last area that ends at or below `address`.
    pub fn find_prev(&self, address: Vaddr) -> Option<&Rc<Vma>> {
        self.by_end.range(..=address).next_back().map(|(_, vma)| vma)
    }

    /// The areas that overlap `range`, by address.
    pub fn overlapping(&self, range: VaddrRange) -> impl Iterator<Item = &Rc<Vma>> {
        self.by_end
            .range((Bound::Excluded(range.start()), Bound::Unbounded))
            .map(|(_, vma)| vma)
            .take_while(move |vma| vma.range.start() < range.end())
    }

    /// Whether areas cover every page of `range`.
    pub fn covers(&self, range: VaddrRange) -> bool {
        let mut next = range.start();
        for vma in self.overlapping(range) {
            if vma.range.start() > next {
                return false;
            }
            next = vma.range.end();
        }
        next >= range.end()
    }

    /// All areas, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<Vma>> {
        self.by_end.values()
    }

    /// Pages in all areas.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Puts an area in. It overlaps no other.
    pub(crate) fn insert(&mut self, vma: Rc<Vma>) {
        debug_assert!(self.overlapping(vma.range).next().is_none(), "areas do not overlap");
        self.pages += vma.range.len() >> BASE_SHIFT;
        self.by_end.insert(vma.range.end(), vma);
    }

    /// Takes an area out.
    pub(crate) fn remove(&mut self, vma: &Vma) {
        self.pages -= vma.range.len() >> BASE_SHIFT;
        self.by_end.remove(&vma.range.end()).expect("the area is in the tree");
    }

    /// `arch_get_unmapped_area_topdown`: the highest gap of `len` bytes below `ceiling`.
    pub fn unmapped_area(&self, len: u64, ceiling: Vaddr) -> Option<Vaddr> {
        let mut top = ceiling.0;
        for vma in self.by_end.values().rev() {
            if vma.range.start().0 >= top {
                continue;
            }
            let floor = vma.range.end().0.min(top);
            if top - floor >= len {
                break;
            }
            top = vma.range.start().0;
        }
        top.checked_sub(len).filter(|&start| start >= LOWEST_ADDRESS).map(Vaddr)
    }
}

/// The lowest address a mapping may have (`mmap_min_addr`).
const LOWEST_ADDRESS: u64 = 0x1_0000;
