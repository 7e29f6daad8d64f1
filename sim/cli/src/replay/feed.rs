//! The events of a trace, handed to the processes they belong to.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use pagewalk_engine::{Class, WaitQueue};
use pagewalk_kernel::TaskCounters;
use pagewalk_mmu::{Vaddr, VaddrRange};
use pagewalk_trace::{Event, EventCursor, EventRecord, TraceError};

/// What waits for threads of a process to get on.
static PROGRESS: Class = Class::new(48, "recorded order");
/// What waits for a process to end.
static ENDED: Class = Class::new(49, "process ended");

/// Which accesses of other threads an event must not be overtaken by, nor overtake.
#[derive(Clone, Copy, Debug)]
pub enum Reach {
    /// None.
    Nothing,
    /// Those to a range.
    Range(VaddrRange),
    /// All.
    Everything,
}

impl Reach {
    /// Whether it holds an access of `len` bytes at `start`.
    pub fn holds(self, start: u64, len: u16) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Range(range) => start < range.end().0 && start + u64::from(len) > range.start().0,
        }
    }
}

/// An event that has not happened yet.
pub struct Pending {
    /// The event.
    pub record: EventRecord,
    /// What it must keep its order with.
    pub reach: Reach,
}

/// A process of a trace, from the first mention to its end.
pub struct Process {
    /// Its number in the trace.
    pub pid: u32,
    /// Events to come, by sequence number, as far as they are read.
    pub events: RefCell<VecDeque<Rc<Pending>>>,
    /// For each thread that lives: the sequence number of what it does next.
    pub threads: RefCell<BTreeMap<u32, u64>>,
    /// Woken when a thread gets on or an event is done.
    pub progress: WaitQueue,
    /// Woken when the last thread is gone.
    pub ended: WaitQueue,
    /// Whether the last thread is gone.
    pub over: Cell<bool>,
    /// Whether a thread has ended the process: the others follow.
    pub exiting: Cell<bool>,
    /// What the account says of it, threads that live apart.
    pub tally: Cell<Tally>,
    /// What the threads that live have done.
    pub tasks: RefCell<BTreeMap<u32, Rc<TaskCounters>>>,
    heap_end: Cell<Option<u64>>,
}

/// What is counted for a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Threads it has had.
    pub threads: u64,
    /// Accesses executed.
    pub accesses: u64,
    /// Page faults.
    pub faults: u64,
    /// The most pages resident at one time.
    pub peak_rss: u64,
}

impl Process {
    fn new(trace: usize, pid: u32) -> Self {
        let index = (trace as u64) << 32 | u64::from(pid);
        Self {
            pid,
            events: RefCell::default(),
            threads: RefCell::default(),
            progress: WaitQueue::new(&PROGRESS, index),
            ended: WaitQueue::new(&ENDED, index),
            over: Cell::new(false),
            exiting: Cell::new(false),
            tally: Cell::default(),
            tasks: RefCell::default(),
            heap_end: Cell::new(None),
        }
    }

    /// Changes what is counted.
    pub fn count(&self, change: impl FnOnce(&mut Tally)) {
        let mut tally = self.tally.get();
        change(&mut tally);
        self.tally.set(tally);
    }

    /// The account of a thread that ends becomes its process's.
    pub fn thread_ended(&self, tid: u32) {
        let Some(task) = self.tasks.borrow_mut().remove(&tid) else { return };
        self.count(|tally| {
            tally.accesses += task.accesses.get();
            tally.faults += task.min_flt.get();
        });
    }

    /// What is counted up to now, threads that live included.
    pub fn tally_now(&self) -> Tally {
        let mut tally = self.tally.get();
        for task in self.tasks.borrow().values() {
            tally.accesses += task.accesses.get();
            tally.faults += task.min_flt.get();
        }
        tally
    }

    /// The next event of thread `tid`.
    pub fn next_own_event(&self, tid: u32) -> Option<Rc<Pending>> {
        self.events.borrow().iter().find(|pending| pending.record.tid == tid).cloned()
    }

    /// The sequence number of the first event after `seq`, of any thread.
    pub fn next_event_after(&self, seq: u64) -> u64 {
        let events = self.events.borrow();
        let after = events.partition_point(|pending| pending.record.seq <= seq);
        events.get(after).map_or(u64::MAX, |pending| pending.record.seq)
    }

    /// Events before `seq` that have not happened yet and that accesses must not overtake.
    pub fn blockers_before(&self, seq: u64) -> Vec<Rc<Pending>> {
        let events = self.events.borrow();
        let before = events.iter().take_while(|pending| pending.record.seq < seq);
        before.filter(|pending| !matches!(pending.reach, Reach::Nothing)).cloned().collect()
    }

    /// Whether every other thread has got past `seq`.
    pub fn others_are_past(&self, tid: u32, seq: u64) -> bool {
        self.threads.borrow().iter().all(|(&other, &next)| other == tid || next > seq)
    }

    /// Whether the event numbered `seq` has happened.
    pub fn is_done(&self, seq: u64) -> bool {
        self.events.borrow().iter().all(|pending| pending.record.seq != seq)
    }

    /// The event numbered `seq` has happened.
    pub fn done(&self, seq: u64) {
        self.events.borrow_mut().retain(|pending| pending.record.seq != seq);
    }

    fn push(&self, record: EventRecord, ordered: bool) {
        let reach = if ordered { self.reach(&record.event) } else { Reach::Nothing };
        self.events.borrow_mut().push_back(Rc::new(Pending { record, reach }));
    }

    fn reach(&self, event: &Event) -> Reach {
        let range = |start: u64, len: u64| {
            VaddrRange::with_len(Vaddr(start), len).map_or(Reach::Everything, Reach::Range)
        };
        match *event {
            Event::Map { start, len, .. }
            | Event::Unmap { start, len }
            | Event::Protect { start, len, .. }
            | Event::Discard { start, len } => range(start, len),
            Event::Brk { end } => match self.heap_end.replace(Some(end)) {
                Some(before) => range(before.min(end), before.abs_diff(end)),
                None => Reach::Nothing,
            },
            Event::Remap { .. } | Event::Fork { .. } | Event::Exec { .. } | Event::ExitProcess { .. } => {
                Reach::Everything
            }
            Event::Clone { .. } | Event::ExitThread | Event::Wait { .. } => Reach::Nothing,
        }
    }
}

/// Reads the events of a trace as far as somebody needs them.
///
/// An event is held from the time the first thread gets near it until its own thread has done it, so memory follows
/// how far processes drift apart, not the length of the trace.
pub struct Feed {
    cursor: EventCursor,
    next: Option<EventRecord>,
    trace: usize,
    ordered: bool,
    processes: BTreeMap<u32, Rc<Process>>,
}

impl Feed {
    /// The feed of trace number `trace`. With `ordered`, accesses keep the recorded order with the events that change
    /// what they touch.
    ///
    /// # Errors
    /// If the trace cannot be read.
    pub fn new(mut cursor: EventCursor, trace: usize, ordered: bool) -> Result<Self, TraceError> {
        let next = cursor.next()?;
        Ok(Self { cursor, next, trace, ordered, processes: BTreeMap::new() })
    }

    /// Hands out every event up to and including number `seq`.
    ///
    /// # Errors
    /// If the trace cannot be read.
    pub fn read_through(&mut self, seq: u64) -> Result<(), TraceError> {
        while let Some(record) = self.next.take_if(|record| record.seq <= seq) {
            let ordered = self.ordered;
            self.process(record.pid).push(record, ordered);
            self.next = self.cursor.next()?;
        }
        Ok(())
    }

    /// The process numbered `pid`.
    pub fn process(&mut self, pid: u32) -> Rc<Process> {
        let trace = self.trace;
        Rc::clone(self.processes.entry(pid).or_insert_with(|| Rc::new(Process::new(trace, pid))))
    }

    /// All processes mentioned so far.
    pub fn processes(&self) -> impl Iterator<Item = &Rc<Process>> {
        self.processes.values()
    }
}
