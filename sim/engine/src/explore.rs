//! The explore schedule: somebody outside chooses every step, and sees what each one touched.
//!
//! Every context stands before its next step, which is announced, whenever a choice is made; a context that would only find a
//! lock taken, a bit set, a grace period open or a word unchanged is not enabled and costs no step. Between the choices the
//! [`Explorer`] is told of each executed step and of all it accessed, which is what dependence between steps is made from.

use std::cell::{Cell, RefCell};

use crate::config::Schedule;
use crate::context::ContextId;
use crate::cpu::{Cpu, CpuId};
use crate::engine::Engine;
use crate::interrupt::IRQ;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order};
use crate::run::Stop;

/// Who can be chosen: the context on a CPU, a CPU's pending interrupt, or a CPU's RCU callback whose grace period is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The context that has the CPU.
    Cpu(CpuId),
    /// The delivery of the CPU's oldest pending interrupt.
    Interrupt(CpuId),
    /// The CPU's oldest RCU callback.
    Callback(CpuId),
}

/// The most CPUs an explored machine has: three actors for each CPU fit a 64-bit mask.
pub const MOST_EXPLORED_CPUS: u16 = 21;

impl Actor {
    /// The actor's number on a machine of `cpus` CPUs: contexts first, then interrupts, then callbacks.
    pub fn index(self, cpus: usize) -> usize {
        match self {
            Self::Cpu(id) => usize::from(id.0),
            Self::Interrupt(id) => cpus + usize::from(id.0),
            Self::Callback(id) => 2 * cpus + usize::from(id.0),
        }
    }

    /// The actor numbered `index`.
    pub fn from_index(index: usize, cpus: usize) -> Self {
        let id = CpuId((index % cpus) as u16);
        match index / cpus {
            0 => Self::Cpu(id),
            1 => Self::Interrupt(id),
            _ => Self::Callback(id),
        }
    }

    /// The CPU it acts on.
    pub fn cpu(self) -> CpuId {
        match self {
            Self::Cpu(id) | Self::Interrupt(id) | Self::Callback(id) => id,
        }
    }
}

/// One access of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// What.
    pub object: ObjectId,
    /// How.
    pub kind: OpKind,
    /// What it did, as bits.
    pub effect: Effect,
}

/// A step that was executed.
#[derive(Debug)]
pub struct Executed<'a> {
    /// The actor's number, see [`Actor::index`].
    pub actor: usize,
    /// The context, if a context it was.
    pub context: Option<ContextId>,
    /// The operation.
    pub op: Op,
    /// What it did.
    pub effect: Effect,
    /// What else it accessed: the words a retry watches, what an interrupt handler changes, the queue of a CPU that
    /// several contexts share.
    pub touched: &'a [Touch],
}

/// Chooses, under [`Schedule::Explore`], who takes each step.
pub trait Explorer {
    /// One of the `enabled` actors (bit n: the actor numbered n), or `None` to abandon the run.
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize>;

    /// What the chosen actor did.
    fn executed(&mut self, engine: &Engine, step: &Executed<'_>);
}

/// The queue of a CPU that several contexts share.
pub static RUN_QUEUE: Class = Class::new(5, "run queue");

/// Everything: the object of a step that does not say what it accesses.
pub static ANYTHING: Class = Class::new(6, "anything");

/// What the engine keeps while it is explored.
#[derive(Default)]
pub(crate) struct Exploring {
    last: Cell<Option<(Op, Effect)>>,
    touched: RefCell<Vec<Touch>>,
    /// Who accessed what, and whether that changed it: the whole run.
    log: RefCell<Vec<(ContextId, ObjectId, bool)>>,
    /// Whose context has just got its CPU and has announced nothing.
    pub(crate) fresh: Cell<u64>,
    /// CPUs that have had more than one context.
    pub(crate) shared: Cell<u64>,
    occupied: Cell<u64>,
}

impl Exploring {
    pub(crate) fn clear(&self) {
        self.last.set(None);
        self.touched.borrow_mut().clear();
        self.log.borrow_mut().clear();
        self.fresh.set(0);
        self.shared.set(0);
        self.occupied.set(0);
    }

    /// Another context has come to `cpu`.
    pub(crate) fn inhabit(&self, cpu: CpuId) {
        let bit = bit_of(cpu);
        self.shared.set(self.shared.get() | (self.occupied.get() & bit));
        self.occupied.set(self.occupied.get() | bit);
    }
}

/// The CPU's bit; CPUs beyond the 64th are never explored and have none.
pub(crate) fn bit_of(cpu: CpuId) -> u64 {
    1_u64.checked_shl(u32::from(cpu.0)).unwrap_or(0)
}

impl Engine {
    /// Whether an [`Explorer`] chooses every step.
    #[inline(always)]
    pub fn exploring(&self) -> bool {
        self.config.schedule == Schedule::Explore
    }

    /// Runs until every context has ended, somebody stops the engine, nobody can go on, or `explorer` has had enough
    /// ([`Stop::Stopped`] with the reason `abandoned`).
    ///
    /// # Panics
    /// If the engine has another schedule, or more than [`MOST_EXPLORED_CPUS`] CPUs.
    pub fn explore(&self, explorer: &mut dyn Explorer) -> Stop {
        assert!(self.exploring(), "an engine is explored under its explore schedule");
        assert!(self.config.cpus <= MOST_EXPLORED_CPUS, "actors fit a mask");
        self.exploring.log.borrow_mut().clear();
        let stop = loop {
            self.settle();
            if let Some(reason) = self.stopped.borrow().as_ref() {
                break Stop::Stopped(reason.clone());
            }
            let enabled = self.enabled();
            if enabled == 0 {
                break if self.live.get() == 0 {
                    Stop::Finished
                } else {
                    Stop::Deadlock(self.describe_waiters())
                };
            }
            let Some(actor) = explorer.choose(self, enabled) else { break Stop::Stopped("abandoned".into()) };
            assert!(enabled >> actor & 1 == 1, "the chosen actor is enabled");
            self.take_turn(actor, explorer);
        };
        if stop != Stop::Finished {
            self.abandon();
        }
        stop
    }

    /// The actors that can take a step, as a mask.
    fn enabled(&self) -> u64 {
        let cpus = usize::from(self.config.cpus);
        let mut mask = 0;
        for id in self.ready.iter() {
            mask |= bit_of(id);
        }
        for id in self.interrupted.iter() {
            if self.cpu(id).next_interrupt().is_some() {
                mask |= 1 << Actor::Interrupt(id).index(cpus);
            }
        }
        if self.rcu.has_callbacks() {
            for cpu in &self.cpus {
                if cpu.irqs_off.get() == 0 && self.rcu.callback_due(cpu.id()).is_some() {
                    mask |= 1 << Actor::Callback(cpu.id()).index(cpus);
                }
            }
        }
        mask
    }

    fn take_turn(&self, actor: usize, explorer: &mut dyn Explorer) {
        let who = Actor::from_index(actor, usize::from(self.config.cpus));
        let cpu = self.cpu(who.cpu());
        self.exploring.last.set(None);
        self.exploring.touched.borrow_mut().clear();
        self.running.set(Some(cpu.id()));
        let context = match who {
            Actor::Cpu(_) => {
                let context = cpu.current();
                cpu.budget.set(1);
                self.resume(cpu);
                cpu.budget.set(0);
                context
            }
            Actor::Interrupt(_) => {
                self.note_event(self.interrupt_op(cpu));
                self.deliver(cpu);
                None
            }
            Actor::Callback(_) => {
                let number = self.rcu.callback_due(cpu.id()).expect("the chosen callback is due");
                self.note_event(crate::rcu::callback_op(number));
                self.rcu.run_callback(self, cpu.id());
                None
            }
        };
        self.running.set(None);
        let Some((op, effect)) = self.exploring.last.get() else { return };
        self.wake_changed(op, effect);
        if context.is_some() && self.exploring.shared.get() & bit_of(cpu.id()) != 0 {
            let queue = ObjectId::new(&RUN_QUEUE, u64::from(cpu.id().0));
            self.touch(queue, OpKind::Load, Effect::NONE);
        }
        let touched = self.exploring.touched.borrow();
        explorer.executed(self, &Executed { actor, context, op, effect, touched: &touched });
    }

    /// Every context that the last step let onto a CPU announces its first step, and every one whose pending step may have
    /// become impossible looks again.
    fn settle(&self) {
        if self.contenders.get() > 0 {
            self.look_again();
        }
        while self.exploring.fresh.get() != 0 {
            let cpu = &self.cpus[self.exploring.fresh.get().trailing_zeros() as usize];
            self.exploring.fresh.set(self.exploring.fresh.get() & !bit_of(cpu.id()));
            self.announce_only(cpu);
        }
    }

    #[cold]
    fn look_again(&self) {
        let pending = |cpu: &&std::rc::Rc<Cpu>| {
            let slots = self.slots.borrow();
            let slot = cpu.current().filter(|_| self.ready.contains(cpu.id())).map(|id| &slots[id.index()]);
            slot.is_some_and(|slot| {
                slot.contends && !slot.announced.is_some_and(|op| op.kind == OpKind::Retry)
            })
        };
        for cpu in self.cpus.iter().filter(pending) {
            self.announce_only(cpu);
        }
    }

    fn announce_only(&self, cpu: &Cpu) {
        if cpu.current().is_some() && self.ready.contains(cpu.id()) {
            self.running.set(Some(cpu.id()));
            cpu.budget.set(0);
            self.resume(cpu);
            self.running.set(None);
        }
    }

    /// Who waits for a word that the last step changed looks at it again.
    fn wake_changed(&self, op: Op, effect: Effect) {
        let touched = self.exploring.touched.borrow().len();
        for n in 0..=touched {
            let (object, effect) = match n.checked_sub(1) {
                None => (op.object, effect),
                Some(n) => {
                    let touch = self.exploring.touched.borrow()[n];
                    (touch.object, touch.effect)
                }
            };
            if effect.old != effect.new {
                if !self.sleepers.borrow().is_empty() {
                    self.notify_sleepers(object);
                }
                self.notify_retries(object);
            }
        }
    }

    fn note_event(&self, op: Op) {
        self.exploring.last.set(Some((op, Effect::NONE)));
    }

    /// The step just executed by `context`.
    pub(crate) fn note_step(&self, context: ContextId, op: Op, effect: Effect) {
        self.exploring.last.set(Some((op, effect)));
        self.exploring.log.borrow_mut().push((context, op.object, effect.old != effect.new));
    }

    /// Notes, while schedules are explored, that the step being executed also accesses `object`: what a handler changes, or
    /// what a synchronous part of the machine reads. `effect.old != effect.new` says that it changed. Otherwise nothing.
    #[inline]
    pub fn touch(&self, object: ObjectId, kind: OpKind, effect: Effect) {
        if self.exploring() {
            self.exploring.touched.borrow_mut().push(Touch { object, kind, effect });
            if effect.old != effect.new {
                // Nobody's own access: whoever waits for a change sees one.
                self.exploring.log.borrow_mut().push((ContextId::nobody(), object, true));
            }
        }
    }

    /// A context was put in line for `cpu`.
    pub(crate) fn note_queued(&self, cpu: CpuId) {
        if self.exploring.shared.get() & bit_of(cpu) != 0 {
            self.touch(ObjectId::new(&RUN_QUEUE, u64::from(cpu.0)), OpKind::Store, Effect::NONE);
        }
    }

    /// `context` knows `word` as it is now.
    pub(crate) fn note_seen(&self, context: ContextId, word: ObjectId) {
        self.exploring.log.borrow_mut().push((context, word, false));
    }

    /// Notes, while schedules are explored, that the step being executed may access anything. Otherwise nothing.
    #[inline]
    pub fn touch_anything(&self) {
        self.touch(ObjectId::new(&ANYTHING, 0), OpKind::Store, Effect::NONE);
    }

    /// Whether one of `words` has changed since `context` last accessed it.
    pub(crate) fn changed_since_access(&self, context: ContextId, words: &[ObjectId]) -> bool {
        let log = self.exploring.log.borrow();
        words.iter().any(|&word| {
            let last = log
                .iter()
                .rev()
                .find(|&&(who, object, changed)| object == word && (who == context || changed));
            last.is_some_and(|&(who, ..)| who != context)
        })
    }

    /// The step that `actor` would take, if it were chosen.
    pub fn pending(&self, actor: usize) -> Option<Op> {
        let who = Actor::from_index(actor, usize::from(self.config.cpus));
        let cpu = self.cpu(who.cpu());
        match who {
            Actor::Cpu(_) => self.slots.borrow()[cpu.current()?.index()].announced,
            Actor::Interrupt(_) => Some(self.interrupt_op(cpu)),
            Actor::Callback(_) => self.rcu.callback_due(cpu.id()).map(crate::rcu::callback_op),
        }
    }

    fn interrupt_op(&self, cpu: &Cpu) -> Op {
        let object = ObjectId::new(&IRQ, u64::from(cpu.id().0));
        let location = cpu.next_location().unwrap_or(std::panic::Location::caller());
        Op { object, kind: OpKind::Deliver, order: Order::Full, location }
    }

    /// The contexts that have not ended and cannot go on: what each waits to do.
    pub fn waiting(&self) -> Vec<(CpuId, ContextId, Op)> {
        let waits = |id: &ContextId| {
            let slots = self.slots.borrow();
            let slot = &slots[id.index()];
            slot.announced.map(|op| (slot.cpu, *id, op))
        };
        let (spinners, sleepers) = (self.spinners.borrow(), self.sleepers.borrow());
        let mut all: Vec<_> = spinners.iter().chain(sleepers.iter()).filter_map(waits).collect();
        all.sort_by_key(|&(cpu, id, _)| (cpu, id));
        all
    }
}
