//! Files: inodes and open files, the disk under them, reading and writing through the page cache.

mod file;
mod inode;

pub use file::{Advice, File};
pub(crate) use inode::Inodes;
pub use inode::{Inode, InodeKind};
