//! The operations of a scenario, each the kernel's own entry points with what a caller does around them.

use std::rc::Rc;

use pagewalk_engine::Context;
use pagewalk_kernel::{AdviceCall, Call, File, FileTicket, Inode, Task, Transfer, run_program};
use pagewalk_mmu::{Access, AccessKind, BASE_PAGE_BYTES, Pfn, Vaddr};
use pagewalk_pagecache::{
    __remove_mapping, add_to_page_cache, add_to_page_cache_locked, find_get_page, find_get_pages,
    find_lock_page, remove_from_page_cache, trylock_page, unlock_page,
};
use pagewalk_pages::{PG_DIRTY, PG_LOCKED, PG_UPTODATE, PG_WRITEBACK, PageRef, Zone};

use super::Operation;

/// Where the process has its first page.
pub(crate) const BASE: Vaddr = Vaddr(1 << 30);

/// So many pages in bytes.
fn bytes(pages: u64) -> u64 {
    pages * BASE_PAGE_BYTES
}

/// Where a page of the process is.
fn at(page: u64) -> Vaddr {
    Vaddr(BASE.0 + bytes(page))
}

/// What an operation works on.
pub(crate) struct Subject<'a> {
    pub(crate) task: &'a Task,
    pub(crate) files: &'a [(String, Rc<File>)],
    /// The page that a reclaim has isolated.
    pub(crate) isolated: Option<Pfn>,
}

impl Subject<'_> {
    fn file(&self, name: &str) -> &Rc<File> {
        let (_, file) = self.files.iter().find(|(known, _)| known == name).expect("a checked scenario");
        file
    }

    fn zone(&self) -> &Rc<Zone> {
        &self.task.kernel().zone
    }

    fn cx(&self) -> &Context {
        self.task
    }

    pub(crate) async fn perform(&self, operation: &Operation) {
        match operation {
            Operation::Lookup { file, page } => self.lookup(self.file(file).inode(), *page).await,
            Operation::GangLookup { file, page, most } => {
                self.gang_lookup(self.file(file).inode(), *page, *most).await;
            }
            Operation::LookupLocked { file, page } => {
                self.lookup_locked(self.file(file).inode(), *page).await;
            }
            Operation::Reclaim { file, .. } => {
                let pfn = self.isolated.expect("isolated before the run");
                self.reclaim(self.file(file).inode(), pfn).await;
            }
            Operation::Add { file, page } => self.add(self.file(file).inode(), *page).await,
            Operation::Reinsert { file, page } => self.reinsert(self.file(file).inode(), *page).await,
            Operation::Allocate { after_grace_period, exact } => {
                self.allocate(*after_grace_period, *exact).await;
            }
            Operation::Load { page } => self.access(at(*page), AccessKind::Load).await,
            Operation::Store { page } => self.access(at(*page), AccessKind::Store).await,
            _ => {
                let call = self.call_of(operation).expect("what is left are system calls");
                // An error is an answer like others.
                let _ = self.task.call(call).await;
            }
        }
    }

    /// The system call that an operation is; none if it is something else.
    fn call_of(&self, operation: &Operation) -> Option<Call> {
        let open = |name: &String| Rc::clone(self.file(name));
        Some(match operation {
            Operation::Truncate { file, pages } => Call::Truncate { file: open(file), size: bytes(*pages) },
            Operation::Invalidate { file } => {
                Call::Invalidate { file: open(file), offset: 0, len: u64::MAX / 2 }
            }
            Operation::DropCaches => Call::DropCaches,
            Operation::Read { file, page } => {
                let (offset, len) = (bytes(*page), BASE_PAGE_BYTES);
                Call::Read {
                    file: open(file),
                    transfer: Transfer { offset, len, buffer: None, direct: false },
                }
            }
            Operation::Discard { page } => {
                Call::Madvise { start: at(*page), len: BASE_PAGE_BYTES, advice: AdviceCall::DontNeed }
            }
            _ => return None,
        })
    }

    async fn access(&self, vaddr: Vaddr, kind: AccessKind) {
        let access = Access::new(vaddr, 8, kind).expect("eight bytes at the beginning of a page");
        run_program(self.task, &[access]).await;
    }

    async fn lookup(&self, inode: &Inode, index: u64) {
        let ticket = self.task.kernel().probe().file_op_begin();
        if let Some(page) = find_get_page(self.cx(), &inode.mapping, index).await {
            self.use_page(&ticket, inode, index, page.pfn()).await;
            self.zone().put_page(self.cx(), page).await;
        }
    }

    async fn gang_lookup(&self, inode: &Inode, index: u64, most: usize) {
        for page in find_get_pages(self.cx(), &inode.mapping, index, most).await {
            self.zone().put_page(self.cx(), page).await;
        }
    }

    async fn lookup_locked(&self, inode: &Inode, index: u64) {
        let ticket = self.task.kernel().probe().file_op_begin();
        if let Some(page) = find_lock_page(self.cx(), &inode.mapping, index).await {
            self.use_page(&ticket, inode, index, page.pfn()).await;
            unlock_page(self.cx(), self.zone(), page.pfn()).await;
            self.zone().put_page(self.cx(), page).await;
        }
    }

    /// What a reader does with the page (`do_generic_file_read`): its contents, if they are valid and not beyond the end of the file,
    /// are those that this page of this file has, or has had since the lookup began.
    async fn use_page(&self, ticket: &FileTicket, inode: &Inode, index: u64, pfn: Pfn) {
        let words = self.zone().memory.words(pfn);
        let up_to_date = words.flags().test_bit(self.cx(), PG_UPTODATE).await;
        if !up_to_date || self.is_beyond_end(inode, index).await {
            return;
        }
        let stamp = self.zone().memory.read_page(self.cx(), pfn).await;
        self.check_not_free(pfn);
        self.task.kernel().probe().file_read(ticket, inode.id(), index, stamp);
    }

    /// I3, for observers: a page to which somebody has a reference is not free.
    fn check_not_free(&self, pfn: Pfn) {
        if self.zone().memory.words(pfn).count().observe() < 1 {
            self.cx().engine().violation(
                "I3",
                format!("{pfn:?} is used by who has a reference and its count is 0: expected 1 or more"),
            );
        }
    }

    /// `shrink_page_list` of mm/vmscan.c, for one page: not waited for if it is locked, freed without a put as its count is
    /// 0 already.
    async fn reclaim(&self, inode: &Inode, pfn: Pfn) {
        let (cx, zone) = (self.cx(), self.zone());
        let words = zone.memory.words(pfn);
        if !trylock_page(cx, zone, pfn).await {
            return zone.put_page(cx, PageRef::counted(cx, pfn)).await;
        }
        let here = words.mapping().read_once(cx).await == inode.mapping.page_mapping();
        if here && __remove_mapping(cx, &inode.mapping, pfn).await {
            words.flags().clear_bit(cx, PG_LOCKED).await; // __clear_page_locked
            return zone.free_hot_page(cx, pfn).await;
        }
        unlock_page(cx, zone, pfn).await;
        zone.put_page(cx, PageRef::counted(cx, pfn)).await;
    }

    /// What a read that misses does (`do_generic_file_read`): within the file a new page, in the cache before it is filled.
    async fn add(&self, inode: &Inode, index: u64) {
        let (cx, zone) = (self.cx(), self.zone());
        if self.is_beyond_end(inode, index).await {
            return;
        }
        let Some(page) = zone.alloc_page(cx).await else { return };
        if add_to_page_cache(cx, &page, &inode.mapping, index).await.is_ok() {
            let pfn = page.pfn();
            // A truncation that has come by meanwhile has not seen the page, and frees the block later.
            let beyond = self.is_beyond_end(inode, index).await;
            let content = || if beyond { 0 } else { self.task.kernel().disk_content(inode, index) };
            zone.memory.change_page(cx, pfn, |_| content()).await;
            zone.memory.words(pfn).flags().set_bit(cx, PG_UPTODATE).await;
            unlock_page(cx, zone, pfn).await;
        }
        zone.put_page(cx, page).await;
    }

    async fn is_beyond_end(&self, inode: &Inode, index: u64) -> bool {
        index >= inode.i_size().read_once(self.cx()).await.div_ceil(BASE_PAGE_BYTES)
    }

    /// The page leaves its place and comes back. A page that is mapped, dirty or under writeback stays: whoever takes such a page
    /// out of the cache unmaps or writes it first, or loses what it holds. Truncation, which would not find the page while it is out, is
    /// kept away by `i_mutex`.
    async fn reinsert(&self, inode: &Inode, index: u64) {
        let i_mutex = inode.i_mutex.down_write(self.cx()).await;
        self.reinsert_locked(inode, index).await;
        i_mutex.up_write().await;
    }

    async fn reinsert_locked(&self, inode: &Inode, index: u64) {
        let (cx, zone) = (self.cx(), self.zone());
        let Some(page) = find_lock_page(cx, &inode.mapping, index).await else { return };
        let words = zone.memory.words(page.pfn());
        let kept = words.flags().read_once(cx).await & (1 << PG_DIRTY | 1 << PG_WRITEBACK) != 0;
        if !kept && words.mapcount().read_once(cx).await == 0 {
            remove_from_page_cache(cx, &inode.mapping, page.pfn()).await;
            zone.put_page(cx, PageRef::counted(cx, page.pfn())).await; // the cache's
            // It fails where another page has come meanwhile.
            let _ = add_to_page_cache_locked(cx, &page, &inode.mapping, index).await;
        }
        unlock_page(cx, zone, page.pfn()).await;
        zone.put_page(cx, page).await;
    }

    async fn allocate(&self, after_grace_period: bool, exact: bool) {
        let (cx, zone) = (self.cx(), self.zone());
        let Some(page) = zone.alloc_page(cx).await else { return };
        if after_grace_period {
            cx.synchronize_rcu().await;
        }
        let count = zone.memory.words(page.pfn()).count().read_once(cx).await;
        if exact && count != 1 {
            let message =
                format!("{:?} is new, has one owner, and its count is {count}, expected 1", page.pfn());
            cx.engine().violation("count-is-exact", message);
        }
        zone.put_page(cx, page).await;
    }
}
