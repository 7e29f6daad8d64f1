//! The engine: the CPUs, the contexts on them, who waits for what, and what was found wrong.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::coherence::Coherence;
use crate::config::{EngineConfig, Schedule};
use crate::context::{Context, ContextId};
use crate::cpu::{Cpu, CpuId, Mode};
use crate::digest::Digest;
use crate::lockdep::LockOrder;
use crate::object::ObjectId;
use crate::rcu::Rcu;
use crate::record::{Op, OpKind, Record, StepRecord};
use crate::rng::{Purpose, Random};

/// A promise that a run broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's short name, `I2` or `lock-order`.
    pub invariant: &'static str,
    /// What was seen, for people.
    pub message: String,
}

/// Whether a context can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    /// Keeps its CPU until the object changes.
    Spinning(ObjectId),
    /// Has given up its CPU until the object changes.
    Sleeping(ObjectId),
    Done,
}

pub(crate) struct Slot {
    pub(crate) cpu: CpuId,
    pub(crate) state: State,
    pub(crate) future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    pub(crate) wake_at: u64,
    pub(crate) announced: Option<Op>,
    /// Ready to take a lock that was free when it last looked.
    contends: bool,
}

/// The simulated machine without its memory: CPUs, contexts, time, randomness, record.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) cpus: Box<[Rc<Cpu>]>,
    pub(crate) slots: RefCell<Vec<Slot>>,
    free_slots: RefCell<Vec<ContextId>>,
    /// Contexts that spin or sleep, in the order in which they began to.
    waiters: RefCell<Vec<ContextId>>,
    /// How many contexts contend for a lock that looked free.
    contenders: Cell<u32>,
    pub(crate) coherence: Option<Coherence>,
    pub(crate) choices: RefCell<Random>,
    jitter: RefCell<Random>,
    record: Option<RefCell<Record>>,
    digest: Cell<Digest>,
    violations: RefCell<Vec<Violation>>,
    pub(crate) lock_order: RefCell<LockOrder>,
    pub(crate) rcu: Rcu,
    pub(crate) live: Cell<usize>,
    /// The CPU whose context or interrupt is executing.
    pub(crate) running: Cell<Option<CpuId>>,
    pub(crate) stopped: RefCell<Option<String>>,
    abandoned: Cell<bool>,
}

/// Violations beyond this many are counted by the first ones.
const VIOLATIONS_KEPT: usize = 32;

impl Engine {
    /// An engine with idle CPUs.
    ///
    /// # Panics
    /// If `config.cpus` is not 1 to 256.
    pub fn new(config: EngineConfig) -> Rc<Self> {
        assert!((1..=256).contains(&config.cpus), "1 to 256 CPUs");
        let cpus = (0..config.cpus).map(|n| Rc::new(Cpu::new(CpuId(n)))).collect();
        Rc::new(Self {
            cpus,
            slots: RefCell::default(),
            free_slots: RefCell::default(),
            waiters: RefCell::default(),
            contenders: Cell::new(0),
            coherence: (config.cpus > 1).then(Coherence::new),
            choices: RefCell::new(Random::new(config.seed, Purpose::Schedule)),
            jitter: RefCell::new(Random::new(config.seed, Purpose::Jitter)),
            record: (config.record > 0).then(|| RefCell::new(Record::new(config.record))),
            digest: Cell::default(),
            violations: RefCell::default(),
            lock_order: RefCell::default(),
            rcu: Rcu::default(),
            live: Cell::new(0),
            running: Cell::new(None),
            stopped: RefCell::new(None),
            abandoned: Cell::new(false),
            config,
        })
    }

    /// What the engine was built from.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// All CPUs, by number.
    pub fn cpus(&self) -> &[Rc<Cpu>] {
        &self.cpus
    }

    /// One CPU.
    pub fn cpu(&self, id: CpuId) -> &Rc<Cpu> {
        &self.cpus[usize::from(id.0)]
    }

    /// Starts a context on `cpu`. It runs when that CPU gets to it, not before this call returns.
    pub fn spawn<F, Fut>(self: &Rc<Self>, cpu: CpuId, body: F) -> ContextId
    where
        F: FnOnce(Context) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        let slot = Slot {
            cpu,
            state: State::Ready,
            future: None,
            wake_at: self.now(),
            announced: None,
            contends: false,
        };
        let id = if let Some(id) = self.free_slots.borrow_mut().pop() {
            self.slots.borrow_mut()[id.index()] = slot;
            id
        } else {
            let mut slots = self.slots.borrow_mut();
            slots.push(slot);
            ContextId::new(slots.len() - 1)
        };
        let context = Context::new(Rc::clone(self), Rc::clone(self.cpu(cpu)), id);
        let future = Box::pin(body(context));
        self.slots.borrow_mut()[id.index()].future = Some(future);
        self.live.set(self.live.get() + 1);
        self.enqueue(id);
        id
    }

    /// The time of whoever is executing; 0 before the run begins.
    pub fn now(&self) -> u64 {
        self.running.get().map_or(0, |id| self.cpu(id).clock())
    }

    /// Ends the run as soon as the current step is over; what every context held is abandoned.
    /// The first reason stands.
    pub fn stop(&self, reason: impl Into<String>) {
        self.stopped.borrow_mut().get_or_insert_with(|| reason.into());
        for cpu in &self.cpus {
            cpu.horizon.set(0);
            cpu.limit.set(0);
            cpu.budget.set(0);
        }
    }

    /// Whether the run is over before its end: guards and references dropped now are no leaks.
    pub fn abandoned(&self) -> bool {
        self.abandoned.get()
    }

    /// Drops every context. Called when a run is over, finished or not.
    pub(crate) fn abandon(&self) {
        self.abandoned.set(true);
        let futures: Vec<_> = self.slots.borrow_mut().iter_mut().map(|slot| slot.future.take()).collect();
        drop(futures);
    }

    /// A random number of cycles, 0 to the configured jitter, for an entry into the kernel.
    pub(crate) fn draw_jitter(&self) -> u64 {
        match self.config.jitter {
            0 => 0,
            most => u64::from(self.jitter.borrow_mut().below(most.saturating_add(1).max(1))),
        }
    }

    /// Adds a word to the digest of the run.
    #[inline]
    pub fn digest_word(&self, word: u64) {
        let mut digest = self.digest.get();
        digest.absorb(word);
        self.digest.set(digest);
    }

    /// The digest of the events so far.
    pub fn digest(&self) -> Digest {
        self.digest.get()
    }

    /// Notes a broken promise. The run goes on: what follows may explain it.
    pub fn violation(&self, invariant: &'static str, message: impl Into<String>) {
        let mut violations = self.violations.borrow_mut();
        if violations.len() < VIOLATIONS_KEPT {
            violations.push(Violation { invariant, message: message.into() });
        }
    }

    /// What was found wrong so far (the first 32).
    pub fn violations(&self) -> Vec<Violation> {
        self.violations.borrow().clone()
    }

    /// The last steps, if the engine records.
    pub fn recorded(&self) -> Vec<StepRecord> {
        self.record.as_ref().map_or_else(Vec::new, |record| record.borrow().to_vec())
    }

    pub(crate) fn record(&self) -> Option<&RefCell<Record>> {
        self.record.as_ref()
    }

    // ---- waiting and waking

    /// Puts the current context of `cpu` to wait for `object`.
    pub(crate) fn block(&self, id: ContextId, object: ObjectId, sleep: bool) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[id.index()];
        let cpu = Rc::clone(self.cpu(slot.cpu));
        slot.state = if sleep { State::Sleeping(object) } else { State::Spinning(object) };
        drop(slots);
        self.waiters.borrow_mut().push(id);
        if sleep {
            self.leave_cpu(&cpu);
        } else {
            cpu.set_mode(Mode::Waiting);
        }
    }

    /// Tells everyone who waits for `object` that it changed.
    #[inline]
    pub(crate) fn notify(&self, object: ObjectId) {
        if !self.waiters.borrow().is_empty() {
            self.wake_all(object, self.now());
        }
    }

    fn wake_all(&self, object: ObjectId, at: u64) {
        let woken: Vec<ContextId> = {
            let slots = self.slots.borrow();
            let waits = |id: &ContextId| match slots[id.index()].state {
                State::Spinning(on) | State::Sleeping(on) => on == object,
                State::Ready | State::Done => false,
            };
            self.waiters.borrow_mut().extract_if(.., |id| waits(id)).collect()
        };
        for id in woken {
            self.wake(id, at);
        }
    }

    /// Wakes exactly these contexts, which wait for `object`.
    pub(crate) fn notify_only(&self, object: ObjectId, woken: &[ContextId]) {
        let waits = |id: &ContextId| {
            woken.contains(id) && self.slots.borrow()[id.index()].state == State::Sleeping(object)
        };
        let asleep: Vec<ContextId> = self.waiters.borrow_mut().extract_if(.., |id| waits(id)).collect();
        for id in asleep {
            self.wake(id, self.now());
        }
    }

    /// Makes a waiting context ready at time `at`.
    fn wake(&self, id: ContextId, at: u64) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[id.index()];
        let was = std::mem::replace(&mut slot.state, State::Ready);
        slot.wake_at = at;
        let cpu = Rc::clone(self.cpu(slot.cpu));
        drop(slots);
        match was {
            State::Spinning(_) => {
                self.contend(id);
                cpu.clock.set(cpu.clock().max(at));
                cpu.set_mode(Mode::Kernel);
                self.lower_horizon(cpu.clock());
            }
            State::Sleeping(_) => self.enqueue(id),
            State::Ready | State::Done => unreachable!("only a waiting context is woken"),
        }
    }

    /// Notes the operation that a context waits to be granted.
    pub(crate) fn announce(&self, id: ContextId, op: Op) {
        self.slots.borrow_mut()[id.index()].announced = Some(op);
    }

    /// The context would take a lock that is free now.
    pub(crate) fn contend(&self, id: ContextId) {
        let mut slots = self.slots.borrow_mut();
        if !std::mem::replace(&mut slots[id.index()].contends, true) {
            self.contenders.set(self.contenders.get() + 1);
        }
    }

    pub(crate) fn stop_contending(&self, id: ContextId) {
        if std::mem::replace(&mut self.slots.borrow_mut()[id.index()].contends, false) {
            self.contenders.set(self.contenders.get() - 1);
        }
    }

    /// `lock` was just taken by `taker`: whoever was about to take it spins (on). This keeps "enabled"
    /// exact: a context that would only find the lock taken is not enabled.
    #[inline(always)]
    pub(crate) fn still_taken(&self, lock: ObjectId, taker: ContextId) {
        if self.contenders.get() > 0 {
            self.spin_on(lock, taker);
        }
    }

    #[cold]
    fn spin_on(&self, lock: ObjectId, taker: ContextId) {
        let losers: Vec<ContextId> = {
            let slots = self.slots.borrow();
            let wants = |slot: &Slot| {
                slot.contends
                    && slot.state == State::Ready
                    && slot.announced.is_some_and(|op| op.object == lock && op.kind == OpKind::Lock)
            };
            (0..slots.len()).filter(|&n| wants(&slots[n])).map(ContextId::new).collect()
        };
        for id in losers.into_iter().filter(|&id| id != taker) {
            self.stop_contending(id);
            self.block(id, lock, false);
        }
    }

    // ---- run queues

    /// Puts a ready context at the end of its CPU's run queue, and on the CPU if that is idle.
    pub(crate) fn enqueue(&self, id: ContextId) {
        let cpu = Rc::clone(self.cpu(self.slots.borrow()[id.index()].cpu));
        cpu.run_queue.borrow_mut().push_back(id);
        if cpu.current().is_none() {
            self.dispatch(&cpu);
            self.lower_horizon(cpu.clock());
        }
    }

    /// The current context gives up `cpu`; the next one takes it.
    pub(crate) fn leave_cpu(&self, cpu: &Cpu) {
        cpu.current.set(None);
        cpu.set_mode(Mode::Idle);
        self.dispatch(cpu);
    }

    fn dispatch(&self, cpu: &Cpu) {
        let Some(next) = cpu.run_queue.borrow_mut().pop_front() else { return };
        let woken = self.slots.borrow()[next.index()].wake_at;
        cpu.clock.set(cpu.clock().max(woken).max(1));
        cpu.set_mode(Mode::Kernel);
        cpu.current.set(Some(next));
        cpu.charge(u64::from(self.config.costs.context_switch));
        cpu.switches.set(cpu.switches.get() + 1);
        cpu.slice_end.set(cpu.clock().saturating_add(self.config.quantum));
    }

    /// The context on `cpu` is over.
    pub(crate) fn finish(&self, id: ContextId, cpu: &Cpu) {
        self.slots.borrow_mut()[id.index()].state = State::Done;
        self.free_slots.borrow_mut().push(id);
        self.live.set(self.live.get() - 1);
        self.leave_cpu(cpu);
    }

    /// Something can happen at `time` on another CPU: whoever runs may not run past it unseen.
    pub(crate) fn lower_horizon(&self, time: u64) {
        let Some(running) = self.running.get() else { return };
        let cpu = self.cpu(running);
        match self.config.schedule {
            Schedule::Timed => {
                cpu.limit.set(cpu.limit.get().min(time));
                cpu.horizon.set(cpu.horizon.get().min(time));
            }
            Schedule::Random => cpu.budget.set(0),
        }
    }

    /// Every context that waits, and for what: the report of a deadlock.
    pub(crate) fn describe_waiters(&self) -> String {
        let slots = self.slots.borrow();
        let mut lines = Vec::new();
        for (index, slot) in slots.iter().enumerate() {
            let (verb, object) = match slot.state {
                State::Spinning(object) => ("spins for", object),
                State::Sleeping(object) => ("sleeps for", object),
                State::Ready | State::Done => continue,
            };
            let place = slot.announced.map_or_else(String::new, |op| format!(" at {}", op.location));
            lines.push(format!("context {index} on {} {verb} {object}{place}", slot.cpu));
        }
        lines.join("; ")
    }
}
