//! A context: what executes on a simulated CPU (Linux's `current`), and how it asks for its next step.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::rc::Rc;
use std::task::Poll;

use crate::coherence::Coherence;
use crate::config::Schedule;
use crate::cpu::{Cpu, Mode};
use crate::engine::Engine;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order, Price};

/// The number of a context; reused when a context has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContextId(u32);

impl ContextId {
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 contexts"))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// Nobody: changes made by no context.
    pub(crate) const fn nobody() -> Self {
        Self(u32::MAX)
    }

    /// The number itself.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "context {}", self.0)
    }
}

/// The class of a context running its program.
pub(crate) static USER: Class = Class::new(1, "user");

/// A context. It is pinned to one CPU and not preemptible: contexts of one CPU change only where a path
/// sleeps, at [`Context::cond_resched`], or on return to user mode.
pub struct Context {
    engine: Rc<Engine>,
    cpu: Rc<Cpu>,
    id: ContextId,
    /// Classes of the locks held, innermost last (kept when the engine checks).
    pub(crate) held: RefCell<Vec<&'static Class>>,
    /// Spin locks held, RCU read sections entered: more than 0 forbids sleeping.
    pub(crate) atomic: Cell<u32>,
}

impl Context {
    pub(crate) fn new(engine: Rc<Engine>, cpu: Rc<Cpu>, id: ContextId) -> Self {
        Self { engine, cpu, id, held: RefCell::default(), atomic: Cell::new(0) }
    }

    /// The engine this context runs in.
    pub fn engine(&self) -> &Rc<Engine> {
        &self.engine
    }

    /// The CPU this context is pinned to.
    #[inline(always)]
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// This context's number.
    pub fn id(&self) -> ContextId {
        self.id
    }

    /// Charges private work, in cycles: zeroing a page, entering an exception.
    #[inline(always)]
    pub fn charge(&self, cycles: u32) {
        self.cpu.charge(u64::from(cycles));
    }

    /// Enters the kernel: cycles count as kernel time from here, and the entry costs `cycles` and a
    /// seeded jitter.
    pub fn enter_kernel(&self, cycles: u32) {
        self.cpu.set_mode(Mode::Kernel);
        self.cpu.charge(u64::from(cycles) + self.engine.draw_jitter());
    }

    /// Full barrier. Recorded; no scheduling point while memory is sequentially consistent.
    #[inline]
    #[track_caller]
    pub fn smp_mb(&self) {
        self.charge(self.engine.config.costs.atomic);
        self.barrier(Order::Full, Location::caller());
    }

    /// Read barrier: orders loads. Costs nothing on x86; recorded, and no scheduling point.
    #[inline]
    #[track_caller]
    pub fn smp_rmb(&self) {
        self.barrier(Order::Acquire, Location::caller());
    }

    /// Write barrier: orders stores. Costs nothing on x86; recorded, and no scheduling point.
    #[inline]
    #[track_caller]
    pub fn smp_wmb(&self) {
        self.barrier(Order::Release, Location::caller());
    }

    #[inline(always)]
    fn barrier(&self, order: Order, location: &'static Location<'static>) {
        self.record(Op { order, ..self.op(OpKind::Barrier, location) }, Effect::NONE);
    }

    /// An instruction of the program begins that takes several steps (a page walk): no interrupt is delivered
    /// before [`Context::end_instruction`].
    #[inline]
    pub fn begin_instruction(&self) {
        self.cpu.irqs_off.set(self.cpu.irqs_off.get() + 1);
    }

    /// The instruction is over; interrupts that arrived meanwhile are due.
    #[inline]
    pub fn end_instruction(&self) {
        let depth = self.cpu.irqs_off.get().checked_sub(1).expect("interrupts are on already");
        self.cpu.irqs_off.set(depth);
        self.engine.interrupt_due(&self.cpu);
    }

    /// Turns interrupts off on this CPU; nests. Deliveries wait until [`Context::local_irq_enable`].
    pub fn local_irq_disable(&self) {
        self.begin_instruction();
        self.atomic.set(self.atomic.get() + 1);
    }

    /// Turns interrupts on again (at the outermost level).
    pub fn local_irq_enable(&self) {
        self.atomic.set(self.atomic.get() - 1);
        self.end_instruction();
    }

    /// What a granted operation costs, its cache line's transfer included.
    #[inline(always)]
    pub(crate) fn charge_op(&self, op: &Op) {
        let costs = &self.engine.config.costs;
        let price = op.kind.price();
        let base = match price {
            Price::Access => costs.shared_access,
            Price::Atomic => costs.atomic,
            Price::Lock => costs.lock,
            Price::Send => costs.ipi_send,
            Price::Free => 0,
        };
        let mut cycles = u64::from(base);
        // Interrupts travel no cache line.
        if price <= Price::Lock
            && let Some(directory) = &self.engine.coherence
            && directory.touch(op.object.line(), self.cpu.id(), op.kind.writes())
        {
            let transfer = u64::from(costs.line_transfer);
            cycles += transfer;
            if costs.line_queue {
                cycles += self.wait_for_line(directory, op, transfer);
            }
        }
        self.cpu.charge(cycles);
        self.cpu.steps.set(self.cpu.steps.get() + 1);
    }

    /// How long `op` waits for its line, which other CPUs wanted before.
    #[cold]
    fn wait_for_line(&self, directory: &Coherence, op: &Op, transfer: u64) -> u64 {
        let wait = directory.queue(op.object.line(), self.cpu.clock(), transfer);
        if op.kind.is_lock() {
            self.engine.waits.note(op.object.class, OpKind::Lock, wait);
        }
        wait
    }

    /// The test behind the horizon: may this context take its next step although the horizon says
    /// "look"? True when every step is seen (recording) or was chosen (random schedule).
    #[cold]
    #[inline(never)]
    pub(crate) fn granted(&self, op: &Op) -> bool {
        let granted = match self.engine.config.schedule {
            Schedule::Timed => self.cpu.clock() <= self.cpu.limit.get(),
            Schedule::Random | Schedule::Explore => match self.cpu.budget.get() {
                0 if self.engine.exploring() => false,
                0 => return self.engine.goes_on(self.cpu.id()),
                u64::MAX => true,
                left => {
                    self.cpu.budget.set(left - 1);
                    true
                }
            },
        };
        if granted && self.engine.stopped.borrow().is_none() {
            return true;
        }
        if self.engine.exploring() {
            self.engine.announce(self.id, *op);
        }
        false
    }

    #[inline(always)]
    pub(crate) fn may_step(&self, op: &Op) -> bool {
        self.cpu.clock.get() <= self.cpu.horizon.get() || self.granted(op)
    }

    #[inline(always)]
    pub(crate) fn record(&self, op: Op, effect: Effect) {
        if self.engine.seen {
            self.record_step(op, effect);
        }
    }

    #[cold]
    #[inline(never)]
    fn record_step(&self, op: Op, effect: Effect) {
        if let Some(record) = self.engine.record() {
            record.borrow_mut().push(self.cpu.id(), self.id, self.cpu.clock(), op, effect);
        }
        if self.engine.exploring() && op.kind != OpKind::Barrier {
            self.engine.note_step(self.id, op, effect);
        }
    }

    /// Waits until this CPU may run its program, and says how far: the program may run until the clock
    /// passes the returned time (TLB hits are local, so a CPU may run `slack` cycles ahead of the others
    /// through them, but not past an interrupt of its own).
    ///
    /// It never runs past the end of the quantum while others wait for the CPU: [`Context::cond_resched`]
    /// before it, on the way back to user mode, gives the CPU to them.
    #[track_caller]
    pub fn run_user(&self) -> impl Future<Output = u64> {
        let op = self.op(OpKind::User, Location::caller());
        async move {
            self.cpu.set_mode(Mode::User);
            poll_fn(|_| if self.may_step(&op) { Poll::Ready(()) } else { Poll::Pending }).await;
            if self.engine.exploring() {
                self.record(op, Effect::NONE);
            }
            match self.engine.config.schedule {
                Schedule::Timed => {
                    let own_interrupt = self.cpu.next_interrupt().unwrap_or(u64::MAX);
                    let ahead = self.cpu.limit.get().saturating_add(self.engine.config.slack);
                    ahead.min(own_interrupt.saturating_sub(1))
                }
                Schedule::Random if self.cpu.budget.get() == u64::MAX => u64::MAX,
                Schedule::Random | Schedule::Explore => self.cpu.clock(),
            }
            .min(if self.cpu.run_queue.borrow().is_empty() {
                u64::MAX
            } else {
                self.cpu.slice_end.get()
            })
        }
    }

    /// `need_resched`: this context's quantum is over and others wait for the CPU.
    pub fn need_resched(&self) -> bool {
        self.cpu.clock() >= self.cpu.slice_end.get() && !self.cpu.run_queue.borrow().is_empty()
    }

    /// Lets another context of this CPU run if this one's quantum is over.
    #[track_caller]
    pub fn cond_resched(&self) -> impl Future<Output = ()> {
        let location = Location::caller();
        async move {
            if self.cpu.clock() >= self.cpu.slice_end.get() {
                self.yield_at(location).await;
            }
        }
    }

    /// Gives up the CPU and goes to the end of its run queue. Alone there, it keeps the CPU.
    #[track_caller]
    pub fn yield_cpu(&self) -> impl Future<Output = ()> {
        self.yield_at(Location::caller())
    }

    fn yield_at(&self, location: &'static Location<'static>) -> impl Future<Output = ()> {
        let op = self.op(OpKind::Yield, location);
        let mut left = false;
        poll_fn(move |_| {
            if left || self.cpu.run_queue.borrow().is_empty() {
                return Poll::Ready(());
            }
            if !self.may_step(&op) {
                return Poll::Pending;
            }
            left = true;
            self.might_sleep("yields its CPU");
            self.charge_op(&op);
            self.record(op, Effect::NONE);
            self.engine.slots.borrow_mut()[self.id.index()].wake_at = self.cpu.clock();
            self.cpu.run_queue.borrow_mut().push_back(self.id);
            self.engine.leave_cpu(&self.cpu);
            Poll::Pending
        })
    }

    /// Notes that this point may sleep: under a spin lock, in an RCU read section or with interrupts
    /// off that is a broken promise (I28).
    pub(crate) fn might_sleep(&self, what: &str) {
        if self.atomic.get() > 0 {
            let held: Vec<_> = self.held.borrow().iter().map(|class| class.name).collect();
            self.engine.violation(
                "I28",
                format!("{} on {} {what} in an atomic section (holds {held:?})", self.id, self.cpu.id()),
            );
        }
    }

    fn op(&self, kind: OpKind, location: &'static Location<'static>) -> Op {
        Op { object: ObjectId::new(&USER, u64::from(self.id.number())), kind, order: Order::Plain, location }
    }
}
