//! What the steps of an explored run access: the footprint from which dependence between steps is made.

use std::cell::{Cell, RefCell};

use crate::context::ContextId;
use crate::cpu::CpuId;
use crate::engine::Engine;
use crate::explore::bit_of;
use crate::glance;
use crate::object::{Class, ObjectId};
use crate::rcu::RCU;
use crate::record::{Effect, Op, OpKind};

/// One access of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The word or other object that is accessed.
    pub object: ObjectId,
    /// How.
    pub kind: OpKind,
    /// What it did, as bits.
    pub effect: Effect,
}

/// The queue of a CPU that several contexts share.
pub static RUN_QUEUE: Class = Class::new(5, "run queue");

/// Everything: the object of a step that does not say what it accesses.
pub static ANYTHING: Class = Class::new(6, "anything");

/// Whether a CPU has its interrupts off: changed by the steps that turn them off and on, read by what interrupts it.
pub static IRQS_OFF: Class = Class::new(7, "interrupts off");

/// Whether a CPU has a context that is not asleep. Changed by steps after which the context may sleep, or is over.
pub static OCCUPIED: Class = Class::new(8, "CPU occupied");

/// What the engine keeps while it is explored.
#[derive(Default)]
pub(crate) struct Exploring {
    pub(crate) last: Cell<Option<(Op, Effect)>>,
    pub(crate) touched: RefCell<Vec<Touch>>,
    /// Who accessed what, and whether that changed it: the whole run.
    log: RefCell<Vec<(ContextId, ObjectId, bool)>>,
    /// Whose context has just got its CPU and has announced nothing.
    pub(crate) fresh: Cell<u64>,
    /// CPUs that have more than one context, or have had since the run began.
    pub(crate) shared: Cell<u64>,
    /// CPUs whose context stands before a step for which it may have to sleep.
    drowsy: Cell<u64>,
    /// CPUs with interrupts off, as the last step left them.
    pub(crate) irqs_off: Cell<u64>,
    /// Code is running: what it touches it has been told.
    pub(crate) acting: Cell<bool>,
    /// What waited for interrupts to be turned on when the run ended.
    pub(crate) held_back: RefCell<Vec<(usize, Op)>>,
}

impl Exploring {
    pub(crate) fn clear(&self) {
        self.last.set(None);
        self.touched.borrow_mut().clear();
        self.log.borrow_mut().clear();
        self.fresh.set(0);
        self.shared.set(0);
        self.drowsy.set(0);
        self.irqs_off.set(0);
        self.held_back.borrow_mut().clear();
    }

    /// A run begins: what made the world it runs in is forgotten.
    pub(crate) fn begin(&self, engine: &Engine) {
        glance::begin();
        engine.histories_begin();
        self.held_back.borrow_mut().clear();
        self.log.borrow_mut().clear();
        self.shared.set(0);
        let mut occupied = 0;
        for (cpu, _) in engine.live_contexts() {
            self.shared.set(self.shared.get() | (occupied & bit_of(cpu)));
            occupied |= bit_of(cpu);
        }
        self.irqs_off.set(engine.irqs_off());
    }

    /// The context on `cpu` stands before a step for which it may (or need not) sleep.
    pub(crate) fn set_drowsy(&self, cpu: CpuId, drowsy: bool) {
        let bit = bit_of(cpu);
        self.drowsy.set(if drowsy { self.drowsy.get() | bit } else { self.drowsy.get() & !bit });
    }

    pub(crate) fn is_drowsy(&self, cpu: CpuId) -> bool {
        self.drowsy.get() & bit_of(cpu) != 0
    }
}

impl Engine {
    /// The step just executed by `context`.
    pub(crate) fn note_step(&self, context: ContextId, op: Op, effect: Effect) {
        self.exploring.last.set(Some((op, effect)));
        self.history_step(context, &op, effect);
        self.exploring.log.borrow_mut().push((context, op.object, effect.old != effect.new));
    }

    /// Notes, while schedules are explored, that the step being executed also accesses `object`: what a handler changes, or
    /// what a synchronous part of the machine reads. `effect.old != effect.new` says that it changed. Otherwise nothing.
    #[inline]
    pub fn touch(&self, object: ObjectId, kind: OpKind, effect: Effect) {
        if self.exploring() {
            self.note_touch(Touch { object, kind, effect });
        }
    }

    /// [`Engine::touch`] of what the code is not told of.
    pub(crate) fn touch_untold(&self, object: ObjectId, kind: OpKind, effect: Effect) {
        let acting = self.exploring.acting.replace(false);
        self.touch(object, kind, effect);
        self.exploring.acting.set(acting);
    }

    #[cold]
    fn note_touch(&self, touch: Touch) {
        self.history_touch(&touch, self.exploring.acting.get());
        let mut touched = self.exploring.touched.borrow_mut();
        if touch.effect.old != touch.effect.new {
            // Nobody's own access: whoever waits for a change sees one.
            self.exploring.log.borrow_mut().push((ContextId::nobody(), touch.object, true));
        } else if touched.iter().any(|known| known.object == touch.object && known.kind == touch.kind) {
            return;
        }
        touched.push(touch);
    }

    /// A context was put in line for `cpu`, or has left it to those in line.
    pub(crate) fn note_queued(&self, cpu: CpuId) {
        if self.exploring.shared.get() & bit_of(cpu) != 0 {
            self.touch(ObjectId::new(&RUN_QUEUE, u64::from(cpu.0)), OpKind::Store, Effect::NONE);
        }
    }

    /// The step being executed changes whether `cpu` has a context that is awake, or may.
    pub(crate) fn note_occupied(&self, cpu: CpuId) {
        self.touch(ObjectId::new(&OCCUPIED, u64::from(cpu.0)), OpKind::Store, Effect::NONE);
    }

    /// Whether `cpu` has nothing to run, as an interrupt finds it. While schedules are explored the step being executed depends
    /// on it, and on whatever the CPU's context may be asleep for.
    pub fn is_idle(&self, cpu: CpuId) -> bool {
        if self.exploring() {
            self.touch(ObjectId::new(&OCCUPIED, u64::from(cpu.0)), OpKind::Load, Effect::NONE);
            self.note_awaited(cpu);
        }
        let idle = self.cpu(cpu).current().is_none();
        self.note_found(idle);
        idle
    }

    /// The step being executed depends on whatever a context of `cpu` may be asleep for.
    pub(crate) fn note_awaited(&self, cpu: CpuId) {
        if !self.exploring.is_drowsy(cpu) {
            return;
        }
        let awaited = self.live_contexts().into_iter().filter(|&(of, _)| of == cpu);
        for op in awaited.filter_map(|(_, op)| op) {
            let (object, kind) = match op.kind {
                OpKind::ChangeBit(bit) | OpKind::TestBit(bit) => (op.object, OpKind::TestBit(bit)),
                // Over when the last reader has left: that is an access of what readers share.
                OpKind::GraceEnd => (ObjectId::new(&RCU, 0), OpKind::Load),
                _ => (op.object, OpKind::Load),
            };
            self.touch_untold(object, kind, Effect::NONE);
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

    /// CPUs with interrupts off, as a mask.
    pub(crate) fn irqs_off(&self) -> u64 {
        let off = |cpu: &&std::rc::Rc<crate::cpu::Cpu>| cpu.irqs_off.get() > 0;
        self.cpus.iter().filter(off).fold(0, |mask, cpu| mask | bit_of(cpu.id()))
    }

    /// Where each context that has not ended runs, and what it has announced.
    fn live_contexts(&self) -> Vec<(CpuId, Option<Op>)> {
        let slots = self.slots.borrow();
        let live = slots.iter().filter(|slot| slot.state != crate::engine::State::Done);
        live.map(|slot| (slot.cpu, slot.announced)).collect()
    }
}
