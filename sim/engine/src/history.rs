//! What a machine is between two steps, as one number: for a search that visits every state once.
//!
//! A context is a future, and opaque. But its path is a function of what its steps told it since the operation began, so a digest
//! of that stands for it: of the boolean that `inc_not_zero` returned, not of the count that it saw. At the end of an operation the
//! program says that it remembers nothing ([`Context::begin_anew`]), and ways that differed meet again. An interrupt under way and a
//! callback that waits are what they were made from: the history of who sent them. What is shared is hashed by who owns it
//! ([`Shared`]).
//!
//! What has no words (a list of free pages, a TLB, what a lock guards) tells its readers what they find: [`Engine::note_found`],
//! [`crate::Guarded`]. Only what acknowledgements are counted in is nobody's, and known by a digest of all who have counted.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hash;

use crate::context::{Context, ContextId};
use crate::digest::Digest;
use crate::engine::{Engine, State};
use crate::footprint::{ANYTHING, IRQS_OFF, OCCUPIED, RUN_QUEUE, Touch};
use crate::glance;
use crate::interrupt::IRQ;
use crate::object::{Class, ObjectId};
use crate::rcu::RCU;
use crate::record::{Effect, Op, OpKind, Order};

/// What contexts and interrupts share: every word, list, table and observer's note on which the rest of a run depends.
pub trait Shared {
    /// Absorbs all of it. Two machines with the same digest go on alike.
    fn absorb_into(&self, digest: &mut Digest);
}

/// By class and index: an [`ObjectId`] that can be sorted.
type Key = (u8, u64);

fn key(object: ObjectId) -> Key {
    (object.class.id, object.index)
}

/// A word that a context has accessed since its operation began, and whether it has changed since then.
struct Seen {
    context: ContextId,
    object: ObjectId,
    changed: bool,
}

/// What every context has been told.
#[derive(Default)]
pub(crate) struct Histories {
    on: Cell<bool>,
    /// The history of whoever takes the present step.
    now: Cell<Digest>,
    /// Of each context, by number.
    contexts: RefCell<Vec<Digest>>,
    /// What each context's history was when its operation began.
    beginnings: RefCell<BTreeMap<ContextId, Digest>>,
    /// What acknowledgements are counted in: a digest of those who have.
    counted: RefCell<BTreeMap<Key, Digest>>,
    /// Words of the classes that retries watch.
    seen: RefCell<Vec<Seen>>,
    /// The classes of the words that retries watch.
    watched: RefCell<Vec<u8>>,
}

impl Histories {
    fn tell(&self, word: u64) {
        let mut now = self.now.get();
        now.absorb(word);
        self.now.set(now);
    }

    fn tell_digest(&self, told: Digest) {
        let mut now = self.now.get();
        now.absorb_digest(told);
        self.now.set(now);
    }

    /// What was read without a step has been told, too.
    fn tell_read(&self) {
        if let Some(read) = glance::take_told() {
            self.tell_digest(read);
        }
    }

    pub(crate) fn clear(&self) {
        glance::forget_told();
        self.contexts.borrow_mut().clear();
        self.beginnings.borrow_mut().clear();
        self.counted.borrow_mut().clear();
        self.seen.borrow_mut().clear();
    }

    fn of(&self, context: ContextId) -> Digest {
        self.contexts.borrow().get(context.index()).copied().unwrap_or_default()
    }

    fn keep(&self, context: ContextId) {
        let mut contexts = self.contexts.borrow_mut();
        if contexts.len() <= context.index() {
            contexts.resize(context.index() + 1, Digest::default());
        }
        contexts[context.index()] = self.now.get();
    }

    fn note_access(&self, context: ContextId, object: ObjectId, changed: bool) {
        if !self.watched.borrow().contains(&object.class.id) {
            return;
        }
        let mut seen = self.seen.borrow_mut();
        let mut known = false;
        for word in seen.iter_mut().filter(|word| word.object == object) {
            if word.context == context {
                (known, word.changed) = (true, false);
            } else {
                word.changed |= changed;
            }
        }
        if !known && context != ContextId::nobody() {
            seen.push(Seen { context, object, changed: false });
        }
    }
}

/// What a step of this kind tells the code.
fn told(kind: OpKind, order: Order, effect: Effect) -> u64 {
    match kind {
        OpKind::Load | OpKind::Rmw => effect.old,
        OpKind::RmwTest => u64::from(effect.old == 0) | u64::from(effect.new == 0) << 1,
        OpKind::TestBit(bit) if order != Order::Acquire => effect.old >> bit & 1,
        OpKind::ChangeBit(bit) if matches!(order, Order::Full | Order::Release) => effect.old >> bit & 1,
        OpKind::TryLock => effect.old & 1,
        _ => 0,
    }
}

/// Classes whose objects tell the code nothing, or nothing that the engine does not keep by itself.
fn tells_nothing(class: &Class) -> bool {
    class.observer || [&RUN_QUEUE, &ANYTHING, &IRQS_OFF, &OCCUPIED, &IRQ, &RCU].contains(&class)
}

impl Context {
    /// The program stands at `point` and remembers nothing that a step has told it: whatever brought it here, it goes on alike.
    pub fn begin_anew(&self, point: u64) {
        let histories = &self.engine().histories;
        if histories.on.get() {
            let mut beginning = Digest::default();
            beginning.absorb(u64::from(self.id().number()));
            beginning.absorb(point);
            histories.beginnings.borrow_mut().insert(self.id(), beginning);
            self.remember(&[]);
        }
    }

    /// Of all that steps have told it since [`Context::begin_anew`], the code remembers `words` and nothing else.
    pub fn remember(&self, words: &[u64]) {
        let histories = &self.engine().histories;
        if histories.on.get() {
            glance::forget_told();
            let mut now = histories.beginnings.borrow().get(&self.id()).copied().unwrap_or_default();
            words.iter().for_each(|&word| now.absorb(word));
            histories.now.set(now);
            histories.seen.borrow_mut().retain(|word| word.context != self.id());
        }
    }
}

impl Engine {
    /// From the next run on every context's history is kept, so that [`Engine::state`] can be asked. Retries of that run watch
    /// words of the classes `watched` only, or [`Engine::watched_classes`] says which more.
    pub fn keep_histories(&self, watched: &[u8]) {
        self.histories.clear();
        self.histories.on.set(true);
        *self.histories.watched.borrow_mut() = watched.to_vec();
    }

    /// Whether every context's history is kept.
    #[inline]
    pub fn keeps_histories(&self) -> bool {
        self.histories.on.get()
    }

    /// The classes of all words that retries have watched.
    pub fn watched_classes(&self) -> Vec<u8> {
        self.histories.watched.borrow().clone()
    }

    /// The code, or an observer in its midst, has found this where there is no word.
    #[inline]
    pub fn note_found(&self, found: impl Hash) {
        if self.histories.on.get() {
            glance::tell(|digest| found.hash(digest));
        }
    }

    /// The history of who takes the present step, for what it sends off.
    pub(crate) fn history(&self) -> Digest {
        if self.histories.on.get() {
            self.histories.tell_read();
        }
        self.histories.now.get()
    }

    pub(crate) fn histories_begin(&self) {
        if self.histories.on.get() {
            self.histories.counted.borrow_mut().clear();
            self.histories.seen.borrow_mut().clear();
        }
    }

    /// The code of `context` is about to run.
    pub(crate) fn history_of(&self, context: Option<ContextId>) {
        if let Some(context) = context.filter(|_| self.histories.on.get()) {
            self.histories.now.set(self.histories.of(context));
        }
    }

    /// What was sent off with this history is about to run.
    pub(crate) fn history_is(&self, origin: Digest) {
        if self.histories.on.get() {
            self.histories.now.set(origin);
        }
    }

    /// The code of `context`, or of an interrupt, has run.
    pub(crate) fn history_ends(&self, context: Option<ContextId>) {
        let histories = &self.histories;
        if !histories.on.get() {
            return;
        }
        histories.tell_read();
        if let Some(context) = context {
            histories.keep(context);
        }
    }

    /// `context` has taken a step.
    pub(crate) fn history_step(&self, context: ContextId, op: &Op, effect: Effect) {
        let histories = &self.histories;
        if !histories.on.get() {
            return;
        }
        histories.tell(told(op.kind, op.order, effect));
        if op.kind == OpKind::Wait
            && let Some(label) = histories.counted.borrow_mut().remove(&key(op.object))
        {
            histories.tell_digest(label);
        }
        histories.note_access(context, op.object, effect.old != effect.new);
    }

    /// The step being executed has also accessed this; the code has been told what it found, or not.
    pub(crate) fn history_touch(&self, touch: &Touch, is_told: bool) {
        let histories = &self.histories;
        if !histories.on.get() {
            return;
        }
        let Touch { object, kind, effect } = *touch;
        if effect.old != effect.new {
            histories.note_access(ContextId::nobody(), object, true);
        }
        if !is_told || tells_nothing(object.class) {
            return;
        }
        if kind == OpKind::Count && effect.old != effect.new {
            histories.tell_read();
            let mut counted = histories.counted.borrow_mut();
            counted.entry(key(object)).or_default().absorb_digest(histories.now.get());
        } else {
            histories.tell(told(kind, Order::Full, effect));
        }
    }

    /// A retry watches `words`.
    pub(crate) fn watch_classes(&self, words: &[ObjectId]) {
        if self.histories.on.get() {
            let mut watched = self.histories.watched.borrow_mut();
            for word in words {
                if !watched.contains(&word.class.id) {
                    watched.push(word.class.id);
                }
            }
        }
    }

    /// `context` knows the word as it is now, and waited for it to change.
    pub(crate) fn history_watches(&self, context: ContextId, object: ObjectId) {
        if self.histories.on.get() {
            self.histories.note_access(context, object, false);
        }
    }

    /// What the machine is now, between two steps: `shared`, and all that the engine keeps. Machines in the same state go on
    /// alike, whatever brought them there.
    ///
    /// # Panics
    /// If histories are not kept, or a CPU has had several contexts since the run began: which one goes on then depends on clocks,
    /// and they are in no state.
    pub fn state(&self, shared: &dyn Shared) -> u128 {
        let histories = &self.histories;
        assert!(histories.on.get(), "histories are kept where states are asked for");
        assert_eq!(self.exploring.shared.get(), 0, "a search by state has one context on each CPU");
        let mut digest = Digest::default();
        shared.absorb_into(&mut digest);
        self.absorb_contexts(&mut digest);
        self.absorb_cpus(&mut digest);
        self.rcu.absorb_into(&mut digest);
        for (&(class, index), label) in histories.counted.borrow().iter() {
            absorb_key(&mut digest, (class, index));
            digest.absorb_digest(*label);
        }
        let changed = |word: &Seen| (word.context.number(), key(word.object));
        let over = |id: ContextId| self.slots.borrow()[id.index()].state == State::Done;
        let seen = histories.seen.borrow();
        let mut stale: Vec<_> =
            seen.iter().filter(|word| word.changed && !over(word.context)).map(changed).collect();
        stale.sort_unstable();
        for (context, word) in stale {
            digest.absorb(u64::from(context));
            absorb_key(&mut digest, word);
        }
        self.lock_order.borrow().absorb_into(&mut digest);
        let mut broken: Vec<_> = self.violations().iter().map(|violation| violation.invariant).collect();
        broken.sort_unstable();
        broken.dedup();
        broken.iter().flat_map(|name| name.bytes()).for_each(|byte| digest.absorb(u64::from(byte)));
        digest.value()
    }

    /// Where each context stands: what it was told, and what it is about to do.
    fn absorb_contexts(&self, digest: &mut Digest) {
        for (index, slot) in self.slots.borrow().iter().enumerate() {
            let (state, object) = match slot.state {
                State::Done => continue,
                State::Ready => (1, None),
                State::Spinning(object) => (2, Some(object)),
                State::Sleeping(object) => (3, Some(object)),
            };
            digest.absorb((index as u64) << 8 | state << 1 | u64::from(slot.contends));
            digest.absorb_digest(self.histories.of(ContextId::new(index)));
            if let Some(object) = object {
                absorb_key(digest, key(object));
            }
            if let Some(op) = slot.announced {
                absorb_key(digest, key(op.object));
                digest.absorb(u64::from(op.location.line()));
            }
        }
    }

    fn absorb_cpus(&self, digest: &mut Digest) {
        for cpu in &self.cpus {
            let runs = cpu.current().map_or(u64::from(u32::MAX), |id| u64::from(id.number()));
            digest.absorb(runs << 8 | u64::from(self.exploring.is_drowsy(cpu.id())));
            digest.absorb(u64::from(cpu.irqs_off.get()));
            digest.absorb(cpu.grace_periods.get());
            cpu.run_queue.borrow().iter().for_each(|id| digest.absorb(u64::from(id.number())));
            for interrupt in cpu.pending.borrow().iter() {
                digest.absorb(u64::from(interrupt.location.line()));
                digest.absorb_digest(interrupt.origin);
            }
        }
    }
}

fn absorb_key(digest: &mut Digest, (class, index): Key) {
    digest.absorb(u64::from(class) << 56 ^ index);
}
