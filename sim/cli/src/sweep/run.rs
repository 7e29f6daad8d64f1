//! The points of a sweep on all cores of the machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::execute::{Shelf, execute};
use super::plan::{Plan, Point};
use super::shard::Shard;
use super::store::Store;
use crate::diagnostic::{Diagnostic, Place};
use crate::replay::Shared;

/// How a part of a sweep went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Points of the part.
    pub(crate) points: u64,
    /// Finished before.
    pub(crate) skipped: u64,
    /// Finished now.
    pub(crate) run: u64,
    /// Whether somebody interrupted it.
    pub(crate) interrupted: bool,
    /// What kept a point from running, of the first in order that could not, and how many there are.
    pub(crate) refused: Option<(Diagnostic, u64)>,
}

/// Runs the points of a shard that are not finished. Each result is on disk before the next point begins.
///
/// # Errors
/// If a result cannot be written; what is finished stays.
pub(crate) fn run(
    plan: &Plan,
    store: &Store,
    shard: Shard,
    jobs: Option<u16>,
    shared: &Arc<Shared>,
) -> Result<Tally, Diagnostic> {
    store.create()?;
    let mine: Vec<&Point> = plan.of_shard(shard).collect();
    let open: Vec<&Point> = mine.iter().copied().filter(|point| !store.has(point)).collect();
    let skipped = (mine.len() - open.len()) as u64;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs.unwrap_or(0).into()).build();
    let pool = pool.map_err(|error| {
        Diagnostic::new(Place::in_option("--jobs", "", 0..0), format!("the host gives no threads: {error}"))
    })?;
    let bar = bar(open.len() as u64, skipped);
    let shelf = Shelf::new(plan);
    let run = AtomicU64::new(0);
    let slowest: Mutex<(Duration, String)> = Mutex::default();
    let refused: Mutex<BTreeMap<usize, Diagnostic>> = Mutex::default();
    let one = |(number, point): (usize, &&Point)| -> Result<(), Diagnostic> {
        if shared.is_interrupted() {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "the slowest point is told, and decides nothing")]
        let begin = std::time::Instant::now();
        let result = match execute(point, &shelf, shared) {
            Ok(Some(result)) => result,
            Ok(None) => return Ok(()),
            Err(why) => {
                // The others may still run.
                refused.lock().expect("nobody panics while it has it").insert(number, why);
                bar.inc(1);
                return Ok(());
            }
        };
        store.keep(point, &result)?;
        run.fetch_add(1, Ordering::Relaxed);
        note_slowest(&slowest, begin.elapsed(), || about(plan, point));
        bar.set_message(slowest.lock().expect("nobody panics while it has it").1.clone());
        bar.inc(1);
        Ok(())
    };
    let ran = pool.install(|| open.par_iter().enumerate().with_max_len(1).try_for_each(one));
    bar.finish_and_clear();
    ran?;
    let interrupted = shared.is_interrupted();
    store.tidy(!interrupted && plan.points.iter().all(|point| store.has(point)));
    let refused = refused.into_inner().expect("nobody panics while it has it");
    let count = refused.len() as u64;
    let refused = refused.into_values().next().map(|first| (first, count));
    Ok(Tally { points: mine.len() as u64, skipped, run: run.into_inner(), interrupted, refused })
}

fn note_slowest(slowest: &Mutex<(Duration, String)>, took: Duration, about: impl Fn() -> String) {
    let mut slowest = slowest.lock().expect("nobody panics while it has it");
    if took > slowest.0 {
        *slowest = (took, format!("slowest {:.1} s: {}", took.as_secs_f64(), about()));
    }
}

/// The values of a point on the axes.
#[must_use]
pub(crate) fn about(plan: &Plan, point: &Point) -> String {
    let values =
        plan.axes.iter().enumerate().map(|(axis, of)| format!("{} {}", of.path, plan.value(point, axis)));
    values.collect::<Vec<_>>().join(", ")
}

fn bar(open: u64, skipped: u64) -> ProgressBar {
    let bar = ProgressBar::new(open);
    let template = "{prefix}  {wide_bar:.cyan/dim}  {human_pos} of {human_len}  {per_sec}  {eta} left\n{msg}";
    bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
    bar.set_prefix(if skipped > 0 { format!("sweep ({skipped} there already)") } else { "sweep".into() });
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
