//! Page I/O: `readpage`, `mpage_readpages` and what happens when a request ends.
//!
//! Follows fs/mpage.c, fs/buffer.c (`end_buffer_read_sync`) and mm/filemap.c (`end_page_writeback`) of v2.6.27.

use std::rc::Rc;

use pagewalk_engine::{Class, Completion, Cpu, OpKind};
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{AddError, add_to_page_cache};
use pagewalk_pages::{LruList, PG_LOCKED, PG_UPTODATE, PageRef};

use super::disk::{Bio, Direction, EndIo, submit_bio};
use super::inode::pages_of;
use super::{Inode, InodeKind};
use crate::check::PinTicket;
use crate::kernel::Kernel;
use crate::task::Task;

/// The end of a read that somebody waits for with the page locked.
static READ_BUFFERS: Class = Class::new(53, "buffer read");

/// `mpage_end_io_read` for one page: its contents are there; who waits for its lock may have it.
pub(crate) fn end_page_read(kernel: &Kernel, pfn: Pfn, inside: bool) {
    if !inside {
        kernel.zone.memory.set_stamp_in_step(&kernel.engine, pfn, 0);
    }
    let flags = kernel.zone.memory.words(pfn).flags();
    flags.modify_in_step(&kernel.engine, OpKind::ChangeBit(PG_UPTODATE), |flags| flags | 1 << PG_UPTODATE);
    flags.end_bit(&kernel.engine, PG_LOCKED);
}

/// `readpage`: starts to read a page that the caller has locked. The end of the read unlocks it.
pub(crate) async fn readpage(current: &Task, inode: &Rc<Inode>, index: u64, pfn: Pfn) {
    read_pages(current, inode, index, vec![pfn]).await;
}

/// `mpage_readpages`: starts to read locked pages that are neighbours in the file.
async fn read_pages(current: &Task, inode: &Rc<Inode>, first: u64, frames: Vec<Pfn>) {
    // do_mpage_readpage: what lies beyond the end of the file is zeros, whatever the disk has there.
    let limit = pages_of(inode.i_size().read_once(current).await);
    let end_io: EndIo =
        Rc::new(move |kernel: &Kernel, _: &Cpu, pfn, index| end_page_read(kernel, pfn, index < limit));
    let bio =
        Bio { inode: Rc::clone(inode), direction: Direction::Read, first, frames, direct: None, end_io };
    submit_bio(current, bio).await;
}

/// Reads a locked page and waits for it with the lock held (`block_prepare_write` of a part of a page).
pub(crate) async fn read_locked_page(current: &Task, inode: &Rc<Inode>, index: u64, pfn: Pfn) {
    let kernel = current.kernel();
    transfer_and_wait(current, inode, Direction::Read, index, vec![pfn], None).await;
    kernel.zone.memory.words(pfn).flags().set_bit(current, PG_UPTODATE).await;
}

/// A request that the caller sleeps for, which touches no page state (buffers, direct I/O).
pub(crate) async fn transfer_and_wait(
    current: &Task,
    inode: &Rc<Inode>,
    direction: Direction,
    first: u64,
    frames: Vec<Pfn>,
    direct: Option<Rc<[PinTicket]>>,
) {
    let left = u32::try_from(frames.len()).expect("a request of fewer than 2^32 pages");
    let done = Rc::new(Completion::new(&READ_BUFFERS, u64::from(current.id().number()), left));
    let signal = Rc::clone(&done);
    let end_io: EndIo = Rc::new(move |kernel: &Kernel, _: &Cpu, _, _| signal.complete(&kernel.engine));
    submit_bio(current, Bio { inode: Rc::clone(inode), direction, first, frames, direct, end_io }).await;
    done.wait(current).await;
}

/// `add_to_page_cache_lru`: a new page becomes the file's, and goes to the inactive list; memory without a disk to the active one of
/// anonymous pages.
pub(crate) async fn add_to_page_cache_lru(
    current: &Task,
    page: &PageRef<'_>,
    inode: &Inode,
    index: u64,
) -> Result<(), AddError> {
    add_to_page_cache(current, page, &inode.mapping, index).await?;
    let list = match inode.kind() {
        InodeKind::Disk => LruList::InactiveFile,
        InodeKind::Shmem => LruList::ActiveAnon,
    };
    current.kernel().zone.lru_cache_add(current, page.pfn(), list).await;
    Ok(())
}

/// Pages on their way into the cache: a run of neighbours becomes one request.
pub(crate) struct ReadBatch<'a> {
    inode: &'a Rc<Inode>,
    first: u64,
    frames: Vec<Pfn>,
}

impl<'a> ReadBatch<'a> {
    /// A batch for one file, still empty.
    pub(crate) fn new(inode: &'a Rc<Inode>) -> Self {
        Self { inode, first: 0, frames: Vec::new() }
    }

    /// Puts a new page into the cache at `index`, locked, to be read with the batch. If another page is there by now,
    /// this one goes.
    pub(crate) async fn add(&mut self, current: &Task, page: PageRef<'_>, index: u64) {
        if add_to_page_cache_lru(current, &page, self.inode, index).await.is_ok() {
            if self.first + self.frames.len() as u64 != index {
                self.submit(current).await;
                self.first = index;
            }
            self.frames.push(page.pfn());
        }
        // The cache's reference keeps a locked page.
        current.kernel().zone.put_page(current, page).await;
    }

    /// Starts to read the run that was collected; its pages are unlocked at its end.
    pub(crate) async fn submit(&mut self, current: &Task) {
        if !self.frames.is_empty() {
            read_pages(current, self.inode, self.first, std::mem::take(&mut self.frames)).await;
        }
    }
}
