//! Every schedule, one after the other, without any reduction: what the reduced search is measured against.

use pagewalk_engine::{Engine, Executed, Explorer};

use crate::model::{Limits, Model, Run, Summary, run_once, verdict_of};
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
    let mut summary = Summary::default();
    loop {
        (all.depth, all.cut) = (0, false);
        all.trace.clear();
        let (engine, stop) = run_once(model, 0, &mut all);
        all.unfinished.push_to(&mut all.trace);
        summary.runs += 1;
        summary.steps += all.trace.events().len() as u64;
        let mut go_on = true;
        if all.cut {
            summary.cut += 1;
        } else {
            summary.classes += 1;
            let verdict = verdict_of(model, &engine, stop);
            summary.failing += u64::from(!verdict.is_clean());
            go_on = visit(&Run { class: all.trace.class(), verdict: &verdict, trace: &all.trace });
        }
        while all.stack.last().is_some_and(|&(_, left)| left == 0) {
            all.stack.pop();
        }
        let Some((chosen, left)) = all.stack.last_mut() else {
            summary.complete = summary.cut == 0;
            return summary;
        };
        *chosen = left.trailing_zeros() as usize;
        *left &= *left - 1;
        if !go_on || !model.goes_on() || summary.runs >= limits.runs {
            return summary;
        }
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
