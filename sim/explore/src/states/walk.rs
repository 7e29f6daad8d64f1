//! One worker: it takes steps that nobody has taken.

use std::rc::Rc;

use pagewalk_engine::{Digest, Engine, Executed, Explorer, Shared, Stop, Violation};

use super::graph::{Actor, Arrival, StateGraph, Task, Trail, Way};
use super::summary::StateSummary;
use crate::model::{Model, run_started};

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// Nothing was left to do, or the search was stopped.
    Over,
    /// The model does not say what its contexts share: it cannot be searched by state.
    NotShared,
}

/// A run along a known way and on.
struct Walk<'a> {
    graph: &'a StateGraph,
    task: Task,
    /// The known way and, of what follows, the steps that were taken.
    trail: &'a mut Trail,
    /// Steps of the known way, with the one that is to be taken.
    known: usize,
    depth: usize,
    most_steps: usize,
    shared: Option<Rc<dyn Shared>>,
    /// The step that is being taken, if it is one that nobody has taken.
    taking: Option<Way>,
    /// It has come to where nothing is left to do.
    left: bool,
}

/// Takes steps of `model` until nothing is left, or `model` says that there is to be no other run. A run has at most `most_steps`
/// steps. Several workers may do so at the same time, each with a model of its own that begins like the others'.
pub fn walk(model: &mut dyn Model, graph: &StateGraph, most_steps: usize) -> Walked {
    let mut trail = graph.enter();
    while let Some(task) = graph.begin(&mut trail) {
        let (epoch, known) = (task.epoch, trail.steps.len());
        let trail = &mut trail;
        let mut walk =
            Walk { graph, task, trail, known, depth: 0, most_steps, shared: None, taking: None, left: false };
        let mut busy = Busy { graph, over: false };
        let ran = walk.run(model);
        busy.over = true;
        graph.end(epoch, walk.taking);
        let Some(engine) = ran else {
            graph.stop();
            return Walked::NotShared;
        };
        graph.watch(epoch, &engine.watched_classes());
        if !model.goes_on() {
            graph.stop();
        }
    }
    Walked::Over
}

/// A worker that takes steps. If it does not come to the end of a run, through a mistake of ours, the others do not wait for it.
struct Busy<'a> {
    graph: &'a StateGraph,
    over: bool,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.graph.stop();
        }
    }
}

/// Visits every state of `model`, with one worker.
///
/// # Panics
/// If the model does not say what its contexts share.
pub fn exhaust_states(model: &mut dyn Model, most_steps: usize) -> StateSummary {
    let graph = StateGraph::new();
    assert_eq!(walk(model, &graph, most_steps), Walked::Over, "a model that says what is shared");
    graph.summary()
}

impl Walk<'_> {
    /// One run; `None` if the model cannot be searched.
    fn run(&mut self, model: &mut dyn Model) -> Option<Rc<Engine>> {
        let engine = model.start(0);
        engine.keep_histories(&self.task.watched);
        self.shared = Some(model.shared()?);
        let stop = run_started(&engine, self);
        if !self.left {
            self.note_end(model, &engine, &stop);
        }
        Some(engine)
    }

    /// The run has come to its end.
    fn note_end(&mut self, model: &mut dyn Model, engine: &Engine, stop: &Stop) {
        let state = match stop {
            // Whatever it was in the midst of may not be looked at.
            Stop::Stopped(why) if why.starts_with("panic") => self.broken_off(why),
            _ => self.state(engine),
        };
        let arrival = Arrival { state, enabled: 0, broken: names(&engine.violations()) };
        let Some((last, _, new)) = self.graph.arrive(self.trail, self.taking.take(), &arrival) else {
            return;
        };
        if new {
            let found = model.judge(stop);
            self.graph.judge(self.task.epoch, last, &names(&engine.violations()));
            self.graph.judge(self.task.epoch, last, &names(&found));
        }
    }

    /// Whether the run stands where the first one began, if it has just begun.
    fn begins_alike(&self, engine: &Engine) -> bool {
        let first = if self.depth > 0 { None } else { self.graph.first_state() };
        first.is_none_or(|first| first == self.state(engine))
    }

    fn state(&self, engine: &Engine) -> u128 {
        engine.state(self.shared.as_deref().expect("asked for before the run"))
    }

    /// The state after a step in whose midst the run broke off: like no other.
    fn broken_off(&self, why: &str) -> u128 {
        let mut digest = Digest::default();
        digest.absorb(u64::from(self.taking.expect("a step that was chosen").actor));
        digest.absorb(self.task.digest as u64);
        digest.absorb((self.task.digest >> 64) as u64);
        why.bytes().for_each(|byte| digest.absorb(u64::from(byte)));
        digest.value()
    }
}

fn names(violations: &[Violation]) -> Vec<&'static str> {
    violations.iter().map(|violation| violation.invariant).collect()
}

impl Explorer for Walk<'_> {
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize> {
        let actor = if let Some(&(_, actor)) = self.trail.steps[..self.known].get(self.depth) {
            debug_assert!(self.begins_alike(engine), "a run begins in another state than the first one");
            if self.depth + 1 == self.known {
                self.taking = self.task.at.map(|from| Way { from, actor });
            }
            actor
        } else {
            self.go_on(engine, enabled)?
        };
        assert!(enabled >> actor & 1 == 1, "step {}: actor {actor} cannot go on, and could", self.depth);
        self.depth += 1;
        Some(usize::from(actor))
    }

    fn executed(&mut self, _: &Engine, _: &Executed<'_>) {}
}

impl Walk<'_> {
    /// Beyond the known way: who goes on, if somebody is to.
    fn go_on(&mut self, engine: &Engine, enabled: u64) -> Option<Actor> {
        self.task.digest = self.state(engine);
        let broken = names(&engine.violations());
        let arrival = Arrival { state: self.task.digest, enabled, broken };
        let arrived = self.graph.arrive(self.trail, self.taking.take(), &arrival);
        let Some((from, Some(actor), _)) = arrived else {
            self.left = true;
            return None;
        };
        self.taking = Some(Way { from, actor });
        if self.depth >= self.most_steps {
            self.graph.cut(self.task.epoch);
            (self.taking, self.left) = (None, true);
            return None;
        }
        self.trail.steps.push((from, actor));
        Some(actor)
    }
}
