//! Replays.

use std::rc::Rc;
use std::sync::Arc;

use pagewalk_engine::Schedule;
use pagewalk_input::{Place, Refusal};
use pagewalk_kernel::Observer;
use pagewalk_machine::Machine;
use pagewalk_pages::Switches;
use pagewalk_replay::amounts::{AntagonistChoice, MemoryAmount};
use pagewalk_replay::report::ReplayReport;
use pagewalk_replay::{
    Placement, Progress, ReplayOptions, RunOptions, Shared, Unwatched, Watchers, account, footprint,
};

use crate::Result;

/// A replay: traces, each a program of its own, on one machine.
///
/// ```
/// # std::env::set_current_dir("../..").expect("the top of the project");
/// use pagewalk::Replay;
///
/// let report = Replay::of("traces/gzip.pwt")
///     .and("traces/sort.pwt")
///     .memory("50%")?
///     .antagonists("reclaim:200")?
///     .accesses(200_000)
///     .verify()
///     .run()?;
/// assert_eq!(report.traces.len(), 2);
/// assert!(report.verify.violations.is_empty());
/// # Ok::<(), pagewalk::Refusal>(())
/// ```
#[derive(Clone)]
pub struct Replay {
    traces: Vec<String>,
    machine: Machine,
    memory: Option<MemoryAmount>,
    options: ReplayOptions,
    progress: Arc<dyn Progress>,
    observer: Option<Rc<dyn Observer>>,
}

impl Replay {
    /// The trace in a file, whole, on the default machine with the kernel `fixed`, seed 1, in the order of time, nothing checked.
    pub fn of(trace: impl Into<String>) -> Self {
        Self {
            traces: vec![trace.into()],
            machine: Machine::default(),
            memory: None,
            options: ReplayOptions::whole(RunOptions::default()),
            progress: Arc::new(Unwatched),
            observer: None,
        }
    }

    /// And another trace, at the same time.
    #[must_use]
    pub fn and(mut self, trace: impl Into<String>) -> Self {
        self.traces.push(trace.into());
        self
    }

    /// On this machine.
    #[must_use]
    pub fn on(self, machine: Machine) -> Self {
        Self { machine, ..self }
    }

    /// With so much memory: a size as in `64MiB`, a number of frames, or a percentage of what the traces use, as in `50%`.
    ///
    /// # Errors
    /// If it is none of these, or out of range.
    pub fn memory(self, amount: &str) -> Result<Self> {
        Ok(Self { memory: Some(parsed("memory", amount)?), ..self })
    }

    /// With actors beside the programs: `all`, or names as in `reclaim,punch:200`, each with how often it acts in a million accesses.
    ///
    /// # Errors
    /// If there is no such antagonist, or its rate is out of range.
    pub fn antagonists(mut self, list: &str) -> Result<Self> {
        for one in list.split(',') {
            self.options.antagonists.extend(parsed::<AntagonistChoice>("antagonists", one)?.0);
        }
        Ok(self)
    }

    /// With this kernel.
    #[must_use]
    pub fn kernel(mut self, switches: Switches) -> Self {
        self.options.run.switches = switches;
        self
    }

    /// With this seed of every random decision.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.run.seed = seed;
        self
    }

    /// With a seeded random choice of who goes on, at every step.
    #[must_use]
    pub fn random(mut self) -> Self {
        self.options.run.schedule = Schedule::Random;
        self
    }

    /// With every load compared with what ought to be there, and every invariant watched.
    #[must_use]
    pub fn verify(mut self) -> Self {
        self.options.run.verify = true;
        self
    }

    /// With threads on CPUs as this says.
    #[must_use]
    pub fn placed(mut self, placement: Placement) -> Self {
        self.options.placement = placement;
        self
    }

    /// Only so many records of each trace.
    #[must_use]
    pub fn accesses(mut self, most: u64) -> Self {
        self.options.end_seq = self.options.first_seq.saturating_add(most);
        self
    }

    /// `progress` is told how many accesses are done, and may end the run.
    ///
    /// ```
    /// # std::env::set_current_dir("../..").expect("the top of the project");
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// #[derive(Default)]
    /// struct AtMost(AtomicU64);
    ///
    /// impl pagewalk::Progress for AtMost {
    ///     fn executed(&self, accesses: u64) {
    ///         self.0.fetch_add(accesses, Ordering::Relaxed);
    ///     }
    ///     fn stop(&self) -> bool {
    ///         self.0.load(Ordering::Relaxed) > 100_000
    ///     }
    /// }
    ///
    /// let report = pagewalk::Replay::of("traces/gzip.pwt").progress(Arc::new(AtMost::default())).run()?;
    /// assert!(report.interrupted);
    /// # Ok::<(), pagewalk::Refusal>(())
    /// ```
    #[must_use]
    pub fn progress(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// `observer` is told of every miss, fault, system call and shootdown, between steps. The run is the same without it.
    ///
    /// ```
    /// # std::env::set_current_dir("../..").expect("the top of the project");
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// use pagewalk::kernel::Task;
    /// use pagewalk::mmu::PageFault;
    ///
    /// #[derive(Default)]
    /// struct Faults(Cell<u64>);
    ///
    /// impl pagewalk::Observer for Faults {
    ///     fn fault_begins(&self, _: &Task, _: PageFault) {
    ///         self.0.set(self.0.get() + 1);
    ///     }
    /// }
    ///
    /// let faults = Rc::new(Faults::default());
    /// let report = pagewalk::Replay::of("traces/tcc.pwt").accesses(100_000).observer(faults.clone()).run()?;
    /// assert_eq!(faults.0.get(), report.faults.pgfault);
    /// # Ok::<(), pagewalk::Refusal>(())
    /// ```
    #[must_use]
    pub fn observer(self, observer: Rc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Replays. If memory is a percentage, the traces are replayed once before, to find out what they use.
    ///
    /// # Errors
    /// If a trace cannot be read, or holds what cannot be replayed.
    pub fn run(self) -> Result<ReplayReport> {
        let Self { traces, mut machine, memory, mut options, progress, observer } = self;
        let shared = Arc::new(Shared::new(progress));
        if let Some(memory) = memory {
            options.footprint = footprint::set_memory(&mut machine, &traces, memory, &options, &shared)?;
        }
        let watchers = Watchers { tracer: None, observer };
        let finished = pagewalk_replay::Replay::run_watched(&machine, &traces, options, shared, watchers)?;
        Ok(account(&finished, &machine, ""))
    }
}

/// A value that is written as on the command line.
fn parsed<T: std::str::FromStr<Err = String>>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|why: String| Refusal::new(Place::in_option(name, text, 0..text.len()), why))
}
