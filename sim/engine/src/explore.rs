//! The explore schedule: somebody outside chooses every step, and sees what each one touched.
//!
//! Every context stands before its next step, which is announced, whenever a choice is made; a context that would only find a
//! lock taken, a bit set, a grace period open or a word unchanged is not enabled and costs no step. Between the choices the
//! [`Explorer`] is told of each executed step and of all it accessed, which is what dependence between steps is made from.

use crate::config::Schedule;
use crate::context::ContextId;
use crate::cpu::{Cpu, CpuId};
use crate::engine::Engine;
use crate::footprint::{IRQS_OFF, RUN_QUEUE, Touch};
use crate::glance;
use crate::interrupt::IRQ;
use crate::object::ObjectId;
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

/// A step that was executed.
#[derive(Debug)]
pub struct Executed<'a> {
    /// The actor's number, see [`Actor::index`].
    pub actor: usize,
    /// The context, if a context it was.
    pub context: Option<ContextId>,
    /// The operation as it was announced.
    pub op: Op,
    /// What it did.
    pub effect: Effect,
    /// What else it accessed: the words a retry watches, what an interrupt handler changes, what observers looked at, the
    /// queue of a CPU that several contexts share.
    pub touched: &'a [Touch],
    /// Whether its CPU had interrupts off before it.
    pub irqs_off: bool,
}

/// Chooses, under [`Schedule::Explore`], who takes each step.
pub trait Explorer {
    /// One of the `enabled` actors (bit n: the actor numbered n), or `None` to abandon the run.
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize>;

    /// What the chosen actor did.
    fn executed(&mut self, engine: &Engine, step: &Executed<'_>);
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
        self.exploring.last.set(None);
        self.settle();
        self.exploring.begin(self);
        self.settle();
        let stop = loop {
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
            *self.exploring.held_back.borrow_mut() = self.held_back_now();
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
        let (live, drowsy) = (self.live.get(), self.exploring.is_drowsy(cpu.id()));
        let irqs_off = self.exploring.irqs_off.get();
        self.exploring.last.set(None);
        self.exploring.touched.borrow_mut().clear();
        self.running.set(Some(cpu.id()));
        glance::note_looks(true);
        self.exploring.acting.set(true);
        let context = self.act(who, cpu);
        self.exploring.acting.set(false);
        if self.broken_off.get() {
            // The step is not over, and never will be: nobody is told what it has done.
            glance::note_looks(false);
            self.running.set(None);
            return;
        }
        self.note_looks();
        if let Some((op, effect)) = self.exploring.last.get() {
            self.wake_changed(op, effect);
        }
        glance::note_looks(false);
        // Whom the step has kept from going on leaves the CPU to others.
        self.settle();
        self.note_looks();
        self.running.set(None);
        let Some((op, effect)) = self.exploring.last.get() else { return };
        if self.broken_off.get() {
            return; // by one who has just got a CPU
        }
        if context.is_some() {
            self.note_place(cpu, drowsy, live);
        } else {
            self.touch(ObjectId::new(&IRQS_OFF, u64::from(cpu.id().0)), OpKind::Load, Effect::NONE);
        }
        self.note_irqs(irqs_off);
        let touched = self.exploring.touched.borrow();
        let irqs_off = irqs_off & bit_of(cpu.id()) != 0;
        explorer.executed(self, &Executed { actor, context, op, effect, touched: &touched, irqs_off });
    }

    /// `who`, on `cpu`, takes one step; the context that did.
    fn act(&self, who: Actor, cpu: &Cpu) -> Option<ContextId> {
        match who {
            Actor::Cpu(_) => {
                let context = cpu.current();
                cpu.budget.set(1);
                self.history_of(context);
                self.resume(cpu);
                self.history_ends(context);
                cpu.budget.set(0);
                return context;
            }
            Actor::Interrupt(_) => {
                self.note_event(self.interrupt_op(cpu));
                self.deliver(cpu);
                self.history_ends(None);
            }
            Actor::Callback(_) => {
                let number = self.rcu.callback_due(cpu.id()).expect("the chosen callback is due");
                self.note_event(crate::rcu::callback_op(number));
                self.rcu.run_callback(self, cpu.id());
                self.history_ends(None);
            }
        }
        None
    }

    /// What was read and changed without a step of its own belongs to the step being executed.
    fn note_looks(&self) {
        glance::take_looks(|object, effect| {
            let kind = if effect.old == effect.new { OpKind::Load } else { OpKind::Store };
            self.touch(object, kind, effect);
        });
    }

    /// What the step of a context says of its CPU: whether it is asleep there, over, or in line with others.
    fn note_place(&self, cpu: &Cpu, was_drowsy: bool, were_live: usize) {
        if was_drowsy || self.exploring.is_drowsy(cpu.id()) || self.live.get() != were_live {
            self.note_occupied(cpu.id());
        }
        if self.exploring.shared.get() & bit_of(cpu.id()) != 0 {
            self.touch(ObjectId::new(&RUN_QUEUE, u64::from(cpu.id().0)), OpKind::Load, Effect::NONE);
            // Whether its context sleeps now, and another has the CPU.
            self.note_awaited(cpu.id());
        }
    }

    /// Notes on which CPUs the step turned interrupts off or on.
    fn note_irqs(&self, before: u64) {
        let after = self.irqs_off();
        self.exploring.irqs_off.set(after);
        let mut changed = before ^ after;
        while changed != 0 {
            let cpu = changed.trailing_zeros();
            changed &= changed - 1;
            let effect = Effect { old: before >> cpu & 1, new: after >> cpu & 1 };
            self.touch(ObjectId::new(&IRQS_OFF, u64::from(cpu)), OpKind::Store, effect);
        }
    }

    /// Every context whose pending step may have become impossible looks again.
    fn settle(&self) {
        if self.contenders.get() > 0 {
            self.look_again();
        }
        glance::note_looks(self.running.get().is_some());
        self.announce_fresh();
        glance::note_looks(false);
    }

    /// Every context that has just got its CPU announces its first step.
    fn announce_fresh(&self) {
        while self.exploring.fresh.get() != 0 {
            let cpu = &self.cpus[self.exploring.fresh.get().trailing_zeros() as usize];
            self.exploring.fresh.set(self.exploring.fresh.get() & !bit_of(cpu.id()));
            let context = cpu.current();
            self.history_of(context);
            let acting = self.exploring.acting.replace(true);
            self.announce_only(cpu);
            self.exploring.acting.set(acting);
            self.history_ends(context);
        }
    }

    #[cold]
    fn look_again(&self) {
        let pending = |cpu: &&std::rc::Rc<Cpu>| {
            let slots = self.slots.borrow();
            let slot = cpu.current().filter(|_| self.ready.contains(cpu.id())).map(|id| &slots[id.index()]);
            slot.is_some_and(|slot| slot.contends && slot.announced.is_none_or(|op| self.may_block(op)))
        };
        for cpu in self.cpus.iter().filter(pending) {
            self.announce_only(cpu);
        }
    }

    /// Whether the last step may have made `op` impossible.
    fn may_block(&self, op: Op) -> bool {
        let Some((last, _)) = self.exploring.last.get() else { return op.kind != OpKind::Retry };
        match op.kind {
            OpKind::Retry => false,
            // All that these wait for is in the object.
            OpKind::Lock | OpKind::LockShared | OpKind::ChangeBit(_) | OpKind::TestBit(_) => {
                let touched = self.exploring.touched.borrow();
                last.object == op.object || touched.iter().any(|touch| touch.object == op.object)
            }
            _ => true,
        }
    }

    fn announce_only(&self, cpu: &Cpu) {
        if cpu.current().is_some() && self.ready.contains(cpu.id()) {
            let running = self.running.replace(Some(cpu.id()));
            cpu.budget.set(0);
            self.resume(cpu);
            self.running.set(running);
        }
    }

    /// Who waits for a word that the last step changed looks at it again.
    fn wake_changed(&self, op: Op, effect: Effect) {
        if self.sleepers.borrow().is_empty() && self.retries.borrow().is_empty() {
            return;
        }
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

    /// The interrupts and callbacks that, when the run ended before its end, only waited for their CPU to turn interrupts on,
    /// with the actors' numbers.
    pub fn held_back(&self) -> Vec<(usize, Op)> {
        let kept = self.exploring.held_back.borrow();
        if kept.is_empty() { self.held_back_now() } else { kept.clone() }
    }

    fn held_back_now(&self) -> Vec<(usize, Op)> {
        let cpus = usize::from(self.config.cpus);
        let mut held = Vec::new();
        for cpu in self.cpus.iter().filter(|cpu| cpu.irqs_off.get() > 0) {
            if self.interrupted.contains(cpu.id()) {
                held.push((Actor::Interrupt(cpu.id()).index(cpus), self.interrupt_op(cpu)));
            }
            if let Some(number) = self.rcu.callback_due(cpu.id()) {
                held.push((Actor::Callback(cpu.id()).index(cpus), crate::rcu::callback_op(number)));
            }
        }
        held
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
