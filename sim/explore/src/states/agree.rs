//! The two exhaustive searches against each other: by state and by class.

use std::collections::BTreeSet;
use std::rc::Rc;

use pagewalk_engine::{Engine, Shared, Stop, Violation};

use super::graph::StateGraph;
use super::walk::walk;
use crate::dpor::exhaust;
use crate::model::{Limits, Model};

/// A model whose runs' last states are noted.
struct Ending<'a> {
    model: &'a mut dyn Model,
    watched: Vec<u8>,
    engine: Option<Rc<Engine>>,
    ends: BTreeSet<u128>,
    panicked: bool,
}

impl Model for Ending<'_> {
    fn cpus(&self) -> usize {
        self.model.cpus()
    }

    fn start(&mut self, seed: u64) -> Rc<Engine> {
        let engine = self.model.start(seed);
        engine.keep_histories(&self.watched);
        self.engine = Some(Rc::clone(&engine));
        engine
    }

    fn shared(&self) -> Option<Rc<dyn Shared>> {
        self.model.shared()
    }

    fn judge(&mut self, stop: &Stop) -> Vec<Violation> {
        match (stop, self.shared(), &self.engine) {
            (Stop::Stopped(why), ..) if why.starts_with("panic") => self.panicked = true,
            (_, Some(shared), Some(engine)) => drop(self.ends.insert(engine.state(&*shared))),
            _ => {}
        }
        self.model.judge(stop)
    }
}

/// In what the two exhaustive searches of `model` differ: the invariants that break, and the states in which runs end. Nothing is known
/// (`None`) if one of them is not done within `limits`.
pub fn disagreement(model: &mut dyn Model, limits: Limits) -> Option<Vec<String>> {
    if !exhaust(model, limits, &mut |_| true).complete {
        return None;
    }
    let graph = StateGraph::new();
    walk(model, &graph, limits.steps);
    let states = graph.summary();
    let watched = graph.watched();
    let mut ending = Ending { model, watched, engine: None, ends: BTreeSet::new(), panicked: false };
    let mut broken = BTreeSet::new();
    let summary = exhaust(&mut ending, limits, &mut |run| {
        broken.extend(run.verdict.violations.iter().map(|violation| violation.invariant));
        true
    });
    if !summary.complete || !states.complete {
        return None;
    }
    let mut found = Vec::new();
    let by_state: BTreeSet<_> = states.broken.iter().map(|broken| broken.invariant).collect();
    if by_state != broken {
        found.push(format!("states break {by_state:?}, classes {broken:?}"));
    }
    let ends: BTreeSet<_> = states.end_states.iter().copied().collect();
    // A state in whose midst the kernel's text hit a `BUG` is compared with no other.
    if !ending.panicked && ends != ending.ends {
        found.push(format!("{} ends by state, {} by class", ends.len(), ending.ends.len()));
    }
    Some(found)
}
