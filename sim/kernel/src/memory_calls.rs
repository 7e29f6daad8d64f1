//! What an administrator asks of memory: the way into a path and out of it.

use pagewalk_mmu::Pfn;

use crate::migrate::{compact_zone, migrate_frames};
use crate::paths::Errno;
use crate::stat::Syscall;
use crate::swap::{do_swapoff, do_swapon};
use crate::syscall::system_call;
use crate::task::Task;
use crate::vmscan::reclaim_pages;

/// `swapoff` of swap area `area`: everything that is on it comes back to memory. The work is `try_to_unuse`.
///
/// # Errors
/// `EINVAL` if there is no such area, `ENOMEM` if memory and the other areas cannot take what is on it, or a swapoff is under way:
/// the area stays in use then.
pub async fn sys_swapoff(current: &Task, area: u8) -> Result<(), Errno> {
    system_call(current, Syscall::Swapoff, None, do_swapoff(current, area), |()| 0).await
}

/// `swapon` of an area that was taken off: it is empty.
///
/// # Errors
/// `EINVAL` if there is no such area, or it is in use.
pub async fn sys_swapon(current: &Task, area: u8) -> Result<(), Errno> {
    system_call(current, Syscall::Swapon, None, do_swapon(current, area), |()| 0).await
}

/// A write to `memory.reclaim` (Linux 5.19): reclaims `pages` pages, or as many as it can. Yields how many.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_reclaim(current: &Task, pages: u64) -> Result<u64, Errno> {
    let path = async { Ok(reclaim_pages(current, pages).await) };
    system_call(current, Syscall::Reclaim, None, path, |&freed| freed).await
}

/// A write to `/proc/sys/vm/compact_memory` (Linux 2.6.35): yields how many pages have moved.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_compact_memory(current: &Task) -> Result<u64, Errno> {
    let path = async { Ok(compact_zone(current).await) };
    system_call(current, Syscall::CompactMemory, None, path, |&moved| moved).await
}

/// Moves what is in frames `first..first + count` elsewhere, as memory hot-remove does (`do_migrate_range`). Yields how many pages have
/// moved.
///
/// # Errors
/// None; the type is that of a system call.
pub async fn sys_migrate_frames(current: &Task, first: Pfn, count: u32) -> Result<u64, Errno> {
    let path = async { Ok(migrate_frames(current, first, count).await) };
    system_call(current, Syscall::MigrateFrames, None, path, |&moved| moved).await
}
