//! Exhaustive search by dynamic partial order reduction: every class of schedules once.
//!
//! Source-set DPOR with sleep sets (Abdulla, Aronis, Jonsson, Sagonas: "Optimal dynamic partial order reduction", POPL 2014,
//! algorithm 1), by running again from the start. Blocking steps: races of those still waiting when a run ends count as if
//! they had happened, and whatever lets a blocked step happen is not in a race with it. That holds for a run that ends because
//! all who could go on are asleep, too: the orders of a waiting step and a sleeping one are found nowhere else. And for a run
//! that a step stopped (`BUG_ON`, out of memory): whatever the others would have done next can come before that step.

use std::rc::Rc;

use pagewalk_engine::{
    ANYTHING, Effect, Engine, Executed, Explorer, IRQS_OFF, ObjectId, OpKind, Stop, Touch,
};

use crate::depend::{Access, related};
use crate::fault::Fault;
use crate::model::{Limits, Model, Run, Summary};
use crate::node::{Node, mask, same};
use crate::race::{plan_reversals, plan_woken};
use crate::strategy::{Ran, Strategy, drive};
use crate::trace::Trace;

/// The search: a stack of choice points, of which each run follows the first ones and adds new ones.
struct Search {
    stack: Vec<Node>,
    /// How many of them the last run has followed without a change.
    first_new: usize,
    depth: usize,
    /// The steps of the last run. Those before the choice that was changed are the steps of the next.
    trace: Trace,
    fault: Option<Fault>,
    /// The trace without the fault, if there is one: the numbers of classes are from it.
    right: Option<Trace>,
    last: Option<usize>,
    most_steps: usize,
    sleep_blocked: bool,
    cut: bool,
    pending: Vec<Access>,
}

/// Visits every class of schedules of `model`. `visit` says whether to go on.
///
/// # Panics
/// If a replayed prefix differs from its first run: the model is not deterministic.
pub fn exhaust(model: &mut dyn Model, limits: Limits, visit: &mut dyn FnMut(&Run<'_>) -> bool) -> Summary {
    exhaust_with(model, limits, None, visit)
}

/// [`exhaust`] with a `fault`: it visits what a search that is wrong in this way would visit.
///
/// # Panics
/// As [`exhaust`].
pub fn exhaust_with(
    model: &mut dyn Model,
    limits: Limits,
    fault: Option<Fault>,
    visit: &mut dyn FnMut(&Run<'_>) -> bool,
) -> Summary {
    let mut search = Search::new(model.cpus(), limits, fault);
    drive(model, &mut search, limits, &mut |search, verdict| {
        let trace = search.right.as_ref().unwrap_or(&search.trace);
        visit(&Run { class: trace.class(), verdict, trace })
    })
}

impl Strategy for Search {
    fn begin(&mut self) -> u64 {
        self.first_new = self.stack.len() - usize::from(self.reruns_last());
        self.depth = 0;
        self.last = None;
        self.sleep_blocked = false;
        self.cut = false;
        let same = self.stack.len().saturating_sub(1);
        self.trace.truncate(same);
        if let Some(right) = &mut self.right {
            right.truncate(same);
        }
        self.pending.clear();
        0
    }

    fn end(&mut self, engine: &Rc<Engine>, stop: &Stop) -> Ran {
        self.note_end(engine, stop);
        plan_reversals(&self.trace, &mut self.stack, self.first_new, &self.pending);
        plan_woken(&self.trace, &mut self.stack, self.first_new);
        match () {
            () if self.sleep_blocked => Ran::Asleep,
            () if self.cut => Ran::Cut,
            () => Ran::Whole,
        }
    }

    fn steps(&self) -> usize {
        self.trace.events().len()
    }

    fn advance(&mut self) -> bool {
        while let Some(index) = self.stack.len().checked_sub(1) {
            let node = &mut self.stack[index];
            if let Some(event) = self.trace.events().get(index) {
                node.done.push(Rc::clone(&event.access));
            }
            let left = node.pending();
            if left != 0 {
                node.chosen = left.trailing_zeros() as usize;
                node.label = None;
                return true;
            }
            self.stack.pop();
        }
        false
    }
}

impl Search {
    fn new(cpus: usize, limits: Limits, fault: Option<Fault>) -> Self {
        Self {
            stack: Vec::new(),
            first_new: 0,
            depth: 0,
            trace: Trace::broken(cpus, fault),
            fault,
            right: fault.map(|_| Trace::new(cpus)),
            last: None,
            most_steps: limits.steps,
            sleep_blocked: false,
            cut: false,
            pending: Vec::new(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether the last step on the stack is another one than in the run before: not when there was none.
    fn reruns_last(&self) -> bool {
        !self.stack.is_empty() && !self.has(Fault::ChangedStepForgotten)
    }

    /// Whether the races of who still waits count after a run that ended in `stop`.
    fn waiting_count(&self, stop: &Stop) -> bool {
        let stuck = matches!(stop, Stop::Deadlock(_)) && !self.has(Fault::DeadlockForgotten);
        stuck || (self.sleep_blocked && !self.has(Fault::SleepBlockedForgotten))
    }

    /// A run has ended in `stop`.
    fn note_end(&mut self, engine: &Rc<Engine>, stop: &Stop) {
        let stopped = matches!(stop, Stop::Stopped(_)) && !self.cut && !self.sleep_blocked;
        let stopped = stopped && !self.has(Fault::StoppedForgotten);
        if stopped || self.waiting_count(stop) {
            self.note_waiting(engine);
        }
        self.note_unfinished(engine);
        // What the others would have done after the last step they can do before it, and then it may be another.
        if let Some(node) = self.stack.last_mut().filter(|_| stopped) {
            node.backtrack |= node.enabled;
        }
    }

    /// The races of who still waits count too.
    fn note_waiting(&mut self, engine: &Rc<Engine>) {
        let cpus = self.trace.cpus();
        for (cpu, context, op) in engine.waiting() {
            let mut access = Access::of_op(usize::from(cpu.0), op, Effect::NONE, cpus);
            for word in engine.retried_words(context) {
                access.touches.push(Touch { object: word, kind: op.kind, effect: Effect::NONE });
            }
            self.pending.push(access);
        }
        if self.has(Fault::HeldBackForgotten) {
            return;
        }
        // What waits for interrupts to be turned on could have come before they were turned off.
        for (actor, op) in engine.held_back() {
            let mut access = Access::of_op(actor, op, Effect::NONE, cpus);
            access.blocking = false; // its time has come
            let object = ObjectId::new(&IRQS_OFF, u64::from(access.cpu));
            access.touches.push(Touch { object, kind: OpKind::Load, effect: Effect::NONE });
            self.pending.push(access);
        }
    }

    /// A step in whose midst the kernel's text hit a `BUG` was executed, too. Nobody can say what it has accessed by then: anything.
    fn note_unfinished(&mut self, engine: &Engine) {
        let Some(node) = self.stack.get(self.depth) else { return };
        let Some(op) = node.label.filter(|_| !self.cut && !self.sleep_blocked) else { return };

        let (actor, effect) = (node.chosen, Effect::NONE);
        let anything = [Touch { object: ObjectId::new(&ANYTHING, 0), kind: op.kind, effect }];
        let touched: &[Touch] = if self.has(Fault::UnfinishedForgotten) { &[] } else { &anything };
        self.executed(engine, &Executed { actor, context: None, op, effect, touched, irqs_off: false });
    }

    fn new_node(&mut self, enabled: u64) -> Option<usize> {
        let sleep = match self.stack.last() {
            None => Vec::new(),
            Some(parent) => {
                let executed = &self.trace.events().last().expect("the parent's choice was executed").access;
                let kept: &[Rc<Access>] = if self.has(Fault::SleepIsShort) { &[] } else { &parent.sleep };
                let asleep = kept.iter().chain(&parent.done).filter(|_| !self.has(Fault::SleepNever));
                let stays = |access: &&Rc<Access>| {
                    self.has(Fault::SleepForEver) || !related(access, executed, self.fault)
                };
                asleep.filter(stays).cloned().collect()
            }
        };
        let sleeping = mask(&sleep);
        let awake = enabled & !sleeping;
        let chosen = match self.last {
            Some(last) if awake >> last & 1 == 1 => last,
            _ if awake == 0 => return None,
            _ => awake.trailing_zeros() as usize,
        };
        self.stack.push(Node {
            enabled,
            chosen,
            label: None,
            done: Vec::new(),
            sleep,
            sleeping,
            backtrack: 1 << chosen,
        });
        Some(chosen)
    }
}

impl Explorer for Search {
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize> {
        if self.depth >= self.most_steps {
            self.cut = true;
            return None;
        }
        if let Some(node) = self.stack.get(self.depth) {
            assert_eq!(
                node.enabled, enabled,
                "step {}: others are enabled than in the first run",
                self.depth
            );
        } else if self.new_node(enabled).is_none() {
            self.sleep_blocked = true;
            return None;
        }
        let node = &mut self.stack[self.depth];
        let label = engine.pending(node.chosen);
        assert!(
            node.label.is_none() || same(node.label, label),
            "step {}: {label:?} instead of {:?}",
            self.depth,
            node.label
        );
        node.label = label;
        self.last = Some(node.chosen);
        Some(node.chosen)
    }

    fn executed(&mut self, _: &Engine, step: &Executed<'_>) {
        if let Some(event) = self.trace.events().get(self.depth) {
            // What a fault has forgotten cannot be compared.
            let same = self.fault.is_some() || event.is(step);
            assert!(same, "step {}: {:?} accesses something else than in the first run", self.depth, step.op);
        } else {
            self.trace.push(step);
            if let Some(right) = &mut self.right {
                right.push(step);
            }
        }
        self.depth += 1;
    }
}
