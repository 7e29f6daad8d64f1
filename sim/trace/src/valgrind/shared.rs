//! What the processes of an import have in common: the trace that is written, the files, and the counts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::descriptors::{Files, Opened, Target};
use super::world::World;
use crate::error::TraceError;
use crate::event::Event;
use crate::native::TraceWriter;
use crate::record::{EventRecord, RawAccess};

/// Numbers from here on stand for processes and threads whose own number is taken.
const FIRST_SPARE: u32 = 1 << 31;

/// Why something in the trace is not what the log says, each said once in the notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Guess {
    /// Pages were used that no call mapped.
    Mapping,
    /// A program's headers said what it has mapped.
    Program,
    /// The log of what a process did before it executed a program is lost.
    LostStart,
    /// A file turned out to be longer than it was taken to be.
    Size,
    /// A transfer whose offset stands behind a pointer.
    Offset,
    /// A process that has no log, or one without an end.
    NoEnd,
    /// A number that two processes or threads had one after the other.
    Number,
}

impl Guess {
    fn note(self) -> &'static str {
        match self {
            Self::Mapping => {
                "Mappings that no call made are inferred where the accesses touch them: page by page, the stack as a whole."
            }
            Self::Program => {
                "What programs and their dynamic linkers have mapped at the start is inferred from their ELF headers."
            }
            Self::LostStart => {
                "What some processes did between fork and exec is missing: their logs were overwritten by the program executed."
            }
            Self::Size => {
                "Sizes of some files were learned from reads; a truncation before the read says so."
            }
            Self::Offset => {
                "Offsets that calls take from behind a pointer (sendfile, copy_file_range) are taken to continue from call to call."
            }
            Self::NoEnd => {
                "Some processes have no log or one without an end: they exit where their logs end."
            }
            Self::Number => {
                "Processes or threads with a number that was used before have another one, from 2^31."
            }
        }
    }
}

/// Everything that is not one process's own.
pub(super) struct Shared<'a, W: Write> {
    pub(super) writer: &'a mut TraceWriter<W>,
    pub(super) files: Files,
    pub(super) world: World,
    pub(super) ignored: BTreeMap<String, u64>,
    pub(super) guesses: BTreeSet<Guess>,
    used: BTreeSet<u32>,
    spare: u32,
    /// Accesses that may still be recorded.
    pub(super) left: u64,
}

impl<'a, W: Write> Shared<'a, W> {
    pub(super) fn new(writer: &'a mut TraceWriter<W>, world: World, left: u64) -> Self {
        Self {
            writer,
            files: Files::default(),
            world,
            ignored: BTreeMap::new(),
            guesses: BTreeSet::new(),
            used: BTreeSet::new(),
            spare: FIRST_SPARE,
            left,
        }
    }

    /// A number for a process or thread: `wanted`, unless it was used before.
    pub(super) fn number(&mut self, wanted: u32) -> u32 {
        if wanted < FIRST_SPARE && self.used.insert(wanted) {
            return wanted;
        }
        self.guesses.insert(Guess::Number);
        self.spare += 1;
        self.spare - 1
    }

    pub(super) fn ignore(&mut self, what: &str) {
        if let Some(count) = self.ignored.get_mut(what) {
            *count += 1;
        } else if self.ignored.len() < 1000 {
            // The trace holds 1024; names come from the log.
            self.ignored.insert(what.to_owned(), 1);
        }
    }

    /// Records an event, unless no trace can hold it.
    pub(super) fn event(&mut self, (pid, tid): (u32, u32), event: Event) -> Result<(), TraceError> {
        if event.fault().is_some() {
            self.ignore("call with impossible arguments");
            return Ok(());
        }
        self.writer.event(EventRecord::new(pid, tid, event))
    }

    /// Records an access, while there may be more.
    pub(super) fn access(&mut self, (pid, tid): (u32, u32), access: RawAccess) -> Result<(), TraceError> {
        if self.left > 0 {
            self.left -= 1;
            self.writer.access(pid, tid, access)?;
        }
        Ok(())
    }

    /// Opens a path, and introduces or empties the file that it leads to.
    pub(super) fn open(
        &mut self,
        thread: (u32, u32),
        directory: Option<&str>,
        path: &str,
        flags: u64,
    ) -> Result<Target, TraceError> {
        let Opened { target, new, emptied } = self.files.open(self.world, directory, path, flags);
        if let Target::File(file) = target {
            if new {
                self.introduce(thread, file)?;
            }
            if emptied {
                self.event(thread, Event::Truncate { file, size: 0 })?;
            }
        }
        Ok(target)
    }

    /// The event for a file that was just added.
    pub(super) fn introduce(&mut self, thread: (u32, u32), file: u32) -> Result<(), TraceError> {
        let state = self.files.get(file);
        let (path, size) = (state.path.clone(), state.size);
        self.event(thread, Event::File { file, path, size })
    }

    /// The file has at least `size` bytes, as an operation shows that its length does not itself change.
    pub(super) fn learn_size(&mut self, thread: (u32, u32), file: u32, size: u64) -> Result<(), TraceError> {
        if self.files.get(file).size >= size {
            return Ok(());
        }
        self.files.get_mut(file).size = size;
        self.guesses.insert(Guess::Size);
        self.event(thread, Event::Truncate { file, size })
    }

    /// The notes about what was guessed.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.guesses.iter().map(|guess| guess.note().to_owned())
    }
}
