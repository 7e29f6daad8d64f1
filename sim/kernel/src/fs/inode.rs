//! `struct inode`: a file, its size and its locks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use pagewalk_engine::{Class, Digest, Keep, ObjectId, ReadGuard, RwSem, Shared, Word, WriteGuard};
use pagewalk_mmu::{BASE_PAGE_BYTES, BASE_SHIFT};
use pagewalk_pagecache::{AddressSpace, PageCache};
use pagewalk_pages::Fix;

use super::holes::Holes;
use crate::check::initial_stamp;
use crate::mm::IMmap;
use crate::shmem::ShmemInfo;
use crate::task::Task;

/// `inode->i_mutex`: writers and truncation; not taken by reads and faults.
static I_MUTEX: Class = Class::new(50, "inode->i_mutex");
/// `mapping->invalidate_lock` (Linux 5.15).
static INVALIDATE_LOCK: Class = Class::new(54, "mapping->invalidate_lock");
/// `inode->i_size`.
static I_SIZE: Class = Class::new(51, "inode->i_size");

/// What is behind a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InodeKind {
    /// Blocks of the disk.
    Disk,
    /// Swap: shared anonymous memory (mm/shmem.c).
    Shmem,
}

/// A file of the machine.
pub struct Inode {
    id: u32,
    path: String,
    kind: InodeKind,
    size: Cell<u64>,
    /// The size that programs have given it; `i_size` is more while somebody else has extended it. Belongs to `i_mutex`.
    pub(crate) own_size: Cell<u64>,
    /// Pages that the file had before the run, and those of them whose contents are gone since.
    initial: u64,
    gone: RefCell<Holes>,
    /// Its pages in the cache.
    pub mapping: Rc<AddressSpace>,
    /// Writers and truncation of this file, one at a time.
    pub i_mutex: RwSem,
    /// Shared by who brings pages into the cache, exclusive for who frees their blocks.
    invalidate_lock: RwSem,
    /// The areas that map it.
    pub(crate) i_mmap: IMmap,
    /// Its pages in swap, if it has no disk.
    pub(crate) shmem: ShmemInfo,
}

pagewalk_engine::keep!(Inode: size, own_size, gone, mapping, i_mutex, invalidate_lock, i_mmap, shmem; fixed id, path, kind, initial);

impl Inode {
    /// Its number, from 1; never reused.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its path; empty for shared anonymous memory.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a disk is behind it, or swap.
    pub fn kind(&self) -> InodeKind {
        self.kind
    }

    /// Pages that it had before the run.
    pub(crate) fn initial_pages(&self) -> u64 {
        if self.kind == InodeKind::Shmem { 0 } else { self.initial }
    }

    /// What page `index` held before the run: a stamp of its own for each page of a disk's file, zeros beyond its end.
    pub fn initial_stamp(&self, index: u64) -> u64 {
        let hole =
            self.kind == InodeKind::Shmem || index >= self.initial || self.gone.borrow().contains(index);
        if hole { 0 } else { initial_stamp(self.id, index) }
    }

    /// Pages `first..end` are holes where nothing was written since.
    pub(crate) fn forget_initial(&self, first: u64, end: u64) {
        self.gone.borrow_mut().add(first, end.min(self.initial));
    }

    /// `filemap_invalidate_lock_shared`: pages may be brought into the cache until the guard is released. Nothing before
    /// Linux 5.15.
    pub(crate) async fn filemap_invalidate_lock_shared<'a>(
        &'a self,
        current: &'a Task,
    ) -> Option<ReadGuard<'a>> {
        let fixed = current.kernel().switches().has(Fix::InvalidateLock);
        if fixed { Some(self.invalidate_lock.down_read(current).await) } else { None }
    }

    /// `filemap_invalidate_lock`: nobody brings pages into the cache until the guard is released.
    pub(crate) async fn filemap_invalidate_lock<'a>(&'a self, current: &'a Task) -> Option<WriteGuard<'a>> {
        let fixed = current.kernel().switches().has(Fix::InvalidateLock);
        if fixed { Some(self.invalidate_lock.down_write(current).await) } else { None }
    }

    /// Its size, its pages and the areas that map it.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        digest.absorb(self.size.get());
        digest.absorb(self.own_size.get());
        self.gone.borrow().absorb_into(digest);
        self.mapping.absorb_into(digest);
        self.i_mmap.absorb_into(digest);
    }

    /// `inode->i_size`, in bytes.
    pub fn i_size(&self) -> Word<'_, u64> {
        Word::new(&self.size, ObjectId::new(&I_SIZE, u64::from(self.id)))
    }
}

impl fmt::Debug for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inode {} {:?}", self.id, self.path)
    }
}

/// Pages that `bytes` bytes of a file need.
pub(crate) fn pages_of(bytes: u64) -> u64 {
    bytes.div_ceil(BASE_PAGE_BYTES)
}

/// The page of a file that byte `offset` is in.
pub(crate) fn page_of(offset: u64) -> u64 {
    offset >> BASE_SHIFT
}

/// Every file of the machine.
pub(crate) struct Inodes {
    cache: Rc<PageCache>,
    all: RefCell<Vec<Rc<Inode>>>,
    by_path: RefCell<BTreeMap<String, u32>>,
}

impl Keep for Inodes {
    fn keep(&self) -> Self {
        let all = self.all.borrow().iter().map(Keep::keep).collect();
        Self { cache: Rc::clone(&self.cache), all: RefCell::new(all), by_path: self.by_path.keep() }
    }

    fn set_back(&self, kept: &Self) {
        let (mut all, kept_all) = (self.all.borrow_mut(), kept.all.borrow());
        if all.len() > kept_all.len() {
            all.truncate(kept_all.len());
            self.by_path.set_back(&kept.by_path);
        }
        all.iter().zip(&*kept_all).for_each(|(inode, kept)| inode.set_back(kept));
    }
}

impl Inodes {
    /// No files yet; their pages will be in `cache`.
    pub(crate) fn new(cache: Rc<PageCache>) -> Self {
        Self { cache, all: RefCell::default(), by_path: RefCell::default() }
    }

    /// The file at `path`, made with `size` bytes if it is not there.
    pub(crate) fn open(&self, path: &str, size: u64) -> Rc<Inode> {
        let known = self.by_path.borrow().get(path).copied();
        if let Some(id) = known {
            return Rc::clone(&self.all.borrow()[id as usize - 1]);
        }
        let inode = self.create(path.to_owned(), InodeKind::Disk, size);
        self.by_path.borrow_mut().insert(path.to_owned(), inode.id);
        inode
    }

    /// A new file without a name: shared anonymous memory of `size` bytes.
    pub(crate) fn shmem(&self, size: u64) -> Rc<Inode> {
        self.create(String::new(), InodeKind::Shmem, size)
    }

    /// The file whose address space has this number.
    pub(crate) fn by_mapping(&self, mapping: u32) -> Option<Rc<Inode>> {
        self.all.borrow().get((mapping as usize).checked_sub(1)?).cloned()
    }

    /// All files, by number.
    pub(crate) fn all(&self) -> Vec<Rc<Inode>> {
        self.all.borrow().clone()
    }

    fn create(&self, path: String, kind: InodeKind, size: u64) -> Rc<Inode> {
        let mut all = self.all.borrow_mut();
        let id = u32::try_from(all.len() + 1).expect("fewer than 2^32 files");
        let i_mutex = RwSem::new(&I_MUTEX, u64::from(id));
        let invalidate_lock = RwSem::new(&INVALIDATE_LOCK, u64::from(id));
        let mapping = self.cache.address_space(id);
        mapping.account_dirty.set(kind == InodeKind::Disk);
        let (initial, own_size, size) = (pages_of(size), Cell::new(size), Cell::new(size));
        let inode = Rc::new(Inode {
            id,
            path,
            kind,
            size,
            own_size,
            initial,
            gone: RefCell::default(),
            mapping,
            i_mutex,
            invalidate_lock,
            i_mmap: IMmap::new(id),
            shmem: ShmemInfo::new(id),
        });
        all.push(Rc::clone(&inode));
        inode
    }
}
