//! Direct I/O: between the disk and the program's own pages, past the cache.
//!
//! Follows mm/filemap.c (`generic_file_direct_IO`) and fs/direct-io.c of v2.6.27. The program's pages are pinned by
//! `get_user_pages` while the disk works on them.

use std::rc::Rc;

use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr};
use pagewalk_pages::Pin;

use super::disk::Direction;
use super::inode::{page_of, pages_of};
use super::invalidate::invalidate_inode_pages2_range;
use super::io::transfer_and_wait;
use super::writeback::{filemap_write_and_wait, set_page_dirty};
use super::{File, Inode};
use crate::check::PinTicket;
use crate::paths::{Errno, get_user_pages, unmap_mapping_range};
use crate::task::Task;

/// Pages that one request of direct I/O moves (`DIO_PAGES`).
const DIO_PAGES: u64 = 64;

/// Whole pages, page-aligned in the file and in memory: what direct I/O takes.
fn aligned(offset: u64, len: u64, buffer: Vaddr) -> Result<(), Errno> {
    let odd = |value: u64| !value.is_multiple_of(BASE_PAGE_BYTES);
    if len == 0 || odd(offset) || odd(len) || odd(buffer.0) { Err(Errno::Einval) } else { Ok(()) }
}

/// A direct read: what is dirty in the cache goes to the disk first, then the disk fills the program's pages.
///
///  1. lock out writers and truncation (`i_mutex`);
///  2. write what is dirty in the range, and wait;
///  3. pin the program's pages, let the disk fill them, mark them dirty, unpin them.
///
/// A store through a mapping between 2 and 3 may be missed: cached and direct I/O agree only where a program
/// orders them.
///
/// # Errors
/// `EINVAL` if a place is not page-aligned, `EFAULT` if the buffer is not mapped for writing.
pub(crate) async fn direct_read(
    current: &Task,
    file: &Rc<File>,
    offset: u64,
    len: u64,
    buffer: Vaddr,
) -> Result<u64, Errno> {
    aligned(offset, len, buffer)?;
    let inode = file.inode();
    let i_mutex = inode.i_mutex.down_write(current).await;
    let size = inode.i_size().read_once(current).await;
    let pages = pages_of(len.min(size.saturating_sub(offset)));
    let first = page_of(offset);
    if pages > 0 {
        filemap_write_and_wait(current, inode, first, first + pages - 1).await;
    }
    let done = transfer(current, inode, Direction::Read, first, pages, buffer).await;
    i_mutex.up_write().await;
    done.map(|pages| (pages * BASE_PAGE_BYTES).min(size.saturating_sub(offset)))
}

/// A direct write: mappings and cached pages of the range go, before and after the disk has written.
///
///  1. unmap the range, which brings dirty bits of PTEs to the pages;
///  2. write what is dirty, and wait: nothing older may reach the disk after 4;
///  3. take the pages out of the cache;
///  4. pin the program's pages and let the disk read them;
///  5. move `i_size`, if the file has grown;
///  6. take the pages out of the cache once more.
///
/// # Errors
/// `EINVAL` if a place is not page-aligned, `EFAULT` if the buffer is not mapped.
pub(crate) async fn direct_write(
    current: &Task,
    file: &Rc<File>,
    offset: u64,
    len: u64,
    buffer: Vaddr,
) -> Result<u64, Errno> {
    aligned(offset, len, buffer)?;
    let inode = file.inode();
    let i_mutex = inode.i_mutex.down_write(current).await;
    file.note_extent(offset + len);
    let (first, last) = (page_of(offset), page_of(offset + len - 1));
    let kernel = current.kernel();
    let ticket = kernel.probe().file_op_begin();
    // What the hardware noted in PTEs reaches the pages, and the pages the disk, before the cache is emptied.
    unmap_mapping_range(current, inode, first, last, false).await;
    filemap_write_and_wait(current, inode, first, last).await;
    let done = if invalidate_inode_pages2_range(current, inode, first, last).await {
        let done = transfer(current, inode, Direction::Write, first, last - first + 1, buffer).await;
        // 5. After the disk has the data: whoever sees the new size may read up to it.
        if done.is_ok() && offset + len > inode.i_size().read_once(current).await {
            inode.i_size().write_once(current, offset + len).await;
        }
        // Readers may have brought old pages back meanwhile. One that was dirtied stays, and will be written over this.
        // 6. Readahead and faults take no `i_mutex`; a program that writes from a mapping of the range itself
        // brings them back by 4's own faults.
        if invalidate_inode_pages2_range(current, inode, first, last).await {
            kernel.probe().file_settle_direct(&ticket, inode.id(), first, last + 1);
        }
        done
    } else {
        Err(Errno::Eio)
    };
    i_mutex.up_write().await;
    done.map(|pages| pages * BASE_PAGE_BYTES)
}

/// Moves pages between the disk and pinned pages of the program, some at a time.
async fn transfer(
    current: &Task,
    inode: &Rc<Inode>,
    direction: Direction,
    first: u64,
    pages: u64,
    buffer: Vaddr,
) -> Result<u64, Errno> {
    let mut moved = 0;
    while moved < pages {
        let chunk = DIO_PAGES.min(pages - moved);
        let mut pinned: Vec<Pin<'_>> = Vec::new();
        let mut tickets: Vec<PinTicket> = Vec::new();
        let mut fault = false;
        // All pages of the request before it begins, as the disk cannot fault. `mmap_sem` is released between
        // two of them: the pages may stem from different states of the address space, each right when it was
        // pinned.
        for n in 0..chunk {
            let address = Vaddr(buffer.0 + (moved + n) * BASE_PAGE_BYTES);
            match get_user_pages(current, address, direction == Direction::Read).await {
                Some((page, ticket)) => {
                    pinned.push(page);
                    tickets.push(ticket);
                }
                None => {
                    fault = true;
                    break;
                }
            }
        }
        if !fault {
            let frames = pinned.iter().map(Pin::pfn).collect();
            transfer_and_wait(current, inode, direction, first + moved, frames, Some(tickets.into())).await;
        }
        for page in pinned {
            // After the disk has filled it. A device sets no dirty bit in a PTE; the flag that
            // `get_user_pages` set may have been cleared by a writeback since. Until the unpin the count
            // keeps reclaim from dropping the page (R04). v2.6.27 holds the page lock here
            // (`set_page_dirty_lock`), so that the page stays its file's.
            if direction == Direction::Read && !fault {
                set_page_dirty(current, page.pfn()).await;
            }
            current.kernel().zone.unpin_page(current, page).await;
        }
        if fault {
            return if moved > 0 { Ok(moved) } else { Err(Errno::Efault) };
        }
        moved += chunk;
    }
    Ok(moved)
}
