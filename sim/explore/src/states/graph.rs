//! The states found so far, the steps between them, and what is still to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub(super) use super::edge::{Actor, Edge, State, Way};
use super::table::Table;

/// States there can be.
const MOST_STATES: usize = 1 << 29;

/// What a worker has found.
pub(super) struct Arrival {
    pub(super) state: u128,
    /// Who can go on from there.
    pub(super) enabled: u64,
    /// The invariants broken by now.
    pub(super) broken: Vec<&'static str>,
}

/// Appends, with little room to spare: millions of these are most of the memory.
fn push<T>(all: &mut Vec<T>, one: T) {
    if all.len() == all.capacity() {
        all.reserve_exact(all.len() / 8 + 64);
    }
    all.push(one);
}

/// Everything that is known.
#[derive(Default)]
pub(super) struct Known {
    pub(super) states: Vec<u128>,
    /// Of each state, who is still to take a step from it.
    pub(super) left: Vec<u64>,
    /// Of each state but the first one, the edge by which it was found.
    pub(super) found_by: Vec<u32>,
    pub(super) edges: Vec<Edge>,
    /// The invariants broken by the time of a state, for states at which there are some.
    pub(super) broken: BTreeMap<State, BTreeSet<&'static str>>,
    /// Classes of words that retries watch.
    pub(super) watched: Vec<u8>,
    /// Counts how often everything had to be forgotten.
    pub(super) epoch: u64,
    /// Steps that were too many for a run.
    pub(super) cut: u64,
    pub(super) table: Table,
    /// States that may have steps left, by the worker that was there last: it knows the way.
    pub(super) open: Vec<Vec<State>>,
    /// Steps that workers are taking.
    pub(super) under_way: Vec<Way>,
    pub(super) busy: usize,
    /// Workers that wait for something to do.
    pub(super) waiting: usize,
    pub(super) stopped: bool,
}

/// What a worker is to do next.
pub(super) struct Task {
    pub(super) epoch: u64,
    pub(super) watched: Vec<u8>,
    /// The state from which a step is taken; `None`: the first one is not known yet.
    pub(super) at: Option<State>,
    /// Its digest.
    pub(super) digest: u128,
}

/// A worker's last way from the first state on: states, each with who takes the step out of it.
#[derive(Default)]
pub(super) struct Trail {
    /// Which of the workers.
    worker: usize,
    /// When its states had their numbers.
    epoch: u64,
    pub(super) steps: Vec<(State, Actor)>,
}

impl Known {
    /// A step for a worker, and the way there.
    fn begin(&mut self, trail: &mut Trail) -> Option<Task> {
        let (epoch, watched) = (self.epoch, self.watched.clone());
        if trail.epoch != epoch {
            (trail.epoch, trail.steps) = (epoch, Vec::new());
        }
        if self.states.is_empty() {
            return Some(Task { epoch, watched, at: None, digest: 0 });
        }
        while let Some(state) = self.next_open(trail.worker) {
            if let Some(actor) = self.claim(trail.worker, state) {
                self.lead(trail, state);
                trail.steps.push((state, actor));
                return Some(Task { epoch, watched, at: Some(state), digest: self.states[state as usize] });
            }
        }
        None
    }

    /// The last state that the worker has left open, or else the first one of another.
    fn next_open(&mut self, worker: usize) -> Option<State> {
        let own = self.open.get_mut(worker).and_then(Vec::pop);
        own.or_else(|| self.open.iter_mut().find(|open| !open.is_empty()).map(|open| open.swap_remove(0)))
    }

    fn note_open(&mut self, worker: usize, state: State) {
        if self.open.len() <= worker {
            self.open.resize_with(worker + 1, Vec::new);
        }
        self.open[worker].push(state);
    }

    /// Makes of the trail a way to `state`: back from there until the trail is met, where it passed first.
    fn lead(&self, trail: &mut Trail, state: State) {
        let (mut at, mut back) = (state, Vec::new());
        let kept = loop {
            if let Some(depth) = trail.steps.iter().position(|&(passed, _)| passed == at) {
                break depth;
            }
            if at == 0 {
                break 0;
            }
            let edge = self.edges[self.found_by[at as usize] as usize];
            at = edge.from();
            back.push((at, edge.actor()));
        };
        trail.steps.truncate(kept);
        trail.steps.extend(back.into_iter().rev());
    }

    /// Takes on one of the steps left in `state`.
    fn claim(&mut self, worker: usize, state: State) -> Option<Actor> {
        let left = &mut self.left[state as usize];
        let actor = (*left != 0).then(|| left.trailing_zeros() as Actor)?;
        *left &= *left - 1;
        if *left != 0 {
            self.note_open(worker, state);
        }
        self.under_way.push(Way { from: state, actor });
        Some(actor)
    }

    /// The state that the step of `way` leads to, and who goes on from there.
    fn arrive(&mut self, worker: usize, way: Option<Way>, arrival: &Arrival) -> (State, Option<Actor>, bool) {
        let number = self.states.len() as State;
        let found = self.table.find_or_add(arrival.state, number, &self.states);
        let state = found.unwrap_or(number);
        if found.is_none() {
            assert!(self.states.len() < MOST_STATES && self.edges.len() < u32::MAX as usize, "numbers fit");
            push(&mut self.states, arrival.state);
            push(&mut self.left, arrival.enabled);
            push(&mut self.found_by, self.edges.len() as u32);
        }
        if let Some(way) = way {
            self.under_way.retain(|other| *other != way);
            push(&mut self.edges, Edge::new(way.from, way.actor, state));
        }
        if found.is_none() {
            self.note_broken(state, &arrival.broken);
        }
        (state, self.claim(worker, state), found.is_none())
    }

    fn note_broken(&mut self, state: State, broken: &[&'static str]) {
        if !broken.is_empty() {
            self.broken.entry(state).or_default().extend(broken);
        }
    }

    /// Everything is forgotten: words of more classes are to be watched.
    fn forget(&mut self, watched: Vec<u8>) {
        let (epoch, busy, waiting, stopped) = (self.epoch + 1, self.busy, self.waiting, self.stopped);
        *self = Self { watched, epoch, busy, waiting, stopped, ..Self::default() };
    }

    /// A step that was taken on is given back.
    fn give_back(&mut self, state: State, actor: Actor) {
        self.under_way.retain(|way| *way != Way { from: state, actor });
        self.left[state as usize] |= 1 << actor;
        self.note_open(0, state);
    }

    /// Whether nothing is left to do.
    pub(super) fn is_complete(&self) -> bool {
        !self.states.is_empty() && self.cut == 0 && self.left.iter().all(|&left| left == 0)
    }

    /// What is left in each state for whoever goes on from here without those who take steps now.
    pub(super) fn left_for_others(&self) -> Vec<u64> {
        let mut left = self.left.clone();
        self.under_way.iter().for_each(|way| left[way.from as usize] |= 1 << way.actor);
        left
    }

    /// Whether all numbers name something.
    pub(super) fn is_sound(&self) -> bool {
        let count = self.states.len();
        let state = |state: State| (state as usize) < count;
        let found = |(state, &edge): (usize, &u32)| {
            state == 0
                || self
                    .edges
                    .get(edge as usize)
                    .is_some_and(|edge| edge.to() as usize == state && (edge.from() as usize) < state)
        };
        self.left.len() == count
            && self.found_by.len() == count
            && self.edges.iter().all(|edge| state(edge.from()) && state(edge.to()))
            && self.found_by.iter().enumerate().all(found)
            && self.broken.keys().all(|&broken| state(broken))
    }

    /// After everything but the table and the list of what is open was read.
    pub(super) fn reopen(&mut self) {
        for number in 0..self.states.len() {
            self.table.find_or_add(self.states[number], number as State, &self.states);
        }
        let with_left = |&state: &State| self.left[state as usize] != 0;
        self.open = vec![(0..self.states.len() as State).filter(with_left).collect()];
    }

    /// Bytes that states and steps take, up to an eighth for their growth not counted.
    pub(super) fn bytes(&self) -> u64 {
        let of_state = size_of::<u128>() + size_of::<u64>() + size_of::<u32>();
        let words = self.states.len() * of_state + self.edges.len() * size_of::<Edge>();
        words as u64 + self.table.bytes()
    }
}

/// Looks at the lock before a worker goes to sleep for it.
const LOOKS: u32 = 2_000;

/// What all workers of a search have found so far.
#[derive(Default)]
pub struct StateGraph {
    known: Mutex<Known>,
    changed: Condvar,
    workers: AtomicUsize,
}

impl StateGraph {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was found before.
    pub(super) fn of(known: Known) -> Self {
        Self { known: Mutex::new(known), ..Self::default() }
    }

    /// States found so far, and the steps between them.
    pub fn counts(&self) -> (u64, u64) {
        let known = self.known();
        (known.states.len() as u64, known.edges.len() as u64)
    }

    /// The digest of the first state.
    pub(super) fn first_state(&self) -> Option<u128> {
        self.known().states.first().copied()
    }

    /// The classes of the words that retries watch, as far as is known.
    pub fn watched(&self) -> Vec<u8> {
        self.known().watched.clone()
    }

    /// Whether an invariant is known to be broken.
    pub fn is_broken(&self) -> bool {
        !self.known().broken.is_empty()
    }

    /// It is held for a microsecond at most times: whoever comes meanwhile is better off looking again than going to sleep.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        for _ in 0..LOOKS {
            if let Ok(known) = self.known.try_lock() {
                return known;
            }
            std::hint::spin_loop();
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trail of one more worker.
    pub(super) fn enter(&self) -> Trail {
        Trail { worker: self.workers.fetch_add(1, Ordering::Relaxed), ..Trail::default() }
    }

    /// What to do next, and on the trail the way there: waits for the others as long as they may find something. `None`: nothing, for ever.
    pub(super) fn begin(&self, trail: &mut Trail) -> Option<Task> {
        let mut known = self.known();
        loop {
            if known.stopped {
                return None;
            }
            // The first state is found by one.
            let task = if known.states.is_empty() && known.busy > 0 { None } else { known.begin(trail) };
            if task.is_some() {
                known.busy += 1;
                return task;
            }
            if known.busy == 0 {
                return None;
            }
            known.waiting += 1;
            known = self.changed.wait(known).unwrap_or_else(PoisonError::into_inner);
            known.waiting -= 1;
        }
    }

    /// A run has come to a state that it is to find the number of. Also who goes on from there, and whether it is new; `None`: all is to
    /// be forgotten meanwhile.
    pub(super) fn arrive(
        &self,
        trail: &Trail,
        way: Option<Way>,
        arrival: &Arrival,
    ) -> Option<(State, Option<Actor>, bool)> {
        let mut known = self.known();
        if known.epoch != trail.epoch {
            return None;
        }
        let arrived = known.arrive(trail.worker, way, arrival);
        // To wake somebody is a call of the host's kernel, also where nobody waits.
        if known.waiting > 0 && known.left[arrived.0 as usize] != 0 {
            self.changed.notify_one();
        }
        Some(arrived)
    }

    /// A run is over; its step `unfinished` was not taken after all.
    pub(super) fn end(&self, epoch: u64, unfinished: Option<Way>) {
        let mut known = self.known();
        known.busy -= 1;
        if let Some(Way { from, actor }) = unfinished.filter(|_| known.epoch == epoch) {
            known.give_back(from, actor);
        }
        if known.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// The step from `at` is one too many for a run.
    pub(super) fn cut(&self, epoch: u64) {
        let mut known = self.known();
        known.cut += u64::from(known.epoch == epoch);
    }

    /// Words of these classes are watched by retries: if that is new, all begins anew.
    pub(super) fn watch(&self, epoch: u64, watched: &[u8]) {
        let mut known = self.known();
        if known.epoch == epoch && watched.iter().any(|class| !known.watched.contains(class)) {
            known.forget(watched.to_vec());
            self.changed.notify_all();
        }
    }

    /// What the end of a run shows to be broken in its last state.
    pub(super) fn judge(&self, epoch: u64, state: State, broken: &[&'static str]) {
        let mut known = self.known();
        if known.epoch == epoch {
            known.note_broken(state, broken);
        }
    }

    /// No worker begins anything any more.
    pub fn stop(&self) {
        self.known().stopped = true;
        self.changed.notify_all();
    }
}
