//! Logs that grow: found when they appear, read as they grow, and given back to the disk behind the reader.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::process::lives;

/// So many bytes are read before their room on the disk is given back.
const PUNCH: u64 = 8 << 20;

/// One log.
struct Log {
    /// A process that executes a program begins a log with a higher number.
    number: u32,
    file: File,
    path: PathBuf,
}

/// The logs of one process that are not read yet, one after another.
#[derive(Default)]
struct Logs {
    queue: VecDeque<Log>,
    /// The process has ended, and all its logs are here.
    ended: bool,
    /// The process was seen to have ended.
    dead: bool,
}

/// Reads the logs of one process. A read says that it would block if the process may still write.
pub(super) struct Tail {
    logs: Rc<RefCell<Logs>>,
    /// Bytes read of the first log, and those given back.
    read: u64,
    punched: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut logs = self.logs.borrow_mut();
        loop {
            // Asked before reading: what was written before a successor appeared, or before the end, is then read.
            let complete = logs.queue.len() > 1 || logs.ended;
            let Some(log) = logs.queue.front_mut() else {
                return if complete { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
            };
            let count = log.file.read(buffer)?;
            self.read += count as u64;
            if self.read - self.punched >= PUNCH {
                give_back(&log.file, self.read);
                self.punched = self.read;
            }
            if count > 0 {
                return Ok(count);
            }
            if !complete {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // The name was needed until there was a higher one. The directory goes in the end in any case.
            let _ = fs::remove_file(&log.path);
            logs.queue.pop_front();
            (self.read, self.punched) = (0, 0);
        }
    }
}

/// Makes a hole of the first `len` bytes of a file. Where that is not possible, the file takes its room until it ends.
fn give_back(file: &File, len: u64) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        let _ = fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, len);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, len);
}

/// The log of a process that was not known before.
pub(super) struct NewLog {
    pub(super) pid: u32,
    /// True for the first process.
    pub(super) root: bool,
    pub(super) name: String,
    pub(super) tail: Tail,
}

/// Looks for logs in a directory, in files named `PROCESS.NUMBER`.
pub(super) struct Watch {
    directory: PathBuf,
    root: u32,
    processes: BTreeMap<u32, Rc<RefCell<Logs>>>,
}

impl Watch {
    pub(super) fn new(directory: &Path, root: u32) -> Self {
        Self { directory: directory.to_owned(), root, processes: BTreeMap::new() }
    }

    /// Takes the logs that have appeared; returns those of processes that had none. `over` if the command itself has ended.
    pub(super) fn look(&mut self, over: bool) -> Vec<NewLog> {
        for (pid, logs) in &self.processes {
            let mut logs = logs.borrow_mut();
            logs.dead = logs.dead || if *pid == self.root { over } else { !lives(*pid) };
        }
        let mut new = Vec::new();
        // What is there when a listing begins is in it. A log that the first shows is one of the last, and the second shows
        // all before it.
        let shown = self.list();
        let before = if shown.iter().any(|name| !self.has(*name)) { self.list() } else { Vec::new() };
        let last: BTreeMap<u32, u32> = shown.into_iter().collect();
        for (pid, number) in before {
            if self.has((pid, number)) || last.get(&pid).is_none_or(|last| number > *last) {
                continue;
            }
            let path = self.directory.join(format!("{pid}.{number}"));
            let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { continue };
            let root = pid == self.root;
            let logs = self.processes.entry(pid).or_insert_with(|| {
                let logs: Rc<RefCell<Logs>> = Rc::default();
                let tail = Tail { logs: Rc::clone(&logs), read: 0, punched: 0 };
                new.push(NewLog { pid, root, name: format!("log of process {pid}"), tail });
                logs
            });
            let mut logs = logs.borrow_mut();
            // A number that was used before has a new process.
            (logs.ended, logs.dead) = (false, false);
            logs.queue.push_back(Log { number, file, path });
        }
        // A process that was dead before the directory was read has nothing more in it.
        for logs in self.processes.values() {
            let mut logs = logs.borrow_mut();
            logs.ended = logs.dead;
        }
        new
    }

    /// The logs in the directory, in order: process and number.
    fn list(&self) -> Vec<(u32, u32)> {
        let Ok(entries) = fs::read_dir(&self.directory) else { return Vec::new() };
        let name = |entry: io::Result<fs::DirEntry>| {
            let name = entry.ok()?.file_name();
            let (pid, number) = name.to_str()?.split_once('.')?;
            Some((pid.parse().ok()?, number.parse().ok()?))
        };
        let mut names: Vec<(u32, u32)> = entries.filter_map(name).collect();
        names.sort_unstable();
        names
    }

    /// True if the log was found before and is not read to its end.
    fn has(&self, (pid, number): (u32, u32)) -> bool {
        let Some(logs) = self.processes.get(&pid) else { return false };
        logs.borrow().queue.iter().any(|log| log.number == number)
    }

    /// True if the first process was seen, and all that were have ended.
    pub(super) fn all_ended(&self) -> bool {
        let root = self.processes.get(&self.root).map_or(self.root_missing(), |logs| logs.borrow().ended);
        root && self.processes.values().all(|logs| logs.borrow().ended)
    }

    /// The command ended without a log.
    fn root_missing(&self) -> bool {
        !lives(self.root)
    }

    /// True if there was any log.
    pub(super) fn found_any(&self) -> bool {
        !self.processes.is_empty()
    }

    /// The processes that have not been seen to end.
    pub(super) fn living(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().filter(|(_, logs)| !logs.borrow().dead).map(|(pid, _)| *pid)
    }
}
