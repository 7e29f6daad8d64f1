//! Files as traces name them: their numbers, limits, and the advice that programs give about them.

use std::collections::BTreeSet;

use crate::event::Event;

/// A file has at most so many bytes (the largest `loff_t`).
pub const MAX_FILE_SIZE: u64 = i64::MAX as u64;

/// The most bytes of one read or write (Linux's `MAX_RW_COUNT` with pages of 4096 bytes).
pub const MAX_TRANSFER: u64 = 0x7fff_f000;

/// The most files of a trace.
const MAX_FILES: usize = 1 << 20;

/// How a program says it will use a range; the numbers are those of `posix_fadvise(2)` and `madvise(2)` on x86-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Advice {
    /// No special way: read ahead as usual.
    Normal = 0,
    /// In no order: do not read ahead.
    Random = 1,
    /// From the front to the back: read ahead more.
    Sequential = 2,
    /// Soon: read it now.
    WillNeed = 3,
    /// Not soon: its clean cached pages may go. Of files only.
    DontNeed = 4,
    /// Once. Of files only.
    NoReuse = 5,
}

impl Advice {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Normal, Self::Random, Self::Sequential, Self::WillNeed, Self::DontNeed, Self::NoReuse];

    /// The word for it, as in the text format.
    pub fn name(self) -> &'static str {
        ["normal", "random", "sequential", "willneed", "dontneed", "noreuse"][self as usize]
    }
}

/// The file numbers that the events so far have introduced.
#[derive(Clone, Debug, Default)]
pub struct FileTable {
    known: BTreeSet<u32>,
}

impl FileTable {
    /// Takes notice of an event, the next in the order of the trace.
    ///
    /// # Errors
    /// Says what is wrong if the event uses a file that none introduced, introduces one again, or there are more than
    /// 2^20 files.
    pub fn admit(&mut self, event: &Event) -> Result<(), String> {
        let Some(file) = event.file() else { return Ok(()) };
        if !matches!(event, Event::File { .. }) {
            return match self.known.contains(&file) {
                true => Ok(()),
                false => Err(format!("file {file} is used before a `file` event introduces it")),
            };
        }
        if self.known.len() >= MAX_FILES {
            return Err("a trace has at most 2^20 files".to_owned());
        }
        match self.known.insert(file) {
            true => Ok(()),
            false => Err(format!("file {file} is introduced a second time")),
        }
    }
}
