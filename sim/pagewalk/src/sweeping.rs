//! Sweeps.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pagewalk_replay::{Progress, Shared, Unwatched, host_memory};
use pagewalk_sweep::{Plan, PointProgress, Shard, Store, Survey, write_report, write_tables};

use crate::Result;

/// A sweep: many runs that differ in what a file says.
///
/// ```
/// # std::env::set_current_dir("../..").expect("the top of the project");
/// # let scratch = tempfile::tempdir().expect("a directory");
/// # let (file, out) = (scratch.path().join("s.ron"), scratch.path().join("out"));
/// # std::fs::write(&file, r#"(title: "Two", set: {"scenario": "configs/scenarios/dirty-page.ron"},
/// #     axes: [(path: "seed", values: List([1, 2]))], metrics: [(path: "runs")])"#).expect("a file");
/// # let file = file.to_str().expect("a name");
/// let results = pagewalk::Sweep::load(file)?.jobs(2).run(&out)?;
/// assert_eq!((results.points, results.run), (2, 2));
/// println!("{}", results.report);
/// # Ok::<(), pagewalk::Refusal>(())
/// ```
pub struct Sweep {
    plan: Plan,
    jobs: Option<u16>,
    progress: Arc<dyn Progress>,
}

/// What has come of a sweep.
#[derive(Clone, Debug)]
pub struct Results {
    /// Points of the sweep.
    pub points: u64,
    /// Those that were run now; the others were there already, or the run was ended.
    pub run: u64,
    /// Whether whoever waited ended it.
    pub interrupted: bool,
    /// The report as text. Page, pictures and tables are in the directory.
    pub report: String,
}

/// Nobody waits for points.
struct Nobody;

impl PointProgress for Nobody {
    fn begin(&self, _: u64, _: u64) {}
    fn done(&self, _: Duration, _: &dyn Fn() -> String) {}
    fn end(&self) {}
}

impl Sweep {
    /// The sweep in a file.
    ///
    /// # Errors
    /// If it cannot be read, is no sweep, or names what is not there.
    pub fn load(file: &str) -> Result<Self> {
        Ok(Self { plan: Plan::load(file)?, jobs: None, progress: Arc::new(Unwatched) })
    }

    /// So many points at one time; one a core unless said.
    #[must_use]
    pub fn jobs(self, jobs: u16) -> Self {
        Self { jobs: Some(jobs), ..self }
    }

    /// `progress` is told how many accesses are done, and may end it: what is finished stays, and the next run goes on.
    #[must_use]
    pub fn progress(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// Runs the points whose results are not in `directory`, and writes tables and the report there.
    ///
    /// # Errors
    /// If a result, a table or the report cannot be written, or a point cannot be run.
    pub fn run(self, directory: &Path) -> Result<Results> {
        let Self { plan, jobs, progress } = self;
        let store = Store::new(directory);
        let shared = Arc::new(Shared::of_many(progress, host_memory::to_keep()));
        let tally = pagewalk_sweep::run(&plan, &store, Shard::WHOLE, jobs, &shared, &Nobody)?;
        if let Some((first, _)) = tally.refused {
            return Err(first);
        }
        let mut report = String::new();
        let survey = Survey::of(&plan, &store)?;
        if survey.outcomes.iter().any(Option::is_some) {
            write_tables(&plan, &store, &survey)?;
            report = write_report(&plan, &store, &survey)?.1.text;
        }
        Ok(Results { points: tally.points, run: tally.run, interrupted: tally.interrupted, report })
    }
}
