//! One process as its log shows it: threads, mappings, descriptors, and the calls that have not returned yet.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;

use super::areas::{Areas, Missing, need, pages};
use super::call::{Call, Outcome, outcome, parse};
use super::descriptors::Descriptor;
use super::shared::{Guess, Shared};
use super::waits::Children;
use crate::error::TraceError;
use crate::event::Event;
use crate::lackey::{GRAMMAR, between};
use crate::pages::PAGE_SIZE;
use crate::record::{ADDRESS_LIMIT, MapKind, Op, Prot, RawAccess};

/// The stack that Valgrind gives a program on x86-64: 8 MiB below this address.
const STACK_TOP: u64 = 0x1f_ff00_1000 / PAGE_SIZE;
const STACK_PAGES: u64 = (8 << 20) / PAGE_SIZE;

/// How far a process is in executing a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// Nothing but Valgrind's own lines so far; true if the process was forked.
    Fresh(bool),
    /// `execve` of this path was called and has not failed yet.
    Executing(String),
    /// The program is known, and has not executed anything.
    Starting(String),
    Running,
}

/// A process.
#[derive(Clone)]
pub(super) struct Process {
    /// Its number in the trace.
    pub(super) id: u32,
    /// Thread numbers in the trace by Valgrind's own.
    pub(super) threads: BTreeMap<u32, u32>,
    /// Threads that were created and have not run yet: the number of Valgrind's that they should get, and in the trace.
    pub(super) starting: VecDeque<(u32, u32)>,
    /// The thread that runs, by Valgrind's number and in the trace.
    pub(super) slot: u32,
    pub(super) tid: u32,
    pub(super) areas: Areas,
    pub(super) descriptors: BTreeMap<i32, Descriptor>,
    pub(super) directory: Option<String>,
    pub(super) image: Image,
    /// What the banner says, and the program by its path if something knows it better.
    pub(super) command: String,
    pub(super) program: Option<String>,
    pub(super) heap_end: Option<u64>,
    /// Exit status, of which a signal may be the reason.
    pub(super) status: i32,
    pub(super) over: bool,
    /// Calls that have not returned, by Valgrind's number of the thread.
    pub(super) calls: BTreeMap<u32, Call>,
    /// The thread whose call's result may stand on one of the next lines.
    unsaid: Option<u32>,
    pub(super) children: Children,
}

/// What a line means for other processes.
pub(super) enum Effect {
    /// A child, and its number in the log.
    Fork(u32, Box<Process>),
    /// These processes (their numbers in the logs) were waited for.
    Wait(Vec<u32>),
}

impl Process {
    /// A process of which nothing is known; `slot` is Valgrind's number of its only thread.
    pub(super) fn new(id: u32, forked: bool) -> Self {
        Self {
            id,
            threads: BTreeMap::from([(1, id)]),
            starting: VecDeque::new(),
            slot: 1,
            tid: id,
            areas: Areas::default(),
            descriptors: BTreeMap::new(),
            directory: None,
            image: Image::Fresh(forked),
            command: String::new(),
            program: None,
            heap_end: None,
            status: 0,
            over: false,
            calls: BTreeMap::new(),
            unsaid: None,
            children: Children::default(),
        }
    }

    /// The thread that runs.
    pub(super) fn thread(&self) -> (u32, u32) {
        (self.id, self.tid)
    }

    /// An access of the thread that runs.
    #[inline]
    pub(super) fn access<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        access: RawAccess,
    ) -> Result<(), TraceError> {
        if !self.areas.surely(access) && !self.prepare(shared, access)? {
            return Ok(());
        }
        shared.access(self.thread(), access)
    }

    /// Sees to it that an access is to mapped memory; false if it comes after the process's end.
    fn prepare<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        access: RawAccess,
    ) -> Result<bool, TraceError> {
        if self.over {
            shared.ignore("access after the end of its process");
            return Ok(false);
        }
        self.begins(shared)?;
        if let Image::Starting(program) = &self.image
            && access.op == Op::Fetch
        {
            let program = program.clone();
            self.image = Image::Running;
            self.map_program(shared, &program, access.addr)?;
        }
        let (first, end) = pages(access.addr, access.len.into());
        self.infer(shared, first, end, need(access.op))?;
        self.areas.remember(access);
        Ok(true)
    }

    /// A line other than Valgrind's own begins: settles which program it is of.
    fn begins<W: Write>(&mut self, shared: &mut Shared<'_, W>) -> Result<(), TraceError> {
        let Image::Fresh(forked) = self.image else { return Ok(()) };
        let program = self.program.take().unwrap_or_else(|| first_word(&self.command));
        if forked {
            // The log of a child that went on in its parent's program begins with the result of the fork.
            shared.guesses.insert(Guess::LostStart);
            self.execute(shared, program)?;
        } else {
            self.image = Image::Starting(program);
        }
        Ok(())
    }

    /// Maps what is missing, so that all pages from `first` up to `end` have the permissions of `need`.
    pub(super) fn infer<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        first: u64,
        end: u64,
        need: Prot,
    ) -> Result<(), TraceError> {
        for missing in self.areas.missing(first, end, need) {
            match missing {
                Missing::Mapping { first, end } if first >= STACK_TOP - STACK_PAGES && end <= STACK_TOP => {
                    // The whole stack, less what something else took since.
                    for gap in self.areas.missing(STACK_TOP - STACK_PAGES, STACK_TOP, Prot::NONE) {
                        if let Missing::Mapping { first, end } = gap {
                            self.map_inferred(shared, first, end, Prot::READ_WRITE, MapKind::Stack)?;
                        }
                    }
                    if need.contains(Prot::EXEC) {
                        self.infer_permission(shared, first, end, Prot(7))?;
                    }
                }
                Missing::Mapping { first, end } => {
                    let data = if need.contains(Prot::EXEC) { Prot::READ } else { Prot::READ_WRITE };
                    let prot = Prot(need.0 | data.0);
                    shared.guesses.insert(Guess::Mapping);
                    self.map_inferred(shared, first, end, prot, MapKind::Anonymous)?;
                }
                Missing::Permission { first, end, prot } => {
                    shared.guesses.insert(Guess::Mapping);
                    self.infer_permission(shared, first, end, prot)?;
                }
            }
        }
        Ok(())
    }

    fn infer_permission<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        first: u64,
        end: u64,
        prot: Prot,
    ) -> Result<(), TraceError> {
        self.areas.protect(first, end, prot);
        let (start, len) = (first * PAGE_SIZE, (end - first) * PAGE_SIZE);
        shared.event(self.thread(), Event::Protect { start, len, prot })
    }

    pub(super) fn map_inferred<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        first: u64,
        end: u64,
        prot: Prot,
        kind: MapKind,
    ) -> Result<(), TraceError> {
        self.areas.map(first, end, prot);
        let (start, len) = (first * PAGE_SIZE, (end - first) * PAGE_SIZE);
        let event = Event::Map { start, len, prot, kind, shared: false, inferred: true };
        shared.event(self.thread(), event)
    }

    /// Accesses to a buffer that the kernel reads or writes for the process, one for each page.
    pub(super) fn touch<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        (start, len, written): (u64, u64, bool),
    ) -> Result<(), TraceError> {
        let Some(end) = start.checked_add(len).filter(|end| *end < ADDRESS_LIMIT) else { return Ok(()) };
        let (op, mut at) = (if written { Op::Store } else { Op::Load }, start);
        while at < end {
            let next = (at / PAGE_SIZE + 1) * PAGE_SIZE;
            let len = (next.min(end) - at) as u16;
            self.access(shared, RawAccess { addr: at, len, op })?;
            at = next;
        }
        Ok(())
    }

    /// A line that is no access. Fails with what was expected at column 1 if it has no known form.
    pub(super) fn line<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        line: &[u8],
    ) -> Result<Result<Option<Effect>, &'static str>, TraceError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            shared.ignore("blank");
        } else if line.starts_with(b"SYSCALL[") {
            let effect = self.call_line(shared, line)?;
            let second = self.glued(shared, line)?;
            return Ok(Ok(effect.or(second)));
        } else if line.starts_with(b" --> [") || line.starts_with(b" --> Success") {
            let effect = self.result_line(shared, line)?;
            let second = self.glued(shared, line)?;
            return Ok(Ok(effect.or(second)));
        } else if let Some((_, text)) = between(line, b"==") {
            self.banner(shared, &String::from_utf8_lossy(text))?;
        } else if between(line, b"--").is_some() {
            return self.glued(shared, line).map(Ok);
        } else if line.starts_with(b"#") {
            shared.ignore("comment");
        } else if line.starts_with(b" SB ") || line.starts_with(b"SB ") {
            shared.ignore("superblock");
        } else if line.starts_with(b"SCHED") {
            shared.ignore("valgrind message");
        } else {
            return Ok(Err(GRAMMAR));
        }
        Ok(Ok(None))
    }

    /// `==PID== text`
    fn banner<W: Write>(&mut self, shared: &mut Shared<'_, W>, text: &str) -> Result<(), TraceError> {
        shared.ignore("valgrind banner");
        if let Some(command) = text.strip_prefix("Command: ") {
            self.command = command.to_owned();
            if let Image::Executing(path) = &self.image {
                let path = path.clone();
                self.execute(shared, path)?;
            }
        } else if let Some(rest) = text.split("default action of signal ").nth(1) {
            let number = rest.split(' ').next().and_then(|number| number.parse::<u8>().ok());
            self.status = 128 + i32::from(number.unwrap_or(0));
        }
        Ok(())
    }

    /// The scheduler's message that a line holds anywhere: `--PID--   SCHED[THREAD]:  acquired lock (why)`.
    fn glued<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        line: &[u8],
    ) -> Result<Option<Effect>, TraceError> {
        let text = String::from_utf8_lossy(line);
        let Some((_, message)) = text.rsplit_once("--   SCHED[") else {
            shared.ignore("valgrind message");
            return Ok(None);
        };
        let Some((slot, what)) = message.split_once("]:") else { return Ok(None) };
        let Ok(slot) = slot.parse() else { return Ok(None) };
        let Some(why) = what.trim_start().strip_prefix("acquired lock") else { return Ok(None) };
        self.begins(shared)?;
        self.switch(slot);
        Ok(if why.contains("async_signalhandler") { self.interrupted() } else { None })
    }

    /// From here on the lines are of the thread with this number of Valgrind's.
    pub(super) fn switch(&mut self, slot: u32) {
        if slot == self.slot {
            return;
        }
        let starting = &mut self.starting;
        let tid = self.threads.get(&slot).copied().or_else(|| {
            let at = starting.iter().position(|(expected, _)| *expected == slot).unwrap_or(0);
            starting.remove(at).map(|(_, tid)| tid)
        });
        // A thread that nothing created is taken to be the one that ran before.
        let tid = tid.unwrap_or(self.tid);
        self.threads.insert(slot, tid);
        (self.slot, self.tid) = (slot, tid);
    }

    /// Calls that have not returned never will.
    pub(super) fn forget_calls(&mut self) {
        self.calls.clear();
        self.unsaid = None;
    }

    fn call_line<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        line: &[u8],
    ) -> Result<Option<Effect>, TraceError> {
        let Some(parsed) = parse(line) else {
            shared.ignore("system call of unknown form");
            return Ok(None);
        };
        self.begins(shared)?;
        self.switch(parsed.slot);
        if let Some(call) = parsed.call {
            if call.name == "execve" && !matches!(parsed.outcome, Outcome::Failure(_)) {
                let path = call.text(0).unwrap_or_default().to_owned();
                self.image = Image::Executing(path);
            }
            self.calls.insert(parsed.slot, call);
        }
        self.unsaid = (parsed.outcome == Outcome::Unsaid).then_some(parsed.slot);
        self.settle(shared, parsed.slot, parsed.outcome)
    }

    /// ` --> [pre-success] Success(0x0)`: the result of a call on an earlier line.
    fn result_line<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        line: &[u8],
    ) -> Result<Option<Effect>, TraceError> {
        if let Image::Fresh(true) = self.image {
            // The child of a fork, in which the call returns 0.
            self.image = Image::Running;
            return Ok(None);
        }
        let Some(slot) = self.unsaid.take() else {
            shared.ignore("result of an unknown call");
            return Ok(None);
        };
        self.settle(shared, slot, outcome(&String::from_utf8_lossy(line)))
    }

    /// What is known of the end of a thread's call takes effect.
    fn settle<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        slot: u32,
        outcome: Outcome,
    ) -> Result<Option<Effect>, TraceError> {
        let result = match outcome {
            Outcome::Success(value) => Ok(value),
            Outcome::Failure(error) => Err(error),
            Outcome::Later | Outcome::Unsaid => return Ok(None),
        };
        let Some(call) = self.calls.remove(&slot) else {
            shared.ignore("result of an unknown call");
            return Ok(None);
        };
        if call.name == "execve" && matches!(self.image, Image::Executing(_)) {
            self.image = Image::Running;
        }
        if self.over {
            return Ok(None);
        }
        match result {
            Ok(result) => self.returned(shared, slot, &call, result),
            Err(error) => {
                shared.ignore("system call that failed");
                Ok(self.wait_failed(&call, error))
            }
        }
    }
}

/// The program of a command line as Valgrind prints it.
fn first_word(command: &str) -> String {
    command.split(' ').next().unwrap_or_default().to_owned()
}
