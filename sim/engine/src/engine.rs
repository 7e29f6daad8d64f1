//! The engine: the CPUs, the contexts on them, who waits for what, and what was found wrong.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::coherence::Coherence;
use crate::config::{EngineConfig, Schedule};
use crate::context::{Context, ContextId};
use crate::cpu::{Cpu, CpuId};
use crate::cpuset::CpuSet;
use crate::digest::Digest;
use crate::footprint::Exploring;
use crate::history::Histories;
use crate::lockdep::LockOrder;
use crate::marks::Marks;
use crate::object::ObjectId;
use crate::rcu::Rcu;
use crate::record::{Op, Record, StepRecord};
use crate::retry::Words;
use crate::rng::{Purpose, Random};
use crate::waits::{ClassWaits, Waits};

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
    pub(crate) contends: bool,
}

/// What is told of a CPU that gets a context (`Some`), or that its context leaves (`None`).
pub type SwitchWatcher = Rc<dyn Fn(&Cpu, Option<ContextId>)>;

/// The simulated machine without its memory: CPUs, contexts, time, randomness, record.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) cpus: Box<[Rc<Cpu>]>,
    pub(crate) slots: RefCell<Vec<Slot>>,
    pub(crate) free_slots: RefCell<Vec<ContextId>>,
    /// CPUs whose current context waits for nothing but its next step.
    pub(crate) ready: CpuSet,
    /// CPUs with a pending interrupt.
    pub(crate) interrupted: CpuSet,
    /// Contexts that spin, and contexts that sleep, in the order in which they began to.
    pub(crate) spinners: RefCell<Vec<ContextId>>,
    pub(crate) sleepers: RefCell<Vec<ContextId>>,
    /// How many contexts contend for a lock that looked free.
    pub(crate) contenders: Cell<u32>,
    pub(crate) coherence: Option<Coherence>,
    pub(crate) choices: RefCell<Random>,
    jitter: RefCell<Random>,
    record: Option<RefCell<Record>>,
    digest: Cell<Digest>,
    violations: RefCell<Vec<Violation>>,
    pub(crate) lock_order: RefCell<LockOrder>,
    pub(crate) rcu: Rcu,
    pub(crate) marks: Marks,
    pub(crate) exploring: Exploring,
    /// What each context has been told, where states are asked for.
    pub(crate) histories: Histories,
    /// Retries that wait for one of their words to change.
    pub(crate) retries: RefCell<Vec<(ContextId, Words)>>,
    /// Whether somebody is told of every step.
    pub(crate) seen: bool,
    pub(crate) waits: Waits,
    pub(crate) switch_watcher: OnceCell<SwitchWatcher>,
    pub(crate) live: Cell<usize>,
    /// The CPU that goes next, if a context has drawn it already.
    pub(crate) drawn: Cell<Option<CpuId>>,
    /// The CPU whose context or interrupt is executing.
    pub(crate) running: Cell<Option<CpuId>>,
    pub(crate) stopped: RefCell<Option<String>>,
    /// Whether the run ends in the midst of a step, by a BUG.
    pub(crate) broken_off: Cell<bool>,
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
            ready: CpuSet::new(config.cpus),
            interrupted: CpuSet::new(config.cpus),
            spinners: RefCell::default(),
            sleepers: RefCell::default(),
            contenders: Cell::new(0),
            coherence: (config.cpus > 1
                && config.schedule != Schedule::Explore
                && config.costs.line_transfer > 0)
                .then(|| Coherence::new(config.costs.line_queue)),
            choices: RefCell::new(Random::new(config.seed, Purpose::Schedule)),
            jitter: RefCell::new(Random::new(config.seed, Purpose::Jitter)),
            record: (config.record > 0).then(|| RefCell::new(Record::new(config.record))),
            digest: Cell::default(),
            violations: RefCell::default(),
            lock_order: RefCell::default(),
            rcu: Rcu::default(),
            marks: Marks::default(),
            exploring: Exploring::default(),
            histories: Histories::default(),
            retries: RefCell::default(),
            seen: config.record > 0 || config.schedule == Schedule::Explore,
            waits: Waits::default(),
            switch_watcher: OnceCell::new(),
            live: Cell::new(0),
            drawn: Cell::new(None),
            running: Cell::new(None),
            stopped: RefCell::new(None),
            broken_off: Cell::new(false),
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

    /// The CPUs that are online but `own`, by number.
    pub fn other_cpus(&self, own: CpuId) -> impl Iterator<Item = CpuId> {
        self.cpus.iter().filter(move |cpu| cpu.id() != own && cpu.is_online()).map(|cpu| cpu.id())
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
        self.note_occupied(cpu);
        self.enqueue(id);
        id
    }

    /// The CPU whose context or interrupt is executing.
    pub fn running(&self) -> Option<CpuId> {
        self.running.get()
    }

    /// The time of whoever is executing; 0 before the run begins.
    pub fn now(&self) -> u64 {
        self.running.get().map_or(0, |id| self.cpu(id).clock())
    }

    /// Ends the run as soon as the current step is over; what every context held is abandoned.
    /// The first reason stands.
    pub fn stop(&self, reason: impl Into<String>) {
        self.stopped.borrow_mut().get_or_insert_with(|| reason.into());
        // Nobody takes another step: each step of the others is either before this one or not at all.
        self.touch_anything();
        for cpu in &self.cpus {
            cpu.horizon.set(0);
            cpu.limit.set(0);
            cpu.budget.set(0);
        }
    }

    /// Whether the run is over before its end: guards and references dropped now are no leaks.
    pub fn abandoned(&self) -> bool {
        self.abandoned.get() || self.stopped.borrow().is_some()
    }

    /// Drops every context, and every interrupt not delivered: handlers keep the machine they were built for alive.
    pub(crate) fn abandon(&self) {
        self.abandoned.set(true);
        // What a future drops may look at the slots: they are not borrowed meanwhile.
        for index in 0.. {
            let Some(future) = self.slots.borrow_mut().get_mut(index).map(|slot| slot.future.take()) else {
                break;
            };
            drop(future);
        }
        for cpu in &self.cpus {
            drop(cpu.pending.take());
        }
        drop(self.rcu.take_callbacks());
    }

    /// The part of [`Engine::restart`] that only this file sees.
    pub(crate) fn forget(&self, seed: u64) {
        if self.config.jitter > 0 && !self.exploring() {
            *self.jitter.borrow_mut() = Random::new(seed, Purpose::Jitter);
        }
        if let Some(record) = &self.record {
            *record.borrow_mut() = Record::new(self.config.record);
        }
        self.digest.set(Digest::default());
        self.violations.borrow_mut().clear();
        *self.stopped.borrow_mut() = None;
        self.broken_off.set(false);
        self.abandoned.set(false);
    }

    /// A random number of cycles, 0 to the configured jitter, for an entry into the kernel.
    pub(crate) fn draw_jitter(&self) -> u64 {
        match self.config.jitter {
            0 => 0,
            _ if self.exploring() => 0,
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

    pub(crate) fn set_digest(&self, digest: Digest) {
        self.digest.set(digest);
    }

    /// The digest of the events so far.
    pub fn digest(&self) -> Digest {
        self.digest.get()
    }

    /// Notes a broken promise. The run goes on: what follows may explain it.
    pub fn violation(&self, invariant: &'static str, message: impl Into<String>) {
        if let Some(record) = &self.record {
            record.borrow_mut().close();
        }
        let mut violations = self.violations.borrow_mut();
        if violations.len() < VIOLATIONS_KEPT {
            violations.push(Violation { invariant, message: message.into() });
        }
    }

    /// Whether anything was found wrong so far.
    pub fn has_violation(&self) -> bool {
        !self.violations.borrow().is_empty()
    }

    /// What was found wrong so far (the first 32).
    pub fn violations(&self) -> Vec<Violation> {
        self.violations.borrow().clone()
    }

    /// From now on `watcher` is told of every switch, at the clock of the switch. It may not change the run.
    /// The first watcher stays.
    pub fn watch_switches(&self, watcher: SwitchWatcher) {
        self.switch_watcher.get_or_init(|| watcher);
    }

    /// What contexts have waited for so far, by class.
    pub fn waits(&self) -> Vec<ClassWaits> {
        self.waits.sums()
    }

    /// The last steps, or the last up to the first violation, if the engine records.
    pub fn recorded(&self) -> Vec<StepRecord> {
        self.record.as_ref().map_or_else(Vec::new, |record| record.borrow().to_vec())
    }

    pub(crate) fn record(&self) -> Option<&RefCell<Record>> {
        self.record.as_ref()
    }
}
