//! Joining the logs of several processes into one trace.
//!
//! Nothing in the logs orders what different processes do, apart from forks and waits: a child's records come after the
//! fork that makes it, and a wait comes after the child's last record. In between, processes take turns.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};

use super::descriptors::{Description, Descriptor};
use super::process::{Effect, Process};
use super::shared::{Guess, Shared};
use super::world::World;
use crate::error::TraceError;
use crate::event::Event;
use crate::lines::{Lines, token};
use crate::native::{Provenance, TraceWriter};
use crate::valgrind::access::{Slow, slow};

/// Accesses that a process gives before another one has its turn.
const TURN: u64 = 1 << 14;
/// Lines other than accesses that it gives at most.
const TURN_LINES: u32 = 1 << 12;

/// What is known of the recording beside its logs.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The directory in which the traced command was started; paths without one stay as they are.
    pub directory: Option<String>,
    /// The program that was started, by its path.
    pub program: Option<String>,
    /// Files that were open at the start: descriptor and path.
    pub open_files: Vec<(i32, String)>,
    /// Look up sizes of files and headers of programs where the log names them.
    pub look: bool,
    /// Record so many accesses and end there.
    pub max_accesses: Option<u64>,
}

/// How far a turn of an import came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was recorded; there may be more.
    Progress,
    /// There is nothing to read now; more may come.
    Starved,
    /// All logs are read.
    Done,
    /// The limit of accesses is reached.
    Full,
}

/// A log that is being read.
struct Log<'l> {
    lines: Lines<Box<dyn Read + 'l>>,
    /// Its process, once something forked it.
    process: Option<Process>,
    /// The processes, by their numbers in the logs, for whose ends it waits.
    waits_for: VecDeque<u32>,
    done: bool,
}

/// Reads a line and what it means for other processes; `None` if there is none.
fn one_line<W: Write>(
    lines: &mut Lines<Box<dyn Read + '_>>,
    process: &mut Process,
    shared: &mut Shared<'_, W>,
) -> Result<Option<Option<Effect>>, TraceError> {
    let Some(line) = lines.next()? else { return Ok(None) };
    let (column, expected) = match slow(line) {
        Slow::Access(access) => {
            process.access(shared, access)?;
            return Ok(Some(None));
        }
        Slow::High => {
            shared.ignore("address above 2^56");
            return Ok(Some(None));
        }
        Slow::Wrong(column, expected) => (column, expected),
        Slow::Other => match process.line(shared, line)? {
            Ok(effect) => return Ok(Some(effect)),
            Err(expected) => (1, expected),
        },
    };
    let found = token(line, column);
    if !lines.cut_short() {
        return Err(lines.error(column, found, expected));
    }
    shared.ignore("cut short at the end");
    Ok(Some(None))
}

/// An import of the logs of one or several processes.
pub struct LogImport<'a, 'l, W: Write> {
    shared: Shared<'a, W>,
    options: LogOptions,
    /// By the numbers of the processes in the logs.
    logs: BTreeMap<u32, Log<'l>>,
    /// Children without a log so far.
    unlogged: BTreeMap<u32, Process>,
    command: String,
    /// More logs may come.
    live: bool,
}

impl<'a, 'l, W: Write> LogImport<'a, 'l, W> {
    /// Starts an import into `writer`, which the caller finishes. With `live`, logs may be added while it runs: that of a process
    /// by the second turn after its end.
    pub fn new(writer: &'a mut TraceWriter<W>, options: LogOptions, live: bool) -> Self {
        let left = options.max_accesses.unwrap_or(u64::MAX);
        let shared = Shared::new(writer, World { open: options.look }, left);
        Self {
            shared,
            options,
            logs: BTreeMap::new(),
            unlogged: BTreeMap::new(),
            command: String::new(),
            live,
        }
    }

    /// Adds the log of process `pid`. `root` if no other process of the trace forks it. `name` is the log's name in error
    /// messages. A read that fails with `WouldBlock` means that there is nothing yet.
    ///
    /// # Errors
    /// If one of the files open at the start cannot be recorded.
    pub fn add_log(
        &mut self,
        pid: u32,
        root: bool,
        name: &str,
        input: impl Read + 'l,
    ) -> Result<(), TraceError> {
        let process = match self.unlogged.remove(&pid) {
            Some(process) => Some(process),
            None if root => Some(self.root(pid)?),
            None => None,
        };
        let input: Box<dyn Read + 'l> = Box::new(input);
        let log = Log { lines: Lines::new(input, name), process, waits_for: VecDeque::new(), done: false };
        self.logs.insert(pid, log);
        Ok(())
    }

    fn root(&mut self, pid: u32) -> Result<Process, TraceError> {
        let mut process = Process::new(self.shared.number(pid), false);
        process.directory.clone_from(&self.options.directory);
        process.program.clone_from(&self.options.program);
        for (fd, path) in std::mem::take(&mut self.options.open_files) {
            let target = self.shared.open(process.thread(), None, &path, 0)?;
            process.descriptors.insert(fd, Descriptor::new(Description::new(target, 0), 0));
        }
        Ok(process)
    }

    /// No more logs will be added.
    pub fn no_more_logs(&mut self) {
        self.live = false;
    }

    /// Reads a little of every log that can go on.
    ///
    /// # Errors
    /// If a log cannot be read, a line follows no known form, or the trace cannot be written.
    pub fn turn(&mut self) -> Result<Turn, TraceError> {
        let pids: Vec<u32> = self.logs.keys().copied().collect();
        let (mut progress, mut starved) = (false, false);
        for pid in &pids {
            let Some(mut log) = self.logs.remove(pid) else { continue };
            let step = self.step(&mut log);
            self.logs.insert(*pid, log);
            match step? {
                Turn::Progress => progress = true,
                Turn::Starved => starved = true,
                Turn::Done => {}
                Turn::Full => return Ok(Turn::Full),
            }
        }
        if progress {
            return Ok(Turn::Progress);
        }
        if starved || self.live {
            return Ok(Turn::Starved);
        }
        self.unblock()
    }

    /// Nothing moves any more: a log waits for a process without one, or was never forked.
    fn unblock(&mut self) -> Result<Turn, TraceError> {
        let blocked = self.logs.iter().find(|(_, log)| !log.waits_for.is_empty()).map(|(pid, _)| *pid);
        if let Some(pid) = blocked {
            let mut log = self.logs.remove(&pid).expect("the log was just found");
            let waited = self.waited(&mut log, true);
            self.logs.insert(pid, log);
            return waited.map(|_| Turn::Progress);
        }
        let orphan =
            self.logs.iter().find(|(_, log)| !log.done && log.process.is_none()).map(|(pid, _)| *pid);
        let Some(pid) = orphan else { return Ok(Turn::Done) };
        let process = self.root(pid)?;
        if let Some(log) = self.logs.get_mut(&pid) {
            log.process = Some(process);
        }
        Ok(Turn::Progress)
    }

    /// A turn of one log.
    fn step(&mut self, log: &mut Log<'l>) -> Result<Turn, TraceError> {
        if log.done || log.process.is_none() {
            return Ok(Turn::Done);
        }
        if let Some(child) = log.waits_for.front() {
            // A child that has ended had time to write a log, and the caller to add it: without one it has none.
            let forced = self.unlogged.contains_key(child);
            if !self.waited(log, forced)? {
                return Ok(Turn::Done);
            }
        }
        let (mut left, mut lines_left) = (TURN, TURN_LINES);
        while left > 0 && lines_left > 0 {
            lines_left -= 1;
            let Some(process) = log.process.as_mut() else { break };
            let shared = &mut self.shared;
            if shared.left == 0 {
                return Ok(Turn::Full);
            }
            let most = left.min(shared.left);
            left -= log.lines.accesses(most, |access| process.access(shared, access))?;
            if left == 0 {
                break;
            }
            let effect = match one_line(&mut log.lines, process, shared)? {
                Some(effect) => effect,
                None if log.lines.starved() => {
                    let some = left < TURN || lines_left < TURN_LINES - 1;
                    return Ok(if some { Turn::Progress } else { Turn::Starved });
                }
                None => {
                    process.log_ends(shared)?;
                    log.done = true;
                    break;
                }
            };
            if let Some(effect) = effect
                && !self.apply(log, effect)?
            {
                break;
            }
        }
        Ok(Turn::Progress)
    }

    /// What a line means for other processes; false if its own cannot go on.
    fn apply(&mut self, log: &mut Log<'l>, effect: Effect) -> Result<bool, TraceError> {
        match effect {
            Effect::Fork(pid, child) => {
                match self.logs.get_mut(&pid) {
                    Some(of_child) if of_child.process.is_none() => of_child.process = Some(*child),
                    _ => {
                        self.unlogged.insert(pid, *child);
                    }
                }
                Ok(true)
            }
            Effect::Wait(children) => {
                log.waits_for.extend(children);
                self.waited(log, false)
            }
        }
    }

    /// The process of `log` waited for others: recorded of each once it has ended; of the first now if `forced`. True if of all.
    fn waited(&mut self, log: &mut Log<'l>, mut forced: bool) -> Result<bool, TraceError> {
        let Some(thread) = log.process.as_ref().map(Process::thread) else { return Ok(true) };
        while let Some(&child) = log.waits_for.front() {
            let id = if let Some(mut unlogged) = self.unlogged.remove(&child) {
                if self.live && !forced {
                    self.unlogged.insert(child, unlogged);
                    return Ok(false);
                }
                unlogged.log_ends(&mut self.shared)?;
                Some(unlogged.id)
            } else {
                let of_child = self.logs.get_mut(&child).filter(|log| log.process.is_some());
                match of_child {
                    Some(of_child) if !of_child.done && !forced => return Ok(false),
                    Some(of_child) => of_child.process.as_ref().map(|process| process.id),
                    None => None,
                }
            };
            match id {
                Some(child_pid) => self.shared.event(thread, Event::Wait { child_pid })?,
                None => self.shared.ignore("wait for a process that nothing forked"),
            }
            log.waits_for.pop_front();
            forced = false;
        }
        Ok(true)
    }

    /// Ends the processes whose logs did not, and says in the trace where it comes from.
    ///
    /// # Errors
    /// If the trace cannot be written.
    pub fn finish(mut self) -> Result<(), TraceError> {
        for mut log in std::mem::take(&mut self.logs).into_values() {
            if let Some(process) = &mut log.process {
                if self.command.is_empty() {
                    self.command.clone_from(&process.command);
                }
                process.log_ends(&mut self.shared)?;
            }
        }
        for mut process in std::mem::take(&mut self.unlogged).into_values() {
            process.log_ends(&mut self.shared)?;
        }
        let mut notes: Vec<String> = self.shared.notes().collect();
        if self.shared.guesses.contains(&Guess::Program) {
            notes.push(
                "Sizes of files and headers of programs are those found when the trace was made.".to_owned(),
            );
        }
        notes.push(
            "What several processes do is ordered by forks and waits only; otherwise they take turns."
                .to_owned(),
        );
        let ignored = self.shared.ignored.iter().map(|(name, count)| (name.clone(), *count)).collect();
        let command = std::mem::take(&mut self.command);
        self.shared.writer.set_provenance(Provenance {
            source: "lackey".to_owned(),
            command,
            notes,
            ignored,
        });
        Ok(())
    }
}
