//! The events of a run, with what happened before what.

use pagewalk_engine::{ANYTHING, ContextId, Effect, Executed, IRQ, ObjectId, Op, OpKind, Touch};

use crate::clock::{Clocks, join};
use crate::depend::{Access, Part, dependent_beside, part, related};
use crate::fault::Fault;

/// One executed step.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it accessed, and who did.
    pub access: Access,
    /// The operation.
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
}

/// An outermost RCU read section.
#[derive(Clone, Copy, Debug)]
struct Section {
    actor: usize,
    left: Option<usize>,
}

/// A grace period: its number, the event that began it, and how many sections had been opened by then.
#[derive(Clone, Copy, Debug)]
struct Period {
    number: u64,
    begun: usize,
    sections: usize,
}

/// The interrupts of one CPU: the events that sent them, and how many have been delivered.
#[derive(Clone, Debug, Default)]
struct Line {
    sent: Vec<usize>,
    delivered: usize,
}

/// A run's events in the order in which they happened.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    cpus: usize,
    fault: Option<Fault>,
    events: Vec<Event>,
    clocks: Clocks,
    last: Vec<Option<usize>>,
    sections: Vec<Section>,
    periods: Vec<Period>,
    lines: Vec<Line>,
}

/// The step that was chosen and is not over. If the kernel's text panics in its midst it never is. It was executed all the same,
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
pub(crate) struct Placed {
    /// Its clock, without its own tick.
    pub(crate) clock: Vec<u16>,
    /// The events it is in a race with.
    pub(crate) races: Vec<usize>,
}

impl Trace {
    /// An empty trace of a machine of `cpus` CPUs.
    pub fn new(cpus: usize) -> Self {
        let (last, lines) = (vec![None; 3 * cpus], vec![Line::default(); cpus]);
        Self { cpus, clocks: Clocks::new(3 * cpus), last, lines, ..Self::default() }
    }

    /// An empty trace that a search with `fault` keeps.
    pub fn broken(cpus: usize, fault: Option<Fault>) -> Self {
        Self { fault, ..Self::new(cpus) }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.events.clear();
        self.clocks.clear();
        self.last.fill(None);
        self.sections.clear();
        self.periods.clear();
        for line in &mut self.lines {
            line.sent.clear();
            line.delivered = 0;
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
        let event = &self.events[event];
        clock[event.access.actor] >= event.ordinal
    }

    /// Appends what was just executed.
    pub fn push(&mut self, step: &Executed<'_>) {
        let mut access = Access::of(step, self.cpus);
        if let Some(fault) = self.fault {
            fault.forget(&mut access);
        }
        let Placed { mut clock, races } = self.place(&access, false);
        let index = self.events.len();
        let ordinal = clock[access.actor] + 1;
        clock[access.actor] = ordinal;
        self.note_rcu(index, &access, step.op, step.effect);
        self.note_interrupts(index, &access);
        self.clocks.push(&clock);
        self.last[access.actor] = Some(index);
        let (op, effect, context) = (step.op, step.effect, step.context);
        let irqs_off = step.irqs_off;
        self.events.push(Event { access, op, effect, context, ordinal, irqs_off, races });
    }

    /// Where a step that accesses `access` stands after all events so far; `waiting`: it is not possible now.
    pub(crate) fn place(&self, access: &Access, waiting: bool) -> Placed {
        let own = self.last[access.actor].map(|event| self.clocks.of(event));
        let mut clock = own.map_or_else(|| vec![0; 3 * self.cpus], <[u16]>::to_vec);
        if let Some(cause) = self.cause(access) {
            join(&mut clock, self.clocks.of(cause));
        }
        let (mut ordered, mut races) = (Vec::new(), Vec::new());
        // Backwards from the release that let it happen to the taking that kept it waiting it was not possible.
        let mut impossible = waiting;
        // Backwards from where the CPU turned interrupts on to where it turned them off they are held back.
        let mut held = false;
        for earlier in (0..self.events.len()).rev() {
            let event = &self.events[earlier];
            if self.knows(&clock, earlier) || !related(&event.access, access, self.fault) {
                continue;
            }
            // Nothing interrupts a CPU before a step that it takes with interrupts off.
            if !access.program && event.access.program && event.access.cpu == access.cpu {
                held = event.irqs_off && !self.has(Fault::IrqsOffIsARace);
                if held {
                    ordered.push(earlier);
                    continue;
                }
            }
            match part(&event.access, access, self.fault) {
                Part::Enables => {
                    impossible = true;
                    ordered.push(earlier);
                    continue;
                }
                Part::Blocks => impossible = false,
                Part::Other => {}
            }
            // Only while what it waits for is not there: what it does beside may come before an event that had no part in that.
            let had_part = || {
                !self.has(Fault::PartForgotten)
                    && ordered.iter().any(|&enabling| self.precedes(earlier, enabling))
            };
            let kept_waiting = impossible && !dependent_beside(&event.access, access, self.fault);
            if kept_waiting || ((impossible || held) && had_part()) {
                ordered.push(earlier);
            } else {
                races.push(earlier);
                join(&mut clock, self.clocks.of(earlier));
            }
        }
        for earlier in ordered {
            join(&mut clock, self.clocks.of(earlier));
        }
        let touch = &access.touches[0];
        if touch.kind == OpKind::GraceEnd && !self.has(Fault::PeriodWithoutReaders) {
            self.join_readers(touch.object.index, &mut clock);
        }
        Placed { clock, races }
    }

    /// The event without which there would be no such step: it sent the interrupt, or asked for the callback.
    fn cause(&self, access: &Access) -> Option<usize> {
        let touch = &access.touches[0];
        match touch.kind {
            OpKind::Deliver if !self.has(Fault::DeliveryWithoutCause) => {
                let line = &self.lines[usize::from(access.cpu)];
                line.sent.get(line.delivered).copied()
            }
            OpKind::GraceEnd if access.program || !self.has(Fault::CallbackWithoutCause) => {
                self.period(touch.object.index).map(|period| period.begun)
            }
            _ => None,
        }
    }

    fn period(&self, number: u64) -> Option<&Period> {
        self.periods.iter().find(|period| period.number == number)
    }

    fn note_interrupts(&mut self, index: usize, access: &Access) {
        for touch in access.touches.iter().filter(|touch| touch.object.class == &IRQ) {
            let line = &mut self.lines[touch.object.index as usize];
            match touch.kind {
                OpKind::Send => line.sent.push(index),
                OpKind::Deliver => line.delivered += 1,
                _ => {}
            }
        }
    }

    /// The end of a grace period comes after every section that was opened before it began, left by then or not.
    fn join_readers(&self, number: u64, clock: &mut [u16]) {
        let sections = self.period(number).map_or(0, |period| period.sections);
        for left in self.sections[..sections].iter().filter_map(|section| section.left) {
            join(clock, self.clocks.of(left));
        }
    }

    fn note_rcu(&mut self, index: usize, access: &Access, op: Op, effect: Effect) {
        let actor = access.actor;
        match op.kind {
            OpKind::ReadLock if effect.old == 0 => self.sections.push(Section { actor, left: None }),
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
        (0..self.events.len()).fold(0_u128, |sum, index| sum.wrapping_add(self.fingerprint(index)))
    }

    /// The first event that is not the same in `other`, a run of another class.
    pub(crate) fn first_unlike(&self, other: &Self) -> Option<usize> {
        (0..self.events.len()).find(|&index| {
            let own = self.fingerprint(index);
            !(0..other.events.len()).any(|event| other.fingerprint(event) == own)
        })
    }

    fn fingerprint(&self, index: usize) -> u128 {
        let event = &self.events[index];
        let mut digest = pagewalk_engine::Digest::default();
        digest.absorb(event.access.actor as u64);
        digest.absorb(u64::from(event.op.object.class.id));
        digest.absorb(event.op.object.index);
        for (actor, &count) in self.clocks.of(index).iter().enumerate().filter(|&(_, &count)| count > 0) {
            digest.absorb((actor as u64) << 16 | u64::from(count));
        }
        digest.value()
    }
}
