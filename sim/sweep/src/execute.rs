//! One point, run.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use pagewalk_explore::{Search, SearchProgress, search};
use pagewalk_input::{Place, Refusal};
use pagewalk_machine::{Machine, Memory, leaves};
use pagewalk_replay::amounts::MemoryAmount;
use pagewalk_replay::footprint::{Measured, frames_for, measure};
use pagewalk_replay::report::ReplayReport;
use pagewalk_replay::{Replay, ReplayOptions, RunOptions, Shared, account};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::{Plan, Point};
use super::point::{ExploreJob, Job, ReplayJob};

/// How a point ended, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// To its end.
    Done,
    /// Before its end: memory was out.
    Incomplete,
    /// A promise was broken.
    Broken,
    /// Not at all: a bug of the program.
    Failed,
}

impl State {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Incomplete => "incomplete",
            Self::Broken => "broken",
            Self::Failed => "failed",
        }
    }
}

/// What a point has to say. Plain facts, the same on every machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointResult {
    /// Name and version of the layout: `pagewalk.sweep-point/1`.
    pub schema: String,
    /// The point's name.
    pub id: String,
    /// The program's version.
    pub version: String,
    /// How it ended.
    pub state: State,
    /// Why, if not well.
    pub reason: Option<String>,
    /// The run's digest; empty for a scenario.
    pub digest: String,
    /// Every parameter of the machine, by path.
    pub parameters: BTreeMap<String, Value>,
    /// Every number of the account, by path.
    pub values: BTreeMap<String, u64>,
    /// The run's history: a number an epoch.
    pub series: BTreeMap<String, Vec<u64>>,
}

/// The schema of a point's file.
pub const SCHEMA: &str = "pagewalk.sweep-point/1";

/// What points share: the files that they name, and the memory that traces use where there is plenty, found once for each trace and machine.
pub struct Shelf<'a> {
    plan: &'a Plan,
    footprints: Mutex<BTreeMap<String, Slot>>,
}

/// What a trace uses, once somebody has found it out.
type Slot = Arc<Mutex<Option<Measured>>>;

impl PointResult {
    fn new(point: &Point) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id: point.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: State::Done,
            reason: None,
            digest: String::new(),
            parameters: BTreeMap::new(),
            values: BTreeMap::new(),
            series: BTreeMap::new(),
        }
    }

    fn ended(mut self, state: State, reason: String) -> Self {
        (self.state, self.reason) = (state, Some(reason));
        self
    }
}

/// Runs a point; `None` if it was interrupted.
///
/// # Errors
/// If a file that it names is gone, or is not what it was when the sweep was planned.
pub fn execute(
    point: &Point,
    shelf: &Shelf<'_>,
    shared: &Arc<Shared>,
) -> Result<Option<PointResult>, Refusal> {
    let result = PointResult::new(point);
    let job = shelf.job(point)?;
    let ran = caught(|| match &job {
        Job::Replay(job) => replay(job, shelf, shared).map(|report| of_report(result.clone(), &report)),
        Job::Explore(job) => Ok(PointResult { values: explore(job, job.runs, shared), ..result.clone() }),
    });
    let ended = match ran {
        Ok(ended) => ended?,
        Err(why) => result.ended(State::Failed, why),
    };
    shelf.plan.inputs.check(&point.values)?;
    Ok(if shared.progress().stop() { None } else { Some(ended) })
}

/// What some work yields; if it panics, what it said.
///
/// # Errors
/// If it panics.
pub(super) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("a bug of this program: {}", said.unwrap_or("it panicked"))
    })
}

fn replay(job: &ReplayJob, shelf: &Shelf<'_>, shared: &Arc<Shared>) -> Result<ReplayReport, Refusal> {
    let mut options = options(job);
    let machine = shelf.machine(job, &mut options, shared)?;
    let finished = Replay::run(&machine, &job.traces, options, Arc::clone(shared))?;
    Ok(account(&finished, &machine, ""))
}

/// What a point's replay does with its traces.
pub(super) fn options(job: &ReplayJob) -> ReplayOptions {
    let run = RunOptions {
        seed: job.seed,
        schedule: job.schedule,
        switches: job.switches,
        verify: job.verify,
        ..RunOptions::default()
    };
    let mut options = ReplayOptions::whole(run);
    options.antagonists = job.antagonists.iter().flat_map(|some| some.0.iter().copied()).collect();
    options
}

impl<'a> Shelf<'a> {
    /// For the points of a plan.
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self { plan, footprints: Mutex::default() }
    }

    /// What a point runs.
    ///
    /// # Errors
    /// What is wrong with its values, which the plan rules out.
    pub(super) fn job(&self, point: &Point) -> Result<Job, Refusal> {
        Job::new(&point.values, &self.plan.inputs)
            .map_err(|wrong| Refusal::new(Place::File { file: self.plan.file.clone() }, wrong.why))
    }

    /// The machine of a point, with the memory that was asked for; of what that is a part goes to the options.
    ///
    /// # Errors
    /// If the traces cannot be replayed.
    pub(super) fn machine(
        &self,
        job: &ReplayJob,
        options: &mut ReplayOptions,
        shared: &Arc<Shared>,
    ) -> Result<Machine, Refusal> {
        let mut machine = job.machine.clone();
        match job.memory {
            None => {}
            Some(MemoryAmount::Frames(frames)) => machine.memory.frames = frames,
            Some(MemoryAmount::Percent(percent)) => {
                let footprint = self.measured(job, options, shared)?.part(percent);
                machine.memory.frames = frames_for(&machine, footprint);
                options.footprint = Some(footprint);
            }
        }
        Ok(machine)
    }

    /// What the traces of a point use where there is plenty.
    fn measured(
        &self,
        job: &ReplayJob,
        options: &ReplayOptions,
        shared: &Arc<Shared>,
    ) -> Result<Measured, Refusal> {
        // What a trace uses where there is plenty does not depend on where else it could go.
        let mut plentiful = job.machine.clone();
        (plentiful.memory, plentiful.swap) = (Memory::default(), Vec::new());
        let tree = serde_json::to_string(&plentiful).expect("a machine is plain data with text keys");
        let key = format!("{:?} {:?} {tree}", job.traces, job.switches);
        let slot = Arc::clone(
            self.footprints.lock().expect("nobody panics while it has the map").entry(key).or_default(),
        );
        // Whoever comes meanwhile does not measure it again, but makes ready what all will replay.
        if let (Err(TryLockError::WouldBlock), Some(decoded)) = (slot.try_lock(), shared.decoded()) {
            let busy = || matches!(slot.try_lock(), Err(TryLockError::WouldBlock));
            decoded.decode_while(&job.traces, || busy() && !shared.progress().stop());
        }
        let mut known = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some(measured) => Ok(measured),
            None => Ok(*known.insert(measure(&plentiful, &job.traces, options, shared)?)),
        }
    }
}

/// A search that ends with the first failing schedule, or when somebody interrupts.
struct UntilFailure {
    shared: Arc<Shared>,
    runs: Cell<u64>,
    failed: Cell<bool>,
}

impl SearchProgress for UntilFailure {
    fn goes_on(&self) -> bool {
        !self.failed.get() && !self.shared.progress().stop()
    }

    fn class(&self, failing: bool) {
        self.runs.set(self.runs.get() + 1);
        self.failed.set(failing);
    }
}

/// Schedules until one fails or somebody interrupts, at most `most`.
pub(super) fn explore(job: &ExploreJob, most: u64, shared: &Arc<Shared>) -> BTreeMap<String, u64> {
    let progress =
        Rc::new(UntilFailure { shared: Arc::clone(shared), runs: Cell::default(), failed: Cell::default() });
    let how = Search { runs: Some(most), seed: job.seed, ..Search::new(job.strategy) };
    let found = search(&how, &job.scenario, job.switches, &(Rc::clone(&progress) as Rc<dyn SearchProgress>));
    let failed = !found.broken.is_empty();
    let runs = if found.states.is_some() { found.summary.classes } else { found.summary.runs };
    let mut values = BTreeMap::from([
        ("runs".to_owned(), runs),
        ("steps".to_owned(), found.summary.steps),
        ("failed".to_owned(), u64::from(failed)),
    ]);
    if failed {
        values.insert("schedules_to_failure".to_owned(), progress.runs.get());
    }
    values
}

/// Parts of an account that are rows rather than numbers of the run.
const ROWS: [&str; 3] = ["origin", "processes", "traces"];

fn of_report(result: PointResult, report: &ReplayReport) -> PointResult {
    let mut tree = serde_json::to_value(report).expect("a report is plain data with text keys");
    let mut part = |name: &str| tree.as_object_mut().and_then(|tree| tree.remove(name)).unwrap_or_default();
    let parameters = leaves(part("parameters")).into_iter().collect();
    ROWS.iter().for_each(|name| drop(part(name)));
    let (mut values, mut series) = (BTreeMap::new(), BTreeMap::new());
    for (path, value) in leaves(tree) {
        match (path.strip_prefix("timeline."), &value) {
            (Some(name), Value::Array(numbers)) => {
                series.insert(name.to_owned(), numbers.iter().filter_map(Value::as_u64).collect());
            }
            _ => values.extend(value.as_u64().map(|number| (path, number))),
        }
    }
    let digest = format!("{:032x}", report.digest);
    let whole = PointResult { digest, parameters, values, series, ..result };
    let broken: Vec<&str> =
        report.verify.violations.iter().map(|violation| violation.invariant.as_str()).collect();
    match (&report.incomplete, report.is_broken()) {
        (_, true) => whole.ended(State::Broken, format!("broken: {}", broken.join(" "))),
        (Some(why), false) => whole.ended(State::Incomplete, why.clone()),
        (None, false) => whole,
    }
}
