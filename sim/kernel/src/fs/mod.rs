//! Files: inodes and open files, the disk under them, reading and writing through the page cache.

mod disk;
mod file;
mod holes;
mod inode;

pub(crate) use disk::{Bio, Direction, Disk, submit_bio};
pub use disk::{DiskSpec, DiskStat};
pub use file::{Advice, File};
pub use inode::{Inode, InodeKind};
pub(crate) use inode::Inodes;
