//! The records of a trace: memory accesses, and events with their places.

use crate::error::TraceError;
use crate::event::Event;

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
