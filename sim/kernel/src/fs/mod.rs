//! Files: inodes and open files, the disk under them, reading and writing through the page cache.

mod balance_dirty;
mod calls;
mod direct;
mod disk;
mod file;
mod holes;
mod inode;
mod invalidate;
mod io;
mod mark_page_accessed;
mod ranges;
mod read;
mod readahead;
mod truncate;
mod write;
mod writeback;

pub(crate) use balance_dirty::balance_dirty_pages;
pub use calls::{AdviceCall, Transfer};
pub(crate) use calls::{
    do_fadvise, do_fsync, do_invalidate, do_punch_hole, do_truncate, vfs_read, vfs_write,
};
pub use disk::DiskStat;
pub(crate) use disk::{Direction, Disk};
pub(crate) use file::ReadaheadState;
pub use file::{Advice, File};
pub(crate) use holes::Holes;
pub(crate) use inode::Inodes;
pub(crate) use inode::pages_of;
pub use inode::{Inode, InodeKind};
pub(crate) use invalidate::drop_pagecache;
pub(crate) use io::{add_to_page_cache_lru, end_page_read, readpage};
pub(crate) use mark_page_accessed::mark_page_accessed;
pub(crate) use ranges::{do_madvise, do_msync};
pub(crate) use read::page_cache_read;
pub(crate) use readahead::{do_page_cache_readahead, page_cache_async_readahead, page_cache_sync_readahead};
pub(crate) use truncate::{punch_hole, truncate_inode_pages_range, vmtruncate};
pub(crate) use writeback::{clear_page_dirty_for_io, clear_page_reclaim, do_sync, set_page_dirty, writepage};
