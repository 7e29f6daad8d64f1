//! One run: the machine, its processes, and what they did.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use pagewalk_engine::{ContextId, CpuId, Stop};
use pagewalk_input::Refusal;
use pagewalk_kernel::{AntagonistSpec, Errno, Kernel, Mm, Observer, Segv, Task};
use pagewalk_machine::{Machine, Parts};
use pagewalk_trace::{EventRecord, ThreadInfo, TraceError, TraceFile};

use super::batch::Batch;
use super::decoded::DecodedTrace;
use super::feed::{Feed, Process};
use super::files::Files;
use super::inspect::inspect;
use super::place::Placement;
use super::progress::Shared;
use super::run_options::RunOptions;
use super::thread::run_thread;
use crate::perfetto::Tracer;
use crate::report::Footprint;
use crate::trace_error::diagnose;
use crate::watch::{Several, Watch};

/// What a replay does with its traces.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The run itself.
    pub run: RunOptions,
    /// Keep accesses in the recorded order with the events that change what they touch.
    pub ordered: bool,
    /// Count where misses and faults come from.
    pub origin: bool,
    /// Accesses numbered below are passed over; events are not.
    pub first_seq: u64,
    /// Records numbered from here on are not executed.
    pub end_seq: u64,
    /// Which thread runs where.
    pub placement: Placement,
    /// What acts beside the programs.
    pub antagonists: Vec<AntagonistSpec>,
    /// Of what `--memory` was a percentage.
    pub footprint: Option<Footprint>,
}

impl ReplayOptions {
    /// All of every trace, in the recorded order, one thread on each CPU in turn, with nothing beside the programs.
    #[must_use]
    pub fn whole(run: RunOptions) -> Self {
        Self {
            run,
            ordered: true,
            origin: true,
            first_seq: 0,
            end_seq: u64::MAX,
            placement: Placement::Spread,
            antagonists: Vec::new(),
            footprint: None,
        }
    }
}

/// A trace in a replay.
pub struct ReplayedTrace {
    /// As the user named it.
    pub name: String,
    /// The open file.
    pub file: TraceFile,
    /// Its events.
    pub feed: RefCell<Feed>,
    /// The files it uses.
    pub files: Files,
    /// Its decoded blocks, if runs share them.
    decoded: Option<Arc<DecodedTrace>>,
    roots: Vec<ThreadInfo>,
}

impl ReplayedTrace {
    /// The trace of this number.
    fn new(file: TraceFile, number: usize, ordered: bool, shared: &Shared) -> Result<Self, Refusal> {
        let inspected = inspect(&file)?;
        let feed = Feed::new(file.events(), number, ordered).map_err(|error| diagnose(&error))?;
        Ok(Self {
            name: file.name().to_owned(),
            decoded: shared.decoded().map(|decoded| decoded.open(&file)),
            file,
            feed: RefCell::new(feed),
            files: Files::new(inspected.files),
            roots: inspected.roots,
        })
    }

    /// Accesses executed from it so far.
    pub fn executed(&self) -> u64 {
        self.feed.borrow().processes().map(|process| process.tally().accesses).sum()
    }
}

/// A run under way.
pub struct Replay {
    /// The machine.
    pub kernel: Rc<Kernel>,
    /// Its traces.
    pub traces: Vec<ReplayedTrace>,
    /// What to do with them.
    pub options: ReplayOptions,
    /// Where its misses and faults come from.
    pub watch: Rc<Watch>,
    /// Who writes down what happens, if somebody does.
    pub tracer: Option<Rc<Tracer>>,
    shared: Arc<Shared>,
    started: Cell<u32>,
    first_segv: Cell<Option<Segv>>,
    refused: RefCell<Vec<String>>,
    refusals: Cell<u64>,
    error: RefCell<Option<TraceError>>,
    this: std::rc::Weak<Replay>,
}

/// Who else is told what happens in a run.
#[derive(Clone, Default)]
pub struct Watchers {
    /// Writes it down for Perfetto's viewer.
    pub tracer: Option<Rc<Tracer>>,
    /// Anybody.
    pub observer: Option<Rc<dyn Observer>>,
}

impl Watchers {
    /// From now on `kernel` tells all of them, and `watch`.
    fn attach(self, kernel: &Kernel, watch: Option<&Rc<Watch>>) {
        let Self { tracer, observer } = self;
        if let Some(tracer) = tracer.clone() {
            kernel.engine.watch_switches(Rc::new(move |cpu, to| tracer.switched(cpu, to)));
        }
        let origin = watch.map(|watch| Rc::clone(watch) as Rc<dyn Observer>);
        let written = tracer.map(|tracer| tracer as Rc<dyn Observer>);
        let mut observers: Vec<_> = origin.into_iter().chain(written).chain(observer).collect();
        match observers.len() {
            0 => {}
            1 => kernel.watch(observers.remove(0)),
            _ => kernel.watch(Rc::new(Several(observers))),
        }
    }
}

/// How a run ended, and everything needed for its account.
pub struct Finished {
    /// The run.
    pub replay: Rc<Replay>,
    /// Why it ended.
    pub stop: Stop,
}

/// At least so many epochs of a long run are told apart, at most twice as many.
const EPOCHS: usize = 100;
/// Refused calls that are quoted; the rest is counted.
const REFUSALS_KEPT: usize = 8;

impl Replay {
    /// Replays `traces` on `machine` to their end.
    ///
    /// # Errors
    /// If a trace cannot be read or holds what cannot be replayed.
    pub fn run(
        machine: &Machine,
        traces: &[String],
        options: ReplayOptions,
        shared: Arc<Shared>,
    ) -> Result<Finished, Refusal> {
        Self::run_watched(machine, traces, options, shared, Watchers::default())
    }

    /// As [`Replay::run`], with others told what happens.
    ///
    /// # Errors
    /// If a trace cannot be read or holds what cannot be replayed.
    pub fn run_watched(
        machine: &Machine,
        traces: &[String],
        options: ReplayOptions,
        shared: Arc<Shared>,
        watchers: Watchers,
    ) -> Result<Finished, Refusal> {
        let open = |name: &String| TraceFile::open(name).map_err(|error| diagnose(&error));
        Self::run_files(machine, traces.iter().map(open), options, shared, watchers)
    }

    /// As [`Replay::run_watched`], with traces that are open already: they may be in memory, so that no file is needed.
    ///
    /// # Errors
    /// If a trace is damaged or holds what cannot be replayed.
    pub fn run_open(
        machine: &Machine,
        traces: Vec<TraceFile>,
        options: ReplayOptions,
        shared: Arc<Shared>,
        watchers: Watchers,
    ) -> Result<Finished, Refusal> {
        Self::run_files(machine, traces.into_iter().map(Ok), options, shared, watchers)
    }

    fn run_files(
        machine: &Machine,
        traces: impl Iterator<Item = Result<TraceFile, Refusal>>,
        options: ReplayOptions,
        shared: Arc<Shared>,
        watchers: Watchers,
    ) -> Result<Finished, Refusal> {
        let Parts { engine, hardware, kernel } = options.run.parts(machine);
        let kernel = Kernel::new(engine, &hardware, kernel).expect("a machine that was checked can be built");
        let traces = traces
            .enumerate()
            .map(|(number, file)| ReplayedTrace::new(file?, number, options.ordered, &shared));
        let traces: Vec<ReplayedTrace> = traces.collect::<Result<_, _>>()?;
        let watch = Rc::new(Watch::new(EPOCHS));
        let tracer = watchers.tracer.clone();
        watchers.attach(&kernel, (options.origin || tracer.is_some()).then_some(&watch));
        let replay = Rc::new_cyclic(|this| Self {
            kernel,
            watch,
            tracer,
            traces,
            options,
            shared,
            started: Cell::new(0),
            first_segv: Cell::new(None),
            refused: RefCell::default(),
            refusals: Cell::new(0),
            error: RefCell::new(None),
            this: std::rc::Weak::clone(this),
        });
        (0..replay.traces.len()).for_each(|number| replay.start_roots(number));
        replay.kernel.start_antagonists(&replay.options.antagonists, replay.options.run.seed);
        let stop = replay.kernel.engine.run();
        match replay.error.take() {
            Some(error) => Err(diagnose(&error)),
            None => Ok(Finished { replay, stop }),
        }
    }

    /// Starts the threads that no other thread of the trace creates.
    fn start_roots(&self, trace: usize) {
        for threads in self.traces[trace].roots.chunk_by(|one, other| one.pid == other.pid) {
            self.boot(trace, threads[0].pid, threads.iter().map(|info| info.tid).collect());
        }
    }

    /// A process that nobody forked: it begins with an empty address space.
    fn boot(&self, trace: usize, pid: u32, tids: Vec<u32>) {
        let replay = self.this.upgrade().expect("a run is shared");
        let cpu = self.next_cpu(pid);
        let process = self.traces[trace].feed.borrow_mut().process(pid);
        tids.iter().for_each(|&tid| self.announce_thread(trace, &process, tid));
        let first = tids[0];
        let id = self.kernel.engine.spawn(cpu, async move |cx| {
            let mm = Mm::alloc(&replay.kernel, &cx).await;
            if replay.kernel.config().group_limit > 0 {
                mm.join_group(trace as u16 + 1);
            }
            let others = &tids[1..];
            for &tid in others {
                mm.add_user(&cx).await;
                replay.spawn_thread(trace, &process, Rc::clone(&mm), tid, replay.next_cpu(pid));
            }
            let task = Task::new(cx, Rc::clone(&replay.kernel), mm, pid, tids[0]);
            let info = replay.info(trace, pid, tids[0]);
            run_thread(replay, trace, process, task, info).await;
        });
        self.name_thread(id, trace, pid, first);
    }

    /// Starts thread `tid`, whose user of `mm` is counted already.
    pub fn start_thread(&self, trace: usize, process: &Rc<Process>, mm: Rc<Mm>, tid: u32) {
        self.announce_thread(trace, process, tid);
        let cpu = self.next_cpu(process.pid);
        self.spawn_thread(trace, process, mm, tid, cpu);
    }

    /// From now on the thread is part of its process, and events wait for it to get on.
    fn announce_thread(&self, trace: usize, process: &Process, tid: u32) {
        let first = self.info(trace, process.pid, tid).first_seq;
        process.add_thread(tid, first);
    }

    fn spawn_thread(&self, trace: usize, process: &Rc<Process>, mm: Rc<Mm>, tid: u32, cpu: CpuId) {
        let replay = self.this.upgrade().expect("a run is shared");
        let process = Rc::clone(process);
        let info = self.info(trace, process.pid, tid);
        let pid = process.pid;
        let id = self.kernel.engine.spawn(cpu, |cx| {
            let task = Task::new(cx, Rc::clone(&replay.kernel), mm, process.pid, tid);
            run_thread(replay, trace, process, task, info)
        });
        self.name_thread(id, trace, pid, tid);
    }

    /// Tells the observers which thread context `id` is.
    fn name_thread(&self, id: ContextId, trace: usize, pid: u32, tid: u32) {
        self.watch.thread(id, trace, pid, tid);
        if let Some(tracer) = &self.tracer {
            let command = &self.traces[trace].file.summary().provenance.command;
            let program = command.split_whitespace().next().filter(|word| !word.starts_with('('));
            let program = program.and_then(|word| word.rsplit('/').next()).unwrap_or("program");
            let thread = if tid == pid { String::new() } else { format!(" thread {tid}") };
            tracer.thread(id, format!("{program} {pid}{thread}"));
        }
    }

    fn info(&self, trace: usize, pid: u32, tid: u32) -> ThreadInfo {
        let threads = self.traces[trace].file.threads();
        let known = threads.binary_search_by_key(&(pid, tid), |info| (info.pid, info.tid));
        // A thread that is created and does nothing has no entry.
        let nothing = ThreadInfo { pid, tid, first_seq: u64::MAX, last_seq: 0, accesses: 0, events: 0 };
        known.map_or(nothing, |index| threads[index].clone())
    }

    fn next_cpu(&self, pid: u32) -> CpuId {
        let number = self.started.get();
        self.started.set(number + 1);
        self.options.placement.cpu(number, pid, self.kernel.engine.cpus().len() as u16)
    }

    /// Gives a thread its next block; false if the trace is damaged, which ends the run.
    pub fn refill(&self, trace: usize, batch: &mut Batch) -> bool {
        let decoded = self.shared.decoded().zip(self.traces[trace].decoded.as_ref());
        batch.refill(decoded, self.options.first_seq).map_err(|error| self.fail(error)).is_ok()
    }

    /// Reads events up to the thread's next access; or, if it has none left, up to its own next event. False if the trace
    /// is damaged, which ends the run.
    pub fn read_events(&self, trace: usize, process: &Process, info: &ThreadInfo, access: u64) -> bool {
        let mut feed = self.traces[trace].feed.borrow_mut();
        let last = access.min(info.last_seq).min(self.options.end_seq);
        loop {
            if access == u64::MAX && process.next_own_event(info.tid).is_some() {
                return true;
            }
            match feed.read_one(last) {
                Ok(true) => {}
                Ok(false) => return true,
                Err(error) => {
                    self.fail(error);
                    return false;
                }
            }
        }
    }

    fn fail(&self, error: TraceError) {
        self.error.borrow_mut().get_or_insert(error);
        self.kernel.engine.stop("the trace cannot be read");
    }

    /// So many accesses were executed.
    pub fn progressed(&self, accesses: u64) {
        self.shared.progress().executed(accesses);
    }

    /// Whether whoever waits wants the run to end.
    pub fn wants_stop(&self) -> bool {
        self.shared.progress().stop()
    }

    /// Remembers the first access outside every mapping.
    pub fn note_segv(&self, segv: Option<Segv>) {
        if self.first_segv.get().is_none() {
            self.first_segv.set(segv);
        }
    }

    /// The first access outside every mapping.
    pub fn first_segv(&self) -> Option<Segv> {
        self.first_segv.get()
    }

    /// Remembers that the kernel refused a recorded call, and why.
    pub fn note_refusal(&self, record: &EventRecord, errno: Errno) {
        self.refusals.set(self.refusals.get() + 1);
        let mut quoted = self.refused.borrow_mut();
        if quoted.len() < REFUSALS_KEPT {
            quoted.push(format!("record {}: {} returned {errno}", record.seq, record.event.name()));
        }
    }

    /// How many recorded calls the kernel refused, and the first of them.
    pub fn refusals(&self) -> (u64, Vec<String>) {
        (self.refusals.get(), self.refused.borrow().clone())
    }
}
