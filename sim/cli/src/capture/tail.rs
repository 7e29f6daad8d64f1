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

/// The logs of one process, one after another: a process that executes a program begins a new one.
#[derive(Default)]
struct Logs {
    files: VecDeque<File>,
    /// The process has ended, and all its logs are here.
    ended: bool,
    /// The process was seen to have ended.
    dead: bool,
}

/// Reads the logs of one process. A read says that it would block if the process may still write.
pub(super) struct Tail {
    logs: Rc<RefCell<Logs>>,
    /// Bytes read of the first file, and those given back.
    read: u64,
    punched: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut logs = self.logs.borrow_mut();
        loop {
            // Asked before reading: what was written before a successor appeared, or before the end, is then read.
            let complete = logs.files.len() > 1 || logs.ended;
            let Some(file) = logs.files.front_mut() else {
                return if complete { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
            };
            let count = file.read(buffer)?;
            self.read += count as u64;
            if self.read - self.punched >= PUNCH {
                give_back(file, self.read);
                self.punched = self.read;
            }
            if count > 0 {
                return Ok(count);
            }
            if !complete {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            logs.files.pop_front();
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

/// Looks for logs in a directory, in files that are named by process numbers.
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
        let mut names: Vec<u32> = match fs::read_dir(&self.directory) {
            Ok(entries) => {
                entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
            }
            Err(_) => Vec::new(),
        };
        names.sort_unstable();
        for pid in names {
            if let Some(file) = self.take(pid) {
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
                logs.files.push_back(file);
            }
        }
        // A process that was dead before the directory was read has nothing more in it.
        for logs in self.processes.values() {
            let mut logs = logs.borrow_mut();
            logs.ended = logs.dead;
        }
        new
    }

    /// Opens a log and takes its name away, so that its process does not write over it.
    fn take(&self, pid: u32) -> Option<File> {
        let (path, taken) = (self.directory.join(pid.to_string()), self.directory.join("taken"));
        fs::rename(path, &taken).ok()?;
        let file = OpenOptions::new().read(true).write(true).open(&taken).ok()?;
        fs::remove_file(taken).ok()?;
        Some(file)
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
