//! One look at every result: what a report needs of each, and which columns their tables have.

use rayon::prelude::*;

use super::execute::{PointResult, State};
use super::plan::{Plan, Point};
use super::store::Store;
use super::table::{Names, measure};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::machine::nearest;

/// What a report needs of a result.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// How the point ended.
    pub(crate) state: State,
    /// Why, if not well.
    pub(crate) reason: Option<String>,
    /// The metrics that were measured.
    pub(crate) metrics: Vec<Option<f64>>,
}

/// What all results say in short.
pub(crate) struct Survey {
    /// By number of the point; `None` if it is not finished.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// What results have.
    pub(crate) names: Names,
}

/// Results in memory at one time.
const AT_ONE_TIME: usize = 256;

/// Goes through the results of points in order, as far as they are there.
///
/// # Errors
/// If one cannot be read, or what is done with it fails.
pub(crate) fn each<'a>(
    points: impl IntoIterator<Item = &'a Point>,
    store: &Store,
    mut with: impl FnMut(&Point, Option<PointResult>) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
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
    pub(crate) fn of(plan: &Plan, store: &Store) -> Result<Self, Diagnostic> {
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
    pub(crate) fn states(&self) -> impl Iterator<Item = Option<State>> {
        self.outcomes.iter().map(|outcome| outcome.as_ref().map(|outcome| outcome.state))
    }

    /// Numbers that metrics name and no finished point has, with what to say about each.
    pub(crate) fn missing(&self, plan: &Plan) -> Vec<String> {
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

    /// How the command ends.
    pub(crate) fn verdict(&self, plan: &Plan) -> Exit {
        let exit = verdict(self.states());
        if exit == Exit::Held && !self.missing(plan).is_empty() { Exit::Incomplete } else { exit }
    }
}

/// How points ended; `None` for one that is not finished.
///
/// # Errors
/// If a result cannot be read.
pub(crate) fn states<'a>(
    points: impl IntoIterator<Item = &'a Point>,
    store: &Store,
) -> Result<Vec<Option<State>>, Diagnostic> {
    let mut states = Vec::new();
    each(points, store, |_, result| {
        states.push(result.map(|result| result.state));
        Ok(())
    })?;
    Ok(states)
}

/// How many finished points did not come to their end.
pub(crate) fn unwell(states: impl Iterator<Item = Option<State>>) -> u64 {
    states.flatten().filter(|&state| state != State::Done).count() as u64
}

/// How a command ends whose points ended like this; `None` for one that is not finished.
pub(crate) fn verdict(states: impl Iterator<Item = Option<State>>) -> Exit {
    let exit = |state: Option<State>| match state {
        Some(State::Done) => Exit::Held,
        Some(State::Incomplete) | None => Exit::Incomplete,
        Some(State::Broken) => Exit::Broken,
        Some(State::Failed) => Exit::Internal,
    };
    // From good to bad.
    let order = [Exit::Held, Exit::Incomplete, Exit::Broken, Exit::Internal];
    let worst = states.map(exit).max_by_key(|exit| order.iter().position(|known| known == exit));
    worst.unwrap_or(Exit::Held)
}
