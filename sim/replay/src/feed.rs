//! The events of a trace, handed to the processes they belong to.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use pagewalk_engine::{Class, WaitQueue};
use pagewalk_kernel::TaskCounters;
use pagewalk_mmu::{PageSize, Vaddr, VaddrRange};
use pagewalk_trace::{Event, EventCursor, EventRecord, TraceError};

use super::shared_ranges::SharedRanges;

/// What waits for threads of a process to get on.
static PROGRESS: Class = Class::new(48, "recorded order");
/// What waits for a process to end.
static ENDED: Class = Class::new(49, "process ended");

/// Events of other threads that an access may be checked against; with more of them undone it waits for the first.
const LOOK_BACK: usize = 64;

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

/// The whole pages around a recorded range.
pub(super) fn pages(start: u64, len: u64) -> Option<VaddrRange> {
    let first = Vaddr(start).align_down(PageSize::BASE);
    let end = Vaddr(start.checked_add(len)?).align_up(PageSize::BASE)?;
    VaddrRange::new(first, end)
}

/// An event that has not happened yet.
pub struct Pending {
    /// The event.
    pub record: EventRecord,
    /// What it must keep its order with.
    pub reach: Reach,
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

/// How far the threads of a process are: the sequence number of what each does next, also from the least on.
#[derive(Default)]
struct Progress {
    next: BTreeMap<u32, u64>,
    order: BTreeSet<(u64, u32)>,
}

impl Progress {
    /// Thread `tid` does `seq` next. True if the least of all changed.
    fn set(&mut self, tid: u32, seq: Option<u64>) -> bool {
        let before = self.order.first().map(|&(least, _)| least);
        if let Some(old) = self.next.remove(&tid) {
            self.order.remove(&(old, tid));
        }
        if let Some(seq) = seq {
            self.next.insert(tid, seq);
            self.order.insert((seq, tid));
        }
        before != self.order.first().map(|&(least, _)| least)
    }

    /// Whether every thread but `tid` does something after `seq` next.
    fn others_are_past(&self, tid: u32, seq: u64) -> bool {
        self.order.iter().find(|&&(_, other)| other != tid).is_none_or(|&(next, _)| next > seq)
    }
}

/// A process of a trace, from the first mention to its end.
pub struct Process {
    /// Its number in the trace.
    pub pid: u32,
    /// Events to come, as far as they are read: all, and by thread.
    events: RefCell<BTreeMap<u64, Rc<Pending>>>,
    own: RefCell<BTreeMap<u32, VecDeque<Rc<Pending>>>>,
    progress: RefCell<Progress>,
    /// Woken when the slowest thread gets on or an event is done.
    pub moved: WaitQueue,
    /// Woken when the last thread is gone.
    pub ended: WaitQueue,
    /// Whether the last thread is gone.
    pub over: Cell<bool>,
    /// Whether a thread has ended the process: the others follow.
    pub exiting: Cell<bool>,
    tally: Cell<Tally>,
    /// What the threads that live have done.
    tasks: RefCell<BTreeMap<u32, Rc<TaskCounters>>>,
    heap_end: Cell<Option<u64>>,
    shared: RefCell<SharedRanges>,
}

impl Process {
    fn new(trace: usize, pid: u32) -> Self {
        let index = (trace as u64) << 32 | u64::from(pid);
        Self {
            pid,
            events: RefCell::default(),
            own: RefCell::default(),
            progress: RefCell::default(),
            moved: WaitQueue::new(&PROGRESS, index),
            ended: WaitQueue::new(&ENDED, index),
            over: Cell::new(false),
            exiting: Cell::new(false),
            tally: Cell::default(),
            tasks: RefCell::default(),
            heap_end: Cell::new(None),
            shared: RefCell::default(),
        }
    }

    /// The number is given to a new process, the one that had it being over.
    pub fn begin_anew(&self) {
        self.over.set(false);
        self.exiting.set(false);
        self.heap_end.set(None);
    }

    // ---- threads

    /// A thread begins whose first record has number `first`: from now on events wait for it to get on.
    pub fn add_thread(&self, tid: u32, first: u64) {
        self.progress.borrow_mut().set(tid, Some(first));
        self.count(|tally| tally.threads += 1);
    }

    /// A thread runs: what it does counts for the process.
    pub fn runs(&self, tid: u32, counters: &Rc<TaskCounters>) {
        self.tasks.borrow_mut().insert(tid, Rc::clone(counters));
    }

    /// A thread does record `seq` next; true if somebody may be waiting for that.
    pub fn gets_to(&self, tid: u32, seq: u64) -> bool {
        self.progress.borrow_mut().set(tid, Some(seq))
    }

    /// A thread has ended; true if it was the last.
    pub fn ends(&self, tid: u32) -> bool {
        if let Some(task) = self.tasks.borrow_mut().remove(&tid) {
            self.count(|tally| {
                tally.accesses += task.accesses.get();
                tally.faults += task.min_flt.get();
            });
        }
        for pending in self.own.borrow_mut().remove(&tid).into_iter().flatten() {
            self.events.borrow_mut().remove(&pending.record.seq);
        }
        let mut progress = self.progress.borrow_mut();
        progress.set(tid, None);
        progress.next.is_empty()
    }

    /// Whether every other thread has got past `seq`.
    pub fn others_are_past(&self, tid: u32, seq: u64) -> bool {
        self.progress.borrow().others_are_past(tid, seq)
    }

    /// Whether it has more than one thread.
    pub fn is_threaded(&self) -> bool {
        self.progress.borrow().next.len() > 1
    }

    /// Changes what is counted.
    pub fn count(&self, change: impl FnOnce(&mut Tally)) {
        let mut tally = self.tally.get();
        change(&mut tally);
        self.tally.set(tally);
    }

    /// What is counted up to now, threads that live included.
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally.get();
        for task in self.tasks.borrow().values() {
            tally.accesses += task.accesses.get();
            tally.faults += task.min_flt.get();
        }
        tally
    }

    // ---- events

    /// The next event of thread `tid`, as far as events are read.
    pub fn next_own_event(&self, tid: u32) -> Option<Rc<Pending>> {
        self.own.borrow().get(&tid)?.front().cloned()
    }

    /// The sequence number of the first event after `seq`, of any thread, as far as events are read.
    pub fn next_event_after(&self, seq: u64) -> u64 {
        self.events.borrow().range(seq + 1..).next().map_or(u64::MAX, |(&seq, _)| seq)
    }

    /// Events before `seq` that have not happened yet and that accesses must not overtake; or, if they are too many to
    /// look at, the first of them.
    pub fn blockers_before(&self, seq: u64) -> Result<Vec<Rc<Pending>>, u64> {
        let events = self.events.borrow();
        let mut blocking = events
            .range(..seq)
            .map(|(_, pending)| pending)
            .filter(|event| !matches!(event.reach, Reach::Nothing));
        let found: Vec<Rc<Pending>> = blocking.by_ref().take(LOOK_BACK).cloned().collect();
        match (blocking.next(), found.first()) {
            (Some(_), Some(first)) => Err(first.record.seq),
            _ => Ok(found),
        }
    }

    /// Whether the event numbered `seq` has happened.
    pub fn is_done(&self, seq: u64) -> bool {
        !self.events.borrow().contains_key(&seq)
    }

    /// The event numbered `seq`, the next of thread `tid`, has happened.
    pub fn done(&self, tid: u32, seq: u64) {
        self.events.borrow_mut().remove(&seq);
        if let Some(own) = self.own.borrow_mut().get_mut(&tid) {
            own.pop_front();
        }
    }

    fn push(&self, record: EventRecord, ordered: bool) {
        let ends = matches!(record.event, Event::Exec { .. } | Event::ExitProcess { .. });
        let reach = if ordered || ends { self.reach(&record.event) } else { Reach::Nothing };
        self.shared.borrow_mut().note(&record.event);
        let pending = Rc::new(Pending { record, reach });
        let (tid, seq) = (pending.record.tid, pending.record.seq);
        self.own.borrow_mut().entry(tid).or_default().push_back(Rc::clone(&pending));
        self.events.borrow_mut().insert(seq, pending);
    }

    fn reach(&self, event: &Event) -> Reach {
        let range = |start: u64, len: u64| pages(start, len).map_or(Reach::Everything, Reach::Range);
        match *event {
            Event::Map { start, len, .. }
            | Event::Unmap { start, len }
            | Event::Protect { start, len, .. } => range(start, len),
            // What is discarded of shared memory comes back as it was.
            Event::Discard { start, len } if self.shared.borrow().cover(start, len) => Reach::Nothing,
            Event::Discard { start, len } => range(start, len),
            Event::Brk { end } => match self.heap_end.replace(Some(end)) {
                Some(before) => range(before.min(end), before.abs_diff(end)),
                None => Reach::Nothing,
            },
            Event::Exec { .. } => {
                self.heap_end.set(None);
                Reach::Everything
            }
            Event::Remap { .. } | Event::Fork { .. } | Event::ExitProcess { .. } => Reach::Everything,
            Event::Clone { .. } | Event::ExitThread | Event::Wait { .. } => Reach::Nothing,
            // A page beyond the new end is gone for whoever has it mapped.
            Event::Truncate { .. } => Reach::Everything,
            // The kernel fills or reads the buffer.
            Event::Read { buffer: Some(start), len, .. } | Event::Write { buffer: Some(start), len, .. } => {
                if len == 0 {
                    Reach::Nothing
                } else {
                    range(start, len)
                }
            }
            _ => Reach::Nothing,
        }
    }
}

/// Reads the events of a trace as far as somebody needs them.
///
/// An event is held from the time the first thread gets to it until its own thread has done it, so memory follows how
/// far threads drift apart, not the length of the trace.
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

    /// The sequence number of the first event not read yet.
    pub fn unread(&self) -> u64 {
        self.next.as_ref().map_or(u64::MAX, |record| record.seq)
    }

    /// Hands out the next event if its number is at most `seq`; false if it is not.
    ///
    /// # Errors
    /// If the trace cannot be read.
    pub fn read_one(&mut self, seq: u64) -> Result<bool, TraceError> {
        let Some(record) = self.next.take_if(|record| record.seq <= seq) else { return Ok(false) };
        let ordered = self.ordered;
        let process = self.process(record.pid);
        if let Event::Fork { child_pid, .. } = record.event {
            let child = self.process(child_pid);
            let shared = process.shared.borrow().clone();
            child.shared.replace(shared);
        }
        process.push(record, ordered);
        self.next = self.cursor.next()?;
        Ok(true)
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
