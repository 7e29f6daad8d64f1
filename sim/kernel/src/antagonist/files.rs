//! What antagonists do to files, beyond their end as programs know it.

use std::rc::Rc;

use pagewalk_engine::Random;
use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr};

use crate::call::Call;
use crate::fs::{File, Inode, InodeKind, Transfer, pages_of, punch_hole, vmtruncate};
use crate::mm::{Prot, VmaKind};
use crate::paths::MapRequest;
use crate::task::Task;

/// Pages by which a file is extended, at most.
const MOST_PAGES: u32 = 8;
/// Where the buffer of direct I/O is.
const BUFFER: Vaddr = Vaddr(1 << 30);

/// Maps the buffer of direct I/O.
pub(super) async fn map_buffer(current: &Task) {
    let request = MapRequest {
        address: Some(BUFFER),
        len: u64::from(MOST_PAGES) * BASE_PAGE_BYTES,
        prot: Prot::RW,
        kind: VmaKind::Anonymous,
        shared: false,
        pgoff: 0,
    };
    Call::Mmap(request).perform(current).await.expect("nothing else is mapped");
}

/// A file on the disk.
fn choose(current: &Task, random: &mut Random) -> Option<Rc<Inode>> {
    let mut files = current.kernel().inodes.all();
    files.retain(|inode| inode.kind() == InodeKind::Disk);
    let count = u32::try_from(files.len()).ok().filter(|&count| count > 0)?;
    Some(files.swap_remove(random.below(count) as usize))
}

/// Where the pages begin that no program's file has.
fn beyond(inode: &Inode) -> u64 {
    pages_of(inode.own_size.get()) * BASE_PAGE_BYTES
}

fn transfer(offset: u64, pages: u32, direct: bool) -> Transfer {
    let buffer = direct.then_some(BUFFER);
    Transfer { offset, len: u64::from(pages) * BASE_PAGE_BYTES, buffer, direct }
}

async fn read(current: &Task, file: &Rc<File>, transfer: Transfer) {
    // Refused or not, it has met what it was to meet.
    let _ = Call::Read { file: Rc::clone(file), transfer }.perform(current).await;
}

async fn write(current: &Task, file: &Rc<File>, transfer: Transfer) {
    let _ = Call::Write { file: Rc::clone(file), transfer }.perform(current).await;
}

/// Extends a file by some pages, reads and writes there, perhaps punches a hole, and cuts all of it off.
pub(super) async fn extend_and_cut(current: &Task, random: &mut Random, punch: bool) {
    let Some(inode) = choose(current, random) else { return };
    let file = File::open_foreign(&inode);
    let pages = 1 + random.below(MOST_PAGES);
    let start = beyond(&inode);
    let past = u64::from(1 + random.below(pages)) * BASE_PAGE_BYTES;
    write(current, &file, transfer(start + past, 1, false)).await;
    read(current, &file, transfer(start.saturating_sub(BASE_PAGE_BYTES), pages, false)).await;
    if punch {
        let i_mutex = inode.i_mutex.down_write(current).await;
        // Beneath the call, which takes `i_mutex` itself: programs may have written meanwhile, and what is theirs is not touched.
        let first = beyond(&inode).max(start);
        punch_hole(current, &inode, first, u64::from(pages) * BASE_PAGE_BYTES).await;
        i_mutex.up_write().await;
        read(current, &file, transfer(start, pages, false)).await;
    }
    cut(current, &inode).await;
}

/// The file ends where programs have it end. Beneath the call: `truncate` would say where that is before it has `i_mutex`, and take the
/// size for what programs want.
async fn cut(current: &Task, inode: &Rc<Inode>) {
    let i_mutex = inode.i_mutex.down_write(current).await;
    if inode.i_size().read_once(current).await > inode.own_size.get() {
        vmtruncate(current, inode, inode.own_size.get()).await;
    }
    i_mutex.up_write().await;
}

/// Reads a part of a file past the cache, or writes past it beyond the end and cuts that off.
pub(super) async fn direct_io(current: &Task, random: &mut Random) {
    let Some(inode) = choose(current, random) else { return };
    let file = File::open_foreign(&inode);
    let pages = 1 + random.below(MOST_PAGES);
    if random.below(2) == 0 {
        let size = u32::try_from(pages_of(inode.own_size.get())).unwrap_or(u32::MAX).max(1);
        let offset = u64::from(random.below(size)) * BASE_PAGE_BYTES;
        read(current, &file, transfer(offset, pages, true)).await;
    } else {
        // A page is left between: what programs append meanwhile is not under the write.
        let offset = beyond(&inode) + (1 << 30);
        write(current, &file, transfer(offset, pages, true)).await;
        cut(current, &inode).await;
    }
}
