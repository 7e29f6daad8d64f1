//! Writing a trace as text: merges the threads' accesses and the events by sequence number.

use std::collections::BinaryHeap;
use std::io::{self, Write};

use super::{FIRST_LINE, files, quote};
use crate::error::TraceError;
use crate::event::Event;
use crate::native::{AccessCursor, SeqRun, TraceFile};
use crate::record::{EventRecord, MapKind, Op, Place, RawAccess};

/// Writes `file` as text into `out`. Memory grows with the number of threads, by a block for each.
///
/// # Errors
/// If the trace is damaged or `out` refuses.
pub fn export_text(file: &TraceFile, out: impl Write) -> Result<(), TraceError> {
    let mut printer = Printer { out: io::BufWriter::new(out), thread: None, places: Vec::new() };
    let io = |e| TraceError::io("text output", e);
    printer.provenance(file).map_err(io)?;
    let mut threads = Vec::new();
    let mut heads = BinaryHeap::new();
    for (i, info) in file.threads().iter().enumerate() {
        let mut thread = Thread::new(info.pid, info.tid, file.accesses(info.tid));
        if let Some(seq) = thread.head()? {
            heads.push(std::cmp::Reverse((seq, i)));
        }
        threads.push(thread);
    }
    let mut events = file.events();
    let mut event = events.next()?;
    loop {
        let next = heads.peek().map(|head| head.0);
        match (&event, next) {
            (Some(record), head) if head.is_none_or(|(seq, _)| record.seq < seq) => {
                printer.event(record).map_err(io)?;
                event = events.next()?;
            }
            (_, Some((_, i))) => {
                heads.pop();
                let until = event.as_ref().map_or(u64::MAX, |record| record.seq);
                let until = heads.peek().map_or(until, |head| until.min(head.0.0));
                let thread = &mut threads[i];
                while let Some(seq) = thread.head()?.filter(|seq| *seq < until) {
                    let (access, place) = thread.take(seq);
                    printer.access(thread.pid, thread.tid, access, place).map_err(io)?;
                }
                if let Some(seq) = thread.head()? {
                    heads.push(std::cmp::Reverse((seq, i)));
                }
            }
            (None, None) => break,
            (Some(_), None) => unreachable!("an event without accesses before it is printed above"),
        }
    }
    printer.out.flush().map_err(io)
}

/// One thread's accesses, a block at a time.
struct Thread {
    pid: u32,
    tid: u32,
    cursor: AccessCursor,
    accesses: Vec<RawAccess>,
    runs: Vec<SeqRun>,
    /// Of the accesses; empty if none were recorded.
    places: Vec<Place>,
    run: usize,
    at: usize,
}

impl Thread {
    fn new(pid: u32, tid: u32, cursor: AccessCursor) -> Self {
        let (accesses, runs, places) = (Vec::new(), Vec::new(), Vec::new());
        Self { pid, tid, cursor, accesses, runs, places, run: 0, at: 0 }
    }

    /// Sequence number of the next access.
    fn head(&mut self) -> Result<Option<u64>, TraceError> {
        if self.at == self.accesses.len() {
            (self.at, self.run) = (0, 0);
            self.accesses.clear();
            self.runs.clear();
            self.places.clear();
            if !self.cursor.next_block(&mut self.accesses, &mut self.runs, |access| access)? {
                return Ok(None);
            }
            for run in self.cursor.place_runs() {
                self.places.extend(std::iter::repeat_n(run.place, run.len as usize));
            }
        }
        let run = self.runs[self.run];
        Ok(Some(run.first_seq + (self.at as u64 - u64::from(run.start))))
    }

    /// The access that [`Self::head`] announced.
    fn take(&mut self, seq: u64) -> (RawAccess, Place) {
        let run = self.runs[self.run];
        if seq + 1 == run.first_seq + u64::from(run.len) {
            self.run += 1;
        }
        self.at += 1;
        let place = self.places.get(self.at - 1).copied().unwrap_or_default();
        (self.accesses[self.at - 1], place)
    }
}

struct Printer<W: Write> {
    out: io::BufWriter<W>,
    /// The thread of the last line.
    thread: Option<(u32, u32)>,
    /// What was last said about each thread's place.
    places: Vec<(u32, Place)>,
}

impl<W: Write> Printer<W> {
    fn provenance(&mut self, file: &TraceFile) -> io::Result<()> {
        let provenance = &file.summary().provenance;
        writeln!(self.out, "{FIRST_LINE}")?;
        writeln!(self.out, "source {}", quote(&provenance.source))?;
        writeln!(self.out, "command {}", quote(&provenance.command))?;
        for note in &provenance.notes {
            writeln!(self.out, "note {}", quote(note))?;
        }
        for (name, count) in &provenance.ignored {
            writeln!(self.out, "ignored {count} {}", quote(name))?;
        }
        Ok(())
    }

    /// Names the thread and its place if they are not those of the line before.
    fn thread(&mut self, pid: u32, tid: u32, place: Place) -> io::Result<()> {
        if self.thread != Some((pid, tid)) {
            writeln!(self.out, "thread {pid} {tid}")?;
            self.thread = Some((pid, tid));
        }
        let known = match self.places.binary_search_by_key(&tid, |(tid, _)| *tid) {
            Ok(at) => &mut self.places[at].1,
            Err(_) if place == Place::default() => return Ok(()),
            Err(at) => {
                self.places.insert(at, (tid, Place::default()));
                &mut self.places[at].1
            }
        };
        if *known != place {
            *known = place;
            let cpu = place.cpu.map_or("-".to_owned(), |cpu| cpu.to_string());
            let time = place.time_ns.map_or("-".to_owned(), |time| time.to_string());
            writeln!(self.out, "at {cpu} {time}")?;
        }
        Ok(())
    }

    fn access(&mut self, pid: u32, tid: u32, access: RawAccess, place: Place) -> io::Result<()> {
        self.thread(pid, tid, place)?;
        let op = match access.op {
            Op::Fetch => 'I',
            Op::Load => 'L',
            Op::Store => 'S',
            Op::Modify => 'M',
        };
        writeln!(self.out, "{op} {:x},{}", access.addr, access.len)
    }

    fn event(&mut self, record: &EventRecord) -> io::Result<()> {
        self.thread(record.pid, record.tid, Place { cpu: record.cpu, time_ns: record.time_ns })?;
        let name = record.event.name();
        match &record.event {
            Event::Map { start, len, prot, kind, shared, inferred } => {
                let share = if *shared { "shared" } else { "private" };
                let kind = match kind {
                    MapKind::Anonymous => "anonymous".to_owned(),
                    MapKind::Stack => "stack".to_owned(),
                    MapKind::Heap => "heap".to_owned(),
                    MapKind::File { path, offset } => format!("file {offset:x} {}", quote(path)),
                };
                let inferred = if *inferred { " inferred" } else { "" };
                writeln!(self.out, "{name} {start:x} {len:x} {prot} {share} {kind}{inferred}")
            }
            Event::Unmap { start, len } | Event::Discard { start, len } => {
                writeln!(self.out, "{name} {start:x} {len:x}")
            }
            Event::Protect { start, len, prot } => writeln!(self.out, "{name} {start:x} {len:x} {prot}"),
            Event::Brk { end } => writeln!(self.out, "{name} {end:x}"),
            Event::Remap { old_start, old_len, new_len, new_start } => {
                let to = new_start.map_or("-".to_owned(), |start| format!("{start:x}"));
                writeln!(self.out, "{name} {old_start:x} {old_len:x} {new_len:x} {to}")
            }
            Event::Fork { child_pid, child_tid } => writeln!(self.out, "{name} {child_pid} {child_tid}"),
            Event::Clone { child_tid } => writeln!(self.out, "{name} {child_tid}"),
            Event::Exec { path } => writeln!(self.out, "{name} {}", quote(path)),
            Event::ExitThread => writeln!(self.out, "{name}"),
            Event::ExitProcess { status } => writeln!(self.out, "{name} {status}"),
            Event::Wait { child_pid } => writeln!(self.out, "{name} {child_pid}"),
            of_files => writeln!(self.out, "{name}{}", files::fields(of_files)),
        }
    }
}
