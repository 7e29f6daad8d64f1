//! Files and mappings of them, for tests.

use std::rc::Rc;

use pagewalk_kernel::{Call, File, Kernel, MapRequest, Prot, Task, Transfer, VmaKind};
use pagewalk_mmu::Vaddr;

use crate::common::{call, page, pages};

/// Opens the file at `path`; the first to open it says how many pages it has.
pub(crate) fn open(kernel: &Kernel, path: &str, count: u64) -> Rc<File> {
    File::open(&kernel.open_inode(path, pages(count)))
}

/// Maps `count` pages of the file, from its page `pgoff` on, at page `first` of [`crate::common::BASE`].
pub(crate) async fn map_file(
    task: &Task,
    file: &Rc<File>,
    (first, count): (u64, u64),
    pgoff: u64,
    prot: Prot,
    shared: bool,
) {
    let request = MapRequest {
        address: Some(page(first)),
        len: pages(count),
        prot,
        kind: VmaKind::File(Rc::clone(file)),
        shared,
        pgoff,
    };
    assert_eq!(call(task, Call::Mmap(request)).await, Ok(page(first).0));
}

pub(crate) fn transfer(offset: u64, len: u64, buffer: Option<Vaddr>) -> Transfer {
    Transfer { offset, len, buffer, direct: false }
}

/// Reads whole pages of the file; yields bytes.
pub(crate) async fn read_pages(task: &Task, file: &Rc<File>, first: u64, count: u64) -> u64 {
    let request = transfer(pages(first), pages(count), None);
    call(task, Call::Read { file: Rc::clone(file), transfer: request }).await.expect("the call is right")
}

/// Writes 100 bytes into each of so many pages of the file.
pub(crate) async fn write_pages(task: &Task, file: &Rc<File>, first: u64, count: u64) {
    for number in first..first + count {
        let request = transfer(pages(number) + 7, 100, None);
        assert_eq!(call(task, Call::Write { file: Rc::clone(file), transfer: request }).await, Ok(100));
    }
}
