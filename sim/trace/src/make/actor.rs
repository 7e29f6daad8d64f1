//! The threads of a synthetic trace, and what they all have in common: code, identities, the count of accesses.

use std::io::Write;

use super::rng::Rng;
use super::spec::GeneratorSpec;
use crate::error::TraceError;
use crate::event::Event;
use crate::native::TraceWriter;
use crate::record::{EventRecord, MapKind, Op, Prot, RawAccess};

/// Where code lies in every process: a loop of 16 KiB of four-byte instructions.
const CODE: u64 = 0x40_0000;
const CODE_LEN: u64 = 0x4000;
const INSTRUCTION: u16 = 4;
/// Where the data of every process begins.
pub(super) const DATA: u64 = 0x10_0000_0000;
pub(super) const PAGE: u64 = 4096;
/// First process and thread number.
const FIRST_ID: u32 = 1000;

/// A thread.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) pid: u32,
    pub(super) tid: u32,
    /// The next instruction, as an offset in the code.
    pc: u64,
}

/// Writes records and counts the accesses that are still to come.
pub(super) struct Emitter<'a, W: Write> {
    pub(super) spec: &'a GeneratorSpec,
    pub(super) rng: Rng,
    writer: &'a mut TraceWriter<W>,
    left: u64,
    next_id: u32,
}

impl<'a, W: Write> Emitter<'a, W> {
    pub(super) fn new(spec: &'a GeneratorSpec, writer: &'a mut TraceWriter<W>) -> Self {
        Self { spec, rng: Rng::new(spec.seed), writer, left: spec.accesses, next_id: FIRST_ID }
    }

    /// True once all data accesses have been written.
    pub(super) fn done(&self) -> bool {
        self.left == 0
    }

    pub(super) fn event(&mut self, actor: &Actor, event: Event) -> Result<(), TraceError> {
        self.writer.event(EventRecord::new(actor.pid, actor.tid, event))
    }

    /// Maps anonymous private memory that can be read and written.
    pub(super) fn map(&mut self, actor: &Actor, start: u64, len: u64) -> Result<(), TraceError> {
        self.map_as(actor, (start, len), Prot::READ_WRITE, false)
    }

    /// Maps anonymous memory that children share.
    pub(super) fn map_shared(&mut self, actor: &Actor, start: u64, len: u64) -> Result<(), TraceError> {
        self.map_as(actor, (start, len), Prot::READ_WRITE, true)
    }

    fn map_as(
        &mut self,
        actor: &Actor,
        (start, len): (u64, u64),
        prot: Prot,
        shared: bool,
    ) -> Result<(), TraceError> {
        let kind = MapKind::Anonymous;
        self.event(actor, Event::Map { start, len, prot, kind, shared, inferred: false })
    }

    /// A new process with its code mapped; returns its first thread.
    pub(super) fn process(&mut self) -> Result<Actor, TraceError> {
        let actor = self.new_process();
        if self.spec.fetch_per_access > 0 {
            self.map_as(&actor, (CODE, CODE_LEN), Prot::READ_EXEC, false)?;
        }
        Ok(actor)
    }

    fn new_process(&mut self) -> Actor {
        let (pid, tid) = (self.next_id, self.next_id);
        self.next_id += 1;
        Actor { pid, tid, pc: 0 }
    }

    /// A new thread in the process of `actor`.
    pub(super) fn clone_thread(&mut self, actor: &Actor) -> Result<Actor, TraceError> {
        let tid = self.next_id;
        self.next_id += 1;
        self.event(actor, Event::Clone { child_tid: tid })?;
        Ok(Actor { pid: actor.pid, tid, pc: actor.pc })
    }

    /// Forks; returns the child's only thread.
    pub(super) fn fork(&mut self, actor: &Actor) -> Result<Actor, TraceError> {
        let child = self.new_process();
        self.event(actor, Event::Fork { child_pid: child.pid, child_tid: child.tid })?;
        Ok(Actor { pc: actor.pc, ..child })
    }

    /// The processes at the start, each with all its threads; `setup` maps the data of each.
    pub(super) fn population(
        &mut self,
        mut setup: impl FnMut(&mut Self, &Actor) -> Result<(), TraceError>,
    ) -> Result<Vec<Vec<Actor>>, TraceError> {
        let mut processes = Vec::new();
        for _ in 0..self.spec.processes {
            let main = self.process()?;
            setup(self, &main)?;
            let mut threads = vec![main];
            for _ in 1..self.spec.threads {
                threads.push(self.clone_thread(&threads[0])?);
            }
            processes.push(threads);
        }
        Ok(processes)
    }

    /// Ends a process: its other threads exit, then its first thread ends the process.
    pub(super) fn exit(&mut self, threads: &[Actor]) -> Result<(), TraceError> {
        for thread in threads.iter().skip(1) {
            self.event(thread, Event::ExitThread)?;
        }
        self.event(&threads[0], Event::ExitProcess { status: 0 })
    }

    /// A random operation with the specification's share of writes.
    pub(super) fn op(&mut self) -> Op {
        if !self.rng.chance(self.spec.write_per_mille) {
            return Op::Load;
        }
        if self.rng.below(8) == 0 { Op::Modify } else { Op::Store }
    }

    /// An offset in a page at which an access fits, a multiple of 8.
    pub(super) fn offset(&mut self) -> u64 {
        self.rng.below((PAGE - u64::from(self.spec.length)) / 8 + 1) * 8
    }

    /// The fetches of the instructions that lead to an access, then the access. Does nothing once all are written.
    pub(super) fn access(&mut self, actor: &mut Actor, op: Op, addr: u64) -> Result<(), TraceError> {
        if self.done() {
            return Ok(());
        }
        for _ in 0..self.spec.fetch_per_access {
            let fetch = RawAccess { addr: CODE + actor.pc, len: INSTRUCTION, op: Op::Fetch };
            self.writer.access(actor.pid, actor.tid, fetch)?;
            actor.pc = (actor.pc + u64::from(INSTRUCTION)) % CODE_LEN;
        }
        self.left -= 1;
        self.writer.access(actor.pid, actor.tid, RawAccess { addr, len: self.spec.length, op })
    }

    /// A random operation somewhere in the page at `start`.
    pub(super) fn touch(&mut self, actor: &mut Actor, start: u64) -> Result<(), TraceError> {
        let (op, offset) = (self.op(), self.offset());
        self.access(actor, op, start + offset)
    }
}
