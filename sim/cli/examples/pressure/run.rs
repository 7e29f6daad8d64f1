//! One run under pressure, and many beside each other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pagewalk_engine::Schedule;
use pagewalk_machine::Machine;
use pagewalk_pages::{Fix, KernelPreset, Switches};
use pagewalk_replay::amounts::{AntagonistChoice, MemoryAmount};
use pagewalk_replay::footprint::set_memory;
use pagewalk_replay::{Replay, ReplayOptions, RunOptions, Shared, account};

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The trace's file.
    pub(crate) trace: String,
    /// As on the command line: `25%`.
    pub(crate) memory: String,
    pub(crate) schedule: Schedule,
    pub(crate) cpus: u64,
    /// The preset's name.
    pub(crate) kernel: &'static str,
    /// Fixes on top of it.
    pub(crate) fixes: Vec<Fix>,
    /// The mutant's name.
    pub(crate) mutant: Option<&'static str>,
    /// As on the command line; empty: none.
    pub(crate) antagonists: String,
    pub(crate) seed: u64,
}

/// How it ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The invariants broken, each once, in the order found.
    pub(crate) broken: Vec<String>,
    /// Why the run ended early.
    pub(crate) incomplete: Option<String>,
    pub(crate) steps: u64,
    pub(crate) digest: u128,
    /// Page faults, pages reclaimed, pages swapped out, operations of antagonists.
    pub(crate) work: [u64; 4],
}

impl Outcome {
    pub(crate) fn is_clean(&self) -> bool {
        self.broken.is_empty() && self.incomplete.is_none()
    }

    /// What was wrong, in a few words.
    pub(crate) fn what(&self) -> String {
        self.incomplete.iter().chain(&self.broken).cloned().collect::<Vec<_>>().join(" ")
    }
}

impl Case {
    /// The kernel.
    fn switches(&self) -> Switches {
        let preset = KernelPreset::from_name(self.kernel).expect("a preset").switches;
        let fixed = self.fixes.iter().fold(preset, |kernel, &fix| kernel.with(fix));
        match self.mutant {
            None => fixed,
            Some(name) => fixed.with_mutant(pagewalk_pages::Mutant::from_name(name).expect("a mutant")),
        }
    }

    /// The command that repeats it.
    pub(crate) fn command(&self) -> String {
        let mut words = vec![format!("pagewalk replay {} --verify --memory {}", self.trace, self.memory)];
        if self.schedule == Schedule::Random {
            words.push("--schedule random".into());
        }
        words.push(format!("--set cpus={}", self.cpus));
        if self.kernel != "fixed" {
            words.push(format!("--kernel {}", self.kernel));
        }
        words.extend(self.fixes.iter().map(|fix| format!("--fix {fix}")));
        words.extend(self.mutant.map(|name| format!("--mutant {name}")));
        if !self.antagonists.is_empty() {
            words.push(format!("--antagonist {}", self.antagonists));
        }
        words.push(format!("--seed {}", self.seed));
        words.join(" ")
    }

    /// Runs it.
    pub(crate) fn run(&self) -> Outcome {
        let mut machine = Machine::default();
        machine.set_all(&[format!("cpus={}", self.cpus)]).expect("a right option");
        let traces = [self.trace.clone()];
        let run = RunOptions {
            seed: self.seed,
            schedule: self.schedule,
            switches: self.switches(),
            verify: true,
            ..RunOptions::default()
        };
        let mut options = ReplayOptions::whole(run);
        options.origin = false;
        let names = self.antagonists.split(',').filter(|name| !name.is_empty());
        options.antagonists =
            names.flat_map(|name| name.parse::<AntagonistChoice>().expect("a right antagonist").0).collect();
        let memory: MemoryAmount = self.memory.parse().expect("a right size");
        let shared = Arc::new(Shared::default());
        options.footprint =
            set_memory(&mut machine, &traces, memory, &options, &shared).expect("a right trace");
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let finished = Replay::run(&machine, &traces, options, shared).expect("a right trace");
            account(&finished, &machine, "")
        }));
        let Ok(report) = ran else {
            return Outcome { broken: vec!["panic".into()], ..Outcome::default() };
        };
        let mut broken: Vec<String> = Vec::new();
        let found = report.verify.violations.iter().map(|violation| violation.invariant.clone());
        for invariant in found.chain(report.memory.leftovers.iter().map(|_| "I27".to_owned())) {
            if !broken.contains(&invariant) {
                broken.push(invariant);
            }
        }
        let pressure = &report.pressure;
        Outcome {
            broken,
            incomplete: report.incomplete.clone(),
            steps: report.steps,
            digest: report.digest,
            work: [
                report.faults.pgfault,
                pressure.pgsteal_kswapd + pressure.pgsteal_direct,
                pressure.pswpout,
                pressure.antagonist_operations,
            ],
        }
    }
}

/// Does `work` for every item, on every core of the host; what comes out is in the items' order.
pub(crate) fn beside_each_other<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return };
            let result = work(item);
            let mut done = done.lock().expect("nobody panics while it has the list");
            done.push((number, result));
            if done.len().is_multiple_of(20) {
                eprintln!("{} of {}", done.len(), items.len());
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (1..threads).for_each(|_| drop(scope.spawn(worker)));
        worker();
    });
    let mut done = done.into_inner().expect("every thread has ended");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}
