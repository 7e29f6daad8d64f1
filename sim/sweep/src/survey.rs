//! One look at every result: what a report needs of each, and which columns their tables have.

use pagewalk_input::{Refusal, nearest};
use rayon::prelude::*;

use super::execute::{PointResult, State};
use super::plan::{Plan, Point};
use super::store::Store;
use super::table::{Names, measure};

/// What a report needs of a result.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How the point ended.
    pub state: State,
    /// Why, if not well.
    pub reason: Option<String>,
    /// The metrics that were measured.
    pub metrics: Vec<Option<f64>>,
}

/// What all results say in short.
pub struct Survey {
    /// By number of the point; `None` if it is not finished.
    pub outcomes: Vec<Option<Outcome>>,
    /// What results have.
    pub names: Names,
}

/// Results in memory at one time.
const AT_ONE_TIME: usize = 256;

/// Goes through the results of points in order, as far as they are there.
///
/// # Errors
/// If one cannot be read, or what is done with it fails.
pub fn each<'a>(
    points: impl IntoIterator<Item = &'a Point>,
    store: &Store,
    mut with: impl FnMut(&Point, Option<PointResult>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let points: Vec<&Point> = points.into_iter().collect();
    for some in points.chunks(AT_ONE_TIME) {
        let read: Vec<Option<PointResult>> =
            some.par_iter().map(|point| store.load(point)).collect::<Result<_, _>>()?;
        some.iter().zip(read).try_for_each(|(point, result)| with(point, result))?;
    }
    Ok(())
}

impl Survey {
    /// Looks at every result.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn of(plan: &Plan, store: &Store) -> Result<Self, Refusal> {
        let mut survey = Self { outcomes: Vec::with_capacity(plan.points.len()), names: Names::default() };
        each(&plan.points, store, |_, result| {
            survey.outcomes.push(result.map(|result| {
                survey.names.note(&result);
                let metrics = plan.metrics.iter().map(|metric| measure(metric, &result)).collect();
                Outcome { state: result.state, reason: result.reason, metrics }
            }));
            Ok(())
        })?;
        Ok(survey)
    }

    /// How points ended; `None` for one that is not finished.
    pub fn states(&self) -> impl Iterator<Item = Option<State>> {
        self.outcomes.iter().map(|outcome| outcome.as_ref().map(|outcome| outcome.state))
    }

    /// Numbers that metrics name and no finished point has, with what to say about each.
    pub fn missing(&self, plan: &Plan) -> Vec<String> {
        if !self.outcomes.iter().flatten().any(|outcome| outcome.state == State::Done) {
            return Vec::new();
        }
        let known = self.names.values();
        let mut names: Vec<&str> = plan
            .metrics
            .iter()
            .flat_map(|metric| std::iter::once(&metric.path).chain(&metric.per))
            .map(String::as_str)
            // Where no schedule fails there is none.
            .filter(|&name| !known.contains(name) && name != "schedules_to_failure")
            .collect();
        names.sort_unstable();
        names.dedup();
        let tell = |name: &str| match nearest(name, known.iter().map(String::as_str)) {
            Some(close) => format!("no finished point has `{name}`; did you mean `{close}`?"),
            None => format!("no finished point has `{name}`"),
        };
        names.into_iter().map(tell).collect()
    }

    /// How the sweep ended: as the worst of its points, or incomplete if a metric was nowhere measured.
    pub fn verdict(&self, plan: &Plan) -> State {
        let worst = verdict(self.states());
        if worst == State::Done && !self.missing(plan).is_empty() { State::Incomplete } else { worst }
    }
}

/// How points ended; `None` for one that is not finished.
///
/// # Errors
/// If a result cannot be read.
pub fn states<'a>(
    points: impl IntoIterator<Item = &'a Point>,
    store: &Store,
) -> Result<Vec<Option<State>>, Refusal> {
    let mut states = Vec::new();
    each(points, store, |_, result| {
        states.push(result.map(|result| result.state));
        Ok(())
    })?;
    Ok(states)
}

/// How many finished points did not come to their end.
pub fn unwell(states: impl Iterator<Item = Option<State>>) -> u64 {
    states.flatten().filter(|&state| state != State::Done).count() as u64
}

/// The worst of how points ended; one that is not finished (`None`) is incomplete.
pub fn verdict(states: impl Iterator<Item = Option<State>>) -> State {
    states.map(|state| state.unwrap_or(State::Incomplete)).max().unwrap_or(State::Done)
}
