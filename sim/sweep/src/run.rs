//! The points of a sweep on all cores of the machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pagewalk_input::{Place, Refusal};
use pagewalk_replay::Shared;
use rayon::prelude::*;

use super::execute::{Shelf, execute};
use super::plan::{Plan, Point};
use super::shard::Shard;
use super::store::Store;

/// How a part of a sweep went.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Points of the part.
    pub points: u64,
    /// Finished before.
    pub skipped: u64,
    /// Finished now.
    pub run: u64,
    /// Whether somebody interrupted it.
    pub interrupted: bool,
    /// What kept a point from running, of the first in order that could not, and how many there are.
    pub refused: Option<(Refusal, u64)>,
}

/// Somebody who waits for the points.
pub trait PointProgress: Sync {
    /// So many points are to run; so many more are finished already.
    fn begin(&self, open: u64, skipped: u64);

    /// A point is done, and took so long on this host; `about` says which.
    fn done(&self, took: Duration, about: &dyn Fn() -> String);

    /// All are.
    fn end(&self);
}

/// Runs the points of a shard that are not finished. Each result is on disk before the next point begins.
///
/// # Errors
/// If a result cannot be written; what is finished stays.
pub fn run(
    plan: &Plan,
    store: &Store,
    shard: Shard,
    jobs: Option<u16>,
    shared: &Arc<Shared>,
    progress: &dyn PointProgress,
) -> Result<Tally, Refusal> {
    store.create()?;
    let mine: Vec<&Point> = plan.of_shard(shard).collect();
    let open: Vec<&Point> = mine.iter().copied().filter(|point| !store.has(point)).collect();
    let skipped = (mine.len() - open.len()) as u64;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs.unwrap_or(0).into()).build();
    let pool = pool.map_err(|error| {
        Refusal::new(Place::in_option("--jobs", "", 0..0), format!("the host gives no threads: {error}"))
    })?;
    progress.begin(open.len() as u64, skipped);
    let shelf = Shelf::new(plan);
    let run = AtomicU64::new(0);
    let refused: Mutex<BTreeMap<usize, Refusal>> = Mutex::default();
    let one = |(number, point): (usize, &&Point)| -> Result<(), Refusal> {
        if shared.progress().stop() {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "how long a point took is told, and decides nothing")]
        let begin = std::time::Instant::now();
        let result = match execute(point, &shelf, shared) {
            Ok(Some(result)) => result,
            Ok(None) => return Ok(()),
            Err(why) => {
                // The others may still run.
                refused.lock().expect("nobody panics while it has it").insert(number, why);
                progress.done(begin.elapsed(), &|| about(plan, point));
                return Ok(());
            }
        };
        store.keep(point, &result)?;
        run.fetch_add(1, Ordering::Relaxed);
        progress.done(begin.elapsed(), &|| about(plan, point));
        Ok(())
    };
    let ran = pool.install(|| open.par_iter().enumerate().with_max_len(1).try_for_each(one));
    progress.end();
    ran?;
    let interrupted = shared.progress().stop();
    store.tidy(!interrupted && plan.points.iter().all(|point| store.has(point)));
    let refused = refused.into_inner().expect("nobody panics while it has it");
    let count = refused.len() as u64;
    let refused = refused.into_values().next().map(|first| (first, count));
    Ok(Tally { points: mine.len() as u64, skipped, run: run.into_inner(), interrupted, refused })
}

/// The values of a point on the axes.
#[must_use]
pub fn about(plan: &Plan, point: &Point) -> String {
    let values =
        plan.axes.iter().enumerate().map(|(axis, of)| format!("{} {}", of.path, plan.value(point, axis)));
    values.collect::<Vec<_>>().join(", ")
}
