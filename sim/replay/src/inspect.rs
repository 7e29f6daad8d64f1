//! What must hold of a trace before it can be replayed, checked before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use pagewalk_input::{Place, Refusal};
use pagewalk_trace::{Event, EventRecord, ThreadInfo, TraceFile};

use super::files::FileList;
use crate::trace_error::diagnose;

/// What is known of a trace before it runs.
pub(crate) struct Inspected {
    /// The threads that no other thread of the trace creates, ascending by process and thread.
    pub(super) roots: Vec<ThreadInfo>,
    /// The files that it uses.
    pub(super) files: FileList,
}

/// What is known of threads and processes up to an event.
struct Inspection<'a> {
    file: &'a TraceFile,
    by_tid: BTreeMap<u32, &'a ThreadInfo>,
    created: BTreeSet<u32>,
    /// Processes that exist.
    live: BTreeSet<u32>,
    /// Processes that exist or have existed.
    known: BTreeSet<u32>,
}

/// Whether the trace can be replayed.
///
/// # Errors
/// If the trace is damaged, or cannot be replayed: a thread created twice, after its first record, or in another process
/// than its records say; records after an exit; a wait for a process that nothing starts.
pub fn check(file: &TraceFile) -> Result<(), Refusal> {
    inspect(file).map(drop)
}

/// Looks through the events of a trace.
///
/// # Errors
/// As [`check`].
pub(super) fn inspect(file: &TraceFile) -> Result<Inspected, Refusal> {
    let damaged = |error| diagnose(&error);
    let mut created = BTreeSet::new();
    let mut events = file.events();
    while let Some(record) = events.next().map_err(damaged)? {
        if let Event::Fork { child_tid, .. } | Event::Clone { child_tid } = record.event {
            created.insert(child_tid);
        }
    }
    let roots: Vec<ThreadInfo> =
        file.threads().iter().filter(|info| !created.contains(&info.tid)).cloned().collect();
    let live: BTreeSet<u32> = roots.iter().map(|info| info.pid).collect();
    let mut inspection = Inspection {
        file,
        by_tid: file.threads().iter().map(|info| (info.tid, info)).collect(),
        created: BTreeSet::new(),
        known: live.clone(),
        live,
    };
    let mut files = FileList::default();
    let mut events = file.events();
    while let Some(record) = events.next().map_err(damaged)? {
        inspection.check(&record)?;
        files.note(&record);
    }
    Ok(Inspected { roots, files })
}

impl Inspection<'_> {
    fn check(&mut self, record: &EventRecord) -> Result<(), Refusal> {
        match record.event {
            Event::Fork { child_pid, child_tid } => {
                if !self.live.insert(child_pid) {
                    let found = format!("process {child_pid} is forked while it exists");
                    return Err(self.refuse(record, &found, "a number that no living process has"));
                }
                self.known.insert(child_pid);
                self.creates(record, child_pid, child_tid)
            }
            Event::Clone { child_tid } => self.creates(record, record.pid, child_tid),
            Event::Wait { child_pid } if !self.known.contains(&child_pid) => {
                let found = format!("a wait for process {child_pid}, which nothing before it starts");
                Err(self.refuse(record, &found, "a process forked before"))
            }
            Event::ExitProcess { .. } => {
                self.live.remove(&record.pid);
                self.exits(record)
            }
            Event::ExitThread => self.exits(record),
            _ => Ok(()),
        }
    }

    fn creates(&mut self, record: &EventRecord, pid: u32, tid: u32) -> Result<(), Refusal> {
        if !self.created.insert(tid) {
            let found = format!("thread {tid} is created a second time");
            return Err(self.refuse(record, &found, "a number for each thread"));
        }
        match self.by_tid.get(&tid) {
            Some(info) if info.pid != pid => {
                let found =
                    format!("thread {tid} is created in process {pid} and has records in {}", info.pid);
                Err(self.refuse(record, &found, "records of the same process"))
            }
            Some(info) if info.first_seq <= record.seq => {
                let found = format!("thread {tid} is created after its first record, {}", info.first_seq);
                Err(self.refuse(record, &found, "a creation before the first record"))
            }
            _ => Ok(()),
        }
    }

    fn exits(&self, record: &EventRecord) -> Result<(), Refusal> {
        let last = self.by_tid.get(&record.tid).map_or(record.seq, |info| info.last_seq);
        if last > record.seq {
            let found = format!("thread {} exits and goes on to record {last}", record.tid);
            return Err(self.refuse(record, &found, "an exit as the thread's last record"));
        }
        Ok(())
    }

    fn refuse(&self, record: &EventRecord, found: &str, expected: &str) -> Refusal {
        let place = Place::File { file: self.file.name().to_owned() };
        Refusal::new(place, format!("record {} cannot be replayed", record.seq))
            .found(found)
            .expected(expected)
    }
}
