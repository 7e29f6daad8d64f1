//! One simulated CPU: its clock, its horizon, its run queue and its pending interrupts.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;

use crate::context::ContextId;
use crate::interrupt::Interrupt;

/// The number of a CPU, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuId(pub u16);

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {}", self.0)
    }
}

/// What a CPU spends its cycles on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Executing the program.
    User = 0,
    /// Executing a kernel path.
    Kernel = 1,
    /// Spinning for a lock or an acknowledgement.
    Waiting = 2,
    /// Having nothing to run.
    Idle = 3,
    /// Taking an interrupt.
    Interrupt = 4,
}

/// Cycles by [`Mode`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// Cycles in user mode.
    pub user: u64,
    /// Cycles in kernel paths.
    pub kernel: u64,
    /// Cycles spent spinning.
    pub waiting: u64,
    /// Cycles with nothing to run.
    pub idle: u64,
    /// Cycles taken by interrupts.
    pub interrupt: u64,
}

/// A simulated CPU.
///
/// A step tests one word, `clock <= horizon`. The scheduler keeps the horizon; everything that wants to
/// see each step (recording, the random schedule) reaches that by setting the horizon to 0.
pub struct Cpu {
    id: CpuId,
    pub(crate) clock: Cell<u64>,
    pub(crate) horizon: Cell<u64>,
    /// The horizon that the schedule really gave, where `horizon` is 0 to see each step.
    pub(crate) limit: Cell<u64>,
    /// Steps granted under the random schedule.
    pub(crate) budget: Cell<u64>,
    pub(crate) steps: Cell<u64>,
    pub(crate) current: Cell<Option<ContextId>>,
    pub(crate) run_queue: RefCell<VecDeque<ContextId>>,
    pub(crate) slice_end: Cell<u64>,
    pub(crate) irqs_off: Cell<u32>,
    pub(crate) pending: RefCell<VecDeque<Interrupt>>,
    pub(crate) switches: Cell<u64>,
    online: Cell<bool>,
    /// Grace periods that began on this CPU.
    pub(crate) grace_periods: Cell<u64>,
    mode: Cell<Mode>,
    mark: Cell<u64>,
    times: [Cell<u64>; 5],
}

crate::keep!(Cpu: clock, horizon, limit, budget, steps, current, run_queue, slice_end, irqs_off, pending, switches, online,
    grace_periods, mode, mark, times; fixed id);

impl Cpu {
    pub(crate) fn new(id: CpuId) -> Self {
        Self {
            id,
            clock: Cell::new(0),
            horizon: Cell::new(0),
            limit: Cell::new(0),
            budget: Cell::new(0),
            steps: Cell::new(0),
            current: Cell::new(None),
            run_queue: RefCell::default(),
            slice_end: Cell::new(0),
            irqs_off: Cell::new(0),
            pending: RefCell::default(),
            switches: Cell::new(0),
            online: Cell::new(true),
            grace_periods: Cell::new(0),
            mode: Cell::new(Mode::Idle),
            mark: Cell::new(0),
            times: Default::default(),
        }
    }

    /// This CPU's number.
    pub fn id(&self) -> CpuId {
        self.id
    }

    /// Whether the machine uses this CPU: nobody interrupts one that is offline (`cpu_online`).
    pub fn is_online(&self) -> bool {
        self.online.get()
    }

    /// The machine goes on without this CPU, whose contexts have ended, until the engine is started again (`cpu_down`).
    ///
    /// # Panics
    /// If a context is left on it.
    pub fn take_offline(&self) {
        assert!(self.current().is_none(), "{} goes offline with a context", self.id);
        self.online.set(false);
    }

    /// This CPU's virtual time in cycles.
    pub fn clock(&self) -> u64 {
        self.clock.get()
    }

    /// The context on this CPU; `None` while it is idle.
    pub fn current(&self) -> Option<ContextId> {
        self.current.get()
    }

    /// Steps executed on this CPU so far (an access that hits in the TLB is none).
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// How often this CPU changed from one context to another.
    pub fn context_switches(&self) -> u64 {
        self.switches.get()
    }

    /// Cycles by mode, up to now.
    pub fn times(&self) -> CpuTimes {
        self.set_mode(self.mode.get());
        let of = |mode: Mode| self.times[mode as usize].get();
        CpuTimes {
            user: of(Mode::User),
            kernel: of(Mode::Kernel),
            waiting: of(Mode::Waiting),
            idle: of(Mode::Idle),
            interrupt: of(Mode::Interrupt),
        }
    }

    /// Adds cycles to the clock: private work between steps.
    #[inline(always)]
    pub fn charge(&self, cycles: u64) {
        self.clock.set(self.clock.get() + cycles);
    }

    /// Sets the clock, as the TLB-hit loop does when it hands back the time it used.
    ///
    /// # Panics
    /// If time would run backwards.
    #[inline]
    pub fn advance_to(&self, clock: u64) {
        assert!(clock >= self.clock.get(), "time runs forward");
        self.clock.set(clock);
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode.get()
    }

    /// From now on cycles count as `mode`; returns what they counted as before.
    pub(crate) fn set_mode(&self, mode: Mode) -> Mode {
        let before = self.mode.get();
        let spent = self.clock.get() - self.mark.get();
        let bucket = &self.times[before as usize];
        bucket.set(bucket.get() + spent);
        self.mark.set(self.clock.get());
        self.mode.set(mode);
        before
    }

    /// Where the oldest pending interrupt was sent.
    pub(crate) fn next_location(&self) -> Option<&'static Location<'static>> {
        self.pending.borrow().front().map(|interrupt| interrupt.location)
    }

    /// Back to the state of a new CPU.
    pub(crate) fn restart(&self) {
        for cell in [&self.clock, &self.horizon, &self.limit, &self.budget, &self.steps, &self.slice_end] {
            cell.set(0);
        }
        for cell in [&self.switches, &self.mark, &self.grace_periods] {
            cell.set(0);
        }
        self.current.set(None);
        self.online.set(true);
        self.irqs_off.set(0);
        // Neither is borrowed while what it holds is dropped.
        if !self.run_queue.borrow().is_empty() {
            drop(self.run_queue.take());
        }
        if !self.pending.borrow().is_empty() {
            drop(self.pending.take());
        }
        self.mode.set(Mode::Idle);
        self.times.iter().for_each(|time| time.set(0));
    }

    /// The earliest time at which a pending interrupt could be delivered, if one is deliverable.
    pub(crate) fn next_interrupt(&self) -> Option<u64> {
        if self.irqs_off.get() > 0 {
            return None;
        }
        self.pending.borrow().front().map(|interrupt| interrupt.arrival)
    }
}
