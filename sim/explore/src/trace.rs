//! The events of a run, with what happened before what.

use std::rc::Rc;

use pagewalk_engine::{ANYTHING, ContextId, Digest, Effect, Executed, IRQ, ObjectId, Op, OpKind, Touch};

use crate::clock::Clocks;
use crate::depend::Access;
use crate::fault::Fault;
use crate::index::Index;

/// One executed step.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it accessed, and who did.
    pub access: Rc<Access>,
    /// The operation as it was announced: kind, object, memory order, place in the text.
    pub op: Op,
    /// What it did.
    pub effect: Effect,
    /// The context, unless it was an interrupt or a callback.
    pub context: Option<ContextId>,
    /// How many events of its actor, itself included, had happened.
    pub ordinal: u16,
    /// Whether its CPU had interrupts off before it.
    pub irqs_off: bool,
    /// Earlier events that are in a race with it: their order could have been the other.
    pub(crate) races: Vec<usize>,
    /// The event of its actor before it.
    before: Option<usize>,
    fingerprint: u128,
}

/// An outermost RCU read section: the events that opened and left it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    actor: usize,
    opened: usize,
    pub(crate) left: Option<usize>,
}

/// A grace period: its number, the event that began it, and how many sections had been opened by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    pub(crate) number: u64,
    pub(crate) begun: usize,
    pub(crate) sections: usize,
}

/// The interrupts of one CPU: the events that sent them, and those that delivered them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) sent: Vec<usize>,
    pub(crate) delivered: Vec<usize>,
}

/// A run's events in the order in which they happened.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub(crate) cpus: usize,
    fault: Option<Fault>,
    events: Vec<Event>,
    /// The actor of each event, and which of its events it is.
    ordinals: Vec<(u16, u16)>,
    pub(crate) index: Index,
    pub(crate) clocks: Clocks,
    pub(crate) last: Vec<Option<usize>>,
    pub(crate) sections: Vec<Section>,
    pub(crate) periods: Vec<Period>,
    pub(crate) lines: Vec<Line>,
    /// Events of earlier runs, for the room that they have.
    spare: Vec<Event>,
    placed: Placed,
}

/// The step that was chosen and is not over. If the kernel's text hits a `BUG` in its midst it never is. It was executed all the same,
/// and nobody can say what it has accessed by then: anything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unfinished(Option<(usize, Op)>);

impl Unfinished {
    pub(crate) fn begins(&mut self, actor: usize, op: Option<Op>) {
        self.0 = op.map(|op| (actor, op));
    }

    pub(crate) fn is_over(&mut self) {
        self.0 = None;
    }

    /// Appends it, if there is one, to the trace of a run that has ended.
    pub(crate) fn push_to(&mut self, trace: &mut Trace) {
        let Some((actor, op)) = self.0.take() else { return };
        let effect = Effect::NONE;
        let touched = [Touch { object: ObjectId::new(&ANYTHING, 0), kind: op.kind, effect }];
        trace.push(&Executed { actor, context: None, op, effect, touched: &touched, irqs_off: false });
    }
}

/// What the analysis of one step yields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placed {
    /// Its clock, without its own tick.
    pub(crate) clock: Vec<u16>,
    /// The events it is in a race with.
    pub(crate) races: Vec<usize>,
    /// The events that it has to come after.
    pub(crate) ordered: Vec<usize>,
}

impl Trace {
    /// An empty trace of a machine of `cpus` CPUs.
    pub fn new(cpus: usize) -> Self {
        let (last, lines) = (vec![None; 3 * cpus], vec![Line::default(); cpus]);
        let (clocks, index) = (Clocks::new(3 * cpus), Index::new(3 * cpus));
        Self { cpus, clocks, last, index, lines, ..Self::default() }
    }

    /// An empty trace that a search with `fault` keeps.
    pub fn broken(cpus: usize, fault: Option<Fault>) -> Self {
        Self { fault, ..Self::new(cpus) }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Forgets all but the first `kept` events.
    pub fn truncate(&mut self, kept: usize) {
        while self.events.len() > kept {
            let event = self.events.pop().expect("longer than that");
            self.last[event.access.actor] = event.before;
            self.spare.push(event);
        }
        self.ordinals.truncate(kept);
        self.index.truncate(kept);
        self.clocks.truncate(kept);
        let gone = |&event: &usize| event >= kept;
        self.sections.truncate(self.sections.partition_point(|section| section.opened < kept));
        for section in &mut self.sections {
            section.left.take_if(|left| gone(left));
        }
        self.periods.truncate(self.periods.partition_point(|period| period.begun < kept));
        for events in self.lines.iter_mut().flat_map(|line| [&mut line.sent, &mut line.delivered]) {
            events.truncate(events.partition_point(|event| !gone(event)));
        }
    }

    /// The events, in the order in which they happened.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many CPUs the machine has.
    pub fn cpus(&self) -> usize {
        self.cpus
    }

    /// Whether event `earlier` happened before event `later`: in every schedule of this class.
    pub fn precedes(&self, earlier: usize, later: usize) -> bool {
        self.knows(self.clocks.of(later), earlier)
    }

    pub(crate) fn clock(&self, event: usize) -> &[u16] {
        self.clocks.of(event)
    }

    pub(crate) fn knows(&self, clock: &[u16], event: usize) -> bool {
        let (actor, ordinal) = self.ordinals[event];
        clock[usize::from(actor)] >= ordinal
    }

    /// Appends what was just executed.
    pub fn push(&mut self, step: &Executed<'_>) {
        let index = self.events.len();
        let mut event = self.spare.pop().unwrap_or_else(|| Event::new(step));
        if Rc::get_mut(&mut event.access).is_none() {
            event.access = Rc::default(); // a choice still has the old one
        }
        let access = Rc::get_mut(&mut event.access).expect("nobody else has it");
        access.set(step, self.cpus);
        if let Some(fault) = self.fault {
            fault.forget(access);
        }
        let mut placed = std::mem::take(&mut self.placed);
        self.place_into(&event.access, false, &mut placed);
        let actor = event.access.actor;
        event.ordinal = placed.clock[actor] + 1;
        placed.clock[actor] = event.ordinal;
        (event.op, event.effect, event.context) = (step.op, step.effect, step.context);
        event.irqs_off = step.irqs_off;
        event.races.clone_from(&placed.races);
        event.before = self.last[actor].replace(index);
        event.fingerprint = event.fingerprint_at(&placed.clock);
        self.note_rcu(index, &event.access, step.op, step.effect);
        self.note_interrupts(index, &event.access);
        self.clocks.push(&placed.clock);
        self.ordinals.push((actor as u16, event.ordinal));
        self.index.push(index, actor, event.access.signature());
        self.events.push(event);
        self.placed = placed;
    }

    fn note_interrupts(&mut self, index: usize, access: &Access) {
        for touch in access.touches.iter().filter(|touch| touch.object.class == &IRQ) {
            let line = &mut self.lines[touch.object.index as usize];
            match touch.kind {
                OpKind::Send => line.sent.push(index),
                OpKind::Deliver => line.delivered.push(index),
                _ => {}
            }
        }
    }

    fn note_rcu(&mut self, index: usize, access: &Access, op: Op, effect: Effect) {
        let actor = access.actor;
        match op.kind {
            OpKind::ReadLock if effect.old == 0 => {
                self.sections.push(Section { actor, opened: index, left: None });
            }
            OpKind::ReadUnlock if effect.new == 0 => {
                let own = self.sections.iter_mut().rev().find(|section| section.actor == actor);
                own.expect("a section is left by who opened it").left = Some(index);
            }
            OpKind::GraceBegin => {
                let (number, sections) = (effect.new, self.sections.len());
                self.periods.push(Period { number, begun: index, sections });
            }
            _ => {}
        }
    }

    /// The number of the run's class: the same for all orders of the same events that differ only in independent ones.
    pub fn class(&self) -> u128 {
        self.events.iter().fold(0_u128, |sum, event| sum.wrapping_add(event.fingerprint))
    }

    /// The first event that is not the same in `other`, a run of another class.
    pub(crate) fn first_unlike(&self, other: &Self) -> Option<usize> {
        let known = |event: &Event| other.events.iter().any(|one| one.fingerprint == event.fingerprint);
        self.events.iter().position(|event| !known(event))
    }
}

impl Event {
    /// An event with room for what is known of `step`.
    fn new(step: &Executed<'_>) -> Self {
        let (op, effect, context) = (step.op, step.effect, step.context);
        Self {
            access: Rc::default(),
            op,
            effect,
            context,
            ordinal: 0,
            irqs_off: false,
            races: Vec::new(),
            before: None,
            fingerprint: 0,
        }
    }

    /// Whether it is what `step` is.
    pub(crate) fn is(&self, step: &Executed<'_>) -> bool {
        let same = self.access.actor == step.actor && self.op.object == step.op.object;
        same && self.effect == step.effect && self.access.touches[1..] == *step.touched
    }

    fn fingerprint_at(&self, clock: &[u16]) -> u128 {
        let mut digest = Digest::default();
        digest.absorb(self.access.actor as u64);
        digest.absorb(u64::from(self.op.object.class.id));
        digest.absorb(self.op.object.index);
        for (actor, &count) in clock.iter().enumerate().filter(|&(_, &count)| count > 0) {
            digest.absorb((actor as u64) << 16 | u64::from(count));
        }
        digest.value()
    }
}
