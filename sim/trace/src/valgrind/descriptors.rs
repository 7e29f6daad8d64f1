//! The files of a trace as a log shows them, and the descriptors by which processes use them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::world::{Found, World, absolute};

/// Flags of `open(2)` on x86-64.
pub(super) mod flag {
    pub(in super::super) const CREATE: u64 = 0o100;
    pub(in super::super) const EXCLUSIVE: u64 = 0o200;
    pub(in super::super) const TRUNCATE: u64 = 0o1000;
    pub(in super::super) const APPEND: u64 = 0o2000;
    pub(in super::super) const DIRECT: u64 = 0o40000;
    pub(in super::super) const DIRECTORY: u64 = 0o200_000;
    pub(in super::super) const CLOSE_ON_EXEC: u64 = 0o2_000_000;
}

/// A file of the trace.
#[derive(Clone, Debug)]
pub(super) struct FileState {
    pub(super) path: String,
    /// Its size as far as the log shows.
    pub(super) size: u64,
    /// True if the size was found or set, false if the file may have been longer from the start.
    pub(super) sure: bool,
}

/// All files that any process has used.
#[derive(Debug, Default)]
pub(super) struct Files {
    all: Vec<FileState>,
    by_path: BTreeMap<String, u32>,
}

/// What a descriptor leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A file of the trace, by number.
    File(u32),
    /// A directory, by path.
    Directory(String),
    /// Something without pages in a cache: a pipe, a socket, a device.
    Stream,
}

/// An open file description, which descriptors share after `dup` and `fork`.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) target: Target,
    pub(super) position: u64,
    /// Where the next transfer with an offset behind a pointer is taken to be.
    pub(super) assumed: u64,
    pub(super) append: bool,
    pub(super) direct: bool,
}

/// A descriptor of a process.
#[derive(Clone, Debug)]
pub(super) struct Descriptor {
    pub(super) description: Rc<RefCell<Description>>,
    pub(super) close_on_exec: bool,
}

impl Description {
    /// A description as `open` makes it.
    pub(super) fn new(target: Target, flags: u64) -> Self {
        let (append, direct) = (flags & flag::APPEND != 0, flags & flag::DIRECT != 0);
        Self { target, position: 0, assumed: 0, append, direct }
    }
}

impl Descriptor {
    /// The first descriptor of a description.
    pub(super) fn new(description: Description, flags: u64) -> Self {
        let close_on_exec = flags & flag::CLOSE_ON_EXEC != 0;
        Self { description: Rc::new(RefCell::new(description)), close_on_exec }
    }
}

/// What opening a path did.
pub(super) struct Opened {
    pub(super) target: Target,
    /// The file is new to the trace.
    pub(super) new: bool,
    /// The file was there and is now empty.
    pub(super) emptied: bool,
}

impl Files {
    /// A file by number.
    pub(super) fn get(&self, file: u32) -> &FileState {
        &self.all[file as usize]
    }

    /// A file by number.
    pub(super) fn get_mut(&mut self, file: u32) -> &mut FileState {
        &mut self.all[file as usize]
    }

    /// Opens `path` as seen from `directory` (of the process), with flags of `open`.
    pub(super) fn open(&mut self, world: World, directory: Option<&str>, path: &str, flags: u64) -> Opened {
        let whole = absolute(directory, path);
        let found = whole.as_deref().and_then(|whole| world.find(whole));
        let nothing = |target| Opened { target, new: false, emptied: false };
        let mut name = whole.unwrap_or_else(|| path.to_owned());
        let mut size = None;
        match found {
            Some(Found::Directory) => return nothing(Target::Directory(name)),
            Some(Found::Stream) => return nothing(Target::Stream),
            None if flags & flag::DIRECTORY != 0 => return nothing(Target::Directory(name)),
            Some(Found::File(canonical, len)) => (name, size) = (canonical, Some(len)),
            None => {}
        }
        let (truncate, fresh) = (flags & flag::TRUNCATE != 0, flags & flag::EXCLUSIVE != 0);
        if let Some(&file) = self.by_path.get(&name).filter(|_| !(fresh && flags & flag::CREATE != 0)) {
            let emptied = truncate && self.get(file).size > 0;
            if emptied {
                self.get_mut(file).size = 0;
            }
            return Opened { target: Target::File(file), new: false, emptied };
        }
        let size = if truncate || fresh { Some(0) } else { size };
        let file = self.add(&name, size);
        Opened { target: Target::File(file), new: true, emptied: false }
    }

    /// A new file of the trace, which `path` stands for from now on; of unknown size if `None`.
    pub(super) fn add(&mut self, path: &str, size: Option<u64>) -> u32 {
        let file = self.all.len() as u32;
        // The path ends up on a line of text, and has a limit in the format.
        let path: String = path.chars().filter(|c| !matches!(c, '\n' | '\r')).take(1000).collect();
        self.by_path.insert(path.clone(), file);
        self.all.push(FileState { path, size: size.unwrap_or(0), sure: size.is_some() });
        file
    }

    /// The file that a path stands for, if it was used.
    pub(super) fn named(&self, world: World, directory: Option<&str>, path: &str) -> Option<u32> {
        let whole = absolute(directory, path)?;
        let found = world.find(&whole);
        let canonical = match &found {
            Some(Found::File(canonical, _)) => canonical,
            _ => &whole,
        };
        self.by_path.get(canonical).copied()
    }

    /// `unlink`, or the first half of `rename`: the path stands for nothing; returns what it stood for.
    pub(super) fn unlink(&mut self, directory: Option<&str>, path: &str) -> Option<u32> {
        self.by_path.remove(&absolute(directory, path)?)
    }

    /// `rename`.
    pub(super) fn rename(&mut self, directory: Option<&str>, from: &str, to: &str) {
        let file = self.unlink(directory, from);
        if let (Some(file), Some(to)) = (file, absolute(directory, to)) {
            self.by_path.insert(to, file);
        }
    }
}
