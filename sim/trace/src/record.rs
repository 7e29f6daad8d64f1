//! The records of a trace: memory accesses, and the events that change what memory is mapped.

use crate::error::TraceError;

/// Addresses lie below this bound (57-bit virtual addresses have a 56-bit user half).
pub const ADDRESS_LIMIT: u64 = 1 << 56;

/// The most bytes one access may touch.
pub const MAX_ACCESS_LEN: u16 = 4096;

/// The most bytes in a path.
pub const MAX_PATH_LEN: usize = 4096;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// Instruction fetch.
    Fetch = 0,
    /// Data read.
    Load = 1,
    /// Data write.
    Store = 2,
    /// Read, then write, of the same bytes.
    Modify = 3,
}

impl Op {
    /// All operations, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Fetch, Self::Load, Self::Store, Self::Modify];

    /// The word by which people know the operation.
    pub fn name(self) -> &'static str {
        ["fetch", "load", "store", "modify"][self as usize]
    }

    /// True if the access writes memory.
    pub fn writes(self) -> bool {
        matches!(self, Self::Store | Self::Modify)
    }
}

/// One access to memory by a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawAccess {
    /// First byte, below [`ADDRESS_LIMIT`]. Any alignment.
    pub addr: u64,
    /// Bytes, 1 to [`MAX_ACCESS_LEN`]. An access may cross a page boundary; it ends below [`ADDRESS_LIMIT`].
    pub len: u16,
    /// What it does.
    pub op: Op,
}

impl RawAccess {
    /// Checks the ranges of the fields.
    pub(crate) fn check(self) -> Result<(), TraceError> {
        let inside = self.addr < ADDRESS_LIMIT && self.addr + u64::from(self.len) < ADDRESS_LIMIT;
        if inside && (1..=MAX_ACCESS_LEN).contains(&self.len) {
            return Ok(());
        }
        let what = format!("a {} of {} bytes at {:#x}", self.op.name(), self.len, self.addr);
        Err(TraceError::record(what, "an access has 1 to 4096 bytes and ends below 2^56"))
    }
}

/// Permissions of a mapping, as in the `prot` argument of `mmap(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prot(pub u8);

impl Prot {
    /// No access at all.
    pub const NONE: Self = Self(0);
    /// `PROT_READ`.
    pub const READ: Self = Self(1);
    /// `PROT_WRITE`.
    pub const WRITE: Self = Self(2);
    /// `PROT_EXEC`.
    pub const EXEC: Self = Self(4);
    /// Readable and writable.
    pub const READ_WRITE: Self = Self(3);
    /// Readable and executable.
    pub const READ_EXEC: Self = Self(5);

    /// True if every permission of `other` is in `self`.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::fmt::Display for Prot {
    /// Three characters as in `/proc/PID/maps`: `rw-`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flag = |bit: Self, c: char| if self.contains(bit) { c } else { '-' };
        write!(f, "{}{}{}", flag(Self::READ, 'r'), flag(Self::WRITE, 'w'), flag(Self::EXEC, 'x'))
    }
}

/// What backs a mapping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MapKind {
    /// Zero-filled memory without a file.
    Anonymous,
    /// A thread's stack.
    Stack,
    /// The area that `brk(2)` moves.
    Heap,
    /// Pages of a file.
    File {
        /// The file's path, at most [`MAX_PATH_LEN`] bytes, without line breaks.
        path: String,
        /// Offset in the file of the mapping's first byte.
        offset: u64,
    },
}

/// Something that changes the address spaces, the threads or the processes.
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
}

/// Names of the events by kind number; the numbers are those of the native format.
pub(crate) const EVENT_NAMES: [&str; 12] = [
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
];

impl Event {
    /// How many kinds of events there are.
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
            Self::Unmap { start, len } | Self::Discard { start, len } => full(*start, *len),
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

/// An event with its place in the trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventRecord {
    /// Place in the one order of all accesses and events of the trace. A writer sets it and ignores what was there.
    pub seq: u64,
    /// Process that did it.
    pub pid: u32,
    /// Thread that did it; unique over the whole trace.
    pub tid: u32,
    /// CPU on which it happened, if recorded.
    pub cpu: Option<u16>,
    /// Time since the start of the recording in nanoseconds, if recorded.
    pub time_ns: Option<u64>,
    /// What happened.
    pub event: Event,
}

impl EventRecord {
    /// A record without CPU and time; the writer fills in `seq`.
    pub fn new(pid: u32, tid: u32, event: Event) -> Self {
        Self { seq: 0, pid, tid, cpu: None, time_ns: None, event }
    }

    /// Checks the ranges of the fields.
    pub(crate) fn check(&self) -> Result<(), TraceError> {
        match self.event.fault() {
            None => Ok(()),
            Some(why) => Err(TraceError::record(format!("the event {:?}", self.event), why)),
        }
    }
}

/// Where and when a thread was running, if recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// CPU number.
    pub cpu: Option<u16>,
    /// Time since the start of the recording in nanoseconds.
    pub time_ns: Option<u64>,
}
