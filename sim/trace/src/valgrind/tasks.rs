//! The calls that concern threads and processes, and which call is of which kind.

use std::collections::BTreeMap;
use std::io::Write;

use super::call::Call;
use super::process::{Effect, Image, Process};
use super::shared::{Guess, Shared};
use super::touch::{buffers, understood};
use super::waits::Children;
use crate::error::TraceError;
use crate::event::Event;

/// `CLONE_THREAD` of `clone(2)`.
const CLONE_THREAD: u64 = 0x1_0000;
/// `SIGKILL`
const SIGKILL: u64 = 9;

impl Process {
    /// A call of the thread `slot` returned `result` without an error.
    pub(super) fn returned<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        slot: u32,
        call: &Call,
        result: u64,
    ) -> Result<Option<Effect>, TraceError> {
        for buffer in buffers(call, result) {
            self.touch(shared, buffer)?;
        }
        if self.memory_call(shared, call, result)? || self.file_call(shared, call, result)? {
            return Ok(None);
        }
        match call.name.as_str() {
            "clone" if call.bare_hex(0) & CLONE_THREAD != 0 => self.clone_thread(shared, result)?,
            "clone" | "clone3" | "fork" | "vfork" => return self.fork(shared, slot, result),
            "wait4" | "waitid" => return Ok(self.wait_returned(call, result)),
            "exit" => self.exit_thread(shared, call.arg(0))?,
            "exit_group" => {
                self.status = i32::from(call.arg(0) as u8);
                self.end(shared)?;
            }
            "kill" if call.arg(1) == SIGKILL && call.arg(0) as u32 == self.id => self.status = 128 + 9,
            name if understood(name) => {}
            name => shared.ignore(&format!("system call {name}")),
        }
        Ok(None)
    }

    fn clone_thread<W: Write>(&mut self, shared: &mut Shared<'_, W>, result: u64) -> Result<(), TraceError> {
        let child_tid = shared.number(result as u32);
        let taken =
            |slot: &u32| self.threads.contains_key(slot) || self.starting.iter().any(|s| s.0 == *slot);
        let slot = (1..).find(|slot| !taken(slot)).expect("there are more numbers than threads");
        self.starting.push_back((slot, child_tid));
        shared.event(self.thread(), Event::Clone { child_tid })
    }

    fn fork<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        slot: u32,
        result: u64,
    ) -> Result<Option<Effect>, TraceError> {
        let number = result as u32;
        if result == 0 {
            return Ok(None);
        }
        let id = shared.number(number);
        shared.event(self.thread(), Event::Fork { child_pid: id, child_tid: id })?;
        let mut child = self.clone();
        (child.id, child.tid, child.slot) = (id, id, slot);
        child.threads = BTreeMap::from([(slot, id)]);
        child.starting.clear();
        child.image = Image::Fresh(true);
        child.program = None;
        child.status = 0;
        child.children = Children::default();
        self.children.forked(number);
        Ok(Some(Effect::Fork(number, Box::new(child))))
    }

    /// `exit`: the thread ends, and with the last the process.
    fn exit_thread<W: Write>(&mut self, shared: &mut Shared<'_, W>, status: u64) -> Result<(), TraceError> {
        if self.threads.len() + self.starting.len() <= 1 {
            self.status = i32::from(status as u8);
            return self.end(shared);
        }
        self.threads.remove(&self.slot);
        if !self.threads.values().any(|tid| *tid == self.tid) {
            shared.event(self.thread(), Event::ExitThread)?;
        }
        // Lines that still come before another thread runs belong to one that goes on.
        let next = self.threads.iter().next().map(|(slot, tid)| (*slot, *tid));
        match next {
            Some(next) => (self.slot, self.tid) = next,
            None => {
                let next = self.starting.front().map_or(self.slot, |(slot, _)| *slot);
                self.switch(next);
            }
        }
        Ok(())
    }

    /// The process ends.
    pub(super) fn end<W: Write>(&mut self, shared: &mut Shared<'_, W>) -> Result<(), TraceError> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(());
        }
        self.areas = super::areas::Areas::default();
        shared.event(self.thread(), Event::ExitProcess { status: self.status })
    }

    /// The log ends.
    pub(super) fn log_ends<W: Write>(&mut self, shared: &mut Shared<'_, W>) -> Result<(), TraceError> {
        if !self.over && self.status == 0 {
            shared.guesses.insert(Guess::NoEnd);
        }
        self.end(shared)
    }

    /// After `execve`: an empty address space, one thread, no descriptors that close on exec.
    pub(super) fn begin_anew(&mut self, path: String) {
        self.areas = super::areas::Areas::default();
        self.threads = BTreeMap::from([(1, self.tid)]);
        self.starting.clear();
        self.slot = 1;
        self.heap_end = None;
        self.descriptors.retain(|_, descriptor| !descriptor.close_on_exec);
        self.image = Image::Starting(path);
        self.forget_calls();
    }
}
