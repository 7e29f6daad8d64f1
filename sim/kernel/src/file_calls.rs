//! System calls on files: the way into a path and out of it.

use std::rc::Rc;

use pagewalk_mmu::{Vaddr, VaddrRange};

use crate::fs::{self, AdviceCall, File, Transfer};
use crate::paths::Errno;
use crate::stat::Syscall;
use crate::syscall::system_call;
use crate::task::Task;

/// `read` and `pread`: yields how many bytes the file had there. The work is `do_generic_file_read`, or direct I/O.
///
/// # Errors
/// `EINVAL` for impossible places and for direct I/O that is not page-aligned, `EFAULT` for a buffer of direct I/O
/// that is not mapped.
pub async fn sys_read(current: &Task, file: &Rc<File>, transfer: Transfer) -> Result<u64, Errno> {
    system_call(current, Syscall::Read, None, fs::vfs_read(current, file, transfer), |&bytes| bytes).await
}

/// `write` and `pwrite`: yields how many bytes were written. The work is `generic_file_write`, or direct I/O.
///
/// # Errors
/// As [`sys_read`], and `EIO` where direct I/O finds a page that cannot leave the cache.
pub async fn sys_write(current: &Task, file: &Rc<File>, transfer: Transfer) -> Result<u64, Errno> {
    system_call(current, Syscall::Write, None, fs::vfs_write(current, file, transfer), |&bytes| bytes).await
}

/// `fsync`: what is dirty is on the disk when it returns.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_fsync(current: &Task, file: &Rc<File>) -> Result<(), Errno> {
    let path = async {
        fs::do_fsync(current, file).await;
        Ok(())
    };
    system_call(current, Syscall::Fsync, None, path, |()| 0).await
}

/// `msync`: with `sync`, the files mapped shared in the range are on the disk when it returns; otherwise nothing is done,
/// as since Linux 2.6.17.
///
/// # Errors
/// `ENOMEM` if a part of the range is not mapped.
pub async fn sys_msync(current: &Task, start: Vaddr, len: u64, sync: bool) -> Result<(), Errno> {
    system_call(current, Syscall::Msync, None, fs::do_msync(current, start, len, sync), |()| 0).await
}

/// `truncate` and `ftruncate`. The work is `vmtruncate`.
///
/// # Errors
/// `EINVAL` for a size beyond the largest file.
pub async fn sys_truncate(current: &Task, file: &Rc<File>, size: u64) -> Result<(), Errno> {
    system_call(current, Syscall::Truncate, None, fs::do_truncate(current, file, size), |()| 0).await
}

/// `fallocate` with `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`.
///
/// # Errors
/// `EINVAL` for an impossible range.
pub async fn sys_punch_hole(current: &Task, file: &Rc<File>, offset: u64, len: u64) -> Result<(), Errno> {
    let path = fs::do_punch_hole(current, file, offset, len);
    system_call(current, Syscall::Fallocate, None, path, |()| 0).await
}

/// `posix_fadvise`.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_fadvise(
    current: &Task,
    file: &Rc<File>,
    offset: u64,
    len: u64,
    advice: AdviceCall,
) -> Result<(), Errno> {
    let path = async {
        fs::do_fadvise(current, file, offset, len, advice).await;
        Ok(())
    };
    system_call(current, Syscall::Fadvise, None, path, |()| 0).await
}

/// `madvise` with `MADV_NORMAL`, `MADV_RANDOM`, `MADV_SEQUENTIAL` or `MADV_WILLNEED`; and with `MADV_DONTNEED`, the path of
/// [`crate::sys_madvise_dontneed`].
///
/// # Errors
/// `ENOMEM` if a part of the range is not mapped.
pub async fn sys_madvise(current: &Task, start: Vaddr, len: u64, advice: AdviceCall) -> Result<(), Errno> {
    let changed = VaddrRange::with_len(start, len).filter(|_| advice == AdviceCall::DontNeed);
    system_call(current, Syscall::Madvise, changed, fs::do_madvise(current, start, len, advice), |()| 0).await
}

/// What direct I/O and network file systems do to a file's cached pages (`invalidate_inode_pages2_range`): dirty ones are
/// written, then all go.
///
/// # Errors
/// `EINVAL` for an impossible range, `EIO` if a page was dirtied meanwhile and stayed.
pub async fn sys_invalidate(current: &Task, file: &Rc<File>, offset: u64, len: u64) -> Result<(), Errno> {
    let path = fs::do_invalidate(current, file, offset, len);
    system_call(current, Syscall::Invalidate, None, path, |()| 0).await
}

/// `echo 1 > /proc/sys/vm/drop_caches`: yields how many pages went.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_drop_caches(current: &Task) -> Result<u64, Errno> {
    let path = async { Ok(fs::drop_pagecache(current).await) };
    system_call(current, Syscall::DropCaches, None, path, |&pages| pages).await
}

/// `sync`: every file's dirty pages are on the disk when it returns.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_sync(current: &Task) -> Result<(), Errno> {
    let path = async {
        fs::do_sync(current).await;
        Ok(())
    };
    system_call(current, Syscall::Sync, None, path, |()| 0).await
}
