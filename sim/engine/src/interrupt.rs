//! Inter-processor interrupts and completions.
//!
//! Delivery is one step of a pseudo-task of the target CPU. It is enabled while that CPU's interrupts are
//! on, also while the CPU idles or spins for a lock or an acknowledgement.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;

use crate::context::Context;
use crate::cpu::{Cpu, CpuId, Mode};
use crate::digest::Digest;
use crate::engine::Engine;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order};
use crate::step::Step;
use crate::wait::{BlockingStep, Waiting};

/// What an interrupt does at its target, all at once.
pub type IpiHandler = Rc<dyn Fn(&Engine, &Cpu)>;

#[derive(Clone)]
pub(crate) struct Interrupt {
    pub(crate) arrival: u64,
    /// Where it was sent.
    pub(crate) location: &'static Location<'static>,
    /// Whether the CPU has entered the interrupt already: then it only goes on with it.
    pub(crate) entered: bool,
    pub(crate) handler: IpiHandler,
    /// The history of who sent it.
    pub(crate) origin: Digest,
}

/// The class of a CPU's interrupt line.
pub static IRQ: Class = Class::new(2, "irq");

impl Context {
    /// Sends an interrupt to `target`: one step. `handler` runs there, as one step of the target, after
    /// the machine's IPI latency at the earliest.
    #[track_caller]
    pub fn send_ipi(&self, target: CpuId, handler: IpiHandler) -> impl Future<Output = ()> {
        let location = Location::caller();
        let object = ObjectId::new(&IRQ, u64::from(target.0));
        let op = Op { object, kind: OpKind::Send, order: Order::Full, location };
        Step::new(self, op, move || {
            let engine = self.engine();
            let arrival = self.cpu().clock() + u64::from(engine.config.costs.ipi_latency);
            let origin = engine.history();
            engine
                .raise(engine.cpu(target), Interrupt { arrival, location, entered: false, handler, origin });
            ((), Effect::NONE)
        })
    }
}

impl Engine {
    /// A device interrupts `cpu` at time `arrival`: its `handler` runs there as one step. Called in the step that
    /// programs the device, or in a handler. The handler says what it accesses: [`Engine::touch`], or
    /// [`Engine::touch_anything`].
    #[track_caller]
    pub fn device_interrupt(&self, cpu: CpuId, arrival: u64, handler: IpiHandler) {
        let location = Location::caller();
        let origin = self.history();
        self.raise(self.cpu(cpu), Interrupt { arrival, location, entered: false, handler, origin });
        self.touch(ObjectId::new(&IRQ, u64::from(cpu.0)), OpKind::Send, Effect::NONE);
    }

    /// An interrupt of `cpu` goes on with another step, `handler`: the work of an interrupt that takes several (a softirq).
    /// Called in a handler, or by who releases what the step waits for.
    #[track_caller]
    pub fn go_on_in_interrupt(&self, cpu: CpuId, handler: IpiHandler) {
        let (location, arrival) = (Location::caller(), self.now());
        let origin = self.history();
        self.raise(self.cpu(cpu), Interrupt { arrival, location, entered: true, handler, origin });
        self.touch(ObjectId::new(&IRQ, u64::from(cpu.0)), OpKind::Send, Effect::NONE);
    }

    /// Queues work for `cpu`'s pseudo-task, in the order of arrival.
    pub(crate) fn raise(&self, cpu: &Cpu, interrupt: Interrupt) {
        // Explored schedules have no clocks: first sent, first delivered.
        let arrival = if self.exploring() { 0 } else { interrupt.arrival };
        let mut pending = cpu.pending.borrow_mut();
        let place = pending.partition_point(|earlier| earlier.arrival <= arrival);
        pending.insert(place, Interrupt { arrival, ..interrupt });
        drop(pending);
        self.interrupted.insert(cpu.id());
        self.interrupt_due(cpu);
    }

    /// The next interrupt of `cpu` has become deliverable, or may have: whoever runs looks when it is due.
    pub(crate) fn interrupt_due(&self, cpu: &Cpu) {
        if let Some(arrival) = cpu.next_interrupt() {
            // A CPU that is ready takes it at its own clock, hence the later of both. On the running CPU a
            // due interrupt comes before the next step, as if a CPU of a lower number had it.
            self.lower_horizon(cpu.id(), arrival.max(cpu.clock()));
        }
    }

    /// Delivers the oldest pending interrupt of `cpu`: one step of its pseudo-task.
    pub(crate) fn deliver(&self, cpu: &Cpu) {
        let mut pending = cpu.pending.borrow_mut();
        let interrupt = pending.pop_front().expect("a chosen CPU has one pending");
        if pending.is_empty() {
            self.interrupted.remove(cpu.id());
        }
        drop(pending);
        cpu.clock.set(cpu.clock().max(interrupt.arrival).max(1));
        let before = cpu.set_mode(Mode::Interrupt);
        if !interrupt.entered {
            cpu.charge(u64::from(self.config.costs.ipi_deliver));
        }
        cpu.steps.set(cpu.steps.get() + 1);
        self.history_is(interrupt.origin);
        (interrupt.handler)(self, cpu);
        // A handler that woke this CPU's own context has set its mode already.
        if cpu.mode() == Mode::Interrupt {
            cpu.set_mode(before);
        }
    }
}

/// Something to wait for by spinning, with interrupts on: so many acknowledgements (`struct completion`,
/// `call_single_data`).
pub struct Completion {
    id: ObjectId,
    outstanding: Cell<u32>,
}

impl Completion {
    /// Waits for `outstanding` calls of [`Completion::complete`].
    pub fn new(class: &'static Class, index: u64, outstanding: u32) -> Rc<Self> {
        Rc::new(Self { id: ObjectId::new(class, index), outstanding: Cell::new(outstanding) })
    }

    /// One of the events has happened. Called from an interrupt handler.
    ///
    /// # Panics
    /// If more events happen than were announced.
    pub fn complete(&self, engine: &Engine) {
        self.outstanding.set(self.outstanding.get().checked_sub(1).expect("an event too many"));
        let left = u64::from(self.outstanding.get());
        engine.touch(self.id, OpKind::Count, Effect { old: left + 1, new: left });
        if left == 0 {
            engine.notify_spinners(self.id);
        }
    }

    /// Spins until every event has happened. Interrupts of this CPU are delivered meanwhile.
    #[track_caller]
    pub fn wait<'a>(&'a self, cx: &'a Context) -> impl Future<Output = ()> + 'a {
        let op =
            Op { object: self.id, kind: OpKind::Wait, order: Order::Acquire, location: Location::caller() };
        BlockingStep::new(cx, op, Waiting::Spin, || self.outstanding.get() == 0, || ())
    }
}
