//! Every schedule, one after the other, without any reduction: what the reduced search is measured against.

use std::rc::Rc;

use pagewalk_engine::{Engine, Executed, Explorer, Stop};

use crate::model::{Limits, Model, Run, Summary};
use crate::strategy::{Ran, Strategy, drive};
use crate::trace::{Trace, Unfinished};

struct Enumeration {
    /// At each depth: who is chosen, and who remains to be.
    stack: Vec<(usize, u64)>,
    depth: usize,
    trace: Trace,
    most_steps: usize,
    cut: bool,
    unfinished: Unfinished,
}

/// Visits every schedule of `model`; `visit` says whether to go on. [`Summary::classes`] counts schedules.
pub fn enumerate(model: &mut dyn Model, limits: Limits, visit: &mut dyn FnMut(&Run<'_>) -> bool) -> Summary {
    let trace = Trace::new(model.cpus());
    let mut all = Enumeration {
        stack: Vec::new(),
        depth: 0,
        trace,
        most_steps: limits.steps,
        cut: false,
        unfinished: Unfinished::default(),
    };
    drive(model, &mut all, limits, &mut |all, verdict| {
        visit(&Run { class: all.trace.class(), verdict, trace: &all.trace })
    })
}

impl Strategy for Enumeration {
    fn begin(&mut self) -> u64 {
        (self.depth, self.cut) = (0, false);
        self.trace.clear();
        0
    }

    fn end(&mut self, _: &Rc<Engine>, _: &Stop) -> Ran {
        self.unfinished.push_to(&mut self.trace);
        if self.cut { Ran::Cut } else { Ran::Whole }
    }

    fn steps(&self) -> usize {
        self.trace.events().len()
    }

    fn advance(&mut self) -> bool {
        while self.stack.last().is_some_and(|&(_, left)| left == 0) {
            self.stack.pop();
        }
        let Some((chosen, left)) = self.stack.last_mut() else { return false };
        *chosen = left.trailing_zeros() as usize;
        *left &= *left - 1;
        true
    }
}

impl Explorer for Enumeration {
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize> {
        if self.depth >= self.most_steps {
            self.cut = true;
            return None;
        }
        if self.depth == self.stack.len() {
            self.stack.push((enabled.trailing_zeros() as usize, enabled & (enabled - 1)));
        }
        let chosen = self.stack[self.depth].0;
        self.unfinished.begins(chosen, engine.pending(chosen));
        Some(chosen)
    }

    fn executed(&mut self, _: &Engine, step: &Executed<'_>) {
        self.unfinished.is_over();
        self.trace.push(step);
        self.depth += 1;
    }
}
