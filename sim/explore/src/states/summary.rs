//! What a search by state has found, read off its graph: the same whoever found it when.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Actor, Edge, Known, State, StateGraph};

/// An invariant that some schedule breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenState {
    /// Name of the invariant: `I9`.
    pub invariant: &'static str,
    /// At the ends of how many runs it is broken, of runs that end in different states.
    pub ends: u64,
    /// A shortest schedule that breaks it: who takes each step.
    pub schedule: Vec<usize>,
}

/// What a search by state has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSummary {
    /// States.
    pub states: u64,
    /// Steps from one to another.
    pub transitions: u64,
    /// States in which a run ends.
    pub ends: u64,
    /// Those of them in which something is broken by then.
    pub failing: u64,
    /// Steps of a shortest way to the state that is farthest from the first one.
    pub depth: u64,
    /// Whether every state was visited.
    pub complete: bool,
    /// Runs that would have been longer than is allowed.
    pub cut: u64,
    /// Every invariant that is broken, by name.
    pub broken: Vec<BrokenState>,
    /// Bytes of memory that the states take, and the steps between them.
    pub bytes: u64,
    /// Digests of the states in which runs end, sorted.
    pub end_states: Vec<u128>,
}

impl StateSummary {
    /// How likely it is that two different states have the same digest, so that one was taken for the other: at most n² / 2¹²⁹.
    #[must_use]
    pub fn collision(&self) -> f64 {
        let states = self.states as f64;
        states * states / 2_f64.powi(129)
    }
}

impl StateGraph {
    /// What was found so far.
    #[must_use]
    pub fn summary(&self) -> StateSummary {
        let known = self.known();
        let mut edges = known.edges.clone();
        edges.sort_unstable();
        let paths = Paths::of(known.states.len(), &edges);
        let mut is_end = vec![true; known.states.len()];
        edges.iter().for_each(|edge| is_end[edge.from() as usize] = false);
        // What nobody has gone on from yet is no end.
        known.left.iter().enumerate().filter(|(_, left)| **left != 0).for_each(|(n, _)| is_end[n] = false);
        let ends: Vec<usize> = (0..is_end.len()).filter(|&state| is_end[state]).collect();
        let fails = |state: &&usize| known.broken.contains_key(&(**state as State));
        let mut end_states: Vec<u128> = ends.iter().map(|&state| known.states[state]).collect();
        end_states.sort_unstable();
        StateSummary {
            states: known.states.len() as u64,
            transitions: known.edges.len() as u64,
            ends: ends.len() as u64,
            failing: ends.iter().filter(fails).count() as u64,
            depth: paths.depth(),
            complete: known.is_complete(),
            cut: known.cut,
            broken: broken(&known, &paths, &is_end),
            bytes: known.bytes(),
            end_states,
        }
    }
}

/// For each invariant that is broken, the first way to that.
fn broken(known: &Known, paths: &Paths, is_end: &[bool]) -> Vec<BrokenState> {
    let mut first: BTreeMap<&'static str, State> = BTreeMap::new();
    for &state in &paths.order {
        for &invariant in known.broken.get(&state).into_iter().flatten() {
            first.entry(invariant).or_insert(state);
        }
    }
    let at_ends = |invariant: &str| {
        let ends = known.broken.iter().filter(|(state, _)| is_end[**state as usize]);
        ends.filter(|(_, broken): &(_, &BTreeSet<_>)| broken.contains(invariant)).count() as u64
    };
    let told = first.into_iter().map(|(invariant, state)| BrokenState {
        invariant,
        ends: at_ends(invariant),
        schedule: paths.to(state),
    });
    told.collect()
}

/// Shortest ways from the first state, of equally short ones the one whose actors have the lower numbers.
struct Paths {
    /// States in the order in which they are come to.
    order: Vec<State>,
    /// For each, the edge that comes to it.
    by: Vec<Option<Edge>>,
    /// For each, the steps to it.
    steps: Vec<u32>,
}

impl Paths {
    /// Of a graph whose edges are sorted.
    fn of(count: usize, edges: &[Edge]) -> Self {
        let mut paths = Self { order: Vec::new(), by: vec![None; count], steps: vec![0; count] };
        if count > 0 {
            paths.order.push(0);
        }
        let mut next = 0;
        while let Some(&state) = paths.order.get(next) {
            next += 1;
            let begin = edges.partition_point(|edge| edge.from() < state);
            for &edge in edges[begin..].iter().take_while(|edge| edge.from() == state) {
                let to = edge.to() as usize;
                if to != 0 && paths.by[to].is_none() {
                    paths.by[to] = Some(edge);
                    paths.steps[to] = paths.steps[state as usize] + 1;
                    paths.order.push(edge.to());
                }
            }
        }
        paths
    }

    fn depth(&self) -> u64 {
        self.steps.iter().copied().max().map_or(0, u64::from)
    }

    /// Who takes each step on the way to `state`.
    fn to(&self, mut state: State) -> Vec<usize> {
        let mut actors: Vec<Actor> = Vec::new();
        while let Some(edge) = self.by[state as usize] {
            actors.push(edge.actor());
            state = edge.from();
        }
        actors.into_iter().rev().map(usize::from).collect()
    }
}
