//! The account of a finished run: facts from the machine, put where the report wants them.

mod origin;

use std::rc::Rc;

use pagewalk_engine::{Schedule, Stop};
use pagewalk_kernel::{Kernel, promises};
use pagewalk_machine::Machine;
use pagewalk_mmu::{TlbSideCounters, WalkCacheCounters};

use crate::report::{
    self, Accesses, CpuTime, FaultLatency, Faults, Held, KernelWork, MemoryUse, Pressure, ProcessRow,
    ReplayReport, Segv, Time, Timeline, TlbSide, TraceFile, Translation, Verification, Violation,
    WalkCacheUse,
};
use crate::run::{Finished, Replay};

/// The account of `finished`.
pub fn account(finished: &Finished, machine: &Machine, command: &str) -> ReplayReport {
    let replay = &finished.replay;
    let kernel = &replay.kernel;
    let options = &replay.options.run;
    let mut account = ReplayReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: command.to_owned(),
        machine: machine.name.as_str().to_owned(),
        cpus: machine.cpus.get_u32(),
        frames: machine.memory.frames.get(),
        frequency_mhz: machine.frequency_mhz.get(),
        parameters: parameters(machine),
        schedule: match options.schedule {
            Schedule::Timed => report::Schedule::Timed,
            Schedule::Random | Schedule::Explore => report::Schedule::Random,
        },
        seed: options.seed,
        steps: kernel.engine.cpus().iter().map(|cpu| cpu.steps()).sum(),
        accesses: accesses(kernel),
        translation: translation(kernel),
        faults: Faults::of(finished),
        segv: Segv {
            count: kernel.stat.sigsegv.get(),
            first_address: replay.first_segv().map(|segv| segv.vaddr.0),
        },
        refusals: {
            let (count, first) = replay.refusals();
            report::Refusals { count, first }
        },
        kernel: KernelWork::of(finished),
        time: time(kernel),
        memory: MemoryUse::of(finished),
        pressure: Pressure::of(finished),
        origin: origin::origin(&replay.watch.seen()),
        timeline: Timeline::of(&replay.watch.seen()),
        processes: processes(replay),
        ..ReplayReport::default()
    };
    account.traces = replay
        .traces
        .iter()
        .map(|trace| TraceFile { file: trace.name.clone(), accesses: trace.executed() })
        .collect();
    (account.incomplete, account.interrupted) = ending(&finished.stop);
    account.digest = digest(kernel, &account);
    // Last, because taking the page cache down counts too.
    account.memory.leftovers = leftovers(finished);
    account.verify = verification(finished);
    account
}

/// The machine without what the account says elsewhere.
fn parameters(machine: &Machine) -> serde_json::Value {
    let mut tree = machine.tree();
    if let Some(fields) = tree.as_object_mut() {
        fields.retain(|name, _| {
            !["name", "description", "source", "cpus", "frequency_mhz", "memory"].contains(&name.as_str())
        });
    }
    tree
}

fn ending(stop: &Stop) -> (Option<String>, bool) {
    match stop {
        Stop::Finished => (None, false),
        Stop::Stopped(reason) => (Some(reason.clone()), reason == "interrupted"),
        Stop::Deadlock(_) => (Some("deadlock".to_owned()), false),
    }
}

/// The digest of the run's events and of its final counters.
fn digest(kernel: &Kernel, account: &ReplayReport) -> u128 {
    let mut digest = kernel.engine.digest();
    for cpu in kernel.engine.cpus() {
        digest.absorb(cpu.clock());
        digest.absorb(cpu.steps());
    }
    let (translation, accesses) = (&account.translation, &account.accesses);
    for side in [&translation.instruction, &translation.data] {
        [side.lookups, side.l1_hits, side.l2_hits, side.misses].into_iter().for_each(|n| digest.absorb(n));
    }
    [accesses.total, translation.walks, translation.walk_steps, account.faults.pgfault, account.segv.count]
        .into_iter()
        .for_each(|n| digest.absorb(n));
    digest.value()
}

fn accesses(kernel: &Kernel) -> Accesses {
    let mut sum = Accesses::default();
    for core in kernel.hw.cores() {
        let counters = core.tlb().borrow().access_counters();
        sum.fetches += counters.fetches;
        sum.loads += counters.loads;
        sum.stores += counters.stores;
        sum.modifies += counters.modifies;
        sum.page_crossing += counters.splits;
    }
    sum.total = sum.fetches + sum.loads + sum.stores + sum.modifies;
    sum
}

fn translation(kernel: &Kernel) -> Translation {
    let mut sum = Translation::default();
    let mut caches: Vec<(u8, WalkCacheCounters)> = Vec::new();
    for core in kernel.hw.cores() {
        let tlb = core.tlb().borrow().counters();
        add_side(&mut sum.instruction, &tlb.fetch);
        add_side(&mut sum.data, &tlb.data);
        sum.invalidated_entries += tlb.invalidated;
        let walks = core.walks();
        sum.walks += walks.walks;
        sum.walk_steps += walks.steps;
        sum.faulting_walks += walks.faulting;
        sum.accessed_updates += walks.accessed_set;
        sum.dirty_updates += walks.dirty_set;
        sum.cmpxchg_retries += walks.retries;
        for (level, counters) in core.walk_caches().borrow().counters() {
            match caches.iter_mut().find(|(known, _)| *known == level) {
                Some((_, known)) => {
                    known.hits += counters.hits;
                    known.misses += counters.misses;
                }
                None => caches.push((level, counters)),
            }
        }
    }
    let name = |level: u8| ["pde", "pdpte", "pml4e", "pml5e"][usize::from(level) - 2].to_owned();
    let row = |(level, counters): (u8, WalkCacheCounters)| WalkCacheUse {
        level: name(level),
        hits: counters.hits,
        misses: counters.misses,
    };
    sum.walk_caches = caches.into_iter().map(row).collect();
    sum
}

fn add_side(sum: &mut TlbSide, side: &TlbSideCounters) {
    sum.lookups += side.lookups();
    sum.l1_hits += side.l1_hits;
    sum.l2_hits += side.l2_hits;
    sum.misses += side.misses;
    sum.upgrades += side.upgrades;
}

fn time(kernel: &Kernel) -> Time {
    let end = kernel.engine.cpus().iter().map(|cpu| cpu.clock()).max().unwrap_or(0);
    let per_cpu = |cpu: &Rc<pagewalk_engine::Cpu>| {
        let times = cpu.times();
        CpuTime {
            user: times.user,
            kernel: times.kernel,
            interrupt: times.interrupt,
            waiting: times.waiting,
            // A CPU that ran out of work earlier idles to the end.
            idle: times.idle + (end - cpu.clock()),
        }
    };
    let latency = kernel.stat.fault_latency.all();
    Time {
        cycles: end,
        per_cpu: kernel.engine.cpus().iter().map(per_cpu).collect(),
        fault_latency: (latency.count() > 0).then(|| FaultLatency {
            min: latency.min(),
            median: latency.quantile(500),
            p99: latency.quantile(990),
            max: latency.max(),
        }),
        fault_latencies: origin::latencies(&kernel.stat.fault_latency),
        waits: origin::waits(&kernel.engine),
    }
}

/// What is left over at the end of a whole run. With the promises watched, the page cache is taken down first.
fn leftovers(finished: &Finished) -> Vec<String> {
    let kernel = &finished.replay.kernel;
    let left = match (finished.stop == Stop::Finished, finished.replay.options.run.verify) {
        (false, _) => Vec::new(),
        (true, false) => kernel.leftovers(),
        (true, true) => kernel.drop_everything(),
    };
    left.iter().map(ToString::to_string).collect()
}

fn verification(finished: &Finished) -> Verification {
    let kernel = &finished.replay.kernel;
    let mut violations: Vec<Violation> = kernel
        .engine
        .violations()
        .into_iter()
        .map(|found| Violation { invariant: found.invariant.to_owned(), message: found.message })
        .collect();
    if let Stop::Deadlock(who) = &finished.stop {
        violations
            .push(Violation { invariant: "I27".to_owned(), message: format!("nobody can go on: {who}") });
    }
    let Some(oracle) = kernel.oracle() else { return Verification { violations, ..Verification::default() } };
    let broken = |id: &str| violations.iter().any(|violation| violation.invariant == id);
    let held = promises().filter(|(id, _)| !broken(id));
    let held = held.map(|(id, promise)| Held { invariant: id.to_owned(), promise: promise.to_owned() });
    Verification {
        enabled: true,
        loads_checked: oracle.loads(),
        stores_recorded: oracle.stores(),
        held: held.collect(),
        violations,
    }
}

fn processes(replay: &Replay) -> Vec<ProcessRow> {
    let mut rows = Vec::new();
    for trace in &replay.traces {
        let name = trace.file.summary().provenance.command.clone();
        for process in trace.feed.borrow().processes() {
            let tally = process.tally();
            rows.push(ProcessRow {
                pid: process.pid,
                name: name.clone(),
                threads: tally.threads,
                accesses: tally.accesses,
                pgfault: tally.faults,
                peak_rss: tally.peak_rss,
            });
        }
    }
    rows
}
