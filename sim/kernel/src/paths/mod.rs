//! The kernel paths: one file per operation, each named after the Linux function it follows.

mod brk;
mod copy_on_write;
mod exec;
mod exit;
mod fault;
mod fault_around;
mod file_fault;
mod filemap_fault;
mod fork;
mod gather;
mod madvise;
mod map;
mod mprotect;
mod mremap;
mod page_mkclean;
mod page_referenced;
mod rmap;
mod rmap_walk;
mod swap_fault;
mod try_to_unmap;
mod unmap;
mod unmap_mapping;
mod user_pages;
mod zap;

use std::fmt;

pub(crate) use brk::do_brk;
pub(crate) use exec::exec_mmap;
pub(crate) use exit::{do_exit, mmput};
pub(crate) use fault::{Fault, do_page_fault, vma_pte};
pub(crate) use fork::{do_clone, do_fork};
pub(crate) use gather::MmuGather;
pub(crate) use madvise::{madvise_behavior, madvise_dontneed};
pub use map::MapRequest;
pub(crate) use map::do_mmap;
pub(crate) use mprotect::mprotect;
pub(crate) use mremap::do_mremap;
pub(crate) use page_mkclean::page_mkclean;
pub(crate) use page_referenced::page_referenced;
pub(crate) use rmap::{page_add_anon_rmap, page_add_file_rmap, page_kind, page_mapped};
pub(crate) use rmap_walk::{Place, page_check_address, rmap_walk_unmapped};
pub(crate) use try_to_unmap::{Unmapped, try_to_unmap};
pub(crate) use unmap::do_munmap;
pub(crate) use unmap_mapping::unmap_mapping_range;
pub(crate) use user_pages::{get_user_pages, touch_user};
pub(crate) use zap::{ZapDetails, zap_page_range};

/// Why a system call refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// The arguments are impossible.
    Einval,
    /// No room in the address space, or an address that is not mapped where it must be.
    Enomem,
    /// An address that is not mapped.
    Efault,
    /// What was asked cannot be done now.
    Eio,
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Einval => "EINVAL",
            Self::Enomem => "ENOMEM",
            Self::Efault => "EFAULT",
            Self::Eio => "EIO",
        })
    }
}

/// Codes of the events in a run's digest. Part of the meaning of a digest: never reuse one.
pub(crate) mod event {
    /// A page fault: the address, and how it was resolved.
    pub(crate) const FAULT: u64 = 1;
    /// A system call: which, and what it returned.
    pub(crate) const SYSCALL: u64 = 2;
    /// An address-space switch.
    pub(crate) const SWITCH: u64 = 3;
    /// An access outside every mapping.
    pub(crate) const SEGV: u64 = 4;
    /// An access to a page of a file beyond its end.
    pub(crate) const SIGBUS: u64 = 5;
}
