//! System calls: the way into a path and out of it, and which path each call takes.

use pagewalk_mmu::{Vaddr, VaddrRange};

use crate::call::{Call, Returned, Syscall};
use crate::fs::{self, AdviceCall};
use crate::kernel::Kernel;
use crate::migrate::{compact_zone, migrate_frames};
use crate::paths::{self, Errno, event};
use crate::swap::{do_swapoff, do_swapon};
use crate::task::Task;
use crate::vmscan::reclaim_pages;

impl Task {
    /// Enters the kernel, does what `call` asks for, and leaves.
    ///
    /// # Errors
    /// Those of the call; see [`Call`].
    pub async fn call(&self, call: Call) -> Result<Returned, Errno> {
        let kernel = self.kernel();
        let (number, changed) = (call.syscall(), call.changed(kernel));
        // A sleeper is not inside the kernel as far as the observers are concerned: it holds nothing.
        let sleeps = number == Syscall::Wait4;
        if number == Syscall::Exit {
            kernel.check_before_exit();
        }
        kernel.probe().syscall_begins(self, number, changed);
        self.enter_syscall(number);
        if !sleeps {
            kernel.enters();
        }
        let result = call.perform(self).await;
        let returned = result.as_ref().map_or_else(|&errno| u64::MAX - errno as u64, Returned::number);
        self.event(event::SYSCALL, number as u64, returned);
        if !sleeps {
            kernel.leaves(self, changed);
        }
        kernel.probe().syscall_ends(self, number, result.as_ref().err().copied());
        result
    }
}

impl Call {
    /// The range in which the call may take permissions away, and pages: where observers look when it returns.
    fn changed(&self, kernel: &Kernel) -> Option<VaddrRange> {
        match *self {
            Self::Munmap { start, len }
            | Self::Mprotect { start, len, .. }
            | Self::Mremap { start, len, .. }
            | Self::Madvise { start, len, advice: AdviceCall::DontNeed } => VaddrRange::with_len(start, len),
            // Copy-on-write takes the right to write from every private page.
            Self::Fork => VaddrRange::new(Vaddr(0), kernel.hw.format().user_end()),
            _ => None,
        }
    }

    /// The path beneath the call: what it does once it is in the kernel.
    pub(crate) async fn perform(self, current: &Task) -> Result<Returned, Errno> {
        let mut number = 0;
        match self {
            Self::Mmap(request) => number = paths::do_mmap(current, request).await?.0,
            Self::Munmap { start, len } => paths::do_munmap(current, start, len).await?,
            Self::Mprotect { start, len, prot } => paths::mprotect(current, start, len, prot).await?,
            Self::Mremap { start, len, new_len, new_start } => {
                number = paths::do_mremap(current, start, len, new_len, new_start).await?.0;
            }
            Self::Madvise { start, len, advice } => fs::do_madvise(current, start, len, advice).await?,
            Self::Brk { end } => paths::do_brk(current, end).await?,
            Self::Fork => return Ok(Returned::AddressSpace(paths::do_fork(current).await)),
            Self::Clone => return Ok(Returned::AddressSpace(paths::do_clone(current).await)),
            Self::Execve => paths::exec_mmap(current).await,
            Self::Exit => paths::do_exit(current).await,
            Self::Wait4 { child } => child.ended().wait_event(current, || child.is_over()).await,
            Self::Read { file, transfer } => number = fs::vfs_read(current, &file, transfer).await?,
            Self::Write { file, transfer } => number = fs::vfs_write(current, &file, transfer).await?,
            Self::Fsync { file } => fs::do_fsync(current, &file).await,
            Self::Msync { start, len, sync } => fs::do_msync(current, start, len, sync).await?,
            Self::Truncate { file, size } => fs::do_truncate(current, &file, size).await?,
            Self::PunchHole { file, offset, len } => fs::do_punch_hole(current, &file, offset, len).await?,
            Self::Fadvise { file, offset, len, advice } => {
                fs::do_fadvise(current, &file, offset, len, advice).await;
            }
            Self::Sync => fs::do_sync(current).await,
            Self::DropCaches => number = fs::drop_pagecache(current).await,
            Self::Invalidate { file, offset, len } => fs::do_invalidate(current, &file, offset, len).await?,
            Self::Swapoff { area } => do_swapoff(current, area).await?,
            Self::Swapon { area } => do_swapon(current, area).await?,
            Self::Reclaim { pages } => number = reclaim_pages(current, pages).await,
            Self::CompactMemory => number = compact_zone(current).await,
            Self::MigrateFrames { first, count } => number = migrate_frames(current, first, count).await,
        }
        Ok(Returned::Number(number))
    }
}
