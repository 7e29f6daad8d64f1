//! The events of a trace: what changes address spaces, threads and processes, and what is done to files.

use crate::files::{Advice, MAX_FILE_SIZE, MAX_TRANSFER};
use crate::record::{ADDRESS_LIMIT, MAX_PATH_LEN, MapKind, Prot};

/// Something that changes the address spaces, the threads or the processes, or uses a file.
///
/// Files have numbers, unique over the whole trace and the same for all processes; [`Event::File`] introduces each.
///
/// Starts and lengths are bytes; a range is not empty and ends at or below [`ADDRESS_LIMIT`]. No alignment is
/// assumed: the reader of the trace rounds to its own pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields are the arguments of the system call that each variant names")]
pub enum Event {
    /// `mmap(2)`, or a mapping that was there from the start.
    Map {
        start: u64,
        len: u64,
        prot: Prot,
        kind: MapKind,
        shared: bool,
        /// True if no record of the mapping existed and it was derived from the accesses.
        inferred: bool,
    },
    /// `munmap(2)`.
    Unmap { start: u64, len: u64 },
    /// `mprotect(2)`.
    Protect { start: u64, len: u64, prot: Prot },
    /// `brk(2)`: the new end of the heap. A process's first one sets the base.
    Brk { end: u64 },
    /// `mremap(2)`. `new_start` is where the recorded call put the mapping, if that is known. `old_len` may be 0.
    Remap { old_start: u64, old_len: u64, new_len: u64, new_start: Option<u64> },
    /// `madvise(2)` with `MADV_DONTNEED`.
    Discard { start: u64, len: u64 },
    /// `fork(2)`: a new process with a copy-on-write copy of the caller's memory, and its first thread.
    Fork { child_pid: u32, child_tid: u32 },
    /// `clone(2)` with `CLONE_VM | CLONE_THREAD`: a new thread of the same process.
    Clone { child_tid: u32 },
    /// `execve(2)`: the address space begins anew, and other threads are gone.
    Exec { path: String },
    /// `exit(2)` of one thread.
    ExitThread,
    /// `exit_group(2)`: all threads end and the address space is torn down.
    ExitProcess { status: i32 },
    /// `wait4(2)` returned for this child.
    Wait { child_pid: u32 },
    /// Introduces a file: from here on `file` stands for it, and `path` for it too, also in mappings. `size` is its
    /// size in bytes at this moment.
    File { file: u32, path: String, size: u64 },
    /// `read(2)` and its kin, with the offset that it read from and the bytes that it got. `buffer` is where they were
    /// put, if that is known; the kernel writes it. `direct` if the file was open with `O_DIRECT`.
    Read { file: u32, offset: u64, len: u64, buffer: Option<u64>, direct: bool },
    /// `write(2)` and its kin, with the offset that it wrote to. The kernel reads `buffer`.
    Write { file: u32, offset: u64, len: u64, buffer: Option<u64>, direct: bool },
    /// `fsync(2)` or `fdatasync(2)`.
    Fsync { file: u32 },
    /// `msync(2)`: `MS_SYNC`, or `MS_ASYNC` if not `sync`.
    Msync { start: u64, len: u64, sync: bool },
    /// The file has this size from now on: `truncate(2)`, `ftruncate(2)`, `O_TRUNC`, or `fallocate(2)` past its end.
    Truncate { file: u32, size: u64 },
    /// `fallocate(2)` with `FALLOC_FL_PUNCH_HOLE`: these bytes read as zero from now on; the size stays.
    PunchHole { file: u32, offset: u64, len: u64 },
    /// `posix_fadvise(2)`. A `len` of 0 means up to the end of the file.
    Fadvise { file: u32, offset: u64, len: u64, advice: Advice },
    /// `madvise(2)` with one of the first four kinds of advice; `MADV_DONTNEED` is [`Event::Discard`].
    Madvise { start: u64, len: u64, advice: Advice },
    /// The cached pages of these bytes are dropped, written back first if dirty, and unmapped from all processes
    /// (`invalidate_inode_pages2_range`, as direct I/O and network file systems call it).
    Invalidate { file: u32, offset: u64, len: u64 },
    /// `echo 1 > /proc/sys/vm/drop_caches`: clean, unmapped pages of all files are dropped.
    DropCaches,
    /// `sync(2)`.
    Sync,
}

/// Names of the events by kind number; the numbers are those of the native format.
///
/// Numbers 12 to 15 are reserved.
pub(crate) const EVENT_NAMES: [&str; 28] = [
    "map",
    "unmap",
    "protect",
    "brk",
    "remap",
    "discard",
    "fork",
    "clone",
    "exec",
    "exit-thread",
    "exit-process",
    "wait",
    "",
    "",
    "",
    "",
    "file",
    "read",
    "write",
    "fsync",
    "msync",
    "truncate",
    "punch-hole",
    "fadvise",
    "madvise",
    "invalidate",
    "drop-caches",
    "sync",
];

impl Event {
    /// Kind numbers lie below this bound; not all are in use.
    pub const KINDS: usize = EVENT_NAMES.len();

    /// The event's kind number in the native format, below [`Event::KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Self::Map { .. } => 0,
            Self::Unmap { .. } => 1,
            Self::Protect { .. } => 2,
            Self::Brk { .. } => 3,
            Self::Remap { .. } => 4,
            Self::Discard { .. } => 5,
            Self::Fork { .. } => 6,
            Self::Clone { .. } => 7,
            Self::Exec { .. } => 8,
            Self::ExitThread => 9,
            Self::ExitProcess { .. } => 10,
            Self::Wait { .. } => 11,
            Self::File { .. } => 16,
            Self::Read { .. } => 17,
            Self::Write { .. } => 18,
            Self::Fsync { .. } => 19,
            Self::Msync { .. } => 20,
            Self::Truncate { .. } => 21,
            Self::PunchHole { .. } => 22,
            Self::Fadvise { .. } => 23,
            Self::Madvise { .. } => 24,
            Self::Invalidate { .. } => 25,
            Self::DropCaches => 26,
            Self::Sync => 27,
        }
    }

    /// The word for the event, as in the text format.
    pub fn name(&self) -> &'static str {
        EVENT_NAMES[self.kind()]
    }

    /// Says which rule the event breaks, if any.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let range = |start: u64, len: u64| start.checked_add(len).is_some_and(|end| end <= ADDRESS_LIMIT);
        let full = |start: u64, len: u64| len > 0 && range(start, len);
        let ok = match self {
            Self::Map { start, len, prot, .. } | Self::Protect { start, len, prot } => {
                if prot.0 > 7 {
                    return Some("permissions are a sum of 1 (read), 2 (write) and 4 (execute)");
                }
                full(*start, *len)
            }
            Self::Madvise { advice: Advice::DontNeed | Advice::NoReuse, .. } => {
                return Some("memory advice is one of normal, random, sequential and willneed");
            }
            Self::Unmap { start, len }
            | Self::Discard { start, len }
            | Self::Msync { start, len, .. }
            | Self::Madvise { start, len, .. } => full(*start, *len),
            Self::Brk { end } => *end < ADDRESS_LIMIT,
            Self::Remap { old_start, old_len, new_len, new_start } => {
                range(*old_start, *old_len) && full(new_start.unwrap_or(0), *new_len)
            }
            _ => true,
        };
        if !ok {
            return Some("a range is not empty and lies below 2^56");
        }
        match self {
            Self::Map { kind: MapKind::File { path, .. }, .. } | Self::Exec { path } => path_fault(path),
            _ => self.file_fault(),
        }
    }

    /// Says which rule an operation on a file breaks, if any.
    fn file_fault(&self) -> Option<&'static str> {
        let inside = |offset: u64, len: u64| offset.checked_add(len).is_some_and(|end| end <= MAX_FILE_SIZE);
        let ok = match self {
            Self::File { path, size, .. } => {
                if let Some(why) = path_fault(path) {
                    return Some(why);
                }
                inside(*size, 0)
            }
            Self::Read { offset, len, buffer, .. } | Self::Write { offset, len, buffer, .. } => {
                if !(1..=MAX_TRANSFER).contains(len) {
                    return Some("a read or write has 1 to 2^31 - 4096 bytes");
                }
                if buffer.unwrap_or(0) >= ADDRESS_LIMIT - len {
                    return Some("a buffer lies below 2^56");
                }
                inside(*offset, *len)
            }
            Self::Truncate { size, .. } => inside(*size, 0),
            Self::PunchHole { offset, len, .. } | Self::Invalidate { offset, len, .. } => {
                *len > 0 && inside(*offset, *len)
            }
            Self::Fadvise { offset, len, .. } => inside(*offset, *len),
            _ => true,
        };
        if ok { None } else { Some("a range of a file is not empty and ends below 2^63") }
    }

    /// The number of the file that the event uses or introduces.
    pub fn file(&self) -> Option<u32> {
        match *self {
            Self::File { file, .. }
            | Self::Read { file, .. }
            | Self::Write { file, .. }
            | Self::Fsync { file }
            | Self::Truncate { file, .. }
            | Self::PunchHole { file, .. }
            | Self::Fadvise { file, .. }
            | Self::Invalidate { file, .. } => Some(file),
            _ => None,
        }
    }
}

/// Says which rule a path breaks, if any: it must fit on one line of the text format.
fn path_fault(path: &str) -> Option<&'static str> {
    if path.len() > MAX_PATH_LEN {
        return Some("a path has at most 4096 bytes");
    }
    path.contains(['\n', '\r']).then_some("a path has no line breaks")
}
