//! How much a sweep is to do, and about how long this host takes for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pagewalk_input::Refusal;
use pagewalk_replay::{Replay, ReplayedTrace, Shared, Unwatched, diagnose, host_memory};
use pagewalk_trace::TraceFile;
use rayon::prelude::*;

use super::execute::{Shelf, caught, explore, options};
use super::inputs::traces;
use super::plan::{Plan, Point};
use super::point::{Job, ReplayJob};

/// Points that are tried.
const SAMPLES: usize = 8;
/// Accesses of each that are tried, and the most schedules.
const ACCESSES: u64 = 4_000_000;
const SCHEDULES: u64 = 500;

/// Accesses in traces, by name.
#[derive(Default)]
struct Lengths(BTreeMap<String, u64>);

impl Lengths {
    /// Accesses in the traces of a point; 0 for a scenario.
    fn of(&mut self, point: &Point) -> Result<u64, Refusal> {
        let mut sum = 0_u64;
        for name in traces(&point.values) {
            let accesses = match self.0.get(name) {
                Some(&accesses) => accesses,
                None => {
                    let file = TraceFile::open(name).map_err(|error| diagnose(&error))?;
                    *self.0.entry(name.to_owned()).or_insert(file.summary().accesses())
                }
            };
            sum = sum.saturating_add(accesses);
        }
        Ok(sum)
    }
}

/// Accesses that all points together replay.
///
/// # Errors
/// If a trace cannot be read.
pub fn accesses(plan: &Plan) -> Result<u64, Refusal> {
    let mut lengths = Lengths::default();
    plan.points.iter().try_fold(0_u64, |sum, point| Ok(sum.saturating_add(lengths.of(point)?)))
}

/// About how long the points take on all cores of this host: the beginning of a few of them is tried.
///
/// # Errors
/// If a file that a point names cannot be read.
pub fn time(plan: &Plan) -> Result<Duration, Refusal> {
    let shelf = Shelf::new(plan);
    let shared = Arc::new(Shared::of_many(Arc::new(Unwatched), host_memory::to_keep()));
    let tried: Vec<f64> = samples(plan.points.len())
        .into_par_iter()
        .map(|number| seconds(&plan.points[number], &shelf, &shared))
        .collect::<Result<_, _>>()?;
    let mean = tried.iter().sum::<f64>() / tried.len().max(1) as f64;
    let cores = rayon::current_num_threads().min(plan.points.len().max(1));
    let seconds = mean * plan.points.len() as f64 / cores as f64;
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Numbers of a few of `count` points, spread so that they do not keep step with any axis: multiples of the golden ratio.
fn samples(count: usize) -> Vec<usize> {
    if count <= SAMPLES {
        return (0..count).collect();
    }
    let golden = (5_f64.sqrt() - 1.0) / 2.0;
    (1..=SAMPLES).map(|number| ((number as f64 * golden).fract() * count as f64) as usize).collect()
}

/// About how long one point takes.
fn seconds(point: &Point, shelf: &Shelf<'_>, shared: &Arc<Shared>) -> Result<f64, Refusal> {
    let job = shelf.job(point)?;
    let tried = caught(|| match &job {
        Job::Replay(job) => seconds_of_replay(job, Lengths::default().of(point)?, shelf, shared),
        Job::Explore(job) => {
            let most = job.runs.min(SCHEDULES);
            let (took, ran) = timed(|| explore(job, most, shared));
            // One that fails within the schedules tried was tried to its end.
            let all = if ran["failed"] > 0 || ran["runs"] < most { most } else { job.runs };
            Ok(took * all as f64 / most.max(1) as f64)
        }
    });
    // One that is a bug of this program is soon over.
    tried.unwrap_or(Ok(0.0))
}

fn seconds_of_replay(
    job: &ReplayJob,
    accesses: u64,
    shelf: &Shelf<'_>,
    shared: &Arc<Shared>,
) -> Result<f64, Refusal> {
    let mut options = options(job);
    options.end_seq = ACCESSES;
    // What a trace uses is measured once for many points: not part of what one of them costs.
    let machine = shelf.machine(job, &mut options, shared)?;
    let (took, finished) = timed(|| Replay::run(&machine, &job.traces, options, Arc::clone(shared)));
    let tried: u64 = finished?.replay.traces.iter().map(ReplayedTrace::executed).sum();
    Ok(took * (accesses as f64 / tried.max(1) as f64).max(1.0))
}

fn timed<R>(work: impl FnOnce() -> R) -> (f64, R) {
    #[expect(clippy::disallowed_methods, reason = "an estimate of time is told, and decides nothing")]
    let begin = Instant::now();
    let result = work();
    (begin.elapsed().as_secs_f64(), result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_points_and_differ_on_every_axis() {
        assert_eq!(samples(3), [0, 1, 2]);
        for count in [9, 64, 96, 100_000] {
            let numbers = samples(count);
            assert!(numbers.iter().all(|&number| number < count));
            for axis in [2, 3, 4, 6] {
                let values: std::collections::BTreeSet<usize> =
                    numbers.iter().map(|number| number % axis).collect();
                assert!(values.len() > 1, "{count} points, an axis of {axis}");
            }
        }
    }
}
