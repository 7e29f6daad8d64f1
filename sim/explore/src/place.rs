//! Where a step stands among those before it: after which of them it had to come, and with which it is in a race.

use pagewalk_engine::OpKind;

use crate::clock::join;
use crate::depend::{Access, Part, dependent_beside, part, related};
use crate::fault::Fault;
use crate::trace::{Period, Placed, Trace};

/// What is known of a step at the place that a look backwards has come to.
struct State {
    /// From the release that let it happen to the taking that kept it waiting it was not possible.
    impossible: bool,
    /// From where the CPU turned interrupts on to where it turned them off they are held back.
    held: bool,
}

/// What an earlier event is to a step.
enum Meeting {
    Independent,
    /// It comes before the step, and that is no race.
    Ordered,
    Race,
}

impl Trace {
    /// Where a step that accesses `access` stands after all events so far; `waiting`: it is not possible now.
    pub(crate) fn place(&self, access: &Access, waiting: bool) -> Placed {
        let mut placed = Placed::default();
        self.place_into(access, waiting, &mut placed);
        placed
    }

    /// The same, into what there is room for.
    pub(crate) fn place_into(&self, access: &Access, waiting: bool, placed: &mut Placed) {
        let Placed { clock, races, ordered } = placed;
        clock.clear();
        match self.last[access.actor] {
            Some(event) => clock.extend_from_slice(self.clocks.of(event)),
            None => clock.resize(3 * self.cpus, 0),
        }
        races.clear();
        ordered.clear();
        if let Some(cause) = self.cause(access) {
            join(clock, self.clocks.of(cause));
        }
        let mut state = State { impossible: waiting, held: false };
        let signature = access.signature();
        for row in (0..self.index.rows()).rev() {
            for earlier in self.index.unknown(row, signature, clock) {
                // It may have come to be known since.
                if self.knows(clock, earlier) {
                    continue;
                }
                match self.meet(earlier, access, ordered, &mut state) {
                    Meeting::Independent => {}
                    Meeting::Ordered => ordered.push(earlier),
                    Meeting::Race => {
                        races.push(earlier);
                        join(clock, self.clocks.of(earlier));
                    }
                }
            }
        }
        for &earlier in &*ordered {
            join(clock, self.clocks.of(earlier));
        }
        let touch = &access.touches[0];
        if touch.kind == OpKind::GraceEnd && !self.has(Fault::PeriodWithoutReaders) {
            self.join_readers(touch.object.index, clock);
        }
    }

    /// What event `earlier`, which a step that accesses `access` does not know yet, is to it.
    fn meet(&self, earlier: usize, access: &Access, ordered: &[usize], state: &mut State) -> Meeting {
        let event = &self.events()[earlier];
        if !related(&event.access, access, self.fault()) {
            return Meeting::Independent;
        }
        // Nothing interrupts a CPU before a step that it takes with interrupts off.
        if !access.program && event.access.program && event.access.cpu == access.cpu {
            state.held = event.irqs_off && !self.has(Fault::IrqsOffIsARace);
            if state.held {
                return Meeting::Ordered;
            }
        }
        match part(&event.access, access, self.fault()) {
            Part::Enables => {
                state.impossible = true;
                return Meeting::Ordered;
            }
            Part::Blocks => state.impossible = false,
            Part::Other => {}
        }
        // Only while what it waits for is not there: what it does beside may come before an event that had no part in that.
        let had_part = || {
            !self.has(Fault::PartForgotten)
                && ordered.iter().any(|&enabling| self.precedes(earlier, enabling))
        };
        let kept_waiting = state.impossible && !dependent_beside(&event.access, access, self.fault());
        if kept_waiting || ((state.impossible || state.held) && had_part()) {
            Meeting::Ordered
        } else {
            Meeting::Race
        }
    }

    /// The event without which there would be no such step: it sent the interrupt, or asked for the callback.
    fn cause(&self, access: &Access) -> Option<usize> {
        let touch = &access.touches[0];
        match touch.kind {
            OpKind::Deliver if !self.has(Fault::DeliveryWithoutCause) => {
                let line = &self.lines[usize::from(access.cpu)];
                line.sent.get(line.delivered.len()).copied()
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

    /// The end of a grace period comes after every section that was opened before it began, left by then or not.
    fn join_readers(&self, number: u64, clock: &mut [u16]) {
        let sections = self.period(number).map_or(0, |period| period.sections);
        for left in self.sections[..sections].iter().filter_map(|section| section.left) {
            join(clock, self.clocks.of(left));
        }
    }
}
