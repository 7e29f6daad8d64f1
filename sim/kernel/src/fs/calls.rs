//! The system calls on files, below their entry: which path each one takes.
//!
//! Follows mm/filemap.c (`generic_file_aio_read`, `generic_file_aio_write`), mm/fadvise.c and fs/sync.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::Vaddr;

use super::direct::{direct_read, direct_write};
use super::inode::{page_of, pages_of};
use super::invalidate::{invalidate_inode_pages2_range, invalidate_mapping_pages};
use super::read::do_generic_file_read;
use super::readahead::force_page_cache_readahead;
use super::truncate::{punch_hole, vmtruncate};
use super::write::generic_file_write;
use super::writeback::{filemap_write_and_wait, write_cache_pages};
use super::{Advice, File};
use crate::paths::Errno;
use crate::task::Task;

/// Bytes of a file, and where the program has them or wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// First byte in the file.
    pub offset: u64,
    /// How many bytes. For 0 nothing is moved; a direct transfer of 0 is refused (`EINVAL`).
    pub len: u64,
    /// The program's buffer; `None` if it is not known, and then nothing of the program's memory is touched.
    pub buffer: Option<Vaddr>,
    /// Past the page cache (`O_DIRECT`): offset, length and buffer must be page-aligned.
    pub direct: bool,
}

/// What is advised for a range of a file (`posix_fadvise`) or of memory (`madvise`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdviceCall {
    /// How it will be read.
    Order(Advice),
    /// It will be wanted soon.
    WillNeed,
    /// It will not be wanted.
    DontNeed,
}

/// The largest offset in a file: `MAX_LFS_FILESIZE`.
const MAX_OFFSET: u64 = i64::MAX as u64;

/// Whether all of the bytes can have a place in a file.
fn check(transfer: &Transfer) -> Result<(), Errno> {
    let end = transfer.offset.checked_add(transfer.len).ok_or(Errno::Einval)?;
    if end > MAX_OFFSET { Err(Errno::Einval) } else { Ok(()) }
}

/// `vfs_read`, for a file of the page cache (`generic_file_aio_read`): yields how many bytes there were.
pub(crate) async fn vfs_read(current: &Task, file: &Rc<File>, transfer: Transfer) -> Result<u64, Errno> {
    check(&transfer)?;
    let Transfer { offset, len, buffer, direct } = transfer;
    match buffer {
        Some(buffer) if direct => direct_read(current, file, offset, len, buffer).await,
        _ => Ok(do_generic_file_read(current, file, offset, len, buffer).await),
    }
}

/// `vfs_write` (`generic_file_aio_write`): yields how many bytes were written. Without a known buffer a
/// direct transfer has no pages to pin, and takes the way through the cache.
pub(crate) async fn vfs_write(current: &Task, file: &Rc<File>, transfer: Transfer) -> Result<u64, Errno> {
    check(&transfer)?;
    let Transfer { offset, len, buffer, direct } = transfer;
    match buffer {
        Some(buffer) if direct => direct_write(current, file, offset, len, buffer).await,
        _ => Ok(generic_file_write(current, file, offset, len, buffer).await),
    }
}

/// `do_fsync`: what is dirty goes to the disk under `i_mutex`, as in v2.6.27; the waiting is done under it too.
///
///  1. begin to write what is dirty, while writers go on;
///  2. take `i_mutex`;
///  3. write what has become dirty since, and wait for all of it;
///  4. release `i_mutex`.
pub(crate) async fn do_fsync(current: &Task, file: &Rc<File>) {
    let inode = file.inode();
    write_cache_pages(current, inode, 0, u64::MAX, false).await;
    // 2. From here on no `write` makes more pages dirty, so 3 ends. Stores through mappings do. Since Linux
    // 3.1 each file system takes the lock itself, or does without (02c24a82187d).
    let i_mutex = inode.i_mutex.down_write(current).await;
    filemap_write_and_wait(current, inode, 0, u64::MAX).await;
    i_mutex.up_write().await;
}

/// `do_truncate`: the file has `size` bytes afterwards.
pub(crate) async fn do_truncate(current: &Task, file: &Rc<File>, size: u64) -> Result<(), Errno> {
    if size > MAX_OFFSET {
        return Err(Errno::Einval);
    }
    let i_mutex = file.inode().i_mutex.down_write(current).await;
    file.inode().own_size.set(size);
    // `i_mutex` keeps `write` from extending the file meanwhile. Faults, reads and readahead do not take it:
    // the order of steps in `vmtruncate` is against those (R21, R22, R23).
    vmtruncate(current, file.inode(), size).await;
    i_mutex.up_write().await;
    Ok(())
}

/// `fallocate` with `FALLOC_FL_PUNCH_HOLE`: the bytes read as zeros afterwards, and the size stays.
pub(crate) async fn do_punch_hole(
    current: &Task,
    file: &Rc<File>,
    offset: u64,
    len: u64,
) -> Result<(), Errno> {
    check(&Transfer { offset, len, buffer: None, direct: false })?;
    let i_mutex = file.inode().i_mutex.down_write(current).await;
    // As `i_size` does not change, no look at it tells a fault that the page is going: hence
    // `invalidate_lock`, since Linux 5.15.
    punch_hole(current, file.inode(), offset, len).await;
    i_mutex.up_write().await;
    Ok(())
}

/// `posix_fadvise`. A length of 0 reaches to the end of the file.
pub(crate) async fn do_fadvise(current: &Task, file: &Rc<File>, offset: u64, len: u64, advice: AdviceCall) {
    let inode = file.inode();
    let size = inode.i_size().read_once(current).await;
    let end = if len == 0 { size } else { offset.saturating_add(len).min(size) };
    match advice {
        AdviceCall::Order(order) => file.advice.set(order),
        AdviceCall::WillNeed if offset < end => {
            let first = page_of(offset);
            force_page_cache_readahead(current, file, first, pages_of(end) - first).await;
        }
        AdviceCall::DontNeed => {
            write_cache_pages(current, inode, 0, u64::MAX, false).await; // filemap_flush
            // Whole pages only: the rest of a page at the edge may be wanted. What is dirty or under
            // writeback by now stays, too.
            let (first, past) = (pages_of(offset), page_of(end));
            if first < past {
                let mut gone = invalidate_mapping_pages(current, inode, first, past - 1).await;
                if gone < past - first {
                    // Some may be on their way to the LRU lists (67d46b296a1b, Linux 3.9).
                    current.kernel().zone.lru_add_drain_all(current).await;
                    gone += invalidate_mapping_pages(current, inode, first, past - 1).await;
                }
                current.kernel().stat.pages_invalidated.add(gone);
            }
        }
        AdviceCall::WillNeed => {}
    }
}

/// What direct I/O and network file systems do to the cache: dirty pages are written, then all go.
pub(crate) async fn do_invalidate(
    current: &Task,
    file: &Rc<File>,
    offset: u64,
    len: u64,
) -> Result<(), Errno> {
    check(&Transfer { offset, len, buffer: None, direct: false })?;
    if len == 0 {
        return Ok(());
    }
    let (inode, first, last) = (file.inode(), page_of(offset), page_of(offset + len - 1));
    let i_mutex = inode.i_mutex.down_write(current).await;
    // Written first, because dropping a dirty page would lose what was stored (I15). A store through a
    // mapping may make one dirty again between the two: the invalidation refuses it, and the call says so.
    filemap_write_and_wait(current, inode, first, last).await;
    let gone = invalidate_inode_pages2_range(current, inode, first, last).await;
    i_mutex.up_write().await;
    if gone { Ok(()) } else { Err(Errno::Eio) }
}
