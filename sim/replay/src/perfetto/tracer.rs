//! The observer that writes what happens as slices on the tracks of the CPUs.

use std::cell::RefCell;

use pagewalk_engine::{ContextId, Cpu, Engine};
use pagewalk_input::Refusal;
use pagewalk_kernel::{Errno, FaultEnd, Observer, Shootdown, Syscall, Task};
use pagewalk_mmu::{AccessKind, PageFault, VaddrRange};

use super::writer::{Writer, text};
use crate::report::{Series, Timeline};

/// The trace holds less than the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Events written.
    pub events: u64,
    /// The clock at which it was cut, in cycles.
    pub clock: u64,
}

/// A kernel path that a context is in.
struct Path {
    category: &'static str,
    name: String,
    args: String,
}

/// What is known of a context.
#[derive(Default)]
struct Thread {
    name: String,
    /// Where it is in the kernel, innermost last.
    paths: Vec<Path>,
}

/// A CPU's track.
#[derive(Default)]
struct Track {
    /// Who has the CPU, and since when.
    running: Option<(ContextId, u64)>,
    /// Slices open on the track.
    open: usize,
    /// The clock of its last event.
    last: u64,
}

struct State {
    writer: Writer,
    limit: u64,
    cut: Option<Cut>,
    tracks: Vec<Track>,
    threads: Vec<Thread>,
    /// Shootdowns under way: number, the sender's CPU, and when.
    shootdowns: Vec<(u64, usize, u64)>,
}

/// The observer.
pub struct Tracer(RefCell<Option<State>>);

/// Numbers of CPUs are below this power of two.
const CPU_BITS: u32 = 8;

impl Tracer {
    /// Begins a trace of at most about `limit` events, for `cpus` CPUs of `mhz`.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(file: &str, limit: u64, cpus: usize, mhz: u64) -> Result<Self, Refusal> {
        let mut writer = Writer::create(file, mhz)?;
        (0..cpus).for_each(|cpu| writer.name_cpu(cpu));
        let tracks = (0..cpus).map(|_| Track::default()).collect();
        let (threads, shootdowns) = (Vec::new(), Vec::new());
        let state = State { writer, limit, cut: None, tracks, threads, shootdowns };
        Ok(Self(RefCell::new(Some(state))))
    }

    /// Context `id` is called `name` from now on.
    pub fn thread(&self, id: ContextId, name: String) {
        self.with(|state| *state.thread(id) = Thread { name, paths: Vec::new() });
    }

    /// `cpu` got a context, or its context leaves it.
    pub fn switched(&self, cpu: &Cpu, to: Option<ContextId>) {
        let (index, now) = (usize::from(cpu.id().0), cpu.clock());
        self.with(|state| match to {
            Some(id) => state.tracks[index].running = Some((id, now)),
            None => {
                state.ready(index);
                state.close(index, now);
                state.tracks[index].running = None;
                state.has_room(index, now);
            }
        });
    }

    /// Closes what is open, adds the counters of `timeline`, and completes the file. Tells whether the trace was cut.
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn finish(
        &self,
        engine: &Engine,
        timeline: &Timeline,
        command: &str,
    ) -> Result<Option<Cut>, Refusal> {
        let Some(mut state) = self.0.borrow_mut().take() else { return Ok(None) };
        for (index, cpu) in engine.cpus().iter().enumerate() {
            if state.cut.is_none() {
                state.ready(index);
                state.close(index, cpu.clock());
            }
        }
        let end = engine.cpus().iter().map(|cpu| cpu.clock()).max().unwrap_or(0);
        counters(&mut state.writer, timeline, end);
        state.writer.finish(command)?;
        Ok(state.cut)
    }

    /// Does something unless the trace is complete.
    fn with(&self, act: impl FnOnce(&mut State)) {
        if let Some(state) = &mut *self.0.borrow_mut() {
            act(state);
        }
    }
}

impl State {
    fn thread(&mut self, id: ContextId) -> &mut Thread {
        let index = id.number() as usize;
        if self.threads.len() <= index {
            self.threads.resize_with(index + 1, Thread::default);
        }
        &mut self.threads[index]
    }

    /// Opens the slices of who has the CPU, if they are not: the thread, and the paths it was in when it slept. (Not at the
    /// switch itself: the first comes before the thread has a name.)
    fn ready(&mut self, cpu: usize) {
        let track = &self.tracks[cpu];
        let Some((id, since)) = track.running.filter(|_| track.open == 0 && self.cut.is_none()) else {
            return;
        };
        let thread = std::mem::take(self.thread(id));
        let name = match thread.name.as_str() {
            "" => format!("kernel thread {}", id.number()),
            name => name.to_owned(),
        };
        self.writer.begin(cpu, since, "thread", &name, "");
        self.tracks[cpu].last = since;
        for path in &thread.paths {
            self.writer.begin(cpu, since, path.category, &path.name, "\"continued\":true");
        }
        self.tracks[cpu].open = 1 + thread.paths.len();
        *self.thread(id) = thread;
    }

    /// Closes everything open on a track.
    fn close(&mut self, cpu: usize, now: u64) {
        for _ in 0..std::mem::take(&mut self.tracks[cpu].open) {
            self.writer.end(cpu, now, "");
        }
    }

    /// Whether another slice may begin. At the limit every track is closed, and nothing more is written.
    fn has_room(&mut self, cpu: usize, now: u64) -> bool {
        self.tracks[cpu].last = now;
        if self.cut.is_none() && self.writer.events() >= self.limit {
            for index in 0..self.tracks.len() {
                self.close(index, self.tracks[index].last);
            }
            self.cut = Some(Cut { events: self.writer.events(), clock: now });
        }
        self.cut.is_none()
    }

    fn enter(&mut self, current: &Task, category: &'static str, name: &str, args: String) {
        let (cpu, now) = (usize::from(current.cpu().id().0), current.cpu().clock());
        self.ready(cpu);
        if self.has_room(cpu, now) {
            self.writer.begin(cpu, now, category, name, &args);
            self.tracks[cpu].open += 1;
        }
        self.thread(current.id()).paths.push(Path { category, name: name.to_owned(), args });
    }

    fn leave(&mut self, current: &Task, args: &str) {
        let (cpu, now) = (usize::from(current.cpu().id().0), current.cpu().clock());
        self.ready(cpu);
        let Some(path) = self.thread(current.id()).paths.pop() else { return };
        if self.cut.is_none() {
            // A slice that was continued has lost what it began with.
            let separator = if args.is_empty() || path.args.is_empty() { "" } else { "," };
            self.writer.end(cpu, now, &format!("{}{separator}{args}", path.args));
            (self.tracks[cpu].open, self.tracks[cpu].last) = (self.tracks[cpu].open - 1, now);
        }
    }
}

/// The members of a JSON object that say which range.
fn range_args(range: VaddrRange) -> String {
    format!("\"start\":\"{:#x}\",\"pages\":{}", range.start().0, range.len() >> pagewalk_mmu::BASE_SHIFT)
}

impl Observer for Tracer {
    fn fault_begins(&self, current: &Task, fault: PageFault) {
        let access = match fault.kind {
            AccessKind::Fetch => "fetch",
            AccessKind::Load => "load",
            AccessKind::Store => "store",
            AccessKind::Modify => "read-modify-write",
        };
        let args = format!("\"address\":\"{:#x}\",\"access\":\"{access}\"", fault.vaddr.0);
        self.with(|state| state.enter(current, "fault", "page fault", args));
    }

    fn fault_ends(&self, current: &Task, end: Option<FaultEnd<'_>>) {
        let args = match end {
            Some(end) => format!("\"kind\":\"{}\",\"mapping\":{}", end.kind.name(), text(end.area.label())),
            None => "\"kind\":\"outside any mapping\"".to_owned(),
        };
        self.with(|state| state.leave(current, &args));
    }

    fn syscall_begins(&self, current: &Task, call: Syscall, range: Option<VaddrRange>) {
        let args = range.map_or_else(String::new, range_args);
        self.with(|state| state.enter(current, "syscall", call.name(), args));
    }

    fn syscall_ends(&self, current: &Task, _: Syscall, error: Option<Errno>) {
        let args = error.map_or_else(String::new, |error| format!("\"error\":{}", text(&error.to_string())));
        self.with(|state| state.leave(current, &args));
    }

    fn shootdown_sent(&self, current: &Task, shootdown: Shootdown<'_>) {
        self.with(|state| {
            let whole = !shootdown.single;
            let range = range_args(shootdown.range);
            let args = format!("{range},\"whole\":{whole},\"receivers\":{}", shootdown.receivers.len());
            state.enter(current, "shootdown", "TLB shootdown", args);
            if state.cut.is_none() {
                let from = usize::from(current.cpu().id().0);
                state.shootdowns.push((shootdown.number, from, current.cpu().clock()));
            }
        });
    }

    fn shootdown_received(&self, cpu: &Cpu, number: u64, began: u64) {
        let (index, now) = (usize::from(cpu.id().0), cpu.clock());
        self.with(|state| {
            state.ready(index);
            let sent = state.shootdowns.iter().find(|(sent, ..)| *sent == number);
            let Some(&(_, from, at)) = sent.filter(|_| state.cut.is_none()) else { return };
            state.writer.begin(index, began, "shootdown", "flush TLB", &format!("\"from\":\"CPU {from}\""));
            state.writer.flow(number << CPU_BITS | index as u64, (from, at), (index, began));
            state.writer.end(index, now, "");
            state.tracks[index].last = now;
        });
    }

    fn shootdown_done(&self, current: &Task, number: u64) {
        self.with(|state| {
            state.shootdowns.retain(|(sent, ..)| *sent != number);
            state.leave(current, "");
        });
    }
}

/// The timeline as counters: counts of an epoch from its beginning, levels likewise.
fn counters(writer: &mut Writer, timeline: &Timeline, end: u64) {
    for Series { title, level, values, .. } in timeline.series() {
        let name = if level { title.to_owned() } else { format!("{title} an epoch") };
        for (epoch, &value) in values.iter().enumerate() {
            writer.counter(&name, (epoch as u64).saturating_mul(timeline.epoch_cycles), value);
        }
        if let Some(&last) = values.last() {
            writer.counter(
                &name,
                end.max((values.len() as u64 - 1).saturating_mul(timeline.epoch_cycles)),
                if level { last } else { 0 },
            );
        }
    }
}
